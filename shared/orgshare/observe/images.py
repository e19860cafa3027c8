"""Reading images and the accounts they are shared with.

One image that cannot be read is that image's matter: it is passed over whole, with the reason, and the others go on.
A shard that cannot be listed is that shard's matter in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping

from orgshare.errors import IncompleteRead, VendorError
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


def read_grants(service: ImageAccess, image: str) -> tuple[Grant, ...]:
    """All direct grants of an image. Raises ``VendorError`` or ``IncompleteRead``."""
    return read_list(
        f"accounts that {image} is shared with", lambda page: service.grants(image, page), lambda g: g.account
    )


def same_selection(one: Image, other: Image) -> bool:
    """Whether two readings of an image agree in everything that a rule can select it by."""
    return (one.name, one.family, one.tags) == (other.name, other.family, other.tags)
