"""The state of a deployment: begun once, read by its own only, never overwritten."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from orgshare.errors import Busy, ConfigurationError
from orgshare.guard import GuardRecord, RecordedHold, approve
from orgshare.ledger import Ledger, RememberedRefusal
from orgshare.record.state import KEPT_FOR, KEPT_GENERATIONS, State, begin, check_directory, open_state
from orgshare.record.store import DirectoryStore
from orgshare.words import Pair, Shard
from tests.support.facts import NOW, OWNER, SHARD, A, B, C, ledger, made

OTHER = Shard("ecs", OWNER, "ap-southeast-1")
LEDGER = ledger(gold=made(A, B), silver=made(C), bronze=made(A))


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "state")


@pytest.fixture
def state(store: DirectoryStore) -> State:
    return begin(store, deployment="golden", directory="rd-1", identity="one", now=NOW)


def test_what_is_committed_is_read_back(store: DirectoryStore, state: State) -> None:
    """A ledger with grants, refusals and absences comes back as it was, from a fresh object too."""
    full = Ledger(
        LEDGER.grants,
        MappingProxyType({"m-gold": (RememberedRefusal("over-quota", "QuotaExceed.ShareImageUser", NOW, (C,)),)}),
        MappingProxyType({"m-silver": 1}),
    )
    state.commit(SHARD, 0, full, run="r1", now=NOW)
    again = open_state(store, "golden").read(SHARD)
    assert (again.ledger, again.number, again.written) == (full, 1, NOW)


def test_a_shard_that_was_never_written_is_empty(state: State) -> None:
    """No generation means no grant of ours."""
    assert (state.read(SHARD).ledger, state.read(SHARD).number, state.shards()) == (Ledger(), 0, ())


def test_the_newest_generation_is_the_one_that_is_read(state: State) -> None:
    """Beyond ten generations too: numbers are ordered as numbers."""
    for number in range(12):
        state.commit(SHARD, number, ledger(gold=made(A)) if number % 2 else LEDGER, run="r", now=NOW)
    assert (state.read(SHARD).number, state.read(SHARD).ledger) == (12, ledger(gold=made(A)))


def test_who_was_overtaken_writes_nothing(state: State) -> None:
    """A generation is put only if nobody else put it; the other's stays."""
    state.commit(SHARD, 0, LEDGER, run="first", now=NOW)
    with pytest.raises(Busy, match="another run is writing"):
        state.commit(SHARD, 0, Ledger(), run="second", now=NOW)
    assert state.read(SHARD).ledger == LEDGER


def test_of_many_writers_at_once_one_wins(state: State) -> None:
    """Putting a new object is decided once, however many try."""
    won, barrier = [], threading.Barrier(8)

    def write(name: str) -> None:
        barrier.wait()
        try:
            state.commit(SHARD, 0, LEDGER, run=name, now=NOW)
        except Busy:
            return
        won.append(name)

    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_shards_are_apart(state: State) -> None:
    """Each shard has generations of its own, and the state names every shard that it knows."""
    state.commit(SHARD, 0, LEDGER, run="r", now=NOW)
    state.commit(OTHER, 0, ledger(gold=made(C)), run="r", now=NOW)
    assert set(state.shards()) == {SHARD, OTHER}
    assert state.read(SHARD).ledger == LEDGER


def test_old_generations_are_pruned_and_young_ones_kept(store: DirectoryStore, state: State) -> None:
    """The newest twenty stay, and whatever is younger than a week."""
    old = NOW - KEPT_FOR - timedelta(seconds=1)
    for number in range(KEPT_GENERATIONS + 5):
        state.commit(SHARD, number, LEDGER, run="r", now=old)
    assert len(store.names(f"shards/{SHARD}")) == KEPT_GENERATIONS + 5
    state.commit(SHARD, KEPT_GENERATIONS + 5, LEDGER, run="r", now=NOW)
    assert len(store.names(f"shards/{SHARD}")) == KEPT_GENERATIONS
    for number in range(KEPT_GENERATIONS + 6, 2 * KEPT_GENERATIONS + 10):
        state.commit(SHARD, number, LEDGER, run="r", now=NOW)
    assert state.read(SHARD).number == 2 * KEPT_GENERATIONS + 10
    assert len(store.names(f"shards/{SHARD}")) == KEPT_GENERATIONS + 5


def test_pruning_reads_no_more_than_it_has_to(store: DirectoryStore, state: State) -> None:
    """Among hundreds of young generations, the age of the oldest is all that is asked for."""
    read: list[str] = []
    get = store.get
    store.get = lambda name: read.append(name) or get(name)  # type: ignore[method-assign,func-returns-value]
    for number in range(5 * KEPT_GENERATIONS):
        state.commit(SHARD, number, LEDGER, run="r", now=NOW)
    assert len(read) == 4 * KEPT_GENERATIONS


def test_a_state_that_is_not_begun_says_what_to_do(store: DirectoryStore) -> None:
    """Acting without memory is refused."""
    with pytest.raises(ConfigurationError, match=r"it is not begun; run «orgshare init» once"):
        open_state(store, "golden")


def test_a_state_of_another_deployment_is_foreign(store: DirectoryStore, state: State) -> None:
    """Its grants are not ours."""
    with pytest.raises(ConfigurationError, match=r"it belongs to deployment golden, not to silver"):
        open_state(store, "silver")


def test_a_state_of_another_organization_is_foreign(store: DirectoryStore, state: State) -> None:
    """Whoever reads another directory than the one the state was begun for stops, in init too."""
    with pytest.raises(ConfigurationError, match=r"belongs to organization rd-1, but the credentials read rd-2"):
        check_directory(state, "rd-2")
    with pytest.raises(ConfigurationError, match="rd-2"):
        begin(store, deployment="golden", directory="rd-2", identity="two", now=NOW)


def test_beginning_twice_keeps_the_first_beginning(store: DirectoryStore, state: State) -> None:
    """init is harmless when it is repeated."""
    state.commit(SHARD, 0, LEDGER, run="r", now=NOW)
    again = begin(store, deployment="golden", directory="rd-1", identity="two", now=NOW)
    assert (again.beginning.id, again.read(SHARD).ledger) == ("one", LEDGER)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"format": 2}', "has format 2"),
        (b"[1]", "cannot be read"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused(
    tmp_path: Path, store: DirectoryStore, state: State, content: bytes, message: str
) -> None:
    """An unreadable or newer object is never guessed at."""
    state.commit(SHARD, 0, LEDGER, run="r", now=NOW)
    (tmp_path / "state" / store.names(f"shards/{SHARD}")[0]).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        state.read(SHARD)
    (tmp_path / "state" / "deployment.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        open_state(store, "golden")


def test_holds_and_approvals_are_remembered(store: DirectoryStore, state: State) -> None:
    """A change that changes nothing writes nothing."""
    hold = RecordedHold("h-1", NOW, "too many", (Pair("m-gold", A), Pair("m-gold", B)))
    for _ in range(2):
        state.update_guard(lambda record: GuardRecord((hold,), record.approvals), run="r", now=NOW)
    state.update_guard(lambda record: approve(record, hold, now=NOW, who="me", reason="fine"), run="r", now=NOW)
    found = open_state(store, "golden").guard()
    assert (found.holds, found.approved(NOW)) == ((hold,), frozenset(hold.pairs))
    assert len(store.names("guard")) == 2


def test_two_who_change_the_guards_record_at_once_both_succeed(state: State) -> None:
    """Whoever was overtaken applies the change to what is there then."""
    one, two = (RecordedHold(f"h-{n}", NOW, "x", (Pair("m-gold", str(n)),)) for n in (1, 2))

    def overtaken(record: GuardRecord) -> GuardRecord:
        if not record.holds:
            state.update_guard(lambda r: GuardRecord((*r.holds, one)), run="other", now=NOW)
        return GuardRecord((*record.holds, two))

    state.update_guard(overtaken, run="r", now=NOW)
    assert state.guard().holds == (one, two)


def test_a_state_in_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The message names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot (write|read)"):
        begin(DirectoryStore(tmp_path / "file" / "state"), deployment="g", directory="d", identity="i", now=NOW)
