"""When a person is told: once when a matter is new, daily while it stands, and never by two runs at once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from orgshare.notices import AGAIN, CLAIM, FORGOTTEN, NO_NOTES, Matter, Notes, due, settled

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def matter(key: str = "a", *, scope: str = "", patience: timedelta = timedelta()) -> Matter:
    return Matter(key=key, kind="held", where="w", what="x", do="y", scope=scope, patience=patience)


def run(
    notes: Notes, *matters: Matter, at: datetime, looked_at: bool = True, works: bool = True
) -> tuple[Notes, list[str]]:
    """One run that finds these matters and tells what is due; what it told."""
    after, notices = due(notes, matters, at, looked_at=lambda _: looked_at)
    keys = [notice.matter.key for notice in notices]
    return settled(after, keys, told=at if works else None), keys if works else []


def test_a_matter_is_told_once_and_again_daily() -> None:
    """However often it is found, and at whatever minute the daily timer fires."""
    notes, told = run(NO_NOTES, matter(), at=NOW)
    assert told == ["a"]
    days = []
    for hours in range(1, 73):
        notes, told = run(notes, matter(), at=NOW + hours * HOUR)
        days += [hours] if told else []
    assert days == [24, 48, 72]
    _, told = run(notes, matter(), at=NOW + 96 * HOUR - timedelta(minutes=5))
    assert told == ["a"]


def test_what_is_over_and_comes_back_is_new() -> None:
    """If a run looked at everything around it; else nobody knows that it was over."""
    notes, _ = run(NO_NOTES, matter(), at=NOW)
    seen, _ = run(notes, at=NOW + HOUR)
    assert seen == {}
    assert run(seen, matter(), at=NOW + 2 * HOUR)[1] == ["a"]
    unseen, _ = run(notes, at=NOW + HOUR, looked_at=False)
    assert run(unseen, matter(), at=NOW + 2 * HOUR)[1] == []


def test_only_what_was_looked_at_is_over() -> None:
    """A run of one shard says nothing about another."""
    notes, _ = run(NO_NOTES, matter("a", scope="here"), matter("b", scope="there"), at=NOW)
    after, _ = due(notes, (), NOW + HOUR, looked_at=lambda scope: scope == "here")
    assert set(after) == {"b"}


def test_what_nobody_looks_at_is_forgotten_at_last() -> None:
    """A shard that is gone does not leave its matters for ever."""
    notes, _ = run(NO_NOTES, matter(), at=NOW)
    assert set(run(notes, at=NOW + FORGOTTEN, looked_at=False)[0]) == {"a"}
    assert run(notes, at=NOW + FORGOTTEN + HOUR, looked_at=False)[0] == {}


def test_what_mostly_passes_has_to_stand() -> None:
    """It is told by the first run after its time, and not at all if a run between did not find it."""
    patient = matter(patience=HOUR)
    notes, told = run(NO_NOTES, patient, at=NOW)
    assert told == []
    assert run(notes, patient, at=NOW + HOUR / 2)[1] == []
    assert run(notes, patient, at=NOW + HOUR)[1] == ["a"]
    gone, _ = run(notes, at=NOW + HOUR / 2)
    assert run(gone, patient, at=NOW + HOUR)[1] == []


def test_what_could_not_be_told_is_told_by_the_next_run() -> None:
    """And a run that died while telling holds it up for minutes only."""
    notes, told = run(NO_NOTES, matter(), at=NOW, works=False)
    assert told == []
    assert run(notes, matter(), at=NOW + timedelta(seconds=1))[1] == ["a"]
    claimed, notices = due(NO_NOTES, [matter()], NOW, looked_at=lambda _: True)
    assert len(notices) == 1
    assert due(claimed, [matter()], NOW + CLAIM / 2, looked_at=lambda _: True)[1] == ()
    assert len(due(claimed, [matter()], NOW + CLAIM, looked_at=lambda _: True)[1]) == 1


def test_new_ones_come_first() -> None:
    """What was told before comes after what nobody knows yet."""
    notes, _ = run(NO_NOTES, matter("a"), at=NOW)
    _, notices = due(notes, [matter("a"), matter("b")], NOW + AGAIN, looked_at=lambda _: True)
    assert [(n.matter.key, n.new, n.since) for n in notices] == [("b", True, NOW + AGAIN), ("a", False, NOW)]


@given(
    found=st.lists(
        st.tuples(st.sets(st.sampled_from("abc")), st.integers(1, 40), st.booleans()), min_size=1, max_size=30
    )
)
def test_never_twice_within_a_day_and_never_silent(found: list[tuple[set[str], int, bool]]) -> None:
    """Whatever runs find and whenever telling fails: what stands is known, and no sooner told again than due."""
    notes: Notes = NO_NOTES
    now, last, gone = NOW, dict[str, datetime](), set[str]()
    for keys, hours, works in found:
        now += hours * HOUR
        gone |= {"a", "b", "c"} - keys
        notes, told = run(notes, *(matter(key) for key in sorted(keys)), at=now, works=works)
        for key in told:
            assert key in gone or key not in last or now - last[key] >= AGAIN
            last[key] = now
            gone.discard(key)
        if works:
            assert all(now - last[key] < AGAIN for key in keys)
