"""No grant of ours is ever taken for a stranger's: whatever dies, answers late, or is not shown yet."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from orgshare.errors import ConfigurationError, Malformed, StopRun
from orgshare.focus import EVERYTHING, focus_of
from orgshare.ports import Listing
from orgshare.record.history import read_history
from orgshare.record.lease import Lease
from orgshare.record.state import State, open_state
from orgshare.record.store import DirectoryStore
from orgshare.signals import Signal
from orgshare.way.applying import apply, carry_out_plan
from orgshare.way.planning import make_plan
from orgshare.way.recovering import Recovered, copies_for, known_shares, recover, shares_of
from tests.support.trial import LEASE_IS_OVER, A, B, C, Trial, policy, rule, world
from tests.way.test_rules import Died, everywhere, in_step

Trials = Callable[..., Trial]
SHARE = "ecs:ModifyImageSharePermission"


def dies_at(trial: Trial, action: str, number: int) -> None:
    """A run that is killed right after its n-th call of this action was answered."""
    calls = count(1)

    def kill(entry: Any) -> None:
        if entry.action == action and next(calls) == number:
            raise Died

    trial.cloud.on_request(kill)
    with pytest.raises(Died):
        trial.apply()
    trial.cloud.advance(LEASE_IS_OVER)


@pytest.mark.parametrize("waits", [30, 300])
def test_a_grant_that_becomes_visible_after_it_was_given_up_is_revoked_as_ours(trial: Trials, waits: int) -> None:
    """Accepted, not listed yet, and not wanted any more: however many runs look meanwhile, it stays ours."""
    t = trial(world=world(delays={"share": 600}))
    t.apply()
    t.move(A, "fd-test")
    for _ in range(3):
        t.cloud.advance(waits)
        t.apply()
    t.cloud.advance(900)
    assert t.apply().plan.findings == ()
    assert t.access() == everywhere(B)


def test_a_grant_of_a_run_that_died_is_ours_when_it_becomes_visible(trial: Trials) -> None:
    """Its intention was written before the call, and is not forgotten while reading may lag behind."""
    t = trial(world=world(delays={"share": 600}))
    t.begin()
    dies_at(t, "ModifyImageSharePermission", 3)
    t.move(A, "fd-test")
    for _ in range(3):
        t.cloud.advance(30)
        t.apply()
    t.cloud.advance(900)
    assert t.apply().plan.findings == ()
    assert t.access() == everywhere(B)


def test_a_grant_that_was_renewed_before_it_was_visible_stays_ours(trial: Trials) -> None:
    """A run died, the next one asked again and saw the row of the first; the second changes it a minute later."""
    t = trial(world=world(delays={"share": 60}, switches={"repeated_add": "refresh"}))
    t.begin()
    dies_at(t, "ModifyImageSharePermission", 3)
    t.cloud.advance(30)
    t.apply()
    t.cloud.advance(40)
    t.apply()
    t.cloud.advance(1000)
    t.move(A, "fd-test")
    assert t.apply().plan.findings == ()
    assert t.access() == everywhere(B)


def test_an_event_that_is_repeated_after_its_run_died_is_finished(trial: Trials) -> None:
    """An intention alone does not make an account look served."""
    t = trial()
    t.apply()
    t.move(C, "fd-prod")
    joined = focus_of(Signal(accounts=frozenset({C})))
    state = t.state()
    take = state.take

    def dying(*args: Any, **options: Any) -> Lease:
        take(*args, **options)
        raise Died

    state.take = dying  # type: ignore[method-assign]
    with pytest.raises(Died):
        apply(t.runtime(state=state), joined)
    t.cloud.advance(LEASE_IS_OVER)
    assert t.access() == everywhere(A, B)
    t.apply(joined)
    assert t.access() == everywhere(A, B, C)


@pytest.mark.parametrize("partial", ["none", "some"])
def test_a_repeated_grant_that_is_refused_does_not_end_ownership(trial: Trials, partial: str) -> None:
    """The first call was carried out and not answered, reading lags, and adding twice is refused."""
    t = trial(world=world(delays={"share": 60}, switches={"repeated_add": "error", "partial_apply": partial}))
    t.patch(faults=[{"operation": SHARE, "kind": "lost-answer", "times": 1}])
    t.apply()
    t.cloud.advance(61)
    t.patch(faults=[])
    t.apply()
    t.move(A, "fd-test")
    assert t.apply().plan.findings == ()
    t.cloud.advance(61)
    assert t.access() == everywhere(B)


def test_who_was_refused_and_is_served_by_a_person_is_theirs(trial: Trials) -> None:
    """A refusal that says that there is no place ends the intention, so a person's grant later is a person's."""
    t = trial(world=world(quotas={"accounts_per_image": 1}), policy=policy(rules=[rule(images={"ids": ["m-gold"]})]))
    t.apply()
    assert t.access()["m-gold"] == {A}
    t.patch(quotas={"accounts_per_image": 50})
    t.cloud.advance(60)
    t.grant_by_hand("m-gold", B)
    t.apply()
    t.move(B, "fd-test")
    assert {(f.kind, f.account) for f in t.apply().plan.findings} == {("unmanaged", B)}
    assert t.access()["m-gold"] == {A, B}


def test_a_refusal_of_an_image_that_is_gone_leaves_the_state(trial: Trials) -> None:
    """It is forgotten when it does not stand any more, though nobody can look at the image."""
    t = trial()
    t.patch(images={"m-gold": {"encryption": "service-key"}})
    assert [refusal.image for refusal in t.apply().plan.refused] == ["m-gold"]
    t.patch(images={"m-gold": None})
    t.cloud.advance(3600)
    t.apply()
    (shard,) = t.state().shards()
    assert t.state().read(shard).ledger.refusals == {}


def test_a_grant_that_cannot_be_revoked_stays_ours_and_is_found(trial: Trials) -> None:
    """A removal that is refused is no reason to forget the grant; when it can be revoked, it is."""
    t = trial(world=world(switches={"deprecated_removal": "error"}))
    t.apply()
    t.patch(images={"m-gold": {"status": "Deprecated"}})
    t.move(A, "fd-test")
    for _ in range(2):
        applied = t.apply()
        assert [(f.kind, f.image, f.account) for f in applied.plan.findings] == [("cannot-revoke", "m-gold", A)]
        assert t.access() == {**everywhere(B), "m-gold": {A, B}}
        assert applied.failed == ()
    t.patch(images={"m-gold": {"status": "Available"}})
    assert t.apply().plan.findings == ()
    assert t.access() == everywhere(B)


def test_a_hold_ends_with_its_image(trial: Trials) -> None:
    """When a deleted image has left the state, nobody is asked about it any more."""
    t = trial()
    t.apply()
    t.patch(images={"m-gold": {"tags": {"share": None}}})
    assert t.apply().plan.held != ()
    t.patch(grants={"m-gold": None}, images={"m-gold": None})
    for _ in range(3):
        t.apply()
    assert t.state().guard().holds == ()


def test_a_call_of_which_nothing_was_read_back_is_pending(trial: Trials) -> None:
    """It was accepted, and whether it is there is for the next run to see."""
    t = trial(policy=policy(rules=[rule(images={"ids": ["m-gold"]})]))
    fault = {"operation": "ecs:DescribeImageSharePermission", "kind": "error", "code": "Forbidden.RAM", "status": 403}
    t.patch(faults=[{**fault, "every": 1}])
    applied = t.apply()
    assert [change.accounts for change in applied.done] == [(A, B)]
    assert {(p.entity, p.status) for p in applied.plan.pending} == {
        (f"m-gold/{account}", "accepted, not read back") for account in (A, B)
    }


def test_a_revocation_that_is_still_listed_is_pending(trial: Trials) -> None:
    """What was accepted and is not seen yet is said, in both directions."""
    t = trial(policy=policy(rules=[rule(images={"ids": ["m-gold"]})]))
    t.apply()
    t.patch(delays={"share": 60})
    t.move(A, "fd-test")
    assert {(p.entity, p.status) for p in t.apply().plan.pending} == {(f"m-gold/{A}", "revoked, still listed")}
    t.cloud.advance(61)
    assert t.apply().plan.pending == ()
    assert in_step(t)


class DyingStore(DirectoryStore):
    """A store whose process dies just before or just after the n-th object that is put."""

    def __init__(self, trial: Trial, number: int, *, after: bool) -> None:
        super().__init__(trial.folder / "state", trial.now)
        self.left, self.after = number, after

    def put_new(self, name: str, data: bytes) -> bool:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Died
        put = super().put_new(name, data)
        if self.left == 0:
            raise Died
        return put


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_a_run_that_dies_at_a_write_to_its_state_is_finished_by_the_next(
    trial: Trials, number: int, after: bool
) -> None:
    """Before or after what was seen, its view, the intentions, the history, or the results: nothing is lost."""
    t = trial()
    t.begin()
    t.grant_by_hand("m-bronze", A)
    t.apply()
    t.move(C, "fd-prod")
    t.write_policy(policy(rules=[rule(), rule("lab", {"ids": ["m-silver"]}, folders=["fd-test"])]))
    state = open_state(DyingStore(t, number, after=after), "trial")
    died = False
    try:
        apply(t.runtime(state=state), EVERYTHING)
    except Died:
        died = True
        t.cloud.advance(LEASE_IS_OVER)
    assert died is (number < 6)
    t.apply()
    t.move(A, "root")
    t.move(C, "root")
    applied = t.apply()
    assert t.access()["m-gold"] == {B}
    assert {(f.kind, f.image, f.account) for f in applied.plan.findings} == {("unmanaged", "m-bronze", A)}


def test_a_state_that_cannot_be_written_stops_before_the_first_call(trial: Trials) -> None:
    """Without a written intention nothing is shared."""

    class Full(DirectoryStore):
        def put_new(self, name: str, data: bytes) -> bool:
            raise ConfigurationError("no space left")

    t = trial()
    t.begin()
    with pytest.raises(ConfigurationError, match="no space left"):
        apply(t.runtime(state=State(Full(t.folder / "state", t.now), t.state().beginning)), EVERYTHING)
    assert t.cloud.calls[SHARE] == 0


def test_a_state_that_cannot_be_read_stops_the_run(trial: Trials) -> None:
    """Whatever of it does not answer: nothing is shared, and whoever called the run knows why."""

    class Mute(DirectoryStore):
        def listed(self, prefix: str, *, most: int | None = None) -> Listing:
            if prefix == silent:
                raise Malformed("1 rows instead of KeyCount 2")
            return super().listed(prefix, most=most)

    t = trial()
    t.begin()
    for silent in ("guard", "organization"):  # noqa: B007 - read by the class
        with pytest.raises(StopRun, match="the state does not answer: 1 rows instead of KeyCount 2"):
            apply(t.runtime(state=State(Mute(t.folder / "state", t.now), t.state().beginning)), EVERYTHING)
    assert t.cloud.calls[SHARE] == 0


def test_a_run_that_was_overtaken_leaves_no_history(trial: Trials) -> None:
    """Two runs read the same and one writes it down; what is remembered of it is that one's alone."""
    t = trial(policy=policy(rules=[rule(channel="auto")]))
    t.apply()
    slow = t.runtime()
    planned = make_plan(slow, EVERYTHING)
    t.apply()
    assert [finding.kind for finding in carry_out_plan(slow, planned).plan.findings] == ["busy"]
    rows = read_history(t.store())
    assert {(row.image, row.account) for row in rows} == {(image, who) for image in everywhere() for who in (A, B)}
    assert slow.run not in {row.run for row in rows}


def recovered(t: Trial) -> Recovered:
    """What init --recover does where the state is there."""
    runtime = t.runtime()
    shares = shares_of(runtime.policy, runtime.cloud, known_shares(runtime.state))
    copies = copies_for(runtime.policy, runtime.cloud, t.now())
    return recover(runtime.state, shares, copies, run="r", now=t.now())


def test_recovering_a_sound_state_makes_nothing_ours_that_is_not(trial: Trials) -> None:
    """What a person put into a share of ours is that person's afterwards too."""
    t = trial(policy=policy(rules=[rule(channel="auto")]))
    t.apply()
    t.cloud.advance(1000)
    t.apply()
    (share,) = t.cloud.world().resource_shares
    t.patch(resource_shares={share: {"targets": ["fd-prod", "fd-eu", C]}})
    assert recovered(t) == Recovered()
    for _ in range(3):
        t.apply()
        t.cloud.advance(1000)
    assert t.access() == everywhere(A, B, C)


def test_recovering_forgets_no_share_that_is_there(trial: Trials) -> None:
    """One that lost its tags is still known, and reported."""
    t = trial(policy=policy(rules=[rule(channel="auto")]))
    t.apply()
    (share,) = t.cloud.world().resource_shares
    t.patch(resource_shares={share: {"tags": None}})
    assert recovered(t) == Recovered()
    assert "channel-conflict" in {finding.kind for finding in t.apply().plan.findings}
