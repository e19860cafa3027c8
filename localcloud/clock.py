"""The clock that rules the cloud: real time, or a manual one that tests and stories move by hand.

Everything asynchronous (copies, delays, tokens, flow control) reads this clock, so nothing has to sleep. The
timestamps of signatures are the exception: clients stamp with real time, so they are checked against real time.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970, UTC."""

    def now(self) -> float:
        """The time now."""


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        """The time now."""
        return time.time()


class ManualClock:
    """A clock that stands still until `advance` is called."""

    def __init__(self, start: float) -> None:
        self._now = start

    def now(self) -> float:
        """The time it was set to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward; time never goes back."""
        self.advance_to(self._now + seconds)

    def advance_to(self, moment: float) -> None:
        """Move forward to a moment."""
        if not moment >= self._now:
            raise ValueError("a clock moves forward only")
        self._now = moment


def iso_seconds(moment: float) -> str:
    """`2026-11-21T20:15:00Z`, the form of most ECS times."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_millis(moment: float) -> str:
    """`2026-11-21T20:15:00.123Z`, the form of the directory's times."""
    stamp = datetime.fromtimestamp(moment, timezone.utc)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"


def parse_iso(text: str) -> float:
    """Seconds of a UTC time with or without seconds or milliseconds; ValueError if it is none."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    raise ValueError(f"no UTC time: {text!r}")
