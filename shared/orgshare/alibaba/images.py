"""The images of one owner in one region, as ECS 2014-05-26 tells and shares them.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-describeimages and its neighbours.

What can go wrong lies in what an answer leaves out. A listing without a status filter shows only Available images, so
every status is named. ``Encrypted`` of a disk is a preview field: absent, the image may still be encrypted, and its
snapshots know. A listing of snapshots has a filter of that name, false unless it is given, and nobody says whether
encrypted ones are left out then (https://alibabacloud.com/help/doc-detail/25526.htm): so what is not listed is asked
for once more with it. ``IsSelfShared`` comes as text, as a boolean, or not at all: only a clear false counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orgshare.alibaba.calls import Lane, count, required
from orgshare.errors import Malformed
from orgshare.ports import PAGE_SIZE, Page
from orgshare.words import Grant, Image, Shard, Tags

EVERY_STATUS = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"

MOST_ACCOUNTS_A_CALL = 10
"""Beyond this many the service drops accounts without a word, so a longer list is a defect of the caller.

https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
"""


class EcsImages:
    """``ports.ImageService`` over one SDK client."""

    def __init__(self, client: Any, lane: Lane, shard: Shard) -> None:
        from alibabacloud_ecs20140526 import models

        self._client = client
        self._models = models
        self._lane = lane
        self._shard = shard

    def images(self, page: int) -> Page[Image]:
        """One page of the owner's own images, of every status."""
        return self._describe(page_number=page, page_size=PAGE_SIZE, image_owner_alias="self", status=EVERY_STATUS)

    def image(self, image: str) -> Image | None:
        """One of the owner's own images by its id, of every status."""
        return self._by_id(image, image_owner_alias="self", status=EVERY_STATUS)

    def visible_image(self, image: str) -> Image | None:
        """An image that the owner can see, whoever owns it."""
        return self._by_id(image, status=EVERY_STATUS)

    def grants(self, image: str, page: int) -> Page[Grant]:
        """One page of the accounts that the image is shared with directly."""
        operation = "ecs:DescribeImageSharePermission"
        request = self._models.DescribeImageSharePermissionRequest(
            region_id=self._shard.region, image_id=image, page_number=page, page_size=PAGE_SIZE
        )

        def call() -> Page[Grant]:
            body = required(self._client.describe_image_share_permission(request).body, operation, "a body")
            accounts = required(body.accounts, operation, "Accounts")
            rows = required(accounts.account, operation, "Accounts.Account")
            return Page(
                rows=tuple(
                    Grant(
                        account=str(required(row.aliyun_id, operation, "AliyunId")),
                        shared_time=str(row.shared_time or ""),
                    )
                    for row in rows
                ),
                total=count(body.total_count, operation, "TotalCount"),
            )

        return self._lane.read(operation, call)

    def encrypted(self, snapshots: Sequence[str]) -> Mapping[str, bool]:
        """Whether each of these snapshots is encrypted."""
        found = self._snapshots(snapshots, None)
        missing = [snapshot for snapshot in snapshots if snapshot not in found]
        return {**found, **self._snapshots(missing, True)} if missing else found

    def _snapshots(self, snapshots: Sequence[str], encrypted: bool | None) -> dict[str, bool]:
        """The snapshots of these that one listing shows, which has to be complete."""
        operation = "ecs:DescribeSnapshots"
        request = self._models.DescribeSnapshotsRequest(
            region_id=self._shard.region,
            snapshot_ids=json.dumps(list(snapshots)),
            encrypted=encrypted,
            page_number=1,
            page_size=PAGE_SIZE,
        )

        def call() -> dict[str, bool]:
            body = required(self._client.describe_snapshots(request).body, operation, "a body")
            rows = required(required(body.snapshots, operation, "Snapshots").snapshot, operation, "Snapshots.Snapshot")
            total = count(body.total_count, operation, "TotalCount")
            if len(rows) != total:
                raise Malformed(f"{operation}: {len(rows)} rows, but a total of {total}")
            return {
                str(required(row.snapshot_id, operation, "SnapshotId")): required(
                    _clear(row.encrypted), operation, "Encrypted"
                )
                for row in rows
            }

        return self._lane.read(operation, call)

    def share(self, image: str, *, add: Sequence[str], remove: Sequence[str]) -> None:
        """One call that adds and removes direct grants, at most ten of each."""
        if len(add) > MOST_ACCOUNTS_A_CALL or len(remove) > MOST_ACCOUNTS_A_CALL:
            raise ValueError(f"{len(add)} accounts to add and {len(remove)} to remove in one call: at most 10 of each")
        request = self._models.ModifyImageSharePermissionRequest(
            region_id=self._shard.region, image_id=image, add_account=list(add), remove_account=list(remove)
        )
        self._lane.write("ecs:ModifyImageSharePermission", lambda: self._client.modify_image_share_permission(request))

    def copy(self, source: str, *, region: str, name: str, tags: Tags, key: str, token: str) -> str:
        """Copy an image of this region to another one; the id of the copy, which is still being made.

        Calls with one ``token`` make one copy. With a ``key`` of that region the copy is encrypted with it
        (https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage).
        """
        operation = "ecs:CopyImage"
        request = self._models.CopyImageRequest(
            region_id=self._shard.region,
            image_id=source,
            destination_region_id=region,
            destination_image_name=name,
            encrypted=True if key else None,
            kmskey_id=key or None,
            client_token=token,
            tag=[self._models.CopyImageRequestTag(key=name, value=value) for name, value in sorted(tags)],
        )

        def call() -> str:
            body = required(self._client.copy_image(request).body, operation, "a body")
            return str(required(body.image_id, operation, "ImageId"))

        return self._lane.write(operation, call)

    def delete(self, image: str) -> None:
        """Delete an image that nobody has any more and that nothing uses; one that is shared or used is refused.

        https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-deleteimage
        """
        request = self._models.DeleteImageRequest(region_id=self._shard.region, image_id=image)
        self._lane.write("ecs:DeleteImage", lambda: self._client.delete_image(request))

    def _by_id(self, image: str, **filters: Any) -> Image | None:
        rows = self._describe(whole=True, page_number=1, page_size=PAGE_SIZE, image_id=image, **filters).rows
        return next((row for row in rows if row.id == image), None)

    def _describe(self, *, whole: bool = False, **filters: Any) -> Page[Image]:
        """One page of images; where it is the ``whole`` answer, its rows have to be as many as its total."""
        operation = "ecs:DescribeImages"
        request = self._models.DescribeImagesRequest(region_id=self._shard.region, **filters)

        def call() -> Page[Image]:
            body = required(self._client.describe_images(request).body, operation, "a body")
            images = required(body.images, operation, "Images")
            rows = required(images.image, operation, "Images.Image")
            total = count(body.total_count, operation, "TotalCount")
            if whole and len(rows) != total:
                raise Malformed(f"{operation}: {len(rows)} rows, but a total of {total}")
            return Page(rows=tuple(_image(row, self._shard, operation) for row in rows), total=total)

        return self._lane.read(operation, call)


def regions(client: Any, lane: Lane) -> tuple[str, ...]:
    """The regions of the account."""
    from alibabacloud_ecs20140526 import models

    operation = "ecs:DescribeRegions"

    def call() -> tuple[str, ...]:
        body = required(client.describe_regions(models.DescribeRegionsRequest()).body, operation, "a body")
        rows = required(required(body.regions, operation, "Regions").region, operation, "Regions.Region")
        return tuple(sorted(required(row.region_id, operation, "RegionId") for row in rows))

    return lane.read(operation, call)


def _image(row: Any, shard: Shard, operation: str) -> Image:
    tags = row.tags.tag if row.tags and row.tags.tag else ()
    return Image(
        id=required(row.image_id, operation, "ImageId"),
        shard=shard,
        name=row.image_name or "",
        status=required(row.status, operation, "Status"),
        family=row.image_family or "",
        tags=frozenset((tag.tag_key, tag.tag_value or "") for tag in tags if tag.tag_key is not None),
        public=_clear(row.is_public) is True,
        encrypted=_encrypted(row),
        self_shared=_clear(row.is_self_shared),
        product_code=row.product_code or "",
        alias=row.image_owner_alias or "self",
        snapshots=tuple(sorted(disk.snapshot_id for disk in _disks(row) if disk.snapshot_id)),
    )


def _encrypted(row: Any) -> bool | None:
    """Whether a disk of the image is encrypted; ``None`` where no disk says."""
    said = [_clear(disk.encrypted) for disk in _disks(row)]
    if True in said:
        return True
    return False if said and None not in said else None


def _disks(row: Any) -> Sequence[Any]:
    mappings = row.disk_device_mappings
    return mappings.disk_device_mapping if mappings and mappings.disk_device_mapping else ()


def _clear(value: Any) -> bool | None:
    """A boolean that may come as text in any case; ``None`` for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
