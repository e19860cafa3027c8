"""A running cloud for most tests: in process, its clock standing still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from localcloud import LocalCloud
from localcloud.inprocess import in_process
from tests.support.cloud import Clients, start, world


@pytest.fixture
def begin() -> Iterator[Callable[..., LocalCloud]]:
    """Starts a cloud from the usual world with some parts replaced, and lets the SDKs reach it."""
    with ExitStack() as stack:

        def started(**parts: Any) -> LocalCloud:
            return stack.enter_context(in_process(start(world(**parts))))

        yield started


@pytest.fixture
def cloud(begin: Callable[..., LocalCloud]) -> LocalCloud:
    """A cloud with the usual world."""
    return begin()


@pytest.fixture
def owner(cloud: LocalCloud) -> Clients:
    """The owner of the images, calling the usual world."""
    return Clients()
