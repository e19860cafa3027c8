"""Whether a list was read to its end.

A list is complete when its distinct ids are as many as its total says, on every page alike. Anything else (a page cut
short, rows that moved between pages while they were read, a wrong total) is read again, and given up after that: the
caller gets an error and concludes nothing. What can go wrong is a list that lies consistently: rows and total both
short. No reading of the list can show that, so whoever is about to take access away asks for the one account or image
again by its id.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TypeVar

from orgshare.errors import IncompleteRead
from orgshare.ports import PAGE_SIZE, Page

Row = TypeVar("Row")

READ_AGAIN = 3
"""How often an incomplete list is read again."""


def read_list(what: str, page: Callable[[int], Page[Row]], key: Callable[[Row], str]) -> tuple[Row, ...]:
    """All rows of a list, by distinct key, in the order of their keys.

    ``what`` names the list in the error. Raises ``IncompleteRead`` when no reading of it was complete.
    """
    seen, said = 0, 0
    for _ in range(1 + READ_AGAIN):
        first = page(1)
        rows = {key(row): row for row in first.rows}
        totals = {first.total}
        for number in range(2, ceil(first.total / PAGE_SIZE) + 1):
            before, following = len(rows), page(number)
            rows.update((key(row), row) for row in following.rows)
            totals.add(following.total)
            if len(rows) == before:
                break  # or a total that promises too much would be followed page after page
        if totals == {len(rows)}:
            return tuple(rows[k] for k in sorted(rows))
        seen, said = len(rows), first.total
    raise IncompleteRead(
        f"{what}: {seen} of {said} rows after {1 + READ_AGAIN} readings; nothing was concluded from it"
    )
