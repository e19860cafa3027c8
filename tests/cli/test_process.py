"""Every command once as a process of its own, over a real socket, as a user runs it.

A process takes a second to start, so what a command is asked a second time it is asked in this one, over the socket.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml
from click.testing import CliRunner

from localcloud import LocalCloud
from localcloud.server import serving
from orgshare.alibaba.cloud import Credentials
from orgshare.cli.commands import cli
from orgshare.policy.loading import load
from orgshare.settings import Settings
from orgshare.wiring import begin_state, make_calls, make_store
from tests.support.trial import OTHER_REGION, OWNER, REGION, A, B, C, D, policy, rule, world

SCRIPTS = Path(sysconfig.get_path("scripts"))
NO_PROXY = build_opener(ProxyHandler({}))
SWEEP = '{"triggerTime": "2026-11-21T12:00:00Z", "triggerName": "sweep", "payload": ""}'


class Deployment:
    """A folder with a policy and the URL of a served local cloud, and processes in that folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ORGSHARE_", "ALIBABA_"))},
            "ORGSHARE_POLICY": "policy.yaml",
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
            "COLUMNS": "40",
        }
        self.write_policy(policy())

    def write_policy(self, document: Mapping[str, Any]) -> None:
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(dict(document), sort_keys=False))

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / "orgshare", *arguments],
            cwd=self.folder,
            env={**self.environment, "ORGSHARE_LOCAL_CLOUD": self.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def begin(self) -> None:
        """Begin the state, as ``init`` does."""
        of = load(self.folder / "policy.yaml")
        settings = Settings("", self.url, Credentials("LOCALIMAGES", "local"))
        begin_state(of, make_store(of, settings, "begin", make_calls()), "rd-trial")

    def here(self, *arguments: str) -> list[str]:
        """The lines of a command that is run in this process and ends with 0."""
        settings = {"ORGSHARE_LOCAL_CLOUD": self.url, "ORGSHARE_POLICY": str(self.folder / "policy.yaml")}
        ran = CliRunner(env={**self.environment, **settings}).invoke(cli, arguments, prog_name="orgshare")
        assert (ran.exit_code, ran.stderr) == (0, ""), ran.stdout
        return ran.stdout.splitlines()

    def access(self) -> dict[str, set[str]]:
        """Who can use what, as the oracle says."""
        with NO_PROXY.open(f"{self.url}/_localcloud/access", timeout=30) as answer:
            rows = json.load(answer)["access"]
        found: dict[str, set[str]] = {"m-gold": set(), "m-silver": set(), "m-bronze": set()}
        for row in rows:
            found.setdefault(row["image"], set()).add(row["account"])
        return found


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose local cloud is served by this process."""
    made = Deployment(tmp_path)
    with serving(LocalCloud.from_world(world())) as made.url:
        yield made


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose local cloud is a process of its own, ended when the test ends."""
    made = Deployment(tmp_path)
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(world()))
    server = subprocess.Popen(
        [SCRIPTS / "localcloud", "serve", "--world", "world.yaml"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        made.url = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", made.url)
        yield made
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        server.stdout.close()


def done(ran: subprocess.CompletedProcess[str], status: int) -> list[str]:
    """The lines of a process that ended with this status and said nothing beside its report."""
    assert (ran.returncode, ran.stderr) == (status, "")
    return ran.stdout.splitlines()


def test_every_command_as_a_user_runs_it(apart: Deployment) -> None:
    """From validate to approve and invoke, each command does its work over the network and ends as it should."""
    run = apart
    assert done(run("validate"), 0) == ["policy.yaml: in order: deployment trial, mode enforce, 1 rule, 1 owner"]
    assert done(run("init"), 0)[0].endswith("/state: begun: deployment trial, directory rd-trial")
    assert done(run("doctor"), 0)[-1] == "21 checks, nothing to mend"
    planned = done(run("plan", "--out", "plan.json"), 3)
    assert planned[0] == (
        f"LOCAL CLOUD {run.url}, directory rd-trial, deployment trial, mode enforce, "
        f"credentials of acs:ram::{OWNER}:root"
    )
    assert planned[-1] == "to do: 3 changes of 3 images, + 6 pairs gained, 0 of 6 pairs in step now"
    assert run.access() == {"m-gold": set(), "m-silver": set(), "m-bronze": set()}
    assert "done: 3 of 3 changes, + 6 pairs gained" in done(run("apply", "--plan", "plan.json", "--yes"), 0)
    assert run.access() == {"m-gold": {A, B}, "m-silver": {A, B}, "m-bronze": {A, B}}
    assert run.here("plan")[-1] == "in step: 3 images, 6 pairs, nothing to do"
    assert done(run("status"), 0)[-1] == "3 images, 6 of 6 pairs in step (6 directly)"
    assert done(run("explain", "m-gold", A), 0)[0] == "YES"
    assert run.here("explain", "m-gold", C)[0] == "NO"
    assert done(run("who", "m-gold"), 0)[1] == "2 accounts can use it"
    assert run.here("who", "--account", B)[0] == f"{B} shop-eu can use 3 images"

    run.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    applied = run("apply", "--yes", "--json")
    assert applied.returncode == 3
    (held,) = json.loads(applied.stdout)["held"]
    assert applied.stderr.startswith("LOCAL CLOUD http")
    everybody = {A, B, C, D}
    assert run.access() == {"m-gold": everybody, "m-silver": everybody, "m-bronze": everybody}
    assert run.here("explain", "m-gold", A)[0] == "YES, FOR NOW"
    assert done(run("holds"), 0)[0].startswith(f"~ {held['id']}  6 pairs of 3 images, since ")
    assert done(run("approve", held["id"], "--reason", "moved"), 0)[0].startswith(f"approved {held['id']} by ")
    (run.folder / "event.json").write_text(SWEEP)
    invoked = run("invoke", "reconcile", "event.json")
    assert invoked.returncode == 0
    assert "done: 3 of 3 changes, - 6 pairs lost" in invoked.stdout.splitlines()
    assert all(json.loads(line)["function"] for line in invoked.stderr.splitlines())
    assert run.access() == {"m-gold": {C, D}, "m-silver": {C, D}, "m-bronze": {C, D}}
    assert run.here("holds") == ["nothing is held"]
    retired = run("retire", "m-gold", "--yes", "--json")
    assert retired.returncode == 3
    run.here("approve", json.loads(retired.stdout)["held"][0]["id"])
    assert run.here("retire", "m-gold", "--yes")[-2].startswith("m-gold: nobody has it by any channel, so it can")
    assert run.access() == {"m-gold": set(), "m-silver": {C, D}, "m-bronze": {C, D}}
    assert run.here("retire", "m-gold", "--undo", "--yes")[0].startswith("m-gold: not retired any more")


def test_the_directory_channel_over_the_network(deployment: Deployment) -> None:
    """Over a real socket and a real clock a share is made, waited for, told of, and let go again."""
    run = deployment
    document = {**policy(rules=[rule(channel="auto")]), "directory": {**policy()["directory"], "settle": "0s"}}
    run.write_policy(document)
    run.begin()
    applied = run("apply", "--yes", "--wait", "60", "--json")
    assert (applied.returncode, json.loads(applied.stdout)["pending"]) == (0, [])
    assert run.access() == {"m-gold": {A, B}, "m-silver": {A, B}, "m-bronze": {A, B}}
    assert run.here("plan")[-1] == "in step: 3 images, 6 pairs, nothing to do"
    assert run.here("status")[-1] == "3 images, 6 of 6 pairs in step (6 by directory)"
    said = run.here("explain", "m-gold", A)
    assert (said[0], "channel   directory" in said) == ("YES", True)
    assert "  directory" in run.here("who", "m-gold")
    assert run.here("who", "--account", B)[0] == f"{B} shop-eu can use 3 images"
    run.write_policy({**document, "rules": [rule(channel="auto", folders=["fd-test"])]})
    applied = run("apply", "--yes", "--json")
    assert applied.returncode == 3
    (held,) = json.loads(applied.stdout)["held"]
    assert {change["action"] for change in held["changes"]} == {"disassociate"}
    assert run.here("holds")[0].startswith(f"~ {held['id']}  6 pairs of 3 images, since ")


def test_copies_over_the_network(deployment: Deployment) -> None:
    """Over a real socket images are copied to another region, their copies are shared, and deleted with the image."""
    run = deployment
    owner = {"account": OWNER, "regions": [REGION, OTHER_REGION]}
    run.write_policy(policy(owners=[owner], rules=[{**rule(), "copy_to": [OTHER_REGION]}]))
    run.begin()
    run("apply", "--yes")
    done(run("apply", "--yes"), 0)
    access = run.access()
    copies = access.keys() - {"m-gold", "m-silver", "m-bronze"}
    assert (len(copies), [access[copy] for copy in copies]) == (3, [{A, B}] * 3)
    held = json.loads(run("retire", "m-gold", "--copies", "--yes", "--json").stdout)["held"]
    for hold in held:
        run.here("approve", hold["id"])
    assert done(run("retire", "m-gold", "--copies", "--yes"), 0)[-1].endswith(
        f": deleted, it was the copy in {OTHER_REGION}"
    )
    assert len(run.access().keys() & copies) == 2


def test_wide_lines_are_not_cut_when_piped(deployment: Deployment) -> None:
    """Even with a narrow terminal's COLUMNS, a pipe gets whole lines."""
    deployment.begin()
    lines = done(deployment("plan"), 3)
    assert max(map(len, lines)) > 120
    assert f"m-bronze bronze, ecs {REGION}, owner {OWNER} images" in lines


def test_nobody_answers(deployment: Deployment) -> None:
    """When no local cloud is there, the error comes at once, says how to start one, and ends with 2."""
    deployment.begin()
    gone = deployment.url
    deployment.url = "http://127.0.0.1:1"
    for arguments in (["plan", "--json"], ["init"], ["explain", "m-gold", A]):
        ran = deployment(*arguments)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == (
            "Error: http://127.0.0.1:1: nobody answers there (Connection refused); "
            "start it with «localcloud serve», or correct ORGSHARE_LOCAL_CLOUD\n"
        )
    deployment.url = gone
    assert deployment.access() == {"m-gold": set(), "m-silver": set(), "m-bronze": set()}


def test_nothing_of_the_sdks_reaches_the_terminal(deployment: Deployment) -> None:
    """Even where the SDK is told to print its requests, with their signatures, nothing of that is printed."""
    deployment.begin()
    deployment.environment["DEBUG"] = "sdk"
    for more, lines in (([], 1), (["--debug"], 3)):
        ran = deployment("plan", "--json", *more)
        assert ran.returncode == 3
        assert len(ran.stderr.splitlines()) == lines
        assert "ignature" not in ran.stderr


def test_what_needs_no_cloud_imports_no_sdk(tmp_path: Path) -> None:
    """Help and the offline commands load no vendor SDK, so they start at once."""
    Deployment(tmp_path)
    asked = [["--help"], ["--version"], ["validate"], ["holds"], ["plan", "--help"], ["nonsense"]]
    code = (
        "import sys\n"
        "from orgshare.cli.main import main\n"
        "names = ('alibabacloud', 'Tea', 'darabonba', 'aliyunsdk', 'requests', 'aiohttp')\n"
        f"for arguments in {asked!r}:\n"
        "    sys.argv = ['orgshare', *arguments]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit:\n"
        "        found = sorted(name for name in sys.modules if name.startswith(names))\n"
        "        print('loaded:', arguments, found, file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "ORGSHARE_POLICY": "policy.yaml"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    loaded = [line for line in ran.stderr.splitlines() if line.startswith("loaded: ")]
    assert loaded == [f"loaded: {arguments} []" for arguments in asked]


def test_an_early_interruption_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C while the program is still loading ends with 1 and one line, and no traceback."""
    code = (
        "import builtins, sys\n"
        "from orgshare.cli.main import main\n"
        "load = builtins.__import__\n"
        "def interrupted(name, *more, **options):\n"
        "    if name == 'orgshare.way.planning':\n"
        "        raise KeyboardInterrupt\n"
        "    return load(name, *more, **options)\n"
        "builtins.__import__ = interrupted\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "Error: interrupted: nothing was done\n")


def test_the_version_is_printed(tmp_path: Path) -> None:
    """--version prints name and version."""
    ran = Deployment(tmp_path)("--version")
    assert re.fullmatch(r"orgshare, version \d+\.\d+\.\d+\n", ran.stdout)


def _in_a_terminal(deployment: Deployment, answer: bytes, *arguments: str) -> tuple[int, str]:
    """Run a command in a pseudo-terminal, type an answer to its question; its status and all that it showed."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [SCRIPTS / "orgshare", *arguments],
        cwd=deployment.folder,
        env={**deployment.environment, "ORGSHARE_LOCAL_CLOUD": deployment.url, "TERM": "xterm", "COLUMNS": "300"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
        start_new_session=True,
    )
    os.close(follower)
    shown = b""
    try:
        while True:
            try:
                read = os.read(leader, 65536)
            except OSError:  # the end of a pseudo-terminal
                break
            if not read:
                break
            shown += read
            if answer and b"[y/N]" in shown:
                os.write(leader, answer)
                answer = b""
        return process.wait(60), shown.decode()
    finally:
        os.close(leader)
        process.kill()
        process.wait(60)


@pytest.mark.parametrize(
    ("answer", "status", "accounts"), [(b"y\n", 0, {A, B}), (b"n\n", 3, set()), (b"\x04", 3, set())]
)
def test_a_person_in_a_terminal_is_asked(
    deployment: Deployment, answer: bytes, status: int, accounts: set[str]
) -> None:
    """In a terminal apply shows its plan in colour, asks, and does what was answered."""
    deployment.begin()
    got, shown = _in_a_terminal(deployment, answer, "apply")
    assert got == status
    assert f"\x1b[32m+ {A}\x1b[0m" in shown
    assert "carry out 3 changes: 6 pairs gained, 0 lost? [y/N]: " in shown
    assert deployment.access() == {"m-gold": accounts, "m-silver": accounts, "m-bronze": accounts}


def test_a_reader_that_goes_away_is_no_traceback(deployment: Deployment) -> None:
    """Piped into something that stops reading, a command ends without a traceback."""
    deployment.begin()
    ran = subprocess.run(
        ["sh", "-c", f"{SCRIPTS / 'orgshare'} plan --json | head -c 1"],
        cwd=deployment.folder,
        env={**deployment.environment, "ORGSHARE_LOCAL_CLOUD": deployment.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "{"
    assert "Traceback" not in ran.stderr


def test_an_unprintable_terminal_is_no_reason_to_fail(deployment: Deployment) -> None:
    """Where the terminal's encoding lacks a character, a question mark stands for it."""
    deployment.environment |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    ran = deployment("plan")
    assert ran.returncode == 2
    assert "run ?orgshare init? once" in ran.stderr
