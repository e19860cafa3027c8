"""When a list was read to its end."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgshare.errors import IncompleteRead, Refused
from orgshare.observe.listing import MOST_PAGES, READ_AGAIN, read_list, read_token_list
from orgshare.ports import Page, TokenPage


class Book:
    """A list in pages; the token of a page is its number."""

    def __init__(self, pages: Sequence[Sequence[str]], *, tokens: Sequence[str] | None = None) -> None:
        self.pages = pages
        self.tokens = tokens or [str(number) for number in range(1, len(pages))] + [""]
        self.followed: list[str] = []

    def page(self, token: str) -> TokenPage[str]:
        self.followed.append(token)
        number = int(token or 0)
        return TokenPage(tuple(self.pages[number]), self.tokens[number])


@given(st.lists(st.lists(st.text(max_size=3), max_size=4), min_size=1, max_size=8))
def test_a_list_with_tokens_always_has_the_rows_of_all_its_pages(pages: list[list[str]]) -> None:
    """Whatever the pages, empty ones included, each row is there once, in order, and each page was asked for once."""
    book = Book(pages)

    rows = read_token_list("rows", book.page, str)

    assert rows == tuple(sorted({row for page in pages for row in page}))
    assert book.followed == ["", *(str(number) for number in range(1, len(pages)))]


def test_the_later_of_two_rows_with_one_key_is_kept() -> None:
    """A row that changed while the list was read is the one that was read last."""
    book = Book([["a:old", "b:only"], ["a:new"]])

    assert read_token_list("rows", book.page, lambda row: row[0]) == ("a:new", "b:only")


@given(st.integers(0, 4), st.integers(0, 4))
def test_a_token_that_comes_back_never_ends_a_list(length: int, back: int) -> None:
    """A list that goes on where it went on before, at once or later, is incomplete."""
    tokens = [str(number) for number in range(1, length + 2)] + [str(min(back, length + 1) or length + 1)]
    book = Book([[f"row {number}"] for number in range(length + 2)], tokens=tokens)

    with pytest.raises(IncompleteRead, match=r"^rows: page \d+ goes on where an earlier one did, after \d+ rows"):
        read_token_list("rows", book.page, str)


def test_a_list_without_end_is_given_up() -> None:
    """New tokens for ever are followed only so far."""
    numbers = iter(range(1, 10**6))

    with pytest.raises(IncompleteRead, match=f"^rows: no end after {MOST_PAGES} pages and 1 rows"):
        read_token_list("rows", lambda _: TokenPage(("row",), str(next(numbers))), str)

    assert next(numbers) == MOST_PAGES + 1


def test_a_page_that_cannot_be_read_ends_the_reading() -> None:
    """The vendor's error reaches the caller as it is, and no shorter list does."""

    def page(token: str) -> TokenPage[str]:
        if token:
            raise Refused("no")
        return TokenPage(("row",), "next")

    with pytest.raises(Refused, match=r"^no$"):
        read_token_list("rows", page, str)


@given(st.sets(st.integers(0, 10**6), max_size=250))
def test_a_list_with_a_total_always_has_as_many_rows(numbers: set[int]) -> None:
    """All rows of all pages are there, in order."""
    rows = [str(number) for number in numbers]

    read = read_list("rows", lambda page: Page(tuple(rows[100 * (page - 1) : 100 * page]), len(rows)), str)

    assert read == tuple(sorted(rows))


@pytest.mark.parametrize("total", [0, 1, 3, 250])
def test_a_total_that_is_not_the_number_of_rows_is_never_believed(total: int) -> None:
    """Too few rows and too many are read again, and then given up."""
    readings = []

    def page(number: int) -> Page[str]:
        readings.append(number)
        return Page(("a", "b") if number == 1 else (), total)

    with pytest.raises(IncompleteRead, match=f"^rows: 2 of {total} rows after {1 + READ_AGAIN} readings"):
        read_list("rows", page, str)

    assert readings.count(1) == 1 + READ_AGAIN
