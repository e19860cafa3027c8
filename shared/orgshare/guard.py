"""The guard: which revocations run now, and which wait for a person.

What counts is pairs that lose their last channel, whatever call does it. Members that left the organization, proven
one by one, count apart from everything else: they leave for good reasons. A rule or an image that would lose its whole
audience of more than one account is always held. Any limit that is passed holds; there is no way to switch it off.

Doing nothing is safe: whoever is held keeps access, until a person approves or the pair is wanted again. Approving
releases exactly the pairs that were shown, for a day; pairs that join later are a hold of their own.

What can go wrong is a limit that counts less than is about to happen: so everything that a run would revoke counts,
proven or not, and the numbers it is compared with are those of the whole deployment, not of the selection.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.decisions import Decisions, Loss
from orgshare.decide.plan import Hold, pairs_id
from orgshare.ledger import Ledger
from orgshare.policy.model import Limits
from orgshare.words import Pair, Shard

APPROVAL_STANDS = timedelta(hours=24)


class RecordedHold(Struct, frozen=True):
    """A hold as an earlier run left it: later pairs never slip into it."""

    id: str
    since: datetime
    why: str
    pairs: tuple[Pair, ...]


class Approval(Struct, frozen=True):
    """Pairs that a person released, when, who, and why."""

    pairs: tuple[Pair, ...]
    at: datetime
    who: str
    reason: str = ""

    def stands(self, now: datetime) -> bool:
        """Whether the approval has not expired."""
        return now < self.at + APPROVAL_STANDS


class GuardRecord(Struct, frozen=True):
    """What the guard remembers from run to run."""

    holds: tuple[RecordedHold, ...] = ()
    approvals: tuple[Approval, ...] = ()

    def approved(self, now: datetime) -> frozenset[Pair]:
        """Every pair that a standing approval releases."""
        return frozenset(pair for approval in self.approvals if approval.stands(now) for pair in approval.pairs)


class Baseline(Struct, frozen=True):
    """What the deployment gives access to now: all pairs, the pairs of each image, pairs and accounts of each rule."""

    pairs: int
    by_image: Mapping[str, int]
    by_rule: Mapping[str, int]
    accounts_of_rule: Mapping[str, int]
    members: int


def baseline(decisions: Decisions, ledgers: Mapping[Shard, Ledger], members: int) -> Baseline:
    """Count what is there: what this run read of the images it looked at, what the ledger knows of all others.

    Of those, an intention alone counts for nothing: with a smaller whole, the guard holds sooner.
    """
    read = {decision.image.id: decision.ours for decision in decisions.images}
    by_image: Counter[str] = Counter()
    by_rule: Counter[str] = Counter()
    accounts: dict[str, set[str]] = defaultdict(set)
    for ledger in ledgers.values():
        for image, entries in ledger.grants.items():
            for account, entry in entries.items():
                if account not in read[image] if image in read else entry.state == "intended":
                    continue
                by_image[image] += 1
                for rule in entry.rules:
                    by_rule[rule] += 1
                    accounts[rule].add(account)
    return Baseline(
        pairs=by_image.total(),
        by_image=by_image,
        by_rule=by_rule,
        accounts_of_rule={rule: len(found) for rule, found in accounts.items()},
        members=members,
    )


def guard(
    losses: Iterable[Loss],
    *,
    base: Baseline,
    limits: Limits,
    record: GuardRecord,
    judged: Callable[[Pair], bool],
    now: datetime,
) -> tuple[Hold, ...]:
    """The revocations that are held, in the order of their ids. What is not held and is proven may run.

    ``judged`` says which pairs this run came to a conclusion about: of an earlier hold the others stay as they are,
    and they are counted, but not held anew.
    """
    losses = tuple(losses)
    approved = record.approved(now)
    candidates = [loss for loss in losses if loss.pair not in approved]
    # What was held once waits for a person, even when later additions make it a smaller part of the whole.
    waiting = {pair: hold.why for hold in record.holds for pair in hold.pairs}
    why = {loss.pair: waiting[loss.pair] for loss in candidates if loss.pair in waiting}
    for reason, pairs in (
        *_whole_audiences(losses, base),
        *_departures(candidates, limits, base),
        *_losses(candidates, limits, base),
    ):
        for pair in pairs:
            why.setdefault(pair, reason)
    why = {pair: reason for pair, reason in why.items() if pair not in approved and judged(pair)}
    return tuple(sorted(_holds(why, record, judged, now), key=lambda hold: hold.id))


def _whole_audiences(losses: tuple[Loss, ...], base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
    by_image: dict[str, list[Pair]] = defaultdict(list)
    by_rule: dict[str, list[Pair]] = defaultdict(list)
    for loss in losses:
        by_image[loss.pair.image].append(loss.pair)
        for rule in loss.rules:
            by_rule[rule].append(loss.pair)
    for rule, pairs in sorted(by_rule.items()):
        accounts = base.accounts_of_rule.get(rule, 0)
        if accounts > 1 and len(pairs) >= base.by_rule[rule]:
            yield f"rule {rule} would lose its whole audience, {accounts} accounts", pairs
    for image, pairs in sorted(by_image.items()):
        if len(pairs) > 1 and len(pairs) >= base.by_image.get(image, 0):
            yield f"image {image} would lose its whole audience, {len(pairs)} accounts", pairs


def _departures(candidates: list[Loss], limits: Limits, base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
    pairs = [loss.pair for loss in candidates if loss.cause == "departed"]
    gone = len({pair.account for pair in pairs})
    percent = 100 * gone / max(base.members + gone, 1)
    if gone > limits.departed_accounts:
        key = "safety.hold_when.departed.accounts"
        yield f"{gone} accounts left the organization, more than {limits.departed_accounts} ({key})", pairs
    elif gone and percent > limits.departed_percent:
        key = "safety.hold_when.departed.percent"
        share = f"{gone} of {base.members + gone} accounts ({percent:.1f} %) left the organization"
        yield f"{share}, more than {limits.departed_percent:g} % ({key})", pairs


def _losses(candidates: list[Loss], limits: Limits, base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
    pairs = [loss.pair for loss in candidates if loss.cause != "departed"]
    percent = 100 * len(pairs) / max(base.pairs, 1)
    if len(pairs) > limits.lost_pairs:
        key = "safety.hold_when.lost_pairs"
        yield f"{len(pairs)} pairs would lose access, more than {limits.lost_pairs} ({key})", pairs
    elif pairs and percent > limits.lost_percent:
        key = "safety.hold_when.lost_percent"
        share = f"{len(pairs)} of {base.pairs} pairs ({percent:.1f} %) would lose access"
        yield f"{share}, more than {limits.lost_percent:g} % ({key})", pairs


def _holds(
    why: Mapping[Pair, str], record: GuardRecord, judged: Callable[[Pair], bool], now: datetime
) -> Iterable[Hold]:
    """Group held pairs: those of an earlier hold stay together, new ones are grouped by their reason."""
    earlier = {pair: hold for hold in record.holds for pair in hold.pairs}
    groups: dict[tuple[datetime, str], set[Pair]] = defaultdict(set)
    for pair, reason in why.items():
        hold = earlier.get(pair)
        groups[(hold.since, hold.why) if hold else (now, reason)].add(pair)
    for hold in record.holds:
        if (hold.since, hold.why) in groups:
            groups[hold.since, hold.why].update(pair for pair in hold.pairs if not judged(pair))
    for (since, reason), pairs in groups.items():
        yield Hold(id=pairs_id(pairs), since=since, why=reason, pairs=tuple(sorted(pairs)))


def remember(
    record: GuardRecord, holds: Iterable[Hold], judged: Callable[[Pair], bool], *, began_with: GuardRecord
) -> GuardRecord:
    """The record after a run that found these holds. Of an earlier hold, what the run did not judge stays.

    So does every hold that was not in the record that the run ``began_with``: whoever made it read later than this run.
    """
    now_held = tuple(RecordedHold(hold.id, hold.since, hold.why, hold.pairs) for hold in holds)
    found = {pair for hold in now_held for pair in hold.pairs}
    kept = []
    for hold in record.holds:
        newer = hold not in began_with.holds
        elsewhere = tuple(pair for pair in hold.pairs if (newer or not judged(pair)) and pair not in found)
        if elsewhere:
            kept.append(RecordedHold(pairs_id(elsewhere), hold.since, hold.why, elsewhere))
    return replace(record, holds=tuple(sorted((*kept, *now_held), key=lambda hold: (hold.since, hold.id))))


def approve(record: GuardRecord, hold: RecordedHold, *, now: datetime, who: str, reason: str) -> GuardRecord:
    """The record with a hold's pairs released; approvals that expired are dropped."""
    standing = tuple(approval for approval in record.approvals if approval.stands(now))
    return replace(record, approvals=(*standing, Approval(hold.pairs, now, who, reason)))
