"""What triggers say: whether an event matches a pattern, and whether a schedule is one.

Patterns: https://www.alibabacloud.com/help/en/doc-detail/181432.htm, and at most five expressions for one field
(https://help.aliyun.com/en/eventbridge/product-overview/limits). Schedules: six fields or ``@every``, in UTC unless a
time zone is named (https://www.alibabacloud.com/help/doc-detail/171746.htm).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MOST_EXPRESSIONS = 5

_OPERATORS = ("prefix", "suffix", "contains", "anything-but", "exists")


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event matches: every key of the pattern, by one of its expressions."""
    for key, wanted in pattern.items():
        value = event.get(key)
        if isinstance(wanted, dict):
            if not isinstance(value, dict) or not matches(wanted, value):
                return False
        elif not any(_expression(one, value, present=key in event) for one in wanted):
            return False
    return True


def wrong_in_pattern(pattern: Any, place: str = "") -> Iterator[str]:
    """What is wrong with the form of a pattern."""
    if not isinstance(pattern, dict):
        yield f"{place or 'the pattern'} is no JSON object"
        return
    for key, wanted in pattern.items():
        here = f"{place}.{key}" if place else key
        if isinstance(wanted, dict):
            yield from wrong_in_pattern(wanted, here)
        elif not isinstance(wanted, list) or not wanted:
            yield f"{here} is no list of expressions"
        else:
            if len(wanted) > MOST_EXPRESSIONS:
                yield f"{here} has {len(wanted)} expressions, and {MOST_EXPRESSIONS} are allowed"
            for one in wanted:
                if isinstance(one, dict) and (len(one) != 1 or next(iter(one)) not in _OPERATORS):
                    yield f"{here} has {', '.join(one)}, and known are {', '.join(_OPERATORS)}"


def _expression(expression: Any, value: Any, *, present: bool) -> bool:
    if not isinstance(expression, dict):
        return present and bool(value == expression)
    ((operator, of),) = expression.items()
    if operator == "exists":
        return present is bool(of)
    text = str(value)
    if operator == "anything-but":
        return present and value not in (of if isinstance(of, list) else [of])
    if not present or not isinstance(value, str):
        return False
    return {"prefix": text.startswith(of), "suffix": text.endswith(of), "contains": of in text}[operator]


_FIELDS = (
    ("seconds", 0, 59, ()),
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    ("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)


def wrong_in_schedule(text: str) -> str:
    """What is wrong with a schedule; empty if nothing is."""
    if text.startswith("@"):
        if re.fullmatch(r"@every [1-9][0-9]*[smh]", text):
            return ""
        return f"{text} is not @every, a number and one of s, m, h"
    fields = re.sub(r"^CRON_TZ=\S+ ", "", text).split(" ")
    if len(fields) != len(_FIELDS):
        return f"{text} has {len(fields)} fields, and six are needed: {', '.join(name for name, *_ in _FIELDS)}"
    for field, (name, least, most, names) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not _part(part, least, most, names):
                return f"{part} is no {name}: a number from {least} to {most}, a range, * or a step"
    return ""


def _part(part: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    """Whether a part of a field is a number, a name, a range, ``*`` or ``?``, with a step or without."""
    whole, _, step = part.partition("/")
    if "/" in part and not (step.isdecimal() and int(step) > 0):
        return False
    if whole in {"*", "?"}:
        return True
    ends = whole.split("-")
    if len(ends) > 2:
        return False
    values = [names.index(end.upper()) + least if end.upper() in names else end for end in ends]
    numbers = [int(value) for value in values if str(value).isdecimal()]
    return (
        len(numbers) == len(ends) and all(least <= number <= most for number in numbers) and numbers == sorted(numbers)
    )
