"""The way of a request to Simple Message Queue: the gateway's own, in that service's protocol.

https://www.alibabacloud.com/help/en/mns/developer-reference/request-protocol-description: account and region are in the
host, topic or queue in the path, bodies are XML, and `Authorization: MNS KEY:SIGNATURE` is over method, Content-MD5,
Content-Type, Date, the headers `x-mns-*` and the resource. A client that is pointed straight at the port names neither
account nor region: then the caller's own are meant, the region being the mailbox's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from localcloud.catalog import MESSAGE_QUEUE, message_host
from localcloud.errors import ApiError
from localcloud.http import HttpRequest, HttpResponse
from localcloud.mns.errors import ERRORS
from localcloud.mns.models import MOST_BYTES
from localcloud.permissions import lacks
from localcloud.signing import VALID_SECONDS
from localcloud.sts.models import Principal
from localcloud.world import ANSWER_LOST

if TYPE_CHECKING:
    from localcloud.gateway import Gateway

SCHEME = "MNS "
NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
_XML = "text/xml;charset=utf-8"
_OPERATIONS = {
    ("POST", "topics", "messages"): "PublishMessage",
    ("GET", "topics", ""): "GetTopicAttributes",
    ("POST", "queues", "messages"): "SendMessage",
}


def asks_for_messages(request: HttpRequest) -> bool:
    """Whether a request is meant for Simple Message Queue: by its host, or by its signature."""
    return message_host(request.host) is not None or request.headers.get("authorization", "").startswith(SCHEME)


class MessageExchange:
    """One request to Simple Message Queue on its way through the gateway."""

    def __init__(self, gateway: Gateway, request: HttpRequest) -> None:
        self._gateway = gateway
        self._request = request
        self._now = gateway.clock.now()
        self._request_id = f"{gateway.models.random.getrandbits(96):024X}"
        self._account, self._region = message_host(request.host) or ("", "")
        kind, _, rest = request.path.removeprefix("/").partition("/")
        name, _, below = rest.partition("/")
        self._mailbox = f"{kind}/{name}"
        self._action = _OPERATIONS.get((request.method, kind, below), "") if name else ""
        self._principal: Principal | None = None

    def respond(self) -> HttpResponse:
        """The answer to the request."""
        try:
            principal = self._principal = self._authenticate()
            if not self._action:
                raise ERRORS.error("InvalidRequestURL")
        except ApiError as refusal:
            return self._refused(refusal)
        self._gateway.calls[f"{MESSAGE_QUEUE.name}:{self._action}"] += 1
        return self._perform(principal)

    def _authenticate(self) -> Principal:
        headers, gateway = self._request.headers, self._gateway
        authorization = headers.get("authorization", "")
        if not authorization:
            raise ERRORS.error("MissingAuthorizationHeader")
        key, _, signature = authorization.removeprefix(SCHEME).partition(":")
        if not authorization.startswith(SCHEME) or not key or not signature:
            raise ERRORS.error("InvalidAuthorizationHeader")
        if abs(gateway.real_time() - _stamp(headers.get("date", ""))) > VALID_SECONDS:
            raise ERRORS.error("TimeExpired")
        try:
            token = headers.get("security-token", "")
            secret, principal = gateway.models.identity.authenticate(key, token, now=self._now)
        except ApiError as refusal:
            # What the service says of a token that is expired, missing or another key's is not documented.
            raise ERRORS.error("InvalidAccessKeyId") from refusal
        if not hmac.compare_digest(_signature(self._request, secret).encode(), signature.encode()):
            raise ERRORS.error("SignatureDoesNotMatch")
        _check_digest(headers.get("content-md5", ""), self._request.body)
        self._account = self._account or principal.account
        self._region = self._region or gateway.models.messages.region_of(self._account, self._mailbox)
        return principal

    def _perform(self, principal: Principal) -> HttpResponse:
        gateway, name = self._gateway, f"{MESSAGE_QUEUE.name}:{self._action}"
        if not gateway.admits(name, principal.account, self._region):
            return self._refused(ERRORS.error("QpsLimitExceeded"))
        rule = gateway.strike(name, principal, self._region)
        kind = rule.fault.kind if rule is not None else ""
        if rule is not None and kind in ("throttle", "error"):
            usual = ERRORS.error("QpsLimitExceeded" if kind == "throttle" else "InternalError")
            return self._refused(rule.refusal(usual))
        if kind == "no-answer":
            return self._dropped(kind)
        try:
            status, root, document = self._call(principal)
        except ApiError as refusal:
            return self._refused(refusal)
        if kind in ANSWER_LOST:
            return self._dropped(kind)
        body = _xml(root, document)
        return self._send(status, "", body[: len(body) // 2] if kind == "malformed" else body)

    def _check_permission(self, principal: Principal) -> None:
        """https://www.alibabacloud.com/help/en/mns/user-guide/policies-and-examples"""
        below = "" if self._action == "GetTopicAttributes" else "/messages"
        resource = f"acs:mns:{self._region}:{self._account}:/{self._mailbox}{below}"
        identity = self._gateway.models.identity
        if lacks(identity, principal, f"{MESSAGE_QUEUE.name}:{self._action}", resource, now=self._now):
            raise ERRORS.error("AccessDenied")

    def _call(self, principal: Principal) -> tuple[int, str, Mapping[str, Any]]:
        messages = self._gateway.models.messages
        if self._account != principal.account:
            raise ERRORS.error("AccessDenied")
        self._check_permission(principal)
        if not messages.has_mailbox(self._account, self._region, self._mailbox):
            kind = "Topic" if self._mailbox.startswith("topics/") else "Queue"
            raise ERRORS.error(f"{kind}NotExist")
        name = self._mailbox.partition("/")[2]
        if self._action == "GetTopicAttributes":
            return 200, "Topic", _attributes(name, len(messages.messages(self._mailbox)), self._now)
        body = _body_of(self._request.body)
        if not 0 < len(body.encode()) <= MOST_BYTES:
            why = f"The value of MessageBody should between 1 and {MOST_BYTES} seconds/bytes."
            raise ERRORS.error("InvalidArgument", why=why)
        message = messages.deliver(
            self._account,
            self._region,
            self._mailbox,
            body,
            sender=principal.arn,
            now=self._now,
            random=self._gateway.models.random,
        )
        md5 = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest().upper()
        return 201, "Message", {"MessageId": message.id, "MessageBodyMD5": md5}

    def _refused(self, error: ApiError) -> HttpResponse:
        document = {
            "Code": error.code,
            "Message": error.message,
            "RequestId": self._request_id,
            "HostId": f"http://{self._request.host}",
        }
        return self._send(error.status, error.code, _xml("Error", document))

    def _send(self, status: int, code: str, body: bytes) -> HttpResponse:
        self._log(status, code)
        return HttpResponse(
            status=status,
            body=body,
            content_type=_XML,
            wait=self._gateway.world.latency.seconds,
            more=(("x-mns-request-id", self._request_id), ("x-mns-version", MESSAGE_QUEUE.version)),
        )

    def _dropped(self, kind: str) -> HttpResponse:
        self._log(0, kind)
        return self._gateway.dropped(kind, self._principal)

    def _log(self, status: int, code: str) -> None:
        self._gateway.log(
            self._principal,
            self._request,
            time=self._now,
            product=MESSAGE_QUEUE.name,
            action=self._action,
            region=self._region,
            status=status,
            code=code,
            request_id=self._request_id,
        )


def _attributes(name: str, count: int, now: float) -> dict[str, Any]:
    """Made just now, as far as known: https://www.alibabacloud.com/help/en/message-service/latest/basic-concepts-topic"""
    return {
        "TopicName": name,
        "CreateTime": int(now),
        "LastModifyTime": int(now),
        "MaximumMessageSize": MOST_BYTES,
        "MessageRetentionPeriod": 86_400,
        "MessageCount": count,
        "LoggingEnabled": "False",
    }


def _stamp(date: str) -> float:
    if not date:
        raise ERRORS.error("MissingDateHeader")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        raise ERRORS.error("InvalidDateHeader") from None


def _signature(request: HttpRequest, secret: str) -> str:
    headers = request.headers
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-mns-"))
    resource = request.path + (f"?{request.query}" if request.query else "")
    parts = (request.method, *(headers.get(name, "") for name in ("content-md5", "content-type", "date")))
    string = "\n".join(parts) + f"\n{own}{resource}"
    return base64.b64encode(hmac.new(secret.encode(), string.encode(), hashlib.sha1).digest()).decode()


def _check_digest(digest: str, content: bytes) -> None:
    """The page names RFC 1864; the vendor's own SDK encodes the sum's hexadecimal digits instead."""
    made = hashlib.md5(content, usedforsecurity=False)
    if digest and digest not in (_base64(made.digest()), _base64(made.hexdigest().encode())):
        raise ERRORS.error("InvalidDegist")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _body_of(content: bytes) -> str:
    """The text of `<Message xmlns=...><MessageBody>`; another namespace is an error, as the vendor's page says."""
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - who speaks to a loopback server is trusted
    except ElementTree.ParseError:
        raise ERRORS.error("MalformedXML") from None
    found = root.find(f"{{{NAMESPACE}}}MessageBody")
    if root.tag != f"{{{NAMESPACE}}}Message" or found is None:
        why = "The XML you provided did not validate against our published schema, cause by MessageBody."
        raise ERRORS.error("InvalidArgument", why=why)
    return found.text or ""


def _xml(root: str, document: Mapping[str, Any]) -> bytes:
    fields = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in document.items())
    return f'<?xml version="1.0" encoding="utf-8"?><{root} xmlns="{NAMESPACE}">{fields}</{root}>'.encode()
