"""Functions, their asynchronous queue, their timers, and what became of every invocation.

The model decides and never waits: it says which invocation may begin (`begin`, `take_due`), is told what came of it
(`finish`), and whoever drives the cloud runs the instance in between, without the lock. Everything later (a retry, a
timer) has a moment on the cloud's clock.

Retries: a function error is tried again three times unless configured, a throttled invocation for five hours, from
half a second on, twice as long each time (https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-2).
How long Function Compute waits after a function error is not documented; here it waits as after throttling. What has
failed for good goes to the failure destination, in the form of
https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/result-callback; its `condition` is there described
and not listed, so here it is the error type or `EventAgeExceeded`.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random as random_module
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from localcloud.clock import iso_millis, iso_seconds
from localcloud.errors import ApiError
from localcloud.fc.errors import ERRORS
from localcloud.fc.instances import Ask, Outcome
from localcloud.mns.models import MessageModel
from localcloud.permissions import lacks
from localcloud.ros.stack import (
    FC_SERVICE,
    NO_STACK,
    OSS_SERVICE,
    Function,
    ObjectTrigger,
    Stack,
    mailbox_of,
    name_of_function,
)
from localcloud.sts.models import IdentityModel, Session

SYNC_MOST, ASYNC_MOST = 32 * 1024 * 1024, 128 * 1024
"""https://alibabacloud.com/help/en/functioncompute/fc-3-0/product-overview/limits-of-usage"""
CREDENTIAL_SECONDS = 36 * 3600
"""https://help.aliyun.com/en/functioncompute/fc/context-1"""

_FIRST_PAUSE, _THROTTLED_SECONDS = 0.5, 5 * 3600.0
_DECAY_MOST = 512.0
_REMEMBERED, _SHOWN = 10_000, 4096

INVOKE = "fc:InvokeFunction"

How = Literal["sync", "async"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of an asynchronous invocation that fails."""

    retries: int
    max_age: float
    on_success: str = ""
    on_failure: str = ""
    pause: Literal["doubling", "backoff", "decay"] = "doubling"

    def wait(self, failures: int, random: random_module.Random) -> float:
        """Seconds until the next try. Those of EventBridge:

        https://www.alibabacloud.com/help/en/eventbridge/user-guide/retry-and-dead-letter
        """
        if self.pause == "backoff":
            return random.uniform(10.0, 20.0)
        if self.pause == "decay":
            return min(2.0 ** (failures - 1), _DECAY_MOST)
        return _FIRST_PAUSE * 2.0 ** (failures - 1)


@dataclass(frozen=True, slots=True)
class Task:
    """An asynchronous invocation that waits. `number` keeps the order of those that are due at once."""

    due: float
    number: int
    function: str
    request_id: str
    event: bytes
    source: str
    made: float
    policy: Policy
    failures: int = 0
    throttled: int = 0

    def __lt__(self, other: Task) -> bool:
        return (self.due, self.number) < (other.due, other.number)


@dataclass(frozen=True, slots=True)
class Run:
    """An invocation that has begun: what to run, and the task behind it if it is asynchronous."""

    function: Function
    ask: Ask
    source: str
    session: Session | None
    task: Task | None = None


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one try. `source` is `invoke`, or `timer:NAME`, `oss:NAME`, `eventbridge:NAME`, `fc:FUNCTION`."""

    time: str
    function: str
    request_id: str
    how: How
    source: str
    attempt: int
    outcome: str
    """`ok`, the type of the error, `throttled` or `EventAgeExceeded`."""
    event: str
    answer: str
    log: str


def not_authorized(action: str, resource: str) -> str:
    """What is said of a permission that is lacking; no page has the words."""
    return f"the caller is not authorized to perform '{action}' on resource '{resource}'"


class FunctionModel:
    """All functions of a stack, and what is to be run when."""

    def __init__(
        self,
        *,
        identity: IdentityModel,
        messages: MessageModel,
        random: random_module.Random,
    ) -> None:
        self.stack: Stack = NO_STACK
        self.most_instances = 100
        self.invocations: deque[Invocation] = deque(maxlen=_REMEMBERED)
        self._identity = identity
        self._messages = messages
        self._random = random
        self._numbers = itertools.count()
        self._queue: list[Task] = []
        self._running: Counter[str] = Counter()
        self._timers: dict[str, tuple[float, float | None]] = {}

    def adopt_stack(self, stack: Stack, *, now: float) -> None:
        """Become what another template makes; timers that stay go on, and so does what waits for a function."""
        before = {one.name: one for one in self.stack.timers}
        self._timers = {
            one.name: self._timers[one.name] if before.get(one.name) == one else (now, one.schedule.after(now, now))
            for one in stack.timers
        }
        self.stack = stack
        self._queue = [task for task in self._queue if task.function in stack.functions]
        heapq.heapify(self._queue)

    # --- finding

    def function_named(self, account: str, region: str, name: str, *, service: str, qualifier: str) -> Function:
        """A function; ApiError if this account has none of that name in this region, or no such version."""
        full = f"{service}${name}" if service else name
        found = self.stack.functions.get(full)
        here = found is not None and found.account == account and region in ("", found.region)
        if service and not any(one.service == service and one.account == account for one in self._functions(region)):
            raise ERRORS.error("ServiceNotFound", of=service)
        if found is None or not here:
            where = f" in service '{service}'" if service else ""
            raise ERRORS.error("FunctionNotFound", of=name, where=where)
        if qualifier not in ("", "LATEST"):
            code = "VersionNotFound" if qualifier.isdigit() else "AliasNotFound"
            raise ERRORS.error(code, qualifier=qualifier, of=service or name)
        return found

    def _functions(self, region: str) -> Iterator[Function]:
        return (one for one in self.stack.functions.values() if region in ("", one.region))

    # --- beginning

    def begin(self, function: Function, event: bytes, request_id: str, *, now: float) -> Run:
        """A synchronous invocation begins; ApiError if it may not."""
        return self._run(function, event, request_id, "invoke", now=now)

    def enqueue(self, function: Function, event: bytes, request_id: str, *, source: str, now: float) -> None:
        """An asynchronous invocation waits for its turn; ApiError if it is too large."""
        if len(event) > ASYNC_MOST:
            raise ERRORS.error("EntityTooLarge", limit=str(ASYNC_MOST))
        policy = Policy(function.retries, function.max_age, function.on_success, function.on_failure)
        self._push(function.name, event, request_id, source, policy, now)

    def enqueue_from_bus(
        self, name: str, event: bytes, request_id: str, *, trigger: str, asynchronous: bool, retry: str, now: float
    ) -> None:
        """An event of a bus: an asynchronous invocation, or a synchronous one that EventBridge itself tries again.

        One that is too large for an asynchronous invocation is lost.
        """
        function = self.stack.functions[name]
        if asynchronous:
            if len(event) <= ASYNC_MOST:
                self.enqueue(function, event, request_id, source=f"eventbridge:{trigger}", now=now)
            return
        decays = retry == "EXPONENTIAL_DECAY_RETRY"
        policy = Policy(176 if decays else 3, 86_400.0, pause="decay" if decays else "backoff")
        self._push(name, event, request_id, f"eventbridge:{trigger}", policy, now)

    def enqueue_from_storage(self, trigger: ObjectTrigger, event: bytes, *, now: float) -> None:
        """A notice of an object: an asynchronous invocation that Object Storage Service makes in the trigger's role
        (https://alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-struct-createtriggerinput).

        What becomes of it where the role may not invoke the function is not documented; here it is lost, and listed.
        """
        function = self.stack.functions.get(trigger.function)
        if function is None:
            return
        source, request_id = f"oss:{trigger.name}", self.request_id()
        try:
            session = self._assume(OSS_SERVICE, trigger.role, trigger.name, now)
            self._check_may(session, INVOKE, function.resource, now)
            self.enqueue(function, event, request_id, source=source, now=now)
        except ApiError as refusal:
            lost = Outcome(b"", f"NotInvoked: {refusal}")
            self._note(function, request_id, "async", source, lost, now, task=None)

    def fire_timers(self, now: float) -> None:
        """Put every timer's event into the queue for each time that it was due."""
        for timer in self.stack.timers:
            began, due = self._timers[timer.name]
            while due is not None and due <= now:
                event = {"triggerTime": iso_seconds(due), "triggerName": timer.name, "payload": timer.payload}
                function = self.stack.functions[timer.function]
                text = json.dumps(event).encode()
                self.enqueue(function, text, self.request_id(), source=f"timer:{timer.name}", now=now)
                due = timer.schedule.after(due, began)
                self._timers[timer.name] = (began, due)

    def next_due(self) -> float | None:
        """When something has to be done next; a moment in the past if it could be done by now."""
        moments = [due for _, due in self._timers.values() if due is not None]
        if self._queue:
            moments.append(self._queue[0].due)
        return min(moments, default=None)

    def take_due(self, now: float) -> Run | None:
        """The next asynchronous invocation that is due and may begin; what may not waits longer."""
        while self._queue and self._queue[0].due <= now:
            task = heapq.heappop(self._queue)
            function = self.stack.functions[task.function]
            if now - task.made > task.policy.max_age:
                self._give_up(task, function, "EventAgeExceeded", Outcome(b""), now)
                continue
            try:
                run = self._run(function, task.event, task.request_id, task.source, now=now)
            except ApiError as refusal:
                if refusal.code == "ResourceExhausted":
                    self._throttle(task, function, refusal, now)
                else:
                    self._give_up(task, function, refusal.code, Outcome(refusal.message.encode()), now)
                continue
            return replace(run, task=task)
        return None

    def _run(self, function: Function, event: bytes, request_id: str, source: str, *, now: float) -> Run:
        running = self._running[function.name]
        if function.reserved is not None and running >= function.reserved:
            raise ERRORS.error("ResourceExhausted", of=f"function '{function.name}'")
        if self._running.total() >= self.most_instances or (function.reserved is None and not self._unreserved()):
            raise ERRORS.error("ResourceExhausted", of=f"account '{function.account}'")
        session = self._session(function, now)
        self._running[function.name] += 1
        return Run(function, Ask("handle", request_id, event, session), source, session)

    def _unreserved(self) -> bool:
        """Whether an instance is free that is not reserved for some function: others cannot use what is.

        https://www.alibabacloud.com/help/en/ros/developer-reference/aliyun-fc3-concurrencyconfig
        """
        reserved = {one.name: one.reserved for one in self.stack.functions.values() if one.reserved is not None}
        running = sum(count for name, count in self._running.items() if name not in reserved)
        return running + sum(reserved.values()) < self.most_instances

    def _session(self, function: Function, now: float) -> Session | None:
        """Temporary keys of the function's role; nothing without a role.

        What is answered where the role cannot be assumed (any more) is not documented.
        """
        if not function.role:
            return None
        return self._assume(FC_SERVICE, function.role, function.short_name, now)

    def _assume(self, service: str, role: str, name: str, now: float) -> Session:
        try:
            return self._identity.assume_for_service(
                service, role, name, seconds=CREDENTIAL_SECONDS, now=now, random=self._random
            )
        except ApiError as refusal:
            raise ERRORS.error("AccessDenied", why=f"{role}: {refusal.message}") from refusal

    def _check_may(self, session: Session, action: str, resource: str, now: float) -> None:
        if lacks(self._identity, session.principal, action, resource, now=now):
            raise ERRORS.error("AccessDenied", why=not_authorized(action, resource))

    # --- ending

    def finish(self, run: Run, outcome: Outcome, *, now: float) -> None:
        """An invocation ended: a failed asynchronous one is tried again or given up."""
        self._running[run.function.name] -= 1
        task = run.task
        self._note(run.function, run.ask.request_id, "async" if task else "sync", run.source, outcome, now, task=task)
        if task is None:
            return
        if not outcome.error:
            self._tell(task, run.function, task.policy.on_success, "", outcome, now)
        elif task.failures < task.policy.retries:
            failures = task.failures + 1
            due = now + task.policy.wait(failures, self._random)
            heapq.heappush(self._queue, replace(task, failures=failures, due=due))
        else:
            self._tell(task, run.function, task.policy.on_failure, outcome.error, outcome, now)

    def give_back(self, run: Run) -> None:
        """An invocation that had begun did not run after all: it waits again."""
        self._running[run.function.name] -= 1
        if run.task is not None:
            heapq.heappush(self._queue, run.task)

    def _throttle(self, task: Task, function: Function, refusal: ApiError, now: float) -> None:
        pause = _FIRST_PAUSE * 2.0**task.throttled
        if now + pause - task.made > min(_THROTTLED_SECONDS, task.policy.max_age):
            self._give_up(task, function, refusal.code, Outcome(refusal.message.encode()), now)
            return
        later = replace(task, throttled=task.throttled + 1, due=now + pause)
        heapq.heappush(self._queue, later)
        throttled = Outcome(refusal.message.encode(), "throttled")
        self._note(function, task.request_id, "async", task.source, throttled, now, task=task)

    def _give_up(self, task: Task, function: Function, why: str, outcome: Outcome, now: float) -> None:
        failed = replace(outcome, error=why)
        self._note(function, task.request_id, "async", task.source, failed, now, task=task)
        self._tell(task, function, task.policy.on_failure, why, failed, now)

    def _tell(self, task: Task, function: Function, where: str, condition: str, outcome: Outcome, now: float) -> None:
        """Hand an end to its destination, as the function's role. One that cannot take it loses it, as nobody
        documents more.
        """
        if not where:
            return
        tries = task.failures + 1
        body = json.dumps(
            {
                "timestamp": int(now * 1000),
                "requestContext": {
                    "requestId": task.request_id,
                    "functionArn": function.arn,
                    "condition": condition,
                    "approximateInvokeCount": tries,
                },
                "requestPayload": task.event.decode("utf-8", "replace"),
                "responseContext": {"statusCode": 200, "functionError": outcome.error},
                "responsePayload": outcome.body.decode("utf-8", "replace"),
            }
        )
        sender = f"fc:{function.name}"
        problem = ""
        try:
            self._check_may_tell(function, where, now)
            if where.startswith("acs:fc:"):
                target = self.stack.functions[name_of_function(where)]
                self.enqueue(target, body.encode(), self.request_id(), source=sender, now=now)
            else:
                self._messages.deliver(
                    function.account,
                    function.region,
                    mailbox_of(where),
                    body,
                    sender=sender,
                    now=now,
                    random=self._random,
                )
        except (ApiError, KeyError, ValueError) as refusal:
            problem = f"DestinationFailed: {where}: {refusal}"
        if problem:
            lost = Outcome(b"", problem)
            self._note(function, task.request_id, "async", task.source, lost, now, task=task)

    def _check_may_tell(self, function: Function, where: str, now: float) -> None:
        """The role needs a permission for each kind of destination:

        https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/result-callback
        """
        session = self._session(function, now)
        if session is None:
            raise ERRORS.error("AccessDenied", why="the function has no role")
        if where.startswith("acs:fc:"):
            action, resource = INVOKE, self.stack.functions[name_of_function(where)].resource
        else:
            name = mailbox_of(where)
            action = "mns:PublishMessage" if name.startswith("topics/") else "mns:SendMessage"
            resource = f"acs:mns:{function.region}:{function.account}:/{name}/messages"
        self._check_may(session, action, resource, now)

    def _note(
        self,
        function: Function,
        request_id: str,
        how: How,
        source: str,
        outcome: Outcome,
        now: float,
        *,
        task: Task | None,
    ) -> None:
        event = task.event if task is not None else b""
        self.invocations.append(
            Invocation(
                time=iso_millis(now),
                function=function.name,
                request_id=request_id,
                how=how,
                source=source,
                attempt=task.failures + 1 if task is not None else 1,
                outcome=outcome.error or "ok",
                event=event[:_SHOWN].decode("utf-8", "replace"),
                answer=outcome.body[:_SHOWN].decode("utf-8", "replace"),
                log=outcome.log,
            )
        )

    def _push(self, name: str, event: bytes, request_id: str, source: str, policy: Policy, now: float) -> None:
        task = Task(now, next(self._numbers), name, request_id, event, source, now, policy)
        heapq.heappush(self._queue, task)

    def waiting(self) -> list[Mapping[str, Any]]:
        """What waits in the asynchronous queue, in its order."""
        return [
            {"function": one.function, "source": one.source, "due": iso_millis(one.due), "failures": one.failures}
            for one in sorted(self._queue)
        ]

    def request_id(self) -> str:
        """A new request id, in the form of 3.0."""
        digits = f"{self._random.getrandbits(128):032x}"
        return f"1-{digits[:8]}-{digits[8:16]}-{digits[16:28]}"
