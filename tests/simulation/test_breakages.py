"""The deliberate breakages of `bench/breakages`; whether they are noticed is a matter of `make breakages`."""

from __future__ import annotations

from filecmp import cmpfiles
from pathlib import Path

import pytest

from simulation.breakages import PATCHES, PROJECT, NotApplied, copied


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_every_breakage_fits_the_program_as_it_is(patch: Path, tmp_path: Path) -> None:
    """One that no longer applies would notice nothing any more."""
    copied(patch, tmp_path)
    named = [line[6:].strip() for line in patch.read_text().splitlines() if line.startswith("+++ b/")]
    _, changed, missing = cmpfiles(PROJECT, tmp_path, named, shallow=False)
    assert (sorted(changed), missing) == (sorted(named), [])


def test_a_breakage_that_fits_nothing_is_said(tmp_path: Path) -> None:
    """Whoever tries it is told, and no history is performed."""
    patch = tmp_path / "old.patch"
    patch.write_text("--- a/shared/orgshare/words.py\n+++ b/shared/orgshare/words.py\n@@ -1,1 +1,1 @@\n-gone\n+here\n")
    with pytest.raises(NotApplied, match=r"old\.patch does not apply"):
        copied(patch, tmp_path / "copy")
