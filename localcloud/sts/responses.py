"""Parameters in, answers out, for STS.

Parameter rules: https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole. A session
policy would narrow what the session may do; policies are not evaluated here, so one is refused rather than ignored.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from localcloud.call import Call, Operation
from localcloud.clock import iso_seconds
from localcloud.errors import GATEWAY
from localcloud.sts.errors import ERRORS
from localcloud.sts.models import role_parts

_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")


def assume_role(call: Call) -> dict[str, Any]:
    """AssumeRole: a temporary key of a role."""
    params = call.params
    arn, session_name = params.text("RoleArn"), params.text("RoleSessionName")
    if not arn:
        raise ERRORS.error("MissingParameter.RoleArn")
    if not session_name:
        raise ERRORS.error("MissingParameter.RoleSessionName")
    if not role_parts(arn)[0]:
        raise ERRORS.error("InvalidParameter.RoleArn")
    if not _SESSION_NAME.fullmatch(session_name):
        raise ERRORS.error("InvalidParameter.RoleSessionName")
    external = params.text("ExternalId")
    if external and not 2 <= len(external) <= 1224:
        raise ERRORS.error("InvalidParameter.ExternalId")
    _check_policy(params.text("Policy"))
    duration = params.text("DurationSeconds")
    if duration and not (duration.isascii() and duration.isdigit()):
        raise ERRORS.error("InvalidParameter.DurationSeconds")
    session = call.models.identity.assume(
        call.account,
        arn,
        session_name,
        seconds=int(duration) if duration else None,
        now=call.now,
        random=call.models.random,
    )
    answer: dict[str, Any] = {
        "AssumedRoleUser": {"Arn": session.principal.arn, "AssumedRoleId": session.principal.user_id},
        "Credentials": {
            "AccessKeyId": session.access_key,
            "AccessKeySecret": session.secret,
            "SecurityToken": session.token,
            "Expiration": iso_seconds(session.expires),
        },
    }
    if params.text("SourceIdentity"):
        answer["SourceIdentity"] = params.text("SourceIdentity")
    return answer


def get_caller_identity(call: Call) -> dict[str, Any]:
    """GetCallerIdentity: which account and which principal signed the call."""
    caller = call.principal
    answer = {
        "AccountId": caller.account,
        "Arn": caller.arn,
        "IdentityType": caller.kind,
        "PrincipalId": caller.user_id,
    }
    return {**answer, "RoleId": caller.role_id} if caller.role_id else {**answer, "UserId": caller.user_id}


def _check_policy(policy: str) -> None:
    if not policy:
        return
    if len(policy) > 2048:
        raise ERRORS.error("InvalidParameter.PolicySize")
    try:
        msgspec.json.decode(policy, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ERRORS.error("InvalidParameter.PolicyGrammar") from None
    raise GATEWAY.error("UnsupportedParameter", name="Policy")


OPERATIONS = (
    Operation("sts", "AssumeRole", assume_role),
    Operation("sts", "GetCallerIdentity", get_caller_identity),
)
