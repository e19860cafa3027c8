"""The report that each run leaves in the state: what it saw, decided, did, held, and could not do, and by which policy.

It is the document of ``apply`` with the times of the run and the size of what was read. What can go wrong is a run that
fails because its report cannot be kept: what was done is done, so then only the report is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from orgshare.errors import ConfigurationError, VendorError
from orgshare.record.reports import prune_reports, write_report
from orgshare.report.documents import Document
from orgshare.report.times import moment
from orgshare.way.applying import Applied
from orgshare.way.runtime import Runtime


def run_document(
    applied: Applied, report: Document, *, run: str, why: Iterable[str], began: datetime, ended: datetime
) -> Document:
    """The report of a run. ``why`` says what started it, a line for each cause."""
    looked = applied.planned.looked
    images = Counter(str(reading.image.shard) for reading in looked.readings)
    return {
        "run": run,
        "began": moment(began),
        "ended": moment(ended),
        "started_by": list(why),
        "saw": {
            "members": len(looked.organization.members),
            "folders": len(looked.organization.folders),
            "images": {str(shard): images[str(shard)] for shard in sorted(looked.services)},
            "shares": {str(shard): len(sharing.shares) for shard, sharing in sorted(looked.sharing.items())},
        },
        **report,
    }


def keep_report(
    runtime: Runtime, applied: Applied, report: Document, *, why: Iterable[str], began: datetime, log: Any
) -> None:
    """Keep the report of a run in the state. In mode observe the state is left alone."""
    if runtime.policy.mode == "observe":
        return
    ended = runtime.now()
    document = run_document(applied, report, run=runtime.run, why=why, began=began, ended=ended)
    try:
        write_report(runtime.state.store, msgspec.json.encode(document), run=runtime.run, ended=ended)
        if applied.planned.facts.sweep:
            prune_reports(runtime.state.store)
    except (VendorError, ConfigurationError) as error:
        log.warning("the report of this run was not kept", why=str(error))
