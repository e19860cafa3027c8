"""The simulation itself: equal seeds are equal histories, a story is its text, and a shortest story is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.oracle import Violation
from simulation.performing import Outcome, perform
from simulation.shortening import shortened
from simulation.stories import Story, read, story_of, told, written
from simulation.turns import Turns

ROOT = Path(__file__).parents[2]
SEEDS = (3, 10, 44)
"""One of them with its state on object storage."""


def log_in_a_process(seed: int, folder: Path) -> list[str]:
    log = folder / f"{seed}.log"
    command = [sys.executable, "-m", "simulation", "--seed", str(seed), "--whole", "--log", str(log)]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return log.read_text().splitlines()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_the_same_request_log_byte_for_byte(seed: int, tmp_path: Path) -> None:
    """Neither the process nor the order of its sets, which is another one here, changes anything."""
    assert log_in_a_process(seed, tmp_path) == perform(story_of(seed)).log


@pytest.mark.parametrize("seed", range(1, 30))
def test_a_story_is_read_back_from_its_text(seed: int) -> None:
    """What a person is shown can be performed."""
    story = story_of(seed)
    assert read(written(story)) == story


def test_every_step_is_told_in_one_line() -> None:
    """A story is read line by line."""
    for seed in range(1, 60):
        for step in story_of(seed).steps:
            assert told(step)
            assert "\n" not in told(step)


def test_a_story_is_shortened_to_the_steps_that_break_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not matter for the broken rule is left out."""
    story = next(s for s in map(story_of, range(1, 200)) if sum(step["kind"] == "move" for step in s.steps) == 1)

    def only_moves_matter(story: Story) -> Outcome:
        broken = [Violation("never widen", "x")] if any(step["kind"] == "move" for step in story.steps) else []
        return Outcome(story, broken, [], [], performed=len(story.steps))

    monkeypatch.setattr("simulation.shortening.perform", only_moves_matter)
    found = shortened(only_moves_matter(story))
    assert [step["kind"] for step in found.story.steps] == ["move"]
    assert found.story.setting["regions"] == 1


@pytest.mark.parametrize("pace", [0.2, 1.0])
def test_turns_are_taken_as_the_seed_says(pace: float) -> None:
    """Two performances with one seed interleave in the same way, and one at a time."""

    def order(seed: int) -> list[int]:
        turns, found = Turns(lambda: 0.0), []

        def work(number: int) -> None:
            for _ in range(10):
                found.append(number)
                turns.hand_over()

        turns.all([lambda n=n: work(n) for n in range(3)], seed=seed, pace=pace)  # type: ignore[misc]
        return found

    assert order(7) == order(7)
    assert sorted(order(7)) == sorted([0, 1, 2] * 10)
    assert len({tuple(order(seed)) for seed in range(8)}) > 1


def test_time_does_not_pass_while_a_write_is_on_its_way() -> None:
    """Whoever stands before a write is served before others let a lease run out."""
    now = 0.0
    turns = Turns(lambda: now)
    seen = []

    def writes() -> None:
        turns.hand_over(write=True)
        seen.append(now)

    def waits() -> None:
        nonlocal now
        while not turns.calm():
            turns.hand_over()
        now += 400
        turns.hand_over()

    for seed in range(20):
        now, seen = 0.0, []
        turns.all([writes, waits, waits], seed=seed, pace=1.0)
        assert seen[0] in (0.0, 400.0, 800.0)


def test_what_a_piece_of_work_raises_is_raised_when_all_are_done() -> None:
    """A failure in one run is no reason to leave another half way."""
    turns, done = Turns(lambda: 0.0), []

    def fails() -> None:
        turns.hand_over()
        raise ValueError("no")

    def works() -> None:
        turns.hand_over()
        done.append(True)

    with pytest.raises(ValueError, match="no"):
        turns.all([fails, works], seed=1, pace=1.0)
    assert done == [True]
