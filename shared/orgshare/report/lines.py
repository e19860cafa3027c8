"""Lines of text, aligned: the few shapes that all text reports are made of.

One symbol language everywhere: ``+`` gained, ``-`` lost, ``~`` held, ``!`` refused. Colour only repeats what the symbol
says, so nothing is lost where there is none. Lines are never cut: a long one is the terminal's to wrap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.cells import cell_len
from rich.text import Text

from orgshare.words import counted as counted  # noqa: PLC0414  # a shape of text like the others here

GAINED, LOST, HELD, REFUSED = "+", "-", "~", "!"

STYLES = {GAINED: "green", LOST: "red", HELD: "yellow", REFUSED: "magenta"}

QUIET = "dim"
STRONG = "bold"

Cell = str | Text
Item = TypeVar("Item")


def line(*parts: Cell, style: str = "") -> Text:
    """One line of these parts."""
    made = Text(style=style)
    for part in parts:
        made.append(part)
    return made


def symbol(sign: str, text: str = "") -> Text:
    """A symbol in its colour, with what follows it in the same colour."""
    return Text(f"{sign} {text}" if text else sign, style=STYLES[sign])


def columns(rows: Iterable[Sequence[Cell]], *, indent: int = 0, right: frozenset[int] = frozenset()) -> list[Text]:
    """Rows with their cells aligned, two spaces apart; columns that are empty throughout are left out.

    ``right`` are the columns that are aligned to the right.
    """
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths: dict[int, int] = {}
    for row in cells:
        for index, cell in enumerate(row):
            widths[index] = max(widths.get(index, 0), cell_len(cell.plain))
    used = [index for index, width in sorted(widths.items()) if width]
    lines = []
    for row in cells:
        made = Text(" " * indent)
        for index in (index for index in used if index < len(row)):
            pad = " " * (widths[index] - cell_len(row[index].plain))
            made.append("  " if index != used[0] else "")
            made.append(pad if index in right else "")
            made.append(row[index])
            made.append("" if index in right else pad)
        made.rstrip()
        lines.append(made)
    return lines


def some(items: Sequence[Item], most: int | None) -> tuple[Sequence[Item], int]:
    """The first items and how many more there are. One more is shown rather than counted; ``None`` shows all."""
    if most is None or len(items) <= most + 1:
        return items, 0
    return items[:most], len(items) - most
