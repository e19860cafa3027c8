"""The vendor's metadata, where it is at hand."""

from __future__ import annotations

import os

import pytest

from tests.conformance.handbook import BESIDE, METADATA, Handbook, verdict


@pytest.fixture(scope="session")
def handbook() -> Handbook:
    """The metadata; without it the test is skipped, or fails where it should have been there."""
    what = verdict(ci=os.environ.get("CI") == "true", handbook=BESIDE.is_dir(), metadata=METADATA.is_dir())
    if what == "fail":
        pytest.fail("the handbook beside the project has no openapi folder, and in CI nothing may be skipped for that")
    if what == "skip":
        pytest.skip("the handbook's openapi folder is not beside the project: nothing to hold the local cloud against")
    return Handbook(METADATA)
