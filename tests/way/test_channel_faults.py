"""Thirty accounts, forty images, resource shares and grants, and a fault in about every tenth call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orgshare.errors import StopRun
from tests.support.channels import LATER, Watch, by_shares, directly, found, own_shares, until_settled
from tests.support.trial import MANAGEMENT, OWNER, PARTNER, REGION, STRANGER, Trial, policy, rule, world
from tests.way.test_channels import auto
from tests.way.test_faults import below

FAULTS = (
    "throttle",
    "error",
    "no-answer",
    "lost-answer",
    "malformed",
    "missing-field",
    "truncated-page",
    "empty-list",
)
ACCOUNTS = [str(4000000000000000 + n) for n in range(30)]
GUESTS = ACCOUNTS[:14:6]
"""Accounts of two sets that somebody shared three images with by hand."""
IMAGES = [f"m-{n:03d}" for n in range(40)]
FOLDERS = {f"fd-{n}": {"name": f"f{n}", "parent": "root" if n < 4 else f"fd-{n - 4}"} for n in range(12)}
SETS = {n: {image for i, image in enumerate(IMAGES) if i % 4 == n} for n in range(4)}
SWITCHES: tuple[dict[str, Any], ...] = (
    {"is_self_shared": "absent", "repeated_association": "error", "partial_association": "some"},
    {"repeated_add": "error", "nested_folder_targets": False, "remove_unshared": "error"},
)
EVERY = (10, 7, 11, 9, 13)
"""One call in so many is struck."""
ROUNDS = 24
"""More than enough: a run may fail as a whole for one fault, but not every one does."""


def large_world() -> dict[str, Any]:
    """Accounts over twelve folders of three levels; some images are shared with a stranger by hand."""
    members = {account: {"name": f"n{i}", "folder": f"fd-{i % 12}"} for i, account in enumerate(ACCOUNTS)}
    return {
        **world(),
        "directory": {
            "id": "rd-trial", "management": MANAGEMENT, "sharing_enabled": True, "folders": FOLDERS,
            "members": {**members, OWNER: {"name": "images", "folder": "root"}},
        },
        "images": {
            image: {"service": "ecs", "owner": OWNER, "region": REGION, "name": image, "status": "Available",
                    "tags": {"set": str(i % 4)}}
            for i, image in enumerate(IMAGES)
        },
        "grants": {image: [STRANGER] for image in IMAGES[::10]},
        "resource_shares": {
            "rs-hand": {"owner": OWNER, "region": REGION, "name": "by-hand", "images": IMAGES[:3], "targets": GUESTS}
        },
    }  # fmt: skip


def of_set(number: int) -> dict[str, Any]:
    return {"tags": {"set": str(number)}}


FIRST = policy(rules=[
    *(auto(str(n), of_set(n), folders=[f"fd-{n}"]) for n in range(3)),
    auto("3", of_set(3), folders=["fd-3"], partners=[PARTNER]),
])  # fmt: skip
THEN = policy(rules=[
    auto("0", of_set(0), folders=["fd-0", "fd-1"]),
    rule("1", of_set(1), folders=["fd-1"], channel="direct"),
    auto("2", of_set(2), folders=["fd-6"]),
    auto("3", of_set(3), folders=["fd-0", "fd-1", "fd-3"], partners=[PARTNER]),
])  # fmt: skip
"""Wider, another channel, narrower, and wider with a partner; two audiences have folders in common."""


def reached(document: Mapping[str, Any], folders: Mapping[int, tuple[str, ...]]) -> dict[str, set[str]]:
    """For each image the members below the folders of its set, found apart from the program."""
    accounts = {
        n: set[str]().union(*(below(dict(document), folder) for folder in named)) for n, named in folders.items()
    }
    return {image: accounts[n] for n, images in SETS.items() for image in images}


def together(*parts: Mapping[str, set[str]]) -> dict[str, set[str]]:
    return {image: set[str]().union(*(part.get(image, ()) for part in parts)) for image in IMAGES}


def applied_until(trial: Trial, goal: Mapping[str, set[str]], kind: str) -> None:
    """Runs, each some time after the other, until everybody who is wanted has what is wanted.

    Another call is struck in each, so that no list lies twice in a row: that would be believed.
    """
    for round_ in range(ROUNDS):
        trial.patch(faults=[{"operation": "*", "kind": kind, "every": EVERY[round_ % len(EVERY)]}])
        try:
            trial.apply()
        except StopRun:
            continue
        finally:
            trial.cloud.advance(LATER)
        if trial.access() == goal:
            return
    raise AssertionError(f"not reached in {ROUNDS} runs")


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("kind", FAULTS)
def test_shares_are_set_up_and_changed_through_a_fault_in_about_every_tenth_call(
    trial: Callable[..., Trial], kind: str, position: int
) -> None:
    """At no write does anybody get what no rule wants, or lose what a rule wants; in the end all is in step."""
    document = large_world()
    document |= {"switches": SWITCHES[position], "delays": {"association": 90 * position}}
    t = trial(world=document, policy=FIRST)
    t.begin()
    by_hand = {image: {STRANGER} for image in IMAGES[::10]}
    hand_share = {image: set(GUESTS) for image in IMAGES[:3]}
    partner = {image: {PARTNER} for image in SETS[3]}
    others = together(by_hand, hand_share, partner)
    first = together(reached(document, {n: (f"fd-{n}",) for n in range(4)}), others)
    watch = Watch(t, first)
    applied_until(t, first, kind)
    assert watch.wrong == []

    shares = reached(document, {0: ("fd-0", "fd-1"), 1: ("fd-1",), 2: ("fd-6",), 3: ("fd-0", "fd-1", "fd-3")})
    then = together(shares, others)
    watch.wanted = {image: frozenset(accounts) for image, accounts in then.items()}
    watch.before = t.cloud.users()  # what was associated since the last write is of the first policy
    t.write_policy(THEN)
    applied_until(t, then, kind)
    assert watch.wrong == []

    t.patch(faults=[])
    # Where an answer was lost while pairs changed to direct grants, nobody can see whether those are there.
    applied = until_settled(t, approve=True)
    assert watch.wrong == []
    assert (applied.failed, applied.plan.held, applied.plan.refused) == ((), (), ())
    direct = {image: shares[image] if image in SETS[1] else set() for image in IMAGES}
    assert directly(t) == together(direct, by_hand, partner)
    assert by_shares(t) == together({image: shares[image] - direct[image] for image in IMAGES}, hand_share)
    assert found(applied, "unknown-account") == {(image, STRANGER) for image in by_hand}
    assert len([share for share in own_shares(t).values() if share.images]) == 3
    assert t.plan().plan.changes == ()
