"""The watch: every change of the organization is found without an event, and nothing is done where nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orgshare.errors import StopRun
from orgshare.handling import Unfinished
from orgshare.ports import Listing
from orgshare.record.forms import view_digest
from orgshare.record.store import DirectoryStore
from orgshare.saw import Saw, Standing, View, after_failed_part, after_failure, waits_for
from orgshare.way.watching import due
from orgshare.words import Shard
from tests.support.fanned import Fanned
from tests.support.trial import (
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    A,
    B,
    C,
    D,
    E,
    Trial,
    calls_of,
    policy,
    rule,
    world,
)  # fmt: skip

Trials = Callable[..., Trial]
HERE, THERE = Shard("ecs", OWNER, REGION), Shard("ecs", OWNER, OTHER_REGION)
IMAGES = ("m-bronze", "m-gold", "m-silver")
NEW = "1000000000000099"
FIVE_MINUTES = 5 * 60 + 1


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in IMAGES}


def two_regions(**rules: Any) -> dict[str, Any]:
    """A deployment of two shards, three images in each."""
    document = world()
    document["images"] |= {
        f"m-far-{n}": {"owner": OWNER, "region": OTHER_REGION, "name": f"far-{n}", "tags": {"share": "org"}}
        for n in range(3)
    }
    return {
        "world": document,
        "policy": policy(owners=[{"account": OWNER, "regions": [REGION, OTHER_REGION]}], **rules),
    }


@pytest.fixture
def f(trial: Trials) -> Fanned:
    """In step: three accounts' worth of images, one shard, workers apart."""
    made = Fanned(trial())
    made.trial.begin()
    assert made.sweep() == 1
    assert made.trial.access() == everywhere(A, B)
    return made


def test_where_nothing_changed_it_lists_the_organization_once_and_no_more(f: Fanned) -> None:
    """No image is read, and no worker is woken."""
    calls = calls_of(f.trial, f.watch)
    assert calls == {"sts:AssumeRole": 1, "resourcemanager:GetResourceDirectory": 1, "resourcemanager:ListAccounts": 1}
    assert len(f.placed) == 1


def test_a_join_by_invitation_of_which_no_event_tells_is_found(f: Fanned) -> None:
    """The account gets everything, with one look of the watch and one of the worker."""
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    calls = calls_of(f.trial, f.watch)
    assert f.trial.access() == everywhere(A, B, NEW)
    assert (calls["resourcemanager:ListAccounts"], calls["ecs:DescribeImages"]) == (2, 1)
    assert f.watch() == 0


def test_moves_departures_and_returns_are_found(f: Fanned) -> None:
    """Whatever the way was: what counts is where everybody is now."""
    f.trial.move(A, "fd-test")
    f.trial.move(C, "fd-eu")
    assert (f.watch(), f.trial.access()) == (1, everywhere(B, C))
    f.trial.leave(B)
    f.trial.move(A, "fd-prod")
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, C))
    f.trial.move(C, "fd-test")
    f.trial.move(C, "fd-eu")
    assert f.watch() == 0


def test_a_move_there_and_back_around_a_look_ends_where_it_began(f: Fanned) -> None:
    """The worker that took access away wrote down what it saw, so the way back is a difference."""
    f.trial.move(A, "fd-test")
    f.watch()
    assert f.trial.access() == everywhere(B)
    f.trial.move(A, "fd-prod")
    f.watch()
    assert f.trial.access() == everywhere(A, B)


def test_a_pass_that_came_for_something_else_has_not_seen_it(f: Fanned) -> None:
    """An event of one image serves that image alone; the watch still finds the account for the others."""
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    f.changed("m-gold", region=REGION, owner=OWNER)
    f.work()
    assert f.trial.access() == {**everywhere(A, B), "m-gold": {A, B, NEW}}
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, NEW))


def test_what_concerns_no_audience_wakes_nobody_and_is_not_forgotten(f: Fanned) -> None:
    """Accounts outside of every audience may come and go; one that then moves into one is found."""
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-test"}, D: None}})
    f.trial.move(C, "root")
    assert f.watch() == 0
    f.trial.move(NEW, "fd-prod")
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, NEW))


def test_a_renamed_folder_is_nothing_and_a_deleted_one_is_where_its_accounts_went(f: Fanned) -> None:
    """Names count nowhere; a folder can only be deleted when nobody is in it."""
    f.trial.patch(directory={"folders": {"fd-eu": {"name": "europe", "parent": "fd-prod"}}})
    assert f.watch() == 0
    f.trial.move(B, "root")
    f.trial.patch(directory={"folders": {"fd-eu": None}})
    assert (f.watch(), f.trial.access()) == (1, everywhere(A))


def test_only_tags_that_a_rule_reads_count(trial: Trials) -> None:
    """An account that gets another name or tag is the same; one that gets the tag joins the audience."""
    f = Fanned(trial(policy=policy(rules=[rule(account_tags={"env": "prod"})])))
    f.trial.begin()
    f.sweep()
    assert f.trial.access() == everywhere(A, B)
    f.trial.patch(directory={"members": {C: {"tags": {"env": "test", "cost": "7"}}, A: {"name": "other"}}})
    assert f.watch() == 0
    f.trial.patch(directory={"members": {C: {"tags": {"env": "prod"}}, A: {"tags": {"env": "old"}}}})
    assert (f.watch(), f.trial.access()) == (1, everywhere(B, C))


def test_only_the_shards_whose_rules_it_touches_are_woken(trial: Trials) -> None:
    """A rule for one region asks nothing of the other."""
    far = {"tags": {"share": "org"}, "region": OTHER_REGION}
    near = {"tags": {"share": "org"}, "region": REGION}
    both = two_regions(rules=[rule("near", near), rule("far", far, folders=["fd-test"])])
    f = Fanned(trial(**both))
    f.trial.begin()
    assert f.sweep() == 2
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-test"}}})
    before = len(f.placed)
    f.watch()
    (request,) = f.placed[before:]
    assert str(THERE) in request
    assert all(f.trial.access()[f"m-far-{n}"] == {C, D, NEW} for n in range(3))
    assert f.trial.access()["m-gold"] == {A, B}


def test_a_worker_that_never_ran_is_asked_for_again(f: Fanned) -> None:
    """The platform lost the invocation: the mark gets old, and the watch, which wrote nothing down, asks anew."""
    f.trial.move(C, "fd-prod")
    f.timer()
    f.queue.clear()
    f.timer()
    assert f.queue == []
    f.trial.cloud.advance(FIVE_MINUTES)
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, C))


def test_an_invocation_that_nobody_took_is_not_lost(f: Fanned) -> None:
    """The function returns, says for which shard, and the next watch places it, at once."""
    f.trial.move(C, "fd-prod")
    f.refusing = True
    (gap,) = f.timer()["incomplete"]
    assert (gap["shard"], "waits beside it" in gap["why"]) == (str(HERE), True)
    f.refusing = False
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, C))


def test_a_worker_that_failed_leaves_the_difference_for_later(f: Fanned) -> None:
    """What could not be granted is tried again when its time has come, or as soon as anything else changes."""
    f.trial.move(C, "fd-prod")
    fault = {"operation": "ecs:ModifyImageSharePermission", "kind": "error", "every": 1}
    f.trial.patch(faults=[fault])
    with pytest.raises(Unfinished, match="3 of 3 changes failed"):
        f.watch()
    f.trial.patch(faults=[])
    assert (f.watch(), f.trial.access()) == (0, everywhere(A, B))
    f.trial.cloud.advance(FIVE_MINUTES)
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, C))
    f.trial.patch(faults=[fault])
    f.trial.move(D, "fd-prod")
    with pytest.raises(Unfinished):
        f.watch()
    f.trial.patch(faults=[])
    f.trial.move(E, "fd-prod")
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, C, D, E))


@pytest.mark.parametrize("kind", ["wrong-total", "truncated-page", "error", "malformed"])
def test_a_listing_that_cannot_be_read_concludes_nothing(f: Fanned, kind: str) -> None:
    """The function raises, so that the platform says so; nobody loses anything, and nothing is remembered of it."""
    f.trial.patch(faults=[{"operation": "resourcemanager:ListAccounts", "kind": kind, "every": 1}])
    with pytest.raises(StopRun, match="organization cannot be read"):
        f.watch()
    assert (f.queue, f.trial.access()) == ([], everywhere(A, B))
    f.trial.patch(faults=[])
    assert f.watch() == 0


def test_a_listing_that_lies_takes_nothing_away(f: Fanned) -> None:
    """A list that comes back empty and says so is a difference, but no account is in it that is not asked alone."""
    f.trial.patch(faults=[{"operation": "resourcemanager:ListAccounts", "kind": "empty-list", "every": 1}])
    f.watch()
    assert f.trial.access() == everywhere(A, B)
    f.trial.patch(faults=[])
    f.trial.move(C, "fd-prod")
    f.watch()
    assert f.trial.access() == everywhere(A, B, C)


def test_an_edited_policy_is_found(f: Fanned) -> None:
    """Every shard is looked at whole, once."""
    f.trial.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    f.watch()
    assert {len(hold.pairs) for hold in f.trial.state().guard().holds} == {6}
    assert f.trial.access() == everywhere(A, B, C, D)
    assert f.watch() == 0


def test_what_a_person_approved_is_carried_out(f: Fanned) -> None:
    """Within one watch of the approval, without a sweep."""
    f.trial.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    f.watch()
    f.trial.approve_all()
    assert (f.watch(), f.trial.access()) == (1, everywhere(C, D))


def test_what_time_alone_brings_about_is_looked_at_in_time(trial: Trials) -> None:
    """A grace that ends, and a partner whose last day is over."""
    audience: dict[str, Any] = {"folders": ["fd-prod"], "partners": [{"account": PARTNER, "until": "2026-11-21"}]}
    safety = {**policy()["safety"], "grace": "2h"}
    f = Fanned(trial(policy=policy(rules=[rule(**audience)], safety=safety)))
    f.trial.begin()
    f.sweep()
    assert f.trial.access() == everywhere(A, B, PARTNER)
    f.trial.move(A, "fd-test")
    f.watch()
    f.watch()
    assert f.trial.access() == everywhere(A, B, PARTNER)
    f.trial.cloud.advance(2 * 3600 + 1)
    assert (f.watch(), f.trial.access()) == (1, everywhere(B, PARTNER))
    assert f.watch() == 0
    f.trial.cloud.advance(10 * 3600)
    f.watch()
    f.trial.cloud.advance(2 * 3600)
    f.watch()
    assert f.trial.access() == everywhere(B)


def test_what_is_under_way_is_followed_until_it_arrived(trial: Trials) -> None:
    """Images go over to a resource share; no direct grant is left once it is sure, and then there is quiet."""
    f = Fanned(trial())
    f.trial.begin()
    f.sweep()
    f.trial.write_policy(policy(rules=[rule(channel="auto")]))
    for _ in range(12):
        f.watch()
        f.trial.cloud.advance(FIVE_MINUTES)
    assert f.trial.access() == everywhere(A, B)
    assert not any(f.trial.state().read(HERE).ledger.grants.values())
    assert f.watch() == 0


def test_it_asks_once_what_is_paused_whatever_the_number_of_shards(
    trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at two shards lists the pauses once, and the paused one is left alone."""
    f = Fanned(trial(**two_regions()))
    f.trial.begin()
    f.sweep()
    f.trial.state().pause(THERE, run="r", who="me", now=f.trial.now())
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    listed: list[str] = []
    usual = DirectoryStore.listed

    def listing(self: DirectoryStore, prefix: str, *, most: int | None = None) -> Listing:
        listed.append(prefix)
        return usual(self, prefix, most=most)

    monkeypatch.setattr(DirectoryStore, "listed", listing)
    wanted, _ = due(f.trial.runtime())
    assert (list(wanted), listed.count("pause")) == ([HERE], 1)


def test_a_paused_shard_is_left_alone_and_found_afterwards(f: Fanned) -> None:
    """Neither the watch nor an event wakes anybody for it."""
    f.trial.state().pause(HERE, run="p", who="ann", now=f.trial.now())
    f.trial.move(C, "fd-prod")
    assert f.watch() == 0
    f.changed("m-gold", region=REGION, owner=OWNER)
    assert (f.work(), f.trial.access()) == (0, everywhere(A, B))
    f.trial.state().resume(None, run="p", who="ann", now=f.trial.now())
    assert (f.watch(), f.trial.access()) == (1, everywhere(A, B, C))


def test_in_mode_observe_it_does_nothing(f: Fanned) -> None:
    """Nothing is remembered, so there is nothing to compare with."""
    f.trial.write_policy(policy(mode="observe"))
    f.trial.move(C, "fd-prod")
    assert (calls_of(f.trial, f.watch), f.trial.access()) == ({}, everywhere(A, B))


def test_an_owner_that_leaves_is_looked_at_whole(f: Fanned) -> None:
    """Whether resource shares are to be had hangs on it."""
    f.trial.leave(OWNER)
    assert f.watch() == 1
    assert f.trial.state().read(HERE).ledger.saw.organization


def test_a_view_of_ten_thousand_accounts_is_small_and_says_who_changed() -> None:
    """A few hundred kilobytes, whatever the order in which it was read, and one digest for equal ones."""
    folders = [("r-1", f"fd-{n}") for n in range(200)]
    members = {str(10**15 + n): Standing(folders[n % 200]) for n in range(10_000)}
    view = View(members)
    digest, data = view_digest(view)
    assert len(data) < 400_000
    assert view_digest(View(dict(reversed(members.items())))) == (digest, data)
    other = View({**members, str(10**15 + 7): Standing(folders[8]), str(10**15 + 10_000): Standing(folders[0])})
    assert other.changed(view) == view.changed(other) == {str(10**15 + 7), str(10**15 + 10_000)}
    assert view_digest(other)[0] != digest


def test_a_failed_look_at_one_image_hides_no_change_of_the_organization(f: Fanned) -> None:
    """However often it failed: the next watch finds who joined, and the accounts of the failed image follow in time."""
    f.trial.patch(directory={"members": {NEW: {"name": "new", "folder": "fd-prod"}}})
    f.trial.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "error", "every": 1}])
    for _ in range(4):
        f.changed("m-gold", region=REGION, owner=OWNER)
        with pytest.raises(Unfinished):
            f.work()
    f.trial.patch(faults=[])
    assert f.watch() == 1
    assert f.trial.access() == everywhere(A, B, NEW)


def test_a_failed_look_at_one_image_puts_off_nothing_that_has_a_time(f: Fanned) -> None:
    """What ends sooner than the next try is looked at when it ends."""
    soon = f.trial.runtime().now() + timedelta(minutes=2)
    on = ("view", "policy", "")
    for before in (Saw(*on, again=soon), Saw(*on, again=soon, times=4)):
        assert after_failed_part(before, soon - timedelta(minutes=2)) == before
        assert after_failure(before, on, soon - timedelta(minutes=2)).again == soon
        assert after_failure(before, on, soon).again == soon + waits_for(before.times)


def test_what_waits_outlasts_a_worker_in_mode_observe(f: Fanned) -> None:
    """An instance that observes already, beside others that do not yet: it does nothing and forgets nothing."""
    f.trial.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    f.changed("m-new", region=REGION, owner=OWNER)
    f.trial.write_policy(policy(mode="observe"))
    assert f.work() == 1
    assert f.trial.access().get("m-new", set()) == set()
    f.trial.write_policy(policy())
    f.trial.cloud.advance(FIVE_MINUTES)
    assert f.watch() == 1
    assert f.trial.access()["m-new"] == {A, B}
