"""The rules that always hold, each seen in who can use what afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orgshare.errors import ConfigurationError, CredentialsRefused, NobodyAnswers, StopRun
from orgshare.focus import EVERYTHING, Focus, Selection
from orgshare.way.applying import apply, carry_out_plan
from orgshare.way.planning import make_plan
from tests.support.trial import (
    LEASE_IS_OVER,
    MANAGEMENT,
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

Trials = Callable[..., Trial]
ALL_IMAGES = ("m-bronze", "m-gold", "m-silver")


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in ALL_IMAGES}


def in_step(trial: Trial) -> bool:
    """Whether a further sweep plans nothing."""
    return trial.plan().plan.changes == ()


def test_every_image_reaches_its_audience_and_a_second_run_plans_nothing(trial: Trials) -> None:
    """Three images are shared with everybody below prod, and with nobody else."""
    t = trial()
    assert t.apply().failed == ()
    assert t.access() == everywhere(A, B)
    assert in_step(t)


def test_planning_changes_nothing_in_the_cloud_and_nothing_in_the_state(trial: Trials) -> None:
    """A plan can be made as often as one likes."""
    t = trial()
    t.begin()
    before = sorted(path.name for path in (t.folder / "state").rglob("*"))
    assert t.plan().plan.summary.gained == 6
    assert t.access() == everywhere()
    assert sorted(path.name for path in (t.folder / "state").rglob("*")) == before


def test_who_joins_moves_or_leaves_is_followed(trial: Trials) -> None:
    """Each membership change ends in the right access, and the sweep after it plans nothing."""
    t = trial()
    t.apply()
    t.move(C, "fd-eu")
    t.apply()
    assert t.access() == everywhere(A, B, C)
    assert in_step(t)
    t.move(A, "fd-test")
    t.apply()
    assert t.access() == everywhere(B, C)
    assert in_step(t)
    t.leave(B)
    t.apply()
    assert t.access() == everywhere(C)
    assert in_step(t)


def test_a_move_there_and_back_changes_nothing(trial: Trials) -> None:
    """Only what is so when a run asks counts."""
    t = trial()
    t.apply()
    t.move(A, "fd-test")
    t.move(A, "fd-prod")
    assert t.apply().done == ()
    assert t.access() == everywhere(A, B)


def test_drift_by_hand_is_repaired_and_what_a_person_made_is_left(trial: Trials) -> None:
    """A grant that was removed comes back; one that was added stays and is reported."""
    t = trial()
    t.apply()
    t.revoke_by_hand("m-gold", A)
    t.revoke_by_hand("m-silver", A, B)
    t.grant_by_hand("m-bronze", D, STRANGER)
    applied = t.apply()
    assert t.access() == {"m-gold": {A, B}, "m-silver": {A, B}, "m-bronze": {A, B, D, STRANGER}}
    assert {(f.kind, f.image, f.account) for f in applied.plan.findings} == {
        ("unmanaged", "m-bronze", D),
        ("unknown-account", "m-bronze", STRANGER),
    }
    assert in_step(t)


def test_a_grant_that_a_person_made_is_never_revoked(trial: Trials) -> None:
    """Also when it is to somebody who was wanted and is not any more."""
    t = trial()
    t.grant_by_hand("m-gold", A)
    t.apply()
    t.move(A, "fd-test")
    t.apply()
    assert t.access() == {"m-gold": {A, B}, "m-silver": {B}, "m-bronze": {B}}
    assert in_step(t)


def test_removed_and_made_anew_by_a_person_a_grant_is_theirs(trial: Trials) -> None:
    """Its SharedTime is another one, so it is not revoked when it is not wanted any more."""
    t = trial()
    t.apply()
    t.cloud.advance(60)
    t.revoke_by_hand("m-gold", A)
    t.grant_by_hand("m-gold", A)
    t.move(A, "fd-test")
    t.apply()
    assert t.access() == {"m-gold": {A, B}, "m-silver": {B}, "m-bronze": {B}}


def test_the_directory_reading_as_empty_revokes_nothing(trial: Trials) -> None:
    """A listing without rows is contradicted by asking for one account, and that is all that is asked."""
    t = trial()
    t.apply()
    t.patch(faults=[{"operation": "resourcemanager:ListAccounts", "kind": "empty-list", "every": 1}])
    applied = t.apply()
    assert t.access() == everywhere(A, B)
    assert (applied.plan.changes, applied.plan.held) == ((), ())
    assert f"lacks account {OWNER}, which exists in it" in applied.plan.incomplete[0].why
    assert t.cloud.calls["resourcemanager:GetAccount"] == 1


def test_a_directory_that_is_cut_short_stops_the_run(trial: Trials) -> None:
    """Rows that are fewer than the total, however often they are read."""
    t = trial()
    t.apply()
    t.patch(faults=[{"operation": "resourcemanager:ListAccounts", "kind": "truncated-page", "every": 1}])
    with pytest.raises(StopRun, match="the organization cannot be read"):
        t.apply()
    assert t.access() == everywhere(A, B)


def test_a_listing_that_lies_consistently_revokes_nothing_and_additions_go_on(trial: Trials) -> None:
    """Rows and total both short: the missing account exists when asked for, so nothing is concluded from the list."""
    t = trial()
    t.apply()
    t.move(C, "fd-prod")
    liar = Lying(t, {A, B, D, E})
    applied = liar.apply()
    assert t.access() == everywhere(A, B, C)
    assert "lacks account" in applied.plan.incomplete[0].why
    assert liar.asked == 1
    assert in_step(t)


class Lying:
    """Runs whose listing of members leaves some accounts out, with a total to match."""

    def __init__(self, trial: Trial, without: set[str]) -> None:
        self.trial = trial
        self.without = without
        self.asked = 0

    def apply(self) -> Any:
        import orgshare.alibaba.directory as real  # noqa: PLC0415
        from orgshare.ports import Page  # noqa: PLC0415

        runtime = self.trial.runtime()
        directory = runtime.cloud.directory()
        honest, ask = directory.members, directory.member

        def members(page: int) -> Page[Any]:
            rows = tuple(row for row in honest(page).rows if row.id not in self.without)
            return Page(rows, len(rows))

        def member(account: str) -> Any:
            self.asked += 1
            return ask(account)

        assert isinstance(directory, real.ResourceDirectory)
        directory.members = members  # type: ignore[method-assign]
        directory.member = member  # type: ignore[method-assign]
        runtime.cloud.directory = lambda: directory  # type: ignore[method-assign]
        return apply(runtime, Focus((Selection(),)))


def test_a_confirmation_that_fails_revokes_nothing(trial: Trials) -> None:
    """Only the answer that the account does not exist proves a departure; a refused one proves nothing."""
    t = trial()
    t.apply()
    t.leave(A)
    fault = {"operation": "resourcemanager:GetAccount", "kind": "error", "code": "NoPermission", "status": 403}
    t.patch(faults=[{**fault, "every": 1}])
    applied = t.apply()
    assert t.access() == everywhere(A, B)
    assert {gap.why for gap in applied.plan.incomplete} == {
        f"{image}: could not be confirmed, so nothing is revoked from {A}" for image in ALL_IMAGES
    }
    t.patch(faults=[])
    t.apply()
    assert t.access() == everywhere(B)


def test_many_losses_are_held_while_additions_go_on(trial: Trials) -> None:
    """A typo in the policy that would cost everybody their access waits; who is newly wanted gets it."""
    t = trial()
    t.apply()
    t.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    applied = t.apply()
    assert t.access() == everywhere(A, B, C, D)
    assert {pair.account for hold in applied.plan.held for pair in hold.pairs} == {A, B}
    held = [(c.images[0], c.accounts, c.lost) for hold in applied.plan.held for c in hold.changes]
    assert held == [(image, (A, B), 2) for image in ALL_IMAGES]
    assert applied.plan.changes == tuple(c for c in applied.done if c.action == "grant")
    assert t.plan().plan.changes == ()
    t.write_policy(policy())
    t.move(C, "root")
    t.move(D, "root")
    t.write_policy(policy(rules=[rule(folders=["fd-prod"]), rule("lab", accounts=[C, D])]))
    assert t.apply().plan.held == ()
    assert t.access() == everywhere(A, B, C, D)


def test_an_approved_hold_is_revoked_and_nothing_else(trial: Trials) -> None:
    """What a person released runs with the next apply."""
    t = trial()
    t.apply()
    t.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    holds = t.apply().plan.held
    assert [recorded.id for recorded in t.state().guard().holds] == [hold.id for hold in holds]
    t.approve_all()
    applied = t.apply()
    assert t.access() == everywhere(C, D)
    assert applied.plan.held == ()
    assert t.state().guard().holds == ()
    assert in_step(t)


def test_no_limit_is_widened_by_looking_at_one_image_only(trial: Trials) -> None:
    """Percentages are of the whole deployment, whatever is selected."""
    limits = {"lost_pairs": 100, "lost_percent": 10, "departed": {"accounts": 100, "percent": 100}}
    t = trial(policy=policy(safety={"hold_when": limits}))
    t.apply()
    t.move(A, "root")
    one_image = Focus((Selection(images=frozenset({"m-gold"})),))
    assert t.apply(one_image).plan.held != ()
    assert t.access() == everywhere(A, B)


@pytest.mark.parametrize("mode", ["observe", "add"])
def test_the_careful_modes_revoke_nothing(trial: Trials, mode: str) -> None:
    """observe writes nothing at all; add gives and never takes."""
    t = trial()
    t.apply()
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    t.write_policy(policy(mode=mode))
    applied = t.apply()
    assert t.access() == (everywhere(A, B) if mode == "observe" else everywhere(A, B, C))
    assert (applied.done == ()) is (mode == "observe")
    t.write_policy(policy())
    t.apply()
    assert t.access() == everywhere(B, C)


def test_who_is_over_the_quota_is_named_and_who_has_access_keeps_it(trial: Trials) -> None:
    """Beyond the quota nobody is lost silently and nobody loses a place."""
    t = trial(world=world(quotas={"accounts_per_image": 3}), policy=policy(
        owners=[{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 3}}],
        rules=[rule(folders=["root"])],
    ))  # fmt: skip
    t.grant_by_hand("m-gold", E)
    applied = t.apply()
    assert t.access() == {"m-gold": {A, B, E}, "m-silver": {A, B, C}, "m-bronze": {A, B, C}}
    assert {(r.image, r.accounts) for r in applied.plan.refused} == {
        ("m-gold", (C, D)), ("m-silver", (D, E)), ("m-bronze", (D, E)),
    }  # fmt: skip
    assert in_step(t)


def test_a_quota_that_is_smaller_than_the_policy_says_names_the_left_out(trial: Trials) -> None:
    """The cloud's own refusal is halved down to the places that there are, and is not tried again at once."""
    t = trial(world=world(quotas={"accounts_per_image": 3}), policy=policy(rules=[rule(folders=["root"])]))
    applied = t.apply()
    assert t.access() == everywhere(A, B, C)
    assert {(r.image, r.reason, r.accounts) for r in applied.plan.refused} == {
        (image, "over-quota", (D, E)) for image in ALL_IMAGES
    }
    assert in_step(t)


@pytest.mark.parametrize(
    ("changed", "reason", "shared"),
    [
        ({"status": "Deprecated"}, "deprecated", set()),
        ({"status": "Creating"}, "not-available", set()),
        ({"public": True}, "community", set()),
        ({"encryption": "cmk"}, "encrypted-refused", set()),
        ({"encryption": "service-key"}, "encrypted-refused", set()),
    ],
)
def test_an_image_that_cannot_be_shared_is_refused_with_its_reason_and_stops_no_other(
    trial: Trials, changed: dict[str, Any], reason: str, shared: set[str]
) -> None:
    """The refusal is typed and named, the others are shared, and the next run plans nothing."""
    t = trial()
    t.patch(images={"m-silver": changed})
    applied = t.apply()
    assert t.access() == {"m-gold": {A, B}, "m-silver": shared, "m-bronze": {A, B}}
    assert [(r.image, r.reason, r.accounts) for r in applied.plan.refused] == [("m-silver", reason, (A, B))]
    assert applied.failed == ()
    assert in_step(t)


def test_an_image_that_shows_that_it_is_encrypted_is_not_tried(trial: Trials) -> None:
    """Where the preview field is there, no call is wasted."""
    t = trial(world=world(switches={"disk_encryption_shown": True}))
    t.patch(images={"m-silver": {"encryption": "cmk"}})
    assert [(r.image, r.reason) for r in t.apply().plan.refused] == [("m-silver", "encrypted-refused")]
    assert t.cloud.calls["ecs:ModifyImageSharePermission"] == 2


def test_an_account_that_the_cloud_does_not_know_is_named_and_the_others_are_served(trial: Trials) -> None:
    """Halving finds the culprit on each image, whether a refused call serves a part or not."""
    for partial in ("none", "some"):
        unknown = "2999999999999999"
        t = trial(
            world=world(switches={"partial_apply": partial}),
            policy=policy(rules=[rule(folders=["root"], partners=[unknown, PARTNER])]),
        )
        applied = t.apply()
        assert t.access() == everywhere(A, B, C, D, E, PARTNER)
        assert {(r.image, r.reason, r.accounts) for r in applied.plan.refused} == {
            (image, "account-refused", (unknown,)) for image in ALL_IMAGES
        }
        assert in_step(t)


def test_a_run_that_dies_at_any_call_leaves_no_grant_of_ours_a_strangers(trial: Trials) -> None:
    """Whatever call is its last, the next run finishes, and everything can be revoked as ours afterwards."""
    for last in range(1, 25):
        t = trial()
        t.begin()
        die_after(t, last)
        t.cloud.advance(LEASE_IS_OVER)
        t.apply()
        assert t.access() == everywhere(A, B)
        t.move(A, "fd-test")
        assert t.apply().plan.findings == ()
        assert t.access() == everywhere(B)


class Died(BaseException):
    """The process is gone: nothing catches this."""


def die_after(trial: Trial, calls: int) -> None:
    """A run that is killed right after so many of its calls were answered."""
    made = 0

    def count(_: object) -> None:
        nonlocal made
        made += 1
        if made == calls:
            raise Died

    trial.cloud.on_request(count)
    try:
        trial.apply()
    except Died:
        pass
    finally:
        made = -(10**9)


def test_a_partner_gets_access_and_loses_it_when_its_time_is_over(trial: Trials) -> None:
    """Through the last day, and not on the next; that it is no member by now is asked for once."""
    partner = {"account": PARTNER, "name": "Globex", "until": "2026-11-21"}
    t = trial(policy=policy(rules=[rule(folders=["fd-prod"], partners=[partner])]))
    t.apply()
    assert t.access() == everywhere(A, B, PARTNER)
    t.cloud.advance(24 * 3600)
    t.apply()
    assert t.access() == everywhere(A, B)
    assert t.cloud.calls["resourcemanager:GetAccount"] == 1


def test_an_image_that_lost_its_tag_is_held_and_released_by_approval(trial: Trials) -> None:
    """A whole audience of more than one never goes without a person."""
    t = trial()
    t.apply()
    t.patch(images={"m-gold": {"tags": {"share": None}}})
    applied = t.apply()
    assert t.access() == everywhere(A, B)
    (hold,) = applied.plan.held
    assert hold.why == "image m-gold would lose its whole audience, 2 accounts"


def test_an_image_that_was_deleted_leaves_the_state_after_two_sweeps(trial: Trials) -> None:
    """Nothing is held or failed because of it."""
    t = trial()
    t.apply()
    t.patch(grants={"m-gold": None}, images={"m-gold": None})
    for _ in range(2):
        applied = t.apply()
        assert (applied.plan.held, applied.plan.changes, applied.failed) == ((), (), ())
    shard = t.state().shards()[0]
    assert set(t.state().read(shard).ledger.grants) == {"m-silver", "m-bronze"}


def test_a_region_that_cannot_be_read_stops_no_other(trial: Trials) -> None:
    """Its images are left alone and it is named; the other region's are shared."""
    both = {"account": OWNER, "regions": [REGION, OTHER_REGION]}
    t = trial(policy=policy(owners=[both]))
    far = {"service": "ecs", "owner": OWNER, "region": OTHER_REGION, "name": "far", "tags": {"share": "org"}}
    t.patch(images={"m-far": far})
    fault = {"operation": "ecs:DescribeImages", "region": REGION, "kind": "error", "code": "Forbidden.RAM"}
    t.patch(faults=[{**fault, "status": 403, "every": 1}])
    applied = t.apply()
    assert t.access() == {**everywhere(), "m-far": {A, B}}
    assert [(gap.where, gap.name) for gap in applied.plan.incomplete] == [("shard", f"ecs/{OWNER}/{REGION}")]


@pytest.mark.parametrize("kind", ["error", "malformed", "no-answer"])
def test_an_image_whose_permissions_cannot_be_read_stops_no_other(trial: Trials, kind: str) -> None:
    """It is named as unread and untouched."""
    t = trial()
    t.apply()
    t.move(A, "fd-test")
    t.patch(faults=[{"operation": "ecs:DescribeImageSharePermission", "kind": kind, "times": 6}])
    applied = t.apply()
    unread = {gap.why.split(":")[0] for gap in applied.plan.incomplete}
    assert len(unread) == 1
    assert {image for image, accounts in t.access().items() if accounts == {A, B}} == unread
    t.patch(faults=[])
    t.apply()
    assert t.access() == everywhere(B)


def test_every_region_of_the_account_is_looked_at_where_the_policy_says_all(trial: Trials) -> None:
    """regions: all asks for the regions, in both of which images are then shared."""
    t = trial(policy=policy(owners=[{"account": OWNER, "regions": "all"}]))
    t.patch(images={"m-far": {"service": "ecs", "owner": OWNER, "region": OTHER_REGION, "name": "far",
                              "tags": {"share": "org"}}})  # fmt: skip
    t.apply()
    assert t.access() == {**everywhere(A, B), "m-far": {A, B}}


def test_an_image_that_a_rule_names_and_no_owner_has_is_a_finding(trial: Trials) -> None:
    """One of somebody else's and one of nobody's are told apart."""
    images = {"ids": ["m-gold", "m-theirs", "m-nobodys"]}
    t = trial(policy=policy(rules=[rule(images=images)]))
    t.patch(images={"m-theirs": {"service": "ecs", "owner": C, "region": REGION, "name": "theirs"}},
            grants={"m-theirs": [OWNER]})  # fmt: skip
    applied = t.apply()
    assert t.access()["m-gold"] == {A, B}
    found = {f.image: f.why for f in applied.plan.findings if f.kind == "unknown-id"}
    assert "it is not an image of" in found["m-theirs"]
    assert "no owner of the policy has it" in found["m-nobodys"]


def test_a_rule_that_selects_no_image_is_a_finding(trial: Trials) -> None:
    """A tag or family that is misspelt gives nobody anything, and that is said."""
    rules = [rule(), rule("linux", {"family": "acme-*"}), rule("old", {"tags": {"share": "orgs"}})]
    t = trial(policy=policy(rules=rules))
    found = [f.why.split(";")[0] for f in t.apply().plan.findings if f.kind == "selects-nothing"]
    assert found == ["rule linux selects no image", "rule old selects no image"]


def test_another_organization_stops_the_run(trial: Trials) -> None:
    """A state that was begun for another directory is never acted on."""
    t = trial()
    t.apply()
    t.patch(directory={"id": "rd-other"})
    t.leave(A, B)
    with pytest.raises(ConfigurationError, match="belongs to organization rd-trial"):
        t.apply()
    assert t.access() == everywhere(A, B)


def test_credentials_of_another_account_than_the_owners_stop_the_run(trial: Trials) -> None:
    """Without a role, the images that would be read are those of the credentials' own account."""
    t = trial(policy=policy(owners=[{"account": C, "regions": [REGION]}]))
    with pytest.raises(ConfigurationError, match=f"owner {C} has no role, but the credentials are of account {OWNER}"):
        t.apply()


def test_another_management_account_than_the_policys_stops_the_run(trial: Trials) -> None:
    """directory.account is checked against the directory that is read."""
    reader = {"account": C}
    t = trial(policy=policy(directory=reader))
    with pytest.raises(ConfigurationError, match=f"directory.account is {C}"):
        apply(t.runtime(key="LOCALMANAGEMENT"), EVERYTHING)


@pytest.mark.parametrize(("key", "secret"), [("LOCALIMAGES", "wrong"), ("LOCALNOBODY", "local")])
def test_credentials_that_are_refused_stop_the_run(trial: Trials, key: str, secret: str) -> None:
    """Nothing is done with a wrong secret or an unknown key, and neither is in the message."""
    t = trial()
    with pytest.raises(CredentialsRefused) as error:
        apply(t.runtime(key=key, secret=secret), Focus((Selection(),)))
    assert secret not in str(error.value).replace("local", "") or secret == "local"
    assert t.access() == everywhere()


def test_a_member_cannot_read_the_organization_and_is_told_what_to_do(trial: Trials) -> None:
    """Without the reader role the run stops before anything else."""
    t = trial(policy=policy(directory={"account": MANAGEMENT}))
    with pytest.raises(StopRun, match=r"check directory\.account and directory\.role"):
        t.apply()


def test_nobody_answering_stops_the_run(trial: Trials) -> None:
    """A cloud that never answers is told apart from one that refuses."""
    t = trial()
    t.patch(faults=[{"operation": "*", "kind": "no-answer", "every": 1}])
    with pytest.raises(NobodyAnswers, match="no answer"):
        t.apply()


@pytest.mark.parametrize(
    "switches",
    [
        {"is_self_shared": "string"},
        {"is_self_shared": "absent"},
        {"repeated_add": "error"},
        {"repeated_add": "refresh"},
        {"over_ten": "ignored"},
        {"management_in_lists": True},
        {"aliyun_id": "number"},
        {"add_and_remove": "remove"},
        {"partial_apply": "some"},
        {"covered_in_permission_list": True},
    ],
)
def test_the_code_is_right_for_both_positions_of_what_nobody_knows(trial: Trials, switches: dict[str, Any]) -> None:
    """Sharing, moving, repairing and a lost answer end the same whatever the vendor does."""
    t = trial(world=world(switches=switches))
    t.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "lost-answer", "every": 2}])
    t.apply()
    assert t.access() == everywhere(A, B)
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    t.revoke_by_hand("m-gold", B)
    t.apply()
    assert t.access() == everywhere(B, C)
    assert in_step(t)


def test_a_grant_that_becomes_visible_late_is_pending_and_not_made_twice(trial: Trials) -> None:
    """What was accepted is waited for; when it is listed it is ours."""
    t = trial(world=world(delays={"share": 60}))
    applied = t.apply()
    assert {p.entity for p in applied.plan.pending} == {f"{i}/{a}" for i in ALL_IMAGES for a in (A, B)}
    for _ in range(3):
        assert t.apply().done == ()
    assert t.cloud.calls["ecs:ModifyImageSharePermission"] == 3
    t.cloud.advance(61)
    assert t.apply().plan.pending == ()
    t.move(A, "fd-test")
    t.apply()
    t.cloud.advance(61)
    assert t.access() == everywhere(B)
    assert in_step(t)


def test_a_grant_that_becomes_visible_very_late_is_still_ours(trial: Trials) -> None:
    """It is asked for again meanwhile, and when it is no longer wanted it can be revoked."""
    t = trial(world=world(delays={"share": 3600}))
    for _ in range(6):
        t.apply()
        t.cloud.advance(700)
    t.move(A, "fd-test")
    for _ in range(2):
        t.apply()
        t.cloud.advance(3700)
    assert t.access() == everywhere(B)
    assert t.apply().plan.findings == ()


def test_two_runs_at_once_leave_the_ownership_of_both_in_the_state(trial: Trials) -> None:
    """Whoever is overtaken in the state stops there and says so; nothing of ours is forgotten."""
    t = trial()
    t.begin()
    once = True

    def other(_: object) -> None:
        nonlocal once
        if once and t.cloud.calls["ecs:DescribeImageSharePermission"] == 0 and t.cloud.calls["ecs:DescribeImages"]:
            once = False
            t.apply()

    t.cloud.on_request(other)
    applied = t.apply()
    assert [f.kind for f in applied.plan.findings] == ["busy"]
    assert t.access() == everywhere(A, B)
    t.move(A, "fd-test")
    t.apply()
    assert t.access() == everywhere(B)


def test_a_slower_run_does_not_end_a_hold_that_another_one_made_meanwhile(trial: Trials) -> None:
    """It read the image before its tag was changed; what the other one found waits for a person all the same."""
    t = trial(policy=policy(rules=[rule(), rule("lab", {"tags": {"lab": "x"}}, folders=["fd-test"])]))
    t.apply()
    slow = t.runtime()
    planned = make_plan(slow, EVERYTHING)
    t.patch(images={"m-gold": {"tags": {"share": None, "lab": "x"}}})
    (hold,) = t.apply().plan.held
    carry_out_plan(slow, planned)
    assert t.apply().plan.held == (hold,)
    assert t.access()["m-gold"] == {A, B, C, D}


def test_credentials_that_end_half_way_are_a_failure_of_what_was_left(trial: Trials) -> None:
    """What was shared until then is reported and recorded, and the next run goes on."""
    t = trial()
    fault = {"operation": "ecs:ModifyImageSharePermission", "kind": "error", "code": "InvalidSecurityToken.Expired"}
    t.patch(faults=[{**fault, "status": 403, "every": 2}])
    applied = t.apply()
    assert [change.images[0] for change in applied.done] == ["m-bronze", "m-silver"]
    assert [failure.change.images[0] for failure in applied.failed] == ["m-gold"]
    assert t.access() == {**everywhere(A, B), "m-gold": set()}
    t.patch(faults=[])
    t.apply()
    assert t.access() == everywhere(A, B)
