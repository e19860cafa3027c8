"""Whom resource shares reach, and what that means: the oracle, a changing organization, and the calls of ECS."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_resourcemanager20200331 import models as rm

from localcloud import LocalCloud
from tests.support.cloud import (
    BANK,
    FAR,
    INSIDE,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    SHOP,
    THREE,
    TWO,
    Clients,
    all_three,
    by_hand,
    covered,
    image,
    many_members,
    organization,
    refused,
    start,
    world,
)

Begin = Callable[..., LocalCloud]
IMAGES = [ONE, TWO, THREE]


@pytest.fixture
def opened(begin: Begin) -> Begin:
    """Starts a cloud in which three images are shared with these targets."""

    def started(*targets: str, **parts: Any) -> LocalCloud:
        shares = {"rs-a": by_hand(images=IMAGES, targets=list(targets))}
        return begin(**{"directory": organization(), "resource_shares": shares, **parts})

    return started


# --- targets


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        (["rd-local1"], INSIDE),
        (["fd-prod"], {SHOP, BANK}),
        (["fd-eu"], {BANK}),
        (["fd-test", "fd-eu"], {LAB, BANK}),
        ([SHOP], {SHOP}),
        ([SHOP, "fd-prod", "rd-local1"], INSIDE),
        ([], set()),
    ],
)
def test_a_target_reaches_its_accounts(opened: Begin, targets: list[str], reached: set[str]) -> None:
    """The organization is every member, a folder those in it, an account itself; never the owner, who is a member."""
    cloud = opened(*targets)
    assert covered(cloud) == (all_three(reached) if reached else {})


def test_a_folder_reaches_its_subfolders_if_the_switch_says_so(opened: Begin) -> None:
    """Without it only the members directly in the folder are reached, however deep the others are."""
    cloud = opened("fd-prod", switches={"nested_folder_targets": False})
    assert covered(cloud) == all_three({SHOP})
    cloud.patch({"switches": {"nested_folder_targets": True}})
    assert covered(cloud) == all_three({SHOP, BANK})


@pytest.mark.parametrize("switch", ["refused", "accepted"])
def test_the_root_folder_as_a_target(opened: Begin, switch: str) -> None:
    """Depending on the switch its id is no target, or reaches what the organization reaches."""
    cloud = opened(switches={"root_folder_target": switch})
    if switch == "refused":
        with refused("InvalidTarget", 400):
            Clients().associate("rs-a", targets=["r-local1"])
        assert covered(cloud) == {}
    else:
        Clients().associate("rs-a", targets=["r-local1"])
        assert covered(cloud) == all_three(INSIDE)


@pytest.mark.parametrize("switch", [False, True])
def test_the_management_account(opened: Begin, *, switch: bool) -> None:
    """Depending on the switch the organization as a target reaches it, too; a folder never does."""
    cloud = opened("rd-local1", switches={"management_covered": switch})
    assert covered(cloud) == all_three(INSIDE | ({MANAGEMENT} if switch else set()))
    cloud.patch({"resource_shares": {"rs-a": {"targets": ["fd-prod", "fd-test"]}}})
    assert covered(cloud) == all_three(INSIDE)


def test_the_management_account_as_owner_reaches_all_members(begin: Begin) -> None:
    """It may share with the organization, and is not reached itself."""
    cloud = begin(
        directory=organization(),
        images={name: image(name, owner=MANAGEMENT) for name in IMAGES},
        switches={"management_covered": True},
    )
    Clients(MANAGEMENT).open_share(images=IMAGES, targets=["rd-local1"])
    assert covered(cloud) == all_three(INSIDE | {OWNER})


def test_two_shares_reach_what_either_reaches(opened: Begin) -> None:
    """An image in two shares is there for the accounts of both, as long as they have it from one."""
    cloud = opened(
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod"]),
            "rs-b": by_hand(images=[TWO, THREE], targets=["fd-eu", LAB]),
        }
    )
    assert covered(cloud) == {ONE: {SHOP, BANK}, TWO: INSIDE, THREE: {BANK, LAB}}
    Clients().disassociate("rs-a", images=[TWO])
    assert covered(cloud) == {ONE: {SHOP, BANK}, TWO: {BANK, LAB}, THREE: {BANK, LAB}}


# --- the organization changes


def move(account: str, folder: str) -> None:
    request = rm.MoveAccountRequest(account_id=account, destination_folder_id=folder)
    Clients(MANAGEMENT).directory.move_account(request)


def remove(account: str) -> None:
    Clients(MANAGEMENT).directory.remove_cloud_account(rm.RemoveCloudAccountRequest(account_id=account))


def test_shares_follow_the_organization(opened: Begin) -> None:
    """Who joins or moves in is reached, who moves out or leaves is not, without a call about the share."""
    cloud = opened("fd-prod")
    move(LAB, "fd-eu")
    assert covered(cloud) == all_three(INSIDE)
    move(SHOP, "fd-test")
    assert covered(cloud) == all_three({BANK, LAB})
    remove(BANK)
    assert covered(cloud) == all_three({LAB})
    request = rm.CreateResourceAccountRequest(display_name="new", parent_folder_id="fd-prod")
    made = Clients(MANAGEMENT).directory.create_resource_account(request).body.account.account_id
    assert covered(cloud) == all_three({LAB, made})


def test_shares_may_follow_later_than_lists(opened: Begin) -> None:
    """`coverage` delays what shares reach, both ways, and `membership` what lists show: each on its own."""
    cloud = opened("rd-local1", delays={"coverage": 60})
    manager = Clients(MANAGEMENT)
    remove(LAB)
    cloud.patch({"directory": {"members": {PARTNER: {"name": "partner"}}}})
    listed = {row["AccountId"] for row in manager.accounts()}
    assert listed == {OWNER, SHOP, BANK, PARTNER}
    cloud.advance(59)
    assert covered(cloud) == all_three(INSIDE)
    cloud.advance(1)
    assert covered(cloud) == all_three({SHOP, BANK, PARTNER})
    cloud.patch({"delays": {"coverage": 0, "membership": 60}})
    remove(BANK)
    assert {row["AccountId"] for row in manager.accounts()} == listed
    assert covered(cloud) == all_three({SHOP, PARTNER})


def test_a_member_that_leaves_keeps_its_row_and_loses_the_images(opened: Begin) -> None:
    """An account named as a target is reached while it is a member, and again when it comes back."""
    cloud = opened(SHOP, LAB)
    remove(LAB)
    assert Clients().states("Target") == [(SHOP, "Associated"), (LAB, "Associated")]
    assert covered(cloud) == all_three({SHOP})
    assert LocalCloud.from_world(cloud.world()).channels() == cloud.channels()
    cloud.patch({"directory": {"members": {LAB: {"name": "lab"}}}})
    assert covered(cloud) == all_three({SHOP, LAB})


def test_a_folder_that_is_deleted_reaches_nobody(opened: Begin) -> None:
    """Its row stays, also in the world that comes back."""
    cloud = opened("fd-test", "fd-eu")
    move(LAB, "fd-prod")
    Clients(MANAGEMENT).directory.delete_folder(rm.DeleteFolderRequest(folder_id="fd-test"))
    assert Clients().states("Target") == [("fd-test", "Associated"), ("fd-eu", "Associated")]
    assert covered(cloud) == all_three({BANK})
    cloud.patch({"directory": {"members": {BANK: {"folder": "root"}}, "folders": {"fd-eu": None}}})
    assert covered(cloud) == {}
    assert cloud.world().resource_shares["rs-a"].targets == ("fd-test", "fd-eu")


# --- the oracle


def test_the_oracle_tells_the_channels_apart(opened: Begin) -> None:
    """Rows name direct, directory or both; users and channels say the same, and filters find the same rows."""
    cloud = opened("fd-prod", grants={ONE: [SHOP, LAB], TWO: [PARTNER]})
    rows = [
        (ONE, SHOP, ["direct", "directory"]),
        (ONE, BANK, ["directory"]),
        (ONE, LAB, ["direct"]),
        (THREE, SHOP, ["directory"]),
        (THREE, BANK, ["directory"]),
        (TWO, SHOP, ["directory"]),
        (TWO, BANK, ["directory"]),
        (TWO, PARTNER, ["direct"]),
    ]
    found = cloud.access()
    assert [(row["image"], row["account"], row["channels"]) for row in found] == rows
    for name in IMAGES:
        assert cloud.access(image=name) == [row for row in found if row["image"] == name]
        for account in (SHOP, LAB, OWNER):
            both = [row for row in found if (row["image"], row["account"]) == (name, account)]
            assert cloud.access(image=name, account=account) == both
    for account in (SHOP, BANK, LAB, PARTNER, OWNER):
        assert cloud.access(account=account) == [row for row in found if row["account"] == account]
    assert cloud.users() == {ONE: {SHOP, BANK, LAB}, TWO: {SHOP, BANK, PARTNER}, THREE: {SHOP, BANK}}
    assert cloud.channels() == {
        ONE: {"direct": {SHOP, LAB}, "directory": {SHOP, BANK}},
        TWO: {"direct": {PARTNER}, "directory": {SHOP, BANK}},
        THREE: {"directory": {SHOP, BANK}},
    }


def test_a_write_hook_sees_what_time_has_done(opened: Begin) -> None:
    """After any write the oracle shows what is associated by now, not what was when it was asked for."""
    cloud = opened("fd-prod", delays={"association": 60})
    seen: list[dict[str, set[str]]] = []
    Clients().associate("rs-a", targets=[LAB])
    cloud.on_write(lambda one: seen.append(covered(one)))
    cloud.advance(60)
    Clients().share(ONE, PARTNER)
    assert seen == [all_three(INSIDE)]


def test_many_images_and_members_are_looked_after_quickly() -> None:
    """A thousand images for five thousand members: one set for all of them, and no second for a look."""
    members = many_members(5_000)
    names = [f"m-{number:04d}" for number in range(1_000)]
    everybody = {account: {"name": account} for account in members}
    cloud = start(
        world(
            directory=organization(members={OWNER: {"name": "owner"}, **everybody}),
            images={name: image(name) for name in names},
            resource_shares={"rs-a": by_hand(images=names, targets=["rd-local1"])},
            grants={name: [PARTNER] for name in names[:500]},
        )
    )
    began = time.perf_counter()
    for _ in range(10):
        users = cloud.users()
    assert len(cloud.access(image=names[0])) == 5_001
    assert time.perf_counter() - began < 3
    assert len({id(accounts) for accounts in users.values()}) == 2
    assert {len(accounts) for accounts in users.values()} == {5_000, 5_001}


# --- what ECS makes of it


def test_who_is_reached_finds_and_copies_the_image(opened: Begin) -> None:
    """As with a direct share: listed among those of others, and copied within the region only."""
    opened(SHOP)
    shop = Clients(SHOP)
    assert shop.images(image_owner_alias="others") == shop.images() == sorted(IMAGES)
    assert [shop.image(name)["ImageOwnerAlias"] for name in IMAGES] == ["others"] * 3
    assert Clients(LAB).images(status="ALL") == []
    copy = ecs_models.CopyImageRequest(region_id=shop.region, image_id=ONE, destination_region_id=shop.region)
    assert shop.ecs.copy_image(copy).body.image_id in shop.images(image_owner_alias="self")
    with refused("OperationDenied.SameRegionOnly", 403):
        shop.ecs.copy_image(ecs_models.CopyImageRequest(region_id=shop.region, image_id=ONE, destination_region_id=FAR))
    with refused("InvalidImageId.NotFound", 404):
        Clients(LAB).ecs.copy_image(copy)


@pytest.mark.parametrize("switch", [False, True])
def test_the_permission_list(opened: Begin, *, switch: bool) -> None:
    """Depending on the switch it has those reached by shares, too, since the association; both ways are one row."""
    cloud = opened("fd-eu", grants={ONE: [SHOP], THREE: [BANK]}, switches={"covered_in_permission_list": switch})
    cloud.patch({"delays": {"association": 60}})
    Clients().associate("rs-a", targets=["fd-prod"])
    cloud.advance(120)
    found = {
        name: [(row["AliyunId"], row["SharedTime"]) for row in Clients().permission(name)["Accounts"]["Account"]]
        for name in IMAGES
    }
    first, later = "2026-11-21T12:00:00Z", "2026-11-21T12:01:00Z"
    shown = {
        ONE: [(SHOP, first), (BANK, first)],
        TWO: [(SHOP, later), (BANK, first)],
        THREE: [(SHOP, later), (BANK, first)],
    }
    direct = {ONE: [(SHOP, first)], TWO: [], THREE: [(BANK, first)]}
    assert found == (shown if switch else direct)


@pytest.mark.parametrize("switch", [False, True])
def test_the_quota_of_accounts_an_image(opened: Begin, *, switch: bool) -> None:
    """Depending on the switch those reached by shares count, too, each account once."""
    cloud = opened(
        "fd-prod", grants={ONE: [SHOP]}, quotas={"accounts_per_image": 2}, switches={"covered_count_to_quota": switch}
    )
    if switch:
        with refused("QuotaExceed.ShareImageUser", 403):
            Clients().share(ONE, LAB)
    else:
        Clients().share(ONE, LAB)
    Clients().share(TWO, BANK)
    assert {row["account"] for row in cloud.access(image=ONE)} == {SHOP, BANK, *(() if switch else (LAB,))}
    assert cloud.channels()[TWO] == {"direct": {BANK}, "directory": {SHOP, BANK}}
    assert cloud.channels()[THREE] == {"directory": {SHOP, BANK}}


@pytest.mark.parametrize("switch", [False, True])
def test_deleting_an_image_in_a_share(opened: Begin, *, switch: bool) -> None:
    """Depending on the switch it is refused as shared, or takes the image out of its shares."""
    cloud = opened("fd-prod", switches={"covered_block_delete": switch})
    request = ecs_models.DeleteImageRequest(region_id=Clients().region, image_id=ONE)
    if switch:
        with refused("ImageUseShared", 403):
            Clients().ecs.delete_image(request)
        Clients().disassociate("rs-a", images=[ONE])
    Clients().ecs.delete_image(request)
    assert covered(cloud) == {TWO: {SHOP, BANK}, THREE: {SHOP, BANK}}
    assert Clients().states("Resource", resource_id=ONE) == [(ONE, "Disassociated")]


@pytest.mark.parametrize("switch", [False, True])
def test_an_image_may_say_that_it_is_shared(opened: Begin, *, switch: bool) -> None:
    """Depending on the switch IsSelfShared tells of resource shares; of direct ones it always does."""
    opened(
        grants={TWO: [LAB]},
        switches={"covered_self_shared": switch},
        resource_shares={"rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod"])},
    )
    assert [Clients().image(name)["IsSelfShared"] for name in IMAGES] == [switch, True, False]
    Clients().disassociate("rs-a", images=[ONE])
    assert Clients().image(ONE)["IsSelfShared"] is False


@pytest.mark.parametrize("switch", ["ok", "error"])
def test_taking_back_what_was_not_shared_directly(opened: Begin, switch: str) -> None:
    """Depending on the switch it changes nothing or is refused; who has the image by a share keeps it."""
    cloud = opened("fd-prod", grants={ONE: [LAB], TWO: [SHOP]}, switches={"remove_unshared": switch})
    before = cloud.channels()
    if switch == "ok":
        Clients().share(ONE, remove=(SHOP,))
    else:
        with refused("InvalidAccount.NotFound", 404):
            Clients().share(ONE, remove=(SHOP,))
    assert cloud.channels() == before
    Clients().share(TWO, remove=(SHOP,))
    assert cloud.channels()[TWO] == {"directory": {SHOP, BANK}}


def test_a_direct_share_beside_a_resource_share(opened: Begin) -> None:
    """Both can be there at once, which the vendor warns of, and each is taken back on its own."""
    cloud = opened("fd-prod")
    Clients().share(ONE, SHOP, LAB)
    assert cloud.channels()[ONE] == {"direct": {SHOP, LAB}, "directory": {SHOP, BANK}}
    assert Clients().shared_with(ONE) == [SHOP, LAB]
    Clients().disassociate("rs-a", images=[ONE])
    assert cloud.channels()[ONE] == {"direct": {SHOP, LAB}}
    Clients().share(ONE, remove=(SHOP,))
    assert cloud.users() == {ONE: {LAB}, TWO: {SHOP, BANK}, THREE: {SHOP, BANK}}
