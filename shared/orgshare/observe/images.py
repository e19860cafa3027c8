"""Reading images and the accounts they are shared with.

One image that cannot be read is that image's matter: it is passed over whole, with the reason, and the others go on.
A shard that cannot be listed is that shard's matter in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orgshare.errors import UNREAD, IncompleteRead, VendorError
from orgshare.observe.listing import read_list, read_token_list
from orgshare.ports import ImageAccess, PagedImages, RegionalImages
from orgshare.words import Grant, Image, Shard


def list_images(service: PagedImages, shard: Shard) -> tuple[Image, ...]:
    """All own images of a shard, of every status. Raises ``VendorError`` or ``IncompleteRead``."""
    return read_list(f"images of {shard}", service.images, lambda image: image.id)


def list_regions(service: RegionalImages, shard: Shard) -> tuple[tuple[Image, ...], Mapping[str, str]]:
    """All images of a shard with several regions, and the regions that could not be listed with the reason."""
    found: list[Image] = []
    unread: dict[str, str] = {}
    for region in service.regions():
        try:
            found += _list_region(service, shard, region)
        except (VendorError, IncompleteRead) as error:
            unread[region] = str(error)
    return tuple(found), unread


def _list_region(service: RegionalImages, shard: Shard, region: str) -> tuple[Image, ...]:
    what = f"images of {shard} in {region}"
    return read_token_list(what, lambda token: service.images_in(region, token), lambda image: image.id)


ASKED_BY_ID = 20
"""Up to this many images of a shard are asked for one by one; more are cheaper to find in the listing."""


def ask_by_id(
    service: ImageAccess, images: Iterable[str]
) -> tuple[tuple[Image, ...], frozenset[str], Mapping[str, str]]:
    """The images that are there, those that are not, and those that could not be read with the reason."""
    found, absent, unread = [], set(), {}
    for image in sorted(images):
        try:
            row = service.image(image)
        except UNREAD as error:
            unread[image] = str(error)
            continue
        if row is None:
            absent.add(image)
        else:
            found.append(row)
    return tuple(found), frozenset(absent), unread


def read_grants(service: ImageAccess, image: str) -> tuple[Grant, ...]:
    """All direct grants of an image. Raises ``VendorError`` or ``IncompleteRead``."""
    return read_list(
        f"accounts that {image} is shared with", lambda page: service.grants(image, page), lambda g: g.account
    )


def same_selection(one: Image, other: Image) -> bool:
    """Whether two readings of an image agree in everything that a rule can select it by, a copy with what it was made
    from."""
    return _selected_by(one) == _selected_by(other)


def _selected_by(image: Image) -> tuple[object, ...]:
    own = (image.name, image.family, image.tags)
    if image.origin is None:
        return own
    now = image.origin.now
    return (*own, image.origin.id, None if now is None else _selected_by(now))
