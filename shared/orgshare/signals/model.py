"""What a signal is, whose events count, and the few checks that all parsers share.

Ids go from here into calls, names of stored objects and logs, so one that holds a space, a slash or a control
character, or begins with a dot, is malformed. Beyond that nothing is assumed of their form, because the vendor's
forms differ and change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Meta, Struct, structs

from orgshare.errors import OrgshareError
from orgshare.policy.model import Policy
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


class Part(NamedTuple):
    """One of several parts of a shard that is too large to be looked at at once: ``number`` of ``of``, from 0."""

    shard: Shard
    number: int
    of: int


class Signal(Struct, frozen=True):
    """What to look at: never what is true of it.

    ``accounts`` may have joined, left, moved or changed their tags; ``images`` may have appeared, changed or
    gone; ``shards`` are to be looked at whole, ``parts`` are of shards that are too large for that;
    ``everything`` asks for a sweep, whatever else is named. ``organization`` asks what changed in the
    organization since it was last seen, with ``surely`` also if a look is on the way already; ``beside``,
    to follow the signals that wait beside these shards, ``again`` after so many workers in a row that got
    no further.
    ``why`` has one short line an event, for the log.
    """

    accounts: frozenset[str] = frozenset()
    images: frozenset[ImageAt] = frozenset()
    shards: frozenset[Shard] = frozenset()
    everything: bool = False
    why: tuple[str, ...] = ()
    organization: bool = False
    surely: bool = False
    parts: frozenset[Part] = frozenset()
    beside: frozenset[Shard] = frozenset()
    again: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look at."""
        named = self.accounts or self.images or self.shards or self.parts or self.beside
        return not (self.everything or self.organization or named)


NOTHING = Signal()


class Senders(Struct, frozen=True):
    """Whose events are worth a look: the management account's for membership, the owners' for images.

    ``None`` is anybody. This spares looks and keeps the log calm; it protects nothing, because a signal says only
    where to look. So an event that does not say whose it is passes.
    """

    management: str | None = None
    owners: frozenset[str] | None = None

    def not_management(self, *accounts: str | None) -> str:
        """Why an event that these accounts have to do with is foreign to the organization, or nothing."""
        return next(
            (
                f"{line(account)} is not the management account {self.management}"
                for account in accounts
                if account and self.management is not None and account != self.management
            ),
            "",
        )

    def no_owner(self, *accounts: str | None) -> str:
        """Why an event that these accounts have to do with is of no image of ours, or nothing."""
        return next(
            (
                f"{line(account)} is no owner of the policy"
                for account in accounts
                if account and self.owners is not None and account not in self.owners
            ),
            "",
        )


ANYBODY = Senders()


def senders_of(policy: Policy) -> Senders:
    """Whose events a policy makes worth a look."""
    return Senders(policy.directory.account, frozenset(owner.account for owner in policy.owners))


def with_copies(signal: Signal, policy: Policy) -> Signal:
    """The signal with what it says of images said of the regions, too, that rules copy images to: whoever looks after
    a region makes the copies that come there."""
    regions = {region for rule in policy.rules for region in rule.copy_to}
    elsewhere = {image._replace(region=region) for image in signal.images if image.region for region in regions}
    return structs.replace(signal, images=signal.images | elsewhere)


class TrailFile(NamedTuple):
    """A file of audit records that was put into a bucket.

    ``keys`` are the names that it may have, the likely one first: whether a notice writes them URL-encoded is not
    documented. ``account`` is whose records it holds, if its name tells.
    """

    bucket: str
    keys: tuple[str, ...]
    region: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        return line(f"oss://{self.bucket}/{self.keys[0]}", 400)


class Parsed(Struct, frozen=True):
    """What a payload came to: the signal of all its events, a line for each event that was ignored, and the trail
    files that have to be read before anybody knows what they say."""

    signal: Signal = NOTHING
    ignored: tuple[str, ...] = ()
    files: tuple[TrailFile, ...] = ()


def merge(signals: Iterable[Signal]) -> Signal:
    """One signal that names all that these name, once each, however often an event came."""
    all_ = tuple(signals)
    return Signal(
        accounts=frozenset().union(*(s.accounts for s in all_)),
        images=frozenset().union(*(s.images for s in all_)),
        shards=frozenset().union(*(s.shards for s in all_)),
        everything=any(s.everything for s in all_),
        why=tuple(dict.fromkeys(line for s in all_ for line in s.why)),
        organization=any(s.organization for s in all_),
        surely=any(s.surely for s in all_),
        parts=frozenset().union(*(s.parts for s in all_)),
        beside=frozenset().union(*(s.beside for s in all_)),
        again=max((s.again for s in all_), default=0),
    )


def together(parts: Iterable[Parsed]) -> Parsed:
    """One outcome of several payloads; what came twice is in it once."""
    all_ = tuple(parts)
    return Parsed(
        merge(part.signal for part in all_),
        tuple(dict.fromkeys(reason for part in all_ for reason in part.ignored)),
        tuple(dict.fromkeys(file for part in all_ for file in part.files)),
    )


def ignored(reason: str) -> Parsed:
    """An event that asks for nothing, and why."""
    return Parsed(ignored=(reason,))


def decode(text: bytes | str, what: str) -> object:
    """The JSON in the text, or ``MalformedEvent`` whatever else is in it."""
    return decode_as(text, object, what)


def decode_as(text: bytes | str | msgspec.Raw, as_: type[T], what: str) -> T:
    """The JSON in the text in the form that ``as_`` declares, or ``MalformedEvent`` whatever else is in it."""
    try:
        return msgspec.json.decode(text, type=as_)
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


_RESOURCE = re.compile(r"acs:[a-z]+:((?!\.)[!-.0-9;-~]{0,128}):((?!\.)[!-.0-9;-~]{0,128}):([a-z]+)/.*", re.DOTALL)


def place(resource: str | None, kind: str) -> tuple[str | None, str | None]:
    """Region and account in the name of a resource of a kind, as ``acs:ecs:REGION:ACCOUNT:image/ID`` has them."""
    found = _RESOURCE.fullmatch(resource or "")
    return (found[1] or None, found[2] or None) if found and found[3] == kind else (None, None)


def line(text: object, most: int = 120) -> str:
    """The text as one printable line of bounded length, since it comes from outside and goes to a log."""
    short = str(text)[: most + 1]
    printable = "".join(c if c.isprintable() else "?" for c in short)
    return printable if len(printable) <= most else printable[: most - 1] + "…"
