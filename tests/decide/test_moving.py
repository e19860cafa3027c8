"""Accounts that moved lately: a target may still reach them where they were, and nothing shows whether it does."""

from __future__ import annotations

from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts
from orgshare.policy.model import Rule, Unmanaged
from tests.decide.sharing import BRONZE, GOLD, NAMES, SILVER, share, shared
from tests.support.facts import A, C, reading, rule


def moved(wanted: Rule, *targets: str, rows: bool, unmanaged: Unmanaged = "keep") -> Facts:
    """C was in fd-eu and is listed in fd-test now; with ``rows``, every image has a row of it."""
    one = share("1", NAMES, targets)
    of = shared([wanted], one, readings=[reading(each, *([C] if rows else [])) for each in (GOLD, SILVER, BRONZE)])
    return replace(
        of,
        policy=replace(of.policy, unmanaged=unmanaged),
        settled=of.settled - {C},
        elsewhere={C: ("fd-prod", "fd-eu")},
    )


def test_a_row_of_who_was_in_a_target_lately_keeps_nobody_safe() -> None:
    """It may be the share's own: whoever takes the target out takes the image from C too, as far as anybody knows."""
    of = moved(rule(accounts=[A], channel="directory"), A, "fd-eu", rows=True)
    (shard,) = decide(of).shards.values()
    cuts = {cut.entity: cut for cut in shard.cuts}
    assert C in {pair.account for pair in cuts["fd-eu"].pairs}


def test_a_target_that_reached_who_moved_is_waited_for_until_another_one_surely_does() -> None:
    """C is wanted and went from one target to the other."""
    of = moved(rule(folders=["fd-test"], channel="directory"), "fd-eu", "fd-test", rows=False)
    (shard,) = decide(of).shards.values()
    assert {cut.entity: cut.block for cut in shard.cuts} == {"fd-eu": "waiting"}


def test_a_row_of_who_was_in_a_target_lately_is_no_strangers_grant() -> None:
    """It is neither reported nor remembered to be revoked."""
    of = moved(rule(folders=["fd-prod"], channel="directory"), "fd-eu", "fd-prod", rows=True, unmanaged="revoke")
    images = decide(of).images
    assert [dict(image.strangers) for image in images] == [{}, {}, {}]
    assert not [f for image in images for f in image.findings if f.kind in ("unmanaged", "unknown-account")]
