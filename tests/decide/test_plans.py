"""Whole plans, as a person reads them and ``execute`` carries them out: nothing is missing, doubled or moved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import RoleDecision
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.plan import Action, Change, Finding, Hold, Pending, Plan, Summary, pairs_id
from orgshare.decide.planning import assemble, rules_of, running, waiting
from orgshare.decide.shares import audience_key
from orgshare.ledger import Entry, Ledger, RememberedRefusal
from orgshare.policy.model import ImageSelector
from orgshare.words import Grant, ImageReading, Incomplete, Pair, Shard, Sharing, desktops_of, wide_shard
from tests.decide.sharing import BRONZE, GOLD, GONE, NAMES, PROVEN, SILVER, WHOLE, row, share, shared
from tests.support.facts import (
    NOW,
    PARTNER,
    SHARD,
    A,
    B,
    C,
    D,
    E,
    facts,
    ledger,
    made,
    policy,
    reading,
    rule,
)

AUTO = rule(folders=["fd-prod"], channel="auto")
LAB = rule("lab", folders=["fd-test"], accounts=[E], channel="auto")


def plan(of: Facts, *holds: Hold, rejected: Iterable[Pair] = ()) -> Plan:
    return assemble(of, decide(of), holds, rejected=frozenset(rejected))


def hold(*pairs: Pair, gains: bool = False) -> Hold:
    return Hold(id=pairs_id(pairs), since=NOW, why="too many", pairs=tuple(sorted(pairs)), gains=gains)


def change(action: Action, rules: Iterable[str] = ("golden",), **parts: object) -> Change:
    return Change(action=action, shard=SHARD, rules=tuple(rules), **parts)  # type: ignore[arg-type]


def of(name: str, *accounts: str) -> tuple[Pair, ...]:
    return tuple(Pair(name, account) for account in accounts)


def test_a_new_share_is_planned_with_everything_that_is_to_join_it() -> None:
    """Made empty first, then filled; who has an image already by a grant gains nothing."""
    found = plan(shared([AUTO, LAB], readings=[reading(GOLD), reading(SILVER, A), reading(BRONZE)]))
    targets = (E, "fd-eu", "fd-prod", "fd-test")
    key = audience_key(targets)
    both = ("golden", "lab")
    assert found.changes == (
        change("create-share", both, targets=targets, audience=key, why="a resource share for 4 targets"),
        change(
            "associate", both, images=NAMES, targets=targets, audience=key, gained=14, why="wanted by rules golden, lab"
        ),
    )
    assert found.summary == Summary(images=3, accounts=5, wanted=15, in_step=1, gained=14, lost=0)


def test_a_share_that_is_there_is_filled() -> None:
    """Two images and a target join it; an image that waits in another audience is none of its business."""
    one = share("1", ["m-gold"], ["fd-prod"])
    lab = rule("lab", images=ImageSelector(ids=frozenset({"m-bronze"})), folders=["fd-test"], channel="auto")
    mine = rule(images=ImageSelector(ids=frozenset({"m-gold", "m-silver"})), folders=["fd-prod"], channel="auto")
    found = plan(shared([mine, lab], one))
    prod, test = audience_key(["fd-prod", "fd-eu"]), audience_key(["fd-test"])
    assert found.changes == (
        change("create-share", ["lab"], targets=("fd-test",), audience=test, why="a resource share for 1 target"),
        change(
            "associate",
            ["lab"],
            images=("m-bronze",),
            targets=("fd-test",),
            audience=test,
            gained=2,
            why="wanted by rule lab",
        ),
        change(
            "associate",
            images=("m-silver",),
            targets=("fd-eu",),
            share="rs-1",
            audience=prod,
            gained=2,
            why="wanted by rule golden",
        ),
    )


def test_what_leaves_a_share_says_how_many_lose_what_and_why() -> None:
    """Three images and three accounts that are no longer in the audience; one account left the organization."""
    whole = share("1", targets=["fd-eu", "fd-prod", "fd-test", E, GONE])
    left = share("2", ["m-gold"], [GONE])
    found = plan(shared([AUTO], whole, left, behind={"fd-test": ("golden", "lab"), E: ("lab", "golden")}))
    why = "9 no longer in the audience of a rule; 3 left the organization"
    assert found.changes == (
        change("disassociate", targets=(E, GONE, "fd-test"), share="rs-1", lost=12, why=why),
        change(
            "disassociate",
            (),
            images=("m-gold",),
            targets=(GONE,),
            share="rs-2",
            why="everybody who is wanted is reached otherwise",
        ),
    )
    assert (found.summary.lost, found.summary.in_step, found.pending, found.incomplete) == (12, 6, (), ())


def test_a_pair_that_leaves_two_shares_is_lost_once() -> None:
    """The first change tells it; the second takes nothing more from anybody."""
    found = plan(shared([AUTO], WHOLE, share("2", ["m-gold", "m-silver"], ["fd-test"]), share("3", ["m-gold"], [E])))
    gone = "everybody who is wanted is reached otherwise"
    assert found.changes == (
        change(
            "disassociate", targets=(E, "fd-test"), share="rs-1", lost=9, why="9 no longer in the audience of a rule"
        ),
        change("disassociate", (), images=("m-gold",), targets=(E,), share="rs-3", why=gone),
        change("disassociate", (), images=("m-gold", "m-silver"), targets=("fd-test",), share="rs-2", why=gone),
    )


def test_a_row_that_is_waited_for_is_said_to_stay() -> None:
    """Two images go to a share of their own first; the third, which nobody wants, leaves at once."""
    mine = rule(images=ImageSelector(ids=frozenset({"m-gold", "m-silver"})), folders=["fd-prod"], channel="auto")
    found = plan(shared([mine], WHOLE))
    assert [(c.action, c.images, c.lost, c.why) for c in found.changes] == [
        ("create-share", (), 0, "a resource share for 2 targets"),
        ("associate", ("m-gold", "m-silver"), 0, "wanted by rule golden"),
        ("disassociate", ("m-bronze",), 5, "5 no rule selects the image any more"),
    ]
    assert found.pending == tuple(
        Pending("rs-1", name, f"stays for now: account {A} and 1 more would not have {name} by anything else", "")
        for name in ("m-gold", "m-silver")
    )


def test_a_row_that_stays_because_of_a_conflict_is_a_finding() -> None:
    """An image that was not looked at keeps a target, and a target's finding names no image."""
    unread = ImageReading(BRONZE, None, "no answer")
    found = plan(shared([AUTO], WHOLE, readings=[reading(GOLD), reading(SILVER), unread]))
    assert [f for f in found.findings if f.kind == "channel-conflict"] == [
        Finding("channel-conflict", "", "", f"{target} stays in rs-1: m-bronze was not looked at")
        for target in (E, "fd-test")
    ]
    assert (found.changes, found.pending) == ((), ())


def test_an_image_that_stays_because_of_a_conflict_is_named() -> None:
    """Its rule went over to direct grants, and the quota has no place for one of those who have it."""
    mine = rule(folders=["fd-prod"], channel="auto", images=ImageSelector(ids=frozenset({"m-silver", "m-bronze"})))
    direct = rule("direct", folders=["fd-prod"], images=ImageSelector(ids=frozenset({"m-gold"})))
    of = shared([mine, direct], share("1", NAMES, ["fd-prod", "fd-eu"]), share("2", ["m-gold"], [A, B]))
    of = replace(of, policy=policy(mine, direct, quota=1))
    found = plan(of)
    assert {(f.kind, f.image, f.why) for f in found.findings} == {
        (
            "channel-conflict",
            "m-gold",
            "it stays in its resource share, because direct grants could not serve everybody who has it",
        )
    }


def test_a_row_of_which_one_pair_is_held_stays_whole() -> None:
    """What may go of it and what may not is told; the hold shows what an approval would carry out."""
    held = hold(*of("m-gold", C, E), *of("m-silver", D))
    found = plan(shared([AUTO], WHOLE), held)
    assert found.changes == ()
    stays = "stays for now: part of what it gives is held or not confirmed"
    assert found.pending == (Pending("rs-1", E, stays, ""), Pending("rs-1", "fd-test", stays, ""))
    assert [replace(h, changes=()) for h in found.held] == [held]
    why = "no longer in the audience of a rule"
    assert found.held[0].changes == (
        change("disassociate", images=("m-gold",), accounts=(C, E), share="rs-1", lost=2, why=why),
        change("disassociate", images=("m-silver",), accounts=(D,), share="rs-1", lost=1, why=why),
    )


@pytest.mark.parametrize("more", [(), (Pair("m-gold", GONE),)])
def test_a_row_all_of_which_is_held_is_not_said_to_wait_for_anything_else(more: tuple[Pair, ...]) -> None:
    """The hold itself says it, whether it is of these pairs alone or not."""
    facts_ = shared([AUTO], share("1", targets=["fd-eu", "fd-prod", "fd-test"]))
    found = plan(facts_, hold(*(p for name in NAMES for p in of(name, C, D)), *more))
    assert (found.changes, found.pending, found.summary.lost) == ((), (), 0)


def test_an_image_that_cannot_join_another_share_stays_in_the_one_that_it_is_in() -> None:
    """It is deprecated: nothing new for it, and whoever has it would have nothing else."""
    old = replace(GOLD, status="Deprecated")
    mine = rule(images=ImageSelector(ids=frozenset({"m-silver", "m-bronze"})), folders=["fd-prod"], channel="auto")
    lab = rule(
        "lab", images=ImageSelector(ids=frozenset({"m-gold"})), folders=["fd-prod"], accounts=[D], channel="auto"
    )
    readings = [reading(old), reading(SILVER), reading(BRONZE)]
    found = plan(shared([mine, lab], share("1", targets=["fd-eu", "fd-prod"]), readings=readings))
    assert found.findings == (
        Finding(
            "channel-conflict",
            "m-gold",
            "",
            f"m-gold stays in rs-1: account {A} and 1 more would not have m-gold by anything else",
        ),
    )
    assert [(r.image, r.reason, r.accounts) for r in found.refused] == [("m-gold", "deprecated", (D,))]
    assert found.changes == ()


def test_refusals_are_sorted_by_image_and_reason() -> None:
    """Two of one image, the rule of the quota before what the cloud refused, whichever came first."""
    remembered = (RememberedRefusal("refused", "Busy", NOW, (C,)),)
    known = Ledger(refusals={"m-gold": remembered, "m-silver": remembered})
    wanting = policy(rule(folders=["fd-prod", "fd-test"]), quota=1)
    found = plan(facts(wanting, reading(SILVER), reading(GOLD), reading(BRONZE), known=known))
    assert [(r.image, r.reason, r.accounts) for r in found.refused] == [
        ("m-bronze", "over-quota", (B, C, D)), ("m-gold", "over-quota", (B, D)), ("m-gold", "refused", (C,)),
        ("m-silver", "over-quota", (B, D)), ("m-silver", "refused", (C,)),
    ]  # fmt: skip


def test_several_shards_are_one_plan() -> None:
    """What is decided and what is pending of each is there, in the order of the shards."""
    other = Shard("ecs", SHARD.owner, "cn-shanghai")
    there = [replace(image, id=f"{image.id}2", shard=other) for image in (GOLD, SILVER, BRONZE)]
    one, two = (
        share(name, images, ["fd-eu", row("fd-prod", "Associating")])
        for name, images in (("1", NAMES), ("2", [image.id for image in there]))
    )
    of_one = shared([AUTO], one, readings=[reading(each, C) for each in (*there, GOLD, SILVER, BRONZE)])
    of_two = shared([AUTO], two)
    both = replace(
        of_one,
        sharing={**of_one.sharing, other: of_two.sharing[SHARD]},
        ledgers={**of_one.ledgers, other: of_two.ledgers[SHARD]},
    )
    found = plan(both)
    assert [(p.share, p.entity) for p in found.pending] == [("rs-1", "fd-prod"), ("rs-2", "fd-prod")]
    assert [decision.image.shard.region for decision in decide(both).images] == ["cn-hangzhou"] * 3 + [
        "cn-shanghai"
    ] * 3


def test_what_could_not_be_confirmed_is_named_and_stays() -> None:
    """For each image the accounts that keep it; what is held is told there and not here."""
    unproven = shared([AUTO], WHOLE, proof=Proof(images=frozenset(NAMES)))
    found = plan(unproven, hold(*of("m-gold", C, D)))
    why = "could not be confirmed, so nothing is revoked from"
    assert found.incomplete == (
        Incomplete("shard", str(SHARD), f"m-bronze: {why} {C}, {D}, {E}"),
        Incomplete("shard", str(SHARD), f"m-gold: {why} {E}"),
        Incomplete("shard", str(SHARD), f"m-silver: {why} {C}, {D}, {E}"),
    )
    assert found.changes == ()


def test_a_listing_that_was_found_wrong_is_told_once_for_all_that_hangs_on_it() -> None:
    """Not again for each image; what hangs on an image alone is told."""
    wrong = Proof(placed=PROVEN.placed, contradicted="the listing lacks one")
    gold = rule(images=ImageSelector(ids=frozenset({"m-gold", "m-silver"})), folders=["fd-prod"])
    known = ledger(gold=made(A, C), silver=made(A, B), bronze=made(A, B))
    readings = (reading(GOLD, A, C), reading(SILVER, A, B), reading(BRONZE, A, B))
    found = plan(facts(policy(gold), *readings, known=known, proof=wrong))
    assert found.incomplete == (
        Incomplete("rule", "golden", "the listing lacks one; nothing is revoked on the strength of this reading"),
        Incomplete("shard", str(SHARD), f"m-bronze: could not be confirmed, so nothing is revoked from {A}, {B}"),
    )


def test_a_revoke_says_how_many_for_which_cause_and_what_is_only_double() -> None:
    """One that left, two out of the audience, one that a resource share covers: three lose access."""
    one = share("1", NAMES, ["fd-prod", "fd-eu"])
    grants = {"m-gold": made(A, C, D, GONE, rules=("golden", "old")), "m-silver": made(A)}
    readings = [reading(GOLD, A, C, D, GONE), reading(SILVER, A), reading(BRONZE)]
    found = plan(shared([replace(AUTO, name="old"), AUTO], one, readings=readings, grants=grants))
    assert found.changes == (
        change(
            "revoke",
            ("golden", "old"),
            images=("m-gold",),
            accounts=(A, C, D, GONE),
            lost=3,
            why="1 left the organization; 2 no longer in the audience of a rule; 1 covered by a resource share as well",
        ),
        change("revoke", (), images=("m-silver",), accounts=(A,), why="1 covered by a resource share as well"),
    )


def test_a_grant_that_replaces_a_share_gains_nothing() -> None:
    """Said with the number of those who have the image already; the rule that wants none of them is not named."""
    rules = [rule(folders=["fd-prod"]), rule("lab", folders=["fd-test"]), rule("other", accounts=[A])]
    one = share("1", NAMES, ["fd-prod", "fd-eu"])
    readings = [reading(GOLD), reading(SILVER, C, D), reading(BRONZE, C)]
    found = plan(shared(rules, one, readings=readings, grants={"m-silver": made(C, D), "m-bronze": made(C)}))
    assert found.changes == (
        change(
            "grant",
            ("golden", "lab", "other"),
            images=("m-bronze",),
            accounts=(A, B, D),
            gained=1,
            why="wanted by rules golden, lab, other; 2 of them before a resource share ends",
        ),
        change(
            "grant",
            ("golden", "lab", "other"),
            images=("m-gold",),
            accounts=(A, B, C, D),
            gained=2,
            why="wanted by rules golden, lab, other; 2 of them before a resource share ends",
        ),
        change(
            "grant",
            ("golden", "other"),
            images=("m-silver",),
            accounts=(A, B),
            gained=0,
            why="wanted by rules golden, other; 2 of them before a resource share ends",
        ),
    )


def test_a_plain_grant_says_the_rule_that_wants_it_and_nothing_else() -> None:
    """Each of three images gets what it lacks."""
    found = plan(facts(policy(rule(folders=["fd-prod"])), reading(GOLD), reading(SILVER, A), reading(BRONZE, A, B)))
    why = "wanted by rule golden"
    assert found.changes == (
        change("grant", images=("m-gold",), accounts=(A, B), gained=2, why=why),
        change("grant", images=("m-silver",), accounts=(B,), gained=1, why=why),
    )
    assert found.summary == Summary(images=3, accounts=2, wanted=6, in_step=3, gained=3, lost=0)


def test_changes_of_desktop_images_say_in_which_region_they_are() -> None:
    """Granted, revoked and held ones, because their shard has every region."""
    desktops = desktops_of(SHARD.owner)
    regions = {"m-bronze": "eu-west-1", "m-gold": "cn-hangzhou", "m-silver": "ap-southeast-1"}
    images = [replace(image, shard=desktops, within=regions[image.id]) for image in (BRONZE, GOLD, SILVER)]
    mine = rule(folders=["fd-prod"], images=ImageSelector(services=frozenset({"eds"}), tags=rule().images.tags))
    known = ledger(bronze=made(C), silver=made(D))
    readings = [reading(image, *accounts) for image, accounts in zip(images, ([C], [], [D]), strict=True)]
    of_desktops = replace(
        facts(policy(mine), *readings, proof=PROVEN), ledgers={desktops: known}, sharing={desktops: Sharing()}
    )
    found = plan(of_desktops, hold(Pair("m-silver", D)))

    def there(action: Action, name: str, *accounts: str, gained: int = 0, lost: int = 0) -> Change:
        why = "wanted by rule golden" if action == "grant" else "no longer in the audience of a rule"
        why = f"1 {why}" if action == "revoke" and name == "m-bronze" else why
        here = change(action, images=(name,), accounts=accounts, why=why, gained=gained, lost=lost)
        return replace(here, shard=desktops, within=regions[name])

    assert found.changes == (
        *(there("grant", name, A, B, gained=2) for name in NAMES),
        there("revoke", "m-bronze", C, lost=1),
    )
    assert found.held == (replace(hold(Pair("m-silver", D)), changes=(there("revoke", "m-silver", D, lost=1),)),)


def test_sharing_roles_let_in_before_anything_is_granted_and_let_out_at_the_end() -> None:
    """Each image once, however many accounts are let in for it; who is in already and stays is not named."""
    one, two, three = SHARD.owner, "1000000000000077", "1000000000000078"
    roles = {
        two: RoleDecision(owner=two, needs={A: frozenset({"m-far"})}, adding=(A,), rules=("lab",)),
        three: RoleDecision(owner=three, removing=(C,)),
        one: RoleDecision(
            owner=one,
            needs={A: frozenset({"m-gold", "m-silver"}), B: frozenset({"m-bronze", "m-gold"}), C: frozenset({"m-x"})},
            adding=(A, B),
            removing=(D, E),
            rules=("golden",),
        ),
        "1000000000000079": RoleDecision(owner="1000000000000079", needs={A: frozenset({"m-y"})}),
    }
    facts_ = facts(policy(rule(accounts=[A])), reading(GOLD), reading(SILVER), reading(BRONZE))
    decisions = decide(facts_)
    found = assemble(facts_, replace(decisions, roles=roles), ())
    unneeded = "no encrypted image of any region is shared with them any more"

    def of_role(action: Action, owner: str, rules: Iterable[str] = (), **parts: object) -> Change:
        return replace(change(action, rules, **parts), shard=wide_shard(owner))

    assert found.changes == (
        of_role("trust", one, ["golden"], images=NAMES, accounts=(A, B), why="they get 3 encrypted images"),
        of_role("trust", two, ["lab"], images=("m-far",), accounts=(A,), why="they get 1 encrypted image"),
        *assemble(facts_, decisions, ()).changes,
        of_role("distrust", one, accounts=(D, E), why=unneeded),
        of_role("distrust", three, accounts=(C,), why=unneeded),
    )
    assert len(found.changes) == 7


def test_what_a_person_rejected_is_a_finding_and_nothing_else() -> None:
    """Neither revoked nor held: two grants of one image stay, and a partner's first grant is not made."""
    grants = {"m-gold": made(A, B, C, D), "m-silver": made(A, C)}
    readings = [reading(GOLD, A, B, C, D), reading(SILVER, A, C), reading(BRONZE)]
    facts_ = shared([rule(folders=["fd-prod"], partners=[PARTNER])], readings=readings, grants=grants)
    facts_ = replace(facts_, policy=replace(facts_.policy, partners="hold"))
    found = plan(facts_, rejected=[*of("m-gold", C, PARTNER), *of("m-silver", PARTNER)])
    assert [(c.action, c.images, c.accounts) for c in found.changes] == [
        ("grant", ("m-bronze",), (A, B)), ("grant", ("m-silver",), (B,)),
        ("revoke", ("m-gold",), (D,)), ("revoke", ("m-silver",), (C,)),
    ]  # fmt: skip
    stays = "a person rejected taking it away: it stays until its cause changes or it is wanted again"
    not_made = "a person rejected its first grant: nothing is granted as long as the policy says the same"
    assert [f for f in found.findings if f.kind == "rejected"] == [
        Finding("rejected", "m-gold", C, stays),
        Finding("rejected", "m-gold", PARTNER, not_made),
        Finding("rejected", "m-silver", PARTNER, not_made),
    ]


def test_a_hold_of_first_grants_shows_the_grants_that_an_approval_would_make() -> None:
    """Only those of its own pairs: another partner's is another hold."""
    other = "2000000000000002"
    wanting = rule(folders=["fd-prod"], partners=[PARTNER, other])
    facts_ = shared([wanting, rule("lab", accounts=[E])])
    facts_ = replace(facts_, policy=replace(facts_.policy, partners="hold"))
    found = plan(facts_, hold(*of("m-gold", PARTNER), *of("m-silver", PARTNER, other), gains=True))
    why = "wanted by rule golden"
    assert found.held[0].changes == (
        change("grant", images=("m-gold",), accounts=(PARTNER,), gained=1, why=why),
        change("grant", images=("m-silver",), accounts=(PARTNER, other), gained=2, why=why),
    )
    assert {c.accounts for c in found.changes} == {(A, B, E)}
    assert waiting(found.held) == frozenset()


def test_a_hold_shows_revokes_and_disassociations_apart() -> None:
    """Of one image a grant and a share's row; who has both, as far as anybody can tell, is shown with the grant."""
    one = share("1", targets=["fd-prod", "fd-eu", "fd-test"])
    asked = {D: Entry("accepted", NOW - timedelta(hours=1), rules=("golden",))}
    grants = {"m-gold": {**made(E, GONE), **asked}, "m-silver": made(E)}
    listed = reading(GOLD, E, GONE)
    listed = replace(listed, grants=(*(listed.grants or ()), Grant(D, "2026-11-21T11:30:00Z")))
    readings = [listed, reading(SILVER, E), reading(BRONZE)]
    facts_ = shared([AUTO], one, readings=readings, grants=grants)
    found = plan(facts_, hold(*of("m-gold", C, D, E, GONE), *of("m-silver", E)))
    gone, audience = "left the organization", "no longer in the audience of a rule"
    assert found.held[0].changes == (
        change("disassociate", images=("m-gold",), accounts=(C,), share="rs-1", lost=1, why=audience),
        change("revoke", images=("m-gold",), accounts=(D, E, GONE), lost=3, why=f"{gone}, {audience}"),
        change("revoke", images=("m-silver",), accounts=(E,), lost=1, why=audience),
    )


def test_a_change_of_channel_is_held_with_the_share_that_ends() -> None:
    """Every account is listed, so nobody can tell whose row it is: nothing is revoked, the share's rows go."""
    readings = [reading(of, A, B) for of in (GOLD, SILVER, BRONZE)]
    facts_ = shared([rule(folders=["fd-prod"])], share("1", NAMES, ["fd-prod", "fd-eu"]), readings=readings)
    found = plan(facts_, hold(*of("m-gold", A, B)))
    assert found.held[0].changes == (
        change(
            "disassociate",
            (),
            images=("m-gold",),
            accounts=(A, B),
            share="rs-1",
            lost=2,
            why="changed to a direct grant",
        ),
    )
    assert [(c.action, c.images, c.lost, c.why) for c in found.changes] == [
        ("disassociate", ("m-bronze", "m-silver"), 0, "4 changed to a direct grant")
    ]


@pytest.mark.parametrize("cause", ["held", "rejected"])
def test_what_runs_is_what_the_plan_takes_away(cause: str) -> None:
    """By rows and by revokes together, less what waits or was rejected, and whoever only changes its channel."""
    grants = {"m-gold": made(E), "m-silver": made(E, GONE)}
    readings = [reading(GOLD, E), reading(SILVER, E, GONE), reading(BRONZE)]
    facts_ = shared([AUTO], share("1", NAMES, ["fd-prod", "fd-eu", C, D]), readings=readings, grants=grants)
    some = (*of("m-gold", C, E),)
    found = running(decide(facts_), frozenset(some))
    expected = {*of("m-silver", E, GONE), *(Pair(name, D) for name in NAMES)}
    assert {loss.pair for loss in found} == expected
    planned = plan(facts_, hold(*some)) if cause == "held" else plan(facts_, rejected=some)
    assert planned.summary.lost == len(expected)


def test_the_order_of_changes_is_that_of_carrying_them_out() -> None:
    """New shares, then what joins, grants, what leaves, revokes; within one, by image."""
    lab = replace(LAB, images=ImageSelector(ids=frozenset({"m-bronze"})))
    mine = rule(folders=["fd-prod"], channel="auto", images=ImageSelector(ids=frozenset({"m-gold", "m-silver"})))
    one = share("1", ["m-gold", "m-silver"], ["fd-prod", "fd-eu", D])
    direct = rule("direct", partners=[PARTNER])
    readings = [reading(GOLD, E), reading(SILVER, E), reading(BRONZE)]
    grants = {"m-gold": made(E), "m-silver": made(E)}
    found = plan(shared([mine, lab, direct], one, readings=readings, grants=grants))
    assert [(c.action, c.images) for c in found.changes] == [
        ("create-share", ()), ("associate", ("m-bronze",)),
        ("grant", ("m-bronze",)), ("grant", ("m-gold",)), ("grant", ("m-silver",)),
        ("disassociate", ()), ("revoke", ("m-gold",)), ("revoke", ("m-silver",)),
    ]  # fmt: skip


def test_the_rules_behind_a_pair_are_those_that_want_it() -> None:
    """Of three rules that select the image one wants both accounts, one wants one, and one wants neither."""
    rules = [AUTO, rule("single", accounts=[A]), rule("other", folders=["fd-test"])]
    decisions = decide(shared(rules))
    for decision in decisions.images:
        found = {account: rules_of(decision, decisions.audiences, account) for account in (A, B, E)}
        assert found == {A: ("golden", "single"), B: ("golden",), E: ()}
