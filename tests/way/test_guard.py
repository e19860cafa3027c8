"""The guard over several runs, seen in who can use what afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from orgshare.focus import EVERYTHING, Focus, Selection
from orgshare.guard import GuardRecord, reject
from orgshare.ledger import Entry, Ledger
from orgshare.way.applying import Applied, apply, carry_out_plan
from orgshare.way.planning import make_plan
from orgshare.words import Pair, Shard
from tests.support.trial import (
    OTHER_REGION,
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
    policy,
    rule,
    world,
)

Trials = Callable[..., Trial]
Change = Callable[[GuardRecord], GuardRecord]
SHARD = Shard("ecs", OWNER, REGION)
IMAGES = ("m-bronze", "m-gold", "m-silver")
HOUR, DAY = 3600, 24 * 3600


def everywhere(*accounts: str) -> dict[str, set[str]]:
    return {image: set(accounts) for image in IMAGES}


def guarded(*rules: dict[str, Any], hold_when: Mapping[str, Any] | None = None, **safety: Any) -> dict[str, Any]:
    """A policy with limits so wide that only what is said here holds."""
    wide = {"lost_pairs": 10**6, "lost_percent": 100, "departed": {"accounts": 10**6, "percent": 100}}
    return policy(
        rules=list(rules) or [named(A, B, C, D, E)], safety={"hold_when": {**wide, **(hold_when or {})}, **safety}
    )


def named(*accounts: str, channel: str = "direct", **more: Any) -> dict[str, Any]:
    return rule(accounts=list(accounts), channel=channel, **more)


def held(applied: Applied) -> set[Pair]:
    return {pair for hold in applied.plan.held for pair in hold.pairs}


def pairs(*accounts: str) -> set[Pair]:
    return {Pair(image, account) for image in IMAGES for account in accounts}


def say_no(t: Trial) -> None:
    def rejecting(record: GuardRecord) -> GuardRecord:
        for hold in record.holds:
            record = reject(record, hold, now=t.now(), who="trial", reason="they stay")
        return record

    t.state().update_guard(rejecting, run="trial")


def kinds(applied: Applied, kind: str) -> set[tuple[str, str]]:
    return {(finding.image, finding.account) for finding in applied.plan.findings if finding.kind == kind}


def remembered(t: Trial, change: Callable[[Ledger], Ledger]) -> None:
    """What the state says of the shard, changed behind everybody's back."""
    state = t.state()
    before = state.read(SHARD)
    state.write(SHARD, before, change(before.ledger), run="trial")


def test_limits_hold_over_a_day_however_the_losses_are_split(trial: Trials) -> None:
    """Six pairs a day may go: two accounts in two runs do, the third waits until the first is a day old."""
    six = {"lost_pairs": 6}
    t = trial(policy=guarded(hold_when=six))
    t.apply()
    t.write_policy(guarded(named(A, B, C, D), hold_when=six))
    assert t.apply().plan.held == ()
    t.cloud.advance(2 * HOUR)
    t.write_policy(guarded(named(A, B, C), hold_when=six))
    assert t.apply().plan.held == ()
    t.cloud.advance(HOUR)
    t.write_policy(guarded(named(A, B), hold_when=six))
    applied = t.apply()
    assert held(applied) == pairs(C)
    assert "9 pairs would lose access (6 of them lost within 24 hours before)" in applied.plan.held[0].why
    assert t.access() == everywhere(A, B, C)
    t.cloud.advance(DAY)
    assert held(t.apply()) == pairs(C)  # what was held once waits for a person
    t.approve_all()
    t.apply()
    assert t.access() == everywhere(A, B)


def test_what_was_approved_leaves_the_whole_limit_to_what_comes_next(trial: Trials) -> None:
    """Approved losses count towards none."""
    three = {"lost_pairs": 3}
    t = trial(policy=guarded(hold_when=three))
    t.apply()
    t.write_policy(guarded(named(A, B, C), hold_when=three))
    assert held(t.apply()) == pairs(D, E)
    t.approve_all()
    t.apply()
    assert t.access() == everywhere(A, B, C)
    t.write_policy(guarded(named(A, B), hold_when=three))
    assert t.apply().plan.held == ()
    assert t.access() == everywhere(A, B)


def test_what_is_only_under_way_makes_no_loss_a_smaller_part(trial: Trials) -> None:
    """Four accounts are being associated, and the one that has the images already is all that there is."""
    third = {"lost_percent": 30}
    t = trial(
        policy=guarded(named(A, B, C, D, channel="directory"), named(E, name="extra"), hold_when=third),
        world=world(delays={"association": 90}),
    )
    t.apply()
    t.cloud.advance(90)
    t.apply()  # fills the share that is there now
    assert t.access() == everywhere(E)
    t.write_policy(guarded(named(A, B, C, D, channel="directory"), hold_when=third))
    assert held(t.apply()) == pairs(E)
    assert t.access() == everywhere(E)


def test_an_audience_is_whole_without_those_who_are_only_about_to_have_the_image(trial: Trials) -> None:
    """Both accounts that have m-gold would lose it, while a resource share is about to reach a third one."""
    t = trial(
        policy=guarded(named(A, B), named(C, name="extra", channel="directory")),
        world=world(delays={"association": 90}),
    )
    t.apply()
    t.cloud.advance(90)
    t.apply()  # fills the share that is there now
    others = {"ids": ["m-silver", "m-bronze"]}
    t.write_policy(guarded(named(A, B, images=others), named(C, name="extra", channel="directory")))
    assert held(t.apply()) == {Pair("m-gold", A), Pair("m-gold", B)}
    assert t.access() == everywhere(A, B)


def test_the_window_is_that_of_the_policy(trial: Trials) -> None:
    """After two hours the limit is free again, where the window has two hours."""
    narrow = {"lost_pairs": 3, "window": "2h"}
    t = trial(policy=guarded(hold_when=narrow))
    t.apply()
    for left, wait, waits in (((A, B, C, D), HOUR, ()), ((A, B, C), HOUR, (D,)), ((A, B), 3 * HOUR, (D,))):
        t.write_policy(guarded(named(*left), hold_when=narrow))
        applied = t.apply()
        assert held(applied) >= pairs(*waits)
        t.cloud.advance(wait)
    t.approve_all()
    t.apply()
    assert t.access() == everywhere(A, B)


def test_accounts_that_leave_one_by_one_are_held_as_if_they_left_together(trial: Trials) -> None:
    """Two a day may leave; the third keeps its access until a person looks."""
    two = {"departed": {"accounts": 2, "percent": 100}}
    t = trial(policy=guarded(hold_when=two))
    t.apply()
    for account in (A, B):
        t.leave(account)
        assert t.apply().plan.held == ()
        t.cloud.advance(HOUR)
    t.leave(C)
    assert held(t.apply()) == pairs(C)
    assert t.access() == everywhere(C, D, E)


def test_an_audience_that_goes_piece_by_piece_is_held_before_its_last(trial: Trials) -> None:
    """Two of three go, each alone within every limit; the last one waits."""
    other = {"name": "other", **{k: v for k, v in named(E).items() if k != "name"}}
    t = trial(policy=guarded(named(A, B, C), other))
    t.apply()
    for left in ((A, B), (A,)):
        t.write_policy(guarded(named(*left), other))
        assert t.apply().plan.held == ()
    t.write_policy(guarded(other))
    applied = t.apply()
    assert {hold.why for hold in applied.plan.held} == {"rule golden would lose its whole audience, 3 accounts"}
    assert t.access() == everywhere(A, E)


def test_a_loss_that_the_cloud_never_answers_counts_once(trial: Trials) -> None:
    """It is written down before every call, and it is always the same pair."""
    three = {"lost_pairs": 3}
    t = trial(policy=guarded(hold_when=three))
    t.apply()
    t.write_policy(guarded(named(A, B, C, D), hold_when=three))
    t.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "error", "every": 1}])
    for _ in range(3):
        assert t.apply().plan.held == ()
        t.cloud.advance(HOUR)
    t.patch(faults=[])
    assert t.apply().plan.held == ()
    assert t.access() == everywhere(A, B, C, D)


def test_losses_are_written_down_before_the_call(trial: Trials) -> None:
    """Whatever becomes of the call, the next run knows of them."""
    t = trial(policy=guarded())
    t.apply()
    t.write_policy(guarded(named(A, B, C, D)))
    t.patch(faults=[{"operation": "ecs:ModifyImageSharePermission", "kind": "error", "every": 1}])
    t.apply()
    lost = t.state().read(SHARD).ledger.lost
    assert {Pair(image, account) for image, of in lost.items() for account in of} == pairs(E)
    assert t.access() == everywhere(A, B, C, D, E)


def test_a_rejected_hold_changes_nothing_until_the_facts_do(trial: Trials) -> None:
    """It is a finding and no hold; wanted and unwanted again, a person is asked again."""
    none = {"lost_pairs": 0}
    t = trial(policy=guarded(hold_when=none))
    t.apply()
    without_e = guarded(named(A, B, C, D), hold_when=none)
    t.write_policy(without_e)
    assert held(t.apply()) == pairs(E)
    say_no(t)
    for _ in range(3):
        applied = t.apply()
        assert (applied.plan.held, applied.plan.changes) == ((), ())
        assert kinds(applied, "rejected") == {(image, E) for image in IMAGES}
        t.cloud.advance(DAY)
    t.apply(Focus((Selection(images=frozenset({"m-gold"})),)))
    t.write_policy(guarded(named(A, B, C), hold_when=none))
    applied = t.apply()
    assert (held(applied), kinds(applied, "rejected")) == (pairs(D), {(image, E) for image in IMAGES})
    t.write_policy(guarded(hold_when=none))
    t.apply()
    t.write_policy(without_e)
    assert held(t.apply()) == pairs(E)
    assert t.access() == everywhere(A, B, C, D, E)


def test_a_rejected_pair_whose_account_leaves_is_held_for_that(trial: Trials) -> None:
    """Within all limits, and yet it does not simply run."""
    t = trial(policy=guarded(hold_when={"lost_pairs": 0}))
    t.apply()
    t.write_policy(guarded(named(A, B, C, D), hold_when={"lost_pairs": 0}))
    t.apply()
    say_no(t)
    t.leave(E)
    applied = t.apply()
    assert held(applied) == pairs(E)
    assert {hold.why for hold in applied.plan.held} == {
        "3 pairs would be lost for another cause than the one that was rejected"
    }
    t.approve_all()
    t.apply()
    assert t.access() == everywhere(A, B, C, D)


def test_what_is_held_or_rejected_frees_no_place_of_the_quota(trial: Trials) -> None:
    """Three places and three accounts that stay: the fourth gets none until one of them may go."""
    three = {"owners": [{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 3}}]}
    t = trial(policy=guarded(named(A, B, C), hold_when={"lost_pairs": 0}) | three)
    t.apply()
    t.write_policy(guarded(named(A, B, D), hold_when={"lost_pairs": 0}) | three)
    for rejecting in (False, True, False):
        if rejecting:
            say_no(t)
        applied = t.apply()
        assert (applied.plan.changes, {r.reason for r in applied.plan.refused}) == ((), {"over-quota"})
    t.write_policy(guarded(named(A, B, C), hold_when={"lost_pairs": 0}) | three)
    t.apply()
    t.write_policy(guarded(named(A, B, D), hold_when={"lost_pairs": 0}) | three)
    t.apply()
    t.approve_all()
    t.apply()
    assert t.access() == everywhere(A, B, D)


def test_a_departure_that_is_proven_and_held_frees_no_place_of_the_quota(trial: Trials) -> None:
    """That it left is certain, and still its grant stays until a person decides."""
    three = {"owners": [{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 3}}]}
    none = {"departed": {"accounts": 0, "percent": 0}}
    t = trial(policy=guarded(named(A, B, C), hold_when=none) | three)
    t.apply()
    t.leave(C)
    t.write_policy(guarded(named(A, B, D), hold_when=none) | three)
    applied = t.apply()
    assert (held(applied), applied.plan.changes) == (pairs(C), ())
    assert t.access() == everywhere(A, B, C)


def test_the_first_grant_to_a_partner_waits_and_others_are_granted(trial: Trials) -> None:
    """Approved, it runs, and is never asked about again; not approved, nothing happens."""
    t = trial(policy=guarded(named(A, B, partners=[PARTNER]), partners="hold"))
    applied = t.apply()
    assert t.access() == everywhere(A, B)
    assert {(hold.gains, hold.pairs) for hold in applied.plan.held} == {(True, tuple(sorted(pairs(PARTNER))))}
    t.apply(Focus((Selection(images=frozenset({"m-gold"})),)))
    (hold,) = t.state().guard().holds
    assert set(hold.pairs) == pairs(PARTNER)
    t.approve_all()
    t.cloud.advance(DAY + 1)
    assert held(t.apply()) == pairs(PARTNER)
    t.approve_all()
    assert t.apply().plan.held == ()
    assert t.access() == everywhere(A, B, PARTNER)
    t.revoke_by_hand("m-gold", PARTNER)
    t.cloud.advance(2 * DAY)
    assert t.apply().plan.held == ()
    assert t.access() == everywhere(A, B, PARTNER)


def test_what_a_run_that_died_only_intended_is_no_first_grant(trial: Trials) -> None:
    """The policy asks for approval since then, and the partner never got anything."""
    t = trial(policy=guarded(named(A, B, partners=[PARTNER]), partners="hold"))
    t.begin()
    entries = {PARTNER: Entry("intended", t.now(), "partner", ("golden",))}
    remembered(t, lambda ledger: ledger.with_entries("m-gold", entries))
    assert held(t.apply()) == pairs(PARTNER)
    assert t.access() == everywhere(A, B)


def test_ending_a_shard_drops_no_partner_that_waits_elsewhere(trial: Trials) -> None:
    """What a policy without rules looks at is that shard alone, and what others granted there stays."""
    t = trial(policy=guarded(named(A, B, partners=[PARTNER]), partners="hold", unmanaged="revoke"))
    t.grant_by_hand("m-gold", STRANGER)
    t.apply()
    runtime = t.runtime()
    elsewhere = tuple(replace(owner, regions=("cn-shanghai",)) for owner in runtime.policy.owners)
    ending = replace(runtime, policy=replace(runtime.policy, owners=elsewhere, rules=(), unmanaged="keep"))
    assert not any(make_plan(ending, EVERYTHING).judged(pair) for pair in pairs(PARTNER))
    for _ in range(2):
        here = t.runtime()
        apply(replace(here, policy=replace(here.policy, rules=(), unmanaged="keep")), EVERYTHING)
        t.approve_all()
    assert t.access() == {**everywhere(), "m-gold": {STRANGER}}


def test_an_approved_gain_lets_no_loss_of_the_same_pairs_run(trial: Trials) -> None:
    """The partner is granted, and the policy drops it within the day of the approval."""
    t = trial(policy=guarded(named(A, B, partners=[PARTNER]), partners="hold", hold_when={"lost_pairs": 0}))
    t.apply()
    t.approve_all()
    t.apply()
    t.write_policy(guarded(named(A, B), partners="hold", hold_when={"lost_pairs": 0}))
    assert held(t.apply()) == pairs(PARTNER)
    assert t.access() == everywhere(A, B, PARTNER)


def test_a_rejected_first_grant_stays_out_of_sight(trial: Trials) -> None:
    """A finding tells of it; taken out of the policy and put back, a person is asked again."""
    with_partner = guarded(named(A, B, partners=[PARTNER]), partners="hold")
    t = trial(policy=with_partner)
    t.apply()
    say_no(t)
    applied = t.apply()
    assert (applied.plan.held, kinds(applied, "rejected")) == ((), {(image, PARTNER) for image in IMAGES})
    t.write_policy(guarded(named(A, B), partners="hold"))
    t.apply()
    t.write_policy(with_partner)
    assert held(t.apply()) == pairs(PARTNER)
    assert t.access() == everywhere(A, B)


def test_grace_lets_direct_grants_stay_and_is_over_in_time(trial: Trials) -> None:
    """Whoever is wanted again within it starts anew; a grant that goes by hand meanwhile does not come back."""
    week: dict[str, Any] = {"grace": "7d"}
    t = trial(policy=guarded(**week))
    t.apply()
    t.write_policy(guarded(named(A, B, C), **week))
    applied = t.apply()
    assert (applied.plan.held, applied.plan.changes) == ((), ())
    assert {p.entity for p in applied.plan.pending} == {f"{image}/{a}" for image in IMAGES for a in (D, E)}
    t.cloud.advance(4 * DAY)
    t.write_policy(guarded(named(A, B, C, D), **week))
    t.apply()
    t.revoke_by_hand("m-gold", E)
    t.write_policy(guarded(named(A, B, C), **week))
    t.apply()
    t.cloud.advance(3 * DAY)
    t.apply()
    assert t.access() == everywhere(A, B, C, D)
    t.cloud.advance(4 * DAY)
    t.apply()
    assert t.access() == everywhere(A, B, C)


def test_on_leave_governs_what_left_and_the_proof_is_still_asked_for(trial: Trials) -> None:
    """Kept for good, kept for a day, or revoked although others have grace."""
    for on_leave, after_an_hour, after_a_day in (
        ("keep", (A, B, C), (A, B, C)),
        ("1d", (A, B, C), (B, C)),
        ("revoke", (B, C), (B, C)),
    ):
        t = trial(policy=guarded(named(A, B, C), on_leave=on_leave, grace="7d"))
        t.apply()
        t.leave(A)
        t.apply()
        t.cloud.advance(HOUR)
        t.apply()
        assert t.access() == everywhere(*after_an_hour)
        t.cloud.advance(DAY)
        applied = t.apply()
        assert t.access() == everywhere(*after_a_day)
        assert bool(kinds(applied, "kept-on-leave")) is (on_leave == "keep")


def test_on_leave_keeps_what_left_also_on_an_image_that_no_rule_selects_any_more(trial: Trials) -> None:
    """Everybody else loses it."""
    t = trial(policy=guarded(named(A, B, C), on_leave="keep"))
    t.apply()
    t.leave(A)
    t.apply()
    t.write_policy(guarded(named(A, B, C, images={"ids": ["m-silver", "m-bronze"]}), on_leave="keep"))
    t.apply()
    t.approve_all()
    applied = t.apply()
    assert t.access() == {**everywhere(A, B, C), "m-gold": {A}}
    assert kinds(applied, "kept-on-leave") == {(image, A) for image in IMAGES}


def test_adopted_grants_are_revoked_when_nobody_wants_them_and_others_are_left(trial: Trials) -> None:
    """What a person granted as the policy wants it becomes ours; what it does not want stays."""
    t = trial(policy=guarded(named(A, B, C), unmanaged="adopt"))
    for image in IMAGES:
        t.grant_by_hand(image, A, B, E, STRANGER)
    applied = t.apply()
    assert kinds(applied, "unmanaged") == {(image, E) for image in IMAGES}
    assert t.access() == everywhere(A, B, C, E, STRANGER)
    t.write_policy(guarded(named(A), unmanaged="adopt"))
    t.apply()
    assert t.access() == everywhere(A, E, STRANGER)


def test_a_plan_in_mode_observe_adopts_nothing(trial: Trials) -> None:
    """Nothing is written at all."""
    t = trial(policy={**guarded(named(A, B, C), unmanaged="adopt"), "mode": "observe"})
    for image in IMAGES:
        t.grant_by_hand(image, A, B)
    t.apply()
    assert t.state().read(SHARD).ledger == Ledger()


def by_share(*accounts: str) -> dict[str, Any]:
    return guarded(named(*accounts, channel="directory"))


def settled(t: Trial) -> Applied:
    """The last of three runs, a while apart."""
    for _ in range(2):
        t.apply()
        t.cloud.advance(HOUR)
    return t.apply()


def test_a_state_that_forgot_a_share_takes_nothing_away_and_says_so(trial: Trials) -> None:
    """Its rows are no longer ours as far as anybody can tell; direct grants of ours in the shard stay too."""
    t = trial(policy=by_share(A, B, C, D))
    settled(t)
    assert t.access() == everywhere(A, B, C, D)
    remembered(t, lambda ledger: replace(ledger, shares={}, made=frozenset()))
    t.write_policy(by_share(A, B))
    applied = settled(t)
    assert t.access() == everywhere(A, B, C, D)
    assert applied.plan.changes == ()
    (gap,) = applied.plan.incomplete
    assert "the state knows nothing of it" in gap.why
    assert "orgshare init --recover" in gap.why


def test_a_state_that_knows_a_share_that_the_cloud_does_not_takes_nothing_away(trial: Trials) -> None:
    """Direct grants go on to be made, and none is revoked, until a person recovers the state."""
    t = trial(policy=guarded(named(A, B, C, D)))
    t.apply()
    remembered(t, lambda ledger: ledger.with_made("rs-nowhere"))
    t.write_policy(guarded(named(A, B, E)))
    applied = settled(t)
    assert t.access() == everywhere(A, B, C, D, E)
    assert [gap.why.partition(":")[0] for gap in applied.plan.incomplete] == [
        "the state knows resource share rs-nowhere, which the cloud neither lists nor calls deleted"
    ]
    remembered(t, lambda ledger: replace(ledger, made=ledger.made - {"rs-nowhere"}))
    assert t.apply().plan.incomplete == ()
    assert t.access() == everywhere(A, B, E)


def test_a_share_of_ours_that_a_person_deleted_is_made_anew(trial: Trials) -> None:
    """The cloud calls it deleted, so there is no doubt; it is forgotten, and another one takes its place."""
    t = trial(policy=by_share(A, B, C))
    settled(t)
    (share,) = t.state().read(SHARD).ledger.made
    t.patch(resource_shares={share: None})
    assert t.access() == everywhere()
    assert settled(t).plan.incomplete == ()
    assert t.access() == everywhere(A, B, C)
    (another,) = t.state().read(SHARD).ledger.made
    assert another != share


def test_limits_are_those_of_the_deployment_also_where_runs_overlap(trial: Trials) -> None:
    """Two runs in two regions that reckoned with the same past: the second sees what the first took, and stops.

    What is lost hangs on the images here, so that no run foresees what the other takes.
    """
    document = world()
    document["images"] |= {
        f"m-far{n}": {"owner": OWNER, "region": OTHER_REGION, "name": f"far{n}", "tags": {"share": "org"}}
        for n in range(3)
    }
    for image in document["images"].values():
        image["tags"] = {"share": "org", "extra": "yes"}
    regions = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    extra = rule("extra", {"tags": {"extra": "yes"}}, accounts=[E])
    t = trial(
        world=document, policy={**guarded(named(A, B, C, D), extra, hold_when={"lost_pairs": 3}), "owners": regions}
    )
    t.apply()
    t.patch(images={image: {"tags": {"share": "org", "extra": None}} for image in document["images"]})
    slow = t.runtime()
    here, there = (Focus((Selection(regions=frozenset({region})),)) for region in (REGION, OTHER_REGION))
    planned = make_plan(slow, here)
    assert len(t.apply(there).done) == 3
    applied = carry_out_plan(slow, planned)
    assert (applied.done, {finding.kind for finding in applied.plan.findings}) == ((), {"busy"})
    assert held(t.apply()) == pairs(E)
    assert all(E in accounts for image, accounts in t.access().items() if image in IMAGES)


def test_limits_are_those_of_all_shards_also_for_a_run_in_one(trial: Trials) -> None:
    """What an edited policy takes away elsewhere is foreseen: the first of two regions holds already."""
    document = world()
    document["images"] |= {
        f"m-far{n}": {"owner": OWNER, "region": OTHER_REGION, "name": f"far{n}", "tags": {"share": "org"}}
        for n in range(3)
    }
    regions = [{"account": OWNER, "regions": [REGION, OTHER_REGION]}]
    three = {"lost_pairs": 3}
    t = trial(world=document, policy={**guarded(hold_when=three), "owners": regions})
    t.apply()
    t.write_policy({**guarded(named(A, B, C, D), hold_when=three), "owners": regions})
    (hold,) = t.apply(Focus((Selection(regions=frozenset({OTHER_REGION})),))).plan.held
    assert {pair.account for pair in hold.pairs} == {E}
    assert {pair.image for pair in hold.pairs} == {"m-far0", "m-far1", "m-far2"}
    assert "6 pairs would lose access" in hold.why


def test_a_partner_whom_somebody_else_granted_asks_when_we_would(trial: Trials) -> None:
    """A grant by hand that was adopted, and taken back by hand, is no leave to grant it again."""
    t = trial(policy=guarded(rule(accounts=[A], partners=[PARTNER]), partners="hold", unmanaged="adopt"))
    for image in IMAGES:
        t.grant_by_hand(image, PARTNER)
    t.apply()
    for image in IMAGES:
        t.revoke_by_hand(image, PARTNER)
    for _ in range(3):
        applied = t.apply()
    assert held(applied) == pairs(PARTNER)
    assert t.access() == everywhere(A)


def test_a_whole_audience_is_held_whoever_stays_for_another_reason(trial: Trials) -> None:
    """Somebody who left is kept, and another rule wants one account: the rest is the whole audience all the same."""
    t = trial(policy=guarded(named(A, B, C, D), rule("other", accounts=[D]), on_leave="keep"))
    t.apply()
    t.leave(A)
    t.apply()
    t.write_policy(guarded(rule(folders=["fd-typo"]), rule("other", accounts=[D]), on_leave="keep"))
    assert held(t.apply()) == pairs(B, C)
    assert t.access() == everywhere(A, B, C, D)


def test_a_whole_audience_is_held_image_by_image_too(trial: Trials) -> None:
    """What an event looks at is one image, and the rule has lost everybody on all of them."""
    t = trial(policy=guarded(named(A, B), rule("other", accounts=[C, D])))
    t.apply()
    t.write_policy(guarded(rule(folders=["fd-typo"]), rule("other", accounts=[C, D])))
    for image in IMAGES:
        t.apply(Focus((Selection(images=frozenset({image})),)))
    assert t.access() == everywhere(A, B, C, D)
