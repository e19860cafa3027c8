"""The history of pairs: differences of two ledgers, never pruned, and every row told once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from orgshare.errors import ConfigurationError
from orgshare.ledger import Entry, Ledger, Lost
from orgshare.record.history import Row, read_history, write_history
from orgshare.record.store import DirectoryStore
from orgshare.words import Shard
from tests.support.facts import NOW, OWNER, SHARD, A, B, C, D

OTHER = Shard("ecs", OWNER, "ap-southeast-1")
HOUR = timedelta(hours=1)
GOLD, SILVER, BRONZE = "m-gold", "m-silver", "m-bronze"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "state", lambda: NOW)


def made(*accounts: str, rules: tuple[str, ...] = ("golden",), state: str = "made") -> dict[str, Entry]:
    return {a: Entry(state, NOW, rules=rules, shared_time="t") for a in accounts}  # type: ignore[arg-type]


def known(
    grants: dict[str, dict[str, Entry]] | None = None,
    reached: dict[str, set[str]] | None = None,
    lost: dict[str, dict[str, Lost]] | None = None,
) -> Ledger:
    ledger = Ledger().with_reached({image: frozenset(accounts) for image, accounts in (reached or {}).items()})
    for image, entries in (grants or {}).items():
        ledger = ledger.with_entries(image, entries)
    return replace(ledger, lost=MappingProxyType(lost or {}))


NOBODY = known()
THREE = known({GOLD: made(A, B), SILVER: made(A, C), BRONZE: made(C)})


def write(
    store: DirectoryStore,
    before: Ledger,
    after: Ledger,
    *,
    number: int = 1,
    shard: Shard = SHARD,
    run: str = "r1",
    now: datetime = NOW,
) -> None:
    write_history(store, shard, number, before, after, run=run, now=now)


def told(rows: tuple[Row, ...]) -> list[tuple[str, str, str]]:
    return [(row.image, row.account, row.what) for row in rows]


def test_what_two_ledgers_differ_in_is_told(store: DirectoryStore) -> None:
    """A pair that appears was gained, one that is not there any more was lost, the rest is not told."""
    write(store, NOBODY, THREE)
    after = known({GOLD: made(A, D), SILVER: made(A, C), BRONZE: made()})
    write(store, THREE, after, number=2, run="r2", now=NOW + HOUR)
    assert told(read_history(store)) == [
        (BRONZE, C, "gained"), (GOLD, A, "gained"), (GOLD, B, "gained"), (SILVER, A, "gained"), (SILVER, C, "gained"),
        (BRONZE, C, "lost"), (GOLD, B, "lost"), (GOLD, D, "gained"),
    ]  # fmt: skip
    assert {(row.run, row.at) for row in read_history(store)} == {("r1", NOW), ("r2", NOW + HOUR)}


def test_nothing_is_written_where_nothing_differs(store: DirectoryStore) -> None:
    """Not even an empty object."""
    write(store, THREE, THREE)
    write(store, NOBODY, known({GOLD: made(A, B, state="intended")}))
    assert store.folders("history") == []


def test_an_intention_is_no_gain(store: DirectoryStore) -> None:
    """Only what the cloud accepted, or what was seen there, was gained; and it is no second gain to be seen."""
    intended = known({GOLD: made(A, B, C, state="intended")})
    accepted = known({GOLD: {**made(A, state="accepted"), **made(B), **made(C, state="intended")}})
    write(store, NOBODY, intended)
    write(store, intended, accepted, number=2)
    write(store, accepted, known({GOLD: made(A, B)}), number=3)
    assert told(read_history(store)) == [(GOLD, A, "gained"), (GOLD, B, "gained")]


def test_a_row_says_by_what_and_why(store: DirectoryStore) -> None:
    """The channel, the rules, and whether it was our doing."""
    before = known({GOLD: made(A, B, rules=("old",))}, {SILVER: {C}})
    lost = {GOLD: {A: Lost(NOW, ("old", "older")), B: Lost(NOW - HOUR, ("old",))}}
    write(store, before, known({BRONZE: made(D, rules=("new",))}, {BRONZE: {A}}, lost))
    rows = {(row.image, row.account): (row.what, row.channel, row.rules, row.why) for row in read_history(store)}
    assert rows == {
        (BRONZE, D): ("gained", "direct", ("new",), "granted"),
        (BRONZE, A): ("gained", "directory", (), "a resource share reaches it"),
        (GOLD, A): ("lost", "direct", ("old", "older"), "taken away by this run"),
        (GOLD, B): ("lost", "direct", ("old",), "not there any more"),
        (SILVER, C): ("lost", "directory", (), "not there any more"),
    }


def test_a_change_of_channel_is_neither(store: DirectoryStore) -> None:
    """A pair that has another channel now was never without the image."""
    direct, both = known({GOLD: made(A, B, C)}), known({GOLD: made(A, B, C)}, {GOLD: {A, B, C}})
    shared = known(reached={GOLD: {A, B, C}})
    write(store, NOBODY, direct)
    for number, (before, after) in enumerate([(direct, both), (both, shared), (shared, direct)], 2):
        write(store, before, after, number=number)
    assert told(read_history(store)) == [(GOLD, a, "gained") for a in (A, B, C)]


def test_a_row_that_was_written_twice_is_told_once(store: DirectoryStore) -> None:
    """A run died between history and generation: the next one writes the same difference, under its own name."""
    write(store, NOBODY, THREE, run="died")
    write(store, NOBODY, THREE, run="next", now=NOW + HOUR)
    rows = read_history(store)
    assert len(rows) == 5
    assert {row.run for row in rows} == {"died"}
    assert {row.run for row in read_history(store, image=GOLD)} == {"died"}


def test_a_run_may_write_twice_before_the_same_generation(store: DirectoryStore) -> None:
    """Its first pass wrote history and not the generation: what the second pass did is told all the same."""
    write(store, NOBODY, known({GOLD: made(A)}))
    write(store, NOBODY, known({GOLD: made(A), SILVER: made(B)}))
    write(store, NOBODY, known({GOLD: made(A), SILVER: made(B), BRONZE: made(C)}))
    assert told(read_history(store)) == [(BRONZE, C, "gained"), (GOLD, A, "gained"), (SILVER, B, "gained")]


def test_gained_lost_and_gained_again_are_three_rows(store: DirectoryStore) -> None:
    """Only a repetition is passed over, never a change."""
    for number, (before, after) in enumerate([(NOBODY, THREE), (THREE, NOBODY), (NOBODY, THREE)], 1):
        write(store, before, after, number=number, now=NOW + number * HOUR)
    whats = [row.what for row in read_history(store, image=GOLD, account=A)]
    assert whats == ["gained", "lost", "gained"]


def test_rows_are_chosen_by_image_account_and_time(store: DirectoryStore) -> None:
    """Over all shards, oldest first whatever the shard."""
    write(store, NOBODY, known({"m-far": made(A, B)}), shard=OTHER, run="far", now=NOW + 2 * HOUR)
    write(store, NOBODY, THREE)
    assert [row.image for row in read_history(store)][-2:] == ["m-far", "m-far"]
    assert told(read_history(store, account=A)) == [(i, A, "gained") for i in (GOLD, SILVER, "m-far")]
    assert told(read_history(store, image="m-far")) == [("m-far", A, "gained"), ("m-far", B, "gained")]
    assert told(read_history(store, image=GOLD, account=C)) == []


@pytest.mark.parametrize(("hours", "rows"), [(-1, 5), (0, 5), (1, 0)])
def test_since_counts_the_very_moment(store: DirectoryStore, hours: int, rows: int) -> None:
    """What was seen at that time is in, what was seen before is not."""
    write(store, NOBODY, THREE)
    assert len(read_history(store, since=NOW + hours * HOUR)) == rows


def test_another_versions_history_is_refused(store: DirectoryStore) -> None:
    """It is never guessed at."""
    store.put_new(f"history/{SHARD}/000000000001-r.json", b'{"format": 99}')
    with pytest.raises(ConfigurationError, match="has format 99"):
        read_history(store)
