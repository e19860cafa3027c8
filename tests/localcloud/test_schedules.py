"""When timers fire, and which events a pattern lets pass."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.events.patterns import read_pattern
from localcloud.fc.schedule import read_schedule

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc).timestamp()


def fires(expression: str, count: int = 3, *, since: float = NOW) -> list[str]:
    """The next times, in UTC."""
    schedule, found = read_schedule(expression), []
    for _ in range(count):
        moment = schedule.after(since, NOW)
        if moment is None:
            break
        since = moment
        found.append(datetime.fromtimestamp(moment, timezone.utc).strftime("%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("@every 5m", ["11-21 12:05:00", "11-21 12:10:00", "11-21 12:15:00"]),
        ("@every 1h30m", ["11-21 13:30:00", "11-21 15:00:00", "11-21 16:30:00"]),
        ("0 0 4 * * *", ["11-22 04:00:00", "11-23 04:00:00", "11-24 04:00:00"]),
        ("0 0/20 * * * *", ["11-21 12:20:00", "11-21 12:40:00", "11-21 13:00:00"]),
        ("30 0 * * * *", ["11-21 12:00:30", "11-21 13:00:30", "11-21 14:00:30"]),
        ("0 0 8,20 1 * *", ["12-01 08:00:00", "12-01 20:00:00", "01-01 08:00:00"]),
        ("0 0 0 ? * MON-TUE", ["11-23 00:00:00", "11-24 00:00:00", "11-30 00:00:00"]),
        ("0 0 0 1 * SUN", ["11-22 00:00:00", "11-29 00:00:00", "12-01 00:00:00"]),
        ("0 0 0 * DEC *", ["12-01 00:00:00", "12-02 00:00:00", "12-03 00:00:00"]),
        ("CRON_TZ=Asia/Shanghai 0 0 4 * * *", ["11-21 20:00:00", "11-22 20:00:00", "11-23 20:00:00"]),
        ("0 0 0 30 2 *", []),
    ],
)
def test_a_schedule_fires_when_it_says(expression: str, expected: list[str]) -> None:
    """Six fields or a pause, in UTC or in a zone of its own; a day that never comes never fires."""
    assert fires(expression) == expected


def test_an_hour_that_does_not_exist_is_left_out() -> None:
    """Where clocks go forward at two, half past two comes again on the next day."""
    before = datetime(2026, 3, 28, 12, tzinfo=timezone.utc).timestamp()
    assert fires("CRON_TZ=Europe/Berlin 0 30 2 * * *", 1, since=before) == ["03-30 00:30:00"]


NO_SCHEDULES = (
    "",
    "@every",
    "@every 0m",
    "@every 5 m",
    "@hourly",
    "* * * * *",
    "60 * * * * *",
    "0 0 0 0 * *",
    "0 0 0 5-1 * *",
    "0 x * * * *",
    "0 0/0 * * * *",
    "0 1-2-3 * * * *",
    "0 0 24 * * *",
    "0 0 0 1 13 *",
    "0 0 0 * * FRY",
    "CRON_TZ=Nowhere/Town 0 0 4 * * *",
    "0 0 4 * * * *",
)


@pytest.mark.parametrize("expression", NO_SCHEDULES)
def test_a_schedule_that_is_none_is_refused(expression: str) -> None:
    """With a message, and before anything runs."""
    with pytest.raises(ValueError, match=r".+"):
        read_schedule(expression)


@given(st.floats(0, 4e9), st.sampled_from(["@every 7m", "0 0/7 * * * *", "5 3 1-4 * * MON", "0 0 0 29 2 *"]))
def test_the_next_time_is_always_later_and_nothing_lies_between(moment: float, expression: str) -> None:
    """The next time after a moment is also the next after any moment between the two."""
    schedule = read_schedule(expression)
    found = schedule.after(moment, 0.0)
    assert found is not None
    assert found > moment
    assert schedule.after((moment + found) / 2, 0.0) == found


EVENT = {
    "source": "acs.ecs",
    "type": "ecs:ActionTrail:ApiCall",
    "data": {
        "eventName": "CopyImage",
        "count": 5,
        "errorCode": "",
        "address": "10.0.0.9",
        "nested": {"deep": True},
        "gone": None,
    },
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"source": ["acs.ecs"]}, True),
        ({"source": ["acs.oss", "acs.ecs"]}, True),
        ({"source": ["ACS.ECS"]}, False),
        ({"source": ["acs.ecs"], "type": ["other"]}, False),
        ({"data": {"eventName": ["CopyImage", "CreateImage"]}}, True),
        ({"data": {"nested": {"deep": [True]}}}, True),
        ({"data": {"count": [5]}}, True),
        ({"data": {"count": ["5"]}}, False),
        ({"data": {"nested": {"deep": [1]}}}, False),
        ({"data": {"gone": [None]}}, True),
        ({"data": {"missing": [None]}}, False),
        ({"data": {"errorCode": [{"exists": True}]}}, True),
        ({"data": {"nested": ["deep"]}}, False),
        ({"missing": {"field": ["x"]}}, False),
        ({"type": [{"prefix": "ecs:"}]}, True),
        ({"type": [{"suffix": ":ApiCall"}]}, True),
        ({"type": [{"contains": "ActionTrail"}]}, True),
        ({"type": [{"prefix": "ApiCall"}]}, False),
        ({"data": {"eventName": [{"anything-but": "CopyImage"}]}}, False),
        ({"data": {"eventName": [{"anything-but": ["CreateImage", "DeleteImage"]}]}}, True),
        ({"data": {"eventName": [{"anything-but": {"prefix": "Copy"}}]}}, False),
        ({"data": {"other": [{"anything-but": "x"}]}}, False),
        ({"data": {"count": [{"numeric": [">", 4, "<=", 5]}]}}, True),
        ({"data": {"count": [{"numeric": ["<", 5]}]}}, False),
        ({"data": {"eventName": [{"numeric": [">", 0]}]}}, False),
        ({"data": {"errorCode": [{"exists": False}]}}, False),
        ({"data": {"errorCode": [""]}}, True),
        ({"data": {"missing": [{"exists": False}]}}, True),
        ({"data": {"address": [{"cidr": "10.0.0.0/24"}]}}, True),
        ({"data": {"address": [{"cidr": "10.0.1.0/24"}]}}, False),
        ({"data": {"eventName": [{"cidr": "10.0.0.0/24"}]}}, False),
    ],
)
def test_a_pattern_lets_pass_what_the_page_says(pattern: dict[str, Any], expected: bool) -> None:
    """Keys are joined by AND, alternatives by OR, and matching is exact to the letter and the type."""
    assert read_pattern(pattern).matches(EVENT) is expected


NO_PATTERNS: tuple[Any, ...] = (
    [],
    {"a": "b"},
    {"a": []},
    {"a": list("abcdef")},
    {"a": [{"starts": "b"}]},
    {"a": [{"prefix": 1}]},
    {"a": [{"numeric": [">"]}]},
    {"a": [{"numeric": ["~", 1]}]},
    {"a": [{"anything-but": {"suffix": "b"}}]},
    {"a": [{"cidr": "nowhere"}]},
    {"a": [{}]},
    {"a": [{"exists": "yes"}]},
)


@pytest.mark.parametrize("pattern", NO_PATTERNS)
def test_a_pattern_that_is_none_is_refused(pattern: Any) -> None:
    """A misspelt operator does not quietly match nothing."""
    with pytest.raises(ValueError, match=r".+"):
        read_pattern(pattern)
