"""An image that is retired is wanted by nobody, and what is lost by that rests on what retired it alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.losses import Loss
from orgshare.decide.selection import selector, why_retired
from orgshare.retired import Retirement
from tests.support.facts import NOW, A, B, C, facts, image, ledger, made, policy, reading, rule

EVERYBODY = rule("all", folders=["root"])
MARKS = {"m-gold": Retirement(NOW - timedelta(days=1), "ann", "replaced")}
OLD = (("lifecycle", frozenset({"retired", "old"})),)
TAGGED = image("gold", tags={"share": "org", "lifecycle": "old"})


def losses(*, marked: bool, tagged: bool, **changes: object) -> list[Loss]:
    """What gold loses, which three accounts have by us, where it is retired in one way or both; silver stays."""
    gold = TAGGED if tagged else image("gold")
    found = facts(
        replace(policy(EVERYBODY), retire=OLD),
        reading(gold, A, B, C),
        reading(image("silver"), A, B, C),
        known=ledger(gold=made(A, B, C), silver=made(A, B, C)),
    )
    decisions = decide(replace(found, retired=MARKS if marked else {}, **changes))
    silver = next(d for d in decisions.images if d.image.id == "m-silver")
    assert (silver.losses, silver.retired) == ((), "")
    return [loss for decision in decisions.images for loss in decision.losses]


@pytest.mark.parametrize("tagged", [True, False])
def test_what_a_person_retired_is_lost_for_certain(tagged: bool) -> None:
    """A mark is no reading of the image or the organization, so nothing has to be asked for once more."""
    found = losses(marked=True, tagged=tagged)
    assert [(x.pair.account, x.cause, x.proven, x.hangs_on_image, x.hangs_on_listing) for x in found] == [
        (account, "retired", True, False, False) for account in (A, B, C)
    ]


def test_what_a_tag_retired_is_lost_once_the_tag_was_seen_twice() -> None:
    """The tag is what one listing shows."""
    found = losses(marked=False, tagged=True)
    assert {(x.cause, x.proven, x.hangs_on_image, x.hangs_on_listing) for x in found} == {
        ("retired", False, True, False)
    }


def test_who_retired_an_image_is_told_in_words() -> None:
    """The mark comes before the tag, with its reason; an image of neither is not retired."""
    tags = replace(policy(EVERYBODY), retire=OLD)
    assert why_retired(tags, MARKS, TAGGED) == "retired by ann since 2026-11-20 12:00 UTC (replaced)"
    assert why_retired(tags, {}, TAGGED) == "retired by its tag lifecycle: old"
    assert why_retired(tags, MARKS, image("silver")) == why_retired(policy(EVERYBODY), {}, TAGGED) == ""


def test_each_of_the_tags_that_retired_an_image_is_told() -> None:
    """In the order of their keys, and no other tag of the image; one of them alone retires nothing."""
    both = replace(policy(EVERYBODY), retire=(("lifecycle", frozenset({"old"})), ("keep", frozenset({"no", "never"}))))
    gone = image("gold", tags={"share": "org", "lifecycle": "old", "keep": "no"})
    assert why_retired(both, {}, gone) == "retired by its tags keep: no, lifecycle: old"
    assert why_retired(both, {}, TAGGED) == ""


def test_no_rule_selects_a_retired_image() -> None:
    """Whatever it matches."""
    of = policy(EVERYBODY)
    assert (selector(of)(image("gold")), selector(of, MARKS)(image("gold"))) == ((0,), ())
    assert selector(replace(of, retire=OLD))(TAGGED) == ()
