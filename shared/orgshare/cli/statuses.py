"""Exit statuses: 2 nothing was done, 1 something failed or was not read, 3 something is due or waits, 0 otherwise.

The first that fits counts, so a run that both failed and has something held ends with 1.
"""

from __future__ import annotations

from orgshare.errors import ConfigurationError, CredentialsRefused, NobodyAnswers
from orgshare.report.documents import Document

FINE, FAILED, NOTHING_DONE, DUE = 0, 1, 2, 3


def of_error(error: BaseException) -> int:
    """The status of an error that ended a command. An interruption is a failure: its outcome is not what was asked."""
    nothing_done = isinstance(error, ConfigurationError | NobodyAnswers | CredentialsRefused)
    return NOTHING_DONE if nothing_done else FAILED


def of_plan(plan: Document, *, strict: bool) -> int:
    """The status of a plan. What is held is due too: it waits for a person."""
    if plan["incomplete"] or (strict and plan["refused"]):
        return FAILED
    return DUE if plan["changes"] or plan["held"] else FINE


def of_apply(applied: Document, *, strict: bool) -> int:
    """The status of a run. A revoke that the cloud refused has failed, whatever the run did besides."""
    kinds = {finding["kind"] for finding in applied["findings"]}
    if applied["failed"] or applied["incomplete"] or "cannot-revoke" in kinds or (strict and applied["refused"]):
        return FAILED
    observed = applied["mode"] == "observe" and applied["changes"]
    stopped = not kinds.isdisjoint(("busy", "paused", "out-of-time"))
    return DUE if applied["held"] or applied["pending"] or stopped or observed else FINE


def of_answer(answer: Document) -> int:
    """The status of an answer: what could not be read is missing from it."""
    return FAILED if answer.get("incomplete") else FINE


def of_function(result: object) -> int:
    """The status of a handler that returned. Function Compute would call it a success whatever it held or left."""
    if isinstance(result, dict) and (result.get("failed") or result.get("incomplete")):
        return FAILED
    return FINE
