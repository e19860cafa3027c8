"""Putting a run together from settings: policy, cloud, state, time and threads.

Both the functions and the command line start here, so a run is the same whoever started it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from random import Random

from orgshare import __version__
from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import AlibabaCloud
from orgshare.alibaba.functions import worker_function
from orgshare.alibaba.messages import MessageTopic
from orgshare.alibaba.storage import ObjectStorage
from orgshare.errors import ConfigurationError, NoAnswer, NobodyAnswers, OutOfTime, StopRun, VendorError
from orgshare.policy.loading import EXPECTED, load, parse
from orgshare.policy.model import Policy
from orgshare.policy.yaml_places import MAX_BYTES
from orgshare.ports import Notices, ObjectStore, Workers
from orgshare.record.state import State, begin, open_state
from orgshare.record.store import DirectoryStore, try_store
from orgshare.settings import Settings
from orgshare.way.runtime import Runtime

OSS = "oss://"

THREADS = 8
"""Calls under way at once. The SDKs keep connections for each thread, and the cloud's limits are for an account."""


def utc_now() -> datetime:
    """The time, to the second, as it goes into states and reports."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def new_run() -> str:
    """A name for a run: in the state, in the user agent, and in the name of assumed roles' sessions."""
    return uuid.uuid4().hex[:12]


def make_calls(*, budget: float | None = None) -> Calls:
    """How calls are made, with real time and chance. After ``budget`` seconds no more are begun."""
    ends = None if budget is None else time.monotonic() + budget

    def in_time() -> None:
        if ends is not None and time.monotonic() >= ends:
            raise OutOfTime(f"the time of this run, {budget:.0f} s, is over; the rest is left to the next run")

    return Calls(sleep=time.sleep, random=Random(), clock=time.monotonic, before_call=in_time)


def make_cloud(policy: Policy, settings: Settings, run: str, calls: Calls) -> AlibabaCloud:
    """The cloud that the settings speak of."""
    return AlibabaCloud(
        policy, settings.credentials, local_cloud=settings.local_cloud, run=run, now=utc_now, calls=calls
    )


def load_policy(source: str, settings: Callable[[], Settings]) -> Policy:
    """The policy in a file, or in object storage, which takes credentials: only then are ``settings`` asked for.

    Raises ``ConfigurationError`` with the place in the policy, ``StopRun`` where object storage gives no answer.
    """
    if not source.startswith(OSS):
        return load(source)
    bucket, _, key = source.removeprefix(OSS).partition("/")
    if not bucket or not key:
        raise ConfigurationError(f"{source}: no policy can be there; expected oss://bucket/key or a file")
    given = settings()
    store = ObjectStorage(
        bucket,
        "",
        credentials=given.credentials,
        calls=make_calls(),
        run=new_run(),
        local_cloud=given.local_cloud,
        region=given.region,
        called=source,
    )
    try:
        content = store.get(key, most=MAX_BYTES)
    except NoAnswer as error:
        kind = StopRun if error.code else NobodyAnswers
        raise kind(f"{source}: cannot be read: {error}") from error
    except VendorError as error:
        raise StopRun(f"{source}: cannot be read: {error}") from error
    except ConfigurationError as error:
        remedy = f"expected {EXPECTED}, and oss:GetObject allowed on acs:oss:*:*:{bucket}/{key}"
        raise ConfigurationError(error.what, remedy=remedy) from error
    finally:
        store.close()
    if content is None:
        raise ConfigurationError(f"{source}: there is no such object; expected {EXPECTED}")
    return parse(content, source=source, base=None)


def in_cloud(policy: Policy) -> bool:
    """Whether the state lies in object storage, which takes credentials."""
    return policy.state.startswith(OSS)


def make_store(policy: Policy, settings: Settings | None, run: str, calls: Calls) -> ObjectStore:
    """Where the state of a policy lies. A folder of this machine takes no settings."""
    if not in_cloud(policy):
        return DirectoryStore(Path(policy.state), utc_now)
    if settings is None:
        raise ValueError("object storage takes credentials")
    bucket, _, prefix = policy.state.removeprefix(OSS).partition("/")
    return ObjectStorage(
        bucket,
        prefix,
        credentials=settings.credentials,
        calls=calls,
        run=run,
        local_cloud=settings.local_cloud,
        region=settings.region,
    )


def make_notices(settings: Settings, run: str) -> Notices | None:
    """Where a person is told, if anywhere. It has calls of its own: telling is for when the work is over, too."""
    if settings.notices is None:
        return None
    return MessageTopic(
        settings.notices,
        credentials=settings.credentials,
        calls=make_calls(),
        run=run,
        local_cloud=settings.local_cloud,
    )


def make_workers(settings: Settings, run: str) -> Workers | None:
    """The function that does the work of single shards; ``None`` where that is to be done in this process.

    Its calls know of no budget, because work is handed on when the time is over.
    """
    if settings.worker is None:
        return None
    return worker_function(
        settings.worker,
        settings.credentials,
        account=settings.account,
        region=settings.region,
        calls=make_calls(),
        agent=f"orgshare/{__version__} run/{run}",
        local_cloud=settings.local_cloud,
    )


def check_store(store: ObjectStore) -> None:
    """Make sure that a store keeps what it promises. Raises ``ConfigurationError`` with what to do."""
    check_versioning(store)
    try_puts(store)


def try_puts(store: ObjectStore) -> None:
    """Try that a put never overwrites in a store: one object is put and deleted again."""
    try_store(store, f".probe-{uuid.uuid4().hex}")


def check_versioning(store: ObjectStore) -> None:
    """Make sure that nothing lets a store's objects be overwritten. Only reads."""
    if isinstance(store, ObjectStorage):
        store.check_versioning()


def begin_state(policy: Policy, store: ObjectStore, directory: str, *, identity: str = "") -> State:
    """Begin the state that the policy names, or open it if it was begun for the same deployment.

    A state has a random id, unless it takes the place of one that was lost.
    """
    identity = identity or uuid.uuid4().hex
    return begin(store, deployment=policy.deployment, directory=directory, identity=identity, now=utc_now())


@contextmanager
def runtime(
    settings: Settings,
    *,
    executor: Executor | None = None,
    budget: float | None = None,
    change: Callable[[Policy], Policy] = lambda policy: policy,
) -> Iterator[Runtime]:
    """A run's surroundings. Raises ``ConfigurationError`` for a policy or state that is not in order.

    The settings may make the policy more careful. ``budget`` are the seconds after which no more calls are begun;
    ``change`` makes another policy of that.
    """
    policy = change(load_policy(settings.policy, lambda: settings).at_most(settings.mode))
    run = new_run()
    calls = make_calls(budget=budget)
    # The state has calls of its own: what was done is written down also when the time is over.
    state = open_state(make_store(policy, settings, run, make_calls()), policy.deployment)
    with ExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="orgshare"))
        yield Runtime(
            policy=policy,
            cloud=make_cloud(policy, settings, run, calls),
            state=state,
            executor=executor,
            now=utc_now,
            monotonic=time.monotonic,
            sleep=time.sleep,
            run=run,
            lease=settings.lease,
            notices=make_notices(settings, run),
        )
