"""Rows that should leave a resource share: what must not slip through when several things stand against it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from orgshare.decide.coverage import Reach
from orgshare.decide.cuts import Cuts, Standing, cuts_of
from orgshare.decide.losses import Judged, Loss
from orgshare.ledger import Entry, Ledger
from orgshare.words import Association, Pair, ResourceShare
from tests.support.facts import JUST_NOW, MANAGEMENT, NOW, ORGANIZATION, OWNER, SHARD, A, C, D, image

GOLD, SILVER, BRONZE = "m-gold", "m-silver", "m-bronze"
IMAGES = {f"m-{name}": image(name) for name in ("gold", "silver", "bronze")}
EVERYBODY = frozenset(ORGANIZATION.members)
REACH = Reach(ORGANIZATION, "unknown", EVERYBODY, EVERYBODY)


def share(targets: Iterable[str], images: Iterable[str] = IMAGES) -> ResourceShare:
    """One share with these rows, all of them standing."""

    def rows(of: Iterable[str]) -> tuple[Association, ...]:
        return tuple(Association(entity, "Associated", JUST_NOW) for entity in of)

    return ResourceShare(id="rs-1", images=rows(images), targets=rows(targets))


def standing(*reached: str, wanted: Iterable[str] = (), safe: Iterable[str] = ()) -> Standing:
    none: frozenset[str] = frozenset()
    return Standing(
        reached=frozenset(reached), wanted=frozenset(wanted), safe=frozenset(safe), coming=none, unclear=none, kept=none
    )


def lost(name: str, account: str, rules: tuple[str, ...]) -> Judged:
    return Judged(Loss(pair=Pair(name, account), shard=SHARD, cause="audience", proven=True, rules=rules))


def cut(
    leaving: Iterable[str],
    of: ResourceShare,
    standings: Mapping[str, Standing],
    *,
    own: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    unread: Iterable[str] = (),
    judge: Callable[[str, str, tuple[str, ...]], Judged] = lost,
) -> Cuts:
    """What follows for the rows that leave; ``own`` are our rows with their rules."""
    entries = {entity: Entry("made", NOW, rules=rules, shared_time=JUST_NOW) for entity, rules in own.items()}
    return cuts_of(
        [of],
        frozenset((of.id, entity) for entity in leaving),
        standings,
        IMAGES,
        reach=REACH,
        ledger=Ledger(shares=MappingProxyType({of.id: entries})),
        aside=frozenset({OWNER, MANAGEMENT}),
        unread=frozenset(unread),
        judge=judge,
    )


def test_a_folder_that_could_not_be_read_stays_though_everybody_known_there_is_safe() -> None:
    """Nobody knows who else is in it, so nothing that is known of the others lets it go."""
    known = dict.fromkeys(IMAGES, standing(C, D, wanted=[C], safe=[C]))
    (only,) = cut(["fd-test"], share(["fd-test", A]), known, unread=["fd-test"]).cuts
    assert (only.block, only.blocked) == ("waiting", "folder fd-test could not be read")
    assert only.pairs == {Pair(name, D) for name in IMAGES}


def test_an_image_leaves_whatever_is_known_of_the_others_of_its_share() -> None:
    """Its own row takes nothing from an image that was not looked at."""
    (only,) = cut([GOLD], share(["fd-test"]), {GOLD: standing(C, D), SILVER: standing(C, D)}).cuts
    assert (only.block, only.images) == (None, frozenset({GOLD}))
    assert only.pairs == {Pair(GOLD, C), Pair(GOLD, D)}


def test_of_equally_grave_obstacles_the_first_is_said() -> None:
    """That an image was not looked at comes before an account that has no other way: the second rests on less."""
    known = {GOLD: standing(C, D, wanted=[C]), SILVER: standing(C, D, wanted=[C])}
    (only,) = cut(["fd-test"], share(["fd-test"]), known).cuts
    assert (only.block, only.blocked) == ("conflict", f"{BRONZE} was not looked at")


def test_an_image_that_a_person_put_into_our_share_has_no_rule_behind_it() -> None:
    """Our target leaves and takes that image along too: nobody's rule answers for it."""
    found = cut(
        ["fd-test"],
        share(["fd-test"]),
        dict.fromkeys(IMAGES, standing(C, D)),
        own={"fd-test": ("golden",), GOLD: ("golden",), SILVER: ("golden", "other")},
    )
    rules = {name: {loss.rules for loss in losses} for name, losses in found.losses.items()}
    assert rules == {GOLD: {("golden",)}, SILVER: {("golden",)}, BRONZE: {()}}


def test_a_pair_that_two_rows_give_rests_on_everything_that_either_rests_on() -> None:
    """The loss by the image's row hangs on the image, that by the target's row on the listing: together on both."""
    asked: list[str] = []

    def judge(name: str, account: str, rules: tuple[str, ...]) -> Judged:
        asked.append(name)
        loss = lost(name, account, (f"rule {len(asked)}",)).loss
        assert loss is not None
        first = len(asked) == 1
        return Judged(Loss(pair=loss.pair, shard=SHARD, cause="audience", proven=not first, rules=loss.rules,
                           hangs_on_image=first, hangs_on_listing=not first))  # fmt: skip

    found = cut([GOLD, C], share([C], [GOLD]), {GOLD: standing(C)}, judge=judge)
    ((loss,),) = found.losses.values()
    assert asked == [GOLD, GOLD]
    assert (loss.proven, loss.rules) == (False, ("rule 1", "rule 2"))
    assert (loss.hangs_on_image, loss.hangs_on_listing) == (True, True)
