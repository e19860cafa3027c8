"""Parameters in, answers out, for ECS images.

Fields and defaults as on the vendor's pages, for example
https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-describeimages: only Available images unless a
status is asked for, ten rows a page, at most a hundred. An owner sees its tags and resource group; who an image is
shared with does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from localcloud.call import Call, Operation
from localcloud.clock import iso_seconds, parse_iso
from localcloud.ecs.checking import stop_if_dry_run, tags_asked_for
from localcloud.ecs.errors import ERRORS
from localcloud.ecs.models import (
    ACCOUNTS_AT_ONCE,
    SHARE_ACTIONS,
    TAGS_PER_IMAGE,
    ImageQuery,
    Sharing,
    has_tags,
    key_arn,
    share_role,
)
from localcloud.ecs.snapshots import describe_snapshots
from localcloud.errors import GATEWAY, ApiError, invalid, missing
from localcloud.images import ImageRecord, ShareChange, at_most
from localcloud.params import Params
from localcloud.regions import REGIONS, ecs_endpoint
from localcloud.resourcesharing.models import LIVE, STANDING
from localcloud.world import VENDOR_OWNERS, Image, ImageStatus

_STATUSES = frozenset(get_args(ImageStatus))
_IMAGE_NAME = re.compile(r"[^\W\d_][\w:.\-]{1,127}")
_INSTANCE_TYPE = re.compile(r"ecs\.[a-z0-9.-]+")
_ONLINE_FILTERS = ("CpuOnlineUpgrade", "CpuOnlineDowngrade", "MemoryOnlineUpgrade", "MemoryOnlineDowngrade")
_TAG_ROWS = 50
_RESOURCES_AT_ONCE = 50
_TAGGABLE = frozenset(
    {"activation", "capacityreservation", "command", "ddh", "ddhcluster", "disk", "elasticityassurance", "eni", "image"}
    | {"instance", "invocation", "keypair", "launchtemplate", "managedinstance", "reservedinstance", "securitygroup"}
    | {"snapshot", "snapshotpolicy", "volume"}
)
_NOT_BUSINESS = ("ClientToken", "DryRun")
_FILTERS_AT_ONCE = 10
_DISKS_PER_IMAGE = 17
_KEY_LENGTH = 64
_ARCHITECTURES = ("i386", "x86_64", "arm64")
_BOOT_MODES = ("BIOS", "UEFI", "UEFI-Preferred")
_ENCRYPT_ALGORITHMS = ("aes-256", "sm4-128")
_PLATFORMS = frozenset(
    {"Aliyun", "AlmaLinux", "Anolis", "CentOS", "CentOS Stream", "CoreOS", "Customized Linux", "Debian", "Fedora"}
    | {"Fedora CoreOS", "FreeBSD", "Gentoo", "Kylin", "OpenSUSE", "Others Linux", "RedHat", "Rocky Linux", "SUSE"}
    | {"Ubuntu", "UOS", *(f"Windows Server {year}" for year in (2003, 2008, 2012, 2016, 2019, 2022))}
)


def describe_regions(call: Call) -> dict[str, Any]:
    """DescribeRegions: the regions of this world."""
    language = call.params.text("AcceptLanguage") or "zh-CN"
    if language not in ("zh-CN", "zh_TW", "en-US", "ja", "fr", "de", "ko"):
        raise ERRORS.error("InvalidAcceptLanguage.NotFound")
    if call.params.text("InstanceChargeType") not in ("", "PrePaid", "PostPaid"):
        raise ERRORS.error("Invalid.InstanceChargeType")
    if call.params.text("ResourceType") not in ("", "instance", "disk", "reservedinstance", "scu"):
        raise ERRORS.error("InvalidResourceType.NotFound")
    chinese = language in ("zh-CN", "zh_TW")
    rows = [
        {
            "RegionId": region,
            "RegionEndpoint": ecs_endpoint(region),
            "LocalName": REGIONS[region][0 if chinese else 1],
            "Status": "available",
        }
        for region in call.settings.regions
    ]
    return {"Regions": {"Region": rows}}


def describe_images(call: Call) -> dict[str, Any]:
    """DescribeImages: what the caller sees in one region."""
    number, size = call.params.page()
    query = _image_query(call.params)
    stop_if_dry_run(call)
    ecs = call.models.ecs
    # Listing one's own images is what clients do most, and what others share does not matter for it.
    covered = set() if query.alias == "self" else call.models.sharing.covering(call.account, call.now)
    found = ecs.listing(query, viewer=call.account, region=call.region, now=call.now, covered=covered)
    return {
        "RegionId": call.region,
        "PageNumber": number,
        "PageSize": size,
        "TotalCount": len(found),
        "Images": {"Image": [_image_row(call, image) for image in found[(number - 1) * size : number * size]]},
    }


def describe_image_share_permission(call: Call) -> dict[str, Any]:
    """DescribeImageSharePermission: who has one of the caller's own images by a direct share.

    Whether it shows those who have it by a resource share is not documented; an account with both has one row.
    https://help.aliyun.com/zh/ecs/developer-reference/api-ecs-2014-05-26-describeimagesharepermission
    """
    image_id = call.params.required("ImageId")
    number, size = call.params.page()
    ecs = call.models.ecs
    image = ecs.own(image_id, owner=call.account, region=call.region)
    rows = ecs.shown_rows(image_id, now=call.now)
    if call.settings.switches.covered_in_permission_list:
        rows = sorted({**call.models.sharing.covered_since(image_id, call.now), **dict(rows)}.items())
    as_number = call.settings.switches.aliyun_id == "number"
    return {
        "ImageId": image_id,
        "RegionId": call.region,
        "PageNumber": number,
        "PageSize": size,
        "TotalCount": len(rows),
        "Accounts": {
            "Account": [
                {"AliyunId": int(account) if as_number else account, "SharedTime": iso_seconds(shared)}
                for account, shared in rows[(number - 1) * size : number * size]
            ]
        },
        "ShareGroups": {"ShareGroup": [{"Group": "all"}] if image.spec.public else []},
    }


def modify_image_share_permission(call: Call) -> dict[str, Any]:
    """ModifyImageSharePermission: share, take back, publish; the answer says nothing about single accounts."""
    params, ecs, settings = call.params, call.models.ecs, call.settings
    image_id = params.required("ImageId")
    add_all, remove_all = params.listed("AddAccount"), params.listed("RemoveAccount")
    if params.text("LaunchPermission"):
        both = add_all or remove_all
        raise ERRORS.error("UnnecessaryParameter.LaunchPermission" if both else "ForbiddenParameter.LaunchPermission")
    public = params.flag("IsPublic")
    if public and (add_all or remove_all):
        raise ERRORS.error("InvalidParameter.IsPublic")
    image = ecs.own(image_id, owner=call.account, region=call.region)
    if public is not None and not (add_all or remove_all):
        _check_publishing(image, public)
        stop_if_dry_run(call)
        ecs.publish(image, public)
        return {}
    beyond = settings.switches.over_ten
    change = ShareChange(
        at_most(add_all, ACCOUNTS_AT_ONCE, beyond=beyond), at_most(remove_all, ACCOUNTS_AT_ONCE, beyond=beyond)
    )
    everybody = {*change.add, *change.remove}
    sharing = Sharing(
        image=image,
        status=image.status(call.now),
        grants=ecs.grants(image_id),
        settings=settings,
        accounts_exist={account: call.models.directory.exists(account) for account in everybody},
        received_count={account: len(list(ecs.received(account))) for account in change.add},
        trusted={
            account: call.models.identity.serves(share_role(call.account), f"{account}@ecs.aliyuncs.com")
            for account in change.add
        },
        key_usable=_key_usable(call, image),
        covered=call.models.sharing.covered(image_id, call.now)
        if settings.switches.covered_count_to_quota
        else frozenset(),
    )
    after, refused = sharing.outcome(change, now=call.now)
    if refused is None:
        stop_if_dry_run(call)
    if after != sharing.grants and not params.flag("DryRun"):
        ecs.set_grants(image_id, after, now=call.now, delay=settings.delays.share)
    if refused is not None:
        raise refused
    return {}


def _key_usable(call: Call, image: ImageRecord) -> bool:
    """Whether the sharing role, where there is one, may use the image's key; unless that is not looked at."""
    identity, role = call.models.identity, share_role(call.account)
    if role not in identity.roles or call.settings.switches.share_role_permission == "unchecked":
        return True
    return all(identity.allows(role, action, key_arn(image), now=call.now) for action in SHARE_ACTIONS)


def create_image(call: Call) -> dict[str, Any]:
    """CreateImage: from an instance or a snapshot; any well-formed id of one will do, this cloud has neither."""
    params, ecs = call.params, call.models.ecs
    instance, snapshot = params.text("InstanceId"), params.text("SnapshotId")
    if not (instance or snapshot or params.groups("DiskDeviceMapping")):
        raise missing("SnapshotId or InstanceId or DiskDeviceMapping")
    if instance and not instance.startswith("i-"):
        raise ERRORS.error("InvalidInstanceId.NotFound")
    if snapshot and not snapshot.startswith("s-"):
        raise ERRORS.error("InvalidSnapshotId.NotFound")
    if len(params.groups("DiskDeviceMapping")) > _DISKS_PER_IMAGE:
        raise invalid("DiskDeviceMapping")
    family = params.text("ImageFamily")
    if family and not _IMAGE_NAME.fullmatch(family):
        raise ERRORS.error("InvalidImageFamily.Malformed")
    _check_machine(params)
    request = params.fingerprint(_NOT_BUSINESS)
    token = params.text("ClientToken")
    known = ecs.recall(call.account, "CreateImage", token, request=request)
    if known:
        return {"ImageId": known}
    spec = Image(
        owner=call.account,
        region=call.region,
        name=_new_name(call, params.text("ImageName")),
        family=family,
        description=_description(params.text("Description")),
        version=params.text("ImageVersion"),
        tags=dict(_tags(params, needed=False, too_many="QuotaExceed.Tags")),
        architecture=_architecture(params.text("Architecture"), wrong="InvalidArchitecture.Malformed") or "x86_64",
        resource_group=params.text("ResourceGroupId"),
    )
    stop_if_dry_run(call)
    image = ecs.create(spec, now=call.now, delay=call.settings.delays.image, random=call.models.random)
    ecs.remember(call.account, "CreateImage", token, request=request, image_id=image.id)
    return {"ImageId": image.id}


def copy_image(call: Call) -> dict[str, Any]:
    """CopyImage: a new image with a new id; shares do not come along.

    https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage
    """
    params, ecs = call.params, call.models.ecs
    source_id = params.required("ImageId")
    destination = params.text("DestinationRegionId") or call.region
    if destination not in call.settings.regions:
        raise ERRORS.error("DestinationRegion.NotFound")
    request = params.fingerprint(_NOT_BUSINESS)
    token = params.text("ClientToken")
    known = ecs.recall(call.account, "CopyImage", token, request=request)
    if known:
        return {"ImageId": known}
    source = _copyable(call, source_id, destination)
    spec = Image(
        owner=call.account,
        region=destination,
        name=_new_name(call, params.text("DestinationImageName")),
        description=_description(params.text("DestinationDescription")),
        tags=dict(_tags(params, needed=False)),
        encryption=_encryption(params, source.spec),
        product_code=source.spec.product_code,
        os_type=source.spec.os_type,
        architecture=source.spec.architecture,
        size=source.spec.size,
        resource_group=params.text("ResourceGroupId"),
    )
    stop_if_dry_run(call)
    image = ecs.create(
        spec, now=call.now, delay=call.settings.delays.image, random=call.models.random, copied_from=source_id
    )
    ecs.remember(call.account, "CopyImage", token, request=request, image_id=image.id)
    return {"ImageId": image.id}


def delete_image(call: Call) -> dict[str, Any]:
    """DeleteImage: refused while it is shared; Force only overrides use by instances."""
    ecs = call.models.ecs
    image = ecs.own(call.params.required("ImageId"), owner=call.account, region=call.region)
    call.params.flag("Force")
    stop_if_dry_run(call)
    in_share = call.models.sharing.shares_image(image.id, LIVE, call.now)
    ecs.delete(image, now=call.now, covered=in_share and call.settings.switches.covered_block_delete)
    call.models.sharing.lose_image(image.id, now=call.now)
    return {}


def tag_resources(call: Call) -> dict[str, Any]:
    """TagResources: all named images get all tags, or none does."""
    images = _tagged_images(call)
    tags = dict(_tags(call.params, needed=True))
    for image in images:
        if len({**image.spec.tags, **tags}) > TAGS_PER_IMAGE:
            raise ERRORS.error("OperationDenied.QuotaExceed")
    for image in images:
        call.models.ecs.retag(image, {**image.spec.tags, **tags})
    return {}


def untag_resources(call: Call) -> dict[str, Any]:
    """UntagResources: the given keys, or all of them."""
    images = _tagged_images(call)
    keys = call.params.listed("TagKey")
    everything = call.params.flag("All")
    if everything and keys:
        raise ERRORS.error("Param.Conflict")
    if len(keys) > TAGS_PER_IMAGE:
        raise ERRORS.error("NumberExceed.Tags")
    if not keys and not everything:
        raise ERRORS.error("MissingParameter.Tags")
    for image in images:
        kept = {} if everything else {key: value for key, value in image.spec.tags.items() if key not in keys}
        call.models.ecs.retag(image, kept)
    return {}


def list_tag_resources(call: Call) -> dict[str, Any]:
    """ListTagResources: rows of image and tag, fifty at a time, of the caller's own images."""
    params, ecs = call.params, call.models.ecs
    _check_resource_type(params)
    if params.groups("TagFilter"):
        raise GATEWAY.error("UnsupportedParameter", name="TagFilter")
    ids = params.listed("ResourceId")
    if len(ids) > _RESOURCES_AT_ONCE:
        raise ERRORS.error("NumberExceed.ResourceIds")
    wanted = _tags(params, needed=False)
    if not ids and not wanted:
        raise ERRORS.error("BothEmpty.TagsAndResources")
    owned = ecs.owned(call.account, region=call.region)
    if not set(owned).issuperset(ids):
        raise ERRORS.error("InvalidResourceId.NotFound")
    rows = [
        {"ResourceType": "image", "ResourceId": image_id, "TagKey": key, "TagValue": value}
        for image_id in sorted(set(ids) or owned)
        if has_tags(ecs.images[image_id].spec.tags, wanted)
        for key, value in sorted(ecs.images[image_id].spec.tags.items())
    ]
    token = params.text("NextToken")
    if token and not (token.isascii() and token.isdigit()):
        raise ERRORS.error("Invalid.NextToken")
    start = int(token or 0)
    more = start + _TAG_ROWS < len(rows)
    return {
        "NextToken": str(start + _TAG_ROWS) if more else "",
        "TagResources": {"TagResource": rows[start : start + _TAG_ROWS]},
    }


def _image_row(call: Call, image: ImageRecord) -> dict[str, Any]:
    spec, now = image.spec, call.now
    owned = spec.owner == call.account
    status = image.status(now)
    alias = "self" if owned else spec.owner if spec.owner in VENDOR_OWNERS else "others"
    progress = f"{image.progress(now)}%"
    windows = spec.os_type == "windows"
    os_name = f"{'Windows Server' if windows else 'Linux'} {spec.architecture}"
    disk: dict[str, Any] = {
        "Device": "/dev/xvda",
        "Type": "system",
        "SnapshotId": image.snapshot,
        "Size": str(spec.size),
        "Format": "",
        "Progress": progress,
        "ImportOSSBucket": "",
        "ImportOSSObject": "",
    }
    switches = call.settings.switches
    if switches.disk_encryption_shown:
        disk["Encrypted"] = spec.encryption != "none"
    row: dict[str, Any] = {
        "ImageId": image.id,
        "ImageName": spec.name,
        "ImageFamily": spec.family,
        "ImageVersion": spec.version,
        "Description": spec.description,
        "Status": status,
        "Progress": progress,
        "Usable": status == "Available",
        "Size": spec.size,
        "Architecture": spec.architecture,
        "OSName": os_name,
        "OSNameEn": os_name,
        "OSType": spec.os_type,
        "Platform": "Windows Server" if windows else "Others Linux",
        "BootMode": "BIOS",
        "CreationTime": iso_seconds(image.created),
        "ImageOwnerAlias": alias,
        "IsCopied": bool(image.copied_from),
        "IsPublic": spec.public,
        "IsSubscribed": False,
        "IsSupportCloudinit": True,
        "IsSupportIoOptimized": True,
        "LoginAsNonRootSupported": False,
        "ProductCode": spec.product_code,
        "ResourceGroupId": spec.resource_group if owned else "",
        "Usage": "none",
        "DiskDeviceMappings": {"DiskDeviceMapping": [disk]},
        "Tags": {
            "Tag": [{"TagKey": key, "TagValue": value} for key, value in sorted(spec.tags.items())] if owned else []
        },
    }
    if spec.owner not in VENDOR_OWNERS:
        row["ImageOwnerId"] = int(spec.owner)
    if switches.is_self_shared != "absent":
        by_share = switches.covered_self_shared and call.models.sharing.shares_image(image.id, STANDING, now)
        shared = owned and (bool(call.models.ecs.shown_grants(image.id, now=now)) or by_share)
        # The vendor's samples write "true" and "False".
        text = "true" if shared else "False"
        row["IsSelfShared"] = shared if switches.is_self_shared == "bool" else text
    return row


def _image_query(params: Params) -> ImageQuery:
    alias, public = params.text("ImageOwnerAlias"), bool(params.flag("IsPublic"))
    if alias not in ("", "self", "others", *VENDOR_OWNERS):
        raise ERRORS.error("InvalidImageOwnerAlias.ValueNotSupported")
    if public and alias != "others":
        raise ERRORS.error("InvalidImageOwnerAlias.PublicImageUnsupported")
    owner_id = params.text("ImageOwnerId")
    if owner_id and alias != "others":
        raise ERRORS.error("InvalidOperation.ImageOwnerIdUnsupported")
    if owner_id and not (owner_id.isascii() and owner_id.isdigit()):
        raise invalid("ImageOwnerId")
    if params.text("OSType") not in ("", "linux", "windows"):
        raise ERRORS.error("InvalidOSType")
    if params.text("Usage") not in ("", "instance", "none"):
        raise ERRORS.error("InvalidUsage")
    if params.text("ActionType") not in ("", "CreateEcs", "ChangeOS"):
        raise ERRORS.error("InvalidParamter")
    instance_type = params.text("InstanceType")
    if instance_type and not _INSTANCE_TYPE.fullmatch(instance_type):
        raise ERRORS.error("InvalidInstanceType.ValueNotSupported")
    tags = tags_asked_for(params)
    params.flag("ShowExpired")
    created_from, created_to, supported = _filters(params)
    # Every image here supports cloud-init and optimized I/O, none is used by an instance.
    nothing = (
        not supported
        or params.text("Usage") == "instance"
        or params.flag("IsSupportIoOptimized") is False
        or params.flag("IsSupportCloudinit") is False
    )
    return ImageQuery(
        alias=alias,
        statuses=_statuses(params),
        image_id=params.text("ImageId"),
        name=params.text("ImageName"),
        family=params.text("ImageFamily"),
        snapshot=params.text("SnapshotId"),
        os_type=params.text("OSType"),
        architecture=_architecture(params.text("Architecture"), wrong="InvalidArchitecture") or "",
        resource_group=params.text("ResourceGroupId"),
        owner_id=owner_id,
        public=public,
        nothing=nothing,
        usable=params.flag("Usable"),
        tags=tuple(tags),
        created_from=created_from,
        created_to=created_to,
    )


def _statuses(params: Params) -> frozenset[str] | None:
    """The statuses asked for, None for ALL; only Available without a word, and Usable needs the word."""
    text = params.text("Status")
    if not text:
        if params.text("Usable"):
            raise missing("Status")
        return frozenset({"Available"})
    if text == "ALL":
        return None
    found = frozenset(part.strip() for part in text.split(","))
    if not found <= _STATUSES:
        raise invalid("Status")
    return found


def _filters(params: Params) -> tuple[float | None, float | None, bool]:
    """(created from, created to, whether anything can match) of Filter.N."""
    times: dict[str, float | None] = {"CreationStartTime": None, "CreationEndTime": None}
    supported = True
    filters = params.pairs("Filter")
    if len(filters) > _FILTERS_AT_ONCE:
        raise invalid("Filter")
    for key, value in filters:
        if key in times:
            try:
                times[key] = parse_iso(value)
            except ValueError:
                raise ERRORS.error("InvalidFilterValue") from None
        elif key == "NetworkType":
            if value not in ("vpc", "classic"):
                raise ERRORS.error("InvalidFilterValue.NetworkType")
        elif key in _ONLINE_FILTERS:
            if value not in ("supported", "unsupported"):
                raise ERRORS.error("InvalidFilterValue")
            supported = supported and value == "supported"
        else:
            raise ERRORS.error("InvalidFilterKey.NotFound")
    return times["CreationStartTime"], times["CreationEndTime"], supported


def _architecture(text: str, *, wrong: str) -> Any:
    if text not in ("", *_ARCHITECTURES):
        raise ERRORS.error(wrong)
    return text


def _check_machine(params: Params) -> None:
    """What the image is for: checked, though nothing here boots, so that a client learns of nonsense."""
    if params.text("BootMode") not in ("", *_BOOT_MODES):
        raise ERRORS.error("InvalidBootMode.NotSupport")
    if params.text("Platform") not in ("", *_PLATFORMS):
        raise ERRORS.error("InvalidPlatform.Malformed")


def _check_publishing(image: ImageRecord, public: bool) -> None:
    """IsPublic alone: publish or take back; each only where it changes something."""
    if public and image.spec.encryption != "none":
        raise ERRORS.error("OperationDeined.EncryptedSnapshot")
    if public == image.spec.public:
        raise ERRORS.error("Image.Public" if public else "Image.NotPublic")


def _copyable(call: Call, image_id: str, destination: str) -> ImageRecord:
    ecs = call.models.ecs
    image = ecs.find(image_id, region=call.region)
    covered = call.models.sharing.covered(image_id, call.now)
    if image is None or not (
        image.spec.owner == call.account or call.account in ecs.grants(image_id) or call.account in covered
    ):
        if image is not None and image.spec.public:
            raise ERRORS.error("OperationDenied.CommunityImage")
        raise ERRORS.error("InvalidImageId.NotFound")
    if image.spec.public:
        raise ERRORS.error("OperationDenied.CommunityImage")
    if image.spec.owner != call.account and destination != call.region:
        raise ERRORS.error("OperationDenied.SameRegionOnly")
    if image.status(call.now) != "Available":
        raise ERRORS.error("IncorrectImageStatus")
    if ecs.copying(image_id, region=destination, now=call.now):
        raise ERRORS.error("OperationDenied.ImageCopyConflict")
    return image


def _encryption(params: Params, source: Image) -> Any:
    """A key named encrypts with it, Encrypted alone with the service key; else the source's encryption stays."""
    encrypted, key, algorithm = params.flag("Encrypted"), params.text("KMSKeyId"), params.text("EncryptAlgorithm")
    if key and not encrypted:
        raise ERRORS.error("InvalidEncrypted.NotMatchKmsKeyId")
    if len(key) > _KEY_LENGTH:
        raise ERRORS.error("InvalidParameter.KMSKeyId.NotFound")
    if algorithm and not encrypted:
        raise ERRORS.error("InvalidEncrypted.NotMatchEncryptAlgorithm")
    if algorithm not in ("", *_ENCRYPT_ALGORITHMS):
        raise ERRORS.error("InvalidEncryptAlgorithm")
    if encrypted:
        return "cmk" if key else "service-key"
    return source.encryption


def _new_name(call: Call, name: str) -> str:
    if not name:
        return f"image-{call.now:.6f}".replace(".", "-")
    if not _IMAGE_NAME.fullmatch(name) or name.startswith(("aliyun", "acs:", "http://", "https://")):
        raise ERRORS.error("InvalidImageName.Malformed")
    return name


def _description(text: str) -> str:
    if text and (not 2 <= len(text) <= 256 or text.startswith(("http://", "https://"))):
        raise ERRORS.error("InvalidDescription.Malformed")
    return text


def _tags(params: Params, *, needed: bool, too_many: str = "NumberExceed.Tags") -> list[tuple[str, str]]:
    tags = params.pairs("Tag")
    if not tags and needed:
        raise ERRORS.error("MissingParameter.Tags")
    if len(tags) > TAGS_PER_IMAGE:
        raise ERRORS.error(too_many)
    for key, value in tags:
        if not key or len(key) > 128 or key.startswith(("aliyun", "acs:")) or "http://" in key or "https://" in key:
            raise ERRORS.error("InvalidTagKey.Malformed")
        if len(value) > 128 or value.startswith("acs:") or "http://" in value or "https://" in value:
            raise ERRORS.error("InvalidTagValue.Malformed")
    if len({key for key, _ in tags}) != len(tags):
        raise ERRORS.error("Duplicate.TagKey")
    return tags


def _check_resource_type(params: Params) -> None:
    kind = params.text("ResourceType")
    if not kind:
        raise ERRORS.error("MissingParameter.ResourceType")
    if kind not in _TAGGABLE:
        raise ERRORS.error("InvalidResourceType.NotFound")
    if kind != "image":
        raise GATEWAY.error("UnsupportedParameter", name="ResourceType")


def _tagged_images(call: Call) -> list[ImageRecord]:
    _check_resource_type(call.params)
    ids = call.params.listed("ResourceId")
    if not ids:
        raise ERRORS.error("MissingParameter.ResourceIds")
    if len(ids) > _RESOURCES_AT_ONCE:
        raise ERRORS.error("NumberExceed.ResourceIds")
    try:
        return [call.models.ecs.own(one, owner=call.account, region=call.region) for one in dict.fromkeys(ids)]
    except ApiError:
        raise ERRORS.error("InvalidResourceId.NotFound") from None


def _operation(
    name: str, handler: Callable[[Call], dict[str, Any]], *, writes: bool = False, regional: bool = True
) -> Operation:
    tags = name.lower().endswith("tagresources")
    return Operation(
        "ecs",
        name,
        handler,
        writes=writes,
        regional=regional,
        missing_region=ERRORS.error("MissingParameter.RegionId") if tags else missing("RegionId"),
    )


OPERATIONS = (
    _operation("CopyImage", copy_image, writes=True),
    _operation("CreateImage", create_image, writes=True),
    _operation("DeleteImage", delete_image, writes=True),
    _operation("DescribeImageSharePermission", describe_image_share_permission),
    _operation("DescribeImages", describe_images),
    _operation("DescribeRegions", describe_regions, regional=False),
    _operation("DescribeSnapshots", describe_snapshots),
    _operation("ListTagResources", list_tag_resources),
    _operation("ModifyImageSharePermission", modify_image_share_permission, writes=True),
    _operation("TagResources", tag_resources, writes=True),
    _operation("UntagResources", untag_resources, writes=True),
)
