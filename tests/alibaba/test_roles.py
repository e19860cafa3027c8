"""The sharing role and the snapshots of encrypted images through the official SDKs: what is sent, and what is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from localcloud import LocalCloud
from orgshare.errors import Malformed, NoAnswer, Refused, TryAgain, VendorError
from orgshare.trust import SHARING_ROLE, read_trust, with_accounts
from tests.alibaba.reaching import SHARD, Canned, cloud, without
from tests.support.cloud import OWNER, REGION, SHOP, ecs_of, image, trusting

Begin = Callable[..., LocalCloud]
Answering = Callable[..., Canned]

ARN = f"acs:ram::{OWNER}:role/{SHARING_ROLE}"
DOCUMENT = json.dumps(trusting(ecs_of(SHOP)))
ROLE = {"Role": {"RoleName": SHARING_ROLE, "AssumeRolePolicyDocument": DOCUMENT}}
SNAPSHOT = {"SnapshotId": "s-1", "Encrypted": True}


def snapshots_of(*rows: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    return {"Snapshots": {"Snapshot": list(rows)}, "TotalCount": len(rows) if total is None else total}


# --- against the local cloud


def test_the_document_is_read_and_replaced_as_a_whole(begin: Begin) -> None:
    """What was written is what is read next; what was there is in it, because we put it in again."""
    begin(roles={ARN: {"trusts_services": ["ecs.aliyuncs.com"]}})
    role = cloud().role(OWNER)
    before = role.trust_policy()
    assert before is not None
    assert read_trust(before).accounts == set()
    role.replace_trust_policy(with_accounts(before, [SHOP]))
    after = role.trust_policy()
    assert after is not None
    assert read_trust(after).accounts == {SHOP}
    assert read_trust(after).document != read_trust(before).document
    assert json.loads(before)["Statement"][0] in json.loads(after)["Statement"]


def test_only_the_answer_that_there_is_no_role_means_none(begin: Begin) -> None:
    """Another refusal is one, and it names the code."""
    local = begin()
    assert cloud().role(OWNER).trust_policy() is None
    fault = {"operation": "ram:GetRole", "kind": "error", "code": "NoPermission", "status": 403, "every": 1}
    local.patch({"faults": [fault]})
    with pytest.raises(VendorError, match="NoPermission"):
        cloud().role(OWNER).trust_policy()


def test_a_role_that_is_not_there_cannot_be_written(begin: Begin) -> None:
    """We never make one."""
    begin()
    with pytest.raises(Refused, match=r"EntityNotExist\.Role"):
        cloud().role(OWNER).replace_trust_policy(DOCUMENT)


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_snapshots_tell_what_an_image_does_not(begin: Begin, shown: bool, listed: bool) -> None:
    """Whether or not a listing leaves encrypted ones out."""
    sealed = {"m-sealed": {**image("x"), "encryption": "cmk"}, "m-plain": image("plain"), "m-service": {
        **image("x"), "encryption": "service-key",
    }}  # fmt: skip
    begin(images=sealed, switches={"disk_encryption_shown": shown, "encrypted_snapshots_listed": listed})
    service = cloud().ecs_images(SHARD)
    images = {row.id: row for row in service.images(1).rows}
    says = {"m-sealed": True, "m-plain": False, "m-service": True}
    assert {name: row.encrypted for name, row in images.items()} == (says if shown else dict.fromkeys(says))
    for name, row in images.items():
        assert row.snapshots
        assert service.encrypted(row.snapshots) == dict.fromkeys(row.snapshots, says[name])
    assert service.encrypted(["s-nobody"]) == {}


# --- against answers that are written down


def test_what_is_sent(canned: Answering) -> None:
    """RAM has one place for all regions; the role's name and the document are all that it is told."""
    written = canned(ROLE)
    role = cloud().role(OWNER)
    assert role.trust_policy() == DOCUMENT
    role.replace_trust_policy("{}")
    assert written.requests == [
        ("GetRole", {"RoleName": SHARING_ROLE}),
        ("UpdateRole", {"RoleName": SHARING_ROLE, "NewAssumeRolePolicyDocument": "{}"}),
    ]
    assert set(written.hosts) == {"ram.aliyuncs.com"}


def test_snapshots_are_asked_for_once_more_with_the_filter_only_if_some_are_missing(canned: Answering) -> None:
    """Both listings are of the image's own region."""
    written = canned(snapshots_of({"SnapshotId": "s-2", "Encrypted": False}), snapshots_of(SNAPSHOT))
    assert cloud().ecs_images(SHARD).encrypted(["s-1", "s-2"]) == {"s-1": True, "s-2": False}
    (first, asked), (_, again) = written.requests
    assert (first, asked["RegionId"], asked["SnapshotIds"]) == ("DescribeSnapshots", REGION, '["s-1", "s-2"]')
    assert "Encrypted" not in asked
    assert (again["SnapshotIds"], again["Encrypted"]) == ('["s-1"]', "True")
    whole = canned(snapshots_of(SNAPSHOT))
    assert cloud().ecs_images(SHARD).encrypted(["s-1"]) == {"s-1": True}
    assert len(whole.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {},
        without(snapshots_of(SNAPSHOT), "TotalCount"),
        without(snapshots_of(SNAPSHOT), "Snapshots"),
        snapshots_of(SNAPSHOT, total=2),
        snapshots_of(without(SNAPSHOT, "Encrypted")),
        snapshots_of(without(SNAPSHOT, "SnapshotId")),
    ],
)
def test_snapshots_that_do_not_say_all_are_no_answer(canned: Answering, answer: dict[str, Any]) -> None:
    """Nothing is concluded from a part of them."""
    canned(answer)
    with pytest.raises(Malformed):
        cloud().ecs_images(SHARD).encrypted(["s-1"])


@pytest.mark.parametrize("answer", [{}, {"Role": {}}, {"Role": without(ROLE["Role"], "AssumeRolePolicyDocument")}])
def test_a_role_without_its_document_is_no_answer(canned: Answering, answer: dict[str, Any]) -> None:
    """It is not taken for a role that trusts nobody."""
    canned(answer)
    with pytest.raises(Malformed):
        cloud().role(OWNER).trust_policy()


def test_what_is_throttled_is_tried_again(canned: Answering) -> None:
    """A reading call and a writing one, as everywhere."""
    refused = (429, "Throttling.User")
    written = canned(refused, ROLE, refused, ROLE)
    assert cloud().role(OWNER).trust_policy() == DOCUMENT
    cloud().role(OWNER).replace_trust_policy("{}")
    assert [name for name, _ in written.requests] == ["GetRole", "GetRole", "UpdateRole", "UpdateRole"]


def test_a_write_without_an_answer_is_not_repeated(canned: Answering) -> None:
    """Whether it was carried out is not known, and somebody else may have written since."""
    written = canned((500, "InternalError"))
    with pytest.raises((NoAnswer, TryAgain)):
        cloud().role(OWNER).replace_trust_policy("{}")
    assert len(written.requests) == 1
