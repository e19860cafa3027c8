"""The project's own template, deployed in a local cloud: its functions, triggers and roles, called by nobody else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from alibabacloud_resourcemanager20200331 import models
from alibabacloud_resourcemanager20200331.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from localcloud import LocalCloud, ManualClock
from localcloud.fc.instances import Starter
from localcloud.server import serving
from localcloud.world import world_document
from orgshare.alibaba.storage import ObjectStorage
from orgshare.permissions import policy_document
from orgshare.settings import read_settings
from orgshare.wiring import begin_state, check_store, load_policy, make_calls, make_store
from orgshare_demo.reference import Pair, wanted_access

ROOT = Path(__file__).parents[2]
STORY = ROOT / "localcloud" / "samples" / "story"
MANAGEMENT, OWNER, REGION = "1000000000000001", "1000000000000002", "cn-hangzhou"
BUCKET, READER = "acme-orgshare", f"acs:ram::{MANAGEMENT}:role/orgshare-directory-reader"
WATCH, SWEEP = 300.0, 900.0
"""Seconds from one watch to the next, and from one sweep to the next."""

LEEWAY = 20.0
"""Seconds for retries and what a worker hands on."""


def deployed_world(template: str = "template.yml", **parameters: Any) -> dict[str, Any]:
    """The story's organization with the functions of a template in the account that owns the images."""
    document: dict[str, Any] = yaml.safe_load((STORY / "world.yaml").read_text())
    document["access_keys"] |= {
        f"LOCAL{one}": {"secret": "local", "account": one} for one in document["outsiders"] if one.startswith("1")
    }
    document["roles"] = {READER: {"trusts": [OWNER], "policies": [policy_document("directory", account=MANAGEMENT)]}}
    document["functions"] = {
        "template": str(ROOT / template),
        "account": OWNER,
        "region": REGION,
        "code": str(ROOT / "functions"),
        "packages": "interpreter",
        "parameters": {
            "Mode": "enforce",
            "StateBucket": BUCKET,
            "CodeBucket": "acme-packages",
            "CodeFolder": "orgshare/1",
            "DirectoryReaderRole": READER,
            "WatchMinutes": int(WATCH / 60),
            "SweepSchedule": f"@every {SWEEP / 60:.0f}m",
            **parameters,
        },
        "environment": {"ORGSHARE_LOCAL_CLOUD": "{url}"},
    }
    document["events"] = {"membership": True, "forward": {MANAGEMENT: OWNER}}
    return document


class Organization:
    """A cloud that is served, in which the functions of the template do what they do by themselves."""

    def __init__(self, cloud: LocalCloud, url: str, policy: Mapping[str, Any]) -> None:
        self.cloud = cloud
        self.url = url
        self.policy = policy

    def let(self, seconds: float = 0.0) -> None:
        """Let happen what is due by then."""
        self.cloud.advance(seconds)

    def access(self) -> dict[Pair, frozenset[str]]:
        """Who can use what by which channels, as the oracle finds it."""
        return {(row["image"], row["account"]): frozenset(row["channels"]) for row in self.cloud.access()}

    def wanted(self) -> dict[Pair, frozenset[str]]:
        """What the policy says, worked out by the story's reference."""
        found = wanted_access(self.policy, world_document(self.cloud.world()))
        return {pair: frozenset({channel}) for pair, channel in found.items()}

    def names(self) -> dict[Pair, frozenset[str]]:
        """Access with accounts by their names, which are the same in every run."""
        directory = self.cloud.world().directory
        assert directory is not None
        members = directory.members
        return {
            (image, members[account].name if account in members else account): channels
            for (image, account), channels in self.access().items()
        }

    def call(self, name: str, by: str = "LOCALMANAGEMENT", **fields: Any) -> Any:
        """Somebody calls an operation of the resource directory."""
        host = self.url.removeprefix("http://")
        key: dict[str, Any] = {"access_key_id": by, "access_key_secret": "local"}
        client = Client(Config(**key, protocol="http", endpoint=host, region_id=REGION))
        request: Callable[..., Any] = getattr(models, f"{''.join(part.title() for part in name.split('_'))}Request")
        return getattr(client, name)(request(**fields)).body


@contextmanager
def deployed(policy: str, world: Mapping[str, Any], start: Starter | None = None) -> Iterator[Organization]:
    """Serve the world, put the policy into the bucket of its state and begin that."""
    clock = ManualClock(time.time())
    cloud = LocalCloud.from_world(world, clock=clock, random=random.Random(7), start_instance=start)
    with serving(cloud) as url:
        settings = read_settings(
            {
                "ORGSHARE_POLICY": f"oss://{BUCKET}/policy.yaml",
                "ORGSHARE_LOCAL_CLOUD": url,
                "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
            }
        )
        calls = make_calls()
        store = ObjectStorage(BUCKET, "", credentials=settings.credentials, calls=calls, run="person", local_cloud=url)
        store.put_new("policy.yaml", policy.encode())
        of = load_policy(settings.policy, lambda: settings)
        state = make_store(of, settings, "person", calls)
        check_store(state)
        begin_state(of, state, world["directory"]["id"])
        yield Organization(cloud, url, yaml.load(policy, yaml.BaseLoader))


def story_policy() -> str:
    """The story's policy with its state in the bucket, one image for everybody, wherever they are, and wide limits."""
    text = (STORY / "policy.yaml").read_text()
    everybody = "images: {tags: {share: nobody-yet}}, audience: {folders: [root]}, channel: direct"
    limits = "lost_pairs: {0}, lost_percent: {1}, departed: {{accounts: {2}, percent: {3}}}"
    changes = {
        "state: file:state\n": f"state: oss://{BUCKET}/state\n",
        "rules:\n": f"rules:\n  - {{name: everybody, {everybody}}}\n",
        limits.format(10, 40, 2, 10): limits.format(100, 100, 20, 100),
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text
