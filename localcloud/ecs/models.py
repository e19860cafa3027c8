"""Images, who may use them, and what happens to them with time.

The rules of sharing follow
https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission and
https://www.alibabacloud.com/help/doc-detail/25463.htm: own custom images only, 50 accounts an image, ten a call and
the rest ignored without a word, no deprecated, community or service-key image, a role that trusts each receiver for
an image with a customer's key. What is not documented is a switch of the world, or the less kind reading.

Every image is found by id, by region and owner, and by receiver, since listings run in a client's inner loop. The
status of an image that is being made is reckoned from the clock, so nothing has to happen in the background.
"""

from __future__ import annotations

import fnmatch
import random as random_module
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from localcloud.call import Settings, new_id
from localcloud.clock import parse_iso
from localcloud.ecs.errors import ERRORS
from localcloud.errors import ApiError
from localcloud.world import VENDOR_OWNERS, Image

ACCOUNTS_AT_ONCE = 10
COPIES_AT_ONCE = 5
TAGS_PER_IMAGE = 20
SHARE_ROLE = "AliyunECSShareEncryptImageDefaultRole"
"""The role in the owner's account that lets receivers use its key:
https://help.aliyun.com/en/ecs/user-guide/encryption-related-permissions"""

SHARE_ACTIONS = ("kms:Decrypt", "kms:TagResource")
"""What that role has to be allowed on the key: to use it, and to add tags to it, which is what the code
InvalidParameter.KMSKeyId.CMKUnauthorized says is lacking. Whether that is looked at when an image is shared, or only
when it is used, is not documented; a switch decides."""

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


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What DescribeImages asks for; None and empty values match everything."""

    alias: str = ""
    statuses: frozenset[str] | None = None
    image_id: str = ""
    name: str = ""
    family: str = ""
    snapshot: str = ""
    os_type: str = ""
    architecture: str = ""
    resource_group: str = ""
    owner_id: str = ""
    public: bool = False
    nothing: bool = False
    usable: bool | None = None
    tags: tuple[tuple[str, str], ...] = ()
    created_from: float | None = None
    created_to: float | None = None

    def checks(self, viewer: str, now: float) -> Iterator[Callable[[ImageRecord], bool]]:
        """One check for each thing that is asked for; tags and resource group are the owner's own affair."""
        statuses, usable, tags = self.statuses, self.usable, self.tags
        first, last = self.created_from, self.created_to
        if statuses is not None:
            yield lambda image: image.status(now) in statuses
        if usable is not None:
            yield lambda image: (image.status(now) == "Available") == usable
        if self.name:
            yield lambda image: _name_matches(self.name, image.spec.name)
        if self.family:
            yield lambda image: image.spec.family == self.family
        if self.snapshot:
            yield lambda image: image.snapshot == self.snapshot
        if self.os_type:
            yield lambda image: image.spec.os_type == self.os_type
        if self.architecture:
            yield lambda image: image.spec.architecture == self.architecture
        if self.owner_id:
            yield lambda image: image.spec.owner == self.owner_id
        if self.resource_group:
            yield lambda image: image.spec.owner == viewer and image.spec.resource_group == self.resource_group
        if tags:
            yield lambda image: image.spec.owner == viewer and has_tags(image.spec.tags, tags)
        if first is not None:
            yield lambda image: image.created >= first
        if last is not None:
            yield lambda image: image.created <= last


class EcsModel:
    """All images of all accounts and regions."""

    def __init__(self, images: Mapping[str, Image], grants: Mapping[str, Iterable[str]], *, now: float) -> None:
        self._images: dict[str, ImageRecord] = {}
        self._owned: dict[tuple[str, str], dict[str, None]] = {}
        self._sorted: dict[tuple[str, str], list[str]] = {}
        self._grants: dict[str, Grants] = {}
        self._received: dict[str, set[str]] = {}
        self._hidden: dict[str, list[tuple[float, Grants]]] = {}
        self._rows: dict[str, list[tuple[str, float]]] = {}
        self._public: set[str] = set()
        self._copying: dict[tuple[str, str], list[float]] = {}
        self._tokens: dict[tuple[str, str, str], tuple[str, str]] = {}
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

    def own(self, image_id: str, *, owner: str, region: str) -> ImageRecord:
        """The caller's own image; another account's does not exist for it."""
        image = self.find(image_id, region=region)
        if image is None or image.spec.owner != owner:
            raise ERRORS.error("InvalidImageId.NotFound")
        return image

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
        """Who has the image, as DescribeImageSharePermission shows it now (`delays.share`)."""
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

    def listing(
        self, query: ImageQuery, *, viewer: str, region: str, now: float, covered: Collection[str]
    ) -> list[ImageRecord]:
        """The images that DescribeImages shows to an account, sorted by id.

        Without an owner alias: public images, own ones and those shared with the viewer. `others` with `public` means
        community images, without it what is shared with the viewer, directly or (`covered`) by a resource share. (The
        vendor's page also speaks of community images under the empty alias; its SDK does not. Here they are not shown.)
        """
        if query.nothing:
            return []
        if query.image_id:
            one = self.find(query.image_id, region=region)
            candidates = [one] if one is not None and self._visible(one, query, viewer, covered) else []
        else:
            candidates = [self._images[image_id] for image_id in self._candidates(query, viewer, region, covered)]
        for check in query.checks(viewer, now):
            candidates = [image for image in candidates if check(image)]
        return candidates

    def _visible(self, image: ImageRecord, query: ImageQuery, viewer: str, covered: Collection[str]) -> bool:
        owner = image.spec.owner
        if query.public:
            return image.spec.public and owner != viewer
        shown = {
            "self": owner == viewer,
            "system": owner == "system",
            "marketplace": owner == "marketplace",
            "others": viewer in self.grants(image.id) or image.id in covered,
        }
        if query.alias:
            return shown[query.alias]
        return shown["self"] or shown["system"] or shown["others"]

    def _candidates(self, query: ImageQuery, viewer: str, region: str, covered: Collection[str]) -> list[str]:
        if query.public:
            return sorted(one for one in self._public if self._in(one, region) and self._owner(one) != viewer)
        if query.alias == "self":
            return self.owned(viewer, region=region)
        if query.alias in VENDOR_OWNERS:
            return self.owned(query.alias, region=region)
        others = [one for one in {*self._received.get(viewer, ()), *covered} if self._in(one, region)]
        if query.alias == "others":
            return sorted(others)
        return sorted([*self.owned(viewer, region=region), *self.owned("system", region=region), *others])

    def _in(self, image_id: str, region: str) -> bool:
        return self._images[image_id].spec.region == region

    def _owner(self, image_id: str) -> str:
        return self._images[image_id].spec.owner

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

    def publish(self, image: ImageRecord, public: bool) -> None:
        """Make it a community image, or take it back; shares made before outlive both."""
        self._put(msgspec.structs.replace(image, spec=msgspec.structs.replace(image.spec, public=public)))

    # --- making and deleting

    def create(
        self,
        spec: Image,
        *,
        now: float,
        delay: float,
        random: random_module.Random,
        copied_from: str = "",
    ) -> ImageRecord:
        """A new image, ready after `delay`; of an account's copies into a region at most five run at once.

        https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage
        """
        if any(self._images[other].spec.name == spec.name for other in self._owned.get((spec.region, spec.owner), ())):
            raise ERRORS.error("InvalidImageName.Duplicated")
        starts = now
        if copied_from:
            ends = self._copying.setdefault((spec.owner, spec.region), [])
            ends[:] = sorted(end for end in ends if end > now)
            if len(ends) >= COPIES_AT_ONCE:
                starts = ends[len(ends) - COPIES_AT_ONCE]
            ends.append(starts + delay)
        image_id = f"m-{new_id(random, 20)}"
        while image_id in self._images:
            image_id = f"m-{new_id(random, 20)}"
        image = ImageRecord(image_id, spec, now, starts, starts + delay, copied_from)
        self._put(image)
        return image

    def copying(self, source: str, *, region: str, now: float) -> bool:
        """Whether a copy of this image into this region is still under way."""
        return any(
            image.copied_from == source and image.spec.region == region and now < image.ready
            for image in self._images.values()
            if image.copied_from
        )

    def remember(self, owner: str, action: str, token: str, *, request: str, image_id: str) -> None:
        """A client token and what it made."""
        if token:
            self._tokens[owner, action, token] = (request, image_id)

    def recall(self, owner: str, action: str, token: str, *, request: str) -> str:
        """The image that this token made, or ""; another request under the same token is refused."""
        known = self._tokens.get((owner, action, token))
        if not token or known is None:
            return ""
        if known[0] != request:
            raise ERRORS.error("IdempotenceParamNotMatch")
        return known[1]

    def delete(self, image: ImageRecord, *, now: float, covered: bool) -> None:
        """Delete an image that is neither shared, public nor being copied; `covered` says that a resource share counts.

        A missing image is an error although the page also says it is ignored: the error is documented too
        (https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-deleteimage).
        """
        if image.spec.public:
            raise ERRORS.error("ImageIsPublic")
        if self._grants.get(image.id) or covered:
            raise ERRORS.error("ImageUseShared")
        if image.copied_from and now < image.ready:
            raise ERRORS.error("OperationDenied.ImageCopying")
        self._drop(image)

    def retag(self, image: ImageRecord, tags: Mapping[str, str]) -> None:
        """Give an image these tags instead of its own."""
        self._put(msgspec.structs.replace(image, spec=msgspec.structs.replace(image.spec, tags=dict(tags))))

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
        (self._public.add if image.spec.public else self._public.discard)(image.id)

    def _drop(self, image: ImageRecord) -> None:
        self._unindex(image)
        self.touched[image.id] = None
        del self._images[image.id]
        self._public.discard(image.id)
        self._hidden.pop(image.id, None)

    def _unindex(self, image: ImageRecord) -> None:
        key = (image.spec.region, image.spec.owner)
        del self._owned[key][image.id]
        self._sorted.pop(key, None)


@dataclass(frozen=True, slots=True)
class ShareChange:
    """What one ModifyImageSharePermission asks for, duplicates removed, in the order of the parameters."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def at_most_ten(accounts: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """What is left of more than ten accounts: the first ten, or (older pages) nothing; never an error.

    https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
    """
    if len(accounts) > ACCOUNTS_AT_ONCE and settings.switches.over_ten == "ignored":
        return ()
    return tuple(dict.fromkeys(accounts[:ACCOUNTS_AT_ONCE]))


@dataclass(frozen=True, slots=True)
class Sharing:
    """The facts around an image that decide whether it may be shared, and with whom."""

    image: ImageRecord
    status: str
    grants: Grants
    settings: Settings
    accounts_exist: Mapping[str, bool]
    received_count: Mapping[str, int]
    trusted: Mapping[str, bool]
    """Whether the owner's sharing role trusts the ECS of each account."""
    key_usable: bool
    """Whether that role may use the image's key."""
    covered: frozenset[str] = frozenset()
    """Who has the image by a resource share already, where that counts to the quota."""

    def outcome(self, change: ShareChange, *, now: float) -> tuple[Grants, ApiError | None]:
        """The grants afterwards, and the refusal if there is one.

        With `partial_apply: none` a refusal changes nothing; with `some` what came before the culprit is done.
        """
        refused = self._refused_as_a_whole(change)
        if refused is not None:
            return self.grants, refused
        after = dict(self.grants)
        switches = self.settings.switches
        add, remove = change.add, change.remove
        if switches.add_and_remove == "add":
            remove = tuple(account for account in remove if account not in add)
        else:
            add = tuple(account for account in add if account not in remove)
        error: ApiError | None = None
        # Places that the removals free do not count: whether they would is not documented.
        for account in add:
            error = self._unshareable(account, after)
            if error is not None:
                break
            if account not in after or switches.repeated_add == "refresh":
                after[account] = now
        else:
            error = next((found for found in map(self._unremovable, change.remove) if found is not None), None)
            if error is None:
                after = {account: shared for account, shared in after.items() if account not in remove}
        if error is not None and switches.partial_apply == "none":
            return self.grants, error
        return after, error

    def _refused_as_a_whole(self, change: ShareChange) -> ApiError | None:
        spec, switches = self.image.spec, self.settings.switches
        if spec.public and (change.add or change.remove):
            return ERRORS.error("Image.Public")
        if self.status == "Deprecated" and (change.add or switches.deprecated_removal == "error"):
            return ERRORS.error("OperationDenied.InvalidImageStatus")
        if self.status not in ("Available", "Deprecated") and change.add:
            return ERRORS.error("IncorrectImageStatus")
        if change.add and spec.encryption == "service-key":
            return ERRORS.error("InvalidOperation.ServiceKeyEncryptedImageUnsupported")
        return None

    def _unknown(self, account: str) -> ApiError | None:
        if account == self.image.spec.owner:
            return ERRORS.error("InvalidAccount.Forbbiden")
        if not self.accounts_exist[account]:
            return ERRORS.error("InvalidAccount.NotFound", account=account)
        return None

    def _unremovable(self, account: str) -> ApiError | None:
        unknown = self._unknown(account)
        if unknown is None and account not in self.grants and self.settings.switches.remove_unshared == "error":
            # No code is documented for this; the switch borrows the one for an account in RemoveAccount that is amiss.
            return ERRORS.error("InvalidAccount.NotFound", account=account)
        return unknown

    def _unshareable(self, account: str, after: Grants) -> ApiError | None:
        spec, sites = self.image.spec, self.settings.sites
        unknown = self._unknown(account)
        if unknown is not None:
            return unknown
        if spec.product_code and sites.get(account, "china") != sites.get(spec.owner, "china"):
            return ERRORS.error("InvalidImageId.BidMismatch", account=account)
        if spec.encryption == "cmk" and not self.trusted[account]:
            return ERRORS.error("AssumeRoleError")
        if spec.encryption == "cmk" and not self.key_usable:
            return ERRORS.error("InvalidParameter.KMSKeyId.CMKUnauthorized")
        return self._over_quota(account, after)

    def _over_quota(self, account: str, after: Grants) -> ApiError | None:
        quotas = self.settings.quotas
        if account in after:
            # No code is documented for this; the switch borrows one that clients know as "refused for this account".
            repeated = self.settings.switches.repeated_add == "error"
            return ERRORS.error("InvalidAccount.Forbbiden") if repeated else None
        if account not in self.covered and len(after.keys() | self.covered) >= quotas.accounts_per_image:
            return ERRORS.error("QuotaExceed.ShareImageUser")
        if quotas.shared_images is not None and self.received_count[account] >= quotas.shared_images:
            return ERRORS.error("QuotaExceed.ShareImage")
        return None


def share_role(owner: str) -> str:
    """The ARN of an owner's sharing role."""
    return f"acs:ram::{owner}:role/{SHARE_ROLE}"


def key_of(image: ImageRecord) -> str:
    """The id of the key that an image is encrypted with, or an empty text; each account has one key of a kind."""
    kinds = {"none": "", "cmk": "key-customer", "service-key": "key-acs-ecs"}
    return kinds[image.spec.encryption]


def key_arn(image: ImageRecord) -> str:
    """https://www.alibabacloud.com/help/doc-detail/28953.htm"""
    return f"acs:kms:{image.spec.region}:{image.spec.owner}:key/{key_of(image)}"


def has_tags(tags: Mapping[str, str], wanted: Iterable[tuple[str, str]]) -> bool:
    """Whether all wanted tags are there; an empty value stands for any."""
    return all(key in tags and value in ("", tags[key]) for key, value in wanted)


def _name_matches(wanted: str, name: str) -> bool:
    """The vendor says fuzzy and no more: a part of the name, or a pattern where there is a star."""
    return fnmatch.fnmatchcase(name, wanted) if "*" in wanted else wanted in name
