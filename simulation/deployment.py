"""The program as it is deployed, put together from its real parts: policy, cloud, state, and what starts a run.

Everything is made anew for each run, as in a process of its own; a run that dies leaves nothing but what it wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import nullcontext
from datetime import datetime, timezone
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import AlibabaCloud, Credentials
from orgshare.alibaba.storage import ObjectStorage
from orgshare.errors import Busy, OutOfTime, StopRun, StopShard, VendorError
from orgshare.focus import EVERYTHING
from orgshare.guard import GuardRecord, approve, reject
from orgshare.handling import Site, Unfinished, respond
from orgshare.policy.model import Policy
from orgshare.ports import ObjectStore
from orgshare.record.state import State, begin, open_state
from orgshare.report.documents import apply_document
from orgshare.retired import Retirement
from orgshare.way.applying import apply
from orgshare.way.runtime import Runtime
from orgshare.words import Shard
from simulation.memory import MemoryStore, WatchedStore
from simulation.stories import Step, Story

LEASE = 300.0
Item = TypeVar("Item")
Result = TypeVar("Result")


class Died(BaseException):
    """The process is gone."""


class EndedEarly(Exception):
    """A run ended by itself and says so: something cannot be read, or another run is at work."""


class Inline(Executor):
    """An executor that runs everything at once, in order, in this thread."""

    def map(  # type: ignore[override]
        self, fn: Callable[[Item], Result], items: Iterable[Item], **_: Any
    ) -> Iterable[Result]:
        """The results, in the order of the items."""
        return [fn(item) for item in items]


class Deployment:
    """One deployment of a story."""

    PEOPLE = frozenset({"person"})

    def __init__(
        self,
        story: Story,
        *,
        clock: Callable[[], float],
        advance: Callable[[float], None],
        moved: Callable[[str, str, str, bool], None],
        put: Callable[[str, bytes], None],
    ) -> None:
        self._story = story
        self._clock, self._advance = clock, advance
        self._moved, self._put = moved, put
        self._memory = MemoryStore(clock)

    def begin(self) -> None:
        """Begin the state."""
        begin(
            self._store("person"),
            deployment="story",
            directory="rd-story",
            identity=f"story{self._story.seed}",
            now=self._now(),
        )

    def run(self, name: str, policy: Policy, function: str, event: bytes, deadline: float | None) -> dict[str, Any]:
        """One run from its start to its report. Raises ``Died`` or ``EndedEarly``, or what it should not raise."""
        ends = None if deadline is None else self._clock() + deadline

        def in_time() -> None:
            if ends is not None and self._clock() >= ends:
                raise OutOfTime("the time of this run is over")

        calls = self._calls(name, before_call=in_time)
        credentials = Credentials("LOCALIMAGES", "hush-images")
        cloud = AlibabaCloud(policy, credentials, local_cloud=LOCAL_CLOUD, run=name, now=self._now, calls=calls)
        try:
            state = open_state(self._store(name, calls), "story")
        except (VendorError, OutOfTime) as error:
            raise EndedEarly("the state does not answer") from error
        runtime = Runtime(
            policy=policy,
            cloud=cloud,
            state=state,
            executor=Inline(),
            now=self._now,
            monotonic=self._clock,
            sleep=self._advance,
            run=name,
            lease=LEASE,
        )
        try:
            if function == "apply":
                return dict(apply_document(apply(runtime, EVERYTHING), calls=cloud.calls()))
            context = SimpleNamespace(request_id=name)
            site = Site(lambda: nullcontext(runtime), executor=Inline())
            text = respond(function, event, context, site=site)
            report: dict[str, Any] = json.loads(text)
        except (StopRun, StopShard, Unfinished) as error:
            raise EndedEarly(type(error).__name__) from error
        return report

    def decided_by_person(self, step: Step) -> bool:
        """A person approves or rejects what is held, pauses or resumes, retires an image or takes that back."""
        kind = step["kind"]
        moment = self._now()
        try:
            state = self._state("person")
            if kind == "pause":
                shard = Shard.parse(step["shard"]) if step["shard"] else None
                state.pause(shard, run="person", who="somebody", now=moment)
                return True
            if kind == "resume":
                state.resume(None, run="person", who="somebody", now=moment)
                return True
            if kind == "retire":
                mark = {step["image"]: Retirement(moment, "somebody")}
                state.update_retired(lambda marks: {**mark, **marks}, run="person")
                return True
            if kind == "take-back":
                if step["image"] not in state.retired():
                    return False
                state.update_retired(lambda marks: {i: m for i, m in marks.items() if i != step["image"]}, run="person")
                return True
            if not state.guard().holds:
                return False
            state.update_guard(lambda record: _decided(record, kind, moment), run="person")
        except (Busy, VendorError):
            return False
        return True

    def _state(self, run: str) -> State:
        return open_state(self._store(run), "story")

    def _calls(self, run: str, before_call: Callable[[], None]) -> Calls:
        chance = Random(f"{self._story.seed} {run}")
        return Calls(sleep=self._advance, random=chance, clock=self._clock, before_call=before_call)

    def _store(self, run: str, calls: Calls | None = None) -> ObjectStore:
        store: ObjectStore = self._memory
        if self._story.setting["store"] == "oss":
            store = ObjectStorage(
                "story",
                "state",
                credentials=Credentials("LOCALIMAGES", "hush-images"),
                calls=calls or self._calls(run, lambda: None),
                run=run,
                local_cloud=LOCAL_CLOUD,
            )
        return WatchedStore(store, lambda operation, name, over: self._moved(run, operation, name, over), self._put)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), timezone.utc).replace(microsecond=0)


LOCAL_CLOUD = "http://127.0.0.1:9"
"""Nothing listens there: in process, requests never get that far."""


def _decided(record: GuardRecord, kind: str, now: datetime) -> GuardRecord:
    for hold in record.holds:
        decide = approve if kind == "approve" else reject
        record = decide(record, hold, now=now, who="somebody", reason="")
    return record
