"""Access keys, roles and the temporary keys made from them.

A permanent key acts as the root of its account. A temporary key acts as a role in the role's account, until it
expires by the cloud's clock; a key and a token that do not belong together are refused, each in its own way, since a
client that renews keys under way mixes them up easily.
"""

from __future__ import annotations

import random as random_module
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from localcloud.call import new_id
from localcloud.errors import GATEWAY
from localcloud.sts.errors import ERRORS
from localcloud.world import AccessKey, Role

_FORGET_SECONDS = 86_400
_LETTERS = f"{string.ascii_letters}{string.digits}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: an account's root, or a session of a role."""

    account: str
    arn: str
    kind: Literal["Account", "AssumedRoleUser"]
    user_id: str
    role_id: str = ""


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

    def __init__(self, keys: Mapping[str, AccessKey], roles: Mapping[str, Role]) -> None:
        self.keys = dict(keys)
        self.roles = dict(roles)
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
            return key.secret, root_of(key.account)
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

    def assume(
        self, caller: str, arn: str, session_name: str, *, seconds: int | None, now: float, random: random_module.Random
    ) -> Session:
        """A temporary key for a role that trusts the calling account.

        A role that exists but does not trust the caller is NoPermission, one that does not exist EntityNotExist.Role.
        """
        role = self.roles.get(arn)
        if role is None:
            raise ERRORS.error("EntityNotExist.Role")
        if caller not in role.trusts:
            raise ERRORS.error("NoPermission")
        seconds = min(3600, role.max_session) if seconds is None else seconds
        if not 900 <= seconds <= role.max_session:
            raise ERRORS.error("InvalidParameter.DurationSeconds")
        account, name = role_parts(arn)
        role_id = role_number(arn)
        session = Session(
            access_key=f"STS.{new_id(random, 24, _LETTERS)}",
            secret=new_id(random, 44, _LETTERS),
            token=new_id(random, 240, _LETTERS),
            expires=now + seconds,
            principal=Principal(
                account=account,
                arn=f"acs:ram::{account}:assumed-role/{name}/{session_name}",
                kind="AssumedRoleUser",
                user_id=f"{role_id}:{session_name}",
                role_id=role_id,
            ),
        )
        self._forget(now)
        self._sessions[session.access_key] = session
        self._tokens[session.token] = session.access_key
        return session

    def _forget(self, now: float) -> None:
        """Sessions are made in the order of time, so the old ones are at the front (of about the same length)."""
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if oldest.expires + _FORGET_SECONDS > now:
                break
            del self._sessions[oldest.access_key], self._tokens[oldest.token]


def root_of(account: str) -> Principal:
    """The account itself."""
    return Principal(account=account, arn=f"acs:ram::{account}:root", kind="Account", user_id=account)


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
