"""What a run makes of the ledger: before its calls, and after them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.coverage import Coverage
from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.losses import Loss
from orgshare.decide.refusals import REFUSAL_STANDS
from orgshare.errors import Refused
from orgshare.execute.sharing import Outcome
from orgshare.ledger import Entry, EntryState, Ledger, Lost, RememberedRefusal
from orgshare.policy.model import Mode
from orgshare.record.ownership import intended, reason_of, recorded, settled
from orgshare.words import NOBODY, Grant, Pair
from tests.support.facts import (
    JUST_NOW,
    NOW,
    PARTNER,
    SHARD,
    SHARED,
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
    policy,
    reading,
    rule,
)

IMAGE = "m-gold"


def wanted(*accounts: str) -> dict[str, Entry]:
    """Entries that were written down before a call."""
    return {a: Entry("intended", NOW, rules=("golden",)) for a in accounts}


def entries(of: Ledger) -> dict[str, Entry]:
    return dict(of.entries(IMAGE))


def test_every_grant_that_is_about_to_be_made_is_intended_with_its_rules() -> None:
    """A member and a partner, each with the rules that want it."""
    of = facts(policy(rule(folders=["fd-prod"], partners=["2000000000000001"])), reading(image("gold"), A))
    decisions = decide(of)
    found = entries(intended(Ledger(), of, decisions, decisions.images, (), before=Ledger()))
    assert {a: (e.state, e.since, e.kind, e.rules) for a, e in found.items()} == {
        B: ("intended", NOW, "member", ("golden",)),
        "2000000000000001": ("intended", NOW, "partner", ("golden",)),
    }


def test_who_wants_a_grant_now_is_kept_with_it_and_stays_when_nobody_does() -> None:
    """A rule that was renamed is followed; the last rule that wanted a lost pair is still known."""
    known = ledger(gold=made(A, C, rules=("old-name",)))
    of = facts(policy(rule("new-name", folders=["fd-prod"])), reading(image("gold"), A, C), known=known)
    decisions = decide(of)
    found = entries(settled(known, of, decisions, decisions.images, {IMAGE: of.readings[0].grants or ()}))
    assert {a: e.rules for a, e in found.items()} == {A: ("new-name",), C: ("old-name",)}


def test_what_was_accepted_and_is_listed_is_made() -> None:
    """Its SharedTime tells it from every other grant; what is not listed yet is only accepted."""
    at = "2026-11-21T12:00:01Z"
    outcome = Outcome(IMAGE, accepted=frozenset({A, B}), grants=(Grant(A, at), Grant(C, SHARED)))
    found = entries(recorded(ledger(gold=wanted(A, B)), [outcome], NOW))
    assert {a: (e.state, e.shared_time) for a, e in found.items()} == {A: ("made", at), B: ("accepted", "")}


def test_what_was_given_up_stays_intended() -> None:
    """Whether it was carried out is not known, so the next run has to look."""
    found = entries(recorded(ledger(gold=wanted(A, B)), [Outcome(IMAGE, accepted=frozenset({A}))], NOW))
    assert {a: e.state for a, e in found.items()} == {A: "accepted", B: "intended"}


def test_ownership_ends_with_an_accepted_revoke_of_what_is_not_listed_any_more() -> None:
    """The same grant still being listed keeps it; another one in its place does not."""
    outcome = Outcome(
        IMAGE,
        revoked=frozenset({A, B, C}),
        grants=(Grant(B, SHARED), Grant(C, "2026-11-21T12:00:01Z")),
    )
    assert set(entries(recorded(ledger(gold=made(A, B, C)), [outcome], NOW))) == {B}


def test_refused_accounts_are_remembered_by_name_and_a_refused_image_without() -> None:
    """What speaks of the image concerns every account, also those that join later."""
    unknown = Refused("x", code="InvalidAccount.NotFound")
    encrypted = Refused("x", code="AssumeRoleError")
    known = ledger(gold=wanted(A, B), silver=wanted(A, B), bronze=made(C))
    after = recorded(
        known,
        [
            Outcome(IMAGE, accepted=frozenset({B}), refused=((A, unknown),), grants=(Grant(B, ""),)),
            Outcome("m-silver", refused=((A, encrypted), (B, encrypted)), grants=()),
        ],
        NOW,
    )
    assert dict(after.refusals) == {
        IMAGE: (RememberedRefusal("account-refused", "InvalidAccount.NotFound", NOW, (A,)),),
        "m-silver": (RememberedRefusal("encrypted-without-role", "AssumeRoleError", NOW),),
    }
    assert {i: set(after.entries(i)) for i in (IMAGE, "m-silver", "m-bronze")} == {
        IMAGE: {B}, "m-silver": set(), "m-bronze": {C},
    }  # fmt: skip


def test_refusals_are_forgotten_when_their_time_is_over() -> None:
    """Also of an image on which nothing of ours is."""
    refusal = RememberedRefusal("deprecated", "OperationDenied.InvalidImageStatus", NOW)
    known = Ledger().with_refusals(IMAGE, (refusal,))
    of = facts(policy(rule(folders=["fd-prod"])), reading(image("gold")), known=known)
    for now, kept in ((NOW + REFUSAL_STANDS - timedelta(seconds=1), (refusal,)), (NOW + REFUSAL_STANDS, ())):
        later = replace(of, now=now)
        decisions = decide(later)
        after = settled(known, later, decisions, decisions.images, {IMAGE: ()})
        assert after.refusals.get(IMAGE, ()) == kept


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AssumeRoleError", "encrypted-without-role"),
        ("QuotaExceed.ShareImageUser", "over-quota"),
        ("InvalidAccount.Forbbiden", "account-refused"),
        ("InvalidImageId.BidMismatch", "marketplace-across-sites"),
        ("Something.Else", "refused"),
    ],
)
def test_a_code_has_a_reason(code: str, reason: str) -> None:
    """One that nobody knows is a plain refusal."""
    assert reason_of(code) == reason


def after_reading(of: Facts) -> Ledger:
    """The ledger of the shard after this reading of every image."""
    decisions = decide(of)
    readings = {each.image.id: each.grants or () for each in of.readings}
    return settled(of.ledgers[SHARD], of, decisions, decisions.images, readings)


def test_every_pair_that_is_about_to_be_lost_is_written_down_with_its_time_and_cause() -> None:
    """Before the call, and with what a person approved; a pair that is lost again stands there once."""
    of = facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A, B))
    decisions = decide(of)
    losing = [
        Loss(pair=Pair("m-silver", A), shard=SHARD, cause="departed", proven=True, rules=("golden",)),
        Loss(pair=Pair("m-silver", B), shard=SHARD, cause="audience", proven=True, rules=(), approved=True),
        Loss(pair=Pair("m-bronze", C), shard=SHARD, cause="partner", proven=True, rules=("one", "two")),
    ]
    known = Ledger(lost={"m-bronze": {C: Lost(NOW - timedelta(hours=3))}})
    after = intended(known, of, decisions, (), losing, before=known)
    assert {image: dict(accounts) for image, accounts in after.lost.items()} == {
        "m-silver": {A: Lost(NOW, ("golden",), departed=True), B: Lost(NOW, approved=True)},
        "m-bronze": {C: Lost(NOW, ("one", "two"))},
    }
    assert intended(known, of, decisions, (), (), before=known) is known


def test_since_when_nobody_wants_a_grant_is_kept_until_somebody_does() -> None:
    """The first run that finds it so is remembered; a rule that wants it again ends it."""
    earlier = NOW - timedelta(days=1)
    entries_of = made(A, B, C, D, E)
    known = ledger(
        gold=entries_of | {B: replace(entries_of[B], unwanted=earlier), D: replace(entries_of[D], unwanted=earlier)}
    )
    of = facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A, B, C, D, E), known=known)
    found = entries(after_reading(of))
    assert {a: e.unwanted for a, e in found.items()} == {A: None, B: None, C: NOW, D: earlier, E: NOW}


def test_what_is_not_known_to_be_unwanted_has_no_time() -> None:
    """A rule that is frozen, a listing that lies, a grant that was not seen."""
    frozen = rule("golden", folders=["fd-prod"], without_folders=["fd-unknown"])
    known = ledger(gold=made(A, C, D))
    lying = Proof(contradicted="it lacks somebody")
    for of in (
        facts(policy(frozen), reading(image("gold"), A, C, D), known=known),
        facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A, C, D), known=known, proof=lying),
        facts(policy(rule(folders=["fd-prod"])), reading(image("gold"), A), known=known),
    ):
        assert {entry.unwanted for entry in entries(after_reading(of)).values()} == {None}


def adopting(*, mode: Mode = "enforce", rule_mode: Mode = "enforce", known: Ledger | None = None) -> Facts:
    """A, B and a partner are wanted; they, a member and a stranger have grants by hand on all three images."""
    of = facts(
        policy(rule(folders=["fd-prod"], partners=[PARTNER], mode=rule_mode)),
        *(reading(image(name), A, B, C, PARTNER, STRANGER) for name in ("gold", "silver", "bronze")),
        known=known,
    )
    return replace(of, policy=replace(of.policy, unmanaged="adopt", mode=mode))


def test_grants_by_hand_that_the_policy_wants_become_ours_where_it_adopts() -> None:
    """With the time of their rows, so that they are known again; what nobody wants stays its maker's."""
    after = after_reading(adopting())
    expected = {
        A: Entry("made", NOW, "member", ("golden",), SHARED, adopted=True),
        B: Entry("made", NOW, "member", ("golden",), SHARED, adopted=True),
        PARTNER: Entry("made", NOW, "partner", ("golden",), SHARED, adopted=True),
    }
    assert {image: dict(entries) for image, entries in after.grants.items()} == dict.fromkeys(
        ("m-gold", "m-silver", "m-bronze"), expected
    )
    assert decide(replace(adopting(), ledgers={SHARD: after})).images[0].ours == {A, B, PARTNER}


def test_nothing_is_adopted_but_by_a_sweep_of_a_policy_that_says_so() -> None:
    """Neither where grants by hand are kept or revoked, nor in mode observe, nor of an image alone."""
    of = adopting()
    for other in (
        replace(of, policy=replace(of.policy, unmanaged="keep")),
        replace(of, policy=replace(of.policy, unmanaged="revoke")),
        replace(of, sweep=False),
        adopting(mode="observe"),
        adopting(rule_mode="observe"),
        replace(of, policy=replace(of.policy, rules=(rule(folders=["fd-prod"], without_folders=["fd-none"]),))),
    ):
        assert after_reading(other).grants == {}
    assert after_reading(adopting(mode="add", rule_mode="add")).grants


def test_what_may_not_be_a_grant_is_not_adopted() -> None:
    """The row of an account that a share may reach, a row without a time, and one beside a grant of ours on its way."""
    waiting = ledger(gold={A: Entry("accepted", NOW)})
    of = adopting(known=waiting)
    assert dict(after_reading(of).entries(IMAGE)).keys() == {A, B, PARTNER}
    assert after_reading(of).entries(IMAGE)[A].state == "accepted"
    without_time = replace(of, readings=(reading(image("gold"), B, C, at=""),))
    assert B not in after_reading(without_time).entries(IMAGE)
    reached = {IMAGE: Coverage(NOBODY, NOBODY, frozenset({B}))}
    covered = facts(of.policy, reading(image("gold"), A, B), coverage=reached)
    assert after_reading(covered).entries(IMAGE).keys() == {A}
    surely = {IMAGE: Coverage(*[frozenset({A, B, C})] * 3)}
    evident = facts(of.policy, reading(image("gold"), B), coverage=surely)
    assert decide(evident).images[0].direct == {B}
    assert after_reading(evident).grants == {}


def test_a_grant_by_hand_in_the_place_of_one_of_ours_is_adopted_with_its_own_time() -> None:
    """Somebody took ours away and granted anew."""
    old = ledger(gold={A: replace(made(A)[A], shared_time="2026-10-01T00:00:00Z")})
    assert after_reading(adopting(known=old)).entries(IMAGE)[A].shared_time == SHARED


@pytest.mark.parametrize("state", ["intended", "accepted", "made"])
def test_a_grant_that_the_cloud_does_not_know_of_ends_where_a_share_surely_reaches_the_account(
    state: EntryState,
) -> None:
    """Its revoke was accepted by a run that died; the row that is left is the share's. One of our own time stays."""
    refused = Refused("x", code="InvalidAccount.NotFound")
    mine, other = "2026-11-21T11:00:00Z", "2026-11-21T11:30:00Z"
    known = ledger(gold={a: Entry(state, NOW, shared_time=mine) for a in (A, B, C, D)})
    outcome = Outcome(
        IMAGE,
        unremovable=((A, refused), (B, refused), (C, refused), (D, Refused("x", code="Other"))),
        grants=(Grant(A, other), Grant(B, mine), Grant(C, other), Grant(D, other)),
    )
    assert set(entries(recorded(known, [outcome], NOW, covered={IMAGE: frozenset({A, B, D})}))) == {B, C, D}


def test_an_accepted_revoke_ends_a_grant_though_the_row_that_a_share_may_have_made_is_listed_with_its_time() -> None:
    """A share and a grant of one second look the same. Where no share may reach the account, the grant is there."""
    mine = JUST_NOW
    known = ledger(gold={a: Entry("made", NOW, shared_time=mine) for a in (A, B, C)})
    outcome = Outcome(IMAGE, revoked=frozenset({A, B, C}), grants=(Grant(A, mine), Grant(B, mine)))
    assert set(entries(recorded(known, [outcome], NOW, perhaps={IMAGE: frozenset({A})}))) == {B}


def test_a_grant_that_the_cloud_does_not_know_of_ends_where_its_account_is_known_to_exist() -> None:
    """Then the answer that there is none speaks of the grant, if a row of that time may be a share's as well."""
    refused = Refused("x", code="InvalidAccount.NotFound")
    mine = "2026-11-21T11:00:00Z"
    known = ledger(gold={a: Entry("made", NOW, shared_time=mine) for a in (A, B, C, D)})
    outcome = Outcome(
        IMAGE,
        unremovable=((A, refused), (B, refused), (C, Refused("x", code="Other")), (D, refused)),
        grants=tuple(Grant(account, mine) for account in (A, B, C, D)),
    )
    perhaps, existing = {IMAGE: frozenset({A, B, C})}, {A, C, D}
    assert set(entries(recorded(known, [outcome], NOW, perhaps=perhaps, existing=existing))) == {B, C, D}


def test_the_time_of_a_row_that_may_be_a_shares_is_remembered_and_not_believed() -> None:
    """The list before the calls showed none, which may have been a lie: so a later row may be our grant's as well."""
    row, later = JUST_NOW, "2026-11-21T11:59:02.000Z"
    outcome = Outcome(IMAGE, accepted=frozenset({A, B, C}), grants=(Grant(A, row), Grant(B, row), Grant(C, row)))
    perhaps = {IMAGE: frozenset({A, B})}
    after = recorded(ledger(gold=wanted(A, B, C)), [outcome], NOW, perhaps=perhaps, rowless={IMAGE: frozenset({A})})
    found = after.entries(IMAGE)
    assert {a: (e.state, e.shared_time) for a, e in found.items()} == {
        A: ("accepted", row), B: ("accepted", ""), C: ("made", row),
    }  # fmt: skip
    assert {a for a, e in found.items() if e.owns(Grant(a, later))} == {A, B}


def test_a_grant_that_readings_ended_and_that_is_asked_for_in_the_same_run_is_remembered() -> None:
    """Both readings may have been wrong: then the row that comes back is the old one, with its own time."""
    of = facts(policy(rule(folders=["fd-prod"])), reading(image("gold")), known=ledger(gold=made(A, B)))
    decisions = decide(of)
    known = ledger(gold={account: replace(entry, missing=1) for account, entry in made(A, B).items()})
    ended = settled(known, of, decisions, decisions.images, {IMAGE: ()})
    assert entries(ended) == {}
    found = entries(intended(ended, of, decisions, decisions.images, (), before=known))
    assert set(found) == {A, B}
    assert {account for account, entry in found.items() if entry.owns(Grant(account, SHARED))} == {A, B}
