"""The two ways to a cloud: in process and over a socket. Both must look the same to a client."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from alibabacloud_ecd20200930 import models as ecd_models
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_resourcemanager20200331 import models as rm
from alibabacloud_resourcesharing20200110 import models as rs
from alibabacloud_tea_openapi.utils_models import GlobalParameters
from darabonba.exceptions import UnretryableException

from localcloud import LocalCloud, LogEntry
from localcloud.catalog import OPERATIONS
from localcloud.inprocess import in_process
from localcloud.server import serving
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    REGION,
    SHOP,
    THREE,
    TWO,
    Clients,
    acs3,
    allowing,
    channels,
    desk,
    ecs_of,
    refused,
    start,
    trusting,
    world,
)

ROLE = f"acs:ram::{MANAGEMENT}:role/reader"


@pytest.fixture
def cloud() -> LocalCloud:
    """The usual world with a role, images of Elastic Desktop Service and a few shares."""
    images = {**world()["images"], **{f"m-desk-{name}": desk(name) for name in ("one", "two", "three")}}
    policies = {f"acs:ram::{OWNER}:policy/share-keys": allowing("kms:*")}
    roles = {ROLE: {"trusts": [OWNER]}}
    return start(world(roles=roles, policies=policies, images=images, grants={THREE: [LAB]}))


@pytest.fixture
def url(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same cloud behind a real socket, whatever proxies the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(cloud) as served:
        yield served


def everything(owner: Clients, manager: Clients, partner: Clients) -> None:
    """Calls every operation once, in an order that works."""
    ecs, directory = owner.ecs, manager.directory
    assert [
        region.region_id for region in ecs.describe_regions(ecs_models.DescribeRegionsRequest()).body.regions.region
    ]
    assert owner.images() == [ONE, THREE, TWO]
    owner.share(ONE, SHOP, BANK, PARTNER)
    assert owner.shared_with(ONE) == [SHOP, BANK, PARTNER]
    made = ecs.create_image(
        ecs_models.CreateImageRequest(region_id=REGION, instance_id="i-1", image_name="made")
    ).body.image_id
    ecs.copy_image(ecs_models.CopyImageRequest(region_id=REGION, image_id=made, destination_region_id=FAR))
    kind = {"region_id": REGION, "resource_type": "image", "resource_id": [made]}
    tag = ecs_models.TagResourcesRequestTag(key="a", value="1")
    ecs.tag_resources(ecs_models.TagResourcesRequest(**kind, tag=[tag]))
    assert len(ecs.list_tag_resources(ecs_models.ListTagResourcesRequest(**kind)).body.tag_resources.tag_resource) == 1
    ecs.untag_resources(ecs_models.UntagResourcesRequest(**kind, all=True))
    ecs.delete_image(ecs_models.DeleteImageRequest(region_id=REGION, image_id=made))

    regions = owner.ecd.describe_regions(ecd_models.DescribeRegionsRequest(region_id=REGION)).body.regions
    assert REGION in [one.region_id for one in regions]
    assert owner.desks() == ["m-desk-one", "m-desk-three", "m-desk-two"]
    owner.share_desk("m-desk-one", SHOP, BANK, PARTNER)
    owner.share_desk("m-desk-two", LAB)
    owner.share_desk("m-desk-two", remove=(LAB,))
    assert owner.desk_shared_with("m-desk-one") == [SHOP, BANK, PARTNER]
    owner.delete_desks("m-desk-two")
    assert owner.snapshots()["s-one"]["Encrypted"] is False
    owner.make_role("sharing", trusting(ecs_of(SHOP)))
    owner.attach("sharing", "share-keys")
    assert owner.attached("sharing") == [("Custom", "share-keys")]
    owner.change_role("sharing", trusting(ecs_of(BANK)))
    assert owner.role("sharing")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": ecs_of(BANK)}

    assert owner.sts.get_caller_identity().body.account_id == OWNER
    assert len(owner.assume(ROLE).accounts()) == 4

    assert directory.get_resource_directory().body.resource_directory.resource_directory_id == "rd-local1"
    assert directory.get_account(rm.GetAccountRequest(account_id=SHOP)).body.account.folder_id == "fd-prod"
    assert directory.get_folder(rm.GetFolderRequest(folder_id="fd-eu")).body.folder.folder_name == "eu"
    assert len(directory.list_ancestors(rm.ListAncestorsRequest(child_id=BANK)).body.folders.folder) == 3
    assert len(directory.list_accounts_for_parent(rm.ListAccountsForParentRequest()).body.accounts.account) == 1
    assert len(directory.list_folders_for_parent(rm.ListFoldersForParentRequest()).body.folders.folder) == 2
    account = directory.create_resource_account(
        rm.CreateResourceAccountRequest(display_name="new")
    ).body.account.account_id
    member = {"resource_type": "Account", "resource_id": [account]}
    directory.tag_resources(rm.TagResourcesRequest(**member, tag=[rm.TagResourcesRequestTag(key="a", value="1")]))
    assert len(directory.list_tag_resources(rm.ListTagResourcesRequest(**member)).body.tag_resources) == 1
    directory.untag_resources(rm.UntagResourcesRequest(**member, all=True))
    folder = directory.create_folder(rm.CreateFolderRequest(folder_name="new")).body.folder.folder_id
    directory.move_account(rm.MoveAccountRequest(account_id=account, destination_folder_id=folder))
    directory.move_account(rm.MoveAccountRequest(account_id=account, destination_folder_id="fd-test"))
    directory.delete_folder(rm.DeleteFolderRequest(folder_id=folder))
    invitation = rm.InviteAccountToResourceDirectoryRequest(target_entity=PARTNER, target_type="Account")
    handshake = directory.invite_account_to_resource_directory(invitation).body.handshake.handshake_id
    assert directory.get_handshake(rm.GetHandshakeRequest(handshake_id=handshake)).body.handshake.status == "Pending"
    partner.directory.accept_handshake(rm.AcceptHandshakeRequest(handshake_id=handshake))
    listed = directory.list_handshakes_for_resource_directory(rm.ListHandshakesForResourceDirectoryRequest()).body
    assert [one.status for one in listed.handshakes.handshake] == ["Accepted"]
    directory.remove_cloud_account(rm.RemoveCloudAccountRequest(account_id=PARTNER))
    assert sorted(row["AccountId"] for row in manager.accounts()) == sorted([OWNER, SHOP, BANK, LAB, account])
    share_everything(owner, manager, partner)


def share_everything(owner: Clients, manager: Clients, partner: Clients) -> None:
    """The same for resource shares: of three images, one stays shared with a folder, one with an account outside."""
    sharing = owner.sharing
    assert len(sharing.describe_regions(rs.DescribeRegionsRequest()).body.regions) > 1
    manager.sharing.enable_sharing_with_resource_directory()
    assert sharing.check_sharing_with_resource_directory_status().body.enable_sharing_with_rd
    inside = owner.open_share("inside", images=[ONE, TWO], targets=["fd-prod", LAB])
    owner.associate(inside, images=[THREE])
    owner.disassociate(inside, images=[TWO], targets=[LAB])
    assert owner.states("Resource") == [(ONE, "Associated"), (TWO, "Disassociated"), (THREE, "Associated")]
    assert owner.states("Target") == [("fd-prod", "Associated"), (LAB, "Disassociated")]
    sharing.update_resource_share(rs.UpdateResourceShareRequest(resource_share_id=inside, resource_share_name="other"))
    outside = [owner.open_share("outside", allow_external_targets=True, targets=[PARTNER]) for _ in range(2)]
    answer = partner.sharing.list_resource_share_invitations(rs.ListResourceShareInvitationsRequest())
    first, second = (one.resource_share_invitation_id for one in answer.body.resource_share_invitations)
    partner.sharing.accept_resource_share_invitation(
        rs.AcceptResourceShareInvitationRequest(resource_share_invitation_id=first)
    )
    partner.sharing.reject_resource_share_invitation(
        rs.RejectResourceShareInvitationRequest(resource_share_invitation_id=second)
    )
    owner.disassociate(inside, images=[THREE])
    owner.associate(outside[0], images=[THREE])
    found = sharing.list_shared_resources(rs.ListSharedResourcesRequest(resource_owner="Self")).body.shared_resources
    assert [one.resource_id for one in found] == [ONE, THREE]
    reached = sharing.list_shared_targets(rs.ListSharedTargetsRequest(resource_owner="Self")).body.shared_targets
    assert [one.target_id for one in reached] == ["fd-prod", PARTNER]
    sharing.delete_resource_share(rs.DeleteResourceShareRequest(resource_share_id=outside[1]))
    listed = [(row["ResourceShareName"], row["ResourceShareStatus"]) for row in owner.shares()]
    assert listed == [("other", "Active"), ("outside", "Active"), ("outside", "Deleted")]


AFTERWARDS = {
    ONE: {"direct": {SHOP, BANK, PARTNER}, "directory": {SHOP, BANK}},
    THREE: {"direct": {LAB}, "directory": {PARTNER}},
    "m-desk-one": {"direct": {SHOP, BANK, PARTNER}},
}


def callers(**config: Any) -> tuple[Clients, Clients, Clients]:
    return Clients(OWNER, **config), Clients(MANAGEMENT, **config), Clients(PARTNER, **config)


def test_every_operation_in_process(cloud: LocalCloud) -> None:
    """The official SDKs call every operation without a socket."""
    with in_process(cloud):
        everything(*callers())
    assert set(cloud.calls) == OPERATIONS
    assert cloud.channels() == AFTERWARDS


def test_reads_are_not_announced_as_writes(cloud: LocalCloud) -> None:
    """Each operation either reads or writes, and the hook is called for those that write."""
    written: list[LocalCloud] = []
    kinds: dict[str, set[bool]] = {}

    def note(entry: LogEntry) -> None:
        kinds.setdefault(entry.action, set()).add(bool(written))
        written.clear()

    cloud.on_write(written.append)
    cloud.on_request(note)
    with in_process(cloud):
        everything(*callers())
    reads = {"AssumeRole"} | {name for name in kinds if name.startswith(("Check", "Describe", "Get", "List"))}
    assert kinds == {name: {name not in reads} for name in kinds}


def test_every_operation_through_the_proxy(cloud: LocalCloud, url: str) -> None:
    """The official SDKs, with their own endpoint rules, call every operation through a real socket."""
    everything(*callers(http_proxy=url))
    assert set(cloud.calls) == OPERATIONS
    assert cloud.channels() == AFTERWARDS


def test_every_operation_at_the_port(cloud: LocalCloud, url: str) -> None:
    """The same when the SDKs are pointed at the port, where no host names product or region, so all calls name it."""
    named = GlobalParameters(queries={"RegionId": REGION})
    everything(*callers(endpoint=urlsplit(url).netloc, global_parameters=named))
    assert set(cloud.calls) == OPERATIONS
    assert cloud.channels() == AFTERWARDS


def test_resource_shares_need_a_region_at_the_port(cloud: LocalCloud, url: str) -> None:
    """Their SDK leaves the region to the host; where that names none, a call is refused and changes nothing."""
    before = cloud.channels()
    with refused("MissingParameter", 400):
        Clients(endpoint=urlsplit(url).netloc).open_share("one", images=[ONE])
    assert cloud.channels() == before
    assert cloud.world().resource_shares == {}


def test_every_operation_with_the_older_signature(cloud: LocalCloud, url: str) -> None:
    """The same with the older signature through the proxy."""
    everything(*callers(http_proxy=url, signature_algorithm="v2"))
    assert set(cloud.calls) == OPERATIONS
    assert cloud.channels() == AFTERWARDS


def test_https_hosts_are_taken_in_process(cloud: LocalCloud) -> None:
    """In process it makes no difference which scheme a client uses, or whether it names the host itself."""
    with in_process(cloud):
        assert Clients(protocol="https").images() == [ONE, THREE, TWO]
        assert Clients(endpoint="ecs.cn-hangzhou.aliyuncs.com").images() == [ONE, THREE, TWO]


def test_other_hosts_go_the_usual_way(cloud: LocalCloud) -> None:
    """Only the vendor's hosts and those that are named are taken, and only while the context lasts."""
    local = Clients(endpoint="127.0.0.1:9")
    with in_process(cloud):
        with pytest.raises(UnretryableException):
            local.images()
        with in_process(cloud, hosts=["127.0.0.1:9"]):
            assert local.images() == [ONE, THREE, TWO]
        with pytest.raises(UnretryableException):
            local.images()


def test_contexts_nest_and_end(cloud: LocalCloud) -> None:
    """The innermost cloud answers; afterwards the adapter is what it was."""
    before = requests.adapters.HTTPAdapter.send
    inner = start(world(images={}))
    with in_process(cloud):
        with in_process(inner):
            assert Clients().images() == []
        assert len(Clients().images()) == 3
    assert requests.adapters.HTTPAdapter.send is before


def dropped(clients: Clients, cloud: LocalCloud) -> None:
    """Without an answer the client sees a broken connection; only the lost answer did something."""
    cloud.patch({"faults": [{"operation": "ecs:*", "kind": "no-answer", "times": 1}]})
    with pytest.raises(UnretryableException):
        clients.share(ONE, SHOP)
    assert channels(cloud) == {THREE: {LAB}}
    cloud.patch({"faults": [{"operation": "ecs:*", "kind": "lost-answer", "times": 1}]})
    with pytest.raises(UnretryableException):
        clients.share(ONE, SHOP)
    assert channels(cloud) == {ONE: {SHOP}, THREE: {LAB}}
    clients.share(ONE, BANK)
    assert clients.shared_with(ONE) == [SHOP, BANK]


def test_dropped_connections_in_process(cloud: LocalCloud) -> None:
    """A drop is an exception in the client, and the next call works."""
    with in_process(cloud):
        dropped(Clients(), cloud)


def test_dropped_connections_over_a_socket(cloud: LocalCloud, url: str) -> None:
    """The connection is closed without a byte, and the next call works on a new one."""
    dropped(Clients(http_proxy=url), cloud)
    cloud.patch({"faults": [{"operation": "*", "kind": "no-answer", "times": 1}]})
    request = acs3("DescribeImages", {"RegionId": REGION})
    lines = [f"POST /?{request.query} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.settimeout(30)
        connection.sendall("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        try:
            received = connection.recv(100)
        except ConnectionResetError:
            received = b""
    assert received == b""


def test_a_malformed_answer_reaches_the_client(cloud: LocalCloud, url: str) -> None:
    """The SDK cannot read it, over a socket and in process."""
    for config in ({"http_proxy": url}, {}):
        cloud.patch({"faults": [{"operation": "*", "kind": "malformed", "times": 1}]})
        with in_process(cloud), pytest.raises(UnretryableException):
            Clients(**config).images()


def test_latency_in_process_is_waited_or_runs_into_the_timeout(cloud: LocalCloud) -> None:
    """A short latency is slept, one beyond the client's patience is a read timeout after that patience."""
    slept: list[float] = []
    with in_process(cloud, sleep=slept.append):
        cloud.patch({"latency": {"seconds": 0.25}})
        assert len(Clients().images()) == 3
        cloud.patch({"latency": {"seconds": 60}})
        with pytest.raises(UnretryableException, match="Read timed out"):
            Clients(read_timeout=2000).share(ONE, SHOP)
    assert slept == [0.25, 2.0]
    assert channels(cloud)[ONE] == {SHOP}


def test_latency_over_a_socket_is_waited(cloud: LocalCloud, url: str) -> None:
    """The server answers late, and everything still works."""
    cloud.patch({"latency": {"seconds": 0.001}})
    assert len(Clients(http_proxy=url).images()) == 3


def test_many_threads_share_one_cloud(cloud: LocalCloud, url: str) -> None:
    """Calls from many threads over kept connections all succeed, and each is counted once."""
    clients = Clients(http_proxy=url)
    client = clients.ecs
    request = ecs_models.DescribeImageSharePermissionRequest(region_id=REGION, image_id=THREE)

    def ask(_: int) -> int:
        return int(client.describe_image_share_permission(request).body.total_count)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == [1] * 200
    assert cloud.calls["ecs:DescribeImageSharePermission"] == 200


def test_refusals_look_the_same_over_a_socket(url: str) -> None:
    """Code and status of a refusal come through."""
    with refused("InvalidImageId.NotFound", 404):
        Clients(http_proxy=url).permission("m-nowhere")
    with refused("SignatureDoesNotMatch", 400):
        Clients(http_proxy=url, secret="other").images()
    with refused("InvalidAccessKeyId.NotFound", 404):
        Clients(http_proxy=url, key="NOBODY").images()


def raw(url: str, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.settimeout(30)
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_what_is_no_request_is_refused_and_the_server_goes_on(url: str) -> None:
    """Garbage and tunnels get a 400, odd bytes an error of the gateway, and the next call is answered."""
    assert raw(url, b"garbage\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert raw(url, b"CONNECT ecs.aliyuncs.com:443 HTTP/1.1\r\nHost: ecs.aliyuncs.com:443\r\n\r\n").startswith(
        b"HTTP/1.1 400 "
    )
    odd = raw(url, b"GET /?Action=%FF&Version=%E4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b'"Code":"InvalidVersion"' in odd
    form = (
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\xff\xfe=1&"
    )
    assert b'"Code":"MissingParameter"' in raw(url, b"POST / HTTP/1.1\r\nHost: x\r\n" + form)
    assert len(Clients(http_proxy=url).images()) == 3


def test_a_bug_is_one_failed_request(cloud: LocalCloud, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a hook raises is a 500 with a traceback on standard error, and the server goes on."""

    def broken(_: LocalCloud) -> None:
        raise RuntimeError("the hook is broken")

    cloud.on_write(broken)
    with refused("InternalError", 500):
        Clients(http_proxy=url).share(ONE, SHOP)
    assert "the hook is broken" in capsys.readouterr().err
    assert len(Clients(http_proxy=url).images()) == 3


def test_the_oracle_and_patches_over_a_socket(cloud: LocalCloud, url: str) -> None:
    """The paths of the local cloud itself answer at the port."""

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        connection.request(method, f"/_localcloud/{path}", body=None if body is None else json.dumps(body))
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return answer.status, content

    assert ask("PATCH", "world", {"grants": {ONE: [SHOP, BANK]}}) == (200, {})
    row = {"image": ONE, "account": BANK, "channels": ["direct"]}
    assert ask("GET", f"access?image={ONE}&account={BANK}") == (200, {"access": [row]})
    assert ask("POST", "clock", {"advance": 60}) == (200, {"now": "2026-11-21T12:01:00.000Z"})
    assert ask("GET", "nothing")[0] == 404
    assert channels(cloud)[ONE] == {SHOP, BANK}


def test_the_older_sdk_calls_in_process_and_over_a_socket(cloud: LocalCloud, url: str) -> None:
    """aliyun-python-sdk-core, with the other signature, reads, shares, lists and assumes; it names a wrong secret."""
    script = f"""
import json, logging, sys
logging.disable(logging.CRITICAL)
from aliyunsdkcore.client import AcsClient
from aliyunsdkecs.request.v20140526 import DescribeImagesRequest, ModifyImageSharePermissionRequest
from aliyunsdkresourcemanager.request.v20200331 import ListAccountsRequest
from aliyunsdksts.request.v20150401 import AssumeRoleRequest, GetCallerIdentityRequest
from localcloud import LocalCloud
from localcloud.inprocess import in_process
from contextlib import nullcontext
from tests.support.cloud import start, world

def call(client, request, **values):
    for name, value in values.items():
        getattr(request, "set_" + name)(value)
    request.set_protocol_type("http")
    return json.loads(client.do_action_with_exception(request))

cloud = start(world(roles={{"{ROLE}": {{"trusts": ["{OWNER}"]}}}}))
with nullcontext() if len(sys.argv) > 1 else in_process(cloud):
    owner = AcsClient("KEY{OWNER}", "local", "{REGION}")
    images = call(owner, DescribeImagesRequest.DescribeImagesRequest(), ImageOwnerAlias="self")
    print(images["TotalCount"])
    modify = ModifyImageSharePermissionRequest.ModifyImageSharePermissionRequest()
    print(sorted(call(owner, modify, ImageId="{ONE}", AddAccounts=["{SHOP}", "{BANK}", "{LAB}"])))
    print(call(owner, GetCallerIdentityRequest.GetCallerIdentityRequest())["Arn"])
    role = call(owner, AssumeRoleRequest.AssumeRoleRequest(), RoleArn="{ROLE}", RoleSessionName="session")
    print(role["AssumedRoleUser"]["Arn"])
    manager = AcsClient("KEY{MANAGEMENT}", "local", "{REGION}")
    print(call(manager, ListAccountsRequest.ListAccountsRequest(), IncludeTags=True)["TotalCount"])
    try:
        call(AcsClient("KEY{OWNER}", "other", "{REGION}"), GetCallerIdentityRequest.GetCallerIdentityRequest())
    except Exception as problem:
        print(problem.error_code)
"""
    expected = [
        "3",
        "['RequestId']",
        f"acs:ram::{OWNER}:root",
        f"acs:ram::{MANAGEMENT}:assumed-role/reader/session",
        "4",
        "InvalidAccessKeySecret",
    ]
    for arguments, environment in (([], {}), (["socket"], {"HTTP_PROXY": url})):
        done = run_python(["-W", "ignore", "-c", script, *arguments], environment)
        assert done.stdout.splitlines() == expected, done.stderr
    assert channels(cloud)[ONE] == {SHOP, BANK, LAB}


def run_python(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A Python of its own: the older SDK would otherwise stay loaded, and filters of warnings are not for it."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**clean, **environment},
    )


def test_suses_image_tool_reads_images_and_permissions(url: str) -> None:
    """aliyun-img-utils, unmodified, works through HTTP_PROXY."""
    options = ["--access-key", f"KEY{OWNER}", "--access-secret", "local", "--region", REGION, "--bucket-name", "none"]
    found: dict[str, Any] = {}
    for command in ("info", "share-permission"):
        tool = "from aliyun_img_utils.aliyun_cli import main; main()"
        arguments = ["-W", "ignore", "-c", tool, "image", command, "--image-name", "three", "--no-color", *options]
        done = run_python(arguments, {"HTTP_PROXY": url})
        assert done.returncode == 0, done.stdout + done.stderr
        found[command] = json.loads(done.stdout[done.stdout.index("{") :])
    assert (found["info"]["ImageId"], found["info"]["IsSelfShared"]) == (THREE, True)
    assert [row["AliyunId"] for row in found["share-permission"]["Accounts"]["Account"]] == [LAB]


def test_a_server_ends_with_its_context(cloud: LocalCloud) -> None:
    """Afterwards nobody listens there, and the port can be used again."""
    with serving(cloud) as first:
        port = int(first.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), serving(cloud, port=port):
            pass
    with serving(cloud, port=port) as again:
        assert again == first
