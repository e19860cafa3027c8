"""Making calls: what is tried again, who is asked before, and what throttling does to a call and to its neighbours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.flow import FlowControl
from localcloud.world import Limit
from orgshare.alibaba.calls import ATTEMPTS, PATIENCE, Calls, Lane
from orgshare.errors import Busy, NoAnswer, NotPermitted, OutOfTime, Refused, TryAgain
from orgshare.ports import BeforeCall, at_once
from tests.support.trial import OTHER_REGION, REGION, A, B, C

READ, WRITE = "ecs:DescribeImages", "ecs:ModifyImageSharePermission"


class Told(Exception):
    """An exception such as the SDK raises."""

    def __init__(self, code: str, status_code: int = 400, detail: object = None) -> None:
        super().__init__(code)
        self.code = code
        self.status_code = status_code
        self.access_denied_detail = detail


class Time:
    """A clock that only sleeping moves, unless ``still``."""

    def __init__(self, *, still: bool = False) -> None:
        self.now = 1_000.0
        self.sleeps: list[float] = []
        self._still = still

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if not self._still:
            self.now += seconds

    def calls(self, *, before_call: BeforeCall = at_once) -> Calls:
        """Calls that live in this time."""
        return Calls(sleep=self.sleep, random=Random(1), clock=lambda: self.now, before_call=before_call)


class Cloud:
    """Answers with the codes that are written down, then with its counter."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        if self.codes:
            raise Told(self.codes.pop(0))
        return self.asked


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def lane(time: Time) -> Lane:
    return time.calls().lane(A, REGION)


# --- throttled calls


def test_a_throttled_call_is_made_again_until_a_minute_is_over(time: Time, lane: Lane) -> None:
    """Throttling uses up none of the tries, whatever it is called, and each attempt comes after a wait."""
    cloud = Cloud(*["Throttling.User", "Throttling", "Throttling.Api", "Rejected.Throttling"] * 4)

    assert lane.write(WRITE, cloud) == 17
    assert len(time.sleeps) >= 16
    assert time.now > 1_030


def test_failures_between_throttled_answers_are_counted_by_themselves(lane: Lane) -> None:
    """Six tries are six failures, however often the call was throttled in between."""
    cloud = Cloud(*["ServiceUnavailable", "Throttling", "Throttling"] * ATTEMPTS)

    with pytest.raises(TryAgain, match="ServiceUnavailable"):
        lane.write(WRITE, cloud)

    assert cloud.asked == 3 * (ATTEMPTS - 1) + 1


def test_a_call_that_flow_control_never_lets_through_is_given_up(time: Time, lane: Lane) -> None:
    """After some minutes the error says so, and others of the same operation do not wait as long again."""
    cloud = Cloud(*["Throttling.User"] * 1_000)

    with pytest.raises(TryAgain, match=r"Throttling\.User"):
        lane.read(READ, cloud)
    assert PATIENCE < time.now - 1_000 < PATIENCE + 40

    asked, given_up = cloud.asked, time.now
    for _ in range(3):
        with pytest.raises(TryAgain, match="Throttling") as raised:
            lane.read(READ, cloud)
        assert raised.value.code.startswith("Throttling")
    assert cloud.asked <= asked + 1
    assert time.now - given_up < 20

    cloud.codes.clear()
    time.now += 60
    assert lane.read(READ, cloud) > 0


def test_what_is_throttled_slows_nothing_else(time: Time) -> None:
    """Limits are for an operation, an account and a region."""
    calls = time.calls()
    stuck = Cloud(*["Throttling"] * 1_000)
    with pytest.raises(TryAgain):
        calls.lane(A, REGION).read(READ, stuck)
    slept = len(time.sleeps)

    for account, region, operation in (
        (A, REGION, WRITE),
        (B, REGION, READ),
        (C, REGION, READ),
        (A, OTHER_REGION, READ),
    ):
        assert calls.lane(account, region).read(operation, Cloud()) == 1

    assert len(time.sleeps) == slept


def test_lanes_of_one_account_and_region_share_their_pace(time: Time) -> None:
    """Whoever was throttled, everybody waits."""
    calls = time.calls()
    with pytest.raises(TryAgain):
        calls.lane(A, REGION).read(READ, Cloud(*["Throttling"] * 1_000))

    with pytest.raises(TryAgain, match="no call was let through"):
        calls.lane(A, REGION).read(READ, Cloud())


def test_a_limit_that_nobody_told_is_kept_without_an_error(time: Time, lane: Lane) -> None:
    """Five calls a second: every call is answered, and no second sees more than ten."""
    flow, seconds = FlowControl(), list[int]()

    def call() -> bool:
        seconds.append(int(time.now))
        if not flow.admit({READ: Limit(limit=5, window=1)}, READ, A, REGION, now=time.now):
            raise Told("Throttling.User")
        time.now += 0.01
        return True

    assert all(lane.read(READ, call) for _ in range(200))
    assert max(seconds.count(second) for second in set(seconds)) <= 10


@given(st.lists(st.sampled_from(["Throttling.User", "ServiceUnavailable", "InternalError", ""]), max_size=120))
def test_every_call_ends_though_time_stands_still(codes: list[str]) -> None:
    """Where sleeping does nothing and the clock stands, nothing waits for ever."""
    lane = Time(still=True).calls().lane(A, REGION)
    answers = iter(codes)

    def call() -> None:
        if code := next(answers, ""):
            raise Told(code)

    for make in (lane.read, lane.write) * 40:
        try:
            make(READ, call)
        except TryAgain:
            continue


def test_threads_that_call_at_once_all_get_through() -> None:
    """Eight threads, a cloud that throttles every third call, and a sleep that does nothing: each call is answered."""
    lane = Time(still=True).calls().lane(A, REGION)
    answered, lock, asked = [], threading.Lock(), 0

    def call() -> None:
        nonlocal asked
        with lock:
            asked += 1
            if asked % 3 == 0:
                raise Told("Throttling")

    def work() -> None:
        for _ in range(20):
            lane.read(READ, call)
            answered.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answered) == 160


# --- who is asked before


def test_a_write_asks_before_every_attempt_and_after_every_wait() -> None:
    """What was true before a wait need not be true after it."""
    story: list[str] = []
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        story.append("wait")

    cloud = Cloud("Throttling", "ServiceUnavailable", "Throttling")
    calls = Calls(sleep=sleep, random=Random(1), clock=lambda: now, before_call=lambda: story.append("call?"))

    def call() -> int:
        story.append("call")
        return cloud()

    calls.lane(A, REGION, before_write=lambda: story.append("write?")).write(WRITE, call)

    made = [place for place, what in enumerate(story) if what == "call"]
    assert len(made) == 4
    assert all(story[place - 2 : place] == ["call?", "write?"] for place in made)
    assert story.count("write?") == 4
    assert story.count("wait") >= 3


def test_a_read_does_not_ask_whether_it_may_write(time: Time) -> None:
    """A paused shard can still be read."""

    def never() -> None:
        raise Busy("held by another run")

    lane = time.calls().lane(A, REGION, before_write=never)

    assert lane.read(READ, Cloud()) == 1
    with pytest.raises(Busy):
        lane.write(WRITE, Cloud())


@pytest.mark.parametrize("error", [Busy("held"), TryAgain("the state is throttled", code="Throttling"), NoAnswer("?")])
def test_what_stands_against_a_write_is_raised_as_it_is(time: Time, error: Exception) -> None:
    """It is not tried again, whatever kind it is, and the call is not made."""
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        raise error

    cloud, calls = Cloud(), time.calls()
    with pytest.raises(type(error)) as raised:
        calls.lane(A, REGION, before_write=ask).write(WRITE, cloud)

    assert raised.value is error
    assert (asked, cloud.asked, time.sleeps, calls.counts()) == (1, 0, [], {})


def test_a_write_that_may_not_be_repeated_leaves_the_others_going(time: Time) -> None:
    """Who is stopped while all wait for flow control does not leave them waiting."""
    calls, answers = time.calls(), iter([None, Busy("held")])

    def ask() -> None:
        if error := next(answers):
            raise error

    with pytest.raises(Busy):
        calls.lane(A, REGION, before_write=ask).write(WRITE, Cloud("Throttling"))

    assert calls.lane(A, REGION).write(WRITE, Cloud()) == 1
    assert time.now < 1_010


def test_the_end_of_a_runs_time_ends_its_waiting(time: Time) -> None:
    """A run is not kept waiting for flow control beyond its own time by more than one short wait."""

    def in_time() -> None:
        if time.now > 1_100:
            raise OutOfTime("over")

    lane = time.calls(before_call=in_time).lane(A, REGION)

    for make in (lane.read, lane.write):
        with pytest.raises(OutOfTime):
            make(READ, Cloud(*["Throttling"] * 1_000))
    assert time.now < 1_100 + 12


# --- failures


@pytest.mark.parametrize(
    ("code", "kind", "reads", "writes"),
    [
        ("ServiceUnavailable", TryAgain, ATTEMPTS, ATTEMPTS),
        ("InternalError", TryAgain, ATTEMPTS, 1),
        ("InvalidImageId.NotFound", Refused, 1, 1),
    ],
)
def test_what_may_pass_is_tried_six_times(
    time: Time, lane: Lane, code: str, kind: type[Exception], reads: int, writes: int
) -> None:
    """A write only if it certainly was not carried out; waits grow."""
    for make, attempts in ((lane.read, reads), (lane.write, writes)):
        cloud = Cloud(*[code] * 100)
        with pytest.raises(kind, match=code):
            make(READ, cloud)
        assert cloud.asked == attempts
    waits = time.sleeps[:5] if reads > 1 else []
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits))


def test_attempts_are_counted(time: Time) -> None:
    """Throttled ones too, as the cloud counts them."""
    calls = time.calls()
    make: Callable[[str, Callable[[], int]], int] = calls.lane(A, REGION).read

    make(READ, Cloud("Throttling", "Throttling"))
    make(WRITE, Cloud("InternalError"))
    make(READ, Cloud())

    assert calls.counts() == {READ: 4, WRITE: 2}


# --- permissions


def refusing(code: str, detail: object = None) -> Callable[[], int]:
    """A call that is refused with this code."""

    def call() -> int:
        raise Told(code, 403, detail)

    return call


@pytest.mark.parametrize("code", ["Forbidden.RAM", "NoPermission", "Forbidden.SubUser", "NotAuthorized"])
def test_a_lacking_permission_is_said_once_and_not_tried_again(time: Time, code: str) -> None:
    """It is no refusal of what was asked for: whose policy has to allow what is kept for the run, each once."""
    calls = time.calls()
    lane = calls.lane(A, REGION, who="acs:ram::1:role/r")
    for _ in range(2):
        with pytest.raises(NotPermitted) as caught:
            lane.write(WRITE, refusing(code))
    with pytest.raises(NotPermitted):
        lane.read(READ, refusing(code))
    assert not isinstance(caught.value, Refused)
    assert str(caught.value).endswith("; a policy of acs:ram::1:role/r has to allow ecs:ModifyImageSharePermission")
    assert calls.counts() == {READ: 1, WRITE: 2}
    assert calls.lacking() == (
        "a policy of acs:ram::1:role/r has to allow ecs:DescribeImages",
        "a policy of acs:ram::1:role/r has to allow ecs:ModifyImageSharePermission",
    )
    assert time.sleeps == []


@pytest.mark.parametrize(
    ("detail", "needed"),
    [
        ({"AuthAction": "ecs:Other"}, "a policy of me has to allow ecs:Other"),
        ({"NoPermissionType": "ExplicitDeny"}, "a policy of me must not deny ecs:DescribeImages"),
        ({"PolicyType": "AccountLevelIdentityBasedPolicy"}, "a policy of me has to allow ecs:DescribeImages"),
        (
            {"PolicyType": "ControlPolicy", "NoPermissionType": "ExplicitDeny"},
            "the ControlPolicy that limits me must not deny ecs:DescribeImages",
        ),
        ("{}", "a policy of me has to allow ecs:DescribeImages"),
        ({"AuthAction": None}, "a policy of me has to allow ecs:DescribeImages"),
    ],
)
def test_what_the_answer_tells_of_a_lacking_permission_is_told(time: Time, detail: object, needed: str) -> None:
    """The action that was checked, the kind of policy, and whether it is denied or only not allowed."""
    with pytest.raises(NotPermitted) as caught:
        time.calls().lane(A, REGION, who="me").read(READ, refusing("NoPermission", detail))
    assert caught.value.remedy == needed
