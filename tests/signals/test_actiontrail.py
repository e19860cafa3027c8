from typing import Any

import pytest

from orgshare.signals import ImageAt, MalformedEvent, Parsed, Signal, parse
from orgshare.words import Shard
from tests.signals.events import MANAGEMENT, OWNER, envelope, payload, record

HERE = "cn-hangzhou"
DIRECTORY_SERVICES = ["ResourceManager", "ResourceDirectoryMaster", "ResourceDirectory", "resourcemanager"]


def _look(event: object) -> Signal:
    parsed = parse(payload(event))
    assert not parsed.ignored
    return parsed.signal


def _images(*ids: str, region: str | None = HERE) -> frozenset[ImageAt]:
    return frozenset(ImageAt(i, region, OWNER) for i in ids)


def _references(*ids: str) -> dict[str, list[str]]:
    return {"ACS::ECS::Image": list(ids), "ACS::ECS::Instance": ["i-1"]}


@pytest.mark.parametrize("kind", ["ApiCall", "ConsoleOperation", "AliyunServiceEvent"])
def test_that_a_record_says_the_same_bare_and_in_each_envelope(kind: str) -> None:
    """An audit record asks for the same look however it comes."""
    one = record("DeleteImage", requestParameters={"ImageId": "m-1"})
    assert _look(envelope(f"ecs:ActionTrail:{kind}", one)) == _look(one)
    assert _look(one) == Signal(images=_images("m-1"), why=("DeleteImage of m-1 (event e-1)",))


def test_that_the_service_may_be_named_by_the_type_alone() -> None:
    """A record without a service belongs to the one in the type of its envelope."""
    one = record("DeleteImage", requestParameters={"ImageId": "m-1"})
    del one["serviceName"]
    assert _look(envelope("ecs:ActionTrail:ApiCall", one)).images == _images("m-1")


def test_that_the_service_in_the_record_is_enough() -> None:
    """A type that nobody foresaw loses no record of the resource directory."""
    one = record("MoveAccount", "ResourceDirectoryMaster", requestParameters={"AccountId": "3"})
    assert _look(envelope("directory:ActionTrail:ApiCall", one)).accounts == {"3"}


@pytest.mark.parametrize("name", ["CreateImage", "ImportImage"])
@pytest.mark.parametrize(
    ("more", "ids"),
    [
        ({"responseElements": {"ImageId": "m-1"}, "referencedResources": _references("m-1")}, ["m-1"]),
        ({"responseElements": {"ImageId": "m-1"}}, ["m-1"]),
        ({"referencedResources": _references("m-1", "m-2")}, ["m-1", "m-2"]),
        ({"responseElements": {"ImageId": ""}, "referencedResources": _references("m-1")}, ["m-1"]),
        ({"responseElements": None, "referencedResources": _references("m-1")}, ["m-1"]),
    ],
)
def test_that_a_new_image_is_named_by_the_answer_or_the_references(
    name: str, more: dict[str, Any], ids: list[str]
) -> None:
    """The answer names a new image; where a record has no answer, the resources that it refers to do."""
    assert _look(record(name, **more)).images == _images(*ids)


@pytest.mark.parametrize("name", ["CreateImage", "ImportImage"])
def test_that_an_unnamed_new_image_means_its_shard(name: str) -> None:
    """A record without answer and references still says in which account and region to look."""
    assert _look(record(name, requestParameters={"ImageName": "golden"})) == Signal(
        shards=frozenset({Shard("ecs", OWNER, HERE)}),
        why=(f"{name} of something in ecs/{OWNER}/{HERE} (event e-1)",),
    )


def test_that_a_copy_is_looked_for_where_it_was_copied_to() -> None:
    """A copied image is new in the destination region, whatever region the record comes from."""
    asked = {"RegionId": HERE, "ImageId": "m-1", "DestinationRegionId": "ap-southeast-1"}
    there = _images("m-2", region="ap-southeast-1")
    answered = record("CopyImage", requestParameters=asked, responseElements={"ImageId": "m-2"})
    referred = record("CopyImage", requestParameters=asked, referencedResources=_references("m-1", "m-2"))
    assert _look(answered).images == there
    assert _look(referred).images == there


def test_that_the_source_of_a_copy_is_never_taken_for_the_copy() -> None:
    """A record that names only the source asks for the whole shard of the destination."""
    asked = {"RegionId": HERE, "ImageId": "m-1", "DestinationRegionId": "ap-southeast-1"}
    signal = _look(record("CopyImage", requestParameters=asked, referencedResources=_references("m-1")))
    assert signal.images == frozenset()
    assert signal.shards == {Shard("ecs", OWNER, "ap-southeast-1")}


def test_that_a_copy_to_nowhere_named_is_looked_for_everywhere() -> None:
    """Without a destination nothing is assumed of the region of the new image."""
    one = record("CopyImage", requestParameters={"ImageId": "m-1"}, responseElements={"ImageId": "m-2"})
    assert _look(one).images == _images("m-2", region=None)


@pytest.mark.parametrize(
    "name", ["CancelCopyImage", "DeleteImage", "ModifyImageAttribute", "ModifyImageSharePermission"]
)
def test_that_a_changed_image_is_named_by_the_request_or_the_references(name: str) -> None:
    """The request names the image that a call changes; where a record has no request, the references do."""
    asked = {"RegionId": "cn-beijing", "ImageId": "m-1"}
    assert _look(record(name, requestParameters=asked)).images == _images("m-1", region="cn-beijing")
    assert _look(record(name, referencedResources=_references("m-1"))).images == _images("m-1")


@pytest.mark.parametrize("name", ["TagResources", "UntagResources"])
@pytest.mark.parametrize(
    ("asked", "more", "ids"),
    [
        ({"ResourceType": "image", "ResourceId.1": "m-1", "ResourceId.12": "m-2"}, {}, ["m-1", "m-2"]),
        ({"ResourceType": "image", "ResourceId": ["m-1", "m-2"]}, {}, ["m-1", "m-2"]),
        ({"ResourceType": "IMAGE", "ResourceId": "m-1"}, {}, ["m-1"]),
        ({"ResourceType": "image"}, {"referencedResources": _references("m-1")}, ["m-1"]),
        (None, {"referencedResources": _references("m-1")}, ["m-1"]),
        (
            {"ResourceType": "image", "ResourceId.1": "m-1", "Tag.1.Key": "a", "ResourceId.x": "b"},
            {},
            ["m-1"],
        ),
    ],
)
def test_that_tagged_images_are_looked_at(name: str, asked: object, more: dict[str, Any], ids: list[str]) -> None:
    """Tags decide which rules select an image; records hold the images as a list or as flattened keys."""
    assert _look(record(name, requestParameters=asked, **more)).images == _images(*ids)


@pytest.mark.parametrize(
    ("event", "because"),
    [
        (
            record("TagResources", requestParameters={"ResourceType": "instance", "ResourceId.1": "i-1"}),
            "of no interest: TagResources of instance (event e-1)",
        ),
        (
            record("UntagResources", referencedResources={"ACS::ECS::Instance": ["i-1"]}),
            "of no interest: UntagResources of no image (event e-1)",
        ),
        (
            record("TagResources", "ResourceManager", requestParameters={"ResourceType": "ResourceGroup"}),
            "of no interest: TagResources of ResourceGroup (event e-1)",
        ),
        (record("StopInstance", requestParameters=5), "of no interest: Ecs StopInstance (event e-1)"),
        (record("DeleteImage", "Slb", requestParameters=5), "of no interest: Slb DeleteImage (event e-1)"),
        (record("ModifyImagePermission", "Ecd"), "of no interest: Ecd ModifyImagePermission (event e-1)"),
        (
            record("InviteAccountToResourceDirectory", "ResourceManager"),
            "of no interest: ResourceManager InviteAccountToResourceDirectory (event e-1)",
        ),
        (record("MoveAccount", "Ecs"), "of no interest: Ecs MoveAccount (event e-1)"),
    ],
)
def test_that_other_calls_are_ignored(event: object, because: str) -> None:
    """Calls that change neither images nor membership are ignored with a reason, and read no further."""
    assert parse(payload(event)) == Parsed(ignored=(because,))


def test_that_a_failed_call_is_ignored() -> None:
    """A call with an error code changed nothing; an empty or absent code is success."""
    asked = {"AccountId": "3"}
    for code in ("", None):
        one = record("MoveAccount", "ResourceManager", requestParameters=asked, errorCode=code)
        assert _look(one).accounts == {"3"}
    failed = record("MoveAccount", "ResourceManager", requestParameters=asked, errorCode="NoPermission")
    assert parse(payload(failed)) == Parsed(
        ignored=("failed with NoPermission: ResourceManager MoveAccount (event e-1)",)
    )


@pytest.mark.parametrize("service", DIRECTORY_SERVICES)
@pytest.mark.parametrize("name", ["MoveAccount", "RemoveCloudAccount", "DeleteAccount", "UpdateAccount"])
def test_that_an_account_that_a_call_names_is_looked_at(service: str, name: str) -> None:
    """Under each name of the service, a call about an account asks for a look at that account."""
    one = record(name, service, requestParameters={"AccountId": "1000000000000003"})
    assert _look(one) == Signal(
        accounts=frozenset({"1000000000000003"}), why=(f"{name} of 1000000000000003 (event e-1)",)
    )


def test_that_an_account_id_may_be_a_number() -> None:
    """An id that comes as a JSON number names the same account as the text."""
    one = record("MoveAccount", "ResourceManager", requestParameters={"AccountId": 1000000000000003})
    assert _look(one).accounts == {"1000000000000003"}


@pytest.mark.parametrize("name", ["CreateResourceAccount", "CreateCloudAccount"])
def test_that_a_new_account_is_named_by_the_answer(name: str) -> None:
    """The answer names a new account; without it only the whole organization shows who is new."""
    one = record(name, "ResourceManager", responseElements={"Account": {"AccountId": "3"}})
    assert _look(one).accounts == {"3"}
    answers: list[Any] = [None, {}, {"Account": None}, {"Account": {}}, {"Account": {"AccountId": ""}}]
    for answer in answers:
        assert _look(record(name, "ResourceManager", responseElements=answer)) == Signal(
            organization=True, why=(f"{name} (event e-1)",)
        )


def test_that_an_accepted_invitation_names_who_joined() -> None:
    """The answer names the invited account by its id; else it is the account that made the call."""
    one = record("AcceptHandshake", "ResourceManager", userIdentity={"accountId": "3"})
    del one["recipientAccountId"]
    by_id = {"Handshake": {"TargetType": "Account", "TargetEntity": "4"}}
    by_mail = {"Handshake": {"TargetType": "Email", "TargetEntity": "a b@example.com"}}
    assert _look({**one, "responseElements": by_id}).accounts == {"4"}
    assert _look({**one, "responseElements": by_mail}).accounts == {"3"}
    assert _look(one).accounts == {"3"}
    assert _look({**one, "userIdentity": None}) == Signal(organization=True, why=("AcceptHandshake (event e-1)",))


@pytest.mark.parametrize("name", ["CreateFolder", "UpdateFolder", "DeleteFolder"])
def test_that_a_changed_folder_means_a_look_at_everybody(name: str) -> None:
    """A folder that changes may move anybody, so the whole organization is looked at."""
    one = record(name, "ResourceManager", requestParameters={"FolderId": "fd-1"})
    assert _look(one) == Signal(organization=True, why=(f"{name} (event e-1)",))


@pytest.mark.parametrize("name", ["TagResources", "UntagResources"])
def test_that_tagged_accounts_are_looked_at(name: str) -> None:
    """Tags decide who is in an audience, so every account whose tags change is looked at."""
    asked = {"ResourceType": "Account", "ResourceId.1": "3", "ResourceId.2": 4}
    assert _look(record(name, "ResourceDirectoryMaster", requestParameters=asked)).accounts == {"3", "4"}


def test_that_many_names_are_cut_in_the_reason_only() -> None:
    """A reason names three and counts the rest, while the signal has all."""
    ids = [f"m-{n}" for n in range(50)]
    signal = _look(record("TagResources", requestParameters={"ResourceType": "image", "ResourceId": ids}))
    assert signal.images == _images(*ids)
    assert signal.why == ("TagResources of m-0, m-1, m-10 and 47 more (event e-1)",)


@pytest.mark.parametrize(
    ("sender", "more", "expected"),
    [
        ({"aliyunaccountid": "8"}, {"recipientAccountId": "6", "userIdentity": {"accountId": "5"}}, "6"),
        ({"aliyunaccountid": "8", "aliyunoriginalaccountid": "7"}, {"userIdentity": {"accountId": "5"}}, "7"),
        ({"aliyunaccountid": "8"}, {"userIdentity": {"accountId": "5"}}, "8"),
        ({}, {"userIdentity": {"accountId": 5}}, "5"),
        ({}, {"userIdentity": {"type": "system"}}, None),
        ({}, {}, None),
    ],
)
def test_whose_image_it_is(sender: dict[str, object], more: dict[str, object], expected: str | None) -> None:
    """The owner is the account that the record is about, else the one that sent it, else the caller."""
    one = record("DeleteImage", requestParameters={"ImageId": "m-1"})
    del one["recipientAccountId"]
    event = envelope("ecs:ActionTrail:ApiCall", {**one, **more}, **sender)
    assert _look(event).images == {ImageAt("m-1", HERE, expected)}


def test_which_region_a_record_is_about() -> None:
    """The region that was asked for counts more than the one in which the record was made."""
    asked = {"ImageId": "m-1", "RegionId": "cn-beijing"}
    assert _look(record("DeleteImage", requestParameters=asked)).images == _images("m-1", region="cn-beijing")
    nowhere = record("DeleteImage", requestParameters={"ImageId": "m-1", "RegionId": ""}, acsRegion="")
    assert _look(nowhere).images == _images("m-1", region=None)


@pytest.mark.parametrize("name", ["CreateImage", "ImportImage", "CopyImage"])
def test_that_a_new_image_of_nobody_nowhere_raises(name: str) -> None:
    """Without an image and without a place there is nothing to look at, so the record is malformed."""
    one = record(name)
    del one["recipientAccountId"]
    with pytest.raises(MalformedEvent, match=f"^{name}: expected ImageId in responseElements"):
        parse(payload(one))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (record("DeleteImage"), "DeleteImage: expected ImageId in requestParameters"),
        (record("DeleteImage", requestParameters={"ImageId": 0.5}), "DeleteImage: ImageId: Expected"),
        (
            record("DeleteImage", requestParameters={"ImageId": "m/1"}),
            "Expected an id (no space, no slash, no dot in front)",
        ),
        (record("DeleteImage", requestParameters="{}"), "got `str` - at `$.requestParameters`"),
        (record("DeleteImage", referencedResources={"ACS::ECS::Image": "m-1"}), "ACS::ECS::Image: Expected"),
        (record("CreateImage", responseElements=[]), "got `array` - at `$.responseElements`"),
        (record("TagResources", requestParameters={"ResourceType": "image"}), "expected ResourceId.1"),
        (
            record("TagResources", requestParameters={"ResourceType": "image", "ResourceId.1": None}),
            "TagResources: ResourceId: Expected",
        ),
        (record("TagResources", "ResourceManager"), "expected ResourceType in requestParameters"),
        (
            record("TagResources", "ResourceManager", requestParameters={"ResourceType": "Account"}),
            "expected ResourceId.1 in requestParameters",
        ),
        (record("MoveAccount", "ResourceManager"), "MoveAccount: expected AccountId in requestParameters"),
        (
            record("CreateCloudAccount", "ResourceManager", responseElements={"Account": "3"}),
            "CreateCloudAccount: Account: Expected `object`, got `str`",
        ),
        ({"serviceName": "Ecs", "eventName": None}, "a record of Ecs: expected eventName as text"),
        (envelope("ecs:ActionTrail:ApiCall", {}), "a record of ecs: expected eventName as text"),
        (envelope("ecs:ActionTrail:ApiCall", [1]), "Expected `object`, got `array` - at `$.data`"),
        ({"type": "ecs:ActionTrail:ApiCall", "id": "1", "source": "x"}, "missing required field `data`"),
    ],
)
def test_that_a_record_that_lacks_what_it_needs_raises(event: object, says: str) -> None:
    """A call of interest that does not name its image or account raises an error that says what it lacks."""
    with pytest.raises(MalformedEvent) as raised:
        parse(payload(event))
    assert says in str(raised.value)


def test_that_no_management_account_is_taken_for_a_member() -> None:
    """Who calls is not who moves: the caller of an account call is never looked at."""
    one = record(
        "RemoveCloudAccount",
        "ResourceManager",
        userIdentity={"accountId": MANAGEMENT},
        requestParameters={"AccountId": "3"},
    )
    assert _look(envelope("resourcemanager:ActionTrail:ApiCall", one)).accounts == {"3"}
