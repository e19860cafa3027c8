"""Refusals of ECS for images, in the vendor's spellings.

Sources: the error list of each call, for example
https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission
"""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "AssumeRoleError": (
            403,
            "Requires a RAM role of AliyunECSShareEncryptImageDefaultRole before sharing encrypted image.",
        ),
        "BothEmpty.TagsAndResources": (
            403,
            "The specified Tags and ResourcesIds are not allow to both empty.",
        ),
        "DestinationRegion.NotFound": (400, "The destination region not found."),
        # Documented as the answer to DryRun; its HTTP status is not.
        "DryRunOperation": (400, "Request validation has been passed with DryRun flag set."),
        "Duplicate.TagKey": (400, "The Tag.N.Key contain duplicate key."),
        # https://alibabacloud.com/help/en/ram/support/how-to-troubleshoot-an-access-denied-error; text and status as in
        # https://github.com/alibaba/packer-provider/issues/34
        "Forbidden.RAM": (
            403,
            "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
        ),
        "ForbiddenParameter.LaunchPermission": (
            400,
            'The specified parameter "LaunchPermission" is forbidden for current account.',
        ),
        "IdempotenceParamNotMatch": (
            400,
            "Request uses a client token in a previous request but is not identical to that request.",
        ),
        "Image.NotPublic": (403, "The specified image is not public image."),
        "Image.Public": (403, "The specified image is public image."),
        "ImageIsPublic": (403, "You can not delete public image, please modify it to private."),
        "ImageUseShared": (403, "The specified image has been shared to others."),
        # From older pages: sharing or copying an image that is not available.
        "IncorrectImageStatus": (400, "The image not available."),
        "Invalid.InstanceChargeType": (403, "The specified instanceChargeType is not valid."),
        "Invalid.NextToken": (403, "The specified NextToken is not valid."),
        "InvalidAcceptLanguage.NotFound": (
            404,
            "Only Chinese (zh-CN), English (en-US), and Japanese (ja) are allowed.",
        ),
        "InvalidAccount.Forbbiden": (404, "The specified Account does not yourself."),
        "InvalidAccount.NotFound": (
            404,
            'The specified account {account} in parameter "AddAccount.n" or "RemoveAccount.n" does not exist.',
        ),
        "InvalidArchitecture": (404, "The specified Architecture is not valid."),
        "InvalidArchitecture.Malformed": (400, "The specified Architecture is wrongly formed."),
        "InvalidBootMode.NotSupport": (
            400,
            "The specified parameter BootMode is not supported for current image architecture.",
        ),
        "InvalidDescription.Malformed": (400, "The specified description is wrongly formed."),
        "InvalidEncryptAlgorithm": (400, "The specified parameter EncryptAlgorithm is not valid."),
        "InvalidEncrypted.NotMatchEncryptAlgorithm": (
            400,
            "The specified parameter Encrypted must be true when EncryptAlgorithm is not empty.",
        ),
        "InvalidEncrypted.NotMatchKmsKeyId": (
            400,
            "The specified parameter Encrypted must be true when KmsKeyId is not empty.",
        ),
        "InvalidFilterKey.NotFound": (404, "The specified Filter Key is not found."),
        "InvalidFilterValue": (404, "The specified Filter Value is not valid."),
        "InvalidFilterValue.NetworkType": (400, "The specified Filter Value of NetworkType is not valid."),
        "InvalidImageFamily.Malformed": (400, "The format of the specified image family is invalid."),
        "InvalidImageId.BidMismatch": (403, "Cannot share the image with users {account} of other sites."),
        "InvalidImageId.NotFound": (404, "The specified ImageId does not exist."),
        "InvalidImageName.Duplicated": (400, "The specified Image name has already bean used."),
        "InvalidImageName.Malformed": (400, "The specified Image name is wrongly formed."),
        "InvalidImageOwnerAlias.PublicImageUnsupported": (
            400,
            "The specified ImageOwnerAlias does not support public images.",
        ),
        "InvalidImageOwnerAlias.ValueNotSupported": (
            400,
            "The specified ImageOwnerAlias value is not supported.",
        ),
        "InvalidInstanceId.NotFound": (404, "The specified InstanceId does not exist."),
        "InvalidInstanceType.ValueNotSupported": (
            400,
            "The specified InstanceType does not exist or beyond the permitted range.",
        ),
        "InvalidOSType": (404, "The specified OSType is not valid."),
        "InvalidOperation.ImageOwnerIdUnsupported": (
            400,
            "ImageOwnerId is supported only for shared images or community images.",
        ),
        "InvalidOperation.ServiceKeyEncryptedImageUnsupported": (
            403,
            "An image that is encrypted by a service key cannot be shared.",
        ),
        "InvalidParameter.IsPublic": (
            403,
            "The specified parameter IsPublic is conflicted with other parameters.",
        ),
        "InvalidParameter.KMSKeyId.CMKUnauthorized": (
            403,
            "The CMK(Customer Master Key) lacks authorization to add tags to the ECS service.",
        ),
        "InvalidParameter.KMSKeyId.NotFound": (404, "The specified KMSKeyId does not exist."),
        "InvalidParamter": (400, "Invalid Parameter."),
        "InvalidPlatform.Malformed": (400, "The specified Platform is wrongly formed."),
        "InvalidResourceId.NotFound": (404, "The specified ResourceIds are not found in our records."),
        "InvalidResourceType.NotFound": (404, "The ResourceType provided does not exist in our records."),
        "InvalidSnapshotCategory.Malformed": (403, "The specified Category is not valid."),
        "InvalidSnapshotId.NotFound": (404, "The specified SnapshotId does not exist."),
        "InvalidSnapshotIds.Malformed": (403, "The amount of specified specified snapshot Ids exceeds the limit."),
        "InvalidSnapshotLinkId.NotFound": (404, "The specified snapshot link is not found."),
        "InvalidSnapshotType.NotFound": (404, "The specfied SnapshotType is not found."),
        "InvalidSourceDiskType": (404, "The specifed SourceDiskType is not valid."),
        "InvalidStatus.NotFound": (404, "The specified Status is not found."),
        "InvalidTag.Mismatch": (400, "The specified Tag.n.Key and Tag.n.Value are not match."),
        "InvalidTagCount": (400, "The specified tags are beyond the permitted range."),
        "InvalidTagKey.Malformed": (400, "The specified Tag.n.Key is not valid."),
        "InvalidTagValue.Malformed": (400, "The specified Tag.n.Value is not valid."),
        "InvalidUsage": (404, "The specified Usage is not valid."),
        "MissingParameter.RegionId": (404, "The parameter - RegionId should not be null."),
        "MissingParameter.ResourceIds": (404, "The parameter - ResourceIds.N should not be null."),
        "MissingParameter.ResourceType": (404, "The parameter - ResourceType should not be null."),
        "MissingParameter.Tags": (404, "The parameter - Tags should not be null."),
        "NumberExceed.ResourceIds": (400, "The ResourceIds parameter's number is exceed , Valid : 50."),
        "NumberExceed.Tags": (400, "The Tags parameter's number is exceed , Valid : 20."),
        "OperationDeined.EncryptedSnapshot": (
            403,
            "The image contains encrypted snapshots, which do not support share.",
        ),
        "OperationDenied.CommunityImage": (400, "Community image does not support copy."),
        "OperationDenied.ImageCopyConflict": (400, "The image is being copied to this destination already."),
        "OperationDenied.ImageCopying": (403, "The Image is coping."),
        "OperationDenied.InvalidImageStatus": (
            403,
            "The specified image cannot be shared when it is deprecated.",
        ),
        "OperationDenied.QuotaExceed": (400, "The quota of tags on resource is beyond permitted range."),
        "OperationDenied.SameRegionOnly": (
            403,
            "The image shared from others can not be copied to another region directly.",
        ),
        "Param.Conflict": (403, "The specified all is true, but the specified TagKey.N is not empty."),
        "QuotaExceed.ShareImage": (403, "The shared Image Quota exceeds."),
        "QuotaExceed.ShareImageUser": (403, "The shared Image user Quota exceeds."),
        "QuotaExceed.Tags": (403, "The number of tags exceeds the quota of 20."),
        "UnnecessaryParameter.LaunchPermission": (
            400,
            'The specified parameter "LaunchPermission" is unnecessary if paramter "AddAccounts" or '
            '"RemoveAccounts" exist.',
        ),
    }
)
