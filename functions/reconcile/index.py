"""A timer: sweep everything, and repair whatever drifted.

Function Compute calls ``initialize`` once an instance and ``handler`` once an event. The work is in the layer.
"""

from __future__ import annotations

from typing import Any

from orgshare import handling


def initialize(context: Any) -> None:
    """Get ready before the first event."""
    handling.initialize("reconcile", context)


def handler(event: bytes, context: Any) -> str:
    """Handle one event; the JSON of what was done."""
    return handling.reconcile(event, context)
