"""API errors, and the codes of the gateway that stands before every product.

Each service keeps its own catalogue beside its models. A code belongs in a catalogue only with the status and the
short message that clients see; clients decide by code (https://www.alibabacloud.com/help/doc-detail/437902.htm shows
that statuses differ), so a misspelt code here would teach a client the wrong thing: vendor spellings such as
`Forbbiden` and `Deined` are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class ApiError(Exception):
    """A refusal with the vendor's code and HTTP status. `detail` says which permission is lacking, if that is why."""

    def __init__(self, code: str, status: int, message: str, *, detail: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.code = code
        self.status = status
        self.message = message
        self.detail = dict(detail or {})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Codes with their HTTP status and message; `{name}` in a message is filled in."""

    codes: Mapping[str, tuple[int, str]]

    def error(self, code: str, **words: str) -> ApiError:
        """The error with this code; an unknown code is a bug here and raises KeyError."""
        status, message = self.codes[code]
        return ApiError(code, status, message.format(**words))


GATEWAY = Catalogue(
    {
        # Sources: https://help.aliyun.com/document_detail/60629.html and
        # https://help.aliyun.com/en/polardb/client-error-codes (the gateway is common to all products);
        # SecurityToken codes as listed at https://help.aliyun.com/document_detail/53438.html.
        "IncompleteSignature": (400, "The request signature does not conform to Aliyun standards."),
        "IllegalTimestamp": (
            400,
            'The input parameter "Timestamp" that is mandatory for processing this request is not supplied.',
        ),
        "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
        "InvalidAction.NotFound": (404, "Specified api is not found, please check your url and method."),
        "InvalidParameter": (400, 'The specified parameter "{name}" is not valid.'),
        "InvalidProduct.NotFound": (404, "Cannot find product according to your specified domain."),
        # Documented for the tag calls of ECS; what an unknown region gets elsewhere is not documented.
        "InvalidRegionId.NotFound": (404, "The RegionId provided does not exist in our records."),
        "InvalidSecurityToken.Expired": (400, "Specified SecurityToken is expired."),
        "InvalidSecurityToken.Malformed": (400, "Specified SecurityToken is malformed."),
        "InvalidSecurityToken.MismatchWithAccessKey": (
            400,
            "Specified SecurityToken mismatch with the AccessKey.",
        ),
        "InvalidSignatureMethod": (400, "Specified signature method is not valid."),
        "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
        "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
        "InvalidVersion": (400, "Specified parameter Version is not valid."),
        "MissingParameter": (
            400,
            'The input parameter "{name}" that is mandatory for processing this request is not supplied.',
        ),
        "MissingSecurityToken": (400, "SecurityToken is mandatory for this action."),
        "SignatureDoesNotMatch": (
            400,
            "Specified signature is not matched with our calculation. server string to sign is:{string}",
        ),
        "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
        "Throttling.User": (400, "Request was denied due to user flow control."),
        "UnsupportedHTTPMethod": (400, "This http method is not supported."),
        "UnsupportedParameter": (400, 'The parameter "{name}" is not supported.'),
        "InternalError": (500, "The request processing has failed due to some unknown error."),
    }
)
"""What the gateway itself refuses, whatever the product."""


def missing(name: str) -> ApiError:
    """The common error for a required parameter that is absent or empty."""
    return GATEWAY.error("MissingParameter", name=name)


def invalid(name: str) -> ApiError:
    """The common error for a value outside its documented range.

    For a PageSize over 100 this is what ECS really answers: https://github.com/aliyun/aliyun-cli/issues/512
    """
    return GATEWAY.error("InvalidParameter", name=name)
