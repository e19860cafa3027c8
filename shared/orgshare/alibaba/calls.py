"""Calling the cloud: pacing retries, counting calls, and sorting the SDK's errors by what to do about them.

The SDK retries nothing by itself, reports a lost connection as an exception without a code, and tells throttling apart
only when the gateway sends a header of its own; so the code decides, never the HTTP status. A read that fails is tried
again. A write is tried again only when it certainly was not carried out: after a lost answer or a server's fault the
caller has to look first. What passes only when something else has finished is no more tried again here than any other
refusal: it takes minutes, so the caller comes back in a later run and knows it by its code. So it is with Resource
Sharing's AssociateConflict, DisassociateConflict and ResourceShareStatusMismatchAction
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-associateresourceshare).

Error codes and their meaning: https://www.alibabacloud.com/help/doc-detail/437902.htm (throttling is per account, API
and region).
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from orgshare.errors import CredentialsRefused, Malformed, NoAnswer, Refused, TryAgain, VendorError

Answer = TypeVar("Answer")

ATTEMPTS = 6
ATTEMPTS_BEFORE_AN_ANSWER = 3
"""A cloud that has not answered at all so far is given up sooner: then it is the network or the address."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds: the n-th wait is drawn evenly between half of and the whole of min(20, 0.5 * 2**n)."""

_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurityToken", "IncompleteSignature",
                "InvalidAccessKeySecret")  # fmt: skip
_NOT_DONE = ("Throttling", "ServiceUnavailable", "Rejected.Throttling", "ConcurrentCallNotSupported")


class Calls:
    """Makes calls for one run. ``sleep`` and ``random`` are passed in so that tests and simulations own time."""

    def __init__(self, *, sleep: Callable[[float], None], random: Random) -> None:
        self._sleep = sleep
        self._random = random
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._was_answered = False

    def counts(self) -> dict[str, int]:
        """How often each operation was called, retries included."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def read(self, operation: str, call: Callable[[], Answer]) -> Answer:
        """Make a call that changes nothing: tried again after everything that may pass."""
        answer: Answer = self._retrying(TryAgain)(self._once, operation, call, False)
        return answer

    def write(self, operation: str, call: Callable[[], Answer]) -> Answer:
        """Make a call that changes something: ``NoAnswer`` means that it may have been carried out."""
        answer: Answer = self._retrying(_CertainlyNotDone)(self._once, operation, call, True)
        return answer

    def _once(self, operation: str, call: Callable[[], Answer], writes: bool) -> Answer:
        with self._lock:
            self._counts[operation] += 1
        try:
            answer = call()
        except (VendorError, CredentialsRefused):
            raise
        except Exception as error:  # the SDK's families of exceptions have no common base of their own
            told = _sorted(operation, error, writes=writes)
            if told is error:
                raise
            self._was_answered |= not isinstance(told, NoAnswer)
            raise told from error
        self._was_answered = True
        return answer

    def _retrying(self, kind: type[BaseException]) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(kind),
            stop=self._given_up,
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )

    def _given_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        silent = isinstance(error, NoAnswer) and not error.code and not self._was_answered
        return state.attempt_number >= (ATTEMPTS_BEFORE_AN_ANSWER if silent else ATTEMPTS)

    def _wait(self, state: RetryCallState) -> float:
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**state.attempt_number)
        with self._lock:
            return self._random.uniform(longest / 2, longest)


class _CertainlyNotDone(TryAgain):
    """Throttled, or turned away before anything was done."""


def _sorted(operation: str, error: Exception, *, writes: bool) -> Exception:
    """The program's error for one of the SDK's; anything that is not the SDK's is handed back as it is."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and code:
        return _answered(operation, error, code, writes=writes)
    if type(error).__name__ == "UnretryableException":
        inner = getattr(error, "inner_exception", None) or error
        text = one_line(str(getattr(inner, "message", None) or inner))
        if "json format" in text and not writes:
            return Malformed(f"{operation}: the answer could not be parsed: {text}")
        return NoAnswer(f"{operation}: no answer: {text}")
    if isinstance(error, (AttributeError, TypeError, ValueError)) and not writes:
        return Malformed(f"{operation}: the answer has an unexpected form: {error}")
    return error


def _answered(operation: str, error: Exception, code: str, *, writes: bool) -> Exception:
    data = getattr(error, "data", None)
    details = data if isinstance(data, dict) else {}
    request_id = str(getattr(error, "request_id", None) or details.get("RequestId") or "")
    message = one_line(str(details.get("Message") or getattr(error, "message", "")))
    text = f"{operation}: {code}: {message}" + (f" (request {request_id})" if request_id else "")
    status = getattr(error, "status_code", None)
    if code.startswith(_CREDENTIALS):
        return CredentialsRefused(f"{text}; check the credentials")
    if code.startswith(_NOT_DONE):
        return _CertainlyNotDone(text, code=code, request_id=request_id)
    if code in ("InternalError", "UnknownError") or (isinstance(status, int) and status >= 500):
        kind = NoAnswer if writes else TryAgain
        return kind(text, code=code, request_id=request_id)
    return Refused(text, code=code, request_id=request_id)


def one_line(text: str) -> str:
    """A message on one line, without what may sign a request: query strings are cut off."""
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1?…", text)
    return re.sub(r"(url: [^\s?]*)\?\S+", r"\1?…", re.sub(r"\s+", " ", text)).strip()


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
