"""``holds``, ``approve`` and ``reject``: what waits for a person, and letting exactly that happen, or not.

Both work on the state alone, so that somebody without access to the cloud can decide. What can go wrong is approving
more than was shown: an approval takes the pairs of one hold as they stand in the state, and nothing that joins later.
"""

from __future__ import annotations

import click

from orgshare.cli import statuses
from orgshare.cli.running import Terminal, command, opened_state, policy_option, who_runs
from orgshare.errors import ConfigurationError
from orgshare.guard import APPROVAL_STANDS, GuardRecord, RecordedHold
from orgshare.guard import approve as approved
from orgshare.guard import reject as rejected
from orgshare.policy.model import Policy
from orgshare.record.state import State
from orgshare.report.answer_text import holds_lines
from orgshare.report.documents import Remembered, holds_document
from orgshare.report.names import Names
from orgshare.report.times import moment
from orgshare.wiring import new_run, utc_now
from orgshare.words import Pair, Shard, counted, is_image


@click.command()
@click.argument("id", required=False, metavar="[ID]")
@policy_option
@command
def holds(terminal: Terminal, *, id: str | None, policy: str | None) -> int:  # noqa: A002  # the option's name
    """What is held; with ID, or its beginning, who would lose what."""
    of, state = opened_state(terminal, policy)
    record, now = state.guard(), utc_now()
    chosen = record.holds if id is None else (_hold(record, id),)
    approvals = record.approvals
    if id is not None:
        approvals = tuple(a for a in approvals if not frozenset(a.pairs).isdisjoint(chosen[0].pairs))
    document = holds_document(chosen, approvals, _remembered(state), now)
    lines = holds_lines(document, approvals, _partners(of), now=now, detail=id is not None)
    terminal.answer(document, lines)
    return statuses.FINE


@click.command()
@click.argument("id", metavar="ID")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is kept with the approval.")
@policy_option
@command
def approve(terminal: Terminal, *, id: str, reason: str, policy: str | None) -> int:  # noqa: A002  # the option's name
    """Release exactly what the hold ID shows, for a day."""
    _, state = opened_state(terminal, policy)
    now, who = utc_now(), who_runs()
    hold = _hold(state.guard(), id)
    state.update_guard(lambda record: approved(record, hold, now=now, who=who, reason=reason), run=new_run())
    until = moment(now + APPROVAL_STANDS)
    pairs = f"{counted(len(hold.pairs), 'pair')} of {counted(len({p.image for p in hold.pairs}), 'image')}"
    document = {
        "approved": {
            "id": hold.id, "at": moment(now), "expires": until, "who": who, "reason": reason,
            "lost_pairs": len(hold.pairs),
        }
    }  # fmt: skip
    line = (
        f"approved {hold.id} by {who}: until {until} apply revokes what it still wants to revoke of {pairs}, "
        "and nothing else of what is held"
    )
    terminal.answer(document, [line])
    return statuses.FINE


@click.command()
@click.argument("id", metavar="ID")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is kept with the rejection.")
@policy_option
@command
def reject(terminal: Terminal, *, id: str, reason: str, policy: str | None) -> int:  # noqa: A002  # the option's name
    """Drop the hold ID until the facts change: everybody in it keeps access."""
    _, state = opened_state(terminal, policy)
    now, who = utc_now(), who_runs()
    hold = _hold(state.guard(), id)
    state.update_guard(lambda record: rejected(record, hold, now=now, who=who, reason=reason), run=new_run())
    document = {"rejected": {"id": hold.id, "at": moment(now), "who": who, "reason": reason, "pairs": len(hold.pairs)}}
    pairs = f"{counted(len(hold.pairs), 'pair')} of {counted(len({p.image for p in hold.pairs}), 'image')}"
    terminal.answer(document, [f"rejected {hold.id} by {who}: {pairs} stay as they are until the facts change"])
    return statuses.FINE


def _hold(record: GuardRecord, beginning: str) -> RecordedHold:
    """The hold whose id begins so. All ids begin with «h-», so that alone (or an empty variable) names none."""
    found = [hold for hold in record.holds if hold.id.startswith(beginning)]
    if len(found) == 1 and len(beginning) > len("h-"):
        return found[0]
    known = ", ".join(hold.id for hold in record.holds) or "none (apply records what it holds)"
    if found:
        several = f"{len(found)} begin so" if len(found) > 1 else "give more of its id"
        raise ConfigurationError(f"hold {beginning}: {several}: {', '.join(h.id for h in found)}")
    raise ConfigurationError(f"hold {beginning}: there is no such hold; there is {known}")


def _remembered(state: State) -> Remembered:
    """What the ledgers know of every image that we shared, directly or in a resource share."""
    shards: dict[str, Shard] = {}
    shared: set[str] = set()
    granted: set[Pair] = set()
    for shard in state.shards():
        ledger = state.read(shard).ledger
        inside = {entity for rows in ledger.shares.values() for entity in rows if is_image(entity)}
        shards |= dict.fromkeys((*inside, *ledger.grants), shard)
        shared |= inside
        for direct in (ledger.grants, ledger.strangers):
            granted |= {Pair(image, account) for image, accounts in direct.items() for account in accounts}
    return Remembered(shards, frozenset(shared), frozenset(granted))


def _partners(policy: Policy) -> Names:
    """The names that the policy itself gives."""
    return Names({p.account: p.name for rule in policy.rules for p in rule.audience.partners if p.name})
