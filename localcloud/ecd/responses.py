"""Parameters in, answers out, for images of Elastic Desktop Service.

Fields and defaults as at
https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-describeimages: ten rows a
page, at most a hundred, the next page by its token. Lists are plain arrays. No row says whose image it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from localcloud.call import Call, Operation
from localcloud.clock import iso_seconds
from localcloud.ecd.models import ADDED_AT_ONCE, REMOVED_AT_ONCE, DesktopSharing
from localcloud.errors import GATEWAY, invalid, missing
from localcloud.images import ImageRecord, ShareChange, at_most
from localcloud.params import PAGE_SIZE_MAX, Params
from localcloud.regions import DESKTOP_REGIONS, REGIONS, ecd_endpoint
from localcloud.world import EDS_STATUSES

_IDS_AT_ONCE = 100
_ROWS = 10
_ROWS_SAID = 500
"""The schema's limit, where the page has a hundred: more may be asked for than is given."""
_LANGUAGES = ("en-US", "zh-HK", "zh-CN", "ja-JP")
_KEY = "08c33a6f-4e0a-4a1b-a3fa-7ddfa1d40000"


def describe_regions(call: Call) -> dict[str, Any]:
    """DescribeRegions: the regions of this world that have the service."""
    _check_region(call)
    language = call.params.text("AcceptLanguage")
    _check_choice("AcceptLanguage", language, ("en", "zh"))
    return {
        "Regions": [
            {
                "RegionId": region,
                "RegionEndpoint": ecd_endpoint(region),
                "LocalName": REGIONS[region][1 if language == "en" else 0],
            }
            for region in call.settings.regions
            if region in DESKTOP_REGIONS
        ]
    }


def describe_images(call: Call) -> dict[str, Any]:
    """DescribeImages: what the caller sees in one region, the vendor's images and received ones among it."""
    _check_region(call)
    params, model, received = call.params, call.models.ecd, call.settings.switches.eds_received_type
    size = params.integer("MaxResults", _ROWS, low=0, high=_ROWS_SAID)
    size = min(size or _ROWS, PAGE_SIZE_MAX)
    kind = params.text("ImageType")
    _check_choice("ImageType", kind, ("SYSTEM", "CUSTOM", received))
    found = model.listed_for(call.account, region=call.region)
    if kind:
        found = [image for image in found if model.type_for(image, call.account, received=received) == kind]
    for check in _filters(params, call.now):
        found = [image for image in found if check(image)]
    start = _start(params.text("NextToken"))
    rows = [_image_row(call, image) for image in found[start : start + size]]
    more = start + size < len(found)
    return {"Images": rows, **({"NextToken": _token(start + size)} if more else {})}


def describe_image_permission(call: Call) -> dict[str, Any]:
    """DescribeImagePermission: who has one of the caller's own images, all in one answer."""
    _check_region(call)
    image_id = call.params.required("ImageId")
    model = call.models.ecd
    model.own_custom(image_id, owner=call.account, region=call.region)
    as_number = call.settings.switches.aliyun_id == "number"
    rows = model.shown_rows(image_id, now=call.now)
    return {"AliUids": [int(account) if as_number else account for account, _ in rows]}


def modify_image_permission(call: Call) -> dict[str, Any]:
    """ModifyImagePermission: share and take back; the answer says nothing about single accounts."""
    _check_region(call)
    params, model, settings = call.params, call.models.ecd, call.settings
    image_id = params.required("ImageId")
    add_all, remove_all = params.listed("AddAccount"), params.listed("RemoveAccount")
    _check_accounts("AddAccount", add_all)
    _check_accounts("RemoveAccount", remove_all)
    image = model.own_custom(image_id, owner=call.account, region=call.region)
    if len(add_all) + len(remove_all) > 1 and settings.switches.eds_several_at_once == "refused":
        raise invalid("AddAccount" if add_all else "RemoveAccount")
    change = ShareChange(_within_cap(call, add_all, ADDED_AT_ONCE), _within_cap(call, remove_all, REMOVED_AT_ONCE))
    sharing = DesktopSharing(
        image=image,
        status=image.status(call.now),
        grants=model.grants(image_id),
        settings=settings,
        accounts_exist={one: call.models.directory.exists(one) for one in {*change.add, *change.remove}},
        shares_beside=model.shares_beside(image, settings.quotas.eds_shares_per),
    )
    after, refused = sharing.result(change, now=call.now)
    if after != sharing.grants:
        model.set_grants(image_id, after, now=call.now, delay=settings.delays.share)
    if refused is not None:
        raise refused
    return {}


def delete_images(call: Call) -> dict[str, Any]:
    """DeleteImages: all of them or none; refused while one is shared, says the page about sharing.

    https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-deleteimages
    """
    _check_region(call)
    ids = _ids(call.params)
    if not ids:
        raise missing("ImageId")
    model = call.models.ecd
    model.drop_unshared(model.own_custom(one, owner=call.account, region=call.region) for one in ids)
    return {}


def _image_row(call: Call, image: ImageRecord) -> dict[str, Any]:
    spec, model = image.spec, call.models.ecd
    owned, windows = spec.owner == call.account, spec.os_type == "windows"
    row: dict[str, Any] = {
        "ImageId": image.id,
        "Name": spec.name,
        "Description": spec.description,
        "ImageType": model.type_for(image, call.account, received=call.settings.switches.eds_received_type),
        "Status": image.status(call.now),
        "Progress": f"{image.progress(call.now)}%",
        "CreationTime": iso_seconds(image.created),
        "UpdateTime": iso_seconds(image.created),
        "OsType": spec.os_type.upper(),
        "Platform": "Windows Server 2019" if windows else "Ubuntu",
        "ProtocolType": "ASP",
        "SessionType": "SINGLE_SESSION",
        "SupportedLanguages": list(_LANGUAGES),
        "GpuCategory": False,
        "AppVersion": spec.version,
        "Size": spec.size,
        "DataDiskSize": 0,
        "SharedCount": len(model.shown_grants(image.id, now=call.now)) if owned else 0,
        "VolumeEncryptionEnabled": spec.encryption != "none",
    }
    if spec.encryption != "none":
        row["VolumeEncryptionKey"] = _KEY
    return row


def _filters(params: Params, now: float) -> Iterator[Callable[[ImageRecord], bool]]:
    """One check for each thing that is asked for. A name has to be the whole name, as no page says otherwise."""
    ids, name, version = _ids(params), params.text("ImageName"), params.text("FotaVersion")
    status, system = params.text("ImageStatus"), params.text("OsType")
    protocol, session = params.text("ProtocolType"), params.text("SessionType")
    _check_choice("ImageStatus", status, EDS_STATUSES)
    _check_choice("OsType", system, ("Linux", "Windows"))
    _check_choice("ProtocolType", protocol, ("HDX", "ASP"))
    _check_choice("SessionType", session, ("SINGLE_SESSION", "MULTIPLE_SESSION"))
    _check_choice("LanguageType", params.text("LanguageType"), _LANGUAGES)
    # No image here is for graphics.
    if params.flag("GpuCategory") or params.text("GpuDriverVersion") or protocol == "HDX" or session[:8] == "MULTIPLE":
        yield lambda _: False
    if ids:
        yield lambda image: image.id in ids
    if name:
        yield lambda image: image.spec.name == name
    if version:
        yield lambda image: image.spec.version == version
    if status:
        yield lambda image: image.status(now) == status
    if system:
        yield lambda image: image.spec.os_type == system.lower()


def _ids(params: Params) -> list[str]:
    ids = params.listed("ImageId")
    if len(ids) > _IDS_AT_ONCE:
        raise invalid("ImageId")
    return list(dict.fromkeys(ids))


def _within_cap(call: Call, accounts: Sequence[str], most: int) -> tuple[str, ...]:
    """The accounts of a list that the call takes; what becomes of those beyond its cap is a switch."""
    beyond = call.settings.switches.eds_beyond_cap
    if beyond == "error":
        if len(accounts) > most:
            raise invalid("AddAccount" if most == ADDED_AT_ONCE else "RemoveAccount")
        return tuple(dict.fromkeys(accounts))
    return at_most(accounts, most, beyond=beyond)


def _check_accounts(name: str, accounts: Sequence[str]) -> None:
    """Ids are integers here."""
    if not all(one.isascii() and one.isdigit() for one in accounts):
        raise invalid(name)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in ("", *choices):
        raise invalid(name)


def _check_region(call: Call) -> None:
    """A region without the service has no host for it."""
    if call.region not in DESKTOP_REGIONS:
        raise GATEWAY.error("InvalidRegionId.NotFound")


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"images:{start}".encode()).decode()


def _start(token: str) -> int:
    """Where the page of a token begins; of none, the first row."""
    try:
        kind, _, start = base64.urlsafe_b64decode(token).decode().partition(":") if token else ("images", "", "0")
    except (ValueError, binascii.Error):
        raise invalid("NextToken") from None
    if kind != "images" or not (start.isascii() and start.isdigit()):
        raise invalid("NextToken")
    return int(start)


def _operation(
    name: str, handler: Callable[[Call], dict[str, Any]], *, writes: bool = False, rows: str = ""
) -> Operation:
    return Operation("ecd", name, handler, writes=writes, regional=True, rows=rows)


OPERATIONS = (
    _operation("DeleteImages", delete_images, writes=True),
    _operation("DescribeImagePermission", describe_image_permission, rows="AliUids"),
    _operation("DescribeImages", describe_images, rows="Images"),
    _operation("DescribeRegions", describe_regions, rows="Regions"),
    _operation("ModifyImagePermission", modify_image_permission, writes=True),
)
