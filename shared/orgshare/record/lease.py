"""The lease of a shard: one run writes at a time, and whoever lost it writes nothing more.

The lease is the newest generation of the shard itself. A run takes it by putting the generation after the one that its
decisions rest on, and holds it only if that generation is the newest afterwards, with its own bytes in it. Its age is
reckoned from the store's own times, so the clocks of two machines need not agree; a run that died lets go by getting
old. The holder asks before every call whether it still may: whether nobody is newer, enough time is left for a call
that is never answered to be over, and nobody paused the shard.

What can go wrong is a holder that stood still: a machine that slept, a function that was frozen. So the time that
passed is the longer of what two clocks say, one that may be set and one that may stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from msgspec import Struct

from orgshare.errors import Busy, CredentialsRefused, OrgshareError, Paused, StopShard, VendorError
from orgshare.ledger import Ledger
from orgshare.record.forms import LeaseMark
from orgshare.record.series import Series
from orgshare.trust import RoleLedger
from orgshare.words import Shard

Answer = TypeVar("Answer")
Kept = TypeVar("Kept")

LONGEST_CALL = 20.0
"""Seconds after which a call that was begun is over, answered or not: connecting takes at most 5 and reading 10."""

LOOKED_AT = 30.0
"""Seconds after which the holder looks whether anybody is newer."""

TICK = timedelta(seconds=1)
"""Object storage tells times in whole seconds."""


class Clocks(Struct, frozen=True):
    """The time of day, and seconds that only go forward."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


class LeaseOf(Generic[Kept]):
    """A shard that this run holds once ``commit`` succeeded. Any number of threads may ask it.

    ``number`` is that of the generation that this run's decisions rest on, ``form`` how a ledger is written down.
    """

    def __init__(
        self,
        series: Series[Any],
        shard: Shard,
        number: int,
        ledger: Kept,
        *,
        form: Callable[[Kept, LeaseMark], Struct],
        run: str,
        seconds: float,
        clocks: Clocks,
        paused: Callable[[], str],
    ) -> None:
        self._series, self._shard, self._number = series, shard, number
        self._run, self._seconds, self._clocks, self._paused = run, seconds, clocks, paused
        self._written = form
        self._lock = threading.RLock()
        self._ledger = ledger
        self._form: Struct | None = None
        self._lost = False
        self._put_at = self._looked_at = (clocks.now(), clocks.monotonic())

    @property
    def number(self) -> int:
        """The number of the newest generation that this run rests on, or wrote itself."""
        return self._number

    def commit(self, ledger: Kept) -> None:
        """Write the ledger down, which renews the lease. Raises ``StopShard``: ``Busy`` if another run is newer."""
        with self._lock:
            began = (self._clocks.now(), self._clocks.monotonic())
            form = self._form = self._put(ledger, self._seconds)
            if not self._answered(lambda: self._series.is_newest(self._number, form)):
                raise self._overtaken()
            self._put_at = self._looked_at = began
            self._ledger = ledger
            self._answered(lambda: self._series.prune(self._number))

    def check(self) -> None:
        """Ask before a call that writes. Raises ``Busy``, ``Paused``, or ``StopShard`` if the state does not answer."""
        with self._lock:
            if self._lost:
                raise self._overtaken()
            why = self._answered(self._paused)
            if why:
                raise Paused(f"{self._shard}: {why}; nothing more is written there until «orgshare resume»")
            if self._since(self._put_at) >= self._seconds / 3:
                self._still_in_time()
                self.commit(self._ledger)
            elif self._since(self._looked_at) > LOOKED_AT:
                began = (self._clocks.now(), self._clocks.monotonic())
                form = self._form
                if form is None or not self._answered(lambda: self._series.is_newest(self._number, form)):
                    raise self._overtaken()
                self._looked_at = began
            self._still_in_time()  # last, because the state may have taken its time to answer

    def release(self, ledger: Kept) -> None:
        """Write the ledger down and let go. Raises ``StopShard`` if another run is newer, or nobody answers."""
        with self._lock:
            if ledger == self._ledger and self._since(self._put_at) >= self._seconds:
                return  # it is over, and there is nothing to write down
            self._put(ledger, 0)

    def let_go(self) -> None:
        """End the lease after an error: no call begins any more, and those under way have time to be over.

        One more error changes nothing: then the lease ends when it is old.
        """
        with self._lock, suppress(OrgshareError):
            self._put(self._ledger, LONGEST_CALL)
        self._lost = True

    def _still_in_time(self) -> None:
        if self._since(self._put_at) >= self._seconds - min(LONGEST_CALL, self._seconds / 4):
            raise Busy(f"{self._shard}: this run was held up until its lease was over; the next run goes on")

    def _put(self, ledger: Kept, seconds: float) -> Struct:
        form = self._written(ledger, LeaseMark(self._run, seconds))
        if self._lost or not self._answered(lambda: self._series.put(self._number + 1, form)):
            raise self._overtaken()
        self._number += 1
        return form

    def _since(self, moment: tuple[datetime, float]) -> float:
        """Seconds since a moment: by the clock that says more. The time of day is told in whole seconds."""
        wall, steady = moment
        return max((self._clocks.now() - wall).total_seconds() - 1, self._clocks.monotonic() - steady)

    def _answered(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except (VendorError, CredentialsRefused) as error:
            why = f"{self._shard}: the state does not answer, so nothing more is written there: {error}"
            raise StopShard(why) from error

    def _overtaken(self) -> Busy:
        self._lost = True
        return Busy(f"{self._shard}: another run is writing to its state; nothing more is done there in this run")


Lease = LeaseOf[Ledger]
"""The lease of a shard."""

RoleLease = LeaseOf[RoleLedger]
"""The lease of an owner's sharing role, which is a shard of its own."""
