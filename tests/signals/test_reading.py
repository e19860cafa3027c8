"""From an event to a signal with the files that it names, whatever becomes of them."""

from __future__ import annotations

import gzip
import json

import pytest

from orgshare.errors import ConfigurationError, NoAnswer, OrgshareError, Refused, TooLarge
from orgshare.signals import ANYBODY, MalformedEvent, Senders, parse, take_in, trails
from tests.signals.events import MANAGEMENT, OWNER, notice, payload, put, record

DAY = "cn-hangzhou/2026/11/21/Actiontrail_cn-hangzhou_20261121090500_1002_1_1_x.gz"
KEY = f"AliyunLogs/Actiontrail/{DAY}"
OTHER = f"AliyunLogs/Actiontrail/rd-1/9/{DAY}"
OURS = Senders(MANAGEMENT, frozenset({OWNER}))


class Bucket:
    """Files in a bucket; one may be an error."""

    def __init__(self, **files: bytes | OrgshareError) -> None:
        self.files = files
        self.asked: list[tuple[str, str, str | None, int]] = []

    def __call__(self, bucket: str, name: str, *, region: str | None, most: int) -> bytes | None:
        self.asked.append((bucket, name, region, most))
        found = self.files.get(name)
        if isinstance(found, OrgshareError):
            raise found
        return found


def moved(account: str) -> bytes:
    one = record("MoveAccount", "ResourceManager", requestParameters={"AccountId": account})
    return gzip.compress(json.dumps([one]).encode())


def test_that_an_event_that_names_no_file_reads_none() -> None:
    """Everything but a notice is what it says, and costs no call."""
    bucket = Bucket()
    event = payload(record("MoveAccount", "ResourceManager", requestParameters={"AccountId": "3"}))
    assert take_in(event, OURS, bucket) == parse(event, OURS)
    with pytest.raises(MalformedEvent):
        take_in(b"{", OURS, bucket)
    assert bucket.asked == []


def test_that_the_files_of_a_notice_are_read() -> None:
    """Each once, where the notice says that it is, and no file is left to be read."""
    bucket = Bucket(**{KEY: moved("11"), OTHER: moved("12")})
    taken = take_in(payload(notice(put(KEY), put(OTHER), put(KEY), put("photo.jpg"))), ANYBODY, bucket)
    assert taken.signal.accounts == {"11", "12"}
    assert taken.files == ()
    assert taken.ignored == ("no file of a trail: oss://acme-trail/photo.jpg",)
    assert bucket.asked == [("acme-trail", key, "cn-hangzhou", trails.MOST_BYTES) for key in (KEY, OTHER)]


def test_that_whose_records_count_is_asked_in_a_file_as_well() -> None:
    """A foreign record in a file is as foreign as one in an event."""
    one = record("MoveAccount", "ResourceManager", requestParameters={"AccountId": "3"}, recipientAccountId="9")
    bucket = Bucket(**{KEY: gzip.compress(json.dumps([one]).encode())})
    assert take_in(payload(notice(put(KEY))), OURS, bucket).signal.empty
    assert take_in(payload(notice(put(KEY))), ANYBODY, bucket).signal.accounts == {"3"}


def test_that_a_name_that_can_be_meant_two_ways_is_asked_for_both_ways() -> None:
    """First as it would be if it was encoded."""
    bucket = Bucket(**{f"a%2Db/{KEY}": moved("11")})
    assert take_in(payload(notice(put(f"a%2Db/{KEY}"))), ANYBODY, bucket).signal.accounts == {"11"}
    assert [name for _, name, _, _ in bucket.asked] == [f"a-b/{KEY}", f"a%2Db/{KEY}"]


@pytest.mark.parametrize(
    ("found", "because"),
    [
        (None, f"oss://acme-trail/{KEY}: it is not there (any more)"),
        (TooLarge("9 bytes"), f"oss://acme-trail/{KEY}: it cannot be read: 9 bytes"),
        (Refused("InvalidObjectState"), f"oss://acme-trail/{KEY}: it cannot be read: InvalidObjectState"),
    ],
)
def test_that_a_file_that_cannot_be_had_is_ignored_and_the_others_are_read(
    found: OrgshareError | None, because: str
) -> None:
    """Another try would find the same, and the next watch finds what it told of."""
    files: dict[str, bytes | OrgshareError] = (
        {OTHER: moved("12")} if found is None else {KEY: found, OTHER: moved("12")}
    )
    taken = take_in(payload(notice(put(KEY), put(OTHER))), ANYBODY, Bucket(**files))
    assert taken.signal.accounts == {"12"}
    assert taken.ignored == (because,)


@pytest.mark.parametrize("error", [NoAnswer("nobody"), ConfigurationError("AccessDenied; the credentials need more")])
def test_that_what_can_be_mended_is_raised(error: OrgshareError) -> None:
    """Storage that does not answer is worth another try; a missing permission is a person's to give."""
    with pytest.raises(type(error)):
        take_in(payload(notice(put(KEY))), ANYBODY, Bucket(**{KEY: error}))
