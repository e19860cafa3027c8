"""What a run needs from outside, passed in: the cloud, the state, time and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime

from msgspec import Struct

from orgshare.decide.plan import Finding
from orgshare.errors import StopRun, VendorError
from orgshare.policy.model import Policy
from orgshare.ports import Cloud, Notices
from orgshare.record.lease import Clocks
from orgshare.record.state import State


class Runtime(Struct, frozen=True, kw_only=True):
    """One run's surroundings. ``run`` names it in the state and in the user agent.

    ``lease`` is in seconds. ``monotonic`` are seconds that only go forward, whatever happens to the time of day, and
    ``sleep`` lets some of them pass. ``notices`` is where a person is told, if anywhere.
    """

    policy: Policy
    cloud: Cloud
    state: State
    executor: Executor
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    run: str
    lease: float
    notices: Notices | None = None

    def clocks(self) -> Clocks:
        """Both clocks, for a lease."""
        return Clocks(self.now, self.monotonic)

    def lacking(self) -> tuple[Finding, ...]:
        """What a person has to allow before everything can be read and done: some readings go on without it."""
        return tuple(Finding("not-permitted", "", "", remedy) for remedy in self.cloud.lacking())


@contextmanager
def asking_the_state() -> Iterator[None]:
    """Without an answer of the state there is no run: ``StopRun``."""
    try:
        yield
    except VendorError as error:
        raise StopRun(f"the state does not answer: {error}") from error
