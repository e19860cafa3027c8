"""A hundred accounts, more images than a page has, and a fault in every tenth call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcloud import LocalCloud
from orgshare.errors import StopRun
from tests.support.trial import MANAGEMENT, OWNER, PARTNER, REGION, STRANGER, Trial, policy, rule, world

FAULTS = (
    "throttle",
    "error",
    "no-answer",
    "lost-answer",
    "malformed",
    "missing-field",
    "truncated-page",
    "wrong-total",
)

ACCOUNTS = [str(4000000000000000 + n) for n in range(100)]
IMAGES = [f"m-{n:03d}" for n in range(120)]
FOLDERS = {f"fd-{n}": {"name": f"f{n}", "parent": "root" if n < 4 else f"fd-{n - 4}"} for n in range(12)}
APPLIES = 12
"""More than enough: a run that fails at a tenth of its calls leaves a tenth of its work, mostly less."""


def large_world() -> dict[str, Any]:
    """Accounts over twelve folders of three levels; every tenth image is shared with a stranger by hand."""
    members = {a: {"name": f"n{i}", "folder": f"fd-{i % 12}"} for i, a in enumerate(ACCOUNTS)}
    base = world()
    return {
        **base,
        "directory": {
            "id": "rd-trial", "management": MANAGEMENT, "sharing_enabled": True, "folders": FOLDERS,
            "members": {**members, OWNER: {"name": "images", "folder": "root"}},
        },
        "images": {
            image: {"service": "ecs", "owner": OWNER, "region": REGION, "name": f"n{i}", "status": "Available",
                    "tags": {"set": str(i % 4)}}
            for i, image in enumerate(IMAGES)
        },
        "grants": {image: [STRANGER] for image in IMAGES[::10]},
    }  # fmt: skip


def large_policy() -> dict[str, Any]:
    """Four rules, each for a part of the images and of the folders, of at most fifty accounts with the partner."""
    return policy(rules=[
        rule(str(n), {"tags": {"set": str(n)}}, folders=[f"fd-{n}"], partners=[PARTNER] if n == 3 else [])
        if n == 3 else rule(str(n), {"tags": {"set": str(n)}}, folders=[f"fd-{n}"])
        for n in range(4)
    ])  # fmt: skip


def below(document: dict[str, Any], folder: str) -> set[str]:
    """Members below a folder, found apart from the program: by climbing from each member to Root."""
    folders, members = document["directory"]["folders"], document["directory"]["members"]

    def climbs(place: str) -> bool:
        while place != "root":
            if place == folder:
                return True
            place = folders[place]["parent"]
        return False

    return {account for account, member in members.items() if climbs(member["folder"])} - {OWNER}


def wanted(document: dict[str, Any]) -> dict[str, set[str]]:
    """Who should have each image, grants made by hand included."""
    goal = {}
    for i, image in enumerate(IMAGES):
        by_hand = {STRANGER} if i % 10 == 0 else set()
        goal[image] = below(document, f"fd-{i % 4}") | by_hand | ({PARTNER} if i % 4 == 3 else set())
    return goal


class Watch:
    """Looks at the cloud after every write: who got access must be allowed it, and no stranger may lose theirs."""

    def __init__(self, cloud: LocalCloud, allowed: dict[str, set[str]]) -> None:
        self.allowed = allowed
        self.wrong: list[str] = []
        cloud.on_write(self.look)

    def look(self, cloud: LocalCloud) -> None:
        found = cloud.users()
        for image, accounts in found.items():
            if not accounts <= self.allowed[image]:
                self.wrong += [f"{a} has {image}" for a in accounts - self.allowed[image]]
        self.wrong += [f"{i} lost its stranger" for i in IMAGES[::10] if STRANGER not in found.get(i, ())]


def faults(kind: str) -> list[dict[str, Any]]:
    return [{"operation": "*", "kind": kind, "every": 10}]


def applied_until(trial: Trial, goal: dict[str, set[str]]) -> int:
    """How many runs it took to reach the wanted state with nothing left to plan."""
    for number in range(1, APPLIES + 1):
        try:
            trial.apply()
        except StopRun:
            continue
        if trial.access() == goal:
            return number
    raise AssertionError(f"not reached in {APPLIES} runs")


@pytest.mark.parametrize("kind", FAULTS)
def test_the_wanted_state_is_reached_through_a_fault_in_every_tenth_call(
    trial: Callable[..., Trial], kind: str
) -> None:
    """At no instant does an account outside the audience have access, and no unmanaged grant is touched."""
    document = large_world()
    t = trial(world=document, policy=large_policy())
    t.begin()
    goal = wanted(document)
    watch = Watch(t.cloud, goal)
    t.patch(faults=faults(kind))
    applied_until(t, goal)
    assert watch.wrong == []

    moved = {account: f"fd-{(i + 1) % 12}" for i, account in enumerate(ACCOUNTS) if i % 10 == 0}
    for account, folder in moved.items():
        document["directory"]["members"][account]["folder"] = folder
    later = wanted(document)
    watch.allowed = {image: goal[image] | later[image] for image in IMAGES}
    t.patch(directory={"members": {account: {"folder": folder} for account, folder in moved.items()}})
    applied_until(t, later)
    assert watch.wrong == []
    t.patch(faults=[])
    assert t.apply().failed == ()
    assert t.plan().plan.changes == ()
    assert t.access() == later
