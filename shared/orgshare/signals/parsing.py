"""Which kind of payload is it? Every payload of every function comes in here.

The kinds are told apart by a key that only one of them has. A kind that nobody here knows is ignored with a
line for the log, because triggers get changed and the platform would otherwise repeat the event for nothing.
A payload that is no JSON object at all, or one of a known kind that lacks what the kind needs, raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from orgshare.signals import actiontrail, cloudevents, images, timers, workers
from orgshare.signals.model import MalformedEvent, Parsed, decode, ignored, line, merge

_KINDS: Mapping[str, Callable[[dict[str, Any]], Parsed]] = MappingProxyType(
    {
        "orgshare": workers.parse,
        "triggerTime": timers.parse,
        "triggerName": timers.parse,
        "type": cloudevents.parse,
        "specversion": cloudevents.parse,
        "eventName": actiontrail.parse,
        "name": images.parse_cloudmonitor,
    }
)
"""The first of these keys that an object has says how to read it."""


def parse(event: bytes | str) -> Parsed:
    """What the payload says to look at, and what of it was ignored.

    A payload is one event, or the list of events that an event stream pushes. A list is one signal; if one of
    its events is malformed the whole list is, because the platform repeats and delivers payloads only whole.

    Raises ``MalformedEvent`` and nothing else, whatever the bytes are.
    """
    payload = decode(event, "expected an event as JSON in UTF-8")
    if not isinstance(payload, list):
        return _parse_one(payload)
    if not payload:
        return ignored("a list of no events")
    parsed = [_parse_one(one, f"event {number} of {len(payload)}: ") for number, one in enumerate(payload, 1)]
    return Parsed(merge(p.signal for p in parsed), tuple(dict.fromkeys(i for p in parsed for i in p.ignored)))


def _parse_one(payload: object, where: str = "") -> Parsed:
    if not isinstance(payload, dict):
        raise MalformedEvent(f"{where}expected an event as a JSON object, got {_JSON_NAMES[type(payload)]}")
    for key, reader in _KINDS.items():
        if key in payload:
            try:
                return reader(payload)
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
