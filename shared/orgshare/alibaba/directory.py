"""The organization as Resource Manager 2020-03-31 tells it.

Only the management account (or a delegated administrator) may list members
(https://help.aliyun.com/en/resource-management/developer-reference/api-resourcemanager-2020-03-31-listaccounts), so
this is used with its credentials or a role in it. Every row is a member whatever its Status says.

What can go wrong: a row without a path. A member or folder whose place is not known must not be taken for one outside
every folder, so such an answer is malformed.
"""

from __future__ import annotations

from typing import Any

from orgshare.alibaba.calls import Lane, count, required
from orgshare.errors import Malformed, Refused
from orgshare.ports import PAGE_SIZE, DirectoryIdentity, Page
from orgshare.words import Member

NO_SUCH_ACCOUNT = "EntityNotExists.Account"
"""The one code that proves that an account is not in the organization."""

NO_SUCH_FOLDER = ("EntityNotExists.Folder", "InvalidParameter.FolderId")
"""The codes for a folder id that is of none, and for what has not even the form of one.

https://www.alibabacloud.com/help/en/resource-management/developer-reference/api-resourcemanager-2020-03-31-getfolder
"""


class ResourceDirectory:
    """``ports.Directory`` over one SDK client."""

    def __init__(self, client: Any, lane: Lane) -> None:
        from alibabacloud_resourcemanager20200331 import models

        self._client = client
        self._models = models
        self._lane = lane

    def identity(self) -> DirectoryIdentity:
        """Whose directory this is."""
        operation = "resourcemanager:GetResourceDirectory"

        def call() -> DirectoryIdentity:
            body = required(self._client.get_resource_directory().body, operation, "a body")
            directory = required(body.resource_directory, operation, "ResourceDirectory")
            return DirectoryIdentity(
                id=required(directory.resource_directory_id, operation, "ResourceDirectoryId"),
                management=str(required(directory.master_account_id, operation, "MasterAccountId")),
                root=required(directory.root_folder_id, operation, "RootFolderId"),
            )

        return self._lane.read(operation, call)

    def members(self, page: int) -> Page[Member]:
        """One page of all members, with tags."""
        operation = "resourcemanager:ListAccounts"
        request = self._models.ListAccountsRequest(page_number=page, page_size=PAGE_SIZE, include_tags=True)

        def call() -> Page[Member]:
            body = required(self._client.list_accounts(request).body, operation, "a body")
            accounts = required(body.accounts, operation, "Accounts")
            rows = required(accounts.account, operation, "Accounts.Account")
            return Page(
                rows=tuple(_member(row, row.tags.tag if row.tags else (), operation) for row in rows),
                total=count(body.total_count, operation, "TotalCount"),
            )

        return self._lane.read(operation, call)

    def member(self, account: str) -> Member | None:
        """One account; ``None`` only for the code that says it does not exist."""
        operation = "resourcemanager:GetAccount"
        request = self._models.GetAccountRequest(account_id=account, include_tags=True)

        def call() -> Member | None:
            try:
                body = required(self._client.get_account(request).body, operation, "a body")
            except Exception as error:
                if getattr(error, "code", None) == NO_SUCH_ACCOUNT:
                    return None
                raise
            row = required(body.account, operation, "Account")
            member = _member(row, row.tags or (), operation)
            if member.id != account:
                raise Malformed(f"{operation}: asked for {account}, got {member.id}")
            return member

        return self._lane.read(operation, call)

    def folder(self, folder: str) -> tuple[str, ...] | None:
        """A folder's chain from Root down to itself; ``None`` only for the codes that say it does not exist."""
        operation = "resourcemanager:GetFolder"
        request = self._models.GetFolderRequest(folder_id=folder)

        def call() -> tuple[str, ...]:
            body = required(self._client.get_folder(request).body, operation, "a body")
            row = required(body.folder, operation, "Folder")
            return _chain(required(row.resource_directory_path, operation, "ResourceDirectoryPath"), folder, operation)

        try:
            return self._lane.read(operation, call)
        except Refused as error:
            if error.code in NO_SUCH_FOLDER:
                return None
            raise

    def subfolders(self, folder: str, page: int) -> Page[str]:
        """One page of the folders directly below a folder.

        https://help.aliyun.com/zh/resource-management/api-listfoldersforparent
        """
        operation = "resourcemanager:ListFoldersForParent"
        request = self._models.ListFoldersForParentRequest(
            parent_folder_id=folder, page_number=page, page_size=PAGE_SIZE
        )

        def call() -> Page[str]:
            body = required(self._client.list_folders_for_parent(request).body, operation, "a body")
            rows = required(required(body.folders, operation, "Folders").folder, operation, "Folders.Folder")
            return Page(
                rows=tuple(required(row.folder_id, operation, "FolderId") for row in rows),
                total=count(body.total_count, operation, "TotalCount"),
            )

        return self._lane.read(operation, call)


def _chain(path: str, folder: str, operation: str) -> tuple[str, ...]:
    """The folders of ``rd-…/r-…/fd-…``, the last of which has to be this folder."""
    directory, *chain = path.split("/")
    below = chain[1:]
    well_formed = directory.startswith("rd-") and chain and chain[0].startswith("r-")
    if not well_formed or not all(one.startswith("fd-") for one in below) or chain[-1] != folder:
        raise Malformed(f"{operation}: asked for {folder}, got the path {path!r}")
    return tuple(chain)


def _member(row: Any, tags: Any, operation: str) -> Member:
    path = required(row.resource_directory_path, operation, "ResourceDirectoryPath")
    folders = tuple(part for part in path.split("/") if part.startswith(("r-", "fd-")))
    if not folders:
        raise Malformed(f"{operation}: the path {path!r} names no folder")
    return Member(
        id=str(required(row.account_id, operation, "AccountId")),
        folders=folders,
        name=row.display_name or "",
        tags=frozenset((tag.key, tag.value or "") for tag in tags if tag.key is not None),
    )
