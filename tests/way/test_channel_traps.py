"""Scenes in which a share seems to be another one, or a row, an account or a whole audience seems to be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orgshare.alibaba.images import EcsImages
from orgshare.errors import TryAgain
from orgshare.ledger import Entry
from orgshare.ports import Page
from orgshare.record.state import open_state
from orgshare.way.applying import Applied
from orgshare.words import Grant, Shard
from tests.support.channels import (
    GOLD,
    LATER,
    OTHERS,
    Watch,
    by_shares,
    contents,
    directly,
    found,
    hidden,
    own_shares,
    until_settled,
)
from tests.support.trial import (
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
    sized,
    world,
)
from tests.way.test_rules import ALL_IMAGES, Lying, everywhere

Trials = Callable[..., Trial]

SHARING = "resourcesharing:"
CREATE = f"{SHARING}CreateResourceShare"
ASSOCIATE, DISASSOCIATE = f"{SHARING}AssociateResourceShare", f"{SHARING}DisassociateResourceShare"
NEWCOMER = "4000000000000001"
NOBODY: dict[str, set[str]] = {image: set() for image in ALL_IMAGES}
NEW_IMAGE = {"m-new": {"owner": OWNER, "region": REGION, "name": "new", "tags": {"share": "org"}}}
NO_LOSS = {"hold_when": {"lost_pairs": 0, "lost_percent": 0, "departed": {"accounts": 0, "percent": 0}}}


def shared(name: str = "golden", images: Mapping[str, Any] | None = None, **audience: Any) -> dict[str, Any]:
    """A rule that uses resource shares only."""
    return rule(name, images, channel="directory", **audience)


def ruled(*rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The usual policy with these rules."""
    return policy(rules=list(rules), **changes)


def share_by_hand(*targets: str, **fields: Any) -> dict[str, Any]:
    """A resource share with all images that a person made."""
    return {
        "owner": OWNER, "region": REGION, "name": "by-hand", "images": list(ALL_IMAGES), "targets": list(targets),
        **fields,
    }  # fmt: skip


def held(applied: Applied) -> set[tuple[str, str]]:
    """The image and the account of each pair that waits for a person."""
    return {(pair.image, pair.account) for hold in applied.plan.held for pair in hold.pairs}


def pairs(*accounts: str) -> set[tuple[str, str]]:
    """Every image with each of these accounts."""
    return {(image, account) for image in ALL_IMAGES for account in accounts}


def waiting(applied: Applied, entity: str) -> list[str]:
    """What is said of an image or a target that is under way or has to wait."""
    return [pending.status for pending in applied.plan.pending if pending.entity == entity]


# What seems to be another share


FAILURES: tuple[dict[str, Any], ...] = (
    {"kind": "no-answer", "times": 1},
    {"kind": "lost-answer", "times": 1},
    {"kind": "error", "code": "ServiceUnavailable", "status": 503, "every": 1},
)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: str(failure["kind"]))
def test_a_share_whose_making_got_no_answer_is_never_mistaken_for_an_older_one(
    trial: Trials, failure: dict[str, Any]
) -> None:
    """The older one was made for this audience and reaches more by now; if none was made, nothing is shared."""
    t = trial(policy=ruled(shared("gold", GOLD, accounts=[A])))
    until_settled(t)
    t.write_policy(ruled(shared("gold", GOLD, accounts=[A, D])))
    until_settled(t)
    assert contents(t) == {(("m-gold",), (A, D))}
    watch = Watch(t, {**everywhere(A), "m-gold": {A, D}})
    t.write_policy(ruled(shared("gold", GOLD, accounts=[A, D]), shared("others", OTHERS, accounts=[A])))
    t.patch(faults=[{"operation": CREATE, **failure}])
    applied = t.apply()
    assert [change.action for change in applied.plan.changes] == ["create-share", "associate"]
    made = failure["kind"] != "error"
    assert by_shares(t) == {**(everywhere(A) if made else NOBODY), "m-gold": {A, D}}
    assert (applied.failed == ()) is made
    t.patch(faults=[])
    until_settled(t)
    assert contents(t) == {(("m-gold",), (A, D)), (("m-bronze", "m-silver"), (A,))}
    assert watch.wrong == []


@pytest.mark.parametrize("folder", ["fd-prod", "root"])
def test_a_share_that_lost_its_tags_is_reported_and_left(trial: Trials, folder: str) -> None:
    """What it gives stays, no other is changed for it, and with its tags it is ours again."""
    t = trial(policy=ruled(shared(folders=[folder], accounts=[E])))
    until_settled(t)
    ((share, row),) = own_shares(t).items()
    before = by_shares(t)
    t.patch(resource_shares={share: {"tags": dict.fromkeys(row.tags)}})
    t.write_policy(ruled(shared(accounts=[E])))
    for _ in range(4):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert by_shares(t) == before
    assert t.cloud.world().resource_shares[share].targets == row.targets
    (finding,) = (finding for finding in applied.plan.findings if share in finding.why)
    assert finding.kind == "channel-conflict"
    assert f"{share} lost its tags" in finding.why
    t.patch(resource_shares={share: {"tags": row.tags}})
    applied = until_settled(t, approve=True)
    assert by_shares(t) == everywhere(E)
    assert applied.plan.findings == ()


def test_no_second_share_is_made_while_the_first_is_on_its_way(trial: Trials) -> None:
    """Also beside a share whose own audience waits for a person and has no fitting one."""
    t = trial(
        world=world(delays={"association": 90}),
        policy=ruled(shared("others", OTHERS, accounts=[A, D]), safety=NO_LOSS),
    )
    until_settled(t)
    narrow = shared("others", OTHERS, accounts=[A])
    t.write_policy(ruled(narrow, shared("gold", GOLD, accounts=[C, E]), safety=NO_LOSS))
    for _ in range(10):
        applied = t.apply()
        t.cloud.advance(30)
    assert held(applied) == {("m-silver", D), ("m-bronze", D)}
    assert contents(t) == {(("m-bronze", "m-silver"), (A, D)), (("m-gold",), (C, E))}
    assert len(own_shares(t)) == 2
    assert t.cloud.calls[CREATE] == 2


def test_a_partner_that_accepted_a_hand_made_share_has_one_channel(trial: Trials) -> None:
    """Such a share is sure to reach it, so our grants beside it go, and those on other images stay."""
    t = trial(policy=ruled(rule(channel="auto", partners=[PARTNER])))
    until_settled(t)
    assert directly(t) == everywhere(PARTNER)
    watch = Watch(t, everywhere(PARTNER))
    t.patch(resource_shares={"rs-hand": share_by_hand(PARTNER, images=["m-gold", "m-silver"], allow_external=True)})
    before = t.cloud.world().resource_shares
    t.apply()
    t.cloud.advance(LATER)
    applied = until_settled(t)
    assert by_shares(t) == {"m-gold": {PARTNER}, "m-silver": {PARTNER}, "m-bronze": set()}
    assert directly(t) == {**NOBODY, "m-bronze": {PARTNER}}
    assert applied.plan.findings == ()
    assert t.cloud.world().resource_shares == before
    assert watch.wrong == []


# A listing that lacks an account


def test_who_is_excluded_gets_nothing_from_a_listing_that_lacks_it(trial: Trials) -> None:
    """Everybody but one is not everybody, though the listing shows nobody else; an exception may follow moves."""
    role = f"acs:ram::{D}:role/images"
    excepted: dict[str, Any] = {"folders": ["root"], "except": {"accounts": [D], "accept_moves": True}}
    base = world()
    t = trial(
        world={**base, "roles": {**base["roles"], role: {"trusts": [OWNER]}}},
        policy=ruled(
            shared(**excepted),
            owners=[{"account": OWNER, "regions": [REGION]}, {"account": D, "regions": [REGION], "role": role}],
        ),
    )
    until_settled(t)
    before = contents(t)
    assert by_shares(t) == everywhere(A, B, C, E)
    watch = Watch(t, everywhere(A, B, C, E))
    for _ in range(2):
        applied = Lying(t, {D}).apply()
        assert applied.plan.changes == ()
        assert f"lacks account {D}" in applied.plan.incomplete[0].why
        t.cloud.advance(LATER)
    assert contents(t) == before
    assert by_shares(t) == everywhere(A, B, C, E)
    assert until_settled(t).plan.incomplete == ()
    assert watch.wrong == []


@pytest.mark.parametrize("channel", ["auto", "directory"])
def test_an_owner_that_one_listing_lacks_is_no_reason_for_direct_grants(trial: Trials, channel: str) -> None:
    """A new image joins the share all the same: the owner exists when it is asked for."""
    t = trial(policy=ruled(rule(channel=channel, folders=["root"])))
    until_settled(t)
    t.patch(images=NEW_IMAGE)
    applied = Lying(t, {OWNER}).apply()
    everybody = {**everywhere(A, B, C, D, E), "m-new": {A, B, C, D, E}}
    assert (by_shares(t), directly(t)) == (everybody, {**NOBODY, "m-new": set()})
    assert f"lacks account {OWNER}" in applied.plan.incomplete[0].why
    assert (applied.plan.findings, applied.plan.refused) == ((), ())
    assert until_settled(t).plan.findings == ()
    assert (by_shares(t), len(own_shares(t))) == (everybody, 1)


def test_subfolders_that_read_as_empty_once_take_no_target_out(trial: Trials) -> None:
    """Also one without members, which nobody would miss now and the next to join would."""
    base = world()
    base["directory"]["members"][B]["folder"] = "fd-prod"
    t = trial(world=base, policy=ruled(shared()))
    until_settled(t)
    before = contents(t)
    assert before == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod"))}
    t.patch(faults=[{"operation": "resourcemanager:ListFoldersForParent", "kind": "empty-list", "every": 1}])
    applied = t.apply()
    t.patch(faults=[])
    assert applied.plan.changes == ()
    assert [incomplete.name for incomplete in applied.plan.incomplete] == ["golden"]
    assert contents(t) == before
    assert until_settled(t).plan.incomplete == ()


def test_a_folder_target_that_could_not_be_asked_for_stays(trial: Trials) -> None:
    """Its parent lists no subfolders and it does not answer itself: that is no proof that it is gone."""
    base = world()
    base["directory"]["members"][B]["folder"] = "fd-prod"
    t = trial(world=base, policy=ruled(shared()))
    until_settled(t)
    before = contents(t)
    t.patch(
        faults=[
            {"operation": "resourcemanager:ListFoldersForParent", "kind": "empty-list", "every": 1},
            {"operation": "resourcemanager:GetFolder", "kind": "error", "every": 1},
        ]
    )
    applied = t.apply()
    t.patch(faults=[])
    assert applied.plan.changes == ()
    assert [pending.entity for pending in applied.plan.pending] == ["fd-eu"]
    assert contents(t) == before
    assert until_settled(t).plan.pending == ()


# Rows that one reading hides


def test_a_target_by_hand_that_one_reading_hides_gets_no_new_image(trial: Trials) -> None:
    """The share is looked at once more before anything joins it."""
    t = trial(policy=ruled(shared(accounts=[A])))
    until_settled(t)
    (share,) = own_shares(t)
    t.patch(resource_shares={share: {"targets": [A, D]}})
    t.apply()
    t.cloud.advance(3600)
    t.patch(images=NEW_IMAGE)
    watch = Watch(t, {**everywhere(A), "m-new": {A}})
    with hidden(D):
        applied = t.apply()
    assert by_shares(t) == {**everywhere(A, D), "m-new": set()}
    (status,) = waiting(applied, "m-new")
    assert f"{D} is in {share} too" in status
    for _ in range(3):
        t.cloud.advance(LATER)
        applied = t.apply()
    assert by_shares(t) == {**everywhere(A, D), "m-new": {A}}
    assert found(applied, "channel-conflict") == {("", D)}
    assert watch.wrong == []


@pytest.mark.parametrize("repeated", ["ok", "error"])
def test_a_target_by_hand_that_one_reading_hides_is_not_taken_for_ours(trial: Trials, repeated: str) -> None:
    """It is wanted meanwhile, and when it is not any more, it stays and is found."""
    t = trial(world=world(switches={"repeated_association": repeated}), policy=ruled(shared(accounts=[A])))
    until_settled(t)
    (share,) = own_shares(t)
    t.patch(resource_shares={share: {"targets": [A, D]}})
    t.cloud.advance(24 * 3600)
    t.write_policy(ruled(shared(accounts=[A, D])))
    with hidden(D):
        applied = t.apply()
    (status,) = waiting(applied, D)
    assert f"{D} is in {share} too" in status
    until_settled(t)
    t.write_policy(ruled(shared(accounts=[A])))
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert found(applied, "channel-conflict") == {("", D)}
    assert by_shares(t) == everywhere(A, D)


@pytest.mark.parametrize("delay", [0, 90])
def test_an_image_that_one_reading_hides_keeps_the_targets_of_its_share(trial: Trials, delay: int) -> None:
    """The others get a narrower audience; it stands in the share still, listed or not."""
    t = trial(
        world=world(delays={"association": delay}),
        policy=ruled(shared("gold", GOLD, accounts=[A, D]), shared("others", OTHERS, accounts=[A, D])),
    )
    until_settled(t)
    (share,) = own_shares(t)
    watch = Watch(t, {**everywhere(A), "m-gold": {A, D}})
    t.write_policy(ruled(shared("gold", GOLD, accounts=[A, D]), shared("others", OTHERS, accounts=[A])))
    with hidden("m-gold", everywhere_too=True):
        applied = t.apply()
    assert by_shares(t)["m-gold"] == {A, D}
    assert not any("m-gold" in change.images or change.action == "disassociate" for change in applied.plan.changes)
    assert waiting(applied, "m-gold") == ["Unlisted"]
    until_settled(t, approve=True)
    assert by_shares(t) == {**everywhere(A), "m-gold": {A, D}}
    assert own_shares(t)[share].images == ("m-gold",)
    assert watch.wrong == []


def test_one_image_that_cannot_be_read_moves_none_of_the_others(trial: Trials) -> None:
    """A new target joins their share in one call; for that image it is refused or waits."""
    t = trial(world=sized(12, 20), policy=ruled(shared(accounts=[str(4000000000000000 + n) for n in range(10)])))
    until_settled(t)
    honest = EcsImages.grants

    def grants(self: EcsImages, image: str, page: int) -> Page[Grant]:
        if image == "m-0007":
            raise TryAgain("throttled", code="Throttling")
        return honest(self, image, page)

    t.write_policy(ruled(shared(accounts=[str(4000000000000000 + n) for n in range(11)])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EcsImages, "grants", grants)
        calls = calls_of(t, t.apply)
    assert (calls[CREATE], calls[ASSOCIATE], calls[DISASSOCIATE]) == (0, 1, 0)
    assert set(map(len, by_shares(t).values())) == {11}
    later = calls_of(t, lambda: until_settled(t))
    assert (later[CREATE], later[ASSOCIATE], later[DISASSOCIATE]) == (0, 0, 0)
    assert len(own_shares(t)) == 1


# Whole audiences, and what is said of those who wait


@pytest.mark.parametrize(("wait", "accounts"), [(30, 2), (200, 3)])
def test_a_whole_audience_is_held_also_while_a_part_of_it_is_on_its_way_out(
    trial: Trials, wait: int, accounts: int
) -> None:
    """A row that is being taken out is no longer one that stays; once it is out, it is a part that went lately."""
    other = shared("other", accounts=[E])
    t = trial(
        world=world(delays={"association": 90}),
        policy=ruled(shared(accounts=[A, B, D]), other),
    )
    until_settled(t)
    t.write_policy(ruled(shared(accounts=[A, B]), other))
    assert t.apply().plan.held == ()
    t.cloud.advance(wait)
    t.write_policy(ruled(other))
    applied = t.apply()
    assert applied.plan.changes == ()
    (hold,) = applied.plan.held
    assert (hold.why, held(applied)) == (f"rule golden would lose its whole audience, {accounts} accounts", pairs(A, B))
    t.cloud.advance(LATER)
    t.apply()
    assert by_shares(t) == everywhere(A, B, E)


def test_a_whole_audience_is_held_also_while_it_is_doubly_shared(trial: Trials) -> None:
    """One of both channels may go; a pair that has two counts once."""
    t = trial(policy=ruled(rule(), rule("other", accounts=[D])))
    until_settled(t)
    t.write_policy(ruled(shared(), shared("other", accounts=[D])))
    t.apply()
    assert by_shares(t) == directly(t) == everywhere(A, B, D)
    watch = Watch(t, everywhere(A, B, D))
    t.write_policy(ruled(shared("other", accounts=[D])))
    for pause in (0, 60, LATER):
        t.cloud.advance(pause)
        applied = t.apply()
        (hold,) = applied.plan.held
        assert (hold.why, held(applied)) == ("rule golden would lose its whole audience, 2 accounts", pairs(A, B))
        assert t.access() == everywhere(A, B, D)
    assert watch.wrong == []
    watch.wanted = {image: frozenset({D}) for image in ALL_IMAGES}
    until_settled(t, approve=True)
    assert (by_shares(t), directly(t)) == (everywhere(D), NOBODY)
    assert watch.wrong == []


def test_an_approved_pair_that_has_to_wait_for_another_hold_is_said_to_wait(trial: Trials) -> None:
    """The folder goes only as a whole, and somebody else has come below it meanwhile."""
    t = trial(policy=ruled(shared(folders=["fd-test"]), safety=NO_LOSS))
    until_settled(t)
    t.write_policy(ruled(shared(accounts=[D]), safety=NO_LOSS))
    t.apply()
    t.cloud.advance(LATER)
    assert held(t.apply()) == pairs(C)
    t.approve_all()
    t.patch(directory={"members": {NEWCOMER: {"name": "new", "folder": "fd-test"}}})
    t.cloud.advance(60)
    for _ in range(2):
        applied = t.apply()
        assert applied.plan.changes == ()
        assert held(applied) == pairs(NEWCOMER)
        assert waiting(applied, "fd-test") == ["stays for now: part of what it gives is held or not confirmed"]
        assert by_shares(t) == everywhere(C, D, NEWCOMER)
    t.approve_all()
    assert until_settled(t).plan.held == ()
    assert by_shares(t) == everywhere(D)


@pytest.mark.parametrize("how", ["nested", "on-its-way-out"])
def test_what_a_hand_made_share_only_possibly_gives_makes_no_loss_free(trial: Trials, how: str) -> None:
    """Neither a folder that may not nest nor a row on its way out: the loss is guarded as any other."""
    t = trial(
        world=world(
            switches={"nested_folder_targets": False},
            delays={"association": 300},
            resource_shares={"rs-hand": share_by_hand("fd-prod" if how == "nested" else B)},
        ),
        policy=ruled(shared(accounts=[B, D]), safety=NO_LOSS),
    )
    until_settled(t)
    t.write_policy(ruled(shared(accounts=[D]), safety=NO_LOSS))
    if how == "on-its-way-out":
        service = t.runtime().cloud.shares(Shard("ecs", OWNER, REGION))
        service.disassociate("rs-hand", images=(), targets=(B,))
    for pause in (0, 400):
        t.cloud.advance(pause)
        applied = t.apply()
        assert applied.plan.changes == ()
        assert held(applied) == pairs(B)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), (B, D))}
    assert t.access() == (everywhere(A, B, D) if how == "nested" else everywhere(B, D))


# Accounts that moved


def test_who_moved_is_not_cut_before_its_new_place_counts(trial: Trials) -> None:
    """Shares follow a move only after a while; its own target stays that long."""
    excepted: dict[str, Any] = {"folders": ["root"], "except": {"folders": ["fd-eu"]}}
    t = trial(world=world(delays={"coverage": 300}), policy=ruled(shared(**excepted)))
    until_settled(t)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), (A, E, "fd-test"))}
    watch = Watch(t, everywhere(A, C, D, E))
    t.move(E, "fd-test")
    for _ in range(20):
        t.cloud.advance(30)
        applied = t.apply()
        assert by_shares(t) == everywhere(A, C, D, E)
    assert applied.plan.changes == ()
    (status,) = waiting(applied, E)
    assert status.startswith(f"stays for now: account {E} would not have")
    t.cloud.advance(LATER)
    until_settled(t)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), (A, "fd-test"))}
    assert by_shares(t) == everywhere(A, C, D, E)
    assert watch.wrong == []


def test_who_moved_before_a_policy_of_folders_is_not_cut_before_its_new_place_counts(trial: Trials) -> None:
    """Whoever stood in the folder long before needs its own target no more; who came lately does."""
    t = trial(world=world(delays={"coverage": 600}), policy=ruled(shared(accounts=[A, D])))
    until_settled(t)
    watch = Watch(t, everywhere(A, B, D))
    t.move(D, "fd-prod")
    t.write_policy(ruled(shared()))
    for _ in range(12):
        t.cloud.advance(60)
        applied = t.apply()
        assert by_shares(t) == everywhere(A, B, D)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), (D, "fd-eu", "fd-prod"))}
    assert len(waiting(applied, D)) == 1
    t.cloud.advance(LATER)
    until_settled(t)
    assert contents(t) == {(tuple(sorted(ALL_IMAGES)), ("fd-eu", "fd-prod"))}
    assert by_shares(t) == everywhere(A, B, D)
    assert watch.wrong == []


def test_the_row_of_a_share_is_not_taken_for_a_grant_that_is_not_listed_yet(trial: Trials) -> None:
    """Granted directly, then shared by hand before the grant is listed: the double grant is still known as ours."""
    t = trial(world=world(delays={"share": 60}, switches={"covered_in_permission_list": True}))
    t.apply()
    t.cloud.advance(1)
    t.patch(resource_shares={"rs-hand": share_by_hand("fd-prod", "fd-eu")})
    for pause in (1, 60, LATER, LATER):
        t.apply()
        t.cloud.advance(pause)
    t.apply()
    assert (directly(t), by_shares(t)) == (NOBODY, everywhere(A, B))
    t.patch(resource_shares={"rs-hand": None})
    until_settled(t)
    assert directly(t) == everywhere(A, B)


def test_who_has_just_left_and_is_still_listed_makes_no_grants_of_the_rows_of_others(trial: Trials) -> None:
    """Nobody is taken out of a share because an account without a row seems to show that rows are grants."""
    t = trial(
        world=world(delays={"membership": 120}, switches={"covered_in_permission_list": True}),
        policy=ruled(rule(channel="auto", folders=["fd-prod", "fd-test"])),
    )
    t.patch(resource_shares={"rs-hand": share_by_hand(A)})
    until_settled(t)
    t.write_policy(ruled(rule(folders=["fd-prod", "fd-test"])))
    t.leave(A)
    for _ in range(3):
        t.apply()
        t.cloud.advance(1)
        assert by_shares(t) == everywhere(B, C, D)


def test_a_grant_by_hand_beside_a_share_outlives_the_share(trial: Trials) -> None:
    """Whoever loses what a share of ours gave keeps what a person granted."""
    t = trial(policy=ruled(shared(folders=["fd-prod"]), shared("more", accounts=[C])))
    until_settled(t)
    t.patch(grants={"m-silver": [C]})
    t.write_policy(ruled(shared(folders=["fd-prod"])))
    until_settled(t, approve=True)
    assert by_shares(t) == everywhere(A, B)
    assert directly(t) == {**NOBODY, "m-silver": {C}}


def test_a_row_of_a_share_fulfils_no_intention_of_a_run_that_died(trial: Trials) -> None:
    """The share was made just before the intention was written down, so its rows have a time that would do."""
    t = trial(world=world(switches={"covered_in_permission_list": True}), policy=ruled(rule(channel="auto")))
    until_settled(t)
    t.patch(resource_shares={"rs-hand": share_by_hand(A)})
    t.write_policy(ruled(rule()))
    store, entries = t.store(), {account: Entry("intended", t.now(), rules=("golden",)) for account in (A, B)}
    (shard,) = t.state().shards()
    before = t.state().read(shard)
    ledger = before.ledger
    for image in ALL_IMAGES:
        ledger = ledger.with_entries(image, entries)
    open_state(store, "trial").write(shard, before, ledger, run="died")
    for _ in range(3):
        t.apply()
        t.cloud.advance(1)
        assert by_shares(t) == everywhere(A, B)


def test_the_row_of_a_share_that_nobody_asked_for_before_is_not_taken_for_our_grant(trial: Trials) -> None:
    """The image says that it is not shared, so its rows were read for the first time after our grants."""
    switches = {"covered_in_permission_list": True, "covered_self_shared": False, "repeated_add": "refresh"}
    t = trial(world=world(delays={"share": 60}, switches=switches), policy=ruled(shared(accounts=[A, B, C])))
    until_settled(t)
    t.write_policy(ruled(rule(accounts=[A, B, C])))
    until_settled(t, approve=True)
    assert (by_shares(t), directly(t)) == (NOBODY, everywhere(A, B, C))
    (shard,) = t.state().shards()
    assert {image: set(t.state().read(shard).ledger.entries(image)) for image in ALL_IMAGES} == everywhere(A, B, C)
