"""Telling a person, after a run: what is new, and once a day what still stands.

Functions do it; at the command line there is a person already. What was told is remembered in the state, in mode
observe too: nothing that is decided rests on it, and without it every run would tell everything again.

What can go wrong: a run that fails because nobody can be told. What was done is done, so then the log says so, and the
next run tells it. The other way round, a message that was sent and not answered for is sent once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from orgshare.decide.plan import Finding
from orgshare.errors import ConfigurationError, CredentialsRefused, OrgshareError, StopShard, VendorError
from orgshare.notices import Matter, Notes, Notice, due, settled
from orgshare.report.documents import about
from orgshare.report.notices import (
    RUN,
    SHARDS,
    Sent,
    matter_of_error,
    matter_of_workers,
    matters_of,
    matters_of_findings,
    message,
)
from orgshare.way.applying import Applied
from orgshare.way.runtime import Runtime
from orgshare.way.waking import Woken


def tell(runtime: Runtime, outcome: Applied | OrgshareError, log: Any) -> None:
    """Tell what became of a run, if there is anywhere to tell it. Raises nothing of its own."""
    if runtime.notices is None:
        return
    if isinstance(outcome, OrgshareError):
        _tell(runtime, (matter_of_error(outcome),), lambda _: False, log)
    else:
        _tell(runtime, matters_of(outcome), _looked_at(outcome), log)


def tell_of_orphans(runtime: Runtime, findings: Iterable[Finding], *, everything: bool, log: Any) -> None:
    """Tell of shards that the policy does not name any more; ``everything`` if all that it names could be read."""
    if runtime.notices is not None:
        matters = tuple(matters_of_findings(findings, {}))
        _tell(runtime, matters, lambda scope: everything and scope == SHARDS, log)


def tell_of_workers(runtime: Runtime, woken: Woken, log: Any) -> None:
    """Tell of workers that could not be invoked. Where all could be, nothing is asked of the state."""
    if runtime.notices is not None and woken.unplaced:
        _tell(runtime, (matter_of_workers(woken.unplaced),), lambda _: False, log)


def _looked_at(applied: Applied) -> Callable[[str], bool]:
    """Which scopes a run looked at whole: a shard that was read and done, the deployment if everything was.

    The regions of an owner were asked for, if a shard of it was looked at.
    """
    unread = {gap.name for gap in applied.plan.incomplete}
    done = [shard for shard in applied.planned.looked.whole if shard not in applied.stopped]
    owners = {f"{s.service}/{s.owner}/*" for s in applied.planned.looked.services} - unread
    shards = {str(s) for s in done if str(s) not in unread and f"{s.service}/{s.owner}/*" not in unread}
    everything = applied.planned.looked.everything and not unread and not applied.stopped
    ended = {RUN, *owners, *shards, *(("", SHARDS) if everything else ())}
    return ended.__contains__


def _tell(runtime: Runtime, matters: Sequence[Matter], looked_at: Callable[[str], bool], log: Any) -> None:
    notices: tuple[Notice, ...] = ()
    now = runtime.now()

    def claim(notes: Notes) -> Notes:
        nonlocal notices
        after, notices = due(notes, matters, now, looked_at=looked_at)
        return after

    try:
        runtime.state.update_notes(claim, run=runtime.run)
        if not notices:
            return
        keys = [notice.matter.key for notice in notices]
        told = _published(runtime, notices, log)
        runtime.state.update_notes(lambda notes: settled(notes, keys, told=now if told else None), run=runtime.run)
    except (VendorError, ConfigurationError, CredentialsRefused, StopShard) as error:
        log.warning("what was told could not be remembered", why=str(error))


def _published(runtime: Runtime, notices: Sequence[Notice], log: Any) -> bool:
    """Whether the message was sent."""
    assert runtime.notices is not None
    sent = Sent(about=about(runtime.policy, runtime.state.beginning.directory), run=runtime.run, at=runtime.now())
    try:
        runtime.notices.publish(message(notices, sent))
    except (VendorError, ConfigurationError, CredentialsRefused) as error:
        log.warning(
            "nobody was told; the next run tries again",
            notices=str(runtime.notices),
            matters=[notice.matter.key for notice in notices],
            why=str(error),
        )
        return False
    return True
