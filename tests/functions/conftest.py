"""Trials in process, as ``way`` has them."""

from __future__ import annotations

from tests.way.conftest import trial

__all__ = ["trial"]
