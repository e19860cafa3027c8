"""Series of immutable generations: ``<series>/<number counting down>.json``, so that the newest is the first of a list.

Nothing is read, modified and written back: a writer puts the generation after the one that it read, and if that name is
taken, somebody else wrote in between. Each generation says in which format it is written; one from another version is
refused and never guessed at.

What can go wrong: two puts of one name at the same instant that are both let in, which no object store's documentation
excludes for certain. So who depends on having been the only one reads the newest generation back.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from orgshare.errors import ConfigurationError
from orgshare.ports import ObjectStore

KEPT_GENERATIONS = 20
KEPT_FOR = timedelta(days=7)
PRUNED_EVERY = 10
"""Pruning lists a whole series, so only every so many generations do it."""

_HIGHEST = 10**12 - 1

Stored = TypeVar("Stored", bound=Struct)


class Newest(Struct, Generic[Stored], frozen=True):
    """The newest generation of a series: number 0 and ``None`` if there is none yet.

    ``age`` is reckoned from the store's own times.
    """

    number: int
    value: Stored | None
    age: timedelta


class Series(Generic[Stored]):
    """One series in a store; every generation is of one kind and in one of the ``formats`` that can be read."""

    def __init__(self, store: ObjectStore, name: str, kind: type[Stored], *, formats: tuple[int, ...]) -> None:
        self._store = store
        self._name = name
        self._kind = kind
        self._formats = formats

    def newest(self) -> Newest[Stored]:
        """The newest generation. ``ConfigurationError`` if it cannot be read."""
        listing = self._store.listed(self._name, most=1)
        if not listing.objects:
            return Newest(0, None, timedelta())
        first = listing.objects[0]
        data = self._store.get(first.name)
        if data is None:
            raise ConfigurationError(f"state {self._store}: {first.name} vanished while it was read; try again")
        value = decode(self._store, first.name, data, self._kind, self._formats)
        return Newest(_number(first.name), value, listing.now - first.put_at)

    def newest_number(self) -> int:
        """The number of the newest generation."""
        objects = self._store.listed(self._name, most=1).objects
        return _number(objects[0].name) if objects else 0

    def put(self, number: int, generation: Stored) -> bool:
        """Put a generation unless its number is taken; whether it is there now."""
        return self._store.put_new(self._at(number), msgspec.json.encode(generation))

    def is_newest(self, number: int, generation: Stored) -> bool:
        """Whether the newest generation has this number, and these very bytes are in its place."""
        return self.newest_number() == number and self._store.get(self._at(number)) == msgspec.json.encode(generation)

    def prune(self, number: int) -> None:
        """After the put of a generation: keep the newest ones, and whatever is young.

        Whoever lets a lease go prunes nothing, and that may be every other generation: so the next one does it too.
        """
        if number % PRUNED_EVERY > 1:
            return
        listing = self._store.listed(self._name)
        for old in reversed(listing.objects[KEPT_GENERATIONS:]):
            if listing.now - old.put_at <= KEPT_FOR:
                return
            self._store.delete(old.name)

    def _at(self, number: int) -> str:
        return f"{self._name}/{_HIGHEST - number:012d}.json"


def _number(name: str) -> int:
    return _HIGHEST - int(name.rpartition("/")[2].removesuffix(".json"))


class _Format(Struct):
    format: int


def decode(store: ObjectStore, name: str, data: bytes, kind: type[Stored], formats: tuple[int, ...]) -> Stored:
    """An object of a state. ``ConfigurationError`` for one that cannot be read, or is of another version."""
    unreadable = f"state {store}: {name} cannot be read, so nothing is done: put it back as it was written"
    try:
        form = msgspec.json.decode(data, type=_Format).format
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{unreadable} ({error})") from error
    if form not in formats:
        known = " and ".join(map(str, formats))
        raise ConfigurationError(
            f"state {store}: {name} has format {form}, this version reads format {known}; use the version that wrote it"
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{unreadable} ({error})") from error
