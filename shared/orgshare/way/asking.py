"""Questions about one image or one account: the same reading and deciding as a run, and nothing is carried out.

A run passes over images that no rule selects and that we never shared; a question may be about one of them, so its
permissions are read here. What can go wrong is an answer about something that could not be read: that is an error and
never the answer that nobody has access.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from orgshare.decide.deciding import decide
from orgshare.decide.decisions import ImageDecision
from orgshare.errors import UNREAD, ConfigurationError, IncompleteRead
from orgshare.focus import Focus, Selection, all_of
from orgshare.observe.images import read_grants
from orgshare.way.planning import Planned, make_plan
from orgshare.way.runtime import Runtime
from orgshare.words import Image, ImageReading, Shard


def look_at_image(runtime: Runtime, image: str, shard: Shard | None = None) -> tuple[Planned, ImageDecision]:
    """Everything about one image, which is looked for in every shard unless one is named. ``ConfigurationError`` if no
    owner of the policy has it, ``IncompleteRead`` if it or its permissions cannot be read."""
    within = Selection() if shard is None else all_of(shard)
    planned = make_plan(runtime, Focus((replace(within, images=frozenset({image})),)))
    planned = _with_unselected(planned, image)
    reading = next((r for r in planned.facts.readings if r.image.id == image), None)
    if reading is None:
        check_images(planned, [image])
        gaps = "; ".join(f"{gap.name}: {gap.why}" for gap in planned.looked.incomplete)
        raise IncompleteRead(f"image {image} was not found, and not everything could be read: {gaps}")
    if reading.grants is None:
        raise IncompleteRead(f"image {image} cannot be read: {reading.unread}")
    return planned, next(d for d in planned.decisions.images if d.image.id == image)


def check_images(planned: Planned, images: Iterable[str]) -> None:
    """Raise ``ConfigurationError`` if no owner of the policy has one of these images.

    Nothing is raised where a shard could not be read: the image may be there, and the plan says what is missing.
    """
    looked = planned.looked
    if looked.incomplete:
        return
    read = {reading.image.id for reading in looked.readings} | {image.id for image in looked.unselected}
    for image in sorted(set(images) - read):
        try:
            if any(service.image(image) is not None for service in looked.services.values()):
                continue  # it exists, and another part of the selection leaves it out
        except UNREAD as error:
            raise IncompleteRead(f"image {image} cannot be read: {error}") from error
        known = any(image in state.ledger.grants for state in looked.states.values())
        deleted = "; the state remembers grants on it, so it was there" if known else ""
        raise ConfigurationError(
            f"image {image}: no owner and region of the policy has it{deleted}; "
            "correct the id, or name its owner and region under owners"
        )


def check_account(planned: Planned, account: str) -> None:
    """Raise ``ConfigurationError`` if neither the organization, the policy nor any permission read names it."""
    policy, organization = planned.facts.policy, planned.looked.organization
    named = {partner.account for rule in policy.rules for partner in rule.audience.partners}
    named |= {owner.account for owner in policy.owners} | {organization.management}
    if account in organization.members or account in named:
        return
    if any(account in decision.has() for decision in planned.decisions.images):
        return
    raise ConfigurationError(
        f"account {account}: it is not in organization {organization.id}, no rule names it as a partner, and no "
        "permission read here has it; correct the id"
    )


def _with_unselected(planned: Planned, image: str) -> Planned:
    """The plan with an image that rules and ledger passed over, read and decided like the others."""
    row: Image | None = next((one for one in planned.looked.unselected if one.id == image), None)
    if row is None:
        return planned
    try:
        reading = ImageReading(row, read_grants(planned.looked.services[row.shard], image))
    except UNREAD as error:
        reading = ImageReading(row, None, str(error))
    facts = replace(planned.facts, readings=(*planned.facts.readings, reading))
    return replace(planned, facts=facts, decisions=decide(facts))
