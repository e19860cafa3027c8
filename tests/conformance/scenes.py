"""A world in which everything happens that the local cloud can show, and requests for every operation.

`SCENES` has for each operation the requests whose answers are as full as they get; the first of them has every
required parameter and succeeds, so other tests take things away from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from alibabacloud_tea_openapi.utils import Utils

from localcloud import HttpRequest
from localcloud.catalog import PRODUCTS
from localcloud.resourcesharing.models import PERMISSION
from tests.support.cloud import (
    BANK,
    FAR,
    LAB,
    MANAGEMENT,
    ONE,
    OWNER,
    PARTNER,
    PARTNER_2,
    REGION,
    SHOP,
    TWO,
    acs3,
    answered,
    image,
    start,
    world,
)

CREATED = "1000000000000006"
VERIFYING = "1000000000000007"
READER = f"acs:ram::{MANAGEMENT}:role/reader"
SHARING_ROLE = f"acs:ram::{OWNER}:role/AliyunECSShareEncryptImageDefaultRole"
SHARE_KEYS = f"acs:ram::{OWNER}:policy/share-keys"
VENDORS = "acs:ram::system:policy/AliyunKMSFullAccess"
WORKER = f"acs:ram::{OWNER}:role/worker"
TRUST = json.dumps(
    {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": "acs:ram::%s:root"}}],
    }
)
"""A trust policy, with a place for the account."""
NOTHING = "nothing"
"""The name of a role that each account has, trusts, and lets do nothing."""

ANYWHERE = "127.0.0.1:8080"
"""A host that names neither a product nor a region."""

RICH, OLD, WAITING, BROKEN, CMK, SERVICE_KEY, MARKET, PUBLIC = (
    f"m-{name}" for name in ("rich", "old", "waiting", "broken", "cmk", "servicekey", "market", "public")
)
RECEIVED, COMMUNITY, TAGGED = "m-received", "m-community", "m-tagged"
DESK, DESK_CMK, DESK_WAITING, DESK_RECEIVED = "m-desk", "m-desk-cmk", "m-desk-waiting", "m-desk-received"
FULL, OPEN, GIVEN = "rs-full", "rs-open", "rs-given"

SHARES: Mapping[str, Mapping[str, Any]] = {
    FULL: {
        "owner": OWNER,
        "region": REGION,
        "name": "full",
        "images": [RICH, OLD],
        "targets": ["fd-prod", LAB],
        "tags": {"env": "prod"},
        "resource_group": "rg-1",
    },
    OPEN: {
        "owner": OWNER,
        "region": REGION,
        "name": "open",
        "images": [TAGGED],
        "targets": [PARTNER],
        "allow_external": True,
    },
    GIVEN: {"owner": SHOP, "region": REGION, "name": "given", "images": [RECEIVED], "targets": [OWNER]},
}

IMAGES: Mapping[str, Mapping[str, Any]] = {
    ONE: image("one"),
    TWO: image("two", region=FAR),
    RICH: image(
        "rich",
        family="acme-linux",
        version="7",
        description="everything that can be said",
        tags={"share": "org", "env": "prod"},
        resource_group="rg-1",
        product_code="cmjj0001",
        os_type="windows",
        architecture="arm64",
        size=80,
    ),
    OLD: image("old", status="Deprecated"),
    WAITING: image("waiting", status="Waiting"),
    BROKEN: image("broken", status="CreateFailed"),
    CMK: image("cmk", encryption="cmk"),
    SERVICE_KEY: image("service-key", encryption="service-key"),
    MARKET: image("market", product_code="cmjj0002"),
    PUBLIC: image("public", public=True),
    TAGGED: image("tagged", tags={f"key{number:02d}": "x" for number in range(20)}),
    RECEIVED: image("received", owner=SHOP, tags={"secret": "yes"}, resource_group="rg-2"),
    COMMUNITY: image("community", owner=SHOP, public=True),
    DESK: image("desk", service="eds", version="7", description="everything", size=80, os_type="windows"),
    DESK_CMK: image("desk-cmk", service="eds", encryption="cmk"),
    DESK_WAITING: image("desk-waiting", service="eds", status="Creating"),
    DESK_RECEIVED: image("desk-received", service="eds", owner=SHOP),
    "m-desk-system": image("desk-system", service="eds", owner="system"),
    "m-desk-one": image("desk-one", service="eds"),
    "m-system": image("system", owner="system"),
    "m-marketplace": image("marketplace", owner="marketplace", product_code="cmjj0003"),
}


def _powerless(account: str) -> dict[str, Any]:
    return {"trusts": [account], "policies": []}


def _allowing(action: str) -> dict[str, Any]:
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


CALLERS = (MANAGEMENT, OWNER, SHOP, BANK, LAB, PARTNER, PARTNER_2)


def role_of(account: str) -> str:
    """The ARN of an account's role that may do nothing."""
    return f"acs:ram::{account}:role/{NOTHING}"


POLICIES: Mapping[str, Mapping[str, Any]] = {name: _allowing("kms:*") for name in (SHARE_KEYS, VENDORS)}
ROLES: Mapping[str, Mapping[str, Any]] = {
    READER: {"trusts": [OWNER], "max_session": 7200},
    WORKER: {"trusts": [BANK], "description": "works", "policies": [], "attached": [SHARE_KEYS]},
    **{role_of(one): _powerless(one) for one in CALLERS},
}


def full_world(**parts: Any) -> dict[str, Any]:
    """Images of every kind, accounts of every kind; parts replace whole keys."""
    document = world(
        images=dict(IMAGES),
        grants={
            RICH: [SHOP, BANK, PARTNER],
            OLD: [SHOP],
            RECEIVED: [OWNER],
            PUBLIC: [LAB],
            DESK: [SHOP, BANK],
            DESK_RECEIVED: [OWNER],
        },
        sites={PARTNER_2: "international"},
        **{"resource_shares": dict(SHARES), "roles": ROLES, "policies": POLICIES, **parts},
    )
    document["directory"].setdefault("sharing_enabled", True)
    document["directory"]["members"] |= {
        CREATED: {"name": "made here", "folder": "fd-eu", "joined": "created", "tags": {"env": "prod", "team": "b"}},
        VERIFYING: {"name": "upgrading", "folder": "fd-test", "joined": "created", "status": "PromoteVerifying"},
    }
    return document


_LEFT_OUT = "(left out)"


@dataclass(frozen=True)
class Request:
    """One call: its parameters, the caller, what must have happened before (which may add parameters), and the host."""

    params: Mapping[str, str] = field(default_factory=dict)
    account: str = OWNER
    before: Callable[[Stage], Mapping[str, str]] | None = None
    role: str = ""
    host: str = ANYWHERE

    def but(self, **params: str) -> Request:
        """The same with other parameters; a dot in a name is written as __."""
        named = {name.replace("__", "."): value for name, value in params.items()}
        return replace(self, params={**self.params, **named})

    def without(self, name: str) -> Request:
        """The same without a parameter, all items of a list included."""
        kept = {key: value for key, value in self.params.items() if key != name and not key.startswith(f"{name}.")}
        return replace(self, params={**kept, name: _LEFT_OUT})


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    code: str
    body: Mapping[str, Any]


class Stage:
    """A cloud with the full world."""

    def __init__(self, **parts: Any) -> None:
        self.cloud = start(full_world(**parts))

    def ask(self, operation: str, request: Request) -> Answer:
        """The answer as it comes from the core: nothing is dropped from it, as a client would."""
        product, _, action = operation.partition(":")
        made = request.before(self) if request.before is not None else {}
        params = {name: value for name, value in {**made, **request.params}.items() if value != _LEFT_OUT}
        version = PRODUCTS[product].version
        signed = acs3(action, params, account=request.account, version=version, host=request.host)
        if request.role:
            signed = self._as_role(signed, params, request)
        response = self.cloud.handle(signed)
        body = answered(response)
        return Answer(response.status, "" if response.status == 200 else str(body["Code"]), body)

    def _as_role(self, signed: HttpRequest, params: Mapping[str, str], request: Request) -> HttpRequest:
        """The same request, signed by a session of a role that the caller assumes."""
        assume = Request({"RoleArn": request.role, "RoleSessionName": "night"}, request.account)
        keys = self.ask("sts:AssumeRole", assume).body["Credentials"]
        headers = {name: value for name, value in signed.headers.items() if name != "authorization"}
        headers["x-acs-security-token"] = keys["SecurityToken"]
        to_sign = SimpleNamespace(method="POST", pathname="/", query=params, headers=headers)
        hashed = headers["x-acs-content-sha256"]
        made = Utils.get_authorization(
            to_sign, "ACS3-HMAC-SHA256", hashed, keys["AccessKeyId"], keys["AccessKeySecret"]
        )
        return replace(signed, headers={**headers, "authorization": made})


def ecs(account: str = OWNER, **params: str) -> Request:
    """A request about one region."""
    return Request({"RegionId": REGION}, account).but(**params)


def manager(**params: str) -> Request:
    """A request by the management account."""
    return Request({}, MANAGEMENT).but(**params)


def invited(stage: Stage) -> Mapping[str, str]:
    """An invitation of PARTNER that waits for an answer."""
    request = manager(
        TargetEntity=PARTNER, TargetType="Account", Note="welcome", Tag__1__Key="env", Tag__1__Value="test"
    )
    answer = stage.ask("resourcemanager:InviteAccountToResourceDirectory", request)
    return {"HandshakeId": answer.body["Handshake"]["HandshakeId"]}


def expired(stage: Stage) -> Mapping[str, str]:
    """One that was not answered in two weeks."""
    found = invited(stage)
    stage.cloud.advance(15 * 86_400)
    return found


def new_folder(stage: Stage) -> Mapping[str, str]:
    """An empty folder."""
    answer = stage.ask("resourcemanager:CreateFolder", manager(FolderName="empty"))
    return {"FolderId": answer.body["Folder"]["FolderId"]}


def sharing(account: str = OWNER, **params: str) -> Request:
    """A request about resource shares, to the endpoint of a region."""
    return Request({}, account, host=f"resourcesharing.{REGION}.aliyuncs.com").but(**params)


def asked(stage: Stage) -> Mapping[str, str]:
    """An account outside the organization is asked to take part in a share."""
    request = sharing(ResourceShareName="asking", AllowExternalTargets="true", Targets__1=PARTNER)
    stage.ask("resourcesharing:CreateResourceShare", request)
    answer = stage.ask("resourcesharing:ListResourceShareInvitations", sharing(PARTNER))
    return {"ResourceShareInvitationId": answer.body["ResourceShareInvitations"][0]["ResourceShareInvitationId"]}


def share_asking(stage: Stage) -> Mapping[str, str]:
    """The same; nothing is asked about it."""
    asked(stage)
    return {}


def asked_twice(stage: Stage) -> Mapping[str, str]:
    """Two invitations."""
    asked(stage)
    return share_asking(stage)


def sharing_off(stage: Stage) -> Mapping[str, str]:
    """Sharing within the organization is not enabled."""
    stage.cloud.patch({"directory": {"sharing_enabled": False}})
    return {}


def failed(stage: Stage) -> Mapping[str, str]:
    """An image and a target whose association fails."""
    fault = {"operation": "resourcesharing:AssociateResourceShare", "kind": "fail-association", "times": 1}
    stage.cloud.patch({"faults": [fault]})
    image_too = {"Resources__1__ResourceId": ONE, "Resources__1__ResourceType": "Image"}
    request = sharing(ResourceShareId=FULL, Targets__1="fd-test", **image_too)
    assert stage.ask("resourcesharing:AssociateResourceShare", request).status == 200
    return {}


def waiting_invitation(stage: Stage) -> Mapping[str, str]:
    """An invitation that waits; nothing is asked about it."""
    invited(stage)
    return {}


_SOURCE = {"ImageId": ONE, "DestinationRegionId": FAR}
_TAG = {"Tag__1__Key": "env", "Tag__1__Value": "prod"}
_MEMBER = {"ResourceType": "Account", "ResourceId__1": SHOP}
_IMAGE = {"ResourceType": "image", "ResourceId__1": RICH}
_RESOURCE = {"Resources__1__ResourceId": ONE, "Resources__1__ResourceType": "Image"}

SCENES: Mapping[str, tuple[Request, ...]] = {
    "ecd:DeleteImages": (ecs(ImageId__1="m-desk-one", ImageId__2=DESK_WAITING),),
    "ecd:DescribeImagePermission": (ecs(ImageId=DESK), ecs(ImageId="m-desk-one")),
    "ecd:DescribeImages": (ecs(), ecs(MaxResults="1"), ecs(ImageType="CUSTOM"), ecs(SHOP)),
    "ecd:DescribeRegions": (ecs(), ecs(AcceptLanguage="en")),
    "ecd:ModifyImagePermission": (
        ecs(ImageId="m-desk-one", AddAccount__1=SHOP, AddAccount__2=PARTNER),
        ecs(ImageId=DESK, RemoveAccount__1=SHOP, AddAccount__1=LAB),
    ),
    "ecs:CopyImage": (
        ecs(**_SOURCE, DestinationImageName="copy", DestinationDescription="a copy", **_TAG),
        ecs(**_SOURCE, Encrypted="true", KMSKeyId="key-1", ClientToken="t-1"),
        ecs(ImageId=RECEIVED, DestinationRegionId=REGION),
    ),
    "ecs:CreateImage": (
        ecs(InstanceId="i-1", ImageName="made", ImageFamily="acme", Description="made here", **_TAG),
        ecs(SnapshotId="s-1"),
        ecs(DiskDeviceMapping__1__SnapshotId="s-1"),
    ),
    "ecs:DeleteImage": (ecs(ImageId=ONE), ecs(ImageId=BROKEN, Force="true")),
    "ecs:DescribeImageSharePermission": (ecs(ImageId=RICH), ecs(ImageId=ONE), ecs(ImageId=PUBLIC)),
    "ecs:DescribeImages": (
        ecs(),
        ecs(Status="ALL", PageSize="100"),
        *(ecs(Status="ALL", ImageOwnerAlias=alias) for alias in ("self", "others", "system", "marketplace")),
        ecs(ImageOwnerAlias="others", IsPublic="true"),
        ecs(SHOP),
    ),
    "ecs:DescribeRegions": (Request(), Request({"AcceptLanguage": "en-US"})),
    "ecs:DescribeSnapshots": (
        ecs(),
        ecs(PageSize="100"),
        ecs(MaxResults="1"),
        ecs(Encrypted="true", SnapshotIds='["s-cmk", "s-rich"]'),
    ),
    "ecs:ListTagResources": (
        ecs(**_IMAGE),
        ecs(ResourceType="image", Tag__1__Key="share"),
        ecs(ResourceType="image", Tag__1__Key="key01"),
    ),
    "ecs:ModifyImageSharePermission": (
        ecs(ImageId=ONE, AddAccount__1=SHOP, AddAccount__2=PARTNER),
        ecs(ImageId=RICH, RemoveAccount__1=SHOP, AddAccount__1=LAB),
        ecs(ImageId=ONE, IsPublic="true"),
    ),
    "ecs:TagResources": (ecs(**_IMAGE, **_TAG),),
    "ecs:UntagResources": (ecs(**_IMAGE, TagKey__1="env"), ecs(**_IMAGE, All="true")),
    "ram:AttachPolicyToRole": (
        Request({"PolicyType": "System", "PolicyName": "AliyunKMSFullAccess", "RoleName": "worker"}),
        Request({"PolicyType": "Custom", "PolicyName": "share-keys", "RoleName": NOTHING}),
    ),
    "ram:CreateRole": (
        Request({"RoleName": "new", "AssumeRolePolicyDocument": TRUST % BANK, "Description": "a new one"}),
        Request({"RoleName": "new", "AssumeRolePolicyDocument": TRUST % BANK, "MaxSessionDuration": "7200"}),
    ),
    "ram:GetRole": (Request({"RoleName": "worker"}),),
    "ram:ListPoliciesForRole": (Request({"RoleName": "worker"}), Request({"RoleName": NOTHING})),
    "ram:UpdateRole": (
        Request({"RoleName": "worker", "NewAssumeRolePolicyDocument": TRUST % LAB}),
        Request({"RoleName": "worker", "NewDescription": "works for everybody", "NewMaxSessionDuration": "7200"}),
    ),
    "resourcemanager:AcceptHandshake": (Request({}, PARTNER, invited),),
    "resourcemanager:CreateFolder": (manager(FolderName="new"), manager(FolderName="new", ParentFolderId="fd-prod")),
    "resourcemanager:CreateResourceAccount": (
        manager(DisplayName="new one", ParentFolderId="fd-prod", AccountNamePrefix="new", **_TAG),
        manager(DisplayName="new two"),
    ),
    "resourcemanager:DeleteFolder": (Request({}, MANAGEMENT, new_folder),),
    "resourcemanager:GetAccount": (
        manager(AccountId=SHOP),
        manager(AccountId=SHOP, IncludeTags="true"),
        manager(AccountId=CREATED, IncludeTags="true"),
    ),
    "resourcemanager:GetFolder": (manager(FolderId="fd-eu"), manager(FolderId="r-local1")),
    "resourcemanager:GetHandshake": (Request({}, PARTNER, invited), Request({}, MANAGEMENT, expired)),
    "resourcemanager:GetResourceDirectory": (Request({}, MANAGEMENT), Request({}, SHOP)),
    "resourcemanager:InviteAccountToResourceDirectory": (
        manager(TargetEntity=PARTNER, TargetType="Account", Note="welcome", **_TAG),
    ),
    "resourcemanager:ListAccounts": (
        manager(),
        manager(IncludeTags="true", PageSize="100"),
        manager(Tag__1__Key="env"),
    ),
    "resourcemanager:ListAccountsForParent": (
        manager(),
        manager(ParentFolderId="fd-eu", IncludeTags="true"),
        manager(ParentFolderId="fd-test", QueryKeyword="lab"),
    ),
    "resourcemanager:ListAncestors": (manager(ChildId=BANK), manager(ChildId="fd-eu")),
    "resourcemanager:ListFoldersForParent": (manager(), manager(ParentFolderId="fd-prod")),
    "resourcemanager:ListHandshakesForResourceDirectory": (
        Request({"PageSize": "100"}, MANAGEMENT, waiting_invitation),
    ),
    "resourcemanager:ListTagResources": (manager(ResourceType="Account"), manager(**_MEMBER, MaxResults="1")),
    "resourcemanager:MoveAccount": (manager(AccountId=SHOP, DestinationFolderId="fd-test"),),
    "resourcemanager:RemoveCloudAccount": (manager(AccountId=SHOP),),
    "resourcemanager:TagResources": (manager(**_MEMBER, **_TAG),),
    "resourcemanager:UntagResources": (manager(**_MEMBER, TagKey__1="env"), manager(**_MEMBER, All="true")),
    "resourcesharing:AcceptResourceShareInvitation": (replace(sharing(PARTNER), before=asked),),
    "resourcesharing:AssociateResourceShare": (
        sharing(ResourceShareId=FULL, **_RESOURCE, Targets__1="fd-test", PermissionNames__1=PERMISSION),
        sharing(ResourceShareId=FULL, ResourceArns__1=f"acs:ecs:{REGION}:{OWNER}:image/{ONE}"),
        sharing(ResourceShareId=OPEN, Targets__1="rd-local1"),
    ),
    "resourcesharing:CheckSharingWithResourceDirectoryStatus": (sharing(), sharing(PARTNER)),
    "resourcesharing:CreateResourceShare": (
        sharing(ResourceShareName="new", **_RESOURCE, Targets__1="rd-local1", **_TAG, ResourceGroupId="rg-2"),
        sharing(ResourceShareName="new", AllowExternalTargets="true", Targets__1=PARTNER),
    ),
    "resourcesharing:DeleteResourceShare": (sharing(ResourceShareId=FULL),),
    "resourcesharing:DescribeRegions": (sharing(), sharing(AcceptLanguage="en-US")),
    "resourcesharing:DisassociateResourceShare": (
        sharing(ResourceShareId=FULL, Resources__1__ResourceId=RICH, Resources__1__ResourceType="Image"),
        sharing(ResourceShareId=FULL, Targets__1="fd-prod", ResourceOwner="Self"),
        sharing(PARTNER, ResourceShareId=OPEN, Targets__1=PARTNER, ResourceOwner="OtherAccounts"),
    ),
    "resourcesharing:EnableSharingWithResourceDirectory": (replace(sharing(MANAGEMENT), before=sharing_off),),
    "resourcesharing:ListResourceShareAssociations": (
        sharing(AssociationType="Resource", ResourceShareIds__1=FULL),
        sharing(AssociationType="Target", MaxResults="1"),
        replace(sharing(AssociationType="Resource", AssociationStatus="Failed"), before=failed),
        replace(sharing(AssociationType="Target", AssociationStatus="Failed"), before=failed),
    ),
    "resourcesharing:ListResourceShareInvitations": (
        replace(sharing(PARTNER), before=share_asking),
        replace(sharing(PARTNER, MaxResults="1"), before=asked_twice),
    ),
    "resourcesharing:ListResourceShares": (
        sharing(ResourceOwner="Self"),
        sharing(ResourceOwner="Self", MaxResults="1"),
        sharing(ResourceOwner="OtherAccounts"),
    ),
    "resourcesharing:ListSharedResources": (
        sharing(ResourceOwner="Self"),
        sharing(ResourceOwner="Self", MaxResults="1"),
        sharing(ResourceOwner="OtherAccounts"),
    ),
    "resourcesharing:ListSharedTargets": (
        sharing(ResourceOwner="Self"),
        sharing(ResourceOwner="Self", MaxResults="1"),
        sharing(ResourceOwner="OtherAccounts"),
    ),
    "resourcesharing:RejectResourceShareInvitation": (replace(sharing(PARTNER), before=asked),),
    "resourcesharing:UpdateResourceShare": (
        sharing(ResourceShareId=FULL, ResourceShareName="renamed", AllowExternalTargets="true"),
    ),
    "sts:AssumeRole": (
        Request({"RoleArn": READER, "RoleSessionName": "night", "DurationSeconds": "900"}),
        Request({"RoleArn": READER, "RoleSessionName": "night", "SourceIdentity": "me", "ExternalId": "x-1"}),
    ),
    "sts:GetCallerIdentity": (Request(), Request(role=READER)),
}

SWITCHES: tuple[Mapping[str, Any], ...] = (
    {},
    {"is_self_shared": "string", "aliyun_id": "number", "disk_encryption_shown": True},
    {"is_self_shared": "absent", "management_in_lists": True},
)
"""Positions of the switches that change what an answer looks like."""

ON_THEIR_OWN: Mapping[tuple[str, str], Request] = {
    ("ecs:CopyImage", "KMSKeyId"): ecs(ImageId=ONE, Encrypted="true"),
    ("ecs:DescribeImages", "ImageOwnerId"): ecs(ImageOwnerAlias="others"),
    ("ecs:DescribeImages", "IsPublic"): ecs(ImageOwnerAlias="others"),
    ("ecs:DescribeImages", "Usable"): ecs(Status="ALL"),
    ("ecs:ModifyImageSharePermission", "IsPublic"): ecs(ImageId=PUBLIC),
    ("ecs:UntagResources", "All"): ecs(**_IMAGE),
    ("resourcesharing:AssociateResourceShare", "ResourceArns"): sharing(ResourceShareId=FULL),
    ("resourcesharing:CreateResourceShare", "ResourceArns"): sharing(ResourceShareName="new"),
    ("resourcesharing:DisassociateResourceShare", "ResourceArns"): sharing(ResourceShareId=FULL),
}
"""Parameters that the usual request has no use for, with one that has: in it each of their values can be tried."""
