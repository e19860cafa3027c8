"""Refusals of the resource directory.

Codes as in the vendor's error list of each call, for example
https://www.alibabacloud.com/help/en/resource-management/resource-directory/developer-reference/api-resourcedirectorymaster-2022-04-19-listaccounts
"""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "AccountTypeOrStatusMismatch": (409, "You cannot perform the action on the member account."),
        "DeleteConflict.Folder.Account": (409, "This folder has accounts."),
        "DeleteConflict.Folder.SubFolder": (409, "This folder has sub folders."),
        "EntityAlreadyExists.Handshake": (409, "Handshakes with the same target entity already exist."),
        "EntityNotExists.Account": (404, "This resource directory account does not exist."),
        "EntityNotExists.Folder": (404, "The resource directory folder does not exist."),
        "EntityNotExists.Handshake": (404, "The specified handshake does not exist."),
        "EntityNotExists.ResourceDirectory": (
            404,
            "The resource directory for the account is not enabled. "
            "We recommend that you first enable the resource directory for the account.",
        ),
        "HandshakeStatusMismatch": (409, "The invitation is invalid."),
        "InvalidParameter.Account.DisplayName": (400, "The DisplayName of account is invalid."),
        "InvalidParameter.Account.DisplayName.AlreadyUsed": (409, "The displayname of account has been used."),
        "InvalidParameter.Account.DisplayName.Length": (
            400,
            "The DisplayName of the account exceeds the length limit.",
        ),
        "InvalidParameter.AccountId": (400, "The AccountId is invalid."),
        "InvalidParameter.ChildId": (400, "The ChildId is invalid."),
        "InvalidParameter.DestinationFolderId": (400, "The DestinationFolderId is invalid."),
        "InvalidParameter.Folder.Name": (400, "The Name of folder is invalid."),
        "InvalidParameter.Folder.Name.AlreadyUsed": (
            400,
            "The name already exists under the same parent. Please change to another name.",
        ),
        "InvalidParameter.Folder.Name.Length": (400, "The Name of folder exceeds the length limit."),
        "InvalidParameter.FolderId": (400, "The FolderId is invalid."),
        "InvalidParameter.HandshakeId": (400, "The HandshakeId is invalid."),
        "InvalidParameter.Note.Length": (400, "The length of the invitation note exceeds the limit."),
        "InvalidParameter.ParentFolderId": (400, "The ParentFolderId is invalid."),
        "InvalidParameter.TargetEntity": (400, "The TargetEntity is invalid."),
        "InvalidParameter.TargetType": (400, "The TargetType is invalid."),
        "LimitExceeded.Account": (
            409,
            "The maximum number of member accounts in a resource directory exceeds the limit.",
        ),
        "LimitExceeded.Folder.Depth": (409, "The folder depth exceeds the limit of 5."),
        "MissingParameter.Account.DisplayName": (400, "You must specify DisplayName."),
        "MissingParameter.AccountId": (400, "You must specify AccountId."),
        "MissingParameter.ChildId": (400, "You must specify ChildId."),
        "MissingParameter.DestinationFolderId": (400, "You must specify DestinationFolderId."),
        "MissingParameter.Folder.Name": (400, "You must specify the resource folder name."),
        "MissingParameter.FolderId": (400, "You must specify FolderId."),
        "MissingParameter.HandshakeId": (400, "You must specify HandshakeId."),
        "MissingParameter.TargetEntity": (400, "You must specify TargetEntity."),
        "MissingParameter.TargetType": (400, "You must specify TargetType."),
        # What an ordinary member that calls a list gets is not documented. This is the code and status with which
        # the product refuses other calls for lack of rights (GetResourceGroup).
        "NoPermission": (403, "You are not authorized to perform the operation."),
        "QuotaExceeded.Folder.Count": (409, "The number of folders exceeds the quota."),
        "ResourceDirectoryNotInUse": (
            404,
            "The specified account is not an Alibaba Cloud account or a member account of the resource directory.",
        ),
    }
)
