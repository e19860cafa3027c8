"""A run may die before or after any write, to the cloud or to its state: the next ones finish, and nobody notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from orgshare.focus import EVERYTHING
from orgshare.record.state import open_state
from orgshare.record.store import DirectoryStore
from orgshare.way.applying import Applied, apply
from tests.support.channels import GOLD, LATER, OTHERS, Watch, by_shares, contents, directly, own_shares, until_settled
from tests.support.trial import LEASE_IS_OVER, A, B, C, D, Trial, policy, rule, world
from tests.way.test_channel_calls import WRITES
from tests.way.test_channels import NOBODY, auto, by_auto
from tests.way.test_rules import ALL_IMAGES, Died, everywhere

Trials = Callable[..., Trial]
ROUNDS = 12
EVERY_IMAGE = tuple(sorted(ALL_IMAGES))


class Fate:
    """Counts the instants just before and just after each write, and ends the process at one of them."""

    def __init__(self, trial: Trial, instant: int) -> None:
        self.instant, self.passed = instant, 0
        self.store = MortalStore(trial, self)
        handle = trial.cloud.handle

        def mortal(request: Any) -> Any:
            if not request.headers.get("x-acs-action", "").startswith(WRITES):
                return handle(request)
            self.tick()
            answer = handle(request)
            self.tick()
            return answer

        trial.cloud.handle = mortal  # type: ignore[method-assign]

    def tick(self) -> None:
        self.passed += 1
        if self.passed == self.instant:
            raise Died


class MortalStore(DirectoryStore):
    """A state whose writes are such instants."""

    def __init__(self, trial: Trial, fate: Fate) -> None:
        super().__init__(trial.folder / "state", trial.now)
        self.fate = fate

    def put_new(self, name: str, data: bytes) -> bool:
        self.fate.tick()
        put = super().put_new(name, data)
        self.fate.tick()
        return put


class Story(NamedTuple):
    """What was so before, what the policy says then, and who has what by which channel in the end."""

    before: dict[str, Any] | None
    after: dict[str, Any]
    by_share: Mapping[str, set[str]]
    direct: Mapping[str, set[str]]
    shares: set[tuple[tuple[str, ...], tuple[str, ...]]]
    kept: Mapping[str, set[str]]


PROD = ("fd-eu", "fd-prod")
STORIES = {
    "setting up two audiences": Story(
        before=None,
        after=by_auto(rules=[auto("prod", OTHERS), auto("test", GOLD, folders=["fd-test"])]),
        by_share={**everywhere(A, B), "m-gold": {C, D}},
        direct=NOBODY,
        shares={(("m-bronze", "m-silver"), PROD), (("m-gold",), ("fd-test",))},
        kept={**everywhere(A, B), "m-gold": {C, D}},
    ),
    "moving an image to another share": Story(
        before=by_auto(),
        after=by_auto(rules=[auto(), auto("lab", GOLD, folders=["fd-test"])]),
        by_share={**everywhere(A, B), "m-gold": {A, B, C, D}},
        direct=NOBODY,
        shares={(("m-bronze", "m-silver"), PROD), (("m-gold",), (*PROD, "fd-test"))},
        kept={**everywhere(A, B), "m-gold": {A, B, C, D}},
    ),
    "changing targets in place": Story(
        before=by_auto(),
        after=by_auto(rules=[auto(folders=["fd-eu", "fd-test"])]),
        by_share=everywhere(B, C, D),
        direct=NOBODY,
        shares={(EVERY_IMAGE, ("fd-eu", "fd-test"))},
        kept=everywhere(B, C, D),
    ),
    "changing to the directory": Story(
        before=policy(),
        after=by_auto(),
        by_share=everywhere(A, B),
        direct=NOBODY,
        shares={(EVERY_IMAGE, PROD)},
        kept=everywhere(A, B),
    ),
    "changing to direct grants": Story(
        before=by_auto(),
        after=policy(),
        by_share=NOBODY,
        direct=everywhere(A, B),
        shares=set(),
        kept=everywhere(A, B),
    ),
    "removing a rule": Story(
        before=by_auto(rules=[auto(), rule("lab", GOLD, folders=["fd-test"])]),
        after=policy(rules=[rule("lab", GOLD, folders=["fd-test"])]),
        by_share=NOBODY,
        direct={**NOBODY, "m-gold": {C, D}},
        shares=set(),
        kept={**NOBODY, "m-gold": {C, D}},
    ),
}


def through(trial: Trial, fate: Fate) -> Applied:
    """Runs until one plans nothing; one of them dies. A person approves whatever is held."""
    for _ in range(ROUNDS):
        try:
            applied = apply(trial.runtime(state=open_state(fate.store, "trial")), EVERYTHING)
        except Died:
            applied = None
        if applied is not None and applied.plan.held:
            trial.approve_all()
        elif applied is not None and not applied.plan.changes and not applied.plan.pending:
            return applied
        trial.cloud.advance(LATER)
    raise AssertionError(f"not settled after {ROUNDS} runs")


def known(trial: Trial) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The rows of resource shares and the grants that the state says are ours."""
    (shard,) = trial.state().shards()
    ledger = trial.state().read(shard).ledger
    return {s: set(rows) for s, rows in ledger.shares.items()}, {i: set(rows) for i, rows in ledger.grants.items()}


@pytest.mark.parametrize(
    ("name", "delay"),
    [
        ("setting up two audiences", 0),
        ("setting up two audiences", 90),
        ("moving an image to another share", 90),
        ("changing targets in place", 0),
        ("changing to the directory", 0),
        ("changing to direct grants", 0),
        ("changing to direct grants", 90),
        ("removing a rule", 0),
    ],
)
def test_a_run_that_dies_at_any_write_is_finished_by_the_next(trial: Trials, name: str, delay: int) -> None:
    """Exactly the wanted pairs, one channel each, everything known to be ours, and no gap on the way."""
    story = STORIES[name]

    def tell(instant: int) -> int:
        t = trial(world=world(delays={"association": delay}), policy=story.before or story.after)
        t.begin()
        if story.before is not None:
            until_settled(t)
        t.write_policy(story.after)
        watch = Watch(t, story.kept)
        fate = Fate(t, instant)
        applied = through(t, fate)
        at = f"died at instant {instant}"
        assert (by_shares(t), directly(t)) == (story.by_share, story.direct), at
        assert contents(t) == story.shares, at
        assert watch.wrong == [], at
        assert applied.plan.findings == (), at
        assert t.apply().plan.changes == (), at
        shares = {share: {*row.images, *row.targets} for share, row in own_shares(t).items()}
        assert known(t) == (
            {share: rows for share, rows in shares.items() if rows},
            {image: accounts for image, accounts in story.direct.items() if accounts},
        ), at
        return fate.passed

    undisturbed = tell(0)
    for instant in range(1, undisturbed + 1):
        tell(instant)
    assert undisturbed >= 10


@pytest.mark.parametrize("waits", [LEASE_IS_OVER, LATER])
def test_what_a_run_left_half_done_is_taken_back_if_nobody_wants_it_by_then(trial: Trials, waits: int) -> None:
    """However far it came, the next one knows what is its own."""
    lab = by_auto(rules=[auto(folders=["fd-test"])])

    def tell(instant: int) -> int:
        t = trial(policy=by_auto())
        t.begin()
        fate = Fate(t, instant)
        with suppress(Died):
            apply(t.runtime(state=open_state(fate.store, "trial")), EVERYTHING)
        passed = fate.passed
        t.cloud.advance(waits)
        t.write_policy(lab)
        applied = until_settled(t, approve=True)
        at = f"died at instant {instant}"
        assert (by_shares(t), directly(t)) == (everywhere(C, D), NOBODY), at
        assert contents(t) == {(EVERY_IMAGE, ("fd-test",))}, at
        assert applied.plan.findings == (), at
        assert len(own_shares(t)) == 1, at
        return passed

    for instant in range(1, tell(0) + 1):
        tell(instant)
