"""Which share each image belongs to: single cases, and what holds for every reading whatever was done by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orgshare.decide.shares import (
    AUDIENCE,
    CREATE,
    STATE,
    UNLISTED,
    Arrangement,
    Joining,
    Wish,
    arrange,
    audience_key,
    is_ours,
    with_unlisted,
)
from orgshare.decide.targets import DirectoryAudience
from orgshare.ledger import Entry, Ledger, Setback
from orgshare.words import DEPLOYMENT, Association, ResourceShare, Sharing, Tags
from tests.support.facts import JUST_NOW, NOW, A, B, C, D, E

ID, NAME = "0123456789abcdef", "golden-images"
OURS: Tags = frozenset({(DEPLOYMENT, NAME), (STATE, ID)})
FOREIGN: tuple[Tags, ...] = (
    frozenset(),
    frozenset({(DEPLOYMENT, NAME)}),
    frozenset({(STATE, ID)}),
    frozenset({(DEPLOYMENT, NAME), (STATE, "another")}),
    frozenset({(DEPLOYMENT, "other"), (STATE, ID)}),
)
FOLDERS: Mapping[str, frozenset[str]] = {"fd-1": frozenset({A, B}), "fd-2": frozenset({C, D})}
GOLD, SILVER, BRONZE, COPPER = "m-gold", "m-silver", "m-bronze", "m-copper"


def audience(*entities: str) -> DirectoryAudience:
    """The audience of these folders and accounts: a folder is a target, and so is an account in none of them."""
    folders = frozenset(entity for entity in entities if entity in FOLDERS)
    inside = frozenset[str]().union(*(FOLDERS[folder] for folder in folders))
    single = frozenset(entities) - folders
    return DirectoryAudience(inside | single, folders, folders | (single - inside))


def wish(*entities: str, fixed: bool = False, joins: bool = True) -> Wish:
    return Wish(audience(*entities), fixed, joins)


def row(entity: str, status: str = "Associated", *, created: str = JUST_NOW) -> Association:
    return Association(entity, status, created)


def rows(entities: Iterable[str | Association]) -> tuple[Association, ...]:
    return tuple(one if isinstance(one, Association) else row(one) for one in entities)


def share(
    name: str,
    images: Iterable[str | Association] = (),
    targets: Iterable[str | Association] = (),
    *,
    tags: Tags = OURS,
    status: str = "Active",
    made_for: Iterable[str] | None = None,
) -> ResourceShare:
    """The share ``rs-<name>``, ours unless its tags say otherwise."""
    if made_for is not None:
        tags |= {(AUDIENCE, audience_key(made_for))}
    return ResourceShare(id=f"rs-{name}", status=status, tags=tags, images=rows(images), targets=rows(targets))


def entry(of: Association) -> Entry:
    return Entry("made", NOW, rules=("golden",), shared_time=of.created)


def ledger_of(shares: Iterable[ResourceShare], by_hand: Iterable[tuple[str, str]] = ()) -> Ledger:
    """A ledger with every row of these shares but those made by hand."""
    aside = frozenset(by_hand)
    return Ledger(
        shares=MappingProxyType(
            {
                one.id: {r.entity: entry(r) for r in one.images + one.targets if (one.id, r.entity) not in aside}
                for one in shares
            }
        )
    )


def arranged(
    wishes: Mapping[str, Wish],
    *shares: ResourceShare,
    by_hand: Iterable[tuple[str, str]] = (),
    ledger: Ledger | None = None,
    setbacks: Mapping[str, Setback] = MappingProxyType({}),
    enabled: bool = True,
) -> Arrangement:
    known = replace(ledger or ledger_of(shares, by_hand), setbacks=setbacks)
    return arrange(wishes, Sharing(shares, enabled), known, deployment=NAME, state=ID, now=NOW)


def setback(minutes: float, *, lasting: bool = False, times: int = 1) -> Setback:
    """Something that failed so many minutes ago."""
    return Setback("Failed", "no reason", NOW - timedelta(minutes=minutes), times, lasting=lasting)


# --- single cases


def test_images_with_the_same_targets_share_one_new_share() -> None:
    """Another audience gets another one, and nobody is wanted for the last image."""
    found = arranged({GOLD: wish("fd-1", E), SILVER: wish(E, "fd-1"), BRONZE: wish(E), COPPER: wish()})
    one, other = audience_key({"fd-1", E}), audience_key({E})
    assert set(found.joining) == {
        Joining(one, "", (GOLD, SILVER), tuple(sorted(("fd-1", E)))),
        Joining(other, "", (BRONZE,), (E,)),
    }
    assert found.homes == {GOLD: f"new {one}", SILVER: f"new {one}", BRONZE: f"new {other}"}
    assert (found.leaving, found.own, found.awaited) == (frozenset(), frozenset(), frozenset())


def test_the_key_of_an_audience_says_the_set_and_nothing_else() -> None:
    """Order does not matter, and every difference does."""
    assert audience_key(["fd-1", A, B]) == audience_key([B, "fd-1", A])
    assert len({audience_key(of) for of in ((), (A,), (B,), (A, B), ("fd-1",), (A + B,))}) == 6
    assert len(audience_key([A])) == 16


def test_an_image_joins_the_share_that_serves_its_targets() -> None:
    """Nothing else changes there, and who is in it stays."""
    found = arranged({i: wish("fd-1") for i in (GOLD, SILVER, BRONZE)}, share("1", [GOLD, SILVER], ["fd-1"]))
    assert found.joining == (Joining(audience_key({"fd-1"}), "rs-1", (BRONZE,), ()),)
    assert found.homes == dict.fromkeys((GOLD, SILVER, BRONZE), "rs-1")
    assert found.leaving == frozenset()
    assert found.own == {("rs-1", GOLD), ("rs-1", SILVER), ("rs-1", "fd-1")}


def test_targets_change_in_place_where_all_images_want_the_same() -> None:
    """What is wanted anew joins the share, what is not any more leaves it, and the images stay."""
    found = arranged({i: wish(A, C, E) for i in (GOLD, SILVER, BRONZE)}, share("1", [GOLD, SILVER, BRONZE], [A, B, C]))
    assert found.joining == (Joining(audience_key({A, C, E}), "rs-1", (), (E,)),)
    assert found.leaving == {("rs-1", B)}


def test_images_move_where_they_want_different_things() -> None:
    """The share that is left keeps its targets, because one image needs them."""
    found = arranged(
        {GOLD: wish(A, B), SILVER: wish(A, C), BRONZE: wish(A, C)}, share("1", [GOLD, SILVER, BRONZE], [A, B])
    )
    assert found.joining == (Joining(audience_key({A, C}), "", (SILVER, BRONZE)[::-1], (A, C)),)
    assert found.leaving == {("rs-1", SILVER), ("rs-1", BRONZE)}
    assert found.homes[GOLD] == "rs-1"


def test_an_image_that_was_not_looked_at_keeps_its_share_as_it_is() -> None:
    """The others move, and no target of it changes."""
    found = arranged({SILVER: wish(C), BRONZE: wish(C)}, share("1", [GOLD, SILVER, BRONZE], [A, B]))
    assert found.leaving == {("rs-1", SILVER), ("rs-1", BRONZE)}
    assert [one.share for one in found.joining] == [""]


def test_a_fixed_image_stays_where_it_is_and_so_do_its_targets() -> None:
    """What is wanted of it is not known, so nothing of its share changes."""
    wishes = {GOLD: wish(C, fixed=True), SILVER: wish(C), BRONZE: wish(C)}
    found = arranged(wishes, share("1", [GOLD, SILVER, BRONZE], [A, B]))
    assert found.homes[GOLD] == "rs-1"
    assert found.leaving == {("rs-1", SILVER), ("rs-1", BRONZE)}
    alone = arranged({GOLD: wish(fixed=True), SILVER: wish(), BRONZE: wish()}, share("1", [GOLD, SILVER, BRONZE], [A]))
    assert alone.leaving == {("rs-1", SILVER), ("rs-1", BRONZE)}


def test_a_fixed_image_that_is_nowhere_joins_for_those_who_want_it_for_sure() -> None:
    """Alone in a new share, or in one that serves just these targets; what another rule may want comes later."""
    fixed = {i: wish(A, B, fixed=True) for i in (GOLD, SILVER, BRONZE)}
    assert arranged(fixed).joining == (Joining(audience_key({A, B}), "", (BRONZE, GOLD, SILVER), (A, B)),)
    there = share("1", [COPPER], [A, B])
    found = arranged({**fixed, COPPER: wish(A, B)}, there)
    assert found.joining == (Joining(audience_key({A, B}), "rs-1", (BRONZE, GOLD, SILVER), ()),)
    assert set(found.homes.values()) == {"rs-1"}


def test_an_image_that_may_join_nothing_stays_where_it_is_wanted_and_enters_no_share() -> None:
    """One that is where it belongs keeps its place."""
    wishes = {GOLD: wish(A, joins=False), SILVER: wish(A, joins=False), BRONZE: wish(B, joins=False)}
    found = arranged(wishes, share("1", [GOLD], [A]))
    assert (found.joining, found.leaving, dict(found.homes)) == ((), frozenset(), {GOLD: "rs-1"})


@pytest.mark.parametrize("tags", FOREIGN)
def test_what_has_not_all_our_tags_is_never_touched(tags: Tags) -> None:
    """Nothing joins it and nothing leaves it, though the ledger knew its rows and it were just right."""
    foreign = share("1", [GOLD, SILVER], [A, B], tags=tags)
    found = arranged({GOLD: wish(A, B), SILVER: wish(C), BRONZE: wish(A, B)}, foreign)
    assert {one.share for one in found.joining} == {""}
    assert (found.leaving, found.own) == (frozenset(), frozenset())
    assert not is_ours(foreign, NAME, ID)


@pytest.mark.parametrize("status", ["Deleting", "Deleted"])
def test_a_share_that_goes_is_not_used_any_more(status: str) -> None:
    """Its images join another one."""
    found = arranged({i: wish(A) for i in (GOLD, SILVER, BRONZE)}, share("1", [GOLD], [A], status=status))
    assert [(one.share, len(one.images)) for one in found.joining] == [("", 3)]
    assert found.own == frozenset()


def test_a_share_that_is_pending_takes_nothing_yet_and_no_second_one_is_made() -> None:
    """What is in it stays; whoever is to join is awaited."""
    found = arranged({i: wish(A, B) for i in (GOLD, SILVER, BRONZE)}, share("1", [GOLD], [A], status="Pending"))
    assert (found.joining, found.awaited, dict(found.homes)) == ((), frozenset({SILVER, BRONZE}), {GOLD: "rs-1"})


@pytest.mark.parametrize("status", ["Associated", "Associating", "Disassociating", "Whatever"])
def test_a_share_with_a_target_outside_the_audience_takes_no_image(status: str) -> None:
    """Put there by hand, under way or on its way out: the image gets a share of its own."""
    stranger = row(D, status)
    mixed = share("1", [GOLD], [A, B, stranger])
    found = arranged({i: wish(A, B) for i in (GOLD, SILVER, BRONZE)}, mixed, by_hand=[("rs-1", D)])
    assert all(one.share != "rs-1" for one in found.joining if one.images)


@pytest.mark.parametrize("status", ["Associated", "Associating", "Disassociating", "Whatever"])
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_share_with_an_image_that_a_target_is_not_for_does_not_get_it(status: str, by_hand: bool) -> None:
    """Also an image that somebody else put there, or that is on its way out."""
    mixed = share("1", [GOLD, SILVER, row(BRONZE, status)], [A])
    wishes = {GOLD: wish(A, B), SILVER: wish(A, B), BRONZE: wish(A, C)}
    found = arranged(wishes, mixed, by_hand=[("rs-1", BRONZE)] if by_hand else [])
    assert all(B not in one.targets for one in found.joining if one.share)


def test_an_image_on_its_way_out_that_nobody_looked_at_keeps_targets_from_joining() -> None:
    """Whom it is for is not known; the same is so of one of which it is not known what is wanted."""
    mine = share("1", [GOLD, SILVER, row(BRONZE, "Disassociating")], [A])
    wishes = {GOLD: wish(A, B), SILVER: wish(A, B)}
    assert arranged(wishes, mine).joining == ()
    fixed = arranged({**wishes, BRONZE: wish(A, B, fixed=True)}, mine)
    assert [(one.share, one.images) for one in fixed.joining] == [("", (BRONZE,))]
    found = arranged({**wishes, BRONZE: wish(A, B)}, mine)
    assert [(one.share, one.targets) for one in found.joining] == [("rs-1", (B,))]


def test_a_target_put_there_by_hand_that_the_audience_admits_changes_nothing() -> None:
    """It is one target more than needed, and reaches nobody else."""
    found = arranged({i: wish("fd-1") for i in (GOLD, SILVER, BRONZE)}, share("1", [GOLD, SILVER], ["fd-1", A]),
                     by_hand=[("rs-1", A)])  # fmt: skip
    assert found.joining == (Joining(audience_key({"fd-1"}), "rs-1", (BRONZE,), ()),)
    assert found.leaving == frozenset()


def test_rows_of_others_never_leave() -> None:
    """Neither an image nor a target that the ledger does not know."""
    by_hand = [("rs-1", GOLD), ("rs-1", A)]
    found = arranged({i: wish() for i in (GOLD, SILVER, BRONZE)}, share("1", [GOLD, SILVER], [A, B]), by_hand=by_hand)
    assert found.leaving == {("rs-1", SILVER)}
    assert found.own == {("rs-1", SILVER), ("rs-1", B)}


@pytest.mark.parametrize("status", ["Associating", "Disassociating", "Whatever"])
def test_what_is_under_way_does_not_leave_yet(status: str) -> None:
    """Taking it out now would only be refused."""
    found = arranged({i: wish() for i in (GOLD, SILVER, BRONZE)}, share("1", [row(GOLD, status), SILVER], [A]))
    assert found.leaving == {("rs-1", SILVER)}


def test_an_image_on_its_way_out_waits_before_it_joins_again() -> None:
    """It is awaited, and the others do not wait for it."""
    mine = share("1", [row(GOLD, "Disassociating"), SILVER], [A])
    found = arranged({i: wish(A) for i in (GOLD, SILVER, BRONZE)}, mine)
    assert (found.awaited, dict(found.homes)) == (frozenset({GOLD}), {SILVER: "rs-1", BRONZE: "rs-1"})
    assert found.joining == (Joining(audience_key({A}), "rs-1", (BRONZE,), ()),)


def test_an_empty_share_is_used_again_before_one_is_made() -> None:
    """The one that was made for the same targets first, then the one with the smallest id; each only once."""
    empty = [share("1"), share("2"), share("3", made_for=(A,))]
    found = arranged({GOLD: wish(A), SILVER: wish(B), BRONZE: wish(C), COPPER: wish(D)}, *empty)
    assert {one.share: one.images for one in found.joining} == {
        "rs-3": (GOLD,), "rs-1": (SILVER,), "rs-2": (BRONZE,), "": (COPPER,),
    }  # fmt: skip


def test_an_empty_share_with_a_target_outside_the_audience_is_emptied_first() -> None:
    """Nothing joins it, and its targets leave because nobody needs them."""
    found = arranged({i: wish(A, B) for i in (GOLD, SILVER, BRONZE)}, share("1", [], [A, C]))
    assert found.leaving == {("rs-1", A), ("rs-1", C)}
    assert [one.share for one in found.joining] == [""]


def test_an_empty_share_with_the_right_targets_keeps_them_for_those_who_join() -> None:
    """As it is after a run that died between the targets and the images."""
    found = arranged({i: wish(A, B) for i in (GOLD, SILVER, BRONZE)}, share("1", [], [A, B]))
    assert found.joining == (Joining(audience_key({A, B}), "rs-1", tuple(sorted((GOLD, SILVER, BRONZE))), ()),)
    assert found.leaving == frozenset()


def test_an_empty_share_with_just_the_targets_of_an_audience_is_left_to_it() -> None:
    """A bigger audience that it would fit as well takes another one."""
    found = arranged({GOLD: wish(A), SILVER: wish(A, B), BRONZE: wish(A, B)}, share("1", [], [A]))
    assert {one.share: one.images for one in found.joining} == {"rs-1": (GOLD,), "": (BRONZE, SILVER)}
    bare = arranged({GOLD: wish(A), SILVER: wish(A, B), BRONZE: wish(A, B)}, share("1", made_for=(A,)))
    assert {one.share: one.images for one in bare.joining} == {"rs-1": (GOLD,), "": (BRONZE, SILVER)}


def test_of_two_shares_for_one_audience_one_is_emptied_once_the_other_is_complete() -> None:
    """Its image joins the bigger one, and the smaller id is the bigger one where they are alike."""
    two = (share("1", [GOLD], [A]), share("2", [SILVER, BRONZE], [A]))
    wishes = {i: wish(A) for i in (GOLD, SILVER, BRONZE)}
    found = arranged(wishes, *two)
    assert found.joining == (Joining(audience_key({A}), "rs-2", (GOLD,), ()),)
    assert found.leaving == {("rs-1", GOLD)}
    alike = arranged({GOLD: wish(A), SILVER: wish(A)}, share("1", [GOLD], [A]), share("2", [SILVER], [A]))
    assert (dict(alike.homes), alike.leaving) == ({GOLD: "rs-1", SILVER: "rs-1"}, frozenset({("rs-2", SILVER)}))
    early = arranged(wishes, two[0], share("2", [SILVER, BRONZE], [row(A, "Associating")]))
    assert (early.joining, early.leaving) == ((), frozenset())


def test_an_image_in_two_shares_for_its_audience_leaves_one() -> None:
    """It stays in its home."""
    two = (share("1", [GOLD, SILVER], [A]), share("2", [GOLD, SILVER, BRONZE], [A]))
    found = arranged({i: wish(A) for i in (GOLD, SILVER, BRONZE)}, *two)
    assert (found.joining, found.leaving) == ((), frozenset({("rs-1", GOLD), ("rs-1", SILVER)}))


def test_where_sharing_is_not_enabled_nothing_joins_and_what_is_there_stays() -> None:
    """Neither images nor targets; what is not wanted any more still leaves."""
    wishes = {GOLD: wish(A, B), SILVER: wish(A, B), BRONZE: wish(A, B), COPPER: wish()}
    found = arranged(wishes, share("1", [GOLD, SILVER, COPPER], [A, B]), enabled=False)
    assert (found.joining, found.leaving) == ((), frozenset({("rs-1", COPPER)}))
    grown = arranged({GOLD: wish(A, B), SILVER: wish(A, B)}, share("1", [GOLD, SILVER], [A]), enabled=False)
    assert (grown.joining, grown.leaving) == ((), frozenset())


@pytest.mark.parametrize(("minutes", "waits"), [(14, True), (15, False), (16, False)])
@pytest.mark.parametrize("lasting", [True, False])
def test_a_setback_stops_an_image_until_its_time(minutes: float, waits: bool, lasting: bool) -> None:
    """A lasting one is said to be so; of one that may pass the image is awaited; the others join meanwhile."""
    mine = share("1", [GOLD], [A])
    wishes = {i: wish(A) for i in (GOLD, SILVER, BRONZE)}
    found = arranged(wishes, mine, setbacks={f"rs-1/{SILVER}": setback(minutes, lasting=lasting)})
    joins = (BRONZE,) if waits else (BRONZE, SILVER)
    assert found.joining == (Joining(audience_key({A}), "rs-1", joins, ()),)
    assert set(found.setbacks) == ({SILVER} if waits and lasting else set())
    assert found.awaited == ({SILVER} if waits and not lasting else set())


@pytest.mark.parametrize(("minutes", "waits"), [(14, True), (15, False)])
@pytest.mark.parametrize("lasting", [True, False])
def test_a_setback_stops_a_target_until_its_time(minutes: float, waits: bool, lasting: bool) -> None:
    """A lasting one is named as not reached, and the other targets join."""
    found = arranged(
        {i: wish(A, B, C) for i in (GOLD, SILVER, BRONZE)},
        share("1", [GOLD, SILVER, BRONZE], [A]),
        setbacks={f"rs-1/{B}": setback(minutes, lasting=lasting)},
    )
    assert found.joining == (Joining(audience_key({A, B, C}), "rs-1", (), (C,) if waits else (B, C)),)
    assert found.unreached == ({"rs-1": {B}} if waits and lasting else {})


@pytest.mark.parametrize(("minutes", "waits"), [(14, True), (15, False)])
def test_a_share_that_could_not_be_made_is_made_when_its_time_has_come(minutes: float, waits: bool) -> None:
    """Until then every image that needs one waits, and existing shares take theirs."""
    wishes = {GOLD: wish(A), SILVER: wish(B), BRONZE: wish(C), COPPER: wish(C)}
    found = arranged(wishes, share("1", [BRONZE], [C]), setbacks={CREATE: setback(minutes, lasting=True)})
    assert len([one for one in found.joining if not one.share]) == (0 if waits else 2)
    assert set(found.setbacks) == ({GOLD, SILVER} if waits else set())
    assert found.homes[COPPER] == "rs-1"


def test_what_is_stuck_is_said_with_its_place() -> None:
    """An image that is on its way for too long has a setback, a target is not reached, and neither leaves."""
    long_ago = "2026-11-21T11:44:00Z"
    stuck = [row(entity, "Associating", created=long_ago) for entity in (GOLD, A)]
    found = arranged({i: wish(A, B) for i in (GOLD, SILVER, BRONZE)}, share("1", [stuck[0], SILVER], [stuck[1], B]))
    assert {image: s.lasting for image, s in found.setbacks.items()} == {GOLD: True}
    assert found.unreached == {"rs-1": {A}}
    assert (found.leaving, found.homes[GOLD]) == (frozenset(), "rs-1")


def test_a_row_of_ours_that_a_reading_does_not_show_is_taken_for_there() -> None:
    """One missing list is no proof: nothing joins in its place, and its image keeps what it needs."""
    whole = share("1", [GOLD, SILVER, BRONZE], [A, B])
    short = replace(whole, images=whole.images[:2], targets=whole.targets[:1])
    entries = dict(ledger_of([whole]).rows("rs-1"))
    (seen,) = with_unlisted([short], ledger_of([whole]))
    assert {r.entity: (r.status, r.created) for r in seen.images + seen.targets} == {
        **dict.fromkeys((GOLD, SILVER, A), ("Associated", JUST_NOW)),
        **dict.fromkeys((BRONZE, B), (UNLISTED, JUST_NOW)),
    }
    found = arranged({i: wish(A, B) for i in (GOLD, SILVER, BRONZE)}, seen, ledger=ledger_of([whole]))
    assert (found.joining, found.leaving, found.own) == ((), frozenset(), frozenset(("rs-1", e) for e in entries))
    assert found.homes == dict.fromkeys((GOLD, SILVER, BRONZE), "rs-1")
    assert with_unlisted([whole], ledger_of([whole])) == (whole,)


@pytest.mark.parametrize("status", ["Disassociated", "Failed"])
def test_only_what_was_there_is_missed(status: str) -> None:
    """An intention may never have been carried out; one that was accepted stands although an older row is over."""
    over = share("1", [row(GOLD, status), row(SILVER, status), row(BRONZE)], [])
    entries = {GOLD: Entry("intended", NOW), SILVER: Entry("accepted", NOW), BRONZE: entry(row(BRONZE))}
    (seen,) = with_unlisted([over], Ledger(shares=MappingProxyType({"rs-1": entries})))
    assert {r.entity: r.status for r in seen.images} == {GOLD: status, SILVER: UNLISTED, BRONZE: "Associated"}


# --- what holds for every reading

IMAGES = (GOLD, SILVER, BRONZE, COPPER)
TARGETS = ("fd-1", "fd-2", A, B, C, D, E)
AUDIENCES = ((), (A,), (A, B), ("fd-1",), ("fd-1", E), ("fd-2",), ("fd-1", "fd-2"), (C, E), (A, C))
STATUSES = ("Associated", "Associated", "Associated", "Associating", "Disassociating", "Disassociated", "Failed")
TAGS = (OURS, OURS, OURS, *FOREIGN[1:4])


@dataclass
class World:
    """Resource shares in memory: what joins becomes associated, what leaves vanishes."""

    wishes: dict[str, Wish]
    shares: dict[str, ResourceShare]
    ledger: Ledger
    enabled: bool = True
    made: int = 0
    wrong: set[tuple[str, str, str]] = field(default_factory=set)

    def arranged(self) -> Arrangement:
        sharing = Sharing(tuple(self.shares[one] for one in sorted(self.shares)), self.enabled)
        return arrange(self.wishes, sharing, self.ledger, deployment=NAME, state=ID, now=NOW)

    def widening(self) -> set[tuple[str, str, str]]:
        """Share, image and target where the image is not for the target."""
        return {
            (one.id, image.entity, target.entity)
            for one in self.shares.values()
            for image in one.images
            for target in one.targets
            if image.live and target.live and image.entity in self.wishes
            if not self.wishes[image.entity].audience.admits(target.entity)
        }

    def settle(self) -> None:
        """Whatever is under way comes to its end."""
        for one in list(self.shares.values()):
            if one.status == "Deleting":
                del self.shares[one.id]
                continue
            ended = {
                kind: tuple(replace(r, status="Associated") for r in rows if r.status in ("Associated", "Associating"))
                for kind, rows in (("images", one.images), ("targets", one.targets))
            }
            self.shares[one.id] = replace(
                one, status="Active" if one.status == "Pending" else one.status,
                images=ended["images"], targets=ended["targets"],
            )  # fmt: skip

    def carry_out(self, found: Arrangement, chance: Random | None = None) -> None:
        """Do what is arranged, or a part of it by chance."""
        for joining in found.joining:
            if chance is not None and chance.random() < 0.3:
                continue
            images = [i for i in joining.images if chance is None or chance.random() < 0.7]
            targets = [t for t in joining.targets if chance is None or chance.random() < 0.7]
            name = joining.share
            if not name:
                self.made += 1
                name = f"rs-new-{self.made}"
                self.shares[name] = share(f"new-{self.made}", tags=OURS | {(AUDIENCE, joining.audience)})
            self._put(name, images, targets)
        for of, entity in sorted(found.leaving):
            if chance is None or chance.random() < 0.7:
                self._take(of, entity)

    def _put(self, name: str, images: Iterable[str], targets: Iterable[str]) -> None:
        one, entries = self.shares[name], dict(self.ledger.rows(name))
        there = {r.entity for r in one.images + one.targets if r.live}
        assert there.isdisjoint([*images, *targets])
        new = {entity: row(entity) for entity in (*images, *targets)}
        entries.update((entity, entry(of)) for entity, of in new.items())
        self.shares[name] = replace(
            one,
            images=(*(r for r in one.images if r.entity not in new), *(new[i] for i in images)),
            targets=(*(r for r in one.targets if r.entity not in new), *(new[t] for t in targets)),
        )
        self.ledger = self.ledger.with_rows(name, entries)

    def _take(self, name: str, entity: str) -> None:
        one = self.shares[name]
        self.shares[name] = replace(
            one,
            images=tuple(r for r in one.images if r.entity != entity),
            targets=tuple(r for r in one.targets if r.entity != entity),
        )
        entries = {key: value for key, value in self.ledger.rows(name).items() if key != entity}
        self.ledger = self.ledger.with_rows(name, entries)

    def own(self, of: ResourceShare) -> frozenset[str]:
        return frozenset(self.ledger.rows(of.id))


def some_rows(of: tuple[str, ...], most: int) -> st.SearchStrategy[tuple[Association, ...]]:
    one = st.builds(row, st.sampled_from(of), st.sampled_from(STATUSES))
    return st.lists(one, max_size=most, unique_by=lambda r: r.entity).map(tuple)


@st.composite
def worlds(draw: st.DrawFn, *, known: bool = False) -> World:
    """Any shares, some rows of them made by hand; ``known``: every image was looked at, and may join."""
    shares = {
        f"rs-{n}": share(
            str(n), draw(some_rows(IMAGES, 4)), draw(some_rows(TARGETS, 4)),
            tags=draw(st.sampled_from(TAGS)), status=draw(st.sampled_from(["Active", "Active", "Pending", "Deleting"])),
        )
        for n in range(draw(st.integers(0, 4)))
    }  # fmt: skip
    everything = [(one.id, r.entity) for one in shares.values() for r in one.images + one.targets]
    by_hand = draw(st.frozensets(st.sampled_from(everything), max_size=4)) if everything else frozenset()
    looked = IMAGES if known else draw(st.lists(st.sampled_from(IMAGES), unique=True))
    flags = st.just(False) if known else st.sampled_from([False, False, True])
    wishes = {
        image: wish(*draw(st.sampled_from(AUDIENCES)), fixed=draw(flags), joins=not draw(flags)) for image in looked
    }
    setbacks: Mapping[str, Setback] = {}
    if not known:
        keys = [CREATE, *(f"rs-{n}/{entity}" for n in range(3) for entity in IMAGES + TARGETS)]
        times = st.builds(setback, st.integers(0, 30), lasting=st.booleans())
        setbacks = draw(st.dictionaries(st.sampled_from(keys), times, max_size=3))
    ledger = replace(ledger_of(shares.values(), by_hand), setbacks=setbacks)
    return World(wishes, shares, ledger, known or draw(st.booleans()))


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_whatever_joins_is_right_for_everything_that_is_there(world: World) -> None:
    """An image joins only where every target is for it, a target only where every image is, and only shares of ours."""
    found = world.arranged()
    assert world.enabled or not found.joining
    for joining in found.joining:
        joined = [world.wishes[image].audience for image in joining.images]
        assert all(world.wishes[image].joins for image in joining.images)
        assert all(one.admits(target) for one in joined for target in joining.targets)
        if not joining.share:
            assert joining.images
            assert joining.audience == audience_key(joining.targets)
            continue
        into = world.shares[joining.share]
        assert into.status == "Active"
        assert into.tags >= OURS
        live = {r.entity for r in into.targets if r.live}
        assert not live & set(joining.targets)
        assert all(one.admits(target) for one in joined for target in live)
        for image in (r.entity for r in into.images if r.live):
            assert image not in joining.images
            assert not joining.targets or not world.wishes[image].fixed
            assert all(world.wishes[image].audience.admits(target) for target in joining.targets)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_only_standing_rows_of_ours_leave_that_are_not_wanted_there(world: World) -> None:
    """An image only if it was looked at and is at home elsewhere; a target only if every image there wants the same."""
    found = world.arranged()
    for of, entity in found.leaving:
        left = world.shares[of]
        assert left.tags >= OURS
        assert entity in world.own(left)
        (gone,) = (r for r in left.images + left.targets if r.entity == entity)
        assert gone.firm
        if gone in left.images:
            assert not world.wishes[entity].fixed
            assert found.homes.get(entity) != of
            continue
        there = [r.entity for r in left.images if r.live]
        inside = [r.entity for r in left.images if r.live and r.status != "Disassociating"]
        assert bool(there) == bool(inside) or not there
        wants = {world.wishes[image].audience.targets for image in inside}
        assert len(wants) == (1 if there else 0)
        assert all(not world.wishes[image].fixed and entity not in wanted for image in inside for wanted in wants)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_every_image_that_is_wanted_is_at_home_joins_waits_or_is_said_to_be_held_up(world: World) -> None:
    """Nothing is forgotten without a word; setbacks stop until their time."""
    found = world.arranged()
    joining = {image: one for one in found.joining for image in one.images}
    for image, wanted in world.wishes.items():
        if not wanted.audience.targets:
            assert image not in found.homes
            continue
        home = found.homes.get(image)
        if home is None:
            assert image in found.setbacks or image in found.awaited or not wanted.joins or not world.enabled
        elif image in joining:
            assert (joining[image].share or f"new {joining[image].audience}") == home
            held = world.ledger.setbacks.get(f"{home}/{image}" if joining[image].share else CREATE)
            assert held is None or not held.waits(NOW)
        else:
            assert image in {r.entity for r in world.shares[home].images if r.live}
    for one in found.joining:
        for target in one.targets:
            held = world.ledger.setbacks.get(f"{one.share}/{target}")
            assert held is None or not held.waits(NOW)


@settings(max_examples=150, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_things_were_read_changes_nothing(world: World, order: Random) -> None:
    """Wishes, shares, rows and ledger may come in any order."""
    found = world.arranged()
    images = list(world.wishes.items())
    shares = [
        replace(one, images=tuple(order.sample(one.images, len(one.images))),
                targets=tuple(order.sample(one.targets, len(one.targets))))
        for one in world.shares.values()
    ]  # fmt: skip
    order.shuffle(images)
    order.shuffle(shares)
    again = arrange(
        dict(images), Sharing(tuple(shares), world.enabled), world.ledger, deployment=NAME, state=ID, now=NOW
    )
    assert again == found


ROUNDS = 6


@settings(max_examples=150, deadline=None)
@given(worlds(known=True), st.randoms(use_true_random=False), st.integers(0, 4))
def test_a_few_rounds_bring_every_image_into_one_share_with_its_own_targets(
    world: World, chance: Random, interrupted: int
) -> None:
    """Also after rounds that did only a part; then nothing joins and nothing leaves. Nothing gets wider meanwhile."""
    wrong = world.widening()
    for _ in range(interrupted):
        world.carry_out(world.arranged(), chance)
        assert world.widening() <= wrong
        wrong = world.widening()
    for _ in range(ROUNDS):
        world.settle()
        found = world.arranged()
        if not found.joining and not found.leaving:
            break
        world.carry_out(found)
        assert world.widening() <= wrong
        wrong = world.widening()
    world.settle()
    found = world.arranged()
    assert (found.joining, found.leaving, found.awaited) == ((), frozenset(), frozenset())
    ours = [one for one in world.shares.values() if one.tags >= OURS]
    for image, wanted in world.wishes.items():
        places = [one for one in ours if image in {r.entity for r in one.images}]
        mine = [one for one in places if image in world.own(one)]
        if not wanted.audience.targets:
            assert not mine
            continue
        home = world.shares[found.homes[image]]
        assert home in places
        assert [one for one in mine if one is not home] == []
        there = {r.entity for r in home.targets}
        by_hand = there - world.own(home)
        assert there - by_hand == wanted.audience.targets - by_hand
        assert wanted.audience.targets <= there
    for one in ours:
        if not one.images:
            assert not {r.entity for r in one.targets} & world.own(one)


@settings(max_examples=100, deadline=None)
@given(worlds(known=True))
def test_no_share_is_made_while_an_empty_one_would_do(world: World) -> None:
    """Where no image is anywhere yet, a share of ours without any target serves any audience."""
    world.shares = {name: replace(one, images=()) for name, one in world.shares.items()}
    found = world.arranged()
    bare = {
        one.id
        for one in world.shares.values()
        if one.tags >= OURS and one.status != "Deleting" and not any(r.live for r in one.targets)
    }
    if any(not one.share for one in found.joining):
        used = {one.share for one in found.joining}
        assert all(name in used or world.shares[name].status == "Pending" for name in bare)
