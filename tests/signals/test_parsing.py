import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orgshare.errors import OrgshareError
from orgshare.signals import ANYBODY, ImageAt, MalformedEvent, Parsed, Senders, Signal, parse, together, worker_request
from tests.signals.events import association, envelope, notice, payload, put, record, state_change, timer

KEYS = [
    "orgshare", "type", "specversion", "id", "source", "subject", "data", "triggerTime",
    "triggerName", "payload", "name", "product", "content", "imageId", "currentState", "eventName",
    "serviceName", "errorCode", "acsRegion", "requestParameters", "responseElements",
    "referencedResources", "ACS::ECS::Image", "userIdentity", "accountId", "AccountId", "ImageId",
    "ResourceType", "ResourceId", "ResourceId.1", "DestinationRegionId", "RegionId", "Account",
    "Handshake", "TargetType", "TargetEntity", "shards", "images", "accounts", "everything", "why",
    "region", "owner", "aliyunaccountid", "aliyunregionid", "recipientAccountId", "task",
    "resourceId", "userId", "eventId", "events", "eventSource", "oss", "bucket", "object", "key",
    "resourceOwnerAccountId", "targetAccountId", "userAgent", "aliyunoriginalaccountid", "MasterAccountId",
]  # fmt: skip
WORDS = [
    "", "ecs", "Ecs", "ECS", "ResourceManager", "image", "Account", "Image:StateChange",
    "ecs:Image:StateChange", "ecs:ActionTrail:ApiCall",
    "resourcemanager:ActionTrail:ConsoleOperation", "CreateImage", "CopyImage", "DeleteImage",
    "TagResources", "MoveAccount", "AcceptHandshake", "CreateCloudAccount", "DeleteFolder", "m-1",
    "1000000000000002", "cn-hangzhou", '{"task":"reconcile"}', '{"owner":"1"}', "ecs/1/cn-hangzhou",
    "a b", "\n", "acs:ecs:cn-hangzhou:1:image/m-1", "acs:oss", "ObjectCreated:PutObject", "acme-trail",
    "oss:ObjectCreated:PutObject", "AliyunLogs%2FActiontrail", "orgshare/1 run/2", "AssociateResourceShare",
    "resourcemanager:ResourceSharing:AssociationStatusChange", "ResourceSharing", "Image",
    "AliyunLogs/Actiontrail/rd-1/1/cn-a/2026/11/21/Actiontrail_x.gz",
]  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)


def _grow(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(KEYS) | st.text(max_size=5)
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6)


ANYTHING = st.recursive(LEAVES, _grow, max_leaves=25)
OF_IMAGES: dict[str, Any] = {
    "requestParameters": {
        "ImageId": "m-1",
        "DestinationRegionId": "cn-a",
        "ResourceType": "image",
        "ResourceId.1": "m-1",
    },
    "responseElements": {"ImageId": "m-2"},
    "referencedResources": {"ACS::ECS::Image": ["m-1", "m-2"]},
}
OF_ACCOUNTS: dict[str, Any] = {
    "requestParameters": {"AccountId": "1", "ResourceType": "Account", "ResourceId": ["1"]},
    "responseElements": {
        "Account": {"AccountId": "1"},
        "Handshake": {"TargetType": "Account", "TargetEntity": "1"},
    },
}
WHOLE = [
    envelope("ecs:Image:StateChange", {"imageId": "m-1", "currentState": "Available"}, aliyunregionid="cn-a"),
    state_change({"imageId": "m-1"}, resourceId="acs:ecs:cn-hangzhou:1:image/m-1", userId="1", regionId="cn-a"),
    timer('{"task": "reconcile", "owner": "1", "region": "cn-a"}'),
    association(),
    notice(put("AliyunLogs/Actiontrail/rd-1/1/cn-a/2026/11/21/Actiontrail_x.gz")),
    envelope("oss:ObjectCreated:PutObject", put("AliyunLogs/Actiontrail/cn-a/2026/11/21/Actiontrail_x.gz")),
    record("DeleteResourceShare", "ResourceSharing", requestParameters={"RegionId": "cn-a"}),
    {
        "orgshare": {
            "accounts": ["1"],
            "images": ["m-1", {"id": "m-2"}],
            "shards": ["ecs/1/cn-a"],
            "why": ["x"],
        }
    },
    *(
        envelope("ecs:ActionTrail:ApiCall", record(name, **{part: value}))
        for name in ("CreateImage", "CopyImage", "DeleteImage", "TagResources")
        for part, value in OF_IMAGES.items()
    ),
    *(
        record(name, "ResourceManager", userIdentity={"accountId": "1"}, **{part: value})
        for name in ("CreateCloudAccount", "AcceptHandshake", "MoveAccount", "TagResources", "DeleteFolder")
        for part, value in OF_ACCOUNTS.items()
    ),
]


@st.composite
def _damaged(draw: st.DrawFn) -> object:
    """A whole event in which one value, at any depth, is gone or is anything else."""
    event = copy.deepcopy(draw(st.sampled_from(WHOLE)))
    place: Any = event
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], dict | list) and place[key] and draw(st.booleans())):
            break
        place = place[key]
    if draw(st.booleans()):
        del place[key]
    else:
        place[key] = draw(ANYTHING)
    return event


OURS = Senders("1", frozenset({"1", "1000000000000002"}))


def _check(event: bytes | str, senders: Senders = ANYBODY) -> None:
    try:
        parsed = parse(event, senders)
    except MalformedEvent as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 1000
    else:
        assert isinstance(parsed, Parsed)
        assert parse(worker_request(parsed.signal)) == Parsed(parsed.signal)
        assert parsed.signal.why or parsed.ignored or parsed.files or "orgshare" in str(event)
        assert all(line.isprintable() and len(line) < 1000 for line in parsed.ignored)


@settings(deadline=None)
@given(st.binary())
@example(b"")
@example(b"\xff")
@example(b'"\\ud800"')
@example(b'{"name": "\\ud83d"}')
@example(b"[" * 100_000)
@example(b'{"data":' * 100_000)
@example(b"1" * 10_000)
@example(b"\xef\xbb\xbf{}")
def test_that_any_bytes_are_parsed_or_malformed(event: bytes) -> None:
    """Whatever the platform hands over, the answer is a signal or the one error."""
    _check(event)


@settings(deadline=None)
@given(st.text(st.characters()))
@example("\ud800")
@example('{"name": "\ud800"}')
def test_that_any_text_is_parsed_or_malformed(event: str) -> None:
    """The same for text, such as a file that somebody passes to the command line."""
    _check(event)


@settings(deadline=None)
@given(ANYTHING | _damaged() | st.lists(_damaged(), max_size=3), st.sampled_from([ANYBODY, OURS]))
def test_that_any_json_is_parsed_or_malformed(event: object, senders: Senders) -> None:
    """JSON of any form, and good events of which a part is missing or wrong, are parsed or malformed too."""
    _check(json.dumps(event), senders)


@settings(deadline=None)
@given(st.lists(_damaged(), min_size=1, max_size=4), st.sampled_from([ANYBODY, OURS]))
def test_that_a_list_says_what_its_events_say_together(events: list[Any], senders: Senders) -> None:
    """A list of events is what each of them is alone, merged; one that is malformed makes the list so."""
    try:
        alone = [parse(payload(one), senders) for one in events]
    except MalformedEvent:
        with pytest.raises(MalformedEvent):
            parse(payload(events), senders)
    else:
        assert parse(payload(events), senders) == parse(payload([*events, *events]), senders) == together(alone)


def test_that_a_list_is_one_signal() -> None:
    """A list of events of any kinds is one signal and one list of what was ignored."""
    events = [
        envelope("ecs:Image:StateChange", {"imageId": "m-1"}),
        record("MoveAccount", "ResourceManager", requestParameters={"AccountId": "3"}),
        record("StopInstance"),
        timer("", triggerName="t"),
        state_change({"imageId": "m-2"}),
    ]
    assert parse(payload(events)) == Parsed(
        Signal(
            accounts=frozenset({"3"}),
            images=frozenset({ImageAt("m-1"), ImageAt("m-2")}),
            everything=True,
            why=(
                "Image:StateChange of m-1 to ? (event e-1)",
                "MoveAccount of 3 (event e-1)",
                "timer t at 2026-11-21T10:00:00Z",
                "Image:StateChange of m-2 to ? (event e-1)",
            ),
        ),
        ("of no interest: Ecs StopInstance (event e-1)",),
    )


def test_that_an_event_that_came_twice_is_one_look() -> None:
    """An event that a network error doubled is looked at once, and ignored ones are told once."""
    looked = envelope("ecs:Image:StateChange", {"imageId": "m-1", "currentState": "Available"})
    unknown = envelope("ecs:Disk:Attached", {})
    assert parse(payload([looked, unknown, looked, unknown])) == Parsed(
        parse(payload(looked)).signal, parse(payload(unknown)).ignored
    )


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("", "expected an event as JSON in UTF-8"),
        ("{", "expected an event as JSON in UTF-8"),
        (b"\xff\xfe", "expected an event as JSON in UTF-8"),
        ("null", "expected an event as a JSON object, got null"),
        ("true", "expected an event as a JSON object, got true or false"),
        ("3", "expected an event as a JSON object, got a number"),
        ("0.5", "expected an event as a JSON object, got a number"),
        ('"text"', "expected an event as a JSON object, got a string"),
        ("[[]]", "event 1 of 1: expected an event as a JSON object, got a list"),
        ('[{}, {"type": 5}]', "event 2 of 2: an EventBridge event: Expected `str`, got `int` - at `$.type`"),
        ('{"specversion": "1.0"}', "an EventBridge event: Object missing required field `type`"),
    ],
)
def test_that_what_is_no_event_raises(event: bytes | str, says: str) -> None:
    """No JSON, no object, or an envelope without a type: one line says what was expected."""
    with pytest.raises(MalformedEvent) as raised:
        parse(event)
    assert says in str(raised.value)
    assert isinstance(raised.value, OrgshareError)


@pytest.mark.parametrize(
    ("event", "because"),
    [
        ({}, "an empty object"),
        ([], "a list of no events"),
        ({"": 1}, "unknown kind: an object with the keys "),
        ({"events": [{"eventSource": "acs:cdn"}]}, "unknown kind: a notice of acs:cdn: None"),
        ({"b\n": 1, "a": 2}, "unknown kind: an object with the keys a, b?"),
        (
            {"name": "Instance:StateChange", "product": "ECS"},
            "unknown kind: ecs:Instance:StateChange (event ?)",
        ),
        ({"name": "Image:StateChange", "product": "EDS"}, "unknown kind: eds:Image:StateChange (event ?)"),
        ({"name": 5}, "unknown kind: ecs:5 (event ?)"),
        (
            {"eventName": "ObjectCreated:PutObject"},
            "of no interest: no service ObjectCreated:PutObject (event ?)",
        ),
        ({"type": "a:b\r\nforged: line"}, "unknown kind: a:b??forged: line (event ?)"),
        (
            envelope("slb:ActionTrail:ApiCall", "no object"),
            "unknown kind: slb:ActionTrail:ApiCall (event e-1)",
        ),
        (envelope("ecs:ActionTrail:Insight", {}), "unknown kind: ecs:ActionTrail:Insight (event e-1)"),
        (envelope("ecs:ActionTrail:ApiCalls", {}), "unknown kind: ecs:ActionTrail:ApiCalls (event e-1)"),
        (envelope("ecs:Image:statechange", {}), "unknown kind: ecs:Image:statechange (event e-1)"),
    ],
)
def test_that_an_unknown_kind_is_ignored_with_a_reason(event: object, because: str) -> None:
    """What nobody here knows asks for nothing, and one printable line says what it was."""
    assert parse(payload(event)) == Parsed(ignored=(because,))


def test_that_a_long_text_from_outside_is_cut() -> None:
    """An event cannot flood the log through its names."""
    (reason,) = parse(payload({"type": "x" * 100_000})).ignored
    assert reason == f"unknown kind: {'x' * 119}… (event ?)"
