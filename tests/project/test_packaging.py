"""What is installed, and what it is installed with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (made,) = folder.iterdir()
    return zipfile.ZipFile(made)


def test_the_wheel_has_the_library_the_local_cloud_the_demonstration_and_the_functions(wheel: zipfile.ZipFile) -> None:
    """Everything that the commands need when they are installed, and nothing of the tests."""
    names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "orgshare", "localcloud", "orgshare_demo",
    }  # fmt: skip
    for module in (ROOT / "shared" / "orgshare").rglob("*.py"):
        assert f"orgshare/{module.relative_to(ROOT / 'shared' / 'orgshare')}" in names
    for sample in (ROOT / "localcloud" / "samples").rglob("*.*"):
        assert str(sample.relative_to(ROOT)) in names
    for function in ("membership", "image", "reconcile", "worker"):
        assert f"orgshare/_functions/{function}/index.py" in names
    assert wheel.read("orgshare/template.yml") == (ROOT / "template.yml").read_bytes()


def test_the_demonstration_deploys_what_is_in_the_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Its world has the template and the functions of the installation, and a local cloud can start from it."""
    wheel.extractall(tmp_path)
    script = (
        "from localcloud import LocalCloud\n"
        "from orgshare_demo.deployment import deployed_world\n"
        "world = deployed_world()\n"
        "print(world['functions']['template'], world['functions']['code'])\n"
        "print(*sorted(LocalCloud.from_world(world)._gateway.models.functions.stack.functions))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split() == [
        str(tmp_path / "orgshare" / "template.yml"), str(tmp_path / "orgshare" / "_functions"),
        "orgshare-image", "orgshare-membership", "orgshare-reconcile", "orgshare-worker",
    ]  # fmt: skip


def test_the_wheel_installs_both_commands(wheel: zipfile.ZipFile) -> None:
    """orgshare and localcloud."""
    (points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert dict(re.findall(r"^(\w+) = (\S+)$", wheel.read(points).decode(), re.MULTILINE)) == {
        "orgshare": "orgshare.cli.main:main",
        "localcloud": "localcloud.cli:main",
    }


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock", "deploy.lock"])
def test_a_lock_names_exact_versions_with_hashes_and_no_host(lock: str) -> None:
    """Every package is pinned and hashed; where it comes from is the machine's matter."""
    text = (ROOT / "requirements" / lock).read_text()
    packages = re.findall(r"^([a-z][a-z0-9.-]*)==\S+", text, re.MULTILINE)
    assert len(packages) > 20
    assert len(re.findall(r"^[a-z]", text, re.MULTILINE)) == len(packages)
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


def test_the_locks_have_every_dependency_of_the_project() -> None:
    """A dependency that is added to pyproject.toml is added to the locks with it."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    run, dev = ((ROOT / "requirements" / name).read_text().lower() for name in ("run.lock", "dev.lock"))
    project, extras = pyproject.split("[project.optional-dependencies]")
    extras = extras.split("[project.scripts]")[0]
    needed = re.findall(r'^    "([A-Za-z][\w-]*)', project, re.MULTILINE)
    assert len(needed) > 8
    assert [name for name in needed if f"\n{name.lower()}==" not in f"\n{run}"] == []
    developing = [name for name in re.findall(r'^    "([A-Za-z][\w-]*)', extras, re.MULTILINE) if name != "orgshare"]
    assert [name for name in developing if f"\n{name.lower()}==" not in f"\n{dev}"] == []


def test_the_locks_agree_where_they_overlap() -> None:
    """What is tested is what is run."""
    run, dev = (
        dict(re.findall(r"^([a-z][a-z0-9.-]*)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("run.lock", "dev.lock")
    )
    assert run.items() <= dev.items()


def test_what_is_deployed_is_a_part_of_what_is_tested() -> None:
    """The functions' lock has no other version than run.lock, every package it asks for, and none of a local cloud."""
    run, deploy = (
        set(re.findall(r"^([a-z][a-z0-9.-]*==\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("run.lock", "deploy.lock")
    )
    assert deploy < run
    names = {package.split("==")[0] for package in deploy}
    asked = set(re.findall(r"^[a-z].*", (ROOT / "requirements" / "deploy.in").read_text(), re.MULTILINE))
    assert asked <= names
    project = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[0]
    assert asked <= set(re.findall(r'^    "([A-Za-z][\w-]*)', project, re.MULTILINE))
    assert names & {"moto", "boto3", "uvicorn", "httptools", "click", "rich", "hatchling"} == set()
