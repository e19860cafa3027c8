"""The lease of a shard: one run writes at a time, and who lost it writes nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.errors import Busy, NoAnswer, Paused, StopShard
from orgshare.ledger import Ledger
from orgshare.record.lease import LONGEST_CALL, LOOKED_AT, Clocks, Lease
from orgshare.record.state import State, begin, open_state
from orgshare.record.store import DirectoryStore
from tests.support.facts import NOW, SHARD, A, B, C, ledger, made

LEDGER = ledger(gold=made(A, B), silver=made(C), bronze=made(A))
SECONDS = 300.0


class Time:
    """The store's time, and the two clocks of one machine that may go wrong."""

    def __init__(self) -> None:
        self.store, self.wall, self.steady = NOW, NOW, 0.0

    def pass_(self, seconds: float) -> None:
        self.store += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.steady)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(tmp_path: Path, time: Time) -> DirectoryStore:
    return DirectoryStore(tmp_path / "state", lambda: time.store)


@pytest.fixture
def state(store: DirectoryStore) -> State:
    return begin(store, deployment="golden", directory="rd-1", identity="one", now=NOW)


def take(state: State, time: Time, run: str, known: Ledger = LEDGER, *, seconds: float = SECONDS) -> Lease:
    return state.take(SHARD, state.read(SHARD), known, run=run, seconds=seconds, clocks=time.clocks())


def test_who_holds_a_shard_is_known_and_left_alone(state: State, time: Time) -> None:
    """A second run is told who is at work, and neither takes nor writes."""
    take(state, time, "r1")
    assert state.read(SHARD).holder == "r1"
    with pytest.raises(Busy, match="run r1 is at work there"):
        take(state, time, "r2")
    with pytest.raises(Busy, match="run r1 is at work there"):
        state.write(SHARD, state.read(SHARD), Ledger(), run="r2")
    assert state.read(SHARD).ledger == LEDGER


def test_a_shard_that_was_let_go_is_free(state: State, time: Time) -> None:
    """What was written last is what the next one begins with."""
    take(state, time, "r1").release(Ledger())
    assert (state.read(SHARD).holder, state.read(SHARD).ledger) == ("", Ledger())
    take(state, time, "r2").check()


def test_a_run_that_died_lets_go_by_getting_old(state: State, time: Time) -> None:
    """Not before its time is over by the store's own clock, whatever the clocks of the next one say."""
    take(state, time, "r1")
    time.wall += timedelta(days=1)
    time.store += timedelta(seconds=SECONDS)
    with pytest.raises(Busy):
        take(state, time, "r2")
    time.store += timedelta(seconds=1)
    take(state, time, "r2").check()
    assert state.read(SHARD).ledger == LEDGER


def test_who_was_taken_over_writes_nothing_more(state: State, time: Time) -> None:
    """Neither to the cloud nor to the state, and what the other wrote stays."""
    first = take(state, time, "r1")
    time.store += timedelta(seconds=SECONDS + 2)  # the first one's clocks stood still meanwhile
    second = take(state, time, "r2", Ledger())
    time.steady += LOOKED_AT + 1
    for attempt in (first.check, lambda: first.commit(LEDGER), lambda: first.release(LEDGER), first.check):
        with pytest.raises(Busy):
            attempt()
    first.let_go()
    second.check()
    assert (state.read(SHARD).holder, state.read(SHARD).ledger) == ("r2", Ledger())


@pytest.mark.parametrize("clock", ["wall", "steady"])
def test_a_holder_that_stood_still_stops(state: State, time: Time, clock: str) -> None:
    """A machine that slept is told by one clock, one whose time was set by the other."""
    lease = take(state, time, "r1")
    if clock == "wall":
        time.wall += timedelta(seconds=SECONDS - LONGEST_CALL + 2)
    else:
        time.steady += SECONDS - LONGEST_CALL + 2
    with pytest.raises(Busy, match="held up until its lease was over"):
        lease.check()


def test_a_long_run_goes_on_by_renewing(state: State, time: Time) -> None:
    """It holds the shard for as long as it asks often enough, and nobody else gets in."""
    lease = take(state, time, "r1")
    for _ in range(50):
        time.pass_(90)
        lease.check()
        assert state.read(SHARD).holder == "r1"
    assert state.read(SHARD).ledger == LEDGER


def test_a_quiet_holder_asks_the_store_only_now_and_then(store: DirectoryStore, state: State, time: Time) -> None:
    """A check within half a minute of the last look asks whether the shard is paused, and nothing else."""
    lease = take(state, time, "r1")
    listed: list[str] = []
    usual = store.listed

    def counting(prefix: str, *, most: int | None = None) -> object:
        listed.append(prefix)
        return usual(prefix, most=most)

    store.listed = counting  # type: ignore[method-assign,assignment]
    for _ in range(20):
        time.pass_(1)
        lease.check()
    assert listed == ["pause"] * 20
    time.pass_(LOOKED_AT - 19)
    lease.check()
    assert listed[20:] == ["pause", f"shards/{SHARD}"]


def test_a_pause_stops_the_holder_at_its_next_call(state: State, time: Time) -> None:
    """And lets it go on when it is ended."""
    lease = take(state, time, "r1")
    state.pause(SHARD, run="p", who="me", now=NOW)
    with pytest.raises(Paused, match="it is paused by me"):
        lease.check()
    state.resume(SHARD, run="p", who="me", now=NOW)
    lease.check()
    lease.release(Ledger())


class Slow(DirectoryStore):
    """A store that takes its time to answer a look at the newest generation."""

    time: Time | None = None

    def listed(self, prefix: str, *, most: int | None = None):  # type: ignore[no-untyped-def]
        if self.time is not None and prefix.startswith("shards"):
            self.time.pass_(SECONDS - LOOKED_AT)
        return super().listed(prefix, most=most)


def test_a_state_that_answers_late_leaves_no_time_to_write(tmp_path: Path, time: Time) -> None:
    """What counts is the time after the last answer, not before the first question."""
    store = Slow(tmp_path / "state", lambda: time.store)
    lease = take(begin(store, deployment="g", directory="rd-1", identity="one", now=NOW), time, "r1")
    time.pass_(LOOKED_AT + 1)
    store.time = time
    with pytest.raises(Busy, match="held up until its lease was over"):
        lease.check()


def test_after_an_error_no_call_begins_and_those_under_way_have_time(state: State, time: Time) -> None:
    """Other threads ask in vain, and nobody else gets the shard before the longest call is over."""
    lease = take(state, time, "r1")
    lease.let_go()
    for attempt in (lease.check, lambda: lease.commit(LEDGER), lambda: lease.release(LEDGER)):
        with pytest.raises(Busy):
            attempt()
    time.pass_(LONGEST_CALL - 1)
    assert state.read(SHARD).holder == "r1"
    time.pass_(3)
    assert state.read(SHARD).holder == ""


class Deaf(DirectoryStore):
    """A store that does not answer any more."""

    deaf = False

    def listed(self, prefix: str, *, most: int | None = None):  # type: ignore[no-untyped-def]
        if self.deaf:
            raise NoAnswer("oss:ListObjectsV2: no answer")
        return super().listed(prefix, most=most)


def test_a_state_that_does_not_answer_stops_the_holder(tmp_path: Path, time: Time) -> None:
    """Nobody could say whether the shard is paused or taken."""
    store = Deaf(tmp_path / "state", lambda: time.store)
    lease = take(begin(store, deployment="g", directory="rd-1", identity="one", now=NOW), time, "r1")
    store.deaf = True
    with pytest.raises(StopShard, match="the state does not answer, so nothing more is written there"):
        lease.check()


class Lax(DirectoryStore):
    """A store that lets two puts of one name in, as none is documented not to: the later one stays."""

    later = b""

    def put_new(self, name: str, data: bytes) -> bool:
        super().put_new(name, data)
        (self._root / name).write_bytes(self.later)
        return True


def test_of_two_puts_that_were_both_let_in_one_holds(tmp_path: Path, time: Time) -> None:
    """What was put is read back before it is trusted."""
    plain = DirectoryStore(tmp_path / "state", lambda: time.store)
    begin(plain, deployment="g", directory="rd-1", identity="one", now=NOW)
    lax = Lax(tmp_path / "state", lambda: time.store)
    lax.later = b'{"format": 2, "run": "r2", "lease": {"run": "r2", "seconds": 300.0}}'
    with pytest.raises(Busy, match="another run is writing"):
        take(open_state(lax, "g"), time, "r1")
    assert open_state(plain, "g").read(SHARD).holder == "r2"


def test_a_short_lease_keeps_a_quarter_for_calls_under_way(state: State, time: Time) -> None:
    """A lease of two seconds, as a test of processes that are killed has it, is used for one and a half."""
    lease = take(state, time, "r1", seconds=2)
    time.pass_(1.4)
    lease.check()  # renewed
    time.steady += 1.6
    with pytest.raises(Busy):
        lease.check()


Step = tuple[str, float]


def stories() -> st.SearchStrategy[list[Step]]:
    actions = st.sampled_from(["check 1", "check 2", "take 1", "take 2", "release 1", "release 2", "write 1"])
    return st.lists(st.tuples(actions, st.sampled_from([0, 1, 40, 99, 101, 250, 281, 302])), max_size=25)


@settings(max_examples=300, deadline=None)
@given(stories(), st.floats(0, 3))
def test_a_call_is_over_before_anybody_else_may_make_one(steps: list[Step], rate: float) -> None:
    """Whatever two runs do, and however one's clocks disagree: from a check that passed to another's lease is longer
    than the longest call."""
    with TemporaryDirectory() as folder:
        for _ in play(Path(folder), steps, rate):
            pass


def play(folder: Path, steps: list[Step], rate: float) -> Iterator[None]:
    now = Time()
    store = DirectoryStore(folder / "state", lambda: now.store)
    state = begin(store, deployment="g", directory="rd-1", identity="one", now=NOW)
    leases: dict[str, Lease] = {}
    allowed: dict[str, datetime] = {}
    for action, seconds in steps:
        now.store += timedelta(seconds=seconds)
        now.steady += seconds
        now.wall += timedelta(seconds=seconds * rate)
        what, _, who = action.partition(" ")
        try:
            if what == "take":
                leases[who] = take(state, now, f"r{who}")
                others = [at for other, at in allowed.items() if other != who]
                assert all((now.store - at).total_seconds() >= LONGEST_CALL for at in others)
                allowed.pop(who, None)
            elif who in leases and what == "check":
                leases[who].check()
                allowed[who] = now.store
            elif who in leases and what == "write":
                leases[who].commit(LEDGER)
            elif who in leases:
                leases.pop(who).release(LEDGER)
                allowed.pop(who, None)  # its calls are over: it waited for them
        except Busy:
            pass
        yield
