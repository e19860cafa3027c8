"""What the functions do: from an event to a run, and from a run to the JSON of its report.

Every function goes the same way; they differ in the trigger that calls them and in how much their events ask to look
at. ``reconcile`` hands its work to ``worker``, which today runs in the same process.

Function Compute repeats an asynchronous invocation that raised, up to three times, and then delivers it to a failure
destination if there is one (https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-2). So a handler
raises where trying again can help, and where a person has to mend something that would else stay unseen: a policy or
state that is not in order, credentials that are refused, an event that cannot be read. What is refused, held or
reported is an answer, not an error; so is a shard that another run holds, for the signal waits beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from orgshare.alibaba.cloud import load_sdks
from orgshare.decide.plan import Plan
from orgshare.errors import OrgshareError, OutOfTime
from orgshare.logs import json_log
from orgshare.report.documents import about, apply_document, not_applied_document, plan_document
from orgshare.report.run_log import log_run
from orgshare.report.runs import keep_report
from orgshare.report.telling import tell
from orgshare.settings import POLICY, read_settings
from orgshare.signals import Signal, senders_of, take_in, worker_request
from orgshare.way.applying import Applied
from orgshare.way.passing import follow
from orgshare.way.runtime import Runtime
from orgshare.wiring import runtime

RESERVE = 40.0
"""Seconds of a function's time that are kept for calls under way, and for writing down what was done."""


class Unfinished(OrgshareError):
    """The run left work that another try may finish; its report is in the log."""


PRODUCTS = ("sts", "resourcemanager", "ecs", "resourcesharing")
"""Whose SDKs every function uses at its first event, as all of them work in this process."""


def initialize(_context: Any) -> None:
    """Load the SDKs while the instance starts, so that the first event does not wait for them.

    That of object storage only where the policy lies there: then its state does, too.
    """
    in_storage = os.environ.get(POLICY, "").startswith("oss://")
    load_sdks((*PRODUCTS, "oss") if in_storage else PRODUCTS)


def membership(event: bytes, context: Any) -> str:
    """An account may have joined, moved or left."""
    return respond("membership", event, context, opened=_opened)


def image(event: bytes, context: Any) -> str:
    """An image may have become available, changed or gone. One that is not yet available is not an error."""
    return respond("image", event, context, opened=_opened)


def worker(event: bytes, context: Any) -> str:
    """Do what another function asks for: look at these shards, images and accounts."""
    return respond("worker", event, context, opened=_opened)


def reconcile(event: bytes, context: Any) -> str:
    """A timer asks for a sweep: the work goes to ``worker``, in this process."""
    with _opened(context) as surroundings:
        log = json_log(function="reconcile", request_id=getattr(context, "request_id", ""))
        signal = _taken_in(event, surroundings, log)
    return worker(worker_request(signal).encode(), context)


def respond(
    function: str, event: bytes, context: Any, *, opened: Callable[[Any], AbstractContextManager[Runtime]]
) -> str:
    """Answer an event: the JSON of what was done. ``opened`` makes a run's surroundings from the context.

    Raises ``Unfinished`` where another try may finish the work, and whatever a person has to mend.
    """
    log = json_log(function=function, request_id=getattr(context, "request_id", ""))
    with opened(context) as surroundings:
        report, unfinished = _run(_taken_in(event, surroundings, log), surroundings, log)
    if unfinished:
        raise Unfinished(unfinished)
    return msgspec.json.encode(report).decode()


def _opened(context: Any) -> AbstractContextManager[Runtime]:
    """The surroundings that a function's environment describes; its time is a little less than its timeout."""
    timeout = getattr(getattr(context, "function", None), "timeout", None)
    budget = max(float(timeout) - RESERVE, float(timeout) / 2) if timeout else None
    return runtime(read_settings(os.environ, context=context), budget=budget)


def _taken_in(event: bytes, surroundings: Runtime, log: Any) -> Signal:
    """What an event asks to look at, with a line for everything in it that was ignored."""
    parsed = take_in(event, senders_of(surroundings.policy), surroundings.cloud.read_object)
    for reason in parsed.ignored:
        log.info("ignored", reason=reason)
    log.info("signal", why=list(parsed.signal.why))
    return parsed.signal


def _run(signal: Signal, surroundings: Runtime, log: Any) -> tuple[dict[str, Any], str]:
    """The report of a run, and what another try may finish."""
    if signal.empty:
        directory = surroundings.state.beginning.directory
        plan = plan_document(Plan(), about(surroundings.policy, directory))
        return not_applied_document(plan, calls=surroundings.cloud.calls()), ""
    log = log.bind(run=surroundings.run)
    began = surroundings.now()
    try:
        applied = follow(surroundings, signal)
    except OutOfTime as error:
        raise Unfinished(f"{error}; what it was asked for waits beside its shards") from error
    except OrgshareError as error:
        tell(surroundings, error, log)
        raise
    report = apply_document(applied, calls=surroundings.cloud.calls())
    log_run(log, applied, report, began=began, ended=surroundings.now())
    keep_report(surroundings, applied, report, why=signal.why, began=began, log=log)
    tell(surroundings, applied, log)
    return report, _unfinished(applied)


def _unfinished(applied: Applied) -> str:
    """What another try may finish, n of m; empty if there is nothing."""
    parts = []
    if applied.failed:
        first = applied.failed[0].remedy
        parts.append(f"{len(applied.failed)} of {len(applied.plan.changes)} changes failed, the first: {first}")
    unread = [gap for gap in applied.plan.incomplete if gap.where == "shard"]
    if unread:
        parts.append(f"{len(unread)} readings are incomplete, the first: {unread[0].name}: {unread[0].why}")
    parts += [str(error) for error in applied.stopped.values() if isinstance(error, OutOfTime)]
    return "; ".join(parts)
