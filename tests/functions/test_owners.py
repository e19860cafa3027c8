"""The functions with several owners, and with an image that somebody retired at the command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orgshare.handling import Unfinished
from orgshare.retired import Retirement
from tests.functions.test_watch import Trials, everywhere
from tests.support.fanned import Fanned
from tests.support.trial import OTHER_REGION, REGION, A, B, C, Trial, policy
from tests.way.test_owners import IMAGES, SECOND, distrusted, fault, gone, owners, shards, three
from tests.way.test_owners import everywhere as of_owners


@pytest.mark.parametrize(
    "trouble", [gone, distrusted, fault("error", code="InvalidSecurityToken.Expired", status=403)],
    ids=["gone", "distrusted", "refused"],
)  # fmt: skip
@pytest.mark.parametrize("apart", [True, False])
def test_one_owner_s_trouble_stops_no_worker_of_another(
    trial: Trials, trouble: Callable[[Trial], None], apart: bool
) -> None:
    """A sweep by functions shares what it can, raises for the shards that are unread, and does those when mended."""
    f = Fanned(trial(world=three(), policy=policy(owners=owners(REGION, OTHER_REGION))), apart=apart)
    f.trial.begin()
    trouble(f.trial)
    said = []
    worker: Callable[[], object] = lambda: f.function("worker", f.queue.pop(0))  # noqa: E731
    steps: list[Callable[[], object]] = [lambda: f.timer("reconcile"), *([worker] * 6 if apart else [])]
    for step in steps:
        try:
            step()
        except Unfinished as error:
            said.append(str(error))
    assert {shard for shard in shards(SECOND) if shard in " ".join(said)} == shards(SECOND)
    assert not any(shard in " ".join(said) for owner in set(IMAGES) - {SECOND} for shard in shards(owner))
    assert (f.queue, f.trial.access()) == ([], of_owners(A, B, but=SECOND))
    f.trial.patch(faults=[], roles={f"acs:ram::{SECOND}:role/orgshare": {"trusts": ["1000000000000002"]}})
    f.sweep()
    assert f.trial.access() == of_owners(A, B)
    assert set(IMAGES) == {shard.owner for shard in f.trial.state().shards()}


def test_functions_take_away_what_a_person_retired_and_never_give_it_again(trial: Trials) -> None:
    """The sweep holds it, the approval wakes its worker by the next watch, and no later event shares it again."""
    f = Fanned(trial())
    t = f.trial
    t.begin()
    f.sweep()
    t.state().update_retired(lambda _: {"m-gold": Retirement(t.now(), "ann")}, run="x")
    f.sweep()
    assert t.access() == everywhere(A, B)
    t.approve_all()
    f.watch()
    assert t.access() == {**everywhere(A, B), "m-gold": set()}
    t.move(C, "fd-prod")
    f.told(C)
    f.changed("m-gold", region=REGION, owner="1000000000000002")
    f.work()
    f.sweep()
    assert t.access() == {**everywhere(A, B, C), "m-gold": set()}
    assert t.plan().plan.changes == ()
