"""Our own request to a worker: a signal written down, so that one function can hand work to another.

The form is strict, unlike that of events: a key that is not known comes from another version of this program,
and leaving it out would lose work.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from orgshare.signals.model import Id, ImageAt, MalformedEvent, Parsed, Part, Signal, line, read
from orgshare.words import Shard

_WHAT = "a request to a worker"


class _Image(Struct, forbid_unknown_fields=True, omit_defaults=True):
    id: Id
    region: Id | None = None
    owner: Id | None = None


class _Work(Struct, forbid_unknown_fields=True, omit_defaults=True):
    accounts: list[Id] = []
    images: list[Id | _Image] = []
    shards: list[str] = []
    everything: bool = False
    organization: bool = False
    parts: list[str] = []
    beside: list[str] = []
    again: Annotated[int, Meta(ge=0)] = 0
    why: list[str] = []


class _Request(Struct, forbid_unknown_fields=True):
    orgshare: _Work


def worker_request(signal: Signal) -> str:
    """The signal as a payload that ``parse`` reads back to an equal signal; equal signals are equal text."""
    work = _Work(
        accounts=list[Id](sorted(signal.accounts)),
        images=[_written(i) for i in sorted(signal.images, key=_order)],
        shards=sorted(map(str, signal.shards)),
        everything=signal.everything,
        organization=signal.organization,
        parts=[f"{part.shard}/{part.number}/{part.of}" for part in sorted(signal.parts)],
        beside=sorted(map(str, signal.beside)),
        again=signal.again,
        why=list(signal.why),
    )
    return msgspec.json.encode(_Request(work)).decode()


def parse(event: dict[str, Any]) -> Parsed:
    """The signal in a request to a worker."""
    work = read(event, _Request, _WHAT).orgshare
    return Parsed(
        Signal(
            accounts=frozenset(map(str, work.accounts)),
            images=frozenset(map(_image, work.images)),
            shards=frozenset(map(_shard, work.shards)),
            everything=work.everything,
            organization=work.organization,
            parts=frozenset(map(_part, work.parts)),
            beside=frozenset(map(_shard, work.beside)),
            again=work.again,
            why=tuple(work.why),
        )
    )


def _order(image: ImageAt) -> tuple[str, str, str]:
    return image.id, image.region or "", image.owner or ""


def _written(image: ImageAt) -> str | _Image:
    return image.id if image == ImageAt(image.id) else _Image(*image)


def _image(written: str | int | _Image) -> ImageAt:
    if not isinstance(written, _Image):
        return ImageAt(str(written))
    return ImageAt(
        str(written.id),
        None if written.region is None else str(written.region),
        None if written.owner is None else str(written.owner),
    )


def _shard(text: str) -> Shard:
    try:
        shard = Shard.parse(text)
    except ValueError as error:
        raise MalformedEvent(f"{_WHAT}: {line(error)}") from error
    read([shard.owner, shard.region], list[Id], f"{_WHAT}: shards")
    return shard


def _part(text: str) -> Part:
    match = re.fullmatch(r"(.+)/([0-9]{1,4})/([0-9]{1,4})", text)
    if match is None or not int(match[2]) < int(match[3]):
        raise MalformedEvent(f"{_WHAT}: not a part of a shard: {line(text)}; expected ecs/OWNER/REGION/NUMBER/OF")
    return Part(_shard(match[1]), int(match[2]), int(match[3]))
