"""Images of Elastic Desktop Service at the command line: told, explained, paused and ended like all others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException

from tests.cli.conftest import Shell
from tests.support.cloud import Clients
from tests.support.desktops import DESKS, FAR, NEAR, desk, desk_policy, desk_rule, desks, everywhere, have
from tests.support.trial import MANAGEMENT, OTHER_REGION, OWNER, REGION, A, B, C, policy, rule

Make = Callable[..., Shell]
SHARD = f"eds/{OWNER}/all"
READER = {"account": MANAGEMENT, "role": f"acs:ram::{MANAGEMENT}:role/reader"}


@pytest.fixture
def run(shell: Make) -> Shell:
    """Three images in two regions that eight accounts could have, of which five shares fit."""
    return shell(world=desks(quotas={"eds_shares": 5}), policy=desk_policy(quotas={"eds_shares": 5}))


def test_a_plan_names_each_image_where_it_is_and_who_is_left_out(run: Shell) -> None:
    """In words and as JSON, before anything is done and after it, with the region of the image."""
    told = run("plan").out
    assert f"{FAR} desk-far, eds {OTHER_REGION}, owner {OWNER} images" in told
    assert "over-quota: Elastic Desktop Service shares all images of the owner in all regions 5 times together" in told
    document = run("plan", "--json").json
    where = {change["images"][0]: (change["service"], change["region"]) for change in document["changes"]}
    assert where == {
        "m-gold": ("ecs", REGION), NEAR: ("eds", REGION), "m-desk-2": ("eds", REGION), FAR: ("eds", OTHER_REGION),
    }  # fmt: skip
    assert [(row["image"], row["reason"], row["accounts"]) for row in document["refused"]] == [(FAR, "over-quota", [B])]
    applied = run("apply", "--yes", "--json")
    assert (applied.status, applied.json["done"]) == (0, document["changes"])
    assert have(run.trial) == {**everywhere(A, B), FAR: {A}}
    assert (run("plan").status, run("apply", "--yes", "--strict").status) == (0, 1)


def test_who_explain_and_status_answer_for_them(run: Shell) -> None:
    """By image and by account."""
    run("apply", "--yes")
    assert run("who", NEAR).lines[0] == f"{NEAR} desk-1, eds {REGION}, owner {OWNER} images"
    rows = run("who", "--account", A, "--json").json["access"]
    assert {(row["image"], *row["channels"]) for row in rows} == {(i, "direct") for i in (*DESKS, "m-gold")}
    answers = {account: run("explain", FAR, account).lines[0] for account in (A, B, C)}
    assert answers == {A: "YES", B: "NO", C: "NO"}
    assert "over-quota" in run("explain", FAR, B).out
    status = run("status", "--json").json
    places = {row["image"]: (row["service"], row["region"], row["in_step"]) for row in status["images"]}
    assert (places[NEAR], places[FAR]) == (("eds", REGION, True), ("eds", OTHER_REGION, False))
    assert SHARD in {row["shard"] for row in status["shards"]}


def test_a_pause_of_their_shard_stops_nothing_else(run: Shell) -> None:
    """By its name, which says that it has all regions."""
    assert run("pause", "--shard", SHARD).status == 0
    assert run("pause", "--shard", f"eds/{OWNER}/{REGION}").status == 2
    run("apply", "--yes")
    assert have(run.trial) == everywhere()
    assert run.trial.access()["m-gold"] == {A, B}
    run("resume", "--shard", SHARD)
    run("apply", "--yes")
    assert have(run.trial) == {**everywhere(A, B), FAR: {A}}


def test_a_region_and_an_image_can_be_selected(run: Shell) -> None:
    """What is in other regions is left as it is."""
    run("apply", "--yes", "--region", OTHER_REGION)
    assert have(run.trial) == {**everywhere(), FAR: {A, B}}
    run("apply", "--yes", "--image", NEAR)
    assert have(run.trial) == {**everywhere(), FAR: {A, B}, NEAR: {A, B}}


def test_doctor_asks_each_region_that_has_the_service(shell: Make) -> None:
    """Received images do not keep it from finding one of the owner's own, and what writes is named."""
    more = {"m-a-desk-theirs": desk("desk-theirs", owner=C)}
    run = shell(world=desks(more_images=more, grants={"m-a-desk-theirs": [OWNER]}), policy=desk_policy())
    checks = {row["check"]: (row["ok"], row["why"]) for row in run("doctor", "--json").json["checks"]}
    name = f"owner {OWNER} in Elastic Desktop Service"
    assert checks[f"{name}: ecd:DescribeRegions"] == (True, f"{OTHER_REGION}, {REGION}")
    assert checks[f"{name}, {REGION}: ecd:DescribeImages"] == (True, "3 images on the first page")
    assert checks[f"{name}, {REGION}: ecd:DescribeImagePermission"] == (True, "works")
    assert checks[f"{name}, {OTHER_REGION}: ecd:DescribeImages"] == (True, "1 image on the first page")
    assert "ecd:ModifyImagePermission" in checks[f"owner {OWNER}: writing"][1]
    assert run.trial.cloud.calls["ecd:ModifyImagePermission"] == 0


def test_doctor_names_what_is_lacking(shell: Make) -> None:
    """Each action by itself, of the role that needs it; without a rule for these images none is asked for."""
    role = f"acs:ram::{OWNER}:role/orgshare"
    allowed = {"Version": "1", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
        "ecs:*", "resourcesharing:*", "ecd:DescribeRegions", "ecd:DescribeImages",
    ]}]}  # fmt: skip
    document = desks()
    document["roles"][role] = {"trusts": [MANAGEMENT], "policies": [allowed]}
    owners = [{"account": OWNER, "regions": [REGION], "role": role}]
    of = policy(owners=owners, directory={"account": MANAGEMENT}, rules=[desk_rule(), rule()])
    run = shell(world=document, policy=of)
    run.environment["ALIBABA_CLOUD_ACCESS_KEY_ID"] = "LOCALMANAGEMENT"
    failed = [row for row in run("doctor", "--json").json["checks"] if not row["ok"]]
    (row,) = failed
    assert row["check"] == f"owner {OWNER} in Elastic Desktop Service, {REGION}: ecd:DescribeImagePermission"
    assert "ecd:DescribeImagePermission" in row["remedy"]
    run.trial.write_policy({**of, "rules": [rule()]})
    checks = [row["check"] for row in run("doctor", "--json").json["checks"]]
    assert not [check for check in checks if "Elastic Desktop" in check]


def test_sharing_in_the_organization_need_not_be_enabled_for_them(shell: Make) -> None:
    """No rule needs a resource share where all speak of these images, whatever their channel."""
    document = desks()
    document["directory"]["sharing_enabled"] = False
    run = shell(world=document, policy=desk_policy(desk_rule(channel="auto")))
    assert run("doctor").status == 0
    assert run("apply", "--yes").status == 0
    assert have(run.trial) == everywhere(A, B)
    assert run.trial.cloud.calls["resourcemanager:ListFoldersForParent"] == 1, "doctor's own"


def test_doctor_says_where_no_region_has_the_service(shell: Make) -> None:
    """A rule that speaks of such images there could not be served."""
    owners = [{"account": OWNER, "regions": ["us-east-1"]}]
    run = shell(world=desks(), policy=policy(owners=owners, rules=[desk_rule()]))
    failed = [row for row in run("doctor", "--json").json["checks"] if not row["ok"]]
    assert [row["check"] for row in failed] == [f"owner {OWNER} in Elastic Desktop Service: regions"]


def test_a_shard_of_an_owner_that_is_named_no_more_is_ended_by_retire(run: Shell) -> None:
    """All its regions, and nothing of the owner's images of ECS, which are another shard."""
    run("apply", "--yes")
    assert run("retire", "--shard", SHARD, "--yes").status == 2
    run.trial.write_policy(policy(owners=[], rules=[]) | {"owners": [{"account": C, "regions": [REGION]}]})
    run.environment["ALIBABA_CLOUD_ACCESS_KEY_ID"] = "KEYC"
    run.trial.patch(access_keys={"KEYC": {"secret": "local", "account": C}}, roles={READER["role"]: {"trusts": [C]}})
    role = f"acs:ram::{OWNER}:role/old"
    run.trial.patch(roles={role: {"trusts": [C]}})
    ended = run("retire", "--shard", SHARD, "--role", role, "--yes")
    assert ended.status == 3, ended.out + ended.err
    assert have(run.trial) == {**everywhere(A, B), FAR: {A}}
    run.trial.approve_all()
    ended = run("retire", "--shard", SHARD, "--role", role, "--yes")
    assert ended.status == 0, ended.out + ended.err
    assert have(run.trial) == everywhere()
    assert run.trial.access()["m-gold"] == {A, B}


def test_retiring_a_shard_of_ecs_leaves_them_alone(run: Shell) -> None:
    """The other way round."""
    run("apply", "--yes")
    owner = {"account": OWNER, "regions": [OTHER_REGION]}
    run.trial.write_policy(policy(owners=[owner], rules=[desk_rule()]))
    shard = f"ecs/{OWNER}/{REGION}"
    for _ in range(2):
        run("retire", "--shard", shard, "--yes")
        run.trial.approve_all()
    assert run.trial.access()["m-gold"] == set()
    assert have(run.trial) == {**everywhere(A, B), FAR: {A}}


def test_a_retired_image_is_taken_from_everybody_and_can_be_deleted_where_it_is(shell: Make) -> None:
    """Guarded like any other; the service deletes it then, and what is left of the owner's shares is as it was."""
    run = shell(world=desks(), policy=desk_policy())
    run("apply", "--yes")
    owner = Clients(OWNER, key="LOCALIMAGES", region=OTHER_REGION, http_proxy="http://127.0.0.1:9")
    with pytest.raises(AlibabaCloudException):
        owner.delete_desks(FAR)
    assert run("retire", FAR, "--yes").status == 3
    run.trial.approve_all()
    ran = run("retire", FAR, "--yes")
    assert ran.status == 0, ran.err
    command = f"aliyun ecd DeleteImages --RegionId {OTHER_REGION} --ImageId.1 {FAR}"
    assert ran.lines[-1].endswith(f"so it can be deleted, as owner {OWNER}: {command}")
    assert have(run.trial) == {**everywhere(A, B), FAR: set()}
    assert run("apply", "--yes").status == 0
    owner.delete_desks(FAR)
    assert FAR not in run.trial.cloud.world().images
