"""What each run leaves behind: one object a run, newest first, kept as long as generations are.

What can go wrong is a report that is missed because a run died before it. What was done is then in the shards'
generations and in the history; the report is only the account of one run.
"""

from __future__ import annotations

from datetime import datetime

from orgshare.ports import ObjectStore
from orgshare.record.series import KEPT_FOR, KEPT_GENERATIONS

RUNS = "runs"
_LATEST = 10**12 - 1


def write_report(store: ObjectStore, document: bytes, *, run: str, ended: datetime) -> None:
    """Keep the report of a run; its name tells when it ended, the newest first."""
    store.put_new(f"{RUNS}/{_LATEST - int(ended.timestamp()):012d}-{run}.json", document)


def prune_reports(store: ObjectStore) -> None:
    """Forget reports that are neither among the newest nor young."""
    listing = store.listed(RUNS)
    for old in reversed(listing.objects[KEPT_GENERATIONS:]):
        if listing.now - old.put_at <= KEPT_FOR:
            return
        store.delete(old.name)
