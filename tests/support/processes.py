"""Commands as processes of their own, against a local cloud that a process or a thread of this one serves.

Beside running commands it looks at what they leave behind: who has what by which channel, what the state calls ours,
and in which order the runs wrote, as the request log tells.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from orgshare.alibaba.cloud import Credentials
from orgshare.decide.plan import Change
from orgshare.focus import EVERYTHING
from orgshare.ledger import Ledger
from orgshare.policy.loading import load
from orgshare.settings import Settings
from orgshare.way.applying import apply
from orgshare.way.planning import make_plan
from orgshare.wiring import begin_state, make_calls, make_store, runtime
from orgshare.words import Shard
from tests.support.trial import OTHER_REGION, OWNER, REGION, A, B, C, D, E, policy, rule, world

SHARD = Shard("ecs", OWNER, REGION)
BUCKET = "acme-state"
IMAGES = ("m-bronze", "m-gold", "m-silver")
SHARED = ("m-bronze", "m-silver")
WRITES = ("Modify", "Create", "Associate", "Disassociate")

BEFORE = {image: {"direct": {A, B, E} if image == "m-gold" else {A, B}} for image in IMAGES}
AFTER = {"m-gold": {"direct": {A, B, C, D}}, **{image: {"directory": {A, B}} for image in SHARED}}


def stored_world() -> dict[str, Any]:
    """The usual world with a bucket for the state, in another region than the images."""
    return world(buckets={BUCKET: {"owner": OWNER, "region": OTHER_REGION}})


def mixed(*, changed: bool) -> dict[str, Any]:
    """Gold by direct grants, and the others too until they change to a resource share; an account of gold changes."""
    gold: dict[str, Any] = {"folders": ["fd-prod", "fd-test"]} if changed else {"folders": ["fd-prod"], "accounts": [E]}
    others = rule("others", {"ids": list(SHARED)}, channel="auto" if changed else "direct")
    return {
        **policy(rules=[rule("gold", {"ids": ["m-gold"]}, **gold), others], state=f"oss://{BUCKET}/state"),
        "directory": {**policy()["directory"], "settle": "0s"},
    }


class Commands:
    """A folder with a policy, and commands in it as processes of their own."""

    def __init__(self, folder: Path, url: str, *, lease: int | None = None) -> None:
        self.folder, self.url = folder, url
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ORGSHARE_", "ALIBABA_"))},
            "ORGSHARE_POLICY": "policy.yaml",
            "ORGSHARE_LOCAL_CLOUD": url,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
            **({"ORGSHARE_LEASE": str(lease)} if lease is not None else {}),
        }

    def write_policy(self, document: Mapping[str, Any]) -> None:
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(dict(document), sort_keys=False))

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-c", "from orgshare.cli.main import main; main()", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ended(self.begin(*arguments))

    def at_once(self, number: int, *arguments: str) -> list[subprocess.CompletedProcess[str]]:
        """So many processes of one command, started together."""
        started = [self.begin(*arguments) for _ in range(number)]
        with ThreadPoolExecutor(number) as pool:
            return list(pool.map(ended, started))

    def settings(self) -> Settings:
        """What the commands find in their environment, for a look from this process."""
        return Settings(str(self.folder / "policy.yaml"), self.url, Credentials("LOCALIMAGES", "local"))

    def begin_deployment(self) -> None:
        """Begin a state, bring everything in step, and let the policy change its mind; from this process."""
        self.write_policy(mixed(changed=False))
        policy = load(self.settings().policy)
        begin_state(policy, make_store(policy, self.settings(), "begin", make_calls()), "rd-trial")
        with runtime(self.settings()) as made:
            apply(made, EVERYTHING)
        self.write_policy(mixed(changed=True))

    def left_to_do(self) -> tuple[Change, ...]:
        """What a plan of this process finds due."""
        with runtime(self.settings()) as made:
            return make_plan(made, EVERYTHING).plan.changes

    def ledger(self) -> Ledger:
        """What the state calls ours."""
        with runtime(self.settings()) as made:
            return made.state.read(SHARD).ledger


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """A command after its end."""
    with process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def by_channel(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, set[str]]]:
    """Image -> channel -> accounts, of the oracle's rows."""
    found: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        for channel in row["channels"]:
            found.setdefault(row["image"], {}).setdefault(channel, set()).add(row["account"])
    return found


def not_owned(
    grants: Mapping[str, Iterable[str]], shares: Mapping[str, Iterable[str]], ledger: Ledger
) -> set[tuple[str, str]]:
    """What is in the cloud and not ours by the ledger: direct grants, and rows of shares.

    For a world in which nobody but the commands gives anything. An entry more is no harm: the ledger forgets what a run
    took away and did not live to record only when it was absent twice.
    """
    there = {(place, entity) for of in (grants, shares) for place, entities in of.items() for entity in entities}
    ours = {(place, entity) for of in (ledger.grants, ledger.shares) for place, rows in of.items() for entity in rows}
    return there - ours


def out_of_turn(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where a run wrote although another one had not let go: of one shard, in the order of the request log.

    Between the last write of one run and the first of another, the first has put the generation with which it lets
    go, and only then the second the one with which it takes over.
    """
    wrong = []
    last, let_go, taken = "", True, ""
    for entry in log:
        run = entry["agent"].partition("run/")[2].split(" ")[0]
        if entry["status"] >= 400 or not run:
            continue
        if entry["action"] == "PutObject":
            if run == last:
                let_go = True
            elif let_go:
                taken = run
        elif entry["action"].startswith(WRITES):
            if last and run != last and not (let_go and taken == run):
                wrong.append(f"{run} made {entry['action']} while {last} was at work")
            if run != last:
                taken = ""
            last, let_go = run, False
    return wrong
