"""What may leave a resource share, who would lose access by it, and what stands against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orgshare.decide.coverage import Reach
from orgshare.decide.cuts import Cuts, Standing, cuts_of
from orgshare.decide.decisions import Cut
from orgshare.decide.losses import Judged, Loss
from orgshare.ledger import Entry, Ledger
from orgshare.words import Association, Pair, ResourceShare
from tests.support.facts import (
    JUST_NOW,
    MANAGEMENT,
    NOW,
    ORGANIZATION,
    OWNER,
    SHARD,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    image,
)

GOLD, SILVER, BRONZE = "m-gold", "m-silver", "m-bronze"
NAMES = {GOLD: "gold", SILVER: "silver", BRONZE: "bronze"}
ASIDE = frozenset({OWNER, MANAGEMENT})


def reach(*elsewhere: str) -> Reach:
    """Everybody is settled; those that vanished or moved were in fd-test."""
    return Reach(
        ORGANIZATION,
        "unknown",
        frozenset(ORGANIZATION.members),
        frozenset(ORGANIZATION.members),
        dict.fromkeys(elsewhere, ("r-1", "fd-test")),
    )


def share(name: str, images: Iterable[str], targets: Iterable[str], *, over: Iterable[str] = ()) -> ResourceShare:
    """The share ``rs-<name>``; rows of what is ``over`` are Disassociated."""

    def row(entity: str) -> Association:
        return Association(entity, "Disassociated" if entity in over else "Associated", JUST_NOW)

    return ResourceShare(id=f"rs-{name}", images=tuple(map(row, images)), targets=tuple(map(row, targets)))


def ledger(*shares: ResourceShare, rules: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> Ledger:
    """Every row of these shares is ours, for the rule ``golden`` unless ``rules`` says otherwise."""

    def entry(entity: str) -> Entry:
        return Entry("made", NOW, rules=rules.get(entity, ("golden",)), shared_time=JUST_NOW)

    return Ledger(
        shares=MappingProxyType(
            {one.id: {r.entity: entry(r.entity) for r in one.images + one.targets} for one in shares}
        )
    )


class Stand(NamedTuple):
    """An image and how its accounts stand."""

    image: str
    standing: Standing


def standing(
    of: str,
    reached: Iterable[str],
    *,
    wanted: Iterable[str] = (),
    safe: Iterable[str] = (),
    coming: Iterable[str] = (),
    unclear: Iterable[str] = (),
    kept: Iterable[str] = (),
) -> Stand:
    standing = Standing(
        reached=frozenset(reached),
        wanted=frozenset(wanted),
        safe=frozenset(safe),
        coming=frozenset(coming),
        unclear=frozenset(unclear),
        kept=frozenset(kept),
    )
    return Stand(of, standing)


def lose(name: str, account: str, rules: tuple[str, ...]) -> Judged:
    """Everybody that nobody wants is lost, and that is proven."""
    pair = Pair(name, account)
    return Judged(Loss(pair=pair, shard=SHARD, cause="audience", proven=account != STRANGER, rules=rules))


def keep(name: str, account: str, rules: tuple[str, ...]) -> Judged:
    return Judged(kept_by="add")


def doubt(name: str, account: str, rules: tuple[str, ...]) -> Judged:
    return Judged()


def cut(
    leaving: Iterable[tuple[str, str]],
    shares: Iterable[ResourceShare],
    standings: Iterable[Stand],
    *,
    by: Reach | None = None,
    known: Ledger | None = None,
    unread: Iterable[str] = (),
    judge: object = lose,
) -> Cuts:
    shares = tuple(shares)
    return cuts_of(
        shares,
        frozenset(leaving),
        {one.image: one.standing for one in standings},
        {name: image(of) for name, of in NAMES.items()},
        reach=by or reach(),
        ledger=known if known is not None else ledger(*shares),
        aside=ASIDE,
        unread=frozenset(unread),
        judge=judge,  # type: ignore[arg-type]
    )


def lost(cuts: Cuts) -> dict[str, set[str]]:
    return {name: {loss.pair.account for loss in losses} for name, losses in cuts.losses.items()}


def test_a_target_that_nobody_wants_takes_every_image_from_whom_it_reaches() -> None:
    """Three images and the two accounts of a folder are six pairs; the other targets keep theirs."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", A])
    found = cut([("rs-1", "fd-test")], [one], [standing(i, [A, C, D], wanted=[A]) for i in NAMES])
    (only,) = found.cuts
    assert (only.is_target, only.images, only.block, only.blocked) == (True, frozenset(NAMES), None, "")
    assert only.pairs == {Pair(i, account) for i in NAMES for account in (C, D)}
    assert lost(found) == {i: {C, D} for i in NAMES}


def test_an_image_that_nobody_wants_takes_itself_from_everybody_there() -> None:
    """The other images of the share lose nothing."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", A])
    found = cut([("rs-1", GOLD)], [one], [standing(i, [A, C, D]) for i in NAMES])
    (only,) = found.cuts
    assert (only.is_target, only.images) == (False, frozenset({GOLD}))
    assert lost(found) == {GOLD: {A, C, D}}


@pytest.mark.parametrize("safe", [(), (C,), (C, D)])
def test_who_is_wanted_blocks_until_something_that_stays_reaches_it(safe: tuple[str, ...]) -> None:
    """One account that would have nothing else is enough, and the first is named with how many more there are."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test"])
    stand = [
        standing(GOLD, [C, D], wanted=[C, D], safe=safe),
        *(standing(i, [C, D], wanted=[C, D], safe=[C, D]) for i in (SILVER, BRONZE)),
    ]
    (only,) = cut([("rs-1", "fd-test")], [one], stand).cuts
    words = {
        0: f"account {C} and 1 more would not have {GOLD} by anything else",
        1: f"account {D} would not have {GOLD} by anything else",
        2: "",
    }
    assert (only.block, only.blocked) == (None if len(safe) == 2 else "conflict", words[len(safe)])
    assert only.pairs == frozenset()


@pytest.mark.parametrize(
    ("coming", "block", "named"), [((C, D, E), "waiting", C), ((C,), "conflict", D), ((D, E), "conflict", C)]
)
def test_who_is_wanted_and_will_be_reached_only_makes_it_wait(coming: tuple[str, ...], block: str, named: str) -> None:
    """Unless there is one for whom nothing is under way: then that one is named."""
    one = share("1", [GOLD], [C, D, E])
    found = cut([("rs-1", GOLD)], [one], [standing(GOLD, [C, D, E], wanted=[C, D, E], coming=coming)])
    (only,) = found.cuts
    assert (only.block, only.blocked) == (block, f"account {named} and 2 more would not have {GOLD} by anything else")
    assert (found.losses, only.pairs) == ({}, frozenset())


def test_the_gravest_thing_that_stands_against_it_is_said() -> None:
    """One image waits, for the next its mode keeps it, and for the last there is no other way."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test"])
    waits, kept = standing(GOLD, [C], wanted=[C], coming=[C]), standing(SILVER, [C])
    stuck = standing(BRONZE, [C], wanted=[C])

    def block(*of: Stand) -> str | None:
        images = [s.image for s in of]
        (only,) = cut([("rs-1", "fd-test")], [share("1", images, ["fd-test"])], of, judge=keep).cuts
        return only.block

    assert [block(waits), block(kept), block(waits, kept), block(waits, kept, stuck)] == [
        "waiting", "doubt", "doubt", "conflict",
    ]  # fmt: skip
    assert one.images


def test_who_has_a_row_that_may_be_the_shares_own_changes_its_channel() -> None:
    """Not blocked, and no loss in the end: a person agrees to the gap, or not."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", A])
    stand = [standing(i, [A, C, D], wanted=[A, C, D], safe=[A], unclear=[C, D]) for i in NAMES]
    found = cut([("rs-1", "fd-test")], [one], stand)
    (only,) = found.cuts
    assert (only.block, len(only.pairs)) == (None, 6)
    assert {(x.cause, x.proven, x.rules) for losses in found.losses.values() for x in losses} == {("channel", True, ())}


def test_unclear_and_reached_by_nothing_are_told_apart() -> None:
    """C has a row, D has none: D stands against it, and C is a loss only if that ends."""
    one = share("1", [GOLD], ["fd-test"])
    found = cut([("rs-1", GOLD)], [one], [standing(GOLD, [C, D], wanted=[C, D], unclear=[C], coming=[D])])
    (only,) = found.cuts
    assert (only.block, only.pairs) == ("waiting", frozenset({Pair(GOLD, C)}))


def test_who_keeps_it_by_something_else_is_not_lost() -> None:
    """A direct grant or another share that stays."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test"])
    found = cut([("rs-1", "fd-test")], [one], [standing(i, [C, D], kept=[C]) for i in NAMES])
    assert lost(found) == {i: {D} for i in NAMES}


@pytest.mark.parametrize(("judge", "word"), [(keep, "mode add keeps"), (doubt, "it is not known whether account")])
def test_a_mode_or_a_doubt_keeps_the_whole_row(judge: object, word: str) -> None:
    """One pair is enough, because a row takes all or none; every pair is said to be kept or not decided."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test"])

    def only_silver(name: str, account: str, rules: tuple[str, ...]) -> Judged:
        return judge(name, account, rules) if name == SILVER else lose(name, account, rules)  # type: ignore[operator]

    found = cut([("rs-1", "fd-test")], [one], [standing(i, [C, D]) for i in NAMES], judge=only_silver)
    (only,) = found.cuts
    assert only.block == "doubt"
    assert word in only.blocked
    assert found.kept == ({SILVER: {C: "add", D: "add"}} if judge is keep else {})
    assert found.undecided == ({} if judge is keep else {SILVER: {C, D}})
    assert lost(found) == {GOLD: {C, D}, BRONZE: {C, D}}


def test_images_that_stand_alike_are_each_for_themselves() -> None:
    """One standing for all three: one image that leaves takes its own pairs, a target those of all."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", A])
    same = standing(GOLD, [A, C, D], wanted=[A], safe=[A]).standing
    found = cut([("rs-1", "fd-test"), ("rs-1", SILVER)], [one], [Stand(i, same) for i in NAMES])
    target, alone = found.cuts
    assert target.pairs == {Pair(i, a) for i in NAMES for a in (C, D)}
    assert (alone.images, alone.pairs) == (frozenset({SILVER}), frozenset(Pair(SILVER, a) for a in (C, D)))


def test_an_image_that_was_not_looked_at_keeps_the_targets_of_its_share() -> None:
    """Nothing is known of its accounts; a target that reaches nobody may go all the same."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", "fd-empty"])
    stand = [standing(i, [C, D]) for i in (GOLD, SILVER)]
    empty, full = cut([("rs-1", "fd-test"), ("rs-1", "fd-empty")], [one], stand).cuts
    assert (empty.block, empty.pairs) == (None, frozenset())
    assert (full.block, full.blocked) == ("conflict", f"{BRONZE} was not looked at")


def test_rows_that_are_over_take_nothing_along() -> None:
    """Neither an image nor a target that left the share before."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", A], over=[SILVER, A])
    target, whole = cut([("rs-1", "fd-test"), ("rs-1", GOLD)], [one], [standing(i, [A, C, D]) for i in NAMES]).cuts
    assert target.images == {GOLD, BRONZE}
    assert whole.pairs == {Pair(GOLD, C), Pair(GOLD, D)}


def test_the_owner_and_the_management_account_lose_nothing_by_the_organization() -> None:
    """The owner has its images anyway, and nobody knows whether the other has them."""
    everybody = [*ORGANIZATION.members, MANAGEMENT]
    one = share("1", [GOLD], ["rd-1"])
    found = cut([("rs-1", "rd-1"), ("rs-1", GOLD)], [one], [standing(GOLD, everybody)])
    assert lost(found) == {GOLD: {A, B, C, D, E}}
    assert all(c.pairs == {Pair(GOLD, a) for a in (A, B, C, D, E)} for c in found.cuts)


def test_the_management_account_that_is_a_target_itself_counts() -> None:
    """Then somebody meant it."""
    one = share("1", [GOLD, SILVER, BRONZE], [MANAGEMENT, A])
    found = cut([("rs-1", MANAGEMENT)], [one], [standing(i, [MANAGEMENT, A]) for i in NAMES])
    assert lost(found) == {i: {MANAGEMENT} for i in NAMES}


def test_a_folder_that_could_not_be_read_stays_though_it_seems_to_reach_nobody() -> None:
    """It may be there with members whom no listing shows; any other row that reaches nobody may go."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-unread", "fd-gone"])
    found = cut([("rs-1", "fd-unread"), ("rs-1", "fd-gone")], [one], [], unread=["fd-unread"])
    assert {c.entity: (c.block, c.pairs) for c in found.cuts} == {
        "fd-unread": ("waiting", frozenset()), "fd-gone": (None, frozenset()),
    }  # fmt: skip


def test_who_vanished_from_the_listing_counts_where_it_was() -> None:
    """It may still be there: its pairs are losses too, whether it is reached now or not."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", A])
    stand = [standing(i, [A, C, D], wanted=[A]) for i in NAMES]
    found = cut([("rs-1", "fd-test")], [one], stand, by=reach(STRANGER))
    assert lost(found) == {i: {C, D, STRANGER} for i in NAMES}
    assert {x.pair.account for losses in found.losses.values() for x in losses if not x.proven} == {STRANGER}
    other = cut([("rs-1", A)], [one], [standing(i, [A, C, D], wanted=[C, D]) for i in NAMES], by=reach(STRANGER))
    assert lost(other) == {i: {A} for i in NAMES}


def test_who_moved_lately_counts_where_it_was() -> None:
    """E was in fd-test a moment ago: wanted, it keeps the target until it is reached otherwise; else it is lost."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test"])

    def only(*wanted: str, safe: Iterable[str] = ()) -> Cut:
        stand = [standing(i, [C, D], wanted=wanted, safe=safe) for i in NAMES]
        return cut([("rs-1", "fd-test")], [one], stand, by=reach(E)).cuts[0]

    assert only().pairs == {Pair(i, a) for i in NAMES for a in (C, D, E)}
    assert (only(E).block, only(E, safe=[E]).block) == ("conflict", None)


def test_an_owner_that_vanished_from_the_listing_loses_nothing() -> None:
    """It has its images anyway, wherever it is."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test"])
    found = cut([("rs-1", "fd-test")], [one], [standing(i, [C, D]) for i in NAMES], by=reach(OWNER))
    assert lost(found) == {i: {C, D} for i in NAMES}


def test_a_pair_that_two_rows_give_is_one_loss() -> None:
    """A target and its image, or two targets that reach the same account, end together."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", C])
    known = ledger(one, rules={C: ("other",), "fd-test": ("golden",), **dict.fromkeys(NAMES, ("golden", "other"))})
    stand = [standing(i, [C, D]) for i in NAMES]
    rows = [("rs-1", "fd-test"), ("rs-1", C), ("rs-1", GOLD)]
    found = cut(rows, [one], stand, known=known)
    assert {name: [x.pair.account for x in losses] for name, losses in found.losses.items()} == {
        i: [C, D] for i in NAMES
    }
    assert len([pair for c in found.cuts for pair in c.pairs]) > len({pair for c in found.cuts for pair in c.pairs})


def test_one_loss_by_two_shares_rests_on_everything_that_either_rests_on() -> None:
    """It is proven only if both are, and has the rules of both."""
    shares = (share("1", [GOLD], [C]), share("2", [GOLD], [C]), share("3", [GOLD], [C]))
    rules = {"rs-1": ("one",), "rs-2": ("two",), "rs-3": ("one", "three")}
    each = {name: ledger(share("1", [GOLD], [C]), rules=dict.fromkeys((GOLD, C), of)) for name, of in rules.items()}
    known = Ledger(shares={name: of.rows("rs-1") for name, of in each.items()})

    def judge(name: str, account: str, of: tuple[str, ...]) -> Judged:
        return Judged(
            Loss(
                pair=Pair(name, account), shard=SHARD, cause="audience", proven="two" not in of, rules=of,
                hangs_on_image="two" in of, hangs_on_listing="one" in of,
            )
        )  # fmt: skip

    found = cut([(name, GOLD) for name in rules], shares, [standing(GOLD, [C])], known=known, judge=judge)
    (loss,) = found.losses[GOLD]
    assert (loss.proven, loss.rules, loss.hangs_on_image, loss.hangs_on_listing) == (
        False, ("one", "three", "two"), True, True,
    )  # fmt: skip


def test_the_rules_behind_a_pair_are_those_of_its_image_that_its_target_has_too() -> None:
    """Where no target of ours reaches the account, those of the image."""
    one = share("1", [GOLD, SILVER, BRONZE], ["fd-test", C, A])
    known = ledger(one, rules={GOLD: ("x", "y", "z"), "fd-test": ("y",), C: ("z", "q"), SILVER: ("x",)})
    known = known.with_rows("rs-1", {k: v for k, v in known.rows("rs-1").items() if k != A})
    seen = {}

    def judge(name: str, account: str, rules: tuple[str, ...]) -> Judged:
        seen[name, account] = rules
        return lose(name, account, rules)

    cut([("rs-1", GOLD), ("rs-1", SILVER)], [one], [standing(i, [A, C, D]) for i in NAMES], known=known, judge=judge)
    assert seen == {
        (GOLD, A): ("x", "y", "z"), (GOLD, C): ("y", "z"), (GOLD, D): ("y",),
        (SILVER, A): ("x",), (SILVER, C): ("x",), (SILVER, D): ("x",),
    }  # fmt: skip


def loss(name: str, account: str, *, proven: bool = True) -> Loss:
    return Loss(pair=Pair(name, account), shard=SHARD, cause="audience", proven=proven, rules=("golden",))


def test_what_a_person_rejected_is_told_beside_what_leaves() -> None:
    """As it was before that, and waiting for nothing else; what the other rows that stay would take is not told."""
    leaves = Cut(share="rs-2", entity="fd-test", is_target=True, images=frozenset({GOLD}))
    pairs = frozenset({Pair(GOLD, C), Pair(SILVER, C)})
    plain = Cut(share="rs-1", entity=C, is_target=True, images=frozenset({GOLD, SILVER}), pairs=pairs)
    busy = replace(plain, share="rs-3", blocked=f"account {C} would not have {GOLD} by anything else", block="waiting")
    now = Cuts(
        (leaves,),
        {GOLD: (loss(GOLD, D), loss(GOLD, E))},
        {GOLD: {A: "add", B: "add"}, SILVER: {D: "add"}},
        {GOLD: frozenset({A}), BRONZE: frozenset({D})},
    )
    before = Cuts(
        (plain, leaves, busy),
        {GOLD: (loss(GOLD, C), loss(GOLD, D, proven=False), loss(GOLD, STRANGER)), SILVER: (loss(SILVER, C),)},
        {GOLD: {B: "observe", E: "observe"}, BRONZE: {A: "add"}},
        {GOLD: frozenset({B}), SILVER: frozenset({E})},
    )
    assert now.with_rejected((busy, plain), before) == Cuts(
        (plain, leaves, replace(busy, blocked="", block=None)),
        {GOLD: (loss(GOLD, C), loss(GOLD, D), loss(GOLD, E)), SILVER: (loss(SILVER, C),)},
        {GOLD: {A: "add", B: "observe", E: "observe"}, SILVER: {D: "add"}, BRONZE: {A: "add"}},
        {GOLD: frozenset({A, B}), SILVER: frozenset({E}), BRONZE: frozenset({D})},
    )


PEOPLE = st.frozensets(st.sampled_from([A, B, C, D, E]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_row_runs_only_if_that_is_right_for_everybody(data: st.DataObject) -> None:
    """Whoever is wanted is safe or a change of channel, and whoever is neither wanted nor kept is a loss."""
    targets = data.draw(
        st.lists(st.sampled_from(["fd-prod", "fd-test", "fd-eu", A, C, E, "rd-1"]), unique=True, min_size=1)
    )
    one = share("1", NAMES, targets)
    by = reach(STRANGER) if data.draw(st.booleans()) else reach()
    stand = {
        i: standing(
            i, by.of_all(targets).possible,
            wanted=data.draw(PEOPLE), safe=data.draw(PEOPLE), coming=data.draw(PEOPLE), unclear=data.draw(PEOPLE),
            kept=data.draw(PEOPLE),
        )
        for i in NAMES
    }  # fmt: skip
    if data.draw(st.booleans()):
        stand[SILVER] = Stand(SILVER, stand[GOLD].standing)  # images that stand alike share one
    judge = data.draw(st.sampled_from([lose, lose, keep, doubt]))
    found = cut([("rs-1", entity) for entity in (*NAMES, *targets)], [one], stand.values(), by=by, judge=judge)
    assert [(c.share, c.entity) for c in found.cuts] == sorted(("rs-1", e) for e in (*NAMES, *targets))
    losses = {x.pair: x for each in found.losses.values() for x in each}
    assert len(losses) == sum(len(each) for each in found.losses.values())
    for one_cut in found.cuts:
        takes = by.of_all([one_cut.entity] if one_cut.is_target else targets)
        reached = (takes.possible | takes.elsewhere) - ASIDE
        assert one_cut.pairs <= losses.keys()
        assert bool(one_cut.blocked) is (one_cut.block is not None)
        for name in one_cut.images if one_cut.block is None else ():
            for account in reached:
                each = stand[name].standing
                if account in each.wanted and account in each.reached:
                    channel = losses.get(Pair(name, account))
                    assert account in each.safe or (channel is not None and channel.cause == "channel")
                elif account not in each.wanted | each.kept:
                    assert Pair(name, account) in one_cut.pairs
