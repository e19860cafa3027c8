"""The log of the functions: JSON, a line each, on standard error.

Function Compute collects that like standard output, and its log service finds a line by its fields. What can go wrong
is a secret in a line: so nothing of a request or of credentials is ever logged, and the tests look for both.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog


def json_log(**bound: Any) -> Any:
    """A logger whose lines all have these fields."""
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json, sort_keys=False),
        ],
    ).bind(**bound)


def _json(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
