"""Decide, ask for proof, guard: from a reading to a plan.

Whoever is about to lose access because of what a listing said is asked for once more, alone: accounts in the
directory, images by their ids. Losses that the guard holds anyway wait with the asking, except for departures: whether
an account really left has to be known to be held as what it is.

What can go wrong: acting on the first reading because asking failed. A loss that was asked for and not proven never
runs; it is reported as incomplete, or stays in the hold that it was in before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.deciding import decide, make_reach
from orgshare.decide.decisions import Decisions
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.losses import Loss, foreseen
from orgshare.decide.plan import Finding, Hold, Plan
from orgshare.decide.planning import assemble, running, waiting
from orgshare.errors import UNREAD
from orgshare.focus import Focus
from orgshare.guard import NO_PAIRS, Baseline, GuardRecord, baseline, guard
from orgshare.ledger import Ledger
from orgshare.observe.images import same_selection
from orgshare.observe.organization import confirm
from orgshare.retired import NONE_RETIRED, Retirements
from orgshare.seen import see
from orgshare.way.keys import without_unneeded
from orgshare.way.look import Looked, find_encryption, look
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.way.sources import origin_again
from orgshare.words import Image, Incomplete, Pair, Shard, counted, wide_shard


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with everything that it rests on. ``judged`` says which pairs the run came to a conclusion about.

    ``running`` are the losses that its changes bring about, ``rejected`` the pairs that stay because a person said so.
    """

    plan: Plan
    facts: Facts
    decisions: Decisions
    looked: Looked
    judged: Callable[[Pair], bool]
    record: GuardRecord
    now: datetime
    running: tuple[Loss, ...] = ()
    rejected: frozenset[Pair] = NO_PAIRS


class _Guarded(Struct, frozen=True):
    """Decisions with what the guard makes of them."""

    facts: Facts
    decisions: Decisions
    holds: tuple[Hold, ...]
    rejected: frozenset[Pair]
    judged: Callable[[Pair], bool]

    def held(self) -> frozenset[Pair]:
        """The pairs that are not lost now, whatever the decisions say: a person has to agree, or said no."""
        return waiting(self.holds) | self.rejected


def make_plan(runtime: Runtime, focus: Focus, *, retiring: Retirements = NONE_RETIRED) -> Planned:
    """Read and decide; changes nothing, neither in the cloud nor in the state.

    ``retiring`` are images that a person is about to retire, beside those that are retired.
    """
    now = runtime.now()
    with asking_the_state():
        retired = {**retiring, **runtime.state.retired()}
        record = runtime.state.guard()  # before reading: a hold that is recorded meanwhile is of later facts
    looked = look(runtime, focus, now, retired)
    seen = see(looked.seen, looked.organization, frozenset(), now)
    facts = Facts(
        policy=runtime.policy,
        organization=looked.organization,
        readings=looked.readings,
        ledgers=looked.ledgers(),
        sharing=looked.sharing,
        passed_over=looked.passed_over,
        unselected=tuple(image for image in looked.unselected if image.shard.service == "eds"),
        proof=Proof(contradicted=looked.contradicted),
        now=now,
        state=runtime.state.beginning.id,
        sweep=looked.whole >= looked.services.keys(),
        settled=seen.settled(now, runtime.policy.directory.settle),
        established=seen.established(now, runtime.policy.directory.settle),
        elsewhere={**seen.vanished(), **seen.moved(now, runtime.policy.directory.settle)},
        released=record.approved(now, gains=True),
        retired=retired,
        roles={owner: each.facts for owner, each in looked.roles.items()},
        copying=looked.copying,
    )
    while True:
        guarded = _proven(runtime, looked, facts, record, everything=looked.everything)
        facts, decisions = guarded.facts, guarded.decisions
        if guarded.held():
            facts = replace(facts, held=guarded.held(), rejected=guarded.rejected)
            decisions = decide(facts)
        readings = find_encryption(runtime, looked.services, facts.readings, _gains(decisions))
        if readings is facts.readings:
            break
        looked = replace(looked, readings=readings)
        facts = replace(facts, readings=readings, held=NO_PAIRS, rejected=NO_PAIRS)
    decisions, gaps = without_unneeded(runtime, looked, facts, decisions, guarded.held())
    orphaned = orphans(looked.ledgers(), looked.services.keys(), looked.incomplete) if looked.everything else ()
    findings = (*looked.findings, *orphaned, *orphaned_roles(looked), *runtime.lacking())
    plan = assemble(
        facts,
        decisions,
        guarded.holds,
        rejected=guarded.rejected,
        findings=findings,
        incomplete=(*looked.incomplete, *gaps),
    )
    approved = record.approved(now)
    return Planned(
        plan=plan,
        facts=facts,
        decisions=decisions,
        looked=looked,
        judged=guarded.judged,
        record=record,
        now=now,
        running=tuple(replace(loss, approved=loss.pair in approved) for loss in running(decisions, guarded.held())),
        rejected=guarded.rejected,
    )


def _gains(decisions: Decisions) -> Callable[[Image], bool]:
    """Whether somebody new is about to get an image, or might if a person approved: whether it is encrypted has to be
    known first."""
    filling = {
        (shard, joining.share or f"new {joining.audience}")
        for shard, decided in decisions.shards.items()
        for joining in decided.arrangement.joining
    }
    found = {d.image.id for d in decisions.images if d.grants or d.asking or (d.image.shard, d.home) in filling}
    return lambda image: image.id in found


def _proven(runtime: Runtime, looked: Looked, facts: Facts, record: GuardRecord, *, everything: bool) -> _Guarded:
    """Decide and guard until every loss that would run has been asked for. Each round asks for more, so it ends."""
    asked: frozenset[Pair] = frozenset()
    while True:
        guarded = _guarded(looked, facts, record, asked, everything=everything)
        held = guarded.held()
        doubts = [
            loss
            for loss in guarded.decisions.losses()
            if not loss.proven
            and loss.pair not in asked
            and (loss.cause == "departed" or loss.pair not in held)
            and not (facts.proof.contradicted and loss.hangs_on_listing)
        ]
        if not doubts:
            return guarded
        asked |= {loss.pair for loss in doubts}
        facts = _ask(runtime, looked, facts, doubts)


def _guarded(
    looked: Looked, facts: Facts, record: GuardRecord, asked: frozenset[Pair], *, everything: bool
) -> _Guarded:
    """What the guard holds. A loss that was asked for in vain counts; what a lying listing shows does not."""
    decisions = decide(facts)
    losses = decisions.losses()
    in_vain = {loss.pair for loss in losses if not loss.proven and loss.pair in asked}
    misled = {loss.pair for loss in losses if facts.proof.contradicted and loss.hangs_on_listing}
    others = foreseen(facts, decisions.audiences, looked.services.keys()) if losses else ()
    judged = _judged(looked, facts, decisions, record, frozenset(in_vain | misled), everything=everything)
    limits = facts.policy.limits

    def there(*, associated: bool) -> Baseline:
        return baseline(
            decisions,
            facts.ledgers,
            make_reach(facts),
            facts.organization.members,
            now=facts.now,
            window=limits.window,
            associated=associated,
            absent=looked.absent,
        )

    holds = guard(
        (loss for loss in (*losses, *others) if loss.pair not in misled),
        asking=decisions.asking(),
        base=there(associated=False),
        associated=there(associated=True) if losses else None,
        limits=limits,
        record=record,
        judged=judged,
        now=facts.now,
    )
    return _Guarded(facts, decisions, holds, record.rejected(losses, decisions.asking()), judged)


def _judged(
    looked: Looked,
    facts: Facts,
    decisions: Decisions,
    record: GuardRecord,
    doubted: frozenset[Pair],
    *,
    everything: bool,
) -> Callable[[Pair], bool]:
    """Which pairs this run came to a conclusion about: what it read and does not doubt, and what is not ours at all.

    What is only about to become ours, and the grants of others, no ledger tells: of these, only a run that read
    everything knows that their image is not there any more. Nor does who only received an image know anything of it.
    """
    own = (decision for decision in decisions.images if decision.image.alias == "self")
    undecided = {decision.image.id: decision.undecided for decision in own}
    ledgers = tuple(facts.ledgers.values())
    shared = {e for ledger in ledgers for rows in ledger.shares.values() for e in rows}
    asked = record.asked()
    # A policy without rules is that of a shard that a person ends: no other one was looked at.
    whole = bool(facts.policy.rules) and everything and not looked.incomplete
    whole = whole and all(r.grants is not None for r in looked.readings)

    def judged(pair: Pair) -> bool:
        if pair.image in undecided:
            return pair not in doubted and pair.account not in undecided[pair.image]
        if pair in asked or any(pair.account in ledger.strangers.get(pair.image, {}) for ledger in ledgers):
            return whole
        return pair.image not in shared and not any(pair.account in ledger.entries(pair.image) for ledger in ledgers)

    return judged


def _ask(runtime: Runtime, looked: Looked, facts: Facts, doubts: list[Loss]) -> Facts:
    accounts = {loss.pair.account for loss in doubts if loss.hangs_on_listing}
    accounts -= facts.proof.departed | facts.proof.placed
    confirmation = confirm(looked.directory, facts.organization, accounts, runtime.executor)
    by_id = {reading.image.id: reading.image for reading in facts.readings}

    def unchanged(image: str) -> bool:
        row = by_id[image]
        try:
            again = looked.services[row.shard].image(image)
            origin = origin_again(runtime, row)
        except UNREAD:
            return False
        return again is not None and same_selection(row, replace(again, origin=origin))

    images = sorted({loss.pair.image for loss in doubts if loss.hangs_on_image} - facts.proof.images)
    seen_twice = zip(images, runtime.executor.map(unchanged, images), strict=True)
    proof = Proof(
        departed=facts.proof.departed | confirmation.departed,
        placed=facts.proof.placed | confirmation.placed,
        images=facts.proof.images | {image for image, same in seen_twice if same},
        contradicted=facts.proof.contradicted or confirmation.contradicted,
    )
    return replace(facts, organization=confirmation.organization, proof=proof)


def orphaned_roles(looked: Looked) -> Iterator[Finding]:
    """Sharing roles in which we let anybody in, of owners that the policy does not name any more."""
    for owner, number in sorted(looked.left_roles.items()) if looked.everything else ():
        why = f"we let {counted(number, 'account')} into the sharing role of {owner}, which the policy does not name"
        yield Finding("orphaned", "", "", f"{why}; nothing is done there ({wide_shard(owner)})")


def orphans(
    ledgers: Mapping[Shard, Ledger], named: Collection[Shard], unread: Collection[Incomplete]
) -> Iterator[Finding]:
    """Shards with anything of ours that the policy does not name any more, as far as what it names could be read."""
    known = {shard for shard, ledger in ledgers.items() if ledger.grants or ledger.shares or ledger.copied()}
    for shard in sorted(known.difference(named)):
        of_owner = f"{shard.service}/{shard.owner}/*"
        if not any(gap.name in (str(shard), of_owner) for gap in unread):
            why = f"the state knows what was shared in {shard}, which the policy does not name; nothing is done there"
            yield Finding("orphaned", "", "", why)
