"""Putting a run together from settings: policy, cloud, state, time and threads.

Both the functions and the command line start here, so a run is the same whoever started it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from random import Random

from orgshare.alibaba.cloud import AlibabaCloud
from orgshare.policy.loading import load
from orgshare.policy.model import Policy
from orgshare.record.state import State, begin, open_state
from orgshare.record.store import DirectoryStore
from orgshare.settings import Settings
from orgshare.way.runtime import Runtime

THREADS = 8
"""Calls under way at once. The SDKs keep connections for each thread, and the cloud's limits are for an account."""


def utc_now() -> datetime:
    """The time, to the second, as it goes into states and reports."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def new_run() -> str:
    """A name for a run: in the state, in the user agent, and in the name of assumed roles' sessions."""
    return uuid.uuid4().hex[:12]


def make_cloud(policy: Policy, settings: Settings, run: str) -> AlibabaCloud:
    """The cloud that the settings speak of, with real time and chance."""
    return AlibabaCloud(
        policy,
        settings.credentials,
        local_cloud=settings.local_cloud,
        run=run,
        now=utc_now,
        sleep=time.sleep,
        random=Random(),
    )


def begin_state(policy: Policy, directory: str) -> State:
    """Begin the state that the policy names, or open it if it was begun for the same deployment."""
    return begin(
        DirectoryStore(Path(policy.state)),
        deployment=policy.deployment,
        directory=directory,
        identity=uuid.uuid4().hex,
        now=utc_now(),
    )


@contextmanager
def runtime(settings: Settings, *, executor: Executor | None = None) -> Iterator[Runtime]:
    """A run's surroundings. Raises ``ConfigurationError`` for a policy or state that is not in order."""
    policy = load(settings.policy)
    state = open_state(DirectoryStore(Path(policy.state)), policy.deployment)
    run = new_run()
    cloud = make_cloud(policy, settings, run)
    if executor is not None:
        yield Runtime(policy, cloud, state, executor, utc_now, run)
        return
    with ThreadPoolExecutor(THREADS, thread_name_prefix="orgshare") as threads:
        yield Runtime(policy, cloud, state, threads, utc_now, run)
