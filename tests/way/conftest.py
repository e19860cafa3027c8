"""Trials in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from localcloud.inprocess import in_process
from tests.support.trial import Trial


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Callable[..., Trial]]:
    """Make trials whose cloud answers every SDK call in this process."""
    with ExitStack() as stack:
        count = 0

        def make(**options: Any) -> Trial:
            nonlocal count
            count += 1
            folder = tmp_path / str(count)
            folder.mkdir()
            made = Trial(folder, **options)
            stack.enter_context(in_process(made.cloud, sleep=lambda _: None))
            return made

        yield make
