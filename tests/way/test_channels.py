"""The directory channel, seen in what the cloud has afterwards: one channel for a pair, and never a gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from localcloud import LogEntry
from orgshare.focus import EVERYTHING, Focus, Selection, focus_of
from orgshare.signals import Signal
from orgshare.way.applying import Applied
from tests.support.channels import (
    GOLD,
    LATER,
    OTHERS,
    Watch,
    by_shares,
    contents,
    directly,
    found,
    own_shares,
    until_settled,
)
from tests.support.trial import (
    LEASE_IS_OVER,
    MANAGEMENT,
    OWNER,
    PARTNER,
    REGION,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    Trial,
    calls_of,
    policy,
    rule,
    sized,
    world,
)
from tests.way.test_channel_calls import writes
from tests.way.test_rules import ALL_IMAGES, everywhere

Trials = Callable[..., Trial]

NEWCOMER = "4000000000000001"
NOBODY: dict[str, set[str]] = {image: set() for image in ALL_IMAGES}
SHARING = "resourcesharing:"
ASSOCIATE = f"{SHARING}AssociateResourceShare"


def auto(name: str = "golden", images: Mapping[str, Any] | None = None, **audience: Any) -> dict[str, Any]:
    """A rule that prefers resource shares."""
    return rule(name, images, channel="auto", **audience)


def by_auto(**changes: Any) -> dict[str, Any]:
    """The usual policy with channel auto."""
    return policy(**{"rules": [auto()], **changes})


def share_by_hand(**fields: Any) -> dict[str, Any]:
    """A resource share that a person made."""
    return {"owner": OWNER, "region": REGION, "name": "by-hand", "images": list(ALL_IMAGES), **fields}


def nested(answer: str, **changes: Any) -> dict[str, Any]:
    """The usual policy with channel auto that says whether folders as targets reach their subfolders."""
    document = by_auto(**changes)
    return {**document, "directory": {**document["directory"], "nested_folder_targets": answer}}


def tidying(unmanaged: str = "revoke", *, lost_pairs: int = 10**6, **changes: Any) -> dict[str, Any]:
    """The usual policy with channel auto that revokes what nobody wants, whoever made it."""
    limits = {**policy()["safety"]["hold_when"], "lost_pairs": lost_pairs}
    return by_auto(safety={"hold_when": limits, "unmanaged": unmanaged}, **changes)


# Setting up


def test_one_share_serves_all_images_with_the_same_targets(trial: Trials) -> None:
    """It is tagged when it is created, open to nobody outside, and nothing is granted directly."""
    t = trial(policy=by_auto())
    tagged = []
    t.cloud.on_write(lambda cloud: tagged.append([share.tags for share in cloud.world().resource_shares.values()]))
    assert t.apply().failed == ()
    assert by_shares(t) == everywhere(A, B)
    assert directly(t) == NOBODY
    ((share_id, share),) = t.cloud.world().resource_shares.items()
    assert (sorted(share.images), sorted(share.targets)) == (sorted(ALL_IMAGES), ["fd-eu", "fd-prod"])
    assert share.tags["orgshare:deployment"] == "trial"
    assert share.tags["orgshare:state"] == t.state().beginning.id
    assert share.tags["orgshare:audience"] in share.name
    assert tagged[0] == [share.tags]
    assert not share.allow_external
    assert own_shares(t).keys() == {share_id}
    assert until_settled(t).plan.findings == ()


def test_two_audiences_have_two_shares(trial: Trials) -> None:
    """Images of one audience stand together and apart from the others."""
    t = trial(policy=by_auto(rules=[auto("prod", GOLD), auto("test", OTHERS, folders=["fd-test"])]))
    t.apply()
    assert contents(t) == {(("m-gold",), ("fd-eu", "fd-prod")), (("m-bronze", "m-silver"), ("fd-test",))}
    assert t.access() == {"m-gold": {A, B}, "m-silver": {C, D}, "m-bronze": {C, D}}
    assert until_settled(t).plan.findings == ()


def test_an_image_of_two_rules_gets_the_targets_of_both(trial: Trials) -> None:
    """Their union is an audience of its own."""
    t = trial(policy=by_auto(rules=[auto(), auto("lab", GOLD, folders=["fd-test"], accounts=[E])]))
    t.apply()
    assert contents(t) == {
        (("m-gold",), (E, "fd-eu", "fd-prod", "fd-test")),
        (("m-bronze", "m-silver"), ("fd-eu", "fd-prod")),
    }
    assert t.access() == {**everywhere(A, B), "m-gold": {A, B, C, D, E}}


@pytest.mark.parametrize("covered", [False, True])
def test_partners_and_the_management_account_are_served_directly(trial: Trials, covered: bool) -> None:
    """Also beside a share for the whole organization, whether or not that reaches its management account."""
    t = trial(
        world=world(switches={"management_covered": covered}),
        policy=by_auto(rules=[auto(folders=["fd-prod"], accounts=[MANAGEMENT], partners=[PARTNER])]),
    )
    t.apply()
    assert by_shares(t) == everywhere(A, B)
    assert directly(t) == everywhere(MANAGEMENT, PARTNER)
    assert until_settled(t).plan.findings == ()


def test_the_channel_of_a_rule_decides_and_the_directory_wins_where_any_rule_allows_it(trial: Trials) -> None:
    """auto and directory use shares, direct does not; who is wanted by both kinds of rules has a share."""
    rules = [
        rule("one", GOLD, channel="directory"),
        rule("two", {"ids": ["m-silver"]}, channel="direct"),
        rule("three", {"ids": ["m-bronze"]}, channel="direct", folders=["fd-prod", "fd-test"]),
        rule("four", {"ids": ["m-bronze"]}, channel="auto", folders=["fd-test"]),
    ]
    t = trial(policy=policy(rules=rules))
    t.apply()
    assert by_shares(t) == {"m-gold": {A, B}, "m-silver": set(), "m-bronze": {C, D}}
    assert directly(t) == {"m-gold": set(), "m-silver": {A, B}, "m-bronze": {A, B}}
    assert until_settled(t).plan.findings == ()


@pytest.mark.parametrize(("status", "reason"), [("Deprecated", "deprecated"), ("Creating", "not-available")])
def test_an_image_that_cannot_be_shared_now_joins_nothing_and_keeps_what_it_has(
    trial: Trials, status: str, reason: str
) -> None:
    """One that is in its share stays there; another one waits outside and is named."""
    t = trial(policy=by_auto())
    t.apply()
    t.patch(images={"m-gold": {"status": status}})
    t.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "status": status,
                              "tags": {"share": "org"}}})  # fmt: skip
    applied = t.apply()
    assert by_shares(t) == {**everywhere(A, B), "m-new": set()}
    assert directly(t) == {**NOBODY, "m-new": set()}
    assert [(refusal.image, refusal.reason) for refusal in applied.plan.refused] == [("m-new", reason)]
    assert t.plan().plan.changes == ()
    t.patch(images={"m-new": {"status": "Available"}})
    t.apply()
    assert by_shares(t) == {**everywhere(A, B), "m-new": {A, B}}


def test_an_image_event_takes_one_writing_call(trial: Trials) -> None:
    """The new image joins the share that there is."""
    t = trial(policy=by_auto())
    t.apply()
    t.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    event = Focus((Selection(images=frozenset({"m-new"})),))
    assert writes(calls_of(t, lambda: t.apply(event))) == 1
    assert by_shares(t) == {**everywhere(A, B), "m-new": {A, B}}
    assert len(own_shares(t)) == 1


def test_a_join_a_move_within_and_a_leave_need_no_writing_call(trial: Trials) -> None:
    """The folder is the target, whoever is in it."""
    t = trial(world=world(outsiders=[PARTNER, NEWCOMER]), policy=by_auto())
    t.apply()

    def follow(account: str) -> None:
        t.apply(focus_of(Signal(accounts=frozenset({account}))))
        t.apply()

    t.patch(directory={"members": {NEWCOMER: {"name": "new", "folder": "fd-eu"}}})
    assert writes(calls_of(t, lambda: follow(NEWCOMER))) == 0
    assert by_shares(t) == everywhere(A, B, NEWCOMER)
    t.move(NEWCOMER, "fd-prod")
    t.move(C, "fd-prod")
    t.move(A, "fd-test")
    assert writes(calls_of(t, lambda: follow(A))) == 0
    assert by_shares(t) == everywhere(B, C, NEWCOMER)
    t.leave(B, NEWCOMER)
    assert writes(calls_of(t, lambda: follow(B))) == 0
    assert by_shares(t) == everywhere(C)
    assert directly(t) == NOBODY


def test_a_direct_grant_of_who_moved_into_a_covered_folder_ends_once_that_is_sure(trial: Trials) -> None:
    """Until then it stays beside the share, and the grants of others stay anyway."""
    t = trial(policy=by_auto(rules=[auto(), rule("lab", folders=["fd-test"])]))
    t.apply()
    assert directly(t) == everywhere(C, D)
    t.move(C, "fd-prod")
    t.apply()
    assert directly(t) == everywhere(C, D)
    t.cloud.advance(LATER)
    t.apply()
    assert (by_shares(t), directly(t)) == (everywhere(A, B, C), everywhere(D))


def test_who_moves_out_of_a_covered_folder_and_is_wanted_elsewhere_gets_a_grant(trial: Trials) -> None:
    """The share lets go by itself; whom no rule wants any more has nothing."""
    t = trial(policy=by_auto(rules=[auto(), rule("lab", folders=["fd-test"])]))
    t.apply()
    t.move(A, "fd-test")
    t.move(B, "root")
    t.apply()
    assert (by_shares(t), directly(t)) == (NOBODY, everywhere(A, C, D))
    assert until_settled(t).plan.held == ()


def test_a_new_subfolder_becomes_a_target_before_anybody_is_in_it(trial: Trials) -> None:
    """Where nobody knows whether a folder reaches what is below it, every folder is named."""
    t = trial(policy=by_auto())
    t.apply()
    t.patch(directory={"folders": {"fd-south": {"name": "south", "parent": "fd-eu"}}})
    assert writes(calls_of(t, t.apply)) == 1
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod", "fd-south"))}
    t.move(C, "fd-south")
    assert by_shares(t) == everywhere(A, B, C)
    assert t.plan().plan.changes == ()


def test_everybody_is_one_target(trial: Trials) -> None:
    """For the whole organization the organization itself is the target, and the owner is not in it."""
    t = trial(policy=by_auto(rules=[auto(folders=["root"])]))
    t.apply()
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("rd-trial",))}
    assert by_shares(t) == everywhere(A, B, C, D, E)


# Changing the channel


@pytest.mark.parametrize("switches", [{}, {"is_self_shared": "absent"}, {"covered_in_permission_list": True},
                                      {"remove_unshared": "error"}, {"covered_count_to_quota": True},
                                      {"repeated_add": "error"}])  # fmt: skip
@pytest.mark.parametrize("delay", [0, 90])
def test_a_change_to_the_directory_leaves_no_gap_and_ends_with_one_channel(
    trial: Trials, switches: dict[str, Any], delay: int
) -> None:
    """Grants go only after the share is sure to reach the accounts."""
    t = trial(world=world(switches=switches, delays={"association": delay}))
    t.apply()
    watch = Watch(t, everywhere(A, B))
    t.write_policy(by_auto())
    t.apply()
    assert directly(t) == everywhere(A, B)
    applied = until_settled(t)
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    assert watch.wrong == []
    assert (applied.plan.held, applied.plan.findings) == ((), ())


@pytest.mark.parametrize("switches", [{}, {"is_self_shared": "absent"}, {"remove_unshared": "error"},
                                      {"covered_count_to_quota": True}])  # fmt: skip
@pytest.mark.parametrize("delay", [0, 90])
def test_a_change_to_direct_grants_leaves_no_gap_and_ends_with_one_channel(
    trial: Trials, switches: dict[str, Any], delay: int
) -> None:
    """Grants come first; then everything leaves the share, which stays, empty."""
    t = trial(world=world(switches=switches, delays={"association": delay}), policy=by_auto())
    until_settled(t)
    watch = Watch(t, everywhere(A, B))
    t.write_policy(policy())
    applied = until_settled(t)
    assert (by_shares(t), directly(t)) == (NOBODY, everywhere(A, B))
    assert contents(t) == set()
    assert watch.wrong == []
    assert (applied.plan.held, applied.plan.findings) == ((), ())


def test_a_change_to_direct_grants_whose_rows_prove_nothing_is_held_until_it_is_approved(trial: Trials) -> None:
    """Where covered accounts are listed, nobody can see the grants beside the share: a person agrees to the gap."""
    t = trial(world=world(switches={"covered_in_permission_list": True}), policy=by_auto())
    until_settled(t)
    t.write_policy(policy())
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(LATER)
        assert by_shares(t) == everywhere(A, B)
    (hold,) = applied.plan.held
    assert {(pair.image, pair.account) for pair in hold.pairs} == {(i, a) for i in ALL_IMAGES for a in (A, B)}
    assert "change to direct grants" in hold.why
    t.approve_all()
    applied = until_settled(t)
    assert (by_shares(t), directly(t)) == (NOBODY, everywhere(A, B))
    assert contents(t) == set()
    assert applied.plan.held == ()


def test_a_change_to_direct_grants_beyond_the_quota_loses_nobody(trial: Trials) -> None:
    """The images stay in their share, and that is a finding."""
    t = trial(world=sized(61, 3), policy=by_auto())
    until_settled(t)
    before = t.access()
    t.write_policy(policy())
    applied = until_settled(t)
    assert t.access() == before
    assert set(map(len, by_shares(t).values())) == {60}
    assert set(map(len, directly(t).values())) == {0}
    assert {image for image, _ in found(applied, "channel-conflict")} == {"m-0000", "m-0001", "m-0002"}


def test_who_has_a_grant_and_is_beyond_the_quota_goes_over_to_the_directory(trial: Trials) -> None:
    """What direct grants cannot serve, auto serves through a share, and then one channel is left."""
    t = trial(world=sized(61, 3), policy=policy())
    t.apply()
    assert set(map(len, directly(t).values())) == {50}
    t.write_policy(by_auto())
    applied = until_settled(t)
    assert set(map(len, by_shares(t).values())) == {60}
    assert set(map(len, directly(t).values())) == {0}
    assert applied.plan.refused == ()


# Audiences that change


def test_if_all_images_of_a_share_get_another_audience_its_targets_change_in_place(trial: Trials) -> None:
    """Wider, then narrower: the share stays the same one."""
    t = trial(policy=by_auto())
    t.apply()
    (share,) = own_shares(t)
    watch = Watch(t, everywhere(A, B, C, D))
    t.write_policy(by_auto(rules=[auto(folders=["fd-prod", "fd-test"])]))
    t.apply()
    assert by_shares(t) == everywhere(A, B, C, D)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod", "fd-test"))}
    assert watch.wrong == []
    watch.wanted = {image: frozenset({B, C, D}) for image in ALL_IMAGES}
    t.write_policy(by_auto(rules=[auto(folders=["fd-eu", "fd-test"])]))
    assert until_settled(t).plan.held == ()
    assert by_shares(t) == everywhere(B, C, D)
    assert own_shares(t).keys() == {share}
    assert watch.wrong == []


@pytest.mark.parametrize("delay", [0, 90])
def test_if_only_some_images_get_another_audience_they_move_and_the_emptied_share_is_used_again(
    trial: Trials, delay: int
) -> None:
    """The new share comes before the old one goes, and there are never more shares than needed."""
    t = trial(world=world(delays={"association": delay}), policy=by_auto())
    until_settled(t)
    (first,) = own_shares(t)
    watch = Watch(t, {**everywhere(A, B), "m-gold": {A, B, C, D}})
    wider = auto("lab", GOLD, folders=["fd-test"])
    t.write_policy(by_auto(rules=[auto(), wider]))
    until_settled(t)
    assert by_shares(t) == {**everywhere(A, B), "m-gold": {A, B, C, D}}
    assert sorted(own_shares(t)[first].images) == ["m-bronze", "m-silver"]
    assert watch.wrong == []
    two = own_shares(t).keys()
    assert len(two) == 2
    watch.wanted = {image: frozenset({A, B}) for image in ALL_IMAGES}
    t.write_policy(by_auto())
    until_settled(t, approve=True)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod"))}
    watch.wanted = {**watch.wanted, "m-silver": frozenset({A, B, E})}
    t.write_policy(by_auto(rules=[auto(), auto("office", {"ids": ["m-silver"]}, accounts=[E])]))
    until_settled(t)
    assert by_shares(t) == {**everywhere(A, B), "m-silver": {A, B, E}}
    assert own_shares(t).keys() == two
    assert watch.wrong == []


def test_of_two_shares_that_two_runs_made_one_serves_and_the_other_waits_empty(trial: Trials) -> None:
    """Whoever stood still at its call until its lease was over leaves an empty one, which the next audience gets."""
    t = trial(policy=by_auto())
    t.begin()
    handle = t.cloud.handle
    overtaken: list[bool] = []

    def slow(request: Any) -> Any:
        if request.headers.get("x-acs-action") == "CreateResourceShare" and not overtaken:
            overtaken.append(True)
            t.cloud.advance(LEASE_IS_OVER)
            t.apply()
        return handle(request)

    t.cloud.handle = slow  # type: ignore[method-assign]
    assert found(t.apply(), "busy") == {("", "")}
    assert len(own_shares(t)) == 2
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod"))}
    assert until_settled(t).plan.changes == ()
    t.write_policy(by_auto(rules=[auto(), auto("office", GOLD, accounts=[E])]))
    until_settled(t)
    assert by_shares(t) == {**everywhere(A, B), "m-gold": {A, B, E}}
    assert len(own_shares(t)) == 2


def test_two_shares_that_have_come_to_serve_the_same_audience_become_one(trial: Trials) -> None:
    """What waits for a person keeps newcomers out of its share; once it is approved, all images stand together."""
    t = trial(policy=by_auto())
    until_settled(t)
    (first,) = own_shares(t)
    careful = {"hold_when": {"lost_pairs": 0}}
    watch = Watch(t, {**everywhere(A), "m-new": {A}})
    t.write_policy(by_auto(rules=[auto(accounts=[A])], safety=careful))
    t.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    watch.before = t.cloud.users()
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert {pair.account for hold in applied.plan.held for pair in hold.pairs} == {B}
    assert by_shares(t) == {**everywhere(A, B), "m-new": {A}}
    assert {share for share, row in own_shares(t).items() if "m-new" in row.images}.isdisjoint({first})
    t.approve_all()
    assert until_settled(t).plan.held == ()
    assert by_shares(t) == {**everywhere(A), "m-new": {A}}
    assert contents(t) == {(tuple(sorted([*ALL_IMAGES, "m-new"])), (A,))}
    assert watch.wrong == []


@pytest.mark.parametrize("delay", [0, 90])
def test_a_rule_that_was_removed_is_held_whole_and_taken_out_when_it_is_approved(trial: Trials, delay: int) -> None:
    """Until then everything stays, also what the rule shared with others has."""
    t = trial(
        world=world(delays={"association": delay}),
        policy=by_auto(rules=[auto(images=OTHERS), auto("lab", GOLD, folders=["fd-test"])]),
    )
    until_settled(t)
    t.write_policy(by_auto(rules=[auto("lab", GOLD, folders=["fd-test"])]))
    applied = t.apply()
    assert by_shares(t) == {**everywhere(A, B), "m-gold": {C, D}}
    (hold,) = applied.plan.held
    assert hold.why == "rule golden would lose its whole audience, 2 accounts"
    assert {(pair.image, pair.account) for pair in hold.pairs} == {(i, a) for i in OTHERS["ids"] for a in (A, B)}
    until_settled(t, approve=True)
    assert by_shares(t) == {**NOBODY, "m-gold": {C, D}}
    assert contents(t) == {(("m-gold",), ("fd-test",))}


# What people made


def test_accounts_of_a_hand_made_share_get_no_grant_and_it_is_never_changed(trial: Trials) -> None:
    """Whoever made the share, it is a channel; who is not in it gets a grant."""
    t = trial(policy=policy(rules=[rule(folders=["fd-prod", "fd-test"])]))
    t.patch(resource_shares={"rs-hand": share_by_hand(targets=[A, B, E])})
    before = t.cloud.world().resource_shares
    applied = t.apply()
    assert (by_shares(t), directly(t)) == (everywhere(A, B, E), everywhere(C, D))
    assert applied.plan.findings == ()
    t.write_policy(policy(rules=[rule(folders=["fd-test"])]))
    assert until_settled(t).plan.held == ()
    assert t.cloud.world().resource_shares == before


def test_a_hand_made_share_changes_nothing_about_ours(trial: Trials) -> None:
    """Several shares are one channel: ours has all its targets, and theirs keeps its own."""
    t = trial(policy=by_auto())
    t.patch(resource_shares={"rs-hand": share_by_hand(targets=[A, "fd-test"])})
    until_settled(t)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod"))}
    assert by_shares(t) == everywhere(A, B, C, D)
    assert directly(t) == NOBODY
    t.patch(resource_shares={"rs-hand": None})
    assert by_shares(t) == everywhere(A, B)
    assert t.plan().plan.changes == ()


def test_a_share_of_ours_with_a_target_by_hand_takes_nothing_new(trial: Trials) -> None:
    """The target stays and is found; a new image goes into another share, and a new audience too."""
    t = trial(policy=by_auto())
    until_settled(t)
    ((share, row),) = own_shares(t).items()
    t.patch(resource_shares={share: {"targets": [*row.targets, D]}})
    t.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    watch = Watch(t, {**everywhere(A, B), "m-new": {A, B}})
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert ("", D) in found(applied, "channel-conflict")
    assert by_shares(t) == {**everywhere(A, B, D), "m-new": {A, B}}
    assert watch.wrong == []
    t.patch(resource_shares={share: {"targets": list(row.targets)}})
    assert until_settled(t).plan.findings == ()
    assert by_shares(t) == {**everywhere(A, B), "m-new": {A, B}}


def test_a_grant_of_ours_goes_only_when_a_hand_made_share_is_sure_to_reach_the_account(trial: Trials) -> None:
    """An account that came lately may not be reached yet."""
    t = trial()
    t.apply()
    t.patch(resource_shares={"rs-hand": share_by_hand(targets=[A])})
    watch = Watch(t, everywhere(A, B))
    assert t.apply().done == ()
    t.cloud.advance(14 * 60)
    assert t.apply().done == ()
    assert directly(t) == everywhere(A, B)
    t.cloud.advance(2 * 60)
    t.apply()
    assert (by_shares(t), directly(t)) == (everywhere(A), everywhere(B))
    assert watch.wrong == []
    t.patch(resource_shares={"rs-hand": None})
    t.apply()
    assert directly(t) == everywhere(A, B)


@pytest.mark.parametrize("unmanaged", ["keep", "revoke"])
def test_a_double_share_that_a_person_made_is_found_and_revoked_only_if_the_policy_says_so(
    trial: Trials, unmanaged: str
) -> None:
    """The account keeps the image either way."""
    t = trial(policy=tidying(unmanaged))
    t.patch(grants={"m-gold": [A]})
    t.apply()
    t.cloud.advance(LATER)
    applied = t.apply()
    assert by_shares(t) == everywhere(A, B)
    assert directly(t) == {**NOBODY, "m-gold": {A} if unmanaged == "keep" else set()}
    assert found(applied, "double-shared") == ({("m-gold", A)} if unmanaged == "keep" else set())
    assert applied.plan.held == ()


def test_an_unwanted_grant_by_hand_is_revoked_after_two_sweeps_saw_the_same_one(trial: Trials) -> None:
    """Where the policy says so; one that was made anew meanwhile is another one."""
    t = trial(policy=tidying())
    until_settled(t)
    t.patch(grants={"m-gold": [D], "m-silver": [STRANGER]})
    assert found(t.apply(), "unmanaged") == {("m-gold", D)}
    assert directly(t) == {"m-gold": {D}, "m-silver": {STRANGER}, "m-bronze": set()}
    t.cloud.advance(60)
    t.patch(grants={"m-gold": None})
    t.patch(grants={"m-gold": [D]})
    t.apply()
    assert directly(t) == {"m-gold": {D}, "m-silver": set(), "m-bronze": set()}
    t.apply()
    assert directly(t) == NOBODY
    assert by_shares(t) == everywhere(A, B)


def test_only_sweeps_count_as_having_seen_an_unwanted_grant_by_hand(trial: Trials) -> None:
    """Events may look at an image any number of times within a second."""
    t = trial(policy=tidying())
    until_settled(t)
    t.patch(grants={"m-gold": [D]})
    event = Focus((Selection(images=frozenset({"m-gold"})),))
    for focus in (event, event, EVERYTHING, event):
        t.apply(focus)
        assert directly(t) == {**NOBODY, "m-gold": {D}}
    t.apply()
    assert directly(t) == NOBODY


def test_unwanted_grants_by_hand_are_guarded(trial: Trials) -> None:
    """They count as any other loss, and go when a person agrees."""
    t = trial(policy=tidying(lost_pairs=0))
    t.patch(grants={image: [D] for image in ALL_IMAGES})
    for _ in range(3):
        applied = t.apply()
    assert {pair.account for hold in applied.plan.held for pair in hold.pairs} == {D}
    assert directly(t) == everywhere(D)
    t.approve_all()
    t.apply()
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)


def test_mode_add_revokes_no_grant_by_hand(trial: Trials) -> None:
    """However often it is seen, and whatever the policy says of unmanaged grants."""
    t = trial(policy=tidying(mode="add"))
    t.patch(grants={"m-gold": [D]})
    for _ in range(4):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert directly(t) == {**NOBODY, "m-gold": {D}}
    assert found(applied, "kept-by-mode") == {("m-gold", D)}


@pytest.mark.parametrize(("deployment", "found_as"), [("other", set()), ("trial", {("", "")})])
def test_a_share_of_another_deployment_or_state_is_never_touched(
    trial: Trials, deployment: str, found_as: set[tuple[str, str]]
) -> None:
    """Also when it has our name: then that is a finding, because somebody began a second state."""
    t = trial(policy=by_auto())
    tags = {"orgshare:deployment": deployment, "orgshare:state": "another", "orgshare:audience": "x"}
    t.patch(resource_shares={
        "rs-full": share_by_hand(targets=["fd-test"], tags=tags),
        "rs-empty": share_by_hand(images=[], tags=tags),
    })  # fmt: skip
    before = t.cloud.world().resource_shares
    t.apply()
    t.write_policy(policy())
    applied = until_settled(t)
    assert found(applied, "foreign-deployment") == found_as
    assert directly(t) == everywhere(A, B)
    shares = t.cloud.world().resource_shares
    assert {name: shares[name] for name in before} == before


# What goes wrong, and what is said of it


def closed(**changes: Any) -> dict[str, Any]:
    """The usual world, in which sharing within the organization is not enabled."""
    return world(directory={**world()["directory"], "sharing_enabled": False}, **changes)


def refusals(applied: Applied) -> set[tuple[str, str, tuple[str, ...]]]:
    """Image, reason and accounts of each refusal."""
    return {(refusal.image, refusal.reason, refusal.accounts) for refusal in applied.plan.refused}


def for_all(reason: str, *accounts: str) -> set[tuple[str, str, tuple[str, ...]]]:
    """The same refusal for each image."""
    return {(image, reason, accounts) for image in ALL_IMAGES}


def test_where_sharing_is_not_enabled_auto_goes_direct_and_says_so_once(trial: Trials) -> None:
    """Once it is enabled, everything goes over to the directory without a gap."""
    t = trial(world=closed(), policy=by_auto())
    applied = until_settled(t)
    assert (by_shares(t), directly(t)) == (NOBODY, everywhere(A, B))
    (finding,) = applied.plan.findings
    assert finding.kind == "channel-fallback"
    assert "sharing in the organization is not enabled" in finding.why
    watch = Watch(t, everywhere(A, B))
    t.patch(directory={"sharing_enabled": True})
    assert until_settled(t).plan.findings == ()
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    t.patch(directory={"sharing_enabled": False})
    watch.before = t.cloud.users()
    until_settled(t)
    assert t.access() == everywhere(A, B)
    assert watch.wrong == []


def test_where_sharing_is_not_enabled_a_rule_for_the_directory_is_refused(trial: Trials) -> None:
    """Nobody gets a grant instead, and the remedy is named; later it just works."""
    t = trial(world=closed(), policy=by_auto(rules=[rule(channel="directory")]))
    applied = t.apply()
    assert t.access() == NOBODY
    assert refusals(applied) == for_all("sharing-not-enabled", A, B)
    assert all("EnableSharingWithResourceDirectory" in refusal.remedy for refusal in applied.plan.refused)
    t.patch(directory={"sharing_enabled": True})
    assert until_settled(t).plan.refused == ()
    assert by_shares(t) == everywhere(A, B)


@pytest.mark.parametrize("channel", ["auto", "directory"])
def test_an_owner_outside_the_organization_has_no_resource_shares(trial: Trials, channel: str) -> None:
    """auto uses direct grants, directory refuses."""
    t = trial(policy=by_auto(rules=[rule(channel=channel)]))
    t.leave(OWNER)
    applied = until_settled(t)
    assert by_shares(t) == NOBODY
    assert t.cloud.calls[f"{SHARING}CreateResourceShare"] == 0
    if channel == "auto":
        assert directly(t) == everywhere(A, B)
        assert found(applied, "channel-fallback") == {("", "")}
    else:
        assert directly(t) == NOBODY
        assert refusals(applied) == for_all("owner-outside", A, B)


@pytest.mark.parametrize("channel", ["auto", "directory"])
def test_a_quota_of_resource_shares_that_is_used_up_is_named_and_tried_again_later(trial: Trials, channel: str) -> None:
    """auto grants directly meanwhile; when there is a place, everything goes over without a gap."""
    t = trial(world=world(quotas={"resource_shares": 0}), policy=by_auto(rules=[rule(channel=channel)]))
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(60)
    assert t.cloud.calls[f"{SHARING}CreateResourceShare"] == 1
    assert directly(t) == (everywhere(A, B) if channel == "auto" else NOBODY)
    if channel == "directory":
        assert refusals(applied) == for_all("share-quota", A, B)
    else:
        assert {image for image, _ in found(applied, "channel-fallback")} == set(ALL_IMAGES)
    watch = Watch(t, everywhere(A, B))
    t.patch(quotas={"resource_shares": 10})
    t.cloud.advance(24 * 3600)
    applied = until_settled(t)
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    assert (applied.plan.findings, applied.plan.refused, watch.wrong) == ((), (), [])


def test_with_one_resource_share_the_larger_audience_has_it_and_the_other_goes_direct(trial: Trials) -> None:
    """A quota of one is used for as many images as it can be."""
    t = trial(
        world=world(quotas={"resource_shares": 1}),
        policy=by_auto(rules=[auto("test", GOLD, folders=["fd-test"]), auto("prod", OTHERS)]),
    )
    applied = until_settled(t)
    assert by_shares(t) == {"m-gold": set(), "m-silver": {A, B}, "m-bronze": {A, B}}
    assert directly(t) == {**NOBODY, "m-gold": {C, D}}
    assert found(applied, "channel-fallback") == {("m-gold", "")}


@pytest.mark.parametrize("partial", ["none", "some"])
def test_a_quota_of_shared_images_that_is_used_up_leaves_the_others_to_direct_grants(
    trial: Trials, partial: str
) -> None:
    """As many images as there are places stand in the share."""
    t = trial(world=world(quotas={"shared_resources": 1}, switches={"partial_association": partial}), policy=by_auto())
    for _ in range(2):
        applied = t.apply()
    assert t.access() == everywhere(A, B)
    assert [len(share.images) for share in own_shares(t).values()] == [1]
    assert len(found(applied, "channel-fallback")) == 2
    watch = Watch(t, everywhere(A, B))
    t.patch(quotas={"shared_resources": 100})
    t.cloud.advance(24 * 3600)
    assert until_settled(t).plan.findings == ()
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    assert watch.wrong == []


def test_an_association_that_failed_is_tried_again_with_a_growing_wait_and_auto_goes_direct_after_two(
    trial: Trials,
) -> None:
    """One failure may be chance, two are a cause; when it succeeds at last, the grants go."""
    t = trial(policy=by_auto())
    t.patch(faults=[{"operation": ASSOCIATE, "kind": "fail-association", "every": 1}])
    watch = Watch(t, everywhere(A, B))
    t.apply()
    tried = []
    for minute in range(0, 100, 5):
        before = t.cloud.calls[ASSOCIATE]
        t.apply()
        tried += [minute] * (t.cloud.calls[ASSOCIATE] > before)
        assert directly(t) == (NOBODY if len(tried) < 1 or minute == tried[0] else everywhere(A, B))
        t.cloud.advance(300)
    assert tried == [15, 50]
    assert {image for image, _ in found(t.apply(), "channel-fallback")} == set(ALL_IMAGES)
    t.patch(faults=[])
    t.cloud.advance(24 * 3600)
    assert until_settled(t).plan.findings == ()
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    assert watch.wrong == []


def test_one_association_that_failed_is_repaired_by_the_next_try_and_nobody_goes_direct(trial: Trials) -> None:
    """A working channel is not left, and none is opened beside it, for one failure."""
    t = trial(policy=by_auto())
    t.patch(faults=[{"operation": ASSOCIATE, "kind": "fail-association", "times": 1}])
    t.apply()
    applied = t.apply()
    assert {pending.entity for pending in applied.plan.pending} >= set(ALL_IMAGES)
    until_settled(t)
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    assert t.cloud.calls["ecs:ModifyImageSharePermission"] == 0


def test_an_association_that_is_under_way_for_ever_is_found_and_auto_goes_direct(trial: Trials) -> None:
    """After fifteen minutes; when it is there after all, the grants go again."""
    t = trial(policy=by_auto())
    t.patch(faults=[{"operation": ASSOCIATE, "kind": "stuck-association", "every": 1}])
    watch = Watch(t, everywhere(A, B))
    t.apply()
    t.cloud.advance(14 * 60)
    applied = t.apply()
    assert (t.access(), found(applied, "unsure-coverage")) == (NOBODY, set())
    t.cloud.advance(2 * 60)
    for _ in range(2):
        applied = t.apply()
    assert directly(t) == everywhere(A, B)
    assert {image for image, _ in found(applied, "unsure-coverage")} == {*ALL_IMAGES, ""}
    assert {image for image, _ in found(applied, "channel-fallback")} == set(ALL_IMAGES)
    t.patch(faults=[])
    t.cloud.advance(31 * 24 * 3600)
    assert until_settled(t).plan.findings == ()
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    assert watch.wrong == []


@pytest.mark.parametrize("partial", ["none", "some"])
@pytest.mark.parametrize("channel", ["auto", "directory"])
def test_an_image_that_no_share_takes_stops_no_other(trial: Trials, partial: str, channel: str) -> None:
    """It is named with what the cloud says, and tried again only after a while; with auto it is shared directly."""
    t = trial(world=world(switches={"partial_association": partial}), policy=by_auto(rules=[rule(channel=channel)]))

    first = True

    def spoil(entry: LogEntry) -> None:
        if first and entry.action == "DescribeSnapshots":
            t.patch(images={"m-gold": {"encryption": "service-key"}})

    t.cloud.on_request(spoil)
    applied = t.apply()
    first = False
    assert by_shares(t) == {**everywhere(A, B), "m-gold": set()}
    assert {(r.image, r.reason, r.accounts) for r in applied.plan.refused} == {("m-gold", "association-failed", (A, B))}
    t.patch(images={"m-gold": {"encryption": "none"}})
    for _ in range(2):
        applied = t.apply()
    expected = {("m-gold", "association-failed", (A, B))} if channel == "directory" else set()
    assert {(r.image, r.reason, r.accounts) for r in applied.plan.refused} == expected
    assert directly(t) == {**NOBODY, "m-gold": {A, B} if channel == "auto" else set()}
    assert applied.failed == ()
    assert writes(calls_of(t, t.apply)) == 0
    t.cloud.advance(24 * 3600)
    until_settled(t)
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)


@pytest.mark.parametrize("partial", ["none", "some"])
def test_a_target_that_is_refused_stops_no_other(trial: Trials, partial: str) -> None:
    """An account that has left, and that the listing still shows."""
    t = trial(
        world=world(switches={"partial_association": partial}, delays={"membership": 600}),
        policy=by_auto(rules=[rule(channel="directory", accounts=[A, D, E])]),
    )
    t.leave(D)
    applied = t.apply()
    assert by_shares(t) == everywhere(A, E)
    assert [(r.image, r.reason, r.accounts) for r in applied.plan.refused] == [("", "association-failed", (D,))]
    assert applied.failed == ()
    t.cloud.advance(LATER)
    assert until_settled(t).plan.refused == ()
    assert by_shares(t) == everywhere(A, E)


def test_a_share_that_is_pending_is_waited_for_and_not_made_twice(trial: Trials) -> None:
    """What is under way is said to be, and the next sweep goes on."""
    t = trial(world=world(delays={"association": 90}), policy=by_auto())
    applied = t.apply()
    assert applied.failed == ()
    (share,) = own_shares(t)
    assert {(pending.entity, pending.status) for pending in applied.plan.pending} == {(share, "Pending")}
    t.cloud.advance(60)
    assert t.apply().done == ()
    t.cloud.advance(60)
    t.apply()
    t.cloud.advance(30)
    assert t.apply().done == ()
    assert t.access() == NOBODY
    t.cloud.advance(90)
    assert t.apply().plan.pending == ()
    assert by_shares(t) == everywhere(A, B)
    assert own_shares(t).keys() == {share}
    assert t.cloud.calls[f"{SHARING}CreateResourceShare"] == 1


@pytest.mark.parametrize("kind", ["lost-answer", "no-answer", "malformed"])
def test_an_answer_that_was_lost_while_a_share_was_made_makes_no_second_one(trial: Trials, kind: str) -> None:
    """The tags tell whether it is there."""
    t = trial(policy=by_auto())
    t.patch(faults=[{"operation": f"{SHARING}CreateResourceShare", "kind": kind, "times": 1}])
    until_settled(t)
    assert by_shares(t) == everywhere(A, B)
    assert len(own_shares(t)) == 1


LISTING = f"{SHARING}ListResourceShareAssociations"
LIES = [{"kind": kind, **when} for kind in ("empty-list", "truncated-page") for when in ({"times": 1}, {"every": 2})]
"""Rows are missing where nothing shows it: of the images, which are listed first, or of the targets."""


@pytest.mark.parametrize("lie", LIES)
def test_rows_that_one_listing_hides_cost_nobody_access(trial: Trials, lie: dict[str, Any]) -> None:
    """A share that seems to be empty may hold what a person has to decide about."""
    t = trial(world=world(delays={"association": 90}), policy=by_auto())
    until_settled(t)
    watch = Watch(t, {**everywhere(A, B), "m-gold": {A, B, C, D}})
    t.write_policy(by_auto(rules=[auto("lab", GOLD, folders=["fd-test"])]))
    t.patch(faults=[{"operation": LISTING, **lie}])
    t.apply()
    t.patch(faults=[])
    for _ in range(4):
        t.cloud.advance(LATER)
        applied = t.apply()
    assert by_shares(t) == {**everywhere(A, B), "m-gold": {A, B, C, D}}
    assert watch.wrong == []
    assert {pair.account for hold in applied.plan.held for pair in hold.pairs} == {A, B}


@pytest.mark.parametrize("lie", LIES)
def test_images_that_one_listing_hides_reach_nobody_new(trial: Trials, lie: dict[str, Any]) -> None:
    """A share that seems to be empty is not used for a wider audience."""
    t = trial(policy=by_auto(rules=[auto("prod", {"ids": ["m-gold", "m-silver"]})]))
    until_settled(t)
    watch = Watch(t, {**everywhere(A, B), "m-bronze": {A, B, C, D}})
    t.write_policy(by_auto(rules=[auto("wide", {"ids": ["m-bronze"]}, folders=["fd-prod", "fd-test"])]))
    t.patch(faults=[{"operation": LISTING, **lie}])
    t.apply()
    t.patch(faults=[])
    for _ in range(4):
        t.cloud.advance(LATER)
        t.apply()
    assert by_shares(t) == {**everywhere(A, B), "m-bronze": {A, B, C, D}}
    assert watch.wrong == []


@pytest.mark.parametrize("lie", LIES)
def test_targets_that_one_listing_hides_are_reached_by_no_new_image(trial: Trials, lie: dict[str, Any]) -> None:
    """What waits for a person to be taken out of a share keeps newcomers out, listed or not."""
    t = trial(policy=by_auto(rules=[auto(folders=["fd-prod", "fd-test"])]))
    until_settled(t)
    t.write_policy(by_auto(safety={"hold_when": {"lost_pairs": 0}}))
    t.patch(images={"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}})
    watch = Watch(t, {**everywhere(A, B, C, D), "m-new": {A, B}})
    t.patch(faults=[{"operation": LISTING, **lie}])
    t.apply()
    t.patch(faults=[])
    for _ in range(4):
        t.cloud.advance(LATER)
        applied = t.apply()
    assert by_shares(t) == {**everywhere(A, B, C, D), "m-new": {A, B}}
    assert {pair.account for hold in applied.plan.held for pair in hold.pairs} == {C, D}
    assert watch.wrong == []


# Coverage


@pytest.mark.parametrize("nests", [True, False])
def test_where_nobody_knows_whether_folders_nest_it_is_a_finding_and_the_policy_can_say_it(
    trial: Trials, nests: bool
) -> None:
    """An account in a subfolder of a hand-made target gets nothing until somebody says what is so."""
    t = trial(world=world(switches={"nested_folder_targets": nests}), policy=policy())
    t.patch(resource_shares={"rs-hand": share_by_hand(targets=["fd-prod"])})
    for _ in range(2):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert directly(t) == NOBODY
    assert found(applied, "unsure-coverage") == {(image, B) for image in ALL_IMAGES}
    t.write_policy({**policy(), "directory": nested("yes" if nests else "no")["directory"]})
    assert until_settled(t).plan.findings == ()
    assert directly(t) == (NOBODY if nests else everywhere(B))
    assert t.access() == everywhere(A, B)


@pytest.mark.parametrize(("answer", "targets"), [("yes", ("fd-prod",)), ("no", ("fd-eu", "fd-prod"))])
def test_targets_follow_what_the_policy_says_of_nested_folders(
    trial: Trials, answer: str, targets: tuple[str, ...]
) -> None:
    """One target reaches a whole tree, or every folder needs its own."""
    t = trial(world=world(switches={"nested_folder_targets": answer == "yes"}), policy=nested(answer))
    t.apply()
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), targets)}
    assert by_shares(t) == everywhere(A, B)
    assert until_settled(t).plan.findings == ()


def test_an_excepted_subfolder_that_comes_to_exist_breaks_no_audience(trial: Trials) -> None:
    """A folder with an excepted one in it is no target where it would reach that too."""
    excepted: dict[str, Any] = {"folders": ["fd-prod"], "except": {"folders": ["fd-eu"]}}
    t = trial(policy=nested("yes", rules=[auto(**excepted)]))
    t.apply()
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), (A,))}
    t.write_policy(nested("no", rules=[auto(**excepted)]))
    t.patch(switches={"nested_folder_targets": False})
    until_settled(t)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-prod",))}
    assert by_shares(t) == everywhere(A)


def test_a_newcomer_counts_as_sure_only_after_a_while(trial: Trials) -> None:
    """A folder may reach it later than the listing shows it there: its own grant is not revoked before."""
    t = trial(
        world=world(outsiders=[NEWCOMER], delays={"coverage": 600}),
        policy=by_auto(rules=[auto(), rule("guest", partners=[NEWCOMER])]),
    )
    t.apply()
    assert directly(t) == everywhere(NEWCOMER)
    watch = Watch(t, everywhere(A, B, NEWCOMER))
    t.cloud.advance(LATER)
    t.patch(directory={"members": {NEWCOMER: {"name": "new", "folder": "fd-prod"}}})
    for _ in range(3):
        assert t.apply().done == ()
        t.cloud.advance(240)
    t.cloud.advance(240)
    t.apply()
    assert (by_shares(t), directly(t)) == (everywhere(A, B, NEWCOMER), NOBODY)
    assert watch.wrong == []


# Modes


def test_mode_observe_changes_nothing_and_shows_what_it_would_do(trial: Trials) -> None:
    """Neither share nor grant is made."""
    t = trial(policy=by_auto(mode="observe"))
    applied = t.apply()
    assert [change.action for change in applied.plan.changes] == ["create-share", "associate"]
    assert applied.plan.summary.gained == 6
    assert applied.done == ()
    assert writes(t.cloud.calls) == 0
    assert (t.access(), own_shares(t)) == (NOBODY, {})


def test_mode_add_shares_with_more_and_takes_nothing_out(trial: Trials) -> None:
    """What is not wanted any more stays and is found; what newly is joins."""
    t = trial(policy=by_auto())
    until_settled(t)
    t.write_policy(by_auto(mode="add", rules=[auto(folders=["fd-eu", "fd-test"])]))
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert by_shares(t) == everywhere(A, B, C, D)
    assert found(applied, "kept-by-mode") == {(image, A) for image in ALL_IMAGES}
    assert t.plan().plan.changes == ()
    t.write_policy(by_auto(rules=[auto(folders=["fd-eu", "fd-test"])]))
    until_settled(t)
    assert by_shares(t) == everywhere(B, C, D)


def test_a_rule_that_only_observes_joins_nothing_to_a_share(trial: Trials) -> None:
    """Whom it wants is a finding; what it wanted before stays."""
    t = trial(policy=by_auto(rules=[auto("prod"), {**auto("test", folders=["fd-test"]), "mode": "observe"}]))
    applied = t.apply()
    assert by_shares(t) == everywhere(A, B)
    assert found(applied, "observed-only") == {(image, account) for image in ALL_IMAGES for account in (C, D)}
    assert until_settled(t).plan.changes == ()
