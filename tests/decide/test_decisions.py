"""Wanted less covered less actual: what follows for each image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orgshare.decide.coverage import Coverage
from orgshare.decide.deciding import decide
from orgshare.decide.decisions import ImageDecision
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.plan import Plan
from orgshare.decide.planning import assemble
from orgshare.decide.refusals import REFUSAL_STANDS
from orgshare.ledger import Entry, Ledger, RememberedRefusal
from orgshare.policy.model import ImageSelector, Partner
from orgshare.words import ImageReading, Pair
from tests.support.facts import (
    MANAGEMENT,
    NOW,
    ORGANIZATION,
    OWNER,
    PARTNER,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    facts,
    image,
    ledger,
    made,
    member,
    organization,
    policy,
    reading,
    rule,
)

PROD = rule(folders=["fd-prod"])
EVERYBODY = rule(folders=["root"])
GOLD, SILVER, BRONZE = image("gold"), image("silver"), image("bronze")


def decided(of: Facts) -> dict[str, ImageDecision]:
    return {decision.image.name: decision for decision in decide(of).images}


def planned(of: Facts) -> Plan:
    return assemble(of, decide(of), ())


def lost(decision: ImageDecision) -> dict[str, bool]:
    """The accounts that lose the image, and whether that is proven."""
    return {loss.pair.account: loss.proven for loss in decision.losses}


@dataclass
class Kept:
    """The kinds of findings about one image, by account."""

    decision: ImageDecision

    def kinds(self) -> set[tuple[str, str]]:
        return {(finding.kind, finding.account) for finding in self.decision.findings}


def test_who_is_wanted_and_lacks_it_is_granted_it_on_every_image() -> None:
    """Three images shared with nobody, somebody and everybody wanted get what each lacks."""
    found = decided(facts(policy(PROD), reading(GOLD), reading(SILVER, A), reading(BRONZE, A, B)))
    assert {name: decision.grants for name, decision in found.items()} == {
        "gold": (A, B),
        "silver": (B,),
        "bronze": (),
    }


def test_the_owner_is_in_no_audience() -> None:
    """An image is never granted to its own owner, whoever named it."""
    of = facts(policy(rule(folders=["root"], accounts=[OWNER])), reading(GOLD))
    assert decided(of)["gold"].grants == (A, B, C, D, E)


def test_an_image_of_several_rules_gets_the_union_of_their_audiences() -> None:
    """Rules add up; none takes away what another gives."""
    of = facts(policy(PROD, rule("test", folders=["fd-test"])), reading(GOLD))
    assert decided(of)["gold"].grants == (A, B, C, D)
    change = planned(of).changes[0]
    assert (change.rules, change.gained) == (("golden", "test"), 4)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (ImageSelector(ids=frozenset({"m-gold"})), {"gold"}),
        (ImageSelector(names=("g*",)), {"gold"}),
        (ImageSelector(names=("G*", "*ilve?")), {"silver"}),
        (ImageSelector(names=("ol",)), set()),
        (ImageSelector(families=frozenset({"acme"})), {"bronze"}),
        (ImageSelector(tags=(("os", frozenset({"linux", "bsd"})),)), {"silver", "bronze"}),
        (ImageSelector(tags=(("os", frozenset({"linux"})), ("tier", frozenset({"1"})))), {"bronze"}),
        (ImageSelector(names=("*",), regions=frozenset({"cn-shanghai"})), set()),
        (ImageSelector(names=("*",), owners=frozenset({OWNER})), {"gold", "silver", "bronze"}),
    ],
)
def test_every_key_of_a_selector_must_match_and_any_of_its_values_will_do(
    selector: ImageSelector, chosen: set[str]
) -> None:
    """ids, names, families, tags, owners and regions select together; globs are over the whole name, in its case."""
    images = (
        image("gold", tags={}),
        image("silver", tags={"os": "bsd"}),
        image("bronze", tags={"os": "linux", "tier": "1"}, family="acme"),
    )
    of = facts(policy(rule(folders=["fd-prod"], images=selector)), *(reading(one) for one in images))
    assert {name for name, decision in decided(of).items() if decision.grants} == chosen


def test_only_our_own_grants_are_ever_lost() -> None:
    """A grant that a person made and nobody wants is reported and stays; ours is lost, once that is proven."""
    of = facts(
        policy(PROD),
        reading(GOLD, A, C, D, STRANGER),
        known=ledger(gold=made(A, C)),
        proof=Proof(placed=frozenset({C})),
    )
    gold = decided(of)["gold"]
    assert lost(gold) == {C: True}
    assert Kept(gold).kinds() == {("unmanaged", D), ("unknown-account", STRANGER)}


def test_a_grant_with_another_shared_time_is_somebody_elses() -> None:
    """Removed and made anew by a person, a grant is not ours any more."""
    of = facts(policy(PROD), reading(GOLD, A, C, at="2026-11-20T00:00:00Z"), known=ledger(gold=made(A, C)))
    assert decided(of)["gold"].ours == frozenset()
    assert lost(decided(of)["gold"]) == {}


def test_a_hand_made_grant_that_is_wanted_is_satisfied_and_not_ours() -> None:
    """Nothing is done about it."""
    gold = decided(facts(policy(PROD), reading(GOLD, A, B)))["gold"]
    assert (gold.grants, gold.ours, gold.findings) == ((), frozenset(), ())


@pytest.mark.parametrize(
    ("account", "known", "proof", "cause", "proven"),
    [
        (C, made(C), Proof(), "audience", False),
        (C, made(C), Proof(placed=frozenset({C})), "audience", True),
        (C, made(C), Proof(placed=frozenset({C}), contradicted="x"), "audience", False),
        (STRANGER, made(STRANGER), Proof(), "departed", False),
        (STRANGER, made(STRANGER), Proof(departed=frozenset({STRANGER})), "departed", True),
        (STRANGER, made(STRANGER), Proof(placed=frozenset({STRANGER})), "departed", False),
        (STRANGER, made(STRANGER), Proof(departed=frozenset({STRANGER}), contradicted="x"), "departed", False),
        (PARTNER, made(PARTNER, partner=True), Proof(), "partner", False),
        (PARTNER, made(PARTNER, partner=True), Proof(departed=frozenset({PARTNER})), "partner", True),
        (MANAGEMENT, made(MANAGEMENT, partner=True), Proof(), "partner", True),
        (C, made(C, partner=True), Proof(), "audience", False),
    ],
)
def test_what_the_organization_took_away_needs_proof(
    account: str, known: dict[str, Entry], proof: Proof, cause: str, proven: bool
) -> None:
    """Only asking for the account alone proves where it is or that it is no member; not so the management account."""
    of = facts(policy(PROD), reading(GOLD, A, B, account), known=ledger(gold={**made(A, B), **known}), proof=proof)
    (loss,) = decided(of)["gold"].losses
    assert (loss.pair, loss.cause, loss.proven) == (Pair("m-gold", account), cause, proven)


def test_an_unproven_loss_is_no_change_and_is_said_to_be_incomplete() -> None:
    """What could not be confirmed is not revoked and not forgotten."""
    plan = planned(facts(policy(PROD), reading(GOLD, A, B, C), known=ledger(gold=made(A, B, C))))
    assert plan.changes == ()
    assert [gap.why for gap in plan.incomplete] == [f"m-gold: could not be confirmed, so nothing is revoked from {C}"]


def test_an_image_that_no_rule_selects_any_more_must_be_read_twice() -> None:
    """Its grants are lost only after a second reading showed the same tags and name."""
    untagged = image("gold", tags={})
    of = facts(policy(PROD), reading(untagged, A, B), known=ledger(gold=made(A, B)))
    assert lost(decided(of)["gold"]) == {A: False, B: False}
    again = replace(of, proof=Proof(images=frozenset({"m-gold"})))
    assert lost(decided(again)["gold"]) == {A: True, B: True}


def test_a_pair_whose_rule_selects_the_image_no_more_hangs_on_the_image_too() -> None:
    """Another rule still selecting the image does not spare the second reading."""
    other = rule("other", folders=["fd-test"], images=ImageSelector(ids=frozenset({"m-gold"})))
    of = facts(
        policy(PROD, other),
        reading(image("gold", tags={}), A),
        known=ledger(gold=made(A)),
        proof=Proof(placed=frozenset({A})),
    )
    assert lost(decided(of)["gold"]) == {A: False}
    assert lost(decided(replace(of, proof=Proof(placed=frozenset({A}), images=frozenset({"m-gold"}))))["gold"]) == {
        A: True
    }


def test_an_image_that_was_not_read_is_passed_over_whole() -> None:
    """Neither grants nor losses follow from a reading that failed, and it is reported."""
    unread = ImageReading(GOLD, None, "Throttling")
    plan = planned(facts(policy(EVERYBODY), unread, reading(SILVER, A), known=ledger(gold=made(STRANGER))))
    assert {change.images[0] for change in plan.changes} == {"m-silver"}
    assert [(gap.where, gap.why) for gap in plan.incomplete] == [("shard", "m-gold: Throttling")]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (image("gold", status="Deprecated"), "deprecated"),
        (image("gold", status="Creating"), "not-available"),
        (image("gold", status="UnAvailable"), "not-available"),
        (image("gold", encrypted=True), "encrypted-refused"),
        (image("gold", alias="others"), "not-own"),
    ],
)
def test_a_refusal_stops_additions_only_never_revocations(one: object, reason: str) -> None:
    """An image that cannot be shared gets nothing new, keeps what it has, and loses what nobody wants."""
    assert isinstance(one, type(GOLD))
    of = facts(
        policy(PROD),
        reading(one, A, C),
        reading(SILVER),
        known=ledger(gold=made(A, C)),
        proof=Proof(placed=frozenset({C})),
    )
    gold = decided(of)["gold"]
    assert [(r.reason, r.accounts, r.accounts_total) for r in gold.refusals] == [(reason, (B,), 1)]
    assert (gold.grants, lost(gold)) == ((), {C: True})
    assert decided(of)["silver"].grants == (A, B)


def test_a_community_image_gets_nothing_and_loses_nothing() -> None:
    """Its permissions cannot be changed: who is wanted is refused, who is not is named, and neither is a loss."""
    of = facts(policy(PROD), reading(image("gold", public=True), A, C), known=ledger(gold=made(A, C)))
    gold = decided(of)["gold"]
    assert [(r.reason, r.accounts) for r in gold.refusals] == [("community", (B,))]
    assert (gold.grants, gold.losses, gold.undecided) == ((), (), frozenset({C}))
    assert [(f.kind, f.account) for f in gold.findings] == [("community", C)]


def test_an_image_that_lacks_nobody_is_refused_nothing() -> None:
    """A deprecated image that everybody wanted already has is no news."""
    gold = decided(facts(policy(PROD), reading(image("gold", status="Deprecated"), A, B)))["gold"]
    assert gold.refusals == ()


def test_an_image_that_does_not_say_whether_it_is_encrypted_is_tried() -> None:
    """The field is a preview: absent, the cloud decides."""
    assert decided(facts(policy(PROD), reading(image("gold", encrypted=None))))["gold"].grants == (A, B)


def test_who_has_access_keeps_it_and_free_places_go_by_sorted_id() -> None:
    """A short quota takes nobody's place away, counts hand-made grants as used, and names who is left out."""
    of = facts(policy(EVERYBODY, quota=4), reading(GOLD, E, STRANGER), reading(SILVER), known=ledger(gold=made(E)))
    gold, silver = decided(of)["gold"], decided(of)["silver"]
    assert (gold.grants, silver.grants) == ((A, B), (A, B, C, D))
    assert [(r.reason, r.accounts) for r in gold.refusals] == [("over-quota", (C, D))]
    assert [(r.reason, r.accounts) for r in silver.refusals] == [("over-quota", (E,))]


def test_places_that_a_revocation_frees_are_given_away_unless_it_is_held() -> None:
    """Additions never count on the places of what is held."""
    of = facts(
        policy(rule(folders=["fd-prod"], accounts=[D]), quota=3),
        reading(GOLD, A, C, E),
        known=ledger(gold=made(A, C, E)),
        proof=Proof(placed=frozenset({C, E})),
    )
    assert decided(of)["gold"].grants == (B, D)
    held = replace(of, held=frozenset({Pair("m-gold", C)}))
    assert decided(held)["gold"].grants == (B,)


def test_beyond_a_hundred_the_left_out_are_counted() -> None:
    """A refusal names the first hundred accounts and gives their number."""
    accounts = [str(5000000000000000 + n) for n in range(250)]
    where = organization(*(member(account) for account in accounts))
    (refusal,) = decided(facts(policy(EVERYBODY), reading(GOLD), where=where))["gold"].refusals
    assert (refusal.accounts, refusal.accounts_total) == (tuple(accounts[50:150]), 200)


def test_a_covered_account_is_never_granted_directly() -> None:
    """Sure or possible, coverage by another channel stands against a direct grant."""
    coverage = {"m-gold": Coverage(sure=frozenset({A}), possible=frozenset({A, B}))}
    gold = decided(facts(policy(EVERYBODY), reading(GOLD), coverage=coverage))["gold"]
    assert gold.grants == (C, D, E)
    assert Kept(gold).kinds() == set()


def test_our_grant_beside_sure_coverage_is_redundant_and_beside_possible_coverage_stays() -> None:
    """Ending a double share loses nothing and counts nothing; what is only possible ends nothing."""
    coverage = {"m-gold": Coverage(sure=frozenset({A}), possible=frozenset({A, B}))}
    of = facts(policy(PROD), reading(GOLD, A, B), known=ledger(gold=made(A, B)), coverage=coverage)
    gold = decided(of)["gold"]
    assert (gold.redundant, gold.losses) == ((A,), ())
    (change,) = planned(of).changes
    assert (change.action, change.accounts, change.lost) == ("revoke", (A,), 0)


def test_a_listed_row_of_a_covered_account_proves_nothing() -> None:
    """It is neither reported as unmanaged nor counted as a direct grant."""
    coverage = {"m-gold": Coverage(sure=frozenset({C}), possible=frozenset({C}))}
    gold = decided(facts(policy(PROD), reading(GOLD, A, B, C), coverage=coverage))["gold"]
    assert (gold.direct, gold.findings) == (frozenset({A, B}), ())


def test_a_partner_whose_time_is_over_is_known_to_the_policy() -> None:
    """What a person shared with it is unmanaged, and not with an account that nobody knows."""
    until = Partner(PARTNER, until=NOW.date() - timedelta(days=1))
    of = facts(policy(rule(folders=["fd-prod"], partners=[until])), reading(GOLD, A, B, PARTNER))
    assert Kept(decided(of)["gold"]).kinds() == {("unmanaged", PARTNER)}


def test_a_pair_of_several_rules_hangs_on_the_image_when_one_of_them_selects_it_no_more() -> None:
    """The other still selects it, but does not want the account: what the first wants hangs on one reading."""
    other = rule("other", folders=["fd-test"], images=ImageSelector(ids=frozenset({"m-gold"})))
    of = facts(
        policy(PROD, other),
        reading(image("gold", tags={}), A),
        known=ledger(gold=made(A, rules=("golden", "other"))),
        proof=Proof(placed=frozenset({A})),
    )
    assert lost(decided(of)["gold"]) == {A: False}


def test_what_a_frozen_rule_leaves_alone_is_said_to_be_undecided() -> None:
    """So that whoever remembers holds does not take it for wanted."""
    frozen = rule(folders=["fd-prod"], without_folders=["fd-typo"])
    of = facts(policy(frozen), reading(GOLD, A, C), known=ledger(gold=made(A, C)))
    assert decided(of)["gold"].undecided == {C}


def test_a_frozen_rule_adds_nothing_and_what_is_there_stays() -> None:
    """An unknown exception stops both directions on the rule's images, and other rules go on adding."""
    frozen = rule(folders=["fd-prod"], without_folders=["fd-typo"])
    other = rule("other", accounts=[E])
    of = facts(
        policy(frozen, other),
        reading(GOLD, A, C),
        known=ledger(gold=made(A, C)),
        proof=Proof(placed=frozenset({C})),
    )
    gold = decided(of)["gold"]
    assert (gold.grants, gold.losses) == ((E,), ())
    assert [(gap.where, gap.name) for gap in planned(of).incomplete] == [("rule", "golden")]


def test_a_pair_of_a_frozen_rule_stays_when_its_image_is_not_selected_any_more() -> None:
    """The rule that wanted it last is frozen, so nothing is concluded for its pairs."""
    of = facts(
        policy(rule(folders=["root"], without_folders=["fd-typo"])),
        reading(image("gold", tags={}), A),
        known=ledger(gold=made(A)),
        proof=Proof(images=frozenset({"m-gold"})),
    )
    assert decided(of)["gold"].losses == ()


@pytest.mark.parametrize(("mode", "losing"), [("enforce", {C: True}), ("add", {})])
def test_in_mode_add_nobody_loses_access(mode: str, losing: dict[str, bool]) -> None:
    """A rule or deployment that only adds keeps what is not wanted any more, and says so."""
    of = facts(
        policy(rule(folders=["fd-prod"], mode=mode), mode=mode),  # type: ignore[arg-type]
        reading(GOLD, A, C),
        known=ledger(gold=made(A, C)),
        proof=Proof(placed=frozenset({C})),
    )
    gold = decided(of)["gold"]
    assert (gold.grants, lost(gold)) == ((B,), losing)
    assert Kept(gold).kinds() == (set() if losing else {("kept-by-mode", C)})


def test_a_rule_in_mode_observe_grants_nothing_and_says_who_would_gain() -> None:
    """Within an enforcing deployment a rule can be tried out."""
    of = facts(policy(rule(folders=["fd-prod"], mode="observe"), rule("live", accounts=[A])), reading(GOLD))
    gold = decided(of)["gold"]
    assert gold.grants == (A,)
    assert Kept(gold).kinds() == {("observed-only", B)}


def test_an_observing_deployment_plans_as_if_it_enforced() -> None:
    """The plan of mode observe shows everything; carrying nothing out is the business of apply."""
    of = facts(
        policy(rule(folders=["fd-prod"], mode="observe"), mode="observe"),
        reading(GOLD, C),
        known=ledger(gold=made(C)),
        proof=Proof(placed=frozenset({C})),
    )
    assert (decided(of)["gold"].grants, lost(decided(of)["gold"])) == ((A, B), {C: True})


def test_a_refusal_of_the_cloud_is_believed_for_a_while() -> None:
    """The accounts that were refused are not tried again at once, and the others are granted."""
    refusal = RememberedRefusal("account-refused", "InvalidAccount.NotFound", NOW, (A,))
    known = Ledger(refusals=MappingProxyType({"m-gold": (refusal,)}))
    of = facts(policy(PROD), reading(GOLD), known=known)
    assert decided(of)["gold"].grants == (B,)
    assert [(r.reason, r.accounts) for r in decided(of)["gold"].refusals] == [("account-refused", (A,))]
    later = replace(of, now=NOW + REFUSAL_STANDS)
    assert decided(later)["gold"].grants == (A, B)


def test_a_refusal_of_the_image_concerns_every_account() -> None:
    """One that names no accounts stands against all of them."""
    refusal = RememberedRefusal("encrypted-without-role", "AssumeRoleError", NOW)
    known = Ledger(refusals=MappingProxyType({"m-gold": (refusal,)}))
    gold = decided(facts(policy(PROD), reading(GOLD), known=known))["gold"]
    assert (gold.grants, [r.accounts for r in gold.refusals]) == ((), [(A, B)])


def test_what_was_accepted_and_is_not_listed_yet_is_pending_for_a_while() -> None:
    """It is neither granted again at once nor forgotten for ever."""
    accepted = {A: Entry("accepted", NOW - timedelta(minutes=5), rules=("golden",))}
    of = facts(policy(PROD), reading(GOLD), known=ledger(gold=accepted))
    assert decided(of)["gold"].grants == (B,)
    assert [p.entity for p in decided(of)["gold"].pending] == [f"m-gold/{A}"]
    later = replace(of, now=NOW + timedelta(minutes=10))
    assert decided(later)["gold"].grants == (A, B)


def test_what_is_pending_has_its_place_in_the_quota() -> None:
    """It is counted beside what is listed, so nobody is promised the place that it will take."""
    accepted = {A: Entry("accepted", NOW - timedelta(minutes=5), rules=("golden",))}
    of = facts(policy(EVERYBODY, quota=4), reading(GOLD, STRANGER, PARTNER), known=ledger(gold=accepted))
    assert decided(of)["gold"].grants == (B,)


def test_what_was_only_intended_and_is_not_there_is_granted_now() -> None:
    """A run that died before its call is finished by the next one."""
    intended = {A: Entry("intended", NOW - timedelta(minutes=1), rules=("golden",))}
    assert decided(facts(policy(PROD), reading(GOLD), known=ledger(gold=intended)))["gold"].grants == (A, B)


def test_equal_facts_in_any_order_give_equal_plans() -> None:
    """The digest and every list depend on what is so, not on the order of reading."""
    readings = [reading(GOLD, A), reading(SILVER, C), reading(BRONZE)]
    known = ledger(gold=made(A), silver=made(C))
    one, other = (planned(facts(policy(PROD), *order, known=known)) for order in (readings, readings[::-1]))
    assert one == other
    assert one.digest() == other.digest()


def test_the_digest_ignores_wording_and_changes_with_the_pairs() -> None:
    """Another why is the same plan; another account is another plan."""
    plan = planned(facts(policy(PROD), reading(GOLD)))
    (change,) = plan.changes
    assert replace(plan, changes=(replace(change, why="other words"),)).digest() == plan.digest()
    assert replace(plan, changes=(replace(change, accounts=(A,)),)).digest() != plan.digest()


def test_grants_come_before_revocations_and_each_image_has_one_of_each() -> None:
    """The order of changes is the order of actions, then of shards and images."""
    of = facts(
        policy(PROD),
        reading(GOLD, A, C),
        reading(SILVER, C),
        reading(BRONZE),
        known=ledger(gold=made(A, C), silver=made(C)),
        proof=Proof(placed=frozenset({C})),
    )
    assert [(c.action, c.images[0], c.accounts) for c in planned(of).changes] == [
        ("grant", "m-bronze", (A, B)),
        ("grant", "m-gold", (B,)),
        ("grant", "m-silver", (A, B)),
        ("revoke", "m-gold", (C,)),
        ("revoke", "m-silver", (C,)),
    ]


def test_the_summary_counts_pairs_wanted_in_step_gained_and_lost() -> None:
    """Counts are of images that rules select and of pairs of image and account."""
    of = facts(
        policy(PROD),
        reading(GOLD, A, C),
        reading(SILVER, A, B),
        reading(BRONZE),
        known=ledger(gold=made(A, C)),
        proof=Proof(placed=frozenset({C})),
    )
    summary = planned(of).summary
    assert (summary.images, summary.accounts) == (3, 2)
    assert (summary.wanted, summary.in_step, summary.gained, summary.lost) == (6, 3, 3, 1)


ACCOUNTS = (A, B, C, D, E, PARTNER, STRANGER)
some_accounts = st.sets(st.sampled_from(ACCOUNTS))


@given(wanted=some_accounts, listed=some_accounts, ours=some_accounts, sure=some_accounts, quota=st.integers(0, 6))
def test_additions_go_to_the_wanted_only_and_losses_are_ours_only(
    wanted: set[str], listed: set[str], ours: set[str], sure: set[str], quota: int
) -> None:
    """For all readings: nobody unwanted gains, nothing of a stranger's is lost, the quota is never passed.

    Rows of covered accounts may be no grants; where all of those are listed, only the cloud knows.
    """
    named = rule(accounts=wanted - {PARTNER, STRANGER}, partners=sorted(wanted & {PARTNER, STRANGER}))
    coverage = {"m-gold": Coverage(sure=frozenset(sure), possible=frozenset(sure))}
    of = facts(
        policy(named, quota=quota),
        reading(GOLD, *sorted(listed)),
        known=ledger(gold=made(*ours)),
        where=organization(*(member(a) for a in (A, B, C, D, E))),
        coverage=coverage,
        proof=Proof(placed=frozenset(ACCOUNTS), departed=frozenset(ACCOUNTS)),
    )
    gold = decided(of)["gold"]
    gained = set(gold.grants)
    gone = {loss.pair.account for loss in gold.losses} | set(gold.redundant)
    assert gained <= wanted - listed - sure
    assert gone <= listed & ours
    assert {loss.pair.account for loss in gold.losses} == (listed & ours) - wanted - sure
    doubtful = (listed & sure) - ours if sure <= listed else set()
    assert not gained or len(listed - doubtful) - len(gone) + len(gained) <= quota
    left_out = {a for r in gold.refusals for a in r.accounts}
    assert gained | left_out == wanted - listed - sure


def test_deciding_leaves_its_inputs_as_they_were() -> None:
    """Inputs are frozen: the same facts can be decided again, with the same result."""
    of = facts(policy(PROD), reading(GOLD, A, C), reading(SILVER), reading(BRONZE, B), known=ledger(gold=made(A, C)))
    before = (of.readings, dict(of.ledgers), of.organization.members)
    assert decide(of) == decide(of)
    assert (of.readings, dict(of.ledgers), of.organization.members) == before
    with pytest.raises(TypeError):
        of.organization.members["x"] = ORGANIZATION.members[A]  # type: ignore[index]
