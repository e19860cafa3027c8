"""The state of one deployment: whose it is, what is ours in each shard, what the guard remembers, what is paused.

It lies in an object store, as series of immutable generations. What is ours in a shard is written by whoever holds the
shard's lease; the small rest is changed by anybody, anew if somebody else was faster. A signal that found a shard held
is put beside it, for the holder to find.

What can go wrong: a state that is empty, of another deployment, or from another version. Each is refused with what to
do, because acting on no memory would take every grant of ours for a stranger's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orgshare.errors import Busy, ConfigurationError
from orgshare.guard import GuardRecord
from orgshare.ledger import Ledger
from orgshare.notices import NO_NOTES, Notes
from orgshare.ports import ObjectStore
from orgshare.record.forms import (
    FORMAT,
    READABLE,
    Beginning,
    GuardForm,
    LeaseMark,
    NotesForm,
    PauseForm,
    RetiredForm,
    RoleForm,
    SeenForm,
    ShardForm,
    ViewForm,
    guard_form,
    ledger_of,
    record_of,
    role_form,
    role_ledger_of,
    seen_of,
    shard_form,
    view_digest,
    view_from,
)
from orgshare.record.lease import TICK, Clocks, Kept, Lease, LeaseOf, RoleLease
from orgshare.record.marks import Marks
from orgshare.record.series import KEPT_FOR, Series, decode
from orgshare.retired import NONE_RETIRED, Retirements
from orgshare.saw import View
from orgshare.seen import Seen
from orgshare.signals import MalformedEvent, Signal, parse, worker_request
from orgshare.trust import RoleLedger
from orgshare.words import Shard, wide_shard

BEGINNING = "deployment.json"
SHARDS = "shards"
ROLES = "roles"
WAITING = "waiting"
VIEWS = "views"
WATCH = "watch"
ATTEMPTS_OF_AN_UPDATE = 5

Form = TypeVar("Form", bound=Struct)
Value = TypeVar("Value")


class ShardState(Struct, frozen=True):
    """A shard's ledger and the number of the generation that it was read from (0: there is none yet).

    ``holder`` is the run that held the shard when it was read.
    """

    ledger: Ledger
    number: int
    holder: str = ""


class RoleState(Struct, frozen=True):
    """What is ours in an owner's sharing role, and of which generation: as ``ShardState`` has it of a shard."""

    ledger: RoleLedger
    number: int
    holder: str = ""


class Waiting(Struct, frozen=True):
    """A signal that waits beside a shard."""

    name: str
    signal: Signal


class State:
    """A deployment's state in an object store. Made by ``begin`` or ``open_state``."""

    def __init__(self, store: ObjectStore, beginning: Beginning) -> None:
        self.store = store
        self.beginning = beginning
        self._numbers = count()
        self._guard = Series(store, "guard", GuardForm, formats=READABLE)
        self._seen = Series(store, "organization", SeenForm, formats=READABLE)
        self._pauses = Series(store, "pause", PauseForm, formats=READABLE)
        self._notes = Series(store, "notices", NotesForm, formats=READABLE)
        self._retired = Series(store, "retired", RetiredForm, formats=READABLE)

    def shards(self) -> tuple[Shard, ...]:
        """Every shard that the state knows."""
        found = []
        for service in self.store.folders(SHARDS):
            for owner in self.store.folders(service):
                for name in self.store.folders(owner):
                    try:
                        found.append(Shard.parse(name.removeprefix(SHARDS + "/")))
                    except ValueError as error:
                        raise ConfigurationError(
                            f"state {self.store}: {name} is nothing that this version writes ({error}); remove it"
                        ) from error
        return tuple(found)

    def read(self, shard: Shard) -> ShardState:
        """The newest generation of a shard, and who holds it."""
        newest = self._shard(shard).newest()
        if newest.value is None:
            return ShardState(Ledger(), 0)
        return ShardState(ledger_of(newest.value), newest.number, _holder(newest.value.lease, newest.age))

    def take(
        self, shard: Shard, before: ShardState, ledger: Ledger, *, run: str, seconds: float, clocks: Clocks
    ) -> Lease:
        """Hold a shard, with this ledger written down. Raises ``StopShard``: ``Busy`` if another run holds it, or
        wrote since ``before`` was read."""
        return self._hold(
            self._shard(shard), shard, before, ledger, shard_form, run=run, seconds=seconds, clocks=clocks
        )

    def write(self, shard: Shard, before: ShardState, ledger: Ledger, *, run: str) -> None:
        """Write a ledger down where nothing is to be done in the cloud. Raises ``Busy`` as ``take`` does."""
        self._check_free(shard, before.holder)
        series, number = self._shard(shard), before.number + 1
        if not series.put(number, shard_form(ledger, run=run, lease=LeaseMark(run, 0))):
            raise Busy(f"{shard}: another run is writing to its state; nothing is done there in this run")
        series.prune(number)

    def roles(self) -> frozenset[str]:
        """The owners of whose sharing role the state knows anything."""
        return frozenset(name.removeprefix(ROLES + "/") for name in self.store.folders(ROLES))

    def read_role(self, owner: str) -> RoleState:
        """What is ours in an owner's sharing role, and who holds it."""
        newest = self._role(owner).newest()
        if newest.value is None:
            return RoleState(RoleLedger(), 0)
        return RoleState(role_ledger_of(newest.value), newest.number, _holder(newest.value.lease, newest.age))

    def take_role(
        self, owner: str, before: RoleState, ledger: RoleLedger, *, run: str, seconds: float, clocks: Clocks
    ) -> RoleLease:
        """Hold an owner's sharing role, as ``take`` does a shard."""
        series, shard = self._role(owner), wide_shard(owner)
        return self._hold(series, shard, before, ledger, role_form, run=run, seconds=seconds, clocks=clocks)

    def write_role(self, owner: str, before: RoleState, ledger: RoleLedger, *, run: str) -> None:
        """Write down what a reading of the role showed. Whoever was faster has read later, and that stays."""
        series, number = self._role(owner), before.number + 1
        if not before.holder and series.put(number, role_form(ledger, run=run, lease=LeaseMark(run, 0))):
            series.prune(number)

    def guard(self) -> GuardRecord:
        """What the guard remembers."""
        form = self._guard.newest().value
        return GuardRecord() if form is None else record_of(form)

    def update_guard(self, change: Callable[[GuardRecord], GuardRecord], *, run: str) -> None:
        """Apply a change to what the guard remembers; applied anew if somebody else was faster."""
        busy = "the holds and approvals are being written by others; try again"
        _update(self._guard, GuardRecord(), record_of, change, lambda after: guard_form(after, run=run), busy)

    def seen(self) -> Seen:
        """Where the members of the organization were last seen."""
        form = self._seen.newest().value
        return Seen() if form is None else seen_of(form)

    def update_seen(self, change: Callable[[Seen], Seen], *, run: str) -> None:
        """Apply a reading to what was last seen. Whoever was faster has read later, and that stays."""
        newest = self._seen.newest()
        before = Seen() if newest.value is None else seen_of(newest.value)
        after = change(before)
        if after != before:
            form = SeenForm(FORMAT, run, dict(after.places), dict(after.folders))
            if self._seen.put(newest.number + 1, form):
                self._seen.prune(newest.number + 1)

    def paused(self, shard: Shard | None = None) -> str:
        """Why nothing may be written: to a shard, or to any where none is named. Empty if it may."""
        return _why_paused(self._pauses.newest().value, shard)

    def unpaused(self, shards: Iterable[Shard]) -> list[Shard]:
        """Those shards that may be written to, by one reading of what is paused."""
        form = self._pauses.newest().value
        return [shard for shard in shards if not _why_paused(form, shard)]

    def paused_shards(self) -> tuple[str, ...]:
        """The shards that are paused one by one."""
        form = self._pauses.newest().value
        return () if form is None else form.shards

    def pause(self, shard: Shard | None, *, run: str, who: str, now: datetime) -> None:
        """Let nothing be written to a shard, or to any, until ``resume``."""

        def change(before: PauseForm) -> PauseForm:
            shards = (*before.shards, str(shard)) if shard is not None else before.shards
            everything = before.everything or shard is None
            return PauseForm(FORMAT, run, now, who, everything, tuple(sorted(set(shards))))

        self._update_pause(change)

    def resume(self, shard: Shard | None, *, run: str, who: str, now: datetime) -> None:
        """Let a shard be written to again, or everything that was paused."""

        def change(before: PauseForm) -> PauseForm:
            if shard is None:
                return PauseForm(FORMAT, run, now, who)
            kept = tuple(one for one in before.shards if one != str(shard))
            return PauseForm(FORMAT, run, now, who, before.everything, kept)

        self._update_pause(change)

    def retired(self) -> Retirements:
        """The marks of images that a person retired."""
        form = self._retired.newest().value
        return NONE_RETIRED if form is None else form.images

    def update_retired(self, change: Callable[[Retirements], Retirements], *, run: str) -> None:
        """Apply a change to the marks; applied anew if somebody else was faster. Raises ``Busy``."""

        def read(form: RetiredForm) -> Retirements:
            return form.images

        def written(marks: Retirements) -> RetiredForm:
            return RetiredForm(FORMAT, run, dict(sorted(marks.items())))

        busy = "the marks of retired images are being written by others; try again"
        _update(self._retired, NONE_RETIRED, read, change, written, busy)

    def update_notes(self, change: Callable[[Notes], Notes], *, run: str) -> None:
        """Apply a change to what people were told; applied anew if somebody else was faster. Raises ``Busy``."""

        def read(form: NotesForm) -> Notes:
            return form.notes

        def written(notes: Notes) -> NotesForm:
            return NotesForm(FORMAT, run, dict(sorted(notes.items())))

        busy = "what people were told is being written by others; the next run tells what is left"
        _update(self._notes, NO_NOTES, read, change, written, busy)

    def view(self, digest: str) -> View | None:
        """A view of the organization by its digest; ``None`` if nobody kept it."""
        name = f"{VIEWS}/{digest}.json"
        data = self.store.get(name) if digest else None
        return None if data is None else view_from(decode(self.store, name, data, ViewForm, READABLE))

    def keep_view(self, view: View, *, known: frozenset[str]) -> str:
        """Keep a view for whoever looks next, unless it is among those that are ``known`` to be kept; its digest.

        Views that no shard saw last are forgotten after a time. One that is forgotten while a run writes down that it
        saw it costs that shard one look too many.
        """
        digest, data = view_digest(view)
        if digest not in known:
            self.store.put_new(f"{VIEWS}/{digest}.json", data)
            listing = self.store.listed(VIEWS)
            in_use = {f"{VIEWS}/{each}.json" for each in (*known, digest)}
            for old in listing.objects:
                if old.name not in in_use and listing.now - old.put_at > KEPT_FOR:
                    self.store.delete(old.name)
        return digest

    def marks(self, shard: Shard | None = None) -> Marks:
        """The marks that wake a worker for a shard, or without one, those of the watch."""
        return Marks(self.store, f"{_place(shard)}/waking" if shard is not None else WATCH, self._numbers)

    def leave(self, shard: Shard, signal: Signal, *, by: str) -> None:
        """Put a signal beside a shard, for whoever holds it or comes next.

        ``by`` is the run or the mark on whose behalf it waits: equal signals by one are one. Those of others stay
        apart, because whoever follows one forgets it, and must not forget with it what came after it had looked.
        """
        name = hashlib.sha256(worker_request(replace(signal, why=())).encode()).hexdigest()[:16]
        self.store.put_new(f"{_place(shard)}/{WAITING}/{by}-{name}.json", worker_request(signal).encode())

    def waiting(self, shard: Shard) -> tuple[Waiting, ...]:
        """The signals that wait beside a shard. One of another version is passed over: a sweep makes up for it."""
        found = []
        for item in self.store.listed(f"{_place(shard)}/{WAITING}").objects:
            data = self.store.get(item.name)
            if data is not None:
                with suppress(MalformedEvent):
                    found.append(Waiting(item.name, parse(data).signal))
        return tuple(found)

    def forget(self, waiting: Waiting) -> None:
        """A signal was followed."""
        self.store.delete(waiting.name)

    def _shard(self, shard: Shard) -> Series[ShardForm]:
        return Series(self.store, _place(shard), ShardForm, formats=READABLE)

    def _role(self, owner: str) -> Series[RoleForm]:
        return Series(self.store, f"{ROLES}/{owner}", RoleForm, formats=READABLE)

    def _hold(
        self,
        series: Series[Any],
        shard: Shard,
        before: ShardState | RoleState,
        ledger: Kept,
        form: Callable[..., Struct],
        *,
        run: str,
        seconds: float,
        clocks: Clocks,
    ) -> LeaseOf[Kept]:
        """A lease of what a series keeps, with this ledger written down in the ``form`` that it has there."""
        self._check_free(shard, before.holder)
        lease = LeaseOf(
            series,
            shard,
            before.number,
            ledger,
            form=lambda kept, mark: form(kept, run=run, lease=mark),
            run=run,
            seconds=seconds,
            clocks=clocks,
            paused=lambda: self.paused(shard),
        )
        lease.commit(ledger)
        return lease

    def _check_free(self, shard: Shard, holder: str) -> None:
        if holder:
            raise Busy(f"{shard}: run {holder} is at work there; nothing is done there in this run")

    def _update_pause(self, change: Callable[[PauseForm], PauseForm]) -> None:
        nothing = PauseForm(FORMAT, "", self.beginning.begun, "")
        busy = "the pauses are being written by others; try again"
        _update(self._pauses, nothing, lambda form: form, change, lambda form: form, busy)


def _holder(lease: LeaseMark | None, age: timedelta) -> str:
    """The run that holds what a generation of this age is the newest of."""
    held = lease is not None and lease.seconds > 0 and age < timedelta(seconds=lease.seconds) + TICK
    return lease.run if lease is not None and held else ""


def _place(shard: Shard) -> str:
    return f"{SHARDS}/{shard}"


def _why_paused(form: PauseForm | None, shard: Shard | None) -> str:
    if form is None:
        return ""
    by = f"by {form.who} since {form.at:%Y-%m-%d %H:%M} UTC"
    if form.everything:
        return f"everything is paused {by}"
    return f"it is paused {by}" if shard is not None and str(shard) in form.shards else ""


def _update(
    series: Series[Form],
    nothing: Value,
    read: Callable[[Form], Value],
    change: Callable[[Value], Value],
    written: Callable[[Value], Form],
    busy: str,
) -> None:
    """Apply a change to the newest generation of a series; applied anew if somebody else was faster."""
    for _ in range(ATTEMPTS_OF_AN_UPDATE):
        newest = series.newest()
        before = nothing if newest.value is None else read(newest.value)
        after = change(before)
        if after == before:
            return
        if series.put(newest.number + 1, written(after)):
            series.prune(newest.number + 1)
            return
    raise Busy(busy)


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
            f"state {store}: it is not begun",
            remedy="run «orgshare init» once, or «orgshare init --recover» if there was one that was lost, or correct "
            "the key state of the policy",
        )
    beginning = decode(store, BEGINNING, data, Beginning, READABLE)
    if beginning.deployment != deployment:
        raise ConfigurationError(
            f"state {store}: it belongs to deployment {beginning.deployment}, not to {deployment}",
            remedy="give each deployment a state of its own",
        )
    return State(store, beginning)


def check_directory(state: State, directory: str) -> None:
    """Raise ``ConfigurationError`` if the state was begun for another organization."""
    if state.beginning.directory != directory:
        raise ConfigurationError(
            f"the state belongs to organization {state.beginning.directory}, but the credentials read {directory}",
            remedy="give each organization a state of its own, or correct directory.role; nothing was done",
        )
