"""The content of a trail file: many audit records, few of which matter.

A trail tells of every call of every account, so most records are glanced at and only counted, and what is said of the
others is bounded, too: in the log, in what a worker is asked for, in the state. ActionTrail's page says that a file is
gzip and no more of its form, so an array of records is read as well as one record a line: as values with brackets,
commas and space between them.
https://alibabacloud.com/help/en/actiontrail/support/what-is-the-storage-path-of-an-event-that-is-delivered-to-an-oss-bucket

What can go wrong: a file that unpacks to more than there is memory, that ends too early, or in which something cannot
be read. None of these is an error, because no other try would read it better: what can be read is taken, and a line
says what was left out. What was in it is found by the next watch or sweep. A file is unpacked piece by piece and
never held as a whole, and what is held of it is at most a record of a size that no record has.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Generator, Iterator
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from orgshare.signals import actiontrail
from orgshare.signals.model import ANYBODY, MalformedEvent, Parsed, Senders, TrailFile, decode_as, together

MOST_BYTES = 16 * 2**20
"""A file is fetched if it is no larger; the trail writes one every few minutes."""
MOST_UNPACKED = 256 * 2**20
"""A file is unpacked up to here, which takes some seconds."""
MOST_RECORDS = 100_000
"""A file is read up to here."""
_MOST_OF_A_RECORD = 2**20
"""Characters within which a record has to end; an event of EventBridge has 256 KB at most."""
_MOST_UNREADABLE = 1000
"""A file with more than this in it that cannot be read is no trail file."""
_MOST_ARCHIVES = 1000
"""Archives in one file, one behind the other, that are unpacked."""
_MOST_LINES = 20
"""Lines that are said of one file for one thing."""
_PIECE = 2**16

_GZIP = b"\x1f\x8b"
_WITH_GZIP_HEADER = 31
_BETWEEN = re.compile(r"[\s,\[\]\ufeff]*")

# Numbers are left as they are written: nobody looks at them, and very long ones are slow to convert.
_SCAN = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class _Value(NamedTuple):
    """A value of a file and its text; ``None`` where there is something that cannot be read."""

    value: object
    text: str


class _CutShort(Exception):
    """There may be more in a file, and why it is not read."""


def parse(content: bytes, file: TrailFile, senders: Senders = ANYBODY) -> Parsed:
    """What the records in a trail file say to look at. Raises nothing, whatever the bytes are."""
    parts: list[Parsed] = []
    complaints: list[str] = []
    number = uninteresting = unreadable = 0
    try:
        for number, found in enumerate(islice(_values(_unpacked(content)), MOST_RECORDS), 1):
            value = found.value
            if not isinstance(value, dict):
                unreadable += 1
                if unreadable > _MOST_UNREADABLE:
                    complaints.append(f"what is beyond {_MOST_UNREADABLE:,} of those was not read")
                    break
            elif not actiontrail.knows(str(value.get("serviceName")), str(value.get("eventName"))):
                uninteresting += 1
            else:
                parts.append(_read(found.text, file, senders, number))
        if number == MOST_RECORDS:
            complaints.append(f"what is beyond {MOST_RECORDS:,} records was not read")
    except _CutShort as reason:
        complaints.append(str(reason))
    if unreadable:
        complaints.insert(0, f"{unreadable} of {number} records cannot be read")
    if uninteresting or not number:
        complaints.append(f"{uninteresting} of {number} records are of no interest")
    whole = together(parts)
    said = tuple(f"{file}: {complaint}" for complaint in complaints)
    why = _short(whole.signal.why, f"more in {file}")
    return Parsed(replace(whole.signal, why=why), (*said, *_short(whole.ignored, f"more were ignored in {file}")))


def _read(text: str, file: TrailFile, senders: Senders, number: int) -> Parsed:
    """What one record says; one that is malformed leaves the others as they are."""
    try:
        record = decode_as(text, dict[str, object], "no JSON")
        return actiontrail.parse(record, senders, account=file.account)
    except MalformedEvent as error:
        return Parsed(ignored=(f"{file}: record {number}: {error}",))


def _short(lines: tuple[str, ...], rest: str) -> tuple[str, ...]:
    """So many lines, and how many more there are."""
    more = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], f"{more} {rest}") if more > 0 else lines


def _unpacked(content: bytes) -> Iterator[bytes]:
    """A file's text in pieces. Raises ``_CutShort`` behind the last that can be had. What is no gzip is text itself."""
    if not content.startswith(_GZIP):
        yield from (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))
        return
    at, left = 0, MOST_UNPACKED
    for _ in range(_MOST_ARCHIVES):
        archive = zlib.decompressobj(_WITH_GZIP_HEADER)
        while not archive.eof:
            packed = archive.unconsumed_tail
            if not packed:
                packed = content[at : at + _PIECE]
                at += len(packed)
            try:
                piece = archive.decompress(packed, _PIECE)
            except zlib.error as error:
                raise _CutShort(f"its gzip is damaged ({error})") from error
            if not packed and not piece and not archive.eof:
                raise _CutShort("its gzip ends too early")
            left -= len(piece)
            if left < 0:
                raise _CutShort(f"what is beyond {MOST_UNPACKED >> 20} MiB was not read")
            yield piece
        at -= len(archive.unused_data)
        if not content.startswith(_GZIP, at):
            return
    raise _CutShort(f"what is beyond {_MOST_ARCHIVES} archives in one was not read")


def _values(pieces: Iterator[bytes]) -> Iterator[_Value]:
    """Every value of a text. One that cannot be read ends with its line."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""
    for piece in pieces:
        held = yield from _values_of(held + decoder.decode(piece), more=True)
    yield from _values_of(held + decoder.decode(b"", final=True), more=False)


def _values_of(text: str, *, more: bool) -> Generator[_Value, None, str]:
    """The values of a part of a text; returns what may be the beginning of one that goes on in the next part."""
    at = 0
    while (at := _next(text, at)) < len(text):
        try:
            value, end = _SCAN(text, at)
        except (ValueError, RecursionError):
            if more and len(text) - at <= _MOST_OF_A_RECORD:
                return text[at:]
            line_feed = text.find("\n", at)
            value, end = None, line_feed if line_feed >= 0 else len(text)
        yield _Value(value, text[at:end])
        at = end
    return ""


def _next(text: str, at: int) -> int:
    """Where the next value begins."""
    found = _BETWEEN.match(text, at)
    return found.end() if found else at
