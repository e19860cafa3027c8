"""Who wakes whom: two objects beside a place of the state, so that a thousand events are a handful of passes.

Whoever has left something for a worker puts the mark. Only who could put it has to wake a worker; where it is there
already, somebody is on the way. The worker claims the place, takes the mark away, and looks only then at what was left;
one that finds the place claimed leaves at once, because the other looks for the mark again after it let go. So at any
time one is at work and at most one more pass is asked for, and whatever came after the look has a mark of its own.

What can go wrong: an invocation that never comes, or a worker that dies. So a mark that is too old is taken for lost
and a worker is woken anew, and a claim ends with its age, which is reckoned by the store's own times. Two workers at
one place do no harm: the lease lets one of them write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import msgspec
from msgspec import Struct

from orgshare.ports import ObjectStore
from orgshare.record.forms import FORMAT

LOST_AFTER = timedelta(minutes=5)
"""How long after a worker was asked for it may not have begun, before it is asked for again."""

ATTEMPTS = 5


class _Mark(Struct, frozen=True):
    format: int
    id: str


class Marks:
    """The mark and the claim of one place. ``numbers`` make the marks of one run different."""

    def __init__(self, store: ObjectStore, place: str, numbers: Iterator[int]) -> None:
        self._store = store
        self._place = place
        self._numbers = numbers
        self._mark, self._claim = f"{place}/mark.json", f"{place}/claim.json"

    def ask(self, leave: Callable[[str], object], *, run: str) -> bool:
        """Leave something for a worker, by the id of the mark; whether the caller has to wake one.

        What was left under a mark that was taken away meanwhile may have come after the worker's look: then it is left
        again, under another mark.
        """
        wake = False
        for _ in range(ATTEMPTS):
            mark, new = self._put(run)
            wake |= new
            leave(mark)
            if self._read() == mark:
                return wake
        return True

    def asked(self) -> bool:
        """Whether a worker is asked for."""
        return self._store.get(self._mark) is not None

    def take(self) -> None:
        """Take the mark away, before looking at what was left."""
        self._store.delete(self._mark)

    def claim(self, run: str, *, stands: float) -> bool:
        """Be the one who is at work here; whether nobody else is.

        Who is at work for more than ``stands`` seconds may have died, as with a lease: nobody makes way any more.
        """
        data = msgspec.json.encode(_Mark(FORMAT, run))
        if self._store.put_new(self._claim, data):
            return True
        if self._age(self._claim) < timedelta(seconds=stands):
            return False
        self._store.delete(self._claim)
        return self._store.put_new(self._claim, data)

    def let_go(self) -> None:
        """Be at work here no more. Whoever does so looks at ``asked`` once more afterwards."""
        self._store.delete(self._claim)

    def _put(self, run: str) -> tuple[str, bool]:
        """The id of the mark that is there now, and whether it is new, and so wakes nobody yet."""
        mark = ""
        for _ in range(ATTEMPTS):
            mark = f"{run}-{next(self._numbers)}"
            if self._store.put_new(self._mark, msgspec.json.encode(_Mark(FORMAT, mark))):
                break
            found = self._read()
            if found is None:
                continue
            if self._age(self._mark) < LOST_AFTER:
                return found, False
            self._store.delete(self._mark)
        return mark, True

    def _read(self) -> str | None:
        data = self._store.get(self._mark)
        try:
            return None if data is None else msgspec.json.decode(data, type=_Mark).id
        except msgspec.MsgspecError:
            return ""

    def _age(self, name: str) -> timedelta:
        """How old an object is, by the store's own times; one that is gone is as new as can be."""
        listing = self._store.listed(self._place)
        ages = (listing.now - found.put_at for found in listing.objects if found.name == name)
        return next(ages, timedelta())
