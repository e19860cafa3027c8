"""Signals: from what Function Compute hands to a function, to what is worth a look.

Events are hints. They come twice, late, out of order or not at all, and some of them are documented nowhere,
so a signal only names accounts, images and shards to ask the cloud about; it never says what is true of them.
``model`` has the signal, ``parsing`` tells the kinds of payload apart, and each kind has a module of its own:
``cloudevents`` (EventBridge), ``actiontrail`` (audit records), ``images`` (state changes), ``sharing`` (what is in a
resource share), ``notices`` (files of a trail), ``timers`` and ``workers`` (our own requests). They are pure. A notice
only names a file: ``reading`` fetches it and ``trails`` reads the records in it.

What can go wrong: a kind that is read too narrowly loses its event until the next sweep, and one that is read
too widely costs a look. Where a record leaves open which account or image it is about, the signal is wider.
What cannot be read at all raises ``MalformedEvent``; what is of no interest is handed back with the reason,
because nothing here logs.
"""

from __future__ import annotations

from orgshare.signals.model import (
    ANYBODY,
    NOTHING,
    ImageAt,
    MalformedEvent,
    Parsed,
    Part,
    Senders,
    Signal,
    TrailFile,
    merge,
    senders_of,
    together,
    with_copies,
)
from orgshare.signals.parsing import parse
from orgshare.signals.reading import take_in
from orgshare.signals.workers import worker_request

__all__ = [
    "ANYBODY",
    "NOTHING",
    "ImageAt",
    "MalformedEvent",
    "Parsed",
    "Part",
    "Senders",
    "Signal",
    "TrailFile",
    "merge",
    "parse",
    "senders_of",
    "take_in",
    "together",
    "with_copies",
    "worker_request",
]
