"""Refusals of object storage.

Codes, statuses and messages as at https://www.alibabacloud.com/help/en/oss/user-guide/http-403-error-code (403),
https://www.alibabacloud.com/help/en/oss/user-guide/http-status-code-409 (409),
https://help.aliyun.com/zh/oss/user-guide/http-status-code-503 (503) and
https://www.alibabacloud.com/help/en/oss/developer-reference/error-responses (the rest); others name their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.errors import ApiError, Catalogue

ERRORS = Catalogue(
    {
        "AccessDenied": (403, "{why}"),
        "AccessKeyIdAndSecurityTokenNotMatch": (
            403,
            "The OSS access key id and security token you provided does not match.",
        ),
        "FileAlreadyExists": (409, "The object you specified already exists and can not be overwritten."),
        "InternalError": (500, "We encountered an internal error. Please try again."),
        "InvalidAccessKeyId": (403, "The OSS Access Key Id you provided does not exist in our records."),
        # Its form for a wrong region: https://github.com/aliyun/alibabacloud-oss-go-sdk-v2/issues/29
        "InvalidArgument": (400, "{why}"),
        "InvalidBucketName": (400, "The specified bucket is not valid."),
        "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
        "InvalidObjectName": (400, "The specified object is not valid."),
        "InvalidSecurityToken": (403, "The security token you provided is invalid."),
        "NoSuchBucket": (404, "The specified bucket does not exist."),
        "NoSuchKey": (404, "The specified key does not exist."),
        # The vendor's answer to what it does not do; here also the answer to all of its API that is not served.
        "NotImplemented": (501, "A header or parameter you provided implies functionality that is not implemented."),
        "PermanentRedirect": (
            403,
            "The bucket you are attempting to access must be addressed using the specified endpoint. "
            "Please send all future requests to this endpoint.",
        ),
        "RequestTimeTooSkewed": (403, "The difference between the request time and the current time is too large."),
        "SecondLevelDomainForbidden": (
            403,
            "The bucket you are attempting to access must be addressed using OSS third level domain.",
        ),
        # Described at https://alibabacloud.com/help/en/oss/support/0002-00000007
        "SecurityTokenExpired": (403, "The security token you provided has expired."),
        "SignatureDoesNotMatch": (
            403,
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        ),
        "TotalQpsLimitExceeded": (503, "Please reduce your request rate."),
    }
)


NO_RIGHT = "You have no right to access this object because of bucket acl."
"""Said where nothing allows a call, whatever would have to: https://www.alibabacloud.com/help/en/oss/support/0003-00000001"""


class StorageError(ApiError):
    """A refusal whose answer has elements of its own."""

    def __init__(self, error: ApiError, elements: Mapping[str, Any]) -> None:
        super().__init__(error.code, error.status, error.message)
        self.elements = elements


def denied(why: str) -> ApiError:
    """AccessDenied, which is said of many things."""
    return ERRORS.error("AccessDenied", why=why)


def bad_argument(why: str) -> ApiError:
    """InvalidArgument, which is said of many things, too."""
    return ERRORS.error("InvalidArgument", why=why)


def not_permitted(detail: Mapping[str, str], *, shown: bool) -> StorageError:
    """AccessDenied for a permission that is lacking.

    Denied by a policy: https://www.alibabacloud.com/help/en/oss/support/0003-00000201 (the text speaks of the bucket
    there, too); allowed by none: https://www.alibabacloud.com/help/en/oss/support/0003-00000001
    """
    explicit = detail["NoPermissionType"] == "ExplicitDeny"
    error = denied("Access denied by bucket policy." if explicit else NO_RIGHT)
    code = {"EC": "0003-00000201" if explicit else "0003-00000001"}
    return StorageError(error, {**({"AccessDeniedDetail": dict(detail)} if shown else {}), **code})
