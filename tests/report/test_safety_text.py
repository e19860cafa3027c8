"""What reports say of grants that stay for a time, of partners that wait for a person, and of a person's no."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from rich.text import Text

from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.plan import Hold, pairs_id
from orgshare.decide.planning import assemble
from orgshare.guard import PARTNER as FOR_A_PARTNER
from orgshare.guard import Approval, RecordedHold
from orgshare.report.answer_text import explain_lines, holds_lines
from orgshare.report.documents import Remembered, explain_document, holds_document, planned_document
from orgshare.report.explaining import Explanation, explain
from orgshare.report.overview import Counts, overview
from orgshare.report.plan_text import plan_lines
from orgshare.way.planning import Planned
from orgshare.words import Pair
from tests.support.facts import (
    NOW,
    ORGANIZATION,
    OWNER,
    PARTNER,
    SHARD,
    A,
    B,
    C,
    D,
    facts,
    image,
    ledger,
    made,
    policy,
    reading,
    rule,
)
from tests.support.plans import names, planned

NAMES = ("m-gold", "m-silver", "m-bronze")
WEEK = timedelta(days=7)
GONE = "1000000000000099"
PAIRS = tuple(sorted(Pair(name, PARTNER) for name in NAMES))
WHY = f"the first grant to partner {PARTNER} waits for approval (safety.partners)"
FIRST = Hold(id=pairs_id(PAIRS), since=NOW, why=WHY, pairs=PAIRS, cause=FOR_A_PARTNER, gains=True)
ID = FIRST.id


def plain(lines: Iterable[Text]) -> list[str]:
    return [line.plain for line in lines]


def asking(*, rejected: frozenset[Pair] = frozenset()) -> Planned:
    """A and B are granted; the partner's first grants are held, or were rejected."""
    of = facts(
        policy(rule(folders=["fd-prod"], partners=[PARTNER])), *(reading(image(name[2:]), A, B) for name in NAMES)
    )
    of = replace(of, policy=replace(of.policy, partners="hold"))
    plan = assemble(of, decide(of), () if rejected else (FIRST,), rejected=rejected)
    return replace(planned(of, plan), rejected=rejected)


def unwanted(rejected: frozenset[Pair] = frozenset(), **safety: Any) -> Planned:
    """A and B are wanted; C, D and one that left the organization have grants of ours too."""
    of: Facts = facts(
        policy(rule(folders=["fd-prod"])),
        reading(image("gold"), A, B, C, D, GONE),
        known=ledger(gold=made(A, B, C, D, GONE)),
        proof=Proof(placed=frozenset(ORGANIZATION.members), departed=frozenset({GONE})),
    )
    of = replace(of, policy=replace(of.policy, **safety))
    return replace(planned(of, assemble(of, decide(of), (), rejected=rejected)), rejected=rejected)


def ask(of: Planned, account: str) -> Explanation:
    return explain(of, of.decisions.images[0], account)


def told(of: Explanation) -> dict[str, str]:
    lines = plain(explain_lines(of, names(image("gold"))))
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in lines[1:] if "  " in line}


def test_a_hold_of_first_grants_loses_no_pair_and_has_grants_as_its_changes() -> None:
    """In the document of a plan: one change an image."""
    (row,) = planned_document(asking())["held"]
    assert (row["id"], row["lost_pairs"], row["expires"], row["why"]) == (ID, 0, None, WHY)
    assert [(c["action"], c["images"], c["accounts"], c["rules"], c["gained"], c["lost"]) for c in row["changes"]] == [
        ("grant", [name], [PARTNER], ["golden"], 1, 0) for name in sorted(NAMES)
    ]


def test_a_hold_of_first_grants_in_the_state_looks_the_same() -> None:
    """An approval of a loss of the same pairs does not show it as released."""
    gain = RecordedHold(ID, NOW, WHY, PAIRS, FOR_A_PARTNER, gains=True)
    of_loss, of_gain = Approval(PAIRS, NOW, "ann"), Approval(PAIRS, NOW, "ann", gains=True)
    known = Remembered(dict.fromkeys(NAMES, SHARD))
    (row,) = holds_document([gain], [of_loss], known, NOW)["held"]
    assert (row["lost_pairs"], row["expires"]) == (0, None)
    assert {(c["action"], c["gained"], c["lost"]) for c in row["changes"]} == {("grant", 1, 0)}
    document = holds_document([gain], [of_gain], known, NOW)
    assert document["held"][0]["expires"] == "2026-11-22T12:00:00Z"
    assert [row["lost_pairs"] for row in document["approved"]] == [0]


def test_holds_tell_those_who_have_no_access_from_those_who_keep_it() -> None:
    """Doing nothing leaves everything as it is, both ways; approved, the next apply grants."""
    gain = RecordedHold(ID, NOW, WHY, PAIRS, FOR_A_PARTNER, gains=True)
    approval = Approval(PAIRS, NOW, "ann", gains=True)
    known = Remembered(dict.fromkeys(NAMES, SHARD))

    def lines(*approvals: Approval) -> list[str]:
        document = holds_document([gain], approvals, known, NOW)
        return plain(holds_lines(document, approvals, names(), now=NOW, detail=False))

    assert lines()[0] == f"~ {ID}  3 pairs of 3 images, since 2026-11-21 12:00 UTC: {WHY}"
    assert lines()[-1] == (
        f"    they have no access until a person decides; «orgshare approve {ID}» releases exactly these, "
        f"«orgshare reject {ID}» drops them until the facts change"
    )
    assert lines(approval)[-2:] == [
        "    approved: the next apply grants what it still wants to grant, until 2026-11-22T12:00:00Z",
        "approved by ann at 2026-11-21T12:00:00Z until 2026-11-22T12:00:00Z: 3 pairs to be gained",
    ]


def test_a_plan_has_a_section_for_those_who_wait_for_their_first_grant() -> None:
    """They count as held in its last line."""
    lines = plain(plan_lines(planned_document(asking()), names()))
    start = lines.index("held: they have no access until a person decides")
    assert lines[start + 1].startswith(f"  ~ {ID}  3 pairs of 3 images")
    assert "held: they keep access until a person decides" not in lines
    assert "~ 3 pairs held" in lines[-1]


def test_the_same_pairs_held_to_be_gained_or_lost_are_two_digests() -> None:
    """A plan that was approved for one is not the plan of the other."""
    plan = asking().plan
    lost = replace(FIRST, gains=False)
    assert replace(plan, held=(lost,)).digest() != plan.digest()
    assert replace(plan, held=()).digest() not in (plan.digest(), replace(plan, held=(lost,)).digest())


def test_who_waits_for_the_first_grant_is_told_so() -> None:
    """NO, with the hold and how it is released."""
    got = ask(asking(), PARTNER)
    assert (got.answer, got.wanted, got.has) == ("NO", True, False)
    assert told(got)["evidence"] == f"not granted yet; held: {WHY}"
    assert told(got)["change"] == f"«orgshare approve {ID}» lets the next apply grant it"
    (held,) = explain_document(got)["held"]
    assert [(c["action"], c["images"], c["gained"]) for c in held["changes"]] == [("grant", [got.image.id], 1)]
    assert ask(asking(), A).held == ()


def test_whose_first_grant_was_rejected_is_told_so() -> None:
    """NO, without a hold."""
    got = ask(asking(rejected=frozenset(PAIRS)), PARTNER)
    assert (got.answer, got.held) == ("NO", ())
    assert told(got)["evidence"] == "not granted yet; a person rejected the first grant to this partner"
    assert "a person is asked again" in told(got)["change"]


def test_who_has_grace_has_it_for_now_and_until_when() -> None:
    """Pending says the same; who is wanted has a plain yes."""
    run = unwanted(grace=WEEK, on_leave=WEEK)
    for account in (C, D, GONE):
        got = ask(run, account)
        assert (got.answer, got.wanted, got.held) == ("YES, FOR NOW", False, ())
        assert told(got)["next"] == (
            "no longer wanted: its direct grant is kept until 2026-11-28T12:00:00Z, and revoked then"
        )
        assert [(p.entity, p.status) for p in got.pending] == [
            (f"m-gold/{account}", "not wanted any more: its direct grant is kept until 2026-11-28T12:00:00Z")
        ]
        assert told(got)["change"].startswith("to keep it, name the account")
    assert ask(run, A).answer == "YES"


def test_what_on_leave_keeps_for_good_is_a_plain_yes() -> None:
    """With the reason, and how to end it."""
    got = ask(unwanted(on_leave=None), GONE)
    assert got.answer == "YES"
    assert told(got)["evidence"].endswith("; it left the organization, and safety.on_leave keeps it")
    assert told(got)["change"] == "safety.on_leave: revoke would end it"


def test_a_rejected_loss_is_a_plain_yes_with_what_would_change_it() -> None:
    """Nothing is due for it; the others are revoked by the next apply."""
    run = unwanted(rejected=frozenset({Pair("m-gold", C)}))
    got = ask(run, C)
    assert (got.answer, got.pending) == ("YES", ())
    assert told(got)["next"].endswith("a person rejected taking it away, so it stays until that changes")
    assert told(got)["change"] == "it is held anew when its cause changes; to end it now, revoke it by hand"
    assert ask(run, D).answer == "YES, FOR NOW"
    assert overview(run).whole == Counts(images=1, wanted=2, in_step=2, directly=2, due=2)


def test_status_counts_first_grants_that_wait_as_held() -> None:
    """Neither due nor refused."""
    found = overview(asking()).whole
    assert found == Counts(images=3, wanted=9, in_step=6, directly=6, held=3)
    assert overview(asking()).rules[0].counts == found
    none = overview(asking(rejected=frozenset(PAIRS))).whole
    assert none == Counts(images=3, wanted=9, in_step=6, directly=6)


def test_the_owner_of_these_images_is_in_no_hold() -> None:
    """It has its images whatever is held."""
    assert ask(asking(), OWNER).held == ()
