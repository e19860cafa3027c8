"""What becomes of a pair that nobody wants any more: lost, kept by a mode, or in doubt, and on what that rests."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import ImageDecision
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.losses import Loss
from orgshare.ledger import Ledger
from orgshare.policy.model import ImageSelector, Mode, Rule
from orgshare.words import Pair
from tests.decide.sharing import BRONZE, GOLD, GONE, NAMES, PROVEN, SILVER
from tests.support.facts import (
    MANAGEMENT,
    PARTNER,
    SHARD,
    SHARED,
    STRANGER,
    A,
    B,
    C,
    D,
    facts,
    ledger,
    made,
    policy,
    reading,
    rule,
)

PROD = rule(folders=["fd-prod"])
SILVER_ONLY = ImageSelector(ids=frozenset({"m-silver"}))


def by_name(of: Facts) -> dict[str, ImageDecision]:
    return {decision.image.name: decision for decision in decide(of).images}


def loss(image: str, account: str, cause: str, **more: object) -> Loss:
    usual = {"proven": True, "rules": ("golden",), "hangs_on_image": False, "hangs_on_listing": True}
    return Loss(pair=Pair(image, account), shard=SHARD, cause=cause, **{**usual, **more})  # type: ignore[arg-type]


def of_ours(*rules: Rule, proof: Proof = PROVEN, mode: Mode = "enforce") -> Facts:
    """Three images with grants of ours to a member, a partner, the management account, and one that left."""
    everybody = (C, PARTNER, MANAGEMENT, GONE)
    entries = {**made(C, MANAGEMENT, GONE), **made(PARTNER, partner=True)}
    return facts(
        policy(*rules, mode=mode),
        *(reading(of, *everybody) for of in (GOLD, SILVER, BRONZE)),
        known=ledger(gold=entries, silver=entries, bronze=entries),
        proof=proof,
    )


def test_each_loss_says_what_it_rests_on() -> None:
    """A member and one that left hang on the listing; the management account is in none."""
    for decision in decide(of_ours(PROD)).images:
        image = decision.image.id
        assert set(decision.losses) == {
            loss(image, C, "audience"),
            loss(image, GONE, "departed"),
            loss(image, MANAGEMENT, "partner", hangs_on_listing=False),
            loss(image, PARTNER, "partner", proven=False),
        }


def test_an_image_that_no_rule_selects_any_more_is_itself_in_doubt() -> None:
    """What was wanted by a rule that does not select it hangs on the image, and on nothing else if none does."""
    found = by_name(of_ours(replace(PROD, images=SILVER_ONLY)))
    for name in ("gold", "bronze"):
        assert set(found[name].losses) == {
            loss(f"m-{name}", account, "image", hangs_on_image=True, hangs_on_listing=False)
            for account in (C, GONE, MANAGEMENT, PARTNER)
        }
    unread = by_name(of_ours(replace(PROD, images=SILVER_ONLY), proof=replace(PROVEN, images=frozenset({"m-gold"}))))
    assert {x.proven for x in unread["gold"].losses} == {True}
    assert {x.proven for x in unread["bronze"].losses} == {False}


def test_an_image_that_another_rule_selects_still_hangs_on_the_image_and_the_listing() -> None:
    """The rule that wanted the pair is another one now."""
    found = by_name(of_ours(rule("other", folders=["fd-prod"]), PROD, proof=replace(PROVEN, images=frozenset())))
    assert {x.hangs_on_image for x in found["gold"].losses} == {False}
    moved = by_name(
        of_ours(
            rule("other", folders=["fd-prod"]),
            replace(PROD, images=SILVER_ONLY),
            proof=replace(PROVEN, images=frozenset()),
        )
    )
    assert {(x.hangs_on_image, x.proven) for x in moved["gold"].losses} == {(True, False)}
    assert {x.hangs_on_image for x in moved["silver"].losses} == {False}


@pytest.mark.parametrize(
    ("modes", "deployment", "kept_by"),
    [
        (("enforce", "enforce"), "enforce", None),
        (("enforce", "add"), "enforce", "add"),
        (("add", "enforce"), "enforce", "add"),
        (("enforce", "observe"), "enforce", "observe"),
        (("add", "observe"), "enforce", "observe"),
        (("add", "add"), "add", "add"),
        (("observe", "observe"), "observe", None),
    ],
)
def test_the_most_careful_mode_of_all_that_had_to_do_with_a_pair_keeps_it(
    modes: tuple[Mode, Mode], deployment: Mode, kept_by: Mode | None
) -> None:
    """Of the rules that select the image now, of those that wanted it before; a plan that only observes shows all."""
    now, before = modes
    rules = (
        rule("now", folders=["fd-prod"], mode=now),
        replace(rule(folders=["fd-prod"], mode=before), images=SILVER_ONLY),
    )
    decision = by_name(of_ours(*rules, mode=deployment))["gold"]
    kinds = {(f.kind, f.why) for f in decision.findings if f.account == C}
    if kept_by is None:
        assert loss("m-gold", C, "audience", hangs_on_image=True) in decision.losses
    else:
        assert (decision.losses, kinds) == (
            (), {("kept-by-mode", f"not wanted any more; kept because the mode is {kept_by}")},
        )  # fmt: skip


def test_what_a_frozen_rule_may_want_is_neither_lost_nor_kept() -> None:
    """A rule that froze may want the pair: of the image now, or when it was granted."""
    frozen = rule(folders=["fd-eu"], without_accounts=["1000000000000077"])
    for rules in ((frozen,), (rule("now", folders=["fd-prod"]), replace(frozen, images=SILVER_ONLY))):
        decision = by_name(of_ours(*rules))["gold"]
        assert decision.losses == ()
        assert decision.undecided == {C, PARTNER, MANAGEMENT, GONE}


SEEN = {A: SHARED, C: SHARED, STRANGER: SHARED, MANAGEMENT: SHARED}


def of_others(
    *rules: Rule, proof: Proof = PROVEN, seen: Iterable[str] = SEEN, sweep: bool = True, mode: Mode = "enforce"
) -> Facts:
    """Three images that somebody else shared with four accounts, which an earlier sweep saw there too."""
    accounts = (A, C, STRANGER, MANAGEMENT)
    known = Ledger(strangers={name: {account: SEEN[account] for account in seen} for name in NAMES})
    of = facts(
        replace(policy(*rules, mode=mode), unmanaged="revoke"),
        *(reading(each, *accounts) for each in (GOLD, SILVER, BRONZE)),
        known=known,
        proof=proof,
    )
    return replace(of, sweep=sweep)


def stranger(image: str, account: str, **more: object) -> Loss:
    return loss(image, account, "unmanaged", rules=(), **more)


def test_what_somebody_else_granted_is_lost_where_the_policy_says_so() -> None:
    """Whoever is wanted keeps it; an account outside has to be proven to be no member first."""
    for decision in decide(of_others(PROD)).images:
        image = decision.image.id
        assert set(decision.losses) == {
            stranger(image, C),
            stranger(image, STRANGER, proven=False),
            stranger(image, MANAGEMENT, hangs_on_listing=False),
        }
        assert decision.strangers == {C: SHARED, STRANGER: SHARED, MANAGEMENT: SHARED}
    asked = of_others(PROD, proof=replace(PROVEN, departed=frozenset({STRANGER})))
    assert all(x.proven for decision in decide(asked).images for x in decision.losses)


def test_a_strangers_grant_on_an_image_that_no_rule_selects_hangs_on_the_image() -> None:
    """Without a second reading of that image it is not proven, whoever it is."""
    found = by_name(of_others(replace(PROD, images=SILVER_ONLY), proof=replace(PROVEN, images=frozenset({"m-gold"}))))
    outcomes = {
        name: {(x.pair.account, x.hangs_on_image, x.proven) for x in decision.losses}
        for name, decision in found.items()
    }
    assert outcomes == {
        "gold": {(A, True, True), (C, True, True), (STRANGER, True, False), (MANAGEMENT, True, True)},
        "silver": {(C, False, True), (STRANGER, False, False), (MANAGEMENT, False, True)},
        "bronze": {(a, True, False) for a in (A, C, STRANGER, MANAGEMENT)},
    }


def test_a_listing_that_was_found_wrong_proves_nothing_about_anybody() -> None:
    """But of the management account, which is in no listing."""
    wrong = replace(PROVEN, departed=frozenset({STRANGER}), contradicted="one is missing")
    for of in (of_others(PROD, proof=wrong), of_ours(PROD, proof=wrong)):
        proven = {x.pair.account for decision in decide(of).images for x in decision.losses if x.proven}
        assert proven == {MANAGEMENT}


def test_a_mode_keeps_what_somebody_else_granted() -> None:
    """And it is said to be kept by that mode."""
    decision = by_name(of_others(replace(PROD, mode="add")))["gold"]
    assert decision.losses == ()
    assert {f.account for f in decision.findings if f.kind == "kept-by-mode"} == {C, STRANGER, MANAGEMENT}
    assert {f.why for f in decision.findings if f.kind == "kept-by-mode"} == {
        "not wanted any more; kept because the mode is add"
    }


def test_a_frozen_rule_decides_nothing_about_what_somebody_else_granted() -> None:
    """It is seen, and nothing more."""
    decision = by_name(of_others(rule(folders=["fd-prod"], without_accounts=["1000000000000077"])))["gold"]
    assert (decision.losses, decision.undecided) == ((), frozenset())
    assert set(decision.strangers) == {C, STRANGER, MANAGEMENT}


@pytest.mark.parametrize(("seen", "sweep"), [((C,), True), ((), True), ((C, STRANGER), False)])
def test_what_somebody_else_granted_goes_only_if_two_sweeps_saw_it(seen: tuple[str, ...], sweep: bool) -> None:
    """A look at one image alone is no sweep."""
    for decision in decide(of_others(PROD, seen=seen, sweep=sweep)).images:
        assert {x.pair.account for x in decision.losses} == (set(seen) if sweep else set())


def test_the_same_account_with_another_time_of_sharing_was_not_seen_before() -> None:
    """It was granted anew by hand in between."""
    of = of_others(PROD)
    known = replace(
        of.ledgers[SHARD], strangers={name: {C: "2026-10-01T00:00:00Z", MANAGEMENT: SHARED} for name in NAMES}
    )
    for decision in decide(replace(of, ledgers={SHARD: known})).images:
        assert [x.pair.account for x in decision.losses] == [MANAGEMENT]


def test_nobody_who_is_wanted_is_ever_judged() -> None:
    """Whoever granted it, and whatever a mode says."""
    of = facts(
        replace(policy(rule(folders=["root"], partners=[PARTNER])), unmanaged="revoke"),
        *(reading(each, A, B, C, D, PARTNER) for each in (GOLD, SILVER, BRONZE)),
        known=ledger(gold=made(A, B)),
        proof=PROVEN,
    )
    assert [(d.losses, d.strangers, d.undecided) for d in decide(of).images] == [((), {}, frozenset())] * 3
