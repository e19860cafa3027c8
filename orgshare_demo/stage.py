"""The stage of the story: a local cloud in a process of its own, with the functions of the template deployed in it.

The stage calls no function. It lets time pass, and says what happened by itself meanwhile: which function ran because
of which trigger, every call that the cloud answered, and the reports that runs left in the state.

Whatever credentials, proxies or settings the terminal has are taken out of the environment first: the story must never
reach a real cloud. What can go wrong is a server that outlives its story, so it ends with the stage unless it is kept;
the processes of functions end with the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orgshare.errors import OrgshareError
from orgshare.focus import EVERYTHING
from orgshare.record.reports import RUNS
from orgshare.record.state import State
from orgshare.settings import read_settings
from orgshare.way.planning import Planned, make_plan
from orgshare.wiring import runtime
from orgshare_demo.deployment import begin, deployed_world, policy_text, settings_of
from orgshare_demo.people import People
from orgshare_demo.reference import OUR_TAG, Pair

LOG = "requests.log"

AMBIENT = ("ALIBABA_CLOUD_", "ALICLOUD_", "ORGSHARE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy",
           "https_proxy", "all_proxy", "FC_")  # fmt: skip

Access = dict[Pair, frozenset[str]]
"""Pairs with access, each with its channels."""

COUNTED = frozenset({"sts", "resourcemanager", "ecs", "ecd", "ram", "resourcesharing"})
"""The products whose calls the story counts, and reports do: not those by which functions write to their state, send
workers and tell a person."""

READING = ("Get", "List", "Describe", "Check", "AssumeRole")
"""How the names of calls begin that change nothing."""

ORGSHARE = [sys.executable, "-c", "from orgshare.cli.main import main; main()"]


@dataclass(frozen=True)
class Happened:
    """What happened by itself: rows of the local cloud's invocations and request log, and the reports of runs."""

    invocations: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    reports: list[dict[str, Any]]

    @property
    def writing(self) -> list[str]:
        """The names of the calls that were to change something."""
        return [call["action"] for call in self.calls if not call["action"].startswith(READING)]

    def of(self, key: str) -> list[dict[str, Any]]:
        """The rows that all reports have under a key."""
        return [row for report in self.reports for row in report[key]]


class Stage:
    """Everything that the story acts upon."""

    def __init__(self, folder: Path, url: str, server: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.url = url
        self.server = server
        self.people = People(url)
        self.passed = 0.0
        self._log = folder / LOG
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._state: State | None = None
        self._seen: set[str] = set()

    def policy(self) -> dict[str, Any]:
        """The policy as plain data."""
        found: dict[str, Any] = yaml.load(self.people.policy(), yaml.BaseLoader)  # noqa: S506 - text only
        return found

    def edit_policy(self, old: str, new: str) -> None:
        """A person edits the policy."""
        text = self.people.policy()
        if old not in text:
            raise ValueError(f"the policy has no {old!r}")
        self.people.put_policy(text.replace(old, new))

    def world(self) -> dict[str, Any]:
        """The state of the local cloud as a world."""
        found: dict[str, Any] = self._ask("GET", "world")
        return found

    def change(self, part: Mapping[str, Any]) -> None:
        """Somebody changes something in the cloud."""
        self._ask("PATCH", "world", part)

    def access(self) -> Access:
        """Who can use what by which channels, as the local cloud's oracle finds it."""
        rows = self._ask("GET", "access")["access"]
        return {(row["image"], row["account"]): frozenset(row["channels"]) for row in rows}

    def share_of(self, image: str) -> tuple[str, dict[str, Any]]:
        """The resource share of orgshare's that an image is in."""
        for share, row in self.world()["resource_shares"].items():
            if OUR_TAG in row.get("tags", {}) and image in row["images"]:
                return share, row
        raise LookupError(f"no resource share of orgshare's has {image}")

    def begin(self) -> None:
        """Begin the state, as ``orgshare init`` does."""
        self._state = begin(read_settings(os.environ))

    def let(self, seconds: float) -> Happened:
        """Let time pass, and with it everything happen that is due by then; what happened."""
        calls, invocations = len(self._calls()), len(self._invocations())
        self._ask("POST", "clock", {"advance": seconds})
        self.passed += seconds
        made = [call for call in self._calls()[calls:] if call["product"] in COUNTED]
        return Happened(self._invocations()[invocations:], made, self._reports())

    def orgshare(self, *arguments: str) -> list[str]:
        """The lines that a command of the command line prints."""
        done = subprocess.run([*ORGSHARE, *arguments], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise OrgshareError(f"orgshare {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.splitlines()

    def plan(self) -> Planned:
        """What a sweep would do now."""
        with runtime(read_settings(os.environ)) as surroundings:
            return make_plan(surroundings, EVERYTHING)

    def _calls(self) -> list[dict[str, Any]]:
        """Every call that the local cloud has answered, as its request log tells it, but for a half-written line."""
        whole, _, _ = self._log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def _invocations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", "invocations")["invocations"]
        return found

    def _reports(self) -> list[dict[str, Any]]:
        """The reports that runs have left since the last time."""
        if self._state is None:
            return []
        store = self._state.store
        fresh = [row.name for row in store.listed(RUNS).objects if row.name not in self._seen]
        self._seen.update(fresh)
        reports = [json.loads(found) for name in fresh if (found := store.get(name)) is not None]
        return sorted(reports, key=lambda report: (report["began"], sorted(report["saw"]["images"])))

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_localcloud/{path}", data, method=method)  # noqa: S310 - loopback
        with self._direct.open(request) as answer:
            return json.load(answer)


def without_ambient(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment without credentials, proxies and settings, and the names of what was taken out."""
    taken = sorted(name for name in environment if name.startswith(AMBIENT))
    return {name: value for name, value in environment.items() if name not in taken}, taken


@contextlib.contextmanager
def set_up(folder: Path, *, keep: bool) -> Iterator[Stage]:
    """Start the local cloud, set this process up to speak to nothing else, and put the policy into its bucket."""
    world = folder / "world.yaml"
    world.write_text(yaml.safe_dump(deployed_world(), sort_keys=False))
    (folder / LOG).touch()
    server = subprocess.Popen(
        [sys.executable, "-m", "localcloud", "serve", "--world", str(world), "--clock", "manual",
         "--request-log", str(folder / LOG)],
        stdout=subprocess.PIPE, text=True, start_new_session=keep,
        # One that is kept must not hold on to the terminal, or to whatever reads our output.
        stderr=subprocess.DEVNULL if keep else None,
    )  # fmt: skip
    try:
        url = _url_of(server)
        os.environ.update(settings_of(url))
        stage = Stage(folder, url, server)
        stage.people.put_policy(policy_text())
        yield stage
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            server.send_signal(signal.SIGTERM)
            server.wait()


def _url_of(server: subprocess.Popen[str]) -> str:
    """What a local cloud prints first, once it answers."""
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    if not url:
        raise OrgshareError("the local cloud did not start")
    return url
