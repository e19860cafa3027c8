"""Resource shares as their owner sees them: the calls, what they refuse, and how rows and shares change with time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_resourcesharing20200110 import models as rs

from localcloud import LocalCloud, ManualClock
from tests.support.cloud import (
    BANK,
    FAR,
    INSIDE,
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
    all_three,
    by_hand,
    covered,
    image,
    organization,
    refused,
    world,
)

Begin = Callable[..., LocalCloud]
ASSOCIATE = "resourcesharing:AssociateResourceShare"
SLOW = {"association": 60}
KEPT_SECONDS = 72 * 3600
STUCK_SECONDS = 30 * 86_400


@pytest.fixture
def opened(begin: Begin) -> Begin:
    """Starts a cloud whose organization shares, with some parts of the world replaced."""

    def started(**parts: Any) -> LocalCloud:
        return begin(**{"directory": organization(), **parts})

    return started


# --- making, naming, tagging


def test_a_share_starts_with_what_it_is_given(opened: Begin) -> None:
    """CreateResourceShare associates its resources and targets; the others stay as they were."""
    cloud = opened(resource_shares={"rs-hand1": by_hand(images=[THREE], targets=[LAB])})
    share = Clients().open_share("new", images=[ONE, TWO], targets=["fd-prod", LAB])
    assert share.startswith("rs-")
    assert covered(cloud) == {ONE: INSIDE, TWO: INSIDE, THREE: {LAB}}
    assert Clients().states("Resource", resource_share_ids=[share]) == [(ONE, "Associated"), (TWO, "Associated")]


def test_equal_names_make_two_shares(opened: Begin) -> None:
    """There is no client token, and a name may be used again."""
    opened()
    first, second = Clients().open_share("same"), Clients().open_share("same")
    assert first != second
    assert [row["ResourceShareId"] for row in Clients().shares(resource_share_name="same")] == [first, second]


def test_a_share_is_found_by_its_tags(opened: Begin) -> None:
    """Tags are returned, and filter by key or by key and value."""
    opened()
    key, tag = rs.CreateResourceShareRequestTag, rs.ListResourceSharesRequestTag
    for name, value in (("one", "a"), ("two", "b"), ("three", "")):
        Clients().open_share(name, tag=[key(key="by", value=value)] if value else None)
    found = Clients().shares()
    assert [row["Tags"] for row in found] == [[{"Key": "by", "Value": "a"}], [{"Key": "by", "Value": "b"}], []]

    def named(**values: str) -> list[str]:
        return [row["ResourceShareName"] for row in Clients().shares(tag=[tag(**values)])]

    assert named(key="by") == ["one", "two"]
    assert named(key="by", value="b") == ["two"]
    assert named(key="for") == []


def test_shares_are_filtered_by_all_that_can_be_asked(opened: Begin) -> None:
    """Ids, name, status, permission and resource group narrow the list."""
    opened(
        resource_shares={
            "rs-a": by_hand(name="a", resource_group="rg-1"),
            "rs-b": by_hand(name="b"),
            "rs-c": by_hand(name="c", region=FAR),
            "rs-d": by_hand(name="d", owner=SHOP),
        }
    )

    def ids(**query: Any) -> list[str]:
        return [row["ResourceShareId"] for row in Clients().shares(**query)]

    assert ids() == ["rs-a", "rs-b"]
    assert ids(resource_share_ids=["rs-b", "rs-c", "rs-x"]) == ["rs-b"]
    assert ids(resource_share_name="a") == ["rs-a"]
    assert ids(resource_group_id="rg-1") == ["rs-a"]
    assert ids(resource_share_status="Deleted") == []
    assert ids(permission_name="AliyunRSDefaultPermissionImage") == ["rs-a", "rs-b"]
    assert ids(permission_name="AliyunRSDefaultPermissionVSwitch") == []
    assert [row["ResourceShareId"] for row in Clients(region=FAR).shares()] == ["rs-c"]


def test_a_share_gets_another_name(opened: Begin) -> None:
    """UpdateResourceShare changes the name and when it was changed, and nothing of who has what."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB])})
    cloud.advance(60)
    before = cloud.channels()
    request = rs.UpdateResourceShareRequest(resource_share_id="rs-a", resource_share_name="b")
    assert Clients().sharing.update_resource_share(request).body.resource_share.resource_share_name == "b"
    (row,) = Clients().shares()
    times = (row["CreateTime"], row["UpdateTime"])
    assert (row["ResourceShareName"], *times) == ("b", "2026-11-21T12:00:00.000Z", "2026-11-21T12:01:00.000Z")
    assert cloud.channels() == before


def test_another_accounts_share_does_not_exist(opened: Begin) -> None:
    """Neither does one of another region; nothing of them can be changed or listed."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB])})
    before = cloud.channels()
    for clients in (Clients(SHOP), Clients(region=FAR)):
        with refused("EntityNotExists.ResourceShare", 404):
            clients.disassociate("rs-a", images=[ONE])
        with refused("EntityNotExists.ResourceShare", 404):
            clients.sharing.delete_resource_share(rs.DeleteResourceShareRequest(resource_share_id="rs-a"))
        assert clients.shares() == clients.rows("Resource") == []
    assert cloud.channels() == before


# --- associating and disassociating


def test_what_is_begun_is_done_after_the_delay(opened: Begin) -> None:
    """Rows go from Associating to Associated and from Disassociating to Disassociated; access is there in between."""
    cloud = opened(delays=SLOW, resource_shares={"rs-a": by_hand(images=[ONE], targets=["fd-prod"])})
    owner = Clients()
    answer = owner.associate("rs-a", images=[TWO, THREE], targets=[LAB])
    assert {row["AssociationStatus"] for row in answer} == {"Associating"}
    cloud.advance(59)
    assert owner.states("Resource") == [(ONE, "Associated"), (TWO, "Associating"), (THREE, "Associating")]
    assert covered(cloud) == {ONE: {SHOP, BANK}}
    cloud.advance(1)
    assert owner.states("Target") == [("fd-prod", "Associated"), (LAB, "Associated")]
    assert covered(cloud) == {ONE: INSIDE, TWO: INSIDE, THREE: INSIDE}
    answer = owner.disassociate("rs-a", images=[TWO], targets=["fd-prod"])
    assert {row["AssociationStatus"] for row in answer} == {"Disassociating"}
    cloud.advance(59)
    assert owner.states("Target") == [("fd-prod", "Disassociating"), (LAB, "Associated")]
    assert covered(cloud) == {ONE: {LAB}, THREE: {LAB}}
    cloud.advance(1)
    assert owner.states("Resource") == [(ONE, "Associated"), (TWO, "Disassociated"), (THREE, "Associated")]


def test_a_new_share_is_pending_until_the_delay_is_over(opened: Begin) -> None:
    """Until then nothing can be associated with it, and nobody is reached."""
    cloud = opened(delays=SLOW)
    owner = Clients()
    share = owner.open_share(images=[ONE, TWO, THREE], targets=["rd-local1"])
    assert [row["ResourceShareStatus"] for row in owner.shares()] == ["Pending"]
    with refused("ResourceShareStatusMismatchAction", 409):
        owner.associate(share, targets=[LAB])
    assert covered(cloud) == {}
    cloud.advance(60)
    assert [row["ResourceShareStatus"] for row in owner.shares()] == ["Active"]
    assert covered(cloud) == {ONE: INSIDE, TWO: INSIDE, THREE: INSIDE}


def test_the_times_of_a_row_are_those_of_its_changes(opened: Begin) -> None:
    """CreateTime stays, UpdateTime is when the status last changed, with milliseconds."""
    cloud = opened(delays={"association": 1.5}, resource_shares={"rs-a": by_hand()})
    Clients().associate("rs-a", images=[ONE])
    cloud.advance(10)
    (row,) = Clients().rows("Resource")
    assert (row["CreateTime"], row["UpdateTime"]) == ("2026-11-21T12:00:00.000Z", "2026-11-21T12:00:01.500Z")
    Clients().disassociate("rs-a", images=[ONE])
    (row,) = Clients().rows("Resource")
    assert (row["AssociationStatus"], row["UpdateTime"]) == ("Disassociating", "2026-11-21T12:00:10.000Z")


def test_rows_say_what_they_are_about(opened: Begin) -> None:
    """A target is called an account, whatever it is; an image has its type and its ARN."""
    opened(resource_shares={"rs-a": by_hand(images=[ONE], targets=["rd-local1", "fd-prod", LAB])})
    assert {row["EntityType"] for row in Clients().rows("Target")} == {"Account"}
    assert all("ResourceArn" not in row and row["External"] is False for row in Clients().rows("Target"))
    (row,) = Clients().rows("Resource")
    assert (row["EntityType"], row["ResourceArn"]) == ("Image", f"acs:ecs:{REGION}:{OWNER}:image/{ONE}")


def test_an_entity_on_its_way_out_cannot_come_in(opened: Begin) -> None:
    """AssociateConflict while it is being disassociated, DisassociateConflict while it is being associated."""
    cloud = opened(delays=SLOW, resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB])})
    owner = Clients()
    owner.disassociate("rs-a", images=[ONE], targets=[LAB])
    for entities in ({"images": [ONE]}, {"targets": [LAB]}):
        with refused("AssociateConflict", 409):
            owner.associate("rs-a", **entities)
        with refused("DisassociateInvalid", 400):
            owner.disassociate("rs-a", **entities)
    cloud.advance(60)
    owner.associate("rs-a", images=[ONE], targets=[LAB])
    for entities in ({"images": [ONE]}, {"targets": [LAB]}):
        with refused("DisassociateConflict", 409):
            owner.disassociate("rs-a", **entities)
    cloud.advance(60)
    assert covered(cloud) == {ONE: INSIDE, TWO: INSIDE, THREE: INSIDE}


def test_what_is_not_associated_cannot_be_disassociated(opened: Begin) -> None:
    """DisassociateInvalid for what never was there and for what is gone already; nothing changes."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod", LAB])})
    Clients().disassociate("rs-a", images=[TWO])
    before = cloud.channels()
    for entities in ({"images": [THREE]}, {"images": [TWO]}, {"targets": ["fd-test"]}):
        with refused("DisassociateInvalid", 400):
            Clients().disassociate("rs-a", **entities)
    assert cloud.channels() == before


def test_a_new_row_stands_beside_the_dead_one(opened: Begin) -> None:
    """What is disassociated stays listed for 72 hours, so an entity can have several rows in one share."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod"])})
    owner = Clients()
    owner.disassociate("rs-a", images=[TWO])
    cloud.advance(3600)
    owner.associate("rs-a", images=[TWO])
    rows = [(ONE, "Associated"), (TWO, "Disassociated"), (THREE, "Associated"), (TWO, "Associated")]
    assert owner.states("Resource") == rows
    assert owner.states("Resource", association_status="Associated") == [rows[0], rows[2], rows[3]]
    assert owner.states("Resource", resource_id=TWO) == [rows[1], rows[3]]
    arn = f"acs:ecs:{REGION}:{OWNER}:image/{TWO}"
    assert owner.states("Resource", resource_arn=arn) == [rows[1], rows[3]]
    assert covered(cloud) == all_three({SHOP, BANK})
    cloud.advance(KEPT_SECONDS - 3600 - 1)
    assert owner.states("Resource") == rows
    cloud.advance(1)
    assert owner.states("Resource") == [rows[0], rows[2], rows[3]]


@pytest.mark.parametrize(
    ("switch", "code"), [({}, ""), ({"repeated_association": "error"}, "AssociateConflict")], ids=["ok", "error"]
)
def test_what_is_associated_already(opened: Begin, switch: dict[str, str], code: str) -> None:
    """Depending on the switch nothing new happens, or the call is refused; either way who has what stays."""
    cloud = opened(
        switches=switch,
        delays=SLOW,
        resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB])},
    )
    owner, before = Clients(), cloud.channels()
    cloud.advance(10)
    rows = owner.rows("Resource")
    if code:
        with refused(code, 409):
            owner.associate("rs-a", images=[ONE], targets=[LAB])
    else:
        answer = owner.associate("rs-a", images=[ONE], targets=[LAB])
        assert [row["AssociationStatus"] for row in answer] == ["Associated", "Associated"]
    assert owner.rows("Resource") == rows
    assert cloud.channels() == before


@pytest.mark.parametrize(("partial", "applied"), [("none", False), ("some", True)])
def test_a_batch_with_one_bad_entity(opened: Begin, partial: str, *, applied: bool) -> None:
    """Depending on the switch, a refused batch does nothing, or everything but what is refused."""
    cloud = opened(
        switches={"partial_association": partial},
        resource_shares={"rs-a": by_hand(images=[ONE], targets=["fd-prod"])},
    )
    with refused("InvalidTarget", 400):
        Clients().associate("rs-a", images=[TWO, THREE], targets=["fd-x", LAB])
    everybody = all_three(INSIDE)
    assert covered(cloud) == (everybody if applied else {ONE: {SHOP, BANK}})
    cloud.patch({"resource_shares": {"rs-a": {"images": [ONE, TWO, THREE], "targets": ["fd-prod", LAB]}}})
    with refused("DisassociateInvalid", 400):
        Clients().disassociate("rs-a", images=[ONE], targets=["fd-test", LAB])
    assert covered(cloud) == ({name: {SHOP, BANK} for name in (TWO, THREE)} if applied else everybody)


def test_a_share_that_is_refused_is_not_made(opened: Begin) -> None:
    """Not even where refused batches do some of their work."""
    cloud = opened(switches={"partial_association": "some"})
    with refused("InvalidTarget", 400):
        Clients().open_share(images=[ONE, TWO, THREE], targets=[LAB, "fd-x"])
    assert Clients().shares() == []
    assert cloud.channels() == {}


# --- what may be shared, and with whom


@pytest.mark.parametrize(
    "spoiled",
    [
        {"region": FAR},
        {"owner": SHOP},
        {"owner": "system"},
        {"public": True},
        {"encryption": "service-key"},
        {"encryption": "cmk"},
        {"status": "Deprecated"},
        {"status": "Waiting"},
        None,
    ],
)
def test_only_own_images_of_the_region_that_may_be_shared(opened: Begin, spoiled: dict[str, Any] | None) -> None:
    """Foreign, far, missing, public, unready images and those under an unusable key are refused; others go on."""
    images = {ONE: image("one"), TWO: image("two")}
    if spoiled is not None:
        images[THREE] = {**image("three"), **spoiled}
    cloud = opened(images=images, resource_shares={"rs-a": by_hand(targets=["rd-local1"])})
    with refused("InvalidParameter.Resources", 400):
        Clients().associate("rs-a", images=[THREE])
    Clients().associate("rs-a", images=[ONE, TWO])
    assert covered(cloud) == {ONE: INSIDE, TWO: INSIDE}


def test_an_image_under_a_customers_key_needs_the_role(opened: Begin) -> None:
    """With the role that lets receivers use the key it can be shared."""
    role = f"acs:ram::{OWNER}:role/AliyunECSShareEncryptImageDefaultRole"
    cloud = opened(
        images={name: image(name, encryption="cmk") for name in (ONE, TWO, THREE)},
        roles={role: {"trusts_services": [f"{SHOP}@ecs.aliyuncs.com"]}},
    )
    Clients().open_share(images=[ONE, TWO, THREE], targets=["fd-prod"])
    assert covered(cloud) == all_three({SHOP, BANK})


@pytest.mark.parametrize(
    ("target", "code", "status"),
    [
        (OWNER, "ShareWithYourself", 409),
        (PARTNER, "InvalidTarget", 400),
        (UNKNOWN, "InvalidTarget", 400),
        (MANAGEMENT, "InvalidTarget", 400),
        ("fd-x", "InvalidTarget", 400),
        ("rd-other", "InvalidTarget", 400),
        ("r-local1", "InvalidTarget", 400),
        ("shop", "InvalidParameter.Targets", 400),
    ],
)
def test_only_the_organization_its_folders_and_members(opened: Begin, target: str, code: str, status: int) -> None:
    """A share that is not open to accounts outside has no other targets; the others of the share stay."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB])})
    before = cloud.channels()
    with refused(code, status):
        Clients().associate("rs-a", targets=[target])
    assert cloud.channels() == before


def test_five_of_each_a_call_and_none_twice(opened: Begin) -> None:
    """A sixth resource or target is an error, and so is one that is there twice: nothing is done."""
    names = [f"m-{number}" for number in range(6)]
    members = {str(1000000000000010 + number): {"name": f"n{number}"} for number in range(6)}
    cloud = opened(
        images={name: image(name) for name in names},
        directory=organization(members={**organization()["members"], **members}),
        resource_shares={"rs-a": by_hand()},
    )
    owner, accounts = Clients(), list(members)
    for entities, code in (
        ({"images": names}, "InvalidParameter.Resources.Length"),
        ({"images": [names[0], names[0]]}, "InvalidParameter.Resources.Duplicate"),
        ({"targets": accounts}, "InvalidParameter.Targets.Length"),
        ({"targets": [SHOP, SHOP]}, "InvalidParameter.Targets.Duplicate"),
        ({}, "ResourceAndTargetBothEmpty"),
    ):
        for change in (owner.associate, owner.disassociate):
            with refused(code, 400):
                change("rs-a", **entities)
    assert owner.rows("Resource") == owner.rows("Target") == []
    owner.associate("rs-a", images=names[:5], targets=accounts[:5])
    assert covered(cloud) == {name: set(accounts[:5]) for name in names[:5]}


def test_the_organization_must_share(begin: Begin) -> None:
    """Without sharing in the organization nothing is shared with it; the management account enables it, once."""
    cloud = begin()
    owner, manager = Clients(), Clients(MANAGEMENT)
    with refused("NotEnableSharingWithResourceDirectory", 409):
        owner.open_share(images=[ONE, TWO, THREE], targets=["rd-local1"])
    with refused("ActionNotPermitted", 409):
        owner.sharing.enable_sharing_with_resource_directory()
    assert not owner.sharing.check_sharing_with_resource_directory_status().body.enable_sharing_with_rd
    manager.sharing.enable_sharing_with_resource_directory()
    with refused("AlreadyEnabled", 409):
        manager.sharing.enable_sharing_with_resource_directory()
    for who, enabled in ((owner, True), (manager, True), (Clients(PARTNER), False)):
        assert who.sharing.check_sharing_with_resource_directory_status().body.enable_sharing_with_rd is enabled
    owner.open_share(images=[ONE, TWO, THREE], targets=["rd-local1"])
    assert covered(cloud) == all_three(INSIDE)


def test_an_owner_outside_the_organization_has_nothing_to_share_with_it(opened: Begin) -> None:
    """Not even an empty share, unless it is open to all."""
    cloud = opened(images={name: image(name, owner=PARTNER) for name in (ONE, TWO, THREE)})
    with refused("AccountNotInResourceDirectory", 409):
        Clients(PARTNER).open_share()
    share = Clients(PARTNER).open_share(allow_external_targets=True, images=[ONE, TWO, THREE])
    with refused("InvalidTarget", 400):
        Clients(PARTNER).associate(share, targets=["rd-x"])
    with refused("AccountNotInResourceDirectory", 409):
        Clients(PARTNER).associate(share, targets=["rd-local1"])
    assert cloud.channels() == {}


def test_sites_are_apart(opened: Begin) -> None:
    """An account of the other site is no target, member or not."""
    cloud = opened(
        sites={PARTNER_2: "international", LAB: "international"},
        resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod"], allow_external=True)},
    )
    before = cloud.channels()
    for target in (PARTNER_2, LAB):
        with refused("InvalidTarget.SiteMismatch", 409):
            Clients().associate("rs-a", targets=[target])
    assert cloud.channels() == before


def test_quotas_count_for_each_account(opened: Begin) -> None:
    """So many shares and so many shared images; an image in two shares counts once, and another account is free."""
    cloud = opened(
        quotas={"resource_shares": 2, "shared_resources": 2},
        resource_shares={"rs-a": by_hand(images=[ONE, TWO], targets=[LAB])},
    )
    owner = Clients()
    with refused("QuotaExceeded.SharedResource.Count", 409):
        owner.associate("rs-a", images=[THREE])
    share = owner.open_share(images=[ONE], targets=[SHOP])
    with refused("QuotaExceeded.ResourceShare.Count", 409):
        owner.open_share()
    Clients(SHOP).open_share()
    owner.disassociate("rs-a", images=[TWO])
    owner.associate(share, images=[THREE])
    assert covered(cloud) == {ONE: {LAB, SHOP}, THREE: {SHOP}}
    owner.sharing.delete_resource_share(rs.DeleteResourceShareRequest(resource_share_id=share))
    owner.open_share()


def test_resources_may_be_named_by_arn(opened: Begin) -> None:
    """An ARN of an own image of the region does; with plain ids beside it the call is refused."""
    cloud = opened(resource_shares={"rs-a": by_hand(targets=["fd-prod"])})
    sharing = Clients().sharing
    arns = [f"acs:ecs:{REGION}:{OWNER}:image/{name}" for name in (ONE, TWO, THREE)]
    sharing.associate_resource_share(rs.AssociateResourceShareRequest(resource_share_id="rs-a", resource_arns=arns))
    assert covered(cloud) == all_three({SHOP, BANK})
    plain = rs.AssociateResourceShareRequestResources(resource_id=ONE, resource_type="Image")
    with refused("InvalidParameter.ResourceConflict", 400):
        sharing.associate_resource_share(
            rs.AssociateResourceShareRequest(resource_share_id="rs-a", resource_arns=arns, resources=[plain])
        )


# --- deleting


def test_deleting_a_share_ends_everything_in_it(opened: Begin) -> None:
    """The share is Deleting, then Deleted, its rows are over, and all of it is gone after 72 hours."""
    cloud = opened(
        delays=SLOW,
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod", LAB]),
            "rs-b": by_hand(images=[TWO, THREE], targets=[LAB]),
        },
    )
    owner = Clients()
    request = rs.DeleteResourceShareRequest(resource_share_id="rs-a")
    owner.sharing.delete_resource_share(request)
    assert covered(cloud) == {TWO: {LAB}, THREE: {LAB}}
    for status in ("Deleting", "Deleted"):
        assert [row["ResourceShareStatus"] for row in owner.shares(resource_share_ids=["rs-a"])] == [status]
        with refused("ResourceShareStatusMismatchAction", 409):
            owner.associate("rs-a", targets=["fd-test"])
        with refused("ResourceShareStatusMismatchAction", 409):
            owner.sharing.delete_resource_share(request)
        cloud.advance(60)
    gone = [("fd-prod", "Disassociated"), (LAB, "Disassociated")]
    assert owner.states("Target", resource_share_ids=["rs-a"]) == gone
    cloud.advance(KEPT_SECONDS)
    assert [row["ResourceShareId"] for row in owner.shares()] == ["rs-b"]
    assert owner.states("Target") == [(LAB, "Associated")]
    with refused("EntityNotExists.ResourceShare", 404):
        owner.sharing.delete_resource_share(request)
    assert covered(cloud) == {TWO: {LAB}, THREE: {LAB}}


def test_a_share_in_which_something_is_under_way_is_not_deleted(opened: Begin) -> None:
    """Neither while something comes in nor while something goes out."""
    cloud = opened(delays=SLOW, resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB])})
    owner, request = Clients(), rs.DeleteResourceShareRequest(resource_share_id="rs-a")
    for change, entities in ((owner.associate, {"targets": ["fd-test"]}), (owner.disassociate, {"images": [ONE]})):
        change("rs-a", **entities)
        with refused("DeleteResourceShareConflict", 409):
            owner.sharing.delete_resource_share(request)
        cloud.advance(60)
    assert covered(cloud) == {TWO: INSIDE, THREE: INSIDE}


# --- accounts outside


def invitations(account: str, **query: Any) -> list[dict[str, Any]]:
    request = rs.ListResourceShareInvitationsRequest(**query)
    body = Clients(account).sharing.list_resource_share_invitations(request).body.to_map()
    return list(body["ResourceShareInvitations"])


def test_an_account_outside_has_nothing_until_it_accepts(opened: Begin) -> None:
    """It is asked, its row waits, and it is reached once it accepted and the delay is over."""
    cloud = opened(
        delays=SLOW, resource_shares={"rs-a": by_hand(images=[ONE, TWO], targets=[LAB], allow_external=True)}
    )
    owner = Clients()
    owner.associate("rs-a", targets=[PARTNER, PARTNER_2])
    cloud.advance(3600)
    assert owner.states("Target")[1:] == [(PARTNER, "Associating"), (PARTNER_2, "Associating")]
    assert [row["External"] for row in owner.rows("Target")] == [False, True, True]
    assert covered(cloud) == {ONE: {LAB}, TWO: {LAB}}
    (asked,) = invitations(PARTNER)
    assert (asked["Status"], asked["SenderAccountId"], asked["ReceiverAccountId"]) == ("Pending", OWNER, PARTNER)
    request = rs.AcceptResourceShareInvitationRequest(resource_share_invitation_id=asked["ResourceShareInvitationId"])
    Clients(PARTNER).sharing.accept_resource_share_invitation(request)
    assert covered(cloud) == {ONE: {LAB}, TWO: {LAB}}
    cloud.advance(60)
    assert covered(cloud) == {ONE: {LAB, PARTNER}, TWO: {LAB, PARTNER}}
    assert [row["Status"] for row in invitations(PARTNER)] == ["Accepted"]
    with refused("InvitationStatus.AlreadyAccepted", 409):
        Clients(PARTNER).sharing.accept_resource_share_invitation(request)
    with refused("EntityNotExists.ResourceShareInvitation", 409):
        Clients(PARTNER_2).sharing.accept_resource_share_invitation(request)


def test_an_invitation_that_is_refused_or_forgotten_fails(opened: Begin) -> None:
    """The row is Failed at once when it is rejected, and after seven days when it is not answered."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=[LAB], allow_external=True)})
    before = cloud.channels()
    Clients().associate("rs-a", targets=[PARTNER, PARTNER_2])
    (asked,) = invitations(PARTNER)
    request = rs.RejectResourceShareInvitationRequest(resource_share_invitation_id=asked["ResourceShareInvitationId"])
    Clients(PARTNER).sharing.reject_resource_share_invitation(request)
    assert Clients().states("Target")[1:] == [(PARTNER, "Failed"), (PARTNER_2, "Associating")]
    cloud.advance(7 * 86_400 - 1)
    assert Clients().states("Target", target=PARTNER_2) == [(PARTNER_2, "Associating")]
    cloud.advance(1)
    assert Clients().states("Target", target=PARTNER_2) == [(PARTNER_2, "Failed")]
    assert [row["Status"] for row in invitations(PARTNER_2)] == ["Expired"]
    assert cloud.channels() == before


def test_an_account_outside_leaves_by_itself(opened: Begin) -> None:
    """It takes itself out of a share; a member, whom the organization brought in, cannot."""
    cloud = opened(
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod", LAB, PARTNER], allow_external=True)
        }
    )
    for account in (LAB, SHOP):
        with refused("LeavingFailed.Account", 409):
            Clients(account).disassociate("rs-a", targets=[account], resource_owner="OtherAccounts")
    Clients(PARTNER).disassociate("rs-a", targets=[PARTNER], resource_owner="OtherAccounts")
    assert covered(cloud) == all_three(INSIDE)
    with refused("EntityNotExists.ResourceShare", 404):
        Clients(PARTNER).disassociate("rs-a", targets=[PARTNER], resource_owner="OtherAccounts")


def test_a_share_is_not_closed_while_accounts_outside_are_in_it(opened: Begin) -> None:
    """AllowExternalTargets goes back to false once they are gone."""
    cloud = opened(
        resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=[LAB, PARTNER], allow_external=True)}
    )
    close = rs.UpdateResourceShareRequest(
        resource_share_id="rs-a", resource_share_name="a", allow_external_targets=False
    )
    with refused("OperationNotPermitted", 409):
        Clients().sharing.update_resource_share(close)
    Clients().disassociate("rs-a", targets=[PARTNER])
    Clients().sharing.update_resource_share(close)
    with refused("InvalidTarget", 400):
        Clients().associate("rs-a", targets=[PARTNER])
    assert covered(cloud) == all_three({LAB})


def test_an_invitation_can_be_withdrawn(opened: Begin) -> None:
    """Disassociating an account that has not answered cancels its invitation."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=[LAB], allow_external=True)})
    before = cloud.channels()
    Clients().associate("rs-a", targets=[PARTNER])
    Clients().disassociate("rs-a", targets=[PARTNER])
    (asked,) = invitations(PARTNER)
    assert asked["Status"] == "Cancelled"
    with refused("EntityNotExists.ResourceShareInvitation", 409):
        Clients(PARTNER).sharing.accept_resource_share_invitation(
            rs.AcceptResourceShareInvitationRequest(resource_share_invitation_id=asked["ResourceShareInvitationId"])
        )
    assert cloud.channels() == before


def test_a_share_is_deleted_although_somebody_is_still_asked(opened: Begin) -> None:
    """An invitation that waits is no unfinished task; it is cancelled with the share."""
    cloud = opened(
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO, THREE], targets=[LAB], allow_external=True),
            "rs-b": by_hand(images=[ONE, TWO, THREE], targets=[SHOP]),
        }
    )
    Clients().associate("rs-a", targets=[PARTNER])
    Clients().sharing.delete_resource_share(rs.DeleteResourceShareRequest(resource_share_id="rs-a"))
    assert [row["Status"] for row in invitations(PARTNER)] == ["Cancelled"]
    assert covered(cloud) == all_three({SHOP})


# --- lists


def test_lists_are_paged_by_token(opened: Begin) -> None:
    """Twenty rows unless asked for; each row once; no token on the last page; a token belongs to its list."""
    names = [f"m-{number:02d}" for number in range(45)]
    opened(
        images={name: image(name) for name in names},
        resource_shares={"rs-a": by_hand(images=names, targets=["fd-prod", LAB])},
    )
    sharing, found, token, sizes = Clients().sharing, [], None, []
    while True:
        request = rs.ListResourceShareAssociationsRequest(association_type="Resource", next_token=token)
        body = sharing.list_resource_share_associations(request).body.to_map()
        found += [row["EntityId"] for row in body["ResourceShareAssociations"]]
        sizes.append(len(body["ResourceShareAssociations"]))
        if "NextToken" not in body:
            break
        token = body["NextToken"]
    assert found == names
    assert sizes == [20, 20, 5]
    exact = rs.ListResourceShareAssociationsRequest(association_type="Resource", max_results=45)
    assert "NextToken" not in sharing.list_resource_share_associations(exact).body.to_map()
    with refused("InvalidParameter.NextToken", 400):
        Clients().shares(next_token=token)
    for bad in ("x", "AAAA", "é"):
        with refused("InvalidParameter.NextToken", 400):
            Clients().rows("Resource", next_token=bad)


def test_who_is_reached_sees_what_others_share(opened: Begin) -> None:
    """A member finds the shares, their images and their owners; those who are not reached find nothing."""
    opened(
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod", SHOP]),
            "rs-b": by_hand(images=[THREE], targets=[LAB]),
        }
    )
    shop = Clients(SHOP)
    assert [row["ResourceShareId"] for row in shop.shares("OtherAccounts")] == ["rs-a"]
    assert [row["ResourceShareId"] for row in Clients(MANAGEMENT).shares("OtherAccounts")] == []
    body = shop.sharing.list_shared_resources(rs.ListSharedResourcesRequest(resource_owner="OtherAccounts")).body
    rows = body.to_map()["SharedResources"]
    assert [(row["ResourceId"], row["ResourceStatus"]) for row in rows] == [(ONE, "Available"), (TWO, "Available")]
    body = shop.sharing.list_shared_targets(rs.ListSharedTargetsRequest(resource_owner="OtherAccounts")).body
    assert [row["TargetId"] for row in body.to_map()["SharedTargets"]] == [OWNER]


def test_shared_resources_and_targets_are_those_that_stand(opened: Begin) -> None:
    """Own lists leave out what is over or on its way, and can be narrowed."""
    cloud = opened(
        delays=SLOW,
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod", LAB]),
            "rs-b": by_hand(images=[THREE], targets=[LAB]),
        },
    )
    owner = Clients()
    owner.disassociate("rs-a", images=[TWO], targets=[LAB])
    owner.associate("rs-b", images=[ONE])

    def resources(**query: Any) -> list[str]:
        request = rs.ListSharedResourcesRequest(resource_owner="Self", **query)
        return [row.resource_id for row in owner.sharing.list_shared_resources(request).body.shared_resources]

    def targets(**query: Any) -> list[str]:
        request = rs.ListSharedTargetsRequest(resource_owner="Self", **query)
        return [row.target_id for row in owner.sharing.list_shared_targets(request).body.shared_targets]

    assert (resources(), targets()) == ([ONE, THREE], ["fd-prod", LAB])
    assert resources(target=LAB) == [THREE]
    assert resources(resource_ids=[ONE, TWO]) == resources(resource_share_ids=["rs-a"]) == [ONE]
    assert resources(resource_arns=[f"acs:ecs:{REGION}:{OWNER}:image/{THREE}"]) == [THREE]
    assert targets(resource_id=ONE) == ["fd-prod"]
    assert targets(targets=[LAB], resource_type="Image") == [LAB]
    cloud.advance(60)
    assert resources() == [ONE, THREE, ONE]


# --- faults


@pytest.mark.parametrize("kind", ["fail-association", "stuck-association"])
def test_an_association_goes_wrong_after_it_was_accepted(opened: Begin, kind: str) -> None:
    """The call succeeds; the row becomes Failed and says so, or stays Associating for thirty days. Others are right."""
    cloud = opened(
        delays=SLOW,
        faults=[{"operation": ASSOCIATE, "kind": kind, "times": 1}],
        resource_shares={"rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod"])},
    )
    owner = Clients()
    owner.associate("rs-a", images=[THREE], targets=[LAB])
    owner.associate("rs-a", targets=["fd-test"])
    assert owner.states("Target", target=LAB) == [(LAB, "Associating")]
    cloud.advance(60)
    if kind == "stuck-association":
        cloud.advance(STUCK_SECONDS - 61)
        assert owner.states("Resource", resource_id=THREE) == [(THREE, "Associating")]
        assert covered(cloud) == dict.fromkeys((ONE, TWO), INSIDE)
        cloud.advance(1)
        assert covered(cloud) == all_three(INSIDE)
        return
    assert covered(cloud) == dict.fromkeys((ONE, TWO), INSIDE)
    (row,) = owner.rows("Resource", resource_id=THREE)
    assert (row["AssociationStatus"], row["AssociationStatusMessage"]) == ("Failed", "An internal error occurred.")
    details = [(one["EntityId"], one["EntityType"]) for one in row["AssociationFailedDetails"]]
    assert details == [("fd-prod", "Folder"), ("fd-test", "Folder")]
    assert {one["FailureReason"] for one in row["AssociationFailedDetails"]} == {"InternalError"}
    owner.associate("rs-a", images=[THREE])
    cloud.advance(60)
    assert owner.states("Resource", resource_id=THREE) == [(THREE, "Failed"), (THREE, "Associated")]
    assert covered(cloud) == all_three(INSIDE)
    cloud.advance(KEPT_SECONDS)
    assert owner.states("Resource", resource_id=THREE) == [(THREE, "Associated")]


def test_token_lists_lie_without_showing_it(opened: Begin) -> None:
    """A truncated page lacks half of its rows and keeps its token; an empty one has neither."""
    names = [f"m-{number}" for number in range(6)]
    cloud = opened(images={name: image(name) for name in names}, resource_shares={"rs-a": by_hand(images=names)})
    request = rs.ListResourceShareAssociationsRequest(association_type="Resource", max_results=4)

    def page() -> tuple[int, bool]:
        body = Clients().sharing.list_resource_share_associations(request).body.to_map()
        return len(body["ResourceShareAssociations"]), "NextToken" in body

    operation = "resourcesharing:ListResourceShareAssociations"
    for kind, shown in (("truncated-page", (2, True)), ("empty-list", (0, False))):
        cloud.patch({"faults": [{"operation": operation, "kind": kind, "times": 1}]})
        assert page() == shown
        assert page() == (4, True)


def test_a_spoiled_list_leaves_other_answers_alone(opened: Begin) -> None:
    """What is associated is told whole, although it is a list, too."""
    cloud = opened(
        resource_shares={"rs-a": by_hand()}, faults=[{"operation": "*", "kind": "truncated-page", "every": 1}]
    )
    assert len(Clients().associate("rs-a", images=[ONE, TWO, THREE], targets=[LAB])) == 4
    assert covered(cloud) == all_three({LAB})


def test_a_lost_answer_has_done_its_work(opened: Begin) -> None:
    """After a lost answer of CreateResourceShare the share is there, and a second call makes another."""
    cloud = opened(faults=[{"operation": "resourcesharing:CreateResourceShare", "kind": "lost-answer", "times": 1}])
    with pytest.raises(Exception, match="Connection aborted"):
        Clients().open_share("new", images=[ONE, TWO, THREE], targets=["fd-prod"])
    assert covered(cloud) == all_three({SHOP, BANK})
    Clients().open_share("new")
    assert [row["ResourceShareName"] for row in Clients().shares()] == ["new", "new"]


# --- changes from outside


def test_a_patch_changes_shares_at_once(opened: Begin) -> None:
    """Lists replace: what is new is Associated, what is missing Disassociated; null deletes; the rest stays."""
    cloud = opened(
        delays=SLOW,
        resource_shares={
            "rs-a": by_hand(images=[ONE, TWO], targets=["fd-prod"]),
            "rs-b": by_hand(name="b", images=[THREE], targets=[LAB], tags={"k": "v"}),
        },
    )
    cloud.patch({"resource_shares": {"rs-a": {"images": [TWO, THREE], "targets": ["fd-prod", LAB]}}})
    assert covered(cloud) == {TWO: INSIDE, THREE: INSIDE}
    states = [(ONE, "Disassociated"), (TWO, "Associated"), (THREE, "Associated")]
    assert Clients().states("Resource", resource_share_ids=["rs-a"]) == states
    cloud.patch({"resource_shares": {"rs-a": {"images": [ONE, TWO, THREE]}}})
    assert Clients().states("Resource", resource_share_ids=["rs-a"]) == [*states, (ONE, "Associated")]
    assert covered(cloud) == all_three(INSIDE)
    cloud.patch({"resource_shares": {"rs-a": None, "rs-c": by_hand(images=[ONE], targets=["fd-eu"])}})
    assert covered(cloud) == {THREE: {LAB}, ONE: {BANK}}
    gone = [("fd-prod", "Disassociated"), (LAB, "Disassociated")]
    assert Clients().states("Target", resource_share_ids=["rs-a"]) == gone
    assert [(row["ResourceShareId"], row["ResourceShareStatus"]) for row in Clients().shares()] == [
        ("rs-a", "Deleted"),
        ("rs-b", "Active"),
        ("rs-c", "Active"),
    ]
    cloud.patch({"resource_shares": {"rs-a": by_hand(images=[TWO], targets=[SHOP])}})
    assert covered(cloud) == {TWO: {SHOP}, THREE: {LAB}, ONE: {BANK}}


def test_a_patch_of_something_else_leaves_shares_alone(opened: Begin) -> None:
    """What is under way stays under way, failed rows stay failed, pending invitations stay pending."""
    cloud = opened(
        delays=SLOW,
        faults=[{"operation": ASSOCIATE, "kind": "fail-association", "times": 1}],
        resource_shares={"rs-a": by_hand(images=[ONE], targets=["fd-prod", LAB], allow_external=True)},
    )
    owner = Clients()
    owner.associate("rs-a", images=[TWO])
    owner.associate("rs-a", images=[THREE], targets=[PARTNER])
    owner.disassociate("rs-a", targets=[LAB])
    rows = (owner.rows("Resource"), owner.rows("Target"))
    cloud.patch({"images": {ONE: {"tags": {"a": "b"}}}})
    assert (owner.rows("Resource"), owner.rows("Target")) == rows
    cloud.advance(60)
    assert owner.states("Resource") == [(ONE, "Associated"), (TWO, "Failed"), (THREE, "Associated")]
    assert owner.states("Target")[1:] == [(LAB, "Disassociated"), (PARTNER, "Associating")]


def test_an_image_that_is_gone_is_in_no_share(opened: Begin) -> None:
    """Deleted by a call or by a patch: its rows are over, the other images stay."""
    cloud = opened(resource_shares={"rs-a": by_hand(images=[ONE, TWO, THREE], targets=["fd-prod"])})
    Clients().ecs.delete_image(ecs_models.DeleteImageRequest(region_id=REGION, image_id=ONE))
    cloud.patch({"images": {TWO: None}})
    assert covered(cloud) == {THREE: {SHOP, BANK}}
    states = [(ONE, "Disassociated"), (TWO, "Disassociated"), (THREE, "Associated")]
    assert Clients().states("Resource") == states
    assert cloud.world().resource_shares["rs-a"].images == (THREE,)


def test_the_world_comes_back_with_its_shares(opened: Begin) -> None:
    """A cloud that starts from the world of another has the same shares and the same access."""
    cloud = opened(
        resource_shares={
            "rs-a": by_hand(images=[ONE], targets=["fd-prod"], tags={"k": "v"}, created="2026-11-01T00:00:00Z"),
            "rs-b": by_hand(name="b", images=[THREE], targets=[PARTNER], allow_external=True, resource_group="rg"),
        }
    )
    Clients().associate("rs-a", images=[TWO], targets=[LAB])
    Clients().disassociate("rs-a", images=[ONE])
    again = LocalCloud.from_world(cloud.world(), clock=ManualClock(START))
    assert again.world() == cloud.world()
    assert again.channels() == cloud.channels()
    assert covered(again) == {TWO: INSIDE, THREE: {PARTNER}}


def test_worlds_without_shares_have_none() -> None:
    """The usual world has no resource shares, and nobody is reached."""
    cloud = LocalCloud.from_world(world())
    assert (cloud.world().resource_shares, cloud.channels()) == ({}, {})
