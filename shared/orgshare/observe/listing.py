"""Whether a list was read to its end.

A list with a total is complete when its distinct ids are as many as its total says, on every page alike. Anything else
(a page cut short, rows that moved between pages while they were read, a wrong total) is read again, and given up after
that: the caller gets an error and concludes nothing. A list with tokens says only where it goes on, so it is complete
when the token is absent. What can go wrong is a list that lies consistently: rows and total both short, or the token
gone too early. No reading of the list can show that, so whoever is about to take access away asks for the one account,
image or resource share again by its id.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TypeVar

from orgshare.errors import IncompleteRead
from orgshare.ports import PAGE_SIZE, Page, TokenPage

Row = TypeVar("Row")
Key = TypeVar("Key", str, tuple[str, ...])

READ_AGAIN = 3
"""How often an incomplete list is read again."""

MOST_PAGES = 1_000
"""Pages after which a list with tokens is taken for endless: a hundred thousand rows, where a thousand resources and
a thousand shares are the most that the vendor's limits speak of.

https://www.alibabacloud.com/help/en/resource-management/resource-sharing/product-overview/limits
"""


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


def read_token_list(what: str, page: Callable[[str], TokenPage[Row]], key: Callable[[Row], Key]) -> tuple[Row, ...]:
    """All rows of a list that goes on where its token says, by distinct key, in the order of their keys.

    Where two pages show one key, the later page is the newer reading. ``what`` names the list in the error. Raises
    ``IncompleteRead`` when a token comes back that was followed before, or when there is no end to the list.
    """
    rows: dict[Key, Row] = {}
    followed = {""}
    token = ""
    for _ in range(MOST_PAGES):
        read = page(token)
        rows.update((key(row), row) for row in read.rows)
        token = read.token
        if not token:
            return tuple(rows[k] for k in sorted(rows))
        if token in followed:
            why = f"page {len(followed)} goes on where an earlier one did"
            raise IncompleteRead(f"{what}: {why}, after {len(rows)} rows; nothing was concluded from it")
        followed.add(token)
    raise IncompleteRead(f"{what}: no end after {MOST_PAGES} pages and {len(rows)} rows; nothing was concluded from it")
