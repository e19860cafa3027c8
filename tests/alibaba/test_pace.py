"""The pace of calls under flow control that nobody told: simulated time, many workers, many limits."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.pacing import Job, Outcome, doubled, halved, simulate
from orgshare.alibaba.pace import FORGOTTEN, LONGEST_WINDOW, Pace, Turn
from orgshare.alibaba.pace import Outcome as Told

LATENCIES = (0.005, 0.05, 0.4)


def carried_out(job: Job, *, within: float = 1.15, throttled: float = 0.02) -> Outcome:
    """Simulate a job and hold it to its bounds: of the time of its windows, and of the calls after the first one."""
    outcome = simulate(job)
    assert outcome.sent.total() - outcome.throttled.total() == job.calls()
    assert outcome.seconds <= within * job.windows * job.window
    assert outcome.throttled_later() < throttled
    return outcome


def begun(pace: Pace, now: float) -> Turn:
    """A call that may be made now."""
    turn = Turn()
    assert pace.start(turn, now) is None
    return turn


def told(pace: Pace, now: float, outcome: Told, *, later: float = 0.0) -> None:
    """Make one call that may be made now, with its answer so much later."""
    pace.finish(begun(pace, now), now + later, outcome)


def waits(pace: Pace, now: float, turn: Turn | None = None) -> float:
    """Seconds that a call has to wait which may not be made now."""
    until = pace.start(turn or Turn(), now)
    assert until is not None
    return until - now


def learned() -> tuple[Pace, float]:
    """A pace that has learned a limit of 30 in 60 s, and a time at which a call may be made."""
    pace, now = Pace(Random(1)), 6_000.0
    for window in (100, 101):
        now = max(now, window * 60.0)
        for _ in range(30 - (window == 101)):
            told(pace, now, "passed")
        told(pace, now, "throttled")
        while True:
            turn = Turn()
            while (until := pace.start(turn, now)) is not None:
                now = until
            fresh = now // 60 > window
            pace.finish(turn, now, "passed" if fresh else "throttled")
            if fresh:
                break
    return pace, now


# --- limits of minutes


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(("begin", "seed"), [(0.0, 1), (0.5, 2), (0.97, 3)])
@pytest.mark.parametrize("limit", [200, 1_000])
def test_a_limit_is_found_and_used(limit: int, begin: float, latency: float, seed: int) -> None:
    """Twenty windows of calls take little longer than twenty windows, and few are throttled."""
    carried_out(Job(limit=limit, begin=begin, latency=latency, seed=seed))


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(("begin", "seed"), [(0.0, 1), (0.5, 2), (0.97, 3)])
@pytest.mark.parametrize("limit", [200, 1_000])
def test_a_limit_that_halves_is_found_again(limit: int, begin: float, latency: float, seed: int) -> None:
    """The same bounds hold when the limit halves in the middle of the job."""
    carried_out(halved(Job(limit, begin=begin, latency=latency, seed=seed)))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("latency", LATENCIES)
def test_a_limit_that_doubles_is_used(latency: float, seed: int) -> None:
    """A rate grows again without much throttling."""
    outcome = carried_out(doubled(Job(200, latency=latency, seed=seed)))

    assert outcome.sent[19] > 1.8 * 200


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(("begin", "seed"), [(0.0, 1), (0.5, 2)])
@pytest.mark.parametrize("limit", [200, 1_000])
def test_two_tools_share_a_limit(limit: int, begin: float, latency: float, seed: int) -> None:
    """Two tools that know nothing of each other use up a limit together; learning costs each of them its throttling."""
    carried_out(Job(limit=limit, tools=2, begin=begin, latency=latency, seed=seed), throttled=0.025)


def test_windows_that_the_vendor_never_showed_are_found_too() -> None:
    """Nothing depends on windows of a minute or a second."""
    carried_out(Job(limit=300, window=30, begin=0.3))
    carried_out(Job(limit=100, window=10, begin=0.3), within=1.2)


def test_no_limit_costs_nothing() -> None:
    """Work that meets no limit takes as long as its workers take."""
    job = Job(limit=4_000, windows=1, latency=0.05)

    assert carried_out(job).seconds < 1.03 * job.calls() * job.latency / job.workers


# --- small limits


@pytest.mark.parametrize("latency", LATENCIES)
def test_a_limit_of_five_a_second_is_kept(latency: float) -> None:
    """In the long run a small limit is used well too."""
    outcome = carried_out(Job(limit=5, window=1, windows=200, latency=latency), within=1.3, throttled=0.05)

    assert outcome.most() <= 10


@given(
    limit=st.integers(5, 12),
    begin=st.floats(0, 0.999),
    latency=st.floats(0.005, 0.4),
    workers=st.integers(1, 8),
    seed=st.integers(0, 10_000),
)
def test_no_window_ever_gets_twice_its_limit(limit: int, begin: float, latency: float, workers: int, seed: int) -> None:
    """However a job begins, every call passes in the end, and throttled calls stay fewer than passed ones."""
    job = Job(limit=limit, window=1, windows=12, begin=begin, latency=latency, workers=workers, seed=seed)

    outcome = simulate(job)

    assert outcome.sent.total() - outcome.throttled.total() == job.calls()
    assert outcome.most() <= 2 * limit


# --- what it does, call by call


def test_at_first_three_calls_are_under_way() -> None:
    """More go out as answers come, so an unknown limit is overrun by little."""
    pace = Pace(Random(1))
    first = [begun(pace, 0.0) for _ in range(3)]

    assert 0 < waits(pace, 0.0) < 1
    pace.finish(first[0], 0.1, "passed")
    begun(pace, 0.1)
    assert waits(pace, 0.1) > 0


def test_after_a_throttled_call_one_call_at_a_time_asks() -> None:
    """Everybody waits, whoever was throttled, and only one finds out whether a new window has begun."""
    pace = Pace(Random(1))
    told(pace, 0.0, "throttled")
    turns = [Turn() for _ in range(8)]

    assert all(waits(pace, 0.1, turn) > 0.3 for turn in turns)
    going = [turn for turn in turns if pace.start(turn, 1.0) is None]
    assert len(going) == 1
    pace.finish(going[0], 1.0, "throttled")
    assert all(waits(pace, 1.5, turn) > 0.3 for turn in turns)


def test_who_does_not_ask_after_all_leaves_it_to_the_next() -> None:
    """A call that is given up while it waits holds nobody up."""
    pace = Pace(Random(1))
    told(pace, 0.0, "throttled")
    gone, other = Turn(), Turn()
    assert waits(pace, 0.1, gone) > 0

    pace.finish(gone, 0.2, "unknown")

    assert pace.start(other, 0.6) is None


def test_who_never_comes_back_is_waited_for_half_a_minute_only() -> None:
    """A call whose answer nobody tells holds up the others no longer than a connection lives."""
    pace = Pace(Random(1))
    told(pace, 0.0, "throttled")
    begun(pace, 1.0)

    assert waits(pace, 20.0) > 0
    begun(pace, 32.0)


def test_known_limits_are_spread_and_never_released_together() -> None:
    """Each waiting call has a place of its own, as far from the next as the limit says."""
    pace, now = learned()

    begun(pace, now)
    places = [0.0, *(waits(pace, now) for _ in range(4))]

    assert [later - sooner for sooner, later in pairwise(places)] == pytest.approx([60 / 30 / 0.97] * 4, rel=0.01)


def test_places_are_given_anew_after_a_throttled_call() -> None:
    """Who waited for a place when a call was throttled waits with the others."""
    pace, now = learned()
    now += 10
    first, second = begun(pace, now), Turn()
    wait = waits(pace, now, second)

    pace.finish(first, now + wait / 2, "throttled")

    assert pace.start(second, now + wait) is None  # it asks whether the window is new
    assert waits(pace, now + wait) > 0


def test_a_late_answer_to_a_call_from_before_is_no_new_throttling() -> None:
    """Calls that were under way together are throttled together, and that is learned from once."""
    pace = Pace(Random(1))
    first, second = begun(pace, 0.0), begun(pace, 0.0)
    pace.finish(first, 0.1, "throttled")
    told(pace, 0.8, "passed")

    pace.finish(second, 0.9, "throttled")

    begun(pace, 0.9)


def test_a_limit_is_forgotten_after_a_long_quiet_time() -> None:
    """What was learned long ago slows nobody."""
    pace, now = learned()
    begun(pace, now + 1)
    assert all(waits(pace, now + 1) > 0 for _ in range(3))

    for _ in range(3):
        begun(pace, now + 1 + 2 * FORGOTTEN)


def test_no_call_let_through_is_told() -> None:
    """How long nothing has passed is counted up to the last answer, not up to now."""
    pace = Pace(Random(1))
    for minute in range(20):
        told(pace, 60.0 * minute, "throttled", later=1.0)

    assert pace.dry() == 19 * 60 + 1
    told(pace, 20 * 60.0, "passed")
    assert pace.dry() == 0


@given(st.lists(st.tuples(st.sampled_from(["passed", "throttled", "unknown"]), st.floats(0, 100)), max_size=80))
def test_every_call_gets_its_turn_whatever_was_told(story: list[tuple[Told, float]]) -> None:
    """Waiting always ends, in steps that are short and never nothing, even if the clock stands still meanwhile."""
    pace, clock, latest = Pace(Random(1)), 0.0, 0.0
    for outcome, passes in story:
        now, turn = clock, Turn()
        while (until := pace.start(turn, now)) is not None:
            assert until > now
            now = until
        assert now < latest + 2 * LONGEST_WINDOW
        latest = max(latest, now)
        pace.finish(turn, now, outcome)
        clock += passes
        latest = max(latest, clock)
