"""The stage of the story: a local cloud in a process of its own, a policy and state in a folder, and the functions.

Whatever credentials, proxies or settings the terminal has are taken out of the environment first: the story must never
reach a real cloud. What can go wrong is a server that outlives its story, so it ends with the stage unless it is kept.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from orgshare.cli.invoking import functions_folder, invoke_function
from orgshare.errors import OrgshareError
from orgshare.focus import EVERYTHING
from orgshare.policy.loading import load
from orgshare.settings import read_settings
from orgshare.way.planning import Planned, make_plan
from orgshare.wiring import begin_state, make_calls, make_cloud, make_store, new_run, runtime
from orgshare_demo.reference import OUR_TAG, Pair

SAMPLES = files("localcloud") / "samples"
LEASE = 2
"""Seconds that a lease lives in the story, so that a run that dies holds nobody up for long."""

LOG = "requests.log"

AMBIENT = ("ALIBABA_CLOUD_", "ALICLOUD_", "ORGSHARE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy",
           "https_proxy", "all_proxy", "FC_")  # fmt: skip

Access = dict[Pair, frozenset[str]]
"""Pairs with access, each with its channels."""

READING = ("Get", "List", "Describe", "Check", "AssumeRole")
"""How the names of calls begin that change nothing."""

ORGSHARE = [sys.executable, "-c", "from orgshare.cli.main import main; main()"]


class Stage:
    """Everything that the story acts upon."""

    def __init__(self, folder: Path, url: str, server: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.url = url
        self.server = server
        self._log = folder / LOG
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def policy_file(self) -> Path:
        """The policy of the story."""
        return self.folder / "policy.yaml"

    def policy(self) -> dict[str, Any]:
        """The policy as plain data."""
        found: dict[str, Any] = yaml.load(self.policy_file.read_text(), yaml.BaseLoader)  # noqa: S506 - text only
        return found

    def edit_policy(self, old: str, new: str) -> None:
        """A person edits the policy file."""
        text = self.policy_file.read_text()
        if old not in text:
            raise ValueError(f"the policy has no {old!r}")
        self.policy_file.write_text(text.replace(old, new))

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

    def calls(self) -> list[str]:
        """Every call that the local cloud has answered, as its request log tells it, but for a half-written line."""
        whole, _, _ = self._log.read_text().rpartition("\n")
        return [json.loads(line)["action"] for line in whole.splitlines()]

    def send(self, function: str, event: str) -> dict[str, Any]:
        """Hand a sample event to a function, as Function Compute would; its report. Its log is kept from the page."""
        with contextlib.redirect_stderr(io.StringIO()):
            returned = invoke_function(functions_folder(), function, Path(str(SAMPLES / "events" / f"{event}.json")))
        report: dict[str, Any] = json.loads(returned)
        return report

    def send_and_kill(self, function: str, event: str, operation: str) -> None:
        """Start a function in a process of its own and kill it when its first call of an operation was carried out."""
        seen = self._log.stat().st_size
        path = str(SAMPLES / "events" / f"{event}.json")
        process = subprocess.Popen(
            [*ORGSHARE, "invoke", function, path, "--functions", str(functions_folder())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with self._log.open("rb") as log:
            log.seek(seen)
            told = b""
            while process.poll() is None and f'"{operation}"'.encode() not in told:
                time.sleep(0.005)
                told += log.read()
        process.kill()
        process.wait()

    def orgshare(self, *arguments: str) -> list[str]:
        """The lines that a command of the command line prints, run beside the policy."""
        done = subprocess.run(
            [*ORGSHARE, *arguments, "--policy", self.policy_file.name],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise OrgshareError(f"orgshare {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.splitlines()

    def plan(self) -> Planned:
        """What a sweep would do now."""
        with runtime(read_settings(os.environ)) as surroundings:
            return make_plan(surroundings, EVERYTHING)

    def until_free(self) -> None:
        """Wait until no run holds any shard: one that died holds its own until its lease is over."""
        with runtime(read_settings(os.environ)) as surroundings:
            state = surroundings.state
            while any(state.read(shard).holder for shard in state.shards()):
                time.sleep(0.1)

    def begin(self) -> None:
        """What ``orgshare init`` does."""
        settings = read_settings(os.environ)
        policy, run, calls = load(settings.policy), new_run(), make_calls()
        directory = make_cloud(policy, settings, run, calls).directory().identity()
        begin_state(policy, make_store(policy, settings, run, calls), directory.id)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_localcloud/{path}", data, method=method)  # noqa: S310 - loopback
        with self._direct.open(request, timeout=30) as answer:
            return json.load(answer)


def without_ambient(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment without credentials, proxies and settings, and the names of what was taken out."""
    taken = sorted(name for name in environment if name.startswith(AMBIENT))
    return {name: value for name, value in environment.items() if name not in taken}, taken


@contextlib.contextmanager
def set_up(folder: Path, *, keep: bool) -> Iterator[Stage]:
    """Start the local cloud and set this process up to speak to nothing else."""
    story = SAMPLES / "story"
    (folder / "policy.yaml").write_text((story / "policy.yaml").read_text())
    (folder / LOG).touch()
    server = subprocess.Popen(
        [sys.executable, "-m", "localcloud", "serve", "--world", str(story / "world.yaml"),
         "--request-log", str(folder / LOG)],
        stdout=subprocess.PIPE, text=True, start_new_session=keep,
        # One that is kept must not hold on to the terminal, or to whatever reads our output.
        stderr=subprocess.DEVNULL if keep else None,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        os.environ.update(settings_of(folder, url))
        yield Stage(folder, url, server)
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            server.send_signal(signal.SIGTERM)
            server.wait()


def settings_of(folder: Path, url: str) -> dict[str, str]:
    """The environment in which every command speaks to the story's local cloud."""
    return {
        "ORGSHARE_POLICY": str(folder / "policy.yaml"),
        "ORGSHARE_LOCAL_CLOUD": url,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
        "ORGSHARE_LEASE": str(LEASE),
    }
