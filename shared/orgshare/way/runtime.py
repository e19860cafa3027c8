"""What a run needs from outside, passed in: the cloud, the state, time and threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime

from msgspec import Struct

from orgshare.policy.model import Policy
from orgshare.ports import Cloud
from orgshare.record.state import State


class Runtime(Struct, frozen=True):
    """One run's surroundings. ``run`` names it in the state and in the user agent."""

    policy: Policy
    cloud: Cloud
    state: State
    executor: Executor
    now: Callable[[], datetime]
    run: str
