"""Function Compute for tests: worlds with functions, clients of both SDKs, and instances that are no processes."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fc2
import pytest
from alibabacloud_fc20230330 import models as fc_models
from alibabacloud_fc20230330.client import Client as FcClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from localcloud import LocalCloud, ManualClock
from localcloud.fc.instances import UNHANDLED, Ask, Launch, Outcome, Workshop
from tests.support.cloud import OWNER, REGION, START, key_of, world

FOLDER = Path(__file__).parents[1] / "localcloud" / "functions"
ONE, TWO = "acme-one", "acme-two"
FAILED = Outcome(b'{"errorMessage": "as asked"}', UNHANDLED)


def functions(template: str = "template.yml", **more: Any) -> dict[str, Any]:
    """The part of a world with the functions of the owner's account; `more` are parameters of the template."""
    return {
        "template": str(FOLDER / template),
        "account": OWNER,
        "region": REGION,
        "code": str(FOLDER),
        "parameters": more,
    }


class Played:
    """Instances that are no processes: `answer` says what comes of an invocation, what was asked is kept."""

    def __init__(self, answer: Callable[[Ask], Outcome] = lambda _: Outcome(b"done")) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bytes]] = []
        self.launched: list[Launch] = []
        self.ended = 0

    def start(self, launch: Launch, _: Workshop) -> _Played:
        self.launched.append(launch)
        return _Played(self, launch)

    def events(self, function: str) -> list[Any]:
        """The events that a function was run with, parsed."""
        return [json.loads(event) for name, event in self.asked if name == function]


class _Played:
    def __init__(self, stage: Played, launch: Launch) -> None:
        self._stage = stage
        self._launch = launch

    def call(self, ask: Ask) -> Outcome:
        self._stage.asked.append((self._launch.function.name, ask.event))
        return self._stage.answer(ask)

    def end(self) -> None:
        self._stage.ended += 1


def start_functions(stage: Played | None, *, template: str = "template.yml", **parts: Any) -> LocalCloud:
    """A cloud with functions on a manual clock, with played instances if there is a stage for them."""
    return LocalCloud.from_world(
        world(**{"functions": functions(template), **parts}),
        clock=ManualClock(START),
        random=random.Random(7),
        start_instance=stage.start if stage is not None else None,
    )


class Newer:
    """FC 3.0 through its official SDK, trying each call once."""

    def __init__(self, account: str = OWNER, *, key: str | None = None, secret: str = "local", **config: Any) -> None:
        self.client = FcClient(
            Config(
                access_key_id=key or key_of(account),
                access_key_secret=secret,
                protocol="http",
                **{"region_id": REGION, **config},
            )
        )

    def invoke(
        self,
        event: bytes | str | Mapping[str, Any] = b"",
        name: str = ONE,
        *,
        qualifier: str | None = None,
        **headers: Any,
    ) -> tuple[Any, bytes]:
        """InvokeFunction; (the answer, its content)."""
        body = json.dumps(event) if isinstance(event, Mapping) else event
        answer = self.client.invoke_function_with_options(
            name,
            fc_models.InvokeFunctionRequest(body=body, qualifier=qualifier),
            fc_models.InvokeFunctionHeaders(**headers),
            RuntimeOptions(autoretry=False, max_attempts=1),
        )
        return answer, answer.body.read() if answer.body is not None else b""

    def later(self, event: bytes | str | Mapping[str, Any] = b"", name: str = ONE, **headers: Any) -> Any:
        """InvokeFunction, asynchronously."""
        return self.invoke(event, name, x_fc_invocation_type="Async", **headers)[0]

    def ask(self, do: str, name: str = ONE, **more: Any) -> Any:
        """What the function of the tests answers, parsed."""
        return json.loads(self.invoke({"do": do, **more}, name)[1])


def older(account: str = OWNER, *, region: str = REGION, endpoint: str = "", **more: Any) -> fc2.Client:
    """FC 2.0 through its SDK."""
    given = {"accessKeyID": key_of(account), "accessKeySecret": "local", **more}
    return fc2.Client(endpoint=endpoint or f"http://{account}.{region}.fc.aliyuncs.com", **given)


@contextlib.contextmanager
def fc_refuses(code: str, status: int) -> Iterator[None]:
    """What happens within is refused by FC 3.0 with exactly this code and status."""
    with pytest.raises(AlibabaCloudException) as caught:
        yield
    assert (caught.value.code, caught.value.status_code) == (code, status)


@contextlib.contextmanager
def fc2_refuses(code: str, status: int) -> Iterator[None]:
    """What happens within is refused by FC 2.0 with exactly this code and status."""
    with pytest.raises(fc2.FcError) as caught:
        yield
    assert (caught.value.err_code, caught.value.status_code) == (code, status)
    assert caught.value.request_id != "unknown"
