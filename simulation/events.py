"""Events as the vendor sends them: made from the samples, kept under way, delivered late, twice, or never."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.world import World
from simulation.stories import OWNER, REGION, Step

SAMPLES = Path(__file__).parents[1] / "localcloud" / "samples" / "events"
OF_STEP = {
    "move": ("membership", "account-moved"),
    "there-and-back": ("membership", "account-moved"),
    "leave": ("membership", "account-removed"),
    "join": ("membership", "account-created"),
    "new-image": ("image", "image-created-actiontrail"),
    "image-status": ("image", "image-available"),
}
"""Which function gets which sample after which step."""

Event = tuple[str, bytes]


class Events:
    """The events that are under way."""

    def __init__(self) -> None:
        self._waiting: list[Event] = []
        self._number = 0

    def happened(self, step: Step, world: World, now: float) -> None:
        """Something happened of which the cloud tells."""
        made = self._made(step, world, now)
        if made is not None:
            self._waiting.append(made)

    def take(self, which: str, *, keep: bool) -> Event | None:
        """The oldest or the newest event under way; kept, it is delivered again."""
        if not self._waiting:
            return None
        place = 0 if which == "oldest" else -1
        return self._waiting[place] if keep else self._waiting.pop(place)

    def lose(self) -> bool:
        """All of them are lost."""
        had = bool(self._waiting)
        self._waiting.clear()
        return had

    def start(self, run: Mapping[str, Any], world: World, now: float) -> Event:
        """What starts a run: a timer, a person, another function, or the next event if there is one."""
        kind = run["start"]
        if kind == "event":
            event = self.take("oldest", keep=False)
            if event is not None:
                return event
        if kind == "worker":
            return "worker", json.dumps({"orgshare": _work(run, world)}).encode()
        if kind == "apply":
            return "apply", b""
        timer = _sample("timer") | {"triggerTime": _time(now)}
        return "reconcile", json.dumps(timer).encode()

    def _made(self, step: Step, world: World, now: float) -> Event | None:
        known = OF_STEP.get(step["kind"])
        if known is None:
            return None
        function, name = known
        self._number += 1
        if step.get("how") == "invited":
            name = "account-invited-accepted"
        if step["kind"] == "new-image" and step["status"] == "Available":
            name = ("image-available-cloudmonitor", "image-created-actiontrail")[self._number % 2]
        if step["kind"] == "image-status" and step["status"] != "Available":
            return None
        text = json.dumps(_sample(name) | ({"time": _time(now)} if "time" in _sample(name) else {}))
        if function == "membership":
            for old in ("1000000000000005", "1000000000000006", "1000000000000015", "1000000000000016"):
                text = text.replace(old, step["account"])
            text = text.replace("fd-sandbox", step.get("folder", "root"))
        else:
            image = step["image"]
            region = world.images[image].region if image in world.images else REGION
            for old in ("m-gold0000000000000001", "m-gold0000000000000002"):
                text = text.replace(old, image)
            text = text.replace(REGION, region)
        return function, text.encode()


@cache
def _sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _work(run: Mapping[str, Any], world: World) -> dict[str, Any]:
    if run["of"] == "shard":
        return {"shards": [f"ecs/{OWNER}/{REGION}"], "why": ["a person asked"]}
    if run["of"] == "desks":
        return {"shards": [f"eds/{OWNER}/all"], "why": ["a person asked"]}
    if run["of"] == "account":
        return {"accounts": [run["account"]], "why": ["a person asked"]}
    image = run["image"]
    return {"images": [{"id": image, "region": world.images[image].region} if image in world.images else image]}


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
