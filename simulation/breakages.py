"""Deliberate breakages: the program broken on purpose, one rule at a time, each to be caught by the simulation.

Each patch of `bench/breakages` is applied to a copy of the project; then histories are performed there until one breaks
a rule. It fails if a patch no longer applies, or if none of the histories notices. The program itself has no switch
for any of this.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PATCHES = PROJECT / "bench" / "breakages"
PARTS = ("shared", "localcloud", "functions", "simulation")
MOST = 500
"""Histories after which a breakage counts as not noticed."""


@dataclass(frozen=True)
class Caught:
    """After how many histories a breakage was noticed, and by which rule; 0 histories if it was not."""

    name: str
    histories: int
    rule: str
    seconds: float


class NotApplied(Exception):
    """A patch does not fit the program any more."""


def copied(patch: Path, folder: Path) -> None:
    """A copy of the project with one thing broken. Raises ``NotApplied``."""
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "apply", str(patch)]
    done = subprocess.run(git, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotApplied(f"{patch.name} does not apply: {done.stderr.strip()}")


def caught(patch: Path, *, first: int = 1, most: int = MOST, processes: int | None = None) -> Caught:
    """Break the program and perform histories until one of them notices."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(patch, folder)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "shared"), str(folder)])}
        command = [sys.executable, "-m", "simulation.breakages", "--in-this-copy", "--first", str(first)]
        command += ["--most", str(most), "--processes", str(processes or os.cpu_count() or 1)]
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    return Caught(patch.stem, found["histories"], found["rule"], time.monotonic() - began)


def main(arguments: Sequence[str] | None = None) -> None:
    """Try every patch, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m simulation.breakages", description=__doc__)
    parser.add_argument("names", nargs="*", help="patches of bench/breakages, without .patch")
    parser.add_argument("--most", type=int, default=MOST, help="histories for each")
    parser.add_argument("--first", type=int, default=1, help="the first of their seeds")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--in-this-copy", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.in_this_copy:
        _look(chosen.first, chosen.most, chosen.processes)
        return
    patches = [PATCHES / f"{name}.patch" for name in chosen.names] or sorted(PATCHES.glob("*.patch"))
    wrong = 0
    for patch in patches:
        try:
            found = caught(patch, first=chosen.first, most=chosen.most, processes=chosen.processes)
        except NotApplied as problem:
            wrong += 1
            print(problem, flush=True)
            continue
        if found.histories:
            after = f"caught after {found.histories} histories ({found.rule})"
        else:
            wrong += 1
            after = f"NOT caught within {chosen.most} histories"
        print(f"{found.name}: {after}, {found.seconds:.0f} s", flush=True)
    sys.exit(1 if wrong else 0)


def _look(first: int, most: int, processes: int) -> None:
    """Perform histories of the program that is imported here, and print what was noticed as JSON."""
    from simulation.command import in_parallel  # noqa: PLC0415 - only in the copy, whose program it imports

    histories, rule = 0, ""
    for piece in in_parallel(first, most, processes=processes, until_broken=True):
        histories += piece.histories
        if piece.broken:
            rule = piece.broken[0][1]
            break
    print(json.dumps({"histories": histories if rule else 0, "rule": rule}))


if __name__ == "__main__":
    main()
