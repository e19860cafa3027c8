"""What happens to roles: they are made, their trust policy is replaced, and policies are attached to them.

The roles themselves are those of `localcloud.sts.models.IdentityModel`, so a role that is made here can be assumed at
once, and a role of the world can be changed here. A trust policy is replaced as a whole, without a version or a
condition: of two writers at one time the later one wins, and what the first one added is gone
(https://www.alibabacloud.com/help/en/ram/api-updaterole has no parameter for it).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from localcloud.call import Settings
from localcloud.errors import GATEWAY
from localcloud.policies import ASSUME_ROLE, NotServed, PolicyError, TrustPolicy, TrustStatement, read_trust_policy
from localcloud.ram.errors import ERRORS
from localcloud.sts.models import IdentityModel
from localcloud.world import Role

PolicyType = Literal["System", "Custom"]
POLICIES_PER_ROLE: Mapping[PolicyType, int] = {"System": 20, "Custom": 10}
"""https://www.alibabacloud.com/help/doc-detail/28753.htm"""


class RamModel:
    """Changes to roles, and when they were made."""

    def __init__(self, identity: IdentityModel, *, settings: Settings, now: float) -> None:
        self._identity = identity
        self._settings = settings
        self._began = now
        self._created: dict[str, float] = {}
        self._updated: dict[str, float] = {}
        self._attached: dict[tuple[str, str], float] = {}

    def known_role(self, arn: str) -> Role:
        """The role of this name."""
        role = self._identity.roles.get(arn)
        if role is None:
            raise ERRORS.error("EntityNotExist.Role")
        return role

    def create_role(self, arn: str, role: Role, *, now: float) -> None:
        """A new role, which may do nothing."""
        if arn in self._identity.roles:
            raise ERRORS.error("EntityAlreadyExists.Role")
        account = arn.rpartition(":")[0]
        if sum(known.rpartition(":")[0] == account for known in self._identity.roles) >= self._settings.quotas.roles:
            raise ERRORS.error("LimitExceeded.Role")
        self._identity.roles[arn] = role
        self._created[arn] = now

    def update_role(self, arn: str, role: Role, *, now: float) -> None:
        """Make it this role."""
        self._identity.roles[arn] = role
        self._updated[arn] = now

    def attach_policy(self, arn: str, policy: str, kind: PolicyType, *, now: float) -> None:
        """Attach a policy, which has to be there; of each kind a role has so many."""
        role = self.known_role(arn)
        if policy not in self._identity.policies:
            raise ERRORS.error("EntityNotExist.Policy")
        if policy in role.attached:
            raise ERRORS.error("EntityAlreadyExists.Role.Policy")
        if sum(policy_kind(one) == kind for one in role.attached) >= POLICIES_PER_ROLE[kind]:
            raise ERRORS.error("LimitExceeded.Role.Policy")
        self._identity.roles[arn] = msgspec.structs.replace(role, attached=(*role.attached, policy))
        self._attached[arn, policy] = now

    def when_created(self, arn: str) -> float:
        """When a role was made; one of the world has been there from the beginning."""
        return self._created.get(arn, self._began)

    def when_updated(self, arn: str) -> float:
        """When it was last changed."""
        return self._updated.get(arn, self.when_created(arn))

    def when_attached(self, arn: str, policy: str) -> float:
        """When a policy was attached to it."""
        return self._attached.get((arn, policy), self._began)


def policy_kind(policy: str) -> PolicyType:
    """System for a policy of the vendor, `acs:ram::system:policy/NAME`, else Custom."""
    return "System" if policy.startswith("acs:ram::system:") else "Custom"


def read_trust_text(text: str) -> TrustPolicy:
    """The trust policy of a parameter; what is not served is said to be so, whatever else is wrong is malformed."""
    try:
        return read_trust_policy(msgspec.json.decode(text))
    except NotServed:
        raise GATEWAY.error("UnsupportedParameter", name="AssumeRolePolicyDocument") from None
    except (msgspec.DecodeError, PolicyError) as problem:
        raise ERRORS.error("MalformedPolicyDocument", details=str(problem)) from None


def trust_text(role: Role) -> str:
    """The trust policy of a role as GetRole shows it: JSON with spaces, as in the vendor's samples.

    What the world says in short lists is there as statements of their own, and a single value is no list.
    """
    statements = [] if role.trust_policy is None else [_statement(one) for one in role.trust_policy.statement]
    if role.trusts:
        statements.append(_allowing("RAM", (f"acs:ram::{account}:root" for account in role.trusts)))
    if role.trusts_services:
        statements.append(_allowing("Service", role.trusts_services))
    return json.dumps({"Statement": statements, "Version": "1"})


def _statement(statement: TrustStatement) -> dict[str, Any]:
    document = msgspec.to_builtins(statement)
    document["Action"] = _short(document["Action"])
    document["Principal"] = {kind: _short(names) for kind, names in document["Principal"].items()}
    return dict(document)


def _allowing(kind: str, names: Iterable[str]) -> dict[str, Any]:
    return {"Action": ASSUME_ROLE, "Effect": "Allow", "Principal": {kind: _short(list(names))}}


def _short(values: list[str]) -> list[str] | str:
    return values[0] if len(values) == 1 else values
