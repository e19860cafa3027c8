"""The state of one deployment: whose it is, what is ours in each shard, and what the guard remembers.

Everything is a series of immutable generations, ``<series>/<number counting down>``, so that the newest is the first
name of a listing. Nothing is read, modified and written back: a writer puts the generation after the one it read, and
if that name is taken somebody else wrote in between, so it stops (``Busy``) and nothing of the other's is lost.

What can go wrong: a state that is empty, of another deployment, or from a newer version. Each is refused with what to
do, because acting on no memory would take every grant of ours for a stranger's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

import msgspec
from msgspec import Struct

from orgshare.errors import Busy, ConfigurationError
from orgshare.guard import Approval, GuardRecord, RecordedHold
from orgshare.ledger import Entry, Ledger, RememberedRefusal, Setback
from orgshare.record.store import ObjectStore
from orgshare.seen import Place, Seen
from orgshare.words import Shard

FORMAT = 1
BEGINNING = "deployment.json"
GUARD = "guard"
ORGANIZATION = "organization"
SHARDS = "shards"
HIGHEST = 10**12 - 1
KEPT_GENERATIONS = 20
KEPT_FOR = timedelta(days=7)
ATTEMPTS_OF_AN_UPDATE = 5

Stored = TypeVar("Stored")


class Beginning(Struct, frozen=True):
    """The first object of a state: which deployment and organization it belongs to, and its own random id."""

    format: int
    deployment: str
    directory: str
    id: str
    begun: datetime


class _Generation(Struct, frozen=True, omit_defaults=True):
    format: int
    written: datetime
    run: str
    grants: dict[str, dict[str, Entry]] = {}
    refusals: dict[str, tuple[RememberedRefusal, ...]] = {}
    absent: dict[str, int] = {}
    shares: dict[str, dict[str, Entry]] = {}
    setbacks: dict[str, Setback] = {}
    strangers: dict[str, dict[str, str]] = {}


class _GuardGeneration(Struct, frozen=True, omit_defaults=True):
    format: int
    written: datetime
    run: str
    holds: tuple[RecordedHold, ...] = ()
    approvals: tuple[Approval, ...] = ()


class _SeenGeneration(Struct, frozen=True):
    format: int
    written: datetime
    run: str
    places: dict[str, Place]
    folders: dict[str, tuple[str, ...]]


class ShardState(Struct, frozen=True):
    """A shard's ledger and the number of the generation that it was read from (0: there is none yet)."""

    ledger: Ledger
    number: int
    written: datetime | None = None


class State:
    """A deployment's state in an object store. Made by ``begin`` or ``open_state``."""

    def __init__(self, store: ObjectStore, beginning: Beginning) -> None:
        self._store = store
        self.beginning = beginning

    def shards(self) -> tuple[Shard, ...]:
        """Every shard that the state knows."""
        found = []
        for service in self._store.folders(SHARDS):
            for owner in self._store.folders(service):
                found += [Shard.parse(name.removeprefix(SHARDS + "/")) for name in self._store.folders(owner)]
        return tuple(found)

    def read(self, shard: Shard) -> ShardState:
        """The newest generation of a shard."""
        number, generation = self._newest(f"{SHARDS}/{shard}", _Generation)
        if generation is None:
            return ShardState(Ledger(), 0)
        return ShardState(_ledger(generation), number, generation.written)

    def commit(self, shard: Shard, after: int, ledger: Ledger, *, run: str, now: datetime) -> int:
        """Put the generation that follows ``after``; its number. Raises ``Busy`` if somebody else did."""
        generation = _Generation(
            format=FORMAT,
            written=now,
            run=run,
            grants={image: dict(entries) for image, entries in ledger.grants.items()},
            refusals=dict(ledger.refusals),
            absent=dict(ledger.absent),
            shares={share: dict(entries) for share, entries in ledger.shares.items()},
            setbacks=dict(ledger.setbacks),
            strangers={image: dict(seen) for image, seen in ledger.strangers.items()},
        )
        series = f"{SHARDS}/{shard}"
        if not self._put(series, after + 1, generation):
            raise Busy(f"{shard}: another run is writing to its state; nothing more is done there in this run")
        self._prune(series, now)
        return after + 1

    def guard(self) -> GuardRecord:
        """What the guard remembers."""
        _, generation = self._newest(GUARD, _GuardGeneration)
        return GuardRecord() if generation is None else GuardRecord(generation.holds, generation.approvals)

    def update_guard(self, change: Callable[[GuardRecord], GuardRecord], *, run: str, now: datetime) -> None:
        """Apply a change to what the guard remembers; applied anew if somebody else was faster."""
        for _ in range(ATTEMPTS_OF_AN_UPDATE):
            number, generation = self._newest(GUARD, _GuardGeneration)
            before = GuardRecord() if generation is None else GuardRecord(generation.holds, generation.approvals)
            after = change(before)
            if after == before:
                return
            following = _GuardGeneration(FORMAT, now, run, after.holds, after.approvals)
            if self._put(GUARD, number + 1, following):
                self._prune(GUARD, now)
                return
        raise Busy("the holds and approvals are being written by others; try again")

    def seen(self) -> Seen:
        """Where the members of the organization were last seen."""
        _, generation = self._newest(ORGANIZATION, _SeenGeneration)
        return Seen() if generation is None else Seen(generation.places, generation.folders)

    def update_seen(self, change: Callable[[Seen], Seen], *, run: str, now: datetime) -> None:
        """Apply a reading to what was last seen. Whoever was faster has read later, and that stays."""
        number, generation = self._newest(ORGANIZATION, _SeenGeneration)
        before = Seen() if generation is None else Seen(generation.places, generation.folders)
        after = change(before)
        if after != before:
            following = _SeenGeneration(FORMAT, now, run, dict(after.places), dict(after.folders))
            if self._put(ORGANIZATION, number + 1, following):
                self._prune(ORGANIZATION, now)

    def _newest(self, series: str, kind: type[Stored]) -> tuple[int, Stored | None]:
        names = self._store.names(series)
        if not names:
            return 0, None
        data = self._store.get(names[0])
        if data is None:
            raise ConfigurationError(f"state {self._store}: {names[0]} vanished while it was read; try again")
        return HIGHEST - int(names[0].rpartition("/")[2].removesuffix(".json")), _decode(
            self._store, names[0], data, kind
        )

    def _put(self, series: str, number: int, generation: Struct) -> bool:
        return self._store.put_new(f"{series}/{HIGHEST - number:012d}.json", msgspec.json.encode(generation))

    def _prune(self, series: str, now: datetime) -> None:
        """Keep the newest generations and whatever is young; the names tell the order, the content the age.

        The oldest come first and the first that is young ends it: there may be thousands, and each is a whole ledger.
        """
        for name in reversed(self._store.names(series)[KEPT_GENERATIONS:]):
            data = self._store.get(name)
            if data is not None and now - msgspec.json.decode(data, type=_Written).written <= KEPT_FOR:
                return
            self._store.delete(name)


class _Written(Struct):
    written: datetime


def begin(store: ObjectStore, *, deployment: str, directory: str, identity: str, now: datetime) -> State:
    """Begin the state of a deployment, or open it if the same one has been begun there."""
    beginning = Beginning(FORMAT, deployment, directory, identity, now)
    store.put_new(BEGINNING, msgspec.json.encode(beginning))
    state = open_state(store, deployment)
    check_directory(state, directory)
    return state


def open_state(store: ObjectStore, deployment: str) -> State:
    """The state of a deployment. Raises ``ConfigurationError`` where it is not begun or another deployment's."""
    data = store.get(BEGINNING)
    if data is None:
        raise ConfigurationError(
            f"state {store}: it is not begun; run «orgshare init» once, or correct the key state of the policy"
        )
    beginning = _decode(store, BEGINNING, data, Beginning)
    if beginning.deployment != deployment:
        raise ConfigurationError(
            f"state {store}: it belongs to deployment {beginning.deployment}, not to {deployment}; "
            "give each deployment a state of its own"
        )
    return State(store, beginning)


def check_directory(state: State, directory: str) -> None:
    """Raise ``ConfigurationError`` if the state was begun for another organization."""
    if state.beginning.directory != directory:
        raise ConfigurationError(
            f"the state belongs to organization {state.beginning.directory}, but the credentials read {directory}; "
            "nothing was done"
        )


def _ledger(generation: _Generation) -> Ledger:
    grants: Mapping[str, Mapping[str, Entry]] = {
        image: MappingProxyType(entries) for image, entries in generation.grants.items()
    }
    return Ledger(
        MappingProxyType(dict(grants)),
        MappingProxyType(generation.refusals),
        MappingProxyType(generation.absent),
        MappingProxyType({share: MappingProxyType(entries) for share, entries in generation.shares.items()}),
        MappingProxyType(generation.setbacks),
        MappingProxyType({image: MappingProxyType(seen) for image, seen in generation.strangers.items()}),
    )


def _decode(store: ObjectStore, name: str, data: bytes, kind: type[Stored]) -> Stored:
    try:
        form = msgspec.json.decode(data, type=_Format).format
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"state {store}: {name} cannot be read: {error}") from error
    if form != FORMAT:
        raise ConfigurationError(
            f"state {store}: {name} has format {form}, this version reads format {FORMAT}; "
            "use the version that wrote it"
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"state {store}: {name} cannot be read: {error}") from error


class _Format(Struct):
    format: int
