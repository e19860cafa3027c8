"""Patterns of EventBridge and schedules of timers."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.events import matches, wrong_in_pattern, wrong_in_schedule

EVENT = {"source": "acs.ecs", "type": "ecs:ActionTrail:ApiCall", "data": {"eventName": "CopyImage", "errorCode": ""}}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"source": ["acs.ecs"]}, True),
        ({"source": ["acs.oss", "acs.ecs"]}, True),
        ({"source": ["acs.oss"]}, False),
        ({"source": ["acs.ecs"], "type": ["other"]}, False),
        ({"type": [{"suffix": ":ApiCall"}]}, True),
        ({"type": [{"prefix": ":ApiCall"}]}, False),
        ({"type": [{"contains": "Trail"}]}, True),
        ({"data": {"eventName": [{"suffix": "Image"}]}}, True),
        ({"data": {"eventName": ["CreateImage"]}}, False),
        ({"data": {"errorCode": [{"exists": False}]}}, False),
        ({"data": {"other": [{"exists": False}]}}, True),
        ({"data": {"eventName": [{"anything-but": ["DeleteImage"]}]}}, True),
        ({"data": {"eventName": [{"anything-but": "CopyImage"}]}}, False),
        ({"subject": ["x"]}, False),
        ({"source": {"deeper": ["x"]}}, False),
    ],
)
def test_an_event_matches_a_pattern_if_every_key_does_by_one_of_its_expressions(
    pattern: dict[str, Any], expected: bool
) -> None:
    """Keys are joined by and, expressions by or."""
    assert list(wrong_in_pattern(pattern)) == []
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("text", "the pattern is no JSON object"),
        ({"source": "acs.ecs"}, "source is no list of expressions"),
        ({"data": {"eventName": []}}, "data.eventName is no list of expressions"),
        ({"source": ["a", "b", "c", "d", "e", "f"]}, "source has 6 expressions, and 5 are allowed"),
        (
            {"source": [{"sufix": "x"}]},
            "source has sufix, and known are prefix, suffix, contains, anything-but, exists",
        ),
    ],
)
def test_a_pattern_of_the_wrong_form_is_named(pattern: Any, wrong: str) -> None:
    """With the key that is wrong."""
    assert list(wrong_in_pattern(pattern)) == [wrong]


@pytest.mark.parametrize(
    "schedule",
    [
        "@every 5m", "@every 1h", "0 17 * * * *", "0 0 4 1 * *", "0 0/15 * * * *", "0 0 8-18 ? * MON-FRI",
        "0 0 4 * JAN,JUL *", "CRON_TZ=Asia/Shanghai 0 0 4 1 * *",
    ],
)  # fmt: skip
def test_a_schedule_that_the_service_documents_is_in_order(schedule: str) -> None:
    """Six fields, or every so often."""
    assert wrong_in_schedule(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ("@every 0m", "is not @every, a number"),
        ("@hourly", "is not @every, a number"),
        ("0 * * * *", "has 5 fields, and six are needed"),
        ("60 * * * * *", "60 is no seconds"),
        ("0 0 24 * * *", "24 is no hours"),
        ("0 0 0 0 * *", "0 is no day of month"),
        ("0 0 0 1 13 *", "13 is no month"),
        ("0 0 0 * * FRY", "FRY is no day of week"),
        ("0 30-10 * * * *", "30-10 is no minutes"),
        ("0 */0 * * * *", "*/0 is no minutes"),
        ("0 1-2-3 * * * *", "1-2-3 is no minutes"),
    ],
)
def test_a_schedule_that_would_never_come_is_named(schedule: str, wrong: str) -> None:
    """With the field that is wrong."""
    assert wrong in wrong_in_schedule(schedule)
