"""Which kind of payload is it? Every payload of every function comes in here.

The kinds are told apart by a key that only one of them has. A kind that nobody here knows is ignored with a
line for the log, because triggers get changed and the platform would otherwise repeat the event for nothing.
A payload that is no JSON object at all, or one of a known kind that lacks what the kind needs, raises.

Events come twice: the vendor says that two with equal source and id are one
(https://www.alibabacloud.com/help/en/eventbridge/user-guide/event-overview). In a list they name the same and merge.
Nothing is left out because of its id alone: should a sender repeat ids, an event would be lost. Over several
invocations a second one costs one more look at what is in step by then. A store of ids that were seen would cost a read
and a write for every event, be one more thing that can be wrong, and spare a look that is cheaper than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from orgshare.signals import actiontrail, cloudevents, images, notices, timers, workers
from orgshare.signals.model import ANYBODY, MalformedEvent, Parsed, Senders, decode, ignored, line, together

_KINDS: Mapping[str, Callable[[dict[str, Any], Senders], Parsed]] = MappingProxyType(
    {
        "orgshare": lambda event, _: workers.parse(event),
        "triggerTime": lambda event, _: timers.parse(event),
        "triggerName": lambda event, _: timers.parse(event),
        "events": lambda event, _: notices.parse(event),
        "type": cloudevents.parse,
        "specversion": cloudevents.parse,
        "eventName": actiontrail.parse,
        "name": images.parse_cloudmonitor,
    }
)
"""The first of these keys that an object has says how to read it."""


def parse(event: bytes | str, senders: Senders = ANYBODY) -> Parsed:
    """What the payload says to look at, what of it was ignored, and which trail files have to be read to know more.

    A payload is one event, or the list of events that an event stream pushes. A list is one signal; if one of
    its events is malformed the whole list is, because the platform repeats and delivers payloads only whole.

    Raises ``MalformedEvent`` and nothing else, whatever the bytes are.
    """
    payload = decode(event, "expected an event as JSON in UTF-8")
    if not isinstance(payload, list):
        return _parse_one(payload, senders)
    if not payload:
        return ignored("a list of no events")
    of = len(payload)
    return together(_parse_one(one, senders, f"event {number} of {of}: ") for number, one in enumerate(payload, 1))


def _parse_one(payload: object, senders: Senders, where: str = "") -> Parsed:
    if not isinstance(payload, dict):
        raise MalformedEvent(f"{where}expected an event as a JSON object, got {_JSON_NAMES[type(payload)]}")
    for key, reader in _KINDS.items():
        if key in payload:
            try:
                return reader(payload, senders)
            except MalformedEvent as error:
                raise MalformedEvent(f"{where}{error}") from error
    keys = ", ".join(sorted(payload)[:8])
    return ignored(f"unknown kind: an object with the keys {line(keys)}" if payload else "an empty object")


_JSON_NAMES = MappingProxyType(
    {
        list: "a list",
        str: "a string",
        int: "a number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
    }
)
