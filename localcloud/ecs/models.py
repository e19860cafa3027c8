"""Images, who may use them, and what happens to them with time.

The rules of sharing follow
https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission and
https://www.alibabacloud.com/help/doc-detail/25463.htm: own custom images only, 50 accounts an image, ten a call and
the rest ignored without a word, no deprecated, community or service-key image, a role that trusts each receiver for
an image with a customer's key. What is not documented is a switch of the world, or the less kind reading.
"""

from __future__ import annotations

import fnmatch
import random as random_module
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from localcloud.call import Settings, new_id
from localcloud.ecs.errors import ERRORS
from localcloud.errors import ApiError
from localcloud.images import Grants, ImageRecord, ImageStore, ShareChange, applied
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


class EcsModel(ImageStore):
    """All images of all accounts and regions."""

    def __init__(self, images: Mapping[str, Image], grants: Mapping[str, Iterable[str]], *, now: float) -> None:
        self._public: set[str] = set()
        self._copying: dict[tuple[str, str], list[float]] = {}
        self._tokens: dict[tuple[str, str, str], tuple[str, str]] = {}
        super().__init__(images, grants, now=now)

    # --- reading

    def own(self, image_id: str, *, owner: str, region: str) -> ImageRecord:
        """The caller's own image; another account's does not exist for it."""
        image = self.find(image_id, region=region)
        if image is None or image.spec.owner != owner:
            raise ERRORS.error("InvalidImageId.NotFound")
        return image

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

    def _put(self, image: ImageRecord) -> None:
        super()._put(image)
        (self._public.add if image.spec.public else self._public.discard)(image.id)

    def _drop(self, image: ImageRecord) -> None:
        super()._drop(image)
        self._public.discard(image.id)


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
        """The grants afterwards, and the refusal if there is one."""
        refused = self._refused_as_a_whole(change)
        if refused is not None:
            return self.grants, refused
        checks = (self._unshareable, self._unremovable)
        return applied(change, self.grants, checks, self.settings.switches, now=now)

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
