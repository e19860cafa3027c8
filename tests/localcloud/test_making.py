"""Making, copying, deleting and tagging images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models

from localcloud import LocalCloud
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    ONE,
    OWNER,
    REGION,
    SHOP,
    THREE,
    TWO,
    Clients,
    acs3,
    answered,
    channels,
    image,
    outcome,
    refused,
    start,
)

Begin = Callable[..., LocalCloud]


def create(clients: Clients, name: str, **more: Any) -> str:
    request = ecs_models.CreateImageRequest(region_id=clients.region, image_name=name, **{"instance_id": "i-1", **more})
    return str(clients.ecs.create_image(request).body.image_id)


def copy(clients: Clients, source: str, to: str = FAR, name: str | None = None, **more: Any) -> str:
    request = ecs_models.CopyImageRequest(
        region_id=clients.region, image_id=source, destination_region_id=to, destination_image_name=name, **more
    )
    return str(clients.ecs.copy_image(request).body.image_id)


def delete(clients: Clients, image_id: str, **more: Any) -> None:
    clients.ecs.delete_image(ecs_models.DeleteImageRequest(region_id=clients.region, image_id=image_id, **more))


def tag(clients: Clients, *image_ids: str, **tags: str) -> None:
    clients.ecs.tag_resources(
        ecs_models.TagResourcesRequest(
            region_id=clients.region,
            resource_type="image",
            resource_id=list(image_ids),
            tag=[ecs_models.TagResourcesRequestTag(key=key, value=value) for key, value in tags.items()],
        )
    )


def tags_of(clients: Clients, image_id: str) -> dict[str, str]:
    return {row["TagKey"]: row["TagValue"] for row in clients.image(image_id)["Tags"]["Tag"]}


def test_a_new_image_is_creating_until_its_time_has_come(begin: Begin) -> None:
    """CreateImage answers at once, and the image becomes Available after the delay."""
    cloud = begin(delays={"image": 120})
    owner = Clients()
    made = create(owner, "fresh", image_family="linux", description="a new one")
    assert made not in owner.images()
    assert (owner.image(made)["Status"], owner.image(made)["Progress"]) == ("Creating", "0%")
    cloud.advance(60)
    assert (owner.image(made)["Status"], owner.image(made)["Progress"]) == ("Creating", "50%")
    with refused("IncorrectImageStatus", 400):
        owner.share(made, SHOP)
    cloud.advance(60)
    row = owner.image(made)
    assert (row["Status"], row["Progress"], row["Usable"]) == ("Available", "100%", True)
    assert (row["ImageName"], row["ImageFamily"], row["Description"]) == ("fresh", "linux", "a new one")
    owner.share(made, SHOP)
    assert channels(cloud) == {made: {SHOP}}


@pytest.mark.usefixtures("cloud")
def test_without_a_delay_an_image_is_there_at_once(owner: Clients) -> None:
    """The usual world has no delays."""
    made = create(owner, "fresh")
    assert sorted(owner.images()) == sorted([ONE, TWO, THREE, made])


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ({}, "MissingParameter", 400),
        ({"InstanceId": "x-1"}, "InvalidInstanceId.NotFound", 404),
        ({"SnapshotId": "x-1"}, "InvalidSnapshotId.NotFound", 404),
        ({"InstanceId": "i-1", "ImageName": "one"}, "InvalidImageName.Duplicated", 400),
        ({"InstanceId": "i-1", "ImageName": "1x"}, "InvalidImageName.Malformed", 400),
        ({"InstanceId": "i-1", "ImageName": "acs:x"}, "InvalidImageName.Malformed", 400),
        ({"InstanceId": "i-1", "ImageFamily": "?"}, "InvalidImageFamily.Malformed", 400),
        ({"InstanceId": "i-1", "Description": "x"}, "InvalidDescription.Malformed", 400),
        ({"InstanceId": "i-1", "Architecture": "mips"}, "InvalidArchitecture.Malformed", 400),
        ({"InstanceId": "i-1", "Tag.1.Key": "acs:x"}, "InvalidTagKey.Malformed", 400),
        ({"InstanceId": "i-1", "DryRun": "true"}, "DryRunOperation", 400),
    ],
)
def test_an_image_that_cannot_be_made(query: dict[str, str], code: str, status: int) -> None:
    """Each reason has its documented code, and nothing is made."""
    cloud = start()
    assert outcome(cloud.handle(acs3("CreateImage", {"RegionId": REGION, **query}))) == (status, code)
    assert set(cloud.world().images) == {ONE, TWO, THREE}


def test_a_snapshot_or_disks_make_an_image_too(cloud: LocalCloud) -> None:
    """One of instance, snapshot and disk mapping is enough; a name is made up where none is given."""
    for query in ({"SnapshotId": "s-1"}, {"DiskDeviceMapping.1.SnapshotId": "s-1", "ImageName": "disks"}):
        assert outcome(cloud.handle(acs3("CreateImage", {"RegionId": REGION, **query}))) == (200, "")
    assert len(cloud.world().images) == 5


def test_a_client_token_makes_one_image_only(cloud: LocalCloud, owner: Clients) -> None:
    """The same request under the same token answers with the same image, another one is refused."""
    first = create(owner, "fresh", client_token="t1")
    assert create(owner, "fresh", client_token="t1") == first
    with refused("IdempotenceParamNotMatch", 400):
        create(owner, "other", client_token="t1")
    copied = copy(owner, ONE, client_token="t1")
    assert copy(owner, ONE, client_token="t1") == copied
    assert len(cloud.world().images) == 5


def test_a_copy_is_another_image_without_the_shares(begin: Begin) -> None:
    """CopyImage makes a new id in the other region; shares, name and tags stay behind."""
    cloud = begin(images={ONE: image("one", tags={"a": "1"}), TWO: image("two")}, grants={ONE: [SHOP, BANK]})
    copied = copy(Clients(), ONE, name="copied")
    far = Clients(region=FAR)
    assert far.images() == [copied]
    assert copied not in Clients().images()
    row = far.image(copied)
    assert (row["ImageName"], row["IsCopied"], row["IsSelfShared"], row["Tags"]["Tag"]) == ("copied", True, False, [])
    assert channels(cloud) == {ONE: {SHOP, BANK}}


def test_five_copies_run_at_once_and_the_rest_wait(begin: Begin) -> None:
    """Of seven copies into one region two are Waiting until a place is free; another region has its own places."""
    names = [f"m-{number}" for number in range(7)]
    cloud = begin(images={one: image(one) for one in names}, delays={"image": 100})
    owner, far = Clients(), Clients(region=FAR)
    copies = []
    for number, one in enumerate(names):
        copies.append(copy(owner, one, name=f"copy-{one}"))
        cloud.advance(10 if number == 0 else 0)
    elsewhere = copy(owner, names[0], to="eu-west-1")

    def statuses() -> list[str]:
        return [far.image(one)["Status"] for one in copies]

    assert statuses() == ["Creating"] * 5 + ["Waiting"] * 2
    assert Clients(region="eu-west-1").image(elsewhere)["Status"] == "Creating"
    cloud.advance(90)
    assert statuses() == ["Available"] + ["Creating"] * 5 + ["Waiting"]
    cloud.advance(10)
    assert statuses() == ["Available"] * 5 + ["Creating"] * 2
    cloud.advance(100)
    assert statuses() == ["Available"] * 7


def test_a_copy_under_way(begin: Begin) -> None:
    """The same copy cannot be begun again and the new image cannot be deleted until it is done."""
    cloud = begin(delays={"image": 60})
    owner, far = Clients(), Clients(region=FAR)
    copied = copy(owner, ONE, name="copied")
    with refused("OperationDenied.ImageCopyConflict", 400):
        copy(owner, ONE, name="again")
    with refused("OperationDenied.ImageCopying", 403):
        delete(far, copied)
    copy(owner, TWO, name="another")
    cloud.advance(60)
    delete(far, copied)
    assert copied not in far.images()


@pytest.mark.parametrize(
    ("more", "encryption"),
    [({}, "none"), ({"encrypted": True}, "service-key"), ({"encrypted": True, "kmskey_id": "key-1"}, "cmk")],
)
def test_a_copy_may_be_encrypted(cloud: LocalCloud, owner: Clients, more: dict[str, Any], encryption: str) -> None:
    """With a key it is a customer's, without one the service's; that is how a service key is got rid of."""
    copied = copy(owner, ONE, **more)
    assert cloud.world().images[copied].encryption == encryption


def test_a_received_image_is_copied_within_its_region_only(begin: Begin) -> None:
    """Who has received an image copies it in the same region, and owns the copy."""
    cloud = begin(
        images={ONE: image("one"), TWO: image("two", public=True), THREE: image("three")}, grants={ONE: [SHOP, BANK]}
    )
    shop = Clients(SHOP)
    with refused("OperationDenied.SameRegionOnly", 403):
        copy(shop, ONE)
    copied = copy(shop, ONE, to=REGION)
    assert cloud.world().images[copied].owner == SHOP
    with refused("InvalidImageId.NotFound", 404):
        copy(shop, THREE)
    for clients in (shop, Clients()):
        with refused("OperationDenied.CommunityImage", 400):
            copy(clients, TWO)


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ({}, "MissingParameter", 400),
        ({"ImageId": "m-nowhere"}, "InvalidImageId.NotFound", 404),
        ({"ImageId": ONE, "DestinationRegionId": "mars-1"}, "DestinationRegion.NotFound", 400),
        ({"ImageId": ONE, "KMSKeyId": "k"}, "InvalidEncrypted.NotMatchKmsKeyId", 400),
        ({"ImageId": ONE, "EncryptAlgorithm": "sm4"}, "InvalidEncrypted.NotMatchEncryptAlgorithm", 400),
        ({"ImageId": ONE, "DestinationImageName": "two"}, "InvalidImageName.Duplicated", 400),
        ({"ImageId": ONE, "DestinationImageName": "http://x"}, "InvalidImageName.Malformed", 400),
        ({"ImageId": ONE, "DestinationDescription": "x"}, "InvalidDescription.Malformed", 400),
        ({"ImageId": "m-old"}, "IncorrectImageStatus", 400),
        ({"ImageId": ONE, "DryRun": "true"}, "DryRunOperation", 400),
    ],
)
def test_a_copy_that_cannot_be_made(begin: Begin, query: dict[str, str], code: str, status: int) -> None:
    """Each reason has its documented code, and nothing is made."""
    cloud = begin(images={ONE: image("one"), TWO: image("two"), "m-old": image("old", status="Deprecated")})
    assert outcome(cloud.handle(acs3("CopyImage", {"RegionId": REGION, **query}))) == (status, code)
    assert len(cloud.world().images) == 3


def test_a_shared_image_is_not_deleted(begin: Begin) -> None:
    """Deleting is refused while anybody has the image, Force or not; other images go."""
    cloud = begin(grants={ONE: [SHOP, BANK], TWO: [SHOP]})
    owner = Clients()
    with refused("ImageUseShared", 403):
        delete(owner, ONE)
    with refused("ImageUseShared", 403):
        delete(owner, ONE, force=True)
    owner.share(ONE, remove=(SHOP,))
    with refused("ImageUseShared", 403):
        delete(owner, ONE)
    owner.share(ONE, remove=(BANK,))
    delete(owner, ONE)
    assert owner.images() == [THREE, TWO]
    assert Clients(SHOP).images() == [TWO]
    assert channels(cloud) == {TWO: {SHOP}}


def test_what_else_keeps_an_image(begin: Begin) -> None:
    """Community images, other accounts' images and missing ones are not deleted."""
    cloud = begin(images={ONE: image("one", public=True), TWO: image("two", owner=SHOP), THREE: image("three")})
    with refused("ImageIsPublic", 403):
        delete(Clients(), ONE)
    for image_id in (TWO, "m-nowhere"):
        with refused("InvalidImageId.NotFound", 404):
            delete(Clients(), image_id)
    with refused("DryRunOperation", 400):
        delete(Clients(), THREE, dry_run=True)
    assert len(cloud.world().images) == 3


@pytest.mark.usefixtures("cloud")
def test_tags_come_and_go(owner: Clients) -> None:
    """Tagging adds and overwrites on every named image, untagging removes keys or all."""
    tag(owner, ONE, TWO, a="1", b="2")
    tag(owner, TWO, THREE, a="3")
    assert [tags_of(owner, one) for one in (ONE, TWO, THREE)] == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "2"},
        {"a": "3"},
    ]
    untag = ecs_models.UntagResourcesRequest
    kind = {"region_id": REGION, "resource_type": "image"}
    owner.ecs.untag_resources(untag(**kind, resource_id=[ONE, TWO], tag_key=["a"]))
    assert [tags_of(owner, one) for one in (ONE, TWO, THREE)] == [{"b": "2"}, {"b": "2"}, {"a": "3"}]
    owner.ecs.untag_resources(untag(**kind, resource_id=[TWO, THREE], all=True))
    assert [tags_of(owner, one) for one in (ONE, TWO, THREE)] == [{"b": "2"}, {}, {}]


def test_tags_are_listed_fifty_rows_at_a_time(begin: Begin) -> None:
    """ListTagResources pages with a token that is empty at the end, and shows own images only."""
    tags = {f"k{number:02d}": "v" for number in range(20)}
    images = {f"m-{number}": image(f"{number}", tags=tags) for number in range(6)}
    begin(images={**images, "m-shop": image("shop", owner=SHOP, tags=tags)})
    found: list[str] = []
    sizes: list[int] = []
    token: str | None = None
    while token != "":
        request = ecs_models.ListTagResourcesRequest(
            region_id=REGION,
            resource_type="image",
            next_token=token,
            tag=[ecs_models.ListTagResourcesRequestTag(key="k00")],
        )
        body = Clients().ecs.list_tag_resources(request).body.to_map()
        found += [row["ResourceId"] for row in body["TagResources"]["TagResource"]]
        sizes.append(len(body["TagResources"]["TagResource"]))
        token = body["NextToken"]
    assert sorted(set(found)) == sorted(images)
    assert sizes == [50, 50, 20]


@pytest.mark.parametrize(
    ("action", "query", "code", "status"),
    [
        ("TagResources", {"ResourceId.1": ONE}, "MissingParameter.Tags", 404),
        ("TagResources", {"Tag.1.Key": "a"}, "MissingParameter.ResourceIds", 404),
        ("TagResources", {"ResourceType": ""}, "MissingParameter.ResourceType", 404),
        ("TagResources", {"ResourceType": "bike"}, "InvalidResourceType.NotFound", 404),
        ("TagResources", {"ResourceType": "disk"}, "UnsupportedParameter", 400),
        ("TagResources", {f"ResourceId.{n}": ONE for n in range(1, 52)}, "NumberExceed.ResourceIds", 400),
        (
            "TagResources",
            {"ResourceId.1": ONE, **{f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}},
            "NumberExceed.Tags",
            400,
        ),
        ("TagResources", {"ResourceId.1": ONE, "Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ("TagResources", {"ResourceId.1": ONE, "Tag.1.Key": "aliyun1"}, "InvalidTagKey.Malformed", 400),
        (
            "TagResources",
            {"ResourceId.1": ONE, "Tag.1.Key": "a", "Tag.1.Value": "acs:1"},
            "InvalidTagValue.Malformed",
            400,
        ),
        ("TagResources", {"ResourceId.1": "m-nowhere", "Tag.1.Key": "a"}, "InvalidResourceId.NotFound", 404),
        (
            "TagResources",
            {"ResourceId.1": ONE, "ResourceId.2": "m-full", "Tag.1.Key": "new"},
            "OperationDenied.QuotaExceed",
            400,
        ),
        ("UntagResources", {"ResourceId.1": ONE}, "MissingParameter.Tags", 404),
        ("UntagResources", {"ResourceId.1": ONE, "All": "true", "TagKey.1": "a"}, "Param.Conflict", 403),
        ("ListTagResources", {}, "BothEmpty.TagsAndResources", 403),
        ("ListTagResources", {"ResourceId.1": "m-nowhere"}, "InvalidResourceId.NotFound", 404),
        ("ListTagResources", {"ResourceId.1": ONE, "NextToken": "x"}, "Invalid.NextToken", 403),
    ],
)
def test_tag_calls_that_are_refused(begin: Begin, action: str, query: dict[str, str], code: str, status: int) -> None:
    """Each reason has its documented code, and no image is tagged."""
    cloud = begin(
        images={ONE: image("one"), TWO: image("two"), "m-full": image("full", tags={f"k{n}": "" for n in range(20)})}
    )
    query = {"RegionId": REGION, "ResourceType": "image", **query}
    assert outcome(cloud.handle(acs3(action, query))) == (status, code)
    assert cloud.world().images[ONE].tags == {}


@pytest.mark.parametrize("action", ["TagResources", "UntagResources", "ListTagResources"])
def test_tag_calls_have_their_own_code_for_a_missing_region(action: str) -> None:
    """Where neither the parameter nor the host names a region, the tag calls say MissingParameter.RegionId."""
    request = acs3(action, {"ResourceType": "image"}, host="ecs.aliyuncs.com")
    assert outcome(start().handle(request)) == (404, "MissingParameter.RegionId")


def test_only_the_owner_tags_an_image(begin: Begin) -> None:
    """Who has received an image cannot tag it."""
    begin(grants={ONE: [LAB]})
    with refused("InvalidResourceId.NotFound", 404):
        tag(Clients(LAB), ONE, a="1")


def test_listing_by_image(begin: Begin) -> None:
    """ListTagResources for named images gives exactly their rows."""
    cloud = begin(
        images={ONE: image("one", tags={"a": "1"}), TWO: image("two", tags={"b": "2"}), THREE: image("three")}
    )
    query = {"RegionId": REGION, "ResourceType": "image", "ResourceId.1": ONE, "ResourceId.2": THREE}
    answer = answered(cloud.handle(acs3("ListTagResources", query)))
    assert answer["TagResources"]["TagResource"] == [
        {"ResourceType": "image", "ResourceId": ONE, "TagKey": "a", "TagValue": "1"}
    ]
    assert answer["NextToken"] == ""
    assert cloud.world().images[ONE].owner == OWNER
