"""Handing work to workers: a signal beside each shard, a mark, and an invocation for whoever is not on the way yet.

What is to be done is written down before anybody is asked to do it. So an invocation that could not be placed, or that
never came, costs only time: the signal waits, and the next event, watch or sweep wakes a worker for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from orgshare.errors import CredentialsRefused, VendorError
from orgshare.focus import focus_of
from orgshare.ports import Workers
from orgshare.signals import Signal, worker_request
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.words import Shard


class Woken(Struct, frozen=True):
    """For which shards a worker was invoked, for which it could not be and why not, and which a person paused.

    For all others that were asked for, one was on the way already.
    """

    invoked: tuple[Shard, ...] = ()
    unplaced: Mapping[Shard, VendorError | CredentialsRefused] = {}
    paused: tuple[Shard, ...] = ()

    def and_then(self, later: Woken) -> Woken:
        """Both together; a worker that was placed later makes up for one that was not."""
        invoked = tuple(sorted({*self.invoked, *later.invoked}))
        unplaced = {shard: why for shard, why in {**self.unplaced, **later.unplaced}.items() if shard not in invoked}
        return Woken(invoked, unplaced, tuple(sorted({*self.paused, *later.paused})))


NOBODY_WOKEN = Woken()


def wake(runtime: Runtime, workers: Workers, wanted: Mapping[Shard, Signal]) -> Woken:
    """Leave what is wanted beside each shard, and see to it that a worker comes.

    Of a shard with an empty signal, only what waits there already is wanted. Raises ``StopRun`` where nothing could be
    written down.
    """

    def leave(shard: Shard, signal: Signal, by: str) -> None:
        if not signal.empty:
            runtime.state.leave(shard, signal, by=by)

    def one(item: tuple[Shard, Signal]) -> tuple[Shard, str, VendorError | CredentialsRefused | None]:
        shard, signal = item
        state = runtime.state
        with asking_the_state():
            if state.paused(shard):
                leave(shard, signal, runtime.run)
                return shard, "paused", None
            marks = state.marks(shard)
            if not marks.ask(lambda mark: leave(shard, signal, mark), run=runtime.run):
                return shard, "", None
        try:
            workers.invoke(worker_request(Signal(beside=frozenset({shard}))))
        except (VendorError, CredentialsRefused) as error:
            with asking_the_state():
                marks.take()  # nobody is on the way
            return shard, "unplaced", error
        return shard, "invoked", None

    found = tuple(runtime.executor.map(one, sorted(wanted.items(), key=lambda item: item[0])))
    return Woken(
        tuple(shard for shard, what, _ in found if what == "invoked"),
        {shard: why for shard, _, why in found if why is not None},
        tuple(shard for shard, what, _ in found if what == "paused"),
    )


def shards_of(signal: Signal, named: Iterable[Shard]) -> Mapping[Shard, Signal]:
    """What a signal asks of each shard of the policy: a sweep of each one whole, and of the others what lies there."""
    if signal.everything:
        return {shard: Signal(shards=frozenset({shard}), why=signal.why) for shard in named}
    wanted: dict[Shard, Signal] = {}
    for shard in named:
        images = frozenset(i for i in signal.images if focus_of(Signal(images=frozenset({i}))).takes_shard(shard))
        whole = signal.shards & {shard}
        parts = frozenset(part for part in signal.parts if part.shard == shard)
        if images or whole or parts or shard in signal.beside:
            wanted[shard] = Signal(images=images, shards=whole, parts=parts, why=signal.why)
    return wanted
