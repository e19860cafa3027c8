"""Refusals of Function Compute.

Codes and messages as at https://www.alibabacloud.com/help/en/functioncompute/error-codes and, of 3.0,
https://help.aliyun.com/zh/functioncompute/api-fc-2023-03-30-errorcodes. What a temporary key gets whose token is
wrong or has expired is on neither page.
"""

from __future__ import annotations

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "AccessDenied": (403, "{why}"),
        "AliasNotFound": (404, "alias '{qualifier}' of '{of}' does not exist"),
        "EntityTooLarge": (400, "payload size exceeds maximum allowed size ({limit} bytes)"),
        "FunctionNotFound": (404, "function '{of}' does not exist{where}"),
        "InternalServerError": (500, "an internal error has occurred. Please retry."),
        "InvalidAccessKeyID": (403, "invalid access key ID '{key}'"),
        "InvalidArgument": (400, "{why}"),
        "InvalidSecurityToken": (403, "the security token is invalid or has expired"),
        "MissingRequiredHeader": (400, "required HTTP header {name} was not specified"),
        "PathNotSupported": (400, "'{method}' against '{path}' is not supported"),
        "ResourceExhausted": (429, "the concurrency limit of {of} is reached"),
        "ServiceNotFound": (404, "service '{of}' does not exist"),
        "SignatureNotMatch": (
            403,
            "The request signature we calculated does not match the signature you provided. "
            "Check your access key and signing method",
        ),
        "VersionNotFound": (404, "version '{qualifier}' of '{of}' does not exist"),
    }
)
