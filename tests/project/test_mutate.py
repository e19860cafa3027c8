"""When ``make mutate`` complains: a survivor that nobody explained, an explanation left over, too few noticed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bench.mutate import Found, Mutant, complaints, explained, results, score

MUTATED = """\
def x_limit__mutmut_orig(number: int, top: int = 3) -> bool: # type: ignore # mutmut generated
    if number < top:
        return True
    return number == top


def x_limit__mutmut_1(number: int, top: int = 4) -> bool: # type: ignore # mutmut generated
    if number < top:
        return True
    return number == top


class Limits:
    def xǁLimitsǁallows__mutmut_orig(self, number: int) -> bool: # type: ignore # mutmut generated
        return number <= 3

    def xǁLimitsǁallows__mutmut_1(self, number: int) -> bool: # type: ignore # mutmut generated
        return number < 3

    def xǁLimitsǁallows__mutmut_2(self, number: int) -> bool: # type: ignore # mutmut generated
        return number <= 4
"""
SURVIVED = Mutant("decide.cuts._both", "- a and b\n+ a or b")


def found(*survived: Mutant, noticed: int = 99, timed_out: int = 0, unclear: tuple[str, ...] = ()) -> dict[str, Found]:
    return {"decide.cuts": Found(noticed, timed_out, survived, unclear)}


def test_mutants_are_known_by_what_they_change(tmp_path: Path) -> None:
    """Not by their numbers, which change with every line; one that no test reaches counts as one that survived."""
    folder = tmp_path / "mutants" / "orgshare" / "decide"
    folder.mkdir(parents=True)
    (folder / "limits.py").write_text(MUTATED)
    codes = {
        "x_limit__mutmut_1": 0,
        "xǁLimitsǁallows__mutmut_1": 33,
        "xǁLimitsǁallows__mutmut_2": 1,
        "x_new__mutmut_1": None,
    }
    meta = {"exit_code_by_key": {f"orgshare.decide.limits.{name}": code for name, code in codes.items()}}
    (folder / "limits.py.meta").write_text(json.dumps(meta))
    (module,) = results(tmp_path).items()
    assert module == (
        "decide.limits",
        Found(
            noticed=1,
            timed_out=0,
            survived=(
                Mutant(
                    "decide.limits.limit",
                    "- def limit(number: int, top: int = 3) -> bool:\n+ def limit(number: int, top: int = 4) -> bool:",
                ),
                Mutant("decide.limits.Limits.allows", "- return number <= 3\n+ return number < 3"),
            ),
            unclear=(),
        ),
    )


def test_a_survivor_has_to_be_explained_as_often_as_it_survives() -> None:
    """The same change may be made in two places of a function."""
    assert list(complaints(found(SURVIVED, SURVIVED), Counter({SURVIVED: 2}))) == []
    assert list(complaints(found(SURVIVED, SURVIVED), Counter({SURVIVED: 1}))) == [
        "survived, and nobody says why: decide.cuts._both\n    - a and b\n    + a or b"
    ]


def test_an_explanation_of_what_is_noticed_is_left_over() -> None:
    """But not where its module was not looked at."""
    (complaint,) = complaints(found(), Counter({SURVIVED: 1}))
    assert complaint.startswith("is noticed or gone, so strike it from survivors.yaml: decide.cuts._both")
    assert list(complaints(found(), Counter({Mutant("guard.guard", "- a"): 1}))) == []


def test_whoever_survives_counts_against_the_score_explained_or_not() -> None:
    """One that took too long was noticed; one that ended oddly was not, and is told."""
    of = found(SURVIVED, noticed=7, timed_out=1, unclear=("x_1",))
    assert score(of.values()) == 0.8
    assert list(complaints(of, Counter({SURVIVED: 1}))) == [
        "ended oddly: x_1", "only 80.0% of the mutants were noticed: it should be 90%",
    ]  # fmt: skip


def test_every_explanation_of_the_project_says_why(tmp_path: Path) -> None:
    """An empty one is refused."""
    assert all(mutant.change for mutant in explained())
    (tmp_path / "survivors.yaml").write_text("- {function: guard.guard, why: ' ', changes: ['- a']}\n")
    with pytest.raises(ValueError, match=r"guard\.guard is not explained"):
        explained(tmp_path / "survivors.yaml")
