"""``pause`` and ``resume``: nothing is written to the cloud meanwhile, not even by a run that is under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcloud import LocalCloud
from orgshare.words import Shard
from tests.cli.conftest import Shell
from tests.support.trial import OTHER_REGION, OWNER, REGION, A, B, C, D, policy, rule, world
from tests.way.test_channel_calls import WRITES

Make = Callable[..., Shell]
IMAGES = ("m-bronze", "m-gold", "m-silver")
HERE, THERE = f"ecs/{OWNER}/{REGION}", f"ecs/{OWNER}/{OTHER_REGION}"
SINCE = "by ann since 2026-11-21 12:00 UTC"
NOBODY: dict[str, set[str]] = {image: set() for image in IMAGES}


@pytest.fixture
def run(shell: Make) -> Shell:
    made = shell()
    made.environment["LOGNAME"] = "ann"
    return made


def writes(run: Shell) -> int:
    """How many calls that change something the cloud got."""
    calls = run.trial.cloud.calls
    return sum(number for name, number in calls.items() if name.partition(":")[2].startswith(WRITES))


def paused(run: Shell, *arguments: str) -> list[str]:
    """Why an apply says that it was stopped."""
    report = run("apply", "--yes", "--json", *arguments).json
    return [finding["why"] for finding in report["findings"] if finding["kind"] == "paused"]


def test_nothing_is_written_while_everything_is_paused(run: Shell) -> None:
    """A plan is still shown, apply says who paused and since when and ends with 3, and the cloud gets no write."""
    ran = run("pause")
    assert (ran.status, ran.err, ran.lines) == (0, "", [f"everything is paused {SINCE}"])
    run.trial.cloud.advance(60)
    assert run("plan").status == 3
    applied = run("apply", "--yes")
    assert applied.status == 3
    assert f"{HERE}: everything is paused {SINCE}; nothing is written there until «orgshare resume»" in applied.out
    assert (writes(run), run.trial.access()) == (0, NOBODY)
    assert run("resume").lines == ["nothing is paused"]
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == {image: {A, B} for image in IMAGES}


def test_a_pause_of_what_is_in_step_changes_no_status(run: Shell) -> None:
    """Where nothing is due, apply has nothing to be stopped in and ends with 0."""
    run("apply", "--yes")
    run("pause")
    before = writes(run)
    assert (run("apply", "--yes").status, paused(run), writes(run)) == (0, [], before)


def two_regions() -> dict[str, Any]:
    document = world()
    document["images"] |= {
        f"m-far-{n}": {"owner": OWNER, "region": OTHER_REGION, "name": f"far-{n}", "tags": {"share": "org"}}
        for n in range(3)
    }
    return document


def test_one_shard_is_paused_and_others_go_on(shell: Make) -> None:
    """With --shard nothing is written there, everywhere else the work is done, and resume ends that pause alone."""
    run = shell(world=two_regions(), policy=policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}]))
    run.environment["LOGNAME"] = "ann"
    assert run("pause", "--shard", HERE, "--json").json == {"paused": {"everything": False, "shards": [HERE]}}
    assert run("pause", "--shard", THERE).lines == [f"paused: {THERE}", f"paused: {HERE}"]
    assert run("resume", "--shard", THERE).lines == [f"paused: {HERE}"]
    assert paused(run) == [f"{HERE}: it is paused {SINCE}; nothing is written there until «orgshare resume»"]
    far = {f"m-far-{n}": {A, B} for n in range(3)}
    assert run.trial.access() == {**NOBODY, **far}
    assert run("resume", "--shard", HERE, "--json").json == {"paused": {"everything": False, "shards": []}}
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == {**{image: {A, B} for image in IMAGES}, **far}


def test_a_resumed_shard_stays_paused_with_everything(run: Shell) -> None:
    """A pause of everything is not ended by resuming one shard, and resume alone ends every pause."""
    run("pause", "--shard", HERE)
    run("pause")
    assert run("resume", "--shard", HERE).lines == [f"everything is paused {SINCE}"]
    assert paused(run)
    run("pause", "--shard", HERE)
    assert run("resume", "--json").json == {"paused": {"everything": False, "shards": []}}
    assert paused(run) == []


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_what_is_no_shard_is_a_usage_error(run: Shell, command: str) -> None:
    """A shard that cannot be one changes nothing and is said to be none."""
    before = run.state()
    ran = run(command, "--shard", "cn-hangzhou", "--json")
    assert (ran.status, ran.out) == (2, "")
    assert "cn-hangzhou" in ran.err
    assert run.state() == before


def paused_within(run: Shell, writes: int, who: str = "bob") -> None:
    """Let somebody pause everything as soon as the cloud was changed so often."""
    changed = 0

    def look(_: LocalCloud) -> None:
        nonlocal changed
        changed += 1
        if changed == writes:
            run.trial.state().pause(None, run="p", who=who, now=run.trial.now())

    run.trial.cloud.on_write(look)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call at a time: of those that several threads make at once, each has asked before."""
    monkeypatch.setattr("orgshare.wiring.THREADS", 1)


@pytest.mark.usefixtures("one_by_one")
def test_a_run_under_way_stops_at_its_next_call(run: Shell) -> None:
    """Paused after its first grant, an apply makes no other, keeps the record of the one, and resume lets it finish."""
    paused_within(run, 1)
    report = run("apply", "--yes", "--json")
    assert (report.status, writes(run)) == (3, 1)
    assert [change["images"] for change in report.json["done"]] == [["m-bronze"]]
    (why,) = {finding["why"] for finding in report.json["findings"] if finding["kind"] == "paused"}
    assert why.startswith(f"{HERE}: everything is paused by bob since 2026-11-21 12:00 UTC; nothing more is written")
    assert report.json["failed"] == []
    assert run.trial.access() == {**NOBODY, "m-bronze": {A, B}}
    ledger = run.trial.state().read(Shard("ecs", OWNER, REGION)).ledger
    assert {account: entry.state for account, entry in ledger.entries("m-bronze").items()} == {A: "made", B: "made"}
    run("resume")
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == {image: {A, B} for image in IMAGES}
    run.trial.write_policy(policy(rules=[rule(folders=["fd-eu"])]))
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == {image: {B} for image in IMAGES}


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_the_making_of_shares_is_paused_anywhere_and_finished(shell: Make, after: int) -> None:
    """Wherever a pause stops the making and filling of shares, no call comes after it, and resume lets it finish."""
    rules = [rule("all", channel="auto"), rule("lab", {"ids": ["m-gold"]}, channel="auto", folders=["fd-test"])]
    run = shell(policy={**policy(rules=rules), "directory": {**policy()["directory"], "settle": "0s"}})
    paused_within(run, after)
    run("apply", "--yes")
    assert writes(run) == after
    run("resume")
    for _ in range(4):
        run("apply", "--yes")
        run.trial.cloud.advance(60)
    assert run("plan").status == 0
    assert run.trial.access() == {**{image: {A, B} for image in IMAGES}, "m-gold": {A, B, C, D}}
    assert len(run.trial.cloud.world().resource_shares) == 2
