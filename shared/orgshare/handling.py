"""What the functions do: from an event to a run, and from a run to the JSON of its report.

``membership``, ``image`` and ``reconcile`` write down what is to be looked at, beside the shards that it concerns, and
see to it that a ``worker`` comes for each of them. They differ in the trigger that calls them; what an event asks for
is told by the event. A worker is a function of its own, or in this process one of a few threads; the code is the same.

Function Compute repeats an asynchronous invocation that raised, up to three times, and then delivers it to a failure
destination if there is one (https://www.alibabacloud.com/help/en/functioncompute/fc/error-handling-1-2). So a handler
raises where trying again can help, and where a person has to mend something that would else stay unseen: a policy or
state that is not in order, credentials that are refused, an event that cannot be read. What is refused, held or
reported is an answer, not an error; so is a shard that another run holds, for the signal waits beside it, and a worker
that could not be invoked, for the next watch invokes one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orgshare.alibaba.cloud import load_sdks
from orgshare.decide.plan import Finding, Plan
from orgshare.errors import CredentialsRefused, OrgshareError, OutOfTime, VendorError
from orgshare.logs import json_log
from orgshare.ports import Workers
from orgshare.report.documents import Document, about, apply_document, joined, not_applied_document, plan_document
from orgshare.report.run_log import log_run
from orgshare.report.runs import keep_report
from orgshare.report.telling import tell, tell_of_orphans, tell_of_workers
from orgshare.settings import POLICY, WORKER, read_settings
from orgshare.signals import Signal, parse, senders_of, take_in, with_copies, worker_request
from orgshare.way.applying import Applied
from orgshare.way.attending import Attended, attend
from orgshare.way.look import named_shards
from orgshare.way.passing import follow
from orgshare.way.planning import orphans
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.way.waking import NOBODY_WOKEN, Woken, shards_of, wake
from orgshare.way.watching import ask_for_look, watch
from orgshare.wiring import make_workers, runtime
from orgshare.words import Incomplete, Shard

RESERVE = 40.0
"""Seconds of a function's time that are kept for calls under way, and for writing down what was done."""

AT_ONCE = 4
"""Shards that are worked on at once where that is done in this process; each makes several calls at once."""

HANDED_ON = 4
"""How many workers in a row may hand work on without getting further, before a person has to see to it."""


class Unfinished(OrgshareError):
    """The run left work that another try may finish; its report is in the log."""


WORK: tuple[str, ...] = ("sts", "resourcemanager", "ecs", "resourcesharing")
"""Whose SDKs a function uses that does the work of shards itself."""

LOOK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"image": (), "membership": ("sts", "resourcemanager"), "reconcile": ("sts", "resourcemanager")}
)
"""Whose SDKs a function uses that leaves that work to workers, beside that of Function Compute."""


class Site(Struct, frozen=True):
    """Where a function runs: ``opened`` makes a run's surroundings, and ``workers`` are another function, if any.

    Without one, the work of single shards is done here by the threads of ``executor``, a few at once if it is ``None``.
    """

    opened: Callable[[], AbstractContextManager[Runtime]]
    workers: Callable[[Runtime], Workers | None] = lambda _: None
    executor: Executor | None = None


def initialize(function: str, _context: Any) -> None:
    """Load the SDKs that a function uses while its instance starts, so that the first event does not wait for them.

    That of object storage only where the policy lies there: then its state does, too. That of Function Compute not for
    a worker, which invokes another one only when its time is over.
    """
    products = WORK
    name = os.environ.get(WORKER, "")
    if name and function != "worker":
        products = (*LOOK[function], "fc2" if "/" in name else "fc")
    in_storage = os.environ.get(POLICY, "").startswith("oss://")
    load_sdks((*products, "oss") if in_storage else products)


def membership(event: bytes, context: Any) -> str:
    """An account may have joined, moved or left, or it is time to look whether any did."""
    return respond("membership", event, context, site=_site(context))


def image(event: bytes, context: Any) -> str:
    """An image may have become available, changed or gone. One that is not yet available is not an error."""
    return respond("image", event, context, site=_site(context))


def reconcile(event: bytes, context: Any) -> str:
    """A timer asks for a sweep: a worker for each shard."""
    return respond("reconcile", event, context, site=_site(context))


def worker(event: bytes, context: Any) -> str:
    """Do what another function asks for: follow what waits beside a shard, or look at images and accounts."""
    return respond("worker", event, context, site=_site(context))


def respond(function: str, event: bytes, context: Any, *, site: Site) -> str:
    """Answer an event: the JSON of what was done.

    Raises ``Unfinished`` where another try may finish the work, and whatever a person has to mend.
    """
    log = json_log(function=function, request_id=getattr(context, "request_id", ""))
    with site.opened() as surroundings:
        log = log.bind(run=surroundings.run)
        signal = _taken_in(event, surroundings, log)
        if signal.empty:
            report = _handed_out(surroundings)
        elif function == "worker":
            report = _work(surroundings, signal, site, log)
        else:
            report = _hand_out(surroundings, signal, site, log)
    return msgspec.json.encode(report).decode()


def _taken_in(event: bytes, surroundings: Runtime, log: Any) -> Signal:
    """What an event asks to look at, with a line for everything in it that was ignored."""
    parsed = take_in(event, senders_of(surroundings.policy), surroundings.cloud.read_object)
    for reason in parsed.ignored:
        log.info("ignored", reason=reason)
    log.info("signal", why=list(parsed.signal.why))
    return with_copies(parsed.signal, surroundings.policy)


def _site(context: Any) -> Site:
    """What a function's environment describes; its time is a little less than its timeout."""
    settings = read_settings(os.environ, context=context)
    timeout = getattr(getattr(context, "function", None), "timeout", None)
    budget = max(float(timeout) - RESERVE, float(timeout) / 2) if timeout else None
    began = time.monotonic()

    def opened() -> AbstractContextManager[Runtime]:
        left = None if budget is None else max(budget - (time.monotonic() - began), 0.0)
        return runtime(settings, budget=left)

    return Site(opened, lambda of: make_workers(settings, of.run))


class _InProcess:
    """``ports.Workers`` in this process: requests are collected, and done when everything is written down."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def invoke(self, request: str) -> None:
        """Take a request; it is done by ``_finish``."""
        self.requests.append(request)


def _hand_out(surroundings: Runtime, signal: Signal, site: Site, log: Any) -> Document:
    """See to it that a worker comes for each shard that a signal concerns; in this process, do their work, too."""
    if surroundings.policy.mode == "observe":
        return _observe(surroundings, signal, site, log)
    elsewhere = site.workers(surroundings)
    here = _InProcess()
    workers = elsewhere or here
    woken, incomplete, looks = NOBODY_WOKEN, tuple[Incomplete, ...](), 0
    orphaned: tuple[Finding, ...] = ()
    if signal.accounts or signal.organization:
        look = watch if signal.surely or elsewhere is None else ask_for_look
        watched = look(surroundings, workers)
        woken, incomplete, looks = watched.woken, watched.incomplete, watched.looks
    if not replace(signal, accounts=frozenset(), organization=False, surely=False).empty:
        named, unread = _named(surroundings) if signal.everything else named_shards(surroundings, ())
        wanted = dict(shards_of(signal, named))
        for image_at in sorted(signal.images):
            if not any(image_at in each.images for each in wanted.values()):
                log.info("ignored", reason=f"image {image_at.id} lies in no shard of the policy")
        woken = woken.and_then(wake(surroundings, workers, wanted))
        incomplete = (*incomplete, *unread)
        if signal.everything:
            orphaned = _orphans(surroundings, named, unread, log)
    log.info(
        "handed out",
        looks=looks,
        invoked=[str(shard) for shard in woken.invoked],
        unplaced={str(shard): str(why) for shard, why in woken.unplaced.items()},
        paused=[str(shard) for shard in woken.paused],
    )
    tell_of_workers(surroundings, woken, log)
    report = joined([_handed_out(surroundings, woken, incomplete, orphaned), *_finish(here.requests, site, log)])
    if incomplete:
        raise Unfinished(_first("readings are incomplete", [f"{gap.name}: {gap.why}" for gap in incomplete]))
    return report


def _finish(requests: Iterable[str], site: Site, log: Any) -> list[Document]:
    """Do the work that was to be done in this process, each request like an invocation of its own."""

    def one(request: str) -> Document | Exception:
        try:
            with site.opened() as surroundings:
                return _work(surroundings, parse(request).signal, site, log.bind(run=surroundings.run))
        except Exception as error:  # noqa: BLE001 - one shard's failure does not stop the others; it is raised below
            return error

    if site.executor is not None:
        answers = list(site.executor.map(one, requests))
    else:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="orgshare-worker") as executor:
            answers = list(executor.map(one, requests))
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    for error in errors:
        if len(errors) == 1 or not isinstance(error, Unfinished):
            raise error
    if errors:
        raise Unfinished("; ".join(map(str, errors))) from errors[0]
    return [answer for answer in answers if not isinstance(answer, Exception)]


def _observe(surroundings: Runtime, signal: Signal, site: Site, log: Any) -> Document:
    """Plan what an event asks for. In this mode nothing is written down, so there is nothing to compare with.

    A worker plans where there is one: only its role may read images and resource shares.
    """
    elsewhere = site.workers(surroundings)
    named_only = replace(signal, organization=False)
    if named_only.empty:
        log.info("ignored", reason="mode observe remembers nothing that a watch could compare with; a sweep plans")
        return _handed_out(surroundings)
    if elsewhere is None:
        return _follow(surroundings, named_only, log)
    if not signal.everything:
        _invoke(elsewhere, named_only, "what was named")
        return _handed_out(surroundings)
    named, unread = _named(surroundings)
    for shard in named:
        _invoke(elsewhere, Signal(shards=frozenset({shard}), why=signal.why), str(shard))
    return _handed_out(surroundings, Woken(tuple(named)), tuple(unread))


def _named(surroundings: Runtime) -> tuple[list[Shard], list[Incomplete]]:
    """For a sweep: the shards of the policy, and the owners whose regions could not be read."""
    with asking_the_state():
        remembered = surroundings.state.shards()
    return named_shards(surroundings, remembered)


def _invoke(elsewhere: Workers, signal: Signal, what: str) -> None:
    """Hand a signal to a worker. Nothing of it is written down, so where that fails the event has to come again."""
    try:
        elsewhere.invoke(worker_request(signal))
    except VendorError as error:
        raise Unfinished(f"{what}: no worker could be invoked: {error}") from error


def _work(surroundings: Runtime, signal: Signal, site: Site, log: Any) -> Document:
    """Do what a worker is asked for."""
    reports = [_attend(surroundings, shard, signal.again, site, log) for shard in sorted(signal.beside)]
    if signal.organization:
        look = Signal(organization=True, surely=True, why=signal.why)
        reports.append(_hand_out(surroundings, look, site, log))
    rest = replace(signal, beside=frozenset(), organization=False, again=0)
    if not rest.empty:
        reports.append(_follow(surroundings, rest, log))
    return joined(reports)


def _follow(surroundings: Runtime, signal: Signal, log: Any) -> Document:
    """Look at what a signal names, in one run."""
    began = surroundings.now()
    with _told(surroundings, log):
        applied = follow(surroundings, signal)
    report = _reported(surroundings, applied, why=signal.why, began=began, log=log)
    if unfinished := _unfinished(applied):
        raise Unfinished(unfinished)
    return report


def _attend(surroundings: Runtime, shard: Shard, again: int, site: Site, log: Any) -> Document:
    """Follow what waits beside a shard, and hand on what there was no time for."""
    began = surroundings.now()
    with _told(surroundings, log):
        attended = attend(surroundings, shard)
    report = _handed_out(surroundings)
    unfinished = ""
    if (applied := attended.applied) is not None:
        report = _reported(surroundings, applied, why=attended.why, began=began, log=log)
        unfinished = _unfinished(applied)
    if attended.rest:
        unfinished = _hand_on(surroundings, shard, attended, again, site, log)
    if unfinished:
        raise Unfinished(unfinished)
    return report


def _hand_on(surroundings: Runtime, shard: Shard, attended: Attended, again: int, site: Site, log: Any) -> str:
    """Let another worker go on, which has time of its own; why none can, if none can."""
    again = 0 if attended.further else again + 1
    elsewhere = site.workers(surroundings)
    waits = f"{attended.rest}; what is left waits beside {shard}"
    if elsewhere is None:
        return waits
    if again >= HANDED_ON:
        return f"{waits}; {again} workers in a row got no further: give the function worker a longer timeout"
    try:
        elsewhere.invoke(worker_request(Signal(beside=frozenset({shard}), again=again)))
    except (VendorError, CredentialsRefused) as error:
        return f"{waits}; no worker could be invoked to go on: {error}"
    log.info("handed on", shard=str(shard), why=attended.rest, again=again)
    return ""


def _orphans(
    surroundings: Runtime, named: Collection[Shard], unread: Collection[Incomplete], log: Any
) -> tuple[Finding, ...]:
    """The shards that the policy does not name any more: no worker comes to them, so a sweep's own function looks."""
    state = surroundings.state
    with asking_the_state():
        ledgers = {shard: state.read(shard).ledger for shard in state.shards() if shard not in named}
    found = tuple(orphans(ledgers, named, unread))
    tell_of_orphans(surroundings, found, everything=not unread, log=log)
    return found


def _handed_out(
    surroundings: Runtime,
    woken: Woken = NOBODY_WOKEN,
    incomplete: tuple[Incomplete, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> Document:
    """The report of a function that changed nothing itself: ``asked`` are the shards for which a worker was invoked."""
    why = "no worker could be invoked, so its signal waits beside it for a later watch: "
    gaps = [*incomplete, *(Incomplete("shard", str(shard), f"{why}{error}") for shard, error in woken.unplaced.items())]
    paused = [Finding("paused", "", "", f"{shard}: its signal waits beside it") for shard in woken.paused]
    plan = Plan(findings=tuple(sorted((*findings, *paused))), incomplete=tuple(sorted(gaps)))
    document = plan_document(plan, about(surroundings.policy, surroundings.state.beginning.directory))
    report = not_applied_document(document, calls=surroundings.cloud.calls())
    return {**report, "asked": [str(shard) for shard in woken.invoked]}


@contextmanager
def _told(surroundings: Runtime, log: Any) -> Iterator[None]:
    """A person is told of what ended a run. That the time was over before anything was read is for another try."""
    try:
        yield
    except OutOfTime as error:
        raise Unfinished(f"{error}; what it was asked for waits beside its shards") from error
    except OrgshareError as error:
        tell(surroundings, error, log)
        raise


def _reported(surroundings: Runtime, applied: Applied, *, why: Iterable[str], began: datetime, log: Any) -> Document:
    """The report of a run: logged, kept, and a person told of what waits for them."""
    report = apply_document(applied, calls=surroundings.cloud.calls())
    log_run(log, applied, report, began=began, ended=surroundings.now())
    keep_report(surroundings, applied, report, why=why, began=began, log=log)
    tell(surroundings, applied, log)
    return report


def _unfinished(applied: Applied) -> str:
    """What another try may finish, n of m; empty if there is nothing."""
    parts = []
    if applied.failed:
        first = applied.failed[0].remedy
        parts.append(f"{len(applied.failed)} of {len(applied.plan.changes)} changes failed, the first: {first}")
    unread = [f"{gap.name}: {gap.why}" for gap in applied.plan.incomplete if gap.where == "shard"]
    if unread:
        parts.append(_first("readings are incomplete", unread))
    parts += [str(error) for error in applied.stopped.values() if isinstance(error, OutOfTime)]
    return "; ".join(parts)


def _first(what: str, of: list[str]) -> str:
    return f"{len(of)} {what}, the first: {of[0]}"
