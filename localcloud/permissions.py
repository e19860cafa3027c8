"""Which permission each operation takes, and the refusal of a caller that does not have it.

An account's root may do everything in its account, and so may a role or user that the world gives no policies. All
others need the action of the operation on the resources that the call is about. What can go wrong is a permission that
is easier to have here than there: so where the vendor's page says that an operation cannot be granted for single
resources, or where no page says for which it can, the call asks for `*`, which only a policy for `*` allows.

Pages: https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-ram (ECS),
https://alibabacloud.com/help/en/resource-management/resource-directory/developer-reference/ram-authorization, the
section «Authorization information» of each call of Resource Manager, Resource Sharing and Elastic Desktop Service
(https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30-describeimages), and
https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements (OSS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from localcloud.call import Call
from localcloud.ecd.errors import ERRORS as ECD_ERRORS
from localcloud.ecs.errors import ERRORS as ECS_ERRORS
from localcloud.errors import ApiError, Catalogue
from localcloud.oss.errors import not_permitted
from localcloud.policies import ASSUME_ROLE, Asked, common_facts, verdict
from localcloud.ram.errors import ERRORS as RAM_ERRORS
from localcloud.resourcemanager.errors import ERRORS as RESOURCE_MANAGER_ERRORS
from localcloud.resourcesharing.errors import ERRORS as RESOURCE_SHARING_ERRORS
from localcloud.sts.errors import ERRORS as STS_ERRORS
from localcloud.sts.models import IdentityModel, Principal

if TYPE_CHECKING:
    from localcloud.oss.responses import ObjectCall

CallT = TypeVar("CallT")
Resources = Callable[[CallT], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Permission(Generic[CallT]):
    """The action of an operation, and the resources of one call: the caller must be allowed it on all of them."""

    action: str
    resources: Resources[CallT]


DENIED: Mapping[str, tuple[Catalogue, str]] = {
    "ecd": (ECD_ERRORS, "NoPermission"),
    "ecs": (ECS_ERRORS, "Forbidden.RAM"),
    "ram": (RAM_ERRORS, "NoPermission"),
    "resourcemanager": (RESOURCE_MANAGER_ERRORS, "NoPermission"),
    "resourcesharing": (RESOURCE_SHARING_ERRORS, "NoPermission"),
    "sts": (STS_ERRORS, "NoPermission"),
}
"""How each product says that a permission is lacking: https://alibabacloud.com/help/en/ram/support/how-to-troubleshoot-an-access-denied-error"""


def everything(_: Call) -> tuple[str, ...]:
    """What cannot be granted for single resources, or of which no page says so."""
    return ("*",)


def _image(call: Call) -> tuple[str, ...]:
    return (_image_arn(call, call.params.text("ImageId")),)


def _any_image(call: Call) -> tuple[str, ...]:
    return (_image_arn(call, ""),)


def _images_asked_for(call: Call) -> tuple[str, ...]:
    """https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-describeimages

    Who asks for the vendor's images, or for those of others, needs no permission.
    """
    return () if call.params.text("ImageOwnerAlias") in ("system", "others") else _image(call)


def _images_named(call: Call) -> tuple[str, ...]:
    return tuple(_image_arn(call, image) for image in call.params.listed("ResourceId") or [""])


def _image_arn(call: Call, image: str) -> str:
    return f"acs:ecs:{call.region}:{call.account}:image/{image or '*'}"


def _any_account(call: Call) -> tuple[str, ...]:
    """https://www.alibabacloud.com/help/en/resource-management/resource-directory/developer-reference/api-resourcemanager-2020-03-31-listaccounts"""
    return (f"acs:resourcemanager:*:{call.account}:account/*",)


def _account(call: Call) -> tuple[str, ...]:
    """The place of a member, as that of a folder: the pages name the variable, and show it for a folder."""
    view, account = call.models.directory.truth, call.params.text("AccountId")
    member = view.members.get(account)
    path = f"{view.path(member.folder)}/{account}" if member is not None else account or "*"
    return (f"acs:resourcemanager:*:{call.account}:account/{path}",)


def _folder(parameter: str) -> Resources[Call]:
    """https://help.aliyun.com/zh/resource-management/api-listfoldersforparent"""

    def folder(call: Call) -> tuple[str, ...]:
        view, asked = call.models.directory.truth, call.params.text(parameter)
        path = view.path(asked) if asked in view.folders else asked or "*"
        return (f"acs:resourcemanager:*:{call.account}:folder/{path}",)

    return folder


def _role(call: Call) -> tuple[str, ...]:
    """https://alibabacloud.com/help/en/ram/support/faq-about-ram-roles-and-sts-tokens"""
    return (call.params.text("RoleArn") or "*",)


def _snapshots(call: Call) -> tuple[str, ...]:
    """https://alibabacloud.com/help/tc/ecs/developer-reference/api-ecs-2014-05-26-describesnapshots"""
    return (f"acs:ecs:{call.region}:{call.account}:snapshot/*",)


def _own_role(call: Call) -> tuple[str, ...]:
    """https://alibabacloud.com/help/en/resource-management/resource-group/developer-reference/api-resourcemanager-2020-03-31-updaterole-rg"""
    return (f"acs:ram:*:{call.account}:role/{call.params.text('RoleName') or '*'}",)


def _any_role(call: Call) -> tuple[str, ...]:
    """https://www.alibabacloud.com/help/doc-detail/28710.htm"""
    return (f"acs:ram:*:{call.account}:role/*",)


def _role_and_policy(call: Call) -> tuple[str, ...]:
    """https://alibabacloud.com/help/doc-detail/28729.htm: the role, and the policy of the account or of the vendor."""
    owner = "system" if call.params.text("PolicyType") == "System" else call.account
    return (*_own_role(call), f"acs:ram:*:{owner}:policy/{call.params.text('PolicyName') or '*'}")


PERMISSIONS: Mapping[str, Permission[Call]] = {
    permission.action: permission
    for permission in (
        Permission("ecd:DeleteImages", everything),
        Permission("ecd:DescribeImagePermission", everything),
        Permission("ecd:DescribeImages", everything),
        Permission("ecd:DescribeRegions", everything),
        Permission("ecd:ModifyImagePermission", everything),
        Permission("ecs:CopyImage", _any_image),
        Permission("ecs:CreateImage", _any_image),
        Permission("ecs:DeleteImage", _image),
        Permission("ecs:DescribeImageSharePermission", _image),
        Permission("ecs:DescribeImages", _images_asked_for),
        Permission("ecs:DescribeRegions", everything),
        Permission("ecs:DescribeSnapshots", _snapshots),
        Permission("ecs:ListTagResources", _images_named),
        Permission("ecs:ModifyImageSharePermission", _image),
        Permission("ecs:TagResources", _images_named),
        Permission("ecs:UntagResources", _images_named),
        Permission("ram:AttachPolicyToRole", _role_and_policy),
        Permission("ram:CreateRole", _any_role),
        Permission("ram:GetRole", _own_role),
        Permission("ram:ListPoliciesForRole", _own_role),
        Permission("ram:UpdateRole", _own_role),
        Permission("resourcemanager:AcceptHandshake", everything),
        Permission("resourcemanager:CreateFolder", everything),
        Permission("resourcemanager:CreateResourceAccount", everything),
        Permission("resourcemanager:DeleteFolder", everything),
        Permission("resourcemanager:GetAccount", _account),
        Permission("resourcemanager:GetFolder", _folder("FolderId")),
        Permission("resourcemanager:GetHandshake", everything),
        Permission("resourcemanager:GetResourceDirectory", everything),
        Permission("resourcemanager:InviteAccountToResourceDirectory", everything),
        Permission("resourcemanager:ListAccounts", _any_account),
        Permission("resourcemanager:ListAccountsForParent", _folder("ParentFolderId")),
        Permission("resourcemanager:ListAncestors", everything),
        Permission("resourcemanager:ListFoldersForParent", _folder("ParentFolderId")),
        Permission("resourcemanager:ListHandshakesForResourceDirectory", everything),
        Permission("resourcemanager:ListTagResources", everything),
        Permission("resourcemanager:MoveAccount", everything),
        Permission("resourcemanager:RemoveCloudAccount", everything),
        Permission("resourcemanager:TagResources", everything),
        Permission("resourcemanager:UntagResources", everything),
        Permission("resourcesharing:AcceptResourceShareInvitation", everything),
        Permission("resourcesharing:AssociateResourceShare", everything),
        Permission("resourcesharing:CheckSharingWithResourceDirectoryStatus", everything),
        Permission("resourcesharing:CreateResourceShare", everything),
        Permission("resourcesharing:DeleteResourceShare", everything),
        Permission("resourcesharing:DescribeRegions", everything),
        Permission("resourcesharing:DisassociateResourceShare", everything),
        Permission("resourcesharing:EnableSharingWithResourceDirectory", everything),
        Permission("resourcesharing:ListResourceShareAssociations", everything),
        Permission("resourcesharing:ListResourceShareInvitations", everything),
        Permission("resourcesharing:ListResourceShares", everything),
        Permission("resourcesharing:ListSharedResources", everything),
        Permission("resourcesharing:ListSharedTargets", everything),
        Permission("resourcesharing:RejectResourceShareInvitation", everything),
        Permission("resourcesharing:UpdateResourceShare", everything),
        Permission(ASSUME_ROLE, _role),
    )
}
"""The permission of each operation, which has the operation's own name."""

NEEDS_NONE = frozenset({"sts:GetCallerIdentity"})
"""https://help.aliyun.com/en/ram/developer-reference/api-sts-2015-04-01-getcalleridentity"""


def _bucket(call: ObjectCall) -> tuple[str, ...]:
    return (f"acs:oss:{call.region}:{_owner(call)}:{call.bucket}",)


def _object(call: ObjectCall) -> tuple[str, ...]:
    return (f"acs:oss:{call.region}:{_owner(call)}:{call.bucket}/{call.key}",)


def _owner(call: ObjectCall) -> str:
    """The account of the bucket; of one that does not exist, the caller's."""
    return call.models.storage.owner_of(call.bucket) or call.principal.account


OBJECT_PERMISSIONS: Mapping[str, Permission[ObjectCall]] = {
    "DeleteObject": Permission("oss:DeleteObject", _object),
    "GetBucketInfo": Permission("oss:GetBucketInfo", _bucket),
    "GetBucketLocation": Permission("oss:GetBucketLocation", _bucket),
    "GetBucketVersioning": Permission("oss:GetBucketVersioning", _bucket),
    "GetObject": Permission("oss:GetObject", _object),
    "ListObjectsV2": Permission("oss:ListObjects", _bucket),
    "PutObject": Permission("oss:PutObject", _object),
}
"""The permission of each operation of object storage; both versions of the listing have one action."""


def check_permission(call: Call, operation: str) -> None:
    """ApiError in the product's words if the caller may not make this call."""
    if operation in NEEDS_NONE or not call.models.identity.limits(call.principal):
        return
    permission = PERMISSIONS[operation]
    asked = Asked(permission.action, permission.resources(call), common_facts(call.now))
    lacking = _lacking(call.models.identity, call.principal, asked)
    if lacking:
        catalogue, code = DENIED[operation.partition(":")[0]]
        error = catalogue.error(code)
        shown = call.settings.switches.access_denied_detail
        raise ApiError(error.code, error.status, error.message, detail=lacking if shown else {})


def check_object_permission(call: ObjectCall, operation: str) -> None:
    """AccessDenied if the caller may not make this call to object storage."""
    if not call.models.identity.limits(call.principal):
        return
    permission = OBJECT_PERMISSIONS[operation]
    facts = {**common_facts(call.now), **_listing_facts(call, operation)}
    lacking = _lacking(
        call.models.identity, call.principal, Asked(permission.action, permission.resources(call), facts)
    )
    if lacking:
        raise not_permitted(lacking, shown=call.models.settings.switches.access_denied_detail)


def lacks(identity: IdentityModel, caller: Principal, action: str, resource: str, *, now: float) -> bool:
    """Whether a caller may not do something, for calls that are none of the above."""
    return bool(_lacking(identity, caller, Asked(action, (resource,), common_facts(now))))


def _listing_facts(call: ObjectCall, operation: str) -> Mapping[str, str]:
    if operation != "ListObjectsV2":
        return {}
    return {"oss:Prefix": call.query.get("prefix", ""), "oss:Delimiter": call.query.get("delimiter", "")}


def _lacking(identity: IdentityModel, caller: Principal, asked: Asked) -> Mapping[str, str]:
    """What an answer says of a permission that is lacking; nothing if none is.

    Fields as at https://www.alibabacloud.com/help/en/oss/support/0003-00000201, but for the encoded message, which only
    the vendor can read.
    """
    for policy_type, policies in identity.limits(caller):
        said = verdict(policies, asked)
        if said != "Allow":
            return {
                "PolicyType": policy_type,
                "AuthPrincipalOwnerId": caller.account,
                "AuthPrincipalType": "AssumedRoleUser" if caller.role else "SubUser",
                "AuthPrincipalDisplayName": caller.shown_name,
                "NoPermissionType": said,
                "AuthAction": asked.action,
            }
    return {}
