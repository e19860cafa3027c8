"""``retire IMAGE``: one image is taken out of every channel, stays so, and can then be deleted."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud import LocalCloud
from tests.cli.conftest import Shell
from tests.support.channels import LATER, by_shares, directly
from tests.support.cloud import Clients
from tests.support.trial import OTHER_REGION, OWNER, REGION, STRANGER, A, B, C, D, E, policy, rule, world

Make = Callable[..., Shell]
IMAGES = ("m-bronze", "m-gold", "m-silver")
AUTO = policy(rules=[rule(channel="auto")])
BY_TAG = {"retire": {"tags": {"lifecycle": "retired"}}}
FROZEN: dict[str, Any] = {"folders": ["fd-prod"], "except": {"folders": ["fd-gone"]}}
SINCE = "2026-11-21 12:00 UTC"


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in IMAGES}


def but_gold(*accounts: str, gold: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """These accounts have the two images that nobody retired."""
    return {**everywhere(*accounts), "m-gold": set(gold)}


@pytest.fixture
def run(shell: Make) -> Shell:
    """Three images, each granted directly to two accounts."""
    made = shell()
    made.environment["LOGNAME"] = "ann"
    assert made("apply", "--yes").status == 0
    return made


@pytest.fixture
def auto(shell: Make) -> Shell:
    """Three images in a resource share."""
    made = shell(policy=AUTO)
    made.environment["LOGNAME"] = "ann"
    settled(made)
    return made


def settled(run: Shell) -> None:
    """Applied until nothing is left to do."""
    for _ in range(8):
        if run("apply", "--yes").status == 0 and run("plan").status == 0:
            return
        run.trial.cloud.advance(LATER)
    raise AssertionError(run("plan").out)


def approve_all(run: Shell) -> None:
    for hold in run("holds", "--json").json["held"]:
        assert run("approve", hold["id"]).status == 0


def retired(run: Shell, image: str = "m-gold") -> None:
    """Retired, approved, and gone from every channel."""
    for _ in range(6):
        if run("retire", image, "--yes").status == 0:
            return
        approve_all(run)
        run.trial.cloud.advance(LATER)
    raise AssertionError(run("retire", image, "--yes").out)


def deleted(image: str) -> str:
    """Delete an image as its owner; the code of the refusal, if there is one."""
    request = ecs_models.DeleteImageRequest(region_id=REGION, image_id=image)
    try:
        Clients(OWNER, key="LOCALIMAGES", http_proxy="http://127.0.0.1:9").ecs.delete_image(request)
    except AlibabaCloudException as error:
        return str(error.code)
    return ""


def test_an_image_is_taken_out_of_direct_grants_after_an_approval_and_can_be_deleted(run: Shell) -> None:
    """Its whole audience is held; approved, the same command ends it, and only it; then the service deletes it."""
    ran = run("retire", "m-gold", "--yes", "--json")
    (hold,) = ran.json["held"]
    assert (ran.status, ran.json["done"], hold["lost_pairs"]) == (3, [], 2)
    held = f"held as {hold['id']}: «orgshare approve {hold['id']}» lets the next run take it away"
    assert ran.json["retired"] == {
        "image": "m-gold", "service": "ecs", "owner": OWNER, "region": REGION,
        "why": f"retired by ann since {SINCE}", "deletable": False,
        "blocked_by": [{"account": a, "share": "", "ours": True, "why": held} for a in (A, B)],
    }  # fmt: skip
    assert run.trial.access() == everywhere(A, B)
    assert deleted("m-gold") == "ImageUseShared"
    assert run("approve", hold["id"]).status == 0
    ran = run("retire", "m-gold", "--yes")
    assert (ran.status, ran.err) == (0, "")
    assert ran.lines[-2:] == [
        "m-gold: nobody has it by any channel, so it can be deleted, as owner 1000000000000002: "
        "aliyun ecs DeleteImage --RegionId cn-hangzhou --ImageId m-gold",
        "  (add --Force true if instances of the owner itself still use it)",
    ]
    assert run.trial.access() == but_gold(A, B)
    assert deleted("m-gold") == ""
    assert "m-gold" not in run.trial.cloud.world().images


def test_an_image_is_taken_out_of_resource_shares(auto: Shell) -> None:
    """It leaves the share in which the others stay, and nobody gets a direct grant instead."""
    retired(auto)
    assert (by_shares(auto.trial), directly(auto.trial)) == (but_gold(A, B), everywhere())
    assert deleted("m-gold") == ""


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("shown", [True, False])
def test_whatever_the_service_makes_of_covered_accounts_it_is_deleted_once_retired(
    shell: Make, blocks: bool, listed: bool, shown: bool
) -> None:
    """Whether a share blocks the deletion, or is seen in permission lists and flags, nobody has written down."""
    switches = {"covered_block_delete": blocks, "covered_in_permission_list": listed, "covered_self_shared": shown}
    run = shell(world=world(switches=switches), policy=AUTO)
    settled(run)
    assert run("retire", "m-gold", "--yes", "--json").json["retired"]["deletable"] is False
    assert not blocks or deleted("m-gold") == "ImageUseShared"
    retired(run)
    assert run("retire", "m-gold", "--yes", "--json").json["retired"]["deletable"]
    assert by_shares(run.trial) == but_gold(A, B)
    assert deleted("m-gold") == ""


@pytest.mark.parametrize("channel", ["direct", "directory", "auto"])
def test_no_later_sweep_shares_it_again(shell: Make, channel: str) -> None:
    """The mark outlives the run, whoever joins and whatever else changes; only --undo ends it."""
    run = shell(policy=policy(rules=[rule(channel=channel)]))
    settled(run)
    retired(run)
    run.trial.move(C, "fd-prod")
    for _ in range(4):
        run("apply", "--yes")
        run.trial.cloud.advance(LATER)
    assert run.trial.access() == but_gold(A, B, C)
    assert run("plan").status == 0
    assert run("retire", "m-gold", "--undo", "--yes").status == 0
    settled(run)
    assert run.trial.access() == everywhere(A, B, C)


def test_an_approval_is_enough_for_the_next_sweep_to_take_it_away(run: Shell) -> None:
    """Whoever retired it need not come back: the sweep knows that it is retired."""
    assert run("retire", "m-gold", "--yes").status == 3
    approve_all(run)
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == but_gold(A, B)


def test_an_image_of_one_account_is_retired_at_once(shell: Make) -> None:
    """A loss that passes no limit waits for nobody."""
    run = shell(policy=policy(rules=[rule(accounts=[A])]))
    run("apply", "--yes")
    ran = run("retire", "m-gold", "--yes", "--json")
    assert (ran.status, ran.json["held"], ran.json["retired"]["deletable"]) == (0, [], True)
    assert [change["why"] for change in ran.json["done"]] == ["1 the image is retired"]
    assert run.trial.access() == but_gold(A)


def test_a_tag_of_the_policy_retires_an_image_on_its_own(auto: Shell) -> None:
    """Held first, gone when approved, not shared again, and shared again when the tag is taken away."""
    auto.trial.write_policy({**AUTO, **BY_TAG})
    auto.trial.patch(images={"m-gold": {"tags": {"lifecycle": "retired"}}})
    assert auto("apply", "--yes").status == 3
    assert by_shares(auto.trial) == everywhere(A, B)
    approve_all(auto)
    settled(auto)
    assert auto.trial.access() == but_gold(A, B)
    assert auto("retire", "m-gold", "--yes", "--json").json["retired"]["deletable"]
    assert auto("retire", "m-gold", "--undo", "--yes").status == 0
    settled(auto)
    assert auto.trial.access() == but_gold(A, B)
    auto.trial.patch(images={"m-gold": {"tags": {"lifecycle": None}}})
    settled(auto)
    assert auto.trial.access() == everywhere(A, B)


def test_every_tag_of_the_policy_has_to_be_there(run: Shell) -> None:
    """Of several keys all must match, of several values any."""
    tags = {"lifecycle": ["retired", "old"], "approved": "yes"}
    run.trial.write_policy(policy(retire={"tags": tags}))
    run.trial.patch(images={"m-gold": {"tags": {"lifecycle": "old"}},
                            "m-silver": {"tags": {"lifecycle": "old", "approved": "yes"}}})  # fmt: skip
    found = [(f["image"], f["why"]) for f in run("plan", "--json").json["findings"] if f["kind"] == "retired"]
    assert found == [
        ("m-silver", f"retired by its tags approved: yes, lifecycle: old; 2 accounts ({A}, {B}) would lose it")
    ]


def test_a_tag_that_only_one_listing_shows_takes_nothing_away(shell: Make) -> None:
    """What rests on a tag is read a second time: when that fails, everybody keeps the image, and the run says so."""
    run = shell(policy=policy(rules=[rule(accounts=[A])], **BY_TAG))
    run("apply", "--yes")
    run.trial.patch(images={"m-gold": {"tags": {"lifecycle": "retired"}}})
    listed = 0

    def fail_then(_: object) -> None:
        nonlocal listed
        if run.trial.cloud.calls["ecs:DescribeImages"] > before and not listed:
            listed = 1
            run.trial.patch(images={"m-gold": {"tags": {"lifecycle": None}}})

    before = run.trial.cloud.calls["ecs:DescribeImages"]
    run.trial.cloud.on_request(fail_then)
    ran = run("apply", "--yes")
    assert (ran.status, run.trial.access()) == (1, everywhere(A))
    assert "m-gold: could not be confirmed, so nothing is revoked" in ran.out


def test_status_shows_who_would_lose_it(run: Shell) -> None:
    """A person sees the accounts before anything is approved, and a program the mark of the image."""
    run("retire", "m-gold", "--reason", "replaced by m-silver", "--yes")
    why = f"retired by ann since {SINCE} (replaced by m-silver)"
    status = run("status")
    assert f"  retired  m-gold  {why}; 2 accounts ({A}, {B}) would lose it" in status.lines
    rows = {row["image"]: row["retired"] for row in run("status", "--json").json["images"]}
    assert rows == {"m-bronze": "", "m-gold": why, "m-silver": ""}


def test_explain_says_who_retired_it_and_how_to_undo_that(run: Shell) -> None:
    """Before and after it is gone."""
    run("retire", "m-gold", "--yes")
    said = f"rule      the image is retired by ann since {SINCE}, so no rule counts"
    ran = run("explain", "m-gold", A)
    assert (ran.lines[0], said in ran.lines) == ("YES, FOR NOW", True)
    retired(run)
    ran = run("explain", "m-gold", A)
    assert ran.lines[0] == "NO"
    assert ran.lines[-1] == "change   to share it, «orgshare retire m-gold --undo»"


def test_what_others_gave_is_named_as_what_blocks_the_deletion(shell: Make) -> None:
    """Grants and shares by hand are not ours to end: they stay, and the command ends well and says what to do."""
    by_hand = {"owner": OWNER, "region": REGION, "name": "by-hand", "images": ["m-gold", "m-silver", "m-bronze"],
               "targets": [E]}  # fmt: skip
    run = shell()
    run("apply", "--yes")
    run.trial.grant_by_hand("m-gold", STRANGER)
    run.trial.patch(resource_shares={"rs-hand": by_hand})
    before = directly(run.trial)
    retired(run)
    ran = run("retire", "m-gold", "--yes", "--json")
    assert (ran.status, ran.json["retired"]["deletable"]) == (0, False)
    assert ran.json["retired"]["blocked_by"] == [
        {"account": STRANGER, "share": "", "ours": False,
         "why": "granted by somebody else: whoever granted it can unshare it"},
        {"account": "", "share": "rs-hand", "ours": False,
         "why": "put there by somebody else (by-hand): whoever did can take it out"},
    ]  # fmt: skip
    assert run("retire", "m-gold", "--yes").lines[-3:] == [
        "m-gold: cannot be deleted yet, 2 things in the way:",
        f"  account {STRANGER}: granted by somebody else: whoever granted it can unshare it",
        "  resource share rs-hand: put there by somebody else (by-hand): whoever did can take it out",
    ]
    assert directly(run.trial) == {**before, "m-gold": {STRANGER}}
    assert by_shares(run.trial) == everywhere(E)
    assert deleted("m-gold") == "ImageUseShared"
    found = [f["why"] for f in run("apply", "--yes", "--json").json["findings"] if f["kind"] == "retired"]
    assert found == [f"{run('retire', 'm-gold', '--yes', '--json').json['retired']['why']}; "
                     f"2 accounts ({E}, {STRANGER}) have it by somebody else"]  # fmt: skip


def test_grants_by_hand_go_where_the_policy_revokes_them(shell: Make) -> None:
    """With unmanaged: revoke they go when two sweeps saw them, within the guard, although no rule selects the image."""
    run = shell(policy=policy(safety={**policy()["safety"], "unmanaged": "revoke"}))
    run("apply", "--yes")
    run.trial.grant_by_hand("m-gold", STRANGER)
    retired(run)
    for _ in range(3):
        run("apply", "--yes")
        approve_all(run)
    assert run.trial.access() == but_gold(A, B)


def test_a_community_image_is_named_as_such(run: Shell) -> None:
    """A public image is everybody's, which the service does not delete."""
    retired(run)
    run.trial.patch(images={"m-gold": {"public": True}})
    ran = run("retire", "m-gold", "--yes")
    assert ran.lines[-2:] == [
        "m-gold: cannot be deleted yet, 1 thing in the way:",
        "  everybody: it is a community image: make it private first",
    ]


def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sits there and can be asked."""
    fake = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("orgshare.cli.owning.sys", fake)


def test_a_person_is_asked_and_a_no_is_remembered_as_nothing(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question names the image; no leaves cloud and state as they were, also where all of it would be held."""
    terminal(monkeypatch)
    before = run.state()
    ran = run("retire", "m-gold", input="n\n")
    assert (ran.status, ran.lines[-1]) == (3, "nothing was done")
    assert "retire m-gold, so that no run shares it any more; carry out 0 changes" in ran.err
    assert (run.state(), run.trial.access()) == (before, everywhere(A, B))
    ran = run("retire", "m-gold", input="y\n")
    assert set(run.trial.state().retired()) == {"m-gold"}
    ran = run("retire", "m-gold", "--undo", input="n\n")
    assert (ran.status, set(run.trial.state().retired())) == (3, {"m-gold"})
    assert run("retire", "m-gold", "--undo", input="y\n").status == 0
    assert run.trial.state().retired() == {}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Give an IMAGE or --shard SHARD, one of the two."),
        (["m-gold", "--shard", f"ecs/{OWNER}/{REGION}"], "Give an IMAGE or --shard SHARD, one of the two."),
        (["m-gold"], "retire asks before it changes anything: here it needs --yes."),
        (["m-gold", "--json"], "retire asks before it changes anything: here it needs --yes."),
        (["m-gold", "--role", "acs:ram::1:role/x", "--yes"], "--role is for a --shard"),
        (["--shard", f"ecs/{OWNER}/{REGION}", "--undo", "--yes"], "--undo, --copies and --reason are for an IMAGE."),
        (["--shard", f"ecs/{OWNER}/{REGION}", "--reason", "x", "--yes"], "and --reason are for an IMAGE."),
        (["m gold", "--yes"], "'m gold' is not the id of an image"),
        (["m-nobodys", "--yes", "--json"], "image m-nobodys: no owner and region of the policy has it"),
        (["m-gold", "--undo", "--yes"], "image m-gold: nobody retired it with this command"),
    ],
)
def test_what_names_nothing_is_refused_before_anything_is_done(run: Shell, arguments: list[str], why: str) -> None:
    """Usage errors and unknown images end with 2; nothing is printed, remembered or changed."""
    before = run.state()
    ran = run("retire", *arguments)
    assert (ran.status, ran.out, why in " ".join(ran.err.split())) == (2, "", True)
    assert (run.state(), run.trial.access()) == (before, everywhere(A, B))


def test_an_undo_is_one_object(run: Shell) -> None:
    """It says what was undone; the next plan shows that the image is shared again."""
    retired(run)
    ran = run("retire", "m-gold", "--undo", "--yes", "--json")
    why = f"retired by ann since {SINCE}"
    assert ran.json == {"retired": {"image": "m-gold", "undone": True, "why": why, "copied_again": []}}
    assert run("plan", "--json").json["summary"]["gained"] == 2


def test_the_first_mark_stays_when_it_is_retired_again(run: Shell) -> None:
    """Who retired it first, and when, is what everybody is told."""
    run("retire", "m-gold", "--yes", "--reason", "old")
    mark = run.trial.state().retired()
    run.trial.cloud.advance(LATER)
    run("retire", "m-gold", "--yes", "--reason", "new")
    assert run.trial.state().retired() == mark


def test_in_mode_observe_nothing_is_remembered(run: Shell) -> None:
    """The plan shows what would go, and neither cloud nor state is written to."""
    run.trial.write_policy(policy(mode="observe"))
    before = run.state()
    ran = run("retire", "m-gold", "--yes")
    assert ran.status == 3
    assert ran.lines[-1].startswith("m-gold is not retired: mode observe writes nothing")
    assert (run.state(), run.trial.access()) == (before, everywhere(A, B))


def test_in_mode_add_nobody_loses_it_and_nobody_new_gets_it(run: Shell) -> None:
    """The mode keeps what is there, and the command says that it does."""
    run.trial.write_policy(policy(mode="add"))
    ran = run("retire", "m-gold", "--yes", "--json")
    assert ran.status == 0
    assert {row["why"] for row in ran.json["retired"]["blocked_by"]} == {
        "the mode keeps what it has: in mode enforce it goes"
    }
    run.trial.move(C, "fd-prod")
    run("apply", "--yes")
    assert run.trial.access() == but_gold(A, B, C, gold=(A, B))


def test_a_rule_that_is_frozen_does_not_keep_a_retired_image(shell: Make) -> None:
    """Whom the rule would want is not known, but of a retired image it wants nobody."""
    run = shell()
    run("apply", "--yes")
    run.trial.write_policy(policy(rules=[rule(**FROZEN)]))
    assert run("apply", "--yes").status == 1
    run("retire", "m-gold", "--yes")
    approve_all(run)
    run("retire", "m-gold", "--yes")
    assert run.trial.access() == but_gold(A, B)


def test_grace_holds_for_a_retired_image_too(shell: Make) -> None:
    """Direct grants stay as long as the policy promises, and the command says until when."""
    run = shell(policy=policy(safety={**policy()["safety"], "grace": "2h"}))
    run("apply", "--yes")
    ran = run("retire", "m-gold", "--yes", "--json")
    assert {row["why"] for row in ran.json["retired"]["blocked_by"]} == {
        "its direct grant is kept until 2026-11-21T14:00:00Z (safety.grace)"
    }
    run.trial.cloud.advance(2 * 3600)
    retired(run)
    assert run.trial.access() == but_gold(A, B)


def test_accounts_that_left_do_not_keep_a_retired_image(shell: Make) -> None:
    """on_leave: keep is about leaving; an image that is retired goes from those who left as well."""
    run = shell(policy=policy(safety={**policy()["safety"], "on_leave": "keep"}))
    run("apply", "--yes")
    run.trial.leave(A)
    run("apply", "--yes")
    assert run.trial.access() == everywhere(A, B)
    retired(run)
    assert run.trial.access() == but_gold(A, B)


def test_while_another_run_is_at_work_the_mark_is_written_and_the_rest_waits(shell: Make) -> None:
    """The command says that it is busy; the next sweep does what is left."""
    run = shell(policy=policy(rules=[rule(accounts=[A])]))
    run("apply", "--yes")
    state = run.trial.state()
    (shard,) = state.shards()
    before = state.read(shard)
    lease = state.take(shard, before, before.ledger, run="o", seconds=300, clocks=run.trial.runtime().clocks())
    ran = run("retire", "m-gold", "--yes", "--json")
    assert (ran.status, [f["kind"] for f in ran.json["findings"]]) == (3, ["busy", "retired"])
    assert [row["why"] for row in ran.json["retired"]["blocked_by"]] == ["the next run takes it away"]
    lease.release(before.ledger)
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == but_gold(A)


def test_a_rejected_retirement_stays_and_says_so(run: Shell) -> None:
    """Whoever rejects the hold keeps the image shared with those who have it, and nobody new gets it."""
    run("retire", "m-gold", "--yes")
    (hold,) = run("holds", "--json").json["held"]
    assert run("reject", hold["id"]).status == 0
    ran = run("retire", "m-gold", "--yes", "--json")
    assert all(row["why"].startswith("a person rejected taking it away") for row in ran.json["retired"]["blocked_by"])
    run.trial.move(C, "fd-prod")
    run("apply", "--yes")
    assert run.trial.access() == but_gold(A, B, C, gold=(A, B))


def test_what_cannot_be_read_afterwards_is_not_called_deletable(shell: Make) -> None:
    """Only a reading that shows that nobody has it says so."""
    run = shell(policy=policy(rules=[rule(accounts=[A])]))
    run("apply", "--yes")

    def forbid(cloud: LocalCloud) -> None:
        fault = {"operation": "ecs:DescribeImages", "kind": "error", "every": 1}
        if not cloud.world().faults:
            cloud.patch({"faults": [fault]})

    run.trial.cloud.on_write(forbid)
    ran = run("retire", "m-gold", "--yes", "--json")
    assert (ran.json["retired"]["deletable"], ran.json["retired"]["blocked_by"]) == (False, [])
    assert ran.json["retired"]["why"].startswith("what still shares it cannot be read: ")


def test_an_image_that_no_rule_selects_can_be_retired_too(run: Shell) -> None:
    """It is remembered for the day on which a rule selects it, and told what still shares it."""
    run.trial.patch(images={"m-iron": {"owner": OWNER, "region": REGION, "name": "iron"}})
    run.trial.patch(grants={"m-iron": [STRANGER]})
    ran = run("retire", "m-iron", "--yes", "--json")
    assert [row["account"] for row in ran.json["retired"]["blocked_by"]] == [STRANGER]
    run.trial.patch(images={"m-iron": {"tags": {"share": "org"}}})
    run("apply", "--yes")
    assert run.trial.access() == {**everywhere(A, B), "m-iron": {STRANGER}}


def test_what_is_foreseen_elsewhere_counts_a_retired_image(shell: Make) -> None:
    """A run in one region counts what a retirement takes away in another: the limit of all holds in both."""
    document = world()
    document["images"]["m-far"] = {"owner": OWNER, "region": OTHER_REGION, "name": "far", "tags": {"share": "org"}}
    wide = policy()["safety"]["hold_when"]
    limits: dict[str, Any] = {"hold_when": {**wide, "lost_pairs": 1}}
    both = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    run = shell(world=document, policy=policy(owners=both, rules=[rule(accounts=[A, B])], safety=limits))
    run("apply", "--yes")
    run("retire", "m-far", "--yes")
    run.trial.patch(images={"m-gold": {"tags": {"share": "no"}}})
    run.trial.write_policy(
        policy(owners=both, rules=[rule(accounts=[A, B]), rule("b", {"ids": ["m-gold"]}, accounts=[B])], safety=limits)
    )
    ran = run("apply", "--region", REGION, "--yes", "--json")
    assert (ran.json["done"], sum(hold["lost_pairs"] for hold in ran.json["held"])) == ([], 1)


MOVES = st.sampled_from([(a, f) for a in (A, B, C, D) for f in ("fd-prod", "fd-eu", "fd-test")])


@given(
    steps=st.lists(st.one_of(st.sampled_from(IMAGES), MOVES, st.just("undo")), min_size=1, max_size=7),
    channel=st.sampled_from(["direct", "auto"]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_retired_image_is_never_given_to_anybody(shell: Make, steps: list[Any], channel: str) -> None:
    """Whatever is retired, undone and moved in whatever order: who is without a retired image stays without it."""
    run = shell(policy=policy(rules=[rule(channel=channel)]))
    settled(run)
    marked: set[str] = set()
    had = run.trial.access()
    gave: list[str] = []

    def look(_: LocalCloud) -> None:
        nonlocal had
        now = run.trial.access()
        if not moving:  # who joins a folder gets what is still shared with it, which no run did
            gave.extend(image for image in marked if now[image] - had[image])
        had = now

    moving = False
    run.trial.cloud.on_write(look)
    for step in steps:
        if step == "undo" and marked:
            image = min(marked)
            marked.remove(image)
            run("retire", image, "--undo", "--yes")
        elif step in IMAGES:
            marked.add(step)
            run("retire", step, "--yes")
        elif step != "undo":
            moving = True
            run.trial.move(*step)
            moving = False
        run("apply", "--yes")
        approve_all(run)
        run.trial.cloud.advance(LATER)
    for _ in range(4):
        run("apply", "--yes")
        approve_all(run)
        run.trial.cloud.advance(LATER)
    directory = run.trial.cloud.world().directory
    members = directory.members if directory is not None else {}
    inside = {a for a in (A, B, C, D) if members[a].folder in ("fd-prod", "fd-eu")}
    assert gave == []
    assert run.trial.access() == {image: set() if image in marked else inside for image in IMAGES}
