"""``python -m deploy.trial``: build twice, compare, and run every function from its package on each Python found here.

A function runs as on Function Compute: the layer unpacked where ``/opt`` would be, the code beside it, and nothing else
on the path, so that a package which the layer lacks cannot come from this machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from deploy.package import PYTHONS, build, version

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

PLACES = ("usr/local/bin/python{0}", "usr/bin/python{0}", "opt/*/bin/python{0}"), (".pyenv/versions/{0}.*/bin/python",)
"""Where a Python may be, below the root and below the home of whoever runs this."""

_START = """
import importlib, pkgutil, sys
layer, *functions = sys.argv[1:]
sys.path.insert(0, layer)
for function in functions:
    folder, module = function.rsplit("/", 1)
    sys.path.insert(0, folder)
    loaded = importlib.import_module(module)
    assert callable(loaded.handler) and loaded.__file__.startswith(folder), loaded
    loaded.initialize(None)
    sys.path.remove(folder)
    del sys.modules[module]
import orgshare
assert orgshare.__file__.startswith(layer), orgshare.__file__
for found in pkgutil.walk_packages(orgshare.__path__, "orgshare."):
    importlib.import_module(found.name)
"""
"""What an instance does before its first event; and every module of the library, since some are imported later."""


def interpreter(python: str) -> str | None:
    """A Python of this version on this machine, if there is one; it is asked, for a shim may lead nowhere."""
    if python == RUNNING:
        return sys.executable
    found = [
        str(path)
        for below, places in zip((Path("/"), Path.home()), PLACES, strict=True)
        for place in places
        for path in sorted(below.glob(place.format(python)))
    ]
    candidates = (shutil.which(f"python{python}"), *found)
    return next((one for one in candidates if one is not None and _version(one) == python), None)


def _version(candidate: str) -> str:
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([candidate, "-c", script], check=False, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def run_functions(folder: Path, python: str, by: str) -> list[str]:
    """Run the beginning of every function from the packages in a folder; their names. ``RuntimeError`` if one fails."""
    names = sorted(path.stem for path in folder.glob("*.zip") if not path.name.startswith(("layer-", "fc2-")))
    alone = folder / f"fc2-python{python}.zip"
    with tempfile.TemporaryDirectory() as place:
        opt = Path(place, "opt")
        _unpack(folder / f"layer-python{python}.zip", opt)
        for name in names:
            _unpack(folder / f"{name}.zip", Path(place, name))
        _start(by, opt / "python", [f"{place}/{name}/index" for name in names])
        if alone.exists():
            _unpack(alone, Path(place, "fc2"))
            _start(by, Path(place, "fc2"), [f"{place}/fc2/{name}" for name in names])
    return names


def _unpack(package: Path, folder: Path) -> None:
    with zipfile.ZipFile(package) as packed:
        packed.extractall(folder)


def _start(by: str, layer: Path, functions: list[str]) -> None:
    """In a process of its own, without this machine's packages (-S), its settings (-I) and its environment."""
    command = [by, "-I", "-S", "-c", _START, str(layer), *functions]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={}, cwd=layer)
    if done.returncode:
        raise RuntimeError(f"the packages do not run on {by}:\n{done.stderr.strip()}")


def differing(one: Path, other: Path) -> list[str]:
    """The packages that are not equal bytes in two folders, or are in one only."""
    names = sorted({path.name for folder in (one, other) for path in folder.glob("*.zip")})
    return [name for name in names if _bytes(one / name) != _bytes(other / name)]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def main() -> int:
    """Try everything; the exit status."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        one, other = Path(first, "packages"), Path(second, "elsewhere", "packages")
        for folder in (one, other):
            build(folder)
        if different := differing(one, other):
            print(f"built twice and not equal: {', '.join(different)}")
            return 1
        count = len(list(one.iterdir()))
        print(f"built twice in different folders, equal bytes: {count} packages, version {version(one)}")
        for python in PYTHONS:
            by = interpreter(python)
            if by is None:
                print(f"python {python}: none found here, so no function ran on it")
            else:
                print(f"python {python}: {', '.join(run_functions(one, python, by))} run from their packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
