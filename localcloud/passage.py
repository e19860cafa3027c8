"""A request on its way, whatever protocol it speaks: what is known of it so far, and the ends that are alike for all.

The exchanges (`localcloud.gateway`, and `exchange` of `localcloud.oss`, `localcloud.mns` and `localcloud.fc`) read
their protocol and write here what they learn. A request is logged with what is known when it ends: who is refused
before the signature was checked stays nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.clock import iso_millis
from localcloud.errors import ApiError
from localcloud.faults import FaultRule
from localcloud.http import HttpRequest, HttpResponse
from localcloud.sts.models import Principal

if TYPE_CHECKING:
    from localcloud.gateway import Gateway


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One call as the request log shows it; `code` is empty on success, `status` 0 where no answer was sent."""

    time: str
    account: str
    principal: str
    agent: str
    product: str
    action: str
    region: str
    status: int
    code: str
    request_id: str


@dataclass(slots=True)
class Passage:
    """One request, and what is known of it by now; `now` is when it came, by the cloud's clock."""

    gateway: Gateway
    request: HttpRequest
    request_id: str
    now: float
    product: str = ""
    action: str = ""
    region: str = ""
    principal: Principal | None = None

    def admit(self, caller: Principal, *, throttled: ApiError, failed: ApiError) -> FaultRule | None:
        """Let a call pass flow control, and give the fault that strikes it, if one does.

        ApiError if it may not pass or the fault refuses it: `throttled` and `failed` are the product's words for that.
        """
        gateway, operation = self.gateway, f"{self.product}:{self.action}"
        if not gateway.admits(operation, caller.account, self.region):
            raise throttled
        rule = gateway.strike(operation, caller, self.region)
        if rule is not None and rule.fault.kind in ("throttle", "error"):
            raise rule.refusal(throttled if rule.fault.kind == "throttle" else failed)
        return rule

    def answer(
        self,
        status: int,
        code: str,
        body: bytes,
        content_type: str,
        *,
        broken: bool,
        request_id: str = "",
        more: tuple[tuple[str, str], ...] = (),
    ) -> HttpResponse:
        """The request is answered, with half of the body if the answer is `broken`; `code` is that of a refusal."""
        self._log(status, code)
        return HttpResponse(
            status=status,
            body=body[: len(body) // 2] if broken else body,
            content_type=content_type,
            request_id=request_id,
            wait=self.gateway.world.latency.seconds,
            more=more,
        )

    def drop(self, why: str) -> HttpResponse:
        """The connection ends without an answer; who is killed on the way is named."""
        self._log(0, why)
        kills = self.principal.origin if self.principal is not None and why == "killed" else ""
        return HttpResponse(status=0, body=b"", dropped=True, kills=kills, wait=self.gateway.world.latency.seconds)

    def _log(self, status: int, code: str) -> None:
        """Tell whoever asked what became of the request."""
        hooks, principal = self.gateway.request_hooks, self.principal
        if not hooks:
            return
        entry = LogEntry(
            time=iso_millis(self.now),
            account=principal.account if principal is not None else "",
            principal=principal.arn if principal is not None else "",
            agent=self.request.headers.get("user-agent", ""),
            product=self.product,
            action=self.action,
            region=self.region,
            status=status,
            code=code,
            request_id=self.request_id,
        )
        for callback in hooks:
            callback(entry)
