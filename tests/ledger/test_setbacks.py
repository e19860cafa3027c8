"""What a reading of resource shares does to what is remembered of failures, one share and one row at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from orgshare.ledger import STALE, Entry, Ledger, Setback, settle_shares
from orgshare.words import Association, ResourceShare
from tests.support.facts import NOW, A, B, C

EARLIER = "2026-11-01T00:00:00Z"


def entry(created: str = EARLIER, *, missing: int = 0) -> Entry:
    return Entry("made", NOW - timedelta(days=20), rules=("golden",), shared_time=created, missing=missing)


def share(name: str, *targets: Association) -> ResourceShare:
    return ResourceShare(id=name, targets=targets)


def ledger(*shares: str, made: Iterable[str] = (), missing: int = 0) -> Ledger:
    """Three targets of ours in each of these shares."""
    rows = {account: entry(missing=missing) for account in (A, B, C)}
    return Ledger(shares=dict.fromkeys(shares, rows), made=frozenset(made))


def test_a_share_of_which_nothing_is_known_says_nothing_about_the_next() -> None:
    """The first was made by us and is not listed: it keeps its rows. Of the second the rows are over."""
    known = ledger("rs-1", "rs-2", made=["rs-1"])
    over = share("rs-2", *(Association(account, "Disassociated", EARLIER) for account in (A, B, C)))
    after = settle_shares(known, [over], NOW)
    assert dict(after.shares) == {"rs-1": known.rows("rs-1")}


def test_a_row_that_stands_or_is_not_ours_hides_none_that_failed() -> None:
    """Both come first in the list; the failure after them is counted all the same."""
    rows = (
        Association(A, "Associated", EARLIER),
        Association("1000000000000077", "Failed", EARLIER, failure="theirs"),
        Association(B, "Failed", EARLIER, failure="no such account"),
        Association(C, "Failed", EARLIER),
    )
    after = settle_shares(ledger("rs-1"), [share("rs-1", *rows)], NOW)
    assert after.setbacks == {
        f"rs-1/{B}": Setback("Failed", "no such account", NOW, 1, EARLIER),
        f"rs-1/{C}": Setback("Failed", "the vendor gives no reason", NOW, 1, EARLIER),
    }
    assert set(after.rows("rs-1")) == {A}


@pytest.mark.parametrize("status", ["Failed", "Disassociated"])
def test_a_row_that_is_over_and_was_missing_before_ends_once(status: str) -> None:
    """The second reading without a live row ends it anyway; that it failed is remembered."""
    rows = (Association(account, status, EARLIER) for account in (A, B, C))
    after = settle_shares(ledger("rs-1", missing=1), [share("rs-1", *rows)], NOW)
    assert after.rows("rs-1") == {}
    assert len(after.setbacks) == (3 if status == "Failed" else 0)


def test_an_old_setback_is_forgotten_and_a_younger_one_is_not() -> None:
    """What was not met again for so long was not tried any more."""
    ages = {"create-share": STALE, f"rs-1/{A}": STALE + timedelta(days=1), f"rs-1/{B}": STALE - timedelta(seconds=1)}
    known = Ledger(setbacks={key: Setback("Failed", "why", NOW - age) for key, age in ages.items()})
    assert set(settle_shares(known, [], NOW).setbacks) == {f"rs-1/{B}"}


def test_a_share_that_the_cloud_calls_deleted_takes_its_rows_along_and_no_other() -> None:
    """One of two that we made; the other is simply not listed. A deleted one that we never made is nothing to us."""
    known = ledger("rs-1", "rs-2", made=["rs-1", "rs-2"])
    after = settle_shares(known, [], NOW, frozenset({"rs-1", "rs-9"}))
    assert after.made == {"rs-2"}
    assert after.shares == {"rs-2": known.rows("rs-2")}


def test_a_reading_that_shows_what_was_known_changes_nothing() -> None:
    """Whatever else is in the ledger."""
    rows = share("rs-1", *(Association(account, "Associated", EARLIER) for account in (A, B, C)))
    known = Ledger(
        shares={"rs-1": {account: entry() for account in (A, B, C)}},
        made=frozenset({"rs-1"}),
        setbacks={"create-share": Setback("Failed", "why", NOW)},
        reached={"m-gold": frozenset({A})},
    )
    assert settle_shares(known, [rows], NOW) == known
