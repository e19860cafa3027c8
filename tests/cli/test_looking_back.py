"""``history``: every pair that was gained or lost through us, and the report that each run leaves in the state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orgshare.record.history import write_history
from orgshare.record.series import KEPT_GENERATIONS
from orgshare.words import Shard
from tests.cli.conftest import Shell
from tests.support.channels import LATER
from tests.support.trial import OWNER, REGION, A, B, C, D, E, policy, rule

Make = Callable[..., Shell]
IMAGES = ("m-bronze", "m-gold", "m-silver")
NOON, ONE = "2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z"
Row = tuple[str, str, str, str]


@pytest.fixture
def run(shell: Make) -> Shell:
    """At noon two accounts get three images directly, at one o'clock one of them loses these and two get them."""
    made = shell()
    assert made("history", "--json").json == {"history": []}
    assert made("history").lines == ["nothing was seen"]
    made("apply", "--yes")
    made.trial.cloud.advance(3600)
    made.trial.write_policy(policy(rules=[rule(folders=["fd-eu", "fd-test"])]))
    assert made("apply", "--yes").status == 0
    return made


def rows(run: Shell, *arguments: str) -> list[Row]:
    """What history says: time, image, account, gained or lost."""
    history = run("history", "--json", *arguments).json["history"]
    return [(row["at"], row["image"], row["account"], row["what"]) for row in history]


def seen(at: str, what: str, *accounts: str, images: tuple[str, ...] = IMAGES) -> list[Row]:
    return [(at, image, account, what) for image in images for account in accounts]


def test_direct_grants_are_told_in_order(run: Shell) -> None:
    """Each pair that was granted or revoked is a row, the oldest first."""
    assert rows(run) == [
        *seen(NOON, "gained", A, B),
        *sorted([*seen(ONE, "lost", A), *seen(ONE, "gained", C, D)]),
    ]
    assert run("history").lines[0].startswith(f"{NOON}  + m-bronze  {A}  direct for golden: granted (run ")


def test_a_row_says_everything(run: Shell) -> None:
    """With --json each row has the same keys, and the run is the one of the report."""
    first, *_ = run("history", "--json", "--image", "m-gold", "--account", A).json["history"]
    assert first.pop("run") in {report["run"] for report in reports(run)}
    assert first == {
        "at": NOON, "image": "m-gold", "account": A, "what": "gained", "channel": "direct", "rules": ["golden"],
        "why": "granted",
    }  # fmt: skip
    *_, last = run("history", "--json", "--image", "m-gold", "--account", A).json["history"]
    assert (last["what"], last["rules"], last["why"]) == ("lost", ["golden"], "taken away by this run")


def test_one_image_and_one_account(run: Shell) -> None:
    """--image and --account each narrow, and together they do both."""
    gold = ("m-gold",)
    of_gold = [
        *seen(NOON, "gained", A, B, images=gold),
        *sorted([*seen(ONE, "lost", A, images=gold), *seen(ONE, "gained", C, D, images=gold)]),
    ]
    assert rows(run, "--image", "m-gold") == of_gold
    assert rows(run, "--account", A) == [*seen(NOON, "gained", A), *seen(ONE, "lost", A)]
    assert rows(run, "--account", C, "--image", "m-gold") == seen(ONE, "gained", C, images=gold)
    assert rows(run, "--account", E) == rows(run, "--image", "m-none") == []


@pytest.mark.parametrize(
    ("since", "first"),
    [
        ("2026-11-21", True), ("2026-11-22", None), ("2026-11-21T12:00Z", True), ("2026-11-21T12:00:01Z", False),
        ("2026-11-21T12:30", False), ("2026-11-21T14:00:00+01:00", False), ("2026-11-21T13:00:01Z", None),
        ("30m", False), ("1h", True), ("7d", True), ("0m", False),
    ],
)  # fmt: skip
def test_since_a_time(run: Shell, since: str, first: bool | None) -> None:
    """A day, a time with or without a zone (then UTC), or how long ago; the very moment counts."""
    whole = rows(run)
    expected = {True: whole, False: [row for row in whole if row[0] == ONE], None: []}[first]
    assert rows(run, "--since", since) == expected


@pytest.mark.parametrize("since", ["yesterday", "", "7w", "d", "2026-13-01", "-1d", "99999999999d"])
def test_what_is_no_time_is_a_usage_error(run: Shell, since: str) -> None:
    """It is never taken for another time."""
    ran = run("history", "--since", since, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert "expected 2026-11-21, 2026-11-21T12:00Z, or 7d, 12h, 30m" in " ".join(ran.err.split())


def through_shares(shell: Make) -> Shell:
    made = shell(policy=policy(rules=[rule(channel="auto")]))
    for _ in range(3):
        made("apply", "--yes")
        made.trial.cloud.advance(LATER)
    return made


def test_resource_shares_are_told_too(shell: Make) -> None:
    """Whom a resource share reaches has gained, once, however many runs see it."""
    run = through_shares(shell)
    history = run("history", "--json").json["history"]
    assert [(row["image"], row["account"]) for row in history] == [(i, a) for i in IMAGES for a in (A, B)]
    assert {(row["what"], row["channel"], row["why"]) for row in history} == {
        ("gained", "directory", "a resource share reaches it")
    }


def test_who_joins_and_leaves_without_a_call_of_ours_is_told(shell: Make) -> None:
    """A share follows the organization by itself: the next run sees who came and who went, and writes it down."""
    run = through_shares(shell)
    before = len(rows(run))
    run.trial.move(E, "fd-eu")
    run("apply", "--yes")
    joined = run("history", "--json").json["history"][before:]
    assert {(row["what"], row["account"], row["channel"]) for row in joined} == {("gained", E, "directory")}
    assert len(joined) == len(IMAGES)
    run.trial.cloud.advance(LATER)
    run.trial.move(A, "root")
    run("apply", "--yes")
    left = run("history", "--json").json["history"][before + len(IMAGES) :]
    assert {(row["what"], row["account"], row["why"]) for row in left} == {("lost", A, "not there any more")}
    assert len(left) == len(IMAGES)


def test_a_change_of_channel_is_no_loss(shell: Make) -> None:
    """From direct grants to the directory nobody gains or loses anything, so no row is added."""
    run = shell()
    run("apply", "--yes")
    run.trial.write_policy(policy(rules=[rule(channel="auto")]))
    for _ in range(4):
        run("apply", "--yes")
        run.trial.cloud.advance(LATER)
    assert rows(run) == seen(NOON, "gained", A, B)


def test_a_run_that_died_before_its_generation_is_told_once(shell: Make) -> None:
    """History comes first: what is written once more by the next run is one row for whoever asks."""
    run = shell()
    run.trial.revoke_by_hand("m-gold")
    shard, state = Shard("ecs", OWNER, REGION), run.trial.state()
    run("apply", "--yes")
    after = state.read(shard)
    # What a run that saw the same and died before its last generation left behind.
    write_history(
        state.store, shard, after.number + 1, type(after.ledger)(), after.ledger, run="died", now=run.trial.now()
    )
    assert rows(run) == seen(NOON, "gained", A, B)


def test_history_outlives_the_generations(run: Shell) -> None:
    """Generations are pruned after a week, the rows of the first day are still told."""
    before = rows(run)
    run.trial.cloud.advance(8 * 24 * 3600)
    for number in range(3 * KEPT_GENERATIONS):
        run.trial.write_policy(policy(rules=[rule(folders=["fd-eu", "fd-test"], accounts=[E] if number % 2 else [A])]))
        run("apply", "--yes")
    generations = [name for name in run.state() if name.startswith("shards/")]
    history = [name for name in run.state() if name.startswith("history/")]
    assert len(generations) < len(history) * 3
    assert rows(run)[: len(before)] == before


def test_history_needs_no_cloud(run: Shell) -> None:
    """The state has it all: no credentials, no call."""
    calls = dict(run.trial.cloud.calls)
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ORGSHARE_LOCAL_CLOUD"):
        del run.environment[name]
    assert len(rows(run)) == 15
    assert run.trial.cloud.calls == calls


def reports(run: Shell) -> list[dict[str, Any]]:
    """The reports in the state, the newest first."""
    state = run.state()
    return [json.loads(state[name]) for name in sorted(state) if name.startswith("runs/")]


def test_a_run_leaves_a_report(run: Shell) -> None:
    """What it saw, did, held and failed, by which policy, with which calls, and who started it."""
    run.environment["LOGNAME"] = "ann"
    run.trial.cloud.advance(60)
    run.trial.write_policy(policy(rules=[rule(folders=["fd-eu"], accounts=[E]), rule("none", {"ids": ["m-none"]})]))
    fault = {"operation": "ecs:ModifyImageSharePermission", "kind": "throttle", "every": 1}
    run.trial.patch(faults=[fault])
    said = run("apply", "--yes", "--json")
    assert said.status == 1
    newest, before, first = reports(run)
    assert newest["saw"] == {
        "members": 6, "folders": newest["saw"]["folders"], "images": {f"ecs/{OWNER}/{REGION}": 3},
        "shares": {f"ecs/{OWNER}/{REGION}": 0},
    }  # fmt: skip
    assert newest["started_by"] == ["orgshare apply by ann"]
    assert (newest["began"], newest["ended"]) == ("2026-11-21T13:01:00Z", "2026-11-21T13:01:00Z")
    for key in ("policy", "changes", "done", "failed", "held", "refused", "findings", "pending", "summary", "calls"):
        assert newest[key] == said.json[key]
    assert len(newest["failed"]) == 6
    assert newest["policy"].startswith("sha256:")
    assert newest["policy"] != before["policy"]
    assert newest["calls"]["ecs:DescribeImages"] >= 1
    assert (before["began"], first["began"]) == (ONE, NOON)
    assert sum(change["gained"] for change in first["done"]) == 6


def test_what_was_held_is_in_the_report(run: Shell) -> None:
    """A hold is in it with its pairs counted."""
    run.trial.cloud.advance(60)
    run.trial.write_policy(policy(rules=[rule(accounts=[E])]))
    run("apply", "--yes")
    assert sum(hold["lost_pairs"] for hold in reports(run)[0]["held"]) == 9


def test_in_mode_observe_no_report_is_left(shell: Make) -> None:
    """There the state is left alone."""
    run = shell(policy=policy(mode="observe"))
    before = run.state()
    assert run("apply", "--yes").status == 3
    assert run.state() == before


def test_plan_leaves_no_report(run: Shell) -> None:
    """A plan writes nothing to the state."""
    before = run.state()
    run("plan")
    run("status")
    assert run.state() == before


def test_reports_are_kept_for_a_week_and_the_newest_always(shell: Make) -> None:
    """The newest twenty stay whatever their age, and older ones while they are young."""
    run = shell()
    for _ in range(KEPT_GENERATIONS + 5):
        run("apply", "--yes")
        run.trial.cloud.advance(60)
    assert len(reports(run)) == KEPT_GENERATIONS + 5
    run.trial.cloud.advance(8 * 24 * 3600)
    run("apply", "--yes")
    ended = [report["ended"] for report in reports(run)]
    assert len(ended) == KEPT_GENERATIONS
    assert ended == sorted(ended, reverse=True)
    assert ended[0].startswith("2026-11-29")


def test_a_report_that_cannot_be_kept_fails_nothing(shell: Make) -> None:
    """What was done is done: a folder of reports that cannot be written to is a warning."""
    run = shell()
    (run.trial.folder / "state" / "runs").write_text("no folder")
    assert run("apply", "--yes").status == 0
    assert run.trial.access() == {image: {A, B} for image in IMAGES}
