"""A story driven by events and timers alone: the functions of template.yml, each in processes of its own.

Nobody calls a function here. Somebody changes the cloud, its events and the clock do the rest, and every call that a
function makes is allowed or refused by the role that the template gives it. Then the same story is told once more
while every event gets lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orgshare_demo.deployment import SWEEP, WATCH, deployed_world
from tests.support.served import LEEWAY, Organization, deployed, story_policy

GOLD, FAR, RUNNER = "m-gold0000000000000001", "m-gold0000000000000003", "m-build000000000000004"
RESCUE, APPLIANCE = "m-help0000000000000009", "m-appl0000000000000005"
CHECKOUT, LOYALTY, INVITED = "1000000000000005", "1000000000000006", "1000000000000016"


@pytest.fixture(scope="module")
def organization() -> Iterator[Organization]:
    """In step after its first sweep; one for all tests, as an instance takes seconds to start."""
    with deployed(story_policy(), deployed_world()) as made:
        made.let(SWEEP + LEEWAY)
        yield made


def created(of: Organization) -> str:
    """Management creates an account in development/, where rule build gives an image directly."""
    return of.people.create_account("payments", "fd-dev")


def invited(of: Organization) -> None:
    """An account from outside accepts an invitation: that call is its own, so no event of it comes here."""
    of.people.invite_account(INVITED)


def unshared(of: Organization) -> None:
    """In the console somebody takes a folder out of the targets of a resource share of ours."""
    shares = of.cloud.world().resource_shares
    (share,) = [name for name, row in shares.items() if FAR in row.images]
    kept = [one for one in shares[share].targets if one != "fd-data"]
    assert len(kept) < len(shares[share].targets)
    of.cloud.patch({"resource_shares": {share: {"targets": kept}}})


def back(of: Organization, *, new: str) -> None:
    """Everything is as it was before the story, and was read once since."""
    image = of.cloud.world().images[GOLD]
    row = {"owner": image.owner, "region": image.region, "name": image.name, "tags": dict(image.tags)}
    loyalty = {"name": "loyalty", "folder": "fd-shop"}
    members = {CHECKOUT: {"folder": "fd-shop"}, LOYALTY: loyalty, INVITED: None, new: None}
    of.cloud.patch({"directory": {"members": members}, "images": {GOLD: None}})
    of.cloud.patch({"images": {GOLD: {**row, "status": "Creating"}}})
    of.let(SWEEP + LEEWAY)
    assert of.access() == of.wanted()


def test_the_functions_of_the_template_keep_everything_in_step_by_themselves(organization: Organization) -> None:
    """An image, joins, a move, a departure and drift, each seen by an event or by the next timer; then all events lost.

    With every event lost the organization is in step after one watch, images after the sweep, and the end is the same.
    """
    of = organization
    assert of.access() == of.wanted()

    of.cloud.patch({"images": {GOLD: {"status": "Available"}}})
    of.let()
    assert of.access() == of.wanted()
    assert any(image == GOLD for image, _ in of.access())

    new = created(of)
    of.let()
    assert of.access()[RUNNER, new] == {"direct"}
    assert of.access() == of.wanted()

    invited(of)
    of.let()
    assert (RESCUE, INVITED) not in of.access()
    of.let(WATCH + LEEWAY)
    assert of.access()[RESCUE, INVITED] == {"direct"}
    assert of.access() == of.wanted()

    of.people.move_account(CHECKOUT, "fd-sandbox")
    of.let()
    assert (RUNNER, CHECKOUT) not in of.access()
    assert of.access() == of.wanted()

    of.people.remove_account(LOYALTY)
    of.let()
    assert of.access() == of.wanted()

    of.cloud.patch({"grants": {APPLIANCE: []}})
    of.let()
    assert of.access() != of.wanted()
    of.let(SWEEP + LEEWAY)
    assert of.access() == of.wanted()
    end = of.names()

    back(of, new=new)
    of.cloud.patch({"events": {"lose": 1.0}})
    before = len(of.cloud.invocations())
    of.cloud.patch({"images": {GOLD: {"status": "Available"}}})
    created(of)
    invited(of)
    of.people.move_account(CHECKOUT, "fd-sandbox")
    of.people.remove_account(LOYALTY)
    unshared(of)
    of.let()
    assert len(of.cloud.invocations()) == before
    of.let(WATCH)
    late = {GOLD, FAR}
    assert {pair for pair in of.access() if pair[0] not in late} == {p for p in of.wanted() if p[0] not in late}
    of.let(SWEEP + LEEWAY)
    assert of.access() == of.wanted()
    assert of.names() == end


def test_nothing_failed_on_the_way_and_nobody_called_but_events_timers_and_functions(
    organization: Organization,
) -> None:
    """Each function could do all that it had to with the role that the template gives it, and for every one of them."""
    done = organization.cloud.invocations()
    assert [one for one in done if one.outcome != "ok"] == []
    sources: dict[str, set[str]] = {}
    for one in done:
        sources.setdefault(one.function, set()).add(one.source)
    assert sources == {
        "orgshare-membership": {"timer:watch", "eventbridge:membership-events"},
        "orgshare-image": {"eventbridge:image-state", "eventbridge:image-calls"},
        "orgshare-reconcile": {"timer:sweep"},
        "orgshare-worker": {"invoke"},
    }
    assert organization.cloud.waiting() == []
    told: list[Any] = [one.sender for one in organization.cloud.messages()]
    assert told
    assert not any(sender.startswith("fc:") for sender in told)
