"""The packages: equal bytes whenever they are built, only what is needed, and every function runs from them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from deploy.package import PYTHONS, build, deployed_library, needed, version, write_zip
from deploy.project import ROOT
from deploy.trial import RUNNING, differing, interpreter, run_functions

FOUND = [python for python in PYTHONS if interpreter(python)]
PYTHON = FOUND[0] if FOUND else RUNNING


def test_packages_built_twice_are_equal_bytes_and_every_function_runs_from_them(tmp_path: Path) -> None:
    """On the Python of the runtime where one is found here, else on the one that runs this."""
    one, other = tmp_path / "one", tmp_path / "elsewhere" / "other"
    sizes = build(one, layers=(PYTHON,), alone=())
    build(other, layers=(PYTHON,), alone=())
    assert differing(one, other) == []
    assert version(one) == version(other)
    layer = f"layer-python{PYTHON}.zip"
    assert {"membership.zip", "image.zip", "reconcile.zip", "worker.zip", layer} <= set(sizes)
    with zipfile.ZipFile(one / layer) as made:
        names = made.namelist()
    assert {name.split("/")[0] for name in names} == {"python"}
    tops = {name.split("/")[1] for name in names}
    assert {"orgshare", "alibabacloud_ecs20140526", "fc2", "msgspec"} <= tops
    assert tops & {"localcloud", "moto", "uvicorn", "boto3", "click", "rich", "bin", "orgshare_demo"} == set()
    assert sizes[layer] < 50_000_000
    by = interpreter(PYTHON)
    assert by
    assert run_functions(one, PYTHON, by) == ["image", "membership", "reconcile", "worker"]


def test_the_layer_has_what_functions_import_and_no_command(tmp_path: Path) -> None:
    """Also what is imported only when it is needed; the library's own modules only."""
    names = {name for name, _ in deployed_library()}
    assert {"orgshare/handling.py", "orgshare/alibaba/storage.py", "orgshare/__init__.py"} <= names
    assert not any("/cli/" in name or name.endswith("_text.py") for name in names)


def test_a_zip_depends_on_nothing_but_what_is_in_it(tmp_path: Path) -> None:
    """Neither on the order nor on the time."""
    content = {"b/two.py": b"2", "a.py": b"1"}
    write_zip(tmp_path / "one.zip", content)
    write_zip(tmp_path / "two.zip", dict(reversed(content.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as made:
        assert [entry.filename for entry in made.infolist()] == ["a.py", "b/two.py"]
        assert {entry.date_time for entry in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert time.localtime().tm_year > 1980


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("msgspec/__init__.py", True),
        ("yaml/_yaml.cpython-310-x86_64-linux-gnu.so", True),
        ("certifi/cacert.pem", True),
        ("click-8.1.dist-info/METADATA", True),
        ("click-8.1.dist-info/licenses/LICENSE.txt", True),
        ("click-8.1.dist-info/RECORD", False),
        ("bin/normalizer", False),
        ("certifi/tests/test_certify.py", False),
        ("Crypto/SelfTest/__init__.py", False),
        ("Crypto/__init__.pyi", False),
        ("a/__pycache__/b.cpython-311.pyc", False),
    ],
)
def test_what_differs_between_installations_and_what_runs_nothing_is_left_out(name: str, expected: bool) -> None:
    """Licences stay."""
    assert needed(name) is expected


def test_a_function_whose_layer_lacks_something_does_not_pass(tmp_path: Path) -> None:
    """What this machine has installed does not help it."""
    write_zip(tmp_path / f"layer-python{RUNNING}.zip", {"python/orgshare/__init__.py": b""})
    write_zip(tmp_path / "image.zip", {"index.py": b"import msgspec\n"})
    with pytest.raises(RuntimeError, match="No module named 'msgspec'"):
        run_functions(tmp_path, RUNNING, sys.executable)


def test_the_command_says_where_uv_failed(tmp_path: Path) -> None:
    """A lock that cannot be installed is one message with what uv said, and no traceback."""
    script = (
        "from pathlib import Path; import deploy.package as p; "
        f"p.LOCK = Path({str(tmp_path / 'none.lock')!r}); p.build(Path({str(tmp_path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("uv could not install none.lock for Python 3.10:")
    assert "Traceback" not in done.stderr
