"""The guard: which revocations run now, and which wait for a person.

What counts is pairs that lose their last channel, whatever call does it: one row of a resource share may be thousands.
Changing the channel loses nothing and counts nothing; it is held only where nobody can see that it leaves no gap.
Members that left the organization, proven one by one, count apart from everything else: they leave for good reasons. A
rule or an image that would lose its whole audience of more than one account is always held. Any limit that is passed
holds; there is no way to switch it off.

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

from orgshare.decide.coverage import Reach
from orgshare.decide.decisions import Decisions, Holding
from orgshare.decide.losses import Loss
from orgshare.decide.plan import Hold, pairs_id
from orgshare.ledger import Ledger
from orgshare.policy.model import Limits
from orgshare.words import Pair, Shard, is_image

APPROVAL_STANDS = timedelta(hours=24)

NOBODY: frozenset[str] = frozenset()


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


def baseline(decisions: Decisions, ledgers: Mapping[Shard, Ledger], reach: Reach, members: int) -> Baseline:
    """Count what is there: what this run read of the images it looked at, what the ledger knows of all others.

    Of those, an intention alone counts for nothing, and a pair counts once however many channels it has: with a smaller
    whole, the guard holds sooner.
    """
    read = {decision.image.id: decision for decision in decisions.images}
    by_image: Counter[str] = Counter(
        {d.image.id: len(d.shared) + len((d.ours | d.strangers.keys()) - d.shared) for d in decisions.images}
    )
    by_rule: Counter[str] = Counter()
    accounts: dict[str, set[str]] = defaultdict(set)
    for shard, ledger in ledgers.items():
        decided = decisions.shards.get(shard)
        holdings = decided.holdings() if decided is not None else _remembered(ledger)
        shared = _shared(holdings.values(), reach, frozenset({shard.owner, reach.management}))
        for (rule, image), reached in shared.items():
            if rule:
                by_rule[rule] += len(reached)
            elif image not in read:
                by_image[image] += len(reached)
        for (rule, _), reached in {(rule, id(reached)): reached for (rule, _), reached in shared.items()}.items():
            accounts[rule] |= reached
        for image, entries in ledger.grants.items():
            for account, entry in entries.items():
                if account not in read[image].ours if image in read else entry.state == "intended":
                    continue
                by_image[image] += image not in read and account not in shared.get(("", image), NOBODY)
                for rule in entry.rules:
                    by_rule[rule] += account not in shared.get((rule, image), NOBODY)
                    accounts[rule].add(account)
    return Baseline(
        pairs=by_image.total(),
        by_image=by_image,
        by_rule=by_rule,
        accounts_of_rule={rule: len(found) for rule, found in accounts.items() if rule},
        members=members,
    )


def _remembered(ledger: Ledger) -> Mapping[str, Holding]:
    """What stood in resource shares when it was last seen, where this run did not look."""
    found = {}
    for share, entries in ledger.shares.items():
        made = {entity: entry.rules for entity, entry in entries.items() if entry.state != "intended"}
        images = {entity: rules for entity, rules in made.items() if is_image(entity)}
        found[share] = Holding(images, {entity: rules for entity, rules in made.items() if entity not in images})
    return found


def _shared(
    holdings: Iterable[Holding], reach: Reach, aside: frozenset[str]
) -> Mapping[tuple[str, str], frozenset[str]]:
    """Whom resource shares of one shard reach through us, by rule and image; the rule "" stands for all of them.

    An image may stand in two shares while it moves: who is reached by both is one pair. ``aside`` are the owner and the
    management account, which lose nothing by a share.
    """
    parts: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(list)
    for holding in holdings:
        targets: dict[str, list[str]] = defaultdict(list)
        for target, rules in sorted(holding.targets.items()):
            for rule in ("", *rules):
                targets[rule].append(target)
        reached = {rule: reach.of_all(of).possible - aside for rule, of in targets.items()}
        for image, rules in holding.images.items():
            for rule in ("", *rules):
                if rule in reached:
                    parts[rule, image].append(reached[rule])
    known: dict[tuple[int, ...], frozenset[str]] = {}  # thousands of images stand in the same shares
    for of in parts.values():
        together = tuple(map(id, of))
        if together not in known:
            known[together] = of[0] if len(of) == 1 else NOBODY.union(*of)
    return {place: known[tuple(map(id, of))] for place, of in parts.items()}


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
        *_changes_of_channel(losses),
        *_whole_audiences(losses, base),
        *_departures(candidates, limits, base),
        *_losses(candidates, limits, base),
    ):
        for pair in pairs:
            why.setdefault(pair, reason)
    why = {pair: reason for pair, reason in why.items() if pair not in approved and judged(pair)}
    return tuple(sorted(_holds(why, record, judged, now), key=lambda hold: hold.id))


def _changes_of_channel(losses: tuple[Loss, ...]) -> Iterable[tuple[str, list[Pair]]]:
    """Pairs that are to go over to direct grants, and nobody can see whether the grants are there already."""
    pairs = [loss.pair for loss in losses if loss.cause == "channel"]
    if pairs:
        why = f"{len(pairs)} pairs change to direct grants, perhaps with a gap: their rows may be the share's own"
        yield why, pairs


def _whole_audiences(losses: tuple[Loss, ...], base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
    by_image: dict[str, list[Pair]] = defaultdict(list)
    by_rule: dict[str, list[Pair]] = defaultdict(list)
    for loss in losses:
        if loss.cause == "channel":
            continue
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
    pairs = [loss.pair for loss in candidates if loss.cause not in ("departed", "channel")]
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
