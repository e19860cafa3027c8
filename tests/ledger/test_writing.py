"""The ledger after each thing that a run writes down: exactly that has changed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.ledger import LOSSES_KEPT, NEVER_VISIBLE, Entry, EntryState, Ledger, Lost, RememberedRefusal
from orgshare.saw import Saw
from orgshare.words import Grant, Pair
from tests.support.facts import NOW, SHARED, A, B, C

EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
REFUSED = (RememberedRefusal("account-refused", "InvalidAccount", NOW),)
IMAGES = ("m-bronze", "m-gold", "m-silver")


@pytest.mark.parametrize("state", ["intended", "accepted"])
def test_asking_again_remembers_the_first_asking_that_was_never_seen(state: EntryState) -> None:
    """However often it is asked for; the count of readings that lacked it begins anew."""
    once = Entry(state, EARLIER, "partner", ("golden",), missing=1).intended_again(NOW)
    assert once == Entry("intended", NOW, "partner", ("golden",), missing=0, first=EARLIER)
    assert once.intended_again(LATER) == replace(once, since=LATER)


def test_asking_again_for_what_was_read_back_needs_no_earlier_asking() -> None:
    """Its time of sharing is known, and it stays known."""
    made = Entry("made", EARLIER, rules=("golden",), shared_time=SHARED, missing=1)
    assert made.intended_again(NOW) == Entry("intended", NOW, rules=("golden",), shared_time=SHARED, missing=0)


@pytest.mark.parametrize(("age", "remembered"), [(NEVER_VISIBLE - timedelta(seconds=1), True), (NEVER_VISIBLE, False)])
def test_an_asking_of_a_day_ago_is_forgotten(age: timedelta, remembered: bool) -> None:
    """What was not visible until then never will be; the asking after it may still be."""
    again = Entry("accepted", EARLIER, first=NOW - age).intended_again(NOW)
    assert again.first == (NOW - age if remembered else EARLIER)


def test_the_first_reading_that_lacks_what_was_asked_for_may_be_wrong_whenever_it_comes() -> None:
    """Nobody looked for two days: the grant may have been there all that time."""
    again = Entry("accepted", NOW - 2 * NEVER_VISIBLE).intended_again(NOW)
    assert again.first == NOW - 2 * NEVER_VISIBLE


@pytest.mark.parametrize(("state", "after"), [("made", "made"), ("accepted", "accepted"), ("intended", "accepted")])
def test_a_row_that_does_not_say_when_shows_only_that_something_is_there(state: EntryState, after: EntryState) -> None:
    """What was read back before stays so; of anything else the time is still awaited."""
    entry = Entry(state, EARLIER, shared_time=SHARED if state == "made" else "", missing=1)
    assert entry.seen(Grant(A, ""), NOW) == replace(entry, state=after, missing=0)


def test_an_image_that_is_gone_is_forgotten_with_everything_about_it() -> None:
    """Its entries, refusals, strangers and reached accounts; the other images keep theirs."""
    known = Ledger()
    for image in IMAGES:
        known = known.with_entries(image, {A: Entry("made", NOW)}).with_refusals(image, REFUSED)
        known = known.with_strangers(image, {B: SHARED}).with_reached({image: frozenset({C})})
    assert known.entries("m-gold") == {A: Entry("made", NOW)}
    assert known.refusals["m-gold"] == REFUSED
    once = known.with_absence("m-gold", 1)
    assert once == replace(known, absent={"m-gold": 1})
    gone = once.with_absence("m-gold", 2)
    for part in (gone.grants, gone.refusals, gone.strangers, gone.reached):
        assert sorted(part) == ["m-bronze", "m-silver"]
    assert gone.absent == {}


def test_an_image_that_was_found_again_is_not_absent() -> None:
    """The count begins anew for it, and goes on for another."""
    known = Ledger().with_absence("m-gold", 1).with_absence("m-silver", 1)
    assert known.with_absence("m-gold", 0).absent == {"m-silver": 1}


def test_shares_that_we_made_are_added_one_by_one() -> None:
    """None is forgotten by the next."""
    known = Ledger()
    for share in ("rs-1", "rs-2", "rs-1"):
        known = known.with_made(share)
    assert known.made == {"rs-1", "rs-2"}


def test_whom_shares_reach_is_replaced_for_the_images_that_were_looked_at() -> None:
    """An image that reaches nobody any more leaves; one that was not looked at stays."""
    known = Ledger().with_reached({image: frozenset({A, B}) for image in IMAGES})
    assert known.reached == {image: {A, B} for image in IMAGES}
    after = known.with_reached({"m-gold": frozenset({A}), "m-silver": frozenset()})
    assert after.reached == {"m-bronze": {A, B}, "m-gold": {A}}


def test_what_a_pass_rested_on_takes_the_place_of_what_the_one_before_did() -> None:
    """Everything else stays."""
    known = Ledger().with_made("rs-1").with_entries("m-gold", {A: Entry("made", NOW)}).with_saw(Saw("one"))
    assert known.with_saw(Saw("two", times=3)) == replace(known, saw=Saw("two", times=3))


@pytest.mark.parametrize(
    "same",
    [
        lambda known: known.with_made("rs-1"),
        lambda known: known.with_reached({"m-gold": frozenset({A})}),
        lambda known: known.with_saw(Saw("one", "two", "three")),
    ],
    ids=["made", "reached", "saw"],
)
def test_what_was_written_before_is_the_very_same_ledger(same: Callable[[Ledger], Ledger]) -> None:
    """Nothing new, so nothing has to be compared or written."""
    known = Ledger().with_made("rs-1").with_reached({"m-gold": frozenset({A}), "m-silver": frozenset({B})})
    known = known.with_saw(Saw("one", "two", "three"))
    assert same(known) is known


@pytest.mark.parametrize(("age", "approved"), [(timedelta(hours=12), True), (timedelta(hours=11, minutes=59), False)])
def test_a_loss_counts_until_the_very_end_of_the_window(age: timedelta, approved: bool) -> None:
    """Lost without approval and then with one: it counts as approved only once the first is out of the window."""
    window, pair = timedelta(hours=12), Pair("m-gold", A)
    assert window < LOSSES_KEPT
    known = Ledger().with_lost({pair: Lost(NOW - age)}, window).with_lost({pair: Lost(NOW, approved=True)}, window)
    assert known.lost["m-gold"][A] == Lost(NOW, approved=approved)


def test_what_was_adopted_is_our_own_grant_once_we_ask_for_it() -> None:
    """Somebody else made the one before; the next is ours."""
    adopted = Entry("made", EARLIER, rules=("golden",), shared_time=SHARED, adopted=True)
    assert not adopted.intended_again(NOW).adopted
