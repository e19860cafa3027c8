"""Resource shares through the official SDK: what is sent, what is read, and what is refused to be understood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_resourcesharing20200110 import models

from localcloud import LocalCloud
from orgshare.alibaba.calls import ATTEMPTS
from orgshare.errors import IncompleteRead, Malformed, NoAnswer, Refused, TryAgain, VendorError
from orgshare.observe.shares import read_sharing
from orgshare.ports import ShareService
from orgshare.words import Association, ResourceShare, Shard
from tests.alibaba.reaching import SHARD, Canned, cloud, without
from tests.support.cloud import FAR, MANAGEMENT, ONE, OWNER, REGION, SHOP, THREE, TWO, Clients, image

Begin = Callable[..., LocalCloud]
Answering = Callable[..., Canned]

HAND = {"owner": OWNER, "region": REGION, "name": "by-hand"}
CREATED = "2026-11-21T12:00:00.000Z"
ROW = {
    "ResourceShareId": "rs-1",
    "EntityId": ONE,
    "EntityType": "Image",
    "AssociationStatus": "Associated",
    "CreateTime": CREATED,
}
SHARE = {"ResourceShareId": "rs-1", "ResourceShareStatus": "Active"}


def service() -> ShareService:
    return cloud().shares(SHARD)


def rows_of(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ResourceShareAssociations": list(rows), **more}


def shares_of(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ResourceShares": list(rows), **more}


# --- against the local cloud


def test_shares_images_and_targets_are_read_from_the_owners_region(begin: Begin) -> None:
    """Own shares of the region are there with tags, rows and states, those of another region are not."""
    begin(
        resource_shares={
            "rs-b": {**HAND, "images": [ONE, TWO], "targets": ["fd-prod", SHOP], "tags": {"orgshare": "golden"}},
            "rs-a": {**HAND, "name": "empty"},
            "rs-far": {**HAND, "region": FAR},
        }
    )

    sharing = read_sharing(service(), SHARD, ())

    assert sharing.enabled is True
    assert [(s.id, s.name, s.status, s.tags) for s in sharing.shares] == [
        ("rs-a", "empty", "Active", frozenset()),
        ("rs-b", "by-hand", "Active", frozenset({("orgshare", "golden")})),
    ]
    assert [row.entity for row in sharing.shares[1].images] == [ONE, TWO]
    assert [row.entity for row in sharing.shares[1].targets] == [SHOP, "fd-prod"]
    assert sharing.shares[1].images[0] == Association(ONE, "Associated", CREATED, CREATED)
    assert [s.id for s in cloud().shares(Shard("ecs", OWNER, FAR)).shares("").rows] == ["rs-far"]


def test_a_share_is_made_filled_and_emptied(begin: Begin) -> None:
    """The way of a share: made empty with its tags, filled at once, emptied again, with a row for each that is left."""
    begin()
    shares = service()

    made = shares.create("golden", frozenset({("orgshare", "golden"), ("audience", "")}))
    rows = shares.associate(made.id, images=[ONE, TWO], targets=["fd-prod"])
    filled = read_sharing(shares, SHARD, [made.id]).shares[0]
    shares.disassociate(made.id, images=[ONE], targets=["fd-prod"])
    emptied = read_sharing(shares, SHARD, [made.id]).shares[0]

    assert made == ResourceShare(id=made.id, name="golden", status=made.status, tags=made.tags)
    assert {row.entity: row.status for row in rows} == {
        ONE: "Associating", TWO: "Associating", "fd-prod": "Associating",
    }  # fmt: skip
    assert filled.tags == made.tags == {("orgshare", "golden"), ("audience", "")}
    assert [row.status for row in (*filled.images, *filled.targets)] == ["Associated"] * 3
    assert [row.status for row in (*emptied.images, *emptied.targets)] == [
        "Disassociated", "Associated", "Disassociated",
    ]  # fmt: skip


def test_a_share_reaches_whom_it_targets(begin: Begin) -> None:
    """What was associated gives access to members below the folder, and to nobody else."""
    local = begin()
    shares = service()

    shares.associate(shares.create("golden", frozenset()).id, images=[ONE], targets=[SHOP])

    assert [(row["image"], row["account"]) for row in local.access()] == [(ONE, SHOP)]


def test_listings_of_more_than_a_page_are_read_whole(begin: Begin) -> None:
    """A hundred and fifty shares with a hundred and fifty images are read in two pages a listing."""
    names = [f"{number:03}" for number in range(150)]
    begin(
        images={f"m-{name}": image(name) for name in names},
        resource_shares={f"rs-{name}": {**HAND, "images": [f"m-{name}"], "targets": ["fd-prod"]} for name in names},
    )
    reached = cloud()

    sharing = read_sharing(reached.shares(SHARD), SHARD, ())

    assert [s.id for s in sharing.shares] == [f"rs-{name}" for name in names]
    assert [s.images[0].entity for s in sharing.shares] == [f"m-{name}" for name in names]
    assert reached.calls() == {
        "resourcesharing:CheckSharingWithResourceDirectoryStatus": 1,
        "resourcesharing:ListResourceShareAssociations": 4,
        "resourcesharing:ListResourceShares": 2,
    }


def test_a_share_can_be_asked_for_by_its_id(begin: Begin) -> None:
    """One that is there is found, one that is not is None, and so is another account's."""
    begin(resource_shares={"rs-a": HAND, "rs-b": {**HAND, "owner": SHOP}})
    shares = service()

    found = shares.share_by_id("rs-a")

    assert found is not None
    assert found.name == "by-hand"
    assert (shares.share_by_id("rs-none"), shares.share_by_id("rs-b")) == (None, None)


def test_a_deleted_share_is_read_as_deleted(begin: Begin) -> None:
    """A share that a person deleted stays listed, as Deleted, and is left out of the reading."""
    begin(resource_shares={"rs-a": {**HAND, "images": [ONE], "targets": ["fd-prod"]}, "rs-b": HAND})

    Clients().sharing.delete_resource_share(models.DeleteResourceShareRequest(resource_share_id="rs-a"))

    assert [s.status for s in service().shares("").rows if s.id == "rs-a"] == ["Deleted"]
    assert [s.id for s in read_sharing(service(), SHARD, ["rs-a", "rs-b"]).shares] == ["rs-b"]


def test_rows_of_one_share_alone_can_be_read(begin: Begin) -> None:
    """A share that is named is the only one whose rows are shown."""
    begin(
        resource_shares={
            "rs-a": {**HAND, "images": [ONE], "targets": ["fd-prod"]},
            "rs-b": {**HAND, "images": [TWO], "targets": ["fd-test"]},
        }
    )
    shares = service()

    assert [row.association.entity for row in shares.rows("Resource", "", share="rs-b").rows] == [TWO]
    assert [row.association.entity for row in shares.rows("Target", "", share="rs-b").rows] == ["fd-test"]
    assert len(shares.rows("Target", "").rows) == 2


def test_the_row_of_one_image_or_target_alone_can_be_read(begin: Begin) -> None:
    """Of a share with more in it, and of none that does not have it."""
    begin(resource_shares={"rs-a": {**HAND, "images": [ONE, TWO], "targets": ["fd-prod", SHOP]}})
    shares = service()

    assert [r.association.entity for r in shares.rows("Resource", "", share="rs-a", entity=TWO).rows] == [TWO]
    assert [r.association.entity for r in shares.rows("Target", "", share="rs-a", entity=SHOP).rows] == [SHOP]
    assert shares.rows("Target", "", share="rs-a", entity="fd-test").rows == ()


def test_sharing_that_is_not_enabled_is_read_as_such(begin: Begin) -> None:
    """Whether the organization allows sharing comes with the reading."""
    local = begin()
    local.patch({"directory": {"sharing_enabled": False}})

    assert service().enabled() is False
    assert read_sharing(service(), SHARD, ()).enabled is False


def test_the_owners_role_is_used(begin: Begin) -> None:
    """Where the policy names a role of the owner, its shares are read and made through it."""
    role = f"acs:ram::{OWNER}:role/orgshare"
    begin(roles={role: {"trusts": [MANAGEMENT]}}, resource_shares={"rs-a": HAND})

    reached = cloud(MANAGEMENT, role=role)

    assert [s.id for s in reached.shares(SHARD).shares("").rows] == ["rs-a"]
    assert reached.calls()["sts:AssumeRole"] == 1


def test_a_failed_association_says_why(begin: Begin) -> None:
    """A row that failed keeps the vendor's reason, on one line, and when it was."""
    begin(
        resource_shares={"rs-a": HAND},
        faults=[{"operation": "resourcesharing:AssociateResourceShare", "kind": "fail-association", "every": 1}],
    )
    shares = service()

    shares.associate("rs-a", images=[ONE], targets=[])
    (row,) = read_sharing(shares, SHARD, ()).shares[0].images

    assert (row.entity, row.status, row.live) == (ONE, "Failed", False)
    assert row.created == CREATED
    assert row.failure
    assert row.failure.isprintable()


def test_what_is_under_way_conflicts_with_its_opposite(begin: Begin) -> None:
    """While one change is under way the other is refused with the vendor's code, once and without waiting."""
    begin(resource_shares={"rs-a": {**HAND, "images": [ONE]}}, delays={"association": 60})
    reached = cloud()
    shares = reached.shares(SHARD)
    shares.associate("rs-a", images=[TWO], targets=[])
    shares.disassociate("rs-a", images=[ONE], targets=[])

    with pytest.raises(Refused) as associating:
        shares.disassociate("rs-a", images=[TWO], targets=[])
    with pytest.raises(Refused) as disassociating:
        shares.associate("rs-a", images=[ONE], targets=[])
    with pytest.raises(Refused) as nothing:
        shares.disassociate("rs-a", images=[THREE], targets=[])

    assert [error.value.code for error in (associating, disassociating, nothing)] == [
        "DisassociateConflict", "AssociateConflict", "DisassociateInvalid",
    ]  # fmt: skip
    assert reached.calls()["resourcesharing:AssociateResourceShare"] == 2
    assert reached.calls()["resourcesharing:DisassociateResourceShare"] == 3


@pytest.mark.parametrize("kind", ["empty-list", "truncated-page", "missing-field", "malformed", "error"])
@pytest.mark.parametrize(
    "operation", ["resourcesharing:ListResourceShares", "resourcesharing:CheckSharingWithResourceDirectoryStatus"]
)
def test_a_share_that_exists_is_never_read_as_absent(begin: Begin, kind: str, operation: str) -> None:
    """However the listing of shares, or the question before it, is spoilt: the share is read or the reading fails."""
    begin(
        resource_shares={"rs-a": {**HAND, "images": [ONE], "targets": ["fd-prod"]}},
        faults=[{"operation": operation, "kind": kind, "every": 1}],
    )

    try:
        sharing = read_sharing(service(), SHARD, ())
    except (VendorError, IncompleteRead):
        return
    assert [(s.id, len(s.images), len(s.targets)) for s in sharing.shares] == [("rs-a", 1, 1)]


@pytest.mark.parametrize("kind", ["missing-field", "malformed", "error", "throttle", "no-answer"])
def test_a_reading_survives_what_passes(begin: Begin, kind: str) -> None:
    """Every third call of every kind fails in some way, and the reading is the same."""
    shares = {f"rs-{n}": {**HAND, "images": [ONE], "targets": ["fd-prod"]} for n in range(120)}
    local = begin(resource_shares=shares)
    expected = read_sharing(service(), SHARD, ())

    local.patch({"faults": [{"operation": "resourcesharing:*", "kind": kind, "every": 3}]})

    assert read_sharing(service(), SHARD, shares) == expected


# --- what is sent


def test_a_new_share_is_empty_tagged_and_closed_to_outsiders(canned: Answering) -> None:
    """The call has a name, tags and AllowExternalTargets false, and nothing else; the region is the host's."""
    cloud_ = canned({"ResourceShare": {**SHARE, "ResourceShareName": "golden"}})
    tags = frozenset({("orgshare", "golden"), ("audience", "a1")})

    made = service().create("golden", tags)

    assert made == ResourceShare(id="rs-1", name="golden", status="Active", tags=tags)
    assert cloud_.requests == [
        (
            "CreateResourceShare",
            {
                "ResourceShareName": "golden",
                "AllowExternalTargets": "False",
                "Tag.1.Key": "audience",
                "Tag.1.Value": "a1",
                "Tag.2.Key": "orgshare",
                "Tag.2.Value": "golden",
            },
        )
    ]
    assert cloud_.hosts == ["resourcesharing.cn-hangzhou.aliyuncs.com"]


@pytest.mark.parametrize("action", ["AssociateResourceShare", "DisassociateResourceShare"])
def test_images_and_targets_are_sent_in_one_call(canned: Answering, action: str) -> None:
    """Images have their type, targets are ids, and what there is none of is not sent."""
    cloud_ = canned(rows_of())
    change: Any = service().associate if action == "AssociateResourceShare" else service().disassociate

    change("rs-1", images=["m-1", "m-2"], targets=["rd-1"])
    change("rs-1", images=[], targets=["fd-1"])

    resources = {
        "Resources.1.ResourceId": "m-1",
        "Resources.1.ResourceType": "Image",
        "Resources.2.ResourceId": "m-2",
        "Resources.2.ResourceType": "Image",
    }
    assert cloud_.requests == [
        (action, {"ResourceShareId": "rs-1", "Targets.1": "rd-1", **resources}),
        (action, {"ResourceShareId": "rs-1", "Targets.1": "fd-1"}),
    ]


@pytest.mark.parametrize(("images", "targets"), [(0, 0), (6, 0), (0, 6), (6, 6)])
@pytest.mark.parametrize("change", ["associate", "disassociate"])
def test_more_than_five_of_either_and_nothing_at_all_are_never_sent(
    canned: Answering, change: str, images: int, targets: int
) -> None:
    """Such a call is a mistake of the caller, and the vendor does not hear of it."""
    cloud_ = canned(rows_of())

    with pytest.raises(ValueError, match=r"at most 5 of each|neither an image nor a target"):
        getattr(service(), change)("rs-1", images=[f"m-{n}" for n in range(images)], targets=["fd-1"] * targets)

    assert cloud_.requests == []


def test_lists_are_asked_for_in_pages_of_a_hundred(canned: Answering) -> None:
    """A token goes into the next call as it came, the first call has none, and only own shares are asked for."""
    cloud_ = canned(shares_of(SHARE, NextToken="t+/="), shares_of(SHARE), rows_of(ROW, NextToken="u"), rows_of())
    shares = service()

    assert shares.shares("").token == "t+/="
    assert shares.shares("t+/=").token == ""
    assert shares.rows("Resource", "").token == "u"
    assert shares.rows("Target", "u", share="rs-1").token == ""
    assert [query for _, query in cloud_.requests] == [
        {"ResourceOwner": "Self", "MaxResults": "100"},
        {"ResourceOwner": "Self", "MaxResults": "100", "NextToken": "t+/="},
        {"AssociationType": "Resource", "MaxResults": "100"},
        {"AssociationType": "Target", "MaxResults": "100", "NextToken": "u", "ResourceShareIds.1": "rs-1"},
    ]


# --- what is read


def test_resources_that_are_no_images_are_left_out(canned: Answering) -> None:
    """Other kinds of resources are nobody's matter here; one that does not say its kind may be an image."""
    others = [{**ROW, "EntityId": "vsw-1", "EntityType": "VSwitch"}, without({**ROW, "EntityId": "m-9"}, "EntityType")]
    canned(rows_of(ROW, *others))

    rows = service().rows("Resource", "").rows

    assert [row.association.entity for row in rows] == [ONE, "m-9"]


def test_targets_are_read_whatever_type_they_are_said_to_have(canned: Answering) -> None:
    """The vendor calls every target an account, folders and the directory too."""
    canned(rows_of({**ROW, "EntityId": "rd-1", "EntityType": "Account"}, {**ROW, "EntityId": 172050525300}))

    assert [row.association.entity for row in service().rows("Target", "").rows] == ["rd-1", "172050525300"]


def test_statuses_are_handed_on_as_they_are(canned: Answering) -> None:
    """Neither a row that is over nor a status that nobody knows is judged here."""
    canned(rows_of(*({**ROW, "AssociationStatus": status} for status in ("Failed", "Disassociated", "Sleeping"))))

    rows = service().rows("Resource", "").rows

    assert [row.association.status for row in rows] == ["Failed", "Disassociated", "Sleeping"]


DETAIL = {"FailureReason": "Unavailable", "FailureDescription": "not\nnow", "EntityId": ONE}


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({}, ""),
        ({"AssociationStatusMessage": "no such\timage"}, "no such image"),
        ({"AssociationFailedDetails": [DETAIL]}, "Unavailable: not now"),
        ({"AssociationFailedDetails": [{**DETAIL, "EntityId": SHOP}]}, f"{SHOP}: Unavailable: not now"),
        ({"AssociationFailedDetails": [{"EntityId": SHOP}, {"FailureReason": "Gone"}]}, "Gone"),
        (
            {"AssociationStatusMessage": "failed", "AssociationFailedDetails": [DETAIL, DETAIL]},
            "failed; Unavailable: not now",
        ),
        (
            {"AssociationFailedDetails": [{"FailureReason": f"R{n}"} for n in range(5)]},
            "R0; R1; R2; and 2 more",
        ),
    ],
)
def test_a_failure_is_told_on_one_line(canned: Answering, fields: dict[str, Any], failure: str) -> None:
    """The message and what its details add to it, the first few of them, with the account where it is another."""
    canned(rows_of({**ROW, "AssociationStatus": "Failed", **fields}))

    assert service().rows("Resource", "").rows[0].association.failure == failure


def test_tags_of_a_share_are_read(canned: Answering) -> None:
    """A tag may have a key alone, and a share no tags at all."""
    tagged = {**SHARE, "ResourceShareId": "rs-2", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c"}]}
    canned(shares_of(tagged, SHARE))

    assert [row.tags for row in service().shares("").rows] == [{("a", "b"), ("c", "")}, frozenset()]


# --- what is not understood


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        ("shares", {}),
        ("shares", {"ResourceShares": None}),
        ("shares", {"ResourceShares": "none"}),
        ("shares", {"ResourceShares": {"ResourceShare": []}}),
        ("shares", {"ResourceShares": ["rs-1"]}),
        ("shares", shares_of(without(SHARE, "ResourceShareId"))),
        ("shares", shares_of(without(SHARE, "ResourceShareStatus"))),
        ("rows", {}),
        ("rows", {"ResourceShareAssociations": 0}),
        *(("rows", rows_of(without(ROW, field))) for field in ROW if field != "EntityType"),
        ("enabled", {}),
        ("enabled", {"EnableSharingWithRd": "true"}),
        ("share_by_id", shares_of({**SHARE, "ResourceShareId": "rs-2"})),
        ("share_by_id", shares_of(NextToken="t")),
        ("share_by_id", {}),
    ],
)
def test_an_answer_that_lacks_something_is_malformed(canned: Answering, read: str, answer: dict[str, Any]) -> None:
    """An absent list is not an empty one; the read is tried again, and nothing is made of what came."""
    cloud_ = canned(answer)
    arguments = {"shares": [""], "rows": ["Resource", ""], "enabled": [], "share_by_id": ["rs-1"]}[read]

    with pytest.raises(Malformed, match=r"^resourcesharing:"):
        getattr(service(), read)(*arguments)

    assert len(cloud_.requests) == ATTEMPTS


def test_a_malformed_answer_may_be_followed_by_a_good_one(canned: Answering) -> None:
    """A read that is tried again can succeed."""
    canned({}, shares_of(SHARE))

    assert [row.id for row in service().shares("").rows] == ["rs-1"]


@pytest.mark.parametrize(
    "answer", [{}, {"ResourceShare": {}}, {"ResourceShare": without(SHARE, "ResourceShareStatus")}, []]
)
def test_a_creation_without_a_readable_answer_may_have_been_carried_out(canned: Answering, answer: object) -> None:
    """It is not repeated, and the caller is told that nobody knows."""
    cloud_ = canned(answer)

    with pytest.raises(NoAnswer, match="may have been carried out"):
        service().create("golden", frozenset())

    assert len(cloud_.requests) == 1


@pytest.mark.parametrize("answer", [{}, [], rows_of(without(ROW, "EntityId")), {"ResourceShareAssociations": "x"}])
def test_an_association_without_a_readable_answer_may_have_been_carried_out(canned: Answering, answer: object) -> None:
    """It is not repeated, and the caller is told that nobody knows."""
    cloud_ = canned(answer)

    with pytest.raises(NoAnswer):
        service().associate("rs-1", images=[ONE], targets=[])

    assert len(cloud_.requests) == 1


# --- what is refused


LATER = ["AssociateConflict", "DisassociateConflict", "ResourceShareStatusMismatchAction"]


@pytest.mark.parametrize("code", [*LATER, "DisassociateInvalid", "QuotaExceeded.SharedResource.Count", "InvalidTarget"])
@pytest.mark.parametrize("change", ["associate", "disassociate"])
def test_a_refused_change_is_not_repeated(canned: Answering, change: str, code: str) -> None:
    """What passes only when another change is done is refused with its code like the rest, and never waited for."""
    cloud_ = canned((409, code))

    with pytest.raises(Refused) as caught:
        getattr(service(), change)("rs-1", images=[ONE], targets=[])

    assert (caught.value.code, caught.value.request_id) == (code, "r-1")
    assert not isinstance(caught.value, TryAgain)
    assert len(cloud_.requests) == 1


def test_a_share_that_the_cloud_says_it_does_not_have_is_none(canned: Answering) -> None:
    """Only the code of an unknown share is taken for its absence."""
    canned((404, "EntityNotExists.ResourceShare"), (400, "InvalidParameter.ResourceShareIds"))
    shares = service()

    assert shares.share_by_id("rs-1") is None
    with pytest.raises(Refused, match=r"InvalidParameter\.ResourceShareIds"):
        shares.share_by_id("rs-1")


def test_a_throttled_change_is_repeated(canned: Answering) -> None:
    """A call that was certainly not carried out is made again."""
    cloud_ = canned((400, "Throttling.User"), rows_of(ROW))

    assert [row.entity for row in service().associate("rs-1", images=[ONE], targets=[])] == [ONE]
    assert len(cloud_.requests) == 2


def test_a_change_that_the_server_failed_at_is_not_repeated(canned: Answering) -> None:
    """After a server's fault nobody knows what was done."""
    cloud_ = canned((500, "InternalError"))

    with pytest.raises(NoAnswer):
        service().disassociate("rs-1", images=[ONE], targets=[])

    assert len(cloud_.requests) == 1
