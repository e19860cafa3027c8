"""Rows that leave while images change shares or channels: nobody who is wanted is without an image for a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.coverage import Reach, coverage_of_images
from orgshare.decide.deciding import decide
from orgshare.decide.decisions import Cut, ImageDecision
from orgshare.decide.facts import Facts
from orgshare.decide.losses import Loss, ends_grant
from orgshare.decide.plan import Finding
from orgshare.decide.planning import assemble
from orgshare.decide.shares import audience_key
from orgshare.ledger import Entry, Ledger, Setback
from orgshare.policy.model import ImageSelector, Mode
from orgshare.words import Association, ImageReading, Pair, Sharing
from tests.decide.sharing import BRONZE, GOLD, GONE, NAMES, PROVEN, SILVER, THREE, row, share, shared
from tests.support.facts import (
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
    made,
    organization,
    policy,
    reading,
    rule,
)

PROD = ("fd-eu", "fd-prod")
AUTO = rule(folders=["fd-prod"], channel="auto")
COPPER = image("copper")
SETTLED = frozenset(ORGANIZATION.members)


def ids(*names: str) -> ImageSelector:
    return ImageSelector(ids=frozenset(names))


def cuts(of: Facts) -> dict[tuple[str, str], Cut]:
    return {(cut.share, cut.entity): cut for cut in decide(of).shards[SHARD].cuts}


def blocked(of: Facts) -> dict[str, str]:
    """Why each image of the share that is left does not leave it; empty where it does."""
    return {entity: cut.blocked for (_, entity), cut in cuts(of).items()}


def by_name(of: Facts) -> dict[str, ImageDecision]:
    return {decision.image.name: decision for decision in decide(of).images}


def twice(*left: str, home: Iterable[str | Association] = PROD) -> Facts:
    """Three images in two shares; they stay in rs-1, and leave rs-2 with the targets that it has."""
    return shared([AUTO], share("1", targets=home), share("2", targets=left))


@pytest.mark.parametrize(("stays", "goes"), [(PROD, PROD), ((A, B), (A, B)), ((A, B), PROD), (PROD, (A, B))])
def test_who_joined_lately_is_as_sure_in_the_one_share_as_in_the_other(
    stays: tuple[str, ...], goes: tuple[str, ...]
) -> None:
    """It is sure in neither yet and will be in both, by its folder or by its name: nothing is waited for."""
    rules = [AUTO] if stays == PROD else [rule(accounts=[A, B], channel="auto")]
    of = shared(rules, share("1", targets=stays), share("2", targets=goes))
    lately = replace(of, settled=of.settled - {A}, established=of.established - {A})
    assert {entity: why for entity, why in blocked(lately).items() if why} == {}
    assert blocked(lately).keys() >= set(NAMES)


def test_who_came_lately_and_is_reached_only_by_what_leaves_is_waited_for() -> None:
    """That it will be sure there is of no use: the row goes."""
    of = twice(*PROD, home=["fd-prod", row("fd-eu", "Associating")])
    lately = replace(of, settled=of.settled - {B})
    for each in (of, lately):
        assert blocked(each) == {name: f"account {B} would not have {name} by anything else" for name in NAMES}


def test_who_is_sure_now_is_not_left_to_what_may_or_may_not_reach_it() -> None:
    """Nobody knows whether the folder above reaches the subfolder; the target of the subfolder itself does."""
    assert blocked(twice("fd-eu", home=["fd-prod"])) == {
        name: f"account {B} would not have {name} by anything else" for name in NAMES
    }
    assert {cut.block for cut in cuts(twice("fd-eu", home=["fd-prod"])).values()} == {"waiting"}


def test_who_is_sure_now_is_not_left_to_what_will_be_sure_later() -> None:
    """It moved into its folder a moment ago; named singly it is reached wherever it is."""
    of = twice(B)
    assert blocked(of) == dict.fromkeys([*NAMES, B], "")
    moved = replace(of, settled=of.settled - {B})
    stays = {name: f"account {B} would not have {name} by anything else" for name in NAMES}
    assert blocked(moved) == {**stays, B: stays["m-bronze"]}


def test_what_was_never_sure_may_be_as_unsure_as_before() -> None:
    """Two shares with the folder above: whether it reaches the subfolder is the same question in both."""
    assert blocked(twice("fd-prod", home=["fd-prod"])) == dict.fromkeys(NAMES, "")


def test_each_image_is_asked_for_its_own_grants() -> None:
    """All go over to direct grants: one has both, one has one, one has asked for one that is not listed yet."""
    asked = {A: Entry("accepted", NOW - timedelta(minutes=1), rules=("golden",))}
    of = shared(
        [rule(folders=["fd-prod"])],
        share("1", targets=PROD),
        readings=[reading(GOLD, A, B), reading(SILVER, A), reading(BRONZE), reading(COPPER, B)],
        grants={"m-gold": made(A, B), "m-silver": made(A), "m-copper": made(B), "m-bronze": asked},
    )
    copper = share("1", ["m-copper", *NAMES], PROD)
    rows = {
        e: Entry("made", NOW, rules=("golden",), shared_time="2026-11-21T11:59:00.000Z")
        for e in ("m-copper", *NAMES, *PROD)
    }
    of = replace(
        of, sharing={SHARD: Sharing((copper,))}, ledgers={SHARD: replace(of.ledgers[SHARD], shares={"rs-1": rows})}
    )
    assert {entity: cut.blocked for (_, entity), cut in cuts(of).items()} == {
        "m-gold": "",
        "m-silver": f"account {B} would not have m-silver by anything else",
        "m-bronze": f"account {A} and 1 more would not have m-bronze by anything else",
        "m-copper": f"account {A} would not have m-copper by anything else",
    }
    assert {name: decision.grants for name, decision in by_name(of).items()} == {
        "gold": (), "silver": (B,), "bronze": (B,), "copper": (A,),
    }  # fmt: skip


def deprecated(*asked: str) -> dict[str, Entry]:
    return {account: Entry("accepted", NOW - timedelta(minutes=1), rules=("golden",)) for account in asked}


def test_an_image_that_cannot_join_waits_for_the_grants_that_it_was_given() -> None:
    """Deprecated images of which somebody's grant was accepted a minute ago: the others have no other way."""
    old = [replace(each, status="Deprecated") for each in (GOLD, SILVER, BRONZE)]
    of = shared(
        [rule(folders=["fd-prod"], accounts=[D], channel="auto")],
        share("1", [*NAMES, "m-copper"], PROD),
        readings=[*map(reading, old), reading(COPPER)],
        grants={"m-gold": deprecated(A, B), "m-silver": deprecated(A)},
        setbacks={},
    )
    lab = rule("lab", folders=["fd-prod"], images=ids("m-copper"), channel="auto")
    of = replace(of, policy=policy(rule(folders=["fd-prod"], accounts=[D], channel="auto", images=ids(*NAMES)), lab))
    found = {entity: (cut.block, cut.blocked) for (_, entity), cut in cuts(of).items()}
    other = "would not have"
    assert found == {
        "m-gold": ("waiting", f"account {A} and 1 more {other} m-gold by anything else"),
        "m-silver": ("conflict", f"account {B} and 1 more {other} m-silver by anything else"),
        "m-bronze": ("conflict", f"account {A} and 1 more {other} m-bronze by anything else"),
    }


def test_rows_stay_where_direct_grants_could_not_serve_everybody_and_only_there() -> None:
    """No place for a single grant: the target of three images stays; that of another share goes, and takes its pair."""
    lab = rule("lab", accounts=[D], images=ids(*NAMES))
    rules = [rule(folders=["fd-prod"], images=ids(*NAMES, "m-copper"), channel="auto"), lab]
    other = share("2", ["m-copper", row("m-gold", "Disassociated")], [*PROD, row("fd-test", "Associating"), E])
    of = shared(rules, share("1", targets=[*PROD, D]), other, readings=[*THREE, reading(COPPER)])
    of = replace(of, policy=policy(*rules, quota=0), proof=replace(PROVEN, images=frozenset({*NAMES, "m-copper"})))
    assert {place: cut.pairs for place, cut in cuts(of).items()} == {("rs-2", E): {Pair("m-copper", E)}}
    found = assemble(of, decide(of), ())
    why = "it stays in its resource share, because direct grants could not serve everybody who has it"
    assert [f for f in found.findings if f.kind == "channel-conflict"] == [
        Finding("channel-conflict", name, "", why) for name in NAMES
    ]
    assert {pending.entity for pending in found.pending} == {"fd-test"}
    staying = {name: decision.staying.sure & {D, E} for name, decision in by_name(of).items()}
    assert staying == {"gold": {D}, "silver": {D}, "bronze": {D}, "copper": set()}


def test_an_image_stays_where_direct_grants_could_not_serve_everybody() -> None:
    """Its own row does, and nothing of it waits; its neighbour that no rule selects leaves all the same."""
    direct = rule("direct", folders=["fd-prod"], images=ids("m-gold"))
    rest = rule(folders=["fd-prod"], images=ids("m-silver", "m-bronze"), channel="auto")
    one = share("1", [*NAMES, "m-tin"], PROD)
    of = shared([rest, direct], one, readings=[*THREE, reading(image("tin"))])
    of = replace(of, policy=policy(rest, direct, quota=1), proof=replace(PROVEN, images=frozenset({"m-tin"})))
    found = assemble(of, decide(of), ())
    assert {entity: cut.blocked for (_, entity), cut in cuts(of).items()} == {"m-tin": ""}
    assert [(c.action, c.images) for c in found.changes] == [("disassociate", ("m-tin",))]
    assert found.pending == ()
    assert [f.image for f in found.findings if f.kind == "channel-conflict"] == ["m-gold"]


def test_what_a_mode_or_a_doubt_keeps_of_a_share_is_told_for_its_image() -> None:
    """The rule behind the row only adds, or is frozen; it does not select the image any more."""
    now = rule("now", folders=["fd-prod"], channel="auto")
    for before, kept, undecided in (
        (rule(folders=["fd-test"], mode="add", images=ids("m-none"), channel="auto"), {C, D}, set()),
        (rule(folders=["fd-test"], without_folders=["fd-typo"], images=ids("m-none"), channel="auto"), set(), {C, D}),
    ):
        for decision in decide(shared([now, before], share("1", targets=[*PROD, "fd-test"]))).images:
            told = {f.account for f in decision.findings if f.kind == "kept-by-mode"}
            assert (told, set(decision.undecided), decision.losses) == (kept, undecided, ())


def test_an_image_of_which_nothing_may_be_concluded_keeps_the_targets_of_its_share() -> None:
    """One of its rules is frozen, and might want the target that no other rule wants; read or not."""
    frozen = rule("frozen", folders=["root"], without_folders=["fd-typo"], images=ids("m-bronze"), channel="auto")
    for readings in (THREE, (reading(GOLD), reading(SILVER), ImageReading(BRONZE, None, "no answer"))):
        of = shared([AUTO, frozen], share("1", targets=[*PROD, E]), readings=readings)
        assert ("rs-1", E) not in decide(of).shards[SHARD].arrangement.leaving
    free = decide(shared([AUTO], share("1", targets=[*PROD, E]))).shards[SHARD].arrangement
    assert free.leaving == {("rs-1", E)}


def test_an_image_that_was_passed_over_keeps_what_its_rules_want() -> None:
    """Its row was not asked for its grants: it joins nothing, and no target leaves with it unseen."""
    of = shared([AUTO], share("1", ["m-gold", "m-silver"], [*PROD, E]), readings=[reading(GOLD), reading(SILVER)])
    of = replace(of, passed_over=(BRONZE,))
    arrangement = decide(of).shards[SHARD].arrangement
    assert (arrangement.joining, arrangement.homes) == ((), {"m-gold": "rs-1", "m-silver": "rs-1"})
    inside = shared([AUTO], share("1", targets=[*PROD, E]), readings=[reading(GOLD), reading(SILVER)])
    (cut,) = decide(replace(inside, passed_over=(BRONZE,))).shards[SHARD].cuts
    assert (cut.entity, cut.block, cut.blocked) == (E, "conflict", "m-bronze was not looked at")


def test_where_sharing_is_not_enabled_nothing_joins_a_share() -> None:
    """Neither a new one nor one that is there."""
    for of in (shared([AUTO], enabled=False), shared([AUTO], share("1", ["m-gold"], ["fd-prod"]), enabled=False)):
        assert decide(of).shards[SHARD].arrangement.joining == ()


def test_what_a_person_put_into_a_share_is_not_given_by_us() -> None:
    """The image by hand is reached all the same; its neighbours are ours."""
    found = by_name(shared([AUTO], share("1", targets=PROD), by_hand=["m-gold"]))
    assert {name: set(decision.shared) for name, decision in found.items()} == {
        "gold": set(), "silver": {A, B}, "bronze": {A, B},
    }  # fmt: skip
    assert {frozenset(decision.has()) for decision in found.values()} == {frozenset({A, B})}


def test_who_falls_back_to_a_direct_grant_depends_on_the_home_of_its_image() -> None:
    """The share that two images join lastingly lacks a target; the third still waits for its place."""
    lasting, waits = Setback("Failed", "refused", NOW, lasting=True), Setback("Failed", "not now", NOW)
    of = shared(
        [rule(accounts=[A, E], channel="auto")],
        share("1", ["m-copper"], [A]),
        readings=[*THREE, reading(COPPER)],
        setbacks={f"rs-1/{E}": lasting, "rs-1/m-silver": waits},
    )
    assert {name: decision.grants for name, decision in by_name(of).items()} == {
        "gold": (E,), "silver": (), "bronze": (E,), "copper": (E,),
    }  # fmt: skip


def test_taking_the_owner_away_narrows_no_target_of_a_rule() -> None:
    """It has its images anyway: the folder lies in the audience of that rule alone."""
    one = rule("one", folders=["fd-prod"], without_accounts=[OWNER], channel="auto")
    two = rule("two", folders=["fd-test"], channel="auto")
    key = audience_key([*PROD, "fd-test"])
    assert decide(shared([one, two])).shards[SHARD].target_rules == {
        (key, "fd-eu"): ("one",), (key, "fd-prod"): ("one",), (key, "fd-test"): ("two",),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "account", "ends"),
    [
        ("audience", A, True), ("audience", B, False), ("departed", A, True), ("image", B, False),
        ("unmanaged", A, True), ("unmanaged", B, True), ("channel", A, False), ("channel", B, False),
    ],
)  # fmt: skip
def test_a_loss_ends_a_grant_of_ours_or_one_that_the_policy_revokes(cause: str, account: str, ends: bool) -> None:
    """Nobody else's, and none while only the channel changes; A's grant is ours."""
    loss = Loss(pair=Pair("m-gold", account), shard=SHARD, cause=cause, proven=True, rules=())  # type: ignore[arg-type]
    assert ends_grant(loss, frozenset({A, C})) == ends


def test_a_change_of_channel_belongs_to_the_shard_of_its_image() -> None:
    """Every account is listed, so nobody can tell whose row it is."""
    readings = [reading(each, A, B) for each in (GOLD, SILVER, BRONZE)]
    of = shared([rule(folders=["fd-prod"])], share("1", targets=PROD), readings=readings)
    losses = [loss for decision in decide(of).images for loss in decision.losses]
    assert {(loss.cause, loss.shard, loss.proven) for loss in losses} == {("channel", SHARD, True)}
    assert {loss.pair for loss in losses} == {Pair(name, account) for name in NAMES for account in (A, B)}


@pytest.mark.parametrize(("sweep", "known"), [(True, "rows"), (True, "made"), (False, "rows"), (True, "nothing")])
def test_a_sweep_looks_at_shares_of_ours_whose_images_are_all_gone(sweep: bool, known: str) -> None:
    """A run that looks at some images does not, and neither does one where nothing of ours is known."""
    of = shared([AUTO], share("1", ["m-old"], PROD), readings=[])
    ledgers = {
        "rows": replace(of.ledgers[SHARD], made=frozenset()),
        "made": Ledger(made=frozenset({"rs-1"})),
        "nothing": Ledger(),
    }
    decisions = decide(replace(of, sweep=sweep, ledgers={SHARD: ledgers[known]}))
    assert set(decisions.shards) == ({SHARD} if sweep and known != "nothing" else set())
    assert decisions.images == ()


def test_a_row_that_came_with_a_share_is_no_grant_that_somebody_can_keep() -> None:
    """Of accounts that a share reaches, a listed row is ours only if its very time is: else it is in doubt."""
    intended = {a: Entry("accepted", NOW - timedelta(hours=1), rules=("golden",)) for a in (A, B)}
    read = {a: Entry("made", NOW, rules=("golden",), shared_time="2026-11-01T00:00:00Z") for a in (A, B)}
    readings = [reading(GOLD, A, B), reading(SILVER, A, B, at="2026-11-21T11:30:00Z"), reading(BRONZE, A, B)]
    of = shared([rule(folders=["fd-prod"])], share("1", targets=PROD), readings=readings,
                grants={"m-gold": read, "m-silver": intended})  # fmt: skip
    assert {entity: (cut.block, len(cut.pairs)) for (_, entity), cut in cuts(of).items()} == {
        "m-gold": (None, 0), "m-silver": (None, 2), "m-bronze": (None, 2),
    }  # fmt: skip


def test_an_organization_without_the_accounts_of_a_target_loses_nobody() -> None:
    """The folder is empty today: its row leaves, and nothing is lost by it."""
    of = shared([AUTO], share("1", targets=[*PROD, "fd-test"]))
    fewer = [m for m in ORGANIZATION.members.values() if m.id not in (C, D)]
    of = replace(of, organization=organization(*fewer, folders=["fd-test"]))
    (cut,) = cuts(of).values()
    assert (cut.entity, cut.block, cut.pairs) == ("fd-test", None, frozenset())


@pytest.mark.parametrize("old", ["m-bronze", "m-gold", "m-silver"])
def test_an_image_that_stays_in_its_share_is_decided_apart_from_one_that_leaves_it(old: str) -> None:
    """The same rules and the same share, but one is deprecated and cannot go over to direct grants."""
    images = [replace(each, status="Deprecated") if each.id == old else each for each in (GOLD, SILVER, BRONZE)]
    of = shared([rule(folders=["fd-prod"])], share("1", targets=PROD), readings=map(reading, images))
    for decision in decide(of).images:
        stays = decision.image.id == old
        assert decision.staying.sure == ({A, B} if stays else set())
        assert decision.grants == (() if stays else (A, B))
    assert {entity for _, entity in cuts(of)} == {*NAMES} - {old}


def test_who_vanished_or_moved_is_remembered_with_what_may_still_reach_it() -> None:
    """Whatever the rows are: of such an account a listed row may be the share's own."""
    gone = Reach(ORGANIZATION, "unknown", SETTLED, SETTLED, {E: ("r-1", "fd-prod"), GONE: ("r-1", "fd-test")})
    firm, coming = share("1", targets=["fd-prod"]), share("2", ["m-gold"], [row("fd-test", "Associating")])
    pending = share("3", [row("m-silver", "Associating")], ["fd-prod"])
    found = coverage_of_images([firm, coming, replace(pending, id="rs-3")], gone, NOW)
    assert {name: set(coverage.elsewhere) for name, coverage in found.items()} == {
        "m-gold": {E, GONE}, "m-silver": {E}, "m-bronze": {E},
    }  # fmt: skip
    assert found["m-bronze"].perhaps() == {A, B, E}
    assert found["m-gold"].perhaps() == {A, B, C, D, E, GONE}
    waiting = coverage_of_images([pending], gone, NOW)["m-silver"]
    assert (waiting.associated, waiting.elsewhere) == (frozenset(), frozenset({E}))
    here = coverage_of_images([firm], Reach(ORGANIZATION, "unknown", SETTLED, SETTLED), NOW)
    assert {coverage.perhaps() for coverage in here.values()} == {frozenset({A, B})}


def rejecting(*pairs: Pair) -> Facts:
    """Three images go over to direct grants of two accounts; two more have them by the same share, wanted by nobody."""
    rules = [rule(folders=["fd-prod"])]
    of = shared(
        rules,
        share("1", targets=[*PROD, "fd-test"]),
        grants={"m-gold": made(A, B)},
        readings=[reading(GOLD, A, B), *THREE[1:]],
    )
    return replace(of, held=frozenset(pairs), rejected=frozenset(pairs))


def test_a_row_that_a_person_wants_to_stay_serves_everybody_who_has_it() -> None:
    """Its image is granted to nobody, and grants that were made for the change are one channel too many."""
    before, after = by_name(rejecting()), by_name(rejecting(Pair("m-gold", C)))
    assert {name: (found.grants, found.redundant) for name, found in before.items()} == {
        "gold": ((), ()), "silver": ((A, B), ()), "bronze": ((A, B), ()),
    }  # fmt: skip
    assert {name: (found.grants, found.redundant) for name, found in after.items()} == {
        "gold": ((), (A, B)), "silver": ((A, B), ()), "bronze": ((A, B), ()),
    }  # fmt: skip


def test_what_a_row_would_take_is_told_though_a_person_rejected_a_part_of_it() -> None:
    """The rest of it goes on to be a loss, and the row neither leaves nor waits for anything else."""
    of = rejecting(Pair("m-gold", C))
    lost = {name: {loss.pair.account for loss in found.losses} for name, found in by_name(of).items()}
    assert lost == {"gold": {C, D}, "silver": {C, D}, "bronze": {C, D}}
    assert cuts(of)["rs-1", "m-gold"] == replace(cuts(rejecting())["rs-1", "m-gold"], block=None, blocked="")
    found = assemble(of, decide(of), (), rejected=of.rejected)
    assert [(change.images, change.accounts) for change in found.changes if change.action == "revoke"] == [
        (("m-gold",), (A, B))
    ]
    assert not [change for change in found.changes if change.action == "disassociate" and "m-gold" in change.images]
    assert [finding.account for finding in found.findings if finding.kind == "rejected"] == [C]


def with_share_by_hand(of: Facts) -> Facts:
    """The same with a share that a person made: gold for the folder above."""
    by_hand = share("hand", ["m-gold"], ["fd-prod"], tags=frozenset())
    return replace(of, sharing={SHARD: Sharing((*of.sharing[SHARD].shares, by_hand))})


def directly(*, elsewhere: tuple[str, ...] = (), mode: Mode = "enforce", listed: Iterable[str] = ()) -> Facts:
    """Three images go over to direct grants; gold is in a share by hand as well, for the folder above."""
    of = shared([rule(folders=["fd-prod"], mode=mode)], share("1", targets=PROD if not elsewhere else (A, B)),
                readings=[reading(GOLD), reading(SILVER, *listed), reading(BRONZE)])  # fmt: skip
    of = with_share_by_hand(of)
    places = dict.fromkeys(elsewhere, ("r-1", "fd-test"))
    return replace(of, elsewhere=places, settled=of.settled - places.keys())


def conflicts(of: Facts) -> dict[str, str]:
    return {f.image: f.why for f in assemble(of, decide(of), ()).findings if f.kind == "channel-conflict"}


def test_whom_another_share_may_or_may_not_reach_keeps_its_image_in_the_share_that_does() -> None:
    """Nobody knows whether the folder above reaches the subfolder: it would get no grant, so nobody else needs one."""
    of = directly()
    assert conflicts(of) == {
        "m-gold": f"it stays in its resource share, because another resource share may or may not reach account {B}, "
        "so it gets no direct grant instead"
    }
    assert {name: found.grants for name, found in by_name(of).items()} == {
        "gold": (), "silver": (A, B), "bronze": (A, B),
    }  # fmt: skip
    assert blocked(of).keys() == {"m-silver", "m-bronze"}


def test_who_moved_lately_is_waited_for_and_is_no_conflict() -> None:
    """What leaves names it; whether the other share reaches it where it is now is known soon."""
    of = directly(elsewhere=(B,))
    assert conflicts(of) == {}
    assert blocked(of)["m-gold"] == f"account {B} would not have m-gold by anything else"


def test_a_target_that_stays_for_one_image_is_told_for_the_others_in_its_share() -> None:
    """Both are to get another target in place; the one has to stay, so the old target does, for the other as well."""
    rules = [rule(folders=["fd-test"], channel="auto", images=ids("m-gold", "m-silver")), rule("two", accounts=[B])]
    of = shared(rules, share("1", ["m-gold", "m-silver"], [*PROD, "fd-test"]), readings=THREE[:2])
    of = with_share_by_hand(of)
    found = [f for f in assemble(of, decide(of), ()).findings if f.kind == "channel-conflict" and not f.image]
    why = f"another resource share may or may not reach account {B}, so it gets no direct grant instead"
    said = f"fd-eu stays in rs-1, also for other images, because m-gold stays: {why}"
    assert Finding("channel-conflict", "", "", said) in found
    assert all("m-silver" not in cut.images for cut in cuts(of).values())


def test_a_mode_that_takes_nothing_away_allows_no_gap() -> None:
    """Of one image the rows of two accounts may be the share's own, so nobody can see that the change leaves none."""
    of = directly(mode="add", listed=[A, B])
    why = f"it cannot be seen whether account {A} has a direct grant already, and mode add allows no gap"
    assert conflicts(of)["m-silver"] == f"it stays in its resource share, because {why}"
    assert "m-silver" not in conflicts(directly(listed=[A, B]))
    assert conflicts(directly(mode="add", listed=[STRANGER])).keys() == {"m-gold"}


def test_a_row_that_stays_for_one_image_makes_nobody_less_sure_of_another() -> None:
    """Gold stays; copper leaves a share for one with the same targets, and who joined lately is as sure in both."""
    rules = [
        rule(folders=["fd-prod"], images=ids(*NAMES)),
        rule("two", folders=["fd-prod"], images=ids("m-copper"), channel="auto"),
    ]
    of = shared(
        rules,
        share("1", targets=(A, B)),
        share("2", ["m-copper"], PROD),
        share("3", ["m-copper"], PROD),
        readings=[*THREE, reading(COPPER)],
    )
    of = with_share_by_hand(replace(of, settled=of.settled - {A}, established=of.established - {A}))
    assert conflicts(of).keys() == {"m-gold"}
    assert {row: cut.blocked for row, cut in cuts(of).items() if row[1] == "m-copper"} == {("rs-3", "m-copper"): ""}


def test_who_moved_lately_is_less_sure_by_its_folder_than_by_its_name() -> None:
    """It is new to us, too, and named by what leaves: the folder that it came to a moment ago may not reach it yet."""
    of = shared([rule(folders=["fd-test"], channel="auto")], share("1", targets=["fd-test", C]))
    new = replace(of, settled=of.settled - {C}, established=of.established - {C})
    assert blocked(new) == {C: ""}
    moved = replace(new, elsewhere={C: ("r-1", "fd-prod")})
    assert blocked(moved) == {C: f"account {C} would not have m-bronze by anything else"}
