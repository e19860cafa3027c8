"""The images of one owner in Elastic Desktop Service (ecd 2020-09-30), in all its regions.

https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-modifyimagepermission and
its neighbours.

What can go wrong lies in what an answer leaves out. No row says whose image it is, so what the owner received from
others may be among its own; nobody but the owner may ask who has an image, so that call tells. Accounts are integers
in calls and texts, or integers, in answers: everywhere else they are texts, or a comparison would miss them. No answer
says when an image was shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from orgshare.alibaba.calls import Lane, checking, required
from orgshare.alibaba.images import MOST_ACCOUNTS_A_CALL
from orgshare.errors import Refused
from orgshare.ports import PAGE_SIZE, Page, TokenPage
from orgshare.words import Grant, Image, Shard

Regional = Callable[[str], tuple[Any, Lane]]
"""A client of ``desktop_client`` for a region, and the lane of its calls."""

_LISTS: Mapping[str, str] = MappingProxyType(
    {"DescribeImages": "Images", "DescribeImagePermission": "AliUids", "DescribeRegions": "Regions"}
)


def desktop_client(config: Any) -> Any:
    """The SDK's client, which raises ``Malformed`` for an answer that lacks its list."""
    from alibabacloud_ecd20200930.client import Client

    return checking(Client, "ecd", _LISTS)(config)


class EcdImages:
    """``ports.RegionalImages`` over the SDK's client for each region.

    ``elsewhere`` are further regions, in which a single image is asked for that is in none of the shard's. ``places``
    says where images are, as far as the run has seen them; what is learned is put there.
    """

    def __init__(
        self,
        regional: Regional,
        shard: Shard,
        regions: Sequence[str],
        places: dict[str, str],
        *,
        elsewhere: Sequence[str] = (),
    ) -> None:
        from alibabacloud_ecd20200930 import models

        self._models = models
        self._regional = regional
        self._shard = shard
        self._regions = tuple(regions)
        self._elsewhere = tuple(elsewhere)
        self._places = places

    def regions(self) -> tuple[str, ...]:
        """The regions of the shard."""
        return self._regions

    def images_in(self, region: str, token: str) -> TokenPage[Image]:
        """One page of the custom images in a region, of every status."""
        return self._describe(region, image_type="CUSTOM", max_results=PAGE_SIZE, next_token=token or None)

    def image(self, image: str) -> Image | None:
        """A custom image by its id, in whichever region it is."""
        return self._by_id(image, image_type="CUSTOM")

    def visible_image(self, image: str) -> Image | None:
        """An image that the owner can see; whose it is, no row says."""
        found = self._by_id(image)
        return None if found is None else replace(found, alias="others")

    def grants(self, image: str, page: int) -> Page[Grant]:
        """The accounts that the image is shared with; the service has no pages of them."""
        operation = "ecd:DescribeImagePermission"
        region = self._place(image)
        client, lane = self._regional(region)
        request = self._models.DescribeImagePermissionRequest(region_id=region, image_id=image)

        def call() -> Page[Grant]:
            body = required(client.describe_image_permission(request).body, operation, "a body")
            accounts = [str(account) for account in required(body.ali_uids, operation, "AliUids")]
            shown = accounts[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
            return Page(tuple(Grant(account, "") for account in shown), total=len(set(accounts)))

        return lane.read(operation, call)

    def share(self, image: str, *, add: Sequence[str], remove: Sequence[str]) -> None:
        """One call that adds and removes accounts, at most ten of each.

        The SDK's text says 20 to add and 10 to remove, another page has no number: ten is within all of them.
        """
        if len(add) > MOST_ACCOUNTS_A_CALL or len(remove) > MOST_ACCOUNTS_A_CALL:
            raise ValueError(f"{len(add)} accounts to add and {len(remove)} to remove in one call: at most 10 of each")
        region = self._place(image)
        client, lane = self._regional(region)
        request = self._models.ModifyImagePermissionRequest(
            region_id=region,
            image_id=image,
            add_account=[int(account) for account in add],
            remove_account=[int(account) for account in remove],
        )
        lane.write("ecd:ModifyImagePermission", lambda: client.modify_image_permission(request))

    def _place(self, image: str) -> str:
        """The region of an image; ``Refused`` if none has it."""
        if image not in self._places and self.image(image) is None:
            raise Refused(f"{image} is in no region of {self._shard}")
        return self._places[image]

    def _by_id(self, image: str, **filters: Any) -> Image | None:
        known = self._places.get(image)
        for region in (*self._regions, *self._elsewhere) if known is None else (known,):
            rows = self._describe(region, image_id=[image], max_results=PAGE_SIZE, **filters).rows
            if found := next((row for row in rows if row.id == image), None):
                return found
        return None

    def _describe(self, region: str, **filters: Any) -> TokenPage[Image]:
        operation = "ecd:DescribeImages"
        client, lane = self._regional(region)
        request = self._models.DescribeImagesRequest(region_id=region, **filters)

        def call() -> TokenPage[Image]:
            body = required(client.describe_images(request).body, operation, "a body")
            rows = required(body.images, operation, "Images")
            return TokenPage(tuple(self._image(row, region, operation) for row in rows), body.next_token or "")

        found = lane.read(operation, call)
        self._places.update((row.id, region) for row in found.rows)
        return found

    def _image(self, row: Any, region: str, operation: str) -> Image:
        return Image(
            id=required(row.image_id, operation, "ImageId"),
            shard=self._shard,
            name=row.name or "",
            status=required(row.status, operation, "Status"),
            encrypted=row.volume_encryption_enabled,
            within=region,
            shared_with=row.shared_count,
        )


def regions(client: Any, lane: Lane, region: str) -> tuple[str, ...]:
    """The regions that have the service, asked for in one of them."""
    from alibabacloud_ecd20200930 import models

    operation = "ecd:DescribeRegions"

    def call() -> tuple[str, ...]:
        request = models.DescribeRegionsRequest(region_id=region)
        body = required(client.describe_regions(request).body, operation, "a body")
        rows = required(body.regions, operation, "Regions")
        return tuple(sorted(required(row.region_id, operation, "RegionId") for row in rows))

    return lane.read(operation, call)
