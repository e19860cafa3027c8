"""What ``doctor`` found, as JSON and as text: each check with what shows it, and below it how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from orgshare.report.documents import Document
from orgshare.report.lines import QUIET, REFUSED, STRONG, columns, counted, line, symbol
from orgshare.way.checking import Check


def checks_document(checks: Sequence[Check]) -> Document:
    """All checks, in the order in which they were made."""
    return {"checks": [{"check": c.check, "ok": c.ok, "why": c.why, "remedy": c.remedy} for c in checks]}


def check_lines(checks: Sequence[Check]) -> list[Text]:
    """A line for each check, one for each remedy, and how many failed."""
    bad = sum(not check.ok for check in checks)
    lines: list[Text] = []
    rows = [("ok" if c.ok else symbol(REFUSED), c.check, Text(c.why, style=QUIET if c.ok else "")) for c in checks]
    for check, shown in zip(checks, columns(rows), strict=True):
        lines.append(shown)
        if check.remedy:
            lines.append(line("      to mend it: ", check.remedy, style=STRONG))
    of = counted(len(checks), "check")
    return [*lines, line(""), line(f"{bad} of {of} failed" if bad else f"{of}, nothing to mend")]
