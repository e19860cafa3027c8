"""Checks the signature of Function Compute 2.0: `authorization: FC KEY:SIGNATURE`.

HMAC-SHA256 over method, Content-MD5, Content-Type, Date, all headers `x-fc-*` and the path, not quoted:
https://help.aliyun.com/document_detail/52877.html. The date may be 15 minutes off; it is compared with real time
whichever clock the cloud uses. The content is not signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from localcloud.fc.errors import ERRORS
from localcloud.http import HttpRequest

SCHEME = "FC "


@dataclass(frozen=True, slots=True)
class SignedCall:
    """What a request claims about its sender, and what its signature must be made of."""

    access_key: str
    token: str
    stamp: float
    string: str
    signature: str

    def fits(self, secret: str) -> bool:
        """Whether the signature was made with this secret."""
        made = base64.b64encode(hmac.new(secret.encode(), self.string.encode(), hashlib.sha256).digest()).decode()
        return hmac.compare_digest(made.encode(), self.signature.encode())


def read_fc_signature(request: HttpRequest) -> SignedCall:
    """What the request says about its sender, with the server's own string to sign; ApiError if it is incomplete."""
    headers = request.headers
    for name in ("authorization", "date"):
        if not headers.get(name):
            raise ERRORS.error("MissingRequiredHeader", name=name)
    key, _, signature = headers["authorization"].removeprefix(SCHEME).partition(":")
    if not headers["authorization"].startswith(SCHEME) or not key or not signature:
        raise ERRORS.error("SignatureNotMatch")
    try:
        stamp = parsedate_to_datetime(headers["date"]).timestamp()
    except ValueError:
        raise ERRORS.error("InvalidArgument", why="the date is not well formatted") from None
    named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-fc-"))
    string = "\n".join(
        (
            request.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            headers["date"],
            f"{named}{unquote(request.path)}",
        )
    )
    return SignedCall(
        access_key=key,
        token=headers.get("x-fc-security-token", ""),
        stamp=stamp,
        string=string,
        signature=signature,
    )
