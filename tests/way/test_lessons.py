"""Defects that other tools for sharing images have had; each is a test here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.trial import OTHER_REGION, OWNER, REGION, Trial, policy, rule, world

Trials = Callable[..., Trial]

ACCOUNTS = [str(4000000000000000 + n) for n in range(25)]


def crowd(**options: Any) -> dict[str, Any]:
    """Twenty-five accounts in fd-prod besides those of the usual world."""
    document = world(**options)
    more = {account: {"name": account[-2:], "folder": "fd-prod"} for account in ACCOUNTS}
    document["directory"]["members"] = {OWNER: {"name": "images", "folder": "root"}, **more}
    return document


def test_drift_is_seen_beyond_the_first_page_of_a_list(trial: Trials) -> None:
    """The vendor's pages have ten rows unless asked otherwise: the account that is missing is on the third."""
    t = trial(world=crowd())
    t.apply()
    t.revoke_by_hand("m-gold", ACCOUNTS[23])
    assert [(c.images[0], c.accounts) for c in t.apply().done] == [("m-gold", (ACCOUNTS[23],))]
    assert t.access()["m-gold"] == set(ACCOUNTS)


def test_drift_is_seen_while_others_still_have_the_image(trial: Trials) -> None:
    """What is compared is the account, not whether the list is empty."""
    t = trial(world=crowd())
    t.apply()
    for image in ("m-gold", "m-silver", "m-bronze"):
        t.revoke_by_hand(image, ACCOUNTS[0])
    t.apply()
    assert all(accounts == set(ACCOUNTS) for accounts in t.access().values())


def test_the_second_and_third_image_are_treated_like_the_first(trial: Trials) -> None:
    """Nothing that one image's turn leaves behind changes what is done to the next."""
    t = trial(world=crowd())
    t.apply()
    for account in ACCOUNTS[:3]:
        t.move(account, "root")
    changes = t.apply().done
    assert {(c.action, c.accounts) for c in changes} == {("revoke", tuple(ACCOUNTS[:3]))}
    assert [c.images[0] for c in changes] == ["m-bronze", "m-gold", "m-silver"]


def test_a_read_that_failed_does_not_look_like_a_clean_one(trial: Trials) -> None:
    """A throttled reading is reported as incomplete, not as nothing to do."""
    t = trial(world=crowd())
    t.apply()
    t.revoke_by_hand("m-gold", ACCOUNTS[0])
    t.patch(faults=[{"operation": "ecs:DescribeImageSharePermission", "kind": "throttle", "every": 1}])
    plan = t.plan().plan
    assert plan.changes == ()
    assert len(plan.incomplete) == 3
    assert all("Throttling" in gap.why for gap in plan.incomplete)


def test_a_limit_of_zero_is_a_limit_of_none(trial: Trials) -> None:
    """It never means that there is no limit."""
    none = {"lost_pairs": 0, "lost_percent": 100, "departed": {"accounts": 0, "percent": 100}}
    t = trial(world=crowd(), policy=policy(safety={"hold_when": none}))
    t.apply()
    t.move(ACCOUNTS[0], "root")
    t.leave(ACCOUNTS[1])
    assert {pair.account for hold in t.apply().plan.held for pair in hold.pairs} == set(ACCOUNTS[:2])
    assert all(accounts == set(ACCOUNTS) for accounts in t.access().values())


def test_the_eleventh_account_and_all_after_it_are_unshared_too(trial: Trials) -> None:
    """Twenty-five accounts lose the image, in as many calls as that takes."""
    t = trial(world=crowd())
    t.apply()
    t.write_policy(policy(rules=[rule(accounts=[ACCOUNTS[0]])]))
    t.apply()
    t.approve_all()
    t.apply()
    assert all(accounts == {ACCOUNTS[0]} for accounts in t.access().values())


@pytest.mark.parametrize("over_ten", ["first", "ignored"])
def test_accounts_beyond_ten_are_not_dropped_without_a_word(trial: Trials, over_ten: str) -> None:
    """Whatever the service does with an eleventh account of a call, no call has one."""
    t = trial(world=crowd(switches={"over_ten": over_ten}))
    t.apply()
    assert all(accounts == set(ACCOUNTS) for accounts in t.access().values())


def test_who_is_no_longer_wanted_is_revoked_without_being_asked_to(trial: Trials) -> None:
    """Keeping what was once given is a choice of the policy, not the way things are."""
    t = trial(world=crowd())
    t.apply()
    t.move(ACCOUNTS[5], "root")
    t.apply()
    assert all(accounts == set(ACCOUNTS) - {ACCOUNTS[5]} for accounts in t.access().values())


def test_a_region_goes_on_after_its_first_failing_image(trial: Trials) -> None:
    """The image in the middle fails; the one before and the one after are shared."""
    t = trial(world=crowd())
    t.patch(images={"m-gold": {"status": "Deprecated"}})
    t.apply()
    assert {image for image, accounts in t.access().items() if accounts} == {"m-bronze", "m-silver"}


def test_an_image_of_any_age_is_healed(trial: Trials) -> None:
    """A sweep looks at everything, not only at what is new."""
    t = trial(world=crowd())
    t.apply()
    t.cloud.advance(90 * 24 * 3600)
    t.revoke_by_hand("m-silver", *ACCOUNTS)
    t.apply()
    assert t.access()["m-silver"] == set(ACCOUNTS)


def test_a_region_that_failed_is_no_success(trial: Trials) -> None:
    """Its error is in the result, beside what was done elsewhere."""
    owners = [{"account": OWNER, "regions": [OTHER_REGION, REGION]}]
    t = trial(world=crowd(), policy=policy(owners=owners))
    t.patch(faults=[{"operation": "ecs:DescribeImages", "region": OTHER_REGION, "kind": "error", "every": 1}])
    applied = t.apply()
    assert [gap.name for gap in applied.plan.incomplete] == [f"ecs/{OWNER}/{OTHER_REGION}"]
    assert all(accounts == set(ACCOUNTS) for accounts in t.access().values())
