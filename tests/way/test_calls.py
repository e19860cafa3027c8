"""How many calls a run makes: the vendor's flow control is the limit, so calls are what speed is made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orgshare.focus import focus_of
from orgshare.signals import ImageAt, Signal
from tests.support.trial import (
    OTHER_REGION,
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
    sized,
)

Trials = Callable[..., Trial]
CONSTANT = (
    "sts:AssumeRole", "sts:GetCallerIdentity", "resourcemanager:GetResourceDirectory",
    "resourcesharing:CheckSharingWithResourceDirectoryStatus", "resourcesharing:ListResourceShares",
    "resourcesharing:ListResourceShareAssociations",
)  # fmt: skip


@pytest.mark.parametrize(("accounts", "images"), [(30, 40), (100, 100), (101, 101), (250, 230)])
def test_a_sweep_without_drift_reads_each_list_once_and_each_images_permissions_once(
    trial: Trials, accounts: int, images: int
) -> None:
    """ceil(A/100) pages of accounts, ceil(N/100) of images, one of permissions an image, and a constant under 10."""
    named = [str(4000000000000000 + n) for n in range(20)]
    t = trial(world=sized(accounts, images), policy=policy(rules=[rule(accounts=named)]))
    t.apply()
    calls = calls_of(t, t.apply)
    constant = sum(calls.pop(name, 0) for name in CONSTANT)
    assert calls == {
        "resourcemanager:ListAccounts": -(-accounts // 100),
        "ecs:DescribeImages": -(-images // 100),
        "ecs:DescribeImageSharePermission": images,
    }
    assert constant < 10


def test_the_permissions_of_an_image_take_a_page_for_each_hundred_grants(trial: Trials) -> None:
    """With a raised quota and 150 grants, two pages for each of three images."""
    owners = [{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 300}}]
    t = trial(
        world=sized(151, 3, quotas={"accounts_per_image": 300}),
        policy=policy(owners=owners, rules=[rule(folders=["fd-prod"])]),
    )
    t.apply()
    assert calls_of(t, t.apply)["ecs:DescribeImageSharePermission"] == 6


def test_only_folders_that_nobody_is_in_are_asked_for_by_id(trial: Trials) -> None:
    """Root and the folders on members' paths are known from the listing."""
    t = trial(policy=policy(rules=[rule(folders=["root", "fd-prod", "fd-eu"])]))
    assert calls_of(t, t.plan)["resourcemanager:GetFolder"] == 0
    t.move(B, "root")
    assert calls_of(t, t.plan)["resourcemanager:GetFolder"] == 1


def test_images_that_no_rule_selects_are_not_read(trial: Trials) -> None:
    """Permissions are read of what a rule selects or the ledger knows, and of nothing else."""
    t = trial(policy=policy(rules=[rule(images={"ids": ["m-gold"]})]))
    t.apply()
    assert calls_of(t, t.apply)["ecs:DescribeImageSharePermission"] == 1


def test_an_image_that_says_it_is_not_shared_needs_no_reading_before_the_first_grant(trial: Trials) -> None:
    """The first apply reads each image only after sharing it."""
    t = trial()
    calls = calls_of(t, t.apply)
    assert calls["ecs:DescribeImageSharePermission"] == 3
    assert calls["ecs:ModifyImageSharePermission"] == 3


def test_an_account_that_joins_costs_one_modify_call_an_image(trial: Trials) -> None:
    """And so does one that moves from one audience to another: adding and removing go together."""
    t = trial()
    t.apply()
    t.move(C, "fd-prod")
    t.move(A, "root")
    assert calls_of(t, t.apply)["ecs:ModifyImageSharePermission"] == 3


@pytest.mark.parametrize(("accounts", "modifies"), [(10, 1), (11, 2), (49, 5)])
def test_a_call_carries_ten_accounts(trial: Trials, accounts: int, modifies: int) -> None:
    """An image that is shared with n accounts takes ceil(n/10) calls."""
    t = trial(world=sized(accounts + 1, 3))
    assert calls_of(t, t.apply)["ecs:ModifyImageSharePermission"] == 3 * modifies
    assert all(len(shared) == accounts for shared in t.access().values())


def test_a_membership_signal_reads_only_the_images_that_the_account_bears_on(trial: Trials) -> None:
    """Images that the account has as it should are not looked at."""
    rules = [rule(images={"ids": ["m-gold"]}), rule("lab", {"ids": ["m-silver", "m-bronze"]}, folders=["fd-test"])]
    t = trial(policy=policy(rules=rules))
    t.apply()
    t.move(A, "fd-test")
    unmoved = focus_of(Signal(accounts=frozenset({C})))
    assert calls_of(t, lambda: t.apply(unmoved))["ecs:DescribeImageSharePermission"] == 0
    assert t.access()["m-gold"] == {A, B}
    t.apply(focus_of(Signal(accounts=frozenset({A}))))
    assert t.access() == {"m-gold": {B}, "m-silver": {A, C, D}, "m-bronze": {A, C, D}}


def test_an_image_signal_asks_for_that_image_alone(trial: Trials) -> None:
    """One listing of one image in its region, one reading of its permissions, one sharing, one reading back."""
    owners = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    t = trial(policy=policy(owners=owners))
    signal = focus_of(Signal(images=frozenset({ImageAt("m-gold", REGION, OWNER)})))
    calls = calls_of(t, lambda: t.apply(signal))
    assert (calls["ecs:DescribeImages"], calls["ecs:ModifyImageSharePermission"]) == (1, 1)
    assert t.access() == {"m-gold": {A, B}, "m-silver": set(), "m-bronze": set()}


def test_who_left_is_asked_for_once_each(trial: Trials) -> None:
    """However many images they had."""
    t = trial()
    t.apply()
    t.move(C, "fd-prod")
    t.apply()
    t.leave(A, B)
    assert calls_of(t, t.apply)["resourcemanager:GetAccount"] == 2
