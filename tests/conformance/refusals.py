"""For each code that an operation can give, a request that gets it.

Which codes there are is read from the code (`reach`), so a code without a request here is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.call import Operation
from localcloud.gateway import OPERATIONS
from localcloud.permissions import DENIED, NEEDS_NONE
from tests.conformance import sources
from tests.conformance.reach import reach
from tests.conformance.scenes import (
    ANYWHERE,
    CMK,
    COMMUNITY,
    CREATED,
    DESK,
    DESK_CMK,
    DESK_RECEIVED,
    DESK_WAITING,
    FULL,
    GIVEN,
    MARKET,
    OLD,
    OPEN,
    PUBLIC,
    READER,
    RECEIVED,
    RICH,
    SCENES,
    SERVICE_KEY,
    SHARING_ROLE,
    TAGGED,
    TRUST,
    WAITING,
    WORKER,
    Request,
    Stage,
    asked,
    ecs,
    expired,
    invited,
    manager,
    role_of,
    sharing,
    sharing_off,
    waiting_invitation,
)
from tests.support.cloud import BANK, FAR, LAB, MANAGEMENT, ONE, OWNER, PARTNER, PARTNER_2, REGION, SHOP, UNKNOWN


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
_DESKS, _DESK_SHARE, _DESK_DELETE, _DESK_ROWS, _DESK_REGIONS = (
    SCENES[f"ecd:{name}"][0]
    for name in (
        "DescribeImages",
        "ModifyImagePermission",
        "DeleteImages",
        "DescribeImagePermission",
        "DescribeRegions",
    )
)
_ROLE = SCENES["sts:AssumeRole"][0]
_SNAPSHOTS = SCENES["ecs:DescribeSnapshots"][0]
_ATTACH, _NEW_ROLE, _CHANGE_ROLE = (
    SCENES[f"ram:{name}"][0] for name in ("AttachPolicyToRole", "CreateRole", "UpdateRole")
)
_UNSERVED = '{"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Sid": "x"}]}'
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

_SLOW_SHARES = {"delays": {"association": 600}}
_OPEN_SHARE, _RENAME, _ASSOCIATE, _DISASSOCIATE, _SHARES, _ROWS, _RESOURCES, _TARGETS, _INVITATIONS = (
    SCENES[f"resourcesharing:{name}"][0]
    for name in (
        "CreateResourceShare",
        "UpdateResourceShare",
        "AssociateResourceShare",
        "DisassociateResourceShare",
        "ListResourceShares",
        "ListResourceShareAssociations",
        "ListSharedResources",
        "ListSharedTargets",
        "ListResourceShareInvitations",
    )
)
_ACCEPT = sharing(PARTNER)


def _begun(operation: str, **params: str) -> Any:
    """Something that has begun in a share and is not done."""

    def made(stage: Stage) -> Mapping[str, str]:
        answer = stage.ask(f"resourcesharing:{operation}", sharing(ResourceShareId=FULL).but(**params))
        assert answer.status == 200, answer
        return {}

    return made


_ASSOCIATING = _begun("AssociateResourceShare", Targets__1="fd-test")
_DISASSOCIATING = _begun("DisassociateResourceShare", Targets__1="fd-prod")
_DELETING = _begun("DeleteResourceShare")


def _answered(operation: str) -> Any:
    """An invitation that was answered already."""

    def made(stage: Stage) -> Mapping[str, str]:
        found = asked(stage)
        stage.ask(f"resourcesharing:{operation}", _ACCEPT.but(**found))
        return found

    return made


def _too_late(stage: Stage) -> Mapping[str, str]:
    found = asked(stage)
    stage.cloud.advance(8 * 86_400)
    return found


def _left(stage: Stage) -> Mapping[str, str]:
    """The owner is no member any more."""
    stage.ask("resourcemanager:RemoveCloudAccount", manager(AccountId=OWNER))
    return {}


def _image(number: int, image_id: str = ONE, kind: str = "Image") -> dict[str, str]:
    return {f"Resources__{number}__ResourceId": image_id, f"Resources__{number}__ResourceType": kind}


def _entities(request: Request) -> dict[str, Refusal]:
    """What every call refuses that names resources and targets."""
    plain = request.without("Resources").without("Targets")
    arn = f"acs:ecs:{REGION}:{OWNER}:image/{ONE}"
    return _requests(
        InvalidParameter__ResourceArns=plain.but(ResourceArns__1="acs:ecs"),
        InvalidParameter__ResourceArns__Duplicate=plain.but(ResourceArns__1=arn, ResourceArns__2=arn),
        InvalidParameter__ResourceArns__Length=plain.but(**_many("ResourceArns__{}", 6)),
        InvalidParameter__ResourceConflict=plain.but(**_image(1), ResourceArns__1=arn),
        InvalidParameter__ResourceType=plain.but(**_image(1, kind="Bicycle")),
        InvalidParameter__Resources=plain.but(Resources__1__ResourceId=ONE),
        InvalidParameter__Resources__Duplicate=plain.but(**_image(1), **_image(2)),
        InvalidParameter__Resources__Length=plain.but(**_many("Resources__{}__ResourceId", 6)),
        InvalidParameter__Targets=plain.but(Targets__1="?"),
        InvalidParameter__Targets__Duplicate=plain.but(Targets__1=LAB, Targets__2=LAB),
        InvalidParameter__Targets__Length=plain.but(**_many("Targets__{}", 6)),
    )


def _addable(request: Request) -> dict[str, Refusal]:
    """What calls refuse that put something into a share."""
    plain = request.without("Resources").without("Targets")
    return {
        **_entities(request),
        **_requests(
            AccountNotInResourceDirectory=replace(plain.but(Targets__1=LAB), before=_left),
            EntityNotExists__Permission=request.but(PermissionNames__1="Everything"),
            InvalidParameter__PermissionNames__Duplicate=request.but(PermissionNames__1="A", PermissionNames__2="A"),
            InvalidParameter__PermissionNames__Length=request.but(**_many("PermissionNames__{}", 21)),
            InvalidParameter__TargetProperties=request.but(TargetProperties__1__TargetId="backup"),
            InvalidTarget=plain.but(Targets__1=PARTNER),
            NotEnableSharingWithResourceDirectory=replace(plain.but(Targets__1=LAB), before=sharing_off),
            ShareWithYourself=plain.but(Targets__1=OWNER),
            UnsupportedParameter=request.but(ResourceProperties__1__Property="x"),
        ),
        "QuotaExceeded.SharedResource.Count": Refusal(plain.but(**_image(1)), {"quotas": {"shared_resources": 3}}),
    }


def _paged(request: Request) -> dict[str, Refusal]:
    """What every list refuses."""
    return _requests(
        InvalidParameter__MaxResults=request.but(MaxResults="0"),
        InvalidParameter__NextToken=request.but(NextToken="x"),
        InvalidParameter__NextToken__Length=request.but(NextToken="x" * 257),
        InvalidParameter__ResourceShareIds=request.but(ResourceShareIds__1="x"),
        InvalidParameter__ResourceShareIds__Duplicate=request.but(ResourceShareIds__1=FULL, ResourceShareIds__2=FULL),
        InvalidParameter__ResourceShareIds__Length=request.but(**_many("ResourceShareIds__{}", 6)),
    )


def _owned(request: Request) -> dict[str, Refusal]:
    """What every list refuses that is about own shares or those of others."""
    return _requests(
        InvalidParameter__ResourceOwner=request.but(ResourceOwner="Nobody"),
        MissingParameter__ResourceOwner=request.without("ResourceOwner"),
    )


def _of_share(request: Request) -> dict[str, Refusal]:
    """What every call refuses that is about one share."""
    return _requests(
        EntityNotExists__ResourceShare=request.but(ResourceShareId=GIVEN),
        InvalidParameter__ResourceShareId=request.but(ResourceShareId="?"),
        MissingParameter__ResourceShareId=request.without("ResourceShareId"),
        ResourceShareStatusMismatchAction=replace(request, before=_DELETING),
    )


def _named(request: Request) -> dict[str, Refusal]:
    """What every call refuses that gives a share its name."""
    return _requests(
        InvalidParameter=request.but(AllowExternalTargets="perhaps"),
        InvalidParameter__ResourceShareName=request.but(ResourceShareName="a b"),
        InvalidParameter__ResourceShareName__Length=request.but(ResourceShareName="x" * 51),
        MissingParameter__ResourceShareName=request.without("ResourceShareName"),
    )


def _answering() -> dict[str, Refusal]:
    """What both answers to an invitation refuse."""
    return _requests(
        EntityNotExists__ResourceShareInvitation=replace(sharing(LAB), before=asked),
        InvalidParameter__ResourceShareInvitationId=_ACCEPT.but(ResourceShareInvitationId="?"),
        InvitationStatus__AlreadyAccepted=replace(_ACCEPT, before=_answered("AcceptResourceShareInvitation")),
        InvitationStatus__AlreadyRejected=replace(_ACCEPT, before=_answered("RejectResourceShareInvitation")),
        InvitationStatus__Expired=replace(_ACCEPT, before=_too_late),
        MissingParameter__ResourceShareInvitationId=_ACCEPT,
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


def _of_role(request: Request) -> dict[str, Refusal]:
    """What every call refuses that is about a role that is there."""
    return _requests(
        EntityNotExist__Role=request.but(RoleName="nobody"),
        InvalidParameter__RoleName__InvalidChars=request.but(RoleName="?"),
        InvalidParameter__RoleName__Length=request.but(RoleName="x" * 65),
        MissingParameter=request.without("RoleName"),
    )


def _trusting(request: Request, parameter: str) -> dict[str, Refusal]:
    """What every call refuses that says whom a role trusts."""
    federated = TRUST.replace('"RAM"', '"Federated"') % BANK
    return {
        f"InvalidParameter.{parameter}.Length": Refusal(request, {"quotas": {"trust_policy_length": 100}}),
        "InvalidParameter": Refusal(request.but(**{f"{parameter[:-24]}MaxSessionDuration": "3599"})),
        "MalformedPolicyDocument": Refusal(request.but(**{parameter: "please"})),
        "UnsupportedParameter": Refusal(request.but(**{parameter: federated})),
    }


_POLICIES = {
    f"acs:ram::system:policy/{name}": {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}],
    }
    for name in (*(f"Aliyun{number}" for number in range(20)), "AliyunKMSFullAccess")
}

REFUSALS: Mapping[str, Mapping[str, Refusal]] = {
    "ecd:DeleteImages": _requests(
        ImageDeleteFailed__NotAllowSharedImage=_DESK_DELETE.but(ImageId__2=DESK),
        InvalidImageId__NotFound=_DESK_DELETE.but(ImageId__2=DESK_RECEIVED),
        InvalidParameter=_DESK_DELETE.but(**_many("ImageId__{}", 101)),
        MissingParameter=_DESK_DELETE.without("ImageId"),
    ),
    "ecd:DescribeImagePermission": _requests(
        InvalidImageId__NotFound=_DESK_ROWS.but(ImageId=ONE),
        MissingParameter=_DESK_ROWS.without("ImageId"),
    ),
    "ecd:DescribeImages": _requests(
        InvalidParameter=_DESKS.but(NextToken="?"), MissingParameter=_DESKS.without("RegionId")
    ),
    "ecd:DescribeRegions": _requests(
        InvalidParameter=_DESK_REGIONS.but(AcceptLanguage="fr"), MissingParameter=_DESK_REGIONS.without("RegionId")
    ),
    "ecd:ModifyImagePermission": {
        **_requests(
            InvalidAccount__Forbbiden=_DESK_SHARE.but(AddAccount__1=OWNER),
            InvalidAccount__NotFound=_DESK_SHARE.but(AddAccount__1=UNKNOWN),
            InvalidImageId__NotFound=_DESK_SHARE.but(ImageId=DESK_RECEIVED),
            InvalidImageStatus__NotValid=_DESK_SHARE.but(ImageId=DESK_WAITING),
            InvalidParameter=_DESK_SHARE.but(AddAccount__1="shop"),
            MissingParameter=_DESK_SHARE.without("ImageId"),
            OperationDeined__EncryptedSnapshot=_DESK_SHARE.but(ImageId=DESK_CMK),
        ),
        "QuotaExceed.ShareImageUser": Refusal(_DESK_SHARE, {"quotas": {"eds_shares": 3}}),
    },
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
    "ecs:DescribeSnapshots": _requests(
        InvalidFilterKey__NotFound=_SNAPSHOTS.but(Filter__1__Key="Colour", Filter__1__Value="red"),
        InvalidFilterValue=_SNAPSHOTS.but(Filter__1__Key="CreationStartTime", Filter__1__Value="yesterday"),
        InvalidParameter=_SNAPSHOTS.but(SnapshotIds="[1]"),
        InvalidSnapshotCategory__Malformed=_SNAPSHOTS.but(Category="Polaroid"),
        InvalidSnapshotIds__Malformed=_SNAPSHOTS.but(SnapshotIds=",".join(f"s-{number}" for number in range(101))),
        InvalidSnapshotLinkId__NotFound=_SNAPSHOTS.but(SnapshotLinkId="x"),
        InvalidSnapshotType__NotFound=_SNAPSHOTS.but(SnapshotType="holiday"),
        InvalidSourceDiskType=_SNAPSHOTS.but(SourceDiskType="floppy"),
        InvalidStatus__NotFound=_SNAPSHOTS.but(Status="blurred"),
        InvalidTag__Mismatch=_SNAPSHOTS.but(Tag__1__Value="prod"),
        InvalidTagCount=_SNAPSHOTS.but(**_many("Tag__{}__Key", 21)),
        InvalidUsage=_SNAPSHOTS.but(Usage="abuse"),
        MissingParameter=_SNAPSHOTS.without("RegionId"),
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
        "InvalidParameter.KMSKeyId.CMKUnauthorized": Refusal(
            ecs(ImageId=CMK, AddAccount__1=SHOP),
            {"roles": {SHARING_ROLE: {"trusts_services": [f"{SHOP}@ecs.aliyuncs.com"], "policies": []}}},
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
    "ram:AttachPolicyToRole": {
        **_of_role(_ATTACH),
        **_requests(
            EntityAlreadyExists__Role__Policy=_ATTACH.but(PolicyType="Custom", PolicyName="share-keys"),
            EntityNotExist__Policy=_ATTACH.but(PolicyName="AliyunEverything"),
            InvalidParameter__PolicyName__InvalidChars=_ATTACH.but(PolicyName="?"),
            InvalidParameter__PolicyName__Length=_ATTACH.but(PolicyName="x" * 129),
            InvalidParameter__PolicyType=_ATTACH.but(PolicyType="Insurance"),
        ),
        "LimitExceeded.Role.Policy": Refusal(
            _ATTACH, {"policies": _POLICIES, "roles": {WORKER: {"policies": [], "attached": list(_POLICIES)[:20]}}}
        ),
    },
    "ram:CreateRole": {
        **_trusting(_NEW_ROLE, "AssumeRolePolicyDocument"),
        **_requests(
            EntityAlreadyExists__Role=_NEW_ROLE.but(RoleName="worker"),
            InvalidParameter__RoleName__InvalidChars=_NEW_ROLE.but(RoleName="?"),
            InvalidParameter__RoleName__Length=_NEW_ROLE.but(RoleName="x" * 65),
            MissingParameter=_NEW_ROLE.without("AssumeRolePolicyDocument"),
        ),
        "LimitExceeded.Role": Refusal(_NEW_ROLE, {"quotas": {"roles": 2}}),
    },
    "ram:GetRole": _of_role(SCENES["ram:GetRole"][0]),
    "ram:ListPoliciesForRole": _of_role(SCENES["ram:ListPoliciesForRole"][0]),
    "ram:UpdateRole": {
        **_of_role(_CHANGE_ROLE),
        **_trusting(_CHANGE_ROLE, "NewAssumeRolePolicyDocument"),
    },
    "resourcesharing:AcceptResourceShareInvitation": _answering(),
    "resourcesharing:AssociateResourceShare": {
        **_of_share(_ASSOCIATE),
        **_addable(_ASSOCIATE),
        **_requests(
            InvalidTarget__SiteMismatch=sharing(ResourceShareId=OPEN, Targets__1=PARTNER_2),
            ResourceAndTargetBothEmpty=sharing(ResourceShareId=FULL),
        ),
        "AssociateConflict": Refusal(
            replace(sharing(ResourceShareId=FULL, Targets__1="fd-prod"), before=_DISASSOCIATING), _SLOW_SHARES
        ),
    },
    "resourcesharing:CreateResourceShare": {
        **_named(_OPEN_SHARE),
        **_addable(_OPEN_SHARE),
        "InvalidTarget.SiteMismatch": Refusal(
            sharing(ResourceShareName="new", AllowExternalTargets="true", Targets__1=PARTNER_2)
        ),
        "QuotaExceeded.ResourceShare.Count": Refusal(_OPEN_SHARE, {"quotas": {"resource_shares": 2}}),
    },
    "resourcesharing:DeleteResourceShare": {
        **_of_share(sharing(ResourceShareId=FULL)),
        "DeleteResourceShareConflict": Refusal(
            replace(sharing(ResourceShareId=FULL), before=_ASSOCIATING), _SLOW_SHARES
        ),
    },
    "resourcesharing:DescribeRegions": _requests(InvalidParameter=sharing(AcceptLanguage="tlh")),
    "resourcesharing:DisassociateResourceShare": {
        **_of_share(_DISASSOCIATE),
        **_entities(_DISASSOCIATE),
        **_requests(
            AccountNotInResourceDirectory=replace(_DISASSOCIATE, before=_left),
            DisassociateInvalid=sharing(ResourceShareId=FULL, Targets__1="fd-test"),
            InvalidParameter=_DISASSOCIATE.but(ResourceOwner="Nobody"),
            LeavingFailed__Account=sharing(ResourceShareId=GIVEN, Targets__1=OWNER, ResourceOwner="OtherAccounts"),
            ResourceAndTargetBothEmpty=sharing(ResourceShareId=FULL),
        ),
        "DisassociateConflict": Refusal(
            replace(sharing(ResourceShareId=FULL, Targets__1="fd-test"), before=_ASSOCIATING), _SLOW_SHARES
        ),
    },
    "resourcesharing:EnableSharingWithResourceDirectory": _requests(
        ActionNotPermitted=replace(sharing(), before=sharing_off), AlreadyEnabled=sharing(MANAGEMENT)
    ),
    "resourcesharing:ListResourceShareAssociations": {
        **_paged(_ROWS),
        **_requests(
            ConflictedAssociationType=_ROWS.but(Target=LAB),
            InvalidParameter__AssociationStatus=_ROWS.but(AssociationStatus="Friends"),
            InvalidParameter__AssociationType=_ROWS.but(AssociationType="Football"),
            InvalidParameter__ResourceId=_ROWS.but(ResourceId="?"),
            InvalidParameter__Target=_ROWS.but(AssociationType="Target", Target="?"),
            MissingParameter__AssociationType=_ROWS.without("AssociationType"),
        ),
    },
    "resourcesharing:ListResourceShareInvitations": {
        **_paged(_INVITATIONS),
        **_requests(
            InvalidParameter__ResourceShareInvitationIds=_INVITATIONS.but(ResourceShareInvitationIds__1="?"),
            InvalidParameter__ResourceShareInvitationIds__Duplicate=_INVITATIONS.but(
                ResourceShareInvitationIds__1="i-1", ResourceShareInvitationIds__2="i-1"
            ),
            InvalidParameter__ResourceShareInvitationIds__Length=_INVITATIONS.but(
                **_many("ResourceShareInvitationIds__{}", 21)
            ),
        ),
    },
    "resourcesharing:ListResourceShares": {
        **_paged(_SHARES),
        **_owned(_SHARES),
        **_requests(
            InvalidParameter=_SHARES.but(Tag__1__Value="x"),
            InvalidParameter__ResourceShareName=_SHARES.but(ResourceShareName="a b"),
            InvalidParameter__ResourceShareName__Length=_SHARES.but(ResourceShareName="x" * 51),
            InvalidParameter__ResourceShareStatus=_SHARES.but(ResourceShareStatus="Bankrupt"),
        ),
    },
    "resourcesharing:ListSharedResources": {
        **_paged(_RESOURCES),
        **_owned(_RESOURCES),
        **_requests(
            InvalidParameter__ResourceArns=_RESOURCES.but(ResourceArns__1="?"),
            InvalidParameter__ResourceArns__Length=_RESOURCES.but(**_many("ResourceArns__{}", 6)),
            InvalidParameter__ResourceIds=_RESOURCES.but(ResourceIds__1="?"),
            InvalidParameter__ResourceIds__Duplicate=_RESOURCES.but(ResourceIds__1=ONE, ResourceIds__2=ONE),
            InvalidParameter__ResourceIds__Length=_RESOURCES.but(**_many("ResourceIds__{}", 6)),
            InvalidParameter__ResourceType=_RESOURCES.but(ResourceType="Bicycle"),
            InvalidParameter__Target=_RESOURCES.but(Target="?"),
        ),
    },
    "resourcesharing:ListSharedTargets": {
        **_paged(_TARGETS),
        **_owned(_TARGETS),
        **_requests(
            InvalidParameter__ResourceId=_TARGETS.but(ResourceId="?"),
            InvalidParameter__ResourceType=_TARGETS.but(ResourceType="Bicycle"),
            InvalidParameter__Targets=_TARGETS.but(Targets__1="?"),
            InvalidParameter__Targets__Duplicate=_TARGETS.but(Targets__1=LAB, Targets__2=LAB),
            InvalidParameter__Targets__Length=_TARGETS.but(**_many("Targets__{}", 6)),
        ),
    },
    "resourcesharing:RejectResourceShareInvitation": _answering(),
    "resourcesharing:UpdateResourceShare": {
        **_of_share(_RENAME),
        **_named(_RENAME),
        "OperationNotPermitted": Refusal(
            sharing(ResourceShareId=OPEN, ResourceShareName="closed", AllowExternalTargets="false")
        ),
    },
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
        UnsupportedParameter=_ROLE.but(Policy=_UNSERVED),
    ),
}


def denied_code(operation: str) -> str:
    """The code for whoever lacks the permission of an operation; empty if it takes none."""
    return "" if operation in NEEDS_NONE else DENIED[operation.partition(":")[0]][1]


def _moved(stage: Stage, account: str) -> Mapping[str, str]:
    """Takes the one member out of a folder that has another folder in it."""
    stage.ask("resourcemanager:MoveAccount", manager(AccountId=account, DestinationFolderId="fd-test"))
    return {}


def codes_of(operation: str) -> set[str]:
    """Every code that an operation can give, the gateway's checks of permission and region included."""
    served = served_operation(operation)
    found = set(reach(served).codes) | ({denied_code(operation)} - {""})
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
        denied_code(operation): replace(usual, role=role_of(usual.account)),
    }
    if "NoPermission" in reach(served_operation(operation)).codes:
        shared["NoPermission"] = replace(usual, account=SHOP)
    if operation.partition(":")[0] in sources.REGION_FROM_HOST:
        shared["InvalidRegionId.NotFound"] = replace(usual, host="resourcesharing.xx-nowhere.aliyuncs.com")
        shared["MissingParameter"] = replace(usual, host=ANYWHERE)
    codes = codes_of(operation)
    found = {code: Refusal(request) for code, request in shared.items() if code in codes}
    return {**found, **REFUSALS.get(operation, {})}
