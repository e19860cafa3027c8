"""Reading images and the accounts they are shared with.

One image that cannot be read is that image's matter: it is passed over whole, with the reason, and the others go on.
A shard that cannot be listed is that shard's matter in the same way.
"""

from __future__ import annotations

from orgshare.observe.listing import read_list
from orgshare.ports import ImageService
from orgshare.words import Grant, Image, Shard


def list_images(service: ImageService, shard: Shard) -> tuple[Image, ...]:
    """All own images of a shard, of every status. Raises ``VendorError`` or ``IncompleteRead``."""
    return read_list(f"images of {shard}", service.images, lambda image: image.id)


def read_grants(service: ImageService, image: str) -> tuple[Grant, ...]:
    """All direct grants of an image. Raises ``VendorError`` or ``IncompleteRead``."""
    return read_list(
        f"accounts that {image} is shared with", lambda page: service.grants(image, page), lambda g: g.account
    )


def same_selection(one: Image, other: Image) -> bool:
    """Whether two readings of an image agree in everything that a rule can select it by."""
    return (one.name, one.family, one.tags) == (other.name, other.family, other.tags)
