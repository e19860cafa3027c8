"""Parameters in, answers out, for STS.

Parameter rules: https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole. A session
policy narrows what the session may do; one that asks for what is not evaluated here is refused rather than ignored.
That page says that an account's own keys may not call AssumeRole; worlds are simpler if they may, so a switch decides.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from localcloud.call import Call, Operation
from localcloud.clock import iso_seconds
from localcloud.errors import GATEWAY
from localcloud.policies import NotServed, Policy, PolicyError, common_facts, read_policy
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
    session_policy = _session_policy(params.text("Policy"))
    duration = params.text("DurationSeconds")
    if duration and not (duration.isascii() and duration.isdigit()):
        raise ERRORS.error("InvalidParameter.DurationSeconds")
    if call.principal.kind == "Account" and call.settings.switches.root_assumes_roles == "refused":
        raise ERRORS.error("NoPermission")
    session = call.models.identity.assume(
        call.principal,
        arn,
        session_name,
        seconds=int(duration) if duration else None,
        facts={**common_facts(call.now), **({"sts:ExternalId": external} if external else {})},
        session_policy=session_policy,
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


def _session_policy(text: str) -> Policy | None:
    """The policy of a call; what is no JSON is no policy, and what is not served is said to be so."""
    if not text:
        return None
    if len(text) > 2048:
        raise ERRORS.error("InvalidParameter.PolicySize")
    try:
        document = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ERRORS.error("InvalidParameter.PolicyGrammar") from None
    try:
        return read_policy(document)
    except NotServed:
        raise GATEWAY.error("UnsupportedParameter", name="Policy") from None
    except PolicyError:
        raise ERRORS.error("InvalidParameter.PolicyGrammar") from None


OPERATIONS = (
    Operation("sts", "AssumeRole", assume_role),
    Operation("sts", "GetCallerIdentity", get_caller_identity),
)
