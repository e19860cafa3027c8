"""What holds for every test: whatever the program said meanwhile, there was no secret in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

from tests.support.secrets import Secrets, listening, watch

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
"""How long an example takes says how busy the machine is, and nothing of what is tested."""


@pytest.fixture(scope="session", autouse=True)
def no_power_fails() -> Iterator[None]:
    """Do not wait for the disk at thousands of writes to a state; tests/record/test_state.py says when that matters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def secrets() -> Iterator[Secrets]:
    """Every secret that local clouds of this process issue, and everything that the program says."""
    found = Secrets()
    with pytest.MonkeyPatch.context() as patch, contextmanager(listening)(found):
        watch(found, patch)
        yield found


@pytest.fixture(autouse=True)
def no_secret_is_said(secrets: Secrets) -> Iterator[None]:
    """Fail a test in which a key, token or signature was logged or reported."""
    yield
    leaks = secrets.leaks()
    assert not leaks, "\n".join(leaks)
