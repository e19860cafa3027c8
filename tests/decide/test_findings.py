"""What a person should know about an image, and what it waits for: in words, with the accounts that it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import ImageDecision
from orgshare.decide.facts import Facts
from orgshare.decide.plan import MOST_ROWS, Pending
from orgshare.policy.model import Rule, Unmanaged
from orgshare.retired import Retirement
from orgshare.words import Sharing
from tests.decide.sharing import BRONZE, GOLD, GONE, NAMES, PROVEN, SILVER, THREE, row, share, shared
from tests.support.facts import (
    MANAGEMENT,
    NOW,
    ORGANIZATION,
    OWNER,
    PARTNER,
    SHARD,
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
    member,
    organization,
    policy,
    reading,
    rule,
)

WEEK = timedelta(days=7)
PROD = ("fd-eu", "fd-prod")


def told(of: Facts) -> dict[str, list[tuple[str, str, str]]]:
    """The findings of each image, as kind, account and words."""
    return {
        d.image.name: [(f.kind, f.account, f.why) for f in d.findings if f.image == d.image.id]
        for d in decide(of).images
    }


def gold(of: Facts) -> ImageDecision:
    return next(decision for decision in decide(of).images if decision.image.name == "gold")


def with_policy(of: Facts, **changes: Any) -> Facts:
    return replace(of, policy=replace(of.policy, **changes))


def auto(*folders: str) -> Rule:
    return rule(folders=folders or ["fd-prod"], channel="auto")


@pytest.mark.parametrize(
    ("unmanaged", "left"), [("keep", "it is left as it is"), ("revoke", "it is revoked once it was seen twice")]
)
def test_a_grant_by_hand_that_nobody_wants_says_who_has_it_and_what_becomes_of_it(
    unmanaged: Unmanaged, left: str
) -> None:
    """Members, partners and the management account are known; anybody else is named as unknown."""
    accounts = (A, C, PARTNER, MANAGEMENT, STRANGER)
    wanting = rule("elsewhere", partners=[PARTNER], without_accounts=[PARTNER])
    of = facts(
        policy(rule(folders=["fd-prod"]), wanting), reading(GOLD, *accounts), reading(SILVER, A), reading(BRONZE)
    )
    why = f"granted by somebody else and no rule wants it; {left}"
    unknown = "neither the organization nor the policy knows this account, and it can use the image"
    assert told(with_policy(of, unmanaged=unmanaged)) == {
        "gold": [
            ("unknown-account", STRANGER, unknown),
            *(("unmanaged", account, why) for account in sorted((C, PARTNER, MANAGEMENT))),
        ],
        "silver": [],
        "bronze": [],
    }


def test_what_is_kept_when_an_account_leaves_is_told() -> None:
    """Nothing is lost, and nothing waits."""
    known = ledger(gold=made(A, GONE), silver=made(GONE))
    of = facts(policy(rule(folders=["fd-prod"])), reading(GOLD, A, GONE), reading(SILVER, GONE), reading(BRONZE),
               known=known, proof=PROVEN)  # fmt: skip
    why = "it left the organization, and safety.on_leave keeps its direct grant"
    of = with_policy(of, on_leave=None)
    found = told(of)
    assert found == {"gold": [("kept-on-leave", GONE, why)], "silver": [("kept-on-leave", GONE, why)], "bronze": []}
    assert gold(of).losses == ()
    assert gold(of).kept == {GONE}


def test_what_only_an_observing_rule_wants_is_told() -> None:
    """Who has the image by whatever channel is not."""
    of = facts(policy(rule("look", folders=["fd-test", "fd-prod"], mode="observe"), rule(accounts=[A])),
               reading(GOLD, C), reading(SILVER, A, B, C, D), reading(BRONZE))  # fmt: skip
    why = "wanted by a rule whose mode is observe"
    assert {name: [f for f in found if f[0] == "observed-only"] for name, found in told(of).items()} == {
        "gold": [("observed-only", B, why), ("observed-only", D, why)],
        "silver": [],
        "bronze": [("observed-only", account, why) for account in (B, C, D)],
    }


def test_a_grant_by_hand_beside_a_resource_share_is_double() -> None:
    """It is certainly a grant, because others whom the share reaches have no row; if all have one, nobody knows."""
    of = shared([auto()], share("1", targets=PROD), readings=[reading(GOLD, A), reading(SILVER, A, B), reading(BRONZE)])
    why = "granted by somebody else, and a resource share reaches it as well"
    assert told(of) == {"gold": [("double-shared", A, why)], "silver": [], "bronze": []}
    revoking = with_policy(of, unmanaged="revoke")
    assert (gold(revoking).redundant, told(revoking)["gold"]) == ((A,), [])
    assert (gold(of).redundant, gold(of).losses, gold(revoking).losses) == ((), (), ())


def test_the_owner_among_those_whom_a_share_reaches_proves_nothing() -> None:
    """It has no row in any case: two accounts with rows and the owner without are no proof."""
    small = organization(member(A, "fd-prod"), member(B, "fd-prod"), ORGANIZATION.members["1000000000000002"])
    of = shared([rule(folders=["root"], channel="auto")], share("1", targets=["rd-1"]),
                readings=[reading(GOLD, A, B), reading(SILVER, A), reading(BRONZE)])  # fmt: skip
    found = told(replace(of, organization=small))
    double = {name: [account for kind, account, _ in rows if kind == "double-shared"] for name, rows in found.items()}
    assert double == {
        "gold": [], "silver": [A], "bronze": [],
    }  # fmt: skip


def test_an_account_that_a_share_may_or_may_not_reach_is_told() -> None:
    """With a grant of ours that stays, without one for which nothing is granted; one by hand is neither."""
    of = shared([auto()], share("1", targets=["fd-prod"]), by_hand=NAMES, grants={"m-silver": made(B)},
                readings=[reading(GOLD), reading(SILVER, B), reading(BRONZE)])  # fmt: skip
    closed = replace(of, sharing={SHARD: Sharing(of.sharing[SHARD].shares, enabled=False)})
    found = told(closed)
    nothing = "a resource share may or may not reach it; nothing is granted until that is known"
    stays = "a resource share may or may not reach it; its direct grant stays until that is known"
    assert {name: [f for f in rows if f[0] == "unsure-coverage"] for name, rows in found.items()} == {
        "gold": [("unsure-coverage", B, nothing)],
        "silver": [("unsure-coverage", B, stays)],
        "bronze": [("unsure-coverage", B, nothing)],
    }


def test_an_account_that_came_lately_is_not_unsure() -> None:
    """It only has to be in its place for long enough: that is no question of what the vendor does."""
    of = shared([auto()], share("1", targets=PROD))
    assert told(replace(of, settled=of.settled - {A})) == {"gold": [], "silver": [], "bronze": []}


def test_a_grant_that_ends_when_the_share_is_sure_is_pending() -> None:
    """Because the account came lately or the share is on its way; what is unsure for good waits for nothing."""
    one = share("1", targets=["fd-prod", row("fd-eu", "Associating"), row("fd-test", "Associating")])
    grants = {"m-gold": made(A, B, C), "m-silver": made(A), "m-bronze": made(A, B)}
    readings = [reading(GOLD, A, B, C), reading(SILVER, A), reading(BRONZE, A, B)]
    of = shared([auto("fd-prod", "fd-test")], one, readings=readings, grants=grants)
    of = replace(of, settled=of.settled - {A})

    def waiting(of: Facts) -> dict[str, list[Pending]]:
        return {d.image.name: list(d.pending) for d in decide(of).images}

    def ends(image: str, words: str) -> list[Pending]:
        return [Pending("", image, f"{words} once the resource share is sure to reach those accounts", "")]

    assert waiting(of) == {
        "gold": ends("m-gold", "2 direct grants end"),
        "silver": ends("m-silver", "1 direct grant ends"),
        "bronze": ends("m-bronze", "1 direct grant ends"),
    }
    assert {name: d.redundant for name, d in ((d.image.name, d) for d in decide(of).images)} == {
        "gold": (), "silver": (), "bronze": (),
    }  # fmt: skip


def test_grants_that_stay_for_a_time_say_since_when_and_until_when() -> None:
    """Up to twenty are named one by one; more of them are one row of the image."""
    names = [f"10000000000001{number}" for number in range(10, 10 + MOST_ROWS + 1)]
    everybody = organization(*ORGANIZATION.members.values(), *(member(name) for name in names))
    of = facts(
        policy(rule(folders=["fd-prod"])),
        reading(GOLD, *names),
        reading(SILVER, *names[1:]),
        reading(BRONZE, E),
        known=ledger(gold=made(*names), silver=made(*names[1:]), bronze=made(E)),
        where=everybody,
        proof=replace(PROVEN, placed=frozenset(everybody.members)),
    )
    until, since = "2026-11-28T12:00:00Z", NOW.isoformat()
    found = {d.image.name: list(d.pending) for d in decide(with_policy(of, grace=WEEK)).images}
    assert found["gold"] == [
        Pending(
            "",
            "m-gold",
            f"21 direct grants of accounts that are not wanted any more: kept until {until}",
            since,
            until,
        )
    ]
    status = f"not wanted any more: its direct grant is kept until {until}"
    assert found["silver"] == [Pending("", f"m-silver/{name}", status, since, until) for name in names[1:]]
    assert found["bronze"] == [Pending("", f"m-bronze/{E}", status, since, until)]


def test_an_image_of_the_marketplace_that_somebody_is_to_have_is_billed() -> None:
    """Only where a rule wants it for somebody: neither one that no rule selects nor a plain one."""
    product = [replace(each, product_code="cmjj001") for each in (GOLD, replace(SILVER, tags=frozenset()))]
    of = facts(policy(rule(folders=["fd-prod"])), *map(reading, product), reading(BRONZE))
    why = "it comes from the Marketplace: whoever makes instances of it pays its fee there, if it has one"
    assert told(of) == {"gold": [("billed", "", f"{why} (product cmjj001)")], "silver": [], "bronze": []}


def test_a_grant_of_ours_on_a_community_image_waits_until_that_is_private() -> None:
    """Of those whom nobody wants; a neighbour that is private is not told of."""
    known = ledger(gold=made(A, C, E), silver=made(A, C))
    of = facts(policy(rule(folders=["fd-prod"])), reading(replace(GOLD, public=True), A, C, E), reading(SILVER, A, C),
               reading(replace(BRONZE, public=True), A), known=known, proof=PROVEN)  # fmt: skip
    why = "not wanted any more; grants of a community image cannot be changed, so it goes when that is private"
    assert told(of) == {"gold": [("community", C, why), ("community", E, why)], "silver": [], "bronze": []}


def test_a_retired_image_tells_who_still_has_it_and_by_whom() -> None:
    """Up to five are named and the rest counted; by a share of ours is by us; one that nobody has is not told of."""
    tin, iron, copper = (image(name) for name in ("tin", "iron", "copper"))
    everybody = (A, B, C, D, E)
    of = shared(
        [rule(folders=["fd-prod"])],
        share("1", ["m-iron"], ["fd-prod"]),
        readings=[
            reading(GOLD, *everybody, GONE, STRANGER),
            reading(SILVER, *everybody),
            reading(BRONZE, PARTNER, STRANGER),
            reading(iron, C),
            reading(tin),
            reading(copper, A),
        ],
        grants={"m-gold": made(*everybody, GONE), "m-silver": made(*everybody), "m-iron": made(C)},
    )
    by_hand = share("hand", ["m-tin"], ["fd-test", OWNER], tags=frozenset())
    mark = Retirement(NOW - timedelta(days=1), "ann", "replaced")
    retired = dict.fromkeys(("m-gold", "m-silver", "m-bronze", "m-iron", "m-tin", "m-lead"), mark)
    of = replace(of, retired=retired, sharing={SHARD: Sharing((*of.sharing[SHARD].shares, by_hand))},
                 readings=(*of.readings, reading(image("lead"))))  # fmt: skip
    by = "retired by ann since 2026-11-20 12:00 UTC (replaced); "
    five = ", ".join(everybody)
    assert {name: [f for f in found if f[0] == "retired"] for name, found in told(of).items()} == {
        "gold": [
            (
                "retired",
                "",
                f"{by}6 accounts ({five} and 1 more) would lose it; 1 account ({STRANGER}) has it by somebody else",
            )
        ],
        "silver": [("retired", "", f"{by}5 accounts ({five}) would lose it")],
        "bronze": [("retired", "", f"{by}2 accounts ({PARTNER}, {STRANGER}) have it by somebody else")],
        "iron": [("retired", "", f"{by}3 accounts ({A}, {B}, {C}) would lose it")],
        "tin": [("retired", "", f"{by}2 accounts ({C}, {D}) have it by somebody else")],
        "lead": [],
        "copper": [],
    }
    assert {d.image.id: d.retired for d in decide(of).images} == {**dict.fromkeys(retired, str(mark)), "m-copper": ""}


def test_every_finding_is_about_its_own_image() -> None:
    """Three images with the same story: each tells it of itself."""
    of = facts(policy(rule(folders=["fd-prod"])), *(replace(each, grants=reading(GOLD, C).grants) for each in THREE))
    assert {d.image.id: {f.image for f in d.findings} for d in decide(of).images} == {name: {name} for name in NAMES}
