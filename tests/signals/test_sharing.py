"""Changes of what is in a resource share, as those are told whom it is shared with."""

from __future__ import annotations

import pytest

from orgshare.signals import ImageAt, MalformedEvent, Parsed, Senders, Signal, parse
from tests.signals.events import OWNER, association, payload

OURS = Senders("1", frozenset({OWNER}))


@pytest.mark.parametrize("status", ["Associated", "Associating", "Disassociated", "Failed", "SomethingNew", ""])
def test_that_every_status_is_a_reason_to_look_at_the_image(status: str) -> None:
    """The image is looked at where its share is, whoever was told of it."""
    parsed = parse(payload(association(associationStatus=status)), OURS)
    assert parsed.signal.images == {ImageAt("m-1", "cn-beijing", OWNER)}
    assert parsed.signal.why == (f"AssociationStatusChange of Image m-1 for 3 to {status or '?'} (event e-1)",)


def test_that_the_place_may_be_told_by_the_bus_alone() -> None:
    """Without the share's name the region is the bus's, and the owner the one that the data name."""
    event = association()
    del event["subject"]
    assert parse(payload(event), OURS).signal.images == {ImageAt("m-1", "cn-hangzhou", OWNER)}


def test_that_the_owner_may_be_told_by_the_share_alone() -> None:
    """Data without an owner: the share's name has it."""
    assert parse(payload(association(resourceOwnerAccountId=None)), OURS).signal.images == {
        ImageAt("m-1", "cn-beijing", OWNER)
    }


def test_that_an_image_is_known_by_its_id_where_its_type_is_not_said() -> None:
    """And anything else without a type is of no interest."""
    assert parse(payload(association(resourceType=""))).signal.images
    assert parse(payload(association(resourceType="", resourceId="crp-1"))).signal.empty


def test_that_what_a_thousand_accounts_are_told_is_one_look() -> None:
    """Each account that a share reaches gets an event, and all of them name one image."""
    events = [association(targetAccountId=str(number)) for number in range(1000, 2000)]
    assert parse(payload(events), OURS).signal.images == {ImageAt("m-1", "cn-beijing", OWNER)}


@pytest.mark.parametrize(
    ("more", "because"),
    [
        (
            {"resourceOwnerAccountId": "9"},
            "foreign: AssociationStatusChange of Image m-1 for 3 to Associated (event e-1): "
            "9 is no owner of the policy",
        ),
        (
            {"resourceType": "VSwitch", "resourceId": "vsw-1"},
            "of no interest: AssociationStatusChange of VSwitch vsw-1 for 3 to Associated (event e-1)",
        ),
    ],
)
def test_that_other_resources_and_other_owners_are_ignored(more: dict[str, object], because: str) -> None:
    """An account is told of everything that is shared with it, by anybody."""
    assert parse(payload(association(**more)), OURS) == Parsed(ignored=(because,))


def test_that_a_change_that_names_no_resource_raises() -> None:
    """There is nothing to look at."""
    with pytest.raises(MalformedEvent, match=r"AssociationStatusChange: .*resourceId"):
        parse(payload(association(resourceId=None)))


def test_that_a_signal_says_nothing_of_the_account() -> None:
    """All accounts of an image that is looked at count, so the one that was told is not named."""
    assert parse(payload(association())).signal == Signal(
        images=frozenset({ImageAt("m-1", "cn-beijing", OWNER)}),
        why=("AssociationStatusChange of Image m-1 for 3 to Associated (event e-1)",),
    )
