"""``make mutate``: break the code that decides, guards and remembers in every small way, and see what tests notice.

mutmut wants the package at the top of its folder, so it works in a copy, with the pure tests of those parts. A mutant
that no test notices survives: each one is either killed by a better test or explained in ``survivors.yaml``, by what it
changes and why that is no fault. Here it fails when one survives that is not explained there, when an explanation is
left over, or when fewer than nine in ten mutants are noticed at all.

What can go wrong is a number that flatters: so whoever survives counts against the score, explained or not, and so does
a mutant that no test reaches. In the copy, properties try few examples, and the same every time: what is noticed there
is noticed more surely by the whole suite. What mutmut leaves alone is not measured: constants of modules, and methods
behind a decorator.

https://mutmut.readthedocs.io/en/latest/
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

PROJECT = Path(__file__).parents[1]
SURVIVORS = Path(__file__).with_name("survivors.yaml")
PACKAGE = PROJECT / "shared" / "orgshare"
MUTATED = ("decide", "guard.py", "ledger.py", "seen.py", "copies.py")
TESTS = ("decide", "guard", "ledger", "support", "record/test_ownership.py")
"""What of the tests goes along: those that need neither a cloud nor a state."""

EXAMPLES = 15
"""How many examples a property tries for each mutant."""

ENOUGH = 0.9
"""The least part of the mutants that has to be noticed."""

PROJECT_OF_COPY = f"""\
[tool.mutmut]
source_paths = ["orgshare"]
only_mutate = [{", ".join(f'"orgshare/{part if part.endswith(".py") else part + "/*.py"}"' for part in MUTATED)}]
pytest_add_cli_args_test_selection = ["tests"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
timeout_multiplier = 10.0
timeout_constant = 1.0

[tool.pytest.ini_options]
pythonpath = ["."]
"""

CONFTEST = f"""\
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutants",
    max_examples={EXAMPLES},
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutants")
"""

NOTICED = (1, 3)
TIMED_OUT = (-24, 24, 36, 152, 255)


class Mutant(NamedTuple):
    """A function, by its module and name, and the lines of it that were taken out and put in."""

    function: str
    change: str


@dataclass(frozen=True)
class Found:
    """What became of the mutants of one module."""

    noticed: int
    timed_out: int
    survived: tuple[Mutant, ...]
    unclear: tuple[str, ...]

    @property
    def mutants(self) -> int:
        """How many there were."""
        return self.noticed + self.timed_out + len(self.survived) + len(self.unclear)


def copy_to(folder: Path) -> None:
    """Lay out the copy. What is there already and has not changed is left alone, so that mutmut remembers it."""
    wanted: dict[Path, bytes] = {
        Path("pyproject.toml"): PROJECT_OF_COPY.encode(),
        Path("tests/conftest.py"): CONFTEST.encode(),
    }
    for path in PACKAGE.rglob("*.py"):
        wanted["orgshare" / path.relative_to(PACKAGE)] = path.read_bytes()
    for part in TESTS:
        whole = PROJECT / "tests" / part
        for path in sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]:
            fewer = re.sub(r"max_examples=\d+", f"max_examples={EXAMPLES}", path.read_text())
            wanted["tests" / path.relative_to(PROJECT / "tests")] = fewer.encode()
    for stale in (folder / "mutants" / "tests", folder / "tests"):
        shutil.rmtree(stale, ignore_errors=True)
    for relative, content in wanted.items():
        there = folder / relative
        if not there.exists() or there.read_bytes() != content:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(content)


def forget_survivors(folder: Path) -> None:
    """Let mutmut try again whatever was not noticed the last time, because there may be new tests."""
    for meta in (folder / "mutants").rglob("*.meta"):
        known = json.loads(meta.read_text())
        codes = known["exit_code_by_key"]
        known["exit_code_by_key"] = {name: code if code in NOTICED else None for name, code in codes.items()}
        meta.write_text(json.dumps(known))


def mutate(folder: Path, modules: Sequence[str], processes: int) -> None:
    """Run mutmut in the copy. Raises ``subprocess.CalledProcessError`` if it cannot work there."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(processes)]
    command += [f"orgshare.{module}.x*" for module in modules]
    # Sets are in one order every time, so that what survives once survives always.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "mutmut.log").open("w") as log:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        print((folder / "mutmut.log").read_text()[-3000:], file=sys.stderr)
        done.check_returncode()


def results(folder: Path) -> Mapping[str, Found]:
    """What mutmut found, by module."""
    found = {}
    for meta in sorted((folder / "mutants" / "orgshare").rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        source = meta.with_suffix("")
        module = ".".join(source.relative_to(folder / "mutants" / "orgshare").with_suffix("").parts)
        tried = {name.rpartition(".")[2]: code for name, code in codes.items() if code is not None}
        survived = [name for name, code in tried.items() if code in (0, 5, 33)]
        if codes and tried:
            found[module] = Found(
                noticed=sum(code in NOTICED for code in tried.values()),
                timed_out=sum(code in TIMED_OUT for code in tried.values()),
                survived=tuple(_mutants(source, module, survived)),
                unclear=tuple(n for n, c in tried.items() if c not in (*NOTICED, *TIMED_OUT, 0, 5, 33)),
            )
    return found


def _mutants(source: Path, module: str, names: Iterable[str]) -> Iterable[Mutant]:
    """Mutants by what they change, because their numbers change with every line of the function."""
    text = source.read_text()
    lines = text.splitlines()
    places = {
        node.name: lines[node.lineno - 1 : node.end_lineno]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    for name in names:
        mangled, _, _ = name.partition("__mutmut_")
        function = re.sub("^x[_ǁ]", "", mangled).replace("ǁ", ".")
        plain = function.rpartition(".")[2]
        before, after = (
            [_plain(line.replace(of, plain)) for line in places[of]] for of in (f"{mangled}__mutmut_orig", name)
        )
        changed = difflib.unified_diff(before, after, n=0, lineterm="")
        lines_changed = [f"{line[0]} {line[1:]}" for line in changed if line[:3] not in ("---", "+++", "@@ ")]
        yield Mutant(f"{module}.{function}", "\n".join(lines_changed))


def _plain(line: str) -> str:
    """A line without its indentation, and without what mutmut writes behind a name of its own."""
    return line.partition("# type: ignore # mutmut")[0].strip()


def explained(path: Path = SURVIVORS) -> Counter[Mutant]:
    """The survivors that are explained. Raises ``ValueError`` for one without a reason."""
    listed: Counter[Mutant] = Counter()
    for entry in yaml.safe_load(path.read_text()) or ():
        if not entry.get("why", "").strip():
            raise ValueError(f"{path.name}: {entry.get('function')} is not explained: say why in `why`")
        for change in entry["changes"]:
            listed[Mutant(entry["function"], change.strip())] += 1
    return listed


def table(found: Mapping[str, Found]) -> str:
    """The modules with their numbers, and all of them together."""
    rows = ["module                mutants  noticed  timed out  survived   score"]
    total = Found(
        sum(f.noticed for f in found.values()),
        sum(f.timed_out for f in found.values()),
        tuple(m for f in found.values() for m in f.survived),
        tuple(name for f in found.values() for name in f.unclear),
    )
    for name, one in (*found.items(), ("together", total)):
        survived = len(one.survived) + len(one.unclear)
        rows.append(f"{name:<20}{one.mutants:>9}{one.noticed:>9}{one.timed_out:>11}{survived:>10}{score([one]):>8.1%}")
    return "\n".join(rows)


def score(found: Iterable[Found]) -> float:
    """The part of the mutants that was noticed."""
    found = tuple(found)
    return sum(f.noticed + f.timed_out for f in found) / max(1, sum(f.mutants for f in found))


def complaints(found: Mapping[str, Found], listed: Counter[Mutant]) -> Iterable[str]:
    """What is wrong: survivors that nobody explained, explanations left over, mutants without a result, the score."""
    survived = Counter(mutant for one in found.values() for mutant in one.survived)
    listed = Counter({m: n for m, n in listed.items() if any(m.function.startswith(f"{name}.") for name in found)})
    for (function, change), number in sorted((survived - listed).items()):
        often = f" ({number} times)" if number > 1 else ""
        yield f"survived, and nobody says why: {function}{often}\n{_indented(change)}"
    for (function, change), _ in sorted((listed - survived).items()):
        yield f"is noticed or gone, so strike it from {SURVIVORS.name}: {function}\n{_indented(change)}"
    for name in (name for one in found.values() for name in one.unclear):
        yield f"ended oddly: {name}"
    reached = score(found.values())
    if reached < ENOUGH:
        yield f"only {reached:.1%} of the mutants were noticed: it should be {ENOUGH:.0%}"


def _indented(change: str) -> str:
    return "\n".join(f"    {line}" for line in change.splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate everything, or the modules that are named; 1 if something is wrong with what survives, 2 if it fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutate", description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these, as in decide.cuts or guard")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="keep the copy here; later, only what changed or survived is tried")
    chosen = parser.parse_args(arguments)
    listed = explained()
    with ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        copy_to(folder)
        forget_survivors(folder)
        began = time.monotonic()
        try:
            mutate(folder, chosen.modules, chosen.processes)
        except subprocess.CalledProcessError:
            print("mutmut could not work in the copy: do the tests pass without mutants?", file=sys.stderr)
            return 2
        found = results(folder)
    if chosen.modules:
        found = {name: one for name, one in found.items() if name in chosen.modules}
    wrong = list(complaints(found, listed))
    for complaint in wrong:
        print(complaint)
    print(table(found))
    print(f"{time.monotonic() - began:.0f} s, {len(wrong)} to look at")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
