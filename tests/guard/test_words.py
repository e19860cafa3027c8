"""What a person reads who is asked: how much, of how much, which limit, and what of it was lost before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest

from orgshare.decide.losses import Cause, Loss
from orgshare.decide.plan import Hold
from orgshare.guard import Baseline, GuardRecord, RecordedHold, Rejection, guard, reject
from orgshare.ledger import Lost
from orgshare.policy.model import Limits
from orgshare.words import Pair
from tests.support.facts import NOW, PARTNER, SHARD, A, B, C, D

EARLIER = NOW - timedelta(hours=3)
NO_LIMIT = Limits(lost_pairs=10**6, lost_percent=100, departed_accounts=10**6, departed_percent=100)


def loss(of: str, account: str, *, cause: Cause = "audience", rules: tuple[str, ...] = ()) -> Loss:
    return Loss(pair=Pair(of, account), shard=SHARD, cause=cause, proven=True, rules=rules)


def losses(*accounts: str, cause: Cause = "audience") -> list[Loss]:
    """What these accounts lose of three images."""
    return [loss(of, account, cause=cause) for of in ("m-1", "m-2", "m-3") for account in accounts]


def base(
    pairs: int = 100,
    members: int = 100,
    lost: Mapping[Pair, Lost] | None = None,
    by_rule: Mapping[str, int] | None = None,
) -> Baseline:
    return Baseline(
        pairs=pairs,
        by_image=dict.fromkeys(("m-1", "m-2", "m-3"), 50),
        by_rule=by_rule or {},
        accounts_of_rule=by_rule or {},
        members=members,
        lost=lost or {},
        gone=frozenset(lost or {}),
    )


def held(
    of: Iterable[Loss],
    limits: Limits = NO_LIMIT,
    against: Baseline | None = None,
    *,
    record: GuardRecord | None = None,
    asking: Iterable[Pair] = (),
) -> tuple[Hold, ...]:
    return guard(
        of,
        asking=asking,
        base=against or base(),
        limits=limits,
        record=record or GuardRecord(),
        judged=lambda _: True,
        now=NOW,
    )


def why(of: Iterable[Loss], limits: Limits, against: Baseline | None = None) -> str:
    (only,) = held(of, limits, against)
    assert only.since == NOW
    return only.why


BEFORE = {Pair("m-1", D): Lost(EARLIER), Pair("m-2", D): Lost(EARLIER)}
LEFT = {Pair("m-1", D): Lost(EARLIER, departed=True), Pair("m-2", D): Lost(EARLIER, departed=True)}


@pytest.mark.parametrize(
    ("limit", "lost", "words"),
    [
        ({"lost_pairs": 8}, {}, "9 pairs would lose access, more than 8 (safety.hold_when.lost_pairs)"),
        (
            {"lost_pairs": 10, "window": timedelta(hours=36)},
            BEFORE,
            "11 pairs would lose access (2 of them lost within 36 hours before), more than 10 "
            "(safety.hold_when.lost_pairs)",
        ),
        (
            {"lost_percent": 8.5},
            {},
            "9 of 100 pairs (9.0 %) would lose access, more than 8.5 % (safety.hold_when.lost_percent)",
        ),
        (
            {"lost_percent": 10},
            BEFORE,
            "11 of 100 pairs (11.0 %) would lose access (2 of them lost within 24 hours before), more than 10 % "
            "(safety.hold_when.lost_percent)",
        ),
    ],
)
def test_a_limit_of_pairs_says_how_many_of_how_many_and_what_was_lost_before(
    limit: dict[str, object], lost: Mapping[Pair, Lost], words: str
) -> None:
    """The key of the policy that is passed is named last."""
    limits = Limits(**{"lost_pairs": 10**6, "lost_percent": 100, **limit})  # type: ignore[arg-type]
    assert why(losses(A, B, C), limits, base(lost=lost)) == words


@pytest.mark.parametrize(
    ("limit", "lost", "words"),
    [
        (
            {"departed_accounts": 2},
            {},
            "3 accounts left the organization, more than 2 (safety.hold_when.departed.accounts)",
        ),
        (
            {"departed_accounts": 3},
            LEFT,
            "4 accounts left the organization (1 of them lost within 24 hours before), more than 3 "
            "(safety.hold_when.departed.accounts)",
        ),
        (
            {"departed_percent": 2},
            {},
            "3 of 103 accounts (2.9 %) left the organization, more than 2 % (safety.hold_when.departed.percent)",
        ),
        (
            {"departed_percent": 3.5},
            LEFT,
            "4 of 103 accounts (3.9 %) left the organization (1 of them lost within 24 hours before), more than 3.5 % "
            "(safety.hold_when.departed.percent)",
        ),
    ],
)
def test_a_limit_of_departures_says_how_many_of_how_many_and_who_left_before(
    limit: dict[str, object], lost: Mapping[Pair, Lost], words: str
) -> None:
    """One account counts once, on however many images."""
    limits = Limits(**{"departed_accounts": 10**6, "departed_percent": 100, **limit})  # type: ignore[arg-type]
    assert why(losses(A, B, C, cause="departed"), limits, base(lost=lost)) == words


def test_the_only_pair_and_the_only_member_are_all_there_is() -> None:
    """One of one is everything, and held by any percentage below that."""
    limits = Limits(lost_pairs=5, lost_percent=60, departed_accounts=5, departed_percent=60)
    causes: tuple[Cause, ...] = ("audience", "departed")
    for cause in causes:
        of = [loss("m-1", A, cause=cause)]
        assert "100.0 %" in why(of, limits, base(pairs=1, members=0))


def test_a_whole_audience_is_found_behind_whoever_changes_its_channel() -> None:
    """A change of channel is no loss, and hides none that comes after it."""
    of = [loss("m-1", A, cause="channel"), *(loss("m-2", account) for account in (A, B))]
    against = Baseline(pairs=100, by_image={"m-1": 50, "m-2": 2}, by_rule={}, accounts_of_rule={}, members=100)
    found = {hold.why: hold.pairs for hold in held(of, against=against)}
    assert found == {
        "1 pairs change to direct grants, perhaps with a gap: their rows may be the share's own": (Pair("m-1", A),),
        "image m-2 would lose its whole audience, 2 accounts": (Pair("m-2", A), Pair("m-2", B)),
    }


def test_a_rule_and_an_image_of_which_nothing_is_known_are_held_as_far_as_they_lose_everybody() -> None:
    """The image is: all that it loses is all that it had. Of the rule nobody has anything."""
    of = [loss("m-new", account, rules=("unheard",)) for account in (A, B)]
    assert [hold.why for hold in held(of)] == ["image m-new would lose its whole audience, 2 accounts"]
    assert held(of[:1]) == ()


def test_a_first_grant_to_a_partner_says_whom_it_is_for_and_since_when_it_waits() -> None:
    """Each is a hold of its own as long as nobody was asked."""
    (hold,) = held((), asking=[Pair("m-1", PARTNER)])
    assert (hold.why, hold.since, hold.cause, hold.gains) == (
        f"the first grant to partner {PARTNER} waits for approval (safety.partners)", NOW, "partner", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        ((A,), "1 pair would be lost for another cause than the one that was rejected"),
        ((A, B), "2 pairs would be lost for another cause than the one that was rejected"),
    ],
)
def test_another_cause_than_the_rejected_one_says_so(accounts: tuple[str, ...], words: str) -> None:
    """The rejection spoke of the audience; now it is the image."""
    pairs = tuple(Pair("m-1", account) for account in accounts)
    record = reject(GuardRecord(), RecordedHold("h-1", NOW, "x", pairs, "audience"), now=NOW, who="ann", reason="no")
    assert record.rejections == (Rejection(pairs, NOW, "ann", "no", "audience"),)
    (hold,) = held([loss("m-1", account, cause="image") for account in accounts], record=record)
    assert hold.why == words
