"""What runs cost in calls, counted at the local cloud: with the vendor's flow control, calls are the price."""

from __future__ import annotations

import tempfile
from collections import Counter
from math import ceil
from pathlib import Path
from typing import Any

from bench.tables import markdown
from localcloud.inprocess import in_process
from orgshare.focus import EVERYTHING, Focus, Selection
from tests.support.trial import MANAGEMENT, OWNER, REGION, Trial, calls_of, policy, rule, sized, world

HEAD = ("accounts", "images", "run", "ListAccounts", "DescribeImages", "DescribeImageSharePermission",
        "ModifyImageSharePermission", "others", "expected")  # fmt: skip
GRANTED = 20


SHARED = ("accounts", "images", "run", "writing calls", "at most", "ListAccounts", "DescribeImages",
          "ListResourceShareAssociations", "DescribeImageSharePermission", "others")  # fmt: skip
WRITES = ("Create", "Associate", "Disassociate", "Modify", "Delete")
NEWCOMER = "5000000000000001"


def table() -> str:
    """The tables of both channels."""
    return f"{_direct()}\n\n## {_shared()}"


def _direct() -> str:
    rows = [row for accounts, images in ((50, 100), (300, 300), (1000, 1000)) for row in _runs(accounts, images)]
    return markdown(f"Calls of a run (one region, {GRANTED} accounts an image)", HEAD, rows)


def _shared() -> str:
    rows = [row for accounts, images in ((500, 100), (5000, 1000)) for row in _shared_runs(accounts, images)]
    title = "Calls of a run through the directory (one region, one audience of all accounts in a folder)"
    return markdown(title, SHARED, rows)


def _shared_runs(accounts: int, images: int) -> list[tuple[object, ...]]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        document = sized(accounts + 1, images, outsiders=[NEWCOMER])
        trial = Trial(Path(folder), world=document, policy=policy(rules=[rule(channel="auto")]))
        with in_process(trial.cloud):
            found.append(("first apply", _calls(trial), images // 5 + 10))
            found.append(("sweep, no drift", _calls(trial), 0))
            trial.patch(directory={"members": {NEWCOMER: {"name": "new", "folder": "fd-prod"}}})
            focus = Focus((Selection(accounts=frozenset({NEWCOMER})),))
            found.append(("one account joins", _calls(trial, focus), 0))
    named = ("resourcemanager:ListAccounts", "ecs:DescribeImages", "resourcesharing:ListResourceShareAssociations",
             "ecs:DescribeImageSharePermission")  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for run, calls, most in found:
        writing = sum(n for name, n in calls.items() if name.partition(":")[2].startswith(WRITES))
        others = calls.total() - writing - sum(calls[name] for name in named)
        rows.append((accounts, images, run, writing, most, *(calls[name] for name in named), others))
    return rows


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


def _calls(trial: Trial, focus: Focus = EVERYTHING) -> Counter[str]:
    return calls_of(trial, lambda: trial.apply(focus))


def _cells(calls: Counter[str]) -> tuple[int, ...]:
    named = ("resourcemanager:ListAccounts", "ecs:DescribeImages", "ecs:DescribeImageSharePermission",
             "ecs:ModifyImageSharePermission")  # fmt: skip
    return (*(calls[name] for name in named), calls.total() - sum(calls[name] for name in named))
