"""What DescribeImages and DescribeRegions show, to whom, and in which portions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models

from localcloud import LocalCloud
from tests.support.cloud import (
    BANK,
    FAR,
    ONE,
    OWNER,
    PARTNER,
    REGION,
    SHOP,
    THREE,
    TWO,
    Clients,
    acs3,
    answered,
    image,
    outcome,
    refused,
    start,
)

Begin = Callable[..., LocalCloud]

STATUSES = ["Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated"]


def test_only_available_images_are_shown_unless_a_status_is_asked_for(begin: Begin) -> None:
    """The default is Available; a list of statuses and ALL show the others."""
    begin(images={f"m-{status}": image(status, status=status) for status in STATUSES})
    owner = Clients()
    assert owner.images() == ["m-Available"]
    assert owner.images(status="Deprecated,Creating") == ["m-Creating", "m-Deprecated"]
    assert owner.images(status="ALL") == sorted(f"m-{status}" for status in STATUSES)


def test_a_status_that_does_not_exist_is_refused(owner: Clients) -> None:
    """An unknown status is no empty list; ALL stands alone."""
    for status in ("available", "Available,Gone", "ALL,Available"):
        with refused("InvalidParameter", 400):
            owner.images(status=status)


def test_usable_needs_a_status(begin: Begin) -> None:
    """Usable filters by availability and requires Status."""
    begin(images={f"m-{status}": image(status, status=status) for status in STATUSES})
    assert Clients().images(status="ALL", usable=True) == ["m-Available"]
    assert "m-Available" not in Clients().images(status="ALL", usable=False)
    with refused("MissingParameter", 400):
        Clients().images(usable=True)


@pytest.fixture
def mixed(begin: Begin) -> LocalCloud:
    """Images of several owners and kinds in two regions."""
    return begin(
        images={
            ONE: image("one"),
            TWO: image("two"),
            THREE: image("three"),
            "m-far": image("far", region=FAR),
            "m-shop": image("shop", owner=SHOP),
            "m-shop2": image("shop2", owner=SHOP),
            "m-bank": image("bank", owner=BANK),
            "m-community": image("community", owner=SHOP, public=True),
            "m-system": image("system", owner="system"),
            "m-market": image("market", owner="marketplace", product_code="cm1"),
        },
        grants={ONE: [SHOP, BANK], TWO: [BANK], "m-far": [BANK], "m-shop": [OWNER, BANK], "m-community": [BANK]},
    )


@pytest.mark.usefixtures("mixed")
def test_the_owner_alias_decides_whose_images_are_shown() -> None:
    """Self, others, system, marketplace and nothing each have their own meaning, in one region."""
    owner, bank = Clients(), Clients(BANK)
    assert owner.images(image_owner_alias="self") == [ONE, THREE, TWO]
    assert owner.images(image_owner_alias="others") == ["m-shop"]
    assert owner.images(image_owner_alias="system") == ["m-system"]
    assert owner.images(image_owner_alias="marketplace") == ["m-market"]
    assert owner.images() == [ONE, "m-shop", "m-system", THREE, TWO]
    assert bank.images(image_owner_alias="others") == ["m-community", ONE, "m-shop", TWO]
    assert Clients(BANK, region=FAR).images(image_owner_alias="others") == ["m-far"]
    assert Clients(PARTNER).images() == ["m-system"]


@pytest.mark.usefixtures("mixed")
def test_community_images_are_shown_to_everybody_who_asks_for_them() -> None:
    """IsPublic with others shows community images of other accounts; with any other alias it is refused."""
    assert Clients(PARTNER).images(image_owner_alias="others", is_public=True) == ["m-community"]
    assert Clients(SHOP).images(image_owner_alias="others", is_public=True) == []
    assert Clients(PARTNER).images(image_owner_alias="others", is_public=True, image_owner_id=int(BANK)) == []
    with refused("InvalidImageOwnerAlias.PublicImageUnsupported", 400):
        Clients(SHOP).images(image_owner_alias="self", is_public=True)
    with refused("InvalidImageOwnerAlias.ValueNotSupported", 400):
        Clients().images(image_owner_alias="mine")


@pytest.mark.usefixtures("mixed")
def test_an_owner_id_narrows_what_is_shared_with_me() -> None:
    """ImageOwnerId works for shared and community images only."""
    assert Clients(BANK).images(image_owner_alias="others", image_owner_id=int(SHOP)) == ["m-community", "m-shop"]
    with refused("InvalidOperation.ImageOwnerIdUnsupported", 400):
        Clients().images(image_owner_id=int(SHOP))


@pytest.mark.usefixtures("mixed")
def test_an_image_of_another_account_is_not_there() -> None:
    """By id one finds what one owns or has received, else nothing, and no error."""
    assert Clients().images(image_id=ONE) == [ONE]
    assert Clients().images(image_id="m-shop") == ["m-shop"]
    assert Clients().images(image_id="m-shop", image_owner_alias="self") == []
    assert Clients().images(image_id="m-bank") == []
    assert Clients().images(image_id="m-far") == []
    assert Clients().images(image_id="m-nowhere") == []


@pytest.mark.usefixtures("mixed")
def test_a_row_says_whose_image_it_is() -> None:
    """The alias and the owner id, a number, tell own images from received ones."""
    assert (Clients().image(ONE)["ImageOwnerAlias"], Clients().image(ONE)["ImageOwnerId"]) == ("self", int(OWNER))
    row = Clients(BANK).image(ONE)
    assert (row["ImageOwnerAlias"], row["ImageOwnerId"], row["IsSelfShared"]) == ("others", int(OWNER), False)
    assert "ImageOwnerId" not in Clients().image("m-system")


def test_a_row_has_every_field(begin: Begin) -> None:
    """The whole row of an own image, as a client reads it from the JSON."""
    fields = {"family": "linux", "description": "words", "version": "2", "size": 60, "product_code": "cm1"}
    cloud = begin(images={ONE: image("one", **fields), TWO: image("two", os_type="windows"), THREE: image("three")})
    answer = answered(cloud.handle(acs3("DescribeImages", {"RegionId": REGION})))
    row, windows = (next(one for one in answer["Images"]["Image"] if one["ImageId"] == wanted) for wanted in (ONE, TWO))
    assert row == {
        "ImageId": ONE,
        "ImageName": "one",
        "ImageFamily": "linux",
        "ImageVersion": "2",
        "Description": "words",
        "Status": "Available",
        "Progress": "100%",
        "Usable": True,
        "Size": 60,
        "Architecture": "x86_64",
        "OSName": "Linux x86_64",
        "OSNameEn": "Linux x86_64",
        "OSType": "linux",
        "Platform": "Others Linux",
        "BootMode": "BIOS",
        "CreationTime": "2026-11-21T12:00:00Z",
        "ImageOwnerAlias": "self",
        "ImageOwnerId": int(OWNER),
        "IsCopied": False,
        "IsPublic": False,
        "IsSelfShared": False,
        "IsSubscribed": False,
        "IsSupportCloudinit": True,
        "IsSupportIoOptimized": True,
        "LoginAsNonRootSupported": False,
        "ProductCode": "cm1",
        "ResourceGroupId": "",
        "Usage": "none",
        "DiskDeviceMappings": {
            "DiskDeviceMapping": [
                {
                    "Device": "/dev/xvda",
                    "Type": "system",
                    "SnapshotId": "s-one",
                    "Size": "60",
                    "Format": "",
                    "Progress": "100%",
                    "ImportOSSBucket": "",
                    "ImportOSSObject": "",
                }
            ]
        },
        "Tags": {"Tag": []},
    }
    assert (windows["OSName"], windows["Platform"]) == ("Windows Server x86_64", "Windows Server")


def test_tags_and_resource_group_are_the_owners_affair(begin: Begin) -> None:
    """Who has received an image sees neither, and cannot find it by them."""
    begin(images={ONE: image("one", tags={"a": "1"}, resource_group="rg-1")}, grants={ONE: [BANK]})
    assert Clients().image(ONE)["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "1"}]
    assert Clients().image(ONE)["ResourceGroupId"] == "rg-1"
    row = Clients(BANK).image(ONE)
    assert (row["Tags"]["Tag"], row["ResourceGroupId"]) == ([], "")
    tag = ecs_models.DescribeImagesRequestTag(key="a")
    assert Clients().images(tag=[tag], resource_group_id="rg-1") == [ONE]
    assert Clients(BANK).images(tag=[tag]) == []
    assert Clients(BANK).images(resource_group_id="rg-1") == []


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"image_name": "golden"}, ["m-a", "m-b"]),
        ({"image_name": "golden-*-x"}, ["m-a"]),
        ({"image_name": "Golden"}, []),
        ({"image_family": "linux"}, ["m-a", "m-c"]),
        ({"snapshot_id": "s-b"}, ["m-b"]),
        ({"ostype": "windows"}, ["m-b"]),
        ({"ostype": "linux"}, ["m-a", "m-c"]),
        ({"architecture": "arm64"}, ["m-c"]),
        ({"architecture": "x86_64"}, ["m-a", "m-b"]),
        ({"usage": "instance"}, []),
        ({"usage": "none"}, ["m-a", "m-b", "m-c"]),
        ({"is_support_io_optimized": False}, []),
        ({"is_support_io_optimized": True}, ["m-a", "m-b", "m-c"]),
        ({"is_support_cloudinit": False}, []),
        ({"resource_group_id": "rg-1"}, ["m-c"]),
        ({"instance_type": "ecs.g6.large"}, ["m-a", "m-b", "m-c"]),
        ({"action_type": "ChangeOS", "show_expired": True}, ["m-a", "m-b", "m-c"]),
        ({"filter": [("CreationStartTime", "2026-02-01T00:00Z")]}, ["m-b", "m-c"]),
        ({"filter": [("CreationEndTime", "2026-02-01T00:00Z")]}, ["m-a", "m-b"]),
        ({"filter": [("NetworkType", "vpc"), ("CpuOnlineUpgrade", "unsupported")]}, []),
    ],
)
def test_each_filter_narrows_the_list(begin: Begin, query: dict[str, Any], shown: list[str]) -> None:
    """Every documented filter does what its name says."""
    begin(
        images={
            "m-a": image("golden-1-x", family="linux", created="2026-01-01T00:00:00Z"),
            "m-b": image("golden-2", os_type="windows", created="2026-02-01T00:00:00Z"),
            "m-c": image("other", family="linux", architecture="arm64", resource_group="rg-1"),
        }
    )
    pairs = query.pop("filter", [])
    query["filter"] = [ecs_models.DescribeImagesRequestFilter(key=key, value=value) for key, value in pairs]
    assert Clients().images(**query) == shown


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ({"OSType": "linus"}, "InvalidOSType", 404),
        ({"Usage": "all"}, "InvalidUsage", 404),
        ({"Architecture": "mips"}, "InvalidArchitecture", 404),
        ({"ActionType": "Other"}, "InvalidParamter", 400),
        ({"InstanceType": "g6"}, "InvalidInstanceType.ValueNotSupported", 400),
        ({"Filter.1.Key": "Colour", "Filter.1.Value": "x"}, "InvalidFilterKey.NotFound", 404),
        ({"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "x"}, "InvalidFilterValue", 404),
        ({"Filter.1.Key": "NetworkType", "Filter.1.Value": "x"}, "InvalidFilterValue.NetworkType", 400),
        ({"Filter.1.Key": "CpuOnlineUpgrade", "Filter.1.Value": "x"}, "InvalidFilterValue", 404),
        ({"Tag.1.Value": "x"}, "InvalidTag.Mismatch", 400),
        ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "InvalidTagCount", 400),
        ({"IsPublic": "maybe"}, "InvalidParameter", 400),
        ({"PageSize": "101"}, "InvalidParameter", 400),
        ({"PageSize": "0"}, "InvalidParameter", 400),
        ({"PageNumber": "0"}, "InvalidParameter", 400),
        ({"PageNumber": "one"}, "InvalidParameter", 400),
        ({"DryRun": "true"}, "DryRunOperation", 400),
        ({"RegionId": "mars-1"}, "InvalidRegionId.NotFound", 404),
    ],
)
def test_a_value_that_is_not_documented_is_refused(query: dict[str, str], code: str, status: int) -> None:
    """Odd values are errors with their own codes, never an empty list."""
    assert outcome(start().handle(acs3("DescribeImages", {"RegionId": REGION, **query}))) == (status, code)


def test_tags_are_joined_with_and(begin: Begin) -> None:
    """An image is shown when it has all tags asked for; a tag without a value asks for the key."""
    begin(
        images={
            ONE: image("one", tags={"a": "1", "b": "2"}),
            TWO: image("two", tags={"a": "1"}),
            THREE: image("three", tags={"a": "2", "b": "2"}),
        }
    )

    def tagged(*tags: tuple[str, str | None]) -> list[str]:
        return Clients().images(tag=[ecs_models.DescribeImagesRequestTag(key=key, value=value) for key, value in tags])

    assert tagged(("a", "1")) == [ONE, TWO]
    assert tagged(("a", "1"), ("b", "2")) == [ONE]
    assert tagged(("b", None)) == [ONE, THREE]


def test_pages_hold_ten_rows_and_never_overlap(begin: Begin) -> None:
    """Without a size a page has ten rows; all pages together are everything once, past the end there is nothing."""
    ids = [f"m-{number:03d}" for number in range(25)]
    cloud = begin(images={one: image(one) for one in ids})

    def page(**query: str) -> dict[str, Any]:
        return answered(cloud.handle(acs3("DescribeImages", {"RegionId": REGION, **query})))

    first = page()
    assert (first["PageNumber"], first["PageSize"], first["TotalCount"]) == (1, 10, 25)
    found = [row["ImageId"] for n in (1, 2, 3) for row in page(PageNumber=str(n))["Images"]["Image"]]
    assert found == ids
    assert page(PageNumber="4")["Images"]["Image"] == []
    assert len(page(PageSize="100")["Images"]["Image"]) == 25


def test_images_of_many_owners_stay_apart(begin: Begin) -> None:
    """An owner's list has its own images of that region only."""
    images = {
        f"m-{o}-{r}-{n}": image(f"{n}", owner=o, region=r)
        for o in (OWNER, SHOP, BANK)
        for r in (REGION, FAR)
        for n in range(3)
    }
    begin(images=images)
    for account in (OWNER, SHOP, BANK):
        for region in (REGION, FAR):
            shown = Clients(account, region=region).images(image_owner_alias="self")
            assert shown == [f"m-{account}-{region}-{n}" for n in range(3)]


@pytest.mark.parametrize(("switch", "shared", "alone"), [("bool", True, False), ("string", "true", "False")])
def test_is_self_shared_has_several_forms(begin: Begin, switch: str, shared: object, alone: object) -> None:
    """The field is a boolean or a text in either case, by a switch."""
    cloud = begin(grants={ONE: [BANK], TWO: [BANK, SHOP]}, switches={"is_self_shared": switch})
    rows = {
        row["ImageId"]: row
        for row in answered(cloud.handle(acs3("DescribeImages", {"RegionId": REGION})))["Images"]["Image"]
    }
    assert [rows[one]["IsSelfShared"] for one in (ONE, TWO, THREE)] == [shared, shared, alone]


def test_is_self_shared_may_be_absent(begin: Begin) -> None:
    """The field can be left out altogether."""
    cloud = begin(grants={ONE: [BANK]}, switches={"is_self_shared": "absent"})
    rows = answered(cloud.handle(acs3("DescribeImages", {"RegionId": REGION})))["Images"]["Image"]
    assert all("IsSelfShared" not in row for row in rows)


@pytest.mark.parametrize("shown", [True, False])
def test_encryption_of_a_disk_is_shown_by_a_switch(begin: Begin, shown: bool) -> None:
    """DiskDeviceMapping.Encrypted is a preview, so it is there only where a switch says so."""
    begin(images={ONE: image("one", encryption="cmk"), TWO: image("two")}, switches={"disk_encryption_shown": shown})
    disks = [Clients().image(one)["DiskDeviceMappings"]["DiskDeviceMapping"][0] for one in (ONE, TWO)]
    assert [disk.get("Encrypted") for disk in disks] == ([True, False] if shown else [None, None])


def test_regions_are_those_of_the_world(begin: Begin) -> None:
    """DescribeRegions lists the world's regions with their hosts; it needs no RegionId."""
    begin(regions=[REGION, FAR], images={})
    body = Clients().ecs.describe_regions(ecs_models.DescribeRegionsRequest(accept_language="en-US")).body.to_map()
    assert body["Regions"]["Region"] == [
        {
            "RegionId": REGION,
            "RegionEndpoint": "ecs.cn-hangzhou.aliyuncs.com",
            "LocalName": "China (Hangzhou)",
            "Status": "available",
        },
        {
            "RegionId": FAR,
            "RegionEndpoint": "ecs.ap-southeast-1.aliyuncs.com",
            "LocalName": "Singapore",
            "Status": "available",
        },
    ]
    chinese = Clients().ecs.describe_regions(ecs_models.DescribeRegionsRequest()).body.regions.region
    assert [region.local_name[:2] for region in chinese] == ["华东", "新加"]


def test_regions_need_no_region() -> None:
    """DescribeRegions is answered where neither parameter nor host names a region."""
    assert outcome(start().handle(acs3("DescribeRegions", host="ecs.aliyuncs.com"))) == (200, "")


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ({"AcceptLanguage": "tlh"}, "InvalidAcceptLanguage.NotFound", 404),
        ({"InstanceChargeType": "Free"}, "Invalid.InstanceChargeType", 403),
        ({"ResourceType": "image"}, "InvalidResourceType.NotFound", 404),
    ],
)
def test_regions_refuse_what_is_not_documented(query: dict[str, str], code: str, status: int) -> None:
    """Each parameter of DescribeRegions has its own code for an unknown value."""
    assert outcome(start().handle(acs3("DescribeRegions", query))) == (status, code)
