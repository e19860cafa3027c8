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
from localcloud.passage import Passage
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
        self._query = dict(parse_qsl(request.query, keep_blank_values=True))
        named = object_host(request.host)
        self._at_vendor_host = named is not None
        self._bucket, region = named or ("", "")
        path = unquote(request.path.removeprefix("/"))
        if self._bucket:
            self._key = path
        else:
            self._bucket, _, self._key = path.partition("/")
        self._in_path = bool(self._bucket) and self._bucket != (named or ("",))[0]
        self._operation = operation_asked(request.method, self._key, self._query) if self._bucket else None
        self._passage = Passage(
            gateway,
            request,
            f"{gateway.models.random.getrandbits(96):024X}",
            gateway.clock.now(),
            product=OBJECT_STORAGE.name,
            action=self._operation.name if self._operation is not None else "",
            region=region,
        )

    def respond(self) -> HttpResponse:
        """The answer to the request."""
        if self._at_vendor_host and self._passage.region not in self._gateway.models.settings.regions:
            return self._passage.drop("no-such-host")
        try:
            if self._in_path and self._at_vendor_host:
                raise ERRORS.error("SecondLevelDomainForbidden")
            principal = self._passage.principal = self._authenticate()
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
            self._passage.region = signed.region
        if signed.region != self._passage.region:
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
            return identity.authenticate(signed.access_key, signed.token, now=self._passage.now)
        except ApiError as refusal:
            raise ERRORS.error(_IN_OUR_WORDS[refusal.code]) from refusal

    def _perform(self, operation: ObjectOperation, principal: Principal) -> HttpResponse:
        throttled, failed = ERRORS.error("TotalQpsLimitExceeded"), ERRORS.error("InternalError")
        try:
            rule = self._passage.admit(principal, throttled=throttled, failed=failed)
        except ApiError as turned_away:
            return self._refused(turned_away)
        kind = rule.fault.kind if rule is not None else ""
        if kind == "no-answer":
            return self._passage.drop(kind)
        answer, refusal = self._call(operation, principal)
        if refusal is None:
            self._tell(operation, principal)
        if kind in ANSWER_LOST:
            return self._passage.drop(kind)
        if refusal is not None:
            return self._refused(refusal, broken=kind == "malformed")
        if rule is not None and answer.document is not None:
            answer = replace(answer, document=_spoiled(rule, answer.document))
        broken = kind == "malformed"
        return self._send(answer.status, "", answer.body(), answer.content_type, answer.headers, broken=broken)

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
                request_id=self._passage.request_id,
                now=self._passage.now,
            )

    def _call(self, operation: ObjectOperation, principal: Principal) -> tuple[ObjectAnswer, ApiError | None]:
        call = ObjectCall(
            request=self._request,
            query=self._query,
            bucket=self._bucket,
            key=self._key,
            region=self._passage.region,
            principal=principal,
            now=self._passage.now,
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
            "RequestId": self._passage.request_id,
            "HostId": self._request.host,
            **(error.elements if isinstance(error, StorageError) else {}),
        }
        body = as_xml(document, root="Error")
        return self._send(error.status, error.code, body, XML, (), broken=broken)

    def _send(
        self, status: int, code: str, body: bytes, content_type: str, headers: Headers, *, broken: bool
    ) -> HttpResponse:
        passage = self._passage
        own = (("date", formatdate(passage.now, usegmt=True)), ("x-oss-request-id", passage.request_id))
        return passage.answer(status, code, body, content_type, broken=broken, more=(*own, *headers))


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
