"""Messages that reached a topic or a queue, whoever sent them.

There are no subscribers here: what was published stays, so that a test, a story or a person can look at what would
have been told. Function Compute delivers to destinations straight into this model.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Iterable

import msgspec

from localcloud.call import new_id

MOST_BYTES = 65_536
"""https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/result-callback, also the limit of a message."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message; `mailbox` is `topics/NAME` or `queues/NAME`, `sender` who sent it, `time` seconds since 1970."""

    account: str
    region: str
    mailbox: str
    id: str
    time: float
    sender: str
    body: str


class MessageModel:
    """Topics and queues with what was sent to them, in order."""

    def __init__(self) -> None:
        self._mailboxes: set[tuple[str, str, str]] = set()
        self._messages: list[Message] = []

    def adopt_mailboxes(self, mailboxes: Iterable[tuple[str, str, str]]) -> None:
        """Have these (account, region, `topics/NAME` or `queues/NAME`); messages that were sent stay."""
        self._mailboxes = set(mailboxes)

    def has_mailbox(self, account: str, region: str, name: str) -> bool:
        """Whether there is such a topic or queue."""
        return (account, region, name) in self._mailboxes

    def region_of(self, account: str, name: str) -> str:
        """Where an account has a topic or queue of this name; empty if nowhere."""
        return next((region for owner, region, one in sorted(self._mailboxes) if (owner, one) == (account, name)), "")

    def deliver(
        self, account: str, region: str, name: str, body: str, *, sender: str, now: float, random: random_module.Random
    ) -> Message:
        """Put a message into a topic or queue; KeyError if there is none, ValueError if it is too long."""
        if not self.has_mailbox(account, region, name):
            raise KeyError(name)
        if len(body.encode()) > MOST_BYTES:
            raise ValueError(f"a message has at most {MOST_BYTES} bytes")
        message = Message(
            account=account,
            region=region,
            mailbox=name,
            id=new_id(random, 32, "0123456789ABCDEF"),
            time=now,
            sender=sender,
            body=body,
        )
        self._messages.append(message)
        return message

    def messages(self, name: str = "") -> list[Message]:
        """What was sent, oldest first; only to one topic or queue if it is named."""
        return [one for one in self._messages if name in ("", one.mailbox)]
