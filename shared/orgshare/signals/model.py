"""What a signal is, and the few checks that all parsers share.

Ids go from here into calls, names of stored objects and logs, so one that holds a space, a slash or a control
character, or begins with a dot, is malformed. Beyond that nothing is assumed of their form, because the vendor's
forms differ and change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from orgshare.errors import OrgshareError
from orgshare.words import Shard

T = TypeVar("T")

_ID = r"\A(?!\.)[!-.0-~]{1,128}\Z"  # printable ASCII without the space and the slash
_MAYBE_ID = r"\A(?!\.)[!-.0-~]{0,128}\Z"

Id = Annotated[str, Meta(pattern=_ID)] | Annotated[int, Meta(ge=1)]
"""An id as payloads hold it: account ids are strings in most of them and numbers in some."""
MaybeId = Annotated[str, Meta(pattern=_MAYBE_ID)] | Annotated[int, Meta(ge=1)] | None
"""An id that may be absent, null or empty, which all mean the same."""


class MalformedEvent(OrgshareError):
    """The payload cannot be read. A handler lets it out: the platform then brings it before a person."""


class ImageAt(NamedTuple):
    """An image, and where the event says that it lives; ``None`` means that the event did not say.

    The place is a hint as everything here: a wrong one costs the delay until the next sweep.
    """

    id: str
    region: str | None = None
    owner: str | None = None


class Signal(Struct, frozen=True):
    """What to look at: never what is true of it.

    ``accounts`` may have joined, left, moved or changed their tags; ``images`` may have appeared, changed or
    gone; ``shards`` are to be looked at whole; ``everything`` asks for a sweep, whatever else is named.
    ``why`` has one short line an event, for the log.
    """

    accounts: frozenset[str] = frozenset()
    images: frozenset[ImageAt] = frozenset()
    shards: frozenset[Shard] = frozenset()
    everything: bool = False
    why: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look at."""
        return not (self.everything or self.accounts or self.images or self.shards)


NOTHING = Signal()


class Parsed(Struct, frozen=True):
    """What a payload came to: the signal of all its events, and a line for each event that was ignored."""

    signal: Signal = NOTHING
    ignored: tuple[str, ...] = ()


def merge(signals: Iterable[Signal]) -> Signal:
    """One signal that names all that these name, once each, however often an event came."""
    all_ = tuple(signals)
    return Signal(
        accounts=frozenset().union(*(s.accounts for s in all_)),
        images=frozenset().union(*(s.images for s in all_)),
        shards=frozenset().union(*(s.shards for s in all_)),
        everything=any(s.everything for s in all_),
        why=tuple(dict.fromkeys(line for s in all_ for line in s.why)),
    )


def ignored(reason: str) -> Parsed:
    """An event that asks for nothing, and why."""
    return Parsed(ignored=(reason,))


def decode(text: bytes | str, what: str) -> object:
    """The JSON in the text, or ``MalformedEvent`` whatever else is in it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedEvent(f"{what}: {line(error, 300)}") from error


def read(value: object, as_: type[T], what: str) -> T:
    """The value in the form that ``as_`` declares; ``MalformedEvent`` says what was expected, and where."""
    try:
        return msgspec.convert(value, as_)
    except msgspec.ValidationError as error:
        said = str(error)
        for pattern in (_ID, _MAYBE_ID):
            said = said.replace(f"`str` matching regex {pattern!r}", "an id (no space, no slash, no dot in front)")
        raise MalformedEvent(f"{what}: {line(said, 300)}") from error


def plain(value: str | int | None) -> str | None:
    """An id as text; an empty one is an absent one."""
    return str(value) if value else None


def named(tree: dict[str, Any] | None, *path: str, what: str) -> str | None:
    """The id at the end of a path of keys, or ``None`` where some part of the path is absent."""
    value: object = tree
    for key in path:
        if value is None:
            return None
        value, what = read(value, dict[str, Any], what).get(key), f"{what}: {key}"
    return plain(read(value, cast("type[str | int | None]", MaybeId), what))


def line(text: object, most: int = 120) -> str:
    """The text as one printable line of bounded length, since it comes from outside and goes to a log."""
    short = str(text)[: most + 1]
    printable = "".join(c if c.isprintable() else "?" for c in short)
    return printable if len(printable) <= most else printable[: most - 1] + "…"
