"""What a person reads who looks for an account that did not get an image: the reason, who, and how to mend it."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

import pytest

from orgshare.decide.deciding import decide
from orgshare.decide.plan import Reason, Refusal
from orgshare.decide.refusals import REFUSAL_STANDS, reason_of_setback, remedy_of
from orgshare.ledger import Ledger, RememberedRefusal
from orgshare.words import Image
from tests.support.facts import NOW, A, B, C, D, E, facts, image, policy, reading, rule

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


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("QuotaExceeded.ResourceShare", "share-quota"),
        ("OperationDenied", "association-failed"),
        ("Failed", "association-failed"),
    ],
)
def test_a_quota_of_resource_sharing_is_told_from_any_other_setback(code: str, reason: str) -> None:
    """Only the one is mended by asking for more; both have a remedy of their own."""
    assert reason_of_setback(code) == reason
    assert remedy_of(reason) != remedy_of("unknown")
