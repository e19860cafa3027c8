"""What a RAM policy is, and what a set of them says about a call.

Documents are the vendor's JSON. What a document asks for and is not evaluated here (an operator, a condition key, an
element) is a `PolicyError` when the document is read: a condition that is silently ignored would make a test prove a
permission that nobody has. So the two things that can go wrong are kept apart: a document that is wrong is refused as a
whole, and a document that was read is evaluated as the vendor says: an explicit deny wins, else a call needs an allow.

- Structure: https://www.alibabacloud.com/help/document_detail/93739.html. `NotResource`, which only older pages have,
  is not served.
- Elements: https://www.alibabacloud.com/help/document_detail/93738.html. The case of an action does not matter («in
  most cases»), that of a resource does.
- Operators: https://www.alibabacloud.com/help/en/ram/conditional-operator.
- Principals of trust policies: https://help.aliyun.com/en/ram/user-guide/edit-the-trust-policy-of-a-ram-role.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NoReturn, cast, get_args

import msgspec

from localcloud.clock import iso_seconds, parse_iso

Verdict = Literal["Allow", "ExplicitDeny", "ImplicitDeny"]
Effect = Literal["Allow", "Deny"]
Kind = Literal["text", "flag", "address", "time"]

Conditions = dict[str, dict[str, tuple[str, ...]]]
"""Operator -> key -> values: of the values any one will do, of operators and keys all are needed."""

KEYS: Mapping[str, Kind] = {
    "acs:CurrentTime": "time",
    "acs:MFAPresent": "flag",
    "acs:SecureTransport": "flag",
    "acs:SourceIp": "address",
    "oss:Delimiter": "text",
    "oss:Prefix": "text",
    "sts:ExternalId": "text",
}
"""The condition keys that are served. `oss:` ones are there in a listing only, `sts:ExternalId` where it was given."""

ASSUME_ROLE = "sts:AssumeRole"


class PolicyError(Exception):
    """A policy document that is none; the text names the place in it."""


class NotServed(PolicyError):
    """A policy document that asks for what is not evaluated here; it may be one all the same."""


class _Element(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """Base of all parts of a document: their names are the vendor's, so plain data of them is the document again."""


class Statement(_Element, frozen=True, kw_only=True):
    """One permission or prohibition. Either `action` or `not_action` is there."""

    effect: Effect
    action: tuple[str, ...] = ()
    not_action: tuple[str, ...] = ()
    resource: tuple[str, ...]
    condition: Conditions = {}


class Policy(_Element, frozen=True, kw_only=True):
    """What an identity may do."""

    version: Literal["1"]
    statement: tuple[Statement, ...]


class TrustStatement(_Element, frozen=True, kw_only=True):
    """Who may assume a role, or may not."""

    effect: Effect
    action: tuple[str, ...]
    principal: dict[Literal["RAM", "Service"], tuple[str, ...]]
    condition: Conditions = {}


class TrustPolicy(_Element, frozen=True, kw_only=True):
    """Who may assume a role."""

    version: Literal["1"]
    statement: tuple[TrustStatement, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call needs: one action on each of these resources. `facts` are the condition keys that it has."""

    action: str
    resources: tuple[str, ...]
    facts: Mapping[str, str]


LOOPBACK = "127.0.0.1"
"""Where all clients are, since the server listens nowhere else."""


def common_facts(now: float) -> Mapping[str, str]:
    """The condition keys that every call has: plain HTTP from this machine, without a second factor."""
    return {
        "acs:CurrentTime": iso_seconds(now),
        "acs:MFAPresent": "false",
        "acs:SecureTransport": "false",
        "acs:SourceIp": LOOPBACK,
    }


def verdict(policies: Iterable[Policy], asked: Asked) -> Verdict:
    """What the policies of one identity say together: every resource must be allowed, and none may be denied."""
    effects = [_effects(policies, asked.action, resource, asked.facts) for resource in asked.resources]
    if any("Deny" in found for found in effects):
        return "ExplicitDeny"
    return "Allow" if all("Allow" in found for found in effects) else "ImplicitDeny"


def trusted(policy: TrustPolicy, principals: Iterable[str], facts: Mapping[str, str]) -> Verdict:
    """Whether any of these names of one caller (its ARN, its account's root, a service) may assume the role."""
    names = tuple(principals)
    effects = {
        statement.effect
        for statement in policy.statement
        if _matches_action(statement.action, ASSUME_ROLE)
        and any(name in listed for listed in statement.principal.values() for name in names)
        and _holds(statement.condition, facts)
    }
    if "Deny" in effects:
        return "ExplicitDeny"
    return "Allow" if "Allow" in effects else "ImplicitDeny"


def _effects(policies: Iterable[Policy], action: str, resource: str, facts: Mapping[str, str]) -> set[Effect]:
    return {
        statement.effect
        for policy in policies
        for statement in policy.statement
        if _covers_action(statement, action)
        and any(_matches_resource(pattern, resource) for pattern in statement.resource)
        and _holds(statement.condition, facts)
    }


def _covers_action(statement: Statement, action: str) -> bool:
    if statement.not_action:
        return not _matches_action(statement.not_action, action)
    return _matches_action(statement.action, action)


def _matches_action(patterns: Iterable[str], action: str) -> bool:
    return any(_glob(pattern.lower()).fullmatch(action.lower()) for pattern in patterns)


def _matches_resource(pattern: str, resource: str) -> bool:
    """Segment by segment, `acs:CODE:REGION:ACCOUNT:RELATIVE`: a `*` reaches over no colon but in the last one.

    A call that cannot be granted for single resources asks for `*`, which only `*` allows.
    """
    if pattern == "*" or resource == "*":
        return pattern == "*"
    wanted, found = pattern.split(":", 4), resource.split(":", 4)
    return all(_glob(one).fullmatch(other) for one, other in zip(wanted, found, strict=True))


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    """`*` is any text, `?` one character."""
    parts = ({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _holds(conditions: Conditions, facts: Mapping[str, str]) -> bool:
    return all(
        _OPERATORS[operator].met(facts.get(key), values)
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


# --- operators


@dataclass(frozen=True, slots=True)
class _Operator:
    """How a fact is compared with one value; `negated` ones hold where no value fits, so also without the fact."""

    kind: Kind
    compare: Callable[[str, str], bool]
    negated: bool = False

    def met(self, fact: str | None, values: Iterable[str]) -> bool:
        return (fact is not None and any(self.compare(fact, value) for value in values)) != self.negated


def _within(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)


def _times(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda fact, value: compare(parse_iso(fact), parse_iso(value))


def _equal(fact: str, value: str) -> bool:
    return fact == value


def _equal_in_any_case(fact: str, value: str) -> bool:
    return fact.lower() == value.lower()


def _like(fact: str, value: str) -> bool:
    return _glob(value).fullmatch(fact) is not None


_OPERATORS: Mapping[str, _Operator] = {
    "StringEquals": _Operator("text", _equal),
    "StringNotEquals": _Operator("text", _equal, negated=True),
    "StringEqualsIgnoreCase": _Operator("text", _equal_in_any_case),
    "StringNotEqualsIgnoreCase": _Operator("text", _equal_in_any_case, negated=True),
    "StringLike": _Operator("text", _like),
    "StringNotLike": _Operator("text", _like, negated=True),
    "Bool": _Operator("flag", _equal_in_any_case),
    "IpAddress": _Operator("address", _within),
    "NotIpAddress": _Operator("address", _within, negated=True),
    "DateEquals": _Operator("time", _times(lambda fact, value: fact == value)),
    "DateNotEquals": _Operator("time", _times(lambda fact, value: fact == value), negated=True),
    "DateLessThan": _Operator("time", _times(lambda fact, value: fact < value)),
    "DateLessThanEquals": _Operator("time", _times(lambda fact, value: fact <= value)),
    "DateGreaterThan": _Operator("time", _times(lambda fact, value: fact > value)),
    "DateGreaterThanEquals": _Operator("time", _times(lambda fact, value: fact >= value)),
}


# --- reading

_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|acs:[^:]+:[^:]*:[^:]*:.+", re.DOTALL)
_RAM_PRINCIPAL = re.compile(r"acs:ram::[0-9]+:(root|role/[\w.@-]{1,64}|user/[\w.@-]{1,64})")
_SERVICE_PRINCIPAL = re.compile(r"([0-9]+@)?[a-z0-9-]+(\.[a-z0-9-]+)*\.aliyuncs\.com")


def read_policy(document: object) -> Policy:
    """The policy of plain data; PolicyError if it is none, or asks for what is not served."""
    return Policy(version="1", statement=tuple(_statement(one, at) for one, at in _statements(document)))


def read_trust_policy(document: object) -> TrustPolicy:
    """The trust policy of plain data; PolicyError if it is none, or asks for what is not served."""
    return TrustPolicy(version="1", statement=tuple(_trust(one, at) for one, at in _statements(document)))


def _statements(document: object) -> list[tuple[object, str]]:
    fields = _fields(document, "", ("Version", "Statement"), required=("Version", "Statement"))
    if fields["Version"] != "1":
        _fail("Version", 'expected "1" in quotes')
    statements = fields["Statement"]
    if not isinstance(statements, (list, tuple)) or not statements:
        _fail("Statement", "expected a list of at least one statement")
    return [(one, f"Statement[{index}]") for index, one in enumerate(statements)]


def _statement(value: object, at: str) -> Statement:
    known = ("Effect", "Action", "NotAction", "Resource", "Condition")
    fields = _fields(value, at, known, required=("Effect", "Resource"))
    if ("Action" in fields) == ("NotAction" in fields):
        _fail(at, "expected either Action or NotAction")
    return Statement(
        effect=_effect(fields, at),
        action=_texts(fields, at, "Action", _ACTION, 'an action such as "ecs:DescribeImages" or "ecs:*"'),
        not_action=_texts(fields, at, "NotAction", _ACTION, 'an action such as "ecs:DescribeImages" or "ecs:*"'),
        resource=_texts(fields, at, "Resource", _RESOURCE, '"*" or acs:CODE:REGION:ACCOUNT:RESOURCE'),
        condition=_conditions(fields.get("Condition"), f"{at}.Condition"),
    )


def _trust(value: object, at: str) -> TrustStatement:
    known = ("Effect", "Action", "Principal", "Condition")
    fields = _fields(value, at, known, required=("Effect", "Action", "Principal"))
    principals = _fields(fields["Principal"], f"{at}.Principal", ("RAM", "Service"))
    if not principals:
        _fail(f"{at}.Principal", "expected RAM or Service")
    forms = {
        "RAM": (_RAM_PRINCIPAL, 'a principal such as "acs:ram::1000000000000001:root"'),
        "Service": (_SERVICE_PRINCIPAL, 'a service such as "fc.aliyuncs.com"'),
    }
    return TrustStatement(
        effect=_effect(fields, at),
        action=_texts(fields, at, "Action", _ACTION, f'an action such as "{ASSUME_ROLE}"'),
        principal={
            kind: _texts(principals, f"{at}.Principal", kind, *forms[kind])  # type: ignore[misc]
            for kind in principals
        },
        condition=_conditions(fields.get("Condition"), f"{at}.Condition"),
    )


def _effect(fields: Mapping[str, object], at: str) -> Effect:
    if fields["Effect"] not in get_args(Effect):
        _fail(f"{at}.Effect", "expected Allow or Deny")
    return cast("Effect", fields["Effect"])


def _conditions(value: object, at: str) -> Conditions:
    if value is None:
        return {}
    found: Conditions = {}
    for operator, keys in _fields(value, at, tuple(_OPERATORS), what="operator").items():
        kind = _OPERATORS[operator].kind
        below = _fields(keys, f"{at}.{operator}", tuple(KEYS), what="condition key")
        for key in below:
            if KEYS[key] != kind:
                _fail(f'{at}.{operator}."{key}"', f"{operator} is for keys that hold {_KINDS[kind]}")
        found[operator] = {key: _values(one, kind, f'{at}.{operator}."{key}"') for key, one in below.items()}
    return found


_KINDS: Mapping[Kind, str] = {
    "text": "text",
    "flag": "true or false",
    "address": "an address",
    "time": "a time",
}


def _values(value: object, kind: Kind, at: str) -> tuple[str, ...]:
    values = value if isinstance(value, (list, tuple)) else [value]
    texts = tuple(str(one).lower() if isinstance(one, bool) else one for one in values)
    if not texts or not all(isinstance(one, str) and _is_of(kind, one) for one in texts):
        _fail(at, f"expected {_KINDS[kind]}, or a list of that")
    return cast("tuple[str, ...]", texts)


def _is_of(kind: Kind, text: str) -> bool:
    try:
        if kind == "address":
            ipaddress.ip_network(text, strict=False)
        elif kind == "time":
            parse_iso(text)
    except ValueError:
        return False
    return kind != "flag" or text.lower() in ("true", "false")


def _fields(
    value: object, at: str, known: tuple[str, ...], *, required: tuple[str, ...] = (), what: str = "element"
) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        _fail(at, "expected a mapping")
    for key in value:
        if key not in known:
            raise NotServed(f"{at}.{key}: this {what} is not served; served: {', '.join(known)}".removeprefix("."))
    for key in required:
        if key not in value:
            _fail(at, f'the element "{key}" is missing')
    return dict(value)


def _texts(fields: Mapping[str, object], at: str, key: str, pattern: re.Pattern[str], expected: str) -> tuple[str, ...]:
    if key not in fields:
        return ()
    value = fields[key]
    texts = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not texts:
        _fail(f"{at}.{key}", f"expected {expected}")
    for one in texts:
        if not isinstance(one, str) or not pattern.fullmatch(one):
            _fail(f"{at}.{key}", f"expected {expected}, found {one!r}")
    return cast("tuple[str, ...]", texts)


def _fail(at: str, why: str) -> NoReturn:
    raise PolicyError(f"{at}: {why}" if at else why)
