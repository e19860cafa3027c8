"""Parameters in, answers out, for RAM.

Fields as at https://www.alibabacloud.com/help/en/ram/api-updaterole and the pages beside it. It is one for all regions.
How long a trust policy may be is not documented, only that there is a limit; here it is a quota of the world, and
every character counts, as nothing says that some do not.
"""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from localcloud.call import Call, Operation
from localcloud.clock import iso_seconds
from localcloud.errors import invalid
from localcloud.params import Params
from localcloud.ram.errors import ERRORS
from localcloud.ram.models import PolicyType, policy_kind, read_trust_text, trust_text
from localcloud.sts.models import role_number, role_parts
from localcloud.world import Role

_NAME = re.compile(r"[A-Za-z0-9.@_-]+")
_NAME_LENGTH, _POLICY_NAME_LENGTH, _DESCRIPTION_LENGTH = 64, 128, 1024
_SHORTEST_SESSION, _LONGEST_SESSION = 3600, 43_200


def get_role(call: Call) -> dict[str, Any]:
    """GetRole: a role and whom it trusts."""
    arn = _arn(call)
    role = call.models.ram.known_role(arn)
    account, name = role_parts(arn)
    return {
        "Role": {
            **_shown(call, arn, role),
            "UpdateDate": iso_seconds(call.models.ram.when_updated(arn)),
            "IsServiceLinkedRole": False,
            "RolePrincipalName": f"{name}@role.{account}.onaliyunservice.com",
        }
    }


def create_role(call: Call) -> dict[str, Any]:
    """CreateRole: a role that may do nothing yet."""
    params, arn = call.params, _arn(call)
    text = params.required("AssumeRolePolicyDocument")
    if len(text) > call.settings.quotas.trust_policy_length:
        raise ERRORS.error("InvalidParameter.AssumeRolePolicyDocument.Length")
    role = Role(
        trust_policy=read_trust_text(text),
        policies=(),
        max_session=_session(params, "MaxSessionDuration", _SHORTEST_SESSION),
        description=_description(params.text("Description")),
        console_login=bool(params.flag("AllowConsoleLogin")),
    )
    call.models.ram.create_role(arn, role, now=call.now)
    return {"Role": _shown(call, arn, role)}


def update_role(call: Call) -> dict[str, Any]:
    """UpdateRole: what is given replaces what was there, the trust policy as a whole."""
    params, arn = call.params, _arn(call)
    role = call.models.ram.known_role(arn)
    text = params.text("NewAssumeRolePolicyDocument")
    if len(text) > call.settings.quotas.trust_policy_length:
        raise ERRORS.error("InvalidParameter.NewAssumeRolePolicyDocument.Length")
    login = params.flag("NewAllowConsoleLogin")
    changed = msgspec.structs.replace(
        role,
        max_session=_session(params, "NewMaxSessionDuration", role.max_session),
        description=_description(params.text("NewDescription")) or role.description,
        console_login=role.console_login if login is None else login,
    )
    if text:
        changed = msgspec.structs.replace(changed, trust_policy=read_trust_text(text), trusts=(), trusts_services=())
    call.models.ram.update_role(arn, changed, now=call.now)
    return {"Role": {**_shown(call, arn, changed), "UpdateDate": iso_seconds(call.now)}}


def attach_policy_to_role(call: Call) -> dict[str, Any]:
    """AttachPolicyToRole: the role may do from now on what the policy says."""
    params, arn = call.params, _arn(call)
    kind, name = params.required("PolicyType"), params.required("PolicyName")
    if kind not in get_args(PolicyType):
        raise ERRORS.error("InvalidParameter.PolicyType")
    if len(name) > _POLICY_NAME_LENGTH:
        raise ERRORS.error("InvalidParameter.PolicyName.Length")
    if not _NAME.fullmatch(name):
        raise ERRORS.error("InvalidParameter.PolicyName.InvalidChars")
    owner = "system" if kind == "System" else call.account
    call.models.ram.attach_policy(
        arn, f"acs:ram::{owner}:policy/{name}", "System" if kind == "System" else "Custom", now=call.now
    )
    return {}


def list_policies_for_role(call: Call) -> dict[str, Any]:
    """ListPoliciesForRole: the policies that are attached to a role.

    What the world gives a role without a name is shown as none: it stands for permissions, not for a policy.
    """
    arn, ram = _arn(call), call.models.ram
    rows = [
        {
            "PolicyName": policy.partition("/")[2],
            "PolicyType": policy_kind(policy),
            "DefaultVersion": "v1",
            "Description": "",
            "AttachDate": iso_seconds(ram.when_attached(arn, policy)),
        }
        for policy in ram.known_role(arn).attached
    ]
    return {"Policies": {"Policy": rows}}


def _arn(call: Call) -> str:
    """The role that a call is about, which is one of the caller's account."""
    name = call.params.required("RoleName")
    if len(name) > _NAME_LENGTH:
        raise ERRORS.error("InvalidParameter.RoleName.Length")
    if not _NAME.fullmatch(name):
        raise ERRORS.error("InvalidParameter.RoleName.InvalidChars")
    return f"acs:ram::{call.account}:role/{name}"


def _shown(call: Call, arn: str, role: Role) -> dict[str, Any]:
    return {
        "RoleId": role_number(arn),
        "RoleName": role_parts(arn)[1],
        "Arn": arn,
        "Description": role.description,
        "AssumeRolePolicyDocument": trust_text(role),
        "CreateDate": iso_seconds(call.models.ram.when_created(arn)),
        "MaxSessionDuration": role.max_session,
        "AllowConsoleLogin": role.console_login,
    }


def _session(params: Params, name: str, default: int) -> int:
    return params.integer(name, default, low=_SHORTEST_SESSION, high=_LONGEST_SESSION)


def _description(text: str) -> str:
    if len(text) > _DESCRIPTION_LENGTH:
        raise invalid("Description")
    return text


OPERATIONS = (
    Operation("ram", "AttachPolicyToRole", attach_policy_to_role, writes=True),
    Operation("ram", "CreateRole", create_role, writes=True),
    Operation("ram", "GetRole", get_role),
    Operation("ram", "ListPoliciesForRole", list_policies_for_role),
    Operation("ram", "UpdateRole", update_role, writes=True),
)
