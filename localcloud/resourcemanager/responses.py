"""Parameters in, answers out, for the resource directory.

Who may call: lists and changes belong to the management account, a member may read which directory it is in, an
invited account may see and accept its invitation. The vendor states this for ListAccounts and GetResourceDirectory
only (https://www.alibabacloud.com/help/en/resource-management/resource-directory/developer-reference/api-resourcemanager-2020-03-31-listaccounts);
the code for a member that lists is not documented, see NoPermission in `errors`. Paging is by number, default 10, at
most 100; only ListAccounts carries ResourceDirectoryPath.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from localcloud.call import Call, Operation, new_id
from localcloud.clock import iso_millis
from localcloud.errors import invalid, missing
from localcloud.params import page_of
from localcloud.resourcemanager.errors import ERRORS
from localcloud.resourcemanager.models import (
    INVITATION_SECONDS,
    Account,
    DirectoryModel,
    FolderRecord,
    Handshake,
    View,
)
from localcloud.world import ROOT, ROOT_ID, Member

_DISPLAY_NAME = re.compile(r"[\w .\-]+")
_FOLDER_NAME = re.compile(r"[\w.\-]+")
_FOLDER_ID = re.compile(r"(fd|r)-[A-Za-z0-9-]+")
_TAGS_AT_ONCE = 20
_RESOURCES_AT_ONCE = 50


def get_resource_directory(call: Call) -> dict[str, Any]:
    """GetResourceDirectory: for the management account and for members."""
    model = call.models.directory
    if not model.id or not (call.account == model.management or call.account in model.truth.members):
        raise ERRORS.error("ResourceDirectoryNotInUse")
    return {
        "ResourceDirectory": {
            "ResourceDirectoryId": model.id,
            "RootFolderId": ROOT_ID,
            "MasterAccountId": model.management,
            "MasterAccountName": "management",
            "CreateTime": iso_millis(model.created),
            "ControlPolicyStatus": "Disabled",
            "MemberDeletionStatus": "Disabled",
        }
    }


def list_accounts(call: Call) -> dict[str, Any]:
    """ListAccounts: all members, each with its folder chain."""
    view = _managed(call).listed(call.now)
    ids = view.member_ids
    if call.settings.switches.management_in_lists:
        ids = sorted([*ids, call.models.directory.management])
    return _account_page(call, view, ids, path=True)


def list_accounts_for_parent(call: Call) -> dict[str, Any]:
    """ListAccountsForParent: the members directly in one folder."""
    model = _managed(call)
    view = model.listed(call.now)
    parent = _folder(view, call.params.text("ParentFolderId") or ROOT_ID, "ParentFolderId")
    keyword = call.params.text("QueryKeyword")
    ids = view.members_of.get(parent, [])
    if parent == ROOT_ID and call.settings.switches.management_in_lists:
        ids = sorted([*ids, model.management])
    if keyword:
        ids = [one for one in ids if keyword in one or keyword in _account(call, view, one).spec.name]
    return _account_page(call, view, ids, path=False)


def list_folders_for_parent(call: Call) -> dict[str, Any]:
    """ListFoldersForParent: the folders directly in one folder, those under Root if none is named."""
    view = _managed(call).listed(call.now)
    parent = _folder(view, call.params.text("ParentFolderId") or ROOT_ID, "ParentFolderId")
    keyword = call.params.text("QueryKeyword")
    ids = [one for one in view.folders_of.get(parent, []) if keyword in one or keyword in view.folders[one].name]
    number, size = call.params.page()
    return {
        "Folders": {"Folder": [_folder_row(view.folders[one]) for one in page_of(ids, number, size)]},
        "PageNumber": number,
        "PageSize": size,
        "TotalCount": len(ids),
    }


def list_ancestors(call: Call) -> dict[str, Any]:
    """ListAncestors: the folders above a folder or a member, Root first."""
    view = _managed(call).truth
    child = _text(call, "ChildId")
    if child in view.members:
        above = list(view.chain(view.members[child].folder))
    else:
        above = list(view.chain(_folder(view, child, "ChildId")))[1:]
    return {"Folders": {"Folder": [_folder_row(view.folders[one]) for one in reversed(above)]}}


def get_account(call: Call) -> dict[str, Any]:
    """GetAccount: one member as it is now, whatever the lists still show."""
    view = _managed(call).truth
    account = _known_account(call, view, _text(call, "AccountId"))
    row = _account_row(view, account, path=True)
    row["AccountName"] = f"{account.id}@{view.directory}.example"
    row["Location"] = view.path(account.folder).partition("/")[2]
    if call.params.flag("IncludeTags"):
        row["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(account.spec.tags.items())]
    return {"Account": row}


def get_folder(call: Call) -> dict[str, Any]:
    """GetFolder: one folder as it is now."""
    view = _managed(call).truth
    folder = view.folders[_folder(view, _text(call, "FolderId"), "FolderId")]
    row = {**_folder_row(folder), "ResourceDirectoryPath": view.path(folder.id)}
    return {"Folder": {**row, "ParentFolderId": folder.parent} if folder.parent else row}


def create_resource_account(call: Call) -> dict[str, Any]:
    """CreateResourceAccount: a new account that is a member from the start."""
    model = _managed(call)
    name = call.params.text("DisplayName")
    if not name:
        raise ERRORS.error("MissingParameter.Account.DisplayName")
    if not 2 <= len(name) <= 50:
        raise ERRORS.error("InvalidParameter.Account.DisplayName.Length")
    if not _DISPLAY_NAME.fullmatch(name):
        raise ERRORS.error("InvalidParameter.Account.DisplayName")
    if any(member.spec.name == name for member in model.truth.members.values()):
        raise ERRORS.error("InvalidParameter.Account.DisplayName.AlreadyUsed")
    parent = _folder(model.truth, call.params.text("ParentFolderId") or ROOT_ID, "ParentFolderId")
    _check_member_quota(call, model)
    account = new_id(call.models.random, 1, "123456789") + new_id(call.models.random, 15, "0123456789")
    while model.exists(account):
        account = new_id(call.models.random, 1, "123456789") + new_id(call.models.random, 15, "0123456789")
    spec = Member(name=name, folder=_spec_folder(parent), tags=dict(_tags(call)), joined="created")
    member = model.join(account, spec, now=call.now, delays=call.settings.delays)
    row = _account_row(model.truth, member, path=False)
    row["AccountName"] = f"{call.params.text('AccountNamePrefix') or account}@{model.id}.aliyunid.com"
    return {"Account": row}


def invite_account(call: Call) -> dict[str, Any]:
    """InviteAccountToResourceDirectory: by account id (the local cloud knows no e-mail addresses)."""
    model = _managed(call)
    target, kind = _text(call, "TargetEntity"), _text(call, "TargetType")
    if kind not in ("Account", "Email"):
        raise ERRORS.error("InvalidParameter.TargetType")
    note = call.params.text("Note")
    if len(note) > 1024:
        raise ERRORS.error("InvalidParameter.Note.Length")
    if kind == "Email" or target not in model.outsiders:
        raise ERRORS.error("InvalidParameter.TargetEntity")
    if any(one.target == target and one.status(call.now) == "Pending" for one in model.handshakes.values()):
        raise ERRORS.error("EntityAlreadyExists.Handshake")
    _check_member_quota(call, model)
    handshake = Handshake(
        id=f"h-{new_id(call.models.random, 12)}",
        target=target,
        note=note,
        tags=dict(_tags(call)),
        created=call.now,
        modified=call.now,
        expires=call.now + INVITATION_SECONDS,
    )
    model.handshakes[handshake.id] = handshake
    return {"Handshake": _handshake_row(call, handshake)}


def accept_handshake(call: Call) -> dict[str, Any]:
    """AcceptHandshake: the invited account joins, directly under Root."""
    model = call.models.directory
    handshake = _handshake(call)
    if call.account != handshake.target:
        raise ERRORS.error("EntityNotExists.Handshake")
    if handshake.status(call.now) != "Pending" or call.account not in model.outsiders:
        raise ERRORS.error("HandshakeStatusMismatch")
    accepted = msgspec.structs.replace(handshake, answered="Accepted", modified=call.now)
    model.handshakes[handshake.id] = accepted
    spec = Member(name=handshake.target, tags=handshake.tags)
    model.join(call.account, spec, now=call.now, delays=call.settings.delays)
    return {"Handshake": _handshake_row(call, accepted)}


def get_handshake(call: Call) -> dict[str, Any]:
    """GetHandshake: for the management account and the invited one."""
    handshake = _handshake(call)
    if call.account not in (handshake.target, call.models.directory.management):
        raise ERRORS.error("EntityNotExists.Handshake")
    return {"Handshake": _handshake_row(call, handshake)}


def list_handshakes(call: Call) -> dict[str, Any]:
    """ListHandshakesForResourceDirectory: all invitations, the newest first."""
    model = _managed(call)
    number, size = call.params.page()
    ids = list(reversed(model.handshakes))
    rows = [_handshake_row(call, model.handshakes[one]) for one in page_of(ids, number, size)]
    return {"Handshakes": {"Handshake": rows}, "PageNumber": number, "PageSize": size, "TotalCount": len(ids)}


def move_account(call: Call) -> dict[str, Any]:
    """MoveAccount: to another folder."""
    model = _managed(call)
    account = _member(call, model)
    wanted = _text(call, "DestinationFolderId")
    if wanted not in model.truth.folders:
        raise ERRORS.error("InvalidParameter.DestinationFolderId")
    spec = msgspec.structs.replace(account.spec, folder=_spec_folder(wanted))
    model.change(account.id, spec, now=call.now, delays=call.settings.delays)
    return {}


def remove_cloud_account(call: Call) -> dict[str, Any]:
    """RemoveCloudAccount: an invited member leaves; a created one belongs to the directory and cannot."""
    model = _managed(call)
    account = _member(call, model)
    if account.spec.joined == "created":
        raise ERRORS.error("AccountTypeOrStatusMismatch")
    model.leave(account.id, now=call.now, delays=call.settings.delays)
    return {}


def create_folder(call: Call) -> dict[str, Any]:
    """CreateFolder: at most five levels under Root."""
    model = _managed(call)
    name = call.params.text("FolderName")
    if not name:
        raise ERRORS.error("MissingParameter.Folder.Name")
    if len(name) > 24:
        raise ERRORS.error("InvalidParameter.Folder.Name.Length")
    if not _FOLDER_NAME.fullmatch(name):
        raise ERRORS.error("InvalidParameter.Folder.Name")
    parent = _folder(model.truth, call.params.text("ParentFolderId") or ROOT_ID, "ParentFolderId")
    quota = call.settings.quotas.folders
    if quota is not None and len(model.truth.folders) - 1 >= quota:
        raise ERRORS.error("QuotaExceeded.Folder.Count")
    folder = FolderRecord(f"fd-{new_id(call.models.random, 10)}", name, parent, call.now)
    model.add_folder(folder, now=call.now, delays=call.settings.delays)
    return {"Folder": {**_folder_row(folder), "ParentFolderId": parent}}


def delete_folder(call: Call) -> dict[str, Any]:
    """DeleteFolder: only an empty one, never Root."""
    model = _managed(call)
    folder = _folder(model.truth, _text(call, "FolderId"), "FolderId")
    if folder == ROOT_ID:
        raise ERRORS.error("InvalidParameter.FolderId")
    model.delete_folder(folder, now=call.now, delays=call.settings.delays)
    return {}


def tag_resources(call: Call) -> dict[str, Any]:
    """TagResources: tags on member accounts."""
    model = _managed(call)
    accounts = _tagged_accounts(call, model)
    tags = _tags(call)
    if not tags:
        raise missing("Tag")
    for account in accounts:
        merged = {**account.spec.tags, **dict(tags)}
        if len(merged) > _TAGS_AT_ONCE:
            raise invalid("Tag")
        _retag(call, model, account, merged)
    return {}


def untag_resources(call: Call) -> dict[str, Any]:
    """UntagResources: given keys, or all of them."""
    model = _managed(call)
    accounts = _tagged_accounts(call, model)
    keys = call.params.listed("TagKey")
    everything = bool(call.params.flag("All")) and not keys
    if not keys and not everything:
        raise missing("TagKey")
    for account in accounts:
        kept = {} if everything else {key: value for key, value in account.spec.tags.items() if key not in keys}
        _retag(call, model, account, kept)
    return {}


def list_tag_resources(call: Call) -> dict[str, Any]:
    """ListTagResources: a plain list here, with an empty NextToken at its end."""
    model = _managed(call)
    size = call.params.integer("MaxResults", 10, low=1, high=100)
    wanted = _tags(call)
    accounts = _tagged_accounts(call, model, needed=False)
    rows = [
        {"ResourceType": "Account", "ResourceId": one.id, "TagKey": key, "TagValue": value}
        for one in accounts
        for key, value in sorted(one.spec.tags.items())
        if not wanted or any(key == name and text in ("", value) for name, text in wanted)
    ]
    token = call.params.text("NextToken")
    if token and not (token.isascii() and token.isdigit()):
        raise invalid("NextToken")
    start = int(token or 0)
    more = start + size < len(rows)
    return {"NextToken": str(start + size) if more else "", "TagResources": rows[start : start + size]}


def _managed(call: Call) -> DirectoryModel:
    """The directory, if the caller manages it."""
    model = call.models.directory
    if model.id and call.account == model.management:
        return model
    if model.id and call.account in model.truth.members:
        raise ERRORS.error("NoPermission")
    raise ERRORS.error("EntityNotExists.ResourceDirectory")


def _text(call: Call, name: str) -> str:
    value = call.params.text(name)
    if not value:
        raise ERRORS.error(f"MissingParameter.{name}")
    return value


def _folder(view: View, folder: str, name: str) -> str:
    if not _FOLDER_ID.fullmatch(folder):
        raise ERRORS.error(f"InvalidParameter.{name}")
    if folder not in view.folders:
        raise ERRORS.error("EntityNotExists.Folder")
    return folder


def _spec_folder(folder: str) -> str:
    return ROOT if folder == ROOT_ID else folder


def _account(call: Call, view: View, account: str) -> Account:
    """A member's record, or the management account's where a switch puts it into the lists."""
    found = view.members.get(account)
    if found is None:
        model = call.models.directory
        found = Account(model.management, Member(name="management"), model.created, model.created)
    return found


def _known_account(call: Call, view: View, account: str) -> Account:
    if not account.isascii() or not account.isdigit():
        raise ERRORS.error("InvalidParameter.AccountId")
    shown = call.settings.switches.management_in_lists and account == call.models.directory.management
    if account not in view.members and not shown:
        raise ERRORS.error("EntityNotExists.Account")
    return _account(call, view, account)


def _member(call: Call, model: DirectoryModel) -> Account:
    account = _text(call, "AccountId")
    if not account.isascii() or not account.isdigit():
        raise ERRORS.error("InvalidParameter.AccountId")
    found = model.truth.members.get(account)
    if found is None:
        raise ERRORS.error("EntityNotExists.Account")
    return found


def _check_member_quota(call: Call, model: DirectoryModel) -> None:
    quota = call.settings.quotas.members
    if quota is not None and len(model.truth.members) >= quota:
        raise ERRORS.error("LimitExceeded.Account")


def _handshake(call: Call) -> Handshake:
    handshake_id = _text(call, "HandshakeId")
    if not handshake_id.startswith("h-"):
        raise ERRORS.error("InvalidParameter.HandshakeId")
    handshake = call.models.directory.handshakes.get(handshake_id)
    if handshake is None:
        raise ERRORS.error("EntityNotExists.Handshake")
    return handshake


def _tags(call: Call) -> list[tuple[str, str]]:
    tags = call.params.pairs("Tag")
    if len(tags) > _TAGS_AT_ONCE or any(not key for key, _ in tags):
        raise invalid("Tag")
    return tags


def _tagged_accounts(call: Call, model: DirectoryModel, *, needed: bool = True) -> list[Account]:
    """The members that the call names; the type defaults to resource groups, which this cloud does not have."""
    if (call.params.text("ResourceType") or "ResourceGroup").lower() != "account":
        raise invalid("ResourceType")
    ids = call.params.listed("ResourceId")
    if not ids and needed:
        raise missing("ResourceId")
    if len(ids) > _RESOURCES_AT_ONCE:
        raise invalid("ResourceId")
    view = model.truth
    if any(one not in view.members for one in ids):
        raise ERRORS.error("EntityNotExists.Account")
    return [view.members[one] for one in (ids or view.member_ids)]


def _retag(call: Call, model: DirectoryModel, account: Account, tags: dict[str, str]) -> None:
    spec = msgspec.structs.replace(account.spec, tags=tags)
    model.change(account.id, spec, now=call.now, delays=call.settings.delays)


def _account_page(call: Call, view: View, ids: list[str], *, path: bool) -> dict[str, Any]:
    number, size = call.params.page()
    tags = call.params.pairs("Tag")
    if tags:
        ids = [one for one in ids if _has_tags(_account(call, view, one).spec.tags, tags)]
    with_tags = bool(call.params.flag("IncludeTags"))
    rows = []
    for one in page_of(ids, number, size):
        account = _account(call, view, one)
        row = _account_row(view, account, path=path)
        if with_tags:
            row["Tags"] = {"Tag": [{"Key": key, "Value": value} for key, value in sorted(account.spec.tags.items())]}
        rows.append(row)
    return {"Accounts": {"Account": rows}, "PageNumber": number, "PageSize": size, "TotalCount": len(ids)}


def _has_tags(tags: dict[str, str], wanted: Iterable[tuple[str, str]]) -> bool:
    return all(key in tags and value in ("", tags[key]) for key, value in wanted)


def _account_row(view: View, account: Account, *, path: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "AccountId": account.id,
        "DisplayName": account.spec.name,
        "FolderId": account.folder,
        "JoinMethod": account.spec.joined,
        "JoinTime": iso_millis(account.join_time),
        "ModifyTime": iso_millis(account.modify_time),
        "ResourceDirectoryId": view.directory,
        "Status": account.status,
        "Type": "ResourceAccount" if account.spec.joined == "created" else "CloudAccount",
    }
    if path:
        row["ResourceDirectoryPath"] = f"{view.path(account.folder)}/{account.id}"
    return row


def _folder_row(folder: FolderRecord) -> dict[str, Any]:
    return {"FolderId": folder.id, "FolderName": folder.name, "CreateTime": iso_millis(folder.created)}


def _handshake_row(call: Call, handshake: Handshake) -> dict[str, Any]:
    model = call.models.directory
    return {
        "HandshakeId": handshake.id,
        "ResourceDirectoryId": model.id,
        "MasterAccountId": model.management,
        "MasterAccountName": "management",
        "TargetEntity": handshake.target,
        "TargetType": "Account",
        "Note": handshake.note,
        "Status": handshake.status(call.now),
        "CreateTime": iso_millis(handshake.created),
        "ModifyTime": iso_millis(handshake.modified),
        "ExpireTime": iso_millis(handshake.expires),
    }


def _operation(name: str, handler: Callable[[Call], dict[str, Any]], *, writes: bool = False) -> Operation:
    return Operation("resourcemanager", name, handler, writes=writes)


OPERATIONS = (
    _operation("AcceptHandshake", accept_handshake, writes=True),
    _operation("CreateFolder", create_folder, writes=True),
    _operation("CreateResourceAccount", create_resource_account, writes=True),
    _operation("DeleteFolder", delete_folder, writes=True),
    _operation("GetAccount", get_account),
    _operation("GetFolder", get_folder),
    _operation("GetHandshake", get_handshake),
    _operation("GetResourceDirectory", get_resource_directory),
    _operation("InviteAccountToResourceDirectory", invite_account, writes=True),
    _operation("ListAccounts", list_accounts),
    _operation("ListAccountsForParent", list_accounts_for_parent),
    _operation("ListAncestors", list_ancestors),
    _operation("ListFoldersForParent", list_folders_for_parent),
    _operation("ListHandshakesForResourceDirectory", list_handshakes),
    _operation("ListTagResources", list_tag_resources),
    _operation("MoveAccount", move_account, writes=True),
    _operation("RemoveCloudAccount", remove_cloud_account, writes=True),
    _operation("TagResources", tag_resources, writes=True),
    _operation("UntagResources", untag_resources, writes=True),
)
