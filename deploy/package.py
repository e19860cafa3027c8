"""``python -m deploy.package``: the zips that Function Compute runs, equal byte for byte whenever and wherever built.

A layer for each runtime has the library and what it stands on, below ``python/``; Function Compute unpacks it to
``/opt`` and has ``/opt/python`` on its path. A function's zip has only its ``index.py``. Function Compute 2.0 knows no
layers in Resource Orchestration Service, so there one zip has everything, with a module for each function.

Packages are installed from a lock with hashes, for the platform of the runtimes: manylinux_2_28 fits Debian 10 and 11
(https://www.alibabacloud.com/help/en/functioncompute/fc/python/). Two packages exist only as sources, and are built
here; they are Python alone. What differs from one installation to the next, and is not needed to run, is left out.

What can go wrong: another version of zlib may compress the same content to other bytes. The content is still the same.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from uv import find_uv_bin

from deploy.project import ROOT

PYTHONS = ("3.10", "3.12")
"""The runtimes that the code is made for: https://www.alibabacloud.com/help/en/functioncompute/fc/python/"""

PLATFORM = "x86_64-manylinux_2_28"
LOCK = ROOT / "requirements" / "deploy.lock"
LIBRARY = ROOT / "shared" / "orgshare"
FUNCTIONS = ROOT / "functions"

_OF_THE_INSTALLATION = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json", ".lock"}
)
_OF_THE_SOURCES = (".pyc", ".pyi", ".c", ".h", ".pyx", ".pxd")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""

Content = Mapping[str, bytes]

ALONE = PYTHONS[:1]
"""The runtime of Function Compute 2.0."""


def build(out: Path, *, layers: tuple[str, ...] = PYTHONS, alone: tuple[str, ...] = ALONE) -> dict[str, int]:
    """Build the packages into a folder; the size of each by its name.

    ``layers`` are the versions of Python that get a layer, ``alone`` those that get a zip with everything.
    """
    out.mkdir(parents=True, exist_ok=True)
    sources = {path.parent.name: path.read_bytes() for path in sorted(FUNCTIONS.glob("*/index.py"))}
    packages: dict[str, Content] = {f"{name}.zip": {"index.py": source} for name, source in sources.items()}
    for python in sorted({*layers, *alone}):
        library = {**installed(python), **dict(deployed_library())}
        if python in layers:
            packages[f"layer-python{python}.zip"] = below("python", library)
        if python in alone:
            modules = {f"{name}.py": source for name, source in sources.items()}
            packages[f"fc2-python{python}.zip"] = {**library, **modules}
    return {name: write_zip(out / name, content) for name, content in sorted(packages.items())}


def installed(python: str) -> Content:
    """What the lock installs for a version of Python, by its path, without what is not needed to run."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "installed"
        command = (
            find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--require-hashes",
            "--target", str(target), "--python-version", python, "--python-platform", PLATFORM,
            "--python", sys.executable, "-r", str(LOCK),
        )  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment())
        if done.returncode:
            raise SystemExit(f"uv could not install {LOCK.name} for Python {python}:\n{done.stderr.strip()}")
        return {name: path.read_bytes() for name, path in _files(target) if needed(name)}


def _environment() -> dict[str, str]:
    """The machine's environment, with whatever says where packages come from, but without an active installation."""
    return {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}


def needed(name: str) -> bool:
    """Whether a file of an installed package is needed to run it."""
    parts = name.split("/")
    if parts[0] == "bin" or parts[-1] in _OF_THE_INSTALLATION or name.endswith(_OF_THE_SOURCES):
        return False
    return "tests" not in parts[1:2] and parts[:2] != ["Crypto", "SelfTest"]


def deployed_library() -> Iterator[tuple[str, bytes]]:
    """The files of the library that functions need: what they import, and what that imports, whenever it does."""
    waiting = sorted(FUNCTIONS.glob("*/index.py"))
    reached: set[Path] = set()
    while waiting:
        for path in _imported(waiting.pop()) - reached:
            reached.add(path)
            waiting.append(path)
    for path in sorted(reached):
        yield path.relative_to(LIBRARY.parent).as_posix(), path.read_bytes()


def _imported(source: Path) -> set[Path]:
    """The files of the library's modules that a file imports anywhere in it, and of the packages that they are in."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == LIBRARY.name:
            packages = [LIBRARY.parent.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
            files |= {path for path in (*packages, LIBRARY.parent.joinpath(*parts).with_suffix(".py")) if path.exists()}
    return files


def _files(folder: Path) -> list[tuple[str, Path]]:
    return sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())


def below(folder: str, content: Content) -> Content:
    """The same content in a folder."""
    return {f"{folder}/{name}": data for name, data in content.items()}


def write_zip(path: Path, content: Content) -> int:
    """Write a zip of which nothing depends on when, where and in which order; its size in bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as made:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o644 << 16
            made.writestr(entry, content[name])
    return path.stat().st_size


def version(folder: Path) -> str:
    """Twelve digits that stand for the content of all packages in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.zip")):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def main() -> None:
    """Build, and print the sizes and the version."""
    parser = argparse.ArgumentParser(description="Build the packages that Function Compute runs.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder for the zips")
    out = parser.parse_args().out
    for left in out.glob("*.zip"):
        left.unlink()
    for name, size in build(out).items():
        with zipfile.ZipFile(out / name) as made:
            unpacked = sum(entry.file_size for entry in made.infolist())
        print(f"{name:22} {size:>12,} bytes {unpacked:>12,} unpacked")
    print(f"version {version(out)}: upload them to a folder of that name, and give it as CodeFolder")


if __name__ == "__main__":
    main()
