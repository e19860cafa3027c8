"""Grants that stay for a time, partners that wait for a person, and a state that does not fit the cloud."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import Decisions, ImageDecision
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.plan import MOST_ROWS, Hold
from orgshare.decide.planning import assemble, running, waiting
from orgshare.decide.shares import STATE
from orgshare.ledger import Entry, Ledger
from orgshare.words import DEPLOYMENT, Association, Pair, ResourceShare, Sharing
from tests.support import facts as support
from tests.support.facts import (
    JUST_NOW,
    MANAGEMENT,
    NOW,
    ORGANIZATION,
    PARTNER,
    SHARED,
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

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
GONE = "1000000000000099"
PROVEN = Proof(placed=frozenset(ORGANIZATION.members), departed=frozenset({GONE}), images=frozenset({"m-gold"}))
OURS = frozenset({(DEPLOYMENT, "golden-images"), (STATE, support.STATE)})
PROD = rule(folders=["fd-prod"])


def entries(*accounts: str, unwanted: datetime | None = None, partner: bool = False) -> dict[str, Entry]:
    found = made(*accounts, partner=partner)
    return {account: replace(entry, unwanted=unwanted) for account, entry in found.items()}


def with_safety(of: Facts, **changes: Any) -> Facts:
    return replace(of, policy=replace(of.policy, **changes))


def only(of: Facts) -> ImageDecision:
    (found,) = decide(of).images
    return found


def unwanted(*accounts: str, since: datetime | None = None, **safety: Any) -> Facts:
    """An image of ours that A and B should have, and these accounts have as well."""
    known = ledger(gold={**entries(A, B), **entries(*accounts, unwanted=since)})
    of = facts(policy(PROD), reading(image("gold"), A, B, *accounts), known=known, proof=PROVEN)
    return with_safety(of, **safety)


def test_a_direct_grant_stays_for_the_grace_from_the_first_run_that_finds_nobody_to_want_it() -> None:
    """It is neither lost nor held meanwhile, and what is pending says until when."""
    for since, until in ((None, NOW + WEEK), (NOW - HOUR, NOW - HOUR + WEEK)):
        found = only(unwanted(C, D, since=since, grace=WEEK))
        assert (found.losses, found.lingering) == ((), {C: until, D: until})
        written = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert [(p.entity, p.status, p.until) for p in found.pending] == [
            (f"m-gold/{a}", f"not wanted any more: its direct grant is kept until {written}", written) for a in (C, D)
        ]


@pytest.mark.parametrize(("age", "lost"), [(WEEK - timedelta(seconds=1), False), (WEEK, True)])
def test_a_grant_is_lost_when_its_grace_is_over(age: timedelta, lost: bool) -> None:
    """To the second, and with the same proof as ever."""
    of = unwanted(C, D, since=NOW - age, grace=WEEK)
    assert {loss.pair.account for loss in only(of).losses} == ({C, D} if lost else set())
    doubtful = replace(of, proof=Proof())
    assert not any(loss.proven for loss in only(doubtful).losses)


def test_without_grace_nothing_stays() -> None:
    """As many as are not wanted are lost at once."""
    found = only(unwanted(C, D, E))
    assert ({loss.pair.account for loss in found.losses}, dict(found.lingering)) == ({C, D, E}, {})


def test_many_grants_that_stay_are_counted_in_one_row() -> None:
    """Those that stay equally long."""
    accounts = [f"1000000000001{n:03d}" for n in range(MOST_ROWS + 1)]
    found = only(unwanted(*accounts, grace=WEEK, on_leave=WEEK))
    assert [(p.entity, p.status.partition(":")[0]) for p in found.pending] == [
        ("m-gold", f"{MOST_ROWS + 1} direct grants of accounts that are not wanted any more")
    ]
    assert len(found.lingering) == MOST_ROWS + 1


@pytest.mark.parametrize(
    ("on_leave", "lost", "lingering", "kept"),
    [
        (timedelta(), True, False, False),
        (WEEK, False, True, False),
        (HOUR, True, False, False),
        (None, False, False, True),
    ],
)
def test_what_left_the_organization_is_governed_by_on_leave_and_not_by_grace(
    on_leave: timedelta | None, lost: bool, lingering: bool, kept: bool
) -> None:
    """Revoked at once, after a time, or kept for good with a finding; the other two accounts have their grace."""
    of = unwanted(C, D, GONE, since=NOW - HOUR, grace=WEEK, on_leave=on_leave)
    found = only(of)
    assert ({loss.pair.account for loss in found.losses} == {GONE}) is lost
    assert found.lingering.keys() == {C, D} | ({GONE} if lingering else set())
    assert found.kept == ({GONE} if kept else frozenset())
    assert [(f.kind, f.account) for f in found.findings] == ([("kept-on-leave", GONE)] if kept else [])
    assert found.grants == ()


def test_nothing_is_granted_to_an_account_that_has_left_whatever_it_keeps() -> None:
    """Its grant went by hand, and the rule still names it."""
    named = rule(accounts=[A, GONE])
    known = ledger(gold=entries(A, GONE, unwanted=NOW - HOUR))
    of = facts(policy(named), reading(image("gold"), A), known=known)
    for on_leave in (None, WEEK):
        found = only(with_safety(of, on_leave=on_leave, grace=WEEK))
        assert (found.grants, found.losses, found.kept, dict(found.lingering)) == ((), (), frozenset(), {})


def test_a_grant_by_hand_has_no_grace() -> None:
    """Where the policy revokes such grants, they go when two sweeps saw them."""
    known = replace(ledger(gold=entries(A, B)), strangers={"m-gold": {C: SHARED}})
    of = facts(policy(PROD), reading(image("gold"), A, B, C), known=known, proof=PROVEN)
    found = only(with_safety(of, grace=WEEK, on_leave=None, unmanaged="revoke"))
    assert [loss.pair.account for loss in found.losses] == [C]


def share(name: str, images: Iterable[str], targets: Iterable[str], *, status: str = "Associated") -> ResourceShare:
    def row(entity: str) -> Association:
        return Association(entity, status, JUST_NOW)

    return ResourceShare(id=name, tags=OURS, images=tuple(map(row, images)), targets=tuple(map(row, targets)))


def rows_of(*shares: ResourceShare) -> dict[str, dict[str, Entry]]:
    return {
        one.id: {
            r.entity: Entry("made", NOW, rules=("golden",), shared_time=JUST_NOW) for r in one.images + one.targets
        }
        for one in shares
    }


def test_what_a_share_gives_ends_whatever_the_grace_of_the_direct_grant() -> None:
    """The share's row of an account that nobody wants goes at once; its direct grant stays, so no pair is lost."""
    names = ("m-gold", "m-silver", "m-bronze")
    one = share("rs-1", names, [A, B, C])
    images = [image(name.removeprefix("m-")) for name in names]
    known = replace(ledger(gold=entries(C), silver=entries(C), bronze=entries(C)), shares=rows_of(one))
    of = facts(
        policy(rule(accounts=[A, B], channel="auto")),
        *(reading(each, C) for each in images),
        known=known,
        proof=replace(PROVEN, images=frozenset(names)),
        sharing=Sharing((one,)),
    )
    decisions = decide(with_safety(of, grace=WEEK))
    assert [dict(each.lingering) for each in decisions.images] == [{C: NOW + WEEK}] * 3
    assert decisions.losses() == ()
    (cut,) = next(iter(decisions.shards.values())).cuts
    assert (cut.entity, cut.pairs, cut.block) == (C, frozenset(), None)


def test_a_rule_with_channel_auto_is_told_once_that_only_direct_grants_are_kept() -> None:
    """One finding a rule, whatever the number of images."""
    rules = [rule("one", folders=["fd-prod"], channel="auto"), rule("two", folders=["fd-prod"], channel="direct")]
    of = facts(policy(*rules), *(reading(image(name), A, B) for name in ("gold", "silver", "bronze")))
    for keys, safety in (
        ("safety.grace", {"grace": WEEK}),
        ("safety.on_leave", {"on_leave": None}),
        ("safety.grace and safety.on_leave", {"grace": WEEK, "on_leave": WEEK}),
    ):
        found = [f for f in decide(with_safety(of, **safety)).findings if f.kind == "direct-only"]
        assert [f.why for f in found] == [
            f"rule one: {keys} keep direct grants only; what resource shares give ends at once"
        ]
    assert not [f for f in decide(of).findings if f.kind == "direct-only"]


def partners(known: Ledger | None = None, *accounts: str, released: Iterable[Pair] = (), quota: int = 50) -> Facts:
    """A rule for prod and one partner, whose first grants a person has to approve."""
    of = facts(
        policy(rule(folders=["fd-prod"], partners=[PARTNER])),
        *(reading(image(name), *accounts) for name in ("gold", "silver", "bronze")),
        known=known,
    )
    return replace(with_safety(of, partners="hold"), released=frozenset(released))


def test_the_first_grant_of_an_image_to_a_partner_asks_and_others_are_granted_meanwhile() -> None:
    """For each image by itself: one was granted before, one is approved, one asks."""
    known = ledger(gold=entries(PARTNER, partner=True))
    found = decide(partners(known, released=[Pair("m-silver", PARTNER)]))
    assert {d.image.id: (d.grants, d.asking) for d in found.images} == {
        "m-gold": ((A, B, PARTNER), ()),
        "m-silver": ((A, B, PARTNER), ()),
        "m-bronze": ((A, B), (PARTNER,)),
    }
    assert found.asking() == (Pair("m-bronze", PARTNER),)
    assert not any(d.refusals for d in found.images)


def test_a_grant_by_hand_to_a_partner_satisfies_it_and_a_member_never_asks() -> None:
    """Nor does anybody where the policy lets first grants run."""
    assert [d.asking for d in decide(partners(None, PARTNER)).images] == [()] * 3
    assert [d.asking for d in decide(with_safety(partners(), partners="run")).images] == [()] * 3
    member = facts(policy(rule(accounts=[MANAGEMENT], partners=[C])), reading(image("gold")))
    assert only(with_safety(member, partners="hold")).asking == ()


def test_what_asks_takes_no_place_of_the_quota() -> None:
    """Two places: the two members get them."""
    of = partners()
    owner = replace(of.policy.owners[0], accounts_per_image=2)
    found = decide(with_safety(of, owners=(owner,)))
    assert [(d.grants, d.asking, d.refusals) for d in found.images] == [((A, B), (PARTNER,), ())] * 3


def test_a_rejection_is_a_finding_and_its_pairs_are_not_due() -> None:
    """For losses and for first grants, one row an account, and one for all where they are many."""
    of = unwanted(C, D, E)
    decisions = decide(of)
    rejected = frozenset({Pair("m-gold", C), Pair("m-gold", D)})
    plan = assemble(of, decisions, (), rejected=rejected)
    assert [(f.kind, f.image, f.account) for f in plan.findings] == [
        ("rejected", "m-gold", C), ("rejected", "m-gold", D),
    ]  # fmt: skip
    assert [(change.accounts, change.lost) for change in plan.changes] == [((E,), 1)]
    asking = decide(partners())
    plan = assemble(partners(), asking, (), rejected=frozenset(asking.asking()))
    assert {(f.kind, f.image, f.account) for f in plan.findings} == {
        ("rejected", f"m-{name}", PARTNER) for name in ("gold", "silver", "bronze")
    }
    many = [f"1000000000001{n:03d}" for n in range(MOST_ROWS + 1)]
    of = replace(unwanted(*many), proof=replace(PROVEN, departed=frozenset(many)))
    plan = assemble(of, decide(of), (), rejected=frozenset(Pair("m-gold", a) for a in many))
    assert [(f.kind, f.account, f.why.partition(":")[0]) for f in plan.findings] == [
        ("rejected", "", f"{MOST_ROWS + 1} accounts, the first {many[0]}")
    ]


def test_the_losses_that_run_are_those_of_the_plans_own_changes() -> None:
    """Proven, not held, by a revoke or by a row that may leave its share."""
    names = ("m-gold", "m-silver", "m-bronze")
    one = share("rs-1", names, [A, B, D])
    images = [image(name.removeprefix("m-")) for name in names]
    known = replace(ledger(gold=entries(C), silver=entries(C, E)), shares=rows_of(one))
    of = facts(
        policy(rule(accounts=[A, B], channel="auto")),
        reading(images[0], C),
        reading(images[1], C, E),
        reading(images[2]),
        known=known,
        proof=replace(PROVEN, placed=frozenset({C, D}), images=frozenset(names)),
        sharing=Sharing((one,)),
    )
    decisions = decide(of)
    by_share = {Pair(name, D) for name in names}
    held = frozenset({Pair("m-silver", C)})
    assert {loss.pair for loss in running(decisions, frozenset())} == {*by_share, *held, Pair("m-gold", C)}
    assert {loss.pair for loss in running(decisions, held)} == {*by_share, Pair("m-gold", C)}
    assert {loss.pair for loss in running(decisions, frozenset({Pair("m-gold", D)}))} == {Pair("m-gold", C), *held}
    changing = [
        replace(each, losses=tuple(replace(one, cause="channel") for one in each.losses if one.pair in by_share))
        for each in decisions.images
    ]
    assert running(replace(decisions, images=tuple(changing)), frozenset()) == ()


def test_what_waits_to_be_gained_keeps_nobody_from_losing_it() -> None:
    """A hold of losses keeps its pairs; one of gains has nothing to keep."""
    pairs = tuple(Pair("m-gold", a) for a in (A, B, C))
    hold = Hold(id="h-1", since=NOW, why="", pairs=pairs)
    assert waiting([hold, replace(hold, gains=True)]) == frozenset(pairs)
    assert waiting([replace(hold, gains=True)]) == frozenset()


NAMES = ("m-gold", "m-silver", "m-bronze")


def misfit(
    *shares: ResourceShare,
    known: Ledger,
    deleted: Iterable[str] = (),
    granted: Iterable[str] = (C,),
    channel: Any = "auto",
) -> Facts:
    """Three images for A and B; C has a grant of ours that nobody wants."""
    return facts(
        policy(rule(accounts=[A, B], channel=channel)),
        *(reading(image(name.removeprefix("m-")), *granted) for name in NAMES),
        known=replace(known, grants=MappingProxyType({name: entries(C) for name in NAMES})),
        proof=replace(PROVEN, images=frozenset(NAMES)),
        sharing=Sharing(shares, deleted=frozenset(deleted)),
    )


def why(found: Decisions) -> list[str]:
    return [gap.why for gap in found.incomplete]


def nothing_is_taken(found: Decisions) -> bool:
    (shard,) = found.shards.values()
    return not (found.losses() or shard.cuts or any(d.redundant or d.strangers for d in found.images))


def test_a_share_with_our_tags_that_the_state_knows_nothing_of_stops_revocations() -> None:
    """Its rows cannot be told from a person's, and so other memories may be lost too."""
    found = decide(misfit(share("rs-1", NAMES, [A, B, C, D]), known=Ledger()))
    assert nothing_is_taken(found)
    assert why(found) == [
        "resource share rs-1 has the tags of this state, and the state knows nothing of it: nothing is taken away here "
        "and no resource share is changed; run «orgshare init --recover»"
    ]
    assert all(d.undecided == {C} for d in found.images)


def test_a_share_that_the_state_knows_in_any_way_is_no_doubt() -> None:
    """That it made it, or that it has rows of ours there."""
    one = share("rs-1", NAMES, [A, B, D])
    for known in (Ledger(made=frozenset({"rs-1"})), Ledger(shares=rows_of(one))):
        found = decide(misfit(one, known=known))
        assert why(found) == []
        assert {loss.pair.account for loss in found.losses()} >= {C}


def test_a_share_that_a_run_made_and_did_not_live_to_record_is_no_doubt() -> None:
    """It has no rows, or none that are not over; nor is a share of another state, or one of a person."""
    empty = share("rs-1", (), ())
    ended = share("rs-2", NAMES, [A], status="Disassociated")
    foreign = replace(share("rs-3", NAMES, [A]), tags=frozenset({(DEPLOYMENT, "golden-images"), (STATE, "other")}))
    by_hand = replace(share("rs-4", NAMES, [A]), tags=frozenset())
    assert why(decide(misfit(empty, ended, foreign, by_hand, known=Ledger()))) == []


def test_a_share_that_the_state_made_and_the_cloud_does_not_know_stops_revocations() -> None:
    """Unless the cloud calls it deleted; and nothing is granted where it may still reach somebody."""
    one = share("rs-1", NAMES[:2], [A, B])
    known = Ledger(shares=rows_of(one), made=frozenset({"rs-1"}))
    found = decide(misfit(known=known, channel="direct"))
    assert nothing_is_taken(found)
    assert why(found)[0].startswith(
        "the state knows resource share rs-1, which the cloud neither lists nor calls deleted: nothing is taken away"
    )
    assert {d.image.id: d.grants for d in found.images} == {"m-gold": (), "m-silver": (), "m-bronze": (A, B)}
    deleted = decide(misfit(known=known, channel="direct", deleted=["rs-1"]))
    assert why(deleted) == []
    assert {d.image.id: d.grants for d in deleted.images} == dict.fromkeys(NAMES, (A, B))
    assert len(deleted.losses()) == 3


def test_in_doubt_no_share_is_made_or_filled_and_no_double_share_ended() -> None:
    """What joined a share that was forgotten would make it look remembered."""
    doubt = Ledger(made=frozenset({"rs-9"}))
    found = decide(misfit(known=doubt, channel="directory"))
    (shard,) = found.shards.values()
    assert shard.arrangement.joining == ()
    assert [d.grants for d in found.images] == [()] * 3
    hand = replace(share("rs-2", NAMES, [C]), tags=frozenset())
    both = misfit(hand, known=doubt, channel="direct")
    assert all(d.redundant == () for d in decide(both).images)
    certain = decide(replace(both, ledgers={support.SHARD: replace(both.ledgers[support.SHARD], made=frozenset())}))
    assert all(d.redundant == (C,) for d in certain.images)


def test_in_doubt_nothing_leaves_the_shares_that_the_state_does_know() -> None:
    """One is remembered with a target that nobody wants; another one was forgotten, and what else nobody knows."""
    known, forgotten = share("rs-1", NAMES, [A, B, D]), share("rs-2", (), [E])
    certain = misfit(known, known=Ledger(shares=rows_of(known)))
    (cut,) = next(iter(decide(certain).shards.values())).cuts
    assert cut.entity == D
    found = decide(misfit(known, forgotten, known=Ledger(shares=rows_of(known))))
    assert nothing_is_taken(found)
    assert all(d.undecided == {C, D} for d in found.images)
