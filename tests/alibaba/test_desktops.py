"""Images of Elastic Desktop Service as the adapter hands them on: nothing absent is taken for empty, ids are texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcloud.inprocess import in_process
from localcloud.server import serving
from orgshare.errors import Malformed, Refused
from orgshare.observe.images import list_regions, read_grants
from orgshare.ports import RegionalImages
from orgshare.words import Grant, Shard, desktops_of
from tests.alibaba.reaching import Canned, cloud
from tests.support.cloud import BANK, LAB, OWNER, PARTNER, REGION, SHOP, desk, start, world

SHARD = desktops_of(OWNER)
REGIONS = {"Regions": [{"RegionId": REGION}, {"RegionId": "eu-west-1"}]}
ROW = {"ImageId": "m-desk", "Name": "desk", "Status": "Available", "VolumeEncryptionEnabled": False, "SharedCount": 2}


def desktops(*answers: object, reached: Callable[[RegionalImages], Any]) -> tuple[Any, Canned]:
    """What comes of a call, given these answers after that about the regions."""
    canned = Canned(REGIONS, *answers)
    with in_process(canned):  # type: ignore[arg-type]
        return reached(cloud().desktop_images(OWNER)), canned


def test_a_row_is_read_with_its_region() -> None:
    """Only the regions of the owner that have the service are asked, each at its own host."""
    (images, unread), canned = desktops({"Images": [ROW]}, reached=lambda images: list_regions(images, SHARD))
    (image,) = images
    assert (image.id, image.name, image.region, image.shard) == ("m-desk", "desk", REGION, SHARD)
    assert (image.encrypted, image.shared_with, image.alias, image.family, unread) == (False, 2, "self", "", {})
    assert canned.hosts == ["ecd.cn-hangzhou.aliyuncs.com"] * 2
    assert canned.requests[1] == (
        "DescribeImages", {"ImageType": "CUSTOM", "MaxResults": "100", "RegionId": REGION},
    )  # fmt: skip


def test_pages_are_followed_to_the_one_without_a_token() -> None:
    """An empty token is the end as well as an absent one."""
    pages = [
        {"Images": [{**ROW, "ImageId": "m-1"}], "NextToken": "a"},
        {"Images": [{**ROW, "ImageId": "m-2"}], "NextToken": "b"},
        {"Images": [{**ROW, "ImageId": "m-3"}], "NextToken": ""},
    ]
    (images, unread), canned = desktops(*pages, reached=lambda images: list_regions(images, SHARD))
    assert ([image.id for image in images], unread) == (["m-1", "m-2", "m-3"], {})
    assert [params.get("NextToken") for _, params in canned.requests[1:]] == [None, "a", "b"]


def test_a_token_that_comes_back_is_no_end() -> None:
    """Nothing is concluded from a list that goes in a circle."""
    pages = [{"Images": [ROW], "NextToken": "a"}, {"Images": [ROW], "NextToken": "a"}]
    (images, unread), _ = desktops(*pages, reached=lambda images: list_regions(images, SHARD))
    assert images == ()
    assert list(unread) == [REGION]
    assert "goes on where an earlier one did" in unread[REGION]


@pytest.mark.parametrize("answer", [{}, {"Images": None}, {"Images": {}}, {"Images": [{"Name": "x"}]}])
def test_an_absent_list_of_images_is_no_empty_one(answer: dict[str, Any]) -> None:
    """The SDK makes an empty list of it; nor is a row without an id or a status a row."""
    (images, unread), canned = desktops(answer, reached=lambda images: list_regions(images, SHARD))
    assert (images, list(unread)) == ((), [REGION])
    assert len(canned.requests) > 2, "it is read again before it is given up"


@pytest.mark.parametrize("answer", [{}, {"AliUids": None}, {"AliUids": "nobody"}])
def test_an_absent_list_of_accounts_is_no_empty_one(answer: dict[str, Any]) -> None:
    """Whoever has the image would seem not to."""
    with pytest.raises(Malformed, match="ecd:DescribeImagePermission: the answer lacks AliUids"):
        desktops({"Images": [ROW]}, answer, reached=lambda images: read_grants(images, "m-desk"))


def test_absent_regions_are_not_none() -> None:
    """Without the regions nothing of the shard is known."""
    with in_process(Canned({})), pytest.raises(Malformed, match="the answer lacks Regions"):  # type: ignore[arg-type]
        cloud().images(SHARD)


@pytest.mark.parametrize("accounts", [[SHOP, BANK, LAB], [int(SHOP), int(BANK), int(LAB)], [int(SHOP), BANK, SHOP]])
def test_accounts_are_texts_whatever_they_come_as(accounts: list[Any]) -> None:
    """And each is there once."""
    grants, _ = desktops({"Images": [ROW]}, {"AliUids": accounts}, reached=lambda images: read_grants(images, "m-desk"))
    assert set(grants) == {Grant(str(account), "") for account in accounts}
    assert len(grants) == len({str(account) for account in accounts})


def test_more_accounts_than_a_page_has_are_all_read() -> None:
    """The service has no pages; the quota may have been raised."""
    accounts = [str(4000000000000000 + number) for number in range(250)]
    grants, _ = desktops({"Images": [ROW]}, {"AliUids": accounts}, reached=lambda images: read_grants(images, "m-desk"))
    assert [grant.account for grant in grants] == accounts


def test_accounts_are_sent_as_integers_to_the_region_of_the_image() -> None:
    """At most ten of each; more in one call is a defect of the caller."""

    def share(images: RegionalImages) -> None:
        images.share("m-desk", add=[SHOP, BANK], remove=[LAB])
        with pytest.raises(ValueError, match="at most 10 of each"):
            images.share("m-desk", add=[str(number) for number in range(11)], remove=())

    _, canned = desktops({"Images": [ROW]}, {"RequestId": "r"}, reached=share)
    assert canned.requests[-1] == (
        "ModifyImagePermission",
        {"AddAccount.1": SHOP, "AddAccount.2": BANK, "ImageId": "m-desk", "RegionId": REGION, "RemoveAccount.1": LAB},
    )


def test_an_image_that_is_nowhere_is_not_shared() -> None:
    """No call is made for what no region has."""

    def share(images: RegionalImages) -> None:
        assert images.image("m-gone") is None
        with pytest.raises(Refused, match="m-gone is in no region of eds/"):
            images.share("m-gone", add=[SHOP], remove=())

    _, canned = desktops({"Images": []}, reached=share)
    assert {action for action, _ in canned.requests} == {"DescribeRegions", "DescribeImages"}


def test_everything_works_through_a_socket() -> None:
    """Regions, images, grants and sharing, with the SDK's own endpoint rules, through the proxy."""
    images = {f"m-desk{n}": desk(f"desk{n}") for n in range(3)}
    local = start(world(images=images, grants={"m-desk0": [LAB]}))
    with serving(local) as url:
        reached = cloud(url=url).desktop_images(OWNER)
        assert reached.regions() == (REGION,)
        found, unread = list_regions(reached, SHARD)
        assert ([image.id for image in found], unread) == (sorted(images), {})
        for image in found:
            reached.share(image.id, add=[SHOP, BANK, PARTNER], remove=[LAB] if image.id == "m-desk0" else [])
            assert {grant.account for grant in read_grants(reached, image.id)} == {SHOP, BANK, PARTNER}
        assert (reached.image("m-desk1") or found[1]).shared_with == 3
        assert reached.visible_image("m-nowhere") is None
    assert local.users() == dict.fromkeys(images, frozenset({SHOP, BANK, PARTNER}))


@pytest.mark.parametrize("text", ["eds/1/cn-hangzhou", "ecs/1/all", "eds//all", "rds/1/all", "eds/1"])
def test_a_shard_of_the_service_has_all_regions_and_no_other_has(text: str) -> None:
    """Its name is read back, and nothing else is one."""
    assert Shard.parse(str(SHARD)) == SHARD
    with pytest.raises(ValueError, match="expected ecs/OWNER/REGION or eds/OWNER/all"):
        Shard.parse(text)
