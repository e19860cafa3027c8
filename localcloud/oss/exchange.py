"""The way of a request to object storage: the gateway's own, in object storage's protocol.

Bucket and region are in the host, the object in the path; errors are XML, and every answer says what time it is by
the cloud's clock. A client that is pointed straight at the port names the bucket in the path, and the region in its
signature. At a vendor host the bucket in the path is refused, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from localcloud.catalog import OBJECT_STORAGE, object_host
from localcloud.errors import ApiError
from localcloud.faults import FaultRule
from localcloud.http import HttpRequest, HttpResponse
from localcloud.oss.errors import ERRORS, StorageError, bad_argument
from localcloud.oss.responses import XML, Headers, ObjectAnswer, ObjectCall, ObjectOperation, operation_asked
from localcloud.oss.signing import OSS4, SignedObject, read_object_signature
from localcloud.permissions import check_object_permission
from localcloud.render import as_xml
from localcloud.signing import VALID_SECONDS
from localcloud.sts.models import Principal
from localcloud.world import ANSWER_LOST

if TYPE_CHECKING:
    from localcloud.gateway import Gateway

_IN_OUR_WORDS = {
    "InvalidAccessKeyId.NotFound": "InvalidAccessKeyId",
    "InvalidSecurityToken.Expired": "SecurityTokenExpired",
    "InvalidSecurityToken.Malformed": "InvalidSecurityToken",
    "InvalidSecurityToken.MismatchWithAccessKey": "AccessKeyIdAndSecurityTokenNotMatch",
    "MissingSecurityToken": "InvalidAccessKeyId",
}
"""The gateway's refusals of a key as object storage says them."""

_EVENTS = {"PutObject": "ObjectCreated:PutObject", "DeleteObject": "ObjectRemoved:DeleteObject"}
"""https://www.alibabacloud.com/help/en/oss/user-guide/event-notification-overview"""


def asks_for_objects(request: HttpRequest) -> bool:
    """Whether a request is meant for object storage: by its host, or where that names nobody by its signature."""
    return object_host(request.host) is not None or request.headers.get("authorization", "").startswith(OSS4)


class ObjectExchange:
    """One request to object storage on its way through the gateway."""

    def __init__(self, gateway: Gateway, request: HttpRequest) -> None:
        self._gateway = gateway
        self._request = request
        self._now = gateway.clock.now()
        self._request_id = f"{gateway.models.random.getrandbits(96):024X}"
        self._query = dict(parse_qsl(request.query, keep_blank_values=True))
        named = object_host(request.host)
        self._at_vendor_host = named is not None
        self._bucket, self._region = named or ("", "")
        path = unquote(request.path.removeprefix("/"))
        if self._bucket:
            self._key = path
        else:
            self._bucket, _, self._key = path.partition("/")
        self._in_path = bool(self._bucket) and self._bucket != (named or ("",))[0]
        self._operation = operation_asked(request.method, self._key, self._query) if self._bucket else None
        self._principal: Principal | None = None

    def respond(self) -> HttpResponse:
        """The answer to the request."""
        if self._at_vendor_host and self._region not in self._gateway.models.settings.regions:
            return self._dropped("no-such-host")
        try:
            if self._in_path and self._at_vendor_host:
                raise ERRORS.error("SecondLevelDomainForbidden")
            principal = self._principal = self._authenticate()
            if self._operation is None:
                raise ERRORS.error("NotImplemented")
        except ApiError as refusal:
            return self._refused(refusal)
        self._gateway.calls[f"{OBJECT_STORAGE.name}:{self._operation.name}"] += 1
        return self._perform(self._operation, principal)

    def _authenticate(self) -> Principal:
        gateway = self._gateway
        signed = read_object_signature(self._request, self._query, self._bucket, self._key)
        if abs(gateway.real_time() - signed.stamp) > VALID_SECONDS:
            raise ERRORS.error("RequestTimeTooSkewed")
        secret, principal = self._known(signed)
        if not self._at_vendor_host:
            self._region = signed.region
        if signed.region != self._region:
            raise bad_argument("Invalid signing region in Authorization header.")
        if not signed.fits(secret):
            told = {"OSSAccessKeyId": signed.access_key, "StringToSign": signed.string}
            raise StorageError(ERRORS.error("SignatureDoesNotMatch"), told)
        return principal

    def _known(self, signed: SignedObject) -> tuple[str, Principal]:
        """Secret and principal of the key; of a permanent key that comes with a token, nobody knows anything.

        https://help.aliyun.com/zh/oss/support/0002-00000002
        """
        identity = self._gateway.models.identity
        if signed.token and signed.access_key in identity.keys:
            raise ERRORS.error("InvalidAccessKeyId")
        try:
            return identity.authenticate(signed.access_key, signed.token, now=self._now)
        except ApiError as refusal:
            raise ERRORS.error(_IN_OUR_WORDS[refusal.code]) from refusal

    def _perform(self, operation: ObjectOperation, principal: Principal) -> HttpResponse:
        gateway, account = self._gateway, principal.account
        name = f"{OBJECT_STORAGE.name}:{operation.name}"
        if not gateway.admits(name, account, self._region):
            return self._refused(ERRORS.error("TotalQpsLimitExceeded"))
        rule = gateway.strike(name, principal, self._region)
        kind = rule.fault.kind if rule is not None else ""
        if rule is not None and kind in ("throttle", "error"):
            usual = ERRORS.error("TotalQpsLimitExceeded" if kind == "throttle" else "InternalError")
            return self._refused(rule.refusal(usual))
        if kind == "no-answer":
            return self._dropped(kind)
        answer, refusal = self._call(operation, principal)
        if refusal is None:
            self._tell(operation, principal)
        if kind in ANSWER_LOST:
            return self._dropped(kind)
        if refusal is not None:
            return self._refused(refusal, broken=kind == "malformed")
        if rule is not None and answer.document is not None:
            answer = replace(answer, document=_spoiled(rule, answer.document))
        body = answer.body()
        if kind == "malformed":
            body = body[: len(body) // 2]
        return self._send(answer.status, "", body, answer.content_type, answer.headers)

    def _tell(self, operation: ObjectOperation, principal: Principal) -> None:
        """Functions may want to know of an object that was made or removed."""
        event = _EVENTS.get(operation.name)
        if event is not None:
            models = self._gateway.models
            models.events.tell_of_object(
                event,
                models.storage.bucket_named(self._bucket),
                (self._bucket, self._key),
                principal=principal.user_id,
                request_id=self._request_id,
                now=self._now,
            )

    def _call(self, operation: ObjectOperation, principal: Principal) -> tuple[ObjectAnswer, ApiError | None]:
        call = ObjectCall(
            request=self._request,
            query=self._query,
            bucket=self._bucket,
            key=self._key,
            region=self._region,
            principal=principal,
            now=self._now,
            models=self._gateway.models,
        )
        try:
            operation.check_served(call)
            check_object_permission(call, operation.name)
            return operation.handler(call), None
        except ApiError as refusal:
            return ObjectAnswer(), refusal

    def _refused(self, error: ApiError, *, broken: bool = False) -> HttpResponse:
        """https://www.alibabacloud.com/help/en/oss/developer-reference/error-responses."""
        document = {
            "Code": error.code,
            "Message": error.message,
            "RequestId": self._request_id,
            "HostId": self._request.host,
            **(error.elements if isinstance(error, StorageError) else {}),
        }
        body = as_xml(document, root="Error")
        return self._send(error.status, error.code, body[: len(body) // 2] if broken else body, XML, ())

    def _send(self, status: int, code: str, body: bytes, content_type: str, headers: Headers) -> HttpResponse:
        self._log(status, code)
        return HttpResponse(
            status=status,
            body=body,
            content_type=content_type,
            wait=self._gateway.world.latency.seconds,
            more=(("date", formatdate(self._now, usegmt=True)), ("x-oss-request-id", self._request_id), *headers),
        )

    def _dropped(self, kind: str) -> HttpResponse:
        self._log(0, kind)
        return self._gateway.dropped(kind, self._principal)

    def _log(self, status: int, code: str) -> None:
        self._gateway.log(
            self._principal,
            self._request,
            time=self._now,
            product=OBJECT_STORAGE.name,
            action=self._operation.name if self._operation is not None else "",
            region=self._region,
            status=status,
            code=code,
            request_id=self._request_id,
        )


def _spoiled(rule: FaultRule, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as a fault leaves it; the number of names that a listing gives is its total."""
    if "KeyCount" not in document:
        return rule.spoil(dict(document))
    renamed = {"TotalCount" if key == "KeyCount" else key: value for key, value in document.items()}
    spoiled = rule.spoil(renamed, "Contents")
    if rule.fault.kind == "empty-list":
        spoiled = {key: value for key, value in spoiled.items() if key != "NextContinuationToken"}
        spoiled |= {"IsTruncated": False, "CommonPrefixes": []}
    return {"KeyCount" if key == "TotalCount" else key: value for key, value in spoiled.items()}
