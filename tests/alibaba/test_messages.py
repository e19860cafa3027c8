"""The topic in which a person is told, against the local cloud."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from localcloud import LocalCloud, LogEntry
from localcloud.server import serving
from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import Credentials
from orgshare.alibaba.messages import MessageTopic, Topic
from orgshare.errors import CredentialsRefused, NoAnswer, Refused, TryAgain
from tests.support.cloud import OWNER, REGION, SHOP, key_of, start, world

BOXES = {"topics/alerts": {"owner": OWNER, "region": REGION}}
ALERTS = Topic(REGION, OWNER, "alerts")


def patient() -> Calls:
    """Calls whose waits cost nothing."""
    return Calls(sleep=lambda _: None, random=Random(1), clock=lambda: 0.0)


def topic(place: Topic = ALERTS, **more: Any) -> MessageTopic:
    given = more.pop("credentials", Credentials(key_of(OWNER), "local"))
    return MessageTopic(place, credentials=given, calls=patient(), run="r1", **more)


@pytest.fixture
def cloud(begin: Callable[..., LocalCloud]) -> LocalCloud:
    return begin(mailboxes=BOXES)


def test_the_place_is_read_as_it_is_written() -> None:
    """As policies and templates write it; anything else says what was expected."""
    assert str(Topic.parse(str(ALERTS))) == "acs:mns:cn-hangzhou:1000000000000002:/topics/alerts"
    for text in (
        "alerts",
        f"acs:mns:{REGION}:{OWNER}:/queues/alerts",
        f"acs:mns:{REGION}::/topics/alerts",
        f"{ALERTS}/",
    ):
        with pytest.raises(ValueError, match="expected acs:mns:REGION:ACCOUNT:/topics/NAME"):
            Topic.parse(text)


def test_a_message_arrives_as_it_is(cloud: LocalCloud) -> None:
    """Whatever its letters are, but what no XML can carry; the run is named in the user agent."""
    seen: list[LogEntry] = []
    cloud.on_request(seen.append)
    topic().publish("one <two> & ü 漢 🙂\nnext\x00\x1b]]> \ud800.")
    topic().check()
    assert [one.body for one in cloud.messages("topics/alerts")] == ["one <two> & ü 漢 🙂\nnext??]]> ?."]
    assert [(one.action, one.status) for one in seen] == [("PublishMessage", 201), ("GetTopicAttributes", 200)]
    assert seen[0].agent.endswith("run/r1")


def test_over_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local cloud is reached as a proxy, whatever proxies the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(start(world(mailboxes=BOXES))) as url:
        topic(local_cloud=url).publish("x")


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (Topic(REGION, OWNER, "none"), "TopicNotExist"),
        (Topic("ap-southeast-1", OWNER, "alerts"), "TopicNotExist"),
        (Topic(REGION, SHOP, "alerts"), "AccessDenied"),
    ],
)
def test_refusals_keep_code_and_request_id(cloud: LocalCloud, place: Topic, code: str) -> None:
    """They are not tried again."""
    asks: tuple[Callable[[], None], ...] = (lambda: topic(place).publish("x"), lambda: topic(place).check())
    for ask in asks:
        with pytest.raises(Refused, match=code) as caught:
            ask()
        assert caught.value.code == code
        assert caught.value.request_id
    assert cloud.calls["mns:PublishMessage"] == 1


def test_credentials_that_are_refused(cloud: LocalCloud) -> None:
    """Nothing of them is told."""
    for given in (
        Credentials("NOBODY", "x"),
        Credentials(key_of(OWNER), "hidden-secret"),
        Credentials("k", "s", "hidden"),
    ):
        with pytest.raises(CredentialsRefused) as caught:
            topic(credentials=given).publish("x")
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "times", "told", "error"),
    [
        ("throttle", 2, 1, None),
        ("error", 1, 0, NoAnswer),
        ("no-answer", 1, 0, NoAnswer),
        ("lost-answer", 1, 1, NoAnswer),
        ("malformed", 1, 1, None),
    ],
)
def test_what_fails_on_the_way(
    cloud: LocalCloud, kind: str, times: int, told: int, error: type[TryAgain] | None
) -> None:
    """Only what was certainly not published is published again by itself."""
    cloud.patch({"faults": [{"operation": "mns:PublishMessage", "kind": kind, "times": times}]})
    if error is None:
        topic().publish("x")
    else:
        with pytest.raises(error):
            topic().publish("x")
    assert len(cloud.messages()) == told


def test_an_error_in_no_known_form(cloud: LocalCloud) -> None:
    """A gateway's page instead of the service's XML."""
    cloud.patch({"faults": [{"operation": "mns:GetTopicAttributes", "kind": "error", "code": "<", "times": 9}]})
    with pytest.raises(TryAgain):
        topic().check()
