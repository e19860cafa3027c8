"""Changes of what is in a resource share, as EventBridge tells those whom it is shared with.

The event comes to the account that gets the image, not to the owner, so whether it is ours is told by the owner that
it names (https://www.alibabacloud.com/help/en/eventbridge/user-guide/resource-management-events). Every status is a
reason to look: a share that has reached an account is when a direct grant can go, one that failed is when it is needed.

A share with many accounts makes as many events. They all name one image, so together they are one look.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from orgshare.signals.model import Id, ImageAt, MaybeId, Parsed, Senders, Signal, ignored, line, place, plain, read
from orgshare.words import is_image

ASSOCIATION_CHANGE = "resourcemanager:ResourceSharing:AssociationStatusChange"
"""The type on EventBridge."""


class _Change(Struct, rename="camel"):
    resource_id: Id
    resource_type: str = ""
    resource_owner_account_id: MaybeId = None
    target_account_id: MaybeId = None
    association_status: str = ""


def association_change(
    data: dict[str, Any], *, event: str, resource: str | None, region: str | None, senders: Senders
) -> Parsed:
    """A look at the image that was put into a resource share, or taken out of it, if its owner is known.

    ``resource`` is the name of the share, which knows best in which region it is.
    """
    change = read(data, _Change, ASSOCIATION_CHANGE)
    image = str(change.resource_id)
    what = (
        f"AssociationStatusChange of {line(change.resource_type) or 'resource'} {image} for "
        f"{plain(change.target_account_id) or '?'} to {line(change.association_status) or '?'} "
        f"(event {line(event) or '?'})"
    )
    if change.resource_type.lower() != "image" if change.resource_type else not is_image(image):
        return ignored(f"of no interest: {what}")
    there, whose = place(resource, "resourceshare")
    owner = plain(change.resource_owner_account_id) or whose
    if foreign := senders.no_owner(owner):
        return ignored(f"foreign: {what}: {foreign}")
    return Parsed(Signal(images=frozenset({ImageAt(image, there or region, owner)}), why=(what,)))
