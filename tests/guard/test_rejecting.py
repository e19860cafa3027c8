"""A person's no, and first grants to partners that wait for a yes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from orgshare.decide.losses import Cause, Loss
from orgshare.decide.plan import Hold, pairs_id
from orgshare.guard import (
    APPROVAL_STANDS,
    PARTNER,
    Baseline,
    GuardRecord,
    RecordedHold,
    Rejection,
    approve,
    guard,
    reject,
    remember,
)
from orgshare.policy.model import Limits
from orgshare.words import Pair
from tests.support.facts import NOW, SHARD

NONE_MAY_GO = Limits(lost_pairs=0, lost_percent=0, departed_accounts=0, departed_percent=0)
X, Y, Z = (Pair("m-1", a) for a in "xyz")
BEFORE = NOW - timedelta(hours=2)


def lost(*pairs: Pair, cause: Cause = "audience") -> list[Loss]:
    return [Loss(pair=pair, shard=SHARD, cause=cause, proven=True, rules=()) for pair in pairs]


def held(
    of: Iterable[Loss] = (),
    record: GuardRecord | None = None,
    *,
    asking: Iterable[Pair] = (),
    limits: Limits = NONE_MAY_GO,
    images: int = 10**6,
) -> tuple[Hold, ...]:
    base = Baseline(pairs=10**6, by_image={"m-1": images}, by_rule={}, accounts_of_rule={}, members=10**6)
    return guard(
        of, asking=asking, base=base, limits=limits, record=record or GuardRecord(), judged=lambda _: True, now=NOW
    )


def recorded(*holds: Hold) -> GuardRecord:
    return remember(GuardRecord(), holds, lambda _: True, began_with=GuardRecord(), rejected=frozenset())


def no(record: GuardRecord, hold: RecordedHold) -> GuardRecord:
    return reject(record, hold, now=BEFORE, who="ann", reason="they are still ours")


def yes(record: GuardRecord, hold: RecordedHold) -> GuardRecord:
    return approve(record, hold, now=BEFORE, who="ann", reason="gone for good")


def after(
    record: GuardRecord, of: Iterable[Loss], holds: Iterable[Hold] = (), *, unread: Iterable[Pair] = ()
) -> GuardRecord:
    """The record after a run that found these losses."""
    return remember(
        record, holds, lambda pair: pair not in set(unread), began_with=record, rejected=record.rejected(of)
    )


def test_a_rejected_hold_is_neither_carried_out_nor_held_again_while_the_same_is_found() -> None:
    """Whatever else is held; the rejection says who, when, why, and for what cause."""
    record = recorded(*held(lost(X, Y)))
    record = no(record, record.holds[0])
    assert record.holds == ()
    assert record.rejections == (Rejection((X, Y), BEFORE, "ann", "they are still ours", "audience"),)
    for _ in range(3):
        assert record.rejected(lost(X, Y)) == {X, Y}
        assert held(lost(X, Y), record) == ()
        record = after(record, lost(X, Y))
    assert record.rejections


def test_pairs_that_join_later_are_not_covered_by_a_rejection() -> None:
    """They are held, and the rejected ones do not count with them."""
    record = recorded(*held(lost(X, Y)))
    record = no(record, record.holds[0])
    (hold,) = held(lost(X, Y, Z), record)
    assert hold.pairs == (Z,)
    assert held(lost(X, Y, Z), record, limits=Limits(lost_pairs=1, lost_percent=100)) == ()
    assert held(lost(X, Y, Z), record, limits=Limits(), images=3) == ()  # two stay, so no whole audience goes


def test_wanted_again_a_pair_is_no_longer_rejected() -> None:
    """When nobody wants it once more, it is held anew; what this run did not judge stays rejected."""
    record = recorded(*held(lost(X, Y, Z)))
    record = no(record, record.holds[0])
    record = after(record, lost(Y), unread=[Z])
    assert [r.pairs for r in record.rejections] == [(Y, Z)]
    assert record.rejected(lost(X, Y, Z)) == {Y, Z}
    assert [hold.pairs for hold in held(lost(X, Y), record)] == [(X,)]


def test_another_cause_is_held_anew_and_never_simply_runs() -> None:
    """Also where no limit would hold it; then the old rejection is forgotten, and the new hold waits as any other."""
    record = recorded(*held(lost(X, Y)))
    record = no(record, record.holds[0])
    wide = Limits(lost_pairs=10**6, lost_percent=100, departed_accounts=10**6, departed_percent=100)
    now = [*lost(X, cause="departed"), *lost(Y)]
    (hold,) = held(now, record, limits=wide)
    assert (hold.pairs, hold.cause) == ((X,), "departed")
    assert hold.why == "1 pair would be lost for another cause than the one that was rejected"
    record = after(record, now, [hold])
    assert [r.pairs for r in record.rejections] == [(Y,)]
    assert [h.pairs for h in held(now, record, limits=wide)] == [(X,)]


def test_rejecting_takes_an_approval_back_and_approving_a_rejection() -> None:
    """Whatever a person said last holds."""
    record = recorded(*held(lost(X, Y)))
    hold = record.holds[0]
    record = no(yes(record, hold), hold)
    assert not record.approved(NOW)
    assert record.rejected(lost(X, Y)) == {X, Y}
    record = yes(record, hold)
    assert record.approved(NOW) == {X, Y}
    assert record.rejections == ()
    assert not record.rejected(lost(X, Y))


def test_rejecting_leaves_the_pairs_that_joined_the_hold_meanwhile() -> None:
    """They stay held under an id of their own."""
    shown = RecordedHold(pairs_id([X]), BEFORE, "too many", (X,), "audience")
    grown = RecordedHold(pairs_id([X, Y]), BEFORE, "too many", (X, Y), "audience")
    record = no(GuardRecord((grown,)), shown)
    assert record.holds == (RecordedHold(pairs_id([Y]), BEFORE, "too many", (Y,), "audience"),)


def test_a_rejection_made_while_a_run_was_under_way_stays_and_keeps_its_pairs_out_of_what_the_run_holds() -> None:
    """The run read the record before, so it knows nothing of it."""
    began = recorded(*held(lost(X, Y, Z)))
    holds = held(lost(X, Y, Z), began)
    meanwhile = no(began, RecordedHold("h-1", BEFORE, "", (X, Y), "audience"))
    record = remember(meanwhile, holds, lambda _: True, began_with=began, rejected=frozenset())
    assert [h.pairs for h in record.holds] == [(Z,)]
    assert [r.pairs for r in record.rejections] == [(X, Y)]


def test_what_is_held_together_has_one_cause() -> None:
    """So a rejection speaks of one thing; the grounds may be the same."""
    holds = held([*lost(X, Y), *lost(Z, cause="image")])
    assert {(hold.pairs, hold.cause) for hold in holds} == {((X, Y), "audience"), ((Z,), "image")}
    assert {hold.cause for hold in recorded(*holds).holds} == {"audience", "image"}


def test_a_first_grant_to_a_partner_is_a_hold_of_a_pair_to_be_gained() -> None:
    """One for each partner, each with an id over its pairs."""
    found = held(asking=[X, Y, Pair("m-2", "x")])
    assert {(hold.pairs, hold.gains, hold.cause) for hold in found} == {
        ((X, Pair("m-2", "x")), True, PARTNER),
        ((Y,), True, PARTNER),
    }
    assert found[0].id == pairs_id(found[0].pairs)
    assert {hold.why for hold in found} == {
        f"the first grant to partner {a} waits for approval (safety.partners)" for a in "xy"
    }
    assert {hold.gains for hold in recorded(*found).holds} == {True}


def test_an_approval_of_a_gain_never_releases_a_loss_nor_the_other_way_round() -> None:
    """Also where both are of the very same pairs, and so have the same id."""
    gain = RecordedHold(pairs_id([X]), BEFORE, "", (X,), PARTNER, gains=True)
    loss = RecordedHold(pairs_id([X]), BEFORE, "", (X,), "audience")
    of_gain, of_loss = yes(GuardRecord(), gain), yes(GuardRecord(), loss)
    assert not of_gain.approved(NOW)
    assert of_gain.approved(NOW, gains=True) == {X}
    assert of_loss.approved(NOW) == {X}
    assert not of_loss.approved(NOW, gains=True)
    assert held(lost(X), of_gain)
    assert held(asking=[X], record=of_loss)
    assert not held(asking=[X], record=of_gain)
    assert not held(lost(X), of_loss)


def test_a_hold_of_a_gain_does_not_hold_a_loss_of_the_same_pair() -> None:
    """It waited to be gained; that it is lost now is another matter, within the limits."""
    gain = RecordedHold(pairs_id([X]), BEFORE, "first", (X,), PARTNER, gains=True)
    assert held(lost(X), GuardRecord((gain,)), limits=Limits()) == ()


def test_an_approved_gain_stands_for_a_day_and_waits_again_after_it() -> None:
    """As an approved loss does."""
    gain = RecordedHold(pairs_id([X]), BEFORE, "", (X,), PARTNER, gains=True)
    old = approve(GuardRecord(), gain, now=NOW - APPROVAL_STANDS, who="w", reason="")
    assert held(asking=[X], record=old)


def test_a_rejected_gain_is_out_of_sight_until_nobody_wants_it() -> None:
    """Wanted again after that, a person is asked again."""
    record = recorded(*held(asking=[X]))
    record = no(record, record.holds[0])
    assert record.rejected((), [X]) == {X}
    assert record.rejected(lost(X)) == frozenset()
    assert held(asking=[X], record=record) == ()
    kept = remember(record, (), lambda _: True, began_with=record, rejected=record.rejected((), [X]))
    assert kept.rejections == record.rejections
    forgotten = remember(record, (), lambda _: True, began_with=record, rejected=frozenset())
    assert forgotten.rejections == ()
    assert held(asking=[X], record=forgotten)


def test_everything_to_be_gained_that_a_person_was_asked_about_is_known() -> None:
    """Held and rejected pairs alike; losses are none of it."""
    gain = RecordedHold("h-1", BEFORE, "", (X,), PARTNER, gains=True)
    said_no = Rejection((Y,), BEFORE, "ann", "", PARTNER, gains=True)
    record = GuardRecord((gain, RecordedHold("h-2", BEFORE, "", (Z,))), (), (said_no,))
    assert record.asked() == {X, Y}
