"""The guard: which revocations run now, and which wait for a person.

What counts is pairs that lose their last channel, whatever call does it: one row of a resource share may be thousands.
Changing the channel loses nothing and counts nothing; it is held only where nobody can see that it leaves no gap.
Members that left the organization, proven one by one, count apart from everything else: they leave for good reasons. A
rule or an image that would lose its whole audience of more than one account is always held. Any limit that is passed
holds; there is no way to switch it off.

What there is, is counted twice, with what is under way in resource shares and without: accounts that a share is only
about to reach make the loss of those who have an image already no smaller part.

Limits hold over a rolling window: what was taken away lately, in whatever shard and by whatever run, counts with what
this run would take, and as a part of what there was. So nothing is gained by taking it piece by piece.

Doing nothing is safe: whoever is held keeps access, until a person approves or the pair is wanted again. Approving
releases exactly the pairs that were shown, for a day; pairs that join later are a hold of their own. Rejecting leaves
the pairs as they are, and out of sight, until a run finds another cause or none.

Where the policy says so, the first grant of an image to a partner waits in the same way, as a hold of pairs that would
be gained: whoever is held there has no access, and an approval of the one is never one of the other.

What can go wrong is a limit that counts less than is about to happen: so everything that a run would revoke counts,
proven or not, and the numbers it is compared with are those of the whole deployment, not of the selection.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.coverage import Reach
from orgshare.decide.decisions import Decisions, Holding, ImageDecision, ShardDecision
from orgshare.decide.losses import Loss
from orgshare.decide.plan import Hold, pairs_id
from orgshare.ledger import Ledger, Lost
from orgshare.policy.model import Limits
from orgshare.words import NOBODY, Pair, Shard, counted, is_image

APPROVAL_STANDS = timedelta(hours=24)

PARTNER = "partner"
"""The cause of a hold of pairs that would be gained."""

NO_PAIRS: frozenset[Pair] = frozenset()


class RecordedHold(Struct, frozen=True):
    """A hold as an earlier run left it: later pairs never slip into it.

    ``cause`` is why its pairs would be lost; with ``gains`` they would be gained.
    """

    id: str
    since: datetime
    why: str
    pairs: tuple[Pair, ...]
    cause: str = ""
    gains: bool = False


class Approval(Struct, frozen=True):
    """Pairs that a person released, when, who, and why; ``gains`` is whether to be gained, or to be lost."""

    pairs: tuple[Pair, ...]
    at: datetime
    who: str
    reason: str = ""
    gains: bool = False

    def stands(self, now: datetime) -> bool:
        """Whether the approval has not expired."""
        return now < self.at + APPROVAL_STANDS


class Rejection(Struct, frozen=True):
    """Pairs that a person wants to stay as they are, for as long as the same would happen to them for this cause."""

    pairs: tuple[Pair, ...]
    at: datetime
    who: str
    reason: str = ""
    cause: str = ""
    gains: bool = False


class GuardRecord(Struct, frozen=True):
    """What the guard remembers from run to run."""

    holds: tuple[RecordedHold, ...] = ()
    approvals: tuple[Approval, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    def approved(self, now: datetime, *, gains: bool = False) -> frozenset[Pair]:
        """Every pair that a standing approval releases to be lost, or to be gained."""
        standing = (a for a in self.approvals if a.gains == gains and a.stands(now))
        return frozenset(pair for approval in standing for pair in approval.pairs)

    def asked(self) -> frozenset[Pair]:
        """The pairs to be gained that a person was asked about, and those that one rejected."""
        held = (pair for hold in self.holds if hold.gains for pair in hold.pairs)
        return frozenset(held).union(p for rejection in self.rejections if rejection.gains for p in rejection.pairs)

    def rejected(self, losses: Iterable[Loss], asking: Iterable[Pair] = ()) -> frozenset[Pair]:
        """Of what a run finds, the pairs that a person rejected for the same cause."""
        if not self.rejections:
            return NO_PAIRS
        causes = {(r.gains, pair): r.cause for r in self.rejections for pair in r.pairs}
        lost = {loss.pair for loss in losses if causes.get((False, loss.pair)) == loss.cause}
        return frozenset(lost).union(pair for pair in asking if causes.get((True, pair)) == PARTNER)


class Baseline(Struct, frozen=True):
    """What the deployment gives access to: the pairs of each image and of each rule now, and all that there was.

    ``lost`` are the pairs that were taken away within the window, and of these ``gone`` are not there again. ``pairs``,
    the accounts of each rule and the ``members`` of the organization are those of now and of what was lost together.
    ``coming`` are pairs that would be lost and are not counted: what is to give them is still under way. ``ended`` are
    the rules and images of which nobody who has anything by them is wanted by them any more: whoever stays stays for
    another reason.
    """

    pairs: int
    by_image: Mapping[str, int]
    by_rule: Mapping[str, int]
    accounts_of_rule: Mapping[str, int]
    members: int
    lost: Mapping[Pair, Lost] = MappingProxyType({})
    gone: frozenset[Pair] = NO_PAIRS
    coming: frozenset[Pair] = NO_PAIRS
    ended: frozenset[str] = NOBODY


def baseline(
    decisions: Decisions,
    ledgers: Mapping[Shard, Ledger],
    reach: Reach,
    members: Iterable[str],
    *,
    now: datetime,
    window: timedelta,
    associated: bool = False,
    absent: frozenset[str] = NOBODY,
) -> Baseline:
    """Count what is there: what this run read of the images it looked at, what the ledger knows of all others.

    Of those, an intention alone counts for nothing, and a pair counts once however many channels it has: with a smaller
    whole, the guard holds sooner. What was taken away within the window is a part of the whole. With ``associated``
    nothing counts that is still under way in a resource share; where this run did not look, that is what the last look
    found. Images that are ``absent`` were asked for and not found: nobody has them, though they are remembered.
    """
    read = {d.image.id: _given(d, associated=associated) for d in decisions.images}
    by_image: Counter[str] = Counter({image: len(given) for image, given in read.items()})
    ours = {decision.image.id: decision.ours for decision in decisions.images}
    by_rule: Counter[str] = Counter()
    accounts: dict[str, set[str]] = defaultdict(set)
    lost: dict[Pair, Lost] = {}
    gone: set[Pair] = set()
    for shard, ledger in ledgers.items():
        aside = frozenset({shard.owner, reach.management})
        shared = _shared_of(decisions.shards.get(shard), ledger, reach, aside, associated=associated)
        for (rule, image), reached in ((place, of) for place, of in shared.items() if place[1] not in absent):
            if rule:
                by_rule[rule] += len(reached)
            elif image not in read:
                by_image[image] += len(reached)
        for (rule, _), reached in {(rule, id(reached)): reached for (rule, _), reached in shared.items()}.items():
            accounts[rule] |= reached
        for image, entries in ledger.grants.items():
            for account, entry in entries.items():
                if account not in ours[image] if image in read else entry.state == "intended":
                    continue
                there = image not in absent
                by_image[image] += there and image not in read and account not in shared.get(("", image), NOBODY)
                for rule in entry.rules:
                    by_rule[rule] += there and account not in shared.get((rule, image), NOBODY)
                    accounts[rule].add(account)
        for pair, loss in ledger.lately_lost(now, window).items():
            lost[pair] = loss
            if not _is_there(pair, read.get(pair.image), ledger, shared):
                gone.add(pair)
                for rule in loss.rules:
                    accounts[rule].add(pair.account)
    departed = {pair.account for pair, loss in lost.items() if loss.departed}
    return Baseline(
        pairs=by_image.total() + len(gone),
        by_image=by_image,
        by_rule=by_rule,
        accounts_of_rule={rule: len(found) for rule, found in accounts.items() if rule},
        members=len(departed.union(members)),
        lost=lost,
        gone=frozenset(gone),
        ended=_ended(decisions, accounts, read),
        coming=frozenset(
            loss.pair
            for d in decisions.images
            for loss in d.losses
            if associated and loss.pair.account in d.shared - read[d.image.id]
        ),
    )


def _ended(
    decisions: Decisions, accounts: Mapping[str, set[str]], read: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """The rules, and the images that were read, that want nobody any more of those who have something by them."""
    wanted = {audience.rule.name: audience.wanted for audience in decisions.audiences}
    rules = {rule for rule, found in accounts.items() if rule and found.isdisjoint(wanted.get(rule, NOBODY))}
    images = {d.image.id for d in decisions.images if read[d.image.id].isdisjoint(d.wanted)}
    return frozenset(rules | images)


def _given(decision: ImageDecision, *, associated: bool) -> frozenset[str]:
    """Who has an image that was read through us, or by hand where the policy would take that away."""
    shared = decision.shared & decision.coverage.associated if associated else decision.shared
    return shared | decision.ours | decision.strangers.keys()


def _is_there(
    pair: Pair, given: frozenset[str] | None, ledger: Ledger, shared: Mapping[tuple[str, str], frozenset[str]]
) -> bool:
    """Whether a pair that was taken away counts among what is there now, because it was given again or never went."""
    if given is not None:
        return pair.account in given
    entry = ledger.entries(pair.image).get(pair.account)
    granted = entry is not None and entry.state != "intended"
    return granted or pair.account in shared.get(("", pair.image), NOBODY)


def _shared_of(
    decided: ShardDecision | None, ledger: Ledger, reach: Reach, aside: frozenset[str], *, associated: bool
) -> Mapping[tuple[str, str], frozenset[str]]:
    """Whom resource shares of a shard reach through us, whether this run looked there or not."""
    if decided is not None:
        return _shared(decided.holdings(associated=associated).values(), reach, aside)
    remembered = _shared(_remembered(ledger).values(), reach, aside)
    if not associated:
        return remembered
    return {place: of & ledger.reached.get(place[1], NOBODY) for place, of in remembered.items()}


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
    asking: Iterable[Pair] = (),
    base: Baseline,
    limits: Limits,
    record: GuardRecord,
    judged: Callable[[Pair], bool],
    now: datetime,
    associated: Baseline | None = None,
) -> tuple[Hold, ...]:
    """What is held, in the order of the ids. What is not held nor rejected and is proven may run.

    ``asking`` are the pairs that would be gained if a person approved. ``judged`` says which pairs this run came to a
    conclusion about: of an earlier hold the others stay as they are, and they are counted, but not held anew.
    ``associated`` is the baseline without what is under way in resource shares, where it may differ.
    """
    losses, asking = tuple(losses), tuple(asking)
    aside = record.rejected(losses, asking)
    losses = tuple(loss for loss in losses if loss.pair not in aside)
    approved = record.approved(now)
    candidates = [loss for loss in losses if loss.pair not in approved]
    # What was held once waits for a person, even when later additions make it a smaller part of the whole.
    waiting = {pair: hold.why for hold in record.holds if not hold.gains for pair in hold.pairs}
    why = {loss.pair: waiting[loss.pair] for loss in candidates if loss.pair in waiting}
    without = base if associated is None else associated
    there = [loss for loss in losses if loss.pair not in without.coming]
    for reason, pairs in (
        *_rejected_for_another_cause(losses, record),
        *_changes_of_channel(losses),
        *_whole_audiences(losses, base),
        *_whole_audiences(there, without),
        *_departures(candidates, limits, base),
        *_losses(candidates, limits, base),
        *_losses([loss for loss in there if loss.pair not in approved], limits, without),
    ):
        for pair in pairs:
            why.setdefault(pair, reason)
    why = {pair: reason for pair, reason in why.items() if pair not in approved and judged(pair)}
    causes: dict[Pair, str] = {loss.pair: loss.cause for loss in losses}
    welcome = record.approved(now, gains=True)
    first = {
        pair: f"the first grant to partner {pair.account} waits for approval (safety.partners)"
        for pair in asking
        if pair not in aside and pair not in welcome
    }
    found = (
        *_holds(why, causes, record, judged, now),
        *_holds(first, dict.fromkeys(first, PARTNER), record, judged, now, gains=True),
    )
    return tuple(sorted(found, key=lambda hold: hold.id))


def _rejected_for_another_cause(losses: tuple[Loss, ...], record: GuardRecord) -> Iterable[tuple[str, list[Pair]]]:
    """Pairs of which a person said that they stay: that was another case, so the new one is for a person too."""
    rejected = {pair for rejection in record.rejections if not rejection.gains for pair in rejection.pairs}
    pairs = [loss.pair for loss in losses if loss.pair in rejected]
    if pairs:
        yield f"{counted(len(pairs), 'pair')} would be lost for another cause than the one that was rejected", pairs


def _changes_of_channel(losses: tuple[Loss, ...]) -> Iterable[tuple[str, list[Pair]]]:
    """Pairs that are to go over to direct grants, and nobody can see whether the grants are there already."""
    pairs = [loss.pair for loss in losses if loss.cause == "channel"]
    if pairs:
        why = f"{len(pairs)} pairs change to direct grants, perhaps with a gap: their rows may be the share's own"
        yield why, pairs


def _whole_audiences(losses: Iterable[Loss], base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
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
        if accounts > 1 and (rule in base.ended or len(pairs) >= base.by_rule[rule]):
            yield f"rule {rule} would lose its whole audience, {accounts} accounts", pairs
    gone = Counter(pair.image for pair in base.gone)
    for image, pairs in sorted(by_image.items()):
        had = len(pairs) + gone[image]
        if had > 1 and (image in base.ended or len(pairs) >= base.by_image.get(image, 0)):
            yield f"image {image} would lose its whole audience, {had} accounts", pairs


def _departures(candidates: list[Loss], limits: Limits, base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
    pairs = [loss.pair for loss in candidates if loss.cause == "departed"]
    leaving = {pair.account for pair in pairs}
    before = {pair.account for pair, lost in base.lost.items() if lost.departed}
    counting = {pair.account for pair, lost in base.lost.items() if lost.departed and not lost.approved}
    gone, members = len(leaving | counting), base.members + len(leaving - before)
    percent = 100 * gone / max(members, 1)
    lately = _lately(len(counting - leaving), limits)
    if pairs and gone > limits.departed_accounts:
        key = "safety.hold_when.departed.accounts"
        yield f"{gone} accounts left the organization{lately}, more than {limits.departed_accounts} ({key})", pairs
    elif pairs and percent > limits.departed_percent:
        key = "safety.hold_when.departed.percent"
        share = f"{gone} of {members} accounts ({percent:.1f} %) left the organization{lately}"
        yield f"{share}, more than {limits.departed_percent:g} % ({key})", pairs


def _lately(number: int, limits: Limits) -> str:
    """How many of those that a limit counts are of earlier runs."""
    return f" ({number} of them lost within {_hours(limits.window)} before)" if number else ""


def _hours(time: timedelta) -> str:
    return f"{time.total_seconds() / 3600:g} hours"


def _losses(candidates: list[Loss], limits: Limits, base: Baseline) -> Iterable[tuple[str, list[Pair]]]:
    pairs = [loss.pair for loss in candidates if loss.cause not in ("departed", "channel")]
    before = {pair for pair, lost in base.lost.items() if not lost.departed and not lost.approved}
    number = len(before.union(pairs))
    percent = 100 * number / max(base.pairs, 1)
    lately = _lately(len(before.difference(pairs)), limits)
    if pairs and number > limits.lost_pairs:
        key = "safety.hold_when.lost_pairs"
        yield f"{number} pairs would lose access{lately}, more than {limits.lost_pairs} ({key})", pairs
    elif pairs and percent > limits.lost_percent:
        key = "safety.hold_when.lost_percent"
        share = f"{number} of {base.pairs} pairs ({percent:.1f} %) would lose access{lately}"
        yield f"{share}, more than {limits.lost_percent:g} % ({key})", pairs


def _holds(
    why: Mapping[Pair, str],
    causes: Mapping[Pair, str],
    record: GuardRecord,
    judged: Callable[[Pair], bool],
    now: datetime,
    *,
    gains: bool = False,
) -> Iterable[Hold]:
    """Group held pairs by cause: those of an earlier hold stay together, new ones are grouped by their reason."""
    recorded = [hold for hold in record.holds if hold.gains == gains]
    earlier = {pair: hold for hold in recorded for pair in hold.pairs}
    groups: dict[tuple[datetime, str, str], set[Pair]] = defaultdict(set)
    for pair, reason in why.items():
        hold = earlier.get(pair)
        groups[(hold.since, hold.why, causes[pair]) if hold else (now, reason, causes[pair])].add(pair)
    for hold in recorded:
        if (hold.since, hold.why, hold.cause) in groups:
            groups[hold.since, hold.why, hold.cause].update(pair for pair in hold.pairs if not judged(pair))
    for (since, reason, cause), pairs in groups.items():
        yield Hold(id=pairs_id(pairs), since=since, why=reason, pairs=tuple(sorted(pairs)), cause=cause, gains=gains)


def remember(
    record: GuardRecord,
    holds: Iterable[Hold],
    judged: Callable[[Pair], bool],
    *,
    began_with: GuardRecord,
    rejected: frozenset[Pair],
) -> GuardRecord:
    """The record after a run that found these holds. Of an earlier hold, what the run did not judge stays.

    So does every hold that was not in the record that the run ``began_with``: whoever made it read later than this run.
    Of a rejection stays what the run did not judge, and what it found to be ``rejected`` still; one that was made
    meanwhile stays whole, and takes its pairs out of what this run holds.
    """
    rejections: list[Rejection] = []
    meanwhile: dict[tuple[bool, str], frozenset[Pair]] = defaultdict(frozenset)
    for rejection in record.rejections:
        newer = rejection not in began_with.rejections
        still = tuple(pair for pair in rejection.pairs if newer or pair in rejected or not judged(pair))
        if still:
            rejections.append(rejection if len(still) == len(rejection.pairs) else replace(rejection, pairs=still))
        if newer:
            meanwhile[rejection.gains, rejection.cause] |= frozenset(rejection.pairs)
    now_held: list[RecordedHold] = []
    for hold in holds:
        of_run = RecordedHold(hold.id, hold.since, hold.why, hold.pairs, hold.cause, hold.gains)
        taken = meanwhile.get((hold.gains, hold.cause), NO_PAIRS)
        now_held += [of_run] if taken.isdisjoint(hold.pairs) else _without((of_run,), taken, gains=hold.gains)
    found = {gains: {p for hold in now_held if hold.gains == gains for p in hold.pairs} for gains in (False, True)}
    kept = []
    for recorded in record.holds:
        newer = recorded not in began_with.holds
        others = found[recorded.gains]
        elsewhere = tuple(pair for pair in recorded.pairs if (newer or not judged(pair)) and pair not in others)
        if elsewhere:
            kept.append(replace(recorded, id=pairs_id(elsewhere), pairs=elsewhere))
    return replace(
        record,
        holds=tuple(sorted((*kept, *now_held), key=lambda hold: (hold.since, hold.id))),
        rejections=tuple(rejections),
    )


def approve(record: GuardRecord, hold: RecordedHold, *, now: datetime, who: str, reason: str) -> GuardRecord:
    """The record with a hold's pairs released, also where they were rejected; approvals that expired are dropped."""
    standing = tuple(approval for approval in record.approvals if approval.stands(now))
    return replace(
        record,
        approvals=(*standing, Approval(hold.pairs, now, who, reason, hold.gains)),
        rejections=_without(record.rejections, frozenset(hold.pairs), gains=hold.gains),
    )


def reject(record: GuardRecord, hold: RecordedHold, *, now: datetime, who: str, reason: str) -> GuardRecord:
    """The record with a hold dropped: its pairs stay as they are while the same would happen to them.

    Nothing of it stays approved, and pairs that joined a later hold stay held there.
    """
    taken, gains = frozenset(hold.pairs), hold.gains
    said_no = Rejection(hold.pairs, now, who, reason, hold.cause, gains)
    return replace(
        record,
        holds=_without(record.holds, taken, gains=gains),
        approvals=_without(record.approvals, taken, gains=gains),
        rejections=(*_without(record.rejections, taken, gains=gains), said_no),
    )


_Recorded = TypeVar("_Recorded", RecordedHold, Approval, Rejection)


def _without(recorded: tuple[_Recorded, ...], taken: frozenset[Pair], *, gains: bool) -> tuple[_Recorded, ...]:
    """What was recorded, without these pairs to be gained or lost. A hold with other pairs has another id."""
    left: list[_Recorded] = []
    for each in recorded:
        pairs = tuple(pair for pair in each.pairs if pair not in taken) if each.gains == gains else each.pairs
        if len(pairs) == len(each.pairs):
            left.append(each)
        elif pairs:
            new_id = {"id": pairs_id(pairs)} if isinstance(each, RecordedHold) else {}
            left.append(replace(each, pairs=pairs, **new_id))
    return tuple(left)
