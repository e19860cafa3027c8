"""What is served beyond the metadata, each with the place where it is written.

Pages are the vendor's; `facts` are sections of the handbook's `facts/api.md`. The metadata's error lists are of June
2024, so codes that came later are here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

_RM = "https://alibabacloud.com/help/en/resource-management"
_RS = f"{_RM}/resource-sharing/developer-reference/api-resourcesharing-2020-01-10"
_ECD = "https://www.alibabacloud.com/help/en/wuying-workspace/developer-reference/api-ecd-2020-09-30"
_ALL_OF_RM = "https://www.alibabacloud.com/help/en/resource-management/latest/rd-2020-03-31-api-overview"

WITHOUT_METADATA: Mapping[str, str] = {
    "ecd:DeleteImages": f"{_ECD}-deleteimages",
    "ram:AttachPolicyToRole": "https://alibabacloud.com/help/doc-detail/28729.htm; facts 5",
    "ram:ListPoliciesForRole": "https://www.alibabacloud.com/help/en/ram/developer-reference"
    "/api-ram-2015-05-01-listpoliciesforrole",
    "resourcemanager:AcceptHandshake": f"{_RM}/api-accepthandshake",
    "resourcemanager:CreateFolder": _ALL_OF_RM,
    "resourcemanager:CreateResourceAccount": "https://www.alibabacloud.com/help/en/resource-management"
    "/resource-directory/developer-reference/api-resourcemanager-2020-03-31-createresourceaccount",
    "resourcemanager:DeleteFolder": f"{_RM}/api-deletefolder",
    "resourcemanager:GetHandshake": _ALL_OF_RM,
    "resourcemanager:InviteAccountToResourceDirectory": f"{_RM}/api-inviteaccounttoresourcedirectory",
    "resourcemanager:ListHandshakesForResourceDirectory": f"{_RM}/api-listhandshakesforresourcedirectory",
    "resourcemanager:MoveAccount": f"{_RM}/api-moveaccount",
    "resourcemanager:RemoveCloudAccount": f"{_RM}/api-removecloudaccount",
    "resourcemanager:TagResources": f"{_RM}/api-tagresources-411680",
    "resourcemanager:UntagResources": f"{_RM}/api-tagresources-411680, its counterpart; text of the official SDK",
    "resourcesharing:AcceptResourceShareInvitation": f"{_RS}-acceptresourceshareinvitation; facts 2.3",
    "resourcesharing:RejectResourceShareInvitation": "the counterpart of the one above; text of the official SDK",
}
"""Operations that are served and have no metadata; their fields and parameters are held against the official SDK."""


class Code(NamedTuple):
    """A code that some operations give although their metadata does not list it."""

    operations: str
    code: str
    status: int
    source: str


_COMMON = "https://help.aliyun.com/en/polardb/client-error-codes (common to all products); facts 8"
_DI = "https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-describeimages; facts 1.1"
_MISP = "https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission; facts 1.2"
_COPY = "https://alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage; facts 1.4"
_TAGS = "the same code as the metadata of TagResources and CreateImage list it for their tags"
_SAML = "https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-errorcodes (of AssumeRoleWithSAML)"
_REGION = (
    "the metadata of the tag calls and of CancelCopyImage; seen from DescribeInstances: "
    "https://github.com/kubernetes/cloud-provider-alibaba-cloud/issues/81"
)

_DENIED = (
    "https://alibabacloud.com/help/en/ram/support/how-to-troubleshoot-an-access-denied-error; "
    "https://github.com/alibaba/packer-provider/issues/34; facts 8"
)
_APPSTREAM = (
    "https://www.alibabacloud.com/help/en/wuying-appstreaming/developer-reference"
    "/api-appstream-center-2021-09-01-deleteimage, of the sister product; facts 4"
)
_BORROWED = f"no code is documented (facts 4), so that of ECS for the same refusal: {_MISP}"
_ARNS = "facts 2.3; the endings are those of Resources"
_ROLE = "https://www.alibabacloud.com/help/doc-detail/28710.htm (CreateRole; the older page lists them); facts 5"
_UPDATE = "the older page of UpdateRole: https://help-w.com/aliyun/aliyunqi/1523801005.html (a copy); facts 5"
_ATTACH = "the older page of AttachPolicyToRole: https://help-w.com/mi/miroute/1520655409_zh.html (a copy); facts 5"

CODES: tuple[Code, ...] = (
    Code("*", "InvalidParameter", 400, f"{_COMMON}; page size: https://github.com/aliyun/aliyun-cli/issues/512"),
    Code("*", "MissingParameter", 400, _COMMON),
    Code("*", "UnsupportedParameter", 400, _COMMON),
    Code("ecd:*", "InvalidRegionId.NotFound", 404, "no such host: a real client would not find one"),
    Code("ecd:*", "NoPermission", 403, _DENIED),
    Code("ecd:DeleteImages", "ImageDeleteFailed.NotAllowSharedImage", 400, _APPSTREAM),
    Code("ecd:*", "InvalidImageId.NotFound", 404, _BORROWED),
    Code("ecd:ModifyImagePermission", "InvalidAccount.Forbbiden", 404, _BORROWED),
    Code("ecd:ModifyImagePermission", "InvalidAccount.NotFound", 404, _BORROWED),
    Code("ecd:ModifyImagePermission", "OperationDeined.EncryptedSnapshot", 403, _BORROWED),
    Code("ecd:ModifyImagePermission", "QuotaExceed.ShareImageUser", 403, _BORROWED),
    Code("ecs:*", "DryRunOperation", 400, "facts 1.1 and 1.4; the status is not documented"),
    Code("ecs:*", "Forbidden.RAM", 403, _DENIED),
    Code("ecs:*", "InvalidRegionId.NotFound", 404, _REGION),
    Code("ecs:CopyImage", "Duplicate.TagKey", 400, _TAGS),
    Code("ecs:CopyImage", "IdempotenceParamNotMatch", 400, "the metadata of CreateImage, for the same parameter"),
    Code("ecs:CopyImage", "InvalidTagKey.Malformed", 400, _TAGS),
    Code("ecs:CopyImage", "InvalidTagValue.Malformed", 400, _TAGS),
    Code("ecs:CopyImage", "NumberExceed.Tags", 400, _TAGS),
    Code("ecs:CopyImage", "OperationDenied.ImageCopyConflict", 400, _COPY),
    Code("ecs:DescribeImages", "InvalidFilterValue.NetworkType", 400, _DI),
    Code("ecs:DescribeImages", "InvalidImageOwnerAlias.PublicImageUnsupported", 400, _DI),
    Code("ecs:DescribeImages", "InvalidOperation.ImageOwnerIdUnsupported", 400, _DI),
    Code("ecs:ModifyImageSharePermission", "IncorrectImageStatus", 400, _MISP),
    Code("ecs:ModifyImageSharePermission", "InvalidParameter.KMSKeyId.CMKUnauthorized", 403, _MISP),
    Code("ecs:ModifyImageSharePermission", "InvalidOperation.ServiceKeyEncryptedImageUnsupported", 403, _MISP),
    Code("ram:*", "EntityNotExist.Role", 404, _UPDATE),
    Code("ram:*", "InvalidParameter.RoleName.InvalidChars", 400, _ROLE),
    Code("ram:*", "InvalidParameter.RoleName.Length", 400, _ROLE),
    Code("ram:*", "MalformedPolicyDocument", 400, _ROLE),
    Code("ram:AttachPolicyToRole", "EntityAlreadyExists.Role.Policy", 409, _ATTACH),
    Code("ram:AttachPolicyToRole", "EntityNotExist.Policy", 404, _ATTACH),
    Code("ram:AttachPolicyToRole", "InvalidParameter.PolicyName.InvalidChars", 400, _ATTACH),
    Code("ram:AttachPolicyToRole", "InvalidParameter.PolicyName.Length", 400, _ATTACH),
    Code("ram:AttachPolicyToRole", "InvalidParameter.PolicyType", 400, _ATTACH),
    Code("ram:AttachPolicyToRole", "LimitExceeded.Role.Policy", 409, _ATTACH),
    Code("ram:CreateRole", "EntityAlreadyExists.Role", 409, _ROLE),
    Code("ram:CreateRole", "InvalidParameter.AssumeRolePolicyDocument.Length", 400, _ROLE),
    Code("ram:CreateRole", "LimitExceeded.Role", 409, _ROLE),
    Code("ram:UpdateRole", "InvalidParameter.NewAssumeRolePolicyDocument.Length", 400, _UPDATE),
    Code("resourcesharing:*", "InvalidParameter.ResourceArns", 400, _ARNS),
    Code("resourcesharing:*", "InvalidParameter.ResourceArns.Duplicate", 400, _ARNS),
    Code("resourcesharing:*", "InvalidParameter.ResourceArns.Length", 400, _ARNS),
    Code("resourcesharing:*", "InvalidParameter.ResourceConflict", 400, "facts 2.1 and 2.3"),
    Code("resourcesharing:*", "NoPermission", 403, f"{_DENIED}; the status is Resource Manager's"),
    Code("resourcesharing:*", "InvalidRegionId.NotFound", 404, "no such host: a real client would not find one"),
    Code("sts:AssumeRole", "MissingParameter.RoleArn", 400, _SAML),
    Code("sts:AssumeRole", "MissingParameter.RoleSessionName", 400, f"{_SAML}, by analogy with RoleArn"),
)
"""Codes that an operation gives and its metadata does not list."""


def covers(row: Code, operation: str, code: str) -> bool:
    """Whether a row of the list is about this code of this operation."""
    return row.code == code and fnmatchcase(operation, row.operations)


def listed(operation: str, code: str) -> frozenset[int]:
    """The statuses with which the list above has a code of an operation; none if it has not."""
    return frozenset(row.status for row in CODES if covers(row, operation, code))


_GATEWAY = "https://help.aliyun.com/document_detail/60629.html"
_TOKENS = "https://help.aliyun.com/document_detail/53438.html"
_CLIENTS = "the handbook's openapi/_behaviour.json: clients read this code"

GATEWAY: Mapping[str, str] = {
    "IllegalTimestamp": _COMMON,
    "IncompleteSignature": _COMMON,
    "InternalError": "the metadata of DescribeImages and many others",
    "InvalidAccessKeyId.NotFound": _COMMON,
    "InvalidAction.NotFound": _GATEWAY,
    "InvalidParameter": _COMMON,
    "InvalidProduct.NotFound": _GATEWAY,
    "InvalidRegionId.NotFound": _REGION,
    "InvalidSecurityToken.Expired": _TOKENS,
    "InvalidSecurityToken.Malformed": _TOKENS,
    "InvalidSecurityToken.MismatchWithAccessKey": _TOKENS,
    "InvalidSignatureMethod": _GATEWAY,
    "InvalidTimeStamp.Expired": _GATEWAY,
    "InvalidTimeStamp.Format": _GATEWAY,
    "InvalidVersion": _GATEWAY,
    "MissingParameter": _COMMON,
    "MissingSecurityToken": _TOKENS,
    "SignatureDoesNotMatch": f"{_GATEWAY}; {_CLIENTS}",
    "SignatureNonceUsed": f"{_GATEWAY}; facts 8",
    "Throttling.User": "https://www.alibabacloud.com/help/doc-detail/98807.htm; facts 8",
    "UnsupportedHTTPMethod": _COMMON,
    "UnsupportedParameter": _COMMON,
}
"""The codes of the gateway before all products: but for the one about regions, they are in none of the metadata."""

ODD_TYPES: Mapping[str, Mapping[str, frozenset[str]]] = {
    # Strings in the schema, integers where the same ids are given to ModifyImagePermission: facts 4.
    "ecd:DescribeImagePermission": {"AliUids[]": frozenset({"integer"})},
    # A string in the schema and in 2020, a number in the sample of 2025: facts 1.3.
    "ecs:DescribeImageSharePermission": {"Accounts.Account[].AliyunId": frozenset({"integer"})},
    # A string in the schema, true as well as "true" and "False" in samples: facts 1.1.
    "ecs:DescribeImages": {"Images.Image[].IsSelfShared": frozenset({"boolean"})},
}
"""Types that the vendor's samples show beside the declared one; a switch of the world chooses."""

_IMAGE = "Images.Image[]"
_PROPERTIES = frozenset(f"ResourceShareAssociations[].{field}" for field in ("ResourceProperty", "TargetProperty"))
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "ecd:DescribeImages": frozenset({"Images[].GpuDriverVersion"}),
    "ecs:DescribeImages": frozenset(
        f"{_IMAGE}.{field}"
        for field in (
            "DetectionOptions.Items.Item[].Name",
            "DetectionOptions.Items.Item[].RiskCode",
            "DetectionOptions.Items.Item[].RiskLevel",
            "DetectionOptions.Items.Item[].Value",
            "DetectionOptions.Status",
            "DiskDeviceMappings.DiskDeviceMapping[].RemainTime",
            "Features.CpuOnlineDowngrade",
            "Features.CpuOnlineUpgrade",
            "Features.ImdsSupport",
            "Features.MemoryOnlineDowngrade",
            "Features.MemoryOnlineUpgrade",
            "Features.NvmeSupport",
            "LicenseType",
            "SecureBootOptions.SecureBootSupport",
            "SupplierName",
        )
    ),
    "ecs:DescribeSnapshots": frozenset(
        f"Snapshots.Snapshot[].{field}"
        for field in (
            "FullSnapshotSizeInBytes",
            "InstantAccessRetentionDays",
            "RemainTime",
            "RetentionDays",
            "SnapshotSN",
            "SourceRegionId",
            "SourceSnapshotId",
            "Tags.Tag[].TagKey",
            "Tags.Tag[].TagValue",
        )
    ),
    "ram:GetRole": frozenset(f"Role.LatestDeletionTask.{field}" for field in ("CreateDate", "DeletionTaskId")),
    "resourcemanager:GetAccount": frozenset({"Account.EmailStatus", "Account.IdentityInformation"}),
    "resourcemanager:GetResourceDirectory": frozenset({"ResourceDirectory.IdentityInformation"}),
    "resourcesharing:AssociateResourceShare": _PROPERTIES,
    "resourcesharing:DisassociateResourceShare": _PROPERTIES,
    "resourcesharing:ListResourceShareAssociations": _PROPERTIES
    | {
        f"ResourceShareAssociations[].AssociationFailedDetails[].{field}"
        for field in ("AssociateType", "Status", "StatusMessage")
    },
    "resourcesharing:ListResourceShareInvitations": frozenset(
        f"ResourceShareInvitations[].InvitationFailedDetails[].{field}"
        for field in (
            "AssociateType",
            "FailureDescription",
            "FailureReason",
            "OperationType",
            "ResourceArn",
            "ResourceId",
            "ResourceType",
            "Status",
            "StatusMessage",
        )
    ),
    "resourcesharing:ListSharedTargets": frozenset({"SharedTargets[].TargetProperty"}),
}
"""Fields that are declared and never given: traits of hardware, of people and of services as targets, of which nothing
is here; what the SDK calls deprecated; and why accepting an invitation failed, which it never does."""

WITHOUT_EFFECT: Mapping[str, Mapping[str, str]] = {
    "ecd:DeleteImages": {"DeleteCascadedBundle": "there are no templates of cloud computers"},
    "ecd:DescribeImages": {"DesktopInstanceType": "no hardware"},
    "ecs:CreateImage": {
        "DetectionStrategy": "images are not looked into",
        "Features": "no hardware",
        "SecureBootOptions": "no hardware",
    },
    "ram:AttachPolicyToRole": {"ResourceGroupId": "permissions go for a whole account"},
    "ram:CreateRole": {"Tag": "nothing looks for roles by their tags"},
    "resourcemanager:CreateResourceAccount": {
        "PayerAccountId": "nobody pays",
        "ResellAccountType": "for resellers of the China site only",
    },
}
"""Parameters that are declared and change nothing."""

COUNTS: Mapping[tuple[str, str], int] = {
    ("ecd:ModifyImagePermission", "AddAccount"): 20,
    ("ecs:ListTagResources", "Tag"): 20,
    ("ecs:TagResources", "ResourceId"): 50,
    ("ecs:TagResources", "Tag"): 20,
    **{
        (f"resourcesharing:{name}ResourceShare", parameter): 5
        for name in ("Create", "Associate", "Disassociate")
        for parameter in ("ResourceArns", "Resources", "Targets")
    },
    ("resourcesharing:ListResourceShareInvitations", "ResourceShareIds"): 5,
    ("resourcesharing:ListSharedResources", "ResourceArns"): 5,
    ("resourcesharing:ListSharedResources", "ResourceIds"): 5,
    ("resourcesharing:ListSharedResources", "ResourceShareIds"): 5,
    ("resourcesharing:ListSharedTargets", "Targets"): 5,
}
"""How many items a list may have where the words allow fewer than the schema: facts 1.4 and 2.2, and the messages of
the codes that end in Length; for Elastic Desktop Service the text of the official SDK."""

REGION_FROM_HOST: Mapping[str, str] = {
    "resourcesharing": "no SDK has a parameter for the region, the endpoint is the region: facts 2.1",
}
"""Products whose calls are about a region and have no parameter for it."""

CUT_OFF: Mapping[tuple[str, str], str] = {
    ("ecd:ModifyImagePermission", "AddAccount"): "text of the official SDK; facts 4",
    ("ecd:ModifyImagePermission", "RemoveAccount"): "text of the official SDK; facts 4",
    ("ecs:ModifyImageSharePermission", "AddAccount"): _MISP,
    ("ecs:ModifyImageSharePermission", "RemoveAccount"): _MISP,
}
"""Lists of which too many items are no error: those beyond the limit are ignored without a word."""

NOT_HERE: Mapping[tuple[str, str], tuple[str, str]] = {
    ("ecs:ListTagResources", "ResourceType"): ("image", "UnsupportedParameter"),
    ("ecs:TagResources", "ResourceType"): ("image", "UnsupportedParameter"),
    ("ecs:UntagResources", "ResourceType"): ("image", "UnsupportedParameter"),
    ("resourcemanager:ListTagResources", "ResourceType"): ("Account", "InvalidParameter"),
}
"""Values of which the local cloud has only one: that one, and the code for the others, which is never a success."""

NOT_SERVED: Mapping[tuple[str, str], str] = {
    ("ecs:ListTagResources", "TagFilter"): "UnsupportedParameter",
}
"""Lists that are refused whatever is in them (TagFilter is in invitational preview, says the SDK)."""

ACCEPTED_WITH: Mapping[tuple[str, str], str] = {
    ("All", "false"): "MissingParameter.Tags",
    ("RoleName", "x"): "EntityNotExist.Role",
    ("RoleName", "x" * 64): "EntityNotExist.Role",
    ("DryRun", "true"): "DryRunOperation",
    ("IsPublic", "true"): "Image.Public",
    ("ResourceOwner", "otheraccounts"): "InvalidParameter.Targets",
}
"""Values that are accepted and still end in a code: no tags are named, nobody has that role, a dry run, what is public
is published, and who leaves another account's share must name itself."""
