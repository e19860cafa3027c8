"""The way of an invocation: the gateway's own, in both protocols of Function Compute.

3.0 names the function in the path and is signed like the RPC products (ACS3); 2.0 names service and function, has the
account in the host and a signature of its own (https://help.aliyun.com/document_detail/52877.html). A function of 2.0
is `service$function` to 3.0; one of 3.0 cannot be named in 2.0. They differ in the form of their errors, too:
`Code, Message` and `ErrorCode, ErrorMessage`. A handler that raised is no error of theirs: the answer is 200 and has a
header `x-fc-error-type`.

`respond` gives an answer, or an `Invoke`: what has to be run first, without the lock.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from localcloud.catalog import FUNCTION_COMPUTE, function_host
from localcloud.errors import ApiError
from localcloud.fc.errors import ERRORS
from localcloud.fc.instances import Outcome
from localcloud.fc.models import ASYNC_MOST, INVOKE, SYNC_MOST, Run, not_authorized
from localcloud.fc.signing import read_fc_signature
from localcloud.http import JSON_TYPE, HttpRequest, HttpResponse
from localcloud.permissions import lacks
from localcloud.render import as_json
from localcloud.ros.stack import Function
from localcloud.signing import VALID_SECONDS, read_signature
from localcloud.sts.models import Principal
from localcloud.world import ANSWER_LOST

if TYPE_CHECKING:
    from localcloud.gateway import Gateway

OPERATION = "InvokeFunction"
_PATHS = (
    re.compile(r"/(2023-03-30)/functions/([^/]+)/invocations"),
    re.compile(r"/(2016-08-15)/services/([^/]+)/functions/([^/]+)/invocations"),
)
_TASK_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_BINARY = "application/octet-stream"
_LOG_TAIL = 4096

_IN_OUR_WORDS = {
    "InvalidAccessKeyId.NotFound": "InvalidAccessKeyID",
    "SignatureDoesNotMatch": "SignatureNotMatch",
    "SignatureNonceUsed": "SignatureNotMatch",
    "IncompleteSignature": "SignatureNotMatch",
    "InvalidSignatureMethod": "SignatureNotMatch",
}
"""The gateway's refusals of a signature as Function Compute says them; of a token, see `errors`."""


def asks_for_functions(request: HttpRequest) -> bool:
    """Whether a request is meant for Function Compute: by its host, or where that names nobody by its path."""
    if function_host(request.host) is not None:
        return True
    at_vendor_host = request.host.partition(":")[0].lower().endswith(".aliyuncs.com")
    return not at_vendor_host and request.path.startswith(("/2023-03-30/", "/2016-08-15/"))


@dataclass(frozen=True, slots=True)
class Invoke:
    """An invocation that has begun, and the exchange that answers with what comes of it."""

    run: Run
    exchange: FunctionExchange


class FunctionExchange:
    """One request to Function Compute on its way through the gateway."""

    def __init__(self, gateway: Gateway, request: HttpRequest) -> None:
        self._gateway = gateway
        self._request = request
        self._now = gateway.clock.now()
        self._request_id = gateway.models.functions.request_id()
        self._query = dict(parse_qsl(request.query, keep_blank_values=True))
        self._older = request.path.startswith("/2016-08-15/")
        self._host = function_host(request.host)
        self._region = self._host[1] if self._host is not None else ""
        self._principal: Principal | None = None
        self._spoiled = ""

    def respond(self) -> HttpResponse | Invoke:
        """The answer, or what has to be run first."""
        if self._host is not None and self._region not in self._gateway.models.settings.regions:
            return self._dropped("no-such-host")
        try:
            found = self._named()
            principal = self._principal = self._authenticate()
            return self._perform(principal, *found)
        except ApiError as refusal:
            return self._refused(refusal)

    def _perform(self, principal: Principal, service: str, name: str, qualifier: str) -> HttpResponse | Invoke:
        operation = f"{FUNCTION_COMPUTE.name}:{OPERATION}"
        gateway, account = self._gateway, principal.account
        gateway.calls[operation] += 1
        if not gateway.admits(operation, account, self._region):
            raise ERRORS.error("ResourceExhausted", of=f"account '{account}'")
        rule = gateway.strike(operation, principal, self._region)
        kind = rule.fault.kind if rule is not None else ""
        if rule is not None and kind in ("throttle", "error"):
            code = "ResourceExhausted" if kind == "throttle" else "InternalServerError"
            raise rule.refusal(ERRORS.error(code, of=f"account '{account}'"))
        if kind == "no-answer":
            return self._dropped(kind)
        self._spoiled = kind
        return self._invoke(principal, service, name, qualifier)

    def answered(self, outcome: Outcome) -> HttpResponse:
        """The answer to a synchronous invocation that ended."""
        more: list[tuple[str, str]] = []
        if outcome.error:
            more.append(("x-fc-error-type", outcome.error))
        if self._request.headers.get("x-fc-log-type", "") == "Tail":
            tail = outcome.log.encode()[-_LOG_TAIL:]
            more.append(("x-fc-log-result", base64.b64encode(tail).decode()))
        kind = JSON_TYPE if outcome.error else _BINARY
        return self._send(200, outcome.error, outcome.body, kind, *more)

    def _named(self) -> tuple[str, str, str]:
        """(service, function, qualifier) of the path; the qualifier of 2.0 stands behind the service."""
        request = self._request
        found = next((match for one in _PATHS if (match := one.fullmatch(request.path))), None)
        if found is None or request.method != "POST":
            raise ERRORS.error("PathNotSupported", method=request.method, path=request.path)
        if not self._older:
            return "", unquote(found[2]), self._query.get("qualifier", "")
        service, _, qualifier = unquote(found[2]).partition(".")
        return service, unquote(found[3]), qualifier

    def _authenticate(self) -> Principal:
        principal = self._older_principal() if self._older else self._newer_principal()
        account = self._host[0] if self._host is not None else ""
        if account and account != principal.account:
            raise ERRORS.error("AccessDenied", why=f"the caller is not of the account {account}")
        return principal

    def _older_principal(self) -> Principal:
        signed = read_fc_signature(self._request)
        if abs(self._gateway.real_time() - signed.stamp) > VALID_SECONDS:
            raise ERRORS.error("AccessDenied", why="the date is more than 15 minutes off")
        secret, principal = self._known(signed.access_key, signed.token)
        if not signed.fits(secret):
            raise ERRORS.error("SignatureNotMatch")
        return principal

    def _newer_principal(self) -> Principal:
        gateway, request = self._gateway, self._request
        if "authorization" not in request.headers:
            raise ERRORS.error("MissingRequiredHeader", name="authorization")
        try:
            signed = read_signature(request, self._query, {})
        except ApiError as refusal:
            raise self._of_signature(refusal) from refusal
        real = gateway.real_time()
        if abs(real - signed.stamp) > VALID_SECONDS:
            raise ERRORS.error("AccessDenied", why="the date is more than 15 minutes off")
        secret, principal = self._known(signed.access_key, signed.token)
        if not signed.matches(secret):
            raise ERRORS.error("SignatureNotMatch")
        if not gateway.nonces.use(signed.access_key, signed.nonce, stamp=signed.stamp, now=real):
            raise ERRORS.error("SignatureNotMatch")
        return principal

    def _known(self, key: str, token: str) -> tuple[str, Principal]:
        try:
            return self._gateway.models.identity.authenticate(key, token, now=self._now)
        except ApiError as refusal:
            raise self._of_signature(refusal, key) from refusal

    def _of_signature(self, refusal: ApiError, key: str = "") -> ApiError:
        code = _IN_OUR_WORDS.get(refusal.code)
        if code == "InvalidAccessKeyID":
            return ERRORS.error("InvalidAccessKeyID", key=key)
        return ERRORS.error(code or "InvalidSecurityToken") if code or "Token" in refusal.code else _argument(refusal)

    def _invoke(self, principal: Principal, service: str, name: str, qualifier: str) -> HttpResponse | Invoke:
        functions, request = self._gateway.models.functions, self._request
        function = functions.function_named(principal.account, self._region, name, service=service, qualifier=qualifier)
        self._region = function.region
        gateway = self._gateway
        if lacks(gateway.models.identity, principal, INVOKE, function.resource, now=self._now):
            raise ERRORS.error("AccessDenied", why=not_authorized(INVOKE, function.resource))
        how = request.headers.get("x-fc-invocation-type", "Sync")
        if how not in ("Sync", "Async"):
            raise ERRORS.error("InvalidArgument", why=f"x-fc-invocation-type must be Sync or Async, not {how}")
        if how == "Async":
            return self._accept(function)
        if len(request.body) > SYNC_MOST:
            raise ERRORS.error("EntityTooLarge", limit=str(SYNC_MOST))
        return Invoke(functions.begin(function, request.body, self._request_id, now=self._now), self)

    def _accept(self, function: Function) -> HttpResponse:
        """An asynchronous invocation: 202, and its id."""
        header = "x-fc-stateful-async-invocation-id" if self._older else "x-fc-async-task-id"
        task_id = self._request.headers.get(header, "")
        if task_id and not _TASK_ID.fullmatch(task_id):
            raise ERRORS.error("InvalidArgument", why=f"{header} is not valid")
        if len(self._request.body) > ASYNC_MOST:
            raise ERRORS.error("EntityTooLarge", limit=str(ASYNC_MOST))
        functions = self._gateway.models.functions
        functions.enqueue(function, self._request.body, self._request_id, source="invoke", now=self._now)
        return self._send(202, "", b"", _BINARY, (header, task_id or self._request_id))

    def _refused(self, error: ApiError) -> HttpResponse:
        if self._older:
            document = {"ErrorCode": error.code, "ErrorMessage": error.message}
        else:
            document = {"Code": error.code, "Message": error.message, "RequestId": self._request_id}
        return self._send(error.status, error.code, as_json(document), JSON_TYPE)

    def _send(self, status: int, code: str, body: bytes, kind: str, *more: tuple[str, str]) -> HttpResponse:
        if self._spoiled in ANSWER_LOST:
            return self._dropped(self._spoiled)
        self._log(status, code)
        return HttpResponse(
            status=status,
            body=body[: len(body) // 2] if self._spoiled == "malformed" else body,
            content_type=kind,
            request_id="" if self._older else self._request_id,
            wait=self._gateway.world.latency.seconds,
            more=(("x-fc-request-id", self._request_id), *more),
        )

    def _dropped(self, kind: str) -> HttpResponse:
        self._log(0, kind)
        return self._gateway.dropped(kind, self._principal)

    def _log(self, status: int, code: str) -> None:
        self._gateway.log(
            self._principal,
            self._request,
            time=self._now,
            product=FUNCTION_COMPUTE.name,
            action=OPERATION,
            region=self._region,
            status=status,
            code=code,
            request_id=self._request_id,
        )


def _argument(refusal: ApiError) -> ApiError:
    return ERRORS.error("InvalidArgument", why=refusal.message)
