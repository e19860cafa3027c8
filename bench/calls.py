"""What runs cost in calls, counted at the local cloud: with the vendor's flow control, calls are the price."""

from __future__ import annotations

import tempfile
from collections import Counter
from math import ceil
from pathlib import Path
from typing import Any

from bench.tables import markdown
from localcloud.inprocess import in_process
from tests.support.trial import MANAGEMENT, OWNER, REGION, Trial, policy, rule, world

HEAD = ("accounts", "images", "run", "ListAccounts", "DescribeImages", "DescribeImageSharePermission",
        "ModifyImageSharePermission", "others", "expected")  # fmt: skip
GRANTED = 20


def table() -> str:
    """The table of first applies, sweeps without drift, and joins."""
    rows = [row for accounts, images in ((50, 100), (300, 300), (1000, 1000)) for row in _runs(accounts, images)]
    return markdown(f"Calls of a run (one region, {GRANTED} accounts an image)", HEAD, rows)


def _runs(accounts: int, images: int) -> list[tuple[object, ...]]:
    ids = [str(4_000_000_000_000_000 + n) for n in range(accounts - 1)]
    members: dict[str, Any] = {account: {"name": account[-4:], "folder": "fd-all"} for account in ids}
    for account in ids[:GRANTED]:
        members[account] = {"name": account[-4:], "folder": "fd-in"}
    document = {
        **world(),
        "directory": {
            "id": "rd-trial", "management": MANAGEMENT, "sharing_enabled": True,
            "folders": {"fd-all": {"name": "all", "parent": "root"}, "fd-in": {"name": "in", "parent": "fd-all"}},
            "members": {**members, OWNER: {"name": "images", "folder": "root"}},
        },
        "images": {
            f"m-{n:05d}": {"owner": OWNER, "region": REGION, "name": f"n{n}", "tags": {"share": "org"}}
            for n in range(images)
        },
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), world=document, policy=policy(rules=[rule(folders=["fd-in"])]))
        with in_process(trial.cloud):
            sweep = f"{ceil(accounts / 100)} + {ceil(images / 100)} + {images} + under 10"
            first = _calls(trial)
            again = _calls(trial)
            trial.move(ids[-1], "fd-in")
            joined = _calls(trial)
    return [
        (accounts, images, "first apply", *_cells(first), ""),
        (accounts, images, "sweep, no drift", *_cells(again), sweep),
        (accounts, images, "one account joins", *_cells(joined), f"at most {images} Modify"),
    ]


def _calls(trial: Trial) -> Counter[str]:
    before = Counter(trial.cloud.calls)
    trial.apply()
    return Counter(trial.cloud.calls) - before


def _cells(calls: Counter[str]) -> tuple[int, ...]:
    named = ("resourcemanager:ListAccounts", "ecs:DescribeImages", "ecs:DescribeImageSharePermission",
             "ecs:ModifyImageSharePermission")  # fmt: skip
    return (*(calls[name] for name in named), calls.total() - sum(calls[name] for name in named))
