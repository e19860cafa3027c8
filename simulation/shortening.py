"""From a story that breaks a rule to a shortest one that breaks the same rule, as far as a bounded time allows.

Steps are left out, from large pieces to single ones; what is left is made simpler: fewer runs at once, no deaths, no
lies, a plainer world. A story stays if performing it breaks a rule of the same name.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from simulation.performing import Outcome, perform
from simulation.stories import LIMITS, SWITCHES, Step, Story

WIDEST = LIMITS[0]


def shortened(outcome: Outcome, *, budget: float = 60.0) -> Outcome:
    """The shortest outcome with the same broken rule that is found in so many real seconds."""
    ends = time.monotonic() + budget
    best = _cut(outcome, outcome.performed)
    better = True
    while better:
        better = False
        for story in _simpler(best.story):
            if time.monotonic() > ends:
                return best
            found = _same(story, best)
            if found is not None:
                best, better = _cut(found, found.performed), True
                break
    return best


def _cut(outcome: Outcome, performed: int) -> Outcome:
    """Steps after the broken rule belong to no story; those of the settling are not steps."""
    story = replace(outcome.story, steps=outcome.story.steps[:performed])
    return replace(outcome, story=story)


def _same(story: Story, as_before: Outcome) -> Outcome | None:
    outcome = perform(story)
    rules = {violation.rule for violation in as_before.violations[:1]}
    return outcome if rules & {violation.rule for violation in outcome.violations} else None


def _simpler(story: Story) -> Iterator[Story]:
    """Stories with less in them, those with much less first."""
    count = len(story.steps)
    size = max(count // 2, 1)
    while size:
        for start in range(count - size, -1, -1):
            yield replace(story, steps=(*story.steps[:start], *story.steps[start + size :]))
        size //= 2
    for place, step in enumerate(story.steps):
        for simpler in _simpler_steps(step):
            yield replace(story, steps=(*story.steps[:place], simpler, *story.steps[place + 1 :]))
    for setting in _simpler_settings(story.setting):
        yield replace(story, setting=setting)


def _simpler_steps(step: Step) -> Iterator[Step]:
    if step["kind"] == "run":
        for key in ("lie", "meanwhile"):
            if key in step:
                yield {other: value for other, value in step.items() if other != key}
        runs = step["runs"]
        if len(runs) > 1:
            for place in range(len(runs)):
                yield {**step, "runs": [*runs[:place], *runs[place + 1 :]]}
        for place, run in enumerate(runs):
            for key in ("dies", "deadline", "stalls"):
                if key in run:
                    less = {other: value for other, value in run.items() if other not in (key, "at")}
                    yield {**step, "runs": [*runs[:place], less, *runs[place + 1 :]]}
            if run["start"] not in ("timer",):
                yield {**step, "runs": [*runs[:place], {**run, "start": "timer"}, *runs[place + 1 :]]}
        for place, other in enumerate(step.get("meanwhile", ())):
            if len(step["meanwhile"]) > 1:
                yield {**step, "meanwhile": [m for n, m in enumerate(step["meanwhile"]) if n != place]}
            del other
    elif step["kind"] == "policy" and step["what"] == "rules" and len(step["rules"]) > 1:
        for place in range(len(step["rules"])):
            yield {**step, "rules": [rule for number, rule in enumerate(step["rules"]) if number != place]}


def _simpler_settings(setting: dict[str, Any]) -> Iterator[dict[str, Any]]:
    plain: dict[str, Any] = {
        "store": "memory",
        "owners": 1,
        "regions": 1,
        "crowd": 0,
        "quota": 50,
        "desktops": 0,
        "desks_given": 0,
        "copy_key": 0,
        "encryption": {},
        "retiring": 0,
    }
    for key, value in plain.items():
        if setting[key] != value:
            yield {**setting, key: value}
    if len(setting["rules"]) > 1:
        for place in range(len(setting["rules"])):
            yield {**setting, "rules": [rule for number, rule in enumerate(setting["rules"]) if number != place]}
    for key, value in setting["delays"].items():
        if value:
            yield {**setting, "delays": {**setting["delays"], key: 0}}
    for key, positions in SWITCHES.items():
        if setting["switches"].get(key) != positions[0] and key != "nested_folder_targets":
            yield {**setting, "switches": {**setting["switches"], key: positions[0]}}
    for key in setting["safety"]:
        if key != "hold_when":
            yield {**setting, "safety": {other: value for other, value in setting["safety"].items() if other != key}}
    if setting["safety"]["hold_when"] != WIDEST:
        yield {**setting, "safety": {**setting["safety"], "hold_when": WIDEST}}
