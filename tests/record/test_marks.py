"""Who leaves something for a worker never leaves it where the worker has looked already."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from orgshare.record.marks import Marks
from orgshare.record.state import State, begin
from orgshare.record.store import DirectoryStore
from orgshare.signals import ImageAt, Signal
from tests.support.facts import NOW, OWNER, SHARD

EVENT = Signal(images=frozenset({ImageAt("m-gold", SHARD.region, OWNER)}))


@pytest.fixture
def state(tmp_path: Path) -> State:
    def clock() -> datetime:
        return NOW

    store = DirectoryStore(tmp_path / "state", clock)
    return begin(store, deployment="golden", directory="rd-1", identity="one", now=NOW)


class Worker:
    """One that takes the mark and looks, and forgets later what it had seen."""

    def __init__(self, state: State, marks: Marks) -> None:
        self.state, self.marks = state, marks
        self.marks.take()
        self.seen = state.waiting(SHARD)

    def finish(self) -> None:
        for each in self.seen:
            self.state.forget(each)


@pytest.mark.parametrize("looks", ["before it is left", "after it is left"])
@pytest.mark.parametrize("marked", [True, False])
def test_what_is_left_while_a_worker_looks_waits_for_the_next(state: State, looks: str, marked: bool) -> None:
    """The mark, of another run or its own, goes while the signal is left: it waits on with a mark that wakes somebody,
    though the worker that had begun forgets all that it saw."""
    marks = state.marks(SHARD)
    if marked:
        assert marks.ask(lambda mark: state.leave(SHARD, EVENT, by=mark), run="earlier")
    workers: list[Worker] = []

    def leave(mark: str) -> None:
        if looks == "before it is left" and not workers:
            workers.append(Worker(state, marks))
        state.leave(SHARD, EVENT, by=mark)
        if not workers:
            workers.append(Worker(state, marks))

    assert marks.ask(leave, run="later")
    for worker in workers:
        worker.finish()
    assert marks.asked()
    assert EVENT in [each.signal for each in state.waiting(SHARD)]


def test_what_is_left_under_a_mark_that_stands_is_left_once_and_wakes_nobody_twice(state: State) -> None:
    """A hundred events alike are one signal and one worker."""
    marks = state.marks(SHARD)
    woken = [marks.ask(lambda mark: state.leave(SHARD, EVENT, by=mark), run=f"r{n}") for n in range(100)]
    assert (woken, len(state.waiting(SHARD))) == ([True, *[False] * 99], 1)


def test_who_finds_each_mark_taken_wakes_a_worker_in_the_end(state: State) -> None:
    """After a few times somebody is woken for nothing rather than nobody for something."""
    marks = state.marks(SHARD)
    left: list[str] = []

    def leave(mark: str) -> None:
        left.append(mark)
        marks.take()

    assert marks.ask(leave, run="r")
    assert 1 < len(left) == len(set(left)) < 20
