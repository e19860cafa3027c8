"""Limits over a rolling window: nothing is gained by taking access away piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orgshare.decide.deciding import decide, make_reach
from orgshare.decide.losses import Cause, Loss
from orgshare.decide.plan import Hold
from orgshare.guard import Baseline, GuardRecord, RecordedHold, approve, baseline, guard, reject, remember
from orgshare.ledger import LOSSES_KEPT, Entry, Ledger, Lost
from orgshare.policy.model import WINDOW, Limits
from orgshare.words import Pair, Shard
from tests.support.facts import NOW, OWNER, SHARD, A, B, C, D, facts, image, ledger, made, policy, reading, rule

NO_LIMIT = Limits(lost_pairs=10**6, lost_percent=100, departed_accounts=10**6, departed_percent=100)
OTHER = Shard("ecs", OWNER, "cn-shanghai")
EARLIER = NOW - timedelta(hours=1)


def loss(account: str, *, of: str = "m-1", cause: Cause = "audience", rules: tuple[str, ...] = ()) -> Loss:
    return Loss(pair=Pair(of, account), shard=SHARD, cause=cause, proven=True, rules=rules)


def base(
    pairs: int = 10**6,
    *,
    lost: Mapping[Pair, Lost] | None = None,
    images: Mapping[str, int] | None = None,
    members: int = 10**6,
) -> Baseline:
    """A deployment that lost these pairs within the window; they are not there any more."""
    lost = lost or {}
    return Baseline(
        pairs=pairs, by_image={"m-1": 10**6, **(images or {})}, by_rule={}, accounts_of_rule={}, members=members,
        lost=lost, gone=frozenset(lost),
    )  # fmt: skip


def earlier(*accounts: str, of: str = "m-2", departed: bool = False, approved: bool = False) -> dict[Pair, Lost]:
    return {Pair(of, a): Lost(EARLIER, departed=departed, approved=approved) for a in accounts}


def held(of: Iterable[Loss], limits: Limits, against: Baseline, record: GuardRecord | None = None) -> set[Pair]:
    holds = guard(of, base=against, limits=limits, record=record or GuardRecord(), judged=lambda _: True, now=NOW)
    return {pair for hold in holds for pair in hold.pairs}


def whole(known: Mapping[Shard, Ledger], *accounts: str, window: timedelta = WINDOW) -> Baseline:
    """The baseline of a deployment whose image m-gold is read as shared with these accounts."""
    of = facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), *accounts), known=known.get(SHARD))
    return baseline(
        decide(of), {**of.ledgers, **known}, make_reach(of), of.organization.members, now=NOW, window=window
    )


@pytest.mark.parametrize(("before", "holds"), [((), False), (("x",), False), (("x", "y"), True)])
def test_what_was_lost_within_the_window_counts_with_what_this_run_would_take(
    before: tuple[str, ...], holds: bool
) -> None:
    """Three pairs are the limit: two of this run and one before run, two before hold all of this run."""
    limits = replace(NO_LIMIT, lost_pairs=3)
    found = held([loss("a"), loss("b")], limits, base(lost=earlier(*before)))
    assert found == ({Pair("m-1", "a"), Pair("m-1", "b")} if holds else set())


def test_a_pair_that_is_lost_again_counts_once() -> None:
    """The cloud refused it every time, and every time it was written down."""
    limits = replace(NO_LIMIT, lost_pairs=2)
    assert not held([loss("a"), loss("b")], limits, base(lost=earlier("a", "b", of="m-1")))


def test_what_a_person_approved_counts_towards_no_limit() -> None:
    """Neither among pairs nor among accounts that left."""
    gone = {**earlier("x", "y", approved=True), **earlier("u", "v", departed=True, approved=True)}
    limits = Limits(lost_pairs=1, lost_percent=100, departed_accounts=1, departed_percent=100)
    assert not held([loss("a"), loss("b", cause="departed")], limits, base(lost=gone))


@pytest.mark.parametrize(("before", "holds"), [(1, False), (2, True)])
def test_percent_is_of_what_there_was(before: int, holds: bool) -> None:
    """Of ten pairs two may go in a day: the second one is 20 percent, the third 30."""
    lost = earlier(*(f"x{n}" for n in range(before)))
    assert bool(held([loss("a")], replace(NO_LIMIT, lost_percent=20), base(pairs=10, lost=lost))) is holds


@pytest.mark.parametrize(
    ("limits", "before", "holds"),
    [
        (replace(NO_LIMIT, departed_accounts=2), 1, False),
        (replace(NO_LIMIT, departed_accounts=2), 2, True),
        (replace(NO_LIMIT, departed_percent=20), 1, False),
        (replace(NO_LIMIT, departed_percent=20), 2, True),
    ],
)
def test_accounts_that_left_within_the_window_count_with_those_that_leave_now(
    limits: Limits, before: int, holds: bool
) -> None:
    """As accounts, of ten members before the first left; with the pairs of others they have nothing to do."""
    lost = earlier(*(f"x{n}" for n in range(before)), departed=True)
    against = base(lost=lost, members=9)  # one leaves now, the others are counted already
    assert bool(held([loss("a", cause="departed")], limits, against)) is holds
    assert not held([loss("a")], replace(limits, lost_pairs=1), against)


def test_a_limit_of_none_stays_one_of_none() -> None:
    """Whatever the window, 0 lets nothing run; and what was lost before is held by nothing now."""
    assert held([loss("a")], replace(NO_LIMIT, lost_pairs=0), base())
    assert held([loss("a", cause="departed")], replace(NO_LIMIT, departed_accounts=0), base())
    assert not held([], Limits(lost_pairs=0, lost_percent=0), base(lost=earlier("x", "y")))


def test_an_image_that_loses_its_audience_one_by_one_is_held_before_the_last() -> None:
    """Its only account may go at once; the last of two may not, when the other went within the window."""
    assert not held([loss("a")], NO_LIMIT, base(images={"m-1": 1}))
    assert held([loss("a")], NO_LIMIT, base(images={"m-1": 1}, lost=earlier("b", of="m-1"))) == {Pair("m-1", "a")}
    assert not held([loss("a")], NO_LIMIT, base(images={"m-1": 2}, lost=earlier("b", of="m-1")))


def test_a_rule_that_loses_its_audience_one_by_one_is_held_before_the_last() -> None:
    """The accounts that went within the window were a part of it, also where each image keeps somebody else."""
    known = ledger(gold=made(B)).with_lost({Pair("m-gold", A): Lost(EARLIER, ("golden",))}, WINDOW)
    against = whole({SHARD: known}, B, C)
    assert (dict(against.by_rule), dict(against.accounts_of_rule)) == ({"golden": 1}, {"golden": 2})
    assert held([loss(B, of="m-gold", rules=("golden",))], NO_LIMIT, against)
    alone = whole({SHARD: ledger(gold=made(B))}, B, C)
    assert not held([loss(B, of="m-gold", rules=("golden",))], NO_LIMIT, alone)


def test_what_was_lost_is_summed_from_all_shards_and_counts_once_where_it_is_there_again() -> None:
    """Two pairs of another shard are gone, one of this shard was given again, one was granted by hand."""
    here = ledger(gold=made(A, B)).with_lost({Pair("m-gold", a): Lost(EARLIER) for a in (A, D)}, WINDOW)
    there = ledger(far=made(A)).with_lost({Pair("m-far", a): Lost(EARLIER) for a in (A, B, C)}, WINDOW)
    found = whole({SHARD: here, OTHER: there}, A, B)
    assert set(found.lost) == {Pair("m-gold", A), Pair("m-gold", D), *(Pair("m-far", a) for a in (A, B, C))}
    assert found.gone == {Pair("m-gold", D), Pair("m-far", B), Pair("m-far", C)}
    assert (found.by_image["m-gold"], found.by_image["m-far"], found.pairs) == (2, 1, 3 + 3)


def test_an_intention_alone_does_not_bring_a_lost_pair_back() -> None:
    """Nobody knows whether it was carried out, so the pair still counts as gone."""
    there = ledger(far={A: Entry("intended", NOW)}).with_lost({Pair("m-far", A): Lost(EARLIER)}, WINDOW)
    assert whole({OTHER: there}, B).gone == {Pair("m-far", A)}


def test_what_is_older_than_the_window_counts_no_more() -> None:
    """To the second; the policy says how long the window is."""

    def at(age: timedelta) -> Ledger:
        return Ledger().with_lost({Pair("m-1", A): Lost(NOW - age)}, WINDOW)

    second = timedelta(seconds=1)
    assert whole({OTHER: at(WINDOW - second)}).lost
    assert not whole({OTHER: at(WINDOW)}).lost
    assert not whole({OTHER: at(timedelta(hours=2))}, window=timedelta(hours=2)).lost
    assert whole({OTHER: at(timedelta(hours=30))}, window=timedelta(hours=31)).lost


def test_members_that_left_are_a_part_of_the_members_and_those_that_came_back_count_once() -> None:
    """Six members now, one of whom left and came back; two others are away."""
    lost = {Pair("m-1", a): Lost(EARLIER, departed=True) for a in (A, "gone-1", "gone-2")}
    assert whole({OTHER: Ledger().with_lost(lost, WINDOW)}).members == 8


def test_losses_are_kept_for_the_window_and_at_least_a_day() -> None:
    """What is older is dropped when something new is written down."""
    old = {Pair("m-1", A): Lost(NOW - LOSSES_KEPT), Pair("m-2", A): Lost(NOW - timedelta(hours=23))}
    new = {Pair("m-3", A): Lost(NOW)}
    known = Ledger(lost={p.image: {p.account: lost} for p, lost in old.items()})
    assert set(known.with_lost(new, timedelta(hours=1)).lost) == {"m-2", "m-3"}
    assert set(known.with_lost(new, timedelta(days=2)).lost) == {"m-1", "m-2", "m-3"}
    assert known.with_lost({}, WINDOW) is known


def test_an_approval_does_not_undo_that_a_pair_was_lost_without_one() -> None:
    """Within the window the pair counts as what it was first; after it, as what it is now."""
    pair = Pair("m-1", A)
    for age, approved in ((WINDOW - timedelta(seconds=1), False), (WINDOW, True)):
        known = Ledger(lost={"m-1": {A: Lost(NOW - age)}})
        assert known.with_lost({pair: Lost(NOW, approved=True)}, WINDOW).lost["m-1"][A] == Lost(NOW, approved=approved)


class Deployment:
    """Many images that each have one rule and one account to spare, and what runs do to them in the course of time."""

    def __init__(self, limit: int) -> None:
        self.limits = replace(NO_LIMIT, lost_pairs=limit)
        self.ledger, self.record, self.now = Ledger(), GuardRecord(), NOW
        self.ran: list[tuple[Pair, bool, timedelta]] = []
        self.approved: dict[Pair, timedelta] = {}
        self.rejected: set[Pair] = set()

    def run(self, accounts: set[str]) -> tuple[Hold, ...]:
        """One run that finds these accounts unwanted, and what it holds."""
        losses = [loss(account) for account in sorted(accounts)]
        lost = self.ledger.lately_lost(self.now, self.limits.window)
        before, aside = self.record, self.record.rejected(losses)
        against = base(lost=lost)
        holds = guard(losses, base=against, limits=self.limits, record=before, judged=lambda _: True, now=self.now)
        waiting = aside | {pair for hold in holds for pair in hold.pairs}
        released = before.approved(self.now)
        running = {one.pair: Lost(self.now, approved=one.pair in released) for one in losses if one.pair not in waiting}
        self.ledger = self.ledger.with_lost(running, self.limits.window)
        self.record = remember(before, holds, lambda _: True, began_with=before, rejected=aside)
        self.ran += [(pair, taken.approved, self.now - NOW) for pair, taken in running.items()]
        self.rejected &= {one.pair for one in losses}
        assert not self.rejected & running.keys()
        for pair, taken in running.items():
            assert not taken.approved or self.now - NOW - self.approved[pair] < timedelta(hours=24)
        return holds

    def decide(self, choice: str) -> None:
        """A person answers for the first hold."""
        for hold in self.record.holds[:1]:
            answer = approve if choice == "approve" else reject
            self.record = answer(self.record, hold, now=self.now, who="w", reason="r")
            if choice == "approve":
                self.approved |= dict.fromkeys(hold.pairs, self.now - NOW)
                self.rejected -= set(hold.pairs)
            else:
                self.rejected |= set(hold.pairs)

    def unapproved(self, until: timedelta) -> set[Pair]:
        """The pairs that ran without a person's word within the window that ends then."""
        return {p for p, approved, at in self.ran if not approved and until - self.limits.window < at <= until}


steps = st.lists(
    st.one_of(
        st.sets(st.sampled_from([f"a{n}" for n in range(8)]), max_size=8),
        st.sampled_from(["approve", "reject"]),
        st.integers(1, 30),
    ),
    max_size=25,
)


@given(limit=st.integers(0, 5), steps=steps)
def test_whatever_the_order_and_split_at_most_the_limit_runs_unapproved_within_a_window(
    limit: int, steps: list[set[str] | str | int]
) -> None:
    """Approved pairs run for a day only, rejected ones never, and 0 lets nothing run."""
    deployment = Deployment(limit)
    for step in steps:
        if isinstance(step, int):
            deployment.now += timedelta(hours=step)
        elif isinstance(step, str):
            deployment.decide(step)
        else:
            deployment.run(step)
            assert len(deployment.unapproved(deployment.now - NOW)) <= limit


def test_a_hold_of_the_state_says_how_much_of_it_was_lost_before() -> None:
    """Whoever reads it sees why two pairs are more than three."""
    (hold,) = guard(
        [loss("a"), loss("b")],
        base=base(lost=earlier("x", "y")),
        limits=replace(NO_LIMIT, lost_pairs=3),
        record=GuardRecord((RecordedHold("h-0", NOW, "other", (Pair("m-9", "z"),)),)),
        judged=lambda _: True,
        now=NOW,
    )
    assert hold.why == (
        "4 pairs would lose access (2 of them lost within 24 hours before), more than 3 (safety.hold_when.lost_pairs)"
    )
