"""One thread at a time: runs hand a baton over at every call, and the seed says who goes on.

Real threads are used because the program's calls go through SDKs that cannot be suspended otherwise. Which of them
goes on is decided only here, so the same seed gives the same interleaving whatever the machine does.

What can go wrong: a thread that waits for one that waits for it. So nobody may hold a lock of the program across a
call for which another run would wait; runs share nothing but the cloud and the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random

PATIENCE = 60.0
"""Real seconds after which a thread that never gets its turn is a defect of the simulation."""

STALLED = 5.0
"""Seconds of the simulated clock for which a write may be on its way while others go on: a call has a timeout."""


class _Seat:
    """One participant: its own gate, and since when it stands before a write."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.writing_since: float | None = None
        self.problem: BaseException | None = None


class Turns:
    """Lets several pieces of work take turns; alone, a piece of work just runs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._random = Random(0)
        self._pace = 1.0
        self._waiting: list[_Seat] = []
        self._now: _Seat | None = None
        self._main = threading.Semaphore(0)

    @property
    def alone(self) -> bool:
        """Whether nobody else waits for a turn."""
        return not self._waiting

    def calm(self) -> bool:
        """Whether nobody stands before a write, so that much time may pass."""
        return all(seat.writing_since is None for seat in self._waiting)

    def all(self, work: Sequence[Callable[[], None]], *, seed: int, pace: float) -> None:
        """Do all of it, in turns; what one of them raised is raised again when all are done."""
        if len(work) == 1:
            work[0]()
            return
        self._random, self._pace = Random(seed), pace
        seats = [_Seat() for _ in work]
        threads = [
            threading.Thread(target=self._sit, args=(seat, piece), daemon=True)
            for seat, piece in zip(seats, work, strict=True)
        ]
        self._waiting = list(seats)
        for thread in threads:
            thread.start()
        self._pass_on()
        if not self._main.acquire(timeout=PATIENCE):
            raise RuntimeError("a run never ended: it waits for another, or works for ever")
        for thread in threads:
            thread.join(PATIENCE)
        self._now = None
        for seat in seats:
            if seat.problem is not None:
                raise seat.problem

    def hand_over(self, *, write: bool = False) -> None:
        """Perhaps let somebody else go on; back when it is this one's turn again."""
        seat = self._now
        if seat is None or not self._waiting:
            return
        if self._random.random() >= self._pace and not self._due():
            return
        seat.writing_since = self._clock() if write else None
        self._waiting.append(seat)
        self._pass_on()
        if not seat.gate.acquire(timeout=PATIENCE):
            raise RuntimeError("a run never got its turn")
        seat.writing_since = None

    def _sit(self, seat: _Seat, piece: Callable[[], None]) -> None:
        seat.gate.acquire()
        try:
            piece()
        except BaseException as problem:  # noqa: BLE001 - handed to whoever started it
            seat.problem = problem
        if self._waiting:
            self._pass_on()
        else:
            self._main.release()

    def _pass_on(self) -> None:
        due = self._due()
        seat = due if due is not None else self._waiting[self._random.randrange(len(self._waiting))]
        self._waiting.remove(seat)
        self._now = seat
        seat.gate.release()

    def _due(self) -> _Seat | None:
        """Who has stood before a write for as long as a call may take."""
        now = self._clock()
        late = (s for s in self._waiting if s.writing_since is not None and now - s.writing_since >= STALLED)
        return next(late, None)
