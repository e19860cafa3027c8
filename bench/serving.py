"""Calls a second that the local cloud serves to one client process of the SDK, signatures checked."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config

from bench.tables import markdown
from localcloud import LocalCloud
from localcloud.inprocess import in_process
from tests.support.trial import REGION, world

CALLS = 4_000
WANTED = 500
ROWS = 50


def table() -> str:
    """Calls a second over a socket from one and eight threads, and in process."""
    members = {str(4_000_000_000_000_000 + n): {"name": f"n{n}", "folder": "root"} for n in range(ROWS)}
    document = world()
    document["directory"]["members"] |= members
    document["grants"] = {"m-gold": sorted(members)}
    rows = [(name, f"{rate:,.0f}", f"{rate / WANTED:.1f}") for name, rate in _rates(document)]
    head = ("way", "calls a second", f"times the {WANTED} that are wanted")
    return markdown(f"The local cloud, answers of {ROWS} rows", head, rows)


def _rates(document: dict[str, Any]) -> list[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.yaml"
        path.write_text(yaml.safe_dump(document))
        server = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve", "--world", str(path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            socket = [("HTTP, one thread", _rate(url, 1)), ("HTTP, eight threads", _rate(url, 8))]
        finally:
            server.terminate()
            server.wait()
    with in_process(LocalCloud.from_world(document)):
        return [*socket, ("in process", _rate(None, 1))]


def _rate(url: str | None, threads: int) -> float:
    config = Config(
        access_key_id="LOCALIMAGES", access_key_secret="local", region_id=REGION, protocol="http", http_proxy=url
    )
    client = Client(config)
    request = models.DescribeImageSharePermissionRequest(region_id=REGION, image_id="m-gold", page_size=100)

    def call(_: int) -> None:
        answer = client.describe_image_share_permission(request)
        assert answer.body.total_count == ROWS

    call(0)
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(call, range(CALLS)))
        return CALLS / (time.perf_counter() - started)
