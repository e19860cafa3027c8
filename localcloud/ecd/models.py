"""Images of Elastic Desktop Service, and who may use them.

The rules are those of https://alibabacloud.com/help/en/wuying-workspace/share-or-unshare-a-custom-image and
https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-modifyimagepermission: own
custom images only, never encrypted, 50 shares in all of an account's images, unshared before they are deleted. How many
accounts fit into one call is said in the SDK's own text: 20 to add, 10 to remove, those beyond are ignored; what is
not documented is a switch of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.call import Settings
from localcloud.ecd.errors import ERRORS
from localcloud.errors import ApiError
from localcloud.images import Grants, ImageRecord, ImageStore, ShareChange, applied
from localcloud.world import VENDOR_OWNERS, QuotaScope

ADDED_AT_ONCE = 20
REMOVED_AT_ONCE = 10


class EcdModel(ImageStore):
    """All images of all accounts and regions."""

    def own_custom(self, image_id: str, *, owner: str, region: str) -> ImageRecord:
        """The caller's own image; the vendor's, and another account's, does not exist for it."""
        image = self.find(image_id, region=region)
        if image is None or image.spec.owner != owner:
            raise ERRORS.error("InvalidImageId.NotFound")
        return image

    def listed_for(self, viewer: str, *, region: str) -> list[ImageRecord]:
        """The vendor's images, own ones and those that others share with the viewer, sorted by id."""
        mine = [*self.owned(viewer, region=region), *self.owned("system", region=region)]
        others = [one for one in self.received(viewer) if self.find(one, region=region) is not None]
        return [self.images[one] for one in sorted({*mine, *others})]

    def type_for(self, image: ImageRecord, viewer: str, *, received: str) -> str:
        """What an image is to a viewer; of one that it has received no page says what it is called."""
        if image.spec.owner in VENDOR_OWNERS:
            return "SYSTEM"
        return "CUSTOM" if image.spec.owner == viewer else received

    def shares_beside(self, image: ImageRecord, scope: QuotaScope) -> int:
        """How many shares of other images count to the same quota."""
        return sum(
            len(grants)
            for image_id, grants in self.granted().items()
            if image_id != image.id and self._counts_together(self.images[image_id], image, scope)
        )

    def _counts_together(self, one: ImageRecord, other: ImageRecord, scope: QuotaScope) -> bool:
        if scope == "image" or one.spec.owner != other.spec.owner:
            return False
        return scope == "account" or one.spec.region == other.spec.region

    def drop_unshared(self, images: Iterable[ImageRecord]) -> None:
        """Delete images, all of them or none if one is shared."""
        gone = list(images)
        if any(self.grants(image.id) for image in gone):
            raise ERRORS.error("ImageDeleteFailed.NotAllowSharedImage")
        for image in gone:
            self._drop(image)


@dataclass(frozen=True, slots=True)
class DesktopSharing:
    """The facts around an image that decide whether it may be shared, and with whom."""

    image: ImageRecord
    status: str
    grants: Grants
    settings: Settings
    accounts_exist: Mapping[str, bool]
    shares_beside: int

    def result(self, change: ShareChange, *, now: float) -> tuple[Grants, ApiError | None]:
        """The grants afterwards, and the refusal if there is one."""
        if change.add and self.status != "Available":
            return self.grants, ERRORS.error("InvalidImageStatus.NotValid")
        if change.add and self.image.spec.encryption != "none":
            return self.grants, ERRORS.error("OperationDeined.EncryptedSnapshot")
        return applied(change, self.grants, (self._unaddable, self._untakeable), self.settings.switches, now=now)

    def _not_an_account(self, account: str) -> ApiError | None:
        if account == self.image.spec.owner:
            return ERRORS.error("InvalidAccount.Forbbiden")
        if not self.accounts_exist[account]:
            return ERRORS.error("InvalidAccount.NotFound", account=account)
        return None

    def _unaddable(self, account: str, after: Grants) -> ApiError | None:
        amiss = self._not_an_account(account)
        if amiss is not None:
            return amiss
        if account in after:
            repeated = self.settings.switches.repeated_add == "error"
            return ERRORS.error("InvalidAccount.Forbbiden") if repeated else None
        if self.shares_beside + len(after) >= self.settings.quotas.eds_shares:
            return ERRORS.error("QuotaExceed.ShareImageUser")
        return None

    def _untakeable(self, account: str) -> ApiError | None:
        amiss = self._not_an_account(account)
        if amiss is None and account not in self.grants and self.settings.switches.remove_unshared == "error":
            return ERRORS.error("InvalidAccount.NotFound", account=account)
        return amiss
