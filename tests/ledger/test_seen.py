"""Where members were seen, and since when."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.seen import FORGOTTEN, Place, Seen, see
from orgshare.words import Organization
from tests.support.facts import NOW, A, B, C, D, E, member, organization

SETTLE = timedelta(minutes=15)
NOBODY: frozenset[str] = frozenset()
EU = ("fd-prod", "fd-eu")


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def where(**folders: tuple[str, ...]) -> Organization:
    """An organization with accounts A to E, by their letter, in these folders below Root."""
    ids = {"a": A, "b": B, "c": C, "d": D, "e": E}
    return organization(*(member(ids[letter], *chain) for letter, chain in folders.items()))


def seen(*readings: tuple[float, Organization], departed: frozenset[str] = NOBODY) -> Seen:
    """What is remembered after readings so many minutes after now; who departed is known at the last."""
    found = Seen()
    for number, (minutes, organization_then) in enumerate(readings, 1):
        found = see(found, organization_then, departed if number == len(readings) else NOBODY, at(minutes))
    return found


THREE = where(a=("fd-prod",), b=EU, c=())


def test_an_account_is_settled_after_it_was_seen_in_one_place_for_a_while() -> None:
    """Not at first sight, and not a moment earlier; who came later is settled later."""
    found = seen((0, THREE), (10, where(a=("fd-prod",), b=EU, c=(), d=("fd-test",))))
    assert found.settled(at(0), SETTLE) == NOBODY
    assert found.settled(at(14.99), SETTLE) == NOBODY
    assert found.settled(at(15), SETTLE) == {A, B, C}
    assert found.settled(at(25), SETTLE) == {A, B, C, D}
    assert found.settled(at(0), timedelta(0)) >= {A, B, C}


def test_an_account_that_moves_is_settled_anew() -> None:
    """Up, down or sideways; who stays is not touched, and a move back is a move too."""
    moved = where(a=EU, b=("fd-prod",), c=())
    found = seen((0, THREE), (20, moved))
    assert found.settled(at(20), SETTLE) == {C}
    assert found.settled(at(35), SETTLE) == {A, B, C}
    back = see(found, THREE, NOBODY, at(25))
    assert back.settled(at(35), SETTLE) == {C}
    assert back.places[A] == Place("fd-prod", at(25), at(0), before="fd-eu")


def test_a_member_that_moves_stays_established_and_one_that_comes_back_does_not() -> None:
    """How long it has been a member at all is counted apart from where it is."""
    found = seen((0, THREE), (20, where(a=EU, b=("fd-prod",))), (21, THREE))
    assert found.settled(at(21), SETTLE) == NOBODY
    assert found.established(at(21), SETTLE) == {A, B}
    assert found.established(at(36), SETTLE) == {A, B, C}


def test_seeing_the_same_again_changes_nothing() -> None:
    """However often, so that nothing new has to be written."""
    found = seen((0, THREE))
    assert see(found, THREE, NOBODY, at(99)) == found


def test_who_vanishes_is_remembered_where_it_was_and_not_settled() -> None:
    """With the whole chain of folders, even when nobody else is there; the time is that of the first reading."""
    found = seen((0, THREE), (20, where(a=("fd-prod",))), (40, where(a=("fd-prod",))))
    assert found.vanished() == {B: ("r-1", *EU), C: ("r-1",)}
    assert found.settled(at(99), SETTLE) == {A}
    assert {found.places[account].gone for account in (B, C)} == {at(20)}


def test_who_is_proven_to_have_left_is_forgotten_at_once() -> None:
    """The other one that vanished is not."""
    found = seen((0, THREE), (20, where(a=("fd-prod",))), departed=frozenset({B}))
    assert found.vanished() == {C: ("r-1",)}
    assert B not in found.places


def test_who_is_listed_is_there_whatever_was_proven() -> None:
    """A reading that shows it is newer than the proof."""
    assert set(seen((0, THREE), (20, THREE), departed=frozenset({A})).places) == {A, B, C}


def test_who_comes_back_is_settled_anew() -> None:
    """Nobody knows where it was meanwhile."""
    found = seen((0, THREE), (20, where(a=("fd-prod",), c=())), (30, THREE))
    assert found.vanished() == {}
    assert found.settled(at(44), SETTLE) == {A, C}
    assert found.settled(at(45), SETTLE) == {A, B, C}


@pytest.mark.parametrize(("late", "remembered"), [(-1, True), (0, False)])
def test_who_vanished_is_forgotten_after_a_week(late: float, remembered: bool) -> None:
    """Counted from the first reading without it, however often it was looked for."""
    less = where(a=("fd-prod",))
    week = timedelta(days=7).total_seconds() / 60
    found = seen((0, THREE), (20, less), (5000, less), (20 + week + late, less))
    assert set(found.vanished()) == ({B, C} if remembered else set())
    assert timedelta(days=7) == FORGOTTEN


def test_only_folders_that_hold_somebody_or_did_before_a_move_are_remembered() -> None:
    """A folder from which somebody moved away stays, until that one moves again."""
    found = seen((0, THREE), (20, where(a=("fd-test",), b=EU, c=())))
    chains = {"fd-test": ("r-1", "fd-test"), "fd-eu": ("r-1", *EU), "r-1": ("r-1",), "fd-prod": ("r-1", "fd-prod")}
    assert dict(found.folders) == chains
    again = see(found, where(a=("fd-new",), b=EU, c=()), NOBODY, at(40))
    assert again.folders.keys() == {"fd-new", "fd-test", "fd-eu", "r-1"}


def test_who_moved_lately_is_remembered_where_it_was_before() -> None:
    """Until it is settled where it is; who was never anywhere else did not move, and who vanished is not here."""
    found = seen((0, THREE), (20, where(a=("fd-test",), b=("fd-test",), c=())))
    assert found.moved(at(34.99), SETTLE) == {A: ("r-1", "fd-prod"), B: ("r-1", *EU)}
    assert found.moved(at(35), SETTLE) == {}
    assert see(found, THREE, NOBODY, at(25)).moved(at(25), SETTLE) == dict.fromkeys((A, B), ("r-1", "fd-test"))
    gone = see(found, where(a=("fd-test",), c=()), NOBODY, at(25))
    assert (gone.moved(at(25), SETTLE), gone.vanished()) == ({A: ("r-1", "fd-prod")}, {B: ("r-1", "fd-test")})
    back = see(gone, THREE, NOBODY, at(26))
    assert back.moved(at(26), SETTLE) == {A: ("r-1", "fd-test")}


def test_a_folder_that_stands_elsewhere_now_is_remembered_where_it_stands() -> None:
    """Whoever vanished from it would be there with it."""
    found = seen((0, where(a=("fd-eu",), b=("fd-eu",))), (20, where(a=EU)))
    assert found.vanished() == {B: ("r-1", *EU)}


def test_what_is_remembered_cannot_be_changed() -> None:
    """It goes through the whole program."""
    found = seen((0, THREE))
    with pytest.raises(TypeError):
        found.places[A] = Place("x", NOW, NOW)  # type: ignore[index]
    assert Seen() == Seen(MappingProxyType({}), MappingProxyType({}))


CHAINS = st.sampled_from([(), ("fd-prod",), EU, ("fd-test",)])
ORGANIZATIONS = st.dictionaries(st.sampled_from("abcde"), CHAINS).map(lambda places: where(**places))
READINGS = st.lists(
    st.tuples(st.sampled_from([1, 10, 60, 5000]), ORGANIZATIONS, st.frozensets(st.sampled_from([A, B])))
)


@settings(max_examples=200, deadline=None)
@given(READINGS)
def test_what_is_remembered_follows_from_the_readings_alone(
    readings: list[tuple[int, Organization, frozenset[str]]],
) -> None:
    """Told again from the whole story: since when each account stood where it stands, and who vanished when."""
    found, minutes = Seen(), 0
    story: list[tuple[datetime, Organization, frozenset[str]]] = []
    for step, then, departed in readings:
        minutes += step
        found = see(found, then, departed, at(minutes))
        story.append((at(minutes), then, departed))
    expected: dict[str, Place] = {}
    for now, then, departed in story:
        for account in (A, B, C, D, E):
            place, listed = expected.get(account), then.members.get(account)
            if listed is not None:
                if place is None or place.gone is not None:
                    expected[account] = Place(listed.folders[-1], now, now)
                elif place.folder != listed.folders[-1]:
                    expected[account] = Place(listed.folders[-1], now, place.member_since, before=place.folder)
            elif place is not None:
                gone = place.gone or now
                expected[account] = Place(place.folder, place.since, place.member_since, gone)
                if account in departed or now - gone >= FORGOTTEN:
                    del expected[account]
    assert found.places == expected
    assert found.vanished().keys() == {account for account, place in expected.items() if place.gone is not None}
    holding = {place.folder for place in expected.values()} | {place.before for place in expected.values()}
    assert holding - {""} == found.folders.keys()
    assert not found.established(at(minutes), SETTLE) & found.vanished().keys()
    assert found.settled(at(minutes), SETTLE) <= found.established(at(minutes), SETTLE)
    assert not found.settled(at(minutes), SETTLE) & found.moved(at(minutes), SETTLE).keys()
