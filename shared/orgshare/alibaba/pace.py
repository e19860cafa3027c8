"""When the next call of one operation, in one account and region, may be made: flow control that nobody published.

The cloud lets so many calls through in each fixed window (`200/60(s)`, `5/1(s)`) and refuses the rest of the window:
who is throttled in minute T is served again from minute T+1. Limits are for an account, an API and a region, and are
counted over everything that uses the account (https://www.alibabacloud.com/help/doc-detail/437902.htm); what they are
can be looked up by a person, for some operations
(https://alibabacloud.com/help/en/openapi/throttling-and-quota-management). So a pace learns from answers and time:

- **free**: nothing is known. Calls go out at once, but at first only three are under way together, more as answers
  come. So a limit, however small, is overrun by few calls, and work that meets no limit is not slowed.
- **stopped**: a call was throttled, so all calls wait, and one at a time asks whether a new window has begun. Its first
  success lies just behind the boundary of a window.
- **spread**: between two boundaries a window was used up, so the calls that passed are the limit, or our part of it
  where others use it too. From then on calls are spread evenly at just under that rate, each in a place of its own,
  so it does not matter where windows begin. After quiet windows a few more calls are tried, and more each time that
  succeeds; a throttled call means that a window was used up again, which says what the limit is now.

What can go wrong: a rate that is too high would be throttled in every window, and one that is too low would never be
found out. So rates are reckoned with the longest time that a window can have had, and grow only by what was tried.
Processes that share a limit do not know of each other: each takes what passed as its part, and chance keeps their
questions apart.

Times are seconds of a clock that never goes back; nothing here waits or reads a clock.
"""

from __future__ import annotations

import threading
from collections import deque
from random import Random
from typing import Literal

Outcome = Literal["passed", "throttled", "unknown"]
"""``unknown`` tells nothing about flow control: no answer, a fault of the server, or a call that was not made."""

AT_FIRST = 3
"""Calls under way at once while nothing is known: with those that passed, at most twice any limit of five or more."""

PASSED_FOR_ONE_MORE = 4
"""While nothing is known, a quarter of the calls that passed may be under way."""

UNDER = 0.97
"""The part of a limit that is used once it is known."""

FIRST_QUESTION, LONGEST_QUESTION = 0.5, 15.0
"""Seconds between questions whether a new window has begun: doubling up to 3, later a tenth of the time stopped."""

KNOWN_WINDOWS = (60.0, 1.0)
"""Seconds: the windows that the vendor's pages show. Used where what was measured leaves no room for another."""

LEAST_PERIOD = 5.0
"""Seconds that a rate is used before it is raised, if windows are shorter."""

FIRST_RAISE, LARGEST_RAISE = 0.02, 0.5
"""The first raise after a throttled call, and the largest, as parts of the rate; each is twice the one before."""

RAISES_IF_UNSURE = 3
"""Where a window could be measured only roughly, its rate may be far too low: raises begin with the fourth."""

QUIET_WINDOWS, MOST_QUIET_WINDOWS = 2, 8
"""Windows without a throttled call before the first raise; more after raises that failed."""

STALE = 180.0
"""Seconds without a throttled call after which a first boundary is no use for measuring."""

FORGOTTEN = 900.0
"""Seconds without a call after which nothing is known any more."""

LONGEST_WINDOW = 600.0
"""Seconds: flow control that lets nothing through for longer is taken for an outage, which says nothing of limits."""

MANY = 12
"""Throttled answers in a row from which time without a passed call counts."""

LOST = 30.0
"""Seconds after which a call that was not told of is not waited for: longer than any timeout of a connection."""

LONGEST_WAIT = 10.0
"""Seconds of one wait, so that who waits can look at other things in between."""


class Turn:
    """One attempt of one call: made by the caller, kept by the pace."""

    __slots__ = ("place", "round")

    def __init__(self) -> None:
        self.place: float | None = None
        self.round = -1


class _Boundary:
    """A boundary of windows: after ``after``, when a call was throttled, and not after ``by``, when one passed."""

    __slots__ = ("after", "by")

    def __init__(self, after: float, by: float) -> None:
        self.after = after
        self.by = by


class Pace:
    """The pace of one (operation, account, region), for any number of threads.

    For each attempt ``start`` is called with a new turn until it answers ``None``; then ``finish`` once, in any case.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._now = float("-inf")
        self._under_way: dict[Turn, float] = {}
        self._latency = 0.1
        self._forget()

    def _forget(self) -> None:
        self._round = 0
        self._passed = 0
        self._boundary: _Boundary | None = None
        self._shortest = 0.0
        self._stopped: float | None = None
        self._failed = 0.0
        self._asking: Turn | None = None
        self._ask_at = 0.0
        self._asked = 0
        self._dry: float | None = None
        self._refused = 0.0
        self._refusals = 0
        self._rate: float | None = None
        self._window = 0.0
        self._next = 0.0
        self._times: deque[float] = deque()
        self._since = 0.0
        self._raises = 0
        self._quiet = QUIET_WINDOWS

    def start(self, turn: Turn, now: float) -> float | None:
        """When to ask again; ``None`` if the call may be made now, and then it counts as under way."""
        with self._lock:
            now = self._at(now)
            if self._stopped is not None:
                wait = self._wait_stopped(turn, now)
            elif self._rate is not None:
                wait = self._wait_for_place(turn, now, self._rate)
            else:
                wait = self._wait_free(now)
            if wait > 1e-6:
                return now + min(wait, LONGEST_WAIT)
            turn.place, turn.round = None, self._round
            self._under_way[turn] = now
            return None

    def finish(self, turn: Turn, now: float, outcome: Outcome) -> None:
        """What became of the attempt: ``unknown`` also for one that was given up before it started."""
        with self._lock:
            now = self._at(now)
            asked = turn is self._asking
            if asked:
                self._asking = None
            started = self._under_way.pop(turn, None)
            if started is None:
                return
            if outcome == "throttled":
                self._throttled(started, now, turn.round, asked=asked)
            elif outcome == "passed":
                self._latency += (min(now - started, 1.0) - self._latency) / 4
                self._let_through(started, turn.round, asked=asked)
            elif asked:
                self._ask_later(now)

    def dry(self) -> float:
        """For how many seconds, up to the last of many answers, calls were throttled and not one passed."""
        with self._lock:
            return 0.0 if self._dry is None or self._refusals < MANY else self._refused - self._dry

    def _at(self, now: float) -> float:
        """The time, which threads may tell out of order; what is long past is forgotten."""
        self._under_way = {turn: began for turn, began in self._under_way.items() if now - began < LOST}
        if now - self._now > FORGOTTEN and not self._under_way:
            self._forget()
        self._now = max(self._now, now)
        return self._now

    # --- waiting

    def _wait_free(self, now: float) -> float:
        if len(self._under_way) < max(AT_FIRST, self._passed // PASSED_FOR_ONE_MORE):
            return 0.0
        return self._answer_due(now)

    def _answer_due(self, now: float) -> float:
        """Seconds until the oldest call under way is likely to be answered."""
        oldest = min(self._under_way.values(), default=now)
        return max(oldest + self._latency - now, 0.005)

    def _wait_stopped(self, turn: Turn, now: float) -> float:
        if self._asking is turn or self._asking is None or self._lost(self._asking, now):
            self._asking = turn
            return self._ask_at - now
        return max(self._ask_at - now, 0.0) + max(self._latency, 0.05)

    def _lost(self, turn: Turn, now: float) -> bool:
        """Whether who wanted to ask whether a new window has begun never came back."""
        return now - self._under_way.get(turn, self._ask_at) > LOST

    def _wait_for_place(self, turn: Turn, now: float, rate: float) -> float:
        if turn.place is None or turn.round != self._round:
            rate = self._raised(rate, now)
            turn.place, turn.round = max(now, self._next), self._round
            self._next = turn.place + 1 / rate
        return turn.place - now

    def _raised(self, rate: float, now: float) -> float:
        """The rate, a little higher if windows that were used as planned went by without a throttled call."""
        period = max(self._window, LEAST_PERIOD)
        windows = 1 if self._raises else self._quiet
        if now - self._since < windows * period:
            return rate
        self._drop_times(now - period)
        if len(self._times) < 0.9 * rate * period - 1:
            self._since = now - (windows - 1) * period
            return rate
        part = min(FIRST_RAISE * 2.0**self._raises, LARGEST_RAISE)
        self._raises += 1
        self._since = now
        self._rate = rate + max(part * rate, 1 / self._window)
        return self._rate

    # --- learning

    def _throttled(self, started: float, now: float, round_: int, *, asked: bool) -> None:
        if self._dry is None:
            self._dry = started
        self._refused = now
        self._refusals += 1
        if self._stopped is not None:
            self._failed = max(self._failed, started)
            if asked:
                self._ask_later(now)
        elif round_ == self._round:
            self._round += 1
            self._stopped = self._failed = started
            self._asked = 0
            self._ask_later(now)
            if self._rate is None and self._boundary is not None:
                self._ask_at = max(self._ask_at, self._boundary.after + self._shortest)

    def _ask_later(self, now: float) -> None:
        stopped = now - (now if self._stopped is None else self._stopped)
        longest = min(max(6 * FIRST_QUESTION, stopped / 10), LONGEST_QUESTION)
        self._ask_at = now + min(FIRST_QUESTION * 2.0**self._asked, longest) * self._random.uniform(0.9, 1.1)
        # Where the vendor's window fits, the second question is best asked where a boundary is due.
        if self._asked == 1 and self._rate is not None and self._boundary and self._window in KNOWN_WINDOWS:
            windows = (self._failed - self._latency - self._boundary.by) // self._window + 1
            self._ask_at = max(self._ask_at, self._boundary.after + windows * self._window)
        self._asked = min(self._asked + 1, 10)

    def _let_through(self, started: float, round_: int, *, asked: bool) -> None:
        self._dry, self._refusals = None, 0
        if self._rate is not None:
            self._times.append(started)
        if asked and self._stopped is not None:
            self._go_on(self._stopped, _Boundary(self._failed, started))
        elif round_ == self._round or self._stopped is not None:
            self._passed += 1

    def _go_on(self, stopped: float, boundary: _Boundary) -> None:
        """A window was used up from ``stopped`` on, and a new one has begun: reckon, and let calls go on."""
        refused = boundary.after - stopped
        if refused > LONGEST_WINDOW:
            self._rate = None
        elif self._rate is not None and refused <= 1.1 * self._window:
            self._relearn(self._rate, boundary)
        elif self._rate is None and self._boundary is not None and stopped - self._boundary.by < STALE:
            self._measure(self._boundary, boundary)
        else:
            self._rate = None
            self._shortest = refused
        self._boundary = boundary if refused <= LONGEST_WINDOW else None
        self._passed = 1
        self._stopped = None
        self._next = self._since = boundary.by

    def _measure(self, one: _Boundary, other: _Boundary) -> None:
        """What passed between two boundaries is what the windows between them allow."""
        shortest, longest = other.after - one.by, max(other.by - one.after, 0.1)
        fitting = (window for window in KNOWN_WINDOWS if shortest <= window <= longest < 2 * window)
        self._window = next(fitting, longest)
        self._rate = UNDER * self._passed / self._window
        self._times.clear()
        self._raises = 0 if longest < 1.25 * shortest or self._window in KNOWN_WINDOWS else RAISES_IF_UNSURE
        self._quiet = QUIET_WINDOWS

    def _relearn(self, rate: float, boundary: _Boundary) -> None:
        """What passed in the window that was just used up is the limit now; one window never says less than 0.4."""
        end = (boundary.after + boundary.by) / 2
        self._drop_times(end - self._window)
        passed = sum(time <= end for time in self._times)
        self._rate = min(rate, UNDER * max(passed / self._window, 0.4 * rate))
        changed = self._raises > 3 or self._rate < 0.85 * rate
        self._quiet = QUIET_WINDOWS if changed else min(2 * self._quiet, MOST_QUIET_WINDOWS)
        self._raises = 0

    def _drop_times(self, before: float) -> None:
        while self._times and self._times[0] <= before:
            self._times.popleft()
