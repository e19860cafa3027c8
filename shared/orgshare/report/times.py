"""Times as reports write them: whole seconds of UTC, whoever told them.

What can go wrong is a time in a form that is not known: it is shown as it came, never guessed.
"""

from __future__ import annotations

from datetime import datetime, timezone

from orgshare.ledger import vendor_time
from orgshare.words import Association


def moment(time: datetime) -> str:
    """A time as reports write it."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def written(text: str) -> str:
    """A time of the vendor or of the state as reports write it."""
    vendor = vendor_time(text)
    if vendor is not None:
        return moment(vendor)
    return text.replace("+00:00", "Z")


def since(*rows: Association) -> str:
    """Since when all of these rows are as they are, or nothing where one of them does not say."""
    times = [vendor_time(row.updated) or vendor_time(row.created) for row in rows]
    known = [time for time in times if time is not None]
    return moment(max(known)) if known and len(known) == len(times) else ""
