"""The log of the command line: on standard error, readable, and shown only with ``--debug``."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def logger(*, debug: bool, run: str) -> Any:
    """A log of one run."""
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.WARNING),
        run=run,
    )
