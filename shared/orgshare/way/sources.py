"""Reading what copies are made from: images of an owner's other regions, for the shard that they are copied to.

A copy is made and looked after by the shard in which it is, because only a complete listing there can tell that there
is none yet. So that shard reads the images that rules copy there, and those that its copies were made from.

What can go wrong is a region that cannot be read: its images are not copied then, and nothing is concluded about copies
of them, as of any image that could not be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from orgshare.copies import as_last_seen, copies_there, copy_tag, settle_copies, with_sources
from orgshare.decide.facts import Copying
from orgshare.decide.selection import Selector
from orgshare.errors import UNREAD
from orgshare.focus import Focus, Selection
from orgshare.ledger import Ledger
from orgshare.observe.encryption import with_encryption
from orgshare.observe.images import ASKED_BY_ID, ask_by_id, list_images
from orgshare.way.runtime import Runtime
from orgshare.words import Image, Origin, Shard

NOTHING_UNREAD: Mapping[str, str] = MappingProxyType({})


class Sources(Struct, frozen=True):
    """The images of a shard, copies of ours with their origins.

    ``unread`` are copies of which nobody knows what they were made from, and why; ``gaps`` are regions that could not
    be listed, and why. ``copying`` is ``None`` where nothing is copied to and nothing was.
    """

    images: tuple[Image, ...]
    copying: Copying | None = None
    unread: Mapping[str, str] = NOTHING_UNREAD
    gaps: Mapping[str, str] = NOTHING_UNREAD


class _Region(Struct, frozen=True):
    """What was read of one other region."""

    found: Mapping[str, Image]
    unread: Mapping[str, str]
    gap: str = ""


def read_sources(
    runtime: Runtime,
    focus: Focus,
    shard: Shard,
    images: tuple[Image, ...],
    ledger: Ledger,
    select: Selector,
    *,
    regions: Collection[str],
    listed: Mapping[Shard, tuple[Image, ...]],
    unread: Collection[str],
) -> Sources:
    """What a shard's copies were made from, and what is to be copied there. All its ``images`` are listed but those
    that could not be read; ``regions`` are those of the owner, and of the shards that are ``listed`` nothing is read
    again."""
    rules = runtime.policy.copying_to(shard.owner, shard.region)
    copies = settle_copies(ledger.copies, images, runtime.policy.deployment, unread)
    if not (rules or copies):
        return Sources(images)
    there = {image.id for image in images}
    made = {copy.id: source for source, copy in copies.items() if copy.id in there}
    asked: dict[str, set[str]] = defaultdict(set)
    for source in made.values():
        asked[copies[source].region].add(source)
    selections = [s for s in focus.of_shard(shard) if not (s.accounts or s.changed)]
    named = frozenset[str]().union(*(selection.images for selection in selections))
    everything = not all(selection.images for selection in selections)
    chosen = {region for rule in rules for region in rule.images.regions or regions} & {*regions} - {shard.region}
    copied_from = chosen if selections else set[str]()
    found: dict[str, _Region] = {}
    for region in sorted(copied_from | asked.keys()):
        place = Shard("ecs", shard.owner, region)
        ids = asked[region] | (named if region in copied_from else frozenset())
        whole = everything and region in copied_from
        found[region] = _read(runtime, place, ids, listed.get(place), whole=whole)
    made_from = {source: image for region, ids in asked.items() for source in ids
                 if (image := found[region].found.get(source)) is not None}  # fmt: skip
    copies = with_sources(copies, made_from)

    def with_origin(image: Image) -> Image:
        if image.id not in made:
            return image
        source = made[image.id]
        now, last = made_from.get(source), as_last_seen(copies[source], source, image)
        return replace(image, origin=Origin(source, copies[source].region, now, last))

    def is_wanted(image: Image) -> bool:
        chosen = [runtime.policy.rules[index] for index in select(image)]
        names = frozenset(rule.name for rule in chosen)
        return any(shard.region in rule.copy_to for rule in chosen) and any(_takes(s, image, names) for s in selections)

    wanted = [image for region in sorted(copied_from) for image in found[region].found.values() if is_wanted(image)]
    sources, unsure = _with_encryption(runtime, wanted, copies_there(images).keys())
    return Sources(
        tuple(map(with_origin, images)),
        Copying(sources, images, copies, unsure, frozenset(unread)),
        {
            copy: f"what it was made from could not be read: {found[copies[source].region].unread[source]}"
            for copy, source in made.items()
            if source in found[copies[source].region].unread
        },
        {region: f"images that are copied from there: {read.gap}" for region, read in found.items() if read.gap},
    )


def _read(
    runtime: Runtime, place: Shard, ids: Iterable[str], listed: tuple[Image, ...] | None, *, whole: bool
) -> _Region:
    """The images of a region: all, or at least those with these ids. What a listing lacks is asked for alone."""
    ids = frozenset(ids)
    try:
        service = runtime.cloud.ecs_images(place)
        if listed is None and (whole or len(ids) > ASKED_BY_ID):
            listed = list_images(service, place)
    except UNREAD as error:
        return _Region({}, dict.fromkeys(ids, str(error)), str(error))
    found = {image.id: image for image in listed or ()}
    more, _, unread = ask_by_id(service, ids - found.keys())
    return _Region({**found, **{image.id: image for image in more}}, unread)


def _takes(selection: Selection, image: Image, rules: frozenset[str]) -> bool:
    """Whether a selection asks for an image that these rules select."""
    if selection.images and image.id not in selection.images:
        return False
    if selection.part is not None and crc32(image.id.encode()) % selection.part[1] != selection.part[0]:
        return False
    return not selection.rules or not selection.rules.isdisjoint(rules)


def _with_encryption(
    runtime: Runtime, sources: list[Image], known: Collection[str]
) -> tuple[tuple[Image, ...], Mapping[str, str]]:
    """The images that rules copy, and of those that have no copy yet whether they are encrypted, or why nobody can
    tell."""
    asking: dict[Shard, list[Image]] = defaultdict(list)
    for image in sources:
        if image.encrypted is None and copy_tag(image)[1] not in known:
            asking[image.shard].append(image)
    said: dict[str, Image] = {}
    unsure: dict[str, str] = {}
    for place, images in sorted(asking.items()):
        answers, why = with_encryption(runtime.cloud.ecs_images(place), images)
        said.update((image.id, image) for image in answers)
        unsure.update(why)
    return tuple(said.get(image.id, image) for image in sources), unsure


def origin_again(runtime: Runtime, image: Image) -> Origin | None:
    """A second reading of what a copy was made from. Raises as every reading does."""
    if image.origin is None:
        return None
    place = Shard("ecs", image.shard.owner, image.origin.region)
    return replace(image.origin, now=runtime.cloud.ecs_images(place).image(image.origin.id))
