"""What is ours in resource shares: rows, what readings make of them, and what did not succeed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.ledger import (
    CLOCK_SKEW,
    FIRST_WAIT,
    LONGEST_WAIT,
    NOT_VISIBLE_YET,
    Entry,
    EntryState,
    Ledger,
    Setback,
    own_rows,
    settle_shares,
    vendor_time,
)
from orgshare.words import Association, ResourceShare
from tests.support.facts import NOW, A, B, C

SHARE, GOLD, SILVER, BRONZE = "rs-1", "m-gold", "m-silver", "m-bronze"
BEFORE = "2026-11-01T00:00:00.000Z"


def at(minutes: float) -> str:
    """The vendor's text for a time so many minutes after now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def row(entity: str, status: str = "Associated", created: str = BEFORE, failure: str = "") -> Association:
    return Association(entity, status, created, failure=failure)


def share(*rows: Association, name: str = SHARE, status: str = "Active") -> ResourceShare:
    images = tuple(r for r in rows if r.entity.startswith("m-"))
    return ResourceShare(
        id=name, status=status, images=images, targets=tuple(r for r in rows if not r.entity.startswith("m-"))
    )


def entry(state: EntryState = "made", *, minutes: float = -600, created: str | None = None, missing: int = 0) -> Entry:
    """An entry whose intention was so many minutes from now."""
    time = created if created is not None else BEFORE if state == "made" else ""
    return Entry(state, NOW + timedelta(minutes=minutes), rules=("golden",), shared_time=time, missing=missing)


def ledger(entries: Mapping[str, Entry], *, name: str = SHARE, setbacks: Mapping[str, Setback] | None = None) -> Ledger:
    return Ledger(shares=MappingProxyType({name: dict(entries)}), setbacks=setbacks or {})


def settled(known: Ledger, *rows: Association, now: datetime = NOW) -> dict[str, Entry]:
    return dict(settle_shares(known, [share(*rows)], now).rows(SHARE))


@pytest.mark.parametrize("status", ["Associated", "Associating", "Disassociating", "Whatever"])
def test_a_row_that_is_there_stays_ours(status: str) -> None:
    """What was intended or accepted and shows up since is made, with its time; an absence is forgotten."""
    known = ledger(
        {GOLD: entry(), SILVER: entry("intended", minutes=-1), A: entry("accepted", minutes=-1), B: entry(missing=1)}
    )
    found = settled(known, row(GOLD, status), row(SILVER, status, at(0)), row(A, status, at(1)), row(B, status))
    assert {e: (x.state, x.shared_time, x.missing) for e, x in found.items()} == {
        GOLD: ("made", BEFORE, 0),
        SILVER: ("made", at(0), 0),
        A: ("made", at(1), 0),
        B: ("made", BEFORE, 0),
    }


def test_a_row_that_is_not_there_ends_at_the_second_reading() -> None:
    """And with it the share, when it was the last."""
    known = ledger({GOLD: entry(), A: entry(), B: entry(missing=1)})
    once = settle_shares(known, [share(row(A))], NOW)
    assert {e: x.missing for e, x in once.rows(SHARE).items()} == {GOLD: 1, A: 0}
    twice = settle_shares(once, [share()], NOW)
    assert {e: x.missing for e, x in twice.rows(SHARE).items()} == {A: 1}
    assert settle_shares(twice, [share()], NOW).shares == {}


def test_a_share_that_is_not_listed_is_a_share_without_rows() -> None:
    """Its rows are missing once, and gone the second time; other shares are as they were."""
    known = ledger({GOLD: entry(), A: entry()}).with_rows("rs-2", {SILVER: entry(), B: entry()})
    other = share(row(SILVER), row(B), name="rs-2")
    once = settle_shares(known, [other], NOW)
    assert {e.missing for e in once.rows(SHARE).values()} == {1}
    assert once.rows("rs-2") == known.rows("rs-2")
    assert set(settle_shares(once, [other], NOW).shares) == {"rs-2"}


def test_what_was_just_asked_for_may_not_be_visible_yet() -> None:
    """However often it is looked for meanwhile."""
    known = ledger(
        {
            GOLD: entry("intended", minutes=-14),
            SILVER: entry("accepted", minutes=-14),
            A: entry("accepted", minutes=-15),
        }
    )
    once = settle_shares(known, [share()], NOW)
    assert {e: x.missing for e, x in once.rows(SHARE).items()} == {GOLD: 0, SILVER: 0, A: 1}
    assert set(settle_shares(once, [share()], NOW).rows(SHARE)) == {GOLD, SILVER}
    late = NOW + NOT_VISIBLE_YET
    assert settle_shares(settle_shares(once, [share()], late), [share()], late).shares == {}


def test_a_row_that_is_over_ends_what_was_made_and_not_what_was_just_intended() -> None:
    """A dead row from before the intention says nothing about the new one; one that we saw alive ends at once."""
    known = ledger(
        {
            GOLD: entry(),
            SILVER: entry("intended", minutes=-1),
            BRONZE: entry("accepted", minutes=-1),
            A: entry("accepted", minutes=-1, created=at(0)),
            B: entry(created=at(-5)),
        }
    )
    over = "Disassociated"
    found = settled(known, row(GOLD, over), row(SILVER, over), row(BRONZE, over), row(A, over, at(0)), row(B, over))
    assert {e: x.missing for e, x in found.items()} == {SILVER: 0, BRONZE: 0, B: 1}


def test_what_is_over_leaves_no_setback() -> None:
    """Only what failed is to wait."""
    known = ledger({GOLD: entry(), A: entry(), B: entry()})
    found = settle_shares(known, [share(*(row(e, "Disassociated") for e in (GOLD, A, B)))], NOW)
    assert (found.shares, found.setbacks) == ({}, {})


def test_a_row_of_ours_that_failed_ends_and_leaves_a_setback_with_its_reason() -> None:
    """So does one that was only intended; each is counted from its own row."""
    known = ledger({GOLD: entry(), A: entry("accepted", minutes=-1), B: entry("intended", minutes=-1), C: entry()})
    found = settle_shares(
        known,
        [share(row(GOLD, "Failed", failure="no such image"), row(A, "Failed", at(0)), row(B, "Failed", at(1)), row(C))],
        NOW,
    )
    assert set(found.rows(SHARE)) == {C}
    assert dict(found.setbacks) == {
        f"{SHARE}/{GOLD}": Setback("Failed", "no such image", NOW, 1, BEFORE),
        f"{SHARE}/{A}": Setback("Failed", "the vendor gives no reason", NOW, 1, at(0)),
        f"{SHARE}/{B}": Setback("Failed", "the vendor gives no reason", NOW, 1, at(1)),
    }


def test_a_failure_is_counted_once_however_long_its_row_stays_listed() -> None:
    """Another row that fails is another failure, and the second one counts as lasting."""
    first = settle_shares(ledger({GOLD: entry("intended", minutes=0)}), [share(row(GOLD, "Failed", at(0)))], NOW)
    key = f"{SHARE}/{GOLD}"
    again = first.with_rows(SHARE, {GOLD: entry("intended", minutes=19)})
    later = NOW + timedelta(minutes=20)
    seen = settle_shares(again, [share(row(GOLD, "Failed", at(0)))], later)
    assert (seen.setbacks, set(seen.rows(SHARE))) == (first.setbacks, {GOLD})
    second = settle_shares(seen, [share(row(GOLD, "Failed", at(20)))], later)
    assert second.shares == {}
    assert second.setbacks[key] == Setback("Failed", "the vendor gives no reason", later, 2, at(20), lasting=True)
    assert not first.setbacks[key].lasting


def test_a_strangers_row_that_failed_is_not_our_failure() -> None:
    """Made before our intention, it neither ends the entry nor makes us wait."""
    known = ledger({GOLD: entry("intended", minutes=-1), A: entry("accepted", minutes=-1), B: entry()})
    found = settle_shares(known, [share(*(row(e, "Failed", at(-120)) for e in (GOLD, A, B)))], NOW)
    assert found.setbacks == {}
    assert {e: x.missing for e, x in found.rows(SHARE).items()} == {GOLD: 0, A: 0, B: 1}


@pytest.mark.parametrize(("status", "ended"), [("Associated", True), ("Associating", False), ("Failed", False)])
def test_a_setback_ends_when_its_row_stands(status: str, ended: bool) -> None:
    """Whoever put it there; setbacks of others stay."""
    setbacks = {f"{SHARE}/{e}": Setback("Failed", "x", NOW, 3, BEFORE) for e in (GOLD, A, "fd-test")}
    known = ledger({B: entry()}, setbacks=setbacks)
    found = settle_shares(known, [share(row(GOLD, status), row(A, status), row(B))], NOW)
    assert set(found.setbacks) == ({f"{SHARE}/fd-test"} if ended else set(setbacks))


def test_who_owns_a_live_row_is_said_by_the_time_at_which_it_was_made() -> None:
    """An intention owns what appeared since; what is over is nobody's; an entry of another row says nothing."""
    entries = {
        GOLD: entry(), SILVER: entry(created=at(-5)), A: entry("intended", minutes=0), B: entry("intended", minutes=60),
        C: entry(),
    }  # fmt: skip
    rows = [row(GOLD, "Disassociating"), row(SILVER), row(A, created=at(-20)), row(B, created=at(39)), row(C, "Failed")]
    assert own_rows([*rows, row("fd-test")], entries) == {GOLD, A}
    assert own_rows([row(B, created=at(40))], entries) == {B}
    assert timedelta(minutes=20) == CLOCK_SKEW


def test_waits_double_and_are_capped() -> None:
    """From a quarter of an hour to a day, and never longer however often it failed."""
    waits = [Setback("x", "y", NOW, times).again() - NOW for times in range(1, 9)]
    assert waits == [timedelta(minutes=m) for m in (15, 30, 60, 120, 240, 480, 960, 1440)]
    assert {Setback("x", "y", NOW, times).again() - NOW for times in (9, 50, 10**6)} == {LONGEST_WAIT}
    assert (timedelta(minutes=15), timedelta(days=1)) == (FIRST_WAIT, LONGEST_WAIT)


@pytest.mark.parametrize(("seconds", "waits"), [(-1, True), (0, False), (1, False)])
def test_a_setback_waits_until_its_time_and_not_longer(seconds: float, waits: bool) -> None:
    """At that very moment it is tried again."""
    assert Setback("x", "y", NOW).waits(NOW + FIRST_WAIT + timedelta(seconds=seconds)) is waits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-21T12:00:00Z", 0),
        ("2026-11-21T12:00:01.500Z", 1.5),
        ("2026-11-21T12:00:00.000Z", 0),
        ("2026-11-21T11:59:59.999Z", -0.001),
        ("2026-11-21T12:00:00+00:00", None),
        ("2026-11-21T20:00:00", None),
        ("2026-11-21", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_time_of_the_vendor_is_read_with_and_without_milliseconds(text: str, seconds: float | None) -> None:
    """Anything else is no time; what is read is in UTC."""
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert vendor_time(text) == expected
    assert expected is None or vendor_time(text).tzinfo is timezone.utc  # type: ignore[union-attr]


def test_rows_setbacks_and_strangers_are_replaced_one_by_one() -> None:
    """Nothing else of the ledger changes, what is empty leaves it, and no ledger is changed in place."""
    known = ledger({GOLD: entry(), A: entry()}, setbacks={"k": Setback("x", "y", NOW), "l": Setback("z", "y", NOW)})
    changed = known.with_rows("rs-2", {B: entry()}).with_setbacks({"k": None, "none": None, "m": Setback("w", "", NOW)})
    changed = changed.with_strangers(GOLD, {A: BEFORE, B: BEFORE}).with_strangers(SILVER, {C: BEFORE})
    assert (set(changed.shares), set(changed.setbacks)) == ({SHARE, "rs-2"}, {"l", "m"})
    assert changed.strangers == {GOLD: {A: BEFORE, B: BEFORE}, SILVER: {C: BEFORE}}
    assert changed.with_strangers(GOLD, {}).strangers == {SILVER: {C: BEFORE}}
    assert changed.with_rows(SHARE, {}).rows(SHARE) == {}
    assert (set(known.shares), set(known.setbacks), known.strangers) == ({SHARE}, {"k", "l"}, {})
    with pytest.raises(TypeError):
        changed.rows("rs-2")[A] = entry()  # type: ignore[index]


def test_an_image_that_leaves_the_ledger_takes_its_strangers_along() -> None:
    """Absent by its id in two sweeps, nothing of it is remembered; once is not enough."""
    known = Ledger().with_strangers(GOLD, {A: BEFORE}).with_strangers(SILVER, {B: BEFORE})
    assert set(known.with_absence(GOLD, 1).strangers) == {GOLD, SILVER}
    assert set(known.with_absence(GOLD, 2).strangers) == {SILVER}


ENTITIES = (GOLD, SILVER, A, B, "fd-test")
TIMES = st.sampled_from([BEFORE, at(-60), at(-16), at(-1), at(0), ""])
ENTRIES = st.dictionaries(
    st.sampled_from(ENTITIES),
    st.builds(
        Entry,
        st.sampled_from(["intended", "accepted", "made"]),
        st.sampled_from([NOW - timedelta(minutes=m) for m in (0, 1, 16, 600)]),
        shared_time=TIMES,
        missing=st.integers(0, 1),
    ),
)
ROWS = st.lists(
    st.builds(
        Association,
        st.sampled_from(ENTITIES),
        st.sampled_from(["Associated", "Associating", "Disassociating", "Disassociated", "Failed"]),
        TIMES.filter(bool),
    ),
    unique_by=lambda r: r.entity,
)


@settings(max_examples=400, deadline=None)
@given(ENTRIES, ROWS)
def test_a_reading_ends_no_entry_whose_row_is_there_and_begins_none(
    entries: dict[str, Entry], rows: list[Association]
) -> None:
    """Whatever is ours and live stays ours; what ends is over, failed, or was missing before; two readings agree."""
    known = ledger(entries) if entries else Ledger()
    after = settle_shares(known, [share(*rows)], NOW)
    found = after.rows(SHARE)
    assert found.keys() <= entries.keys()
    live = {r.entity for r in rows if r.live}
    over = {r.entity for r in rows if not r.live}
    assert own_rows(rows, entries) <= own_rows(rows, found)
    for entity in entries.keys() - found.keys():
        assert entity in over or (entries[entity].missing and entity not in own_rows(rows, entries))
    for entity in entries.keys() - live - over:
        assert entity in found or entries[entity].missing
    failed = {r.entity for r in rows if r.status == "Failed"}
    assert {key.rpartition("/")[2] for key in after.setbacks} <= failed & entries.keys()
    again = settle_shares(after, [share(*rows)], NOW)
    assert again.setbacks == after.setbacks
    assert own_rows(rows, again.rows(SHARE)) == own_rows(rows, found)


@pytest.mark.parametrize("rows", [(), (row(GOLD), row(A))])
def test_a_share_of_ours_that_the_cloud_calls_deleted_is_forgotten_with_its_rows(rows: tuple[Association, ...]) -> None:
    """Also while a row of it is still listed; other shares stay as they are."""
    known = Ledger(
        shares={SHARE: {GOLD: entry(), A: entry()}, "rs-2": {SILVER: entry()}}, made=frozenset({SHARE, "rs-2"})
    )
    shown = [share(*rows, status="Deleted")] if rows else []
    after = settle_shares(known, [*shown, share(row(SILVER), name="rs-2")], NOW, frozenset({SHARE, "rs-3"}))
    assert after.made == {"rs-2"}
    assert after.shares.keys() == {"rs-2"}


def test_a_share_of_ours_of_which_the_cloud_says_nothing_keeps_its_rows() -> None:
    """Only a share that we do not remember to have made loses them to two readings."""
    rows = {GOLD: entry(), A: entry(), B: entry()}
    made, known = Ledger(shares={SHARE: rows}, made=frozenset({SHARE})), Ledger(shares={SHARE: rows})
    for _ in range(3):
        made, known = settle_shares(made, [], NOW), settle_shares(known, [], NOW)
    assert made.made == {SHARE}
    assert (made.rows(SHARE) == rows, dict(known.rows(SHARE))) == (True, {})


def test_a_share_whose_rows_are_all_over_is_still_one_that_we_made() -> None:
    """Whatever a person puts into it, it is no share that the state has forgotten."""
    known = Ledger(shares={SHARE: {GOLD: entry(), A: entry()}}, made=frozenset({SHARE}))
    ended = [share(row(GOLD, "Disassociated"), row(A, "Disassociated"))]
    after = settle_shares(known, ended, NOW)
    assert after.made == {SHARE}
    assert dict(after.rows(SHARE)) == {}
