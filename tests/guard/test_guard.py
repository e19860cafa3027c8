"""Which revocations run, and which wait for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest

from orgshare.decide.deciding import decide, make_reach
from orgshare.decide.losses import Cause, Loss
from orgshare.decide.plan import Hold, pairs_id
from orgshare.guard import APPROVAL_STANDS, Baseline, GuardRecord, RecordedHold, approve, baseline, guard, remember
from orgshare.ledger import Entry
from orgshare.policy.model import WINDOW, Limits
from orgshare.words import Pair
from tests.support.facts import NOW, SHARD, A, B, C, facts, image, ledger, made, policy, reading, rule

NO_LIMIT = Limits(lost_pairs=10**6, lost_percent=100, departed_accounts=10**6, departed_percent=100)


def losses(number: int, *, cause: Cause = "audience", image: str = "m-1", rules: tuple[str, ...] = ()) -> list[Loss]:
    """So many accounts that lose one image."""
    return [
        Loss(pair=Pair(image, f"{cause}-{n:04d}"), shard=SHARD, cause=cause, proven=True, rules=rules)
        for n in range(number)
    ]


def base(
    pairs: int = 10**6,
    *,
    images: dict[str, int] | None = None,
    rules: dict[str, tuple[int, int]] | None = None,
    members: int = 10**6,
) -> Baseline:
    """A deployment with so many pairs; ``rules`` are pairs and accounts of each."""
    rules = rules or {}
    return Baseline(
        pairs=pairs,
        by_image={"m-1": 10**6, "m-2": 10**6, **(images or {})},
        by_rule={name: count for name, (count, _) in rules.items()},
        accounts_of_rule={name: accounts for name, (_, accounts) in rules.items()},
        members=members,
    )


def held(
    of: Iterable[Loss],
    limits: Limits = NO_LIMIT,
    *,
    against: Baseline | None = None,
    record: GuardRecord | None = None,
    unread: frozenset[str] = frozenset(),
    doubted: frozenset[Pair] = frozenset(),
) -> tuple[Hold, ...]:
    return guard(
        of,
        base=against or base(),
        limits=limits,
        record=record or GuardRecord(),
        judged=lambda pair: pair.image not in unread and pair not in doubted,
        now=NOW,
    )


def remembered(
    record: GuardRecord,
    holds: Iterable[Hold],
    judged: Callable[[Pair], bool],
    *,
    began_with: GuardRecord | None = None,
    rejected: frozenset[Pair] = frozenset(),
) -> GuardRecord:
    return remember(record, holds, judged, began_with=record if began_with is None else began_with, rejected=rejected)


def pairs(holds: Iterable[Hold]) -> set[Pair]:
    return {pair for hold in holds for pair in hold.pairs}


@pytest.mark.parametrize(
    ("number", "limits", "holds"),
    [
        (3, Limits(lost_pairs=3, lost_percent=100), False),
        (4, Limits(lost_pairs=3, lost_percent=100), True),
        (1, Limits(lost_pairs=0, lost_percent=100), True),
        (20, Limits(lost_pairs=10**6, lost_percent=20), False),
        (21, Limits(lost_pairs=10**6, lost_percent=20), True),
        (1, Limits(lost_pairs=10**6, lost_percent=0), True),
    ],
)
def test_a_limit_holds_when_it_is_passed_and_zero_is_a_limit_of_none(number: int, limits: Limits, holds: bool) -> None:
    """As many as the limit run; one more holds them all; 0 never means no limit."""
    found = held(losses(number), limits, against=base(pairs=100))
    assert len(pairs(found)) == (number if holds else 0)


@pytest.mark.parametrize(
    ("number", "limits", "holds"),
    [
        (5, Limits(departed_accounts=5, departed_percent=100), False),
        (6, Limits(departed_accounts=5, departed_percent=100), True),
        (1, Limits(departed_accounts=0, departed_percent=100), True),
        (5, Limits(departed_accounts=10**6, departed_percent=5), False),
        (6, Limits(departed_accounts=10**6, departed_percent=5), True),
        (1, Limits(departed_accounts=10**6, departed_percent=0), True),
    ],
)
def test_departures_have_limits_of_their_own(number: int, limits: Limits, holds: bool) -> None:
    """Accounts that left are counted as accounts, against all members there were."""
    found = held(losses(number, cause="departed"), limits, against=base(members=100 - number))
    assert len(pairs(found)) == (number if holds else 0)


def test_departures_do_not_count_as_losses_and_losses_not_as_departures() -> None:
    """Each kind is held by its own limit and lets the other run."""
    both = [*losses(3), *losses(3, cause="departed")]
    only_losses = held(both, Limits(lost_pairs=2, lost_percent=100, departed_accounts=3, departed_percent=100))
    only_departed = held(both, Limits(lost_pairs=3, lost_percent=100, departed_accounts=2, departed_percent=100))
    assert {pair.account[:5] for pair in pairs(only_losses)} == {"audie"}
    assert {pair.account[:5] for pair in pairs(only_departed)} == {"depar"}


def test_one_departed_account_counts_once_on_however_many_images() -> None:
    """Three images of one account are three pairs and one account."""
    gone = [*losses(1, cause="departed"), *losses(1, cause="departed", image="m-2")]
    assert held(gone, Limits(departed_accounts=1, departed_percent=100, lost_pairs=0, lost_percent=0)) == ()


@pytest.mark.parametrize(("had", "loses", "holds"), [(3, 3, True), (3, 2, False), (1, 1, False)])
def test_an_image_that_would_lose_its_whole_audience_of_more_than_one_is_held(
    had: int, loses: int, holds: bool
) -> None:
    """Whatever the limits say; a single account is no audience to protect so."""
    assert bool(held(losses(loses), against=base(images={"m-1": had}))) is holds


@pytest.mark.parametrize(("had", "loses", "holds"), [((4, 2), 4, True), ((4, 2), 3, False), ((4, 1), 4, False)])
def test_a_rule_that_would_lose_its_whole_audience_of_more_than_one_is_held(
    had: tuple[int, int], loses: int, holds: bool
) -> None:
    """Also where its images keep the accounts of other rules."""
    assert bool(held(losses(loses, rules=("golden",)), against=base(rules={"golden": had}))) is holds


def test_a_whole_audience_of_departed_accounts_is_held_too() -> None:
    """That everybody left is proven, and still a person should look."""
    assert held(losses(3, cause="departed"), against=base(images={"m-1": 3}))


def test_what_is_held_by_one_image_lets_other_images_run() -> None:
    """Only the pairs of the image that would be emptied wait."""
    found = held([*losses(2), *losses(2, image="m-2")], against=base(images={"m-1": 2}))
    assert {pair.image for pair in pairs(found)} == {"m-1"}


def test_an_approval_releases_exactly_the_pairs_that_were_shown() -> None:
    """Pairs that join later are held on their own."""
    limits = Limits(lost_pairs=0)
    (first,) = held(losses(2), limits)
    record = approve(remembered(GuardRecord(), [first], lambda _: True), record_of(first), now=NOW, who="w", reason="r")
    (later,) = held(losses(3), limits, record=record)
    assert set(later.pairs) == {Pair("m-1", "audience-0002")}


def test_an_approval_releases_a_whole_audience_too() -> None:
    """What was approved runs, even where the rule about whole audiences held it."""
    (hold,) = held(losses(3), against=base(images={"m-1": 3}))
    record = approve(GuardRecord(), record_of(hold), now=NOW, who="w", reason="")
    assert held(losses(3), against=base(images={"m-1": 3}), record=record) == ()


def test_an_approval_expires() -> None:
    """After a day the pairs are held again."""
    (hold,) = held(losses(2), Limits(lost_pairs=0))
    record = approve(GuardRecord(), record_of(hold), now=NOW - APPROVAL_STANDS, who="w", reason="")
    assert pairs(held(losses(2), Limits(lost_pairs=0), record=record)) == set(hold.pairs)


def test_what_was_approved_does_not_count_against_the_limits_again() -> None:
    """Released pairs do not hold others."""
    approved = approve(GuardRecord(), RecordedHold("x", NOW, "", (Pair("m-1", "audience-0000"),)), now=NOW, who="w",
                       reason="")  # fmt: skip
    assert held(losses(2), Limits(lost_pairs=1, lost_percent=100), record=approved) == ()


def test_the_same_pairs_are_the_same_hold_from_run_to_run() -> None:
    """Id, time and reason of a hold stay while its pairs do."""
    limits = Limits(lost_pairs=0)
    (first,) = held(losses(2), limits)
    record = remembered(GuardRecord(), [first], lambda _: True)
    earlier = GuardRecord((RecordedHold(first.id, NOW - timedelta(days=1), "as it was", first.pairs),))
    assert held(losses(2), limits, record=record) == (first,)
    (again,) = held(losses(2), limits, record=earlier)
    assert (again.id, again.since, again.why) == (first.id, NOW - timedelta(days=1), "as it was")


def test_what_was_held_once_waits_for_a_person_even_when_it_became_a_small_part() -> None:
    """Accounts that join meanwhile make the loss look smaller; it is the same loss."""
    (hold,) = held(losses(3), against=base(images={"m-1": 3}))
    record = remembered(GuardRecord(), [hold], lambda _: True)
    assert held(losses(3), against=base(images={"m-1": 30}), record=record) == (hold,)


def test_later_pairs_are_a_hold_of_their_own() -> None:
    """They never slip into a hold that somebody may be about to approve."""
    limits = Limits(lost_pairs=0)
    (first,) = held(losses(2), limits)
    both = held(losses(3), limits, record=remembered(GuardRecord(), [first], lambda _: True))
    assert len(both) == 2
    assert first.id in {hold.id for hold in both}


def test_pairs_that_a_run_did_not_read_stay_in_their_hold() -> None:
    """A look at one image neither shrinks nor renames what is held of others."""
    limits = Limits(lost_pairs=0)
    everything = [*losses(2), *losses(2, image="m-2")]
    (whole,) = held(everything, limits)
    record = remembered(GuardRecord(), [whole], lambda _: True)
    unread = frozenset({"m-2"})
    found = held(losses(2), limits, record=record, unread=unread)
    assert [hold.id for hold in found] == [whole.id]
    assert remembered(record, found, lambda pair: pair.image not in unread) == record


def test_what_could_not_be_judged_counts_and_is_not_held_anew() -> None:
    """A loss that could not be confirmed does not make the rest of its image's audience look like a small part."""
    (rest,) = held(losses(2), against=base(images={"m-1": 2}), doubted=frozenset({Pair("m-1", "audience-0000")}))
    assert rest.pairs == (Pair("m-1", "audience-0001"),)
    assert rest.why == "image m-1 would lose its whole audience, 2 accounts"


def test_a_hold_ends_when_nothing_of_it_is_to_be_revoked_any_more() -> None:
    """Facts that changed drop it; only what was not read stays."""
    limits = Limits(lost_pairs=0)
    (hold,) = held([*losses(1), *losses(1, image="m-2")], limits)
    record = remembered(GuardRecord(), [hold], lambda _: True)
    assert remembered(record, (), lambda _: True).holds == ()
    (rest,) = remembered(record, (), lambda pair: pair.image == "m-1").holds
    assert (rest.pairs, rest.id) == ((Pair("m-2", "audience-0000"),), pairs_id([Pair("m-2", "audience-0000")]))


def test_a_run_ends_no_hold_that_was_made_after_it_began() -> None:
    """Whoever made it has seen what this run, which is slower, has not; what both hold is in one hold."""
    limits = Limits(lost_pairs=0)
    (hold,) = held(losses(2), limits)
    record = remembered(GuardRecord(), [hold], lambda _: True)
    assert remembered(record, (), lambda _: True, began_with=GuardRecord()) == record
    (part,) = held(losses(1), limits)
    both = remembered(record, [part], lambda _: True, began_with=GuardRecord())
    assert [one.pairs for one in sorted(both.holds, key=lambda one: one.pairs)] == [hold.pairs[:1], hold.pairs[1:]]


def record_of(hold: Hold) -> RecordedHold:
    return RecordedHold(hold.id, hold.since, hold.why, hold.pairs)


def test_the_whole_is_what_was_read_and_of_all_else_what_is_known_to_be_there() -> None:
    """An intention alone is no access; a limit in percent is of what is surely there."""
    known = ledger(gold=made(A, B), silver={**made(A, B), C: Entry("intended", NOW, rules=("golden",))})
    of = facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A), known=known)
    whole = baseline(decide(of), of.ledgers, make_reach(of), of.organization.members, now=NOW, window=WINDOW)
    assert (whole.pairs, dict(whole.by_image), dict(whole.accounts_of_rule)) == (
        3, {"m-gold": 1, "m-silver": 2}, {"golden": 2},
    )  # fmt: skip
