"""How a job goes under flow control that nobody told the tool: simulated time, so the numbers are of no machine.

Eight workers make calls as fast as the pace lets them, against the local cloud's fixed windows. Several tools are
several paces that know nothing of each other. A job is as many calls as its windows allow.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from bench.tables import markdown
from localcloud.flow import FlowControl
from localcloud.world import Limit
from orgshare.alibaba.pace import Pace, Turn

WORKERS = 8
OPERATION = ("ecs:ModifyImageSharePermission", "1000000000000002", "cn-hangzhou")


class Job(Struct, frozen=True):
    """So many windows of so many calls each; ``changes`` are limits that hold from a window on, counted from 0."""

    limit: int
    window: int = 60
    windows: int = 20
    changes: tuple[tuple[int, int], ...] = ()
    latency: float = 0.05
    begin: float = 0.0  # the part of the first window that is over
    tools: int = 1
    workers: int = WORKERS
    seed: int = 1

    def limit_in(self, window: int) -> int:
        """The limit of a window."""
        return next((limit for first, limit in reversed(self.changes) if window >= first), self.limit)

    def calls(self) -> int:
        """As many as the windows allow."""
        return sum(self.limit_in(window) for window in range(self.windows))


class Outcome(Struct):
    """What became of a job: calls in each window, those of them that were throttled, and when the last one passed."""

    sent: Counter[int]
    throttled: Counter[int]
    seconds: float = 0.0

    def throttled_later(self) -> float:
        """The part of the calls after the first window that was throttled."""
        sent = sum(count for window, count in self.sent.items() if window > 0)
        throttled = sum(count for window, count in self.throttled.items() if window > 0)
        return throttled / sent if sent else 0.0

    def most(self) -> int:
        """The most calls in a window, throttled ones included."""
        return max(self.sent.values())


def simulate(job: Job) -> Outcome:
    """Carry out a job, one event after the other."""
    start = 1_000 * job.window + job.begin * job.window
    random = Random(job.seed)
    outcome = Outcome(Counter(), Counter())
    flow = FlowControl()
    left = job.calls()
    now = start

    def admitted() -> bool:
        window = int(now // job.window) - 1_000
        limits = {OPERATION[0]: Limit(limit=job.limit_in(window), window=job.window)}
        passed = flow.admit(limits, *OPERATION, now=now)
        outcome.sent[window] += 1
        outcome.throttled[window] += not passed
        return passed

    def worker(pace: Pace) -> Iterator[float]:
        """Make calls until there are none left; what is yielded is seconds until going on."""
        nonlocal left
        while left > 0:
            left -= 1
            while True:
                turn = Turn()
                while (until := pace.start(turn, now)) is not None:
                    yield until - now
                there = job.latency * random.uniform(0.3, 0.7)
                yield there
                passed = admitted()
                yield job.latency * random.uniform(0.8, 1.2) - there
                pace.finish(turn, now, "passed" if passed else "throttled")
                if passed:
                    break
            outcome.seconds = now - start

    events: list[tuple[float, int, Iterator[float]]] = []
    for _ in range(job.tools):
        pace = Pace(random)
        events += [(start, len(events) + n, worker(pace)) for n in range(job.workers)]
    made = len(events)
    while events:
        now, _, running = heapq.heappop(events)
        for wait in running:
            made += 1
            heapq.heappush(events, (now + wait, made, running))
            break
    return outcome


def halved(job: Job) -> Job:
    """The same, but the limit halves at window 10."""
    return replace(job, changes=((10, job.limit // 2),))


def doubled(job: Job) -> Job:
    """The same, but the limit doubles at window 10."""
    return replace(job, changes=((10, job.limit * 2),))


def _jobs() -> Iterator[tuple[str, Job]]:
    for limit in (200, 1_000):
        job = Job(limit=limit)
        yield from (
            (f"{limit} in 60 s", job),
            (f"{limit}, answers after 5 ms", replace(job, latency=0.005)),
            (f"{limit}, answers after 400 ms", replace(job, latency=0.4)),
            (f"{limit}, from the middle of a window", replace(job, begin=0.5)),
            (f"{limit}, from the end of a window", replace(job, begin=0.97)),
            (f"{limit}, halves at window 10", halved(job)),
            (f"{limit}, halves, from the middle", halved(replace(job, begin=0.5))),
            (f"{limit}, halves, answers after 400 ms", halved(replace(job, latency=0.4))),
            (f"{limit}, doubles at window 10", doubled(job)),
            (f"{limit}, two tools", replace(job, tools=2)),
            (f"{limit}, two tools, halves", halved(replace(job, tools=2))),
        )
    for latency in (0.005, 0.05, 0.4):
        yield f"5 in 1 s, answers after {latency * 1000:.0f} ms", Job(5, window=1, windows=60, latency=latency)


SEEDS = range(1, 6)


def table() -> str:
    """The worst of several seeds for each job."""
    rows: list[tuple[object, ...]] = []
    for name, job in _jobs():
        outcomes = [simulate(replace(job, seed=seed)) for seed in SEEDS]
        longest = max(outcome.seconds for outcome in outcomes) / (job.windows * job.window)
        refused = max(outcome.throttled_later() for outcome in outcomes)
        most = max(outcome.most() for outcome in outcomes)
        rows.append((name, job.calls(), f"{longest:.3f}", f"{refused:.2%}", most))
    head = ("flow control", "calls", "time / windows", "throttled after the first window", "most calls in a window")
    return markdown(
        f"Flow control that the tool is not told ({WORKERS} workers, worst of {len(SEEDS)} seeds)", head, rows
    )
