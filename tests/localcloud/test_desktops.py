"""Images of Elastic Desktop Service: what is listed, who gets them, how many, and every switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecd20200930 import models as ecd_models
from darabonba.exceptions import UnretryableException

from localcloud import LocalCloud
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    PARTNER_2,
    REGION,
    SHOP,
    UNKNOWN,
    Clients,
    acs3,
    answered,
    channels,
    desk,
    image,
    many_members,
    outcome,
    refused,
    start,
    version_1,
    world,
)

Begin = Callable[..., LocalCloud]
DESK, DESK_2, DESK_3, DESK_FAR = "m-desk1", "m-desk2", "m-desk3", "m-deskfar"
VERSION = "2020-09-30"
HOST = f"ecd.{REGION}.aliyuncs.com"

DESKS = {DESK: desk("one"), DESK_2: desk("two"), DESK_3: desk("three"), DESK_FAR: desk("far", region=FAR)}


@pytest.fixture
def desks(begin: Begin) -> Callable[..., LocalCloud]:
    """Starts a cloud with four such images, one of them in another region, and one of ECS."""

    def started(**parts: Any) -> LocalCloud:
        return begin(**{"images": {**DESKS, ONE: image("one")}, **parts})

    return started


def crowd(count: int) -> tuple[list[str], dict[str, Any]]:
    """Many outsiders, and the part of a world that knows them."""
    accounts = many_members(count)
    return accounts, {"outsiders": [*accounts, PARTNER, PARTNER_2]}


def has(cloud: LocalCloud, image_id: str) -> set[str]:
    """Who can use an image, as the oracle knows it."""
    return channels(cloud).get(image_id, set())


def modify(cloud: LocalCloud, **params: str) -> tuple[int, str]:
    """Status and code of a call as it travels; a dot in a name is written as __."""
    named = {"RegionId": REGION, **{name.replace("__", "."): value for name, value in params.items()}}
    return outcome(cloud.handle(acs3("ModifyImagePermission", named, version=VERSION, host=HOST)))


# --- sharing


def test_sharing_and_taking_back(desks: Begin) -> None:
    """Accounts are added and removed, in one call too, inside the organization and outside; others keep theirs."""
    cloud, owner = desks(), Clients()
    owner.share_desk(DESK, SHOP, BANK, PARTNER)
    owner.share_desk(DESK_2, SHOP, LAB, MANAGEMENT)
    owner.share_desk(DESK, LAB, remove=(SHOP, PARTNER))
    assert channels(cloud) == {DESK: {BANK, LAB}, DESK_2: {SHOP, LAB, MANAGEMENT}}
    assert owner.desk_shared_with(DESK) == [BANK, LAB]
    assert owner.desk_shared_with(DESK_3) == []


@pytest.mark.parametrize(("switch", "kind"), [("string", str), ("number", int)])
def test_accounts_are_integers_in_calls_and_as_the_switch_says_in_answers(
    desks: Begin, switch: str, kind: type[Any]
) -> None:
    """The same ids travel as integers one way, and as texts or integers the other."""
    cloud = desks(switches={"aliyun_id": switch})
    Clients().share_desk(DESK, SHOP, BANK, LAB)
    assert Clients().desk_shared_with(DESK) == [kind(one) for one in (SHOP, BANK, LAB)]
    assert has(cloud, DESK) == {SHOP, BANK, LAB}
    for name in ("AddAccount__1", "RemoveAccount__1"):
        assert modify(cloud, ImageId=DESK, **{name: "shop"}) == (400, "InvalidParameter")


def test_an_image_of_one_service_is_no_image_of_the_other(desks: Begin) -> None:
    """Neither service lists, shares or deletes what is the other's, and no resource share takes an image of EDS."""
    cloud, owner = desks(directory={**world()["directory"], "sharing_enabled": True}), Clients()
    assert owner.images() == [ONE]
    assert owner.desks() == [DESK, DESK_2, DESK_3]
    with refused("InvalidImageId.NotFound", 404):
        owner.share(DESK, SHOP)
    with refused("InvalidImageId.NotFound", 404):
        owner.share_desk(ONE, SHOP)
    with refused("InvalidImageId.NotFound", 404):
        owner.desk_shared_with(ONE)
    with refused("InvalidImageId.NotFound", 404):
        owner.delete_desks(ONE)
    with refused("InvalidParameter.Resources", 400):
        owner.open_share("one", images=[DESK], targets=["rd-local1"])
    assert cloud.access() == []


@pytest.mark.parametrize(
    ("fields", "add", "code", "status"),
    [
        ({}, UNKNOWN, "InvalidAccount.NotFound", 404),
        ({}, OWNER, "InvalidAccount.Forbbiden", 404),
        ({"encryption": "cmk"}, SHOP, "OperationDeined.EncryptedSnapshot", 403),
        ({"encryption": "service-key"}, SHOP, "OperationDeined.EncryptedSnapshot", 403),
        ({"status": "Creating"}, SHOP, "InvalidImageStatus.NotValid", 400),
        ({"status": "CreateFailed"}, SHOP, "InvalidImageStatus.NotValid", 400),
        ({"owner": "system"}, SHOP, "InvalidImageId.NotFound", 404),
        ({"owner": BANK}, SHOP, "InvalidImageId.NotFound", 404),
        ({"region": FAR}, SHOP, "InvalidImageId.NotFound", 404),
    ],
)
def test_what_cannot_be_shared_is_refused(
    desks: Begin, fields: dict[str, Any], add: str, code: str, status: int
) -> None:
    """Own, available, unencrypted images of the region, with other accounts that exist; else nothing changes."""
    cloud = desks(images={**DESKS, DESK: desk("one", **fields)}, grants={DESK_2: [LAB]})
    with refused(code, status):
        Clients().share_desk(DESK, add)
    assert channels(cloud) == {DESK_2: {LAB}}


def test_what_was_received_cannot_be_handed_on(desks: Begin) -> None:
    """Who has an image by a share neither shares it nor sees who else has it nor deletes it."""
    cloud = desks(grants={DESK: [SHOP, BANK]})
    shop = Clients(SHOP)
    for call in (shop.desk_shared_with, shop.delete_desks, lambda one: shop.share_desk(one, LAB)):
        with refused("InvalidImageId.NotFound", 404):
            call(DESK)
    assert channels(cloud) == {DESK: {SHOP, BANK}}


def test_an_encrypted_image_can_be_taken_back(desks: Begin) -> None:
    """Only sharing is refused."""
    cloud = desks(images={**DESKS, DESK: desk("one", encryption="cmk")}, grants={DESK: [SHOP, BANK, LAB]})
    Clients().share_desk(DESK, remove=(SHOP, BANK))
    assert has(cloud, DESK) == {LAB}


# --- what the switches say


@pytest.mark.parametrize(("switch", "added", "kept"), [("first", 20, 2), ("ignored", 0, 12)])
def test_more_accounts_than_a_call_takes_are_ignored(desks: Begin, switch: str, added: int, kept: int) -> None:
    """Of 22 that are added the first 20 count, of 12 that are removed the first ten; or by a switch none, silently."""
    accounts, parts = crowd(22)
    cloud = desks(**parts, switches={"eds_beyond_cap": switch}, grants={DESK_2: accounts[:12]})
    Clients().share_desk(DESK, *accounts)
    Clients().share_desk(DESK_2, remove=tuple(accounts[:12]))
    assert has(cloud, DESK) == set(accounts[:added])
    assert has(cloud, DESK_2) == set(accounts[:12][-kept:] if kept else [])


def test_more_accounts_than_a_call_takes_are_refused_by_a_switch(desks: Begin) -> None:
    """Then exactly the cap still works, for each list by itself."""
    accounts, parts = crowd(31)
    cloud = desks(**parts, switches={"eds_beyond_cap": "error"}, grants={DESK_2: accounts[:11]})
    with refused("InvalidParameter", 400):
        Clients().share_desk(DESK, *accounts[:21])
    with refused("InvalidParameter", 400):
        Clients().share_desk(DESK_2, remove=tuple(accounts[:11]))
    assert channels(cloud) == {DESK_2: set(accounts[:11])}
    Clients().share_desk(DESK_2, *accounts[11:31], remove=tuple(accounts[:10]))
    assert channels(cloud) == {DESK_2: set(accounts[10:31])}


def test_one_account_at_a_time_by_a_switch(desks: Begin) -> None:
    """Then several in one call are refused whole, also one to add and one to remove; one alone is served."""
    cloud = desks(switches={"eds_several_at_once": "refused"}, grants={DESK: [LAB]})
    owner = Clients()
    with refused("InvalidParameter", 400):
        owner.share_desk(DESK, SHOP, BANK)
    with refused("InvalidParameter", 400):
        owner.share_desk(DESK, SHOP, remove=(LAB,))
    assert channels(cloud) == {DESK: {LAB}}
    owner.share_desk(DESK, SHOP)
    owner.share_desk(DESK, BANK)
    owner.share_desk(DESK, remove=(LAB,))
    assert channels(cloud) == {DESK: {SHOP, BANK}}


@pytest.mark.parametrize(("switch", "done"), [("none", {LAB}), ("some", {LAB, SHOP})])
def test_a_refused_call_has_served_some_by_a_switch(desks: Begin, switch: str, done: set[str]) -> None:
    """Those before the culprit, or nobody; removals of the same call are not done."""
    cloud = desks(switches={"partial_apply": switch}, grants={DESK: [LAB]})
    with refused("InvalidAccount.NotFound", 404):
        Clients().share_desk(DESK, SHOP, UNKNOWN, BANK, remove=(LAB,))
    assert has(cloud, DESK) == done


@pytest.mark.parametrize(("switch", "code"), [("ok", ""), ("refresh", ""), ("error", "InvalidAccount.Forbbiden")])
def test_adding_again_is_as_the_switch_says(desks: Begin, switch: str, code: str) -> None:
    """Accepted or refused; nobody loses anything by it."""
    cloud = desks(switches={"repeated_add": switch}, grants={DESK: [SHOP, BANK, LAB]})
    assert modify(cloud, ImageId=DESK, AddAccount__1=SHOP)[1] == code
    assert has(cloud, DESK) == {SHOP, BANK, LAB}


@pytest.mark.parametrize(("switch", "code"), [("ok", ""), ("error", "InvalidAccount.NotFound")])
def test_taking_back_what_is_not_there_is_as_the_switch_says(desks: Begin, switch: str, code: str) -> None:
    """Accepted or refused; nobody loses anything by it."""
    cloud = desks(switches={"remove_unshared": switch}, grants={DESK: [SHOP, BANK]})
    assert modify(cloud, ImageId=DESK, RemoveAccount__1=LAB)[1] == code
    assert has(cloud, DESK) == {SHOP, BANK}


@pytest.mark.parametrize(("switch", "left"), [("add", {SHOP, LAB}), ("remove", {LAB})])
def test_who_is_in_both_lists_is_as_the_switch_says(desks: Begin, switch: str, left: set[str]) -> None:
    """Added, or removed."""
    cloud = desks(switches={"add_and_remove": switch}, grants={DESK: [SHOP, BANK]})
    Clients().share_desk(DESK, SHOP, LAB, remove=(SHOP, BANK))
    assert has(cloud, DESK) == left


# --- the quota


def test_fifty_shares_of_an_account_and_no_more(desks: Begin) -> None:
    """All images of all regions count together; what is taken back is free again; other owners have their own."""
    accounts, parts = crowd(50)
    images = {**DESKS, "m-shop1": desk("shop", owner=SHOP)}
    cloud = desks(**parts, images=images, grants={DESK: accounts[:20], DESK_FAR: accounts[:29]})
    owner, far = Clients(), Clients(region=FAR)
    owner.share_desk(DESK_2, SHOP)
    for caller, one in ((owner, DESK), (owner, DESK_2), (owner, DESK_3), (far, DESK_FAR)):
        with refused("QuotaExceed.ShareImageUser", 403):
            caller.share_desk(one, BANK)
    owner.share_desk(DESK, accounts[0])
    Clients(SHOP).share_desk("m-shop1", OWNER, BANK, LAB)
    far.share_desk(DESK_FAR, remove=tuple(accounts[:2]))
    owner.share_desk(DESK_3, BANK, LAB)
    found = channels(cloud)
    assert found[DESK_3] == {BANK, LAB}
    assert found["m-shop1"] == {OWNER, BANK, LAB}
    assert sum(len(found[one]) for one in DESKS) == 50


def test_an_image_alone_may_have_all_the_shares(desks: Begin) -> None:
    """What it has already counts once."""
    accounts, parts = crowd(51)
    cloud = desks(**parts, grants={DESK: accounts[:45]})
    Clients().share_desk(DESK, *accounts[45:50])
    for one in (DESK, DESK_2, DESK_3):
        with refused("QuotaExceed.ShareImageUser", 403):
            Clients().share_desk(one, accounts[50])
    assert channels(cloud) == {DESK: set(accounts[:50])}


@pytest.mark.parametrize(
    ("scope", "full"), [("account", {DESK, DESK_2, DESK_FAR}), ("region", {DESK, DESK_2}), ("image", {DESK})]
)
def test_what_the_quota_is_counted_over_is_a_setting(desks: Begin, scope: str, full: set[str]) -> None:
    """An owner's images of all regions, those of a region, or each image by itself."""
    cloud = desks(quotas={"eds_shares": 3, "eds_shares_per": scope}, grants={DESK: [SHOP, BANK, LAB]})
    for one, region in ((DESK, REGION), (DESK_2, REGION), (DESK_FAR, FAR)):
        params = {"RegionId": region, "ImageId": one, "AddAccount.1": PARTNER}
        answer = cloud.handle(acs3("ModifyImagePermission", params, version=VERSION, host=f"ecd.{region}.aliyuncs.com"))
        assert (outcome(answer)[1] == "QuotaExceed.ShareImageUser") == (one in full), one
        assert (PARTNER in has(cloud, one)) == (one not in full)


def test_the_quota_does_not_count_images_of_ecs(desks: Begin) -> None:
    """Nor does the other one count these."""
    cloud = desks(quotas={"eds_shares": 2, "accounts_per_image": 2}, grants={ONE: [SHOP, BANK]})
    Clients().share_desk(DESK, SHOP, BANK)
    with refused("QuotaExceed.ShareImageUser", 403):
        Clients().share(ONE, LAB)
    assert channels(cloud) == {ONE: {SHOP, BANK}, DESK: {SHOP, BANK}}


# --- deleting


def test_a_shared_image_cannot_be_deleted(desks: Begin) -> None:
    """Unshare before delete: of three images one is shared, so none is deleted, and then all are."""
    cloud, owner = desks(grants={DESK_2: [SHOP]}), Clients()
    with refused("ImageDeleteFailed.NotAllowSharedImage", 400):
        owner.delete_desks(DESK, DESK_2, DESK_3)
    assert owner.desks() == [DESK, DESK_2, DESK_3]
    owner.share_desk(DESK_2, remove=(SHOP,))
    owner.delete_desks(DESK, DESK_2, DESK_3)
    assert owner.desks() == []
    assert sorted(cloud.world().images) == [DESK_FAR, ONE]


# --- lists


def test_a_list_is_paged_by_token(desks: Begin) -> None:
    """Ten rows a page unless asked otherwise, never more than a hundred, and the last page has no token."""
    images = {f"m-desk{number:03d}": desk(f"d{number:03d}") for number in range(203)}
    desks(images=images)
    owner = Clients()
    assert len(owner.desk_rows(max_results=None)["Images"]) == len(owner.desk_rows(max_results=0)["Images"]) == 10
    found: list[str] = []
    sizes, token = [], None
    while token != "":
        page = owner.desk_rows(max_results=500, next_token=token)
        found += [row["ImageId"] for row in page["Images"]]
        sizes.append(len(page["Images"]))
        token = page.get("NextToken", "")
    assert (found, sizes) == (sorted(images), [100, 100, 3])
    with refused("InvalidParameter", 400):
        owner.desks(next_token="cm93czox")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, ["m-failed", "m-linux", "m-system", "m-windows"]),
        ({"image_type": "SYSTEM"}, ["m-system"]),
        ({"image_type": "CUSTOM"}, ["m-failed", "m-linux", "m-windows"]),
        ({"image_status": "Available"}, ["m-linux", "m-system", "m-windows"]),
        ({"image_status": "CreateFailed"}, ["m-failed"]),
        ({"image_name": "golden"}, ["m-linux"]),
        ({"image_name": "gold"}, []),
        ({"os_type": "Windows"}, ["m-windows"]),
        ({"fota_version": "7"}, ["m-windows"]),
        ({"image_id": ["m-linux", "m-failed", "m-nowhere"]}, ["m-failed", "m-linux"]),
        ({"gpu_category": True}, []),
        ({"gpu_category": False}, ["m-failed", "m-linux", "m-system", "m-windows"]),
        ({"protocol_type": "HDX"}, []),
        ({"session_type": "MULTIPLE_SESSION"}, []),
        ({"language_type": "ja-JP"}, ["m-failed", "m-linux", "m-system", "m-windows"]),
    ],
)
def test_each_filter_narrows_the_list(desks: Begin, query: dict[str, Any], shown: list[str]) -> None:
    """Every documented filter does what its name says."""
    images = {
        "m-linux": desk("golden"),
        "m-windows": desk("win", os_type="windows", version="7"),
        "m-failed": desk("broken", status="CreateFailed"),
        "m-system": desk("base", owner="system"),
        "m-shop": desk("shop", owner=SHOP),
        "m-far": desk("far", region=FAR),
    }
    desks(images=images)
    assert Clients().desks(**query) == shown


@pytest.mark.parametrize("kind", ["CUSTOM", "SHARED"])
def test_a_received_image_is_listed_as_the_switch_says(desks: Begin, kind: str) -> None:
    """It cannot be told from an own one, or by a type of its own; no row says whose image it is."""
    images = {**DESKS, "m-shop": desk("shop", owner=SHOP), "m-bank": desk("bank", owner=BANK)}
    desks(images=images, grants={"m-shop": [OWNER, BANK], DESK: [SHOP]}, switches={"eds_received_type": kind})
    rows = {row["ImageId"]: row for row in Clients().desk_rows()["Images"]}
    assert {one: row["ImageType"] for one, row in rows.items()} == {
        DESK: "CUSTOM", DESK_2: "CUSTOM", DESK_3: "CUSTOM", "m-shop": kind,
    }  # fmt: skip
    assert (rows[DESK]["SharedCount"], rows["m-shop"]["SharedCount"]) == (1, 0)
    assert ("m-shop" in Clients().desks(image_type="CUSTOM")) == (kind == "CUSTOM")
    assert not any("wner" in key for key in rows["m-shop"])


def test_a_row_says_what_sharing_needs(desks: Begin) -> None:
    """Encryption with its key, status, name and how many have it."""
    desks(images={DESK: desk("one", encryption="cmk"), DESK_2: desk("two")}, grants={DESK_2: [SHOP, BANK, LAB]})
    first, second = Clients().desk_rows()["Images"]
    assert (first["VolumeEncryptionEnabled"], bool(first["VolumeEncryptionKey"])) == (True, True)
    assert (second["VolumeEncryptionEnabled"], "VolumeEncryptionKey" in second) == (False, False)
    assert [(one["Name"], one["Status"], one["SharedCount"]) for one in (first, second)] == [
        ("one", "Available", 0), ("two", "Available", 3),
    ]  # fmt: skip


def test_regions_are_those_that_have_the_service(desks: Begin) -> None:
    """The call itself needs a region that has it, and names the host of each."""
    cloud = desks(regions=[REGION, FAR, "us-east-1"])
    answer = Clients().ecd.describe_regions(ecd_models.DescribeRegionsRequest(region_id=REGION)).body.regions
    assert [(one.region_id, one.region_endpoint) for one in answer] == [
        (REGION, HOST), (FAR, f"ecd.{FAR}.aliyuncs.com"),
    ]  # fmt: skip
    english = acs3("DescribeRegions", {"RegionId": REGION, "AcceptLanguage": "en"}, version=VERSION, host=HOST)
    assert answered(cloud.handle(english))["Regions"][0]["LocalName"] == "China (Hangzhou)"
    with refused("InvalidRegionId.NotFound", 404):
        Clients(region="us-east-1").desks()


def test_a_change_is_visible_after_its_delay(desks: Begin) -> None:
    """Permissions and counts show it late; who can use the image is changed at once."""
    cloud, owner = desks(delays={"share": 60}), Clients()
    owner.share_desk(DESK, SHOP, BANK)
    assert (owner.desk_shared_with(DESK), has(cloud, DESK)) == ([], {SHOP, BANK})
    assert owner.desk_rows()["Images"][0]["SharedCount"] == 0
    cloud.advance(60)
    assert owner.desk_shared_with(DESK) == [SHOP, BANK]
    assert owner.desk_rows()["Images"][0]["SharedCount"] == 2


# --- the way there


def test_the_host_or_the_version_leads_to_the_service(desks: Begin) -> None:
    """DescribeImages is an operation of two products; both ways and both signatures find the right one."""
    cloud = desks()
    for request in (
        acs3("DescribeImages", {}, version=VERSION, host=HOST),
        acs3("DescribeImages", {"RegionId": REGION}, version=VERSION, host="127.0.0.1:8080"),
        version_1("DescribeImages", {}, version=VERSION, host=HOST),
    ):
        assert [row["ImageId"] for row in answered(cloud.handle(request))["Images"]] == [DESK, DESK_2, DESK_3]
    assert outcome(cloud.handle(acs3("DescribeImages", {}, host=HOST))) == (400, "InvalidVersion")


def test_a_lost_answer_was_carried_out(desks: Begin) -> None:
    """Faults and flow control strike here as everywhere."""
    cloud = desks(
        faults=[{"operation": "ecd:ModifyImagePermission", "kind": "lost-answer", "times": 1}],
        flow_control={"ecd:ModifyImagePermission": {"limit": 2, "window": 60}},
    )
    with pytest.raises(UnretryableException):
        Clients().share_desk(DESK, SHOP)
    Clients().share_desk(DESK_2, SHOP)
    with refused("Throttling.User", 400):
        Clients().share_desk(DESK_3, SHOP)
    assert channels(cloud) == {DESK: {SHOP}, DESK_2: {SHOP}}


def test_lists_can_lie(desks: Begin) -> None:
    """Neither list has a total, so one that is cut shows nothing of it."""
    cut = [
        {"operation": f"ecd:{name}", "kind": "truncated-page", "times": 1}
        for name in ("DescribeImages", "DescribeImagePermission")
    ]
    desks(faults=cut, grants={DESK: [SHOP, BANK, LAB]})
    owner = Clients()
    assert (owner.desks(), owner.desks()) == ([DESK], [DESK, DESK_2, DESK_3])
    assert (owner.desk_shared_with(DESK), owner.desk_shared_with(DESK)) == ([SHOP], [SHOP, BANK, LAB])


def test_a_role_needs_the_action_on_everything(desks: Begin) -> None:
    """A policy for single images is not enough, as no page says that it could be."""
    role = f"acs:ram::{OWNER}:role/sharer"

    def policy(resource: str) -> dict[str, Any]:
        action = ["ecd:ModifyImagePermission"]
        return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}

    cloud = desks(roles={role: {"trusts": [OWNER], "policies": [policy(f"acs:ecd:*:{OWNER}:ecdimage/*")]}})
    with refused("NoPermission", 403):
        Clients().assume(role).share_desk(DESK, SHOP)
    cloud.patch({"roles": {role: {"policies": [policy("*")]}}})
    Clients().assume(role).share_desk(DESK, SHOP)
    with refused("NoPermission", 403):
        Clients().assume(role).desks()
    assert channels(cloud) == {DESK: {SHOP}}


# --- worlds


def test_a_world_is_read_back_and_patched(desks: Begin) -> None:
    """Images of both services and their grants are parts of the world; a patch shares, takes away and deletes."""
    cloud = desks(grants={DESK: [SHOP], ONE: [BANK]})
    again = LocalCloud.from_world(cloud.world())
    assert again.access() == cloud.access()
    cloud.patch({"images": {DESK_2: None, "m-new": desk("new")}, "grants": {DESK: [LAB], "m-new": [SHOP, BANK]}})
    assert channels(cloud) == {DESK: {LAB}, ONE: {BANK}, "m-new": {SHOP, BANK}}
    assert cloud.access(account=SHOP) == [{"image": "m-new", "account": SHOP, "channels": ["direct"]}]
    assert cloud.access(image=DESK) == [{"image": DESK, "account": LAB, "channels": ["direct"]}]
    assert {name: set(ways["direct"]) for name, ways in cloud.channels().items()} == channels(cloud)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"family": "x"}, "images.m-desk.family: an image of Elastic Desktop Service has none"),
        ({"tags": {}}, "images.m-desk.tags: an image of Elastic Desktop Service has none"),
        ({"public": True}, "images.m-desk.public: an image of Elastic Desktop Service has none"),
        (
            {"status": "Deprecated"},
            "images.m-desk.status: expected one of Creating, Available, CreateFailed, found 'Deprecated'",
        ),
        ({"owner": "marketplace"}, "images.m-desk.owner: Elastic Desktop Service has no images of the marketplace"),
        ({"region": "us-east-1"}, "images.m-desk.region: expected one of ap-northeast-1, "),
    ],
)
def test_what_such_an_image_cannot_be_is_an_error(fields: dict[str, Any], message: str) -> None:
    """A world says nothing of an image that the service does not have."""
    with pytest.raises(Exception, match=r"images\.m-desk") as caught:
        start(world(images={"m-desk": desk("one", **fields)}))
    assert str(caught.value).startswith(f"world: {message}")


def test_no_resource_share_of_a_world_has_such_an_image() -> None:
    """There is no channel by the directory."""
    share = {"owner": OWNER, "region": REGION, "name": "x", "images": [DESK]}
    with pytest.raises(Exception, match="no image of Elastic Desktop Service can be in a resource share"):
        start(world(images=DESKS, resource_shares={"rs-1": share}))


@pytest.mark.parametrize("scope", ["owner", 1])
def test_the_scope_of_the_quota_is_one_of_three(scope: Any) -> None:
    """Anything else is an error that names them."""
    with pytest.raises(Exception, match=r"quotas\.eds_shares_per: expected one of account, region, image"):
        start(world(quotas={"eds_shares_per": scope}))
