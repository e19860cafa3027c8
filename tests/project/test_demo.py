"""The demonstration tells its story, checks it, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orgshare_demo.reference import wanted_access
from orgshare_demo.stage import without_ambient

COMMAND = [sys.executable, "-c", "from orgshare.cli.main import main; main()", "demo"]


def demo(tmp_path: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        env={**os.environ, "TMPDIR": str(tmp_path), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_story_ends_with_every_pair_as_the_policy_says(tmp_path: Path) -> None:
    """Its last line counts the pairs that the oracle finds right, and nothing stays on the disk."""
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    counts = re.match(r"(\d+) of (\d+) pairs of image and account are as the policy says, 0 differ;", last)
    assert counts
    assert counts[1] == counts[2]
    assert int(counts[1]) > 30
    assert list(tmp_path.iterdir()) == []
    assert done.stderr == ""


def test_the_story_shows_every_step(tmp_path: Path) -> None:
    """Joining, moving, leaving, repetition, drift, an empty directory, a held typo, and a run that dies."""
    told = demo(tmp_path).stdout
    steps = re.findall(r"^\d+  ([^─]+?) ─", told, re.MULTILINE)
    assert steps == [
        "The first sweep", "An image becomes available", "An account joins", "An account moves", "An account leaves",
        "An event comes twice", "People change things by hand", "The sweep repairs the drift",
        "The directory reads as empty", "A typo in the policy", "The typo is mended", "A run dies between two calls",
        "The next run finishes",
    ]  # fmt: skip
    assert told.count("a further sweep plans nothing") == 10


def test_ambient_credentials_and_proxies_are_not_used_and_the_story_says_so(tmp_path: Path) -> None:
    """Whatever the terminal has set, the story speaks to its local cloud only."""
    settings = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "ambient", "HTTP_PROXY": "http://127.0.0.1:1", "ORGSHARE_POLICY": "x"}
    done = demo(tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    assert "Not used, though set: ALIBABA_CLOUD_ACCESS_KEY_ID, HTTP_PROXY, ORGSHARE_POLICY." in done.stdout


def test_everything_that_could_lead_elsewhere_is_taken_out_of_the_environment() -> None:
    """Credentials, settings and proxies in every spelling; nothing else."""
    kept, taken = without_ambient(
        {"PATH": "p", "HOME": "h", "https_proxy": "x", "ALL_PROXY": "x", "ALICLOUD_REGION": "x", "FC_REGION": "x"}
    )
    assert set(kept) == {"PATH", "HOME"}
    assert taken == ["ALICLOUD_REGION", "ALL_PROXY", "FC_REGION", "https_proxy"]


def test_keep_leaves_the_local_cloud_running_for_the_commands_that_it_names(tmp_path: Path) -> None:
    """The exports that it prints make the command line speak to that cloud."""
    done = demo(tmp_path, "--keep")
    (pid,) = re.findall(r"end it with: kill (\d+)", done.stdout)
    try:
        settings = dict(re.findall(r"export (\w+)=(\S+)", done.stdout))
        status = subprocess.run(
            [*COMMAND[:-1], "status", "--json"],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert status.returncode == 0, status.stderr
        assert '"m-gold0000000000000001"' in status.stdout
    finally:
        os.kill(int(pid), signal.SIGTERM)


def test_the_reference_refuses_a_policy_that_it_does_not_know() -> None:
    """A check that passes over a key would prove nothing."""
    world = {
        "directory": {"folders": {}, "members": {}},
        "images": {"m-1": {"owner": "1", "tags": {"a": "b"}}},
    }
    rule = {"images": {"tags": {"a": "b"}}, "audience": {"account_tags": {"env": "prod"}}}
    with pytest.raises(ValueError, match="account_tags"):
        wanted_access({"rules": [rule]}, world)
