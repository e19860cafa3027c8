"""Notices of Object Storage Service that a file was put: of interest if it is one of a trail.

A trail delivers the audit records of an account, or of all accounts of an organization, as gzip files, some minutes
after the calls. A notice names the file; what is in it, somebody has to read (``trails``). Nothing here does, so
``Parsed.files`` says what to read. Every other file is ignored with its name.

The form of a notice: https://www.alibabacloud.com/help/en/functioncompute/fc/formats-of-event-for-different-triggers-1
(a trigger of OSS itself) and https://help.aliyun.com/en/eventbridge/user-guide/oss-events (one by way of EventBridge,
with the same object as its data). The names of trail files:
https://alibabacloud.com/help/en/actiontrail/support/what-is-the-storage-path-of-an-event-that-is-delivered-to-an-oss-bucket

Whether names are URL-encoded in a notice is not documented. Names of trail files hold nothing that has to be encoded,
so one that makes sense only after decoding was encoded; where both make sense, both are looked for.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote

from msgspec import Meta, Struct

from orgshare.signals.model import MaybeId, Parsed, TrailFile, ignored, line, plain, read, together

PUT_OBJECT = ("oss:ObjectCreated:", "oss:ObjectReplication:Object")
"""Beginnings of the types on EventBridge; in a trigger of OSS itself they lack the ``oss:``."""

_SOURCE = "acs:oss"
_PUT = tuple(name.removeprefix("oss:") for name in PUT_OBJECT)
_REMOVED = "Removed"

_TRAIL_FILE = re.compile(
    r"(?:[!-~]+/)?AliyunLogs/Actiontrail/"
    r"(?:[^/]+/(?P<account>[0-9]+)/)?"  # a trail of the whole organization: the directory and the account
    r"[a-z0-9-]+/[0-9]{4}/[0-9]{2}/[0-9]{2}/Actiontrail_[!-.0-~]+\.gz",
    re.IGNORECASE,
)
_LONGEST_KEY = 1023


class _Bucket(Struct):
    # Both go into a host name: https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions
    name: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\Z")]


class _Object(Struct):
    key: str


class _Oss(Struct):
    bucket: _Bucket
    object: _Object


class _Notice(Struct, rename="camel"):
    oss: _Oss
    region: MaybeId = None


def parse(notice: dict[str, Any]) -> Parsed:
    """Which trail files a notice of a trigger of OSS speaks of; files that are none are ignored."""
    events = read(notice["events"], list[dict[str, Any]], "a notice: events")
    if not events:
        return ignored("a notice of no files")
    return together(_parse_event(event) for event in events)


def _parse_event(event: dict[str, Any]) -> Parsed:
    source, name = event.get("eventSource"), event.get("eventName")
    if source != _SOURCE:
        return ignored(f"unknown kind: a notice of {line(source)}: {line(name)}")
    return parse_one(event, name=str(name))


def parse_one(notice: dict[str, Any], *, name: str, region: str | None = None) -> Parsed:
    """The trail file that a notice speaks of. ``name`` is what happened, ``region`` where, if it does not say."""
    short = name.removeprefix("oss:")
    if not short.startswith(_PUT) or short.endswith(_REMOVED):
        return ignored(f"no file was put: a notice of {line(name)}")
    told = read(notice, _Notice, f"a notice of {line(name)}")
    bucket, key = told.oss.bucket.name, told.oss.object.key
    keys = tuple(dict.fromkeys(each for each in (unquote(key), key) if _is_trail_file(each)))
    if not keys:
        return ignored(f"no file of a trail: oss://{bucket}/{line(key, 300)}")
    found = _TRAIL_FILE.fullmatch(keys[0])
    return Parsed(files=(TrailFile(bucket, keys, _region(told.region) or _region(region), found and found["account"]),))


def _is_trail_file(key: str) -> bool:
    """Whether a key is a trail file's; one with dots for folders would be another one's by the time it is asked for."""
    dots = {".", ".."} & set(key.split("/"))
    return len(key) <= _LONGEST_KEY and not dots and _TRAIL_FILE.fullmatch(key) is not None


def _region(named: str | int | None) -> str | None:
    """A region as it goes into a host name: also with ``oss-`` in front, which storage calls a location."""
    text = (plain(named) or "").removeprefix("oss-")
    return text if re.fullmatch(r"[a-z0-9-]{1,64}", text) else None
