"""The state of a story: an object store in memory, and the turns, deaths and looks that any store gets.

The memory is a store like any other: a name is put once, times are those of the story's clock. What can go wrong is a
store that is better than real ones; so puts are the only change, and every tenth story uses object storage instead.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from orgshare.ports import Listing, ObjectStore, StoredObject


class MemoryStore:
    """``ports.ObjectStore`` in memory; its times are in whole seconds, as those of object storage."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._objects: dict[str, tuple[bytes, datetime]] = {}

    def __str__(self) -> str:
        return "memory"

    def put_new(self, name: str, data: bytes) -> bool:
        """Store an object unless the name is taken."""
        if name in self._objects:
            return False
        self._objects[name] = (data, self._now())
        return True

    def get(self, name: str) -> bytes | None:
        """An object's bytes, or ``None``."""
        found = self._objects.get(name)
        return None if found is None else found[0]

    def listed(self, prefix: str, *, most: int | None = None) -> Listing:
        """The objects directly under a prefix."""
        start = f"{prefix}/"
        names = sorted(name for name in self._objects if name.startswith(start) and "/" not in name[len(start) :])
        return Listing(tuple(StoredObject(name, self._objects[name][1]) for name in names[:most]), self._now())

    def folders(self, prefix: str) -> list[str]:
        """The prefixes directly under a prefix."""
        start = f"{prefix}/"
        tails = (name[len(start) :] for name in self._objects if name.startswith(start))
        return sorted({start + tail.partition("/")[0] for tail in tails if "/" in tail})

    def delete(self, name: str) -> None:
        """Remove an object."""
        self._objects.pop(name, None)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), timezone.utc).replace(microsecond=0)


class WatchedStore:
    """A run's way to the state: at every call others may go on, and before and after every change it may die.

    ``moved`` is asked at every call, with what is about to be done: the operation, the name, and whether it is over.
    """

    def __init__(
        self, store: ObjectStore, moved: Callable[[str, str, bool], None], put: Callable[[str, bytes], None]
    ) -> None:
        self._store, self._moved, self._put = store, moved, put

    def __str__(self) -> str:
        return str(self._store)

    def put_new(self, name: str, data: bytes) -> bool:
        """Store an object unless the name is taken."""
        self._moved("put", name, False)
        put = self._store.put_new(name, data)
        if put:
            self._put(name, data)
        self._moved("put", name, True)
        return put

    def get(self, name: str) -> bytes | None:
        """An object's bytes, or ``None``."""
        self._moved("get", name, False)
        return self._store.get(name)

    def listed(self, prefix: str, *, most: int | None = None) -> Listing:
        """The objects directly under a prefix."""
        self._moved("list", prefix, False)
        return self._store.listed(prefix, most=most)

    def folders(self, prefix: str) -> list[str]:
        """The prefixes directly under a prefix."""
        self._moved("list", prefix, False)
        return self._store.folders(prefix)

    def delete(self, name: str) -> None:
        """Remove an object."""
        self._moved("delete", name, False)
        self._store.delete(name)
        self._moved("delete", name, True)
