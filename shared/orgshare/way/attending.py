"""What a worker does for one shard: to follow all that waits beside it, pass after pass, until nothing is asked for.

Signals wait beside the shard before a worker is woken, so an invocation carries nothing that could be lost with it: one
that comes twice, or after the work is done, finds nothing. What was read or done only in part goes on waiting.

A shard that is too large to be read in the time of one worker is split, by what is read and never by who writes: parts
of its images wait beside it in the place of the whole, and are looked at one after the other, each under the lease of
the shard. Additions and direct grants get done that way. What resource shares give is taken away only by a look at the
whole, as ever, so a shard that never fits says so.

What can go wrong is work that is handed on for ever. So whoever hands on says whether it got further, and a part is
split only so often.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from orgshare.errors import Busy, OutOfTime
from orgshare.record.marks import Marks
from orgshare.record.state import Waiting
from orgshare.signals import Part, Signal
from orgshare.way.applying import Applied, apply
from orgshare.way.look import named_shards
from orgshare.way.passing import PASSES, asked_beside, both, breath, forget, is_free
from orgshare.way.runtime import Runtime, asking_the_state
from orgshare.words import Shard

FIRST_PARTS, MORE_PARTS, MOST_PARTS = 8, 4, 512
"""Into how many parts a shard is split, and a part that is too large again, and of how many parts it may be then."""


class Attended(Struct, frozen=True, kw_only=True):
    """What came of it: ``applied`` in all passes together, ``why`` they were asked for.

    ``rest`` says why another worker has to go on, and ``further`` whether this one got anywhere.
    """

    applied: Applied | None = None
    why: tuple[str, ...] = ()
    rest: str = ""
    further: bool = False


def attend(runtime: Runtime, shard: Shard) -> Attended:
    """Follow what waits beside a shard. Raises as ``apply`` does; what was not followed then waits on.

    Nothing is done where another worker is at it, which looks once more after letting go; where a person paused it; or
    where the policy does not name the shard any more, so that what waits there is over. Where nobody knows, because
    the owner's regions cannot be read, it waits on for the next watch. In mode observe it goes on waiting, too: it was
    left by somebody who does more.
    """
    if runtime.policy.mode == "observe":
        return Attended()
    marks = runtime.state.marks(shard)
    attended = Attended()
    for _ in range(PASSES):
        with asking_the_state():
            if runtime.state.paused(shard):
                marks.take()
                return attended
            if not marks.claim(runtime.run, stands=runtime.lease):
                return attended
        try:
            attended = _passes(runtime, shard, marks, attended)
        finally:
            with asking_the_state():
                marks.let_go()
        with asking_the_state():
            if attended.rest or not marks.asked():
                return attended
    return replace(attended, rest=f"{shard}: signals keep coming", further=True)


def _passes(runtime: Runtime, shard: Shard, marks: Marks, attended: Attended) -> Attended:
    """Passes until nothing waits that was not tried. The mark is taken away before looking, never after.

    Parts of a shard are not counted: they come to an end by themselves.
    """
    tried: set[str] = set()
    number = 0
    while number < PASSES:
        if number and not _in_parts(_untried(runtime, shard, tried)):
            runtime.sleep(breath(number))
        with asking_the_state():
            marks.take()
        waiting = _untried(runtime, shard, tried)
        if not waiting:
            return attended
        named, unread = named_shards(runtime, (shard,))
        if shard not in named:
            if any(gap.name == f"{shard.service}/{shard.owner}/*" for gap in unread):
                return attended
            with asking_the_state():
                for each in waiting:
                    runtime.state.forget(each)
            number += 1
            continue
        portion, begins = _portion(waiting)
        attended = replace(attended, why=tuple(dict.fromkeys((*attended.why, *_why(portion)))))
        try:
            applied = apply(runtime, replace(asked_beside(shard, portion), begins=begins))
        except OutOfTime as error:
            with asking_the_state():
                further = _split(runtime, shard, portion)
            if attended.applied is None and not further:
                raise
            return replace(attended, rest=str(error), further=attended.further)
        with asking_the_state():
            forget(runtime, applied, {shard: portion})
        late = next((str(e) for e in applied.stopped.values() if isinstance(e, OutOfTime)), "")
        attended = replace(
            attended,
            applied=applied if attended.applied is None else both(attended.applied, applied),
            rest=late,
            further=attended.further or bool(applied.done) or not late,
        )
        busy = isinstance(applied.stopped.get(shard), Busy)
        with asking_the_state():
            if late or not is_free(runtime, applied, shard):
                return attended
        tried |= set() if busy else {each.name for each in portion}
        number += busy or not _in_parts(portion)
    return replace(attended, rest=f"{shard}: more waits than one worker does")


def _untried(runtime: Runtime, shard: Shard, tried: set[str]) -> list[Waiting]:
    with asking_the_state():
        return [each for each in runtime.state.waiting(shard) if each.name not in tried]


def _in_parts(waiting: Iterable[Waiting]) -> bool:
    """Whether there is nothing to wait for more of: what waits are parts of a shard, or nothing."""
    return all(each.signal.parts for each in waiting)


def _why(portion: Iterable[Waiting]) -> Iterable[str]:
    return (line for each in portion for line in each.signal.why)


def _portion(waiting: list[Waiting]) -> tuple[tuple[Waiting, ...], bool]:
    """What is followed next: all at once but for the parts of a shard, which come one by one, and last.

    A part that waits twice is looked at once. A look at the whole makes up for all parts of it, and so do the parts of
    a whole that is split anew. Also whether the parts that wait are together all of the shard, so that looking at the
    first begins a look at the whole.
    """
    together = tuple(each for each in waiting if not each.signal.parts)
    if any(each.signal.everything or each.signal.shards for each in together):
        return tuple(waiting), False
    if together:
        return together, False
    parts = {part for each in waiting for part in each.signal.parts}
    finest = max(part.of for part in parts)
    covered = {number for part in parts for number in range(part.number, finest, part.of)}
    first = min((each.signal.parts for each in waiting), key=sorted)
    return tuple(each for each in waiting if each.signal.parts == first), len(covered) == finest


def _split(runtime: Runtime, shard: Shard, portion: tuple[Waiting, ...]) -> bool:
    """After the time was over before anything could be decided: smaller parts wait in the place of what was too large.

    That may be the whole, a part of it, or what many events or a change of the organization ask for. Whether there is
    anything to be split. The parts are there before what they are parts of is forgotten.
    """
    whole = asked_beside(shard, portion).takes_whole(shard)
    parts = sorted({part for each in portion for part in each.signal.parts})
    smaller: list[Part] = []
    if whole or not parts:
        smaller = [Part(shard, number, FIRST_PARTS) for number in range(FIRST_PARTS)]
    elif len(parts) == 1 and parts[0].of * MORE_PARTS <= MOST_PARTS:
        (part,) = parts
        smaller = [Part(shard, part.number + part.of * n, part.of * MORE_PARTS) for n in range(MORE_PARTS)]
    why = tuple(dict.fromkeys(_why(portion)))
    for part in smaller:
        runtime.state.leave(shard, Signal(parts=frozenset({part}), why=why), by=runtime.run)
    for each in portion if smaller else ():
        runtime.state.forget(each)
    return bool(smaller)
