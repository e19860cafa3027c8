"""What is ours: entries, and what readings make of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orgshare.ledger import NEVER_VISIBLE, NOT_VISIBLE_YET, Entry, Ledger, managed, settle
from orgshare.words import Grant
from tests.support.facts import NOW, SHARED, A, B, C, ledger, made


def grant(account: str, at: str = SHARED) -> Grant:
    return Grant(account, at)


def at(minutes: float) -> str:
    """A SharedTime so many minutes after now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_grant_that_was_read_back_is_known_by_its_shared_time() -> None:
    """The same account with another SharedTime is another grant."""
    entries = made(A, B, C)
    assert managed(entries, [grant(A), grant(B, at(0)), grant("9")]) == {A}


@pytest.mark.parametrize("state", ["intended", "accepted"])
@pytest.mark.parametrize(
    ("shared", "ours"), [(at(0), True), (at(60), True), (at(-19), True), (at(-21), False), ("", True), ("soon", True)]
)
def test_an_intended_grant_is_ours_if_it_appeared_since_the_intention(state: str, shared: str, ours: bool) -> None:
    """What was there before belongs to somebody else; the vendor's clock may be twenty minutes behind."""
    assert Entry(state, NOW).owns(grant(A, shared)) is ours  # type: ignore[arg-type]


def test_a_grant_of_ours_that_is_listed_becomes_made() -> None:
    """Its SharedTime is kept from then on, and an earlier absence is forgotten."""
    entries = {A: Entry("intended", NOW), B: Entry("accepted", NOW, missing=1), **made(C)}
    settled = settle(entries, [grant(A, at(1)), grant(B, at(2)), grant(C)], NOW)
    assert {a: (e.state, e.shared_time, e.missing) for a, e in settled.items()} == {
        A: ("made", at(1), 0),
        B: ("made", at(2), 0),
        C: ("made", SHARED, 0),
    }


def test_ownership_ends_at_the_second_reading_that_does_not_show_the_grant() -> None:
    """One reading may lie; two in different runs end it."""
    once = settle(made(A, B, C), [grant(A)], NOW)
    assert {a: e.missing for a, e in once.items()} == {A: 0, B: 1, C: 1}
    assert set(settle(once, [grant(A), grant(B)], NOW)) == {A, B}


def test_a_grant_that_was_never_listed_is_waited_for_before_it_is_forgotten() -> None:
    """However many runs look meanwhile: reading may lag behind sharing."""
    entries = {A: Entry("accepted", NOW), B: Entry("intended", NOW), **made(C)}
    early = NOW + NOT_VISIBLE_YET - timedelta(seconds=1)
    assert set(settle(settle(entries, [], early), [], early)) == {A, B}
    late = NOW + NOT_VISIBLE_YET
    assert settle(settle(entries, [], late), [], late) == {}


def test_a_strangers_grant_in_its_place_ends_ownership_like_an_absence() -> None:
    """Somebody removed ours and made their own: at the second sight the entry goes."""
    theirs = [grant(A, at(5))]
    assert settle(settle(made(A), theirs, NOW), theirs, NOW) == {}


def test_an_image_absent_by_its_id_in_two_sweeps_leaves_the_ledger() -> None:
    """Once is not enough, and being seen in between begins the count anew."""
    known = ledger(gold=made(A), silver=made(B), bronze=made(C))
    once = known.with_absence("m-gold", 1)
    assert (set(once.grants), once.absent) == ({"m-gold", "m-silver", "m-bronze"}, {"m-gold": 1})
    assert (set(once.with_absence("m-gold", 2).grants), once.with_absence("m-gold", 2).absent) == (
        {"m-silver", "m-bronze"},
        {},
    )
    assert once.with_absence("m-gold", 0) == known


def test_a_ledger_is_never_changed_in_place() -> None:
    """Every change gives a new ledger; an image without entries leaves it."""
    known = ledger(gold=made(A))
    assert known.with_entries("m-gold", {}) == Ledger()
    assert set(known.entries("m-gold")) == {A}
    with pytest.raises(TypeError):
        known.grants["m-gold"] = {}  # type: ignore[index]


def test_a_grant_that_is_asked_for_again_is_known_by_what_was_seen_before() -> None:
    """The reading that did not show it may have been wrong: its old SharedTime is ours, and so is a new one."""
    again = made(A)[A].intended_again(NOW)
    assert again.owns(grant(A))
    assert again.owns(grant(A, at(0)))
    assert not again.owns(grant(A, at(-60)))
    assert again.seen(grant(A, at(0)), NOW).shared_time == at(0)


def test_a_grant_that_was_asked_for_and_never_seen_may_appear_with_the_time_of_the_first_asking() -> None:
    """For a day; what appears with an older time than that is somebody else's."""
    late = NOW + timedelta(hours=2)
    again = Entry("accepted", NOW).intended_again(late)
    assert (again.since, again.owns(grant(A, at(1))), again.owns(grant(A, at(-21)))) == (late, True, False)
    assert again.intended_again(late).owns(grant(A, at(1)))
    assert not again.intended_again(NOW + NEVER_VISIBLE).owns(grant(A, at(1)))
    assert again.seen(grant(A, at(1)), late + NOT_VISIBLE_YET).first is None


def test_a_row_may_still_be_as_the_first_of_several_askings_left_it() -> None:
    """Adding twice may renew the SharedTime, and reading may lag: both times are ours until the last one is visible."""
    again = made(A)[A].intended_again(NOW)
    early = again.seen(grant(A), NOW + NOT_VISIBLE_YET - timedelta(seconds=1))
    assert (early.state, early.owns(grant(A)), early.owns(grant(A, at(0)))) == ("accepted", True, True)
    late = early.seen(grant(A), NOW + NOT_VISIBLE_YET)
    assert (late.state, late.owns(grant(A, at(0)))) == ("made", False)


def test_a_row_without_a_shared_time_neither_makes_nor_ends_ownership() -> None:
    """It says that there is a grant and not whose."""
    timeless = [grant(A, ""), grant(B, ""), grant(C, "")]
    entries = {A: Entry("accepted", NOW, missing=1), **made(B)}
    assert managed(entries, timeless) == {A}
    once = settle(entries, timeless, NOW + timedelta(hours=1))
    assert once == {A: Entry("accepted", NOW), **made(B)}
    assert settle(once, timeless, NOW + timedelta(hours=1)) == once
