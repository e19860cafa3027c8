"""Checks the signature of a request to object storage.

The header `Authorization: OSS4-HMAC-SHA256 Credential=KEY/DAY/REGION/oss/aliyun_v4_request,Signature=...` over method,
bucket and object, query, the headers `x-oss-*`, Content-Type and Content-MD5, and those that AdditionalHeaders names:
https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4. The content itself is
not signed. The older signature and signatures in the query are not served. The time stamp may be 15 minutes off (the
page of HTTP 403 errors); it is compared with real time whichever clock the cloud uses.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import quote

from localcloud.http import HttpRequest
from localcloud.oss.errors import ERRORS, bad_argument, denied

OSS4 = "OSS4-HMAC-SHA256"
_CONTENT = "UNSIGNED-PAYLOAD"
_SIGNED_HEADERS = ("content-type", "content-md5")


@dataclass(frozen=True, slots=True)
class SignedObject:
    """What a request to object storage claims about its sender, and what its signature must be made of."""

    access_key: str
    token: str
    stamp: float
    day: str
    region: str
    string: str
    signature: str

    def fits(self, secret: str) -> bool:
        """Whether the signature was made with this secret."""
        key = f"aliyun_v4{secret}".encode()
        for part in (self.day, self.region, "oss", "aliyun_v4_request", self.string):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.compare_digest(key.hex().encode(), self.signature.encode())


def read_object_signature(request: HttpRequest, query: Mapping[str, str], bucket: str, key: str) -> SignedObject:
    """What the request says about its sender, with the server's own string to sign; ApiError if it is incomplete."""
    algorithm, _, rest = request.headers.get("authorization", "").partition(" ")
    if not algorithm:
        if "Signature" in query or "x-oss-signature" in query:
            raise ERRORS.error("NotImplemented")
        raise denied("Anonymous user has no right to access this bucket.")
    if algorithm != OSS4:
        raise ERRORS.error("NotImplemented")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").split("/")
    if len(scope) != 5 or scope[3:] != ["oss", "aliyun_v4_request"] or not all(scope) or not fields.get("Signature"):
        raise bad_argument("Invalid Authorization header.")
    access_key, day, region = scope[:3]
    if request.headers.get("x-oss-content-sha256") != _CONTENT:
        raise bad_argument("x-oss-content-sha256 must be UNSIGNED-PAYLOAD.")
    date = request.headers.get("x-oss-date", "")
    stamp = _stamp(date)
    if date[:8] != day:
        raise bad_argument("Invalid signing date in Authorization header.")
    additional = [name for name in fields.get("AdditionalHeaders", "").split(";") if name]
    canonical = "\n".join(
        (
            request.method,
            quote("/" + (f"{bucket}/{key}" if bucket else ""), safe="/"),
            "&".join(_pair(name, query[name]) for name in sorted(query, key=lambda name: quote(name, safe=""))),
            _headers(request.headers, additional),
            ";".join(additional),
            _CONTENT,
        )
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    return SignedObject(
        access_key=access_key,
        token=request.headers.get("x-oss-security-token", ""),
        stamp=stamp,
        day=day,
        region=region,
        string=f"{OSS4}\n{date}\n{day}/{region}/oss/aliyun_v4_request\n{hashed}",
        signature=fields["Signature"],
    )


def _pair(name: str, value: str) -> str:
    return f"{quote(name, safe='')}={quote(value, safe='')}" if value else quote(name, safe="")


def _headers(headers: Mapping[str, str], additional: list[str]) -> str:
    signed = sorted(
        name for name in headers if name.startswith("x-oss-") or name in _SIGNED_HEADERS or name in additional
    )
    return "".join(f"{name}:{headers[name].strip()}\n" for name in signed)


def _stamp(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        raise denied("OSS authentication requires a valid Date.") from None
