"""Checks the two signatures that clients use, from the request as it came.

Version 1: HMAC-SHA1 over all parameters, which travel in the query or in a form
(https://help.aliyun.com/en/viapi/developer-reference/the-public-request-parameters-11). Version 3: the header
`Authorization: ACS3-HMAC-SHA256 ...` over the method, path, query, signed headers and the hash of the body; every
common header that is there must be signed (https://help.aliyun.com/document_detail/159972.htm). A check that took
less than the whole request would let a client pass here whose changed requests the vendor refuses.

What is signed is decoded and quoted again, because clients write a space as `+` on the wire and sign it as `%20`.
Both kinds of time stamp may be 15 minutes off (InvalidTimeStamp.Expired at
https://help.aliyun.com/document_detail/60629.html); they are compared with real time whichever clock the cloud uses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from localcloud.clock import parse_iso
from localcloud.errors import GATEWAY, missing
from localcloud.http import HttpRequest

ACS3 = "ACS3-HMAC-SHA256"
VALID_SECONDS = 15 * 60
_SIGNED_ALWAYS = (
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request claims about its sender; `string` is what its signature must be made of."""

    access_key: str
    token: str
    stamp: float
    nonce: str
    string: str
    signature: str
    version: int

    def matches(self, secret: str) -> bool:
        """Whether the signature was made with this secret."""
        if self.version == 1:
            digest = hmac.new(f"{secret}&".encode(), self.string.encode(), hashlib.sha1).digest()
            made = base64.b64encode(digest).decode()
        else:
            made = hmac.new(secret.encode(), self.string.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(made.encode(), self.signature.encode())


def read_signature(request: HttpRequest, query: Mapping[str, str], form: Mapping[str, str]) -> Signed:
    """What the request says about its sender, with the server's own string to sign; ApiError if it is incomplete."""
    header = request.headers.get("authorization", "")
    if header:
        return _acs3(request, query, header)
    return _version_1(request.method, {**query, **form}, request.headers)


def _version_1(method: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Signed:
    for name in ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce"):
        if not params.get(name):
            raise missing(name)
    if params["SignatureMethod"].upper() != "HMAC-SHA1" or params.get("SignatureType", ""):
        raise GATEWAY.error("InvalidSignatureMethod")
    if params["SignatureVersion"] != "1.0":
        raise GATEWAY.error("IncompleteSignature")
    if not params.get("Timestamp"):
        raise GATEWAY.error("IllegalTimestamp")
    canonical = "&".join(
        f"{quote(key, safe='~')}={quote(params[key], safe='~')}" for key in sorted(params) if key != "Signature"
    )
    return Signed(
        access_key=params["AccessKeyId"],
        token=params.get("SecurityToken", "") or headers.get("x-acs-security-token", ""),
        stamp=_stamp(params["Timestamp"]),
        nonce=params["SignatureNonce"],
        string=f"{method}&%2F&{quote(canonical, safe='~')}",
        signature=params["Signature"],
        version=1,
    )


def _acs3(request: HttpRequest, query: Mapping[str, str], header: str) -> Signed:
    algorithm, _, rest = header.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    access_key, names, signature = (fields.get(key, "") for key in ("Credential", "SignedHeaders", "Signature"))
    if algorithm != ACS3:
        raise GATEWAY.error("InvalidSignatureMethod")
    if not (access_key and names and signature):
        raise GATEWAY.error("IncompleteSignature")
    headers = request.headers
    signed = names.split(";")
    there = {name for name in headers if name.startswith("x-acs-")} | {"host"}
    if not there.issuperset(_SIGNED_ALWAYS) or not there.issubset(signed) or not set(signed).issubset(headers):
        raise GATEWAY.error("IncompleteSignature")
    canonical = "\n".join(
        (
            request.method,
            request.path or "/",
            "&".join(f"{quote(key, safe='~')}={quote(query[key], safe='~')}" for key in sorted(query)),
            "".join(f"{name}:{headers[name].strip()}\n" for name in signed),
            names,
            headers["x-acs-content-sha256"],
        )
    )
    string = f"{ACS3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    if hashlib.sha256(request.body).hexdigest() != headers["x-acs-content-sha256"].lower():
        raise GATEWAY.error("SignatureDoesNotMatch", string=string)
    return Signed(
        access_key=access_key,
        token=headers.get("x-acs-security-token", ""),
        stamp=_stamp(headers["x-acs-date"]),
        nonce=headers["x-acs-signature-nonce"],
        string=string,
        signature=signature,
        version=3,
    )


def _stamp(text: str) -> float:
    try:
        return parse_iso(text)
    except ValueError:
        raise GATEWAY.error("InvalidTimeStamp.Format") from None


class Nonces:
    """The nonces seen, each for as long as its time stamp is accepted."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def use(self, access_key: str, nonce: str, *, stamp: float, now: float) -> bool:
        """Whether this nonce is new; it is not from now on, until its time stamp has expired anyway."""
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] >= now:
                break
            del self._until[oldest]
        key = f"{access_key} {nonce}"
        if self._until.get(key, now - 1) >= now:
            return False
        self._until.pop(key, None)
        self._until[key] = stamp + VALID_SECONDS
        return True
