"""A trial whose functions invoke workers: requests are kept until somebody runs them, as a platform would."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

from orgshare.errors import TryAgain
from orgshare.handling import Site, respond
from orgshare.way.runtime import Runtime
from tests.support.trial import Inline, Trial


class Fanned:
    """The functions of one trial. With ``apart``, workers are another function; else they run in the same process.

    ``placed`` are all requests so far, ``queue`` those that no worker has begun. With ``refusing`` nobody takes any.
    """

    def __init__(self, trial: Trial, *, apart: bool = True) -> None:
        self.trial = trial
        self.apart = apart
        self.refusing = False
        self.placed: list[str] = []
        self.queue: list[str] = []

    def invoke(self, request: str) -> None:
        """``ports.Workers``."""
        if self.refusing:
            raise TryAgain("fc:InvokeFunction: no", code="ResourceExhausted")
        self.placed.append(request)
        self.queue.append(request)

    def function(self, name: str, event: bytes | str) -> dict[str, Any]:
        """Call a function with an event."""

        def opened() -> AbstractContextManager[Runtime]:
            return nullcontext(self.trial.runtime(state=self.trial.state()))

        site = Site(opened, (lambda _: self) if self.apart else (lambda _: None), executor=Inline())
        data = event.encode() if isinstance(event, str) else event
        report: dict[str, Any] = json.loads(respond(name, data, SimpleNamespace(request_id="1"), site=site))
        return report

    def timer(self, task: str = "watch") -> dict[str, Any]:
        """A timer ticks."""
        function = "membership" if task == "watch" else "reconcile"
        payload = json.dumps({"task": task})
        return self.function(function, json.dumps({"triggerName": task, "triggerTime": "now", "payload": payload}))

    def told(self, account: str, name: str = "MoveAccount") -> dict[str, Any]:
        """An audit record of the directory comes."""
        parameters = {"AccountId": account}
        record = {"eventName": name, "serviceName": "ResourceManager", "eventId": "e", "requestParameters": parameters}
        return self.function("membership", json.dumps(record))

    def changed(self, image: str, *, region: str, owner: str) -> dict[str, Any]:
        """An image's state changed."""
        resource = f"acs:ecs:{region}:{owner}:image/{image}"
        content = {"imageId": image, "currentState": "Available"}
        event = {"name": "Image:StateChange", "product": "ECS", "resourceId": resource, "content": content}
        return self.function("image", json.dumps(event))

    def work(self) -> int:
        """Run what was placed, and what that places; how many invocations that were."""
        done = 0
        while self.queue:
            done += 1
            self.function("worker", self.queue.pop(0))
        return done

    def watch(self) -> int:
        """A watch, and all work that it asks for; how many invocations that were."""
        self.timer()
        return self.work()

    def sweep(self) -> int:
        """A sweep, with all its workers."""
        self.timer("reconcile")
        return self.work()
