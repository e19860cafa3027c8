"""Timers, object notices, events and trails, and the functions that they reach; the instances are played."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_resourcemanager20200331 import models as directory_models

from localcloud import LocalCloud
from localcloud.inprocess import in_process
from tests.support.cloud import (
    BANK,
    FAR,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    REGION,
    SHOP,
    START,
    THREE,
    TWO,
    Clients,
    iso,
    refused,
    start,
    version_1,
    world,
)
from tests.support.functions import FAILED, Played, functions, start_functions
from tests.support.functions import ONE as FIRST
from tests.support.functions import TWO as SECOND
from tests.support.objects import Objects

TRAIL = "acme-trail"
HOUR = 3600.0


class Scene:
    """A cloud in process, its stage, and what its functions were handed."""

    def __init__(self, cloud: LocalCloud, stage: Played) -> None:
        self.cloud = cloud
        self.stage = stage

    def handed(self, function: str) -> list[Any]:
        """The events of a function so far, after all that is due by now; timers are left out."""
        self.cloud.drain()
        return [event for event in self.stage.events(function) if "triggerName" not in event]

    def kinds(self, function: str) -> list[tuple[str, str]]:
        """(type, eventName or image and state) of the same."""
        return [(one["type"], one["data"].get("eventName") or _state(one)) for one in self.handed(function)]

    def sources(self, function: str) -> list[str]:
        """Where invocations came from."""
        self.cloud.drain()
        return [one.source for one in self.cloud.invocations(function)]


def _state(event: dict[str, Any]) -> str:
    return f"{event['data']['imageId']} {event['data']['currentState']}"


@pytest.fixture
def begin() -> Iterator[Any]:
    with ExitStack() as stack:

        def started(*, template: str = "template.yml", parameters: dict[str, Any] | None = None, **parts: Any) -> Scene:
            stage = Played()
            wish = functions(template, **(parameters or {}))
            cloud = start_functions(stage, **{"functions": wish, **parts})
            stack.enter_context(in_process(cloud))
            return Scene(cloud, stage)

        yield started


# --- timers


def test_timers_fire_by_the_clock_and_in_order(begin: Any) -> None:
    """Every hour, and at half past four in Shanghai, each at its own moment; a timer that is off never fires."""
    scene = begin()
    scene.cloud.advance(10 * HOUR)
    assert scene.stage.events(SECOND) == [
        {"triggerTime": iso(START + hour * HOUR), "triggerName": "often", "payload": "look"} for hour in range(1, 11)
    ]
    assert scene.stage.events(FIRST) == [
        {"triggerTime": "2026-11-21T20:30:00Z", "triggerName": "nightly", "payload": '{"task": "all"}'}
    ]
    assert set(scene.sources(SECOND)) == {"timer:often"}
    assert scene.cloud.invocations(SECOND)[0].time == "2026-11-21T13:00:00.000Z"


def test_a_timer_does_not_fire_early_or_twice(begin: Any) -> None:
    """Moving the clock in small steps gives the same as in one."""
    scene = begin()
    scene.cloud.advance(HOUR - 0.5)
    assert scene.stage.asked == []
    for _ in range(4):
        scene.cloud.advance(0.25)
    scene.cloud.drain()
    assert len(scene.stage.events(SECOND)) == 1


def test_a_change_of_the_world_does_not_restart_timers(begin: Any) -> None:
    """A timer that stays keeps its pace."""
    scene = begin()
    scene.cloud.advance(HOUR / 2)
    scene.cloud.patch({"switches": {"over_ten": "ignored"}})
    scene.cloud.advance(HOUR / 2)
    assert len(scene.stage.events(SECOND)) == 1


def test_a_timer_of_2_0_fires_too(begin: Any) -> None:
    """Triggers of both versions are read."""
    scene = begin(template="template-fc2.yml")
    scene.cloud.advance(HOUR)
    assert [one["triggerTime"][11:16] for one in scene.stage.events("acme$one")] == [
        "12:10",
        "12:20",
        "12:30",
        "12:40",
        "12:50",
        "13:00",
    ]


# --- objects


def test_an_object_fires_a_trigger_by_prefix_and_suffix(begin: Any) -> None:
    """Only objects of its bucket under its prefix with its suffix do, and only when they are made."""
    scene = begin(buckets={"acme-other": {"owner": OWNER, "region": REGION}})
    bucket = Objects(bucket=TRAIL)
    for name in ("audit/1.gz", "audit/2.txt", "other/3.gz"):
        bucket.put(name, b"content")
    Objects(bucket="acme-other").put("audit/4.gz")
    bucket.delete("audit/1.gz")
    (event,) = scene.handed(SECOND)
    (notice,) = event["events"]
    assert (notice["eventName"], notice["region"]) == ("ObjectCreated:PutObject", REGION)
    assert notice["oss"]["bucket"] == {
        "arn": f"acs:oss:{REGION}:{OWNER}:{TRAIL}",
        "name": TRAIL,
        "ownerIdentity": OWNER,
    }
    assert notice["oss"]["object"]["key"] == "audit/1.gz"
    assert scene.sources(SECOND) == ["oss:files"]


def test_a_refused_put_fires_nothing(begin: Any) -> None:
    """What is not stored is not told of."""
    scene = begin()
    bucket = Objects(bucket=TRAIL)
    bucket.put_new("audit/1.gz")
    with pytest.raises(Exception, match="FileAlreadyExists"):
        bucket.put_new("audit/1.gz")
    assert len(scene.handed(SECOND)) == 1


@pytest.mark.parametrize("change", [{"policies": ()}, {"trusts_services": (), "trust_policy": None}])
def test_a_trigger_needs_a_role_that_storage_may_take_and_that_may_invoke(begin: Any, change: dict[str, Any]) -> None:
    """Without it the function hears nothing, which the list of invocations shows."""
    scene = begin()
    roles = scene.cloud._gateway.models.identity.roles
    arn = f"acs:ram::{OWNER}:role/acme-objects"
    roles[arn] = msgspec.structs.replace(roles[arn], **change)
    Objects(bucket=TRAIL).put("audit/1.gz", b"content")
    assert scene.handed(SECOND) == []
    (lost,) = scene.cloud.invocations(SECOND)
    assert (lost.source, lost.outcome.partition(":")[0]) == ("oss:files", "NotInvoked")
    if "policies" in change:
        assert "not authorized to perform 'fc:InvokeFunction'" in lost.outcome


# --- images


def test_an_image_is_told_of_in_every_state(begin: Any) -> None:
    """A copy is told of when it begins and when it is usable, which is when the clock gets there."""
    scene = begin(delays={"image": 300})
    made = _copy("copy")
    assert scene.kinds(SECOND) == [("ecs:Image:StateChange", f"{made} Creating")]
    scene.cloud.advance(299)
    assert len(scene.handed(SECOND)) == 1
    scene.cloud.advance(1)
    assert [state for _, state in scene.kinds(SECOND)] == [f"{made} Creating", f"{made} Available"]
    (_, event) = scene.handed(SECOND)
    assert event["subject"] == f"acs:ecs:{REGION}:{OWNER}:image/{made}"
    assert (event["source"], event["aliyunaccountid"], event["aliyunregionid"]) == ("acs.ecs", OWNER, REGION)
    assert event["time"] == iso(START + 300)


def test_of_images_that_were_there_nothing_is_told(begin: Any) -> None:
    """The world's own images are no news; a deleted one is, and what an outsider changes too."""
    scene = begin()
    assert scene.handed(SECOND) == []
    _delete(ONE)
    scene.cloud.patch({"images": {TWO: {"status": "Deprecated"}, "m-new": _image("new"), THREE: None}})
    assert sorted(state for _, state in scene.kinds(SECOND)) == sorted(
        [f"{ONE} Deleted", f"{TWO} Deprecated", f"{THREE} Deleted", "m-new Available"]
    )


def test_an_image_without_a_new_state_is_no_news(begin: Any) -> None:
    """Sharing, tagging and renaming tell nothing of an image's state."""
    scene = begin()
    Clients().share(ONE, SHOP)
    scene.cloud.patch({"images": {TWO: {"tags": {"share": "org"}}}})
    assert scene.handed(SECOND) == []


def test_a_rule_hears_of_its_own_account_and_region_only(begin: Any) -> None:
    """Images of another account, or in another region, are on another bus."""
    scene = begin()
    scene.cloud.patch(
        {"images": {"m-far": {**_image("far"), "region": FAR}, "m-shop": {**_image("shop"), "owner": SHOP}}}
    )
    assert scene.handed(SECOND) == []


def test_a_rule_of_the_bus_reaches_a_function_of_2_0(begin: Any) -> None:
    """Functions of 2.0 have no such trigger of their own: the template has the rule, with a function as its target."""
    scene = begin(template="template-fc2.yml")
    _delete(ONE)
    assert scene.kinds("acme$one") == [("ecs:Image:StateChange", f"{ONE} Deleted")]
    assert scene.sources("acme$one") == ["eventbridge:images"]


# --- audit records


def test_a_call_that_writes_is_recorded_and_told_of(begin: Any) -> None:
    """The record is the event's data: who called what with which parameters, and what it answered."""
    scene = begin()
    Clients().share(ONE, SHOP)
    Clients().images()
    (event,) = scene.handed(FIRST)
    record = event["data"]
    assert event["type"] == "ecs:ActionTrail:ApiCall"
    assert (record["eventName"], record["serviceName"], record["acsRegion"]) == (
        "ModifyImageSharePermission",
        "Ecs",
        REGION,
    )
    assert record["requestParameters"] == {"RegionId": REGION, "ImageId": ONE, "AddAccount.1": SHOP}
    assert record["referencedResources"] == {"ACS::ECS::Image": [ONE]}
    assert record["userIdentity"]["accountId"] == record["recipientAccountId"] == OWNER
    assert record["responseElements"]["RequestId"] == record["requestId"]
    assert "errorCode" not in record
    assert event["id"] != record["eventId"]


def test_a_failed_call_is_recorded_with_its_code(begin: Any) -> None:
    """It was tried, so it is told of: also one that flow control turned away."""
    scene = begin(flow_control={"ecs:ModifyImageSharePermission": {"limit": 1, "window": 60}})
    with refused("InvalidAccount.NotFound", 404):
        Clients().share(ONE, "9000000000000009")
    with refused("Throttling.User", 400):
        Clients().share(ONE, SHOP)
    codes = [event["data"]["errorCode"] for event in scene.handed(FIRST)]
    assert codes == ["InvalidAccount.NotFound", "Throttling.User"]
    assert all("responseElements" not in event["data"] for event in scene.handed(FIRST))


def test_a_record_need_not_have_the_answer(begin: Any) -> None:
    """The vendor's samples lack it at times, so the world can leave it out."""
    scene = begin(events={"answers": False})
    Clients().share(ONE, SHOP)
    (event,) = scene.handed(FIRST)
    assert "responseElements" not in event["data"]


def test_a_record_never_holds_a_signature(begin: Any) -> None:
    """Of the parameters of the old signature nothing is left, nor of the key or token."""
    scene = begin()
    request = version_1("DeleteImage", {"RegionId": REGION, "ImageId": ONE})
    assert scene.cloud.handle(request).status == 200
    (event,) = scene.handed(FIRST)
    assert event["data"]["requestParameters"] == {"RegionId": REGION, "ImageId": ONE}


# --- the organization


def _invited(scene: Scene) -> None:
    """PARTNER is invited by management and accepts."""
    handshake = Clients(MANAGEMENT).directory.invite_account_to_resource_directory(
        _directory("InviteAccountToResourceDirectoryRequest", target_entity=PARTNER, target_type="Account")
    )
    accept = _directory("AcceptHandshakeRequest", handshake_id=handshake.body.handshake.handshake_id)
    Clients(PARTNER).directory.accept_handshake(accept)


def _directory(name: str, **fields: Any) -> Any:
    return getattr(directory_models, name)(**fields)


def test_membership_calls_reach_a_bus_only_if_the_world_says_so(begin: Any) -> None:
    """Whether they do is not documented. Where they do, a bus of the functions' account needs them handed on."""
    forward = {MANAGEMENT: OWNER, PARTNER: OWNER}
    for membership, expected in ((False, []), (True, [("InviteAccountToResourceDirectory", MANAGEMENT)])):
        scene = begin(events={"membership": membership, "forward": forward})
        _invited(scene)
        seen = [(one["data"]["eventName"], one["aliyunoriginalaccountid"]) for one in scene.handed(FIRST)]
        accepted = [("AcceptHandshake", PARTNER)] if membership else []
        assert seen == expected + accepted
        assert all(one["aliyunaccountid"] == OWNER for one in scene.handed(FIRST))


def test_without_forwarding_management_s_calls_stay_in_management(begin: Any) -> None:
    """The functions' account hears nothing of them, nor of a call that an invited account makes."""
    scene = begin(events={"membership": True})
    _invited(scene)
    assert scene.handed(FIRST) == []


def test_membership_calls_are_told_of_in_one_region(begin: Any) -> None:
    """Their service is central; on which region's bus they are is a setting."""
    scene = begin(events={"membership": True, "membership_region": FAR, "forward": {MANAGEMENT: OWNER}})
    _invited(scene)
    assert scene.handed(FIRST) == []


# --- what becomes of events


def test_events_get_lost_come_twice_or_late(begin: Any) -> None:
    """As the world says, for events of a bus and notices of objects alike."""
    lost = begin(events={"lose": 1.0})
    Clients().share(ONE, SHOP)
    Objects(bucket=TRAIL).put("audit/1.gz")
    assert lost.handed(FIRST) == lost.handed(SECOND) == []
    twice = begin(events={"duplicate": 1.0})
    Clients().share(ONE, SHOP)
    Objects(bucket=TRAIL).put("audit/1.gz")
    assert [one["id"] for one in twice.handed(FIRST)] == [twice.handed(FIRST)[0]["id"]] * 2
    assert len(twice.handed(SECOND)) == 2
    late = begin(events={"delay": 90})
    Clients().share(ONE, SHOP)
    late.cloud.advance(89)
    assert late.handed(FIRST) == []
    late.cloud.advance(1)
    assert len(late.handed(FIRST)) == 1


def test_some_events_get_lost(begin: Any) -> None:
    """With a probability between, some arrive and some do not, the same ones in each run."""
    counts = []
    for _ in range(2):
        scene = begin(events={"lose": 0.5})
        for number in range(20):
            scene.cloud.patch({"images": {f"m-{number}": _image(f"n{number}")}})
        counts.append([state for _, state in scene.kinds(SECOND)])
    assert counts[0] == counts[1]
    assert 0 < len(counts[0]) < 20


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("true_is_sync", [True, False])
def test_what_the_invocation_type_of_a_trigger_means_is_a_setting(begin: Any, flag: bool, true_is_sync: bool) -> None:
    """Synchronous: EventBridge tries again, after 10 to 20 seconds, and nobody is told of a failure at the end."""
    wish = {**functions(Asynchronous=flag), "true_is_sync": true_is_sync}
    scene = begin(functions=wish)
    scene.stage.answer = lambda _: FAILED
    _delete(ONE)
    scene.cloud.advance(5)
    tries = [one for one in scene.cloud.invocations(SECOND) if one.source == "eventbridge:images"]
    synchronous = flag == true_is_sync
    assert len(tries) == (1 if synchronous else 4)
    scene.cloud.advance(120)
    assert len([one for one in scene.cloud.invocations(SECOND) if one.source == "eventbridge:images"]) == 4


# --- trails


def trail(**more: Any) -> dict[str, Any]:
    """One trail into the template's bucket."""
    return {"trails": {"audit": {"account": OWNER, "bucket": TRAIL, "prefix": "audit", "delay": 60, **more}}}


def test_a_trail_writes_files_that_fire_object_triggers(begin: Any) -> None:
    """After its delay the records of an account and region are one gzip file with an array, told of like any object."""
    scene = begin(events=trail())
    for image in (ONE, TWO, THREE):
        Clients().share(image, SHOP)
    scene.cloud.advance(59)
    assert Objects(bucket=TRAIL).names() == []
    scene.cloud.advance(1)
    (name,) = Objects(bucket=TRAIL).names()
    content = Objects(bucket=TRAIL).get(name)
    start = (
        f"audit/AliyunLogs/Actiontrail/{REGION}/2026/11/21/Actiontrail_{REGION}_20261121120100_1002_3_{len(content)}_"
    )
    assert name.startswith(start)
    assert [one["requestParameters"]["ImageId"] for one in json.loads(gzip.decompress(content))] == [ONE, TWO, THREE]
    (event,) = [one for one in scene.handed(SECOND) if "events" in one]
    assert event["events"][0]["oss"]["object"]["key"] == name


def test_a_trail_of_the_organization_has_every_member(begin: Any) -> None:
    """Management's trail holds the members' records in folders of their own; an outsider's are not in it."""
    scene = begin(events=trail(account=MANAGEMENT, organization=True))
    Clients().share(ONE, SHOP)
    handshake = Clients(MANAGEMENT).directory.invite_account_to_resource_directory(
        _directory("InviteAccountToResourceDirectoryRequest", target_entity=PARTNER, target_type="Account")
    )
    Clients(PARTNER).directory.accept_handshake(
        _directory("AcceptHandshakeRequest", handshake_id=handshake.body.handshake.handshake_id)
    )
    scene.cloud.advance(60)
    records = {}
    for name in Objects(bucket=TRAIL).names():
        account = name.split("/")[4]
        found = json.loads(gzip.decompress(Objects(bucket=TRAIL).get(name)))
        records[account] = [one["eventName"] for one in found]
    assert records == {
        MANAGEMENT: ["InviteAccountToResourceDirectory"],
        OWNER: ["ModifyImageSharePermission"],
        PARTNER: ["AcceptHandshake"],
    }


def test_a_trail_of_one_account_has_its_own_records_only(begin: Any) -> None:
    """Other accounts' calls are not in it."""
    begin(events=trail(account=MANAGEMENT)).cloud.advance(60)
    Clients().share(ONE, SHOP)
    assert Objects(bucket=TRAIL).names() == []


def test_calls_of_elastic_desktop_service_are_recorded_and_on_no_bus(begin: Any) -> None:
    """ActionTrail has them; no page says that EventBridge has."""
    images = {**world()["images"], "m-desk": {**_image("desk"), "service": "eds"}}
    scene = begin(events=trail(), images=images)
    Clients().share_desk("m-desk", SHOP, BANK)
    scene.cloud.advance(60)
    (name,) = Objects(bucket=TRAIL).names()
    (record,) = json.loads(gzip.decompress(Objects(bucket=TRAIL).get(name)))
    assert (record["serviceName"], record["eventName"]) == ("Ecd", "ModifyImagePermission")
    assert record["requestParameters"]["AddAccount.2"] == BANK
    Clients().share(ONE, SHOP)
    assert scene.kinds(FIRST) == [("ecs:ActionTrail:ApiCall", "ModifyImageSharePermission")]


def test_a_trail_works_without_functions() -> None:
    """A world with a bucket and a trail, and no template, gets its files."""
    bucket = {TRAIL: {"owner": OWNER, "region": REGION}}
    cloud = start(world(buckets=bucket, events=trail()))
    with in_process(cloud):
        Clients().share(ONE, SHOP)
        cloud.advance(60)
        assert len(Objects(bucket=TRAIL).names()) == 1


def _image(name: str) -> dict[str, Any]:
    return {"owner": OWNER, "region": REGION, "name": name}


def _copy(name: str) -> str:
    asked = ecs_models.CopyImageRequest(
        region_id=REGION, image_id=ONE, destination_image_name=name, destination_region_id=REGION
    )
    return str(Clients().ecs.copy_image(asked).body.image_id)


def _delete(image: str) -> None:
    Clients().ecs.delete_image(ecs_models.DeleteImageRequest(region_id=REGION, image_id=image))
