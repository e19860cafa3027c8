"""Copies of images that rules ask for in other regions: each made once, and known for ours.

A call that copies is made with a token and puts a tag on the copy, both in one go. So after a run that died, or an
answer that was lost, either the listing shows a copy with the tag, or asking again with the same token makes the copy
that the first call did not make, and none if it did.

A copy is removed by a person, never by a run. One that was seen and is not there any more stays ``gone``: it is not
made anew until a person says so.

What can go wrong is to take somebody else's image for a copy of ours, and so to share it like the image that its tag
names. So a tag alone makes nothing ours: only what the ledger says that we made, or meant to make, is. And what another
deployment copied is never ours: its tag says for which one it was made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orgshare.words import DEPLOYMENT, NOBODY, Image, Tags

COPY_OF = "orgshare:copy-of"
"""The tag of a copy: the region and the id of the image that it was made from."""

_PLACE = re.compile(r"[a-z0-9-]{1,64}/m-[A-Za-z0-9-]{1,64}")

OUR_TAGS = frozenset({COPY_OF, DEPLOYMENT})

READINGS_THAT_END_A_COPY = 2


class Source(Struct, frozen=True):
    """How an image that was copied was last seen, as far as rules go by it. ``tags`` are sorted."""

    name: str
    family: str
    tags: tuple[tuple[str, str], ...]


class Copy(Struct, frozen=True):
    """A copy of an image of another ``region`` into the shard that remembers it.

    ``intended`` is written down before the call, with the ``token`` that every try has; ``made`` once the cloud named
    the copy, or listed it. ``missing`` counts readings that did not show it. ``seen`` is what it was made from: whoever
    takes an image out of a rule and deletes it then has taken its copies out for good.
    """

    region: str
    since: datetime
    token: str
    state: Literal["intended", "made", "gone"] = "intended"
    id: str = ""
    missing: int = 0
    seen: Source | None = None


Copies = Mapping[str, Copy]
"""By the id of the image that was copied."""

NO_COPIES: Copies = MappingProxyType({})


def copy_tag(source: Image) -> tuple[str, str]:
    """The tag that a copy of an image gets."""
    return COPY_OF, f"{source.region}/{source.id}"


def tags_of_copy(source: Image, deployment: str) -> Tags:
    """The tags of a copy: those of its source, less what only the vendor can set, and two of ours.

    Keys that begin with ``acs:`` or ``aliyun`` cannot be set
    (https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage).
    """
    kept = {tag for tag in source.tags if not tag[0].startswith(("acs:", "aliyun")) and tag[0] not in OUR_TAGS}
    return frozenset({*kept, copy_tag(source), (DEPLOYMENT, deployment)})


def is_copy(image: Image) -> bool:
    """Whether an image says that it is a copy, whoever made it."""
    return any(key == COPY_OF for key, _ in image.tags)


def made_for(image: Image, deployment: str) -> bool:
    """Whether an image says that it was made for a deployment."""
    return (DEPLOYMENT, deployment) in image.tags


def token_of(state: str, source: Image, region: str, since: datetime) -> str:
    """The token of all tries to make one copy: at most 64 ASCII characters."""
    return hashlib.sha256(f"{state}/{source.id}/{region}/{since.isoformat()}".encode()).hexdigest()[:40]


def copies_there(images: Iterable[Image]) -> Mapping[str, Image]:
    """The images that say they are copies, by that tag; of several the one with the first id."""
    found = sorted((image for image in images if is_copy(image)), key=lambda image: image.id, reverse=True)
    return {dict(image.tags)[COPY_OF]: image for image in found}


def recovered_copies(images: Iterable[Image], now: datetime) -> Copies:
    """What images that say they are copies would be remembered as, had the state not been lost.

    A tag that cannot be one of ours names nothing: what is remembered goes into names of hosts and into calls.
    """
    found = {}
    for place, image in copies_there(images).items():
        if _PLACE.fullmatch(place) is None:
            continue
        region, _, source = place.partition("/")
        found[source] = Copy(region, now, "", "made", image.id)
    return MappingProxyType(found)


def settle_copies(copies: Copies, there: Iterable[Image], deployment: str, unread: Collection[str] = NOBODY) -> Copies:
    """What is remembered after a complete listing of the region. Once a run: readings of one run are one. Of copies
    that are ``unread`` nothing is concluded."""
    there = tuple(there)
    ids, marked = {image.id for image in there}, copies_there(image for image in there if made_for(image, deployment))
    settled = {s: _settled(copy, s, ids, marked) for s, copy in copies.items() if copy.id not in unread}
    return MappingProxyType({**copies, **settled})


def with_sources(copies: Copies, made_from: Mapping[str, Image]) -> Copies:
    """What is remembered after a reading of the images that copies were made from, by their ids."""
    seen = {i: Source(image.name, image.family, tuple(sorted(image.tags))) for i, image in made_from.items()}
    return MappingProxyType({i: replace(copy, seen=seen.get(i, copy.seen)) for i, copy in copies.items()})


def as_last_seen(copy: Copy, source: str, like: Image) -> Image | None:
    """The image that a copy was made from as it was last seen, of the owner of an image that is ``like`` it."""
    if copy.seen is None:
        return None
    of = copy.seen
    return replace(like, id=source, within=copy.region, name=of.name, family=of.family, tags=frozenset(of.tags))


def _settled(copy: Copy, source: str, ids: set[str], marked: Mapping[str, Image]) -> Copy:
    if copy.id in ids:
        return replace(copy, state="made", missing=0)
    if copy.state == "intended":
        found = marked.get(f"{copy.region}/{source}")
        return copy if found is None else replace(copy, state="made", id=found.id)
    missing = min(copy.missing + 1, READINGS_THAT_END_A_COPY)
    return replace(copy, state="gone" if missing == READINGS_THAT_END_A_COPY else "made", missing=missing)
