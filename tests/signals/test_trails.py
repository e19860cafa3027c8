"""The content of a trail file: what is taken, what is counted, and that nothing in it is an error."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orgshare.signals import ImageAt, Parsed, Senders, TrailFile, parse, trails, worker_request
from tests.signals.events import MANAGEMENT, OWNER, payload, record

FILE = TrailFile("acme-trail", ("AliyunLogs/Actiontrail/x.gz",), "cn-hangzhou", None)
NAME = "oss://acme-trail/AliyunLogs/Actiontrail/x.gz"
OURS = Senders(MANAGEMENT, frozenset({OWNER}))


def moved(account: str, **more: Any) -> dict[str, Any]:
    asked = {"requestParameters": {"AccountId": account}}
    return record("MoveAccount", "ResourceManager", **{**asked, "eventId": f"e-{account}", **more})


def noise(number: int) -> dict[str, Any]:
    return record("DescribeInstances", eventId=f"n-{number}")


def array(*records: object, indent: int | None = None) -> bytes:
    return json.dumps(records, indent=indent).encode()


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


THREE = [noise(1), moved("11"), moved("12"), noise(2), moved("13")]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(array(*THREE)),
        gzip.compress(array(*THREE, indent=2)),
        gzip.compress(lines(*THREE)),
        gzip.compress(lines(*THREE).rstrip(b"\n")),
        gzip.compress(lines(*THREE).replace(b"\n", b"\r\n\r\n")),
        gzip.compress(b"\xef\xbb\xbf \n" + array(*THREE)),
        gzip.compress(lines(*THREE[:2])) + gzip.compress(lines(*THREE[2:])),
        gzip.compress(array(*THREE[:2]) + b"\n" + array(*THREE[2:])),
        gzip.compress(lines(*THREE)) + b"\0" * 512,
        array(*THREE),
        lines(*THREE),
    ],
    ids=[
        "array", "indented", "lines", "no last line feed", "empty lines", "mark and space", "two archives",
        "arrays on lines", "padded", "array not packed", "lines not packed",
    ],
)  # fmt: skip
def test_that_every_form_holds_the_same_records(content: bytes) -> None:
    """An array or one record a line, packed or not: what matters is taken and the rest is counted."""
    parsed = trails.parse(content, FILE, OURS)
    assert parsed.signal.accounts == {"11", "12", "13"}
    assert parsed.signal.why == tuple(f"MoveAccount of {n} (event e-{n})" for n in (11, 12, 13))
    assert parsed.ignored == (f"{NAME}: 2 of 5 records are of no interest",)


def test_that_one_record_is_a_file_as_well() -> None:
    """A file of one line."""
    assert trails.parse(gzip.compress(json.dumps(moved("11")).encode()), FILE) == Parsed(
        parse(payload(moved("11"))).signal
    )


@pytest.mark.parametrize(
    "content",
    [b"", b" \n ", gzip.compress(b""), gzip.compress(b"[]")],
    ids=["nothing", "space", "an archive of nothing", "an array of nothing"],
)
def test_that_a_file_of_nothing_says_so(content: bytes) -> None:
    """No record is no error."""
    assert trails.parse(content, FILE) == Parsed(ignored=(f"{NAME}: 0 of 0 records are of no interest",))


def test_that_each_record_is_judged_as_if_it_came_alone() -> None:
    """Failed, foreign, malformed and our own: each is left out with its reason, and the others are taken."""
    records = [
        moved("11"),
        moved("12", errorCode="NoPermission"),
        moved("13", recipientAccountId="9"),
        moved("14", userAgent="orgshare/1.0 run/r1"),
        moved("15", requestParameters={}),
        record("CopyImage", requestParameters={"DestinationRegionId": "cn-b"}, responseElements={"ImageId": "m-2"}),
        5,
    ]
    parsed = trails.parse(gzip.compress(array(*records)), FILE, OURS)
    assert parsed.signal.accounts == {"11"}
    assert parsed.signal.images == {ImageAt("m-2", "cn-b", OWNER)}
    assert parsed.ignored == (
        f"{NAME}: 1 of 7 records cannot be read",
        "failed with NoPermission: ResourceManager MoveAccount (event e-12)",
        "foreign: ResourceManager MoveAccount (event e-13): 9 is not the management account 1000000000000001",
        "our own: ResourceManager MoveAccount of run r1",
        f"{NAME}: record 5: MoveAccount: expected AccountId in requestParameters",
    )


def test_that_the_name_of_a_file_says_whose_records_it_holds() -> None:
    """A record need not say it; in a trail of an organization the file's folder does."""
    one = moved("11", recipientAccountId=None)
    content = gzip.compress(array(one))
    assert trails.parse(content, FILE._replace(account=MANAGEMENT), OURS).signal.accounts == {"11"}
    assert trails.parse(content, FILE._replace(account="9"), OURS).signal.empty


@pytest.mark.parametrize("form", [array, lines])
def test_that_a_file_that_ends_too_early_gives_what_it_has(form: Callable[..., bytes]) -> None:
    """Every record that is whole is taken, and a line says that there may be more."""
    packed = gzip.compress(form(*(moved(str(number)) for number in range(1000, 3000))), compresslevel=1)
    parsed = trails.parse(packed[: len(packed) // 2], FILE)
    assert 500 < len(parsed.signal.accounts) < 1500
    assert parsed.ignored == (f"{NAME}: its gzip ends too early",)


def test_that_a_text_that_ends_too_early_gives_what_it_has() -> None:
    """The same where the archive is whole and what was put into it was not."""
    content = array(*THREE)
    parsed = trails.parse(gzip.compress(content[:-20]), FILE)
    assert parsed.signal.accounts == {"11", "12"}
    assert f"{NAME}: 1 of 5 records cannot be read" in parsed.ignored


def test_that_a_damaged_file_gives_what_comes_before_the_damage() -> None:
    """A sum that is wrong at the end is found at the end."""
    packed = bytearray(gzip.compress(lines(*THREE)))
    packed[-6] ^= 0xFF
    parsed = trails.parse(bytes(packed), FILE)
    assert any("its gzip is damaged" in reason for reason in parsed.ignored)


def test_that_a_line_that_cannot_be_read_costs_no_other() -> None:
    """What is no JSON ends with its line."""
    content = lines(moved("11")) + b'{"eventName": "Mo\n' + lines(moved("12"))
    parsed = trails.parse(gzip.compress(content), FILE)
    assert parsed.signal.accounts == {"11", "12"}
    assert parsed.ignored == (f"{NAME}: 1 of 3 records cannot be read",)


def test_that_records_may_lie_anywhere_in_what_is_unpacked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However a text falls into pieces, also within a character, the same is found."""
    records = [moved(str(number), eventId=f"é-{number}") for number in range(10, 20)]
    text = json.dumps(records, ensure_ascii=False).encode()
    for size in (1, 2, 7, 100, 10_000):
        monkeypatch.setattr(trails, "_PIECE", size)
        for content in (gzip.compress(text), text):
            parsed = trails.parse(content, FILE)
            assert parsed.signal.accounts == {str(number) for number in range(10, 20)}
            assert parsed.signal.why[0] == "MoveAccount of 10 (event é-10)"
            assert parsed.ignored == ()


def test_that_a_record_that_does_not_end_is_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not held for longer than any record could be; what comes on later lines is read."""
    monkeypatch.setattr(trails, "_PIECE", 2**12)
    monkeypatch.setattr(trails, "_MOST_OF_A_RECORD", 2**14)
    endless = b'{"eventName": "MoveAccount", "requestParameters": {"AccountId": "' + b"1" * 2**18
    parsed = trails.parse(gzip.compress(lines(moved("11")) + endless + b"\n" + lines(moved("12"))), FILE)
    assert parsed.signal.accounts == {"11", "12"}


def bomb(text: bytes, times: int) -> bytes:
    """An archive of a text so many times over, made piece by piece."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = text * 1000
    return b"".join([*(packing.compress(block) for _ in range(times // 1000)), packing.flush()])


@pytest.mark.parametrize(
    "text", [b" ", b"[", b"1,", b"{},", b"x\n", b'{"a":', b'{"a":[', b'"', b'{"a":"\n', b'{"a":[0],\n'], ids=repr
)
def test_that_a_bomb_takes_no_memory(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks to very much of anything is read up to the limits, piece by piece."""
    monkeypatch.setattr(trails, "MOST_UNPACKED", 2**20)
    monkeypatch.setattr(trails, "MOST_RECORDS", 2_000)
    monkeypatch.setattr(trails, "_MOST_OF_A_RECORD", 2**16)
    content = gzip.compress(lines(moved("11"))) + bomb(text, 2**23 // len(text))
    assert len(content) < 2**16
    tracemalloc.start()
    try:
        parsed = trails.parse(content, FILE)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parsed.signal.accounts == {"11"}
    assert any(f"{NAME}: what is beyond" in reason for reason in parsed.ignored)
    assert most < 2**21


def test_that_archives_behind_archives_are_not_followed_for_ever() -> None:
    """A file of very many small archives is read up to a limit."""
    content = b"".join(gzip.compress(lines(moved(str(number)))) for number in range(1100))
    parsed = trails.parse(content, FILE)
    assert len(parsed.signal.accounts) == 1000
    assert f"{NAME}: what is beyond 1000 archives in one was not read" in parsed.ignored


def test_that_what_is_said_of_a_large_file_is_bounded() -> None:
    """All accounts are looked at, and a few of the reasons are said: a log, a request and a state stay small."""
    many = [moved(str(number)) for number in range(1000, 2000)]
    failed = [moved(str(number), errorCode="No") for number in range(2000, 3000)]
    broken = [moved(str(number), requestParameters=5) for number in range(3000, 4000)]
    parsed = trails.parse(gzip.compress(lines(*many, *failed, *broken, *map(noise, range(5000)))), FILE)
    assert len(parsed.signal.accounts) == 1000
    assert (len(parsed.signal.why), parsed.signal.why[-1]) == (21, f"980 more in {NAME}")
    assert len(parsed.ignored) == 22
    assert parsed.ignored[0] == f"{NAME}: 5000 of 8000 records are of no interest"
    assert parsed.ignored[-1] == f"1980 more were ignored in {NAME}"


@settings(deadline=None)
@given(st.binary(), st.booleans())
@example(b"[" * 100_000, True)
@example(b'{"eventName":"MoveAccount","serviceName":"ResourceManager","x":' + b"[" * 100_000, True)
@example(
    b'[{"eventName":"MoveAccount","serviceName":"ResourceManager","requestParameters":{"AccountId":"\xff"}}]', True
)
@example(b'{"eventName":["MoveAccount"],"serviceName":{"ecs":1}}\n{"eventName":"MoveAccount"}', False)
@example(b"\x1f\x8b", False)
@example(b"\x1f\x8b\x08\x00", False)
def test_that_any_bytes_are_a_trail_file(content: bytes, packed: bool) -> None:
    """Whatever is in a file, something is said of it, nothing is raised, and a worker can be asked for the rest."""
    parsed = trails.parse(gzip.compress(content) if packed else content, FILE)
    assert parsed.ignored or not parsed.signal.empty
    assert all(reason.isprintable() and len(reason) < 1000 for reason in parsed.ignored)
    assert parse(worker_request(parsed.signal)).signal == parsed.signal


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from([*THREE, moved("14", errorCode="No"), moved("15", recipientAccountId="9"), 5, "x", {}])),
    st.booleans(),
)
def test_that_a_file_says_what_its_records_say_together(records: list[Any], as_lines: bool) -> None:
    """Whatever the form, the look is that of all its records, as if each had come alone."""
    found = trails.parse(gzip.compress((lines if as_lines else array)(*records)), FILE, OURS).signal
    alone = [parse(payload(one), OURS) for one in records if isinstance(one, dict)]
    assert found.accounts == frozenset().union(*(each.signal.accounts for each in alone))
    assert set(found.why) == {why for each in alone for why in each.signal.why}
