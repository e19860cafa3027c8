"""DescribeSnapshots: the snapshots behind images, which say whether they are encrypted, and with which key.

There are no others here: each image has one, of its system disk, and nobody sees those of another account. Fields and
rules as at https://alibabacloud.com/help/doc-detail/25526.htm. That page has an `Encrypted` to filter by, false unless
it is given, and does not say whether encrypted snapshots are then left out; a switch of the world decides. So who has
to know asks for what the first answer lacks once more, with `Encrypted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from localcloud.call import Call
from localcloud.clock import iso_seconds, parse_iso
from localcloud.ecs.checking import stop_if_dry_run, tags_asked_for
from localcloud.ecs.errors import ERRORS
from localcloud.ecs.models import key_of
from localcloud.errors import invalid
from localcloud.images import ImageRecord
from localcloud.params import PAGE_SIZE_MAX, Params

_IDS_AT_ONCE = 100
_STATUSES = ("progressing", "accomplished", "failed", "all")
_FINISHED = {"Available": "accomplished", "Deprecated": "accomplished"}
_BEGUN = {"Creating": "progressing", "Waiting": "progressing"}

Check = Callable[[ImageRecord], bool]


def describe_snapshots(call: Call) -> dict[str, Any]:
    """DescribeSnapshots: the caller's own snapshots in one region, by page or by token."""
    params = call.params
    number, size = params.page()
    by_token = bool(params.text("MaxResults") or params.text("NextToken"))
    start = (number - 1) * size
    if by_token:
        size = params.integer("MaxResults", 10, low=1, high=PAGE_SIZE_MAX)
        start = _start(params.text("NextToken"))
    checks = list(_checks(call))
    stop_if_dry_run(call)
    ecs = call.models.ecs
    images = (ecs.images[one] for one in ecs.owned(call.account, region=call.region))
    found = [image for image in images if all(check(image) for check in checks)]
    rows = [_row(call, image) for image in found[start : start + size]]
    answer: dict[str, Any] = {"TotalCount": len(found), "PageSize": size, "Snapshots": {"Snapshot": rows}}
    if by_token:
        return {**answer, "NextToken": str(start + size) if start + size < len(found) else ""}
    return {**answer, "PageNumber": number}


def _checks(call: Call) -> Iterator[Check]:
    """What a snapshot has to be to be listed."""
    params, now = call.params, call.now
    ids = _ids(params.text("SnapshotIds"))
    if ids is not None:
        yield lambda image: image.snapshot in ids
    link = params.text("SnapshotLinkId")
    if link and not link.startswith("sl-"):
        raise ERRORS.error("InvalidSnapshotLinkId.NotFound")
    for given, found in (
        (link, _link),
        (params.text("DiskId"), _disk),
        (params.text("SnapshotName"), lambda image: image.spec.name),
        (params.text("KMSKeyId"), key_of),
        (params.text("ResourceGroupId"), lambda image: image.spec.resource_group),
        (params.text("InstanceId"), lambda _: ""),
    ):
        if given:
            yield _equals(given, found)
    status = params.text("Status") or "all"
    if status not in _STATUSES:
        raise ERRORS.error("InvalidStatus.NotFound")
    if status != "all":
        yield lambda image: _status(image, now) == status
    yield from _kinds(params)
    yield from _times(params)
    # Snapshots have no tags here.
    if tags_asked_for(params):
        yield lambda _: False
    encrypted = params.flag("Encrypted")
    if encrypted:
        yield lambda image: image.spec.encryption != "none"
    elif not call.settings.switches.encrypted_snapshots_listed:
        yield lambda image: image.spec.encryption == "none"


def _kinds(params: Params) -> Iterator[Check]:
    """All snapshots here were made by a user, of a system disk, in the standard category, for an image."""
    if params.text("SnapshotType") not in ("", "auto", "user", "all"):
        raise ERRORS.error("InvalidSnapshotType.NotFound")
    if params.text("SourceDiskType").lower() not in ("", "system", "data"):
        raise ERRORS.error("InvalidSourceDiskType")
    if params.text("Usage") not in ("", "image", "disk", "image_disk", "none"):
        raise ERRORS.error("InvalidUsage")
    if params.text("Category") not in ("", "Standard", "Flash", "archive"):
        raise ERRORS.error("InvalidSnapshotCategory.Malformed")
    if (
        params.text("SnapshotType") == "auto"
        or params.text("SourceDiskType").lower() == "data"
        or params.text("Usage") not in ("", "image")
        or params.text("Category") not in ("", "Standard")
    ):
        yield lambda _: False


def _times(params: Params) -> Iterator[Check]:
    for key, value in params.pairs("Filter"):
        if key not in ("CreationStartTime", "CreationEndTime"):
            raise ERRORS.error("InvalidFilterKey.NotFound")
        try:
            moment = parse_iso(value)
        except ValueError:
            raise ERRORS.error("InvalidFilterValue") from None
        yield _from(moment) if key == "CreationStartTime" else _until(moment)


def _from(moment: float) -> Check:
    return lambda image: image.created >= moment


def _until(moment: float) -> Check:
    return lambda image: image.created <= moment


def _equals(given: str, found: Callable[[ImageRecord], str]) -> Check:
    return lambda image: found(image) == given


def _ids(text: str) -> frozenset[str] | None:
    """The ids of a JSON list, or with commas between them, which the page says as well; at most a hundred."""
    if not text:
        return None
    if text.startswith("["):
        try:
            named = msgspec.json.decode(text, type=list[str])
        except msgspec.DecodeError:
            raise invalid("SnapshotIds") from None
    else:
        named = text.split(",")
    if len(named) > _IDS_AT_ONCE:
        raise ERRORS.error("InvalidSnapshotIds.Malformed")
    return frozenset(one.strip() for one in named)


def _start(token: str) -> int:
    if token and not (token.isascii() and token.isdigit()):
        raise invalid("NextToken")
    return int(token or 0)


def _link(image: ImageRecord) -> str:
    return f"sl-{image.id[2:]}"


def _disk(image: ImageRecord) -> str:
    return f"d-{image.id[2:]}"


def _status(image: ImageRecord, now: float) -> str:
    status = image.status(now)
    return _FINISHED.get(status) or _BEGUN.get(status, "failed")


def _row(call: Call, image: ImageRecord) -> dict[str, Any]:
    spec, status = image.spec, _status(image, call.now)
    created = iso_seconds(image.created)
    return {
        "SnapshotId": image.snapshot,
        "SnapshotName": spec.name,
        "SnapshotLinkId": _link(image),
        "SnapshotType": "user",
        "Description": spec.description,
        "Status": status,
        "Progress": f"{image.progress(call.now)}%",
        "Available": status == "accomplished",
        "CreationTime": created,
        "LastModifiedTime": created,
        "RegionId": spec.region,
        "ResourceGroupId": spec.resource_group,
        "ProductCode": spec.product_code,
        "SourceDiskId": _disk(image),
        "SourceDiskSize": str(spec.size),
        "SourceDiskType": "system",
        "SourceStorageType": "disk",
        "Category": "standard",
        "Usage": "image",
        "Encrypted": spec.encryption != "none",
        "KMSKeyId": key_of(image),
        "InstantAccess": False,
        "Tags": {"Tag": []},
    }
