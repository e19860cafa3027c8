"""One worker a shard: bursts are a handful of passes, nothing is lost on the way, and nothing goes on for ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localcloud import LogEntry
from orgshare.handling import HANDED_ON, Unfinished
from orgshare.record.lease import Lease
from orgshare.record.marks import LOST_AFTER
from orgshare.settings import LEASE
from orgshare.signals import Part, Signal, parse, worker_request
from orgshare.way.attending import FIRST_PARTS, attend
from orgshare.way.passing import PASSES
from orgshare.words import Shard
from tests.functions.test_watch import HERE, NEW, THERE, Trials, everywhere, two_regions
from tests.support.fanned import Fanned
from tests.support.trial import (
    LEASE_IS_OVER,
    OWNER,
    REGION,
    A,
    B,
    C,
    D,
    Trial,
    calls_of,
    policy,
    rule,
    world,
)  # fmt: skip
from tests.way.test_passing import short

LISTING = "resourcemanager:ListAccounts"


@pytest.fixture
def f(trial: Trials) -> Fanned:
    """In step, with three images and one shard, workers apart."""
    made = Fanned(trial())
    made.trial.begin()
    made.sweep()
    made.placed.clear()
    return made


def during(t: Trial, action: str, act: Callable[[], object], *, times: int = 1) -> None:
    """Do something in the middle of the next calls of an action, after they were answered."""
    left = [None] * times

    def acting(entry: LogEntry) -> None:
        if entry.action == action and left:
            left.pop()
            act()

    t.cloud.on_request(acting)


def beside(t: Trial, shard: Shard = HERE) -> list[Signal]:
    return [waiting.signal for waiting in t.state().waiting(shard)]


def test_a_sweep_invokes_one_worker_a_shard(trial: Trials) -> None:
    """Each request is small, whatever there is to do, and all shards together are as one run would have left them."""
    f = Fanned(trial(**two_regions()))
    f.trial.begin()
    report = f.timer("reconcile")
    assert report["asked"] == [str(THERE), str(HERE)]
    assert (report["changes"], len(f.queue)) == ([], 2)
    assert max(map(len, f.queue)) < 200
    f.work()
    assert f.trial.access() == {**everywhere(A, B), **{f"m-far-{n}": {A, B} for n in range(3)}}
    assert not f.trial.plan().plan.changes


def test_without_function_compute_the_same_is_done_in_this_process(trial: Trials) -> None:
    """The report is of all shards together, and the second sweep changes nothing."""
    f = Fanned(trial(**two_regions()), apart=False)
    f.trial.begin()
    report = f.timer("reconcile")
    assert f.trial.access() == {**everywhere(A, B), **{f"m-far-{n}": {A, B} for n in range(3)}}
    assert {change["region"] for change in report["done"]} == {HERE.region, THERE.region}
    assert (report["summary"]["images"], report["summary"]["gained"], len(report["done"])) == (6, 12, 6)
    assert f.timer("reconcile")["changes"] == []


def test_a_thousand_membership_events_are_one_look_and_one_pass(f: Fanned) -> None:
    """All of them come before the worker begins, so that one invocation does for all."""
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    f.trial.move(C, "fd-eu")
    assert calls_of(f.trial, lambda: [f.told(C) for _ in range(1000)])[LISTING] == 0
    assert len(f.placed) == 1
    calls = calls_of(f.trial, f.work)
    assert (calls[LISTING], calls["ecs:DescribeImages"], len(f.placed)) == (2, 1, 2)
    assert f.trial.access() == everywhere(A, B, C, NEW)


def test_events_that_come_while_somebody_looks_ask_for_one_more_look(f: Fanned) -> None:
    """A change after the listing was read is found by the look after it, and the burst costs one invocation."""

    def burst() -> None:
        f.trial.move(D, "fd-prod")
        for _ in range(50):
            f.told(D)

    f.trial.move(C, "fd-prod")
    during(f.trial, "ListAccounts", burst)
    f.told(C)
    calls = calls_of(f.trial, f.work)
    assert f.trial.access() == everywhere(A, B, C, D)
    assert calls[LISTING] <= 5
    assert len(f.placed) <= 4


def test_events_of_two_hundred_images_are_one_pass(trial: Trials) -> None:
    """However often each of them comes."""
    document = world()
    document["images"] = {
        f"m-{n:03}": {"owner": OWNER, "region": REGION, "name": f"n{n}", "tags": {"share": "org"}} for n in range(200)
    }
    f = Fanned(trial(world=document))
    f.trial.begin()
    for n in range(400):
        f.changed(f"m-{n % 200:03}", region=REGION, owner=OWNER)
    assert len(f.placed) == 1
    calls = calls_of(f.trial, f.work)
    assert calls[LISTING] == 1
    assert all(accounts == {A, B} for accounts in f.trial.access().values())
    assert beside(f.trial) == []


@pytest.mark.parametrize("action", ["ListAccounts", "DescribeImages", "ModifyImageSharePermission"])
def test_an_event_during_a_pass_is_not_lost_though_one_like_it_waits(f: Fanned, action: str) -> None:
    """What the pass began with is forgotten after it; what came meanwhile is looked at once more."""
    f.trial.patch(images={"m-gold": {"tags": {}}})
    f.trial.move(C, "fd-prod")

    def again() -> None:
        f.trial.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
        f.changed("m-new", region=REGION, owner=OWNER)

    f.changed("m-new", region=REGION, owner=OWNER)
    f.changed("m-silver", region=REGION, owner=OWNER)
    during(f.trial, action, again)
    f.work()
    assert f.trial.access()["m-new"] == {A, B, C}
    assert beside(f.trial) == []


def test_functions_and_workers_at_once_come_to_the_same_end(trial: Trials) -> None:
    """Events and workers in threads of their own: every account and image arrives, and nothing waits afterwards."""
    f = Fanned(trial())
    f.trial.begin()
    f.sweep()
    lock = threading.Lock()
    started: list[Any] = []
    joining = [f"10000000000002{n:02}" for n in range(10)]

    with ThreadPoolExecutor(4) as workers, ThreadPoolExecutor(4) as events:

        def invoke(request: str) -> None:
            with lock:
                f.placed.append(request)
                started.append(workers.submit(f.function, "worker", request))

        f.invoke = invoke  # type: ignore[method-assign]

        def event(number: int) -> None:
            with lock:
                account = {"name": "new", "folder": "fd-prod"}
                f.trial.patch(directory={"members": {joining[number % 10]: account}})
            f.told(joining[number % 10])

        list(events.map(event, range(60)))
        while started:
            started.pop(0).result()
    f.trial.cloud.advance(LEASE_IS_OVER)
    f.invoke = Fanned.invoke.__get__(f)  # type: ignore[method-assign]
    f.watch()
    assert f.trial.access() == everywhere(A, B, *joining)
    assert beside(f.trial) == []


def test_an_invocation_that_comes_twice_finds_nothing_to_do(f: Fanned) -> None:
    """The platform repeats what succeeded: no call to the cloud, no report."""
    f.trial.move(C, "fd-prod")
    f.watch()
    request = worker_request(Signal(beside=frozenset({HERE})))
    assert calls_of(f.trial, lambda: f.function("worker", request)) == {}
    assert f.trial.access() == everywhere(A, B, C)


def test_a_shard_that_the_policy_no_longer_names_is_let_be(f: Fanned) -> None:
    """What waits beside it is over: if it comes back, it is looked at whole."""
    f.changed("m-gold", region=REGION, owner=OWNER)
    f.trial.write_policy(policy(owners=[{"account": OWNER, "regions": [THERE.region]}]))
    calls = calls_of(f.trial, f.work)
    assert (calls, beside(f.trial), f.trial.access()) == ({}, [], everywhere(A, B))


def test_what_waits_beside_a_shard_waits_on_while_nobody_knows_whether_it_is_named(trial: Trials) -> None:
    """With `regions: all` and regions that cannot be read for a while, an event of an image is not lost."""
    f = Fanned(trial(policy=policy(owners=[{"account": OWNER, "regions": "all"}])))
    f.trial.begin()
    f.sweep()
    f.trial.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    f.changed("m-new", region=REGION, owner=OWNER)
    f.trial.patch(faults=[{"operation": "ecs:DescribeRegions", "kind": "error", "every": 1}])
    f.work()
    assert (len(beside(f.trial)), f.trial.access()["m-new"]) == (1, set())
    f.trial.patch(faults=[])
    f.watch()
    assert (beside(f.trial), f.trial.access()["m-new"]) == ([], {A, B})


def test_an_image_of_nobody_wakes_nobody(f: Fanned, capsys: pytest.CaptureFixture[str]) -> None:
    """The log says so."""
    f.changed("m-gold", region="eu-central-1", owner=OWNER)
    assert f.placed == []
    assert "lies in no shard of the policy" in capsys.readouterr().err


def test_a_worker_that_died_holds_nobody_up_for_long(f: Fanned) -> None:
    """Its claim gets old like its lease."""
    state = f.trial.state()
    assert state.marks(HERE).claim("died", stands=LEASE)
    f.trial.move(C, "fd-prod")
    f.watch()
    assert f.trial.access() == everywhere(A, B)
    f.trial.cloud.advance(LEASE + 1)
    f.watch()
    assert f.trial.access() == everywhere(A, B, C)


def test_a_shard_that_another_run_holds_is_done_when_it_is_free(f: Fanned) -> None:
    """The worker returns, its signal waits, and the next watch wakes one."""
    state = f.trial.state()
    before = state.read(HERE)
    clocks = f.trial.runtime().clocks()
    lease: Lease = state.take(HERE, before, before.ledger, run="other", seconds=300, clocks=clocks)
    f.trial.move(C, "fd-prod")
    f.watch()
    assert (len(beside(f.trial)), f.trial.access()) == (1, everywhere(A, B))
    lease.release(before.ledger)
    f.watch()
    assert (beside(f.trial), f.trial.access()) == ([], everywhere(A, B, C))


def test_limits_hold_for_all_shards_together(trial: Trials) -> None:
    """Three pairs in each of two shards pass a limit of five, so each worker holds its own, also the first."""
    safety = {"hold_when": {**policy()["safety"]["hold_when"], "lost_pairs": 5}}
    f = Fanned(trial(**two_regions(safety=safety)))
    f.trial.begin()
    f.sweep()
    f.trial.move(A, "fd-test")
    assert f.watch() == 2
    assert sum(len(hold.pairs) for hold in f.trial.state().guard().holds) == 6
    assert all(accounts == {A, B} for accounts in f.trial.access().values())
    f.trial.approve_all()
    f.watch()
    assert all(accounts == {B} for accounts in f.trial.access().values())


def test_in_mode_observe_a_sweep_is_handed_out_and_nothing_is_written(trial: Trials) -> None:
    """Each worker plans its shard; the state stays as it was."""
    f = Fanned(trial(**two_regions(mode="observe")))
    f.trial.begin()
    before = sorted(f.trial.folder.rglob("*"))
    f.timer("reconcile")
    assert [Signal(shards=frozenset({s}), why=("timer reconcile at now",)) for s in (THERE, HERE)] == [
        parse(request).signal for request in f.queue
    ]
    assert f.work() == 2
    f.told(C)
    assert sorted(f.trial.folder.rglob("*")) == before


def test_in_mode_observe_a_worker_plans_what_an_event_names(trial: Trials) -> None:
    """Only its role may read images and resource shares, so the function that gets the event asks the cloud nothing."""
    f = Fanned(trial(policy=policy(mode="observe")))
    f.trial.begin()
    f.trial.move(C, "fd-prod")
    quiet = calls_of(f.trial, lambda: (f.told(C), f.changed("m-gold", region=REGION, owner=OWNER), f.timer()))
    assert (quiet, len(f.placed)) == ({}, 2)
    moved, changed = [f.function("worker", request) for request in f.placed]
    assert [set(change["accounts"]) for change in moved["changes"]] == [{A, B, C}] * 3
    assert [set(change["accounts"]) for change in changed["changes"]] == [{A, B, C}]
    assert not any(f.trial.access().values())


def test_in_mode_observe_an_event_that_no_worker_takes_comes_again(trial: Trials) -> None:
    """Nothing of it is written down, so the function raises."""
    f = Fanned(trial(policy=policy(mode="observe")))
    f.trial.begin()
    f.refusing = True
    with pytest.raises(Unfinished, match="no worker could be invoked"):
        f.told(C)


def sixty(trial: Trials) -> Fanned:
    """In step, with sixty images in one shard."""
    document = world()
    document["images"] = {
        f"m-{n:03}": {"owner": OWNER, "region": REGION, "name": f"n{n}", "tags": {"share": "org"}} for n in range(60)
    }
    f = Fanned(trial(world=document))
    f.trial.begin()
    f.sweep()
    return f


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fanned, int], None]:
    """Each worker from now on has time for so many calls."""

    def limit(f: Fanned, calls: int) -> None:
        usual = f.trial.runtime
        monkeypatch.setattr(f.trial, "runtime", lambda **_: _briefly(f.trial, usual, calls))

    return limit


def test_a_shard_too_large_for_one_worker_is_done_in_parts(
    trial: Trials, little_time: Callable[[Fanned, int], None]
) -> None:
    """Each worker has time for some of sixty images; everybody gets everything, part by part, and a part at a time."""
    f = sixty(trial)
    f.trial.write_policy(policy(rules=[rule(folders=["fd-prod", "fd-test"])]))
    f.timer("reconcile")
    little_time(f, 45)
    assert f.work() > FIRST_PARTS // 2
    assert all(accounts == {A, B, C, D} for accounts in f.trial.access().values())
    assert beside(f.trial) == []
    assert f.watch() == 0


def test_a_change_too_large_for_one_worker_is_done_in_parts(
    trial: Trials, little_time: Callable[[Fanned, int], None]
) -> None:
    """An account joins, which only the watch sees: no invocation fails, and the next watch finds nothing left."""
    f = sixty(trial)
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    little_time(f, 45)
    assert f.watch() > FIRST_PARTS // 2
    assert all(accounts == {A, B, NEW} for accounts in f.trial.access().values())
    assert (beside(f.trial), f.watch()) == ([], 0)


def test_more_events_than_one_worker_has_time_for_are_done_in_parts(
    trial: Trials, little_time: Callable[[Fanned, int], None]
) -> None:
    """An event for each of sixty images, while parts of the shard wait from before: each part is looked at once."""
    f = sixty(trial)
    f.trial.move(C, "fd-prod")
    little_time(f, 45)
    for n in range(60):
        f.changed(f"m-{n:03}", region=REGION, owner=OWNER)
    for number in range(FIRST_PARTS):
        f.trial.state().leave(HERE, Signal(parts=frozenset({Part(HERE, number, FIRST_PARTS)})), by="another")
    assert FIRST_PARTS // 2 < f.work() <= 2 * FIRST_PARTS
    assert all(accounts == {A, B, C} for accounts in f.trial.access().values())
    assert (beside(f.trial), f.watch()) == ([], 0)


def _briefly(t: Trial, usual: Callable[[], Any], calls: int) -> Any:
    """A run whose time is over after so many calls."""
    with pytest.MonkeyPatch.context() as undo:
        undo.setattr(t, "runtime", usual)
        return short(t, calls)


def test_who_never_gets_anywhere_stops_and_says_so(f: Fanned, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few workers in a row that could not even read, a person has to give them more time."""
    f.timer("reconcile")
    usual = f.trial.runtime
    monkeypatch.setattr(f.trial, "runtime", lambda **_: _briefly(f.trial, usual, 4))
    with pytest.raises(Unfinished, match="waits beside"):
        f.work()
    assert len(f.placed) <= HANDED_ON + 1
    monkeypatch.undo()
    f.queue.clear()
    f.trial.cloud.advance(LOST_AFTER.total_seconds() + 1)
    f.watch()
    assert beside(f.trial) == []


def test_signals_that_never_stop_keep_no_worker_for_ever(f: Fanned) -> None:
    """After some passes the rest is handed on to another worker."""
    during(f.trial, "DescribeImages", lambda: f.changed("m-gold", region=REGION, owner=OWNER), times=1000)
    during(f.trial, "DescribeImages", lambda: f.trial.patch(images={}), times=1)
    f.changed("m-gold", region=REGION, owner=OWNER)
    looks = calls_of(f.trial, lambda: f.function("worker", f.queue.pop(0)))[LISTING]
    assert 1 < looks <= PASSES * PASSES
    assert f.queue


def test_parts_of_a_shard_come_one_at_a_time_and_a_whole_makes_up_for_them(f: Fanned) -> None:
    """A look at the whole that there is time for ends all parts that waited."""
    state = f.trial.state()
    for number in range(4):
        state.leave(HERE, Signal(parts=frozenset({Part(HERE, number, 4)})), by="r")
    runtime = f.trial.runtime()
    assert calls_of(f.trial, lambda: attend(runtime, HERE))[LISTING] == 4
    for number in range(4):
        state.leave(HERE, Signal(parts=frozenset({Part(HERE, number, 4)})), by="r")
    state.leave(HERE, Signal(shards=frozenset({HERE})), by="r")
    runtime = f.trial.runtime()
    assert calls_of(f.trial, lambda: attend(runtime, HERE))[LISTING] == 1
    assert beside(f.trial) == []


def test_a_part_that_waits_twice_is_looked_at_once(f: Fanned) -> None:
    """Whoever split a shard anew left the same parts, and some of them were split further before: it is whole again."""
    state = f.trial.state()
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    for by in ("r", "s"):
        for number in range(4):
            state.leave(HERE, Signal(parts=frozenset({Part(HERE, number, 4)})), by=by)
    for number in (2, 6):
        state.leave(HERE, Signal(parts=frozenset({Part(HERE, number, 16)})), by="s")
    runtime = f.trial.runtime()
    assert calls_of(f.trial, lambda: attend(runtime, HERE))[LISTING] == 6
    assert (beside(f.trial), f.watch()) == ([], 0)
    assert f.trial.access() == everywhere(A, B, NEW)


def test_a_worker_request_names_what_it_asks_for(f: Fanned) -> None:
    """Requests of older forms, which name images and accounts, are followed in one run."""
    f.trial.move(C, "fd-prod")
    f.function("worker", json.dumps({"orgshare": {"accounts": [C], "images": ["m-gold"]}}))
    assert f.trial.access() == everywhere(A, B, C)
    assert beside(f.trial) == []


def test_a_sweep_says_what_the_policy_no_longer_names(trial: Trials) -> None:
    """No worker comes to such a shard, so the function that sends them says it, as long as it stands."""
    f = Fanned(trial(**two_regions()))
    f.trial.begin()
    f.sweep()
    f.trial.write_policy(policy(owners=[{"account": OWNER, "regions": [THERE.region]}]))
    for _ in range(2):
        (finding,) = f.timer("reconcile")["findings"]
        assert (finding["kind"], str(HERE) in finding["why"]) == ("orphaned", True)
        f.work()
    f.trial.write_policy(policy(owners=[{"account": OWNER, "regions": [REGION, THERE.region]}]))
    assert f.timer("reconcile")["findings"] == []
