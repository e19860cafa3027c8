"""A trial: a world, a policy and a state of their own, and runs through the real SDKs against the local cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import yaml

from localcloud import LocalCloud, ManualClock
from localcloud.clock import Clock
from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import AlibabaCloud, Credentials
from orgshare.focus import EVERYTHING, Focus
from orgshare.guard import GuardRecord, approve
from orgshare.policy.loading import load
from orgshare.policy.model import Policy
from orgshare.ports import Notices
from orgshare.record.state import State, begin, open_state
from orgshare.record.store import DirectoryStore
from orgshare.settings import LEASE
from orgshare.way.applying import Applied, apply
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime

MANAGEMENT = "1000000000000001"
OWNER = "1000000000000002"
A, B, C, D, E = (f"100000000000001{n}" for n in range(5))
PARTNER = "2000000000000001"
STRANGER = "3000000000000001"
REGION = "cn-hangzhou"
OTHER_REGION = "ap-southeast-1"

URL = "http://127.0.0.1:9"
"""Where a local cloud would be if it were served: in process, whoever asks there is answered."""

LEASE_IS_OVER = LEASE + 2
"""Seconds after which a run that died holds its shard no more."""

START = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc).timestamp()

Item = TypeVar("Item")
Result = TypeVar("Result")


class Inline(Executor):
    """An executor that runs everything at once, in order, in this thread."""

    def map(  # type: ignore[override]
        self, fn: Callable[[Item], Result], items: Iterable[Item], *, timeout: float | None = None, chunksize: int = 1
    ) -> Iterable[Result]:
        return [fn(item) for item in items]


def world(**changes: Any) -> dict[str, Any]:
    """Five members in three folders, one partner and one stranger outside, and three images of one owner."""
    document: dict[str, Any] = {
        "directory": {
            "id": "rd-trial",
            "management": MANAGEMENT,
            "sharing_enabled": True,
            "folders": {
                "fd-prod": {"name": "prod", "parent": "root"},
                "fd-eu": {"name": "eu", "parent": "fd-prod"},
                "fd-test": {"name": "test", "parent": "root"},
            },
            "members": {
                OWNER: {"name": "images", "folder": "root"},
                A: {"name": "shop", "folder": "fd-prod", "tags": {"env": "prod"}},
                B: {"name": "shop-eu", "folder": "fd-eu", "tags": {"env": "prod"}},
                C: {"name": "lab", "folder": "fd-test", "tags": {"env": "test"}},
                D: {"name": "lab-2", "folder": "fd-test"},
                E: {"name": "office", "folder": "root"},
            },
        },
        "outsiders": [PARTNER, STRANGER],
        "access_keys": {
            "LOCALMANAGEMENT": {"secret": "local", "account": MANAGEMENT},
            "LOCALIMAGES": {"secret": "local", "account": OWNER},
        },
        "roles": {f"acs:ram::{MANAGEMENT}:role/reader": {"trusts": [OWNER]}},
        "images": {
            f"m-{name}": {
                "service": "ecs", "owner": OWNER, "region": REGION, "name": name, "status": "Available",
                "tags": {"share": "org"},
            }
            for name in ("gold", "silver", "bronze")
        },
    }  # fmt: skip
    return {**document, **changes}


def policy(**changes: Any) -> dict[str, Any]:
    """Everything tagged ``share: org`` for everybody below prod; limits so wide that only audiences are guarded."""
    document: dict[str, Any] = {
        "version": 1,
        "deployment": "trial",
        "mode": "enforce",
        "state": "file:state",
        "directory": {"account": MANAGEMENT, "role": f"acs:ram::{MANAGEMENT}:role/reader"},
        "owners": [{"account": OWNER, "regions": [REGION]}],
        "rules": [rule()],
        "safety": {
            "hold_when": {"lost_pairs": 10**6, "lost_percent": 100, "departed": {"accounts": 10**6, "percent": 100}}
        },
    }
    return {**document, **changes}


def rule(
    name: str = "golden", images: Mapping[str, Any] | None = None, *, channel: str = "direct", **audience: Any
) -> dict[str, Any]:
    """A rule that uses direct grants; without an audience, for everybody below prod."""
    return {
        "name": name,
        "images": dict(images or {"tags": {"share": "org"}}),
        "audience": audience or {"folders": ["fd-prod"]},
        "channel": channel,
    }


def sized(accounts: int, images: int, **options: Any) -> dict[str, Any]:
    """So many members besides the owner in fd-prod, and so many images."""
    members = {str(4000000000000000 + n): {"name": f"n{n}", "folder": "fd-prod"} for n in range(accounts - 1)}
    base = world(**options)
    return {
        **base,
        "directory": {
            "id": "rd-trial", "management": MANAGEMENT, "sharing_enabled": True,
            "folders": {"fd-prod": {"name": "prod", "parent": "root"}, "fd-small": {"name": "s", "parent": "fd-prod"}},
            "members": {**members, OWNER: {"name": "images", "folder": "root"}},
        },
        "images": {
            f"m-{n:04d}": {"service": "ecs", "owner": OWNER, "region": REGION, "name": f"n{n}", "status": "Available",
                           "tags": {"share": "org"}}
            for n in range(images)
        },
    }  # fmt: skip


def calls_of(trial: Trial, run: Callable[[], object]) -> Counter[str]:
    """The calls that a cloud got while something ran."""
    before = Counter(trial.cloud.calls)
    run()
    return Counter(trial.cloud.calls) - before


class Trial:
    """One deployment in one world. Runs are in this thread, sleep costs nothing, and time is the manual clock's."""

    def __init__(
        self,
        folder: Path,
        *,
        world: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        seed: int = 1,
    ) -> None:
        self.cloud = LocalCloud.from_world(
            world or globals()["world"](), clock=clock or ManualClock(START), random=Random(seed)
        )
        self.folder = folder
        self.seed = seed
        self.runs = 0
        self._read: tuple[bytes, Policy] | None = None
        self.write_policy(policy or globals()["policy"]())

    def write_policy(self, document: Mapping[str, Any]) -> None:
        """Put another policy in place."""
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(dict(document), sort_keys=False))

    def read_policy(self) -> Policy:
        """The policy in place, which is read anew only where it is another one: parsing it takes longest in a run."""
        path = self.folder / "policy.yaml"
        content = path.read_bytes()
        if self._read is None or self._read[0] != content:
            self._read = content, load(path)
        return self._read[1]

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.cloud.clock.now(), timezone.utc).replace(microsecond=0)

    def begin(self) -> State:
        """Begin the state."""
        return begin(
            self.store(),
            deployment="trial",
            directory="rd-trial",
            identity="x",
            now=self.now(),
        )

    def state(self) -> State:
        return open_state(self.store(), "trial")

    def store(self) -> DirectoryStore:
        """Where the state lies; its times are the cloud's."""
        return DirectoryStore(self.folder / "state", self.now)

    def runtime(self, *, key: str = "LOCALIMAGES", secret: str = "local", state: State | None = None) -> Runtime:
        """What a run needs, with fresh objects throughout."""
        self.runs += 1
        return self.runtime_of(self.read_policy(), Credentials(key, secret), state or self.begin())

    def runtime_of(self, of: Policy, credentials: Credentials, state: State, notices: Notices | None = None) -> Runtime:
        """What the run that is counted needs with these, in this thread and on the cloud's clock."""
        run = f"r{self.runs}"
        cloud = AlibabaCloud(of, credentials, local_cloud=URL, run=run, now=self.now, calls=self.calls())
        return Runtime(
            policy=of,
            cloud=cloud,
            state=state,
            executor=Inline(),
            now=self.now,
            monotonic=self.cloud.clock.now,
            sleep=lambda _: None,
            run=run,
            lease=LEASE,
            notices=notices,
        )

    def calls(self) -> Calls:
        """How calls are tried again: without waiting."""
        return Calls(sleep=lambda _: None, random=Random(self.seed), clock=self.cloud.clock.now)

    def plan(self, focus: Focus = EVERYTHING) -> Planned:
        return make_plan(self.runtime(), focus)

    def apply(self, focus: Focus = EVERYTHING) -> Applied:
        return apply(self.runtime(), focus)

    def approve_all(self) -> None:
        """Release everything that is held, as a person would."""

        def release(record: GuardRecord) -> GuardRecord:
            for hold in record.holds:
                record = approve(record, hold, now=self.now(), who="trial", reason="")
            return record

        self.state().update_guard(release, run="trial")

    def access(self) -> dict[str, set[str]]:
        """Who can use what, as the oracle says."""
        found: dict[str, set[str]] = {image: set() for image in self.cloud.world().images}
        for row in self.cloud.access():
            found[row["image"]].add(row["account"])
        return found

    def patch(self, **part: Any) -> None:
        """Change the world from outside."""
        self.cloud.patch(part)

    def move(self, account: str, folder: str) -> None:
        self.patch(directory={"members": {account: {"folder": folder}}})

    def leave(self, *accounts: str) -> None:
        self.patch(directory={"members": dict.fromkeys(accounts)})

    def grant_by_hand(self, image: str, *accounts: str) -> None:
        """Share an image as a person would, beside who has it already."""
        self.patch(grants={image: sorted(self.access()[image] | set(accounts))})

    def revoke_by_hand(self, image: str, *accounts: str) -> None:
        self.patch(grants={image: sorted(self.access()[image] - set(accounts))})
