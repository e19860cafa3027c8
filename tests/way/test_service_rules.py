"""The service's rules for sharing an image, each through the SDKs: a typed refusal, a finding, or the right state.

The first tests are named after the rules of the vendor's page (https://www.alibabacloud.com/help/doc-detail/25463.htm)
in its order. What it says of encrypted images is tested with those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException

from orgshare.errors import ConfigurationError
from orgshare.retired import Retirement
from orgshare.way.applying import Applied
from tests.support.channels import LATER, by_shares, directly, found, until_settled
from tests.support.cloud import Clients
from tests.support.trial import (
    OTHER_REGION,
    OWNER,
    PARTNER,
    REGION,
    STRANGER,
    A,
    B,
    C,
    D,
    E,
    Trial,
    calls_of,
    policy,
    rule,
    world,
)
from tests.way.test_rules import ALL_IMAGES, everywhere, in_step

Trials = Callable[..., Trial]
NOBODY: dict[str, set[str]] = {image: set() for image in ALL_IMAGES}
MODIFY = "ecs:ModifyImageSharePermission"


def market(**changes: Any) -> dict[str, Any]:
    """The usual world, in which gold and silver come from the Marketplace and the partner is on the other site."""
    document = world(sites={PARTNER: "international"}, **changes)
    for image in ("m-gold", "m-silver"):
        document["images"][image]["product_code"] = "cmjj0001"
    return document


def with_partners(*partners: Any, site: str = "", **changes: Any) -> dict[str, Any]:
    """Everything for everybody below prod and these partners; the owner says on which site it is, if on any."""
    owner = {"account": OWNER, "regions": [REGION], **({"site": site} if site else {})}
    return policy(owners=[owner], rules=[rule(folders=["fd-prod"], partners=list(partners))], **changes)


def refusals(applied: Applied) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(refusal.image, refusal.reason, refusal.accounts) for refusal in applied.plan.refused]


def gained(trial: Trial, image: str, *more: str) -> dict[str, set[str]]:
    """What everybody below prod has, and beside them some have one image."""
    return {**everywhere(A, B), image: {A, B, *more}}


def clients(region: str = REGION) -> Clients:
    """The SDKs as the owner uses them."""
    return Clients(OWNER, key="LOCALIMAGES", region=region, http_proxy="http://127.0.0.1:9")


def codes(calls: Iterable[Callable[[], object]]) -> list[str]:
    """The code with which each call was refused; empty for one that was not."""
    found = []
    for call in calls:
        try:
            call()
            found.append("")
        except AlibabaCloudException as error:
            found.append(str(error.code))
    return found


# --- the rules of the page, in its order


@pytest.mark.parametrize("channel", ["direct", "directory", "auto"])
def test_own_custom_images_only_and_no_re_share_of_a_received_image(trial: Trials, channel: str) -> None:
    """What an owner only received is in no rule's reach, whatever its tags; named by id it is a finding."""
    images = {"ids": ["m-gold", "m-theirs"]}
    t = trial(policy=policy(rules=[rule(channel=channel), rule("named", images, channel=channel)]))
    theirs = {"owner": C, "region": REGION, "name": "theirs", "tags": {"share": "org"}}
    t.patch(images={"m-theirs": theirs}, grants={"m-theirs": [OWNER, D]})
    applied = until_settled(t)
    assert t.access() == {**everywhere(A, B), "m-theirs": {OWNER, D}}
    assert found(applied, "unknown-id") == {("m-theirs", "")}
    assert codes([lambda: clients().share("m-theirs", A)]) == ["InvalidImageId.NotFound"]


def test_same_region_only_across_regions_a_copy_is_shared_there(trial: Trials) -> None:
    """A share in one region gives nothing in another; a copy has an id, and gets grants, of its own."""
    both = {"account": OWNER, "regions": [REGION, OTHER_REGION]}
    t = trial(policy=policy(owners=[both]))
    t.apply()
    assert codes([lambda: clients(OTHER_REGION).share("m-gold", A)]) == ["InvalidImageId.NotFound"]
    tag = ecs_models.CopyImageRequestTag(key="share", value="org")
    request = ecs_models.CopyImageRequest(
        region_id=REGION,
        image_id="m-gold",
        destination_region_id=OTHER_REGION,
        destination_image_name="gold-2",
        tag=[tag],
    )
    copy = clients().ecs.copy_image(request).body.image_id
    assert t.access() == {**everywhere(A, B), copy: set()}
    t.apply()
    assert t.access() == {**everywhere(A, B), copy: {A, B}}
    assert in_step(t)


def test_a_rule_for_another_region_than_its_image_s_is_a_finding(trial: Trials) -> None:
    """An id that is in another region of the owner is not found there."""
    both = {"account": OWNER, "regions": [REGION, OTHER_REGION]}
    images = {"ids": ["m-gold"], "region": OTHER_REGION}
    t = trial(policy=policy(owners=[both], rules=[rule(images=images)]))
    applied = t.apply()
    assert t.access() == NOBODY
    assert not applied.plan.changes


def test_marketplace_images_cannot_be_shared_between_the_china_site_and_the_international_site(trial: Trials) -> None:
    """Where the policy knows the sites it is refused without a call, others get the image, and it goes on so."""
    partner = {"account": PARTNER, "site": "international"}
    t = trial(world=market(), policy=with_partners(partner, site="china"))
    applied = t.apply()
    refused = [(image, "marketplace-across-sites", (PARTNER,)) for image in ("m-gold", "m-silver")]
    assert refusals(applied) == refused
    assert t.access() == gained(t, "m-bronze", PARTNER)
    assert t.cloud.calls[MODIFY] == 3
    t.cloud.advance(LATER)
    assert calls_of(t, t.apply)[MODIFY] == 0
    assert refusals(t.apply()) == refused


@pytest.mark.parametrize(
    ("owner", "partner"), [("", "international"), ("china", ""), ("", "")], ids=["owner", "partner", "both"]
)
def test_where_a_site_is_not_known_the_cloud_says_that_it_does_not_fit(trial: Trials, owner: str, partner: str) -> None:
    """Then the refusal comes from the call, names the account, and stops nobody else."""
    named = {"account": PARTNER, **({"site": partner} if partner else {})}
    t = trial(world=market(), policy=with_partners(named, site=owner))
    applied = t.apply()
    assert refusals(applied) == [(image, "marketplace-across-sites", (PARTNER,)) for image in ("m-gold", "m-silver")]
    assert all("InvalidImageId.BidMismatch" in refusal.remedy for refusal in t.apply().plan.refused)
    assert t.access() == gained(t, "m-bronze", PARTNER)
    assert in_step(t)


def test_a_partner_on_the_same_site_gets_marketplace_images(trial: Trials) -> None:
    """Only sites that are known and differ stand in the way."""
    document = market()
    document["sites"] = dict.fromkeys((OWNER, PARTNER, A, B), "international")
    partner = {"account": PARTNER, "site": "international"}
    t = trial(world=document, policy=with_partners(partner, site="international"))
    assert refusals(t.apply()) == []
    assert t.access() == everywhere(A, B, PARTNER)


def test_what_a_partner_on_another_site_cannot_get_is_not_asked_for(trial: Trials) -> None:
    """With partners: hold, only first grants that the service allows wait for a person."""
    partner = {"account": PARTNER, "site": "international"}
    safety = {**policy()["safety"], "partners": "hold"}
    t = trial(world=market(), policy=with_partners(partner, site="china", safety=safety))
    (hold,) = t.apply().plan.held
    assert {(pair.image, pair.account) for pair in hold.pairs} == {("m-bronze", PARTNER)}


def test_a_partner_that_has_an_image_keeps_it_when_its_site_is_written_down(trial: Trials) -> None:
    """A refusal stops additions and never takes anything away."""
    t = trial(policy=with_partners(PARTNER))
    t.apply()
    t.patch(images={"m-gold": {"product_code": "cmjj0001"}})
    t.write_policy(with_partners({"account": PARTNER, "site": "international"}, site="china"))
    assert refusals(t.apply()) == []
    assert t.access() == everywhere(A, B, PARTNER)


@pytest.mark.parametrize("channel", ["direct", "auto"])
def test_a_paid_source_image_charges_the_recipient(trial: Trials, channel: str) -> None:
    """It is shared all the same, and a finding says who pays: once an image, however many accounts."""
    t = trial(world=market(), policy=policy(rules=[rule(channel=channel)]))
    applied = until_settled(t)
    assert t.access() == everywhere(A, B)
    assert found(applied, "billed") == {("m-gold", ""), ("m-silver", "")}
    (why,) = {f.why for f in applied.plan.findings if f.kind == "billed"}
    assert "whoever makes instances of it pays" in why
    t.write_policy(policy(rules=[rule("other", {"ids": ["m-bronze"]})]))
    assert found(t.apply(), "billed") == set()


def test_shared_images_do_not_use_the_recipient_s_image_quota(trial: Trials) -> None:
    """However many images somebody has, shared ones are taken: only a quota of the sharing itself stands in the way."""
    t = trial(policy=policy(rules=[rule(accounts=[A, B, C])]))
    own = {f"m-own-{n}": {"owner": A, "region": REGION, "name": f"own-{n}"} for n in range(30)}
    t.patch(images=own)
    assert refusals(t.apply()) == []
    assert {image: who for image, who in t.access().items() if image not in own} == everywhere(A, B, C)


def test_who_received_all_the_images_that_it_may_is_named(trial: Trials) -> None:
    """QuotaExceed.ShareImage speaks of one account: the others get the image."""
    t = trial(world=world(quotas={"shared_images": 2}), policy=policy(rules=[rule(accounts=[A, B, C])]))
    t.patch(images={"m-x": {"owner": D, "region": REGION, "name": "x"}}, grants={"m-x": [A]})
    applied = t.apply()
    had = {image: who for image, who in t.access().items() if image != "m-x"}
    assert refusals(applied) == [
        (image, "over-quota", tuple(a for a in (A, B, C) if a not in had[image]))
        for image in ALL_IMAGES
        if had[image] != {A, B, C}
    ]
    assert {account: sum(account in who for who in had.values()) for account in (A, B, C)} == {A: 1, B: 2, C: 2}
    assert in_step(t)


@pytest.mark.parametrize("covered", [True, False])
def test_who_is_shared_with_by_the_directory_is_not_shared_with_by_id_too(trial: Trials, covered: bool) -> None:
    """No direct grant beside a resource share, ours or by hand; one that a person makes is a finding where it shows."""
    t = trial(
        world=world(switches={"covered_in_permission_list": covered}), policy=policy(rules=[rule(channel="auto")])
    )
    until_settled(t)
    assert (by_shares(t), directly(t)) == (everywhere(A, B), NOBODY)
    t.patch(grants={image: [A] for image in ALL_IMAGES})
    t.cloud.advance(LATER)
    applied = t.apply()
    assert (by_shares(t), directly(t)) == (everywhere(A, B), everywhere(A))
    assert found(applied, "double-shared") == (set() if covered else {(image, A) for image in ALL_IMAGES})


@pytest.mark.parametrize("channel", ["directory", "auto"])
def test_resource_sharing_across_sites_is_refused(trial: Trials, channel: str) -> None:
    """An account on another site is refused as a target by its own reason; auto grants directly, as that allows it."""
    document = world(sites={A: "international"})
    t = trial(world=document, policy=policy(rules=[rule(accounts=[A, B, C], channel=channel)]))
    t.apply()
    t.cloud.advance(LATER)
    t.apply()
    applied = t.apply()
    assert by_shares(t) == everywhere(B, C)
    if channel == "auto":
        assert directly(t) == everywhere(A)
        assert {f.kind for f in applied.plan.findings} == {"channel-fallback"}
        assert refusals(t.apply()) == []
    else:
        assert directly(t) == NOBODY
        assert refusals(applied) == [(image, "across-sites", (A,)) for image in ALL_IMAGES]
        assert all("InvalidTarget.SiteMismatch" in refusal.remedy for refusal in applied.plan.refused)


def test_an_image_not_of_the_marketplace_that_is_refused_across_sites_is_named_so(trial: Trials) -> None:
    """The code is documented for other sites as such: what it means for this image is not laid on the Marketplace."""
    t = trial(policy=with_partners(PARTNER))
    fault = {"operation": MODIFY, "kind": "error", "code": "InvalidImageId.BidMismatch", "status": 403}
    t.patch(faults=[{**fault, "every": 1}])
    t.apply()
    t.patch(faults=[])
    refused = refusals(t.apply())
    assert {reason for _, reason, _ in refused} == {"across-sites"}
    assert {account for _, _, accounts in refused for account in accounts} == {A, B, PARTNER}
    t.cloud.advance(LATER)
    t.apply()
    assert t.access() == everywhere(A, B, PARTNER)


def test_not_to_simple_application_server(trial: Trials) -> None:
    """That service takes no shared images, so it is none that a policy can name."""
    t = trial(policy=policy(rules=[rule(images={"service": "swas", "tags": {"share": "org"}})]))
    with pytest.raises(ConfigurationError, match=r'images\.service: got "swas"; expected ecs'):
        t.apply()
    assert t.access() == NOBODY


def test_unshare_before_delete(trial: Trials) -> None:
    """The service does not delete what is shared; retired, the image is unshared, and then it does."""
    t = trial()
    t.apply()
    delete = ecs_models.DeleteImageRequest(region_id=REGION, image_id="m-gold")
    assert codes([lambda: clients().ecs.delete_image(delete)]) == ["ImageUseShared"]
    t.state().update_retired(lambda _: {"m-gold": Retirement(t.now(), "ann")}, run="x")
    t.apply()
    t.approve_all()
    t.apply()
    assert codes([lambda: clients().ecs.delete_image(delete)]) == [""]
    for _ in range(2):
        assert t.apply().failed == ()
    assert t.access() == {"m-silver": {A, B}, "m-bronze": {A, B}}


# --- what else is to be so


@pytest.mark.parametrize("channel", ["direct", "auto"])
def test_a_community_image_is_never_touched(trial: Trials, channel: str) -> None:
    """No call changes its permissions, neither to add nor to take away; private again, it is put in order."""
    t = trial(policy=policy(rules=[rule(channel=channel)]))
    until_settled(t)
    t.patch(images={"m-gold": {"public": True}})
    t.move(B, "fd-test")
    t.move(C, "fd-prod")
    direct = directly(t)["m-gold"]
    for _ in range(3):
        applied = t.apply()
        assert (directly(t)["m-gold"], applied.failed) == (direct, ())
        t.cloud.advance(LATER)
    if channel == "direct":
        assert refusals(applied) == [("m-gold", "community", (C,))]
        assert found(applied, "community") == {("m-gold", B)}
        assert calls_of(t, t.apply)[MODIFY] == 0
    assert found(applied, "cannot-revoke") == set()
    t.patch(images={"m-gold": {"public": False}})
    until_settled(t)
    assert t.access() == everywhere(A, C)


def test_a_grant_of_a_community_image_that_a_share_doubles_is_not_taken_back(trial: Trials) -> None:
    """One channel too many is put in order when the permissions can be changed again."""
    t = trial()
    t.apply()
    by_hand = {"owner": OWNER, "region": REGION, "name": "h", "images": list(ALL_IMAGES), "targets": [A, B]}
    t.patch(images={"m-gold": {"public": True}}, resource_shares={"rs-hand": by_hand})
    for _ in range(3):
        t.cloud.advance(LATER)
        applied = t.apply()
    assert (found(applied, "cannot-revoke"), applied.failed) == (set(), ())
    assert directly(t) == {**NOBODY, "m-gold": {A, B}}
    t.patch(images={"m-gold": {"public": False}})
    t.apply()
    assert (directly(t), by_shares(t)) == (NOBODY, everywhere(A, B))


@pytest.mark.parametrize("removal", ["ok", "error"])
def test_a_deprecated_image_keeps_what_it_has_and_gets_nothing_new(trial: Trials, removal: str) -> None:
    """Nobody new; who is not wanted any more loses it, if the service lets go, and else is named."""
    t = trial(world=world(switches={"deprecated_removal": removal}))
    t.apply()
    t.patch(images={"m-gold": {"status": "Deprecated"}})
    t.move(C, "fd-prod")
    applied = t.apply()
    assert t.access() == {**everywhere(A, B, C), "m-gold": {A, B}}
    assert refusals(applied) == [("m-gold", "deprecated", (C,))]
    t.move(B, "fd-test")
    applied = t.apply()
    assert t.access() == {**everywhere(A, C), "m-gold": {A} if removal == "ok" else {A, B}}
    assert found(applied, "cannot-revoke") == (set() if removal == "ok" else {("m-gold", B)})
    t.patch(images={"m-gold": {"status": "Available"}})
    t.apply()
    assert t.access() == everywhere(A, C)


def test_a_deprecated_image_stays_in_its_resource_share_and_joins_none(trial: Trials) -> None:
    """Who has it through the share keeps it; one that is deprecated before it was shared joins none."""
    t = trial(policy=policy(rules=[rule(channel="auto")]))
    t.patch(images={"m-silver": {"status": "Deprecated"}})
    until_settled(t)
    t.patch(images={"m-gold": {"status": "Deprecated"}})
    for _ in range(3):
        applied = t.apply()
        t.cloud.advance(LATER)
    assert by_shares(t) == {**everywhere(A, B), "m-silver": set()}
    assert refusals(applied) == [("m-silver", "deprecated", (A, B))]


def test_an_image_of_another_owner_than_its_rule_s_is_a_finding_and_shared_with_nobody(trial: Trials) -> None:
    """Two owners in one policy: a rule of the one does not reach an image of the other, named by id or not."""
    second = {"account": E, "regions": [REGION], "role": f"acs:ram::{E}:role/orgshare"}
    document = world()
    document["roles"][f"acs:ram::{E}:role/orgshare"] = {"trusts": [OWNER]}
    document["images"] |= {
        f"m-e{n}": {"owner": E, "region": REGION, "name": f"e{n}", "tags": {"share": "org"}} for n in range(3)
    }
    images = {"owner": OWNER, "ids": ["m-gold", "m-e0"]}
    t = trial(
        world=document,
        policy=policy(owners=[{"account": OWNER, "regions": [REGION]}, second], rules=[rule(images=images)]),
    )
    applied = t.apply()
    assert t.access() == {**NOBODY, "m-gold": {A, B}, **{f"m-e{n}": set() for n in range(3)}}
    assert applied.plan.findings == ()


def test_creating_and_waiting_images_are_taken_up_when_they_are_available(trial: Trials) -> None:
    """Six copies at once: five are made and one waits; each is refused until it is there, and shared then."""
    t = trial(world=world(delays={"image": 600}))
    tag = ecs_models.CopyImageRequestTag(key="share", value="org")
    for number in range(6):
        source = ecs_models.CopyImageRequest(
            region_id=REGION, image_id=ALL_IMAGES[number % 3], destination_region_id=REGION,
            destination_image_name=f"copy-{number}", tag=[tag],
        )  # fmt: skip
        if number < 3:
            clients().ecs.copy_image(source)
        else:
            request = ecs_models.CreateImageRequest(
                region_id=REGION, snapshot_id=f"s-{number}", image_name=f"made-{number}",
                tag=[ecs_models.CreateImageRequestTag(key="share", value="org")],
            )  # fmt: skip
            clients().ecs.create_image(request)
    applied = t.apply()
    new = set(t.access()) - set(ALL_IMAGES)
    assert {(image, reason) for image, reason, _ in refusals(applied)} == {(image, "not-available") for image in new}
    assert t.access() == {**everywhere(A, B), **{image: set() for image in new}}
    t.cloud.advance(1201)
    assert refusals(t.apply()) == []
    assert t.access() == {image: {A, B} for image in (*ALL_IMAGES, *new)}
    assert in_step(t)


@pytest.mark.parametrize("status", ["Creating", "Waiting", "UnAvailable", "CreateFailed"])
def test_an_image_that_is_not_available_is_told_with_its_status(trial: Trials, status: str) -> None:
    """Nobody gets it by either channel, the others are shared, and it is taken up as soon as it is available."""
    t = trial(policy=policy(rules=[rule(channel="auto"), rule("partner", partners=[PARTNER, STRANGER])]))
    t.patch(images={"m-gold": {"status": status}})
    applied = until_settled(t)
    assert refusals(applied) == [("m-gold", "not-available", (A, B, PARTNER, STRANGER))]
    assert applied.plan.refused[0].remedy == f"its status is {status}; it is shared when it is Available"
    assert t.access() == {**everywhere(A, B, PARTNER, STRANGER), "m-gold": set()}
    t.patch(images={"m-gold": {"status": "Available"}})
    until_settled(t)
    assert t.access() == everywhere(A, B, PARTNER, STRANGER)
