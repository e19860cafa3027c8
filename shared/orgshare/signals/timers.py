"""Ticks of a timer trigger: a sweep, unless the payload narrows it to one shard or asks for the cheap look.

A payload is text that a person wrote into a trigger. Text that is no JSON object has no meaning here and the
tick is a sweep all the same; a JSON object must be right, so that a mistyped key does not go unnoticed.
https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from orgshare.signals.model import Id, MalformedEvent, Parsed, Signal, decode, line, read
from orgshare.words import Shard


class _Tick(Struct, rename="camel"):
    trigger_name: str = ""
    trigger_time: str = ""
    payload: str | None = None


class _Task(Struct, forbid_unknown_fields=True):
    task: Literal["reconcile", "watch"] = "reconcile"
    owner: Id | None = None
    region: Id | None = None


def parse(event: dict[str, Any]) -> Parsed:
    """What a tick says to look at: what changed in the organization if its payload asks to ``watch``; one shard if it
    names an owner and a region; else everything."""
    tick = read(event, _Tick, "a timer's event")
    task = _task((tick.payload or "").strip(), what=f"payload of the timer {line(tick.trigger_name) or '?'}")
    why = (f"timer {line(tick.trigger_name) or '?'} at {line(tick.trigger_time) or '?'}",)
    if task.task == "watch":
        return Parsed(Signal(organization=True, surely=True, why=why))
    if task.owner is None or task.region is None:
        return Parsed(Signal(everything=True, why=why))
    return Parsed(Signal(shards=frozenset({Shard("ecs", str(task.owner), str(task.region))}), why=why))


def _task(payload: str, *, what: str) -> _Task:
    if not payload.startswith("{"):
        return _Task()
    task = read(decode(payload, what), _Task, what)
    if task.task == "watch" and (task.owner or task.region):
        raise MalformedEvent(f"{what}: watch looks at the whole organization: expected neither owner nor region")
    if (task.owner is None) != (task.region is None):
        raise MalformedEvent(f"{what}: expected owner and region together, or neither")
    return task
