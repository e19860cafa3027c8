"""Images of one service, who has each of them directly, and what lists show of that.

Every image is found by id, by region and owner, and by receiver, since listings run in a client's inner loop. The
status of an image that is being made is reckoned from the clock, so nothing has to happen in the background. What each
service makes of it is in its own folder: an image of one is no image of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from localcloud.clock import parse_iso
from localcloud.errors import ApiError
from localcloud.world import Image, Switches

Grants = Mapping[str, float]
"""Account -> when the image was shared with it."""


class ImageRecord(msgspec.Struct, frozen=True):
    """An image and when it was and will be made."""

    id: str
    spec: Image
    created: float
    starts: float = 0.0
    ready: float = 0.0
    copied_from: str = ""

    def status(self, now: float) -> str:
        """Waiting until its turn, Creating until it is ready, then what its owner made of it."""
        if now < self.starts:
            return "Waiting"
        return "Creating" if now < self.ready else self.spec.status

    def progress(self, now: float) -> int:
        """Percent done."""
        if now >= self.ready:
            return 100
        return max(0, int(100 * (now - self.starts) / (self.ready - self.starts)))

    @property
    def snapshot(self) -> str:
        """The snapshot behind its system disk."""
        return f"s-{self.id[2:]}"


class ImageStore:
    """All images of a service, of all accounts and regions."""

    def __init__(self, images: Mapping[str, Image], grants: Mapping[str, Iterable[str]], *, now: float) -> None:
        self._images: dict[str, ImageRecord] = {}
        self._owned: dict[tuple[str, str], dict[str, None]] = {}
        self._sorted: dict[tuple[str, str], list[str]] = {}
        self._grants: dict[str, Grants] = {}
        self._received: dict[str, set[str]] = {}
        self._hidden: dict[str, list[tuple[float, Grants]]] = {}
        self._rows: dict[str, list[tuple[str, float]]] = {}
        self.touched: dict[str, None] = {}
        """Images that changed since whoever tells of it has looked, in order."""
        self.replace(images, grants, now=now, delay=0.0)

    # --- reading

    @property
    def images(self) -> Mapping[str, ImageRecord]:
        """Every image by id."""
        return self._images

    def find(self, image_id: str, *, region: str) -> ImageRecord | None:
        """The image, if it is in this region."""
        image = self._images.get(image_id)
        return image if image is not None and image.spec.region == region else None

    def owned(self, owner: str, *, region: str) -> list[str]:
        """Sorted ids of an account's images in a region."""
        key = (region, owner)
        found = self._sorted.get(key)
        if found is None:
            found = self._sorted[key] = sorted(self._owned.get(key, ()))
        return found

    def grants(self, image_id: str) -> Grants:
        """Who has the image by a direct share, as it is."""
        return self._grants.get(image_id, {})

    def granted(self) -> Mapping[str, Grants]:
        """All direct shares, as they are; images without any are left out."""
        return self._grants

    def received(self, account: str) -> Iterable[str]:
        """Ids of the images that an account has by a direct share."""
        return self._received.get(account, ())

    def shown_grants(self, image_id: str, *, now: float) -> Grants:
        """Who has the image, as a list shows it now (`delays.share`)."""
        waiting = self._hidden.get(image_id)
        if waiting:
            while waiting and waiting[0][0] <= now:
                waiting.pop(0)
            if waiting:
                return waiting[0][1]
            del self._hidden[image_id]
        return self._grants.get(image_id, {})

    def shown_rows(self, image_id: str, *, now: float) -> list[tuple[str, float]]:
        """The same, sorted by account."""
        grants = self.shown_grants(image_id, now=now)
        if grants is not self._grants.get(image_id):
            return sorted(grants.items())
        rows = self._rows.get(image_id)
        if rows is None:
            rows = self._rows[image_id] = sorted(grants.items())
        return rows

    # --- sharing

    def set_grants(self, image_id: str, grants: Grants, *, now: float, delay: float) -> None:
        """Share an image with exactly these accounts."""
        before = self._grants.get(image_id, {})
        if delay > 0:
            self._hidden.setdefault(image_id, []).append((now + delay, before))
        else:
            self._hidden.pop(image_id, None)
        for account in before:
            if account not in grants:
                self._received[account].discard(image_id)
        for account in grants:
            self._received.setdefault(account, set()).add(image_id)
        if grants:
            self._grants[image_id] = dict(grants)
        else:
            self._grants.pop(image_id, None)
        self._rows.pop(image_id, None)

    # --- changes from outside

    def replace(
        self, images: Mapping[str, Image], grants: Mapping[str, Iterable[str]], *, now: float, delay: float
    ) -> None:
        """Take over other images and shares; what stays the same keeps its times."""
        for image in [one for one in self._images.values() if one.id not in images]:
            self.set_grants(image.id, {}, now=now, delay=0.0)
            self._drop(image)
        for image_id, spec in images.items():
            known = self._images.get(image_id)
            if known is None:
                created = parse_iso(spec.created) if spec.created else now
                self._put(ImageRecord(image_id, spec, created))
            elif known.spec != spec:
                created = parse_iso(spec.created) if spec.created else known.created
                done = known.spec.status != spec.status
                self._put(
                    msgspec.structs.replace(
                        known,
                        spec=spec,
                        created=created,
                        starts=0.0 if done else known.starts,
                        ready=0.0 if done else known.ready,
                    )
                )
        for image_id in set(self._grants) | set(grants):
            before = self.grants(image_id)
            after = {account: before.get(account, now) for account in grants.get(image_id, ())}
            if image_id in self._images and after != before:
                self.set_grants(image_id, after, now=now, delay=delay)

    def document(self) -> tuple[dict[str, Image], dict[str, tuple[str, ...]]]:
        """Images and grants as parts of a world."""
        return (
            {image.id: image.spec for image in self._images.values()},
            {image_id: tuple(sorted(grants)) for image_id, grants in sorted(self._grants.items())},
        )

    def _put(self, image: ImageRecord) -> None:
        known = self._images.get(image.id)
        if known is not None and (known.spec.region, known.spec.owner) != (image.spec.region, image.spec.owner):
            self._unindex(known)
        key = (image.spec.region, image.spec.owner)
        if image.id not in self._owned.setdefault(key, {}):
            self._owned[key][image.id] = None
            self._sorted.pop(key, None)
        self._images[image.id] = image
        self.touched[image.id] = None

    def _drop(self, image: ImageRecord) -> None:
        self._unindex(image)
        self.touched[image.id] = None
        del self._images[image.id]
        self._hidden.pop(image.id, None)

    def _unindex(self, image: ImageRecord) -> None:
        key = (image.spec.region, image.spec.owner)
        del self._owned[key][image.id]
        self._sorted.pop(key, None)


@dataclass(frozen=True, slots=True)
class ShareChange:
    """What one call asks for, duplicates removed, in the order of the parameters."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def at_most(accounts: Sequence[str], most: int, *, beyond: Literal["first", "ignored"]) -> tuple[str, ...]:
    """What is left of more accounts than a call takes: the first ones, or (older pages) nothing; never an error.

    https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
    """
    if len(accounts) > most and beyond == "ignored":
        return ()
    return tuple(dict.fromkeys(accounts[:most]))


def applied(
    change: ShareChange,
    grants: Grants,
    checks: tuple[Callable[[str, Grants], ApiError | None], Callable[[str], ApiError | None]],
    switches: Switches,
    *,
    now: float,
) -> tuple[Grants, ApiError | None]:
    """The grants after a change, and the refusal if there is one.

    `checks` say why an account cannot be added, given the grants by then, and why one cannot be removed. With
    `partial_apply: none` a refusal changes nothing; with `some` what came before the culprit is done.
    """
    unshareable, unremovable = checks
    after = dict(grants)
    add, remove = change.add, change.remove
    if switches.add_and_remove == "add":
        remove = tuple(account for account in remove if account not in add)
    else:
        add = tuple(account for account in add if account not in remove)
    error: ApiError | None = None
    # Places that the removals free do not count: whether they would is not documented.
    for account in add:
        error = unshareable(account, after)
        if error is not None:
            break
        if account not in after or switches.repeated_add == "refresh":
            after[account] = now
    else:
        error = next((found for found in map(unremovable, change.remove) if found is not None), None)
        if error is None:
            after = {account: shared for account, shared in after.items() if account not in remove}
    if error is not None and switches.partial_apply == "none":
        return grants, error
    return after, error
