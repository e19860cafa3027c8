"""The counts of ``status``: the same numbers for every rule, every shard and every image, from one run's facts.

Pure counting. What can go wrong is a pair that is counted nowhere: so what is wanted is in step, due, pending,
refused, or left (a rule is frozen or only observes), and what is unread is counted as images, never as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add

from msgspec import Struct
from msgspec.structs import astuple

from orgshare.decide.decisions import ImageDecision, ShardDecision
from orgshare.decide.selection import selector
from orgshare.report.documents import in_step
from orgshare.way.planning import Planned
from orgshare.words import Pair


class Counts(Struct, frozen=True):
    """Pairs, but for ``images`` and ``unread``, which are images.

    Of the pairs in step, ``by_directory`` have the image through resource shares and ``directly`` by a grant on the
    image; a pair with both counts in both. ``due`` is what the next apply gives and takes.
    """

    images: int = 0
    wanted: int = 0
    in_step: int = 0
    by_directory: int = 0
    directly: int = 0
    due: int = 0
    pending: int = 0
    refused: int = 0
    held: int = 0
    unread: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, astuple(self), astuple(other)))


class Row(Struct, frozen=True):
    """One line of an overview; ``quiet`` is whether there is nothing to see there."""

    name: str
    counts: Counts
    quiet: bool = False


class Overview(Struct, frozen=True):
    """All three tables, each in the order of its names (rules in the policy's order)."""

    rules: tuple[Row, ...]
    shards: tuple[Row, ...]
    images: tuple[Row, ...]
    whole: Counts


def overview(planned: Planned) -> Overview:
    """The overview of one run."""
    held = frozenset(pair for hold in planned.plan.held for pair in hold.pairs)
    staying = held | planned.rejected
    decisions = planned.decisions.images
    changing = {shard: _Changing(each, staying) for shard, each in planned.decisions.shards.items()}

    def counts_of(decision: ImageDecision, wanted: frozenset[str] | None = None, rule: str | None = None) -> Counts:
        return _counts(decision, changing[decision.image.shard], held, staying, wanted, rule)

    by_image = {decision.image.id: counts_of(decision) for decision in decisions}
    unread = [reading.image for reading in planned.looked.readings if reading.grants is None]
    select = selector(planned.facts.policy, planned.facts.retired)
    rules = []
    for index, audience in enumerate(planned.decisions.audiences):
        name = audience.rule.name
        chosen = [d for d in decisions if index in d.rules]
        counts = sum((counts_of(d, audience.wanted, name) for d in chosen), Counts())
        counts += Counts(unread=sum(index in select(image) for image in unread))
        rules.append(Row(name, counts))
    shards = []
    for shard in sorted({*planned.looked.services, *(d.image.shard for d in decisions)}):
        counts = sum((by_image[d.image.id] for d in decisions if d.image.shard == shard), Counts())
        shards.append(Row(str(shard), counts + Counts(unread=sum(image.shard == shard for image in unread))))
    images = [
        Row(decision.image.id, by_image[decision.image.id], quiet=_quiet(decision, by_image[decision.image.id]))
        for decision in decisions
    ]
    images += [Row(image.id, Counts(unread=1)) for image in unread]
    return Overview(
        rules=tuple(rules),
        shards=tuple(shards),
        images=tuple(sorted(images, key=lambda row: row.name)),
        whole=sum((row.counts for row in shards), Counts()),
    )


class _Changing:
    """What is about to change in the resource shares of one shard: shares that get something, and rows that end."""

    def __init__(self, shard: ShardDecision, held: frozenset[Pair]) -> None:
        arrangement = shard.arrangement
        self.joined = {joining.share or f"new {joining.audience}" for joining in arrangement.joining}
        self.staying = frozenset(
            pair for cut in shard.cuts if cut.block is not None or not cut.pairs.isdisjoint(held) for pair in cut.pairs
        )


def _counts(
    decision: ImageDecision,
    changing: _Changing,
    held: frozenset[Pair],
    staying: frozenset[Pair],
    wanted: frozenset[str] | None = None,
    rule: str | None = None,
) -> Counts:
    """The counts of an image, or of one rule's part in it. ``staying`` pairs are held, or a person rejected them."""
    wanted = decision.wanted if wanted is None else wanted & decision.wanted
    losses = [loss.pair for loss in decision.losses if rule is None or rule in loss.rules]
    due = sum(
        pair not in staying and (pair.account in decision.direct or pair not in changing.staying) for pair in losses
    )
    has = wanted & decision.has()
    missing = wanted - has
    arriving = missing & _arriving(decision, changing)
    waiting = missing & _under_way(decision)
    asking = frozenset(a for a in missing.intersection(decision.asking) if Pair(decision.image.id, a) in held)
    refused = _refused(decision, missing, rule)
    if not refused:
        waiting |= (missing & decision.directory.accounts) - arriving
    return Counts(
        images=1,
        wanted=len(wanted),
        in_step=len(has),
        by_directory=len(has & decision.coverage.associated),
        directly=len(has & decision.direct),
        due=len(arriving) + due,
        pending=len(waiting),
        refused=refused,
        held=sum(pair in held for pair in losses) + len(asking),
    )


def _arriving(decision: ImageDecision, changing: _Changing) -> frozenset[str]:
    """Who gets the image with the next apply."""
    grants = frozenset(decision.grants)
    if decision.home not in changing.joined:
        return grants
    return grants | (decision.directory.accounts - decision.direct - decision.coverage.possible)


def _under_way(decision: ImageDecision) -> frozenset[str]:
    """Who may have got the image already, and it cannot be seen yet."""
    pairs = (pending.entity.rpartition("/")[2] for pending in decision.pending)
    return (decision.coverage.possible - decision.has()).union(pairs)


def _refused(decision: ImageDecision, missing: frozenset[str], rule: str | None) -> int:
    """Refused accounts. A refusal names only the first of many, so whoever is left of a rule counts as refused."""
    missing -= frozenset(decision.asking)
    if rule is None:
        return sum(refusal.accounts_total for refusal in decision.refusals)
    if all(len(refusal.accounts) == refusal.accounts_total for refusal in decision.refusals):
        return len(missing & _named(decision))
    return len(missing - set(decision.grants) - _under_way(decision))


def _named(decision: ImageDecision) -> frozenset[str]:
    accounts: Iterable[str] = (account for refusal in decision.refusals for account in refusal.accounts)
    return frozenset(accounts)


def _quiet(decision: ImageDecision, counts: Counts) -> bool:
    if decision.redundant or decision.pending or not in_step(decision):
        return False
    return not (counts.due or counts.pending or counts.refused or counts.held)
