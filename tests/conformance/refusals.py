"""For each code that an operation can give, a request that gets it.

Which codes there are is read from the code (`reach`), so a code without a request here is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.call import Operation
from localcloud.gateway import OPERATIONS
from tests.conformance.reach import reach
from tests.conformance.scenes import (
    CMK,
    COMMUNITY,
    CREATED,
    MARKET,
    OLD,
    PUBLIC,
    READER,
    RECEIVED,
    RICH,
    SCENES,
    SERVICE_KEY,
    TAGGED,
    WAITING,
    Request,
    Stage,
    ecs,
    expired,
    invited,
    manager,
    waiting_invitation,
)
from tests.support.cloud import BANK, FAR, LAB, OWNER, PARTNER, PARTNER_2, REGION, SHOP, UNKNOWN


@dataclass(frozen=True)
class Refusal:
    """A request, and parts of the world in which it is refused."""

    request: Request
    parts: Mapping[str, Any] = field(default_factory=dict)


def _many(name: str, count: int) -> dict[str, str]:
    """So many items of a list; the place of the number in `name` is {}."""
    return {name.format(number): f"x{number}" for number in range(1, count + 1)}


def _copied(stage: Stage) -> Mapping[str, str]:
    """A copy that is still being made; it is in REGION, as its request says."""
    answer = stage.ask("ecs:CopyImage", ecs(ImageId="m-one", DestinationRegionId=REGION))
    return {"ImageId": answer.body["ImageId"]}


def _copying(stage: Stage) -> Mapping[str, str]:
    stage.ask("ecs:CopyImage", ecs(ImageId="m-one", DestinationRegionId=FAR, DestinationImageName="first"))
    return {}


def _token_used(operation: str) -> Any:
    def made(stage: Stage) -> Mapping[str, str]:
        stage.ask(operation, SCENES[operation][0].but(ClientToken="t-1", ImageName="x1", DestinationImageName="x1"))
        return {"ClientToken": "t-1"}

    return made


def _deep_folder(stage: Stage) -> Mapping[str, str]:
    parent = "fd-eu"
    for name in ("three", "four", "five"):
        answer = stage.ask("resourcemanager:CreateFolder", manager(FolderName=name, ParentFolderId=parent))
        parent = str(answer.body["Folder"]["FolderId"])
    return {"ParentFolderId": parent}


_SLOW = {"delays": {"image": 600}}
_COPY, _CREATE, _SHARE, _LIST = (
    SCENES[f"ecs:{name}"][0] for name in ("CopyImage", "CreateImage", "ModifyImageSharePermission", "DescribeImages")
)
_TAG, _UNTAG, _TAGS = (SCENES[f"ecs:{name}"][0] for name in ("TagResources", "UntagResources", "ListTagResources"))
_ROLE = SCENES["sts:AssumeRole"][0]
_FOLDER, _ACCOUNT, _INVITE, _MOVE, _TAG_MEMBER, _UNTAG_MEMBER, _MEMBER_TAGS = (
    SCENES[f"resourcemanager:{name}"][0]
    for name in (
        "CreateFolder",
        "CreateResourceAccount",
        "InviteAccountToResourceDirectory",
        "MoveAccount",
        "TagResources",
        "UntagResources",
        "ListTagResources",
    )
)

_BAD_TAGS: Mapping[str, Mapping[str, str]] = {
    "Duplicate.TagKey": {"Tag__1__Key": "a", "Tag__2__Key": "a"},
    "InvalidTagKey.Malformed": {"Tag__1__Key": "aliyun-1"},
    "InvalidTagValue.Malformed": {"Tag__1__Key": "a", "Tag__1__Value": "acs:1"},
}


def _tagged(request: Request, *, too_many: str = "NumberExceed.Tags") -> dict[str, Refusal]:
    found = {code: Refusal(request.without("Tag").but(**tags)) for code, tags in _BAD_TAGS.items()}
    return {**found, too_many: Refusal(request.without("Tag").but(**_many("Tag__{}__Key", 21)))}


def _typed(request: Request) -> dict[str, Refusal]:
    """What all tag calls of ECS refuse."""
    return {
        "InvalidResourceId.NotFound": Refusal(request.but(ResourceId__1="m-nowhere")),
        "InvalidResourceType.NotFound": Refusal(request.but(ResourceType="bicycle")),
        "MissingParameter.ResourceType": Refusal(request.without("ResourceType")),
        "NumberExceed.ResourceIds": Refusal(request.but(**_many("ResourceId__{}", 51))),
        "UnsupportedParameter": Refusal(request.but(ResourceType="instance")),
    }


def _requests(**rows: Request) -> dict[str, Refusal]:
    """Rows whose names are codes; a dot is written as __."""
    return {code.replace("__", "."): Refusal(request) for code, request in rows.items()}


REFUSALS: Mapping[str, Mapping[str, Refusal]] = {
    "ecs:CopyImage": {
        **_tagged(_COPY),
        **_requests(
            DestinationRegion__NotFound=_COPY.but(DestinationRegionId="xx-nowhere"),
            IdempotenceParamNotMatch=replace(_COPY, before=_token_used("ecs:CopyImage")),
            InvalidDescription__Malformed=_COPY.but(DestinationDescription="x"),
            InvalidEncryptAlgorithm=_COPY.but(Encrypted="true", EncryptAlgorithm="rot13"),
            InvalidEncrypted__NotMatchEncryptAlgorithm=_COPY.but(EncryptAlgorithm="aes-256"),
            InvalidEncrypted__NotMatchKmsKeyId=_COPY.but(KMSKeyId="key-1"),
            InvalidImageId__NotFound=_COPY.but(ImageId="m-nowhere"),
            InvalidImageName__Duplicated=_COPY.but(DestinationImageName="two"),
            InvalidImageName__Malformed=_COPY.but(DestinationImageName="acs:1"),
            InvalidParameter=_COPY.but(Encrypted="perhaps"),
            InvalidParameter__KMSKeyId__NotFound=_COPY.but(Encrypted="true", KMSKeyId="k" * 65),
            IncorrectImageStatus=_COPY.but(ImageId=WAITING),
            MissingParameter=_COPY.without("ImageId"),
            OperationDenied__CommunityImage=_COPY.but(ImageId=COMMUNITY),
            OperationDenied__SameRegionOnly=_COPY.but(ImageId=RECEIVED),
        ),
        "OperationDenied.ImageCopyConflict": Refusal(replace(_COPY, before=_copying), _SLOW),
    },
    "ecs:CreateImage": {
        **_tagged(_CREATE, too_many="QuotaExceed.Tags"),
        **_requests(
            IdempotenceParamNotMatch=replace(_CREATE, before=_token_used("ecs:CreateImage")),
            InvalidArchitecture__Malformed=_CREATE.but(Architecture="abacus"),
            InvalidBootMode__NotSupport=_CREATE.but(BootMode="Kick"),
            InvalidDescription__Malformed=_CREATE.but(Description="http://nowhere"),
            InvalidImageFamily__Malformed=_CREATE.but(ImageFamily="?"),
            InvalidImageName__Duplicated=_CREATE.but(ImageName="one"),
            InvalidImageName__Malformed=_CREATE.but(ImageName="1one"),
            InvalidInstanceId__NotFound=_CREATE.but(InstanceId="x-1"),
            InvalidParameter=_CREATE.but(DryRun="perhaps"),
            InvalidPlatform__Malformed=_CREATE.but(Platform="Abacus"),
            InvalidSnapshotId__NotFound=_CREATE.but(SnapshotId="x-1"),
            MissingParameter=_CREATE.without("InstanceId"),
        ),
    },
    "ecs:DeleteImage": {
        **_requests(
            ImageIsPublic=ecs(ImageId=PUBLIC),
            ImageUseShared=ecs(ImageId=RICH, Force="true"),
            InvalidImageId__NotFound=ecs(ImageId=RECEIVED),
            InvalidParameter=ecs(ImageId="m-one", Force="perhaps"),
            MissingParameter=ecs(),
        ),
        "OperationDenied.ImageCopying": Refusal(replace(ecs(), before=_copied), _SLOW),
    },
    "ecs:DescribeImageSharePermission": _requests(
        InvalidImageId__NotFound=ecs(ImageId=RECEIVED),
        InvalidParameter=ecs(ImageId=RICH, PageSize="101"),
        MissingParameter=ecs(),
    ),
    "ecs:DescribeImages": _requests(
        InvalidArchitecture=_LIST.but(Architecture="abacus"),
        InvalidFilterKey__NotFound=_LIST.but(Filter__1__Key="Colour", Filter__1__Value="red"),
        InvalidFilterValue=_LIST.but(Filter__1__Key="CreationStartTime", Filter__1__Value="yesterday"),
        InvalidFilterValue__NetworkType=_LIST.but(Filter__1__Key="NetworkType", Filter__1__Value="string"),
        InvalidImageOwnerAlias__PublicImageUnsupported=_LIST.but(ImageOwnerAlias="self", IsPublic="true"),
        InvalidImageOwnerAlias__ValueNotSupported=_LIST.but(ImageOwnerAlias="mine"),
        InvalidInstanceType__ValueNotSupported=_LIST.but(InstanceType="large"),
        InvalidOSType=_LIST.but(OSType="cp/m"),
        InvalidOperation__ImageOwnerIdUnsupported=_LIST.but(ImageOwnerId=SHOP),
        InvalidParameter=_LIST.but(Status="Half-baked"),
        InvalidParamter=_LIST.but(ActionType="Nothing"),
        InvalidTag__Mismatch=_LIST.but(Tag__1__Value="prod"),
        InvalidTagCount=_LIST.but(**_many("Tag__{}__Key", 21)),
        InvalidUsage=_LIST.but(Usage="abuse"),
        MissingParameter=_LIST.but(Usable="true"),
    ),
    "ecs:DescribeRegions": _requests(
        Invalid__InstanceChargeType=Request({"InstanceChargeType": "Free"}),
        InvalidAcceptLanguage__NotFound=Request({"AcceptLanguage": "tlh"}),
        InvalidResourceType__NotFound=Request({"ResourceType": "bicycle"}),
    ),
    "ecs:ListTagResources": {
        **_tagged(_TAGS),
        **_typed(_TAGS),
        **_requests(
            BothEmpty__TagsAndResources=_TAGS.without("ResourceId"), Invalid__NextToken=_TAGS.but(NextToken="x")
        ),
    },
    "ecs:ModifyImageSharePermission": {
        **_requests(
            AssumeRoleError=_SHARE.but(ImageId=CMK),
            ForbiddenParameter__LaunchPermission=ecs(ImageId="m-one", LaunchPermission="HIDDEN"),
            Image__NotPublic=ecs(ImageId="m-one", IsPublic="false"),
            Image__Public=_SHARE.but(ImageId=PUBLIC),
            IncorrectImageStatus=_SHARE.but(ImageId=WAITING),
            InvalidAccount__Forbbiden=_SHARE.but(AddAccount__1=OWNER),
            InvalidAccount__NotFound=_SHARE.but(RemoveAccount__1=UNKNOWN),
            InvalidImageId__BidMismatch=_SHARE.but(ImageId=MARKET, AddAccount__1=PARTNER_2),
            InvalidImageId__NotFound=_SHARE.but(ImageId=RECEIVED),
            InvalidOperation__ServiceKeyEncryptedImageUnsupported=_SHARE.but(ImageId=SERVICE_KEY),
            InvalidParameter=_SHARE.but(DryRun="perhaps"),
            InvalidParameter__IsPublic=_SHARE.but(IsPublic="true"),
            MissingParameter=_SHARE.without("ImageId"),
            OperationDeined__EncryptedSnapshot=ecs(ImageId=CMK, IsPublic="true"),
            OperationDenied__InvalidImageStatus=_SHARE.but(ImageId=OLD),
            UnnecessaryParameter__LaunchPermission=_SHARE.but(LaunchPermission="HIDDEN"),
        ),
        "QuotaExceed.ShareImage": Refusal(_SHARE, {"quotas": {"shared_images": 1}}),
        "QuotaExceed.ShareImageUser": Refusal(
            ecs(ImageId=RICH, AddAccount__1=LAB), {"quotas": {"accounts_per_image": 3}}
        ),
    },
    "ecs:TagResources": {
        **_tagged(_TAG),
        **_typed(_TAG),
        **_requests(
            MissingParameter__ResourceIds=_TAG.without("ResourceId"),
            MissingParameter__Tags=_TAG.without("Tag"),
            OperationDenied__QuotaExceed=_TAG.but(ResourceId__1=TAGGED),
        ),
    },
    "ecs:UntagResources": {
        **_typed(_UNTAG),
        **_requests(
            InvalidParameter=_UNTAG.but(All="perhaps"),
            MissingParameter__ResourceIds=_UNTAG.without("ResourceId"),
            MissingParameter__Tags=_UNTAG.without("TagKey"),
            NumberExceed__Tags=_UNTAG.but(**_many("TagKey__{}", 21)),
            Param__Conflict=_UNTAG.but(All="true"),
        ),
    },
    "resourcemanager:AcceptHandshake": _requests(
        EntityNotExists__Handshake=Request({}, LAB, invited),
        HandshakeStatusMismatch=Request({}, PARTNER, expired),
        InvalidParameter__HandshakeId=Request({"HandshakeId": "x"}, PARTNER),
        MissingParameter__HandshakeId=Request({}, PARTNER),
    ),
    "resourcemanager:CreateFolder": {
        **_requests(
            EntityNotExists__Folder=_FOLDER.but(ParentFolderId="fd-nowhere"),
            InvalidParameter__Folder__Name=_FOLDER.but(FolderName="a b"),
            InvalidParameter__Folder__Name__AlreadyUsed=_FOLDER.but(FolderName="prod"),
            InvalidParameter__Folder__Name__Length=_FOLDER.but(FolderName="x" * 25),
            InvalidParameter__ParentFolderId=_FOLDER.but(ParentFolderId="x"),
            LimitExceeded__Folder__Depth=replace(_FOLDER, before=_deep_folder),
            MissingParameter__Folder__Name=_FOLDER.without("FolderName"),
        ),
        "QuotaExceeded.Folder.Count": Refusal(_FOLDER, {"quotas": {"folders": 3}}),
    },
    "resourcemanager:CreateResourceAccount": {
        **_requests(
            EntityNotExists__Folder=_ACCOUNT.but(ParentFolderId="fd-nowhere"),
            InvalidParameter=_ACCOUNT.but(**_many("Tag__{}__Key", 21)),
            InvalidParameter__Account__DisplayName=_ACCOUNT.but(DisplayName="a/b"),
            InvalidParameter__Account__DisplayName__AlreadyUsed=_ACCOUNT.but(DisplayName="shop"),
            InvalidParameter__Account__DisplayName__Length=_ACCOUNT.but(DisplayName="x"),
            InvalidParameter__ParentFolderId=_ACCOUNT.but(ParentFolderId="x"),
            MissingParameter__Account__DisplayName=_ACCOUNT.without("DisplayName"),
        ),
        "LimitExceeded.Account": Refusal(_ACCOUNT, {"quotas": {"members": 6}}),
    },
    "resourcemanager:DeleteFolder": _requests(
        DeleteConflict__Folder__Account=manager(FolderId="fd-eu"),
        DeleteConflict__Folder__SubFolder=Request(
            {"FolderId": "fd-prod"}, manager().account, lambda stage: _moved(stage, SHOP)
        ),
        EntityNotExists__Folder=manager(FolderId="fd-nowhere"),
        InvalidParameter__FolderId=manager(FolderId="r-local1"),
        MissingParameter__FolderId=manager(),
    ),
    "resourcemanager:GetAccount": _requests(
        EntityNotExists__Account=manager(AccountId=PARTNER),
        InvalidParameter=manager(AccountId=SHOP, IncludeTags="perhaps"),
        InvalidParameter__AccountId=manager(AccountId="me"),
        MissingParameter__AccountId=manager(),
    ),
    "resourcemanager:GetFolder": _requests(
        EntityNotExists__Folder=manager(FolderId="fd-nowhere"),
        InvalidParameter__FolderId=manager(FolderId="x"),
        MissingParameter__FolderId=manager(),
    ),
    "resourcemanager:GetHandshake": _requests(
        EntityNotExists__Handshake=Request({}, LAB, invited),
        InvalidParameter__HandshakeId=manager(HandshakeId="x"),
        MissingParameter__HandshakeId=manager(),
    ),
    "resourcemanager:GetResourceDirectory": _requests(ResourceDirectoryNotInUse=Request({}, PARTNER)),
    "resourcemanager:InviteAccountToResourceDirectory": {
        **_requests(
            EntityAlreadyExists__Handshake=replace(_INVITE, before=waiting_invitation),
            InvalidParameter=_INVITE.but(**_many("Tag__{}__Key", 21)),
            InvalidParameter__Note__Length=_INVITE.but(Note="x" * 1025),
            InvalidParameter__TargetEntity=_INVITE.but(TargetEntity=SHOP),
            InvalidParameter__TargetType=_INVITE.but(TargetType="Fax"),
            MissingParameter__TargetEntity=_INVITE.without("TargetEntity"),
            MissingParameter__TargetType=_INVITE.without("TargetType"),
        ),
        "LimitExceeded.Account": Refusal(_INVITE, {"quotas": {"members": 6}}),
    },
    "resourcemanager:ListAccounts": _requests(InvalidParameter=manager(PageSize="101")),
    "resourcemanager:ListAccountsForParent": _requests(
        EntityNotExists__Folder=manager(ParentFolderId="fd-nowhere"),
        InvalidParameter=manager(PageNumber="0"),
        InvalidParameter__ParentFolderId=manager(ParentFolderId="x"),
    ),
    "resourcemanager:ListAncestors": _requests(
        EntityNotExists__Folder=manager(ChildId="fd-nowhere"),
        InvalidParameter__ChildId=manager(ChildId="x"),
        MissingParameter__ChildId=manager(),
    ),
    "resourcemanager:ListFoldersForParent": _requests(
        EntityNotExists__Folder=manager(ParentFolderId="fd-nowhere"),
        InvalidParameter=manager(PageSize="many"),
        InvalidParameter__ParentFolderId=manager(ParentFolderId="x"),
    ),
    "resourcemanager:ListHandshakesForResourceDirectory": _requests(InvalidParameter=manager(PageSize="101")),
    "resourcemanager:ListTagResources": _requests(
        EntityNotExists__Account=_MEMBER_TAGS.but(ResourceId__1=PARTNER), InvalidParameter=manager()
    ),
    "resourcemanager:MoveAccount": _requests(
        EntityNotExists__Account=_MOVE.but(AccountId=PARTNER),
        InvalidParameter__AccountId=_MOVE.but(AccountId="me"),
        InvalidParameter__DestinationFolderId=_MOVE.but(DestinationFolderId="fd-nowhere"),
        MissingParameter__AccountId=_MOVE.without("AccountId"),
        MissingParameter__DestinationFolderId=_MOVE.without("DestinationFolderId"),
    ),
    "resourcemanager:RemoveCloudAccount": _requests(
        AccountTypeOrStatusMismatch=manager(AccountId=CREATED),
        EntityNotExists__Account=manager(AccountId=PARTNER),
        InvalidParameter__AccountId=manager(AccountId="me"),
        MissingParameter__AccountId=manager(),
    ),
    "resourcemanager:TagResources": _requests(
        EntityNotExists__Account=_TAG_MEMBER.but(ResourceId__1=PARTNER),
        InvalidParameter=_TAG_MEMBER.but(ResourceType="ResourceGroup"),
        MissingParameter=_TAG_MEMBER.without("Tag"),
    ),
    "resourcemanager:UntagResources": _requests(
        EntityNotExists__Account=_UNTAG_MEMBER.but(ResourceId__1=PARTNER),
        InvalidParameter=_UNTAG_MEMBER.but(All="perhaps"),
        MissingParameter=_UNTAG_MEMBER.without("TagKey"),
    ),
    "sts:AssumeRole": _requests(
        EntityNotExist__Role=_ROLE.but(RoleArn=f"{READER}-2"),
        InvalidParameter__DurationSeconds=_ROLE.but(DurationSeconds="899"),
        InvalidParameter__ExternalId=_ROLE.but(ExternalId="x"),
        InvalidParameter__PolicyGrammar=_ROLE.but(Policy="please"),
        InvalidParameter__PolicySize=_ROLE.but(Policy="x" * 2049),
        InvalidParameter__RoleArn=_ROLE.but(RoleArn="reader"),
        InvalidParameter__RoleSessionName=_ROLE.but(RoleSessionName="?"),
        MissingParameter__RoleArn=_ROLE.without("RoleArn"),
        MissingParameter__RoleSessionName=_ROLE.without("RoleSessionName"),
        NoPermission=replace(_ROLE, account=BANK),
        UnsupportedParameter=_ROLE.but(Policy="{}"),
    ),
}


def _moved(stage: Stage, account: str) -> Mapping[str, str]:
    """Takes the one member out of a folder that has another folder in it."""
    stage.ask("resourcemanager:MoveAccount", manager(AccountId=account, DestinationFolderId="fd-test"))
    return {}


def codes_of(operation: str) -> set[str]:
    """Every code that an operation can give, the gateway's check of the region included."""
    served = served_operation(operation)
    found = set(reach(served).codes)
    if served.regional:
        region = served.missing_region.code if served.missing_region else "MissingParameter"
        found |= {"InvalidRegionId.NotFound", region}
    return found


def served_operation(operation: str) -> Operation:
    """The operation as the gateway has it."""
    product, _, name = operation.partition(":")
    return OPERATIONS[product, name]


def refusals_of(operation: str) -> dict[str, Refusal]:
    """A request for each code of an operation; those that many operations share are made from its usual request."""
    usual = SCENES[operation][0]
    shared = {
        "DryRunOperation": usual.but(DryRun="true"),
        "EntityNotExists.ResourceDirectory": replace(usual, account=PARTNER),
        "InvalidRegionId.NotFound": usual.but(RegionId="xx-nowhere"),
        "MissingParameter.RegionId": usual.without("RegionId"),
        "NoPermission": replace(usual, account=SHOP),
    }
    codes = codes_of(operation)
    found = {code: Refusal(request) for code, request in shared.items() if code in codes}
    return {**found, **REFUSALS.get(operation, {})}
