"""State changes of images, in the form of EventBridge and in that of CloudMonitor's system events.

Every state is a reason to look, also Waiting, Creating and those that nobody has thought of yet: events come
late and out of order, so the state in one may be over, and the look costs one listing of one image.
https://help.aliyun.com/zh/ecs/user-guide/image-event-notification
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from orgshare.signals.model import (
    Id,
    ImageAt,
    MaybeId,
    Parsed,
    Senders,
    Signal,
    ignored,
    line,
    place,
    plain,
    read,
)

STATE_CHANGE = "ecs:Image:StateChange"
"""The type on EventBridge, and the product and name in CloudMonitor."""


class _Content(Struct, rename="camel"):
    image_id: Id
    current_state: str = ""


class _SystemEvent(Struct, rename="camel"):
    content: dict[str, Any]
    id: str | None = None
    resource_id: str | None = None
    region_id: MaybeId = None
    user_id: MaybeId = None


def parse_cloudmonitor(event: dict[str, Any], senders: Senders) -> Parsed:
    """What a system event pushed by CloudMonitor says to look at; names of no interest are ignored unread.

    https://www.alibabacloud.com/help/en/ecs/user-guide/subscribe-to-system-event-notifications
    """
    kind = f"{str(event.get('product', 'ECS')).lower()}:{event['name']}"
    if kind != STATE_CHANGE:
        return ignored(f"unknown kind: {line(kind)} (event {line(event.get('id') or '?')})")
    system = read(event, _SystemEvent, STATE_CHANGE)
    return state_change(
        system.content,
        event=system.id or "",
        resource=system.resource_id,
        region=plain(system.region_id),
        account=plain(system.user_id),
        senders=senders,
    )


def state_change(
    content: dict[str, Any],
    *,
    event: str,
    resource: str | None,
    region: str | None,
    account: str | None,
    sender: str | None = None,
    senders: Senders,
) -> Parsed:
    """A look at the image in ``content``. Its resource name knows best where it is: events get forwarded.

    ``account`` is the one that the event came from, ``sender`` the one that a forwarded event certainly came from.
    """
    change = read(content, _Content, STATE_CHANGE)
    image = str(change.image_id)
    there, whose = place(resource, "image")
    owner = whose or account
    what = f"Image:StateChange of {image} to {line(change.current_state) or '?'} (event {line(event) or '?'})"
    if foreign := senders.no_owner(sender, owner):
        return ignored(f"foreign: {what}: {foreign}")
    return Parsed(Signal(images=frozenset({ImageAt(image, there or region, owner)}), why=(what,)))
