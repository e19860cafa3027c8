"""Calling the cloud: pacing calls, trying again, counting, and sorting the SDK's errors by what to do about them.

The SDK retries nothing by itself, reports a lost connection as an exception without a code, and tells throttling apart
only when the gateway sends a header of its own; so the code decides, never the HTTP status. A read that fails is tried
again. A write is tried again only when it certainly was not carried out: after a lost answer or a server's fault the
caller has to look first. What passes only when something else has finished is no more tried again here than any other
refusal: it takes minutes, so the caller comes back in a later run and knows it by its code. So it is with Resource
Sharing's AssociateConflict, DisassociateConflict and ResourceShareStatusMismatchAction
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-associateresourceshare).

A permission that is lacking is no refusal of what was asked for, and says nothing about it: it is ``NotPermitted``, and
what was lacking is kept once for the whole run, because some readings go on without the answer.

Throttling is no failure but an answer to how fast we call: it is for an account, an API and a region
(https://www.alibabacloud.com/help/doc-detail/437902.htm), lasts until the next window, which may be a minute away, and
strikes all threads alike. If each of them tried again by itself, a few tries would be over long before that minute, and
their waits would end together. So each (operation, account, region) has one ``Pace`` that all its calls wait for, and a
throttled call uses up none of its tries. It is given up only when flow control has let nothing through for minutes.

Whoever wants to stop a run is asked before every attempt, after all waiting: what was true before a minute of waiting
(a lease, a pause, the time that is left) need not be true after it.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Generic, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from orgshare.alibaba.pace import MANY, Outcome, Pace, Turn
from orgshare.errors import (
    CredentialsRefused,
    Malformed,
    NoAnswer,
    NotPermitted,
    OrgshareError,
    Refused,
    TryAgain,
    VendorError,
)
from orgshare.permissions import action_of
from orgshare.ports import BeforeCall, at_once

Answer = TypeVar("Answer")

ATTEMPTS = 6
ATTEMPTS_BEFORE_AN_ANSWER = 3
"""A cloud that has not answered at all so far is given up sooner: then it is the network or the address."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds: the n-th wait is drawn evenly between half of and the whole of min(20, 0.5 * 2**n)."""

PATIENCE = 300.0
"""Seconds for which a call may be throttled, or its operation let nothing through, before it is given up."""

_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurityToken", "IncompleteSignature",
                "InvalidAccessKeySecret")  # fmt: skip
_THROTTLED = ("Throttling", "Rejected.Throttling", "TotalQpsLimitExceeded", "MetaOperationQpsLimitExceeded",
              "ActiveRequestLimitExceeded", "CpuLimitExceeded", "UploadTrafficRateLimitExceeded",
              "DownloadTrafficRateLimitExceeded", "QpsLimitExceeded")  # fmt: skip
"""Beginnings of codes; those of object storage: https://help.aliyun.com/zh/oss/user-guide/http-status-code-503, the
last one of Simple Message Queue: https://help.aliyun.com/zh/mns/developer-reference/syntax-of-error-responses"""
_NOT_DONE = ("ServiceUnavailable", "ConcurrentCallNotSupported")
_NOT_PERMITTED = ("Forbidden.RAM", "Forbidden.Unauthorized", "Forbidden.SubUser", "NoPermission", "NotAuthorized")
"""Beginnings of codes: https://alibabacloud.com/help/en/ram/support/how-to-troubleshoot-an-access-denied-error"""

OURSELVES = "the credentials that orgshare runs with"
"""Who calls, where no role is assumed."""


class Calls:
    """What all calls of one run share: their paces, their counts, time and chance.

    ``sleep``, ``random`` and ``clock`` (seconds, never going back) are passed in so that tests and simulations own
    time; with a ``sleep`` that does nothing or a ``clock`` that stands still, nothing is waited for. ``before_call`` is
    asked before every attempt of every call and before every wait for a turn; what it raises ends the call.
    """

    def __init__(
        self,
        *,
        sleep: Callable[[float], None],
        random: Random,
        clock: Callable[[], float],
        before_call: BeforeCall = at_once,
    ) -> None:
        self.clock = clock
        self.before_call = before_call
        self._sleep = sleep
        self._random = random
        self._counts: Counter[str] = Counter()
        self._lacking: set[str] = set()
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._lock = threading.Lock()
        self._was_answered = False

    def counts(self) -> dict[str, int]:
        """How often each operation was called, retries included."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def lacking(self) -> tuple[str, ...]:
        """The permissions that calls were refused for so far: who has to be allowed what, each once, in order."""
        with self._lock:
            return tuple(sorted(self._lacking))

    def lane(self, account: str, region: str, *, who: str = OURSELVES, before_write: BeforeCall = at_once) -> Lane:
        """Where the calls of one account in one region are made; ``who`` makes them, for messages.

        ``before_write`` is asked immediately before every attempt of a write; what it raises is raised unchanged, and
        the write is not tried again.
        """
        return Lane(self, account, region, who, before_write)

    def pace(self, operation: str, account: str, region: str) -> Pace:
        """The one pace of an operation in an account and region."""
        key = (operation, account, region)
        with self._lock:
            if key not in self._paces:
                self._paces[key] = Pace(Random(self._random.getrandbits(64)))
            return self._paces[key]

    def sleep(self, seconds: float) -> None:
        """Wait, if there is anything to wait for."""
        if seconds > 0:
            self._sleep(seconds)

    def chance(self, low: float, high: float) -> float:
        """A number drawn evenly between two."""
        with self._lock:
            return self._random.uniform(low, high)

    def was_answered(self) -> bool:
        """Whether the cloud has answered anything so far."""
        return self._was_answered

    def once(self, operation: str, call: Callable[[], Answer], *, writes: bool, who: str, on: str = "") -> Answer:
        """Make and count one attempt at once; errors are this program's."""
        with self._lock:
            self._counts[operation] += 1
        try:
            answer = call()
        except (VendorError, CredentialsRefused):
            raise
        except Exception as error:  # the SDK's families of exceptions have no common base of their own
            within = getattr(error, "inner_exception", None)
            if isinstance(within, OrgshareError):
                raise within from error  # credentials were to be renewed for this call, and could not be
            told = _sorted(operation, error, writes=writes, who=who, on=on)
            if told is error:
                raise
            self._was_answered |= not isinstance(told, NoAnswer)
            if isinstance(told, NotPermitted):
                with self._lock:
                    self._lacking.add(told.remedy)
            raise told from error
        self._was_answered = True
        return answer


class Lane:
    """Calls of one account in one region, each operation at its own pace."""

    def __init__(self, calls: Calls, account: str, region: str, who: str, before_write: BeforeCall) -> None:
        self._calls = calls
        self._account = account
        self._region = region
        self._who = who
        self._before_write = before_write

    def read(self, operation: str, call: Callable[[], Answer], *, on: str = "") -> Answer:
        """Make a call that changes nothing: tried again after everything that may pass.

        ``on`` is what the permission is needed on, where that is not the caller's own account.
        """
        return self._making(operation, call, None, on).answer(TryAgain)

    def write(self, operation: str, call: Callable[[], Answer]) -> Answer:
        """Make a call that changes something: ``NoAnswer`` means that it may have been carried out."""
        return self._making(operation, call, self._before_write).answer(_CertainlyNotDone)

    def _making(
        self, operation: str, call: Callable[[], Answer], before_write: BeforeCall | None, on: str = ""
    ) -> _Making[Answer]:
        pace = self._calls.pace(operation, self._account, self._region)
        writes = before_write is not None

        def once() -> Answer:
            return self._calls.once(operation, call, writes=writes, who=self._who, on=on)

        return _Making(self._calls, pace, operation, once, before_write)


class _Making(Generic[Answer]):
    """One call and its attempts. ``_now`` is the clock's time, or what it would be if every wait had taken place."""

    def __init__(
        self,
        calls: Calls,
        pace: Pace,
        operation: str,
        call: Callable[[], Answer],
        before_write: BeforeCall | None,
    ) -> None:
        self._calls = calls
        self._pace = pace
        self._operation = operation
        self._call = call
        self._before_write = before_write
        self._turn = Turn()
        self._now = calls.clock()
        self._attempts = 0
        self._throttled: _Throttled | None = None
        self._throttled_since = 0.0
        self._refusals = 0

    def answer(self, kind: type[TryAgain]) -> Answer:
        """What the call answers, after as many attempts as it takes; errors of the kind are tried again."""
        retrying = Retrying(
            before=self._before,
            retry=retry_if_exception_type(kind),
            stop=self._given_up,
            wait=self._wait,
            sleep=self._calls.sleep,
            reraise=True,
        )
        answer: Answer = retrying(self._once)
        return answer

    def _before(self, _: RetryCallState) -> None:
        """Wait for a turn, then ask whoever may stand against the attempt: raised here, nothing is tried again."""
        self._turn = Turn()
        self._now = max(self._calls.clock(), self._now)
        try:
            while (until := self._pace.start(self._turn, self._now)) is not None:
                self._calls.before_call()
                self._lose_patience()
                self._calls.sleep(until - self._now)
                self._now = max(self._calls.clock(), until)
            self._calls.before_call()
            if self._before_write is not None:
                self._before_write()
        except BaseException:
            self._pace.finish(self._turn, self._now, "unknown")
            raise

    def _lose_patience(self) -> None:
        """Raise what flow control said, rather than wait once more, where it has let nobody through for too long."""
        dry = self._pace.dry()
        if dry > PATIENCE:
            raise self._throttled or _Throttled(
                f"{self._operation}: Throttling: no call was let through for {dry:.0f} seconds; try again later",
                code="Throttling",
            )

    def _once(self) -> Answer:
        outcome: Outcome = "unknown"
        self._attempts += 1
        try:
            answer = self._call()
        except _Throttled as error:
            outcome = "throttled"
            if self._throttled is None:
                self._throttled_since = self._now
            self._throttled = error
            self._refusals += 1
            raise
        except (Refused, NotPermitted, CredentialsRefused, Malformed):
            outcome = "passed"
            raise
        else:
            outcome = "passed"
            return answer
        finally:
            self._now = max(self._calls.clock(), self._now)
            self._pace.finish(self._turn, self._now, outcome)

    def _given_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, _Throttled):
            return self._refusals >= MANY and self._now - self._throttled_since > PATIENCE
        silent = isinstance(error, NoAnswer) and not error.code and not self._calls.was_answered()
        return self._failures() >= (ATTEMPTS_BEFORE_AN_ANSWER if silent else ATTEMPTS)

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt after a failure; after throttling, its turn says when."""
        if state.outcome is not None and isinstance(state.outcome.exception(), _Throttled):
            return 0.0
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** self._failures())
        return self._calls.chance(longest / 2, longest)

    def _failures(self) -> int:
        return self._attempts - self._refusals


class _CertainlyNotDone(TryAgain):
    """Turned away before anything was done."""


class _Throttled(_CertainlyNotDone):
    """Turned away by flow control."""


def _sorted(operation: str, error: Exception, *, writes: bool, who: str, on: str) -> Exception:
    """The program's error for one of the SDK's; anything that is not the SDK's is handed back as it is."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and code:
        return _answered(operation, error, code, writes=writes, who=who, on=on)
    if type(error).__name__ == "UnretryableException":
        inner = getattr(error, "inner_exception", None) or error
        text = one_line(str(getattr(inner, "message", None) or inner))
        if "json format" in text and not writes:
            return Malformed(f"{operation}: the answer could not be parsed: {text}")
        return NoAnswer(f"{operation}: no answer: {text}")
    if isinstance(error, (AttributeError, TypeError, ValueError)) and not writes:
        return Malformed(f"{operation}: the answer has an unexpected form: {error}")
    return error


def _answered(operation: str, error: Exception, code: str, *, writes: bool, who: str, on: str) -> Exception:
    data = getattr(error, "data", None)
    details = data if isinstance(data, dict) else {}
    request_id = str(getattr(error, "request_id", None) or details.get("RequestId") or "")
    message = one_line(str(details.get("Message") or getattr(error, "message", "")))
    text = f"{operation}: {code}: {message}" + (f" (request {request_id})" if request_id else "")
    status = getattr(error, "status_code", None)
    if code.startswith(_CREDENTIALS):
        return CredentialsRefused(f"{text}; check the credentials")
    if code.startswith(_NOT_PERMITTED):
        remedy = _permission_needed(operation, {**details, **_details(error)}, who=who, on=on)
        return NotPermitted(text, remedy=remedy, code=code, request_id=request_id)
    if code.startswith(_THROTTLED):
        return _Throttled(text, code=code, request_id=request_id)
    if code.startswith(_NOT_DONE):
        return _CertainlyNotDone(text, code=code, request_id=request_id)
    if code in ("InternalError", "UnknownError") or (isinstance(status, int) and status >= 500):
        kind = NoAnswer if writes else TryAgain
        return kind(text, code=code, request_id=request_id)
    return Refused(text, code=code, request_id=request_id)


def _permission_needed(operation: str, details: Mapping[str, Any], *, who: str, on: str) -> str:
    """Which policy has to allow what, as far as the answer tells: not every service says what it missed.

    https://alibabacloud.com/help/en/ram/support/how-to-troubleshoot-an-access-denied-error
    """
    action = str(details.get("AuthAction") or action_of(operation))
    kind = str(details.get("PolicyType") or "")
    policy = f"a policy of {who}" if kind in _OWN_POLICY else f"the {kind} that limits {who}"
    verb = "must not deny" if details.get("NoPermissionType") == "ExplicitDeny" else "has to allow"
    needed = f"{policy} {verb} {action}{f' on {on}' if on else ''}"
    return f"{needed}{_ASSUMING if action == 'sts:AssumeRole' else ''}"


_OWN_POLICY = ("", "AccountLevelIdentityBasedPolicy")

_ASSUMING = (
    ", and the trust policy of that role has to name the caller or its account; an account's own access key can assume "
    "no role: use those of a RAM user or role"
)
"""https://alibabacloud.com/help/en/ram/support/faq-about-ram-roles-and-sts-tokens"""


def _details(error: Exception) -> Mapping[str, Any]:
    found = getattr(error, "access_denied_detail", None)
    return found if isinstance(found, dict) else {}


def one_line(text: str) -> str:
    """A message on one line, without what may sign a request: query strings are cut off."""
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1?…", text)
    return re.sub(r"(url: [^\s?]*)\?\S+", r"\1?…", re.sub(r"\s+", " ", text)).strip()


def checking(sdk: Any, product: str, lists: Mapping[str, str]) -> Any:
    """A class of an SDK's client that raises ``Malformed`` for an answer that lacks its list.

    Some SDKs make an empty list of one that is absent, and one that is absent proves nothing. ``lists`` has the field
    of each operation that has a list.
    """

    class CheckingClient(sdk):  # type: ignore[misc]  # the SDK is not typed
        def call_api(self, params: Any, request: Any, runtime: Any) -> Any:
            answer = super().call_api(params, request, runtime)
            field, body = lists.get(params.action), answer.get("body")
            if field and not (isinstance(body, dict) and isinstance(body.get(field), list)):
                raise Malformed(f"{product}:{params.action}: the answer lacks {field}")
            return answer

    return CheckingClient


def count(value: object, operation: str, field: str) -> int:
    """A required number of an answer; ``Malformed`` when it is absent or no number."""
    number = required(value, operation, field)
    if not isinstance(number, int):
        raise Malformed(f"{operation}: {field} is {number!r}, not a number")
    return number


def required(value: Answer | None, operation: str, field: str) -> Answer:
    """A required field of an answer; ``Malformed`` when it is absent, because absent is not empty."""
    if value is None:
        raise Malformed(f"{operation}: the answer lacks {field}")
    return value
