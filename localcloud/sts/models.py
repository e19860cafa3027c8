"""Access keys, roles and the temporary keys made from them.

A permanent key acts as the root of its account, or as a user in it. A temporary key acts as a role in the role's
account, until it expires by the cloud's clock; a key and a token that do not belong together are refused, each in its
own way, since a client that renews keys under way mixes them up easily. What a user or role may do is looked up at each
call, so that a policy that is changed counts at once.
"""

from __future__ import annotations

import random as random_module
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from localcloud.call import new_id
from localcloud.errors import GATEWAY
from localcloud.policies import Asked, Policy, common_facts, trusted, verdict
from localcloud.sts.errors import ERRORS
from localcloud.world import AccessKey, Role

_FORGET_SECONDS = 86_400
_LETTERS = f"{string.ascii_letters}{string.digits}"


PolicyType = Literal["AccountLevelIdentityBasedPolicy", "SessionPolicy"]
Limits = tuple[tuple[PolicyType, tuple[Policy, ...]], ...]
"""Sets of policies, each of which has to allow a call; where there are none, everything is allowed."""

_NOTHING: Limits = (("AccountLevelIdentityBasedPolicy", ()),)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: an account's root, a user, or a session of a role.

    `role` is the role's ARN, `key` a user's access key; `session_policy` narrows what a session may do. `origin` is
    the access key that a service took for what it runs, and with which all its further sessions began.
    """

    account: str
    arn: str
    kind: Literal["Account", "RAMUser", "AssumedRoleUser"]
    user_id: str
    role_id: str = ""
    role: str = ""
    key: str = ""
    session_policy: Policy | None = None
    origin: str = ""

    @property
    def shown_name(self) -> str:
        """As refusals name it: https://alibabacloud.com/help/en/ram/support/how-to-troubleshoot-an-access-denied-error"""
        return self.arn.partition(":assumed-role/")[2].replace("/", ":") or self.user_id

    def names(self) -> Iterator[str]:
        """The names by which a trust policy may know it."""
        yield f"acs:ram::{self.account}:root"
        if self.kind != "Account":
            yield self.role or self.arn


@dataclass(frozen=True, slots=True)
class Session:
    """A temporary key."""

    access_key: str
    secret: str
    token: str
    expires: float
    principal: Principal


class IdentityModel:
    """Who has which key, and which roles there are."""

    def __init__(
        self, keys: Mapping[str, AccessKey], roles: Mapping[str, Role], policies: Mapping[str, Policy]
    ) -> None:
        self.keys = dict(keys)
        self.roles = dict(roles)
        self.policies = dict(policies)
        """The policies that can be attached to roles, by their ARN."""
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[str, str] = {}

    def authenticate(self, access_key: str, token: str, *, now: float) -> tuple[str, Principal]:
        """(secret, principal) of a key; ApiError if there is no such key or its token does not fit.

        The signature is still to be checked with that secret.
        """
        session = self._sessions.get(access_key)
        if session is None:
            key = self.keys.get(access_key)
            if key is None:
                raise GATEWAY.error("InvalidAccessKeyId.NotFound")
            if token:
                raise GATEWAY.error("InvalidSecurityToken.MismatchWithAccessKey")
            return key.secret, _owner_of(access_key, key)
        if not token:
            raise GATEWAY.error("MissingSecurityToken")
        if token != session.token:
            known = token in self._tokens
            raise GATEWAY.error(
                "InvalidSecurityToken.MismatchWithAccessKey" if known else "InvalidSecurityToken.Malformed"
            )
        if now >= session.expires:
            raise GATEWAY.error("InvalidSecurityToken.Expired")
        return session.secret, session.principal

    def limits(self, caller: Principal) -> Limits:
        """The policies that a call of this principal has to pass. A role or user that is gone may do nothing."""
        if caller.kind == "Account":
            return ()
        known = self.roles.get(caller.role) if caller.role else self.keys.get(caller.key)
        if known is None:
            return _NOTHING
        policies = self.policies_of(known) if isinstance(known, Role) else known.policies
        own: Limits = () if policies is None else (("AccountLevelIdentityBasedPolicy", policies),)
        narrowed: Limits = () if caller.session_policy is None else (("SessionPolicy", (caller.session_policy,)),)
        return own + narrowed

    def policies_of(self, role: Role) -> tuple[Policy, ...] | None:
        """A role's own policies and those that are attached to it; None if it may do everything."""
        if role.policies is None:
            return None
        return (*role.policies, *(self.policies[one] for one in role.attached if one in self.policies))

    def serves(self, arn: str, service: str) -> bool:
        """Whether there is this role, and it trusts a service such as `1000000000000003@ecs.aliyuncs.com`."""
        role = self.roles.get(arn)
        return role is not None and _trusts(role, service in role.trusts_services, (service,), {})

    def allows(self, arn: str, action: str, resource: str, *, now: float) -> bool:
        """Whether this role may do something."""
        policies = self.policies_of(self.roles[arn])
        asked = Asked(action, (resource,), common_facts(now))
        return policies is None or verdict(policies, asked) == "Allow"

    def assume(
        self,
        caller: Principal,
        arn: str,
        session_name: str,
        *,
        seconds: int | None,
        facts: Mapping[str, str],
        session_policy: Policy | None,
        now: float,
        random: random_module.Random,
    ) -> Session:
        """A temporary key for a role that trusts the caller. That the caller may assume it is checked already.

        A role that exists but does not trust the caller is NoPermission, one that does not exist EntityNotExist.Role.
        """
        role = self.roles.get(arn)
        if role is None:
            raise ERRORS.error("EntityNotExist.Role")
        if not _trusts(role, caller.account in role.trusts, caller.names(), facts):
            raise ERRORS.error("NoPermission")
        seconds = min(3600, role.max_session) if seconds is None else seconds
        if not 900 <= seconds <= role.max_session:
            raise ERRORS.error("InvalidParameter.DurationSeconds")
        return self._open(arn, session_name, seconds, session_policy, caller.origin, now=now, random=random)

    def assume_for_service(
        self, service: str, arn: str, session_name: str, *, seconds: int, now: float, random: random_module.Random
    ) -> Session:
        """A temporary key that a service (`fc.aliyuncs.com`) takes for what it runs; ApiError as `assume` has them."""
        if arn not in self.roles:
            raise ERRORS.error("EntityNotExist.Role")
        if not self.serves(arn, service):
            raise ERRORS.error("NoPermission")
        return self._open(arn, session_name, seconds, None, None, now=now, random=random)

    def _open(
        self,
        arn: str,
        session_name: str,
        seconds: int,
        session_policy: Policy | None,
        origin: str | None,
        *,
        now: float,
        random: random_module.Random,
    ) -> Session:
        """`origin` is that of the session's principal; without one it is the session's own key."""
        account, name = role_parts(arn)
        role_id = role_number(arn)
        access_key = f"STS.{new_id(random, 24, _LETTERS)}"
        session = Session(
            access_key=access_key,
            secret=new_id(random, 44, _LETTERS),
            token=new_id(random, 240, _LETTERS),
            expires=now + seconds,
            principal=Principal(
                account=account,
                arn=f"acs:ram::{account}:assumed-role/{name}/{session_name}",
                kind="AssumedRoleUser",
                user_id=f"{role_id}:{session_name}",
                role_id=role_id,
                role=arn,
                session_policy=session_policy,
                origin=access_key if origin is None else origin,
            ),
        )
        self._forget(now)
        self._sessions[session.access_key] = session
        self._tokens[session.token] = session.access_key
        return session

    def _forget(self, now: float) -> None:
        """Sessions are made in the order of time: the old ones are at the front, and a long one keeps those behind."""
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if oldest.expires + _FORGET_SECONDS > now:
                break
            del self._sessions[oldest.access_key], self._tokens[oldest.token]


def _owner_of(access_key: str, key: AccessKey) -> Principal:
    """Who has a permanent key: the account itself, or a user in it."""
    root = f"acs:ram::{key.account}:root"
    if not key.user:
        return Principal(account=key.account, arn=root, kind="Account", user_id=key.account)
    arn = f"acs:ram::{key.account}:user/{key.user}"
    return Principal(account=key.account, arn=arn, kind="RAMUser", user_id=f"2{role_number(arn)[1:]}", key=access_key)


def _trusts(role: Role, listed: bool, names: Iterator[str] | tuple[str, ...], facts: Mapping[str, str]) -> bool:
    """Whether a role's short list or its trust policy trusts somebody, and the policy denies nothing."""
    said = "ImplicitDeny" if role.trust_policy is None else trusted(role.trust_policy, names, facts)
    return said == "Allow" or (listed and said != "ExplicitDeny")


def role_parts(arn: str) -> tuple[str, str]:
    """(account, name) of `acs:ram::ACCOUNT:role/NAME`; ("", "") if it is no such text."""
    parts = arn.split(":", 4)
    if len(parts) != 5 or parts[:3] != ["acs", "ram", ""] or not parts[4].startswith("role/"):
        return "", ""
    name = parts[4][len("role/") :]
    return (parts[3], name) if parts[3].isdigit() and name and "/" not in name else ("", "")


def role_number(arn: str) -> str:
    """A stable number that looks like the vendor's role ids."""
    number = 0
    for letter in arn.encode():
        number = (number * 257 + letter) % 10**16
    return f"3{number:016d}"
