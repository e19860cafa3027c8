"""The project's own template, deployed in a local cloud: its functions, triggers and roles, called by nobody else."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from localcloud import LocalCloud, ManualClock
from localcloud.fc.instances import Starter
from localcloud.server import serving
from localcloud.world import world_document
from orgshare.settings import read_settings
from orgshare_demo.deployment import begin, policy_text, settings_of
from orgshare_demo.people import People
from orgshare_demo.reference import Pair, wanted_access

LEEWAY = 20.0
"""Seconds for retries and what a worker hands on."""


class Organization:
    """A cloud that is served, in which the functions of the template do what they do by themselves."""

    def __init__(self, cloud: LocalCloud, url: str, policy: Mapping[str, Any]) -> None:
        self.cloud = cloud
        self.people = People(url)
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


@contextmanager
def deployed(policy: str, world: Mapping[str, Any], start: Starter | None = None) -> Iterator[Organization]:
    """Serve the world, put the policy into the bucket of its state and begin that."""
    clock = ManualClock(time.time())
    cloud = LocalCloud.from_world(world, clock=clock, random=random.Random(7), start_instance=start)
    with serving(cloud) as url:
        People(url).put_policy(policy)
        begin(read_settings(settings_of(url)))
        yield Organization(cloud, url, yaml.load(policy, yaml.BaseLoader))


def story_policy() -> str:
    """The story's policy with one image for everybody, wherever they are, and wide limits."""
    text = policy_text()
    everybody = "images: {tags: {share: nobody-yet}}, audience: {folders: [root]}, channel: direct"
    limits = "lost_pairs: {0}, lost_percent: {1}, departed: {{accounts: {2}, percent: {3}}}"
    changes = {
        "rules:\n": f"rules:\n  - {{name: everybody, {everybody}}}\n",
        limits.format(10, 40, 3, 20): limits.format(100, 100, 20, 100),
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text
