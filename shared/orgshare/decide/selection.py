"""Which rules select an image. Several may: the image's audience is then the union of theirs.

Names are globs over the whole name, in the image's own case. An image that lacks tags or a family matches no rule
that asks for them. An image that is retired is selected by no rule, whatever it matches.

A copy of ours is judged as the image that it was made from would be in the copy's region, so that whoever takes a tag
off an image takes it off its copies; and a rule that copies there selects the copy of whatever it selects. Once that
image is there no more, a copy stands for itself, with the name and the tags that it was made with; but what had been
taken out of a rule before it was deleted does not come back by its copies, which still have the tags of that day.

Most rules ask for an id, a tag or a family, and most images have few of them. So rules are found by what they ask for
first, and only those that an image can match are tested: thousands of images and hundreds of rules stay cheap.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from fnmatch import translate

from msgspec.structs import replace

from orgshare.decide.audience import tags_match
from orgshare.policy.model import ImageSelector, Policy
from orgshare.retired import NONE_RETIRED, Retirements
from orgshare.words import Image

Selector = Callable[[Image], tuple[int, ...]]

_ANY = "any image"


def why_retired(policy: Policy, retired: Retirements, image: Image) -> str:
    """Who or what retired an image; empty if nobody did."""
    if image.id in retired:
        return str(retired[image.id])
    if policy.retire and tags_match(image.tags, policy.retire):
        tags = ", ".join(f"{key}: {value}" for key, value in sorted(image.tags) if key in dict(policy.retire))
        return f"retired by its tag {tags}" if len(policy.retire) == 1 else f"retired by its tags {tags}"
    return ""


def selector(policy: Policy, retired: Retirements = NONE_RETIRED) -> Selector:
    """A function from an image to the indexes of the rules that select it: of one that is retired, none."""
    tests = [_test(rule.images) for rule in policy.rules]
    asking: dict[Hashable, list[int]] = defaultdict(list)
    for index, rule in enumerate(policy.rules):
        for key in _asked_for(rule.images):
            asking[key].append(index)

    def matching(image: Image) -> set[int]:
        candidates = {index for key in _offered(image) for index in asking.get(key, ())}
        return {index for index in candidates if tests[index](image)}

    def as_copy(image: Image, made_from: Image) -> set[int]:
        here = replace(made_from, within=image.region)
        copying = {index for index in matching(made_from) if image.region in policy.rules[index].copy_to}
        return matching(here) | matching(replace(here, id=image.id)) | copying

    def select(image: Image) -> tuple[int, ...]:
        if why_retired(policy, retired, image):
            return ()
        if image.origin is None:
            return tuple(sorted(matching(image)))
        if image.origin.now is not None:
            return tuple(sorted(as_copy(image, image.origin.now)))
        found = as_copy(image, replace(image, id=image.origin.id, within=image.origin.region))
        return tuple(sorted(found if image.origin.last is None else found & as_copy(image, image.origin.last)))

    return select


def _asked_for(wanted: ImageSelector) -> Iterable[Hashable]:
    """Keys of which an image must offer one to match: by id, tag or family if the rule asks for any of these."""
    if wanted.ids:
        return [("id", image) for image in wanted.ids]
    if wanted.tags:
        key, values = wanted.tags[0]
        return [("tag", key, value) for value in values]
    if wanted.families:
        return [("family", family) for family in wanted.families]
    return [_ANY]


def _offered(image: Image) -> Iterable[Hashable]:
    yield _ANY
    yield "id", image.id
    yield "family", image.family
    for key, value in image.tags:
        yield "tag", key, value


def _test(wanted: ImageSelector) -> Callable[[Image], bool]:
    names = re.compile("|".join(translate(name) for name in wanted.names)) if wanted.names else None

    def matches(image: Image) -> bool:
        return (
            image.shard.service in wanted.services
            and (not wanted.owners or image.shard.owner in wanted.owners)
            and (not wanted.regions or image.region in wanted.regions)
            and (not wanted.ids or image.id in wanted.ids)
            and (not wanted.families or image.family in wanted.families)
            and (names is None or names.match(image.name) is not None)
            and (not wanted.tags or tags_match(image.tags, wanted.tags))
        )

    return matches
