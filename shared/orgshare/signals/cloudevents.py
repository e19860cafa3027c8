"""Events of EventBridge: an envelope around a state change, an audit record, or a notice of a file.

Only ``id``, ``source``, ``type`` and ``data`` are certain; times come in several formats and are not read.
That the state change of an image has the type ``ecs:Image:StateChange``, and that audit records of the
resource directory come this way at all, is inferred from naming rules and not documented: where that is
wrong, changes are found later, by a sweep.
https://www.alibabacloud.com/help/en/eventbridge/user-guide/event-overview
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from orgshare.signals import actiontrail, images, notices, sharing
from orgshare.signals.model import MaybeId, Parsed, Senders, ignored, line, plain, read

_ACTIONTRAIL_TYPE = re.compile(r"(.+):ActionTrail:(?:ApiCall|ConsoleOperation|AliyunServiceEvent)")
"""https://www.alibabacloud.com/help/en/eventbridge/user-guide/actiontrail-events"""


class _Kind(Struct):
    type: str


class _Envelope(Struct):
    id: str
    source: str
    data: dict[str, Any]
    subject: str | None = None
    aliyunregionid: MaybeId = None
    aliyunaccountid: MaybeId = None
    aliyunoriginalaccountid: MaybeId = None

    @property
    def account(self) -> str | None:
        # An event that another account's bus forwarded has the receiver in aliyunaccountid.
        return self.sender or plain(self.aliyunaccountid)

    @property
    def sender(self) -> str | None:
        return plain(self.aliyunoriginalaccountid)


def parse(event: dict[str, Any], senders: Senders) -> Parsed:
    """What an EventBridge event says to look at; types of no interest are ignored unread."""
    kind = read(event, _Kind, "an EventBridge event").type
    if kind == images.STATE_CHANGE:
        envelope = read(event, _Envelope, line(kind))
        return images.state_change(
            envelope.data,
            event=envelope.id,
            resource=envelope.subject,
            region=plain(envelope.aliyunregionid),
            account=envelope.account,
            sender=envelope.sender,
            senders=senders,
        )
    if kind == sharing.ASSOCIATION_CHANGE:
        envelope = read(event, _Envelope, line(kind))
        return sharing.association_change(
            envelope.data,
            event=envelope.id,
            resource=envelope.subject,
            region=plain(envelope.aliyunregionid),
            senders=senders,
        )
    if kind.startswith(notices.PUT_OBJECT):
        envelope = read(event, _Envelope, line(kind))
        return notices.parse_one(envelope.data, name=kind, region=plain(envelope.aliyunregionid))
    trail = _ACTIONTRAIL_TYPE.fullmatch(kind)
    if trail and (actiontrail.knows(trail.group(1)) or actiontrail.knows(_service(event))):
        envelope = read(event, _Envelope, line(kind))
        return actiontrail.parse(
            envelope.data,
            senders,
            service=trail.group(1),
            event=envelope.id,
            account=envelope.account,
            sender=envelope.sender,
        )
    return ignored(f"unknown kind: {line(kind)} (event {line(event.get('id') or '?')})")


def _service(event: dict[str, Any]) -> str:
    """The service that the record itself names: the type's own prefix is only inferred for some."""
    data = event.get("data")
    return str(data.get("serviceName")) if isinstance(data, dict) else ""
