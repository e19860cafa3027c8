"""Images of Elastic Desktop Service in whole runs: the same rules, guards and reports, one quota over all regions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecd20200930 import models as ecd_models
from alibabacloud_ecd20200930.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.inprocess import in_process
from orgshare.focus import EVERYTHING, Focus, Selection, all_of
from orgshare.way.applying import apply, carry_out_plan
from orgshare.way.planning import make_plan
from orgshare.words import Shard
from tests.support.channels import own_shares
from tests.support.desktops import (
    DESKS,
    FAR,
    NEAR,
    NEAR_2,
    crowd,
    desk,
    desk_policy,
    desk_rule,
    desks,
    everywhere,
    have,
)
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
    calls_of,
    policy,
    rule,
)
from tests.way.test_ownership import dies_at
from tests.way.test_rules import Died

Trials = Callable[..., Trial]
SHARD = Shard("eds", OWNER, "all")
READ, SHARE = "ecd:DescribeImagePermission", "ecd:ModifyImagePermission"


def refused(applied: Any) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
    return {(r.image, r.reason): (r.accounts_total, r.accounts) for r in applied.plan.refused}


def in_step(trial: Trial) -> bool:
    """Whether the next plan has nothing to do and nothing to say."""
    plan = trial.plan().plan
    return (plan.changes, plan.held, plan.findings, plan.pending, plan.incomplete) == ((), (), (), (), ())


# --- the same rules


def test_rules_share_images_of_both_services_in_all_regions(trial: Trials) -> None:
    """One apply serves everybody, the next plans nothing; who joins gets it, who moves away loses it."""
    t = trial(world=desks(), policy=desk_policy())
    applied = t.apply()
    assert (applied.plan.findings, applied.plan.refused, applied.failed) == ((), (), ())
    assert have(t) == everywhere(A, B)
    assert t.access()["m-gold"] == {A, B}
    assert in_step(t)
    t.move(C, "fd-prod")
    t.move(A, "fd-test")
    t.apply()
    assert have(t) == everywhere(B, C)
    assert in_step(t)
    assert own_shares(t) == {}


@pytest.mark.parametrize("switch", ["string", "number"])
def test_an_account_is_the_same_whether_it_comes_as_a_number_or_a_text(trial: Trials, switch: str) -> None:
    """The policy and the organization have texts, calls have integers, answers either: nothing is lost between."""
    excepting: dict[str, Any] = {"except": {"accounts": [A]}}
    wanted = desk_rule(folders=["fd-prod"], partners=[PARTNER], accounts=[E], **excepting)
    t = trial(world=desks(switches={"aliyun_id": switch}, grants={NEAR: [STRANGER]}), policy=desk_policy(wanted))
    t.apply()
    assert have(t) == {NEAR: {B, E, PARTNER, STRANGER}, NEAR_2: {B, E, PARTNER}, FAR: {B, E, PARTNER}}
    plan = t.plan().plan
    assert (plan.changes, plan.held, [(f.kind, f.account) for f in plan.findings]) == (
        (), (), [("unknown-account", STRANGER)],
    )  # fmt: skip
    t.write_policy(desk_policy(desk_rule(accounts=[E])))
    t.apply()
    assert have(t) == {NEAR: {E, STRANGER}, NEAR_2: {E}, FAR: {E}}


def test_there_is_no_directory_channel(trial: Trials) -> None:
    """Auto means direct: no resource share is made or asked for, and nothing is said of a fallback."""
    t = trial(world=desks(), policy=desk_policy(desk_rule(channel="auto", folders=["root"])))
    calls = calls_of(t, t.apply)
    assert have(t) == everywhere(A, B, C, D, E)
    assert own_shares(t) == {}
    assert in_step(t)
    assert calls["resourcesharing:CreateResourceShare"] == 0


def test_a_rule_for_both_services_uses_the_channel_that_each_has(trial: Trials) -> None:
    """The same rule shares an image of ECS by the directory and one of Elastic Desktop Service directly."""
    both = rule("both", {"service": ["ecs", "eds"], "name": ["gold", "desk-*"]}, channel="auto")
    t = trial(world=desks(), policy=desk_policy(both))
    for _ in range(3):
        t.apply()
        t.cloud.advance(16 * 60)
    channels = {row["image"]: row["channels"] for row in t.cloud.access() if row["account"] == A}
    assert channels == {"m-gold": ["directory"], NEAR: ["direct"], NEAR_2: ["direct"], FAR: ["direct"]}
    assert in_step(t)


def test_a_region_of_a_rule_selects_by_the_images_own_region(trial: Trials) -> None:
    """Although one shard has all regions."""
    selected = rule("near", {"service": "eds", "name": "*", "region": REGION}, channel="direct")
    t = trial(world=desks(), policy=desk_policy(selected))
    applied = t.apply()
    assert have(t) == {NEAR: {A, B}, NEAR_2: {A, B}, FAR: set()}
    assert {change.region for change in applied.done} == {REGION}


# --- what cannot be shared


def test_what_cannot_be_shared_is_refused_with_its_reason_and_the_rest_is_served(trial: Trials) -> None:
    """Encrypted, still being made, or received from another account; nothing is sent for any of them."""
    more = {
        "m-desk-locked": desk("desk-locked", encryption="cmk"),
        "m-desk-making": desk("desk-making", status="Creating"),
        "m-desk-theirs": desk("desk-theirs", owner=E),
    }
    t = trial(world=desks(more_images=more, grants={"m-desk-theirs": [OWNER]}), policy=desk_policy(desk_rule()))
    applied = t.apply()
    assert have(t) == {
        **everywhere(A, B), "m-desk-locked": set(), "m-desk-making": set(), "m-desk-theirs": {OWNER},
    }  # fmt: skip
    assert refused(applied) == {
        ("m-desk-locked", "encrypted-refused"): (2, (A, B)),
        ("m-desk-making", "not-available"): (2, (A, B)),
        ("m-desk-theirs", "not-own"): (2, (A, B)),
    }
    remedy = next(r.remedy for r in applied.plan.refused if r.image == "m-desk-locked")
    assert remedy == "Elastic Desktop Service shares no encrypted image: use an unencrypted copy"
    assert t.cloud.calls[SHARE] == 3
    assert t.plan().plan.changes == ()


def test_a_received_image_that_is_listed_as_such_is_nobodys_matter(trial: Trials) -> None:
    """In the other position of the switch it is not even among the custom images."""
    more = {"m-desk-theirs": desk("desk-theirs", owner=E)}
    document = desks(more_images=more, grants={"m-desk-theirs": [OWNER, D]}, switches={"eds_received_type": "SHARED"})
    t = trial(world=document, policy=desk_policy(desk_rule()))
    applied = t.apply()
    assert (applied.plan.refused, applied.plan.incomplete) == ((), ())
    assert have(t) == {**everywhere(A, B), "m-desk-theirs": {OWNER, D}}


def test_owners_that_share_with_each_other_keep_what_is_theirs(trial: Trials) -> None:
    """Each lists what it received from the other among its own images: that is no reading of who has them."""
    other = "1000000000000021"
    document = desks(more_images={"m-desk-other": desk("desk-other", owner=other)})
    document["directory"]["members"][other] = {"name": "other", "folder": "root"}
    document["roles"][f"acs:ram::{other}:role/orgshare"] = {"trusts": [OWNER]}
    owners = [
        {"account": OWNER, "regions": [REGION, OTHER_REGION]},
        {"account": other, "regions": [REGION], "role": f"acs:ram::{other}:role/orgshare"},
    ]
    everybody = desk_rule(accounts=[OWNER, other, A])
    t = trial(world=document, policy=policy(owners=owners, rules=[everybody]))
    for _ in range(4):
        applied = t.apply()
        assert have(t) == {**everywhere(other, A), "m-desk-other": {OWNER, A}}
        t.cloud.advance(16 * 60)
    assert (applied.plan.changes, applied.plan.refused, applied.plan.findings) == ((), (), ())
    t.write_policy(policy(owners=owners, rules=[desk_rule(accounts=[E])]))
    for shard in (SHARD, Shard("eds", other, "all")) * 2:
        t.apply(Focus((all_of(shard),)))
    t.approve_all()
    t.apply()
    assert have(t) == {**everywhere(E), "m-desk-other": {E}}


@pytest.mark.parametrize("wanted", [{"accounts": [OWNER, "1000000000000021", A]}, {"partners": [PARTNER, STRANGER]}])
def test_what_waits_for_a_person_waits_on_when_an_owner_that_received_the_image_is_looked_at(
    trial: Trials, wanted: dict[str, Any]
) -> None:
    """Neither a loss nor a first grant to a partner is decided by who may not even ask who has the image."""
    other = "1000000000000021"
    document = desks(grants={image: [other] for image in DESKS})
    document["directory"]["members"][other] = {"name": "other", "folder": "root"}
    document["roles"][f"acs:ram::{other}:role/orgshare"] = {"trusts": [OWNER]}
    owners = [
        {"account": OWNER, "regions": [REGION, OTHER_REGION]},
        {"account": other, "regions": [REGION], "role": f"acs:ram::{other}:role/orgshare"},
    ]
    safety = {**policy()["safety"], "hold_when": {"lost_pairs": 0}, "partners": "hold"}
    t = trial(world=document, policy=policy(owners=owners, rules=[desk_rule(**wanted)], safety=safety))
    t.apply()
    t.approve_all()
    t.apply()
    t.write_policy(policy(owners=owners, rules=[desk_rule(accounts=[E], partners=[PARTNER])], safety=safety))
    t.apply(Focus((all_of(SHARD),)))
    before = {hold.pairs for hold in t.state().guard().holds}
    assert before
    t.apply(Focus((all_of(Shard("eds", other, "all")),)))
    assert {hold.pairs for hold in t.state().guard().holds} == before


def test_an_image_that_became_encrypted_can_be_taken_back(trial: Trials) -> None:
    """Refusals stop additions only."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    t.apply()
    t.patch(images={NEAR: {"encryption": "cmk"}})
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    applied = t.apply()
    assert have(t) == {NEAR: {B}, NEAR_2: {B, C}, FAR: {B, C}}
    assert refused(applied) == {(NEAR, "encrypted-refused"): (1, (C,))}


# --- the quota


def test_the_fifty_first_share_of_an_owner_is_left_out_by_name(trial: Trials) -> None:
    """Fifty in all over three images in two regions; free places go by sorted ids, and the next run plans nothing."""
    accounts, document = crowd(20)
    t = trial(world=document, policy=desk_policy(desk_rule()))
    applied = t.apply()
    assert have(t) == {NEAR: set(accounts), NEAR_2: set(accounts), FAR: set(accounts[:10])}
    assert refused(applied) == {(FAR, "over-quota"): (10, tuple(accounts[10:]))}
    remedy = applied.plan.refused[0].remedy
    assert "all images of the owner in all regions 50 times" in remedy
    assert "quotas.eds_shares" in remedy
    assert applied.failed == ()
    again = t.apply()
    assert again.plan.changes == ()
    assert refused(again) == refused(applied)


def test_who_has_access_keeps_it_and_grants_of_others_count(trial: Trials) -> None:
    """By hand, on images that no rule selects too; new ones get what is left, however small their ids are."""
    accounts, document = crowd(12)
    document["images"]["m-desk-own"] = desk("private")
    document["outsiders"] += [str(5000000000000000 + number) for number in range(30)]
    strangers = document["outsiders"][2:]
    document["grants"] = {"m-desk-own": strangers, FAR: accounts[6:]}
    t = trial(world=document, policy=desk_policy(desk_rule()))
    applied = t.apply()
    found = have(t)
    assert found["m-desk-own"] == set(strangers)
    assert found[NEAR] == set(accounts)
    assert found[NEAR_2] == set(accounts[:2])
    assert found[FAR] == set(accounts[6:])
    assert refused(applied) == {
        (NEAR_2, "over-quota"): (10, tuple(accounts[2:])), (FAR, "over-quota"): (6, tuple(accounts[:6])),
    }  # fmt: skip
    assert t.plan().plan.changes == ()


@pytest.mark.parametrize(
    ("scope", "served"),
    [("account", (12, 12, 6)), ("region", (12, 12, 12)), ("image", (12, 12, 12))],
)
def test_the_quota_is_planned_within_what_the_policy_says_it_is_counted_over(
    trial: Trials, scope: str, served: tuple[int, ...]
) -> None:
    """The account over all regions, each region, or each image, and the cloud says the same."""
    quota = {"account": 30, "region": 24, "image": 12}[scope]
    accounts, document = crowd(12, quotas={"eds_shares": quota, "eds_shares_per": scope})
    t = trial(world=document, policy=desk_policy(desk_rule(), quotas={"eds_shares": quota, "eds_shares_per": scope}))
    applied = t.apply()
    assert tuple(len(have(t)[image]) for image in DESKS) == served
    assert sum(total for total, _ in refused(applied).values()) == 36 - sum(served)
    assert (applied.failed, t.plan().plan.changes) == ((), ())
    assert accounts[0] in have(t)[FAR]


@pytest.mark.parametrize("scope", ["account", "region", "image"])
def test_a_quota_that_is_smaller_than_the_policy_says_is_refused_by_name(trial: Trials, scope: str) -> None:
    """The cloud refuses what is beyond; all that fits is served, and whoever is left out is named."""
    _, document = crowd(8, quotas={"eds_shares": 10, "eds_shares_per": scope})
    t = trial(world=document, policy=desk_policy(desk_rule(), quotas={"eds_shares_per": "image"}))
    applied = t.apply()
    served = sum(map(len, have(t).values()))
    assert served == {"account": 10, "region": 18, "image": 24}[scope]
    assert sum(total for total, _ in refused(applied).values()) == 24 - served
    assert {reason for _, reason in refused(applied)} <= {"over-quota"}
    assert t.apply().plan.changes == ()


@pytest.mark.parametrize(("before", "after"), [(NEAR, FAR), (FAR, NEAR), (NEAR_2, NEAR)])
def test_places_that_one_image_frees_serve_another_in_the_same_run(trial: Trials, before: str, after: str) -> None:
    """What goes makes room first, over regions and images, whichever comes first by its id."""
    accounts, document = crowd(6, quotas={"eds_shares": 6})
    first = rule("before", {"service": "eds", "ids": [before]}, accounts=accounts)
    t = trial(world=document, policy=desk_policy(first, quotas={"eds_shares": 6}))
    t.apply()
    assert have(t) == {**everywhere(), before: set(accounts)}
    t.write_policy(desk_policy(
        rule("before", {"service": "eds", "ids": [before]}, accounts=accounts[:2]),
        rule("after", {"service": "eds", "ids": [after]}, accounts=accounts[2:]),
        quotas={"eds_shares": 6},
    ))  # fmt: skip
    applied = t.apply()
    assert have(t) == {**everywhere(), before: set(accounts[:2]), after: set(accounts[2:])}
    assert (applied.failed, applied.plan.refused) == ((), ())
    assert in_step(t)


def test_what_is_held_keeps_its_places(trial: Trials) -> None:
    """Nobody gets the place of somebody whose loss waits for a person."""
    accounts, document = crowd(6, quotas={"eds_shares": 6})
    near = rule("near", {"service": "eds", "ids": [NEAR]}, accounts=accounts)
    t = trial(world=document, policy=desk_policy(near, quotas={"eds_shares": 6}))
    t.apply()
    far = rule("far", {"service": "eds", "ids": [FAR]}, accounts=accounts[:3])
    t.write_policy(desk_policy(far, quotas={"eds_shares": 6}))
    applied = t.apply()
    assert have(t) == {NEAR: set(accounts), NEAR_2: set(), FAR: set()}
    assert [len(hold.pairs) for hold in applied.plan.held] == [6]
    assert refused(applied) == {(FAR, "over-quota"): (3, tuple(accounts[:3]))}
    t.approve_all()
    t.apply()
    assert have(t) == {NEAR: set(), NEAR_2: set(), FAR: set(accounts[:3])}


def test_a_look_at_one_image_counts_the_shares_of_all(trial: Trials) -> None:
    """A selection narrows what is changed, never what is counted."""
    accounts, document = crowd(4, quotas={"eds_shares": 9})
    t = trial(world=document, policy=desk_policy(desk_rule(), quotas={"eds_shares": 9}))
    t.apply()
    t.patch(images={"m-desk-4": desk("desk-4")})
    applied = t.apply(Focus((Selection(images=frozenset({"m-desk-4"})),)))
    assert have(t)["m-desk-4"] == set()
    assert refused(applied) == {("m-desk-4", "over-quota"): (4, tuple(accounts))}
    assert t.cloud.calls[READ] > 0
    assert applied.failed == ()


@settings(max_examples=30, deadline=None)
@given(
    quota=st.integers(1, 12),
    scope=st.sampled_from(["account", "region", "image"]),
    by_hand=st.lists(st.tuples(st.sampled_from([*DESKS, "m-desk-own"]), st.integers(0, 7)), max_size=12),
    wanted=st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True),
)
def test_nobody_loses_a_share_and_no_quota_is_ever_passed(
    quota: int, scope: str, by_hand: list[tuple[str, int]], wanted: list[int]
) -> None:
    """Whatever others shared: what is there stays, the cloud refuses nothing, and who is not served is named."""
    accounts, document = crowd(8, quotas={"eds_shares": quota, "eds_shares_per": scope})
    document["images"]["m-desk-own"] = desk("private")
    grants: dict[str, set[str]] = {}
    for image, number in by_hand:
        grants.setdefault(image, set()).add(accounts[number])
    document["grants"] = {image: sorted(has) for image, has in grants.items()}
    chosen = [accounts[number] for number in wanted]
    quotas = {"eds_shares": quota, "eds_shares_per": scope}
    of = desk_policy(desk_rule(accounts=chosen, partners=[]), quotas=quotas)
    with tempfile.TemporaryDirectory() as folder:
        t = Trial(Path(folder), world=document, policy=of)
        with in_process(t.cloud, sleep=lambda _: None):
            applied = t.apply()
            assert applied.failed == ()
            assert not any("QuotaExceed" in r.remedy for r in applied.plan.refused)
            found = have(t)
            assert all(found[image] >= has for image, has in grants.items())
            missing = {(image, a) for image in DESKS for a in chosen if a not in found[image]}
            named = {(r.image, a) for r in applied.plan.refused for a in r.accounts}
            assert named == missing
            assert t.plan().plan.changes == ()


# --- what a call takes


def test_calls_have_at_most_ten_of_each(trial: Trials) -> None:
    """Whatever becomes of more in one call, here nobody is lost."""
    accounts, document = crowd(16, quotas={"eds_shares": 48}, switches={"eds_beyond_cap": "ignored"})
    t = trial(world=document, policy=desk_policy(desk_rule(), quotas={"eds_shares": 48}))
    t.apply()
    assert have(t) == everywhere(*accounts)
    t.write_policy(desk_policy(desk_rule(accounts=accounts[:2]), quotas={"eds_shares": 48}))
    t.apply()
    assert have(t) == everywhere(*accounts[:2])


def test_one_account_at_a_time_is_found_out_once_a_run(trial: Trials) -> None:
    """A refused batch goes account by account, and so does everything after it; the next run finds it out anew."""
    accounts, document = crowd(12, switches={"eds_several_at_once": "refused"})
    t = trial(world=document, policy=desk_policy(desk_rule()))
    applied = t.apply()
    assert have(t) == everywhere(*accounts)
    assert (applied.failed, applied.plan.refused) == ((), ())
    assert t.cloud.calls[SHARE] == 1 + 36
    t.write_policy(desk_policy(desk_rule(accounts=accounts[:1])))
    t.apply()
    assert have(t) == everywhere(accounts[0])
    assert t.cloud.calls[SHARE] == 37 + 1 + 33
    assert in_step(t)


@pytest.mark.parametrize("switch", ["accepted", "refused"])
def test_an_account_that_is_refused_does_not_keep_the_others_from_it(trial: Trials, switch: str) -> None:
    """The culprit is named, for each image, whether or not several in one call are refused as well."""
    accounts, document = crowd(5, switches={"eds_several_at_once": switch})
    t = trial(world=document, policy=desk_policy(desk_rule(partners=["9000000000000009"], folders=["fd-prod"])))
    applied = t.apply()
    assert have(t) == everywhere(*accounts)
    assert refused(applied) == {(image, "account-refused"): (1, ("9000000000000009",)) for image in DESKS}
    assert t.plan().plan.changes == ()


@pytest.mark.parametrize("partial", ["none", "some"])
@pytest.mark.parametrize("again", ["ok", "error"])
def test_a_lost_answer_is_read_back(trial: Trials, partial: str, again: str) -> None:
    """Nobody is left out and nobody is a stranger, whatever adding twice does."""
    faults = [{"operation": SHARE, "kind": "lost-answer", "every": 2}]
    document = desks(faults=faults, switches={"partial_apply": partial, "repeated_add": again})
    t = trial(world=document, policy=desk_policy(desk_rule()))
    t.apply()
    assert have(t) == everywhere(A, B)
    t.patch(faults=[])
    t.move(A, "fd-test")
    t.apply()
    assert have(t) == everywhere(B)
    assert in_step(t)


@settings(max_examples=25, deadline=None)
@given(
    switches=st.fixed_dictionaries(
        {
            "eds_beyond_cap": st.sampled_from(["first", "ignored", "error"]),
            "eds_several_at_once": st.sampled_from(["accepted", "refused"]),
            "eds_received_type": st.sampled_from(["CUSTOM", "SHARED"]),
            "aliyun_id": st.sampled_from(["string", "number"]),
            "repeated_add": st.sampled_from(["ok", "error", "refresh"]),
            "remove_unshared": st.sampled_from(["ok", "error"]),
            "add_and_remove": st.sampled_from(["add", "remove"]),
            "partial_apply": st.sampled_from(["none", "some"]),
        }
    ),
    kinds=st.lists(st.sampled_from(["lost-answer", "no-answer", "throttle", "error"]), max_size=2),
    every=st.integers(2, 4),
    moves=st.lists(st.tuples(st.integers(0, 13), st.booleans()), max_size=6),
)
def test_whatever_the_service_answers_everybody_has_what_the_policy_says(
    switches: dict[str, str], kinds: list[str], every: int, moves: list[tuple[int, bool]]
) -> None:
    """In every position of every switch, with calls that fail meanwhile: two quiet sweeps and all is in step."""
    more = {"m-desk-theirs": desk("desk-theirs", owner=MANAGEMENT)}
    accounts, document = crowd(14, more_images=more, switches=switches, grants={"m-desk-theirs": [OWNER]})
    with tempfile.TemporaryDirectory() as folder:
        t = Trial(Path(folder), world=document, policy=desk_policy(desk_rule()))
        with in_process(t.cloud, sleep=lambda _: None):
            t.apply()
            t.patch(faults=[{"operation": SHARE, "kind": kind, "every": every} for kind in kinds])
            inside = dict.fromkeys(accounts, True)
            for number, stays in moves:
                inside[accounts[number]] = stays
                t.move(accounts[number], "fd-prod" if stays else "fd-test")
                t.apply()
            t.patch(faults=[])
            for _ in range(2):
                t.cloud.advance(16 * 60)
                t.apply()
            wanted = [account for account in accounts if inside[account]]
            assert have(t) == {**everywhere(*wanted), "m-desk-theirs": {OWNER}}
            assert t.plan().plan.changes == ()


# --- ownership


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_grant_of_a_run_that_died_is_ours(trial: Trials, number: int) -> None:
    """Written down before the call, although no list says when an image was shared."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    t.begin()
    dies_at(t, "ModifyImagePermission", number)
    t.move(A, "fd-test")
    t.apply()
    assert have(t) == everywhere(B)
    assert in_step(t)


def test_a_run_that_died_between_writing_down_and_the_call_is_finished(trial: Trials) -> None:
    """Nothing was shared by then; the next run does it, and takes nothing for a stranger's."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    state = t.begin()
    take = state.take

    def dying(*args: Any, **options: Any) -> Any:
        take(*args, **options)
        raise Died

    state.take = dying  # type: ignore[method-assign]
    with pytest.raises(Died):
        apply(t.runtime(state=state), EVERYTHING)
    assert have(t) == everywhere()
    assert set(t.state().read(SHARD).ledger.grants) == set(DESKS)
    t.cloud.advance(LEASE_IS_OVER)
    t.apply()
    assert have(t) == everywhere(A, B)
    assert in_step(t)


def test_what_becomes_visible_late_is_neither_granted_twice_nor_left(trial: Trials) -> None:
    """Accepted and not listed is pending, keeps its place, and is ours when it appears; so is what was taken back."""
    t = trial(world=desks(delays={"share": 300}), policy=desk_policy(desk_rule(), quotas={"eds_shares": 6}))
    t.apply()
    t.cloud.advance(60)
    again = t.apply()
    assert again.plan.changes == ()
    assert {pending.status for pending in again.plan.pending} == {"accepted, not listed yet"}
    t.cloud.advance(300)
    assert in_step(t)
    t.move(A, "fd-test")
    t.apply()
    assert have(t) == everywhere(B)
    t.cloud.advance(1000)
    t.apply()
    assert in_step(t)


def test_grants_by_hand_are_left_and_reported(trial: Trials) -> None:
    """Wanted ones are satisfied and not ours; unwanted ones stay unless the policy says otherwise."""
    t = trial(world=desks(grants={NEAR: [A, C], FAR: [D]}), policy=desk_policy(desk_rule()))
    applied = t.apply()
    assert have(t) == {NEAR: {A, B, C}, NEAR_2: {A, B}, FAR: {A, B, D}}
    assert {(f.image, f.account) for f in applied.plan.findings if f.kind == "unmanaged"} == {(NEAR, C), (FAR, D)}
    t.move(A, "fd-test")
    t.apply()
    assert have(t) == {NEAR: {A, B, C}, NEAR_2: {B}, FAR: {B, D}}
    t.write_policy(desk_policy(desk_rule(), safety={**policy()["safety"], "unmanaged": "revoke"}))
    t.apply()
    t.apply()
    assert have(t) == everywhere(B)


def test_no_more_rule_speaks_of_them_and_they_are_revoked_through_the_guard(trial: Trials) -> None:
    """The last rule goes: what it gave is held first, and once a person approved it, it is gone and can be deleted."""
    t = trial(world=desks(), policy=desk_policy())
    t.apply()
    t.write_policy(desk_policy(rule()))
    applied = t.apply()
    assert have(t) == everywhere(A, B)
    assert [len(hold.pairs) for hold in applied.plan.held] == [6]
    with pytest.raises(AlibabaCloudException) as caught:
        delete(t, NEAR, NEAR_2)
    assert caught.value.code == "ImageDeleteFailed.NotAllowSharedImage"
    t.approve_all()
    t.apply()
    assert have(t) == everywhere()
    delete(t, NEAR, NEAR_2)
    assert set(have(t)) == {FAR}
    assert t.access()["m-gold"] == {A, B}
    assert in_step(t)


def delete(trial: Trial, *images: str) -> None:
    """Delete images as their owner would."""
    config = Config(access_key_id="LOCALIMAGES", access_key_secret="local", region_id=REGION, protocol="http")
    Client(config).delete_images(ecd_models.DeleteImagesRequest(region_id=REGION, image_id=list(images)))


def test_an_image_that_is_gone_leaves_the_ledger_after_two_sweeps(trial: Trials) -> None:
    """It was asked for by its id, in every region."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    t.apply()
    t.patch(images={FAR: None}, grants={FAR: None})
    t.apply()
    assert FAR in t.state().read(SHARD).ledger.grants
    t.apply()
    assert set(t.state().read(SHARD).ledger.grants) == {NEAR, NEAR_2}
    assert in_step(t)


# --- what cannot be read


def test_a_region_that_cannot_be_read_stops_no_other(trial: Trials) -> None:
    """Its images keep what they have and count with what is known of them, and it is said what is missing."""
    t = trial(world=desks(), policy=desk_policy(desk_rule(), quotas={"eds_shares": 7}))
    t.apply()
    t.patch(faults=[{"operation": "ecd:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1}])
    t.move(A, "fd-test")
    t.move(C, "fd-prod")
    for _ in range(3):
        applied = t.apply()
    assert have(t) == {NEAR: {B, C}, NEAR_2: {B, C}, FAR: {A, B}}
    assert {gap.name for gap in applied.plan.incomplete} == {str(SHARD)}
    assert all(gap.why.startswith(f"{OTHER_REGION}: ") for gap in applied.plan.incomplete)
    t.patch(faults=[])
    t.apply()
    assert have(t) == everywhere(B, C)
    assert in_step(t)


@pytest.mark.parametrize("operation", ["ecd:DescribeImages", "ecd:DescribeImagePermission", "ecd:DescribeRegions"])
@pytest.mark.parametrize("kind", ["missing-field", "malformed", "error", "no-answer"])
def test_a_list_that_fails_revokes_nothing(trial: Trials, operation: str, kind: str) -> None:
    """An answer that lacks its list is no empty list, although the SDK makes one of it."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    t.apply()
    t.patch(faults=[{"operation": operation, "kind": kind, "every": 1}])
    t.move(A, "fd-test")
    for _ in range(3):
        applied = t.apply()
        assert applied.plan.changes == ()
        assert applied.plan.incomplete
    assert have(t) == everywhere(A, B)
    t.patch(faults=[])
    t.apply()
    assert have(t) == everywhere(B)
    assert in_step(t)


@pytest.mark.parametrize("operation", ["ecd:DescribeImages", "ecd:DescribeImagePermission"])
@pytest.mark.parametrize("kind", ["truncated-page", "empty-list"])
def test_a_list_that_lies_takes_nothing_away_and_makes_nobody_a_stranger(
    trial: Trials, operation: str, kind: str
) -> None:
    """It has no total that would show it; what follows from it is at most that something is granted again."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    t.apply()
    t.patch(faults=[{"operation": operation, "kind": kind, "times": 1}])
    t.apply()
    assert have(t) == everywhere(A, B)
    t.patch(faults=[])
    t.apply()
    t.move(A, "fd-test")
    t.apply()
    assert have(t) == everywhere(B)
    assert in_step(t)


def test_regions_without_the_service_are_left_out(trial: Trials) -> None:
    """An owner may have others for ECS."""
    document = desks()
    document["images"]["m-us"] = {"owner": OWNER, "region": "us-east-1", "name": "us", "tags": {"share": "org"}}
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION, "us-east-1"]}]
    t = trial(world=document, policy=policy(owners=owners, rules=[desk_rule(), rule()]))
    applied = t.apply()
    assert applied.plan.incomplete == ()
    assert have(t) == everywhere(A, B)
    assert t.access()["m-us"] == {A, B}


def test_all_regions_are_those_of_each_service(trial: Trials) -> None:
    """`regions: all` asks both."""
    owners = [{"account": OWNER, "regions": "all"}]
    document = desks(regions=[REGION, OTHER_REGION, "us-east-1"])
    t = trial(world=document, policy=policy(owners=owners, rules=[desk_rule(), rule()]))
    applied = t.apply()
    assert applied.plan.incomplete == ()
    assert have(t) == everywhere(A, B)
    assert t.cloud.calls["ecd:DescribeRegions"] == t.cloud.calls["ecs:DescribeRegions"] == 1


def test_a_region_that_the_policy_names_no_more_is_orphaned_and_not_forgotten(trial: Trials) -> None:
    """As a shard is: what is ours there stays ours, keeps its places, and is reported until the region is named."""
    near = [{"account": OWNER, "regions": [REGION], "quotas": {"eds_shares": 6}}]
    t = trial(world=desks(), policy=desk_policy(desk_rule(), quotas={"eds_shares": 6}))
    t.apply()
    t.write_policy(policy(owners=near, rules=[desk_rule()]))
    t.move(A, "fd-test")
    for _ in range(3):
        applied = t.apply()
        told = [f.why for f in applied.plan.findings if f.kind == "orphaned" and str(SHARD) in f.why]
        assert len(told) == 1, applied.plan.findings
        assert OTHER_REGION in told[0]
        assert applied.plan.incomplete == ()
    assert have(t) == {NEAR: {B}, NEAR_2: {B}, FAR: {A, B}}
    t.move(C, "fd-prod")
    t.move(D, "fd-prod")
    assert refused(t.apply()) == {(NEAR_2, "over-quota"): (2, (C, D))}
    assert have(t)[NEAR] == {B, C, D}
    t.write_policy(desk_policy(desk_rule(), quotas={"eds_shares": 50}))
    t.apply()
    assert have(t) == everywhere(B, C, D)


# --- what a run looks at


def test_a_selection_by_region_changes_only_what_is_there(trial: Trials) -> None:
    """The rest of the shard is neither changed nor taken for gone."""
    t = trial(world=desks(), policy=desk_policy(desk_rule()))
    t.apply()
    t.move(A, "fd-test")
    near = Focus((Selection(regions=frozenset({REGION})),))
    applied = apply(t.runtime(), near)
    assert have(t) == {NEAR: {B}, NEAR_2: {B}, FAR: {A, B}}
    assert SHARD not in applied.planned.looked.whole
    t.apply()
    assert have(t) == everywhere(B)


def test_without_a_rule_for_them_nothing_is_asked_of_the_service(trial: Trials) -> None:
    """Who shares images of ECS only makes no call more than before."""
    t = trial(world=desks(), policy=desk_policy(rule()))
    t.apply()
    assert not [name for name in t.cloud.calls if name.startswith("ecd:")]
    assert have(t) == everywhere()


def test_a_plan_is_carried_out_as_it_was_shown(trial: Trials) -> None:
    """Two plans of the same facts are equal, and what is done is what was planned."""
    t = trial(world=desks(), policy=desk_policy())
    planned = make_plan(t.runtime(), EVERYTHING)
    assert planned.plan.changes == t.plan().plan.changes
    applied = carry_out_plan(t.runtime(), planned)
    assert applied.done == planned.plan.changes
    assert have(t) == everywhere(A, B)


def test_an_owner_that_reads_by_its_role_shares_in_all_regions(trial: Trials) -> None:
    """The role of the owner's account is used for the service, too; without permission nothing is concluded."""
    arn = f"acs:ram::{OWNER}:role/orgshare"
    actions = ["ecs:*", "resourcesharing:*", "ecd:Describe*"]
    allowed = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    document = desks()
    document["roles"][arn] = {"trusts": [MANAGEMENT], "policies": [allowed]}
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION], "role": arn}]
    reader = {"account": MANAGEMENT}
    t = trial(world=document, policy=policy(owners=owners, directory=reader, rules=[desk_rule()]))
    applied = apply(t.runtime(key="LOCALMANAGEMENT"), EVERYTHING)
    assert have(t) == everywhere()
    assert [f.why for f in applied.plan.findings if f.kind == "not-permitted"] == [
        f"a policy of {arn} has to allow ecd:ModifyImagePermission"
    ]
    t.patch(roles={arn: {"policies": None}})
    apply(t.runtime(key="LOCALMANAGEMENT"), EVERYTHING)
    assert have(t) == everywhere(A, B)
