"""Routing, regions, flow control, faults, answers in XML, and the request log."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from localcloud import HttpResponse, LocalCloud, LogEntry, ManualClock
from localcloud.catalog import OPERATIONS as CATALOG
from localcloud.catalog import host_parts
from localcloud.gateway import OPERATIONS
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    REGION,
    SHOP,
    START,
    THREE,
    TWO,
    Clients,
    acs3,
    answered,
    channels,
    image,
    outcome,
    start,
    version_1,
    world,
)

Begin = Callable[..., LocalCloud]
PERMISSION = "DescribeImageSharePermission"
MODIFY = "ModifyImageSharePermission"
ASK = {"RegionId": REGION, "ImageId": ONE}


def share(cloud: LocalCloud, account: str, *, image_id: str = ONE, owner: str = OWNER) -> HttpResponse:
    params = {"RegionId": REGION, "ImageId": image_id, "AddAccount.1": account}
    return cloud.handle(acs3(MODIFY, params, account=owner))


def fault(kind: str, operation: str = "*", **more: Any) -> list[dict[str, Any]]:
    return [{"operation": operation, "kind": kind, **(more or {"every": 1})}]


def test_the_catalogue_is_what_is_served() -> None:
    """Every operation that worlds can name has a handler, and the other way round."""
    assert {f"{product}:{name}" for product, name in OPERATIONS} == CATALOG


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("ecs-cn-hangzhou.aliyuncs.com", ("ecs", "cn-hangzhou")),
        ("ecs.cn-hangzhou.aliyuncs.com:80", ("ecs", "cn-hangzhou")),
        ("ECS.ap-southeast-1.aliyuncs.com", ("ecs", "ap-southeast-1")),
        ("ecs-vpc.cn-beijing.aliyuncs.com", ("ecs", "cn-beijing")),
        ("ecs.aliyuncs.com", ("ecs", "")),
        ("sts.cn-hangzhou.aliyuncs.com", ("sts", "cn-hangzhou")),
        ("sts.aliyuncs.com", ("sts", "")),
        ("resourcemanager.aliyuncs.com", ("resourcemanager", "")),
        ("127.0.0.1:8080", ("", "")),
        ("localhost", ("", "")),
        ("aliyuncs.com.example.org", ("", "")),
    ],
)
def test_hosts_name_a_product_and_perhaps_a_region(host: str, parts: tuple[str, str]) -> None:
    """All forms of the vendor's hosts are understood, other hosts name nothing."""
    assert host_parts(host) == parts


def test_every_endpoint_of_the_sdks_own_map_is_understood() -> None:
    """Whatever host the official SDKs choose for a region, it is routed to the right product."""
    for region in (REGION, FAR, "cn-beijing", "eu-central-1"):
        clients = Clients(region=region)
        assert host_parts(clients.ecs._endpoint) == ("ecs", region)
        assert host_parts(clients.sts._endpoint) == ("sts", region)
        assert host_parts(clients.directory._endpoint) == ("resourcemanager", "")


def test_the_region_comes_from_the_parameter_then_from_the_host(begin: Begin) -> None:
    """An old host serves several regions, so RegionId wins; without it the host's region counts."""
    cloud = begin(images={ONE: image("one"), TWO: image("two", region=FAR)})

    def shown(host: str, **params: str) -> list[str]:
        answer = answered(cloud.handle(acs3("DescribeImages", params, host=host)))
        return [row["ImageId"] for row in answer["Images"]["Image"]]

    assert shown("ecs-cn-hangzhou.aliyuncs.com") == [ONE]
    assert shown("ecs-cn-hangzhou.aliyuncs.com", RegionId=FAR) == [TWO]
    assert shown("ecs.ap-southeast-1.aliyuncs.com") == [TWO]
    assert shown("127.0.0.1:1", RegionId=REGION) == [ONE]
    for host in ("ecs.aliyuncs.com", "127.0.0.1:1"):
        assert outcome(cloud.handle(acs3("DescribeImages", host=host))) == (400, "MissingParameter")


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"action": "DescribeNothing"}, "InvalidAction.NotFound", 404),
        ({"action": "describeimages"}, "InvalidAction.NotFound", 404),
        ({"action": ""}, "MissingParameter", 400),
        ({"version": ""}, "MissingParameter", 400),
        ({"version": "2014-05-27"}, "InvalidVersion", 400),
        ({"version": "2020-03-31"}, "InvalidVersion", 400),
        ({"host": "kms.cn-hangzhou.aliyuncs.com"}, "InvalidProduct.NotFound", 404),
        ({"method": "PUT"}, "UnsupportedHTTPMethod", 400),
    ],
)
def test_what_leads_nowhere(changes: dict[str, str], code: str, status: int) -> None:
    """An unknown action, version, product or method has its own code, in both signatures."""
    arguments: dict[str, Any] = {"action": "DescribeImages", "params": ASK, **changes}
    for request in (acs3(**arguments), version_1(**arguments)):
        assert outcome(start().handle(request)) == (status, code)


def test_a_refusal_has_the_shape_that_all_clients_read() -> None:
    """RequestId, HostId, Code, Message and Recommend, and the request id in a header too."""
    response = start().handle(acs3(PERMISSION, {"RegionId": REGION, "ImageId": "m-nowhere"}))
    body = answered(response)
    assert set(body) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert body["HostId"] == "ecs-cn-hangzhou.aliyuncs.com"
    assert dict(response.headers)["x-acs-request-id"] == body["RequestId"]
    assert dict(response.headers)["content-type"] == "application/json;charset=utf-8"


def test_request_ids_are_upper_case_uuids_and_differ() -> None:
    """They look like the vendor's, and come from the cloud's random source."""
    ids = [
        [answered(cloud.handle(acs3(PERMISSION, ASK)))["RequestId"] for _ in range(5)] for cloud in (start(), start())
    ]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 5
    for one in ids[0]:
        assert [len(part) for part in one.split("-")] == [8, 4, 4, 4, 12]
        assert one == one.upper()


def test_clients_of_the_old_signature_may_ask_for_xml(begin: Begin) -> None:
    """Format=XML gives the vendor's XML, for answers and refusals; without it the answer is JSON."""
    cloud = begin(grants={ONE: [SHOP, BANK]}, images={ONE: image("a&b")})
    response = cloud.handle(version_1(PERMISSION, {**ASK, "Format": "XML"}))
    text = response.body.decode()
    assert text.startswith("<?xml version='1.0' encoding='UTF-8'?><DescribeImageSharePermissionResponse><RequestId>")
    assert f"<Accounts><Account><AliyunId>{SHOP}</AliyunId>" in text
    assert dict(response.headers)["content-type"] == "text/xml;charset=utf-8"
    shown = cloud.handle(version_1("DescribeImages", {"RegionId": REGION, "Format": "xml"})).body.decode()
    assert "<ImageName>a&amp;b</ImageName>" in shown
    assert "<IsPublic>false</IsPublic>" in shown
    assert "<IsSelfShared>true</IsSelfShared>" in shown
    refusal = cloud.handle(version_1(PERMISSION, {"RegionId": REGION, "ImageId": "m-x", "Format": "XML"}))
    assert b"<Error><RequestId>" in refusal.body
    assert b"<Code>InvalidImageId.NotFound</Code>" in refusal.body
    assert outcome(cloud.handle(version_1(PERMISSION, ASK))) == (200, "")
    assert outcome(cloud.handle(acs3(PERMISSION, {**ASK, "Format": "XML"}))) == (200, "")


# --- flow control


def test_calls_over_the_limit_wait_for_the_next_window(begin: Begin) -> None:
    """Windows are aligned to the clock; a refused call is not performed, and the next window serves again."""
    cloud = begin(flow_control={f"ecs:{MODIFY}": {"limit": 2, "window": 60}})
    cloud.advance(59)
    assert [outcome(share(cloud, one)) for one in (SHOP, BANK, LAB)] == [
        (200, ""),
        (200, ""),
        (400, "Throttling.User"),
    ]
    assert channels(cloud)[ONE] == {SHOP, BANK}
    cloud.advance(1)
    assert outcome(share(cloud, LAB)) == (200, "")


def test_limits_count_for_each_api_account_and_region_alone(begin: Begin) -> None:
    """Another account, another region and another API are not held up."""
    images = {ONE: image("one"), TWO: image("two", region=FAR), THREE: image("three", owner=SHOP)}
    cloud = begin(images=images, flow_control={f"ecs:{PERMISSION}": {"limit": 1, "window": 60}})

    def ask(account: str, image_id: str, region: str = REGION) -> str:
        params = {"RegionId": region, "ImageId": image_id}
        return outcome(cloud.handle(acs3(PERMISSION, params, account=account)))[1]

    assert [ask(OWNER, ONE), ask(OWNER, ONE)] == ["", "Throttling.User"]
    assert ask(OWNER, TWO, FAR) == ""
    assert ask(SHOP, THREE) == ""
    assert outcome(cloud.handle(acs3("DescribeImages", {"RegionId": REGION}))) == (200, "")
    assert outcome(share(cloud, BANK)) == (200, "")


def test_calls_that_are_not_admitted_at_all_do_not_count(begin: Begin) -> None:
    """A bad signature uses up no place in the window."""
    cloud = begin(flow_control={f"ecs:{PERMISSION}": {"limit": 1, "window": 60}})
    assert outcome(cloud.handle(acs3(PERMISSION, ASK, secret="other")))[1] == "SignatureDoesNotMatch"
    assert outcome(cloud.handle(acs3(PERMISSION, ASK))) == (200, "")


# --- faults


def test_every_nth_matching_call_is_hit(begin: Begin) -> None:
    """A rule counts what matches its operation, account and region, and nothing else."""
    cloud = begin(
        images={ONE: image("one"), TWO: image("two", owner=SHOP), THREE: image("three", region=FAR)},
        faults=fault("throttle", f"ecs:{MODIFY}", account=OWNER, region=REGION, every=3),
    )
    codes = []
    for _ in range(6):
        codes.append(outcome(share(cloud, BANK))[1])
        share(cloud, BANK, image_id=TWO, owner=SHOP)
        cloud.handle(acs3(MODIFY, {"RegionId": FAR, "ImageId": THREE, "AddAccount.1": BANK}))
        cloud.handle(acs3(PERMISSION, ASK))
    assert codes == ["", "", "Throttling.User", "", "", "Throttling.User"]


def test_the_first_so_many_calls_are_hit(begin: Begin) -> None:
    """With times the calls fail at first and work afterwards."""
    cloud = begin(faults=fault("error", "ecs:*", times=2))
    assert [outcome(share(cloud, BANK)) for _ in range(3)] == [(500, "InternalError")] * 2 + [(200, "")]
    assert outcome(cloud.handle(acs3("ListAccounts", account=MANAGEMENT, version="2020-03-31", host="h")))[0] == 200


def test_probability_comes_from_the_random_source() -> None:
    """With the same seed the same calls fail, about as many as the probability says, or none and all at its ends."""

    def codes(probability: float) -> list[str]:
        cloud = start(world(faults=fault("error", probability=probability)))
        return [outcome(cloud.handle(acs3(PERMISSION, ASK)))[1] for _ in range(60)]

    assert codes(0.5) == codes(0.5)
    assert 10 < Counter(codes(0.5))["InternalError"] < 50
    assert set(codes(0.0)) == {""}
    assert set(codes(1.0)) == {"InternalError"}


@pytest.mark.parametrize(
    ("kind", "more", "answer"),
    [
        ("throttle", {}, (400, "Throttling.User")),
        ("throttle", {"code": "Throttling", "status": 429}, (429, "Throttling")),
        ("error", {}, (500, "InternalError")),
        ("error", {"code": "ServiceUnavailable", "status": 503}, (503, "ServiceUnavailable")),
    ],
)
def test_refusals_on_demand(begin: Begin, kind: str, more: dict[str, Any], answer: tuple[int, str]) -> None:
    """Throttling and errors have the usual code and status or those of the rule, and nothing is performed."""
    cloud = begin(faults=fault(kind, every=1, **more))
    assert outcome(share(cloud, BANK)) == answer
    assert channels(cloud) == {}


def test_no_answer_and_lost_answer(begin: Begin) -> None:
    """Both drop the connection; the one performs nothing, the other everything."""
    cloud = begin(faults=fault("no-answer", times=1))
    response = share(cloud, BANK)
    assert response.dropped
    assert channels(cloud) == {}
    cloud.patch({"faults": fault("lost-answer", times=1)})
    response = share(cloud, BANK)
    assert (response.dropped, response.body) == (True, b"")
    assert channels(cloud) == {ONE: {BANK}}


def test_a_malformed_answer_is_no_json(begin: Begin) -> None:
    """The call is performed and its answer breaks off."""
    cloud = begin(faults=fault("malformed", times=2))
    response = share(cloud, BANK)
    assert response.status == 200
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(response.body)
    assert channels(cloud) == {ONE: {BANK}}
    refusal = share(cloud, OWNER)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(refusal.body)
    assert outcome(share(cloud, OWNER)) == (404, "InvalidAccount.Forbbiden")


def test_fields_go_missing_in_turn(begin: Begin) -> None:
    """Each time another field of the answer is gone, never the RequestId, until it begins again."""
    cloud = begin(faults=fault("missing-field", f"ecs:{PERMISSION}"), grants={ONE: [SHOP, BANK, LAB]})
    whole = {"RequestId", "ImageId", "RegionId", "PageNumber", "PageSize", "TotalCount", "Accounts", "ShareGroups"}
    gone = [whole - set(answered(cloud.handle(acs3(PERMISSION, ASK)))) for _ in range(14)]
    assert all(len(one) == 1 for one in gone)
    assert set.union(*gone[:7]) == whole - {"RequestId"}
    assert gone[:7] == gone[7:]
    assert outcome(share(cloud, MANAGEMENT)) == (200, "")


def test_a_truncated_page_keeps_its_total(begin: Begin) -> None:
    """Rows are cut from the list and the total stays; a page of one row becomes empty."""
    cloud = begin(faults=fault("truncated-page"), grants={ONE: [SHOP, BANK, LAB], TWO: [LAB]})
    answer = answered(cloud.handle(acs3(PERMISSION, ASK)))
    assert (answer["TotalCount"], len(answer["Accounts"]["Account"])) == (3, 1)
    answer = answered(cloud.handle(acs3(PERMISSION, {**ASK, "ImageId": TWO})))
    assert (answer["TotalCount"], len(answer["Accounts"]["Account"])) == (1, 0)
    answer = answered(cloud.handle(acs3("DescribeImages", {"RegionId": REGION})))
    assert (answer["TotalCount"], len(answer["Images"]["Image"])) == (3, 1)
    assert outcome(share(cloud, MANAGEMENT)) == (200, "")


def test_an_empty_list_looks_complete(begin: Begin) -> None:
    """All rows are gone and the total says so; answers that are no list stay."""
    cloud = begin(faults=fault("empty-list"), grants={ONE: [SHOP, BANK, LAB]})
    answer = answered(cloud.handle(acs3(PERMISSION, ASK)))
    assert (answer["TotalCount"], answer["Accounts"]["Account"]) == (0, [])
    answer = answered(cloud.handle(acs3("ListAccounts", account=MANAGEMENT, version="2020-03-31", host="h")))
    assert (answer["TotalCount"], answer["Accounts"]["Account"]) == (0, [])
    answer = answered(cloud.handle(acs3("DescribeRegions")))
    assert answer["Regions"]["Region"]
    assert outcome(share(cloud, MANAGEMENT)) == (200, "")


def test_a_wrong_total_is_too_large_and_too_small_in_turn(begin: Begin) -> None:
    """The total is off by one, the rows are right."""
    cloud = begin(faults=fault("wrong-total"), grants={ONE: [SHOP, BANK, LAB]})
    answers = [answered(cloud.handle(acs3(PERMISSION, ASK))) for _ in range(4)]
    assert [answer["TotalCount"] for answer in answers] == [4, 2, 4, 2]
    assert all(len(answer["Accounts"]["Account"]) == 3 for answer in answers)
    empty = [answered(cloud.handle(acs3(PERMISSION, {**ASK, "ImageId": TWO})))["TotalCount"] for _ in range(2)]
    assert 0 not in empty


def test_the_first_rule_that_strikes_decides(begin: Begin) -> None:
    """All rules count every call, and their order is their rank."""
    cloud = begin(
        faults=[
            {"operation": "*", "kind": "throttle", "every": 3},
            {"operation": "*", "kind": "error", "every": 2},
        ]
    )
    codes = [outcome(cloud.handle(acs3(PERMISSION, ASK)))[1] for _ in range(6)]
    assert codes == ["", "InternalError", "Throttling.User", "InternalError", "", "Throttling.User"]


def test_refused_calls_meet_no_faults(begin: Begin) -> None:
    """Faults count only calls that passed signature and flow control."""
    cloud = begin(faults=fault("error", times=1))
    assert outcome(cloud.handle(acs3(PERMISSION, ASK, secret="x")))[1] == "SignatureDoesNotMatch"
    assert outcome(cloud.handle(acs3(PERMISSION, ASK)))[1] == "InternalError"


def test_latency_is_left_to_the_carrier(begin: Begin) -> None:
    """The core never waits: it says how long the carrier should, for answers, refusals and drops."""
    cloud = begin(latency={"seconds": 1.5}, faults=fault("no-answer", every=3))
    responses = [share(cloud, BANK), share(cloud, OWNER), share(cloud, BANK)]
    assert [response.wait for response in responses] == [1.5, 1.5, 1.5]
    assert [response.dropped for response in responses] == [False, False, True]


# --- the request log


def test_each_request_is_logged(begin: Begin) -> None:
    """Who, what, where and how it ended; what could not be told is empty."""
    role = f"acs:ram::{MANAGEMENT}:role/reader"
    cloud = begin(roles={role: {"trusts": [OWNER]}}, faults=fault("lost-answer", "resourcemanager:*", every=2))
    entries: list[LogEntry] = []
    cloud.on_request(entries.append)
    reader = Clients(OWNER).assume(role, "run-1")
    reader.accounts()
    headers = {"user-agent": "orgshare/1 run/7"}
    cloud.handle(acs3("ListAccounts", account=MANAGEMENT, version="2020-03-31", host="h", headers=headers))
    cloud.handle(acs3(PERMISSION, {"RegionId": FAR, "ImageId": ONE}))
    cloud.handle(acs3("Nothing", account=SHOP))
    rows = [(one.account, one.principal, one.product, one.action, one.region, one.status, one.code) for one in entries]
    root = f"acs:ram::{OWNER}:root"
    assert rows == [
        (OWNER, root, "sts", "AssumeRole", REGION, 200, ""),
        (
            MANAGEMENT,
            f"acs:ram::{MANAGEMENT}:assumed-role/reader/run-1",
            "resourcemanager",
            "ListAccounts",
            "",
            200,
            "",
        ),
        (MANAGEMENT, f"acs:ram::{MANAGEMENT}:root", "resourcemanager", "ListAccounts", "", 0, "lost-answer"),
        (OWNER, root, "ecs", PERMISSION, FAR, 404, "InvalidImageId.NotFound"),
        ("", "", "ecs", "Nothing", REGION, 404, "InvalidAction.NotFound"),
    ]
    assert entries[2].agent == "orgshare/1 run/7"
    assert {one.time for one in entries} == {"2026-11-21T12:00:00.000Z"}
    assert len({one.request_id for one in entries}) == 5


def test_calls_are_counted(cloud: LocalCloud) -> None:
    """The counter has every call with a good signature, by operation."""
    for account in (SHOP, BANK, OWNER):
        share(cloud, account)
    cloud.handle(acs3(PERMISSION, ASK))
    cloud.handle(acs3(PERMISSION, ASK, secret="other"))
    assert cloud.calls == {f"ecs:{MODIFY}": 3, f"ecs:{PERMISSION}": 1}


def test_equal_seeds_make_equal_clouds() -> None:
    """Ids, keys and faults come from the random source that is passed in, and from nowhere else."""

    def run() -> list[bytes]:
        cloud = LocalCloud.from_world(
            world(roles={f"acs:ram::{OWNER}:role/r": {"trusts": [SHOP]}}, faults=fault("throttle", probability=0.3)),
            clock=ManualClock(START),
            random=random.Random(7),
        )
        session = {"RoleArn": f"acs:ram::{OWNER}:role/r", "RoleSessionName": "session"}
        bodies = []
        for number in range(5):
            made = {"RegionId": REGION, "InstanceId": "i-1", "ImageName": f"new-{number}"}
            bodies.append(cloud.handle(acs3("CreateImage", made)).body)
            bodies.append(cloud.handle(acs3("AssumeRole", session, account=SHOP, version="2015-04-01", host="h")).body)
        return bodies

    assert run() == run()
