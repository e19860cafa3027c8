"""SUSE's image release tool aliyun-img-utils, unmodified and as a program of its own, through HTTP_PROXY.

It uses the older SDK in plain HTTP with that SDK's own endpoint rules, so the proxy is all that it is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud import LocalCloud
from localcloud.world import world_document
from tests.clients.conftest import new_cloud
from tests.clients.running import console_command, oracle, run
from tests.support.cloud import BANK, FAR, LAB, ONE, OWNER, PARTNER, REGION, SHOP, THREE, TWO, Clients, channels, key_of

Done = subprocess.CompletedProcess[str]
Tool = Callable[..., Done]

IMAGES = {ONE: "one", TWO: "two", THREE: "three"}
SHARED = {ONE: {SHOP, BANK, PARTNER}, TWO: {SHOP, BANK, LAB}}
BEIJING = "cn-beijing"


def tool_at(url: str, home: Path) -> Tool:
    """Calls the tool's command `image ...` with the owner's key."""
    command = console_command("aliyun-img-utils")

    def call(*arguments: str, region: str = REGION, secret: str = "local", text: str = "") -> Done:
        keys = ["--access-key", key_of(OWNER), "--access-secret", secret, "--region", region, "--no-color"]
        return run([command, "image", *arguments, *keys], home=home, environment={"HTTP_PROXY": url}, text=text)

    return call


@pytest.fixture
def tool(url: str, tmp_path: Path) -> Tool:
    return tool_at(url, tmp_path)


def printed(done: Done) -> Any:
    """The JSON on standard output, behind a remark about the file of settings."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])


def shared_with(tool: Tool, name: str, **more: str) -> set[str]:
    answer = printed(tool("share-permission", "--image-name", name, **more))
    return {row["AliyunId"] for row in answer["Accounts"]["Account"]}


@pytest.mark.parametrize("image_id", sorted(IMAGES))
def test_info_shows_an_image_by_id_and_by_name(tool: Tool, image_id: str) -> None:
    """The same row comes by either, and says whether the image is shared."""
    by_id = printed(tool("info", "--image-id", image_id))
    assert by_id == printed(tool("info", "--image-name", IMAGES[image_id], "--status", "Available"))
    assert (by_id["ImageId"], by_id["ImageName"], by_id["Status"]) == (image_id, IMAGES[image_id], "Available")
    assert by_id["IsSelfShared"] is (image_id in SHARED)


def test_share_permission_shows_what_is_shared(cloud: LocalCloud, url: str, tool: Tool) -> None:
    """For each image the tool lists the accounts that the oracle has, before and after a change of three."""
    for image_id, name in IMAGES.items():
        assert shared_with(tool, name) == channels(cloud).get(image_id, set())
    owner = Clients(http_proxy=url)
    owner.share(ONE, LAB, remove=(SHOP, PARTNER))
    owner.share(TWO, remove=(SHOP, BANK, LAB))
    owner.share(THREE, SHOP, BANK, LAB, PARTNER)
    assert channels(cloud) == {ONE: {BANK, LAB}, THREE: {SHOP, BANK, LAB, PARTNER}}
    for image_id, name in IMAGES.items():
        assert shared_with(tool, name) == channels(cloud).get(image_id, set())


def test_what_the_tool_may_not_do(cloud: LocalCloud, tool: Tool) -> None:
    """A wrong secret, an unknown image, another region: the tool says so, and nobody's access changes."""
    for done, message in (
        (tool("info", "--image-name", "one", secret="other"), "InvalidAccessKeySecret"),
        (tool("info", "--image-name", "nobody's"), "Unable to find image"),
        (tool("share-permission", "--image-name", "one", region=FAR), "Unable to find image"),
    ):
        assert done.returncode == 1
        assert message in done.stdout
    assert channels(cloud) == SHARED


def test_publishing_by_launch_permission_is_refused(cloud: LocalCloud, tool: Tool) -> None:
    """LaunchPermission is not for everybody: the refusal reaches the tool with its code."""
    for name in IMAGES.values():
        done = tool("publish", "--image-name", name, "--regions", REGION, "--launch-permission", "HIDDEN")
        assert "ForbiddenParameter.LaunchPermission" in done.stderr
    assert channels(cloud) == SHARED


def test_replicas_are_shared_with_nobody(cloud: LocalCloud, tool: Tool) -> None:
    """Copies of three images in two regions are images of their own, and access stays as it was."""
    for image_id, name in IMAGES.items():
        made = printed(tool("replicate", "--image-name", name, "--regions", f"{FAR},{BEIJING},{REGION}"))
        assert set(made) == {FAR, BEIJING}
        images = cloud.world().images
        assert {(images[made[region]].region, images[made[region]].name) for region in made} == {
            (FAR, name),
            (BEIJING, name),
        }
        assert not set(made.values()) & set(channels(cloud))
        assert image_id in images
    assert len(cloud.world().images) == 9
    assert shared_with(tool, "one", region=FAR) == set()
    assert channels(cloud) == SHARED


def test_deprecating_tags_an_image_and_takes_no_access(cloud: LocalCloud, tool: Tool) -> None:
    """The tool's way to deprecate is tags, whose keys and values have spaces."""
    for name in IMAGES.values():
        done = tool(
            "deprecate", "--image-name", name, "--regions", REGION, "--replacement-image", "a newer one, perhaps"
        )
        assert (done.returncode, f"{name} deprecated in {REGION}" in done.stderr) == (0, True), done.stderr
    for image_id in IMAGES:
        tags = cloud.world().images[image_id].tags
        assert set(tags) == {"Deprecated on", "Removal date", "Replacement image"}
        assert tags["Replacement image"] == "a newer one, perhaps"
    assert channels(cloud) == SHARED


def test_a_shared_image_cannot_be_deleted(cloud: LocalCloud, url: str, tool: Tool) -> None:
    """Even by force; unshared, it goes, and with it every access."""
    for name in IMAGES.values():
        done = tool("delete", "--image-name", name, "--regions", REGION, "--force", text="y\n")
        assert ("ImageUseShared" in done.stderr) == (name != "three"), done.stderr
    assert set(cloud.world().images) == {ONE, TWO}
    assert channels(cloud) == SHARED
    Clients(http_proxy=url).share(ONE, remove=(SHOP, BANK, PARTNER))
    tool("delete", "--image-name", "one", "--regions", REGION, text="y\n")
    assert set(cloud.world().images) == {TWO}
    assert channels(cloud) == {TWO: SHARED[TWO]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """`localcloud serve` as a program of its own: its URL and its request log."""
    world, log = tmp_path / "world.yaml", tmp_path / "requests.jsonl"
    world.write_text(yaml.safe_dump(world_document(new_cloud().world())), encoding="utf-8")
    command = [sys.executable, "-m", "localcloud", "serve", "--world", str(world), "--request-log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), log
        finally:
            process.terminate()


def test_the_tool_and_the_command_serve(served: tuple[str, Path], tmp_path: Path) -> None:
    """Three programs that know nothing of each other: server, SDK and tool agree, and the log names the tool's SDK."""
    url, log = served
    tool = tool_at(url, tmp_path)
    owner = Clients(http_proxy=url)
    owner.share(ONE, LAB, remove=(SHOP, BANK))
    owner.share(TWO, PARTNER, remove=(BANK,))
    owner.share(THREE, SHOP, BANK, LAB)
    for image_id, name in IMAGES.items():
        assert shared_with(tool, name) == oracle(url)[image_id]
    assert oracle(url) == {ONE: {LAB, PARTNER}, TWO: {SHOP, LAB, PARTNER}, THREE: {SHOP, BANK, LAB}}
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    asked = [entry["action"] for entry in entries if "python-requests" in entry["agent"]]
    assert asked == ["DescribeImages", "DescribeImageSharePermission"] * 3
    assert {(entry["account"], entry["region"], entry["status"]) for entry in entries} == {(OWNER, REGION, 200)}
