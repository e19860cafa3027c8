"""Refusals of Resource Sharing.

Codes as in the vendor's error list of each call, for example
https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-associateresourceshare
"""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "AccountNotInResourceDirectory": (409, "The account is not a master or a member of a resource directory."),
        "ActionNotPermitted": (409, "The caller must be the master account for the Resource Directory."),
        "AlreadyEnabled": (409, "You have already enabled sharing with the Resource Directory."),
        "AssociateConflict": (
            409,
            "You cannot perform the operation while disassociation operation is being performed.",
        ),
        "ConflictedAssociationType": (400, "The specified ResourceId or Target conflicts with AssociationType."),
        "DeleteResourceShareConflict": (
            409,
            "You cannot delete a resource share while there are unfinished tasks.",
        ),
        "DisassociateConflict": (
            409,
            "You cannot perform the operation while association is already in progress.",
        ),
        "DisassociateInvalid": (400, "You can not disassociate unassociated resource or target."),
        "EntityNotExists.Permission": (404, "The resource share permission does not exist."),
        "EntityNotExists.ResourceShare": (404, "The resource share does not exist in the current account."),
        "EntityNotExists.ResourceShareInvitation": (
            409,
            "The resource share invitation does not exist in the current account.",
        ),
        "InvalidParameter.AssociationStatus": (400, "The AssociationStatus is invalid."),
        "InvalidParameter.AssociationType": (400, "The AssociationType is invalid."),
        "InvalidParameter.MaxResults": (400, "The MaxResults is invalid."),
        "InvalidParameter.NextToken": (400, "The NextToken is invalid."),
        "InvalidParameter.NextToken.Length": (400, "The maximum length of NextToken exceeds 256 characters."),
        "InvalidParameter.PermissionNames.Duplicate": (400, "The PermissionNames duplicate values."),
        "InvalidParameter.PermissionNames.Length": (
            400,
            "The maximum length of PermissionNames exceeds quota limit.",
        ),
        "InvalidParameter.ResourceArns": (400, "The ResourceArns is invalid."),
        "InvalidParameter.ResourceArns.Duplicate": (400, "The ResourceArns contains duplicate values."),
        "InvalidParameter.ResourceArns.Length": (400, "The maximum number of ResourceArns exceeds 5."),
        "InvalidParameter.ResourceConflict": (400, "Resources and ResourceArns cannot be specified together."),
        "InvalidParameter.ResourceId": (400, "The ResourceId is invalid."),
        "InvalidParameter.ResourceIds": (400, "The ResourceIds is invalid."),
        "InvalidParameter.ResourceIds.Duplicate": (400, "The specified ResourceId contains duplicate values."),
        "InvalidParameter.ResourceIds.Length": (400, "The maximum number of ResourceIds (5) is exceeded."),
        "InvalidParameter.ResourceOwner": (400, "The ResourceOwner is invalid."),
        "InvalidParameter.ResourceShareId": (400, "The ResourceShareId is invalid."),
        "InvalidParameter.ResourceShareIds": (400, "The ResourceShareIds is invalid."),
        "InvalidParameter.ResourceShareIds.Duplicate": (400, "The ResourceShareIds contains duplicate values."),
        "InvalidParameter.ResourceShareIds.Length": (
            400,
            "The maximum length of ResourceShareIds exceeds 5 characters.",
        ),
        "InvalidParameter.ResourceShareInvitationId": (400, "The ResourceShareInvitationId is invalid."),
        "InvalidParameter.ResourceShareInvitationIds": (400, "The ResourceShareInvitationIds is invalid."),
        "InvalidParameter.ResourceShareInvitationIds.Duplicate": (
            400,
            "The ResourceShareInvitationIds duplicate values.",
        ),
        "InvalidParameter.ResourceShareInvitationIds.Length": (
            400,
            "The maximum length of ResourceShareInvitationIds exceeds quota limit.",
        ),
        "InvalidParameter.ResourceShareName": (400, "The ResourceShareName is invalid."),
        "InvalidParameter.ResourceShareName.Length": (
            400,
            "The maximum length of ResourceShareName exceeds 50 characters.",
        ),
        "InvalidParameter.ResourceShareStatus": (400, "The ResourceShareStatus is invalid."),
        "InvalidParameter.ResourceType": (400, "The ResourceType is invalid."),
        "InvalidParameter.Resources": (400, "The Resources is invalid."),
        "InvalidParameter.Resources.Duplicate": (400, "The Resources contains duplicate values."),
        "InvalidParameter.Resources.Length": (400, "The maximum number of Resources exceeds 5."),
        "InvalidParameter.Target": (400, "The Target is invalid."),
        "InvalidParameter.TargetProperties": (400, "The TargetProperties is invalid."),
        "InvalidParameter.Targets": (400, "The Targets is invalid."),
        "InvalidParameter.Targets.Duplicate": (400, "The Targets contains duplicate values."),
        "InvalidParameter.Targets.Length": (400, "The maximum number of Targets exceeds 5."),
        "InvalidTarget": (400, "The shared target does not exist in the resource directory."),
        "InvalidTarget.SiteMismatch": (409, "Cross-site resource sharing is not supported."),
        "InvitationStatus.AlreadyAccepted": (409, "The resource share invitation status is alredy accepted."),
        "InvitationStatus.AlreadyRejected": (409, "The resource share invitation status is rejected."),
        "InvitationStatus.Expired": (409, "The resource share invitation status is expired."),
        "LeavingFailed.Account": (
            409,
            "The account was added to the resource share automatically by resoucre directory.",
        ),
        "MissingParameter.AssociationType": (400, "You must specify AssociationType."),
        "MissingParameter.ResourceOwner": (400, "You must specify ResourceOwner."),
        "MissingParameter.ResourceShareId": (400, "You must specify ResourceShareId."),
        "MissingParameter.ResourceShareInvitationId": (400, "You must specify ResourceShareInvitationId."),
        "MissingParameter.ResourceShareName": (400, "You must specify ResourceShareName."),
        # In no list of this product: the code that the vendor's page on denied access has beside that of ECS, with
        # Resource Manager's status and text.
        "NoPermission": (403, "You are not authorized to perform the operation."),
        "NotEnableSharingWithResourceDirectory": (
            409,
            "You have not enabled sharing with your Resource Directory.",
        ),
        "OperationNotPermitted": (409, "You do not have permission to do this operation."),
        "QuotaExceeded.ResourceShare.Count": (409, "The maximum number of ResourceShare exceeds the limit."),
        "QuotaExceeded.SharedResource.Count": (
            409,
            "The maximum number of shared resources per account  exceeds the limit.",
        ),
        "ResourceAndTargetBothEmpty": (400, "Either a resource or a shared target must be specified."),
        "ResourceShareStatusMismatchAction": (
            409,
            "The status of the resource share does not allow the specified operation.",
        ),
        "ShareWithYourself": (409, "You cannot share resources with yourself."),
    }
)
