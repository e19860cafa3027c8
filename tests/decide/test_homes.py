"""Where images belong when several things compete for a share, and when a share is in two minds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from msgspec.structs import replace

from orgshare.decide.shares import Arrangement, Joining, Wish, arrange, audience_key
from orgshare.decide.targets import DirectoryAudience
from orgshare.ledger import Entry, Ledger, Setback
from orgshare.words import ResourceShare, Sharing
from tests.decide.sharing import row, share
from tests.support.facts import NOW, STATE, A, B, C, D

COPPER, BRONZE, GOLD, SILVER, TIN = "m-copper", "m-bronze", "m-gold", "m-silver", "m-tin"
AN_HOUR_AGO = "2026-11-21T11:00:00Z"


def wish(*accounts: str, fixed: bool = False, joins: bool = True, looked: bool = True) -> Wish:
    return Wish(DirectoryAudience(frozenset(accounts), frozenset(), frozenset(accounts)), fixed, joins, looked)


def arranged(
    wishes: Mapping[str, Wish],
    *shares: ResourceShare,
    setbacks: Mapping[str, Setback] | None = None,
    by_hand: frozenset[str] = frozenset(),
) -> Arrangement:
    rows = {
        one.id: {
            each.entity: Entry("made", NOW, rules=("golden",), shared_time=each.created)
            for each in one.images + one.targets
            if each.entity not in by_hand
        }
        for one in shares
    }
    known = Ledger(shares=rows, setbacks=setbacks or {})
    return arrange(wishes, Sharing(shares), known, deployment="golden-images", state=STATE, now=NOW)


def test_of_two_shares_the_one_with_all_targets_is_home_though_the_other_has_more_images() -> None:
    """Least is left to do there: a target reaches everybody at once, an image only itself."""
    for whole in ([A, B], [A, B, C]):
        wanted = wish(*whole)
        one = share("1", [GOLD, SILVER, BRONZE], [A])
        two = share("2", [COPPER], whole)
        found = arranged(dict.fromkeys((GOLD, SILVER, BRONZE, COPPER, TIN), wanted), one, two)
        assert found.homes[TIN] == "rs-2"


def test_an_image_that_wants_what_its_divided_share_has_stays_there() -> None:
    """Another image is fixed, so the share keeps its targets; one that is on its way out counts no more."""
    divided = share("1", [GOLD, BRONZE], [A, B, row(C, "Disassociating")])
    found = arranged({GOLD: wish(A, B), BRONZE: wish(D, fixed=True)}, divided)
    assert (found.homes[GOLD], found.joining, found.leaving) == ("rs-1", (), frozenset())


def test_what_a_person_put_into_a_divided_share_is_no_reason_to_leave_it() -> None:
    """The target by hand is told as a conflict, and everything else stays as it is."""
    divided = share("1", [GOLD, BRONZE], [A, B, C])
    found = arranged({GOLD: wish(A, B), BRONZE: wish(D, fixed=True)}, divided, by_hand=frozenset({C}))
    assert (found.homes[GOLD], found.joining, found.leaving) == ("rs-1", (), frozenset())


def test_what_stops_one_image_stops_no_other() -> None:
    """One must not join, one lastingly cannot, one waits, one is on its way for too long: the last joins."""
    stuck = row(GOLD, "Associating", created=AN_HOUR_AGO)
    for_good, for_now = Setback("Failed", "for good", NOW, lasting=True), Setback("Failed", "for now", NOW)
    found = arranged(
        {BRONZE: wish(A, joins=False), COPPER: wish(A), GOLD: wish(A), SILVER: wish(A), TIN: wish(A)},
        share("1", ["m-old", stuck], [A]),
        setbacks={f"rs-1/{COPPER}": for_good, f"rs-1/{SILVER}": for_now},
    )
    assert found.joining == (Joining(audience_key([A]), "rs-1", (TIN,), ()),)
    since = datetime(2026, 11, 21, 11, tzinfo=timezone.utc)
    under_way = Setback("Associating", "under way since 2026-11-21T11:00:00+00:00", since, lasting=True)
    assert found.setbacks == {COPPER: for_good, GOLD: under_way}
    assert found.awaited == {SILVER}
    assert found.homes == {GOLD: "rs-1", TIN: "rs-1"}


def test_an_image_is_under_way_since_its_row_changed_last() -> None:
    """The time of its making counts only where nothing else is said."""
    later = row(GOLD, "Associating", created="2026-11-01T00:00:00Z", updated=AN_HOUR_AGO)
    first = row(SILVER, "Associating", created="2026-11-20T00:00:00Z", updated="soon")
    found = arranged({GOLD: wish(A), SILVER: wish(A), BRONZE: wish(A)}, share("1", [BRONZE, later, first], [A]))
    assert {image: setback.at for image, setback in found.setbacks.items()} == {
        GOLD: datetime(2026, 11, 21, 11, tzinfo=timezone.utc), SILVER: datetime(2026, 11, 20, tzinfo=timezone.utc),
    }  # fmt: skip
    fresh = arranged({GOLD: wish(A)}, share("1", [replace(later, updated="2026-11-21T11:59:00Z")], [A]))
    assert fresh.setbacks == {}


def test_the_audience_of_most_images_takes_the_empty_share() -> None:
    """Whatever its targets are called; the others get a new one."""
    for many, few in (((A,), (B,)), ((B,), (A,))):
        wishes = {GOLD: wish(*few), **{name: wish(*many) for name in (SILVER, BRONZE, TIN)}}
        found = arranged(wishes, share("1", [], []))
        assert {name: found.homes[name] for name in wishes} == {
            GOLD: f"new {audience_key(few)}", SILVER: "rs-1", BRONZE: "rs-1", TIN: "rs-1",
        }  # fmt: skip
