"""Running a client as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

_SECONDS = 120


def run(
    command: list[str], *, home: Path, environment: Mapping[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """A program with nothing in its environment but a path, an empty home and what is given."""
    return subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **(environment or {})},
        cwd=Path(__file__).resolve().parents[2],
    )


def console_command(name: str) -> str:
    """The command of an installed package; a package that is missing is an error."""
    path = Path(sys.executable).with_name(name)
    assert path.is_file(), f"the command {name} is not installed beside {sys.executable}: make test installs it"
    return str(path)


def oracle(url: str) -> dict[str, set[str]]:
    """Who can use what in whatever way, asked of a cloud at a port: image -> accounts."""
    with build_opener(ProxyHandler({})).open(f"{url}/_localcloud/access", timeout=_SECONDS) as answer:
        rows: list[dict[str, Any]] = json.load(answer)["access"]
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["image"], set()).add(row["account"])
    return found
