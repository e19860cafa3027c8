"""From an event to a signal with all that the event only points to: the one place of this package that reads.

What can go wrong: a file that is gone, too large or locked away is ignored with a reason, because the handler's next
try would find the same. A bucket that we may not read is a person's to mend, and storage that does not answer is worth
another try: those are raised.
"""

from __future__ import annotations

from msgspec.structs import replace

from orgshare.errors import Refused, TooLarge
from orgshare.ports import ReadObject
from orgshare.signals import trails
from orgshare.signals.model import Parsed, Senders, TrailFile, ignored, line, together
from orgshare.signals.parsing import parse


def take_in(event: bytes | str, senders: Senders, read_object: ReadObject) -> Parsed:
    """What an event says to look at, with the trail files that it names read by ``read_object``.

    Raises ``MalformedEvent``, and what ``read_object`` raises where a person or another try can mend it.
    """
    parsed = parse(event, senders)
    return together([replace(parsed, files=()), *(_read(file, senders, read_object) for file in parsed.files)])


def _read(file: TrailFile, senders: Senders, read_object: ReadObject) -> Parsed:
    try:
        for key in file.keys:
            content = read_object(file.bucket, key, region=file.region, most=trails.MOST_BYTES)
            if content is not None:
                return trails.parse(content, file, senders)
    except (Refused, TooLarge) as error:
        return ignored(f"{file}: it cannot be read: {line(error, 300)}")
    return ignored(f"{file}: it is not there (any more)")
