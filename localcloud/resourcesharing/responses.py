"""Parameters in, answers out, for Resource Sharing.

The region is the endpoint: no call has a parameter for it, and a share holds resources of its own region
(https://www.alibabacloud.com/help/doc-detail/197295.htm). At most five resources and five targets a call, and unlike
with ECS more, or one of them twice, is an error. Lists are paged by token, twenty rows unless asked for, at most a
hundred, and the last page has no token
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

from localcloud.call import Call, Operation
from localcloud.clock import iso_millis
from localcloud.errors import GATEWAY, invalid
from localcloud.params import Params
from localcloud.regions import REGIONS
from localcloud.resourcesharing.errors import ERRORS
from localcloud.resourcesharing.models import (
    LIVE,
    PERMISSION,
    RESOURCE_TYPE,
    STANDING,
    Association,
    AssociationStatus,
    Entity,
    Invitation,
    Kind,
    Share,
    ShareStatus,
)

_AT_ONCE = 5
_TAGS_AT_ONCE = 20
_LISTED_AT_ONCE = 20
_TOKEN_LENGTH = 256
_NAME_LENGTH = 50
_NAME = re.compile(r"[\w.\-]+")
_SHARE_ID = re.compile(r"rs-[A-Za-z0-9-]+")
_INVITATION_ID = re.compile(r"i-[A-Za-z0-9-]+")
_RESOURCE_ID = re.compile(r"m-[A-Za-z0-9-]+")
_ENTITY_ID = re.compile(r"(rd|r|fd)-[A-Za-z0-9-]+|[1-9][0-9]{4,17}")
_ARN = re.compile(r"acs:ecs:([a-z0-9-]+):([0-9]+):image/(m-[A-Za-z0-9-]+)")

_T = TypeVar("_T")


def describe_regions(call: Call) -> dict[str, Any]:
    """DescribeRegions: the regions of this world."""
    language = call.params.text("AcceptLanguage") or "zh-CN"
    if language not in ("zh-CN", "en-US"):
        raise invalid("AcceptLanguage")
    rows = [
        {
            "RegionId": region,
            "RegionEndpoint": f"resourcesharing.{region}.aliyuncs.com",
            "LocalName": REGIONS[region][0 if language == "zh-CN" else 1],
        }
        for region in call.settings.regions
    ]
    return {"Regions": rows}


def check_sharing(call: Call) -> dict[str, Any]:
    """CheckSharingWithResourceDirectoryStatus: whether the caller's organization shares at all."""
    directory = call.models.directory
    inside = call.account == directory.management or call.account in directory.truth.members
    return {"EnableSharingWithRd": inside and directory.sharing_enabled}


def enable_sharing(call: Call) -> dict[str, Any]:
    """EnableSharingWithResourceDirectory: for the management account, once.

    https://www.alibabacloud.com/help/doc-detail/346800.htm
    """
    directory = call.models.directory
    if not directory.id or call.account != directory.management:
        raise ERRORS.error("ActionNotPermitted")
    if directory.sharing_enabled:
        raise ERRORS.error("AlreadyEnabled")
    directory.sharing_enabled = True
    return {}


def create_resource_share(call: Call) -> dict[str, Any]:
    """CreateResourceShare: empty or with what it starts with. There is no client token: each call makes a share."""
    params, sharing = call.params, call.models.sharing
    name = _new_name(params)
    wanted = _entities(call)
    _check_permissions(params)
    share = Share(
        id=sharing.new_share_id(call.models.random),
        owner=call.account,
        region=call.region,
        name=name,
        allow_external=bool(params.flag("AllowExternalTargets")),
        tags=dict(_share_tags(params)),
        resource_group=params.text("ResourceGroupId"),
        created=call.now,
        updated=call.now,
        ready=call.now + call.settings.delays.association,
    )
    sharing.open_share(share, wanted, now=call.now)
    return {"ResourceShare": _share_row(share, call.now)}


def update_resource_share(call: Call) -> dict[str, Any]:
    """UpdateResourceShare: another name, and whether accounts from outside may take part."""
    share_id, name = _share_id(call.params), _new_name(call.params)
    allow_external = call.params.flag("AllowExternalTargets")
    share = _own(call, share_id)
    call.models.sharing.rename(share, name, allow_external=allow_external, now=call.now)
    return {"ResourceShare": _share_row(share, call.now)}


def delete_resource_share(call: Call) -> dict[str, Any]:
    """DeleteResourceShare: disassociates everything; the share stays listed as deleted for days."""
    call.models.sharing.close(_own(call, _share_id(call.params)), now=call.now)
    return {}


def associate_resource_share(call: Call) -> dict[str, Any]:
    """AssociateResourceShare: accepted now, done later."""
    share_id, wanted = _share_id(call.params), _needed_entities(call)
    _check_permissions(call.params)
    share = _own(call, share_id)
    rows, refused = call.models.sharing.associate(share, wanted, now=call.now, fault=call.fault)
    if refused is not None:
        raise refused
    return {"ResourceShareAssociations": [_begun(call, row, "Associating") for row in rows]}


def disassociate_resource_share(call: Call) -> dict[str, Any]:
    """DisassociateResourceShare: by the owner; or by an account from outside, which leaves."""
    share_id, wanted, sharing = _share_id(call.params), _needed_entities(call), call.models.sharing
    if call.params.text("ResourceOwner") not in ("", "Self", "OtherAccounts"):
        raise invalid("ResourceOwner")
    if call.params.text("ResourceOwner") == "OtherAccounts":
        if wanted != [("Target", call.account)]:
            raise ERRORS.error("InvalidParameter.Targets")
        rows = sharing.leave_share(share_id, call.account, region=call.region, now=call.now)
    else:
        rows, refused = sharing.disassociate(_own(call, share_id), wanted, now=call.now)
        if refused is not None:
            raise refused
    return {"ResourceShareAssociations": [_begun(call, row, "Disassociating") for row in rows]}


def list_resource_shares(call: Call) -> dict[str, Any]:
    """ListResourceShares: own ones with those deleted lately, or those of others that reach the caller."""
    params, now = call.params, call.now
    mine = _is_mine(params)
    name, status, permission = (
        params.text("ResourceShareName"),
        params.text("ResourceShareStatus"),
        params.text("PermissionName"),
    )
    if name:
        _check_name(name)
    if status not in ("", *get_args(ShareStatus)):
        raise ERRORS.error("InvalidParameter.ResourceShareStatus")
    ids, group, tags = _share_ids(params), params.text("ResourceGroupId"), _share_tags(params)
    found = [
        share
        for share in _found_shares(call, mine=mine, ids=ids)
        if (not name or share.name == name)
        and status in ("", share.phase(now))
        and permission in ("", PERMISSION)
        and group in ("", share.resource_group)
        and all(key in share.tags and value in ("", share.tags[key]) for key, value in tags)
    ]
    rows, more = _page(call, "ListResourceShares", found)
    return {"ResourceShares": [_listed_share(share, now, mine=mine) for share in rows], **more}


def list_resource_share_associations(call: Call) -> dict[str, Any]:
    """ListResourceShareAssociations: images or targets of own shares, with all that failed or ended lately."""
    params, now = call.params, call.now
    kind, status = params.text("AssociationType"), params.text("AssociationStatus")
    resource, target, arn = params.text("ResourceId"), params.text("Target"), params.text("ResourceArn")
    if not kind:
        raise ERRORS.error("MissingParameter.AssociationType")
    if kind not in ("Resource", "Target"):
        raise ERRORS.error("InvalidParameter.AssociationType")
    if status not in ("", *get_args(AssociationStatus)):
        raise ERRORS.error("InvalidParameter.AssociationStatus")
    if target if kind == "Resource" else resource or arn:
        raise ERRORS.error("ConflictedAssociationType")
    _check_resource_id(resource)
    _check_target(target)
    found = [
        (share, row)
        for share in _found_shares(call, mine=True, ids=_share_ids(params))
        for row in call.models.sharing.association_of(share, now)
        if row.kind == kind
        and status in ("", row.state(now))
        and (resource or target) in ("", row.entity)
        and arn in ("", _arn(share, row.entity))
    ]
    found.sort(key=lambda pair: pair[1].serial)
    rows, more = _page(call, "ListResourceShareAssociations", found)
    return {"ResourceShareAssociations": [_association_row(share, row, now) for share, row in rows], **more}


def list_shared_resources(call: Call) -> dict[str, Any]:
    """ListSharedResources: the images that the caller shares, or that others share with it."""
    params, now = call.params, call.now
    mine, kind, target = _is_mine(params), params.text("ResourceType"), params.text("Target")
    _check_resource_type(kind)
    _check_target(target)
    ids, arns = _resource_ids(params), _resource_arns(params)
    found = [
        (share, row)
        for share in _found_shares(call, mine=mine, ids=_share_ids(params))
        if not target or (_has_target(share, target, now) if mine else share.owner == target)
        for row in _standing(share, "Resource", now)
        if (not ids or row.entity in ids) and (not arns or _arn(share, row.entity) in arns)
    ]
    found.sort(key=lambda pair: pair[1].serial)
    rows, more = _page(call, "ListSharedResources", found)
    return {"SharedResources": [_resource_row(share, row, now, mine=mine) for share, row in rows], **more}


def list_shared_targets(call: Call) -> dict[str, Any]:
    """ListSharedTargets: whom the caller shares with, or the owners that share with it."""
    params, now = call.params, call.now
    mine, kind, arn = _is_mine(params), params.text("ResourceType"), params.text("ResourceArn")
    resource, targets = params.text("ResourceId"), _targets(params)
    _check_resource_type(kind)
    _check_resource_id(resource)
    shares = [
        share
        for share in _found_shares(call, mine=mine, ids=_share_ids(params))
        if not (resource or arn)
        or any(
            resource in ("", row.entity) and arn in ("", _arn(share, row.entity))
            for row in _standing(share, "Resource", now)
        )
    ]
    found = [(share, row) for share in shares for row in _standing(share, "Target", now)]
    if not mine:
        # What reaches the caller is not for it to know, so each share has one row, with its owner.
        found = list({share.id: (share, row) for share, row in found}.values())
    found = [(share, row) for share, row in found if not targets or (row.entity if mine else share.owner) in targets]
    found.sort(key=lambda pair: pair[1].serial)
    rows, more = _page(call, "ListSharedTargets", found)
    return {"SharedTargets": [_target_row(share, row, now, mine=mine) for share, row in rows], **more}


def list_resource_share_invitations(call: Call) -> dict[str, Any]:
    """ListResourceShareInvitations: those that the caller has received."""
    params, now = call.params, call.now
    wanted = params.listed("ResourceShareInvitationIds")
    if len(set(wanted)) != len(wanted):
        raise ERRORS.error("InvalidParameter.ResourceShareInvitationIds.Duplicate")
    if len(wanted) > _LISTED_AT_ONCE:
        raise ERRORS.error("InvalidParameter.ResourceShareInvitationIds.Length")
    if not all(_INVITATION_ID.fullmatch(one) for one in wanted):
        raise ERRORS.error("InvalidParameter.ResourceShareInvitationIds")
    ids = _share_ids(params)
    found = [
        one
        for one in call.models.sharing.invitations.values()
        if one.receiver == call.account
        and call.models.sharing.share_named(one.association.share).region == call.region
        and (not wanted or one.id in wanted)
        and (not ids or one.association.share in ids)
    ]
    rows, more = _page(call, "ListResourceShareInvitations", found)
    shown = [{**_invitation_row(call, one, now), "InvitationFailedDetails": []} for one in rows]
    return {"ResourceShareInvitations": shown, **more}


def accept_invitation(call: Call) -> dict[str, Any]:
    """AcceptResourceShareInvitation: the account from outside takes part."""
    invitation = _invitation(call)
    call.models.sharing.accept_invitation(invitation, now=call.now)
    row = {**_invitation_row(call, invitation, call.now), "AcceptInvitationFailedDetails": []}
    return {"ResourceShareInvitation": row}


def reject_invitation(call: Call) -> dict[str, Any]:
    """RejectResourceShareInvitation: it does not."""
    invitation = _invitation(call)
    call.models.sharing.reject_invitation(invitation, now=call.now)
    return {"ResourceShareInvitation": _invitation_row(call, invitation, call.now)}


# --- reading parameters


def _share_id(params: Params) -> str:
    share_id = params.text("ResourceShareId")
    if not share_id:
        raise ERRORS.error("MissingParameter.ResourceShareId")
    if not _SHARE_ID.fullmatch(share_id):
        raise ERRORS.error("InvalidParameter.ResourceShareId")
    return share_id


def _own(call: Call, share_id: str) -> Share:
    return call.models.sharing.own_share(share_id, owner=call.account, region=call.region, now=call.now)


def _new_name(params: Params) -> str:
    name = params.text("ResourceShareName")
    if not name:
        raise ERRORS.error("MissingParameter.ResourceShareName")
    _check_name(name)
    return name


def _check_name(name: str) -> None:
    if len(name) > _NAME_LENGTH:
        raise ERRORS.error("InvalidParameter.ResourceShareName.Length")
    if not _NAME.fullmatch(name):
        raise ERRORS.error("InvalidParameter.ResourceShareName")


def _needed_entities(call: Call) -> list[Entity]:
    wanted = _entities(call)
    if not wanted:
        raise ERRORS.error("ResourceAndTargetBothEmpty")
    return wanted


def _entities(call: Call) -> list[Entity]:
    """The images and targets of a call, in this order."""
    wanted: list[Entity] = [("Resource", one) for one in _named_images(call)]
    wanted += [("Target", one) for one in _targets(call.params)]
    return wanted


def _named_images(call: Call) -> list[str]:
    """The images of Resources.N, or of ResourceArns.N, which cannot be there together."""
    params = call.params
    groups, arns = params.groups("Resources"), params.listed("ResourceArns")
    if groups and arns:
        raise ERRORS.error("InvalidParameter.ResourceConflict")
    if arns:
        return _images_of_arns(call, arns)
    found = [(row.text("ResourceType"), row.text("ResourceId")) for row in groups]
    if len(found) > _AT_ONCE:
        raise ERRORS.error("InvalidParameter.Resources.Length")
    if len(set(found)) != len(found):
        raise ERRORS.error("InvalidParameter.Resources.Duplicate")
    if not all(kind and name for kind, name in found):
        raise ERRORS.error("InvalidParameter.Resources")
    if any(kind != RESOURCE_TYPE for kind, _ in found):
        raise ERRORS.error("InvalidParameter.ResourceType")
    return [name for _, name in found]


def _images_of_arns(call: Call, arns: list[str]) -> list[str]:
    if len(arns) > _AT_ONCE:
        raise ERRORS.error("InvalidParameter.ResourceArns.Length")
    if len(set(arns)) != len(arns):
        raise ERRORS.error("InvalidParameter.ResourceArns.Duplicate")
    parts = [_ARN.fullmatch(one) for one in arns]
    found = [part[3] for part in parts if part is not None and (part[1], part[2]) == (call.region, call.account)]
    if len(found) != len(arns):
        raise ERRORS.error("InvalidParameter.ResourceArns")
    return found


def _targets(params: Params) -> list[str]:
    targets = params.listed("Targets")
    if len(targets) > _AT_ONCE:
        raise ERRORS.error("InvalidParameter.Targets.Length")
    if len(set(targets)) != len(targets):
        raise ERRORS.error("InvalidParameter.Targets.Duplicate")
    if not all(_ENTITY_ID.fullmatch(one) for one in targets):
        raise ERRORS.error("InvalidParameter.Targets")
    return targets


def _check_permissions(params: Params) -> None:
    """Images have one permission; properties are for services as targets, and here are none."""
    names = params.listed("PermissionNames")
    if len(names) > _LISTED_AT_ONCE:
        raise ERRORS.error("InvalidParameter.PermissionNames.Length")
    if len(set(names)) != len(names):
        raise ERRORS.error("InvalidParameter.PermissionNames.Duplicate")
    if any(name != PERMISSION for name in names):
        raise ERRORS.error("EntityNotExists.Permission")
    if params.groups("TargetProperties"):
        raise ERRORS.error("InvalidParameter.TargetProperties")
    if params.groups("ResourceProperties"):
        raise GATEWAY.error("UnsupportedParameter", name="ResourceProperties")


def _share_tags(params: Params) -> list[tuple[str, str]]:
    tags = params.pairs("Tag")
    if len(tags) > _TAGS_AT_ONCE or len({key for key, _ in tags}) != len(tags):
        raise invalid("Tag")
    for key, value in tags:
        if not 1 <= len(key) <= 128 or key.startswith(("aliyun", "acs:")) or "http://" in key or "https://" in key:
            raise invalid("Tag")
        if len(value) > 128 or value.startswith("acs:") or "http://" in value or "https://" in value:
            raise invalid("Tag")
    return tags


def _is_mine(params: Params) -> bool:
    owner = params.text("ResourceOwner")
    if not owner:
        raise ERRORS.error("MissingParameter.ResourceOwner")
    if owner not in ("Self", "OtherAccounts"):
        raise ERRORS.error("InvalidParameter.ResourceOwner")
    return owner == "Self"


def _share_ids(params: Params) -> list[str]:
    ids = params.listed("ResourceShareIds")
    if len(ids) > _AT_ONCE:
        raise ERRORS.error("InvalidParameter.ResourceShareIds.Length")
    if len(set(ids)) != len(ids):
        raise ERRORS.error("InvalidParameter.ResourceShareIds.Duplicate")
    if not all(_SHARE_ID.fullmatch(one) for one in ids):
        raise ERRORS.error("InvalidParameter.ResourceShareIds")
    return ids


def _resource_ids(params: Params) -> list[str]:
    ids = params.listed("ResourceIds")
    if len(ids) > _AT_ONCE:
        raise ERRORS.error("InvalidParameter.ResourceIds.Length")
    if len(set(ids)) != len(ids):
        raise ERRORS.error("InvalidParameter.ResourceIds.Duplicate")
    if not all(_RESOURCE_ID.fullmatch(one) for one in ids):
        raise ERRORS.error("InvalidParameter.ResourceIds")
    return ids


def _resource_arns(params: Params) -> list[str]:
    arns = params.listed("ResourceArns")
    if len(arns) > _AT_ONCE:
        raise ERRORS.error("InvalidParameter.ResourceArns.Length")
    if not all(_ARN.fullmatch(one) for one in arns):
        raise ERRORS.error("InvalidParameter.ResourceArns")
    return arns


def _check_resource_type(kind: str) -> None:
    if kind not in ("", RESOURCE_TYPE):
        raise ERRORS.error("InvalidParameter.ResourceType")


def _check_resource_id(resource: str) -> None:
    if resource and not _RESOURCE_ID.fullmatch(resource):
        raise ERRORS.error("InvalidParameter.ResourceId")


def _check_target(target: str) -> None:
    if target and not _ENTITY_ID.fullmatch(target):
        raise ERRORS.error("InvalidParameter.Target")


def _invitation(call: Call) -> Invitation:
    invitation_id = call.params.text("ResourceShareInvitationId")
    if not invitation_id:
        raise ERRORS.error("MissingParameter.ResourceShareInvitationId")
    if not _INVITATION_ID.fullmatch(invitation_id):
        raise ERRORS.error("InvalidParameter.ResourceShareInvitationId")
    return call.models.sharing.invitation_of(invitation_id, receiver=call.account, now=call.now)


def _page(call: Call, action: str, rows: Sequence[_T]) -> tuple[Sequence[_T], dict[str, str]]:
    """The rows of the page that is asked for, and the token of the next one, if there is one."""
    params = call.params
    size = params.text("MaxResults") or "20"
    if not (size.isascii() and size.isdigit() and len(size) <= 3 and 1 <= int(size) <= 100):
        raise ERRORS.error("InvalidParameter.MaxResults")
    token = params.text("NextToken")
    if len(token) > _TOKEN_LENGTH:
        raise ERRORS.error("InvalidParameter.NextToken.Length")
    try:
        text = base64.urlsafe_b64decode(token).decode() if token else f"{action}:0"
    except (ValueError, binascii.Error):
        raise ERRORS.error("InvalidParameter.NextToken") from None
    listed, _, start = text.partition(":")
    if listed != action or not (start.isascii() and start.isdigit()):
        raise ERRORS.error("InvalidParameter.NextToken")
    first, following = int(start), int(start) + int(size)
    after = base64.urlsafe_b64encode(f"{action}:{following}".encode()).decode()
    return rows[first:following], {"NextToken": after} if following < len(rows) else {}


# --- finding


def _found_shares(call: Call, *, mine: bool, ids: Sequence[str]) -> list[Share]:
    sharing = call.models.sharing
    if mine:
        found = sharing.shares_of(call.account, region=call.region, now=call.now)
    else:
        found = sharing.shares_with(call.account, region=call.region, now=call.now)
    return [share for share in found if not ids or share.id in ids]


def _standing(share: Share, kind: Kind, now: float) -> list[Association]:
    return share.current(kind, STANDING, now) if share.phase(now) == "Active" else []


def _has_target(share: Share, target: str, now: float) -> bool:
    return any(row.entity == target for row in _standing(share, "Target", now))


# --- writing answers


def _share_row(share: Share, now: float) -> dict[str, Any]:
    return {
        "ResourceShareId": share.id,
        "ResourceShareName": share.name,
        "ResourceShareOwner": share.owner,
        "ResourceShareStatus": share.phase(now),
        "AllowExternalTargets": share.allow_external,
        "CreateTime": iso_millis(share.created),
        "UpdateTime": iso_millis(share.updated),
    }


def _listed_share(share: Share, now: float, *, mine: bool) -> dict[str, Any]:
    row = _share_row(share, now)
    if mine:
        row["ResourceGroupId"] = share.resource_group
        row["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(share.tags.items())]
    return row


def _arn(share: Share, image_id: str) -> str:
    return f"acs:ecs:{share.region}:{share.owner}:image/{image_id}"


def _row(share: Share, row: Association, now: float) -> dict[str, Any]:
    """What every answer says of an association. A target is called an account even where it is an organization:
    https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations
    """
    resource = row.kind == "Resource"
    found: dict[str, Any] = {
        "ResourceShareId": share.id,
        "ResourceShareName": share.name,
        "EntityId": row.entity,
        "EntityType": RESOURCE_TYPE if resource else "Account",
        "AssociationType": row.kind,
        "AssociationStatus": row.state(now),
        "AssociationStatusMessage": _message(row) if row.state(now) == "Failed" else "",
        "CreateTime": iso_millis(row.created),
        "UpdateTime": iso_millis(row.updated(now)),
    }
    return {**found, "ResourceArn": _arn(share, row.entity)} if resource else found


def _begun(call: Call, row: Association, status: str) -> dict[str, Any]:
    """The answer to a change names the status that it begins with, as the vendor's samples do, however fast it is."""
    share = call.models.sharing.share_named(row.share)
    known = row.state(call.now) == "Associated" and row.created < call.now
    return {**_row(share, row, call.now), **({} if known else {"AssociationStatus": status})}


def _association_row(share: Share, row: Association, now: float) -> dict[str, Any]:
    failed = row.state(now) == "Failed"
    return {
        **_row(share, row, now),
        "External": row.external,
        "AssociationFailedDetails": _failed_details(share, row, now) if failed else [],
    }


def _failed_details(share: Share, row: Association, now: float) -> list[dict[str, Any]]:
    """One row for each target of an image that failed, or for each image of a target that did."""
    resource = row.kind == "Resource"
    others = share.current("Target" if resource else "Resource", LIVE, now)
    return [
        {
            "EntityId": other.entity,
            "EntityType": _type_of(other.entity),
            "ResourceArn": _arn(share, row.entity if resource else other.entity),
            "FailureReason": row.failure,
            "FailureDescription": _message(row),
            "OperationType": "Associate",
        }
        for other in others
    ]


def _type_of(entity: str) -> str:
    kinds = {"m": RESOURCE_TYPE, "rd": "ResourceDirectory", "r": "Folder", "fd": "Folder"}
    return kinds.get(entity.partition("-")[0], "Account")


def _message(row: Association) -> str:
    messages = {
        "InternalError": "An internal error occurred.",
        "Unavailable": "The invitation was not accepted.",
    }
    return messages.get(row.failure, "")


def _resource_row(share: Share, row: Association, now: float, *, mine: bool) -> dict[str, Any]:
    found = {
        "ResourceShareId": share.id,
        "ResourceId": row.entity,
        "ResourceType": RESOURCE_TYPE,
        "ResourceArn": _arn(share, row.entity),
        "CreateTime": iso_millis(row.created),
        "UpdateTime": iso_millis(row.updated(now)),
    }
    return found if mine else {**found, "ResourceStatus": "Available", "ResourceStatusMessage": ""}


def _target_row(share: Share, row: Association, now: float, *, mine: bool) -> dict[str, Any]:
    return {
        "ResourceShareId": share.id,
        "TargetId": row.entity if mine else share.owner,
        "External": row.external,
        "CreateTime": iso_millis(row.created),
        "UpdateTime": iso_millis(row.updated(now)),
    }


def _invitation_row(call: Call, invitation: Invitation, now: float) -> dict[str, Any]:
    share = call.models.sharing.share_named(invitation.association.share)
    return {
        "ResourceShareInvitationId": invitation.id,
        "ResourceShareId": share.id,
        "ResourceShareName": share.name,
        "SenderAccountId": invitation.sender,
        "ReceiverAccountId": invitation.receiver,
        "CreateTime": iso_millis(invitation.created),
        "Status": invitation.answer_at(now),
    }


def _operation(
    name: str,
    handler: Callable[[Call], dict[str, Any]],
    *,
    writes: bool = False,
    regional: bool = True,
    rows: str = "",
) -> Operation:
    return Operation("resourcesharing", name, handler, writes=writes, regional=regional, rows=rows)


OPERATIONS = (
    _operation("AcceptResourceShareInvitation", accept_invitation, writes=True),
    _operation("AssociateResourceShare", associate_resource_share, writes=True),
    _operation("CheckSharingWithResourceDirectoryStatus", check_sharing, regional=False),
    _operation("CreateResourceShare", create_resource_share, writes=True),
    _operation("DeleteResourceShare", delete_resource_share, writes=True),
    _operation("DescribeRegions", describe_regions, regional=False),
    _operation("DisassociateResourceShare", disassociate_resource_share, writes=True),
    _operation("EnableSharingWithResourceDirectory", enable_sharing, writes=True, regional=False),
    _operation("ListResourceShareAssociations", list_resource_share_associations, rows="ResourceShareAssociations"),
    _operation("ListResourceShareInvitations", list_resource_share_invitations, rows="ResourceShareInvitations"),
    _operation("ListResourceShares", list_resource_shares, rows="ResourceShares"),
    _operation("ListSharedResources", list_shared_resources, rows="SharedResources"),
    _operation("ListSharedTargets", list_shared_targets, rows="SharedTargets"),
    _operation("RejectResourceShareInvitation", reject_invitation, writes=True),
    _operation("UpdateResourceShare", update_resource_share, writes=True),
)
