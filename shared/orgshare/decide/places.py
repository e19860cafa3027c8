"""How many more accounts can get an image directly: the quota of a service, and who shares it.

An image of ECS has places of its own. Images of Elastic Desktop Service have one quota together: those of an owner over
all regions, as its documentation reads, or of one region, or each by itself. Who has access keeps it, grants that
somebody else made count, and free places go to images and then to accounts in the order of their ids.

What can go wrong is one place that is given twice. So what every image keeps is reckoned before the first gets
anything, what could not be read counts as what is known of it, and whoever takes a place takes it from all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orgshare.ledger import Ledger
from orgshare.policy.model import Policy, QuotaScope
from orgshare.words import Image, Shard

_SCOPES: Mapping[QuotaScope, str] = {
    "account": "all images of the owner in all regions",
    "region": "all images of the owner in a region",
    "image": "an image",
}


class Places:
    """The places that are left. Only where images share them does taking one change what others have."""

    def __init__(self, quota: int, per: QuotaScope | None = None, left: Mapping[str, int] | None = None) -> None:
        """``per`` is what the quota is shared within, and ``left`` what is left there; ``None`` where it is not."""
        self.quota = quota
        self._per = per
        self._left = dict(left or {})

    def free(self, image: Image, taken: int) -> int:
        """How many accounts an image can get that has ``taken`` places itself."""
        if self._per is None or self._per == "image":
            return self.quota - taken
        return self._left.get(_within(self._per, image), self.quota)

    def take(self, image: Image, number: int) -> None:
        """Let an image have some of the places."""
        if self._per is not None:
            key = _within(self._per, image)
            self._left[key] = self._left.get(key, self.quota) - number

    def too_many(self) -> str:
        """How it is mended that there are more accounts than places."""
        if self._per is None:
            return (
                f"the image can be shared with {self.quota} accounts; raise the quota «users that can be shared per "
                "custom image» in Quota Center and quotas.accounts_per_image of the owner, or narrow the audience, or "
                "let the rule use the directory (channel: auto)"
            )
        return (
            f"Elastic Desktop Service shares {_SCOPES[self._per]} {self.quota} times together; narrow the audience or "
            "the images, or, where the vendor allows more, raise quotas.eds_shares of the owner"
        )


def make_places(
    policy: Policy, shard: Shard, used: Mapping[Image, int], beside: Iterable[Image], ledger: Ledger
) -> Places:
    """The places of a shard whose images keep what they have ``used``.

    Of images ``beside`` these only the rows were read, and of what was not even listed only the ledger tells.
    """
    owner = policy.owner(shard.owner)
    if shard.service == "ecs":
        return Places(owner.accounts_per_image)
    per = owner.eds_shares_per
    left: dict[str, int] = {}
    unlisted = dict(ledger.grants)
    counted = dict(used)
    counted.update((image, max(image.shared_with or 0, len(ledger.entries(image.id)))) for image in beside)
    for image, number in counted.items():
        key = _within(per, image)
        left[key] = left.get(key, owner.eds_shares) - number
        unlisted.pop(image.id, None)
    if per == "account":
        left[""] = left.get("", owner.eds_shares) - sum(map(len, unlisted.values()))
    return Places(owner.eds_shares, per, left)


def _within(per: QuotaScope, image: Image) -> str:
    """What an image shares its places within."""
    return {"account": "", "region": image.region, "image": image.id}[per]
