"""Encrypted images beside everything else that a run looks after: retired ones, other services, other sites."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from orgshare.retired import Retirement
from orgshare.way.applying import Applied
from tests.support.cloud import trusting
from tests.support.desktops import DESKS, FAR, NEAR, NEAR_2, desk_policy, desk_rule, desks, have
from tests.support.encrypted import let_in, sharing_role
from tests.support.trial import OWNER, PARTNER, REGION, A, B, C, Trial, policy, rule, world
from tests.way.test_rules import everywhere, in_step

Trials = Callable[..., Trial]
LETS_NOBODY_IN = {"trust_policy": trusting("ecs.aliyuncs.com")}


def sealed(document: dict[str, Any], plain: Iterable[str] = ()) -> dict[str, Any]:
    """A world with all images encrypted but the plain ones, and with the owner's sharing role."""
    for name, row in document["images"].items():
        row["encryption"] = "none" if name in plain else "cmk"
    return {**document, "roles": {**document["roles"], sharing_role(OWNER): LETS_NOBODY_IN}}


def authorizing(*rules: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"encrypted": "authorize", **one} for one in rules or (rule(channel="auto"),)]


def refusals(applied: Applied) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(r.image, r.reason, r.accounts) for r in applied.plan.refused}


def retire_by_hand(t: Trial, *images: str) -> None:
    t.state().update_retired(lambda _: {image: Retirement(t.now(), "ann") for image in images}, run="x")


def retire_by_tag(t: Trial, *images: str) -> None:
    t.patch(images={image: {"tags": {"share": "org", "lifecycle": "retired"}} for image in images})


@pytest.mark.parametrize("retire", [retire_by_hand, retire_by_tag])
def test_whoever_loses_retired_images_is_let_out_after_they_went_through_the_guard(
    trial: Trials, retire: Callable[..., None]
) -> None:
    """Held, everybody keeps the image and the key; approved, both go in the same run."""
    rules = authorizing(rule(), rule("other", {"ids": ["m-bronze"]}, accounts=[C]))
    strict = {**policy()["safety"], "hold_when": {"lost_pairs": 3}}
    t = trial(
        world=sealed(world()),
        policy=policy(rules=rules, retire={"tags": {"lifecycle": "retired"}}, safety=strict),
    )
    t.apply()
    before = {**everywhere(A, B), "m-bronze": {A, B, C}}
    assert (t.access(), let_in(t, OWNER)) == (before, {A, B, C})
    retire(t, "m-gold", "m-silver", "m-bronze")
    applied = t.apply()
    assert sum(len(hold.pairs) for hold in applied.plan.held) == 7
    assert (t.access(), let_in(t, OWNER)) == (before, {A, B, C})
    t.approve_all()
    t.apply()
    assert (t.access(), let_in(t, OWNER)) == (everywhere(), set())
    assert in_step(t)


def test_one_retired_image_lets_out_only_who_needs_the_key_for_no_other(trial: Trials) -> None:
    """Whoever has another encrypted image stays let in."""
    rules = authorizing(rule(), rule("other", {"ids": ["m-bronze"]}, accounts=[C]))
    t = trial(world=sealed(world()), policy=policy(rules=rules))
    t.apply()
    retire_by_hand(t, "m-bronze")
    t.apply()
    t.approve_all()
    t.apply()
    assert (t.access(), let_in(t, OWNER)) == ({**everywhere(A, B), "m-bronze": set()}, {A, B})


def test_nobody_is_let_in_for_a_retired_image(trial: Trials) -> None:
    """No rule wants it any more, so nothing is done and nothing refused."""
    t = trial(world=sealed(world()), policy=policy(rules=authorizing()))
    t.begin()
    retire_by_hand(t, "m-gold", "m-silver", "m-bronze")
    applied = t.apply()
    assert (applied.done, applied.plan.refused) == ((), ())
    assert (t.access(), let_in(t, OWNER)) == (everywhere(), set())


def test_an_encrypted_image_of_elastic_desktop_service_is_refused_whatever_a_rule_says(trial: Trials) -> None:
    """For its own reason; nobody is let into the role because of it, and the encrypted image of ECS is shared."""
    t = trial(
        world=sealed(desks(), plain=[NEAR_2, FAR]), policy=desk_policy(*authorizing(desk_rule(), rule(accounts=[C])))
    )
    applied = t.apply()
    assert have(t) == {NEAR: set(), NEAR_2: {A, B}, FAR: {A, B}}
    assert refusals(applied) == {(NEAR, "encrypted-refused", (A, B))}
    (refused,) = applied.plan.refused
    assert refused.remedy == "Elastic Desktop Service shares no encrypted image: use an unencrypted copy"
    assert (t.access()["m-gold"], let_in(t, OWNER)) == ({C}, {C})
    assert in_step(t)


def test_for_images_of_elastic_desktop_service_the_sharing_role_is_not_even_read(trial: Trials) -> None:
    """A rule that speaks of them alone authorizes nothing."""
    t = trial(world=sealed(desks()), policy=desk_policy(*authorizing(desk_rule()), rule()))
    applied = t.apply()
    assert refusals(applied) == {(image, "encrypted-refused", (A, B)) for image in (*DESKS, "m-gold")}
    assert not any(call.startswith("ram:") for call in t.cloud.calls)


def test_a_principal_goes_although_its_account_keeps_images_of_elastic_desktop_service(trial: Trials) -> None:
    """What became encrypted there after it was shared needs no key either."""
    document = sealed(desks(), plain=DESKS)
    t = trial(world=document, policy=desk_policy(*authorizing(desk_rule(), rule())))
    t.apply()
    t.patch(images={image: {"encryption": "cmk"} for image in DESKS})
    t.write_policy(desk_policy(*authorizing(desk_rule(), rule(accounts=[C]))))
    t.apply()
    t.approve_all()
    t.apply()
    assert have(t) == {image: {A, B} for image in DESKS}
    assert (t.access()["m-gold"], let_in(t, OWNER)) == ({C}, {C})


def test_nobody_is_let_in_who_cannot_get_the_image_on_another_site(trial: Trials) -> None:
    """Of an image from the Marketplace; the partner gets the others, and then it is let in."""
    document = sealed(world())
    document["images"]["m-gold"]["product_code"] = "cmjj0001"
    partner = {"account": PARTNER, "site": "international"}
    owners = [{"account": OWNER, "regions": [REGION], "site": "china"}]
    one = {"ids": ["m-gold"]}
    t = trial(
        world=document,
        policy=policy(owners=owners, rules=authorizing(rule(images=one, folders=["fd-prod"], partners=[partner]))),
    )
    assert refusals(t.apply()) == {("m-gold", "marketplace-across-sites", (PARTNER,))}
    assert let_in(t, OWNER) == {A, B}
    t.write_policy(policy(owners=owners, rules=authorizing(rule(folders=["fd-prod"], partners=[partner]))))
    t.apply()
    assert t.access() == {**everywhere(A, B, PARTNER), "m-gold": {A, B}}
    assert let_in(t, OWNER) == {A, B, PARTNER}


def test_nobody_is_let_in_for_whom_an_image_has_no_place(trial: Trials) -> None:
    """Who is left out over the quota needs no key."""
    owners = [{"account": OWNER, "regions": [REGION], "quotas": {"accounts_per_image": 1}}]
    t = trial(world=sealed(world()), policy=policy(owners=owners, rules=authorizing()))
    applied = t.apply()
    assert refusals(applied) == {(image, "over-quota", (B,)) for image in everywhere()}
    assert (t.access(), let_in(t, OWNER)) == (everywhere(A), {A})
