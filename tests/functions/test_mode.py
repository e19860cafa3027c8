"""ORGSHARE_MODE makes a run more careful than its policy, and never less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import RealClock
from localcloud.inprocess import in_process
from orgshare import handling
from orgshare.errors import ConfigurationError
from orgshare.policy.loading import load
from orgshare.policy.model import MODES, Mode
from tests.support.trial import A, B, Trial, policy, rule

TICK = b'{"triggerTime": "2026-11-21T12:00:00Z", "triggerName": "sweep", "payload": ""}'
WANTED = {"m-gold": {A, B}, "m-silver": {A, B}, "m-bronze": {A, B}}
NOBODY: dict[str, set[str]] = {image: set() for image in WANTED}


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode) -> Trial:
    trial = Trial(tmp_path, policy=policy(mode=mode), clock=RealClock())
    trial.begin()
    for name, value in {
        "ORGSHARE_POLICY": str(tmp_path / "policy.yaml"),
        "ORGSHARE_LOCAL_CLOUD": "http://127.0.0.1:9",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LOCALIMAGES",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local",
    }.items():
        monkeypatch.setenv(name, value)
    return trial


@pytest.fixture
def enforcing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """Three images, a policy that enforces, and the settings of a function."""
    trial = made(tmp_path, monkeypatch, "enforce")
    with in_process(trial.cloud, sleep=lambda _: None):
        yield trial


def swept() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(handling.reconcile(TICK, None))
    return report


def test_a_function_that_observes_shows_everything_and_changes_nothing(
    enforcing: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the policy of three images is; taken away, the policy alone says it."""
    monkeypatch.setenv("ORGSHARE_MODE", "observe")
    report = swept()
    assert report["mode"] == "observe"
    assert report["changes"]
    assert report["done"] == []
    assert enforcing.access() == NOBODY
    monkeypatch.delenv("ORGSHARE_MODE")
    swept()
    assert enforcing.access() == WANTED


def test_a_function_that_adds_takes_nothing_away(enforcing: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who left the folder keeps three images until the setting is less careful."""
    monkeypatch.setenv("ORGSHARE_MODE", "add")
    swept()
    assert enforcing.access() == WANTED
    enforcing.move(A, "fd-test")
    swept()
    assert enforcing.access() == WANTED
    monkeypatch.setenv("ORGSHARE_MODE", "enforce")
    swept()
    assert enforcing.access() == {image: {B} for image in WANTED}


def test_no_setting_makes_a_careful_policy_less_careful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that observes is not enforced by an environment."""
    trial = made(tmp_path, monkeypatch, "observe")
    monkeypatch.setenv("ORGSHARE_MODE", "enforce")
    with in_process(trial.cloud, sleep=lambda _: None):
        assert swept()["done"] == []
    assert trial.access() == NOBODY


def test_a_mode_that_does_not_exist_is_an_error_that_names_the_modes(
    enforcing: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typo must not enforce."""
    monkeypatch.setenv("ORGSHARE_MODE", "observ")
    with pytest.raises(ConfigurationError, match="ORGSHARE_MODE=observ: expected one of observe, add, enforce"):
        swept()
    assert enforcing.access() == NOBODY


@pytest.mark.parametrize("setting", MODES)
@pytest.mark.parametrize("written", MODES)
def test_the_more_careful_of_policy_and_setting_wins_for_every_rule(
    tmp_path: Path, written: Mode, setting: Mode
) -> None:
    """And a rule that is more careful than both stays so."""
    rules = [rule("r", folders=["fd-prod"]), {**rule("s", folders=["fd-prod"]), "mode": "observe"}]
    Trial(tmp_path, policy=policy(mode=written, rules=rules))
    capped = load(tmp_path / "policy.yaml").at_most(setting)
    expected = min(written, setting, key=MODES.index)
    assert capped.mode == expected
    assert {r.name: r.mode for r in capped.rules} == {"r": expected, "s": "observe"}
