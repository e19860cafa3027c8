"""Encrypted images: the sharing role lets in whoever gets one, before it does, and nobody longer than that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import pytest

from localcloud import LogEntry
from localcloud.policies import TrustPolicy, read_trust_policy
from orgshare.errors import Busy
from orgshare.focus import Focus, Selection
from orgshare.way.applying import Applied, carry_out_plan
from orgshare.way.planning import make_plan
from orgshare.words import wide_shard
from tests.support import encrypted
from tests.support.channels import GOLD, OTHERS, directly, found, hidden, own_shares, until_settled
from tests.support.cloud import allowing, ecs_of, trusting
from tests.support.trial import (
    LEASE_IS_OVER,
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    Trial,
    policy,
    rule,
    world,
)
from tests.way.test_ownership import dies_at
from tests.way.test_rules import everywhere, in_step

Trials = Callable[..., Trial]
SHARING_ROLE = encrypted.sharing_role(OWNER)
HAND_MADE = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs.aliyuncs.com"}},
        {
            **trusting(f"acs:ram::{OWNER}:root", kind="RAM")["Statement"][0],
            "Condition": {"Bool": {"acs:MFAPresent": "true"}},
        },
    ],
}
"""What a person made of the role: nothing of it is about accounts."""
ALL = ("m-gold", "m-silver", "m-bronze")


def sealed(role: Any = None, *, plain: Iterable[str] = (), **parts: Any) -> dict[str, Any]:
    """The usual world with all images encrypted but the plain ones, and with a sharing role unless it is False."""
    document = world(**parts)
    for name, row in document["images"].items():
        row["encryption"] = "none" if name in plain else "cmk"
    if role is not False:
        document["roles"] = {**document["roles"], SHARING_ROLE: role or {"trust_policy": HAND_MADE}}
    return document


def authorizing(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A policy whose rules authorize encrypted images; without any, the usual one by the channel auto."""
    made = [{"encrypted": "authorize", **one} for one in rules or (rule(channel="auto"),)]
    return policy(rules=made, **more)


@pytest.fixture
def authorized(trial: Trials) -> Callable[..., Trial]:
    """Trials in the sealed world with an authorizing policy, unless other ones are given."""

    def make(**options: Any) -> Trial:
        return trial(**{"world": sealed(), "policy": authorizing(), **options})

    return make


def document(t: Trial) -> dict[str, Any]:
    """The role's trust policy as it is."""
    return encrypted.document(t, OWNER)


def policy_of(t: Trial) -> TrustPolicy | None:
    return t.cloud.world().roles[SHARING_ROLE].trust_policy


def hand_made_stays(t: Trial) -> bool:
    """Whether what a person made of the role is in it as it was."""
    found = policy_of(t)
    return found is not None and found.statement[:2] == read_trust_policy(HAND_MADE).statement


def let_in(t: Trial) -> set[str]:
    """The accounts whose ECS the role lets in."""
    return encrypted.let_in(t, OWNER)


def ours(t: Trial) -> dict[str, str]:
    """The principals that the state has as ours, and how far each is."""
    return {account: one.state for account, one in t.state().read_role(OWNER).ledger.principals.items()}


def rewrite(t: Trial, *accounts: str) -> None:
    """Somebody else writes the role: what a person made of it, and these accounts."""
    statements = [*HAND_MADE["Statement"], *(trusting(ecs_of(a))["Statement"][0] for a in accounts)]
    t.patch(roles={SHARING_ROLE: {"trust_policy": {"Version": "1", "Statement": statements}}})


def refusals(applied: Applied) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(r.image, r.reason, r.accounts) for r in applied.plan.refused}


def of_image(image: str) -> Focus:
    return Focus((Selection(images=frozenset({image})),))


def actions(applied: Applied) -> list[tuple[str, tuple[str, ...]]]:
    """What was done about the role."""
    return [(c.action, c.accounts) for c in applied.done if c.action in ("trust", "distrust")]


def usable(t: Trial) -> bool:
    """Whether everybody who has an encrypted image is let in."""
    images = t.cloud.world().images
    return all(images[image].encryption == "none" or users <= let_in(t) for image, users in t.access().items())


# --- letting in


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("permission", ["checked", "unchecked"])
def test_who_gets_an_encrypted_image_is_let_in_first(
    authorized: Trials, shown: bool, listed: bool, permission: str
) -> None:
    """In every position of the switches: exactly the audience, directly, and what a person made of the role stays."""
    switches = {
        "disk_encryption_shown": shown,
        "encrypted_snapshots_listed": listed,
        "share_role_permission": permission,
    }
    t = authorized(world=sealed(switches=switches, plain=["m-bronze"]))
    applied = t.apply()
    assert t.access() == everywhere(A, B)
    assert t.cloud.channels()["m-gold"].keys() == {"direct"}
    assert t.cloud.channels()["m-bronze"].keys() == {"directory"}
    assert let_in(t) == {A, B}
    assert hand_made_stays(t)
    assert actions(applied) == [("trust", (A, B))]
    assert applied.plan.changes[0].action == "trust"
    assert applied.plan.changes[0].shard == wide_shard(OWNER)
    assert ours(t) == {A: "made", B: "made"}
    t.cloud.advance(1000)
    until_settled(t)
    assert in_step(t)


def test_no_image_is_shared_before_the_role_lets_its_accounts_in(authorized: Trials) -> None:
    """After every single write, whoever has an encrypted image is let in."""
    t = authorized()
    seen: list[bool] = []
    t.cloud.on_write(lambda _: seen.append(usable(t)))
    t.apply()
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    t.apply()
    assert t.access() == everywhere(B, C)
    assert len(seen) > 6
    assert all(seen)


def test_plain_images_need_no_role(authorized: Trials) -> None:
    """Where nothing is encrypted the role is not written, and it may be missing."""
    t = authorized(world=sealed(False, plain=ALL))
    until_settled(t)
    assert in_step(t)
    assert t.access() == everywhere(A, B)
    assert t.cloud.calls["ram:UpdateRole"] == 0


def test_the_role_is_asked_for_where_it_matters_and_nowhere_else(authorized: Trials) -> None:
    """For an encrypted image, and for a sweep that may take somebody out; not for the event of a plain image."""
    t = authorized(world=sealed(plain=["m-bronze"]))
    assert t.apply(of_image("m-bronze")).done
    assert t.cloud.calls["ram:GetRole"] == 0
    t.apply(of_image("m-gold"))
    asked = t.cloud.calls["ram:GetRole"]
    assert asked > 0
    assert t.access() == {**everywhere(), "m-bronze": {A, B}, "m-gold": {A, B}}
    t.apply(of_image("m-bronze"))
    assert t.cloud.calls["ram:GetRole"] == asked
    t.apply()
    assert t.cloud.calls["ram:GetRole"] > asked


def test_only_encrypted_images_of_rules_that_authorize_them_are_shared(trial: Trials) -> None:
    """Of two rules, the audience of the one that authorizes gets the image; the others are refused by name."""
    rules = [
        {**rule("open", channel="auto"), "encrypted": "authorize"},
        rule("shut", channel="auto", folders=["fd-test"]),
    ]
    t = trial(world=sealed(), policy=policy(rules=rules))
    applied = t.apply()
    assert t.access() == everywhere(A, B)
    assert let_in(t) == {A, B}
    assert refusals(applied) == {(image, "encrypted-refused", (C, D)) for image in ALL}


def test_whoever_no_rule_authorizes_is_named_where_something_else_stands_against_the_image_too(trial: Trials) -> None:
    """A deprecated image is given to nobody new; of those who would not get it anyway each is named once."""
    rules = [
        {**rule("open", channel="auto"), "encrypted": "authorize"},
        rule("shut", channel="auto", folders=["fd-test"]),
    ]
    t = trial(world=sealed(), policy=policy(rules=rules))
    t.patch(images={"m-gold": {"status": "Deprecated"}})
    applied = t.apply()
    assert t.access() == {**everywhere(A, B), "m-gold": set()}
    assert refusals(applied) == {
        ("m-gold", "deprecated", (A, B)), *((image, "encrypted-refused", (C, D)) for image in ALL)
    }  # fmt: skip


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("role", [False, None, {"trusts_services": [ecs_of(A), ecs_of(B)]}])
@pytest.mark.parametrize("channel", ["direct", "auto"])
def test_by_default_an_encrypted_image_is_refused_and_explained(
    trial: Trials, shown: bool, listed: bool, role: Any, channel: str
) -> None:
    """Whether there is a role or not, and whatever it says: nothing is shared, no call tries it, others are."""
    switches = {"disk_encryption_shown": shown, "encrypted_snapshots_listed": listed}
    t = trial(world=sealed(role, switches=switches, plain=["m-bronze"]), policy=policy(rules=[rule(channel=channel)]))
    applied = t.apply()
    assert t.access() == {**everywhere(), "m-bronze": {A, B}}
    assert refusals(applied) == {(image, "encrypted-refused", (A, B)) for image in ("m-gold", "m-silver")}
    remedies = {refusal.remedy for refusal in applied.plan.refused}
    assert all("encrypted: authorize" in one and "copied with a customer key" in one for one in remedies)
    assert t.cloud.calls["ram:UpdateRole"] == t.cloud.calls["ram:GetRole"] == 0
    assert t.cloud.calls["ecs:ModifyImageSharePermission"] == (channel == "direct")


def test_whether_an_image_is_encrypted_is_asked_only_before_somebody_new_gets_it(trial: Trials) -> None:
    """In step, where no rule authorizes anything, nobody asks for snapshots."""
    t = trial()
    t.apply()
    assert t.cloud.calls["ecs:DescribeSnapshots"] == 1
    for _ in range(2):
        t.apply()
    assert t.cloud.calls["ecs:DescribeSnapshots"] == 1


def test_an_encrypted_image_is_not_shared_through_the_directory(authorized: Trials) -> None:
    """A rule that allows nothing else is refused, with how to mend it."""
    t = authorized(policy=authorizing(rule(channel="directory")))
    applied = t.apply()
    assert t.access() == everywhere()
    assert refusals(applied) == {(image, "encrypted-refused", (A, B)) for image in ALL}
    assert {r.remedy for r in applied.plan.refused} == {
        "it is encrypted, and then it is shared directly only: set channel: auto or direct"
    }
    assert let_in(t) == set()


def test_partners_are_let_in_like_members(authorized: Trials) -> None:
    """Outside the organization the role is needed just so; held ones are not let in before a person approves."""
    wide = rule(channel="auto", folders=["fd-prod"], partners=[PARTNER])
    t = authorized(policy=authorizing(wide, safety={**policy()["safety"], "partners": "hold"}))
    t.apply()
    assert let_in(t) == {A, B}
    t.approve_all()
    t.apply()
    assert t.access() == everywhere(A, B, PARTNER)
    assert let_in(t) == {A, B, PARTNER}


def test_an_image_under_the_service_key_is_refused_and_not_tried_again_and_again(authorized: Trials) -> None:
    """It is named with its remedy; nobody stays let in for it, and no later run lets anybody in for it in vain."""
    t = authorized(policy=authorizing(rule(images={"ids": ["m-gold"]})))
    t.patch(images={"m-gold": {"encryption": "service-key"}})
    assert refusals(t.apply()) == {("m-gold", "encrypted-with-service-key", (A, B))}
    for _ in range(3):
        t.cloud.advance(3600)
        applied = t.apply()
        assert refusals(applied) == {("m-gold", "encrypted-with-service-key", (A, B))}
        assert "CopyImage" in applied.plan.refused[0].remedy
    assert t.cloud.calls["ecs:ModifyImageSharePermission"] == 1
    assert let_in(t) == set()
    assert t.cloud.calls["ram:UpdateRole"] == 2
    assert t.access() == everywhere()


# --- the role


def test_without_the_role_encrypted_images_are_refused_and_others_shared(authorized: Trials) -> None:
    """It is never made by this program: a person does, and the next run goes on."""
    t = authorized(world=sealed(False, plain=["m-bronze"]), policy=authorizing(rule()))
    applied = t.apply()
    assert t.access() == {**everywhere(), "m-bronze": {A, B}}
    assert refusals(applied) == {(image, "encrypted-without-role", (A, B)) for image in ("m-gold", "m-silver")}
    assert all("create the role AliyunECSShare" in r.remedy for r in applied.plan.refused)
    assert (t.cloud.calls["ram:CreateRole"], t.cloud.calls["ram:UpdateRole"]) == (0, 0)
    t.patch(roles={SHARING_ROLE: {"trust_policy": HAND_MADE}})
    t.apply()
    assert t.access() == everywhere(A, B)
    assert let_in(t) == {A, B}


def test_a_role_that_may_not_use_the_key_is_named(authorized: Trials) -> None:
    """The cloud says so for each image; once the role has its policy, they are shared."""
    t = authorized(world=sealed({"trust_policy": HAND_MADE, "policies": []}))
    assert refusals(t.apply()) == {(image, "encrypted-without-role", (A, B)) for image in ALL}
    assert t.access() == everywhere()
    t.patch(roles={SHARING_ROLE: {"policies": [allowing("kms:*")]}})
    t.cloud.advance(1000)
    t.apply()
    assert t.access() == everywhere(A, B)


def test_a_denied_account_is_refused_by_name(authorized: Trials) -> None:
    """Letting it in would change nothing, so it is not tried; the others get the images."""
    denied = {**trusting(ecs_of(A))["Statement"][0], "Effect": "Deny"}
    t = authorized(
        world=sealed({"trust_policy": {"Version": "1", "Statement": [*HAND_MADE["Statement"], denied]}}),
    )
    applied = t.apply()
    assert t.access() == everywhere(B)
    assert refusals(applied) == {(image, "encrypted-refused", (A,)) for image in ALL}
    assert hand_made_stays(t)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "error", "code": "NoPermission", "status": 403}, "has to allow ram:GetRole"),
        ({"kind": "error", "code": "InvalidSecurityToken.Expired", "status": 403}, "InvalidSecurityToken.Expired"),
        ({"kind": "no-answer"}, "no answer"),
        ({"kind": "missing-field"}, "the answer lacks"),
    ],
)
def test_a_role_that_cannot_be_read_stops_nothing_but_what_needs_it(
    authorized: Trials, fault: dict[str, Any], why: str
) -> None:
    """Nobody new gets an encrypted image, who has one keeps it unless it is not wanted, plain ones go on."""
    t = authorized(world=sealed(plain=["m-bronze"]), policy=authorizing(rule()))
    t.apply()
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    t.patch(faults=[{"operation": "ram:GetRole", "every": 1, **fault}])
    applied = t.apply()
    assert t.access() == {"m-gold": {B}, "m-silver": {B}, "m-bronze": {B, C}}
    assert let_in(t) == {A, B}
    (gap,) = applied.plan.incomplete
    assert gap.name == f"ecs/{OWNER}/*"
    assert why in gap.why
    t.patch(faults=[])
    t.apply()
    assert t.access() == everywhere(B, C)
    assert let_in(t) == {B, C}


def test_what_snapshots_do_not_tell_is_not_shared(authorized: Trials) -> None:
    """Nobody new gets an image of which nobody knows whether it is encrypted; who is not wanted loses it."""
    t = authorized(policy=authorizing(rule()))
    t.apply()
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    t.patch(faults=[{"operation": "ecs:DescribeSnapshots", "kind": "error", "code": "InternalError", "every": 1}])
    applied = t.apply()
    assert t.access() == everywhere(B)
    assert len(applied.plan.incomplete) >= len(ALL)
    assert all("whether it is encrypted could not be found out" in gap.why for gap in applied.plan.incomplete)
    assert let_in(t) == {B}
    t.patch(faults=[])
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(B, C), {B, C})


# --- letting out


def test_who_loses_its_last_encrypted_image_is_let_out_in_the_same_run(authorized: Trials) -> None:
    """Not earlier, nobody else, and the next run plans nothing."""
    t = authorized()
    t.apply()
    t.write_policy(
        authorizing(rule(images={"ids": ["m-gold"]}), rule("other", {"ids": ["m-silver", "m-bronze"]}, accounts=[B]))
    )
    t.apply()
    assert t.access() == {"m-gold": {A, B}, "m-silver": {B}, "m-bronze": {B}}
    assert let_in(t) == {A, B}
    t.write_policy(authorizing(rule(accounts=[B])))
    assert actions(t.apply()) == [("distrust", (A,))]
    assert (t.access(), let_in(t), ours(t)) == (everywhere(B), {B}, {B: "made"})
    assert hand_made_stays(t)
    assert in_step(t)


def test_who_was_let_in_by_others_is_never_let_out(authorized: Trials) -> None:
    """Before us or beside us: nothing of it is ours."""
    t = authorized(world=sealed({"trust_policy": trusting(ecs_of(A), ecs_of(STRANGER))}))
    t.apply()
    assert ours(t) == {B: "made"}
    t.write_policy(authorizing(rule(accounts=[C])))
    t.approve_all()
    until_settled(t, approve=True)
    assert t.access() == everywhere(C)
    assert let_in(t) == {A, STRANGER, C}


def test_who_is_named_by_somebody_else_as_well_stays_let_in(authorized: Trials) -> None:
    """An account in two statements: one of them is not ours, so nothing is taken out, and nothing is planned."""
    t = authorized()
    t.apply()
    before = document(t)
    twice = {**before, "Statement": [*before["Statement"], trusting(ecs_of(A))["Statement"][0]]}
    t.patch(roles={SHARING_ROLE: {"trust_policy": twice}})
    t.write_policy(authorizing(rule(accounts=[B])))
    t.apply()
    assert t.access() == everywhere(B)
    assert policy_of(t) == read_trust_policy(twice)
    assert in_step(t)


@pytest.mark.parametrize("by", ["grant", "share"])
def test_who_has_an_encrypted_image_of_another_region_by_hand_stays_let_in(authorized: Trials, by: str) -> None:
    """The policy does not name that region, and nobody there is ours; when it ends, a later run lets it out."""
    t = authorized()
    t.apply()
    row = {"owner": OWNER, "region": OTHER_REGION, "name": "far", "encryption": "cmk"}
    t.patch(images={"m-far": row})
    if by == "grant":
        t.patch(grants={"m-far": [A]})
    else:
        share = {"owner": OWNER, "region": OTHER_REGION, "name": "x", "images": ["m-far"], "targets": [A]}
        t.patch(resource_shares={"rs-far": share})
    t.write_policy(authorizing(rule(accounts=[B])))
    assert actions(t.apply()) == []
    assert (t.access(), let_in(t)) == ({**everywhere(B), "m-far": {A}}, {A, B})
    t.patch(grants={"m-far": []}, resource_shares={"rs-far": None})
    assert actions(t.apply()) == [("distrust", (A,))]
    assert let_in(t) == {B}


@pytest.mark.parametrize("what", [A, "m-gold"])
def test_who_has_an_encrypted_image_in_a_share_of_ours_stays_let_in_though_a_reading_hides_it(
    authorized: Trials, what: str
) -> None:
    """Somebody put it there. The reading of all regions lacks the row, the one that the plan began with has it."""
    t = authorized(
        world=sealed(plain=["m-silver", "m-bronze"]),
        policy=authorizing(rule("gold", GOLD, accounts=[A]), rule("others", OTHERS, accounts=[A], channel="directory")),
    )
    until_settled(t)
    (share,) = own_shares(t)
    t.patch(resource_shares={share: {"images": [*t.cloud.world().resource_shares[share].images, "m-gold"]}})
    t.write_policy(authorizing(rule("others", OTHERS, accounts=[A], channel="directory")))
    t.apply()
    assert directly(t)["m-gold"] == set()
    with ExitStack() as hiding:
        after(t, "DescribeRegions", lambda: hiding.enter_context(hidden(what)))
        applied = t.apply()
    assert actions(applied) == []
    assert (t.access()["m-gold"], let_in(t)) == ({A}, {A})


def test_a_plain_image_needs_nobody_let_in(authorized: Trials) -> None:
    """Who keeps only plain images is let out."""
    t = authorized(world=sealed(plain=["m-bronze"]), policy=authorizing(rule()))
    t.apply()
    t.write_policy(authorizing(rule(images={"ids": ["m-bronze"]}), rule("b", accounts=[B])))
    t.apply()
    assert t.access() == {"m-gold": {B}, "m-silver": {B}, "m-bronze": {A, B}}
    assert let_in(t) == {B}


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "code": "InternalError"},
        {"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "wrong-total"},
        {
            "operation": "ecs:DescribeImageSharePermission",
            "region": OTHER_REGION,
            "kind": "error",
            "code": "InternalError",
        },
        {"operation": "resourcesharing:ListResourceShares", "region": OTHER_REGION, "kind": "no-answer"},
        {"operation": "ecs:DescribeRegions", "kind": "error", "code": "InternalError"},
        {"operation": "ecs:DescribeRegions", "kind": "error", "code": "InvalidSecurityToken.Expired", "status": 403},
    ],
)
def test_where_a_region_cannot_be_read_nobody_is_let_out(authorized: Trials, fault: dict[str, Any]) -> None:
    """Grants are revoked all the same; the region is named, and the next complete reading lets the account out."""
    t = authorized()
    t.patch(images={"m-far": {"owner": OWNER, "region": OTHER_REGION, "name": "far", "encryption": "cmk"}})
    t.apply()
    t.patch(faults=[{"every": 1, **fault}])
    t.write_policy(authorizing(rule(accounts=[B])))
    applied = t.apply()
    assert (t.access(), let_in(t)) == ({**everywhere(B), "m-far": set()}, {A, B})
    (gap,) = applied.plan.incomplete
    assert "nobody leaves the sharing role" in gap.why
    assert actions(applied) == []
    t.patch(faults=[])
    t.apply()
    assert let_in(t) == {B}


def test_who_is_held_is_not_let_out(authorized: Trials) -> None:
    """A held pair still needs the key; approving it lets it out with the revoke."""
    t = authorized()
    t.apply()
    t.write_policy(authorizing(rule(accounts=[E])))
    applied = t.apply()
    assert sum(len(hold.pairs) for hold in applied.plan.held) == 6
    assert (t.access(), let_in(t)) == (everywhere(A, B, E), {A, B, E})
    t.approve_all()
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(E), {E})


@pytest.mark.parametrize("mode", ["add", "observe"])
def test_in_a_careful_mode_nobody_is_let_out(authorized: Trials, mode: str) -> None:
    """Nobody loses access, and in mode observe nothing is written at all."""
    t = authorized()
    t.apply()
    t.write_policy(authorizing(rule(accounts=[B, C]), mode=mode))
    before = document(t), t.state().read_role(OWNER)
    t.apply()
    assert t.access() == (everywhere(A, B, C) if mode == "add" else everywhere(A, B))
    assert let_in(t) == ({A, B, C} if mode == "add" else {A, B})
    if mode == "observe":
        assert (document(t), t.state().read_role(OWNER)) == before


def test_a_look_at_a_part_lets_nobody_out(authorized: Trials) -> None:
    """Only who has seen whole shards concludes that nobody needs a key."""
    t = authorized(policy=authorizing(rule()))
    t.apply()
    t.write_policy(authorizing(rule(accounts=[B])))
    for image in ALL:
        t.apply(Focus((Selection(images=frozenset({image})),)))
    assert (t.access(), let_in(t)) == (everywhere(B), {A, B})
    t.apply()
    assert let_in(t) == {B}


def test_what_is_still_listed_is_waited_for(authorized: Trials) -> None:
    """After the revoke its row is still there: the account stays let in, is pending, and goes later."""
    t = authorized()
    t.apply()
    t.patch(delays={"share": 60})
    t.write_policy(authorizing(rule(accounts=[B])))
    applied = t.apply()
    assert (t.access(), let_in(t)) == (everywhere(B), {A, B})
    assert any(A in pending.entity for pending in applied.plan.pending)
    t.cloud.advance(61)
    t.apply()
    assert let_in(t) == {B}


# --- the document's length


def test_who_does_not_fit_into_the_document_is_refused_by_name(authorized: Trials) -> None:
    """Who has access keeps it, free places go by sorted id, and the others are named for every image."""
    t = authorized()
    room = len(json.dumps(document(t), separators=(",", ":"))) + 190
    owners = [{"account": OWNER, "regions": [REGION], "quotas": {"trust_policy_length": room}}]
    t.patch(quotas={"trust_policy_length": room})
    t.write_policy(authorizing(rule(accounts=[D, E]), owners=owners))
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(D, E), {D, E})
    t.write_policy(authorizing(rule(accounts=[A, B, C, D, E]), owners=owners))
    applied = t.apply()
    assert (t.access(), let_in(t)) == (everywhere(A, D, E), {A, D, E})
    assert refusals(applied) == {(image, "encrypted-role-full", (B, C)) for image in ALL}
    assert f"now {room} characters" in applied.plan.refused[0].remedy
    in_step_again = t.apply()
    assert (in_step_again.plan.changes, let_in(t)) == ((), {A, D, E})
    t.write_policy(authorizing(rule(accounts=[A, B, D]), owners=owners))
    until_settled(t, approve=True)
    assert (t.access(), let_in(t)) == (everywhere(A, B, D), {A, B, D})


def test_a_setting_that_is_larger_than_what_ram_takes_is_said(authorized: Trials) -> None:
    """Nothing is shared that would not be usable, and the message says which setting to lower."""
    t = authorized(world=sealed(quotas={"trust_policy_length": 300}, plain=["m-bronze"]), policy=authorizing(rule()))
    applied = t.apply()
    assert t.access() == {**everywhere(), "m-bronze": {A, B}}
    assert {f.code for f in applied.failed} == {"InvalidParameter.NewAssumeRolePolicyDocument.Length"}
    assert all("quotas.trust_policy_length" in f.remedy for f in applied.failed)
    t.patch(quotas={"trust_policy_length": 2048})
    t.cloud.advance(60)
    t.apply()
    assert (t.access(), ours(t)) == (everywhere(A, B), {A: "made", B: "made"})


# --- others who write


def test_what_another_writer_put_in_since_the_plan_stays(authorized: Trials) -> None:
    """The document is read anew before it is written: of a stranger and of us, both are in it."""
    t = authorized()
    runtime = t.runtime()
    planned = make_plan(runtime, Focus((Selection(),)))
    rewrite(t, STRANGER)
    carry_out_plan(runtime, planned)
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B, STRANGER})
    assert ours(t) == {A: "made", B: "made"}


def test_who_another_writer_let_in_since_the_plan_is_theirs(authorized: Trials) -> None:
    """One of those that we meant to let in is there already: it is not ours, and never let out."""
    t = authorized()
    runtime = t.runtime()
    planned = make_plan(runtime, Focus((Selection(),)))
    rewrite(t, A)
    carry_out_plan(runtime, planned)
    assert (t.access(), ours(t)) == (everywhere(A, B), {B: "made"})
    t.write_policy(authorizing(rule(accounts=[B])))
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(B), {A, B})


def after(t: Trial, action: str, do: Callable[[], None], *, times: int = 1) -> None:
    """Do something right after each of the first calls of an action was answered."""
    left = [times]

    def note(entry: LogEntry) -> None:
        if entry.action == action and entry.status == 200 and left[0]:
            left[0] -= 1
            do()

    t.cloud.on_request(note)


def test_a_writer_who_writes_over_ours_loses_nothing_and_takes_nothing(authorized: Trials) -> None:
    """What it wrote without our accounts is read back, and they are added to that."""
    t = authorized()
    after(t, "UpdateRole", lambda: rewrite(t, STRANGER))
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B, STRANGER})
    assert t.cloud.calls["ram:UpdateRole"] == 2


def test_a_writer_who_never_stops_is_not_fought_for_ever(authorized: Trials) -> None:
    """After three tries the grants wait for the next run, which makes them; nothing was shared meanwhile."""
    t = authorized(world=sealed(plain=["m-bronze"]), policy=authorizing(rule()))
    after(t, "UpdateRole", lambda: rewrite(t, STRANGER), times=3)
    applied = t.apply()
    assert (t.access(), let_in(t)) == ({**everywhere(), "m-bronze": {A, B}}, {STRANGER})
    assert all("others write to it" in failure.remedy for failure in applied.failed)
    assert {failure.change.action for failure in applied.failed} == {"trust", "grant"}
    t.apply()
    assert (t.access(), let_in(t), ours(t)) == (everywhere(A, B), {A, B, STRANGER}, {A: "made", B: "made"})


def test_who_was_taken_out_by_others_is_let_in_again_while_it_has_an_image(authorized: Trials) -> None:
    """Into what the document has become, and nothing of the old one comes back."""
    t = authorized()
    t.apply()
    rewrite(t, STRANGER)
    applied = t.apply()
    assert actions(applied) == [("trust", (A, B))]
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B, STRANGER})
    assert in_step(t)


def test_who_was_taken_out_by_others_and_needs_nothing_is_forgotten(authorized: Trials) -> None:
    """Two readings do not show it: put in again by a person, it is that person's."""
    t = authorized()
    t.apply()
    t.write_policy(authorizing(rule(accounts=[B])))
    t.apply()
    t.write_policy(authorizing(rule(accounts=[E])))
    rewrite(t)
    for _ in range(3):
        t.approve_all()
        t.apply()
        t.cloud.advance(1000)
    rewrite(t, B, E)
    t.apply()
    assert let_in(t) == {B, E}


# --- crashes, leases, pauses


def test_a_run_that_dies_before_it_writes_the_role(authorized: Trials) -> None:
    """Nothing is shared, the intention is there, and the next run makes it and can end it."""
    t = authorized()
    dies_at(t, "GetRole", 3)
    assert (t.access(), let_in(t)) == (everywhere(), set())
    assert ours(t) == {A: "intended", B: "intended"}
    finishes(t)


@pytest.mark.parametrize("at", [("UpdateRole", 1), ("GetRole", 4)])
def test_a_run_that_dies_after_it_wrote_the_role(authorized: Trials, at: tuple[str, int]) -> None:
    """What it let in is ours, though nobody recorded that it was done."""
    t = authorized()
    dies_at(t, *at)
    assert (t.access(), let_in(t)) == (everywhere(), {A, B})
    finishes(t)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_that_dies_between_its_grants(authorized: Trials, number: int) -> None:
    """Whoever has an image is let in, and the next run finishes."""
    t = authorized()
    dies_at(t, "ModifyImageSharePermission", number)
    assert usable(t)
    finishes(t)


def finishes(t: Trial) -> None:
    """The next run does the rest, and what it let in is ours to let out."""
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B})
    assert ours(t) == {A: "made", B: "made"}
    t.write_policy(authorizing(rule(accounts=[B])))
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(B), {B})


@pytest.mark.parametrize(
    "at", [("ModifyImageSharePermission", 1), ("ModifyImageSharePermission", 3), ("UpdateRole", 1)]
)
def test_a_run_that_dies_while_it_takes_away(authorized: Trials, at: tuple[str, int]) -> None:
    """No encrypted image loses a principal that it needs, and the next run lets out who is left."""
    t = authorized()
    t.apply()
    t.write_policy(authorizing(rule(accounts=[B])))
    dies_at(t, *at)
    assert usable(t)
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(B), {B})
    for _ in range(2):
        t.cloud.advance(1000)
        t.apply()
    assert ours(t) == {B: "made"}


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_write_of_the_role_without_an_answer(authorized: Trials, kind: str, times: int) -> None:
    """It is looked at before it is written again, whether it was carried out or not."""
    t = authorized()
    t.patch(faults=[{"operation": "ram:UpdateRole", "kind": kind, "times": times}])
    t.apply()
    assert (t.access(), let_in(t), ours(t)) == (everywhere(A, B), {A, B}, {A: "made", B: "made"})
    assert t.cloud.calls["ram:UpdateRole"] == (1 if kind == "lost-answer" else 1 + times)


def test_a_role_that_another_run_holds_is_left_to_it(authorized: Trials) -> None:
    """Encrypted images wait and are said to, plain ones are shared; when it lets go, the next run goes on."""
    t = authorized(world=sealed(plain=["m-bronze"]), policy=authorizing(rule()))
    t.begin()
    other = t.runtime()
    before = other.state.read_role(OWNER)
    lease = other.state.take_role(OWNER, before, before.ledger, run="other", seconds=300, clocks=other.clocks())
    applied = t.apply()
    assert (t.access(), let_in(t)) == ({**everywhere(), "m-bronze": {A, B}}, set())
    assert [f.kind for f in applied.plan.findings] == ["busy"]
    lease.release(before.ledger)
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B})


def test_the_lease_of_a_role_is_one_that_ends(authorized: Trials) -> None:
    """A run that died holds it no longer than that."""
    t = authorized()
    t.begin()
    other = t.runtime()
    before = other.state.read_role(OWNER)
    other.state.take_role(OWNER, before, before.ledger, run="other", seconds=300, clocks=other.clocks())
    t.cloud.advance(LEASE_IS_OVER)
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B})
    with pytest.raises(Busy):
        other.state.take_role(OWNER, before, before.ledger, run="late", seconds=300, clocks=other.clocks())


def test_a_paused_role_lets_nobody_in_or_out(authorized: Trials) -> None:
    """Nothing is written to it, and nothing is shared that would need it."""
    t = authorized(world=sealed(plain=["m-bronze"]), policy=authorizing(rule()))
    t.begin()
    t.state().pause(wide_shard(OWNER), run="p", who="a person", now=t.now())
    applied = t.apply()
    assert (t.access(), let_in(t)) == ({**everywhere(), "m-bronze": {A, B}}, set())
    assert "paused" in {f.kind for f in applied.plan.findings}
    t.state().resume(wide_shard(OWNER), run="p", who="a person", now=t.now())
    t.apply()
    assert (t.access(), let_in(t)) == (everywhere(A, B), {A, B})


def test_of_a_run_that_gives_and_one_that_takes_the_one_sees_the_other(authorized: Trials) -> None:
    """Between the plan of the one and its doing, the other gave an image to the account: it stays let in."""
    t = authorized()
    t.apply()
    t.revoke_by_hand("m-gold", A)
    t.revoke_by_hand("m-silver", A)
    t.write_policy(authorizing(rule(accounts=[B])))
    runtime = t.runtime()
    planned = make_plan(runtime, Focus((Selection(),)))
    assert [c.accounts for c in planned.plan.changes if c.action == "distrust"] == [(A,)]
    t.write_policy(authorizing(rule()))
    t.apply()
    applied = carry_out_plan(runtime, planned)
    assert actions(applied) == []
    assert {A, B} <= let_in(t)
    assert usable(t)


def test_a_shard_of_its_own_for_each_owner(authorized: Trials) -> None:
    """Another owner's role is another document with another lease: one that is held stops nobody else."""
    other = "1000000000000021"
    base = sealed()
    base["directory"]["members"][other] = {"name": "other", "folder": "root"}
    base["images"]["m-other"] = {
        "owner": other, "region": REGION, "name": "other", "tags": {"share": "org"}, "encryption": "cmk",
    }  # fmt: skip
    its_role = f"acs:ram::{other}:role/AliyunECSShareEncryptImageDefaultRole"
    base["roles"][f"acs:ram::{other}:role/orgshare"] = {"trusts": [OWNER]}
    base["roles"][its_role] = {"trust_policy": HAND_MADE}
    owners = [
        {"account": OWNER, "regions": [REGION]},
        {"account": other, "regions": [REGION], "role": f"acs:ram::{other}:role/orgshare"},
    ]
    t = authorized(world=base, policy=authorizing(owners=owners))
    t.begin()
    held = t.runtime()
    before = held.state.read_role(OWNER)
    held.state.take_role(OWNER, before, before.ledger, run="other", seconds=300, clocks=held.clocks())
    t.apply()
    assert (t.access(), let_in(t)) == ({**everywhere(), "m-other": {A, B}}, set())
    assert "Service" in str(t.cloud.world().roles[its_role].trust_policy)


def test_an_owner_that_the_policy_no_longer_names_is_told_of(authorized: Trials) -> None:
    """Whom we let in there stays, until a person ends it."""
    t = authorized()
    t.apply()
    t.patch(roles={f"acs:ram::{E}:role/orgshare": {"trusts": [OWNER]}})
    t.write_policy(policy(owners=[{"account": E, "regions": [REGION], "role": f"acs:ram::{E}:role/orgshare"}]))
    applied = t.apply()
    assert any("sharing role" in f.why for f in applied.plan.findings if f.kind == "orphaned")
    assert let_in(t) == {A, B}
    assert found(applied, "orphaned")


def test_regions_share_one_role(authorized: Trials) -> None:
    """Two regions of the policy with encrypted images: one document, and an account goes when neither needs it."""
    base = sealed()
    base["images"]["m-far"] = {
        "owner": OWNER, "region": OTHER_REGION, "name": "far", "tags": {"share": "org"}, "encryption": "cmk",
    }  # fmt: skip
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    t = authorized(world=base, policy=authorizing(rule(), owners=owners))
    assert actions(t.apply()) == [("trust", (A, B))]
    assert t.access() == {**everywhere(A, B), "m-far": {A, B}}
    near = rule(images={"ids": list(ALL)}, accounts=[B])
    t.write_policy(authorizing(near, rule("far", {"ids": ["m-far"]}), owners=owners))
    t.apply()
    assert (t.access(), let_in(t)) == ({**everywhere(B), "m-far": {A, B}}, {A, B})
    one_region = Focus((Selection(regions=frozenset({OTHER_REGION})),))
    t.write_policy(authorizing(near, rule("far", {"ids": ["m-far"]}, accounts=[B]), owners=owners))
    t.apply(one_region)
    assert (t.access(), let_in(t)) == ({**everywhere(B), "m-far": {B}}, {B})


def test_faults_of_one_write_are_the_roles_alone(authorized: Trials) -> None:
    """A write of the role that is refused fails the grants that need it, with the vendor's code, and no others."""
    t = authorized(world=sealed(plain=["m-bronze"]), policy=authorizing(rule()))
    t.patch(
        faults=[{"operation": "ram:UpdateRole", "kind": "error", "code": "NoPermission", "status": 403, "every": 1}]
    )
    applied = t.apply()
    assert t.access() == {**everywhere(), "m-bronze": {A, B}}
    assert {(f.change.action, f.code) for f in applied.failed} == {("trust", "NoPermission"), ("grant", "NoPermission")}
    assert ("", "") in found(applied, "not-permitted")
