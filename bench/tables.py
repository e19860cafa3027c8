"""Plain tables for a terminal and for Markdown alike."""

from __future__ import annotations

from collections.abc import Sequence


def markdown(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A titled table whose columns line up."""
    texts = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in texts
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([title, "", *lines])
