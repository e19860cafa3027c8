"""How many calls the directory channel takes: one share for all images, and none for whoever joins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import ceil

import pytest

from orgshare.focus import Focus, Selection
from tests.support.trial import Trial, calls_of, policy, rule, sized

Trials = Callable[..., Trial]

WRITES = ("Create", "Associate", "Disassociate", "Modify", "Update", "Delete")
NEWCOMER = "5000000000000001"


def writes(calls: Counter[str]) -> int:
    """The calls that change something."""
    return sum(number for name, number in calls.items() if name.partition(":")[2].startswith(WRITES))


def joined(trial: Trial) -> Counter[str]:
    """The calls of the run that a joining account sets off."""
    trial.patch(directory={"members": {NEWCOMER: {"name": "new", "folder": "fd-prod"}}})
    return calls_of(trial, lambda: trial.apply(Focus((Selection(accounts=frozenset({NEWCOMER})),))))


def test_a_thousand_images_for_five_thousand_accounts_take_a_fifth_of_a_call_each_and_a_join_none(
    trial: Trials,
) -> None:
    """At most 1,000 / 5 + 10 writing calls to set up; who joins has every image without one."""
    t = trial(world=sized(5001, 1000, outsiders=[NEWCOMER]), policy=policy(rules=[rule(channel="auto")]))
    setup = calls_of(t, t.apply)
    assert writes(setup) <= 1000 / 5 + 10
    assert set(map(len, t.cloud.users().values())) == {5000}
    calls = joined(t)
    assert writes(calls) == 0
    assert set(map(len, t.cloud.users().values())) == {5001}
    # Listings: one page for each 100 rows, and no image's permissions, because no image needs a look.
    assert calls["resourcemanager:ListAccounts"] == ceil(5002 / 100)
    assert calls["ecs:DescribeImages"] == 10
    assert calls["resourcesharing:ListResourceShareAssociations"] == 10 + 1
    assert calls["resourcesharing:ListResourceShares"] == 1
    assert calls["ecs:DescribeImageSharePermission"] == 0


def test_the_same_by_direct_grants_is_refused_by_the_quota(trial: Trials) -> None:
    """Fifty accounts an image get it, and the others are counted and told what would help."""
    t = trial(world=sized(201, 3), policy=policy(rules=[rule(channel="direct")]))
    applied = t.apply()
    assert {(r.reason, r.accounts_total) for r in applied.plan.refused} == {("over-quota", 150)}
    assert all("channel: auto" in r.remedy for r in applied.plan.refused)
    assert set(map(len, t.cloud.users().values())) == {50}


@pytest.mark.parametrize(("images", "targets"), [(3, 3), (12, 7), (5, 23)])
def test_images_and_targets_travel_together_five_of_each(trial: Trials, images: int, targets: int) -> None:
    """As many calls as the longer of both lists has fives."""
    named = [str(4000000000000000 + n) for n in range(targets)]
    t = trial(world=sized(31, images), policy=policy(rules=[rule(accounts=named, channel="auto")]))
    calls = calls_of(t, t.apply)
    assert calls["resourcesharing:AssociateResourceShare"] == ceil(max(images, targets) / 5)
    assert calls["resourcesharing:CreateResourceShare"] == 1


def test_a_sweep_without_drift_changes_nothing_and_reads_each_list_once(trial: Trials) -> None:
    """The second sweep of 120 images makes no writing call and no listing twice."""
    t = trial(world=sized(121, 120), policy=policy(rules=[rule(channel="auto")]))
    t.apply()
    calls = calls_of(t, t.apply)
    assert writes(calls) == 0
    assert calls["resourcesharing:ListResourceShareAssociations"] == 2 + 1
    assert calls["ecs:DescribeImages"] == 2
    assert calls["resourcemanager:ListAccounts"] == 2
    # Only the folders that a target may need are listed: fd-prod and what is below it.
    assert calls["resourcemanager:ListFoldersForParent"] == 2


def test_an_unselected_shard_of_everybody_needs_no_folder(trial: Trials) -> None:
    """For the whole organization no folder is listed: the organization itself is the target."""
    t = trial(world=sized(21, 3), policy=policy(rules=[rule(folders=["root"], channel="auto")]))
    calls = calls_of(t, t.apply)
    assert calls["resourcemanager:ListFoldersForParent"] == 0
    assert t.cloud.world().resource_shares.popitem()[1].targets == ("rd-trial",)
