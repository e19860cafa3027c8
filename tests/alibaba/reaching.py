"""The adapters over the real SDKs: against a local cloud, or against answers written down beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from localcloud import HttpRequest, HttpResponse
from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import AlibabaCloud, Credentials
from orgshare.policy.model import DirectoryReader, Owner, Policy
from orgshare.words import Shard
from tests.support.cloud import MANAGEMENT, OWNER, REGION, key_of

SHARD = Shard("ecs", OWNER, REGION)


class Canned:
    """Stands where a local cloud stands: each call gets the next answer, the last one for ever."""

    def __init__(self, *answers: object) -> None:
        """An answer is a JSON document, or a pair of an HTTP status and a code."""
        self.broken: list[BaseException] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.hosts: list[str] = []
        self._answers = list(answers)

    def handle(self, request: HttpRequest) -> HttpResponse:
        self.requests.append((request.headers["x-acs-action"], dict(parse_qsl(request.query, keep_blank_values=True))))
        self.hosts.append(request.host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, tuple):
            status, code = answer
            return HttpResponse(status, msgspec.json.encode({"RequestId": "r-1", "Code": code, "Message": "told so"}))
        return HttpResponse(200, msgspec.json.encode(answer))


def cloud(account: str = OWNER, *, role: str | None = None, url: str = "http://127.0.0.1:9") -> AlibabaCloud:
    """The whole adapter with one account's key; waits cost nothing."""
    policy = Policy(
        deployment="test",
        mode="enforce",
        state="state",
        directory=DirectoryReader(MANAGEMENT),
        owners=(Owner(OWNER, (REGION,), role=role),),
        rules=(),
    )
    return AlibabaCloud(
        policy,
        Credentials(key_of(account), "local"),
        local_cloud=url,
        run="test",
        now=lambda: datetime(2026, 11, 21, 12, tzinfo=timezone.utc),
        calls=Calls(sleep=lambda _: None, random=Random(1), clock=lambda: 0.0),
    )


def without(answer: Mapping[str, Any], field: str) -> dict[str, Any]:
    """The same answer without a field."""
    return {key: value for key, value in answer.items() if key != field}
