"""Notices that a file was put: which of them speak of a trail, in what words."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from orgshare.signals import MalformedEvent, Parsed, TrailFile, parse
from tests.signals.events import OWNER, envelope, notice, payload, put

DAY = "cn-hangzhou/2026/11/21/Actiontrail_cn-hangzhou_20261121090500_1002_6_2310_9f86d081884c7d65.gz"
SINGLE = f"AliyunLogs/Actiontrail/{DAY}"
WHOLE = f"org-audit/AliyunLogs/Actiontrail/rd-3G1a2b/{OWNER}/{DAY}"


def _files(event: object) -> tuple[TrailFile, ...]:
    parsed = parse(payload(event))
    assert (parsed.signal.empty, parsed.ignored) == (True, ())
    return parsed.files


@pytest.mark.parametrize(
    ("key", "account"),
    [
        (SINGLE, None),
        (f"audit/logs/{SINGLE}", None),
        (WHOLE, OWNER),
        (WHOLE.removeprefix("org-audit/"), OWNER),
        # As a trail of one account was seen to write it.
        (
            "actiontrail/AliyunLogs/Actiontrail/ap-southeast-6/2026/09/25/"
            "Actiontrail_ap-southeast-6_20260925070451_1002_4_1146_8d2a62c7317236ee7bf50184a428d8a9.gz",
            None,
        ),
    ],
)
def test_that_a_notice_names_the_file_of_a_trail(key: str, account: str | None) -> None:
    """A trail of one account and one of the whole organization, with a prefix and without."""
    assert _files(notice(put(key))) == (TrailFile("acme-trail", (key,), "cn-hangzhou", account),)


def test_that_both_kinds_of_trigger_name_the_same_file() -> None:
    """OSS itself tells functions of files, and EventBridge does."""
    assert _files(envelope("oss:ObjectCreated:PutObject", put(WHOLE))) == _files(notice(put(WHOLE)))


def test_that_a_region_may_be_told_by_the_envelope_or_nobody() -> None:
    """Where a notice says nothing of it, the bus does; what cannot be part of a host name is nowhere."""
    nowhere = put(WHOLE, region="")
    event = envelope("oss:ObjectCreated:PutObject", nowhere, aliyunregionid="cn-beijing")
    assert [file.region for file in _files(event)] == ["cn-beijing"]
    assert [file.region for file in _files(notice(nowhere))] == [None]
    assert [file.region for file in _files(notice(put(WHOLE, region="evil.example#")))] == [None]
    assert [file.region for file in _files(notice(put(WHOLE, region="oss-cn-beijing")))] == ["cn-beijing"]


@pytest.mark.parametrize("safe", ["", "/", "/_"])
def test_that_a_name_may_be_url_encoded(safe: str) -> None:
    """Whether a notice encodes names is not documented, so an encoded one is understood as well."""
    (file,) = _files(notice(put(quote(WHOLE, safe=safe))))
    assert (file.keys[0], file.account) == (WHOLE, OWNER)


def test_that_a_name_that_can_be_meant_both_ways_is_looked_for_both_ways() -> None:
    """A prefix with a per cent sign is no prefix that the vendor allows, but nobody can be sure."""
    (file,) = _files(notice(put(f"my%2Daudit/{SINGLE}")))
    assert file.keys == (f"my-audit/{SINGLE}", f"my%2Daudit/{SINGLE}")


@pytest.mark.parametrize(
    "happened",
    ["ObjectCreated:PutObject", "ObjectCreated:CompleteMultipartUpload", "ObjectReplication:ObjectCreated"],
)
def test_that_it_does_not_matter_how_a_file_was_put(happened: str) -> None:
    """In one piece, in several, or as a copy from another region's bucket."""
    assert _files(notice(put(SINGLE, eventName=happened)))
    assert _files(envelope(f"oss:{happened}", put(SINGLE)))


def test_that_several_files_of_a_notice_are_all_named_once() -> None:
    """A notice may hold several events, and one of them twice."""
    files = _files(notice(put(SINGLE), put(WHOLE), put(SINGLE)))
    assert [file.keys for file in files] == [(SINGLE,), (WHOLE,)]


@pytest.mark.parametrize(
    "key",
    [
        "photo.jpg",
        "AliyunLogs/Actiontrail/cn-hangzhou/2026/11/21/other.gz",
        SINGLE.removesuffix(".gz"),
        SINGLE.replace("AliyunLogs", "Logs"),
        SINGLE.replace("/Actiontrail/", "/Actiontrail-Insight/"),
        f"state/../{SINGLE}",
        f"./{SINGLE}",
        f"%2E%2E/{SINGLE}",
        f"{'x' * 1000}/{SINGLE}",
        f"a b\n/{SINGLE}",
        "",
    ],
)
def test_that_another_file_is_ignored(key: str) -> None:
    """What is no file of a trail is never asked for, and a line names it."""
    parsed = parse(payload(notice(put(key))))
    # %2E is dots only when decoded; then the name as it stands is what is looked for.
    files = () if "%2E" not in key else (TrailFile("acme-trail", (key,), "cn-hangzhou", None),)
    assert (parsed.files, parsed.signal.empty) == (files, True)
    assert files or [reason[:42] for reason in parsed.ignored] == [
        f"no file of a trail: oss://acme-trail/{key}"[:42].replace("\n", "?")
    ]


@pytest.mark.parametrize(
    ("event", "because"),
    [
        (notice(), "a notice of no files"),
        (
            notice(put(SINGLE, eventName="ObjectRemoved:DeleteObject")),
            "no file was put: a notice of ObjectRemoved:DeleteObject",
        ),
        (
            notice(put(SINGLE, eventName="ObjectReplication:ObjectRemoved")),
            "no file was put: a notice of ObjectReplication:ObjectRemoved",
        ),
        (notice(put(SINGLE, eventName=None)), "no file was put: a notice of None"),
        (notice(put(SINGLE, eventSource="cdn")), "unknown kind: a notice of cdn: ObjectCreated:PutObject"),
        (
            envelope("oss:ObjectRemoved:DeleteObject", put(SINGLE)),
            "unknown kind: oss:ObjectRemoved:DeleteObject (event e-1)",
        ),
    ],
)
def test_that_what_puts_no_file_is_ignored(event: object, because: str) -> None:
    """Files that go, and notices of others than object storage."""
    assert parse(payload(event)) == Parsed(ignored=(because,))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"events": 5}, "a notice: events: Expected `array`"),
        ({"events": ["x"]}, "a notice: events: Expected `object`"),
        (notice({"eventSource": "acs:oss", "eventName": "ObjectCreated:PutObject"}), "missing required field `oss`"),
        (notice(put(SINGLE, oss={"bucket": {"name": "b"}, "object": {"key": SINGLE}})), "$.oss.bucket.name"),
        (
            notice(put(SINGLE, oss={"bucket": {"name": "evil.example/a"}, "object": {"key": SINGLE}})),
            "$.oss.bucket.name",
        ),
        (notice(put(SINGLE, oss={"bucket": {"name": "abc"}, "object": {}})), "missing required field `key`"),
        (notice(put(SINGLE, region=5.5)), "$.region"),
        (envelope("oss:ObjectCreated:PutObject", {}), "missing required field `oss`"),
    ],
)
def test_that_a_notice_that_names_no_file_raises(event: Any, says: str) -> None:
    """A bucket or name that is missing or cannot be one: one line says where."""
    with pytest.raises(MalformedEvent) as raised:
        parse(payload(event))
    assert says in str(raised.value)
