"""Images that a person took out of service: nobody is to have them through us any more, whatever the rules say.

A mark is remembered until a person takes it back, so no later run shares the image again. A policy may retire images by
their tags as well. What can go wrong is a mark that nobody remembers: so whoever asks about the image is told who
retired it and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct


class Retirement(Struct, frozen=True):
    """Who retired an image, when, and why."""

    at: datetime
    who: str
    reason: str = ""

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return f"retired by {self.who} since {self.at:%Y-%m-%d %H:%M} UTC{reason}"


Retirements = Mapping[str, Retirement]
"""The marks by image."""

NONE_RETIRED: Retirements = MappingProxyType({})
