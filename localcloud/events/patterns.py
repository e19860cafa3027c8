"""Event patterns: which events a rule lets pass.

A pattern has the nesting of the event; keys are joined by AND, the alternatives of a key by OR. Operators, and that
matching is exact to the letter, from https://www.alibabacloud.com/help/en/doc-detail/181432.htm; anything else is
refused when the pattern is read, so that a misspelt operator does not quietly match nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ALTERNATIVES_MOST = 5
"""Expressions for a field: https://help.aliyun.com/en/eventbridge/product-overview/limits"""

_ABSENT = object()
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
}
Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was read."""

    checks: tuple[tuple[tuple[str, ...], tuple[Check, ...]], ...]

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the rule lets this event pass."""
        return all(any(check(_at(event, path)) for check in checks) for path, checks in self.checks)


def read_pattern(document: Any) -> Pattern:
    """The pattern of a parsed JSON document; ValueError says what is wrong with it."""
    if not isinstance(document, Mapping):
        raise ValueError("a pattern is an object")  # noqa: TRY004 - all that can be wrong with it is one kind of error
    return Pattern(tuple(_fields(document, ())))


def _fields(document: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], tuple[Check, ...]]]:
    found: list[tuple[tuple[str, ...], tuple[Check, ...]]] = []
    for key, value in document.items():
        here = (*path, key)
        name = ".".join(here)
        if isinstance(value, Mapping):
            found += _fields(value, here)
        elif isinstance(value, list) and 0 < len(value) <= ALTERNATIVES_MOST:
            found.append((here, tuple(_check(one, name) for one in value)))
        else:
            raise ValueError(f"{name}: expected a list of 1 to {ALTERNATIVES_MOST} alternatives")
    return found


def _at(event: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(event, Mapping) or key not in event:
            return _ABSENT
        event = event[key]
    return event


def _check(wanted: Any, name: str) -> Check:
    if not isinstance(wanted, Mapping):
        return lambda value: _same(value, wanted)
    if len(wanted) != 1:
        raise ValueError(f"{name}: expected one operator")
    ((operator, operand),) = wanted.items()
    if operator in ("prefix", "suffix", "contains") and isinstance(operand, str):
        return _of_text(operator, operand)
    if operator == "exists" and isinstance(operand, bool):
        return lambda value: (value is not _ABSENT) == operand
    if operator == "anything-but":
        return _anything_but(operand, name)
    if operator == "numeric" and isinstance(operand, list):
        return _numeric(operand, name)
    if operator == "cidr" and isinstance(operand, str):
        network = ipaddress.ip_network(operand)
        return lambda value: isinstance(value, str) and _inside(value, network)
    raise ValueError(f"{name}: no operator {operator!r} with {operand!r}")


def _of_text(operator: str, operand: str) -> Check:
    tests: Mapping[str, Callable[[str], bool]] = {
        "prefix": lambda value: value.startswith(operand),
        "suffix": lambda value: value.endswith(operand),
        "contains": lambda value: operand in value,
    }
    test = tests[operator]
    return lambda value: isinstance(value, str) and test(value)


def _anything_but(operand: Any, name: str) -> Check:
    """A field that is not there does not match: the page speaks of the field's value."""
    if isinstance(operand, Mapping):
        if set(operand) != {"prefix"} or not isinstance(operand["prefix"], str):
            raise ValueError(f"{name}: anything-but takes a value, a list of values or a prefix")
        unwanted = [_of_text("prefix", operand["prefix"])]
    else:
        unwanted = [_check(one, name) for one in (operand if isinstance(operand, list) else [operand])]
    return lambda value: value is not _ABSENT and not any(check(value) for check in unwanted)


def _numeric(operand: list[Any], name: str) -> Check:
    pairs = list(zip(operand[::2], operand[1::2], strict=False))
    sound = all(operator in _COMPARE and isinstance(bound, (int, float)) for operator, bound in pairs)
    if not pairs or len(operand) % 2 or not sound:
        raise ValueError(f"{name}: numeric takes pairs of an operator and a number")

    def check(value: Any) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and all(_COMPARE[operator](value, bound) for operator, bound in pairs)

    return check


def _inside(value: str, network: Any) -> bool:
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _same(value: Any, wanted: Any) -> bool:
    return type(value) is type(wanted) and bool(value == wanted)
