"""What a run makes of the ledger: before its calls, and after them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.refusals import REFUSAL_STANDS
from orgshare.errors import Refused
from orgshare.execute.sharing import Outcome
from orgshare.ledger import Entry, Ledger, RememberedRefusal
from orgshare.record.ownership import intended, reason_of, recorded, settled
from orgshare.words import Grant
from tests.support.facts import NOW, SHARED, A, B, C, facts, image, ledger, made, policy, reading, rule

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
    found = entries(intended(Ledger(), of, decisions, decisions.images))
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
    found = entries(recorded(ledger(gold=wanted(A, B)), [outcome], NOW, {}))
    assert {a: (e.state, e.shared_time) for a, e in found.items()} == {A: ("made", at), B: ("accepted", "")}


def test_what_was_given_up_stays_intended() -> None:
    """Whether it was carried out is not known, so the next run has to look."""
    found = entries(recorded(ledger(gold=wanted(A, B)), [Outcome(IMAGE, accepted=frozenset({A}))], NOW, {}))
    assert {a: e.state for a, e in found.items()} == {A: "accepted", B: "intended"}


def test_ownership_ends_with_an_accepted_revoke_of_what_is_not_listed_any_more() -> None:
    """The same grant still being listed keeps it; another one in its place does not."""
    outcome = Outcome(
        IMAGE,
        revoked=frozenset({A, B, C}),
        grants=(Grant(B, SHARED), Grant(C, "2026-11-21T12:00:01Z")),
    )
    assert set(entries(recorded(ledger(gold=made(A, B, C)), [outcome], NOW, {}))) == {B}


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
        {},
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
