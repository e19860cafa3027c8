"""Grants that stay for a time, and first grants that ask: who counts as having left, and as granted before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts
from orgshare.ledger import Entry
from orgshare.policy.model import ImageSelector
from tests.decide.sharing import BRONZE, GOLD, GONE, PROVEN, SILVER
from tests.support.facts import MANAGEMENT, NOW, PARTNER, SHARED, A, C, facts, ledger, made, policy, reading, rule

DAY, WEEK = timedelta(days=1), timedelta(days=7)


@pytest.mark.parametrize(
    ("known", "asks"),
    [
        (None, True),
        (Entry("intended", NOW - DAY, "partner"), True),
        (Entry("intended", NOW - DAY, "partner", first=NOW - DAY), True),
        (Entry("intended", NOW - DAY, "partner", shared_time=SHARED), False),
        (Entry("accepted", NOW - DAY, "partner"), False),
        (Entry("made", NOW - DAY, "partner", shared_time=SHARED), False),
        (Entry("made", NOW - DAY, "partner", shared_time=SHARED, adopted=True), True),
    ],
)
def test_a_partner_that_we_granted_the_image_before_is_not_asked_about_again(known: Entry | None, asks: bool) -> None:
    """What was only intended, however often, is no grant, nor is what somebody else made and we adopted."""
    entries = {} if known is None else {PARTNER: known}
    of = facts(
        replace(policy(rule(partners=[PARTNER])), partners="hold"),
        *(reading(each) for each in (GOLD, SILVER, BRONZE)),
        known=ledger(gold=entries, silver=entries, bronze=entries),
    )
    for decision in decide(of).images:
        assert (decision.asking, decision.grants) == (((PARTNER,), ()) if asks else ((), (PARTNER,)))


def unselected(**safety: timedelta | None) -> Facts:
    """Three images that no rule selects any more, with grants of ours to all kinds of accounts."""
    everybody = (A, C, GONE, PARTNER, MANAGEMENT)
    entries = {**made(A, C, GONE, MANAGEMENT), **made(PARTNER, partner=True)}
    of = facts(
        policy(rule(folders=["fd-prod"], images=ImageSelector(ids=frozenset({"m-none"})))),
        *(reading(each, *everybody) for each in (GOLD, SILVER, BRONZE)),
        known=ledger(gold=entries, silver=entries, bronze=entries),
        proof=PROVEN,
    )
    return replace(of, policy=replace(of.policy, **safety))


@pytest.mark.parametrize(("on_leave", "grace"), [(WEEK, DAY), (DAY, WEEK), (WEEK, timedelta()), (timedelta(), WEEK)])
def test_who_seems_to_have_left_keeps_an_image_that_nobody_selects_for_the_longer_time(
    on_leave: timedelta, grace: timedelta
) -> None:
    """Nobody asked whether it really left; members, partners and the management account have the grace alone."""
    for decision in decide(unselected(on_leave=on_leave, grace=grace)).images:
        stays = {**dict.fromkeys((A, C, PARTNER, MANAGEMENT), grace), GONE: max(on_leave, grace)}
        assert decision.lingering == {account: NOW + time for account, time in stays.items() if time}
        assert {loss.pair.account for loss in decision.losses} == {a for a, time in stays.items() if not time}


def test_who_seems_to_have_left_keeps_an_image_for_good_where_the_policy_says_so() -> None:
    """Only that account; the grace of the others ends."""
    for decision in decide(unselected(on_leave=None, grace=DAY)).images:
        assert decision.kept == {GONE}
        assert decision.lingering == dict.fromkeys((A, C, PARTNER, MANAGEMENT), NOW + DAY)
