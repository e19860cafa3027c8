"""What was held, approved and rejected, from run to run: nothing is forgotten, doubled, or taken for another thing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from msgspec.structs import replace

from orgshare.decide.plan import Hold, pairs_id
from orgshare.guard import (
    APPROVAL_STANDS,
    Approval,
    Baseline,
    GuardRecord,
    RecordedHold,
    Rejection,
    approve,
    guard,
    reject,
    remember,
)
from orgshare.policy.model import Limits
from orgshare.words import Pair
from tests.support.facts import NOW, A, B, C

EARLIER = NOW - timedelta(hours=1)


def pairs(*accounts: str, of: str = "m-gold") -> tuple[Pair, ...]:
    return tuple(Pair(of, account) for account in accounts)


def hold(*of: Pair, gains: bool = False, cause: str = "audience") -> RecordedHold:
    return RecordedHold(pairs_id(of), EARLIER, "too many", tuple(sorted(of)), cause, gains)


def found(of: RecordedHold) -> Hold:
    """The same hold as a run found it."""
    return Hold(id=of.id, since=of.since, why=of.why, pairs=of.pairs, cause=of.cause, gains=of.gains)


def rejection(*of: Pair, gains: bool = False, cause: str = "audience") -> Rejection:
    return Rejection(of, EARLIER, "ann", "not yet", cause, gains)


def remembered(
    record: GuardRecord,
    *holds: RecordedHold,
    began_with: GuardRecord | None = None,
    judged: Iterable[Pair] | None = None,
) -> GuardRecord:
    """The record after a run that found these holds and judged these pairs, or all."""
    sure = None if judged is None else frozenset(judged)
    return remember(
        record,
        map(found, holds),
        lambda pair: sure is None or pair in sure,
        began_with=began_with if began_with is not None else record,
        rejected=frozenset(),
    )


def test_an_approval_says_who_and_why_and_leaves_those_that_stand() -> None:
    """One of a day ago is dropped, one of a moment less stays."""
    old = Approval(pairs(A), NOW - APPROVAL_STANDS, "bob", "old")
    young = replace(old, pairs=pairs(B), at=NOW - APPROVAL_STANDS + timedelta(seconds=1))
    after = approve(GuardRecord(approvals=(old, young)), hold(*pairs(C)), now=NOW, who="ann", reason="moved away")
    assert after.approvals == (young, Approval(pairs(C), NOW, "ann", "moved away"))


def test_rejecting_a_part_of_what_was_approved_leaves_the_other_part_approved() -> None:
    """With who and why, as it was said then."""
    before = Approval(pairs(A, B, C), EARLIER, "bob", "all of them")
    after = reject(GuardRecord(approvals=(before,)), hold(*pairs(B)), now=NOW, who="ann", reason="not this one")
    assert after.approvals == (replace(before, pairs=pairs(A, C)),)
    assert after.rejections == (Rejection(pairs(B), NOW, "ann", "not this one", "audience"),)


def test_rejecting_a_loss_takes_nothing_back_of_a_gain_of_the_same_pairs() -> None:
    """An approved first grant, one that waits, and one that was rejected stay as they are."""
    record = GuardRecord(
        holds=(hold(*pairs(A, B), gains=True),),
        approvals=(Approval(pairs(A, B), EARLIER, "bob", "", gains=True),),
        rejections=(rejection(*pairs(A, B), gains=True),),
    )
    after = reject(record, hold(*pairs(A, B)), now=NOW, who="ann", reason="")
    assert (after.holds, after.approvals) == (record.holds, record.approvals)
    assert after.rejections == (*record.rejections, Rejection(pairs(A, B), NOW, "ann", "", "audience"))


def test_a_pair_is_rejected_for_one_cause_at_a_time() -> None:
    """What is said last counts; other pairs of the earlier rejection stay rejected for theirs."""
    record = GuardRecord(rejections=(rejection(*pairs(A, B)),))
    after = reject(record, hold(*pairs(B), cause="image"), now=NOW, who="ann", reason="")
    assert after.rejections == (rejection(*pairs(A)), Rejection(pairs(B), NOW, "ann", "", "image"))


def test_holds_of_gains_and_of_losses_are_remembered_apart() -> None:
    """Of each what this run did not judge stays, also where the other kind has the same pairs."""
    gain, loss = hold(*pairs(A, B), gains=True, cause="partner"), hold(*pairs(A, B))
    other = hold(*pairs(C, of="m-silver"), gains=True, cause="partner")
    record = GuardRecord(holds=(gain, loss))
    assert remembered(record, judged=()).holds == tuple(sorted((gain, loss), key=lambda h: h.id))
    assert set(remembered(record, loss, other, judged=pairs(A, B)).holds) == {loss, other}
    assert set(remembered(record, loss, judged=()).holds) == {gain, loss}


def test_two_rejections_made_while_a_run_was_under_way_both_keep_their_pairs_out() -> None:
    """For the same cause; what else the run found is held under a name of its own."""
    began = GuardRecord()
    record = GuardRecord(rejections=(rejection(*pairs(A)), rejection(*pairs(B))))
    after = remembered(record, hold(*pairs(A, B, C)), began_with=began)
    assert after.rejections == record.rejections
    assert after.holds == (hold(*pairs(C)),)


def test_a_first_grant_that_this_run_did_not_come_to_stays_in_its_hold() -> None:
    """With the one that it came to: a person was asked about both together."""
    waiting = hold(*pairs(A, B), gains=True, cause="partner")
    asked = pairs(A)
    (again,) = guard(
        (),
        asking=asked,
        base=Baseline(pairs=1, by_image={}, by_rule={}, accounts_of_rule={}, members=1),
        limits=Limits(),
        record=GuardRecord(holds=(waiting,)),
        judged=lambda pair: pair in asked,
        now=NOW,
    )
    assert again == found(waiting)
