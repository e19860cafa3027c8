"""What the limits are compared with: everybody who has access now, each once, and who lost it lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide, make_reach
from orgshare.decide.facts import Facts
from orgshare.decide.shares import STATE
from orgshare.guard import Baseline, baseline
from orgshare.ledger import Entry, Ledger, Lost
from orgshare.policy.model import WINDOW
from orgshare.words import DEPLOYMENT, Association, ImageReading, Pair, ResourceShare, Shard, Sharing
from tests.support import facts as support
from tests.support.facts import (
    JUST_NOW,
    NOW,
    OWNER,
    SHARD,
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

OTHER = Shard("ecs", OWNER, "cn-shanghai")
OURS = frozenset({(DEPLOYMENT, "golden-images"), (STATE, support.STATE)})
GOLD, SILVER, BRONZE = image("gold"), image("silver"), image("bronze")
EARLIER = NOW - timedelta(hours=1)


def share(images: Iterable[str | Association], targets: Mapping[str, str], name: str = "1") -> ResourceShare:
    """A share of ours; ``targets`` with their statuses."""
    return ResourceShare(
        id=f"rs-{name}",
        tags=OURS,
        images=tuple(i if isinstance(i, Association) else Association(i, "Associated", JUST_NOW) for i in images),
        targets=tuple(Association(t, status, JUST_NOW) for t, status in targets.items()),
    )


def rows(*shares: ResourceShare, rules: tuple[str, ...] = ("golden",)) -> dict[str, dict[str, Entry]]:
    """Every row of these shares, as ours."""
    return {
        s.id: {r.entity: Entry("made", NOW, rules=rules, shared_time=JUST_NOW) for r in s.images + s.targets}
        for s in shares
    }


def whole(of: Facts, others: Mapping[Shard, Ledger] | None = None) -> Baseline:
    ledgers = {**of.ledgers, **(others or {})}
    return baseline(decide(of), ledgers, make_reach(of), of.organization.members, now=NOW, window=WINDOW)


def read(*readings: ImageReading, known: Ledger, shares: Iterable[ResourceShare] = ()) -> Facts:
    prod = rule(folders=["fd-prod", "fd-test"], channel="auto")
    return facts(policy(prod), *readings, known=known, sharing=Sharing(tuple(shares)))


def test_a_row_that_is_on_its_way_out_gives_nobody_anything() -> None:
    """The ledger still knows it as ours, and the cloud says that it is ending."""
    one = share(["m-gold", "m-silver", "m-bronze"], {A: "Associated", B: "Associated", C: "Disassociating"})
    known = Ledger(shares=rows(one), made=frozenset({"rs-1"}))
    found = whole(read(reading(GOLD), reading(SILVER), reading(BRONZE), known=known, shares=[one]))
    assert (found.accounts_of_rule, found.by_rule) == ({"golden": 2}, {"golden": 6})


def test_an_image_that_is_on_its_way_out_or_was_put_there_by_hand_counts_for_no_rule() -> None:
    """Of three images in our share one is ours and stands."""
    one = share([Association("m-gold", "Disassociating", JUST_NOW), "m-silver", "m-bronze"], {A: "Associated"})
    own = {entity: entry for entity, entry in rows(one)["rs-1"].items() if entity != "m-bronze"}
    known = Ledger(shares={"rs-1": own}, made=frozenset({"rs-1"}))
    found = whole(read(reading(GOLD), reading(SILVER), reading(BRONZE), known=known, shares=[one]))
    assert (found.accounts_of_rule, found.by_rule) == ({"golden": 1}, {"golden": 1})


def test_a_grant_of_ours_that_was_read_and_is_not_there_counts_for_no_rule() -> None:
    """The ledger remembers it until a second reading, but nobody has it by now; an unread image's grants count."""
    known = ledger(gold=made(A, B, C), silver=made(D))
    found = whole(read(reading(GOLD, A, B), known=known))
    assert (found.by_rule, found.accounts_of_rule, found.pairs) == ({"golden": 3}, {"golden": 3}, 3)


def test_what_is_remembered_of_an_image_that_is_gone_makes_no_limit_wider() -> None:
    """Whoever had it, by a grant or by a share, has it no more; the accounts of its rule are known all the same."""
    one = share(["m-silver", "m-iron"], {A: "Associated", B: "Associated"})
    known = replace(ledger(gold=made(A, B, C), bronze=made(C, D)), shares=rows(one), made=frozenset({"rs-1"}))
    of = read(reading(GOLD, A, B, C), known=known, shares=[one])
    absent = frozenset({"m-bronze", "m-iron"})
    found = baseline(
        decide(of), of.ledgers, make_reach(of), of.organization.members, now=NOW, window=WINDOW, absent=absent
    )
    assert (found.pairs, whole(of).pairs) == (5, 9)
    assert (found.by_rule, whole(of).by_rule) == ({"golden": 5}, {"golden": 9})
    assert (found.by_image["m-bronze"], found.by_image["m-iron"]) == (0, 0)
    assert found.accounts_of_rule == {"golden": 4}


def test_an_intention_hides_nothing_that_comes_after_it() -> None:
    """The first account was only about to get its grant; the others have theirs."""
    intended = {A: Entry("intended", NOW, rules=("golden",))}
    found = whole(read(reading(GOLD), known=Ledger()), {OTHER: ledger(silver={**intended, **made(B, C)})})
    assert (found.by_image["m-silver"], found.by_rule, found.accounts_of_rule) == (2, {"golden": 2}, {"golden": 2})


def test_the_accounts_of_a_rule_are_those_of_all_its_shares() -> None:
    """Two shares with two accounts each and one in common: three accounts, four pairs."""
    one, two = (
        share(["m-gold"], {A: "Associated", B: "Associated"}),
        share(["m-silver"], {B: "Associated", C: "Associated"}, "2"),
    )
    known = Ledger(shares=rows(one, two), made=frozenset({"rs-1", "rs-2"}))
    for of in (
        read(reading(GOLD), reading(SILVER), known=known, shares=[one, two]),
        read(reading(BRONZE), known=known, shares=[one, two]),
    ):
        found = whole(of)
        assert (found.by_rule, found.accounts_of_rule) == ({"golden": 4}, {"golden": 3})


def test_everybody_who_lost_access_lately_is_still_one_of_the_accounts_of_the_rule() -> None:
    """Three lost it, one of them has it by another image: of the rule four accounts are known."""
    lost = {"m-gold": {a: Lost(EARLIER, ("golden",)) for a in (A, B, C)}}
    known = replace(ledger(gold=made(D), silver=made(A)), lost=lost)
    found = whole(read(reading(GOLD, D), reading(SILVER, A), known=known))
    assert (found.accounts_of_rule, found.pairs) == ({"golden": 4}, 5)
    assert found.gone == {Pair("m-gold", a) for a in (A, B, C)}


def test_a_pair_that_was_taken_away_and_not_read_back_is_gone_whatever_the_ledger_says() -> None:
    """What the cloud says of an image that was read counts: one is there by hand, one by a share, one is not."""
    one = share(["m-gold"], {B: "Associated"})
    lost = {"m-gold": {a: Lost(EARLIER, ("golden",)) for a in (A, B, C)}}
    known = replace(ledger(gold=made(A, C)), lost=lost, shares=rows(one), made=frozenset({"rs-1"}))
    found = whole(read(reading(GOLD, A), known=known, shares=[one]))
    assert found.gone == {Pair("m-gold", C)}


def test_a_pair_that_a_share_gives_again_is_not_gone_though_nobody_looked() -> None:
    """In a shard that this run did not read, what stands in its ledger counts."""
    one = share(["m-silver"], {A: "Associated", B: "Associated"})
    lost = {"m-silver": {a: Lost(EARLIER, ("golden",)) for a in (A, C)}}
    found = whole(read(reading(GOLD), known=Ledger()), {OTHER: Ledger(shares=rows(one), lost=lost)})
    assert found.gone == {Pair("m-silver", C)}
    assert found.pairs == 3


@pytest.mark.parametrize(("associated", "accounts"), [(False, 2), (True, 1)])
def test_a_row_that_is_on_its_way_in_counts_only_where_it_is_asked_for(associated: bool, accounts: int) -> None:
    """With it and without it: what is under way may give access, and may not yet."""
    one = share(["m-gold", "m-silver", "m-bronze"], {A: "Associated", B: "Associating"})
    known = Ledger(shares=rows(one), made=frozenset({"rs-1"}))
    of = read(reading(GOLD), reading(SILVER), reading(BRONZE), known=known, shares=[one])
    holding = decide(of).shards[SHARD].holdings(associated=associated)["rs-1"]
    assert (len(holding.images), len(holding.targets)) == (3, accounts)
    assert set(decide(of).shards[SHARD].holdings()["rs-1"].targets) == {A, B}


def test_an_image_that_was_read_counts_what_is_ours_and_what_the_policy_would_take_away() -> None:
    """A grant of ours and two by hand, of which nobody wants one; the wanted one is nobody's to lose."""
    of = read(reading(GOLD, A, B, E), reading(SILVER, A), reading(BRONZE), known=ledger(gold=made(A), silver=made(A)))
    found = whole(replace(of, policy=replace(of.policy, unmanaged="revoke"), sweep=True))
    assert (found.by_image["m-gold"], found.by_image["m-silver"], found.pairs) == (2, 1, 3)


def test_a_rule_or_an_image_has_ended_when_nobody_who_has_it_is_wanted_any_more() -> None:
    """Whoever stays for another reason does not count, nor does who is wanted and has nothing."""
    known = ledger(gold=made(A, B, rules=("golden", "gone")), silver=made(C, rules=("other",)), bronze=made(D))
    of = facts(
        policy(rule(accounts=[E]), rule("other", accounts=[C])),
        reading(GOLD, A, B),
        reading(SILVER, C),
        reading(BRONZE, D),
        known=known,
    )
    assert whole(of).ended == {"golden", "gone", "m-gold", "m-bronze"}
    wanted = replace(of, policy=policy(rule(accounts=[A, E]), rule("other", accounts=[C])))
    assert whole(wanted).ended == {"gone", "m-bronze"}
