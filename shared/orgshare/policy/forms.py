"""The forms of single values in a policy: ids, names, dates, durations, numbers.

A form reads one value. When the value is wrong it notes the problem and returns a placeholder of the right
type: a policy with problems is never handed out, nobody sees a placeholder, and one pass finds all problems.

What can go wrong: a form that is too strict refuses an id that the vendor does hand out, one that is too lax
lets a slip of the keyboard through. So forms are those of documented ids and no narrower, and what is known
to be mistaken for another thing (a zone for a region, a RAM user's id for an account's) is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Literal, TypeVar

from orgshare.policy.yaml_places import Value, bare, control_character, either

T = TypeVar("T")
W = TypeVar("W", bound=str)
Form = Callable[[Value], T]

# 16 digits today, perhaps with a leading 0 (https://www.alibabacloud.com/help/en/account/check-account-id);
# accounts of the first years have fewer. 18 digits are a RAM user or role, with which no image can be shared.
_ACCOUNT = re.compile(r"[0-9]{5,16}")
# A member's path is rd-.../r-.../fd-.../account: directory, Root, folders (ResourceManager's ListAccounts).
_FOLDER = re.compile(r"root|(fd|r)-[A-Za-z0-9-]{1,64}")
# cn-hangzhou, ap-southeast-1, cn-shanghai-finance-1, cn-qingdao-et2-bo1, rus-west-1-pop are regions;
# cn-hangzhou-b and ap-southeast-1a are zones.
_REGION = re.compile(r"[a-z]{2,3}-[a-z]{3,20}(-[a-z][a-z0-9]{1,20}|-[0-9]{1,3}){0,4}")
_ZONE = re.compile(rf"(?P<region>{_REGION.pattern})-?[a-z]")
_IMAGE = re.compile(r"m-[A-Za-z0-9-]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_ROLE = re.compile(r"acs:ram::(?P<account>[0-9]{5,16}):role/[A-Za-z0-9._-]{1,64}")
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
# https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# Narrower than what the vendor takes in the names of objects, so that no segment needs escaping anywhere.
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")
_LONGEST_PREFIX = 512

_DEPLOYMENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")

_EXAMPLE = "1000000000000001"
_UNKNOWN_YES_NO: tuple[Literal["unknown", "yes", "no"], ...] = ("unknown", "yes", "no")


def text(expected: str, *, may_be_empty: bool = False) -> Form[str]:
    """A string on one line; what YAML takes for a number, a date or a truth value has to be quoted."""

    def read(value: Value) -> str:
        if value.kind in ("int", "float", "bool", "timestamp"):
            value.problem(f"got {value.got}", f"{expected} (put it in quotes)")
        elif value.kind != "str":
            value.problem(f"got {value.got}", expected)
        elif (character := control_character(value.raw)) is not None:
            value.problem(f"got {value.got} with U+{ord(character):04X}", f"{expected}, on one line")
        elif not value.raw and not may_be_empty:
            value.problem("empty", expected)
        else:
            return value.raw
        return ""

    return read


def account_id(value: Value) -> str:
    """The id of an account, in quotes: YAML makes a number of bare digits, an octal one after a leading 0."""
    number = value.kind in ("int", "float") or (not value.quoted and _looks_like_a_number(value.raw))
    if number and not (value.kind == "str" and _ACCOUNT.fullmatch(value.raw)):
        digits = value.raw.replace("_", "")
        mended = f'"{digits}"' if _ACCOUNT.fullmatch(digits) else f'all its digits, such as "{_EXAMPLE}"'
        value.problem(f"{bare(value.raw)} without quotes is a number", f"{mended} (put the id in quotes)")
        return ""
    user = " (18 digits are the id of a RAM user or role)" if re.fullmatch(r"[0-9]{18}", value.raw) else ""
    return _match(value, _ACCOUNT, f'an account id of 5 to 16 digits, such as "{_EXAMPLE}"{user}')


def folder_id(value: Value) -> str:
    """The id of a folder, or ``root``."""
    directory = " (for the whole directory write root)" if value.raw.startswith("rd-") else ""
    return _match(value, _FOLDER, f"a folder id, such as fd-abc123, or root{directory}")


def region_id(value: Value) -> str:
    """The id of a region, by its form: regions are added too often for a list."""
    zone = _ZONE.fullmatch(value.raw)
    hint = f" (this looks like a zone of {zone['region']})" if zone else ""
    if value.raw == "all":
        hint = " (all stands without brackets)"
    return _match(value, _REGION, f"a region id, such as cn-hangzhou or ap-southeast-1{hint}")


def image_id(value: Value) -> str:
    """The id of a custom image."""
    return _match(value, _IMAGE, "an image id, such as m-abc123")


def key_id(value: Value) -> str:
    """The id of a key of Key Management Service, whose form is not documented: what it can be, and no ARN or alias.

    https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-copyimage
    """
    return _match(value, _KEY, "the id of a KMS key, such as key-bjj66c2a893vmhawtq5fd or one of a UUID's form")


def deployment_name(value: Value) -> str:
    """The name of an installation, which becomes a part of tags and of names of resources."""
    expected = "1 to 40 lower-case letters, digits and inner hyphens, such as golden-images"
    return _match(value, _DEPLOYMENT, expected)


def bucket_and_prefix(value: Value, expected: str) -> str:
    """A place in OSS, ``oss://bucket/prefix``."""
    bucket, _, prefix = value.raw.removeprefix("oss://").partition("/")
    if not value.raw.startswith("oss://") or not _BUCKET.fullmatch(bucket):
        names = "3 to 63 lower-case letters, digits and inner hyphens"
        value.problem(f"{value.got} names no bucket ({names})", expected)
    elif not all(map(_SEGMENT.fullmatch, prefix.split("/"))) or len(prefix) > _LONGEST_PREFIX:
        segments = "one or more segments of letters, digits, dots, hyphens and underscores, without a slash at the end"
        value.problem(f"{value.got} names no prefix in the bucket ({segments})", expected)
    return value.raw


def role_in(account: str) -> Form[str]:
    """The ARN of a role in this account; in any, where the account's own id is empty because it is wrong."""

    def read(value: Value) -> str:
        expected = f"a role of the account, such as acs:ram::{account or _EXAMPLE}:role/orgshare"
        arn = _match(value, _ROLE, expected)
        match = _ROLE.fullmatch(arn)
        if match and account and match["account"] != account:
            value.problem(f"the role belongs to {match['account']}, not to {account}", expected)
        return arn

    return read


def choice(allowed: Sequence[W]) -> Form[W]:
    """One of some words, the last of which is the placeholder."""

    def read(value: Value) -> W:
        for word in allowed:
            if value.kind == "str" and value.raw == word:
                return word
        value.problem(f"got {value.got}", either(allowed))
        return allowed[-1]

    return read


def day(value: Value) -> date | None:
    """A date, quoted or not."""
    expected = "a date, such as 2027-03-31"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value.raw):
        value.problem(f"got {value.got}", expected)
        return None
    try:
        return date.fromisoformat(value.raw)
    except ValueError:
        value.problem(f"{value.raw} is no day of the calendar", expected)
        return None


def duration(value: Value) -> timedelta:
    """A time such as ``15m``: a whole number of seconds, minutes, hours or days."""
    match = _DURATION.fullmatch(value.raw)
    if match is None:
        value.problem(f"got {value.got}", "a duration, such as 0s, 15m, 24h or 7d")
        return timedelta()
    return int(match[1]) * _UNITS[match[2]]


def duration_up_to(days: int, *, some: bool = False) -> Form[timedelta]:
    """A duration of at most so many days; with ``some``, one that is not nothing."""
    expected = f"a duration of {'more than 0s and ' if some else ''}at most {days}d"

    def read(value: Value) -> timedelta:
        before = len(value.document.problems)
        time = duration(value)
        if time > timedelta(days=days) or (some and not time and len(value.document.problems) == before):
            value.problem(f"got {value.got}", expected)
        return time

    return read


def revoke_keep_or_duration(value: Value) -> timedelta | None:
    """How long something is kept: ``revoke`` for no time at all, ``keep`` (``None``) for good, or a duration."""
    if value.kind == "str" and _DURATION.fullmatch(value.raw):
        return duration(value)
    if value.kind != "str" or value.raw not in ("revoke", "keep"):
        value.problem(f"got {value.got}", "revoke, keep, or a duration, such as 30d")
    return None if value.raw == "keep" else timedelta()


def unknown_yes_no(value: Value) -> Literal["unknown", "yes", "no"]:
    """Unknown, yes or no; YAML makes a truth value of a bare yes or no, in whatever way it is spelt."""
    if value.kind == "bool":
        return "yes" if flag(value) else "no"
    return choice(_UNKNOWN_YES_NO)(value)


def whole(*, least: int) -> Form[int]:
    """A whole number. One that begins with 0 is octal to YAML and decimal to people, so it is refused."""

    def read(value: Value) -> int:
        if value.kind == "int" and re.fullmatch(r"0|[1-9][0-9]{0,8}", value.raw) and int(value.raw) >= least:
            return int(value.raw)
        value.problem(f"got {value.got}", f"a whole number of {least} or more, without quotes")
        return least

    return read


def percent(value: Value) -> float:
    """A number from 0 to 100."""
    plain = re.fullmatch(r"(0|[1-9][0-9]{0,2})?(\.[0-9]{1,9})?", value.raw)
    if value.kind in ("int", "float") and plain and float(value.raw) <= 100:
        return float(value.raw)
    value.problem(f"got {value.got}", "a number from 0 to 100, without quotes and without %")
    return 0


def flag(value: Value) -> bool:
    """True or false."""
    known = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if value.kind != "bool" or value.raw.lower() not in known:
        value.problem(f"got {value.got}", "true or false")
    return known.get(value.raw.lower(), False)


def _match(value: Value, pattern: re.Pattern[str], expected: str) -> str:
    if value.raw and not pattern.fullmatch(value.raw):
        value.problem(f"got {value.got}", expected)
        return ""
    return text(expected)(value)


def _looks_like_a_number(raw: str) -> bool:
    try:
        float(raw)
    except ValueError:
        return False
    return raw[0] in "0123456789"
