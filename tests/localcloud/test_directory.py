"""The organization: who may read it, what the lists show, and what changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_resourcemanager20200331 import models as rm

from localcloud import LocalCloud
from tests.support.cloud import (
    BANK,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    PARTNER_2,
    SHOP,
    UNKNOWN,
    Clients,
    acs3,
    answered,
    channels,
    many_members,
    outcome,
    refused,
    start,
    world,
)

Begin = Callable[..., LocalCloud]
HOST = "resourcemanager.aliyuncs.com"


@pytest.fixture
def manager(cloud: LocalCloud) -> Clients:
    """The management account, calling the usual world."""
    return Clients(MANAGEMENT)


def ask(cloud: LocalCloud, action: str, params: dict[str, str] | None = None, *, account: str = MANAGEMENT) -> Any:
    return cloud.handle(acs3(action, params, account=account, version="2020-03-31", host=HOST))


def invite(clients: Clients, account: str, **more: Any) -> str:
    request = rm.InviteAccountToResourceDirectoryRequest(target_entity=account, target_type="Account", **more)
    return str(clients.directory.invite_account_to_resource_directory(request).body.handshake.handshake_id)


def accept(account: str, handshake: str) -> None:
    Clients(account).directory.accept_handshake(rm.AcceptHandshakeRequest(handshake_id=handshake))


def move(clients: Clients, account: str, folder: str) -> None:
    clients.directory.move_account(rm.MoveAccountRequest(account_id=account, destination_folder_id=folder))


def remove(clients: Clients, account: str) -> None:
    clients.directory.remove_cloud_account(rm.RemoveCloudAccountRequest(account_id=account))


def create_folder(clients: Clients, name: str, parent: str | None = None) -> str:
    request = rm.CreateFolderRequest(folder_name=name, parent_folder_id=parent)
    return str(clients.directory.create_folder(request).body.folder.folder_id)


def delete_folder(clients: Clients, folder: str) -> None:
    clients.directory.delete_folder(rm.DeleteFolderRequest(folder_id=folder))


def paths(clients: Clients) -> dict[str, str]:
    return {row["AccountId"]: row["ResourceDirectoryPath"] for row in clients.accounts()}


def test_members_and_management_may_ask_which_directory_it_is(cloud: LocalCloud) -> None:
    """GetResourceDirectory answers to the whole organization and to nobody outside."""
    for account in (MANAGEMENT, OWNER, LAB):
        found = Clients(account).directory.get_resource_directory().body.resource_directory
        assert (found.resource_directory_id, found.root_folder_id) == ("rd-local1", "r-local1")
        assert found.master_account_id == MANAGEMENT
    with refused("ResourceDirectoryNotInUse", 404):
        Clients(PARTNER).directory.get_resource_directory()
    assert outcome(ask(cloud, "GetResourceDirectory")) == (200, "")


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("ListAccounts", {}),
        ("ListAccountsForParent", {}),
        ("ListFoldersForParent", {}),
        ("ListAncestors", {"ChildId": SHOP}),
        ("GetAccount", {"AccountId": SHOP}),
        ("GetFolder", {"FolderId": "fd-prod"}),
        ("CreateResourceAccount", {"DisplayName": "new"}),
        ("InviteAccountToResourceDirectory", {"TargetEntity": PARTNER, "TargetType": "Account"}),
        ("ListHandshakesForResourceDirectory", {}),
        ("MoveAccount", {"AccountId": SHOP, "DestinationFolderId": "r-local1"}),
        ("RemoveCloudAccount", {"AccountId": SHOP}),
        ("CreateFolder", {"FolderName": "x"}),
        ("DeleteFolder", {"FolderId": "fd-test"}),
        ("TagResources", {"ResourceType": "Account", "ResourceId.1": SHOP, "Tag.1.Key": "a"}),
        ("UntagResources", {"ResourceType": "Account", "ResourceId.1": SHOP, "All": "true"}),
        ("ListTagResources", {"ResourceType": "Account", "ResourceId.1": SHOP}),
    ],
)
def test_only_the_management_account_lists_and_changes(action: str, params: dict[str, str]) -> None:
    """A member is not authorized, an outsider has no directory, and neither changes anything."""
    cloud = start()
    before = cloud.world()
    assert outcome(ask(cloud, action, params, account=SHOP)) == (403, "NoPermission")
    assert outcome(ask(cloud, action, params, account=PARTNER)) == (404, "EntityNotExists.ResourceDirectory")
    assert cloud.world() == before


def test_a_world_without_a_directory(begin: Begin) -> None:
    """Where no directory is enabled, every call says so."""
    cloud = begin(directory=None, outsiders=[OWNER, PARTNER])
    assert outcome(ask(cloud, "ListAccounts", account=OWNER)) == (404, "EntityNotExists.ResourceDirectory")
    assert outcome(ask(cloud, "GetResourceDirectory", account=OWNER)) == (404, "ResourceDirectoryNotInUse")


def test_the_list_of_accounts_carries_the_whole_tree(manager: Clients) -> None:
    """One row for each member with its folder chain; the management account is not among them."""
    assert paths(manager) == {
        OWNER: f"rd-local1/r-local1/{OWNER}",
        SHOP: f"rd-local1/r-local1/fd-prod/{SHOP}",
        BANK: f"rd-local1/r-local1/fd-prod/fd-eu/{BANK}",
        LAB: f"rd-local1/r-local1/fd-test/{LAB}",
    }
    row = next(row for row in manager.accounts() if row["AccountId"] == BANK)
    assert row == {
        "AccountId": BANK,
        "DisplayName": "bank",
        "FolderId": "fd-eu",
        "JoinMethod": "invited",
        "JoinTime": "2026-11-21T12:00:00.000Z",
        "ModifyTime": "2026-11-21T12:00:00.000Z",
        "ResourceDirectoryId": "rd-local1",
        "ResourceDirectoryPath": f"rd-local1/r-local1/fd-prod/fd-eu/{BANK}",
        "Status": "InviteSuccess",
        "Type": "CloudAccount",
    }


def test_tags_are_shown_and_filtered_on_demand(manager: Clients) -> None:
    """Tags come with IncludeTags only; a tag filter needs all of its tags."""
    assert all("Tags" not in row for row in manager.accounts())
    tags = {
        row["AccountId"]: {t["Key"]: t["Value"] for t in row["Tags"]["Tag"]}
        for row in manager.accounts(include_tags=True)
    }
    assert tags == {
        OWNER: {},
        SHOP: {"env": "prod", "team": "a"},
        BANK: {"env": "prod"},
        LAB: {"env": "test"},
    }

    def tagged(**wanted: str) -> list[str]:
        pairs = [rm.ListAccountsRequestTag(key=key, value=value or None) for key, value in wanted.items()]
        return [row["AccountId"] for row in manager.accounts(tag=pairs)]

    assert tagged(env="prod") == [SHOP, BANK]
    assert tagged(env="prod", team="a") == [SHOP]
    assert tagged(env="") == [SHOP, BANK, LAB]


def test_accounts_come_in_pages_of_ten(begin: Begin) -> None:
    """Ten rows by default, a hundred at most, each account once over all pages."""
    directory = world()["directory"]
    crowd = many_members(21)
    members = {account: {"name": account} for account in crowd} | directory["members"]
    cloud = begin(directory={**directory, "members": members})
    first = answered(ask(cloud, "ListAccounts"))
    assert (first["PageNumber"], first["PageSize"], first["TotalCount"]) == (1, 10, 25)
    pages = [answered(ask(cloud, "ListAccounts", {"PageNumber": str(n)}))["Accounts"]["Account"] for n in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert sorted(row["AccountId"] for page in pages for row in page) == sorted(members)
    for size in ("0", "101", "x"):
        assert outcome(ask(cloud, "ListAccounts", {"PageSize": size})) == (400, "InvalidParameter")


def test_the_management_account_may_be_listed(begin: Begin) -> None:
    """By a switch the lists and GetAccount show the management account as well."""
    begin(switches={"management_in_lists": True})
    manager = Clients(MANAGEMENT)
    assert [row["AccountId"] for row in manager.accounts()] == [MANAGEMENT, OWNER, SHOP, BANK, LAB]
    in_root = manager.directory.list_accounts_for_parent(rm.ListAccountsForParentRequest()).body.to_map()
    assert [row["AccountId"] for row in in_root["Accounts"]["Account"]] == [MANAGEMENT, OWNER]
    assert manager.directory.get_account(rm.GetAccountRequest(account_id=MANAGEMENT)).body.account


def test_a_folder_lists_what_is_directly_in_it(manager: Clients) -> None:
    """Members and folders of one folder, not of those below; without a path; Root is the default."""

    def members(folder: str | None = None, **more: Any) -> list[str]:
        request = rm.ListAccountsForParentRequest(parent_folder_id=folder, **more)
        rows = manager.directory.list_accounts_for_parent(request).body.to_map()["Accounts"]["Account"]
        assert all("ResourceDirectoryPath" not in row for row in rows)
        return [row["AccountId"] for row in rows]

    def folders(folder: str | None = None, **more: Any) -> list[str]:
        request = rm.ListFoldersForParentRequest(parent_folder_id=folder, **more)
        rows = manager.directory.list_folders_for_parent(request).body.to_map()["Folders"]["Folder"]
        return [row["FolderId"] for row in rows]

    assert members() == members("r-local1") == [OWNER]
    assert members("fd-prod") == [SHOP]
    assert members("fd-prod", query_keyword="nobody") == []
    assert members("fd-prod", query_keyword="sho") == [SHOP]
    assert folders() == folders("r-local1") == ["fd-prod", "fd-test"]
    assert folders("fd-prod") == ["fd-eu"]
    assert folders(query_keyword="tes") == ["fd-test"]
    for call in (members, folders):
        with refused("EntityNotExists.Folder", 404):
            call("fd-nowhere")
        with refused("InvalidParameter.ParentFolderId", 400):
            call("nonsense")


def test_ancestors_go_from_root_down(manager: Clients) -> None:
    """ListAncestors names the folders above a folder or a member."""

    def above(child: str) -> list[str]:
        body = manager.directory.list_ancestors(rm.ListAncestorsRequest(child_id=child)).body.to_map()
        return [row["FolderId"] for row in body["Folders"]["Folder"]]

    assert above("fd-eu") == ["r-local1", "fd-prod"]
    assert above(BANK) == ["r-local1", "fd-prod", "fd-eu"]
    assert above("r-local1") == []
    with refused("EntityNotExists.Folder", 404):
        above("fd-nowhere")


def test_one_account_and_one_folder(manager: Clients) -> None:
    """GetAccount gives tags as a plain list and the path; GetFolder gives its parent."""
    request = rm.GetAccountRequest(account_id=SHOP, include_tags=True)
    account = manager.directory.get_account(request).body.to_map()["Account"]
    assert account["ResourceDirectoryPath"] == f"rd-local1/r-local1/fd-prod/{SHOP}"
    assert account["Tags"] == [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "a"}]
    folder = manager.directory.get_folder(rm.GetFolderRequest(folder_id="fd-eu")).body.to_map()["Folder"]
    assert (folder["FolderName"], folder["ParentFolderId"]) == ("eu", "fd-prod")
    assert folder["ResourceDirectoryPath"] == "rd-local1/r-local1/fd-prod/fd-eu"
    root = manager.directory.get_folder(rm.GetFolderRequest(folder_id="r-local1")).body.to_map()["Folder"]
    assert "ParentFolderId" not in root
    for account_id in (UNKNOWN, MANAGEMENT, PARTNER):
        with refused("EntityNotExists.Account", 404):
            manager.directory.get_account(rm.GetAccountRequest(account_id=account_id))


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("GetAccount", {}, "MissingParameter.AccountId"),
        ("GetAccount", {"AccountId": "me"}, "InvalidParameter.AccountId"),
        ("GetFolder", {}, "MissingParameter.FolderId"),
        ("GetFolder", {"FolderId": "x"}, "InvalidParameter.FolderId"),
        ("ListAncestors", {}, "MissingParameter.ChildId"),
        ("ListAncestors", {"ChildId": "x"}, "InvalidParameter.ChildId"),
        ("MoveAccount", {}, "MissingParameter.AccountId"),
        ("MoveAccount", {"AccountId": "me"}, "InvalidParameter.AccountId"),
        ("MoveAccount", {"AccountId": SHOP}, "MissingParameter.DestinationFolderId"),
        ("MoveAccount", {"AccountId": SHOP, "DestinationFolderId": "fd-x"}, "InvalidParameter.DestinationFolderId"),
        ("RemoveCloudAccount", {}, "MissingParameter.AccountId"),
        ("CreateFolder", {}, "MissingParameter.Folder.Name"),
        ("CreateFolder", {"FolderName": "x" * 25}, "InvalidParameter.Folder.Name.Length"),
        ("CreateFolder", {"FolderName": "a b"}, "InvalidParameter.Folder.Name"),
        ("CreateFolder", {"FolderName": "prod"}, "InvalidParameter.Folder.Name.AlreadyUsed"),
        ("DeleteFolder", {}, "MissingParameter.FolderId"),
        ("DeleteFolder", {"FolderId": "r-local1"}, "InvalidParameter.FolderId"),
        ("CreateResourceAccount", {}, "MissingParameter.Account.DisplayName"),
        ("CreateResourceAccount", {"DisplayName": "x"}, "InvalidParameter.Account.DisplayName.Length"),
        ("CreateResourceAccount", {"DisplayName": "a/b"}, "InvalidParameter.Account.DisplayName"),
        ("InviteAccountToResourceDirectory", {}, "MissingParameter.TargetEntity"),
        ("InviteAccountToResourceDirectory", {"TargetEntity": PARTNER}, "MissingParameter.TargetType"),
        (
            "InviteAccountToResourceDirectory",
            {"TargetEntity": PARTNER, "TargetType": "Fax"},
            "InvalidParameter.TargetType",
        ),
        (
            "InviteAccountToResourceDirectory",
            {"TargetEntity": SHOP, "TargetType": "Account"},
            "InvalidParameter.TargetEntity",
        ),
        (
            "InviteAccountToResourceDirectory",
            {"TargetEntity": UNKNOWN, "TargetType": "Account"},
            "InvalidParameter.TargetEntity",
        ),
        (
            "InviteAccountToResourceDirectory",
            {"TargetEntity": PARTNER, "TargetType": "Account", "Note": "x" * 1025},
            "InvalidParameter.Note.Length",
        ),
        ("AcceptHandshake", {}, "MissingParameter.HandshakeId"),
        ("TagResources", {"ResourceId.1": SHOP, "Tag.1.Key": "a"}, "InvalidParameter"),
        ("TagResources", {"ResourceType": "Account", "Tag.1.Key": "a"}, "MissingParameter"),
        ("TagResources", {"ResourceType": "Account", "ResourceId.1": SHOP}, "MissingParameter"),
        ("TagResources", {"ResourceType": "Account", "ResourceId.1": SHOP, "Tag.1.Value": "a"}, "InvalidParameter"),
        ("UntagResources", {"ResourceType": "Account", "ResourceId.1": SHOP}, "MissingParameter"),
        ("ListTagResources", {"ResourceType": "Account", "NextToken": "x"}, "InvalidParameter"),
    ],
)
def test_values_that_are_missing_or_odd(action: str, params: dict[str, str], code: str) -> None:
    """Each parameter has its own code, and nothing is changed."""
    cloud = start()
    before = cloud.world()
    status = 409 if code.endswith("DisplayName.AlreadyUsed") else 400
    assert outcome(ask(cloud, action, params)) == (status, code)
    assert cloud.world() == before


def test_an_account_is_created_as_a_member(cloud: LocalCloud, manager: Clients) -> None:
    """CreateResourceAccount makes a new account in the folder, and its name is taken then."""
    tag = rm.CreateResourceAccountRequestTag(key="env", value="prod")
    request = rm.CreateResourceAccountRequest(display_name="new one", parent_folder_id="fd-eu", tag=[tag])
    made = manager.directory.create_resource_account(request).body.account
    assert (made.join_method, made.status, made.type) == ("created", "CreateSuccess", "ResourceAccount")
    assert paths(manager)[made.account_id] == f"rd-local1/r-local1/fd-prod/fd-eu/{made.account_id}"
    directory = cloud.world().directory
    assert directory is not None
    assert directory.members[made.account_id].tags == {"env": "prod"}
    with refused("InvalidParameter.Account.DisplayName.AlreadyUsed", 409):
        manager.directory.create_resource_account(request)
    with refused("AccountTypeOrStatusMismatch", 409):
        remove(manager, made.account_id)
    Clients(OWNER).share(ONE, made.account_id)


def test_an_invited_account_joins_when_it_accepts(cloud: LocalCloud, manager: Clients) -> None:
    """An invitation changes nothing until the invited account accepts it; then it is a member under Root."""
    tag = rm.InviteAccountToResourceDirectoryRequestTag(key="env", value="prod")
    handshake = invite(manager, PARTNER, tag=[tag])
    assert PARTNER not in paths(manager)
    with refused("EntityAlreadyExists.Handshake", 409):
        invite(manager, PARTNER)
    with refused("EntityNotExists.Handshake", 404):
        accept(PARTNER_2, handshake)
    accept(PARTNER, handshake)
    assert paths(manager)[PARTNER] == f"rd-local1/r-local1/{PARTNER}"
    directory = cloud.world().directory
    assert directory is not None
    assert directory.members[PARTNER].tags == {"env": "prod"}
    assert cloud.world().outsiders == (PARTNER_2,)
    with refused("HandshakeStatusMismatch", 409):
        accept(PARTNER, handshake)


def test_an_invitation_expires_after_two_weeks(cloud: LocalCloud, manager: Clients) -> None:
    """After 14 days it cannot be accepted, and another one can be sent."""
    handshake = invite(manager, PARTNER)
    cloud.advance(14 * 86_400)
    with refused("HandshakeStatusMismatch", 409):
        accept(PARTNER, handshake)
    again = invite(manager, PARTNER)
    body = manager.directory.list_handshakes_for_resource_directory(rm.ListHandshakesForResourceDirectoryRequest()).body
    assert [(one.handshake_id, one.status) for one in body.handshakes.handshake] == [
        (again, "Pending"),
        (handshake, "Expired"),
    ]
    for account in (MANAGEMENT, PARTNER):
        found = Clients(account).directory.get_handshake(rm.GetHandshakeRequest(handshake_id=again)).body.handshake
        assert (found.target_entity, found.status) == (PARTNER, "Pending")
    with refused("EntityNotExists.Handshake", 404):
        Clients(SHOP).directory.get_handshake(rm.GetHandshakeRequest(handshake_id=again))


def test_moving_and_leaving(cloud: LocalCloud, manager: Clients) -> None:
    """A moved member is elsewhere at once; one that leaves goes on existing and keeps what was shared with it."""
    Clients().share(ONE, SHOP, BANK)
    move(manager, SHOP, "fd-test")
    move(manager, LAB, "r-local1")
    assert paths(manager)[SHOP] == f"rd-local1/r-local1/fd-test/{SHOP}"
    assert paths(manager)[LAB] == f"rd-local1/r-local1/{LAB}"
    remove(manager, SHOP)
    assert SHOP not in paths(manager)
    assert SHOP in cloud.world().outsiders
    assert channels(cloud) == {ONE: {SHOP, BANK}}
    with refused("EntityNotExists.Account", 404):
        remove(manager, SHOP)
    with refused("EntityNotExists.Account", 404):
        move(manager, SHOP, "r-local1")
    accept(SHOP, invite(manager, SHOP))
    assert paths(manager)[SHOP] == f"rd-local1/r-local1/{SHOP}"


def test_folders_go_five_levels_deep(manager: Clients) -> None:
    """The fifth level can be made, the sixth not; the same name is free under another parent."""
    parent: str | None = None
    for level in range(5):
        parent = create_folder(manager, f"level-{level}", parent)
    with refused("LimitExceeded.Folder.Depth", 409):
        create_folder(manager, "too-deep", parent)
    create_folder(manager, "prod", "fd-test")
    with refused("EntityNotExists.Folder", 404):
        create_folder(manager, "x", "fd-nowhere")


def test_only_empty_folders_are_deleted(manager: Clients) -> None:
    """A folder with members or folders in it stays."""
    with refused("DeleteConflict.Folder.Account", 409):
        delete_folder(manager, "fd-eu")
    move(manager, SHOP, "r-local1")
    with refused("DeleteConflict.Folder.SubFolder", 409):
        delete_folder(manager, "fd-prod")
    move(manager, BANK, "r-local1")
    delete_folder(manager, "fd-eu")
    delete_folder(manager, "fd-prod")
    with refused("EntityNotExists.Folder", 404):
        delete_folder(manager, "fd-prod")


def test_quotas_of_members_and_folders(begin: Begin) -> None:
    """Where the world sets quotas, the next account or folder is refused."""
    begin(quotas={"members": 4, "folders": 3})
    manager = Clients(MANAGEMENT)
    with refused("LimitExceeded.Account", 409):
        invite(manager, PARTNER)
    with refused("LimitExceeded.Account", 409):
        manager.directory.create_resource_account(rm.CreateResourceAccountRequest(display_name="new"))
    with refused("QuotaExceeded.Folder.Count", 409):
        create_folder(manager, "one-more")
    remove(manager, LAB)
    invite(manager, PARTNER)


def test_tags_of_accounts(manager: Clients) -> None:
    """Accounts are tagged, untagged and listed; other accounts keep theirs."""
    kind = {"resource_type": "Account"}
    tag = rm.TagResourcesRequestTag(key="env", value="dev")
    manager.directory.tag_resources(rm.TagResourcesRequest(**kind, resource_id=[SHOP, LAB], tag=[tag]))
    manager.directory.untag_resources(rm.UntagResourcesRequest(**kind, resource_id=[SHOP], tag_key=["team"]))
    manager.directory.untag_resources(rm.UntagResourcesRequest(**kind, resource_id=[BANK], all=True))

    def listed(**more: Any) -> list[tuple[str, str, str]]:
        body = manager.directory.list_tag_resources(rm.ListTagResourcesRequest(**kind, **more)).body.to_map()
        assert body["NextToken"] == ""
        return [(row["ResourceId"], row["TagKey"], row["TagValue"]) for row in body["TagResources"]]

    assert listed() == [(SHOP, "env", "dev"), (LAB, "env", "dev")]
    assert listed(resource_id=[LAB, BANK]) == [(LAB, "env", "dev")]
    assert listed(tag=[rm.ListTagResourcesRequestTag(key="team")]) == []
    assert listed(tag=[rm.ListTagResourcesRequestTag(key="env", value="prod")]) == []
    assert listed(tag=[rm.ListTagResourcesRequestTag(key="env", value="dev")]) == listed()
    first = manager.directory.list_tag_resources(rm.ListTagResourcesRequest(**kind, max_results=1)).body.to_map()
    row = {"ResourceType": "Account", "ResourceId": SHOP, "TagKey": "env", "TagValue": "dev"}
    assert first["TagResources"] == [row]
    second = rm.ListTagResourcesRequest(**kind, max_results=1, next_token=first["NextToken"])
    assert [
        row["ResourceId"] for row in manager.directory.list_tag_resources(second).body.to_map()["TagResources"]
    ] == [LAB]


def test_lists_may_lag_behind(begin: Begin) -> None:
    """With a delay the lists show changes later, in order, while GetAccount and GetFolder know at once."""
    cloud = begin(delays={"membership": 60})
    manager = Clients(MANAGEMENT)
    before = paths(manager)
    remove(manager, SHOP)
    cloud.advance(30)
    move(manager, BANK, "fd-test")
    folder = create_folder(manager, "late")
    assert paths(manager) == before
    with refused("EntityNotExists.Account", 404):
        manager.directory.get_account(rm.GetAccountRequest(account_id=SHOP))
    assert manager.directory.get_account(rm.GetAccountRequest(account_id=BANK)).body.account.folder_id == "fd-test"
    assert manager.directory.get_folder(rm.GetFolderRequest(folder_id=folder)).body.folder.folder_name == "late"
    cloud.advance(30)
    assert paths(manager) == {account: path for account, path in before.items() if account != SHOP}
    cloud.advance(30)
    assert paths(manager)[BANK] == f"rd-local1/r-local1/fd-test/{BANK}"
    folders = manager.directory.list_folders_for_parent(rm.ListFoldersForParentRequest()).body.folders.folder
    assert folder in [one.folder_id for one in folders]


def test_statuses_and_ways_of_joining(begin: Begin) -> None:
    """Created members and odd statuses are listed like any other."""
    directory = world()["directory"]
    members = {
        OWNER: {"name": "a", "joined": "created"},
        SHOP: {"name": "b", "status": "PromoteExpired"},
        BANK: {"name": "c"},
    }
    begin(directory={**directory, "members": members})
    rows = {row["AccountId"]: (row["Status"], row["Type"], row["JoinMethod"]) for row in Clients(MANAGEMENT).accounts()}
    assert rows == {
        OWNER: ("CreateSuccess", "ResourceAccount", "created"),
        SHOP: ("PromoteExpired", "CloudAccount", "invited"),
        BANK: ("InviteSuccess", "CloudAccount", "invited"),
    }
