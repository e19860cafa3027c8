"""Who needs the keys of an owner's encrypted images: a complete reading of whatever the account has, in all regions.

It is asked before a principal is taken out of the sharing role. So everything counts that may give an account an
encrypted image, whoever made it: direct grants, and resource shares, with what is under way. An image of which nobody
can tell whether it is encrypted counts as encrypted.

What can go wrong is a region that is not read, and looks as if nothing were there. So any error ends the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from orgshare.observe.encryption import with_encryption
from orgshare.observe.images import list_images, read_grants
from orgshare.observe.shares import read_sharing
from orgshare.ports import PagedImages, ShareService
from orgshare.words import ResourceShare, Shard, Sharing


class Keyed(Struct, frozen=True):
    """The images of a region that are encrypted, or may be, each with the accounts that it is granted to, and the
    resource shares there."""

    shard: Shard
    granted: Mapping[str, frozenset[str]]
    shares: tuple[ResourceShare, ...] = ()


def read_keyed(shard: Shard, images: PagedImages, shares: Callable[[], ShareService], known: Iterable[str]) -> Keyed:
    """Read one region. ``known`` are resource shares that the ledger has. Raises ``VendorError`` or ``IncompleteRead``.

    Resource shares are asked for only where there is an encrypted image, as not every region has the service.
    """
    found, _ = with_encryption(images, list_images(images, shard))
    encrypted = [image for image in found if image.encrypted is not False]
    granted = {image.id: frozenset(grant.account for grant in read_grants(images, image.id)) for image in encrypted}
    sharing = read_sharing(shares(), shard, known) if encrypted else Sharing()
    return Keyed(shard, granted, sharing.shares)
