"""What the guard counts where access goes through resource shares: pairs, each once, whatever carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from orgshare.decide.coverage import Reach
from orgshare.decide.deciding import decide, make_reach
from orgshare.decide.decisions import Decisions
from orgshare.decide.facts import Facts, Proof
from orgshare.decide.losses import Cause, Loss
from orgshare.decide.plan import Hold
from orgshare.decide.shares import STATE
from orgshare.guard import Baseline, GuardRecord, RecordedHold, approve, baseline, guard
from orgshare.ledger import Entry, EntryState, Ledger
from orgshare.policy.model import WINDOW, ImageSelector, Limits
from orgshare.words import DEPLOYMENT, Association, Pair, ResourceShare, Shard, Sharing
from tests.support import facts as support
from tests.support.facts import (
    JUST_NOW,
    NOW,
    ORGANIZATION,
    OWNER,
    SHARD,
    A,
    B,
    C,
    D,
    E,
    facts,
    image,
    made,
    policy,
    reading,
    rule,
)

NO_LIMIT = Limits(lost_pairs=10**6, lost_percent=100, departed_accounts=10**6, departed_percent=100)
OTHER = Shard("ecs", OWNER, "cn-shanghai")
GOLD, SILVER, BRONZE = image("gold"), image("silver"), image("bronze")
THREE = (GOLD, SILVER, BRONZE)
NAMES = ("m-gold", "m-silver", "m-bronze")
OURS = frozenset({(DEPLOYMENT, "golden-images"), (STATE, support.STATE)})
PLACED = Proof(placed=frozenset(ORGANIZATION.members), images=frozenset(NAMES))
Rules = Mapping[str, tuple[str, ...]]


def share(
    name: str, images: Iterable[str], targets: Iterable[str], *, status: Mapping[str, str] = MappingProxyType({})
) -> ResourceShare:
    """The share ``rs-<name>`` of ours, with everything associated unless ``status`` says otherwise."""

    def row(entity: str) -> Association:
        return Association(entity, status.get(entity, "Associated"), JUST_NOW)

    return ResourceShare(id=f"rs-{name}", tags=OURS, images=tuple(map(row, images)), targets=tuple(map(row, targets)))


def known(
    *shares: ResourceShare,
    grants: Mapping[str, Mapping[str, Entry]] = MappingProxyType({}),
    rules: Rules = MappingProxyType({}),
    state: EntryState = "made",
    by_hand: Iterable[str] = (),
) -> Ledger:
    """A ledger with every row of these shares but those made by hand; ``rules`` other than ``golden`` by entity."""
    aside = frozenset(by_hand)
    return Ledger(
        grants=grants,
        shares={
            one.id: {
                r.entity: Entry(state, NOW, rules=rules.get(r.entity, ("golden",)), shared_time=JUST_NOW)
                for r in one.images + one.targets
                if r.entity not in aside
            }
            for one in shares
        },
    )


def looked(*shares: ResourceShare, of: Facts) -> Facts:
    return replace(of, sharing={SHARD: Sharing(shares)})


def baseline_of(decisions: Decisions, ledgers: Mapping[Shard, Ledger], reach: Reach) -> Baseline:
    return baseline(decisions, ledgers, reach, ORGANIZATION.members, now=NOW, window=WINDOW)


def whole(of: Facts, *, more: Mapping[Shard, Ledger] = MappingProxyType({})) -> Baseline:
    return baseline_of(decide(of), {**of.ledgers, **more}, make_reach(of))


def held(of: Facts, limits: Limits = NO_LIMIT, record: GuardRecord | None = None) -> tuple[Hold, ...]:
    return guard(
        decide(of).losses(),
        base=whole(of),
        limits=limits,
        record=record or GuardRecord(),
        judged=lambda _: True,
        now=NOW,
    )


def by_directory(*folders: str, name: str = "golden", images: ImageSelector | None = None) -> object:
    return rule(name, folders=folders, channel="directory", images=images)


def test_a_share_counts_every_image_with_everybody_its_targets_reach() -> None:
    """Three images and two folders: four accounts each; by rule just as many."""
    one = share("1", NAMES, ["fd-prod", "fd-eu", "fd-test"])
    of = facts(
        policy(rule(folders=["fd-prod", "fd-test"], channel="directory")), *map(reading, THREE), known=known(one)
    )
    found = whole(looked(one, of=of))
    assert dict(found.by_image) == dict.fromkeys(NAMES, 4)
    assert (found.pairs, dict(found.by_rule), dict(found.accounts_of_rule)) == (12, {"golden": 12}, {"golden": 4})


def test_each_rule_counts_its_own_targets_and_images() -> None:
    """One share of two rules: each has put there what the ledger says."""
    one = share("1", NAMES, ["fd-prod", "fd-eu", "fd-test"])
    of_rules: Rules = {
        "m-gold": ("one",), "m-silver": ("one", "two"), "m-bronze": ("two",), "fd-prod": ("one",), "fd-eu": ("one",),
        "fd-test": ("two",),
    }  # fmt: skip
    of = facts(
        policy(
            rule("one", folders=["fd-prod"], channel="directory"), rule("two", folders=["fd-test"], channel="directory")
        ),
        *map(reading, THREE),
        known=known(one, rules=of_rules),
    )
    found = whole(looked(one, of=of))
    assert dict(found.by_rule) == {"one": 4, "two": 4}
    assert dict(found.accounts_of_rule) == {"one": 2, "two": 2}


def test_a_pair_with_a_grant_and_a_share_is_one_pair() -> None:
    """Of a double share, and of an image that is moving between two shares, nothing counts twice."""
    old, new = share("1", NAMES, ["fd-test", A]), share("2", ["m-gold", "m-silver"], ["fd-test"])
    of = facts(
        policy(rule(folders=["fd-test"], accounts=[A, E], channel="auto")),
        reading(GOLD, C, D, E),
        reading(SILVER),
        reading(BRONZE, C),
        known=known(old, new, grants={"m-gold": made(C, D, E), "m-bronze": made(C)}),
    )
    found = whole(looked(old, new, of=of))
    assert dict(found.by_image) == {"m-gold": 4, "m-silver": 3, "m-bronze": 3}
    assert (found.pairs, dict(found.by_rule), dict(found.accounts_of_rule)) == (10, {"golden": 10}, {"golden": 4})


def test_neither_the_owner_nor_the_management_account_is_part_of_an_audience() -> None:
    """The organization as a target reaches both; neither can lose anything by it."""
    one = share("1", NAMES, ["rd-1"])
    of = facts(policy(rule(folders=["root"], channel="directory")), *map(reading, THREE), known=known(one))
    found = whole(looked(one, of=of))
    assert (dict(found.by_image), dict(found.by_rule), dict(found.accounts_of_rule)) == (
        dict.fromkeys(NAMES, 5), {"golden": 15}, {"golden": 5},
    )  # fmt: skip
    unread = baseline_of(decide(facts(policy())), {OTHER: known(one)}, make_reach(of))
    assert (dict(unread.by_image), dict(unread.by_rule)) == (dict.fromkeys(NAMES, 5), {"golden": 15})


def test_rows_made_by_hand_are_nobodys_to_lose() -> None:
    """A target that a person put into our share reaches nobody of ours."""
    one = share("1", NAMES, ["fd-test", A])
    of = facts(
        policy(rule(folders=["fd-test"], channel="directory")), *map(reading, THREE), known=known(one, by_hand=[A])
    )
    found = whole(looked(one, of=of))
    assert (dict(found.by_image), dict(found.by_rule)) == (dict.fromkeys(NAMES, 2), {"golden": 6})


@pytest.mark.parametrize(("state", "counts"), [("intended", False), ("accepted", True), ("made", True)])
def test_where_nobody_looked_the_ledger_says_what_stands(state: EntryState, counts: bool) -> None:
    """An intention alone is no access; with a smaller whole the guard holds sooner."""
    ledger = known(share("1", NAMES, ["fd-test", A]), state=state)
    found = baseline_of(decide(facts(policy())), {OTHER: ledger}, make_reach(facts(policy())))
    assert dict(found.by_image) == (dict.fromkeys(NAMES, 3) if counts else {})
    assert (found.pairs, dict(found.by_rule)) == ((9, {"golden": 9}) if counts else (0, {}))


def test_where_nobody_looked_a_pair_counts_once_too() -> None:
    """Two shares and a grant of one image that reach the same accounts."""
    ledger = known(
        share("1", NAMES, ["fd-test"]), share("2", ["m-gold"], ["fd-test", A]), grants={"m-gold": made(C, E)}
    )
    found = baseline_of(decide(facts(policy())), {OTHER: ledger}, make_reach(facts(policy())))
    assert dict(found.by_image) == {"m-gold": 4, "m-silver": 2, "m-bronze": 2}
    assert (found.pairs, dict(found.by_rule)) == (8, {"golden": 8})


def test_several_shards_are_one_whole() -> None:
    """What was read here and what is remembered of elsewhere."""
    one = share("1", ["m-gold"], ["fd-test"])
    of = facts(policy(rule(folders=["fd-test"], channel="directory")), reading(GOLD), known=known(one))
    found = whole(looked(one, of=of), more={OTHER: known(share("2", ["m-iron", "m-zinc"], [A, B, C]))})
    assert dict(found.by_image) == {"m-gold": 2, "m-iron": 3, "m-zinc": 3}
    assert (found.pairs, dict(found.by_rule), dict(found.accounts_of_rule)) == (8, {"golden": 8}, {"golden": 4})


@pytest.mark.parametrize("targets", [["rd-1"], ["fd-prod", "fd-eu", "fd-test", E], [A, B, C, D, E]])
def test_a_share_that_would_lose_its_whole_audience_is_held(targets: list[str]) -> None:
    """By whatever targets, and however wide the limits: the rule wants nobody any more but one account elsewhere."""
    one = share("1", NAMES, targets)
    of = facts(policy(rule(channel="directory")), *map(reading, THREE), known=known(one), proof=PLACED)
    found = held(looked(one, of=of))
    assert {pair for hold in found for pair in hold.pairs} == {Pair(i, a) for i in NAMES for a in (A, B, C, D, E)}
    assert {hold.why for hold in found} == {"rule golden would lose its whole audience, 5 accounts"}


def test_an_image_that_would_lose_its_whole_audience_is_held_alone() -> None:
    """It is selected by no rule any more; the others keep what they have."""
    one = share("1", NAMES, ["rd-1"])
    only = ImageSelector(ids=frozenset(NAMES[1:]))
    of = facts(
        policy(rule(folders=["root"], images=only, channel="directory")), *map(reading, THREE), known=known(one),
        proof=PLACED,
    )  # fmt: skip
    (hold,) = held(looked(one, of=of))
    assert hold.pairs == tuple(Pair("m-gold", a) for a in (A, B, C, D, E))
    assert hold.why == "image m-gold would lose its whole audience, 5 accounts"


def test_a_rule_that_loses_everybody_while_its_images_move_is_held() -> None:
    """Its images stand in two shares and other rules keep theirs, and still everybody of this rule goes."""
    old, new = share("1", NAMES, [C, D, A]), share("2", NAMES, [C, D, B])
    of_rules: Rules = {**dict.fromkeys(NAMES, ("golden", "other")), A: ("other",), B: ("other",)}
    of = facts(
        policy(rule(channel="directory"), rule("other", accounts=[A, B], channel="directory")),
        *map(reading, THREE),
        known=known(old, new, rules=of_rules),
        proof=PLACED,
    )
    found = held(looked(old, new, of=of))
    assert {pair for hold in found for pair in hold.pairs} == {Pair(i, a) for i in NAMES for a in (C, D)}
    assert {hold.why for hold in found} == {"rule golden would lose its whole audience, 2 accounts"}


def test_a_part_of_an_audience_runs_within_the_limits_and_is_held_beyond_them() -> None:
    """One target is as many pairs as it reaches accounts on every image."""
    one = share("1", NAMES, ["fd-prod", "fd-eu", "fd-test"])
    of = facts(
        policy(rule(folders=["fd-prod"], channel="directory")), *map(reading, THREE), known=known(one), proof=PLACED
    )
    of = looked(one, of=of)
    assert held(of) == ()
    assert held(of, replace(NO_LIMIT, lost_pairs=6)) == ()
    (many,) = held(of, replace(NO_LIMIT, lost_pairs=5))
    assert many.pairs == tuple(sorted(Pair(i, a) for i in NAMES for a in (C, D)))
    assert held(of, replace(NO_LIMIT, lost_percent=50)) == ()
    (half,) = held(of, replace(NO_LIMIT, lost_percent=49))
    assert half.why.startswith("6 of 12 pairs (50.0 %) would lose access")


def under_way(*entities: str) -> Mapping[str, str]:
    return dict.fromkeys(entities, "Associating")


def by_name(*accounts: str) -> Facts:
    """Three images in a share with A, B, C and D, of whom C and D are being associated; some are wanted."""
    one = share("1", NAMES, [A, B, C, D], status=under_way(C, D))
    return looked(
        one,
        of=facts(
            policy(rule(accounts=accounts, channel="directory")), *map(reading, THREE), known=known(one), proof=PLACED
        ),
    )


def test_those_to_come_make_the_loss_of_one_who_has_the_images_no_smaller_part() -> None:
    """One of two is half of them, though two more are being associated."""
    assert guarded_twice(by_name(B, C, D), replace(NO_LIMIT, lost_percent=50)) == ()
    (hold,) = guarded_twice(by_name(B, C, D), replace(NO_LIMIT, lost_percent=49))
    assert hold.pairs == tuple(sorted(Pair(name, A) for name in NAMES))
    assert hold.why.startswith("3 of 6 pairs (50.0 %) would lose access")


@pytest.mark.parametrize("percent", [33, 34])
def test_a_loss_of_what_is_only_to_come_is_a_part_of_all(percent: float) -> None:
    """Two images are being associated, and one of their two targets goes: nobody had them there yet."""
    of_two = share("2", ["m-silver", "m-bronze"], [C, D], status=under_way("m-silver", "m-bronze"))
    both = (share("1", ["m-gold"], [A, B]), of_two)
    of = facts(
        policy(
            rule(accounts=[A, B], channel="directory", images=ImageSelector(ids=frozenset({"m-gold"}))),
            rule(
                "two", accounts=[C], channel="directory", images=ImageSelector(ids=frozenset({"m-silver", "m-bronze"}))
            ),
        ),
        *map(reading, THREE),
        known=known(*both, rules=dict.fromkeys(("m-silver", "m-bronze", C, D), ("two",))),
        proof=PLACED,
    )
    found = guarded_twice(looked(*both, of=of), replace(NO_LIMIT, lost_percent=percent))
    assert [hold.why.split(" would")[0] for hold in found] == (["2 of 6 pairs (33.3 %)"] if percent == 33 else [])


def test_everybody_who_has_the_images_is_a_whole_audience_beside_those_to_come() -> None:
    """Of the rule, and so of every image."""
    (hold,) = guarded_twice(by_name(C, D), NO_LIMIT)
    assert hold.pairs == tuple(sorted(Pair(name, a) for name in NAMES for a in (A, B)))
    assert hold.why == "rule golden would lose its whole audience, 2 accounts"


def test_approved_losses_of_what_there_is_run() -> None:
    """They count neither with what is under way nor without."""
    of, none = by_name(B, C, D), replace(NO_LIMIT, lost_percent=0)
    (hold,) = guarded_twice(of, none)
    shown = RecordedHold(hold.id, hold.since, hold.why, hold.pairs)
    assert guarded_twice(of, none, approve(GuardRecord((shown,)), shown, now=NOW, who="w", reason="r")) == ()


def test_where_a_run_did_not_look_what_stands_is_what_the_last_look_found() -> None:
    """The rows alone do not tell whether they are under way."""
    of, there = facts(policy()), share("1", NAMES, [A, B, C])
    remembered = known(there).with_reached({"m-gold": frozenset({A, B}), "m-silver": frozenset({C})})
    found = baseline(
        decide(of), {OTHER: remembered}, make_reach(of), ORGANIZATION.members, now=NOW, window=WINDOW, associated=True
    )
    assert dict(found.by_image) == {"m-gold": 2, "m-silver": 1, "m-bronze": 0}
    assert (found.pairs, dict(found.by_rule), dict(found.accounts_of_rule)) == (3, {"golden": 3}, {"golden": 3})


def guarded_twice(of: Facts, limits: Limits, record: GuardRecord | None = None) -> tuple[Hold, ...]:
    """What is held with what is under way and without, as a run does it."""
    decisions = decide(of)
    there = baseline(
        decisions, of.ledgers, make_reach(of), ORGANIZATION.members, now=NOW, window=WINDOW, associated=True
    )
    return guard(
        decisions.losses(), base=whole(of), associated=there, limits=limits, record=record or GuardRecord(),
        judged=lambda _: True, now=NOW,
    )  # fmt: skip


def losses(cause: Cause, *accounts: str) -> list[Loss]:
    return [
        Loss(pair=Pair(name, a), shard=SHARD, cause=cause, proven=True, rules=() if cause == "channel" else ("golden",))
        for name in NAMES
        for a in accounts
    ]


def guarded(of: Iterable[Loss], limits: Limits, record: GuardRecord | None = None) -> tuple[Hold, ...]:
    base = Baseline(9, dict.fromkeys(NAMES, 3), {"golden": 9}, {"golden": 3}, 6)
    return guard(of, base=base, limits=limits, record=record or GuardRecord(), judged=lambda _: True, now=NOW)


def test_a_change_of_channel_is_held_and_counts_nothing() -> None:
    """However wide the limits are it waits for a person, and it makes nothing else wait."""
    changing, lost = losses("channel", A, B), losses("audience", C)
    none = Limits(lost_pairs=3, lost_percent=34, departed_accounts=0, departed_percent=0)
    (hold,) = guarded([*changing, *lost], none)
    assert hold.pairs == tuple(sorted(loss.pair for loss in changing))
    assert hold.why == "6 pairs change to direct grants, perhaps with a gap: their rows may be the share's own"
    (same,) = guarded(changing, NO_LIMIT)
    assert same == hold


def test_a_change_of_channel_of_everybody_is_no_lost_audience() -> None:
    """It is said to be a change of channel, and not a loss of the image or the rule."""
    (hold,) = guarded(losses("channel", A, B, C), NO_LIMIT)
    assert hold.why.startswith("9 pairs change to direct grants")


def test_a_change_of_channel_that_was_approved_runs() -> None:
    """As any other hold."""
    (hold,) = guarded(losses("channel", A, B, C), NO_LIMIT)
    shown = RecordedHold(hold.id, hold.since, hold.why, hold.pairs)
    record = approve(GuardRecord((shown,)), shown, now=NOW, who="w", reason="r")
    assert guarded(losses("channel", A, B, C), NO_LIMIT, record) == ()
    (later,) = guarded(losses("channel", A, B, C, D), NO_LIMIT, record)
    assert {pair.account for pair in later.pairs} == {D}


def test_a_row_that_may_be_the_shares_own_is_such_a_change() -> None:
    """The rule goes over to direct grants, and every account of the share has a row on the image already."""
    one = share("1", NAMES, ["fd-test"])
    of = facts(
        policy(rule(folders=["fd-test"], channel="direct")), *(reading(i, C, D, at=JUST_NOW) for i in THREE),
        known=known(one), proof=PLACED,
    )  # fmt: skip
    found = held(looked(one, of=of), replace(NO_LIMIT, lost_pairs=0, lost_percent=0))
    assert {pair for hold in found for pair in hold.pairs} == {Pair(i, a) for i in NAMES for a in (C, D)}
    assert all("change to direct grants" in hold.why for hold in found)


def test_who_vanished_makes_the_whole_no_bigger() -> None:
    """It may be gone: counted as a loss, and not as one of those who stay."""
    gone = "4000000000000001"
    reach = Reach(
        ORGANIZATION, "unknown", frozenset(ORGANIZATION.members), frozenset(ORGANIZATION.members),
        {gone: ("r-1", "fd-test")},
    )  # fmt: skip
    found = baseline_of(decide(facts(policy())), {OTHER: known(share("1", NAMES, ["fd-test"]))}, reach)
    assert dict(found.by_image) == dict.fromkeys(NAMES, 2)
