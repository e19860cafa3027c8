"""Refusals of STS: https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole."""

from localcloud.errors import Catalogue

ERRORS = Catalogue(
    {
        "EntityNotExist.Role": (404, "The specified Role not exists ."),
        "InvalidParameter.DurationSeconds": (400, "The Min/Max value of DurationSeconds is 15min/1hr."),
        "InvalidParameter.ExternalId": (400, "The parameter ExternalId is wrongly formed."),
        "InvalidParameter.PolicyGrammar": (400, "The parameter Policy has not passed grammar check."),
        "InvalidParameter.PolicySize": (400, "The size of Policy must be smaller than 2048 bytes."),
        "InvalidParameter.RoleArn": (400, "The parameter RoleArn is wrongly formed."),
        "InvalidParameter.RoleSessionName": (400, "The parameter RoleSessionName is wrongly formed."),
        # Listed for the sister call AssumeRoleWithSAML; what AssumeRole answers is not documented.
        "MissingParameter.RoleArn": (400, "Parameter RoleArn is required."),
        "MissingParameter.RoleSessionName": (400, "Parameter RoleSessionName is required."),
        "NoPermission": (
            403,
            "You are not authorized to do this action. You should be authorized by RAM.",
        ),
    }
)
