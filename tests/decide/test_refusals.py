"""What a person reads who looks for an account that did not get an image: the reason, who, and how to mend it."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.facts import RoleFacts
from orgshare.decide.plan import Reason, Refusal
from orgshare.decide.refusals import (
    ACROSS_SITES,
    REFUSAL_STANDS,
    SERVICE_KEY_STANDS,
    reason_of_setback,
    remedy_of,
    stands,
)
from orgshare.ledger import Ledger, RememberedRefusal
from orgshare.policy.model import ImageSelector, Partner
from orgshare.trust import read_trust
from orgshare.words import Image, Sharing, desktops_of
from tests.support.facts import (
    NOW,
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
    policy,
    reading,
    rule,
)

EVERYBODY = rule("all", folders=["root"])


def refusals(*of: Image, quota: int = 50, remembered: tuple[RememberedRefusal, ...] = ()) -> list[Refusal]:
    """What is refused of images that nobody has and five accounts want."""
    known = Ledger(refusals=MappingProxyType({each.id: remembered for each in of}))
    found = facts(policy(EVERYBODY, quota=quota), *map(reading, of), known=known)
    return [refusal for decision in decide(found).images for refusal in decision.refusals]


@pytest.mark.parametrize(
    ("of", "reason", "remedy"),
    [
        (
            image("gold", alias="others"),
            "not-own",
            "only its owner can share it: name an image of the owner, or copy it within the owner's account",
        ),
        (
            image("gold", public=True),
            "community",
            "a community image is visible to everybody and cannot be shared: take it out of the rule",
        ),
        (
            image("gold", status="Deprecated"),
            "deprecated",
            "who has it keeps it, nobody new gets it: activate the image or share its successor",
        ),
        (
            image("gold", status="Creating"),
            "not-available",
            "its status is Creating; it is shared when it is Available",
        ),
        (
            image("gold", encrypted=True),
            "encrypted-refused",
            "it is encrypted: let the rule say encrypted: authorize if its audience may use the owner's key (an image "
            "under the service's own key has to be copied with a customer key first), or share an unencrypted copy",
        ),
    ],
)
def test_an_image_that_cannot_be_shared_says_why_and_what_helps(of: Image, reason: Reason, remedy: str) -> None:
    """Everybody who lacks it is named once, with the rule that wants it."""
    everybody = (A, B, C, D, E)
    assert refusals(of) == [
        Refusal(image="m-gold", rules=("all",), reason=reason, accounts=everybody, accounts_total=5, remedy=remedy)
    ]


def test_who_finds_no_place_learns_of_the_quota_and_of_the_ways_out() -> None:
    """Two places for five accounts: the last three by id are named, for each of three images."""
    found = refusals(image("gold"), image("silver"), image("bronze"), quota=2)
    assert {(r.image, r.reason, r.accounts) for r in found} == {
        (f"m-{name}", "over-quota", (C, D, E)) for name in ("gold", "silver", "bronze")
    }
    assert {r.remedy for r in found} == {
        "the image can be shared with 2 accounts; raise the quota «users that can be shared per custom image» in "
        "Quota Center and quotas.accounts_per_image of the owner, or narrow the audience, or let the rule use the "
        "directory (channel: auto)"
    }


def test_what_the_cloud_refused_is_told_with_its_code_and_the_time_of_the_next_try() -> None:
    """Refused at 11:50, so it is tried again after 12:05."""
    remembered = RememberedRefusal("account-refused", "InvalidAccount", NOW - timedelta(minutes=10), (A, B))
    (found,) = refusals(image("gold"), remembered=(remembered,))
    assert (found.reason, found.accounts, found.accounts_total) == ("account-refused", (A, B), 2)
    assert found.remedy == (
        "check the account id in the policy; the cloud said InvalidAccount; tried again after 12:05 UTC"
    )


def test_an_old_refusal_hides_no_younger_one() -> None:
    """The first is over and its account is tried again; the second stands."""
    over = RememberedRefusal("account-refused", "InvalidAccount", NOW - REFUSAL_STANDS, (A,))
    stands = RememberedRefusal("account-refused", "InvalidAccount", NOW - REFUSAL_STANDS + timedelta(seconds=1), (B,))
    assert [refusal.accounts for refusal in refusals(image("gold"), remembered=(over, stands))] == [(B,)]


def test_a_reason_that_another_version_wrote_down_is_a_plain_refusal() -> None:
    """It stands as long as any other, and says where to look."""
    (found,) = refusals(image("gold"), remembered=(RememberedRefusal("of-tomorrow", "New.Code", NOW),))
    assert (found.reason, found.accounts_total) == ("refused", 5)
    assert found.remedy == (
        "look the code up in the service's documentation; the cloud said New.Code; tried again after 12:15 UTC"
    )


WHY_ACROSS = (
    "it comes from the Marketplace and the account is on another of the vendor's sites (China, International): share "
    "an image without Marketplace software with it, or correct the key site in the policy"
)
PRODUCT = replace(image("gold"), product_code="cmjj001")


def test_an_image_of_the_marketplace_is_not_shared_with_another_site() -> None:
    """Who is there is refused it before the cloud is asked, and the others get it; plain images go to everybody."""
    sites = [Partner(PARTNER, site="international"), Partner(STRANGER, site="china")]
    of = facts(policy(rule(accounts=[A], partners=sites)), *map(reading, (PRODUCT, image("silver"), image("bronze"))))
    owners = tuple(replace(owner, site="china") for owner in of.policy.owners)
    found = decide(replace(of, policy=replace(of.policy, owners=owners))).images
    assert {decision.image.id: (decision.grants, decision.refusals) for decision in found} == {
        "m-bronze": ((A, PARTNER, STRANGER), ()),
        "m-gold": (
            (A, STRANGER),
            (
                Refusal(
                    image="m-gold",
                    rules=("golden",),
                    reason=ACROSS_SITES,
                    accounts=(PARTNER,),
                    accounts_total=1,
                    remedy=WHY_ACROSS,
                ),
            ),
        ),
        "m-silver": ((A, PARTNER, STRANGER), ()),
    }


@pytest.mark.parametrize(
    ("of", "reason", "remedy"),
    [
        (PRODUCT, ACROSS_SITES, WHY_ACROSS),
        (
            image("gold"),
            "across-sites",
            "the account is on another of the vendor's sites (China, International), which the service refuses here; "
            "a direct grant (channel: auto or direct) may be allowed where a resource share is not",
        ),
    ],
)
def test_another_site_that_the_cloud_finds_is_told_of_images_of_the_marketplace_and_of_others_apart(
    of: Image, reason: Reason, remedy: str
) -> None:
    """Others meet it, too, and taking Marketplace software out of them is no help."""
    assert refusals(of, remembered=(RememberedRefusal(ACROSS_SITES, "Across", NOW, (B,)),)) == [
        Refusal(
            image="m-gold",
            rules=("all",),
            reason=reason,
            accounts=(B,),
            accounts_total=1,
            remedy=f"{remedy}; the cloud said Across; tried again after 12:15 UTC",
        )
    ]


@pytest.mark.parametrize(
    ("age", "later"),
    [(REFUSAL_STANDS / 3, "; tried again after 12:10 UTC"), (REFUSAL_STANDS, ""), (SERVICE_KEY_STANDS / 2, "")],
)
def test_an_image_under_the_key_of_the_service_is_refused_for_long(age: timedelta, later: str) -> None:
    """When it is tried again is told only while that is soon: an image does not change its key."""
    kept = RememberedRefusal("encrypted-with-service-key", "UnsupportedKey", NOW - age)
    known = Ledger(refusals=MappingProxyType({"m-gold": (kept,)}))
    authorizing = replace(EVERYBODY, encrypted="authorize")
    (found,) = decide(facts(policy(authorizing), reading(image("gold", encrypted=True)), known=known)).images
    remedy = "copy the image with a customer key of your own (CopyImage) and share the copy"
    assert (found.grants, found.refusals) == (
        (),
        (
            Refusal(
                image="m-gold",
                rules=("all",),
                reason="encrypted-with-service-key",
                accounts=(A, B, C, D, E),
                accounts_total=5,
                remedy=f"{remedy}; the cloud said UnsupportedKey{later}",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("reason", "encrypted", "longest"),
    [
        ("encrypted-with-service-key", True, SERVICE_KEY_STANDS),
        ("encrypted-with-service-key", False, REFUSAL_STANDS),
        ("account-refused", True, REFUSAL_STANDS),
    ],
)
def test_how_long_a_refusal_is_believed_depends_on_what_can_change(
    reason: Reason, encrypted: bool, longest: timedelta
) -> None:
    """To the second: when its time is over it is tried again."""
    before, after = (RememberedRefusal(reason, "x", NOW - longest + timedelta(seconds=s)) for s in (1, 0))
    assert (stands(before, NOW, encrypted=encrypted), stands(after, NOW, encrypted=encrypted)) == (True, False)


DESKTOPS = "Elastic Desktop Service shares no encrypted image: use an unencrypted copy"
AUTHORIZE = (
    "it is encrypted: let the rule say encrypted: authorize if its audience may use the owner's key (an image under "
    "the service's own key has to be copied with a customer key first), or share an unencrypted copy"
)
DIRECTLY = "it is encrypted, and then it is shared directly only: set channel: auto or direct"


def test_who_cannot_get_an_encrypted_image_learns_which_key_of_the_rule_stands_against_it() -> None:
    """One rule does not authorize it, one uses the directory only; who is also wanted by a third gets it."""
    rules = (
        replace(rule("one", accounts=[A, B, E, OWNER]), encrypted="refuse"),
        replace(rule("two", accounts=[A, C, D, OWNER], channel="directory"), encrypted="authorize"),
        replace(rule("three", accounts=[A]), encrypted="authorize"),
    )
    of = facts(policy(*rules), *(reading(image(name, encrypted=True), C) for name in ("gold", "silver", "bronze")))
    role = RoleFacts(trust=read_trust('{"Version": "1", "Statement": []}'))
    for found in decide(replace(of, roles={OWNER: role})).images:
        refused = [(r.reason, r.accounts, r.rules, r.remedy) for r in found.refusals]
        assert (found.grants, refused) == (
            (A,),
            [
                ("encrypted-refused", (B, E), ("one", "two", "three"), AUTHORIZE),
                ("encrypted-refused", (D,), ("one", "two", "three"), DIRECTLY),
            ],
        )


def test_an_encrypted_image_of_desktops_says_that_only_a_copy_helps() -> None:
    """Whatever the rule says of encrypted images; its neighbour in the same shard is shared."""
    shard = desktops_of(OWNER)
    of = facts(
        policy(rule(folders=["root"], images=ImageSelector(services=frozenset({"eds"})))),
        *(reading(image(name, shard=shard, encrypted=name == "gold")) for name in ("bronze", "gold", "silver")),
    )
    of = replace(of, sharing={SHARD: Sharing(), shard: Sharing()}, ledgers={shard: Ledger()})
    refused = Refusal(
        image="m-gold",
        rules=("golden",),
        reason="encrypted-refused",
        accounts=(A, B, C, D, E),
        accounts_total=5,
        remedy=DESKTOPS,
    )
    assert [(found.image.id, found.grants, found.refusals) for found in decide(of).images] == [
        ("m-bronze", (A, B, C, D, E), ()),
        ("m-gold", (), (refused,)),
        ("m-silver", (A, B, C, D, E), ()),
    ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("InvalidTarget.SiteMismatch", "across-sites"),
        ("QuotaExceeded.ResourceShare", "share-quota"),
        ("OperationDenied", "association-failed"),
        ("Failed", "association-failed"),
    ],
)
def test_a_quota_of_resource_sharing_is_told_from_any_other_setback(code: str, reason: str) -> None:
    """Only the one is mended by asking for more; both have a remedy of their own."""
    assert reason_of_setback(code) == reason
    assert remedy_of(reason) != remedy_of("unknown")
