"""What is decided where images stand in resource shares: when the directory cannot serve, who goes direct instead."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import ImageDecision
from orgshare.decide.facts import Facts
from orgshare.decide.plan import Finding, Pending
from orgshare.decide.shares import CREATE, STATE, audience_key
from orgshare.ledger import Entry, Ledger, Setback
from orgshare.policy.model import Channel, ImageSelector, Rule
from orgshare.words import DEPLOYMENT, ImageReading, Shard, Sharing
from tests.decide.sharing import BRONZE, GOLD, NAMES, OURS, SILVER, THREE, row, share, shared
from tests.support.facts import (
    JUST_NOW,
    MANAGEMENT,
    NOW,
    ORGANIZATION,
    OWNER,
    SHARD,
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

AN_HOUR_AGO = "2026-11-21T11:00:00Z"
PROD = ("fd-eu", "fd-prod")


def prod(channel: Channel = "auto", **more: object) -> Rule:
    return rule(folders=["fd-prod"], channel=channel, **more)  # type: ignore[arg-type]


def only(name: str, *of: str) -> ImageSelector:
    return ImageSelector(ids=frozenset(of or (f"m-{name}",)))


def by_name(of: Facts) -> dict[str, ImageDecision]:
    return {decision.image.name: decision for decision in decide(of).images}


def grants(of: Facts) -> dict[str, tuple[str, ...]]:
    return {name: decision.grants for name, decision in by_name(of).items()}


def refused(of: Facts) -> set[tuple[str, str, tuple[str, ...], str]]:
    return {(r.image, r.reason, r.accounts, r.remedy) for d in decide(of).images for r in d.refusals}


def findings(of: Facts, kind: str) -> list[Finding]:
    decisions = decide(of)
    found = {*decisions.findings, *(f for image in decisions.images for f in image.findings)}
    return sorted(finding for finding in found if finding.kind == kind)


NOT_ENABLED = (
    "sharing in the organization is not enabled: let the management account enable sharing in the organization "
    "(EnableSharingWithResourceDirectory), or use channel: auto or direct"
)


def test_where_sharing_is_not_enabled_auto_goes_direct_and_says_so_once() -> None:
    """One finding for the whole shard, whatever the number of its images."""
    of = shared([prod()], enabled=False)
    assert grants(of) == dict.fromkeys(("gold", "silver", "bronze"), (A, B))
    why = f"{SHARD}: sharing in the organization is not enabled; rules with channel auto use direct grants there"
    assert findings(of, "channel-fallback") == [Finding("channel-fallback", "", "", why)]
    assert refused(of) == set()


def test_where_sharing_is_not_enabled_the_directory_is_refused() -> None:
    """Everybody who has the image already is not named; nobody goes direct, so there is no such finding."""
    of = shared([prod("directory")], enabled=False, readings=[reading(GOLD), reading(SILVER, A), reading(BRONZE, A, B)])
    assert set(grants(of).values()) == {()}
    assert refused(of) == {
        ("m-gold", "sharing-not-enabled", (A, B), NOT_ENABLED), ("m-silver", "sharing-not-enabled", (B,), NOT_ENABLED),
    }  # fmt: skip
    assert findings(of, "channel-fallback") == []


def test_rules_of_both_kinds_are_told_apart_where_the_directory_cannot_serve() -> None:
    """Whom the one wants goes direct, whom only the other wants is refused."""
    of = shared([prod("directory"), rule("lab", folders=["fd-test"], channel="auto")], enabled=False)
    assert set(grants(of).values()) == {(C, D)}
    assert {(accounts, remedy) for _, _, accounts, remedy in refused(of)} == {((A, B), NOT_ENABLED)}


def test_a_rule_of_direct_grants_has_nothing_to_do_with_sharing_in_the_organization() -> None:
    """Neither where it is enabled nor where it is not."""
    for enabled in (True, False):
        of = shared([rule(folders=["fd-prod"])], enabled=enabled)
        assert set(grants(of).values()) == {(A, B)}
        assert (findings(of, "channel-fallback"), refused(of)) == ([], set())


def test_an_owner_outside_the_organization_cannot_use_the_directory() -> None:
    """It is said before anything else: enabling sharing would not help."""
    members = [member for member in ORGANIZATION.members.values() if member.id != OWNER]
    outside = replace(shared([prod("directory")], enabled=False), organization=organization(*members))
    remedy = (
        f"owner {OWNER} is not in the organization: let the owner's account join the organization, "
        "or use channel: auto or direct"
    )
    assert refused(outside) == {(name, "owner-outside", (A, B), remedy) for name in NAMES}


def test_the_management_account_shares_through_the_directory_without_being_a_member() -> None:
    """It is the directory's own account."""
    shard = Shard("ecs", MANAGEMENT, "cn-hangzhou")
    readings = [reading(image(name, shard=shard)) for name in ("gold", "silver", "bronze")]
    of = shared([prod("directory")], readings=readings)
    owners = (replace(of.policy.owners[0], account=MANAGEMENT),)
    of = replace(of, policy=replace(of.policy, owners=owners), sharing={shard: Sharing()}, ledgers={})
    (joining,) = decide(of).shards[shard].arrangement.joining
    assert (joining.images, joining.targets, refused(of)) == (NAMES, PROD, set())


def test_an_image_that_lastingly_cannot_join_goes_direct_or_is_refused() -> None:
    """Only that one: one that may try again later waits, and one that is in the share has it."""
    of = {
        channel: shared(
            [prod(channel)],
            share("1", ["m-gold"], PROD),
            setbacks={
                "rs-1/m-silver": Setback("QuotaExceeded.Resource", "too many", NOW, lasting=True),
                "rs-1/m-bronze": Setback("Failed", "no reason", NOW),
            },
        )
        for channel in ("auto", "directory")
    }
    assert grants(of["auto"]) == {"gold": (), "silver": (A, B), "bronze": ()}
    why = "QuotaExceeded.Resource: too many; 2 accounts may get direct grants instead"
    assert findings(of["auto"], "channel-fallback") == [Finding("channel-fallback", "m-silver", "", why)]
    assert set(grants(of["directory"]).values()) == {()}
    remedy = (
        "QuotaExceeded.Resource: too many: raise the quota of Resource Sharing; "
        "with channel auto the next run grants directly"
    )
    assert refused(of["directory"]) == {("m-silver", "share-quota", (A, B), remedy)}
    for each in of.values():
        assert by_name(each)["gold"].home == "rs-1"
        assert decide(each).shards[SHARD].pending == (
            Pending("rs-1", "m-bronze", "Failed: no reason; tried again after 12:15 UTC", NOW.isoformat()),
        )


def test_a_share_that_lastingly_cannot_be_made_sends_all_its_images_direct() -> None:
    """The vendor's words are not said twice where they begin with the code."""
    setback = Setback("QuotaExceeded.ResourceShare", "QuotaExceeded.ResourceShare: used up", NOW, lasting=True)
    of = shared([prod()], setbacks={CREATE: setback})
    assert set(grants(of).values()) == {(A, B)}
    why = "QuotaExceeded.ResourceShare: used up; 2 accounts may get direct grants instead"
    assert {(f.image, f.why) for f in findings(of, "channel-fallback")} == {(name, why) for name in NAMES}


def test_a_share_that_cannot_be_made_for_now_is_waited_for() -> None:
    """Nobody goes direct; what is pending says when it is tried again, by the name of what was tried."""
    of = shared([prod()], setbacks={CREATE: Setback("Busy", "not now", NOW - timedelta(minutes=5))})
    assert set(grants(of).values()) == {()}
    since = (NOW - timedelta(minutes=5)).isoformat()
    assert decide(of).shards[SHARD].pending == (
        Pending("", CREATE, "Busy: not now; tried again after 12:10 UTC", since),
    )


def test_what_is_pending_says_the_code_once() -> None:
    """Also where the words begin with it."""
    of = shared([prod()], setbacks={CREATE: Setback("Busy", "Busy: not now", NOW)})
    assert [p.status for p in decide(of).shards[SHARD].pending] == ["Busy: not now; tried again after 12:15 UTC"]


def test_a_setback_whose_time_is_over_is_not_pending() -> None:
    """It is simply tried again: the images join."""
    of = shared([prod()], setbacks={CREATE: Setback("Busy", "not now", NOW - timedelta(minutes=15))})
    assert decide(of).shards[SHARD].pending == ()
    assert [each.images for each in decide(of).shards[SHARD].arrangement.joining] == [NAMES]


@pytest.mark.parametrize("channel", ["auto", "directory"])
def test_a_target_that_is_under_way_for_too_long_leaves_its_accounts_to_direct_grants(channel: Channel) -> None:
    """Those of the other targets have the images through the share and are not touched."""
    one = share("1", targets=[A, B, row(E, "Associating", created=AN_HOUR_AGO)])
    of = shared([rule(accounts=[A, B, E], channel=channel)], one)
    said = f"{E} has been associating with rs-1"
    if channel == "auto":
        assert set(grants(of).values()) == {(E,)}
        why = f"{said} for too long; 1 accounts may get direct grants instead"
        assert {(f.image, f.why) for f in findings(of, "channel-fallback")} == {(name, why) for name in NAMES}
    else:
        remedy = f"{said} for too long: mend what the cloud says; with channel auto the next run grants directly"
        assert refused(of) == {(name, "association-failed", (E,), remedy) for name in NAMES}
    assert findings(of, "unsure-coverage") == [Finding("unsure-coverage", "", "", f"{said} since {AN_HOUR_AGO}")]
    assert decide(of).shards[SHARD].pending == ()


def test_a_target_that_lastingly_failed_is_told_with_its_own_cause() -> None:
    """The first that has one, in the order of the targets; the share goes on serving everybody else."""
    setbacks = {
        "rs-1/" + D: Setback("Failed", "the account refuses", NOW, lasting=True),
        "rs-1/" + E: Setback("Failed", "another cause", NOW, lasting=True),
    }
    of = shared([rule(accounts=[A, D, E], channel="auto")], share("1", targets=[A]), setbacks=setbacks)
    assert set(grants(of).values()) == {(D, E)}
    why = "Failed: the account refuses; 2 accounts may get direct grants instead"
    assert {f.why for f in findings(of, "channel-fallback")} == {why}


def test_an_image_that_is_under_way_for_too_long_goes_direct_alone() -> None:
    """The two others of the share have it, or are on their way for a moment only."""
    stuck = row("m-silver", "Associating", created="2026-11-01T00:00:00Z", updated=AN_HOUR_AGO)
    one = share("1", ["m-gold", stuck, row("m-bronze", "Associating")], PROD)
    of = shared([prod()], one)
    assert grants(of) == {"gold": (), "silver": (A, B), "bronze": ()}
    why = "Associating: under way since 2026-11-21T11:00:00+00:00; 2 accounts may get direct grants instead"
    assert findings(of, "channel-fallback") == [Finding("channel-fallback", "m-silver", "", why)]
    assert findings(of, "unsure-coverage") == [
        Finding("unsure-coverage", "m-silver", "", f"m-silver has been associating with rs-1 since {AN_HOUR_AGO}")
    ]
    assert decide(of).shards[SHARD].pending == (Pending("rs-1", "m-bronze", "Associating", JUST_NOW),)


def test_what_is_under_way_in_shares_of_ours_is_pending() -> None:
    """A share, a row that comes and a row that goes, each since it changed last; what stands or is over is not."""
    on_its_way = row("m-silver", "Associating", updated="2026-11-21T11:58:00Z")
    rows = (row("m-gold"), on_its_way, row("m-bronze", "Disassociating"), row("m-old", "Disassociated"))
    theirs = share("9", [row("m-gold", "Associating")], ["fd-test"], tags=frozenset())
    of = shared([prod()], share("1", rows, PROD, status="Pending"), readings=THREE)
    of = replace(of, sharing={SHARD: Sharing((theirs, *of.sharing[SHARD].shares))})
    assert sorted(decide(of).shards[SHARD].pending) == [
        Pending("rs-1", "m-bronze", "Disassociating", JUST_NOW),
        Pending("rs-1", "m-silver", "Associating", "2026-11-21T11:58:00Z"),
        Pending("rs-1", "rs-1", "Pending", ""),
    ]


OTHERS = frozenset({(DEPLOYMENT, "golden-images"), (STATE, "another")})


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (OURS, []),
        (frozenset(), []),
        (frozenset({(DEPLOYMENT, "theirs"), (STATE, "another")}), []),
        (OTHERS, ["resource share rs-1 names this deployment, but another state; it is never touched"]),
    ],
)
def test_a_share_of_another_state_of_this_deployment_is_told(tags: frozenset[tuple[str, str]], told: list[str]) -> None:
    """Somebody began a second state; a share of another deployment is nobody's business."""
    of = shared([prod()], readings=THREE)
    of = replace(of, sharing={SHARD: Sharing((share("1", (), (), tags=tags),))})
    assert findings(of, "foreign-deployment") == [Finding("foreign-deployment", "", "", why) for why in told]
    assert findings(of, "channel-conflict") == []


def test_a_share_that_lost_its_tags_with_rows_of_ours_is_told() -> None:
    """Nothing is done there; one that was deleted needs no word."""
    why = (
        "resource share rs-1 lost its tags and has 5 rows of ours: nothing is done there; "
        "give it its tags back, or end it by hand"
    )
    for status, told in (("Active", [Finding("channel-conflict", "", "", why)]), ("Deleted", [])):
        of = shared([prod()], share("1", targets=PROD, tags=frozenset(), status=status))
        assert findings(of, "channel-conflict") == told


def test_a_target_that_somebody_put_into_a_share_of_ours_is_told() -> None:
    """An account by its id, a folder in words; one that the images want anyway is no conflict."""
    one = share("1", targets=[*PROD, "fd-test", E, row("fd-over", "Disassociated")])
    of = shared([prod()], one, by_hand=["fd-test", E, "fd-over"])
    told = "which is ours: nothing new joins it meanwhile"
    assert findings(of, "channel-conflict") == [
        Finding("channel-conflict", "", "", f"somebody put fd-test into rs-1, {told}"),
        Finding("channel-conflict", "", E, f"somebody put {E} into rs-1, {told}"),
    ]
    wanted = shared([prod(), rule("lab", folders=["fd-test"], accounts=[E], channel="auto")], one, by_hand=["fd-test"])
    assert findings(wanted, "channel-conflict") == []


def test_an_empty_share_of_ours_may_have_any_target() -> None:
    """No image is there that could be given to the wrong account, and images that are not read say nothing."""
    of = shared([prod()], share("1", [row("m-gold", "Disassociated"), "m-unread"], ["fd-test"]), by_hand=["fd-test"])
    assert findings(of, "channel-conflict") == []


def test_a_state_in_doubt_says_how_to_mend_it_and_changes_no_share() -> None:
    """The state knows a share that the cloud neither lists nor calls deleted."""
    of = shared([prod()], share("1", targets=PROD), readings=[reading(GOLD, A, C), reading(SILVER), reading(BRONZE)],
                grants={"m-gold": made(A, C)})  # fmt: skip
    known = replace(of.ledgers[SHARD], made=frozenset({"rs-1", "rs-2"}))
    decisions = decide(replace(of, ledgers={SHARD: known}))
    shard = decisions.shards[SHARD]
    assert [gap.why for gap in decisions.incomplete] == [
        "the state knows resource share rs-2, which the cloud neither lists nor calls deleted: nothing is taken away "
        "here and no resource share is changed; run «orgshare init --recover»"
    ]
    assert {(gap.where, gap.name) for gap in decisions.incomplete} == {("shard", str(SHARD))}
    assert (shard.arrangement.joining, shard.arrangement.leaving, shard.cuts) == ((), frozenset(), ())
    gold = next(decision for decision in decisions.images if decision.image.name == "gold")
    assert (gold.losses, gold.redundant) == ((), ())
    assert gold.undecided == {C}


def test_each_decision_of_an_image_says_where_it_stands() -> None:
    """One in the share, one that joins it, one of a rule of direct grants."""
    rules = [prod(images=only("", "m-gold", "m-silver")), rule("lab", folders=["fd-test"], images=only("bronze"))]
    found = by_name(shared(rules, share("1", ["m-gold"], PROD)))
    assert {name: (d.home, d.promised, d.quota) for name, d in found.items()} == {
        "gold": ("rs-1", frozenset(), 50), "silver": ("rs-1", {A, B}, 50), "bronze": ("", frozenset(), 50),
    }  # fmt: skip
    gold, bronze = found["gold"], found["bronze"]
    assert gold.directory.accounts == {A, B}
    assert gold.directory.targets == set(PROD)
    assert (bronze.directory.accounts, bronze.directory.targets) == (frozenset(), frozenset())
    assert gold.given() == gold.has() == gold.coverage.sure == {A, B}
    assert gold.staying == gold.coverage
    assert (bronze.given(), bronze.has(), bronze.grants) == (frozenset(), frozenset(), (C, D))


def test_who_has_an_image_is_who_can_use_it_by_either_channel() -> None:
    """A grant by hand counts as having it and not as given by us; the owner counts as neither."""
    found = by_name(shared([prod()], share("1", targets=[*PROD, "r-1"]), readings=[
        reading(GOLD, C), reading(SILVER, OWNER), reading(BRONZE)], by_hand=["r-1"]))  # fmt: skip
    assert found["gold"].has() >= {A, B, C}
    assert found["gold"].given() == {A, B}
    assert OWNER not in found["silver"].has()


def test_what_joins_carries_the_rules_behind_it() -> None:
    """An image those that select it; a target those in whose own audience it lies, of all images that have it."""
    rules = [
        prod(images=only("", "m-gold", "m-silver")),
        rule("lab", folders=["fd-test"], images=only("", *NAMES), channel="auto"),
        rule("all", folders=["fd-prod", "fd-test"], images=only("bronze"), channel="auto"),
    ]
    shard = decide(shared(rules)).shards[SHARD]
    assert shard.image_rules == {
        "m-gold": ("golden", "lab"), "m-silver": ("golden", "lab"), "m-bronze": ("lab", "all"),
    }  # fmt: skip
    key = audience_key([*PROD, "fd-test"])
    assert shard.target_rules == {
        (key, "fd-eu"): ("all", "golden"), (key, "fd-prod"): ("all", "golden"),
        (key, "fd-test"): ("all", "lab"),
    }  # fmt: skip


def test_a_target_that_only_several_rules_together_make_has_all_of_them_behind_it() -> None:
    """One includes the folder without its subfolder, the other the subfolder: only together it is whole."""
    without = rule("one", folders=["fd-prod"], without_folders=["fd-eu"], channel="auto")
    shard = decide(shared([without, rule("two", folders=["fd-eu"], channel="auto")])).shards[SHARD]
    key = audience_key(PROD)
    assert shard.target_rules == {(key, "fd-prod"): ("one", "two"), (key, "fd-eu"): ("two",)}


@pytest.mark.parametrize("looked", [True, False])
def test_an_image_that_could_not_be_read_changes_nothing_about_its_share(looked: bool) -> None:
    """Its wishes count for the share's targets, but it neither joins nor leaves."""
    unread: ImageReading = reading(BRONZE) if looked else ImageReading(BRONZE, None, "no answer")
    of = shared([prod()], share("1", ["m-gold"], PROD), readings=[reading(GOLD), reading(SILVER), unread])
    (joining,) = decide(of).shards[SHARD].arrangement.joining
    assert joining.images == (("m-bronze", "m-silver") if looked else ("m-silver",))
    other = rule("lab", folders=["fd-test"], images=only("bronze"), channel="auto")
    of = shared([prod(images=only("", "m-gold", "m-silver")), other], share("1", targets=PROD), readings=[
        reading(GOLD), reading(SILVER), unread])  # fmt: skip
    assert decide(of).shards[SHARD].arrangement.leaving == ({("rs-1", "m-bronze")} if looked else frozenset())


def test_an_image_of_a_frozen_rule_keeps_its_share_as_it_is() -> None:
    """Read or not: nothing is known of whom it is for, so no target joins and none leaves."""
    frozen = prod(images=only("bronze"), without_folders=["fd-unheard"])
    rest = rule("rest", folders=["fd-prod", "fd-test"], images=only("", "m-gold", "m-silver"), channel="auto")
    for unread in (reading(BRONZE), ImageReading(BRONZE, None, "no answer")):
        of = shared([frozen, rest], share("1", targets=[*PROD, E]), readings=[reading(GOLD), reading(SILVER), unread])
        arrangement = decide(of).shards[SHARD].arrangement
        assert {entity for _, entity in arrangement.leaving}.isdisjoint({"m-bronze", E, *PROD})
        assert all(each.share != "rs-1" for each in arrangement.joining)


def test_images_of_the_same_rules_are_decided_for_themselves() -> None:
    """One in a share, one that joins it, one stuck on its way, one nowhere: four cases of one rule."""
    copper = image("copper")
    rows = (row("m-gold"), row("m-silver", "Associating", created=AN_HOUR_AGO))
    of = shared(
        [prod()],
        share("1", rows, PROD),
        readings=[*THREE, reading(copper)],
        setbacks={"rs-1/m-copper": Setback("Failed", "for good", NOW, lasting=True)},
    )
    found = by_name(of)
    assert {name: (d.grants, d.promised, d.has()) for name, d in found.items()} == {
        "gold": ((), frozenset(), {A, B}), "silver": ((A, B), {A, B}, frozenset()),
        "bronze": ((), {A, B}, frozenset()), "copper": ((A, B), {A, B}, frozenset()),
    }  # fmt: skip


def test_a_ledger_of_nothing_is_enough() -> None:
    """A shard that was never recorded decides as one of which nothing is known."""
    of = shared([prod()])
    assert decide(replace(of, ledgers={})) == decide(replace(of, ledgers={SHARD: Ledger()}))


def test_a_grant_that_is_asked_for_is_not_asked_for_again_and_fills_a_place() -> None:
    """It was accepted a minute ago and is not listed yet: pending, since it was asked for."""
    asked = {A: Entry("accepted", NOW - timedelta(minutes=1), rules=("golden",))}
    of = shared([rule(folders=["fd-prod", "fd-test"])], grants={"m-gold": asked})
    of = replace(of, policy=policy(rule(folders=["fd-prod", "fd-test"]), quota=2))
    found = by_name(of)
    assert (found["gold"].grants, found["silver"].grants) == ((B,), (A, B))
    since = (NOW - timedelta(minutes=1)).isoformat()
    assert found["gold"].pending == (Pending("", f"m-gold/{A}", "accepted, not listed yet", since),)
