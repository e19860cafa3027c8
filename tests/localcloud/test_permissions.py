"""Roles and users with policies, through the official SDKs: what they may do, and what they are told if not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_resourcemanager20200331 import models as directory_models
from alibabacloud_sts20150401 import models as sts_models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException

from localcloud import LocalCloud
from localcloud.errors import ApiError
from localcloud.server import serving
from tests.support.cloud import (
    FAR,
    MANAGEMENT,
    ONE,
    OWNER,
    REGION,
    SHOP,
    THREE,
    TWO,
    Clients,
    image,
    organization,
    refused,
    start,
    world,
)
from tests.support.objects import BUCKETS, NEAR_BUCKET, Objects, storage_refuses

Begin = Callable[..., LocalCloud]
SHARER = f"acs:ram::{OWNER}:role/sharer"
READER = f"acs:ram::{MANAGEMENT}:role/reader"
FUNCTION = f"acs:ram::{OWNER}:role/function"


def allow(*actions: str, resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    """A policy with one statement."""
    return {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}],
    }


def deny(*actions: str, resource: str = "*") -> dict[str, Any]:
    """A policy with one prohibition."""
    return {"Version": "1", "Statement": [{"Effect": "Deny", "Action": list(actions), "Resource": resource}]}


def role(*policies: dict[str, Any], trusts: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A role of the owner with these policies, which the owner's account may assume."""
    return {"trusts": trusts or [OWNER], "policies": list(policies), **more}


@pytest.fixture
def sharer(begin: Begin) -> Callable[..., Clients]:
    """Sessions of the owner's role with some policies."""

    def made(*policies: dict[str, Any], **more: Any) -> Clients:
        begin(roles={SHARER: role(*policies)}, directory=organization(), **more)
        return Clients().assume(SHARER)

    return made


@pytest.fixture(params=["in process", "over a socket"])
def reached(request: pytest.FixtureRequest, begin: Begin) -> Iterator[Callable[..., Clients]]:
    """The same in process and over a real socket."""
    if request.param == "in process":
        yield lambda **parts: (begin(**parts), Clients())[1]
        return
    servers: list[Any] = []

    def started(**parts: Any) -> Clients:
        context = serving(start(world(**parts)))
        url = context.__enter__()
        servers.append(context)
        return Clients(http_proxy=url)

    yield started
    for context in servers:
        context.__exit__(None, None, None)


def test_a_role_does_what_its_policies_allow_and_nothing_else(reached: Callable[..., Clients]) -> None:
    """It lists three images and shares one of them; what it shared is there, what it was refused is not."""
    named = allow("ecs:ModifyImageSharePermission", resource=f"acs:ecs:*:{OWNER}:image/{ONE}")
    owner = reached(roles={SHARER: role(allow("ecs:DescribeImages"), named)})
    session = owner.assume(SHARER)
    assert session.images() == [ONE, THREE, TWO]
    session.share(ONE, SHOP)
    with refused("Forbidden.RAM", 403):
        session.share(TWO, SHOP)
    with refused("Forbidden.RAM", 403):
        session.shared_with(ONE)
    assert owner.shared_with(ONE) == [SHOP]
    assert owner.shared_with(TWO) == []


def test_a_refusal_names_the_action_and_who_lacks_it(sharer: Callable[..., Clients]) -> None:
    """In `AccessDeniedDetail`, which the SDK hands on."""
    session = sharer(allow("ecs:DescribeImages"), deny("ecs:DescribeRegions"))
    with refused("Forbidden.RAM", 403) as caught:
        session.shared_with(ONE)
    assert caught.value.access_denied_detail == {
        "PolicyType": "AccountLevelIdentityBasedPolicy",
        "AuthPrincipalOwnerId": OWNER,
        "AuthPrincipalType": "AssumedRoleUser",
        "AuthPrincipalDisplayName": "sharer:test",
        "NoPermissionType": "ImplicitDeny",
        "AuthAction": "ecs:DescribeImageSharePermission",
    }
    with refused("Forbidden.RAM", 403) as caught:
        session.ecs.describe_regions(ecs_models.DescribeRegionsRequest())
    assert caught.value.access_denied_detail["NoPermissionType"] == "ExplicitDeny"


def test_a_refusal_may_come_without_details(sharer: Callable[..., Clients]) -> None:
    """Not every page says that they are there, so a switch takes them away."""
    session = sharer(switches={"access_denied_detail": False})
    with refused("Forbidden.RAM", 403) as caught:
        session.images()
    assert not caught.value.access_denied_detail


def test_a_role_without_policies_may_do_everything(begin: Begin) -> None:
    """In its account; a role with an empty list of policies may do nothing."""
    begin(roles={SHARER: {"trusts": [OWNER]}})
    session = Clients().assume(SHARER)
    session.share(ONE, SHOP)
    assert session.shared_with(ONE) == [SHOP]


def test_policies_are_those_of_now(begin: Begin) -> None:
    """A session's rights change with its role, and end with it."""
    cloud = begin(roles={SHARER: role()})
    session = Clients().assume(SHARER)
    with refused("Forbidden.RAM", 403):
        session.images()
    cloud.patch({"roles": {SHARER: {"policies": [allow("ecs:*")]}}})
    assert session.images() == [ONE, THREE, TWO]
    cloud.patch({"roles": {SHARER: {"policies": None}}})
    assert session.shared_with(ONE) == []
    cloud.patch({"roles": {SHARER: None}})
    with refused("Forbidden.RAM", 403):
        session.images()


def test_regions_and_accounts_count(sharer: Callable[..., Clients]) -> None:
    """A policy for one region does nothing for another."""
    far = {"m-far": image("far", region=FAR)}
    session = sharer(allow("ecs:DescribeImages", resource=f"acs:ecs:{REGION}:{OWNER}:image/*"), images=far)
    assert session.images() == []
    with refused("Forbidden.RAM", 403):
        session.images(region_id=FAR)


def test_images_of_others_are_listed_without_a_permission(sharer: Callable[..., Clients]) -> None:
    """The vendor's page says that policies are ignored for them."""
    session = sharer()
    assert session.images(image_owner_alias="others") == []
    with refused("Forbidden.RAM", 403):
        session.images(image_owner_alias="self")


def test_resource_shares_take_permissions_for_everything(sharer: Callable[..., Clients]) -> None:
    """Their calls cannot be granted for single resources, so only a policy for `*` will do."""
    narrow = allow("resourcesharing:*", resource=f"acs:resourcesharing:*:{OWNER}:*")
    session = sharer(narrow)
    for call in (session.shares, lambda: session.rows("Target"), session.open_share):
        with refused("NoPermission", 403):
            call()
    assert sharer(allow("resourcesharing:CreateResourceShare")).open_share().startswith("rs-")


def test_the_organization_is_read_with_the_permissions_of_its_pages(begin: Begin) -> None:
    """Accounts and folders have the paths of their places."""
    policies = [
        allow("resourcemanager:ListAccounts", resource=f"acs:resourcemanager:*:{MANAGEMENT}:account/*"),
        allow(
            "resourcemanager:ListFoldersForParent",
            "resourcemanager:GetFolder",
            resource=f"acs:resourcemanager:*:{MANAGEMENT}:folder/rd-local1/r-local1/fd-prod*",
        ),
        allow(
            "resourcemanager:GetAccount",
            resource=f"acs:resourcemanager:*:{MANAGEMENT}:account/rd-local1/r-local1/fd-prod/{SHOP}",
        ),
    ]
    begin(roles={READER: {"trusts": [OWNER], "policies": policies}})
    session = Clients().assume(READER)
    assert len(session.accounts()) == 4
    session.directory.get_account(directory_models.GetAccountRequest(account_id=SHOP))
    session.directory.get_folder(directory_models.GetFolderRequest(folder_id="fd-eu"))
    session.directory.list_folders_for_parent(directory_models.ListFoldersForParentRequest(parent_folder_id="fd-prod"))
    for call in (
        lambda: session.directory.get_account(directory_models.GetAccountRequest(account_id=OWNER)),
        lambda: session.directory.get_folder(directory_models.GetFolderRequest(folder_id="fd-test")),
        lambda: session.directory.get_account(directory_models.GetAccountRequest(account_id="9000000000000009")),
        session.directory.get_resource_directory,
    ):
        with refused("NoPermission", 403):
            call()


# --- assuming roles


def test_assuming_takes_the_permission_and_the_trust(begin: Begin) -> None:
    """A session needs sts:AssumeRole for the role, and the role has to trust its account."""
    may = allow("sts:AssumeRole", resource=f"acs:ram:*:{MANAGEMENT}:role/*")
    others = {f"acs:ram::{MANAGEMENT}:role/closed": {"trusts": [SHOP]}, READER: {"trusts": [OWNER]}}
    cloud = begin(roles={SHARER: role(may), FUNCTION: role(allow("ecs:*")), **others})
    session = Clients().assume(SHARER)
    assert len(session.assume(READER).accounts()) == 4
    with refused("NoPermission", 403):
        session.assume(f"acs:ram::{MANAGEMENT}:role/closed")
    with refused("NoPermission", 403) as caught:
        Clients().assume(FUNCTION).assume(READER)
    assert caught.value.access_denied_detail["AuthAction"] == "sts:AssumeRole"
    cloud.patch({"roles": {SHARER: {"policies": [allow("sts:AssumeRole", resource=FUNCTION)]}}})
    with refused("NoPermission", 403):
        session.assume(READER)


def test_a_trust_policy_may_name_one_role(begin: Begin) -> None:
    """The session of that role is trusted, that of another and the account's own key are not."""
    document = {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": [SHARER]}}],
    }
    begin(roles={SHARER: {"trusts": [OWNER]}, FUNCTION: {"trusts": [OWNER]}, READER: {"trust_policy": document}})
    assert len(Clients().assume(SHARER).assume(READER).accounts()) == 4
    for caller in (Clients(), Clients().assume(FUNCTION)):
        with refused("NoPermission", 403):
            caller.assume(READER)


def test_an_external_id_may_be_asked_for(begin: Begin) -> None:
    """A condition of a trust policy sees what the call gave."""
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"RAM": f"acs:ram::{OWNER}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": "team-7"}},
    }
    begin(roles={READER: {"trust_policy": {"Version": "1", "Statement": [statement]}}})
    assert len(Clients().assume(READER, external_id="team-7").accounts()) == 4
    with refused("NoPermission", 403):
        Clients().assume(READER)


def test_a_session_policy_narrows(begin: Begin) -> None:
    """A call needs the role's permission and the session's, and neither adds to the other."""
    begin(roles={SHARER: role(allow("ecs:DescribeImages", "ecs:DescribeImageSharePermission"))})
    narrow = json.dumps(allow("ecs:DescribeImages", "ecs:ModifyImageSharePermission"))
    session = Clients().assume(SHARER, policy=narrow)
    assert session.images() == [ONE, THREE, TWO]
    with refused("Forbidden.RAM", 403) as caught:
        session.shared_with(ONE)
    assert caught.value.access_denied_detail["PolicyType"] == "SessionPolicy"
    with refused("Forbidden.RAM", 403) as caught:
        session.share(ONE, SHOP)
    assert caught.value.access_denied_detail["PolicyType"] == "AccountLevelIdentityBasedPolicy"


def test_an_accounts_own_key_may_be_kept_from_assuming_roles(begin: Begin) -> None:
    """The vendor's page says that it cannot, so a switch keeps it from it; a user and a session can."""
    keys = {"KEYUSER": {"secret": "local", "account": OWNER, "user": "alice"}}
    begin(roles={READER: {"trusts": [OWNER]}}, access_keys=keys, switches={"root_assumes_roles": "refused"})
    with refused("NoPermission", 403):
        Clients().assume(READER)
    assert len(Clients(key="KEYUSER").assume(READER).accounts()) == 4


def test_a_service_takes_keys_of_a_role_that_trusts_it(begin: Begin) -> None:
    """Function Compute does so for its functions; by a short list or a trust policy."""
    by_policy = {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "fc.aliyuncs.com"}}],
    }
    roles = {
        FUNCTION: {"trusts_services": ["fc.aliyuncs.com"], "policies": [allow("ecs:DescribeImages")]},
        SHARER: {"trust_policy": by_policy},
        READER: {"trusts": [OWNER]},
    }
    cloud = begin(roles=roles)
    keys = cloud.keys_for_service("fc.aliyuncs.com", FUNCTION, name="run", seconds=36 * 3600)
    session = Clients(key=keys.access_key, secret=keys.secret, token=keys.token)
    assert session.images() == [ONE, THREE, TWO]
    with refused("Forbidden.RAM", 403):
        session.share(ONE, SHOP)
    assert cloud.keys_for_service("fc.aliyuncs.com", SHARER, name="run", seconds=900).principal.account == OWNER
    for arn, code in ((READER, "NoPermission"), (f"{READER}-2", "EntityNotExist.Role")):
        with pytest.raises(ApiError) as caught:
            cloud.keys_for_service("fc.aliyuncs.com", arn, name="run", seconds=900)
        assert caught.value.code == code


# --- users


def test_a_user_does_what_its_policies_allow(begin: Begin) -> None:
    """It is known by its name, and told as a user what it lacks."""
    keys = {
        "KEYALICE": {"secret": "local", "account": OWNER, "user": "alice", "policies": [allow("ecs:DescribeImages")]},
        "KEYBOB": {"secret": "local", "account": OWNER, "user": "bob"},
    }
    begin(access_keys=keys)
    alice, bob = Clients(key="KEYALICE"), Clients(key="KEYBOB")
    who = alice.sts.get_caller_identity().body.to_map()
    assert (who["IdentityType"], who["Arn"]) == ("RAMUser", f"acs:ram::{OWNER}:user/alice")
    assert alice.images() == [ONE, THREE, TWO]
    with refused("Forbidden.RAM", 403) as caught:
        alice.share(ONE, SHOP)
    assert caught.value.access_denied_detail["AuthPrincipalType"] == "SubUser"
    assert caught.value.access_denied_detail["AuthPrincipalDisplayName"] == who["UserId"]
    bob.share(ONE, SHOP)
    assert bob.shared_with(ONE) == [SHOP]


def test_a_user_needs_the_permission_to_assume(begin: Begin) -> None:
    """As a session does."""
    keys = {
        "KEYALICE": {"secret": "local", "account": OWNER, "user": "alice", "policies": [allow("sts:AssumeRole")]},
        "KEYCAROL": {"secret": "local", "account": OWNER, "user": "carol", "policies": [allow("ecs:*")]},
    }
    begin(access_keys=keys, roles={READER: {"trusts": [OWNER]}})
    assert len(Clients(key="KEYALICE").assume(READER).accounts()) == 4
    with refused("NoPermission", 403):
        Clients(key="KEYCAROL").assume(READER)


# --- object storage


def objects_of(begin: Begin, *policies: dict[str, Any], **parts: Any) -> Objects:
    """Object storage as a session of the owner's role sees it."""
    begin(roles={SHARER: role(*policies)}, buckets=BUCKETS, **parts)
    request = sts_models.AssumeRoleRequest(role_arn=SHARER, role_session_name="test")
    keys = Clients().sts.assume_role(request).body.credentials
    return Objects(key=keys.access_key_id, secret=keys.access_key_secret, token=keys.security_token)


def test_objects_take_permissions_by_their_names(begin: Begin) -> None:
    """A policy for a prefix is for that prefix; the bucket itself has actions of its own."""
    inside = allow("oss:PutObject", "oss:GetObject", resource=f"acs:oss:*:*:{NEAR_BUCKET}/state/*")
    objects = objects_of(begin, inside, allow("oss:ListObjects", resource=f"acs:oss:*:{OWNER}:{NEAR_BUCKET}"))
    objects.put("state/a")
    assert objects.get("state/a") == b"content"
    assert objects.names() == ["state/a"]
    for call in (lambda: objects.put("other"), lambda: objects.delete("state/a"), objects.versioning):
        with storage_refuses("AccessDenied", 403) as told:
            call()
        assert "bucket acl" in told[0].message
    assert objects.names() == ["state/a"]


def test_a_listing_may_be_limited_to_a_prefix(begin: Begin) -> None:
    """The condition that the vendor's page shows for it."""
    condition = {"StringLike": {"oss:Prefix": "state/*"}, "StringEquals": {"oss:Delimiter": ["", "/"]}}
    objects = objects_of(begin, allow("oss:ListObjects", Condition=condition))
    assert objects.names(prefix="state/", delimiter="/") == []
    with storage_refuses("AccessDenied", 403):
        objects.names()


def test_a_denied_object_says_so(begin: Begin) -> None:
    """An explicit deny has a text and a number of its own, and names the action."""
    objects = objects_of(begin, allow("oss:*"), deny("oss:DeleteObject"))
    with storage_refuses("AccessDenied", 403) as told:
        objects.delete("a")
    assert told[0].message == "Access denied by bucket policy."
    assert told[0].ec == "0003-00000201"
    assert b"<AuthAction>oss:DeleteObject</AuthAction>" in told[0].snapshot


def test_root_is_limited_by_nothing(begin: Begin) -> None:
    """An account's own key may do everything in its account, whatever policies others have."""
    begin(roles={SHARER: role(deny("*"))}, buckets=BUCKETS)
    Clients().share(ONE, SHOP)
    Objects().put("a")
    with pytest.raises(AlibabaCloudException):
        Clients().assume(SHARER).images()
