"""The command line of the simulation: one story, told; or thousands over all cores, with a summary.

`python -m simulation --seed 123` tells one story, `--story FILE` performs one from its text, and `--histories 5000`
performs the stories of the seeds from `--first` on. The exit status is 1 if a rule was broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from simulation.oracle.watching import RULES
from simulation.performing import Outcome, heading, perform
from simulation.shortening import shortened
from simulation.stories import SWITCHES, read, story_of, written

CHUNK = 10


@dataclass
class Summary:
    """What many stories met, and which of them broke a rule."""

    histories: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        """Count another summary in."""
        self.histories += other.histories
        self.seen.update(other.seen)
        self.broken += other.broken


def summary_of(seeds: Iterable[int], *, until_broken: bool = False) -> Summary:
    """Perform the stories of these seeds."""
    found = Summary()
    for seed in seeds:
        outcome = perform(story_of(seed))
        found.histories += 1
        found.seen.update(outcome.seen)
        if outcome.violations:
            found.broken.append((seed, str(outcome.violations[0])))
            if until_broken:
                break
    return found


def in_parallel(first: int, count: int, *, processes: int, until_broken: bool = False) -> Iterator[Summary]:
    """The summaries of pieces of these stories, as they are ready."""
    pieces = iter([range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)])
    with ProcessPoolExecutor(processes) as pool:
        under_way: set[Future[Summary]] = {
            pool.submit(summary_of, piece, until_broken=until_broken) for piece in islice(pieces, processes * 2)
        }
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for one in done:
                found = one.result()
                yield found
                if until_broken and found.broken:
                    for other in under_way:
                        other.cancel()
                    return
                under_way |= {pool.submit(summary_of, piece, until_broken=until_broken) for piece in islice(pieces, 1)}


def told(outcome: Outcome) -> str:
    """A story with what happened in it, for a person and for `--story`."""
    ends = ("", "# " + "\n# ".join(heading(outcome)))
    notes = (*outcome.notes, *("",) * len(outcome.story.steps))[: len(outcome.story.steps)]
    return written(replace(outcome.story, notes=notes)) + "\n".join(ends).strip() + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, perform, print."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--histories", type=int, default=0, metavar="N", help="perform so many stories")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of their seeds")
    parser.add_argument("--seed", type=int, help="perform and tell the story of this seed")
    parser.add_argument("--story", type=Path, help="perform and tell the story of a file")
    parser.add_argument("--log", type=Path, help="where to write the request log of one story")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="do not look for a shorter story")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None or chosen.story is not None:
        sys.exit(_one(chosen))
    sys.exit(_many(chosen.first, chosen.histories or 300, chosen.processes, whole=chosen.whole))


def _one(chosen: argparse.Namespace) -> int:
    story = read(chosen.story.read_text(encoding="utf-8")) if chosen.story else story_of(chosen.seed)
    outcome = perform(story)
    if chosen.log:
        chosen.log.write_text("".join(line + "\n" for line in outcome.log), encoding="utf-8")
    if outcome.violations and not chosen.whole:
        outcome = shortened(outcome)
    print(told(outcome), end="")
    if not outcome.violations:
        print(f"# no rule is broken: {outcome.seen['runs']} runs, {outcome.seen['requests']} requests")
    return 1 if outcome.violations else 0


def _many(first: int, count: int, processes: int, *, whole: bool) -> int:
    began = time.monotonic()
    total = Summary()
    for piece in in_parallel(first, count, processes=processes):
        total.add(piece)
        for seed, why in piece.broken:
            print(f"\rseed {seed}: {why}", file=sys.stderr)
        passed = time.monotonic() - began
        line = f"{total.histories} of {count} histories, {len(total.broken)} broken, {passed:.0f} s"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(summarized(total, time.monotonic() - began))
    for seed, why in sorted(total.broken):
        print(f"seed {seed}: {why}")
    if total.broken:
        seed = min(total.broken)[0]
        outcome = perform(story_of(seed))
        print(f"\nthe story of seed {seed}:\n" + told(outcome if whole else shortened(outcome)))
    return 1 if total.broken else 0


def summarized(total: Summary, passed: float) -> str:
    """The numbers of many stories."""

    def of(kind: str) -> str:
        found = {key.partition(":")[2]: n for key, n in total.seen.items() if key.startswith(f"{kind}:")}
        return ", ".join(f"{key} {n}" for key, n in sorted(found.items()))

    both = sum(all(total.seen[f"switch:{key}={one}"] for one in positions) for key, positions in SWITCHES.items())
    rules = "\n".join(f"  {rule}: {total.seen[f'rule:{rule}']}" for rule in RULES)
    return (
        f"{total.histories} histories in {passed:.0f} s: {total.seen['steps']} steps, {total.seen['runs']} runs, "
        f"{total.seen['requests']} requests, {total.seen['together']} times several at once, "
        f"{len(total.broken)} with a broken rule\n"
        f"steps: {of('step')}\nstarted: {of('start')}\nended early: {of('ended')}\n"
        f"died {total.seen['died']} times: {of('dies')}\nfaults: {of('fault')}\n"
        f"switches tried in all positions: {both} of {len(SWITCHES)}\nlooked at:\n{rules}"
    )
