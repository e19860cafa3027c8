"""Signals that found a shard held, or no time left: none is lost, and none is followed for ever."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from localcloud import LocalCloud
from orgshare.alibaba.calls import Calls
from orgshare.alibaba.cloud import AlibabaCloud, Credentials
from orgshare.errors import Busy, OutOfTime, Paused
from orgshare.ports import Listing
from orgshare.record.lease import Lease
from orgshare.record.state import State
from orgshare.record.store import DirectoryStore
from orgshare.signals import ImageAt, Signal, worker_request
from orgshare.way.applying import Applied
from orgshare.way.passing import PASSES, follow
from orgshare.way.runtime import Runtime
from orgshare.words import Shard
from tests.support.trial import LEASE_IS_OVER, OTHER_REGION, OWNER, REGION, A, B, C, D, E, Trial, policy, rule, world

Trials = Callable[..., Trial]
HERE, THERE = Shard("ecs", OWNER, REGION), Shard("ecs", OWNER, OTHER_REGION)
IMAGES = ("m-bronze", "m-gold", "m-silver")
EVERYTHING = Signal(everything=True, why=("timer",))


def about(*accounts: str) -> Signal:
    return Signal(accounts=frozenset(accounts), why=("event",))


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in IMAGES}


def beside(t: Trial, shard: Shard = HERE) -> list[Signal]:
    """What waits beside a shard."""
    return [waiting.signal for waiting in t.state().waiting(shard)]


def held_by_other(t: Trial, shard: Shard = HERE) -> tuple[Lease, State]:
    """Another run is at work in a shard."""
    state = t.begin()
    before = state.read(shard)
    runtime = t.runtime()
    lease = state.take(shard, before, before.ledger, run="other", seconds=300, clocks=runtime.clocks())
    return lease, state


def once(t: Trial, act: Callable[[], object]) -> None:
    """Do something within the next call that changes the cloud."""
    done: list[bool] = []

    def acting(_: LocalCloud) -> None:
        if not done:
            done.append(True)
            act()

    t.cloud.on_write(acting)


def kinds(applied: Applied) -> set[str]:
    return {finding.kind for finding in applied.plan.findings}


@pytest.fixture
def t(trial: Trials) -> Trial:
    """In step, and then an account moves to where it should get three images."""
    made = trial()
    made.apply()
    made.move(C, "fd-prod")
    return made


def test_a_signal_that_finds_a_shard_held_is_put_beside_it(t: Trial) -> None:
    """Nothing is written to the cloud, the report says busy, and the signal waits as it came."""
    held_by_other(t)
    before = t.access()
    applied = follow(t.runtime(), about(C))
    assert (kinds(applied), list(applied.stopped), applied.done) == ({"busy"}, [HERE], ())
    assert isinstance(applied.stopped[HERE], Busy)
    assert (beside(t), t.access()) == ([about(C)], before)


def test_of_a_sweep_only_the_shard_waits(trial: Trials) -> None:
    """A sweep that finds one of two shards held does the other, and leaves word for the one."""
    document = world()
    document["images"]["m-far"] = {"owner": OWNER, "region": OTHER_REGION, "name": "far", "tags": {"share": "org"}}
    t = trial(world=document, policy=policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}]))
    held_by_other(t, THERE)
    applied = follow(t.runtime(), EVERYTHING)
    assert t.access() == {**everywhere(A, B), "m-far": set()}
    assert list(applied.stopped) == [THERE]
    assert beside(t) == []
    assert [(signal.shards, signal.everything) for signal in beside(t, THERE)] == [(frozenset({THERE}), False)]
    t.cloud.advance(LEASE_IS_OVER)
    follow(t.runtime(), about(A))
    assert (t.access()["m-far"], beside(t, THERE)) == ({A, B}, [])


def test_the_holder_follows_it_after_its_last_write(t: Trial) -> None:
    """What came while it was at work is done by the run that was at work, and waits no more."""
    other: list[Applied] = []

    def event() -> None:
        t.move(D, "fd-prod")
        other.append(follow(t.runtime(), about(D)))

    once(t, event)
    applied = follow(t.runtime(), about(C))
    assert [kinds(each) for each in other] == [{"busy"}]
    assert t.access() == everywhere(A, B, C, D)
    assert (beside(t), applied.stopped) == ([], {})
    assert {account for change in applied.done for account in change.accounts} == {C, D}
    assert t.state().read(HERE).holder == ""


def test_the_next_run_follows_it_whatever_that_came_for(t: Trial) -> None:
    """A run that died holds the shard for a while; the first signal after that brings the waiting one along."""
    held_by_other(t)
    follow(t.runtime(), about(C))
    follow(t.runtime(), Signal(images=frozenset({ImageAt("m-gold")})))
    assert len(beside(t)) == 2
    t.cloud.advance(LEASE_IS_OVER)
    t.move(D, "fd-prod")
    follow(t.runtime(), about(D))
    assert (t.access(), beside(t)) == (everywhere(A, B, C, D), [])


def test_a_sweep_follows_it(t: Trial) -> None:
    """A sweep looks at everything anyway, and what waited is over with it."""
    held_by_other(t)
    follow(t.runtime(), about(C))
    t.cloud.advance(LEASE_IS_OVER)
    follow(t.runtime(), EVERYTHING)
    assert (t.access(), beside(t)) == (everywhere(A, B, C), [])


class Racing(DirectoryStore):
    """A state whose holder looks for signals and lets go just before one is put beside its shard."""

    lease: Lease | None = None

    def put_new(self, name: str, data: bytes) -> bool:
        if "/waiting/" in name and self.lease is not None:
            lease, self.lease = self.lease, None
            lease.release(lease._ledger)
        return super().put_new(name, data)


def test_of_two_runs_that_race_one_follows_the_signal(t: Trial) -> None:
    """The holder looked before the signal was there: then whoever left it sees that the shard is free, and goes on."""
    store = Racing(t.folder / "state", t.now)
    store.lease, _ = held_by_other(t)
    applied = follow(t.runtime(state=State(store, t.state().beginning)), about(C))
    assert (t.access(), beside(t), applied.stopped) == (everywhere(A, B, C), [], {})
    assert "busy" not in kinds(applied)


def test_two_that_follow_one_signal_do_no_harm(t: Trial) -> None:
    """The holder and whoever left it may both see it: the second finds nothing to do."""
    held_by_other(t)
    follow(t.runtime(), about(C))
    (waiting,) = t.state().waiting(HERE)
    t.cloud.advance(LEASE_IS_OVER)
    follow(t.runtime(), EVERYTHING)
    t.state().leave(HERE, waiting.signal, by="other")
    applied = follow(t.runtime(), about(A))
    assert (applied.plan.changes, beside(t), t.access()) == ((), [], everywhere(A, B, C))


def test_a_signal_waits_while_a_shard_is_paused(t: Trial) -> None:
    """Nothing is done, nothing is lost: the first run after the pause follows it."""
    t.state().pause(None, run="p", who="ann", now=t.now())
    applied = follow(t.runtime(), about(C))
    assert isinstance(applied.stopped[HERE], Paused)
    assert (beside(t), t.access()) == ([about(C)], everywhere(A, B))
    t.state().resume(None, run="p", who="ann", now=t.now())
    follow(t.runtime(), about(B))
    assert (t.access(), beside(t)) == (everywhere(A, B, C), [])


def short(t: Trial, calls: int) -> Runtime:
    """A run whose time is over after so many calls to the cloud."""
    left = iter(range(calls))
    return ending(t, lambda: next(left, None) is None)


def ending(t: Trial, over: Callable[[], bool]) -> Runtime:
    """A run that asks before each call whether its time is over."""

    def in_time() -> None:
        if over():
            raise OutOfTime("the time of this run is over")

    runtime = t.runtime()
    clock = t.cloud.clock.now
    made = Calls(sleep=lambda _: None, random=Random(1), clock=clock, before_call=in_time)
    cloud = AlibabaCloud(
        runtime.policy,
        Credentials("LOCALIMAGES", "local"),
        local_cloud="http://127.0.0.1:9",
        run=runtime.run,
        now=t.now,
        calls=made,
    )
    return replace(runtime, cloud=cloud)


@pytest.mark.parametrize("known", [True, False], ids=["a known shard", "a new shard"])
def test_out_of_time_while_reading_leaves_the_signal(trial: Trials, known: bool) -> None:
    """Before anything was decided the time was over: the signal waits, also beside a shard that no run wrote to yet."""
    t = trial()
    if known:
        t.apply()
        t.move(C, "fd-prod")
    for calls in range(6):
        with pytest.raises(OutOfTime):
            follow(short(t, calls), about(A, C))
    assert beside(t) == [about(A, C)] * 6  # one for each run: whoever follows one must not forget a later one with it
    follow(t.runtime(), about(B))
    assert (t.access(), beside(t)) == (everywhere(A, B, C) if known else everywhere(A, B), [])


def test_wherever_time_is_over_nothing_is_lost(t: Trial) -> None:
    """However many calls a run gets, what it came for is done, or it waits, and the record is whole."""
    t.write_policy(policy(rules=[rule(folders=["fd-prod"], channel="auto")]))
    ended = []
    for calls in range(6, 40, 2):
        try:
            applied = follow(short(t, calls), EVERYTHING)
        except OutOfTime:
            ended.append("reading")
        else:
            late = "out-of-time" in kinds(applied)
            assert late or not any(isinstance(error, OutOfTime) for error in applied.stopped.values())
            assert applied.failed == ()
            ended.append("writing" if late else "done")
            if late:
                assert beside(t) != []
    assert {"reading", "writing", "done"} <= set(ended)
    for _ in range(3):
        t.cloud.advance(16 * 60)
        follow(t.runtime(), about(A))
    applied = follow(t.runtime(), EVERYTHING)
    assert (beside(t), applied.plan.changes, applied.plan.incomplete) == ([], (), ())
    assert t.access() == everywhere(A, B, C)


def test_a_later_pass_that_is_out_of_time_takes_nothing_from_the_first(t: Trial) -> None:
    """What was done is reported, what waits goes on waiting, and the report says that time was over."""

    def event() -> None:
        t.move(D, "fd-prod")
        t.state().leave(HERE, about(D), by="other")

    once(t, event)
    applied = follow(ending(t, lambda: bool(beside(t)) and not t.state().read(HERE).holder), about(C))
    assert {account for change in applied.done for account in change.accounts} == {C}
    assert "out-of-time" in kinds(applied)
    assert applied.stopped == {}
    assert (t.access(), beside(t)) == (everywhere(A, B, C), [about(D)])
    follow(t.runtime(), about(A))
    assert (t.access(), beside(t)) == (everywhere(A, B, C, D), [])


def test_a_later_pass_that_fails_takes_nothing_from_the_first(t: Trial) -> None:
    """Where the organization cannot be read any more the report has what was done, and that something may be left."""

    def event() -> None:
        t.patch(faults=[{"operation": "resourcemanager:*", "kind": "error", "every": 1}])
        t.state().leave(HERE, about(D), by="other")

    once(t, event)
    applied = follow(t.runtime(), about(C))
    assert {account for change in applied.done for account in change.accounts} == {C}
    (gap,) = applied.plan.incomplete
    assert gap.why.startswith("signals that may have come meanwhile were not followed: the organization cannot be read")
    assert beside(t) == [about(D)]


def test_a_later_pass_looks_at_no_less_than_the_first(t: Trial) -> None:
    """What the first pass held and refused is in the report, though the later one came for another image."""
    t.write_policy(policy(rules=[rule(accounts=[E])]))
    t.patch(images={"m-silver": {"status": "Creating"}})
    once(t, lambda: t.state().leave(HERE, Signal(images=frozenset({ImageAt("m-gold")})), by="other"))
    applied = follow(t.runtime(), EVERYTHING)
    assert {pair.image for hold in applied.plan.held for pair in hold.pairs} == set(IMAGES)
    assert [(refusal.image, refusal.reason) for refusal in applied.plan.refused] == [("m-silver", "not-available")]
    assert beside(t) == []
    assert t.access() == {**everywhere(A, B, E), "m-silver": {A, B}}


class Endless(DirectoryStore):
    """A state beside whose shard a new signal is found at every look."""

    looks = 0

    def listed(self, prefix: str, *, most: int | None = None) -> Listing:
        if prefix.endswith("/waiting"):
            self.looks += 1
            self.put_new(f"{prefix}/{self.looks}.json", worker_request(about(A)).encode())
        return super().listed(prefix, most=most)


def test_passes_are_counted(t: Trial) -> None:
    """Signals that never stop coming keep no run for ever: after some passes the rest is left to the next run."""
    store = Endless(t.folder / "state", t.now)
    applied = follow(t.runtime(state=State(store, t.state().beginning)), about(C))
    assert store.looks == PASSES <= 10
    assert (t.access(), applied.stopped) == (everywhere(A, B, C), {})
    assert beside(t)
    follow(t.runtime(), about(B))
    assert beside(t) == []


def test_what_waits_and_takes_too_long_stops_no_signal(t: Trial) -> None:
    """A sweep that there is never time for waits on, and what an event came for is done all the same."""
    t.state().leave(HERE, Signal(shards=frozenset({HERE})), by="other")
    t.move(D, "fd-prod")
    applied = follow(short(t, 25), about(C, D))
    assert {account for change in applied.done for account in change.accounts} == {C, D}
    assert (kinds(applied), len(beside(t))) == ({"out-of-time"}, 1)


def test_a_policy_that_observes_leaves_what_waits(t: Trial) -> None:
    """Nothing is done, so nothing is over."""
    t.write_policy(policy(mode="observe"))
    t.state().leave(HERE, about(C), by="other")
    follow(t.runtime(), about(A))
    assert beside(t) == [about(C)]


def test_what_could_not_be_read_waits_on(t: Trial) -> None:
    """A signal is followed only when everything of its shard was read."""
    t.state().leave(HERE, about(C), by="other")
    t.patch(faults=[{"operation": "ecs:DescribeImageSharePermission", "kind": "error", "every": 1}])
    follow(t.runtime(), about(A, C))
    assert beside(t) == [about(C)]
