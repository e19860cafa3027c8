"""The state of a deployment: begun once, read by its own only, never overwritten."""

from __future__ import annotations

import os
import stat
import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from orgshare.errors import Busy, ConfigurationError
from orgshare.guard import GuardRecord, RecordedHold, approve
from orgshare.ledger import Ledger, RememberedRefusal
from orgshare.record.lease import Clocks
from orgshare.record.series import KEPT_FOR, KEPT_GENERATIONS, PRUNED_EVERY
from orgshare.record.state import ShardState, State, begin, check_directory, open_state
from orgshare.record.store import DirectoryStore
from orgshare.saw import Standing, View
from orgshare.signals import NOTHING, ImageAt, Signal
from orgshare.words import Pair, Shard
from tests.support.facts import NOW, OWNER, SHARD, A, B, C, ledger, made

OTHER = Shard("ecs", OWNER, "ap-southeast-1")
LEDGER = ledger(gold=made(A, B), silver=made(C), bronze=made(A))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> DirectoryStore:
    return DirectoryStore(tmp_path / "state", clock)


@pytest.fixture
def state(store: DirectoryStore) -> State:
    return begin(store, deployment="golden", directory="rd-1", identity="one", now=NOW)


def write(state: State, ledger: Ledger, shard: Shard = SHARD, *, run: str = "r") -> None:
    """Write a ledger down after what is there."""
    state.write(shard, state.read(shard), ledger, run=run)


def test_what_is_stored_outlives_a_power_failure(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before it gets its name, and the name before the writer hears of it."""
    done: list[str] = []
    link = os.link

    def synced(handle: int) -> None:
        status = os.fstat(handle)
        done.append("folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes")

    def named(aside: str, target: Path) -> None:
        done.append("name")
        link(aside, target)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.link", named)
    assert store.put_new("shard/1", b"content")
    assert done == ["7 bytes", "name", "folder"]


def test_what_is_committed_is_read_back(store: DirectoryStore, state: State) -> None:
    """A ledger with grants, refusals and absences comes back as it was, from a fresh object too."""
    full = Ledger(
        LEDGER.grants,
        MappingProxyType({"m-gold": (RememberedRefusal("over-quota", "QuotaExceed.ShareImageUser", NOW, (C,)),)}),
        MappingProxyType({"m-silver": 1}),
    )
    write(state, full)
    again = open_state(store, "golden").read(SHARD)
    assert (again.ledger, again.number, again.holder) == (full, 1, "")


def test_a_shard_that_was_never_written_is_empty(state: State) -> None:
    """No generation means no grant of ours."""
    assert (state.read(SHARD).ledger, state.read(SHARD).number, state.shards()) == (Ledger(), 0, ())


def test_the_newest_generation_is_the_one_that_is_read(state: State) -> None:
    """Beyond ten generations too: numbers are ordered as numbers."""
    for number in range(12):
        write(state, ledger(gold=made(A)) if number % 2 else LEDGER)
    assert (state.read(SHARD).number, state.read(SHARD).ledger) == (12, ledger(gold=made(A)))


def test_who_was_overtaken_writes_nothing(state: State) -> None:
    """A generation is put only if nobody else put it; the other's stays."""
    write(state, LEDGER)
    with pytest.raises(Busy, match="another run is writing"):
        state.write(SHARD, ShardState(Ledger(), 0), Ledger(), run="second")
    assert state.read(SHARD).ledger == LEDGER


def test_of_many_writers_at_once_one_wins(state: State) -> None:
    """Putting a new object is decided once, however many try."""
    won, barrier = [], threading.Barrier(8)

    def race(name: str) -> None:
        barrier.wait()
        try:
            state.write(SHARD, ShardState(Ledger(), 0), LEDGER, run=name)
        except Busy:
            return
        won.append(name)

    threads = [threading.Thread(target=race, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_shards_are_apart(state: State) -> None:
    """Each shard has generations of its own, and the state names every shard that it knows."""
    write(state, LEDGER)
    write(state, ledger(gold=made(C)), OTHER)
    assert set(state.shards()) == {SHARD, OTHER}
    assert state.read(SHARD).ledger == LEDGER


def test_old_generations_are_pruned_and_young_ones_kept(store: DirectoryStore, state: State, clock: Clock) -> None:
    """The newest twenty stay, and whatever is younger than a week."""
    for _ in range(KEPT_GENERATIONS + PRUNED_EVERY):
        write(state, LEDGER)
    assert len(names(store)) == KEPT_GENERATIONS + PRUNED_EVERY
    clock.at += KEPT_FOR + timedelta(seconds=1)
    for _ in range(PRUNED_EVERY):
        write(state, LEDGER)
    assert len(names(store)) == KEPT_GENERATIONS
    for _ in range(3 * PRUNED_EVERY):
        write(state, LEDGER)
    assert state.read(SHARD).number == KEPT_GENERATIONS + 5 * PRUNED_EVERY
    assert len(names(store)) == 4 * PRUNED_EVERY


def test_runs_that_write_two_generations_each_prune_too(store: DirectoryStore, state: State, clock: Clock) -> None:
    """Whoever lets a lease go prunes nothing, so the round numbers may all be such generations."""
    for _ in range(KEPT_GENERATIONS):
        clock.at += KEPT_FOR + timedelta(seconds=1)
        lease = state.take(
            SHARD, state.read(SHARD), LEDGER, run="r", seconds=300, clocks=Clocks(clock, clock.at.timestamp)
        )
        lease.release(LEDGER)
    assert state.read(SHARD).number == 2 * KEPT_GENERATIONS
    assert len(names(store)) <= KEPT_GENERATIONS + PRUNED_EVERY


def seen_in(folder: str) -> View:
    """A view of an organization of three."""
    return View({account: Standing((folder,)) for account in (A, B, C)})


def test_views_that_no_shard_saw_last_are_forgotten_after_a_time(state: State, clock: Clock) -> None:
    """Those that are known to be in use stay, however old; so does the one that is kept, and what is young."""
    nothing: frozenset[str] = frozenset()
    old, used, back = (state.keep_view(seen_in(f"fd-{n}"), known=nothing) for n in range(3))
    clock.at += KEPT_FOR
    young = state.keep_view(seen_in("fd-young"), known=frozenset({used}))
    assert all(state.view(digest) for digest in (old, used, back, young))
    clock.at += timedelta(seconds=1)
    assert state.keep_view(seen_in("fd-2"), known=frozenset({used})) == back
    assert [state.view(digest) for digest in (old, used, back, young)] == [
        None, seen_in("fd-1"), seen_in("fd-2"), seen_in("fd-young"),
    ]  # fmt: skip


def test_a_view_that_is_known_to_be_kept_costs_nothing(store: DirectoryStore, state: State) -> None:
    """Most runs see what the run before them saw: they neither write nor list."""
    digest = state.keep_view(seen_in("fd-1"), known=frozenset())

    def refuse(*_: object) -> None:
        raise AssertionError("the store was asked")

    store.put_new = store.listed = refuse  # type: ignore[method-assign,assignment]
    assert state.keep_view(seen_in("fd-1"), known=frozenset({digest})) == digest


def test_pruning_reads_no_ledger(store: DirectoryStore, state: State) -> None:
    """The age of a generation is the store's, so that none is read to be judged."""
    read: list[str] = []
    get = store.get
    store.get = lambda name: read.append(name) or get(name)  # type: ignore[method-assign,func-returns-value]
    for number in range(5 * KEPT_GENERATIONS):
        state.write(SHARD, ShardState(Ledger(), number), LEDGER, run="r")
    assert read == []


def names(store: DirectoryStore) -> list[str]:
    """The generations of the shard."""
    return [item.name for item in store.listed(f"shards/{SHARD}").objects]


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
    write(state, LEDGER)
    again = begin(store, deployment="golden", directory="rd-1", identity="two", now=NOW)
    assert (again.beginning.id, again.read(SHARD).ledger) == ("one", LEDGER)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"format": 3}', "has format 3"),
        (b"[1]", "cannot be read"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused(
    tmp_path: Path, store: DirectoryStore, state: State, content: bytes, message: str
) -> None:
    """An unreadable or newer object is never guessed at."""
    write(state, LEDGER)
    (tmp_path / "state" / names(store)[0]).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        state.read(SHARD)
    (tmp_path / "state" / "deployment.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        open_state(store, "golden")


def test_holds_and_approvals_are_remembered(store: DirectoryStore, state: State) -> None:
    """A change that changes nothing writes nothing."""
    hold = RecordedHold(
        "h-1", NOW, "too many", (Pair("m-bronze", A), Pair("m-gold", A), Pair("m-gold", B), Pair("m-silver", A))
    )
    for _ in range(2):
        state.update_guard(lambda record: GuardRecord((hold,), record.approvals), run="r")
    state.update_guard(lambda record: approve(record, hold, now=NOW, who="me", reason="fine"), run="r")
    found = open_state(store, "golden").guard()
    assert (found.holds, found.approved(NOW)) == ((hold,), frozenset(hold.pairs))
    assert len(store.listed("guard").objects) == 2


def test_two_who_change_the_guards_record_at_once_both_succeed(state: State) -> None:
    """Whoever was overtaken applies the change to what is there then."""
    one, two = (RecordedHold(f"h-{n}", NOW, "x", (Pair("m-gold", str(n)),)) for n in (1, 2))

    def overtaken(record: GuardRecord) -> GuardRecord:
        if not record.holds:
            state.update_guard(lambda r: GuardRecord((*r.holds, one)), run="other")
        return GuardRecord((*record.holds, two))

    state.update_guard(overtaken, run="r")
    assert state.guard().holds == (one, two)


def test_a_state_in_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The message names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot (write|read)"):
        begin(
            DirectoryStore(tmp_path / "file" / "state", lambda: NOW),
            deployment="g",
            directory="d",
            identity="i",
            now=NOW,
        )


def test_a_state_of_the_version_before_is_read(tmp_path: Path, store: DirectoryStore, state: State) -> None:
    """It had no lease, wrote pairs one by one, and every share that it made had rows."""
    write(state, LEDGER)
    older = {
        "format": 1, "written": "2026-11-20T00:00:00Z", "run": "r0",
        "grants": {"m-gold": {A: {"state": "made", "since": "2026-11-20T00:00:00Z", "shared_time": "x"}}},
        "shares": {"rs-1": {"m-gold": {"state": "made", "since": "2026-11-20T00:00:00Z", "shared_time": "y"}}},
    }  # fmt: skip
    (tmp_path / "state" / names(store)[0]).write_bytes(msgspec.json.encode(older))
    found = state.read(SHARD)
    assert (set(found.ledger.grants), set(found.ledger.made), found.holder) == ({"m-gold"}, {"rs-1"}, "")
    hold = {"id": "h-1", "since": "2026-11-20T00:00:00Z", "why": "x", "pairs": [["m-gold", A], ["m-silver", B]]}
    kept = {"format": 1, "written": "2026-11-20T00:00:00Z", "run": "r0", "holds": [hold]}
    store.put_new(f"guard/{10**12 - 2:012d}.json", msgspec.json.encode(kept))
    assert [hold.pairs for hold in state.guard().holds] == [(Pair("m-gold", A), Pair("m-silver", B))]


def test_a_hold_of_millions_of_pairs_is_written_as_images_and_accounts(store: DirectoryStore, state: State) -> None:
    """Images that would be lost by the same accounts are written down together."""
    pairs = tuple(Pair(f"m-{image:03}", f"{account:05}") for image in range(50) for account in range(10000, 10100))
    hold = RecordedHold("h-1", NOW, "too many", pairs)
    state.update_guard(lambda _: GuardRecord((hold,)), run="r")
    data = store.get(store.listed("guard").objects[0].name)
    assert data is not None
    assert len(data) < 2000
    assert state.guard().holds == (hold,)


def test_a_pause_stands_until_it_is_ended(state: State) -> None:
    """Of everything, or of one shard; one is ended without the other."""
    assert (state.paused(), state.paused(SHARD)) == ("", "")
    state.pause(SHARD, run="r", who="me", now=NOW)
    assert state.paused(SHARD) == "it is paused by me since 2026-11-21 12:00 UTC"
    assert (state.paused(OTHER), state.paused(), state.paused_shards()) == ("", "", (str(SHARD),))
    state.pause(None, run="r", who="me", now=NOW)
    assert all(state.paused(shard).startswith("everything is paused") for shard in (SHARD, OTHER, None))
    state.resume(SHARD, run="r", who="me", now=NOW)
    assert state.paused(SHARD).startswith("everything is paused")
    state.pause(OTHER, run="r", who="me", now=NOW)
    state.resume(None, run="r", who="me", now=NOW)
    assert [state.paused(shard) for shard in (SHARD, OTHER, None)] == ["", "", ""]


def test_a_signal_waits_beside_its_shard_until_it_is_followed(state: State) -> None:
    """Once, however often it comes; what it asks for comes back as it was."""
    gold = ImageAt("m-gold", "cn-hangzhou")
    signal = Signal(accounts=frozenset({A, B}), images=frozenset({gold}), why=("moved",))
    for each in (signal, NOTHING, signal):
        state.leave(SHARD, each, by="r")
    state.store.put_new(f"shards/{SHARD}/waiting/later.json", b'{"orgshare": {"new": true}}')
    found = state.waiting(SHARD)
    assert sorted(bool(each.signal.accounts) for each in found) == [False, True]
    assert signal in {each.signal for each in found}
    assert state.waiting(OTHER) == ()
    state.forget(found[0])
    assert state.waiting(SHARD) == found[1:]
    assert (state.read(SHARD).number, state.shards()) == (0, (SHARD,))
