"""Images of Elastic Desktop Service, which share one number of places: what each keeps comes before what any gets."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.facts import Facts
from orgshare.decide.plan import Refusal
from orgshare.ledger import Entry, Ledger
from orgshare.policy.model import ImageSelector, Owner
from orgshare.words import Image, ImageReading, Pair, Sharing, desktops_of
from tests.decide.sharing import GONE, PROVEN
from tests.support.facts import NOW, OWNER, STRANGER, A, B, C, D, E, facts, image, made, policy, reading, rule

SHARD = desktops_of(OWNER)
PLACES = 14
TOO_MANY = (
    f"Elastic Desktop Service shares all images of the owner in all regions {PLACES} times together; narrow the "
    "audience or the images, or, where the vendor allows more, raise quotas.eds_shares of the owner"
)


def desktop(name: str, shared_with: int | None = None, **more: str) -> Image:
    return replace(image(name, shard=SHARD, tags=more or None), within="eu-west-1", shared_with=shared_with)


def desktops() -> Facts:
    """Bronze keeps two places; gold three and one more of who has left; of others the rows say that they have four."""
    under_way = {B: Entry("accepted", NOW - timedelta(minutes=1), rules=("golden",))}
    tagged = ImageSelector(services=frozenset({"eds"}), tags=(("share", frozenset({"org"})),))
    wanting = rule(folders=["root"], images=tagged, channel="auto")
    known = {"m-bronze": made(A, B), "m-gold": {**made(A, GONE), **under_way}}
    found = facts(
        replace(policy(wanting), owners=(Owner(OWNER, None, eds_shares=PLACES),)),
        reading(desktop("gold"), A, GONE, STRANGER),
        reading(desktop("silver")),
        reading(desktop("bronze"), A, B),
        ImageReading(desktop("iron", 1), None, "no answer"),
        proof=PROVEN,
    )
    return replace(
        found,
        ledgers={SHARD: Ledger(MappingProxyType(known))},
        sharing={SHARD: Sharing()},
        passed_over=(desktop("copper", 2),),
        unselected=(desktop("tin", 1, share="nobody"),),
    )


def over(name: str, *accounts: str) -> Refusal:
    """The refusal of an image for those who find no place."""
    return Refusal(
        image=name,
        rules=("golden",),
        reason="over-quota",
        accounts=accounts,
        accounts_total=len(accounts),
        remedy=TOO_MANY,
    )


@pytest.mark.parametrize("held", [False, True])
def test_what_every_image_keeps_is_reckoned_before_the_first_gets_anything(held: bool) -> None:
    """Five places are left: three for bronze, then two for gold, and none for silver; one less while a loss is held."""
    found = replace(desktops(), held=frozenset({Pair("m-gold", GONE)} if held else ()))
    assert {d.image.id: (d.grants, d.refusals) for d in decide(found).images} == {
        "m-bronze": ((C, D, E), ()),
        "m-gold": ((C,), (over("m-gold", D, E),)) if held else ((C, D), (over("m-gold", E),)),
        "m-silver": ((), (over("m-silver", A, B, C, D, E),)),
    }
