"""What other shards are about to lose, as far as their ledgers tell: each loss counts once, and nothing else counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.audience import resolve_all
from orgshare.decide.facts import Facts
from orgshare.decide.losses import Cause, Loss, foreseen
from orgshare.ledger import Entry, Ledger
from orgshare.policy.model import Mode, Rule
from orgshare.retired import Retirement
from orgshare.words import Pair, Shard
from tests.decide.sharing import GONE, NAMES
from tests.support.facts import NOW, OWNER, PARTNER, SHARD, A, B, C, D, E, facts, made, policy, rule

FAR, FARTHER = Shard("ecs", OWNER, "cn-shanghai"), Shard("ecs", OWNER, "eu-west-1")
UNNAMED = Shard("ecs", "1000000000000077", "cn-shanghai")
SECOND, DAY, WEEK = timedelta(seconds=1), timedelta(days=1), timedelta(days=7)
PROD, TEST = rule(folders=["fd-prod"]), rule("lab", folders=["fd-test"])
RETIRED = {"m-gold": Retirement(NOW - DAY, "ann", "replaced")}


def elsewhere(known: Ledger, *rules: Rule, **changes: object) -> Facts:
    """A shard that is not looked at has this ledger, behind one that is and one of an owner no longer named."""
    return replace(facts(policy(*rules)), ledgers={SHARD: Ledger(), UNNAMED: Ledger(), FAR: known}, **changes)


def foresee(of: Facts) -> dict[Pair, Loss]:
    found = foreseen(of, resolve_all(of.policy, of.organization, of.now.date()), {SHARD})
    by_pair = {loss.pair: loss for loss in found}
    assert len(by_pair) == len(found)
    return by_pair


def lost(
    causes: Mapping[str, Cause],
    images: Iterable[str] = NAMES,
    *,
    rules: tuple[str, ...] = ("golden",),
    shard: Shard = FAR,
) -> dict[Pair, Loss]:
    """What these accounts lose for these causes, on each of the images, without proof."""
    return {
        Pair(image, account): Loss(
            pair=Pair(image, account), shard=shard, cause=cause, proven=False, rules=rules,
            hangs_on_image=False, hangs_on_listing=False, approved=False,
        )
        for image in images for account, cause in causes.items()
    }  # fmt: skip


def granted(entries: Mapping[str, Entry]) -> Ledger:
    """All three images are granted so."""
    return Ledger(dict.fromkeys(NAMES, entries))


def reached(*accounts: str, **behind: tuple[str, ...]) -> Ledger:
    """A share of ours gives these accounts all three images, for ``golden`` or these rules; its target for ``lab``."""
    rows = {name: Entry("made", NOW, rules=behind.get(name[2:], ("golden",))) for name in NAMES}
    return Ledger(
        shares={"rs-1": {**rows, "fd-test": Entry("made", NOW, rules=("lab",))}, "rs-2": {}},
        reached=dict.fromkeys(NAMES, frozenset(accounts)),
    )


def test_each_shard_that_is_not_looked_at_counts_with_its_own_losses() -> None:
    """Neither one that is looked at, nor that of an owner whom the policy does not name."""
    of = {shard: [f"m-{n}-{shard.region}" for n in range(3)] for shard in (SHARD, UNNAMED, FAR, FARTHER)}
    ledgers = {shard: Ledger({name: made(A, C) for name in names}) for shard, names in of.items()}
    assert foresee(replace(elsewhere(Ledger(), PROD), ledgers=ledgers)) == {
        **lost({C: "audience"}, of[FAR], shard=FAR), **lost({C: "audience"}, of[FARTHER], shard=FARTHER),
    }  # fmt: skip


def test_grants_that_nobody_wants_are_lost() -> None:
    """A partner leaves no organization; what was only intended gives nothing."""
    intended = {D: Entry("intended", NOW, rules=("golden",))}
    entries = {**made(A, C), **intended, **made(B, GONE), **made(PARTNER, partner=True)}
    assert foresee(elsewhere(granted(entries), PROD)) == lost({C: "audience", GONE: "departed", PARTNER: "audience"})


def test_what_a_share_reaches_is_lost_where_the_rules_behind_the_image_do_not_want_it() -> None:
    """Another rule that wants the account does not speak of the image, whatever is behind the target."""
    found = foresee(elsewhere(reached(A, C, GONE, silver=("lab", "golden")), PROD, TEST))
    alone = lost({C: "audience", GONE: "departed"}, ["m-bronze", "m-gold"])
    assert found == {**alone, **lost({GONE: "departed"}, ["m-silver"], rules=("lab", "golden"))}


@pytest.mark.parametrize("behind", [("gone",), ()])
def test_an_image_of_which_no_rule_is_known_keeps_whom_any_rule_wants(behind: tuple[str, ...]) -> None:
    """A rule that is gone may have got another name, and a share that is gone tells of no rule."""
    by_share = reached(A, C, E, bronze=behind, gold=behind, silver=behind)
    for known, rules in (
        (by_share, behind),
        (replace(by_share, shares={}), ()),
        (granted(made(A, C, E, rules=behind)), behind),
    ):
        assert foresee(elsewhere(known, PROD, TEST)) == lost({E: "audience"}, rules=rules)


def test_a_pair_by_grant_and_by_share_is_lost_once() -> None:
    """Whoever was granted it as a partner is one; who has it by the share alone, or as a member, has left."""
    grants = {"m-gold": {**made(C), **made(PARTNER, partner=True)}, "m-silver": made(C, PARTNER)}
    found = foresee(elsewhere(replace(reached(A, C, PARTNER, GONE), grants=grants), PROD))
    left = lost({C: "audience", GONE: "departed", PARTNER: "departed"})
    assert found == {**left, **lost({PARTNER: "audience"}, ["m-gold"])}


@pytest.mark.parametrize("known", [reached(A, B, GONE), granted(made(A, B, GONE))], ids=["share", "grants"])
def test_everybody_loses_a_retired_image_whoever_wants_it(known: Ledger) -> None:
    """For that cause alone, also who left; the other images stay with those who are wanted."""
    assert foresee(elsewhere(known, PROD, retired=RETIRED)) == {
        **lost({GONE: "departed"}, ["m-bronze", "m-silver"]),
        **lost({A: "retired", B: "retired", GONE: "retired"}, ["m-gold"]),
    }


@pytest.mark.parametrize("mode", ["observe", "add"])
def test_a_careful_mode_loses_nothing_not_even_a_retired_image(mode: Mode) -> None:
    """One of the rules behind a pair is enough; a rule that is not behind it keeps nothing."""
    entries = {**made(E, rules=("golden", "lab")), **made(C), **made(D, rules=("lab",))}
    found = foresee(elsewhere(granted(entries), PROD, replace(TEST, mode=mode), retired=RETIRED))
    assert found == {**lost({C: "audience"}), **lost({C: "retired"}, ["m-gold"])}


def test_a_rule_that_rests_on_something_unknown_loses_nothing() -> None:
    """Nobody knows whom it wants; the other rule goes on."""
    frozen = rule("lab", folders=["fd-test"], without_accounts=["1000000000000088"])
    for behind, found in (("lab", {}), ("golden", lost({D: "audience", E: "audience"}))):
        known = reached(E, bronze=(behind,), gold=(behind,), silver=(behind,))
        known = replace(known, grants=dict.fromkeys(NAMES, made(D, rules=(behind,))))
        assert foresee(elsewhere(known, PROD, frozen)) == found


@pytest.mark.parametrize(
    ("on_leave", "grace", "stay"),
    [
        (timedelta(), timedelta(), ()), (SECOND, timedelta(), (GONE,)), (None, timedelta(), (GONE,)),
        (timedelta(), SECOND, (C, PARTNER)), (None, SECOND, (C, GONE, PARTNER)),
    ],
)  # fmt: skip
def test_a_grant_that_stays_for_a_time_is_not_lost_meanwhile(
    on_leave: timedelta | None, grace: timedelta, stay: tuple[str, ...]
) -> None:
    """Who left stays as long as the policy lets it, members and partners for the grace."""
    of = elsewhere(granted({**made(C, GONE), **made(PARTNER, partner=True)}), PROD)
    causes: dict[str, Cause] = {C: "audience", GONE: "departed", PARTNER: "audience"}
    found = foresee(replace(of, policy=replace(of.policy, on_leave=on_leave, grace=grace)))
    assert found == lost({account: cause for account, cause in causes.items() if account not in stay})


@pytest.mark.parametrize(("since", "stays"), [(DAY - SECOND, True), (DAY, False), (WEEK, False)])
def test_the_time_that_a_grant_stays_runs_from_when_nobody_wanted_it(since: timedelta, stays: bool) -> None:
    """At its very end the grant is lost; what a share reaches has no such time."""
    entries = {account: replace(entry, unwanted=NOW - since) for account, entry in made(C, GONE).items()}
    of = elsewhere(replace(reached(E), grants=dict.fromkeys(NAMES, entries)), PROD)
    found = foresee(replace(of, policy=replace(of.policy, on_leave=DAY, grace=DAY)))
    over: dict[Pair, Loss] = {} if stays else lost({C: "audience", GONE: "departed"})
    assert found == {**lost({E: "audience"}), **over}
