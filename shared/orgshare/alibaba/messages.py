"""A topic of Simple Message Queue (formerly MNS), where a person is told.

https://www.alibabacloud.com/help/en/mns/developer-reference/message-management-publishmessage. A request is signed over
its method, type, date, its headers ``x-mns-*`` and its path
(https://www.alibabacloud.com/help/en/mns/developer-reference/request-protocol-description). The vendor's Python SDK
(aliyun-mns-sdk 1.3.0) takes no proxy, sets no time limit on HTTPS connections, and can be made to log a request with
its signature and token; so what little is needed of the protocol is here. That SDK is held against the same local
cloud in the tests.

What can go wrong is a message that is published although nobody answered: then it is published again. To be told
twice is better than not at all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from email.utils import formatdate
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from msgspec import Struct

from orgshare import __version__
from orgshare.alibaba.calls import Calls, one_line
from orgshare.alibaba.cloud import CONNECT_TIMEOUT, READ_TIMEOUT, Credentials
from orgshare.errors import NoAnswer

MOST_BYTES = 65_536
"""The most that a topic takes: https://www.alibabacloud.com/help/en/message-service/latest/basic-concepts-topic"""

NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
VERSION = "2015-06-06"
_TYPE = "text/xml;charset=UTF-8"
_PLACE = re.compile(r"acs:mns:([a-z0-9-]+):([0-9]+):/topics/([A-Za-z0-9][A-Za-z0-9-]{0,255})")


class Topic(Struct, frozen=True):
    """A topic of an account in a region."""

    region: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"acs:mns:{self.region}:{self.account}:/topics/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """Read ``acs:mns:REGION:ACCOUNT:/topics/NAME``, as policies write it; a ``ValueError`` says what was expected.

        https://help.aliyun.com/zh/mns/b3asrm
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError("expected acs:mns:REGION:ACCOUNT:/topics/NAME")
        return cls(found[1], found[2], found[3])


class MessageTopic:
    """``ports.Notices`` over plain HTTP requests. One object serves one run."""

    def __init__(
        self, topic: Topic, *, credentials: Credentials, calls: Calls, run: str, local_cloud: str | None = None
    ) -> None:
        self._topic = topic
        self._credentials = credentials
        self._lane = calls.lane(topic.account, topic.region)
        self._agent = f"orgshare/{__version__} run/{run}"
        self._local_cloud = local_cloud

    def __str__(self) -> str:
        return str(self._topic)

    def account(self) -> str:
        """The account that the topic belongs to."""
        return self._topic.account

    def publish(self, text: str) -> None:
        """Publish a message. ``NoAnswer`` means that it may have been published."""
        legal = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
        body = f'<?xml version="1.0" encoding="utf-8"?><Message xmlns="{NAMESPACE}"><MessageBody>{escape(legal)}'
        content = f"{body}</MessageBody></Message>".encode()
        path = f"/topics/{self._topic.name}/messages"
        self._lane.write("mns:PublishMessage", lambda: self._send("mns:PublishMessage", "POST", path, content))

    def check(self) -> None:
        """Ask for the topic, which takes the permission mns:GetTopicAttributes; nothing is published."""
        operation, path = "mns:GetTopicAttributes", f"/topics/{self._topic.name}"
        self._lane.read(operation, lambda: self._send(operation, "GET", path, b""))

    def _send(self, operation: str, method: str, path: str, content: bytes) -> None:
        import requests

        url = (
            f"{'http' if self._local_cloud else 'https'}://{self._topic.account}.mns.{self._topic.region}.aliyuncs.com"
        )
        with requests.Session() as session:
            if self._local_cloud:
                session.trust_env = False  # nothing of the environment is meant for it
                session.proxies = {"http": self._local_cloud}
            try:
                answer = session.request(
                    method,
                    f"{url}{path}",
                    data=content,
                    headers=self._headers(method, path, content),
                    timeout=(CONNECT_TIMEOUT / 1000, READ_TIMEOUT / 1000),
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                raise NoAnswer(f"{operation}: no answer: {one_line(str(error))}") from error
        if not 200 <= answer.status_code < 300:
            raise _told(answer)

    def _headers(self, method: str, path: str, content: bytes) -> dict[str, str]:
        kind = _TYPE if content else ""
        date = formatdate(usegmt=True)
        string = f"{method}\n\n{kind}\n{date}\nx-mns-version:{VERSION}\n{path}"
        made = hmac.new(self._credentials.secret.encode(), string.encode(), hashlib.sha1).digest()
        return {
            "Authorization": f"MNS {self._credentials.key}:{base64.b64encode(made).decode()}",
            "Date": date,
            "User-Agent": self._agent,
            "x-mns-version": VERSION,
            **({"Content-Type": kind} if kind else {}),
            **({"security-token": self._credentials.token} if self._credentials.token else {}),
        }


class _Refusal(Exception):
    """A refusal of the service, in the form that ``Calls`` sorts."""

    def __init__(self, code: str, message: str, status: int, request_id: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status_code = status
        self.request_id = request_id


def _told(answer: Any) -> _Refusal:
    """https://help.aliyun.com/zh/mns/developer-reference/syntax-of-error-responses."""
    fields: dict[str, str] = {}
    try:
        fields = {e.tag.rpartition("}")[2]: e.text or "" for e in ElementTree.fromstring(answer.content)}  # noqa: S314
    except ElementTree.ParseError:
        fields = {"Message": f"HTTP {answer.status_code}, in no form that is known"}
    request_id = fields.get("RequestId") or answer.headers.get("x-mns-request-id", "")
    return _Refusal(fields.get("Code") or "UnknownError", fields.get("Message", ""), answer.status_code, request_id)
