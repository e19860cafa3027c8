"""``plan`` and ``apply``: what would change, and changing it.

What can go wrong is that something else is carried out than what was read. So a plan file is carried out only if a
fresh plan has the same digest, an answer that took long is checked in the same way, and while ``--wait`` goes on,
nothing is carried out that was not agreed to.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text

from orgshare.cli import statuses
from orgshare.cli.logs import logger
from orgshare.cli.running import Terminal, command, opened, policy_option, stopped, which_cloud, who_runs
from orgshare.cli.selecting import Select, check, select_options, selected
from orgshare.decide.plan import Change
from orgshare.errors import ConfigurationError, OrgshareError, StopRun
from orgshare.focus import Focus
from orgshare.report.documents import (
    Document,
    apply_document,
    not_applied_document,
    planned_document,
    unread,
    unread_document,
)
from orgshare.report.names import names_of
from orgshare.report.plan_text import outcome_lines, plan_lines
from orgshare.report.runs import keep_report
from orgshare.settings import Settings
from orgshare.signals import NOTHING
from orgshare.way.applying import Applied, carry_out_plan
from orgshare.way.asking import check_images
from orgshare.way.passing import Waits, both, go_on, waiting_for
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime
from orgshare.words import counted

STALE_AFTER = 60.0
"""Seconds that a person may take to answer before the plan is made anew and compared."""

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between the passes of ``--wait``; the last one repeats."""


class _Numbers(Struct, frozen=True):
    """What is counted of a change or a hold of a plan file."""

    gained: int = 0
    lost: int = 0
    lost_pairs: int = 0


@click.command()
@policy_option
@select_options
@click.option(
    "--out", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan there too."
)
@click.option("--detail", is_flag=True, help="Show every account, image and target.")
@click.option("--strict", is_flag=True, help="End with 1 if something is refused.")
@command
def plan(
    terminal: Terminal, *, policy: str | None, out: Path | None, detail: bool, strict: bool, **options: Any
) -> int:
    """Read the cloud and print what would change. Changes nothing."""
    select = selected(options)
    with opened(terminal, policy) as (runtime, settings):
        check(select, runtime)
        try:
            terminal.head(which_cloud(runtime, settings))
            planned = _planned(terminal, runtime, select)
        except StopRun as error:
            return stopped(terminal, error, _unread(runtime, error))
        document = planned_document(planned)
        if out is not None:
            _write(out, {**document, "selection": msgspec.to_builtins(select)})
        terminal.answer(document, plan_lines(document, names_of(planned), detail=detail))
        return statuses.of_plan(document, strict=strict)


@click.command()
@policy_option
@select_options
@click.option(
    "--plan", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Carry out this plan, if a fresh one is the same.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait", metavar="SECONDS", type=click.FloatRange(min=0), default=0.0, help="Go on until nothing is pending."
)
@click.option("--strict", is_flag=True, help="End with 1 if something is refused.")
@command
def apply(
    terminal: Terminal, *, policy: str | None, file: Path | None, yes: bool, wait: float, strict: bool, **options: Any
) -> int:
    """Carry out what plan shows. Asks first, unless --yes."""
    select = selected(options)
    if not yes and (terminal.json or not sys.stdin.isatty()):
        why = "with --json" if terminal.json else "without a terminal to ask in"
        raise click.UsageError(f"apply asks before it changes anything: {why} it needs --yes.")
    saved = _saved(file) if file is not None else None
    if saved is not None and select not in (Select(), saved.selection):
        raise click.UsageError("The plan file was made for another selection: leave SELECT out, or give the same.")
    with opened(terminal, policy) as (runtime, settings):
        select = saved.selection if saved is not None else select
        check(select, runtime)
        waits = waiting_for(runtime, select.focus()) if select == Select() else {}
        task = Task(
            runtime=runtime,
            settings=settings,
            make=lambda: _planned(terminal, runtime, select),
            again=lambda: make_plan(runtime, select.focus()),
            focus=select.focus(),
            why=f"orgshare apply by {who_runs()}",
            waits=waits,
        )
        then = None if file is None or saved is None else (str(file), saved.numbers())
        return carry_through(terminal, task, then=then, yes=yes, wait=wait, strict=strict)


class Closing(Struct, frozen=True):
    """What a report has besides: more keys, and lines at its end."""

    document: Document
    lines: tuple[Text | str, ...] = ()


NOTHING_MORE = Closing({})


class Task(Struct, frozen=True, kw_only=True):
    """A change of the cloud that a person asked for.

    ``make`` makes the plan, ``again`` the next one while it is waited for what is under way; both look at ``focus``.
    ``waits`` are the signals that waited beside the shards before: a sweep follows them too. A ``question`` is asked
    whether or not anything changes at once, ``agreed`` is called when a person agreed to it, and ``closing`` adds to
    the report what has come of it.
    """

    runtime: Runtime
    settings: Settings
    make: Callable[[], Planned]
    again: Callable[[], Planned]
    focus: Focus
    why: str
    waits: Waits = MappingProxyType({})
    question: str = ""
    agreed: Callable[[], None] = lambda: None
    closing: Callable[[Applied], Closing] = lambda _: NOTHING_MORE


def carry_through(
    terminal: Terminal, task: Task, *, then: tuple[str, Document] | None, yes: bool, wait: float, strict: bool
) -> int:
    """Show the plan, ask, carry it out, report. ``then`` is the plan of a file, which has to be the same."""
    runtime = task.runtime
    began = runtime.now()
    try:
        terminal.head(which_cloud(runtime, task.settings))
        planned = task.make()
        document = planned_document(planned)
        if then is not None:
            _check_same(f"{then[0]}: the plan", then[1], document)
        terminal.show(*plan_lines(document, names_of(planned)))
        observing = document["mode"] == "observe"
        if (document["changes"] or task.question) and not yes and not observing:
            agreed = _agreed(terminal, task, planned, document)
            if agreed is None:
                terminal.show("nothing was done")
                return statuses.DUE
            planned = agreed
        if not observing:
            task.agreed()
    except StopRun as error:
        report = not_applied_document(_unread(runtime, error), calls=runtime.cloud.calls())
        return stopped(terminal, error, report)
    unattended = yes and then is None
    applied = _carried_out(terminal, task, planned, wait, ask_again=not unattended)
    if unattended and runtime.policy.mode != "observe":
        with terminal.progress("looking for signals that came meanwhile"):
            applied = go_on(runtime, NOTHING, task.focus, applied, task.waits)
    with terminal.progress("looking at what has come of it"):
        closing = task.closing(applied)
    report = {**apply_document(applied, calls=runtime.cloud.calls()), **closing.document}
    log = logger(debug=terminal.debug, run=runtime.run)
    keep_report(runtime, applied, report, why=[task.why], began=began, log=log)
    terminal.show("")
    lines = outcome_lines(report, names_of(applied.planned), shown=document)
    terminal.answer(report, [*lines, *([""] if closing.lines else []), *closing.lines])
    return statuses.of_apply(report, strict=strict)


def _planned(terminal: Terminal, runtime: Runtime, select: Select) -> Planned:
    with terminal.progress("reading the cloud"):
        planned = make_plan(runtime, select.focus())
        check_images(planned, select.images)
    return planned


def _unread(runtime: Runtime, error: StopRun) -> Document:
    return unread_document(runtime.policy, runtime.state.beginning.directory, str(error))


def _agreed(terminal: Terminal, task: Task, planned: Planned, document: Document) -> Planned | None:
    """The plan that a person agreed to; if the answer took long it is made anew, and has to be the same."""
    summary = document["summary"]
    asked = time.monotonic()
    question = (
        f"carry out {counted(len(document['changes']), 'change')}: "
        f"{counted(summary['gained'], 'pair')} gained, {summary['lost']} lost?"
    )
    if not terminal.ask(f"{task.question}; {question}" if task.question else question):
        return None
    if time.monotonic() - asked <= STALE_AFTER:
        return planned
    fresh = task.make()
    _check_same("the plan above", document, planned_document(fresh))
    return fresh


def _carried_out(terminal: Terminal, task: Task, planned: Planned, wait: float, *, ask_again: bool) -> Applied:
    """Carry the plan out, and with ``--wait`` again, until nothing is pending and nobody else is writing."""
    runtime = task.runtime
    deadline = time.monotonic() + wait
    with terminal.progress(f"carrying out {counted(len(planned.plan.changes), 'change')}"):
        applied = carry_out_plan(runtime, planned)
    agreed = {part for change in planned.plan.changes for part in change.parts()}
    number = 0
    while _unsettled(applied) and time.monotonic() < deadline:
        pause = min(PAUSES[min(number, len(PAUSES) - 1)], max(deadline - time.monotonic(), 0))
        number += 1
        try:
            with terminal.progress("waiting for what is under way"):
                time.sleep(pause)
                again = task.again()
        except OrgshareError as error:
            terminal.trace(error)
            terminal.error(f"while waiting: {error}")
            return replace(applied, plan=replace(applied.plan, incomplete=unread(runtime.policy, str(error))))
        if ask_again and not all(_is_agreed(change, agreed) for change in again.plan.changes):
            terminal.say("new changes are due, which nobody agreed to; apply again to see them")
            break
        with terminal.progress("carrying out what is left"):
            applied = both(applied, carry_out_plan(runtime, again))
    return applied


def _is_agreed(change: Change, agreed: set[tuple[str, ...]]) -> bool:
    """Whether everything of a change was agreed to: of a share that was new then, by what it was made for."""
    return change.parts() <= agreed or (bool(change.audience) and replace(change, share="").parts() <= agreed)


def _unsettled(applied: Applied) -> bool:
    """Whether waiting may help: what a policy keeps until a time of its own is not waited for."""
    return any(not pending.until for pending in applied.plan.pending) or any(
        finding.kind == "busy" for finding in applied.plan.findings
    )


class _Saved(Struct, frozen=True):
    """A plan file: the plan's document with the selection that it was made for."""

    schema: Literal[1]
    deployment: str
    directory: str
    digest: str
    selection: Select
    changes: list[_Numbers]
    held: list[_Numbers]

    def numbers(self) -> Document:
        """What is compared with a fresh plan."""
        document: Document = msgspec.to_builtins(self)
        return document


def _saved(file: Path) -> _Saved:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Saved)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}; expected a file of plan --out") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigurationError(f"{file}: not a plan: {error}; expected a file of plan --out") from error


def _check_same(what: str, then: Document, now: Document) -> None:
    """Raise ``ConfigurationError`` if a plan differs from the one made now."""
    for key in ("deployment", "directory"):
        if then[key] != now[key]:
            raise ConfigurationError(f"{what} is for {key} {then[key]}, not for {now[key]}; nothing was done")
    if then["digest"] != now["digest"]:
        raise ConfigurationError(
            f"{what} is not what is due now: then {_in_numbers(then)}, now {_in_numbers(now)}; nothing was done; "
            "make the plan anew and read it"
        )


def _in_numbers(plan: Document) -> str:
    gained, lost = (sum(change[key] for change in plan["changes"]) for key in ("gained", "lost"))
    held = sum(hold["lost_pairs"] for hold in plan["held"])
    return f"{counted(len(plan['changes']), 'change')} ({gained} gained, {lost} lost, {held} held)"


def _write(file: Path, document: Document) -> None:
    """Write a plan file whole or not at all."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        aside.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        aside.replace(file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}; nothing was done") from error
