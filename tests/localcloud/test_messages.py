"""Simple Message Queue as the local cloud serves it, through the vendor's own SDK over a real socket."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
from mns.account import Account
from mns.mns_exception import MNSExceptionBase
from mns.queue import Message
from mns.topic import TopicMessage

from localcloud import HttpRequest, LocalCloud, WorldError
from localcloud.catalog import message_host
from localcloud.mns.exchange import _signature
from localcloud.server import serving
from tests.support.cloud import MANAGEMENT, OWNER, REGION, SHOP, key_of, start, world

BOXES = {
    "topics/alerts": {"owner": OWNER, "region": REGION},
    "queues/failures": {"owner": OWNER, "region": REGION},
    "topics/shop": {"owner": SHOP, "region": REGION},
}
ROLE = f"acs:ram::{OWNER}:role/teller"


@pytest.fixture
def cloud() -> LocalCloud:
    return start(world(mailboxes=BOXES, roles={ROLE: {"trusts": [MANAGEMENT]}}))


@pytest.fixture
def url(cloud: LocalCloud) -> Iterator[str]:
    with serving(cloud) as address:
        yield address


class Sdk:
    """The vendor's SDK, whose connections are closed when the test ends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.made: list[Any] = []

    def __call__(self, *, key: str = "", secret: str = "local", token: str = "") -> Any:
        made = Account(self.url, key or key_of(OWNER), secret, security_token=token)
        self.made.append(made.mns_client)
        return made


@pytest.fixture
def account(url: str) -> Iterator[Sdk]:
    sdk = Sdk(url)
    yield sdk
    for made in sdk.made:
        made.close_connection()


def refused(code: str, call: Callable[[], object]) -> None:
    with pytest.raises(MNSExceptionBase) as caught:
        call()
    assert caught.value.type == code


def test_the_vendors_sdk_publishes_and_sends(cloud: LocalCloud, url: str, account: Sdk) -> None:
    """What it sent is kept as it was, whatever its letters, and shown under /_localcloud/messages."""
    text = 'three: <a> & "b" ü 漢\nnext'
    told = account().get_topic("alerts").publish_message(TopicMessage(text))
    assert told.message_body_md5 == hashlib.md5(text.encode()).hexdigest().upper()
    queue = account().get_queue("failures")
    queue.set_encoding(False)
    queue.send_message(Message("left over"))
    assert account().get_topic("alerts").get_attributes().maximum_message_size == 65536
    assert [(one.mailbox, one.body, one.account, one.region) for one in cloud.messages()] == [
        ("topics/alerts", text, OWNER, REGION),
        ("queues/failures", "left over", OWNER, REGION),
    ]
    with build_opener(ProxyHandler({})).open(f"{url}/_localcloud/messages?mailbox=topics/alerts", timeout=30) as answer:
        (row,) = json.load(answer)["messages"]
    assert row == {
        "account": OWNER, "region": REGION, "mailbox": "topics/alerts", "id": told.message_id,
        "time": cloud.clock.now(), "sender": f"acs:ram::{OWNER}:root", "body": text,
    }  # fmt: skip
    assert cloud.calls == {"mns:PublishMessage": 1, "mns:SendMessage": 1, "mns:GetTopicAttributes": 1}


def test_temporary_keys_need_their_token(cloud: LocalCloud, account: Sdk) -> None:
    """As everywhere; a role acts in its account."""
    identity = cloud._gateway.models.identity
    _, caller = identity.authenticate(key_of(MANAGEMENT), "", now=cloud.clock.now())
    session = identity.assume(
        caller,
        ROLE,
        "tests",
        seconds=None,
        facts={},
        session_policy=None,
        now=cloud.clock.now(),
        random=random.Random(1),
    )
    given = {"key": session.access_key, "secret": session.secret}
    account(**given, token=session.token).get_topic("alerts").publish_message(TopicMessage("x"))
    refused("InvalidAccessKeyId", lambda: account(**given).get_topic("alerts").publish_message(TopicMessage("x")))
    assert [one.sender.split("/")[1] for one in cloud.messages()] == ["teller"]


def test_refusals(cloud: LocalCloud, account: Sdk) -> None:
    """Each with the documented code, and nothing is kept."""
    refused("TopicNotExist", lambda: account().get_topic("none").publish_message(TopicMessage("x")))
    refused("QueueNotExist", lambda: account().get_queue("none").send_message(Message("x")))
    refused("TopicNotExist", lambda: account().get_topic("shop").publish_message(TopicMessage("x")))
    refused("InvalidAccessKeyId", lambda: account(key="NOBODY").get_topic("alerts").get_attributes())
    refused("SignatureDoesNotMatch", lambda: account(secret="wrong").get_topic("alerts").get_attributes())
    refused("InvalidArgument", lambda: account().get_topic("alerts").publish_message(TopicMessage("x" * 65_537)))
    refused("InvalidRequestURL", lambda: account().get_topic("alerts").delete())
    cloud.patch({"faults": [{"operation": "mns:PublishMessage", "kind": "throttle", "times": 1}]})
    refused("QpsLimitExceeded", lambda: account().get_topic("alerts").publish_message(TopicMessage("x")))
    assert cloud.messages() == []
    account().get_topic("alerts").publish_message(TopicMessage("x" * 65_536))


GOOD = b'<Message xmlns="http://mns.aliyuncs.com/doc/v1/"><MessageBody>x</MessageBody></Message>'


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("", {}),
        ("MissingAuthorizationHeader", {"authorization": None}),
        ("InvalidAuthorizationHeader", {"authorization": "MNS key"}),
        ("MissingDateHeader", {"date": None}),
        ("InvalidDateHeader", {"date": "yesterday"}),
        ("TimeExpired", {"date": formatdate(0, usegmt=True)}),
        ("InvalidDegist", {"content-md5": base64.b64encode(b"0" * 16).decode()}),
        ("MalformedXML", {"body": b"<Message"}),
        ("InvalidArgument", {"body": b"<Message><MessageBody>x</MessageBody></Message>"}),
        ("AccessDenied", {"host": f"{SHOP}.mns.{REGION}.aliyuncs.com"}),
        ("TopicNotExist", {"host": f"{OWNER}.mns.ap-southeast-1.aliyuncs.com"}),
    ],
)
def test_requests_that_no_sdk_makes(cloud: LocalCloud, code: str, change: dict[str, Any]) -> None:
    """At the vendor's host, one thing wrong at a time."""
    host = change.get("host", f"{OWNER}.mns.{REGION}.aliyuncs.com")
    body = change.get("body", GOOD)
    headers = {"date": formatdate(usegmt=True), "x-mns-version": "2015-06-06", "content-type": "text/xml"}
    headers |= {name: value for name, value in change.items() if name in ("date", "content-md5") and value}
    if change.get("date", "") is None:
        del headers["date"]
    request = HttpRequest("POST", host, "/topics/alerts/messages", "", headers, body)
    signed = {"authorization": f"MNS {key_of(OWNER)}:{_signature(request, 'local')}"}
    signed = {"authorization": change["authorization"]} if "authorization" in change else signed
    sent = {**headers, **{name: value for name, value in signed.items() if value is not None}}
    answer = cloud.handle(HttpRequest("POST", host, "/topics/alerts/messages", "", sent, body))
    assert (answer.status == 201) is (code == "")
    assert f"<Code>{code}</Code>".encode() in answer.body or code == ""
    assert dict(answer.headers)["x-mns-request-id"]
    assert len(cloud.messages()) == (code == "")


def test_mailboxes_of_a_world() -> None:
    """A name that is none, and an owner that does not exist, are errors that name the place."""
    for name, owner, told in (
        ("alerts", OWNER, "mailboxes.alerts: expected topics/NAME"),
        ("topics/alerts", "9000000000000009", 'mailboxes."topics/alerts".owner: no account "9000000000000009"'),
    ):
        with pytest.raises(WorldError, match=told):
            start(world(mailboxes={name: {"owner": owner, "region": REGION}}))
    cloud = start(world(mailboxes=BOXES))
    assert set(cloud.world().mailboxes) == set(BOXES)
    cloud.patch({"mailboxes": {"topics/alerts": None}})
    assert set(cloud.world().mailboxes) == set(BOXES) - {"topics/alerts"}


def test_hosts() -> None:
    """Account and region are in the host, within the cloud too."""
    assert message_host("123.mns.cn-hangzhou.aliyuncs.com") == ("123", "cn-hangzhou")
    assert message_host("123.mns.cn-hangzhou-internal.aliyuncs.com:80") == ("123", "cn-hangzhou")
    assert message_host("ecs-cn-hangzhou.aliyuncs.com") is None
