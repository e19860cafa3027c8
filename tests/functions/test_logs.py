"""What a function leaves in the log: JSON lines with what became of each change, and one line for the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.inprocess import in_process
from orgshare.handling import Site, Unfinished, respond
from orgshare.way.runtime import Runtime
from tests.support.channels import LATER
from tests.support.trial import OWNER, REGION, Trial, policy, rule

SWEEP = b'{"triggerTime": "2026-11-21T12:00:00Z", "triggerName": "sweep", "payload": ""}'
HERE = f"ecs/{OWNER}/{REGION}"
Lines = Callable[[Trial], list[dict[str, Any]]]


@pytest.fixture
def swept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[Trial, Lines]]:
    """A trial, and a sweep of it that returns the lines of its log."""
    trial = Trial(tmp_path, policy=policy())

    def sweep(of: Trial) -> list[dict[str, Any]]:
        capsys.readouterr()

        def opened() -> AbstractContextManager[Runtime]:
            return nullcontext(of.runtime())

        with suppress(Unfinished):
            respond("worker", SWEEP, SimpleNamespace(request_id="1-65f0"), site=Site(opened))
        captured = capsys.readouterr()
        assert captured.out == ""
        lines = [json.loads(line) for line in captured.err.splitlines()]
        for line in lines:
            assert (line["function"], line["request_id"]) == ("worker", "1-65f0")
            assert line["timestamp"]
            assert line["event"] in ("signal", "change", "report")
            assert line["run"] == f"r{of.runs}"
        return lines

    with in_process(trial.cloud, sleep=lambda _: None):
        yield trial, sweep


def changes(lines: list[dict[str, Any]], outcome: str) -> list[dict[str, Any]]:
    """The lines about changes with this outcome; each says where, what and how."""
    found = [line for line in lines if line["event"] == "change" and line["outcome"] == outcome]
    assert all(line["shard"] == HERE and (line["image"] or line["share"]) and line["action"] for line in found)
    return found


def report(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The one line of the run."""
    (line,) = [line for line in lines if line["event"] == "report"]
    return line


def test_what_was_done_is_a_line_each(swept: tuple[Trial, Lines]) -> None:
    """With image, action and number of accounts; the run's line counts them. A run with nothing to do is one line."""
    trial, sweep = swept
    lines = sweep(trial)
    assert [(line["image"], line["action"], line["accounts"], line["gained"]) for line in changes(lines, "done")] == [
        (image, "grant", 2, 2) for image in ("m-bronze", "m-gold", "m-silver")
    ]
    summary = report(lines)
    assert (summary["outcome"], summary["mode"], summary["done"], summary["seconds"]) == ("done", "enforce", 3, 0.0)
    assert summary["summary"]["gained"] == 6
    assert summary["calls"]["ecs:ModifyImageSharePermission"] == 3
    assert [line["event"] for line in sweep(trial)] == ["signal", "report"]


def test_a_share_is_a_line_with_its_images(swept: tuple[Trial, Lines]) -> None:
    """What concerns a resource share names it."""
    trial, sweep = swept
    trial.write_policy(policy(rules=[rule(channel="auto")]))
    done = changes(sweep(trial), "done")
    (associated,) = [line for line in done if line["action"] == "associate"]
    assert associated["image"] == "m-bronze, m-gold, m-silver"
    assert associated["targets"] == 2
    assert associated["share"]
    trial.cloud.advance(LATER)


def test_what_failed_is_a_warning_with_the_vendors_words(swept: tuple[Trial, Lines]) -> None:
    """Code and request id of the vendor, beside the function's own."""
    trial, sweep = swept
    trial.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "error", "every": 1}])
    lines = sweep(trial)
    failed = changes(lines, "failed")
    assert [line["image"] for line in failed] == ["m-bronze", "m-gold", "m-silver"]
    assert {(line["level"], line["code"]) for line in failed} == {("warning", "InternalError")}
    assert all(line["vendor_request_id"] and line["why"] for line in failed)
    assert (report(lines)["outcome"], report(lines)["failed"]) == ("failed", 3)


def test_what_is_refused_and_what_is_held(swept: tuple[Trial, Lines]) -> None:
    """Why, and by which hold; neither is a warning."""
    trial, sweep = swept
    sweep(trial)
    trial.patch(images={"m-gold": {"status": "Deprecated"}})
    trial.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    lines = sweep(trial)
    assert [(line["image"], line["reason"], line["level"]) for line in changes(lines, "refused")] == [
        ("m-gold", "deprecated", "info")
    ]
    (hold,) = trial.state().guard().holds
    held = changes(lines, "held")
    assert [(line["image"], line["action"], line["lost"], line["hold"]) for line in held] == [
        (image, "revoke", 2, hold.id) for image in ("m-bronze", "m-gold", "m-silver")
    ]
    assert report(lines)["outcome"] == "held"


def test_what_was_not_read_shows_in_the_line_of_the_run(swept: tuple[Trial, Lines]) -> None:
    """It is not done, and says so."""
    trial, sweep = swept
    trial.patch(faults=[{"operation": "ecs:DescribeImages", "kind": "error", "code": "Forbidden.RAM", "status": 403,
                         "every": 1}])  # fmt: skip
    assert (report(lines := sweep(trial))["outcome"], report(lines)["incomplete"]) == ("incomplete", 1)
