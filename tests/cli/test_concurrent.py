"""Several real processes at once, and real processes that are killed: with a state in object storage."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from bench.kills import kill_and_go_on, random_kills
from tests.cli.test_process import NO_PROXY
from tests.support.processes import AFTER, BEFORE, Commands, by_channel, not_owned, out_of_turn, stored_world

INSTANTS = 2
"""As many at once; `make kills` has fifty, and in process every single instant is tried (tests/way)."""

REQUESTS = range(30, 60)
"""From before a run takes its lease until it begins to look again; it makes more, so no kill comes after its end."""


class Served(Commands):
    """Commands, and the request log of a local cloud that is a process too."""

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]

    def asked(self, what: str) -> Any:
        with NO_PROXY.open(f"{self.url}/_localcloud/{what}", timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Served]:
    """A deployment in step with a policy that is about to change."""
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(stored_world()))
    server = subprocess.Popen(
        [sys.executable, "-m", "localcloud", "serve", "--world", "world.yaml", "--request-log", "requests.jsonl"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        made = Served(tmp_path, url)
        made.begin_deployment()
        assert by_channel(made.asked("access")["access"]) == BEFORE
        yield made
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        server.stdout.close()


@pytest.mark.parametrize("number", [2, 5])
def test_many_at_once_are_one_after_the_other(run: Served, number: int) -> None:
    """All of them end well, everything is as wanted and known for ours, and one wrote at a time."""
    before = len(run.log())
    ran = run.at_once(number, "apply", "--yes", "--wait", "60", "--json")
    assert [(each.returncode, each.stderr.splitlines()[1:]) for each in ran] == [(0, [])] * number
    assert by_channel(run.asked("access")["access"]) == AFTER
    world = run.asked("world")
    shares = {share: row["images"] + row["targets"] for share, row in world["resource_shares"].items()}
    assert not_owned(world["grants"], shares, run.ledger()) == set()
    assert out_of_turn(run.log()[before:]) == []
    assert len({entry["agent"] for entry in run.log()[before:] if entry["action"] == "PutObject"}) == number
    assert run.left_to_do() == ()


def test_a_killed_apply_is_finished_by_the_next(tmp_path: Path) -> None:
    """Killed at any instant, the next apply waits for the lease of the dead and finishes, and everything is ours."""
    kills = kill_and_go_on(tmp_path, random_kills(INSTANTS, REQUESTS, Random(4)), at_once=INSTANTS)
    assert [kill.wrong for kill in kills] == [()] * INSTANTS
    assert all(kill.action for kill in kills)
