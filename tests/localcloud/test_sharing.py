"""ModifyImageSharePermission and DescribeImageSharePermission: every rule, every switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
    START,
    THREE,
    TWO,
    UNKNOWN,
    Clients,
    acs3,
    answered,
    channels,
    image,
    iso,
    many_members,
    outcome,
    refused,
    start,
    version_1,
    world,
)

Begin = Callable[..., LocalCloud]
ROLE = f"acs:ram::{OWNER}:role/AliyunECSShareEncryptImageDefaultRole"


def crowd(count: int) -> tuple[list[str], dict[str, Any]]:
    """Many outsiders, and the part of a world that knows them."""
    accounts = many_members(count)
    return accounts, {"outsiders": [*accounts, PARTNER, PARTNER_2]}


def test_sharing_and_taking_back(cloud: LocalCloud, owner: Clients) -> None:
    """Accounts are added and removed, in one call too; other images keep theirs."""
    owner.share(ONE, SHOP, BANK, PARTNER)
    owner.share(TWO, SHOP, LAB, MANAGEMENT)
    owner.share(ONE, LAB, remove=(SHOP, PARTNER))
    assert channels(cloud) == {ONE: {BANK, LAB}, TWO: {SHOP, LAB, MANAGEMENT}}
    assert owner.shared_with(ONE) == [BANK, LAB]
    assert owner.shared_with(THREE) == []
    assert Clients(LAB).images(image_owner_alias="others") == [ONE, TWO]


def test_removing_who_does_not_have_it_changes_nothing(cloud: LocalCloud, owner: Clients) -> None:
    """A removal of an account without the image is accepted in silence."""
    owner.share(ONE, SHOP, BANK)
    owner.share(ONE, remove=(LAB,))
    assert channels(cloud) == {ONE: {SHOP, BANK}}


@pytest.mark.parametrize(("switch", "kept"), [("first", 10), ("ignored", 0)])
def test_more_than_ten_accounts_are_cut_off_in_silence(begin: Begin, switch: str, kept: int) -> None:
    """Of twelve accounts the first ten are served, or by a switch none, and the answer is a success."""
    accounts, parts = crowd(12)
    cloud = begin(**parts, switches={"over_ten": switch})
    Clients().share(ONE, *accounts)
    assert channels(cloud).get(ONE, set()) == set(accounts[:kept])
    cloud.patch({"grants": {ONE: accounts}})
    Clients().share(ONE, remove=tuple(accounts))
    assert channels(cloud)[ONE] == set(accounts[kept:])


def test_ten_are_counted_for_each_parameter_by_number(begin: Begin) -> None:
    """Ten additions and ten removals fit into one call, and the tenth is the one numbered 10."""
    accounts, parts = crowd(21)
    cloud = begin(**parts, grants={ONE: accounts[10:20]})
    Clients().share(ONE, *accounts[:10], remove=tuple(accounts[10:20]))
    assert channels(cloud)[ONE] == set(accounts[:10])
    params = {"RegionId": REGION, "ImageId": TWO}
    params |= {f"AddAccount.{number + 1}": accounts[number] for number in reversed(range(11))}
    assert outcome(cloud.handle(acs3("ModifyImageSharePermission", params))) == (200, "")
    assert channels(cloud)[TWO] == set(accounts[:10])


def test_odd_numbers_of_accounts_are_no_accounts(cloud: LocalCloud) -> None:
    """Gaps between the numbers are fine; what is not numbered is not read, and not an error."""
    params = {"RegionId": REGION, "ImageId": ONE, "AddAccount.2": SHOP, "AddAccount.7": BANK, "AddAccount.3": ""}
    params |= {"AddAccount": LAB, "AddAccount.x": LAB, "AddAccount.": LAB, "AddAccount.²": LAB, "AddAccount.8.x": LAB}
    assert outcome(cloud.handle(version_1("ModifyImageSharePermission", params))) == (200, "")
    assert channels(cloud) == {ONE: {SHOP, BANK}}


def test_fifty_accounts_fit_and_the_next_does_not(begin: Begin) -> None:
    """The quota is 50 accounts an image, each image by itself."""
    accounts, parts = crowd(51)
    cloud = begin(**parts, grants={ONE: accounts[:45]})
    owner = Clients()
    with refused("QuotaExceed.ShareImageUser", 403):
        owner.share(ONE, *accounts[45:51])
    assert channels(cloud)[ONE] == set(accounts[:45])
    owner.share(ONE, *accounts[45:50])
    with refused("QuotaExceed.ShareImageUser", 403):
        owner.share(ONE, accounts[50])
    owner.share(ONE, accounts[0])
    owner.share(TWO, accounts[50])
    owner.share(ONE, remove=(accounts[0],))
    owner.share(ONE, accounts[50])
    assert len(channels(cloud)[ONE]) == 50


def test_places_that_the_same_call_frees_do_not_count(begin: Begin) -> None:
    """Whether removals are counted first is not documented, so they are not."""
    cloud = begin(quotas={"accounts_per_image": 2}, grants={ONE: [SHOP, BANK]})
    with refused("QuotaExceed.ShareImageUser", 403):
        Clients().share(ONE, LAB, remove=(SHOP,))
    assert channels(cloud) == {ONE: {SHOP, BANK}}


def test_a_receiver_may_be_full(begin: Begin) -> None:
    """A quota of shared images for each receiver can be set."""
    cloud = begin(quotas={"shared_images": 2}, grants={ONE: [SHOP], TWO: [SHOP, BANK]})
    with refused("QuotaExceed.ShareImage", 403):
        Clients().share(THREE, SHOP)
    Clients().share(THREE, BANK)
    assert channels(cloud)[THREE] == {BANK}


@pytest.mark.parametrize(
    ("accounts", "code", "status"),
    [((OWNER,), "InvalidAccount.Forbbiden", 404), ((UNKNOWN,), "InvalidAccount.NotFound", 404)],
)
def test_the_own_account_and_unknown_ones_are_refused(
    cloud: LocalCloud, owner: Clients, accounts: tuple[str, ...], code: str, status: int
) -> None:
    """Neither can be added or removed, and the codes keep the vendor's spelling."""
    with refused(code, status):
        owner.share(ONE, *accounts)
    with refused(code, status):
        owner.share(ONE, remove=accounts)
    assert channels(cloud) == {}


@pytest.mark.parametrize(("switch", "applied"), [("none", set()), ("some", {SHOP, BANK})])
def test_one_bad_account_of_several(begin: Begin, switch: str, applied: set[str]) -> None:
    """With one unknown account either nothing is done or what stood before it, by a switch; the call fails."""
    cloud = begin(switches={"partial_apply": switch}, grants={TWO: [LAB]})
    with refused("InvalidAccount.NotFound", 404):
        Clients().share(ONE, SHOP, BANK, UNKNOWN, LAB)
    assert channels(cloud).get(ONE, set()) == applied
    assert channels(cloud)[TWO] == {LAB}


@pytest.mark.parametrize(("switch", "count"), [("none", 48), ("some", 50)])
def test_the_edge_of_the_quota(begin: Begin, switch: str, count: int) -> None:
    """At the edge of the quota either nothing is added or what fits, by a switch; the call fails."""
    accounts, parts = crowd(58)
    cloud = begin(**parts, switches={"partial_apply": switch}, grants={ONE: accounts[:48]})
    with refused("QuotaExceed.ShareImageUser", 403):
        Clients().share(ONE, *accounts[48:])
    assert channels(cloud)[ONE] == set(accounts[:count])


@pytest.mark.parametrize(("switch", "time"), [("ok", START), ("refresh", START + 60)])
def test_adding_again(begin: Begin, switch: str, time: float) -> None:
    """Adding an account that has the image already keeps its time, or renews it by a switch."""
    cloud = begin(switches={"repeated_add": switch}, grants={ONE: [SHOP, BANK]})
    cloud.advance(60)
    Clients().share(ONE, SHOP, LAB)
    rows = {row["AliyunId"]: row["SharedTime"] for row in Clients().permission(ONE)["Accounts"]["Account"]}
    assert rows == {SHOP: iso(time), BANK: iso(START), LAB: iso(START + 60)}


def test_adding_again_may_be_an_error(begin: Begin) -> None:
    """By a switch the repeated addition is refused."""
    cloud = begin(switches={"repeated_add": "error"}, grants={ONE: [SHOP]})
    with refused("InvalidAccount.Forbbiden", 404):
        Clients().share(ONE, SHOP, LAB)
    assert channels(cloud) == {ONE: {SHOP}}


@pytest.mark.parametrize(("switch", "left"), [("add", {SHOP, BANK}), ("remove", set())])
def test_the_same_account_in_both_lists(begin: Begin, switch: str, left: set[str]) -> None:
    """Who is added and removed in one call has the image afterwards or not, by a switch."""
    cloud = begin(switches={"add_and_remove": switch}, grants={ONE: [SHOP], TWO: [LAB]})
    Clients().share(ONE, SHOP, BANK, remove=(BANK, SHOP))
    assert channels(cloud).get(ONE, set()) == left
    assert channels(cloud)[TWO] == {LAB}


def test_an_image_of_another_account_or_region_is_not_found(begin: Begin) -> None:
    """One shares and reads own images where they are; a received image cannot be passed on."""
    cloud = begin(images={ONE: image("one", owner=SHOP), TWO: image("two", region=FAR)}, grants={ONE: [OWNER]})
    for image_id in (ONE, TWO, "m-nowhere"):
        with refused("InvalidImageId.NotFound", 404):
            Clients().share(image_id, BANK)
        with refused("InvalidImageId.NotFound", 404):
            Clients().permission(image_id)
    assert channels(cloud) == {ONE: {OWNER}}
    Clients(region=FAR).share(TWO, BANK)


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"status": "Deprecated"}, "OperationDenied.InvalidImageStatus", 403),
        ({"status": "Creating"}, "IncorrectImageStatus", 400),
        ({"status": "UnAvailable"}, "IncorrectImageStatus", 400),
        ({"encryption": "service-key"}, "InvalidOperation.ServiceKeyEncryptedImageUnsupported", 403),
        ({"encryption": "cmk"}, "AssumeRoleError", 403),
        ({"public": True}, "Image.Public", 403),
    ],
)
def test_images_that_cannot_be_shared(begin: Begin, fields: dict[str, Any], code: str, status: int) -> None:
    """Deprecated, unfinished, encrypted and community images are refused, each with its code; others are not."""
    cloud = begin(images={ONE: image("one", **fields), TWO: image("two"), THREE: image("three")})
    with refused(code, status):
        Clients().share(ONE, SHOP)
    Clients().share(TWO, SHOP)
    assert channels(cloud) == {TWO: {SHOP}}


@pytest.mark.parametrize("fields", [{"status": "Deprecated"}, {"encryption": "cmk"}, {"encryption": "service-key"}])
def test_what_cannot_be_shared_can_be_taken_back(begin: Begin, fields: dict[str, Any]) -> None:
    """A rule against sharing does not keep an old share alive."""
    cloud = begin(images={ONE: image("one", **fields)}, grants={ONE: [SHOP, BANK, LAB]})
    Clients().share(ONE, remove=(SHOP, LAB))
    assert channels(cloud) == {ONE: {BANK}}


def test_taking_back_from_a_deprecated_image_may_be_refused(begin: Begin) -> None:
    """By a switch a deprecated image keeps its shares whatever the owner wants."""
    cloud = begin(
        images={ONE: image("one", status="Deprecated"), TWO: image("two")},
        grants={ONE: [SHOP, BANK], TWO: [SHOP]},
        switches={"deprecated_removal": "error"},
    )
    with refused("OperationDenied.InvalidImageStatus", 403):
        Clients().share(ONE, remove=(SHOP,))
    Clients().share(TWO, remove=(SHOP,))
    assert channels(cloud) == {ONE: {SHOP, BANK}}


def test_a_customers_key_needs_a_role_that_trusts_each_receiver(begin: Begin) -> None:
    """An image with a customer's key is shared with the accounts that the owner's role trusts, and no others."""
    cloud = begin(
        images={ONE: image("one", encryption="cmk"), TWO: image("two", encryption="cmk"), THREE: image("three")},
        roles={ROLE: {"trusts_services": [f"{SHOP}@ecs.aliyuncs.com", f"{BANK}@ecs.aliyuncs.com"]}},
    )
    Clients().share(ONE, SHOP, BANK)
    with refused("AssumeRoleError", 403):
        Clients().share(TWO, SHOP, LAB)
    assert channels(cloud) == {ONE: {SHOP, BANK}}


def test_marketplace_images_do_not_cross_sites(begin: Begin) -> None:
    """An image from the marketplace is shared within its site only; a plain one crosses."""
    cloud = begin(images={ONE: image("one", product_code="cm1"), TWO: image("two")}, sites={PARTNER: "international"})
    with refused("InvalidImageId.BidMismatch", 403):
        Clients().share(ONE, PARTNER)
    Clients().share(ONE, SHOP)
    Clients().share(TWO, PARTNER)
    assert channels(cloud) == {ONE: {SHOP}, TWO: {PARTNER}}


def test_publishing_and_taking_back(begin: Begin) -> None:
    """A community image cannot be shared; shares made before outlive it."""
    cloud = begin(grants={ONE: [SHOP, BANK]})
    owner = Clients()
    owner.share(ONE, is_public=True)
    assert owner.image(ONE)["IsPublic"] is True
    assert owner.permission(ONE)["ShareGroups"]["ShareGroup"] == [{"Group": "all"}]
    with refused("Image.Public", 403):
        owner.share(ONE, LAB)
    with refused("Image.Public", 403):
        owner.share(ONE, remove=(SHOP,))
    with refused("Image.Public", 403):
        owner.share(ONE, is_public=True)
    owner.share(ONE, is_public=False)
    with refused("Image.NotPublic", 403):
        owner.share(ONE, is_public=False)
    assert channels(cloud) == {ONE: {SHOP, BANK}}
    assert owner.permission(ONE)["ShareGroups"]["ShareGroup"] == []


def test_is_public_beside_accounts(cloud: LocalCloud, owner: Clients) -> None:
    """False beside accounts has no effect, True conflicts with them."""
    owner.share(ONE, SHOP, is_public=False)
    with refused("InvalidParameter.IsPublic", 403):
        owner.share(TWO, SHOP, is_public=True)
    assert channels(cloud) == {ONE: {SHOP}}


def test_encrypted_images_are_never_published(begin: Begin) -> None:
    """Publishing an encrypted image is refused."""
    begin(images={ONE: image("one", encryption="cmk")})
    with refused("OperationDeined.EncryptedSnapshot", 403):
        Clients().share(ONE, is_public=True)


def test_launch_permission_is_for_a_preview_only(owner: Clients) -> None:
    """LaunchPermission is unnecessary beside accounts and else forbidden."""
    with refused("ForbiddenParameter.LaunchPermission", 400):
        owner.share(ONE, launch_permission="VISIBLE")
    with refused("UnnecessaryParameter.LaunchPermission", 400):
        owner.share(ONE, SHOP, launch_permission="VISIBLE")


def test_a_dry_run_changes_nothing(cloud: LocalCloud, owner: Clients) -> None:
    """What would succeed ends as DryRunOperation, what would fail as its error."""
    with refused("DryRunOperation", 400):
        owner.share(ONE, SHOP, dry_run=True)
    with refused("InvalidAccount.NotFound", 404):
        owner.share(ONE, UNKNOWN, dry_run=True)
    with refused("DryRunOperation", 400):
        owner.share(ONE, is_public=True, dry_run=True)
    assert channels(cloud) == {}
    assert owner.image(ONE)["IsPublic"] is False


@pytest.mark.parametrize("action", ["ModifyImageSharePermission", "DescribeImageSharePermission"])
def test_region_and_image_are_required(action: str) -> None:
    """Without an image, or a region where the host names none, the parameter is missing."""
    cloud = start()
    assert outcome(cloud.handle(acs3(action, {"RegionId": REGION}))) == (400, "MissingParameter")
    assert outcome(cloud.handle(acs3(action, {"ImageId": ONE}, host="ecs.aliyuncs.com"))) == (400, "MissingParameter")
    assert outcome(cloud.handle(acs3(action, {"ImageId": ONE}))) == (200, "")


def test_permissions_come_in_pages(begin: Begin) -> None:
    """Ten rows a page by default, a hundred at most, and the total counts all."""
    accounts, parts = crowd(25)
    cloud = begin(**parts, grants={ONE: accounts, TWO: accounts[:3]})
    first = Clients().permission(ONE)
    assert (first["PageNumber"], first["PageSize"], first["TotalCount"]) == (1, 10, 25)
    rows = [
        row["AliyunId"] for n in (1, 2, 3, 4) for row in Clients().permission(ONE, page_number=n)["Accounts"]["Account"]
    ]
    assert rows == accounts
    assert Clients().shared_with(TWO) == accounts[:3]
    query = {"RegionId": REGION, "ImageId": ONE, "PageSize": "101"}
    assert outcome(cloud.handle(acs3("DescribeImageSharePermission", query))) == (400, "InvalidParameter")


@pytest.mark.parametrize(("switch", "form"), [("string", str), ("number", int)])
def test_account_ids_are_text_or_numbers(begin: Begin, switch: str, form: type) -> None:
    """AliyunId is a text or a JSON number, by a switch."""
    cloud = begin(grants={ONE: [SHOP]}, switches={"aliyun_id": switch})
    answer = answered(cloud.handle(acs3("DescribeImageSharePermission", {"RegionId": REGION, "ImageId": ONE})))
    assert answer["Accounts"]["Account"][0]["AliyunId"] == form(SHOP)


def test_reading_may_lag_behind(begin: Begin) -> None:
    """With a delay permissions and IsSelfShared show each change later, in order; the oracle at once."""
    cloud = begin(delays={"share": 30}, grants={TWO: [LAB]})
    owner = Clients()
    owner.share(ONE, SHOP, BANK)
    cloud.advance(10)
    owner.share(ONE, LAB, remove=(SHOP,))
    assert channels(cloud)[ONE] == {BANK, LAB}
    assert owner.shared_with(ONE) == []
    assert owner.image(ONE)["IsSelfShared"] is False
    cloud.advance(20)
    assert owner.shared_with(ONE) == [SHOP, BANK]
    assert owner.image(ONE)["IsSelfShared"] is True
    cloud.advance(10)
    assert owner.shared_with(ONE) == [BANK, LAB]
    assert owner.shared_with(TWO) == [LAB]
    owner.share(TWO, remove=(LAB,))
    assert owner.shared_with(TWO) == [LAB]


def test_every_account_of_the_world_can_receive() -> None:
    """Management, members and outsiders are known; only ids from nowhere are not."""
    cloud = start(world())
    for account in (MANAGEMENT, SHOP, PARTNER):
        query = {"RegionId": REGION, "ImageId": ONE, "AddAccount.1": account}
        assert outcome(cloud.handle(acs3("ModifyImageSharePermission", query))) == (200, "")
    assert channels(cloud) == {ONE: {MANAGEMENT, SHOP, PARTNER}}
