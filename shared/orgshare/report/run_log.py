"""What a run leaves in the log: a line for each change with what became of it, and one for the run.

A line about a change says where (shard), what (image or resource share), how (action), and its outcome: done, failed,
refused or held. Accounts are counted: who they are is in the run's report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from orgshare.decide.plan import Change
from orgshare.report.documents import Document
from orgshare.way.applying import Applied

NAMED = 5
"""Images of a resource share that a line names; the others are counted."""


def log_run(log: Any, applied: Applied, report: Document, *, began: datetime, ended: datetime) -> None:
    """Log every change of a run, and the run. ``log`` has the run's own fields bound."""
    for change in applied.done:
        log.info("change", **_of(change), outcome="done")
    for failure in applied.failed:
        told = {"code": failure.code, "vendor_request_id": failure.request_id, "why": failure.remedy}
        log.warning("change", **_of(failure.change), outcome="failed", **told)
    for line in _refusals(applied):
        log.info("change", **line, outcome="refused")
    for hold in applied.plan.held:
        for change in hold.changes:
            log.info("change", **_of(change), outcome="held", hold=hold.id)
    counts = {key: len(rows) for key, rows in report.items() if isinstance(rows, list) and rows}
    seconds = round((ended - began).total_seconds(), 1)
    log.info(
        "report", outcome=_outcome(applied), mode=report["mode"], seconds=seconds, summary=report["summary"], **counts,
        calls=report["calls"],
    )  # fmt: skip


def _of(change: Change) -> dict[str, Any]:
    share = change.share or change.audience
    return {
        "shard": str(change.shard),
        "image": _images(change.images),
        **({"share": share, "targets": len(change.targets)} if share else {"accounts": len(change.accounts)}),
        "action": change.action,
        "gained": change.gained,
        "lost": change.lost,
    }


def _images(images: Sequence[str]) -> str:
    more = f" and {len(images) - NAMED} more" if len(images) > NAMED else ""
    return ", ".join(images[:NAMED]) + more


def _refusals(applied: Applied) -> Iterator[dict[str, Any]]:
    shards = {decision.image.id: str(decision.image.shard) for decision in applied.planned.decisions.images}
    for refusal in applied.plan.refused:
        yield {
            "shard": shards.get(refusal.image, ""),
            "image": refusal.image,
            "accounts": refusal.accounts_total,
            "action": "grant",
            "reason": refusal.reason,
        }


def _outcome(applied: Applied) -> str:
    """In one word how a run ended: the first that fits."""
    if applied.failed:
        return "failed"
    if applied.plan.incomplete:
        return "incomplete"
    if applied.stopped:
        return "stopped"
    return "held" if applied.plan.held else "done"
