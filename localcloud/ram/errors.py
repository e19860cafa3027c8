"""Refusals of RAM, as the vendor's pages of each call list them.

The present pages refer to a list that is not open to everybody, so codes and messages are those of the older ones:
https://www.alibabacloud.com/help/doc-detail/28710.htm (CreateRole), and for UpdateRole and AttachPolicyToRole the pages
of the same reference.
"""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "EntityAlreadyExists.Role": (409, "The role does already EXIST."),
        "EntityAlreadyExists.Role.Policy": (409, "The role has already been attached this policy."),
        "EntityNotExist.Policy": (404, "The policy does not exist."),
        "EntityNotExist.Role": (404, "The role does not exist."),
        "InvalidParameter.AssumeRolePolicyDocument.Length": (
            400,
            'The parameter - "AssumeRolePolicyDocument" beyond the length limit.',
        ),
        "InvalidParameter.NewAssumeRolePolicyDocument.Length": (
            400,
            'The parameter - "NewAssumeRolePolicyDocument" beyond the length limit.',
        ),
        "InvalidParameter.PolicyName.InvalidChars": (400, 'The parameter - "PolicyNam" contains invalid chars.'),
        "InvalidParameter.PolicyName.Length": (400, 'The parameter - "PolicyName" beyond the length limit.'),
        "InvalidParameter.PolicyType": (400, 'The parameter - "PolicyType" is incorrect.'),
        "InvalidParameter.RoleName.InvalidChars": (400, 'The parameter - "RoleName" contains invalid chars.'),
        "InvalidParameter.RoleName.Length": (400, 'The parameter - "RoleName" beyond the length limit.'),
        "LimitExceeded.Role": (409, "The count of roles beyond the current limits."),
        "LimitExceeded.Role.Policy": (409, "The policy count of the role beyond the current limits."),
        "MalformedPolicyDocument": (400, "{details}"),
        "NoPermission": (403, "You do not have the required permissions."),
    }
)
