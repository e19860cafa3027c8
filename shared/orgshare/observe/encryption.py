"""Finding out whether images are encrypted where their own rows do not say.

The snapshots behind their disks know. An image is encrypted if any of them is, and it is not if all of them say so.

What can go wrong is an image that nobody can tell of. It is then said why, and nothing is concluded: neither that it
may be shared like any other, nor that nobody needs a key for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from orgshare.errors import UNREAD
from orgshare.ports import PAGE_SIZE, PagedImages
from orgshare.words import Image


def with_encryption(service: PagedImages, images: Iterable[Image]) -> tuple[tuple[Image, ...], Mapping[str, str]]:
    """The images with what their snapshots say, and why nobody can tell of some of them."""
    images = tuple(images)
    asking = sorted({snapshot for image in images if image.encrypted is None for snapshot in image.snapshots})
    said: dict[str, bool] = {}
    unread: dict[str, str] = {}
    for start in range(0, len(asking), PAGE_SIZE):
        portion = asking[start : start + PAGE_SIZE]
        try:
            said.update(service.encrypted(portion))
        except UNREAD as error:
            unread.update(dict.fromkeys(portion, str(error)))
    found = []
    why: dict[str, str] = {}
    for image in images:
        answers = [said.get(snapshot) for snapshot in image.snapshots]
        if image.encrypted is not None or True in answers:
            found.append(image if image.encrypted is not None else replace(image, encrypted=True))
        elif answers and None not in answers:
            found.append(replace(image, encrypted=False))
        else:
            found.append(image)
            missing = next((snapshot for snapshot in image.snapshots if snapshot not in said), "")
            cause = unread.get(missing) or (f"snapshot {missing} is not listed" if missing else "it names no snapshot")
            why[image.id] = f"whether it is encrypted could not be found out, so nothing new is granted: {cause}"
    return tuple(found), why
