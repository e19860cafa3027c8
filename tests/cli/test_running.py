"""What all commands share: the line that names the cloud, exit statuses of errors, what may have been written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from orgshare.alibaba.cloud import Credentials
from orgshare.cli import statuses
from orgshare.cli.running import _writes, error_text, which_cloud
from orgshare.errors import (
    Busy,
    ConfigurationError,
    CredentialsRefused,
    IncompleteRead,
    NoAnswer,
    NobodyAnswers,
    Refused,
    StopRun,
)
from orgshare.settings import Settings


@pytest.mark.parametrize(
    ("local", "cloud"), [(None, "REAL CLOUD"), ("http://127.0.0.1:9", "LOCAL CLOUD http://127.0.0.1:9")]
)
def test_the_first_line_says_which_cloud_it_is(local: str | None, cloud: str) -> None:
    """Nobody mistakes a trial for the real thing, or the other way round."""
    made = SimpleNamespace(
        state=SimpleNamespace(beginning=SimpleNamespace(directory="rd-1")),
        policy=SimpleNamespace(deployment="golden", mode="add"),
        cloud=SimpleNamespace(caller=lambda: "acs:ram::1000000000000002:user/ann"),
    )
    line = which_cloud(cast("Any", made), Settings("policy.yaml", local, Credentials("key", "secret")))
    assert line.plain == (
        f"{cloud}, directory rd-1, deployment golden, mode add, credentials of acs:ram::1000000000000002:user/ann"
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("c"), 2),
        (NobodyAnswers("n"), 2),
        (CredentialsRefused("c"), 2),
        (StopRun("s"), 1),
        (IncompleteRead("i"), 1),
        (Refused("r"), 1),
        (NoAnswer("n"), 1),
        (Busy("b"), 1),
        (KeyError("k"), 1),
    ],
)
def test_errors_end_with_2_only_where_nothing_was_done(error: Exception, status: int) -> None:
    """Configuration, credentials and silence end with 2, everything else with 1."""
    assert statuses.of_error(error) == status


@pytest.mark.parametrize(
    ("operation", "writes"),
    [
        ("ecs:ModifyImageSharePermission", True),
        ("ecs:DescribeImages", False),
        ("resourcemanager:ListAccounts", False),
        ("resourcemanager:GetAccount", False),
        ("sts:AssumeRole", False),
        ("something:New", True),
    ],
)
def test_whatever_is_not_clearly_a_reading_may_have_written(operation: str, writes: bool) -> None:
    """An operation that nobody knows counts as one that changes something."""
    assert _writes(operation) == writes


def test_errors_that_somebody_foresaw_speak_for_themselves() -> None:
    """The program's own errors are shown as they are, others with their kind."""
    assert error_text(ConfigurationError("mend the policy")) == "mend the policy"
    assert error_text(KeyError("x")).startswith("KeyError: 'x' (not foreseen")


@pytest.mark.parametrize(
    ("report", "strict", "status"),
    [
        ({}, False, 0),
        ({"refused": [1]}, False, 0),
        ({"refused": [1]}, True, 1),
        ({"held": [1]}, False, 3),
        ({"pending": [1]}, False, 3),
        ({"findings": [{"kind": "busy"}]}, False, 3),
        ({"findings": [{"kind": "unmanaged"}]}, False, 0),
        ({"findings": [{"kind": "cannot-revoke"}], "held": [1]}, False, 1),
        ({"failed": [1], "held": [1]}, False, 1),
        ({"incomplete": [1], "held": [1]}, False, 1),
        ({"changes": [1]}, False, 0),
        ({"changes": [1], "mode": "observe"}, False, 3),
    ],
)
def test_the_first_status_that_fits_counts(report: dict[str, Any], strict: bool, status: int) -> None:
    """A failure outweighs what is held, and what is done leaves nothing due."""
    lists: dict[str, Any] = {
        key: [] for key in ("changes", "held", "refused", "findings", "pending", "incomplete", "failed")
    }
    assert statuses.of_apply({**lists, "mode": "enforce", **report}, strict=strict) == status
