"""What the adapters reach, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from localcloud import LocalCloud
from localcloud.inprocess import in_process
from tests.alibaba.reaching import Canned
from tests.support.cloud import start, world


@pytest.fixture
def begin() -> Iterator[Callable[..., LocalCloud]]:
    """Starts a local cloud, where sharing is enabled, from the usual world with some parts replaced."""
    with ExitStack() as stack:

        def started(**parts: Any) -> LocalCloud:
            usual = world(**parts)
            directory = {**usual["directory"], "sharing_enabled": True}
            return stack.enter_context(in_process(start({**usual, "directory": directory})))

        yield started


@pytest.fixture
def canned() -> Iterator[Callable[..., Canned]]:
    """Answers every SDK call with what is written down."""
    with ExitStack() as stack:

        def answering(*answers: object) -> Canned:
            written = Canned(*answers)
            stack.enter_context(in_process(cast("LocalCloud", written), sleep=lambda _: None))
            return written

        yield answering
