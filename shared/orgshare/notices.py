"""What a person is told, and when: each matter once, and again daily while it stands.

A run finds matters; what was found before, and when it was told, is remembered. What is new is told at once, unless it
mostly passes by itself: then it has to stand for a while. Two runs that find the same matter at once would both tell
it, so it is claimed before it is told; a claim that nobody made good on ends by itself, and the matter is told then.

What can go wrong is silence: a matter that counts as told although nobody heard of it. So it is told again where it is
not known whether it was, and a matter is forgotten only by a run that looked at everything around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

AGAIN = timedelta(hours=23, minutes=30)
"""After which a matter that stands is told again: a little less than the day between two runs of a daily timer."""

CLAIM = timedelta(minutes=10)
"""How long a claim stands of a run that did not say what became of it: longer than a run may take to tell."""

FORGOTTEN = timedelta(days=7)
"""How long a matter is remembered that no run finds any more, where no run looked at everything around it."""


class Matter(Struct, frozen=True, kw_only=True):
    """Something that a person should know, and what to do about it.

    ``key`` is the same whenever it is the same matter. ``scope`` is what has to be looked at whole to know that it is
    over: a shard, the regions of an owner, what every run looks at, or empty for the whole deployment. It is told when
    it has stood for ``patience``.
    """

    key: str
    kind: str
    where: str
    what: str
    do: str
    scope: str = ""
    patience: timedelta = timedelta()


class Noted(Struct, frozen=True, kw_only=True):
    """What is remembered of a matter: since when it stands, when it was told, and who is about to tell it."""

    since: datetime
    scope: str = ""
    told: datetime | None = None
    claimed: datetime | None = None


Notes = Mapping[str, Noted]
NO_NOTES: Notes = MappingProxyType({})


class Notice(Struct, frozen=True):
    """A matter that is to be told now; ``new`` if nobody was told of it yet."""

    matter: Matter
    since: datetime
    new: bool


def due(
    notes: Notes, matters: Iterable[Matter], now: datetime, *, looked_at: Callable[[str], bool]
) -> tuple[Notes, tuple[Notice, ...]]:
    """What is remembered after a run that found these matters, and those to be told now, which it has claimed.

    ``looked_at`` says of a scope whether the run looked at all of it: what it did not find there is over.
    """
    found = {matter.key: matter for matter in matters}
    after = {key: noted for key, noted in notes.items() if key in found or not _over(noted, now, looked_at)}
    notices = []
    for key, matter in found.items():
        noted = after.get(key) or Noted(since=now, scope=matter.scope)
        after[key] = noted
        if _is_due(noted, matter, now):
            notices.append(Notice(matter, noted.since, noted.told is None))
            after[key] = replace(noted, claimed=now)
    return after, tuple(sorted(notices, key=lambda notice: (not notice.new, notice.matter.kind, notice.matter.key)))


def settled(notes: Notes, keys: Iterable[str], *, told: datetime | None) -> Notes:
    """What is remembered after an attempt to tell these matters: when they were told, or that nobody is about to."""
    changed = {key: notes[key] for key in keys if key in notes}
    return {**notes, **{k: replace(n, told=told or n.told, claimed=None) for k, n in changed.items()}}


def _over(noted: Noted, now: datetime, looked_at: Callable[[str], bool]) -> bool:
    return looked_at(noted.scope) or now - (noted.told or noted.since) > FORGOTTEN


def _is_due(noted: Noted, matter: Matter, now: datetime) -> bool:
    if noted.claimed is not None and now - noted.claimed < CLAIM:
        return False
    if noted.told is not None:
        return now - noted.told >= AGAIN
    return now - noted.since >= matter.patience
