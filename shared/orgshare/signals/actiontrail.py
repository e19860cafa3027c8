"""Audit records of ActionTrail: which calls are worth a look, and at what.

A record says that a call was accepted, not that it has taken effect: the image of a CreateImage is usable
later. Nearly every field is absent in some documented record, ``responseElements`` among them, and a failed
call is recorded like any other. A record of no interest is not read far enough to be malformed.
https://www.alibabacloud.com/help/doc-detail/28819.html

Calls of this program itself come back as records, too: what they changed is known, so they ask for no look, and those
of one run share one line in the log. Whoever names itself like this program hides a call until the next sweep, no
longer.

A call of the directory belongs to the management account, a call of images or resource shares to an owner. Only an
invitation is accepted by whom it was sent to (https://help.aliyun.com/zh/resource-management/developer-reference/
api-resourcedirectorymaster-2022-04-19-accepthandshake): that record belongs to an account that was nobody's before, so
what counts is whose invitation it was, where the record says it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct

from orgshare.signals.model import (
    ANYBODY,
    Id,
    ImageAt,
    MalformedEvent,
    MaybeId,
    Parsed,
    Senders,
    Signal,
    ignored,
    line,
    named,
    plain,
    read,
)
from orgshare.words import Shard


class _Identity(Struct, rename="camel"):
    account_id: MaybeId = None


class _Record(Struct, rename="camel"):
    event_name: str
    error_code: Any = None
    user_agent: Any = None
    acs_region: MaybeId = None
    recipient_account_id: MaybeId = None
    user_identity: _Identity | None = None
    request_parameters: dict[str, Any] | None = None
    response_elements: dict[str, Any] | None = None
    referenced_resources: dict[str, Any] | None = None


class _Call(Struct):
    """A record of a call that succeeded; ``account`` is the one in which it happened, where that is known.

    ``sender`` is the account that an envelope says it certainly came from.
    """

    record: _Record
    event: str
    account: str | None
    sender: str | None

    @property
    def name(self) -> str:
        return self.record.event_name

    @property
    def region(self) -> str | None:
        return self.requested("RegionId") or plain(self.record.acs_region)

    def requested(self, name: str) -> str | None:
        return named(self.record.request_parameters, name, what=self.name)

    def answered(self, *path: str) -> str | None:
        return named(self.record.response_elements, *path, what=self.name)

    def required(self, name: str) -> str:
        if value := self.requested(name):
            return value
        raise self.lacks(name)

    def lacks(self, name: str) -> MalformedEvent:
        return MalformedEvent(f"{self.name}: expected {name} in requestParameters")

    def listed(self, name: str) -> frozenset[str]:
        """Ids of a repeated parameter, which records hold as a list or flattened (``ResourceId.1``)."""
        found = set[str]()
        for key, value in (self.record.request_parameters or {}).items():
            if key == name or re.fullmatch(re.escape(name) + r"\.[0-9]+", key):
                found |= self._ids(value if isinstance(value, list) else [value], name)
        return frozenset(found)

    def referenced_images(self) -> frozenset[str]:
        key = "ACS::ECS::Image"
        return self._ids((self.record.referenced_resources or {}).get(key) or [], key)

    def _ids(self, values: object, what: str) -> frozenset[str]:
        return frozenset(map(str, read(values, list[Id], f"{self.name}: {what}")))

    def look(
        self,
        *,
        accounts: frozenset[str] = frozenset(),
        images: frozenset[ImageAt] = frozenset(),
        shards: frozenset[Shard] = frozenset(),
        organization: bool = False,
    ) -> Parsed:
        of = sorted(accounts) or sorted(i.id for i in images) or [f"something in {s}" for s in shards]
        names = f" of {', '.join(of[:3])}" if of else ""
        more = f" and {len(of) - 3} more" if len(of) > 3 else ""
        why = f"{self.name}{names}{more} (event {line(self.event) or '?'})"
        return Parsed(Signal(accounts, images, shards, organization=organization, why=(why,)))

    def look_at_images(self, ids: frozenset[str], region: str | None) -> Parsed:
        return self.look(images=frozenset(ImageAt(i, region, self.account) for i in ids))


def _new_image(call: _Call) -> Parsed:
    created = call.answered("ImageId")
    return _created(call, frozenset({created}) if created else call.referenced_images(), call.region)


def _copied_image(call: _Call) -> Parsed:
    # The record belongs to the region of the source; the image that is new is in the other one.
    created, source = call.answered("ImageId"), call.requested("ImageId")
    ids = frozenset({created}) if created else call.referenced_images() - {source}
    return _created(call, ids, call.requested("DestinationRegionId"))


def _created(call: _Call, ids: frozenset[str], region: str | None) -> Parsed:
    """The images, or the whole shard where the record does not name what the call made, as it need not."""
    if ids:
        return call.look_at_images(ids, region)
    if region and call.account:
        return call.look(shards=frozenset({Shard("ecs", call.account, region)}))
    raise MalformedEvent(f"{call.name}: expected ImageId in responseElements, or an account and a region")


def _named_image(call: _Call) -> Parsed:
    asked = call.requested("ImageId")
    if ids := frozenset({asked}) if asked else call.referenced_images():
        return call.look_at_images(ids, call.region)
    raise call.lacks("ImageId")


def _tagged_images(call: _Call) -> Parsed:
    type_ = call.requested("ResourceType")
    if type_ and type_.lower() != "image":
        return _no_interest(call, f"of {type_}")
    if ids := (call.listed("ResourceId") if type_ else None) or call.referenced_images():
        return call.look_at_images(ids, call.region)
    if not type_:
        return _no_interest(call, "of no image")
    raise call.lacks("ResourceId.1")


def _tagged_accounts(call: _Call) -> Parsed:
    type_ = call.required("ResourceType")
    if type_.lower() != "account":
        return _no_interest(call, f"of {type_}")
    if ids := call.listed("ResourceId"):
        return call.look(accounts=ids)
    raise call.lacks("ResourceId.1")


def _new_account(call: _Call) -> Parsed:
    # Without the answer nothing names the account, so that only the whole organization can show who is new.
    created = call.answered("Account", "AccountId")
    return call.look(accounts=frozenset({created})) if created else call.look(organization=True)


def _accepted_invitation(call: _Call) -> Parsed:
    # The invited account makes this call, so the record is its own. Some invitations name a mailbox.
    by_id = call.answered("Handshake", "TargetType") == "Account"
    joined = (call.answered("Handshake", "TargetEntity") if by_id else None) or call.account
    return call.look(accounts=frozenset({joined})) if joined else call.look(organization=True)


def _named_account(call: _Call) -> Parsed:
    return call.look(accounts=frozenset({call.required("AccountId")}))


def _everybody(call: _Call) -> Parsed:
    return call.look(organization=True)


def _changed_share(call: _Call) -> Parsed:
    # Which images are in the share, only the cloud can say, and one share serves many.
    region = call.region
    if call.account and region:
        return call.look(shards=frozenset({Shard("ecs", call.account, region)}))
    return _no_interest(call, "nowhere")


def _no_interest(call: _Call, of: str) -> Parsed:
    return ignored(f"of no interest: {call.name} {line(of)} (event {line(call.event) or '?'})")


def _not_management(call: _Call, senders: Senders) -> str:
    return senders.not_management(call.sender, call.account)


def _not_invited_by_management(call: _Call, senders: Senders) -> str:
    return senders.not_management(call.answered("Handshake", "MasterAccountId"))


def _no_owner(call: _Call, senders: Senders) -> str:
    return senders.no_owner(call.sender, call.account)


class _Kind(NamedTuple):
    """How a call is read, and what makes its record foreign."""

    read: Callable[[_Call], Parsed]
    foreign: Callable[[_Call, Senders], str]


_ECS: Mapping[str, _Kind] = MappingProxyType(
    {
        "CreateImage": _Kind(_new_image, _no_owner),
        "ImportImage": _Kind(_new_image, _no_owner),
        "CopyImage": _Kind(_copied_image, _no_owner),
        "CancelCopyImage": _Kind(_named_image, _no_owner),
        "DeleteImage": _Kind(_named_image, _no_owner),
        "ModifyImageAttribute": _Kind(_named_image, _no_owner),
        "ModifyImageSharePermission": _Kind(_named_image, _no_owner),
        "TagResources": _Kind(_tagged_images, _no_owner),
        "UntagResources": _Kind(_tagged_images, _no_owner),
    }
)

_SHARING: Mapping[str, _Kind] = MappingProxyType(
    {
        "AssociateResourceShare": _Kind(_changed_share, _no_owner),
        "CreateResourceShare": _Kind(_changed_share, _no_owner),
        "DeleteResourceShare": _Kind(_changed_share, _no_owner),
        "DisassociateResourceShare": _Kind(_changed_share, _no_owner),
        "UpdateResourceShare": _Kind(_changed_share, _no_owner),
    }
)

_DIRECTORY: Mapping[str, _Kind] = MappingProxyType(
    {
        "CreateResourceAccount": _Kind(_new_account, _not_management),
        "CreateCloudAccount": _Kind(_new_account, _not_management),
        "AcceptHandshake": _Kind(_accepted_invitation, _not_invited_by_management),
        "MoveAccount": _Kind(_named_account, _not_management),
        "RemoveCloudAccount": _Kind(_named_account, _not_management),
        "DeleteAccount": _Kind(_named_account, _not_management),
        "UpdateAccount": _Kind(_named_account, _not_management),
        "TagResources": _Kind(_tagged_accounts, _not_management),
        "UntagResources": _Kind(_tagged_accounts, _not_management),
        "CreateFolder": _Kind(_everybody, _not_management),
        "UpdateFolder": _Kind(_everybody, _not_management),
        "DeleteFolder": _Kind(_everybody, _not_management),
        **_SHARING,  # listed among the events of Resource Management, too
    }
)
"""https://alibabacloud.com/help/en/actiontrail/product-overview/audit-events-of-resource-management"""

_SERVICES: Mapping[str, Mapping[str, _Kind]] = MappingProxyType(
    {
        "ecs": _ECS,
        "resourcemanager": _DIRECTORY,  # API 2020-03-31
        "resourcedirectory": _DIRECTORY,
        "resourcedirectorymaster": _DIRECTORY,  # API 2022-04-19
        "resourcesharing": _SHARING,
    }
)
"""The resource directory is served under two names; which of them its records carry is not documented."""

_OURS = re.compile(r"(?:\A|[\s/])orgshare/\S+(?: run/(\S+))?")
"""How this program names itself and its run to every API; an SDK puts its own name and a space or stroke in front."""


def knows(service: str, name: str | None = None) -> bool:
    """Whether some records of this service are of interest, or those of one of its calls."""
    calls = _SERVICES.get(service.lower())
    return calls is not None and (name is None or name in calls)


def parse(
    record: dict[str, Any],
    senders: Senders = ANYBODY,
    *,
    service: str = "",
    event: str = "",
    account: str | None = None,
    sender: str | None = None,
) -> Parsed:
    """What an audit record says to look at.

    ``service``, ``event`` (its id), ``account`` (whose it is) and ``sender`` (whose it certainly is) are what its
    envelope said of it.
    """
    event = event or str(record.get("eventId") or "")
    service = str(record.get("serviceName") or service)
    name = record.get("eventName")
    call_name = f"{line(service) or 'no service'} {line(name)}"
    about = f"{call_name} (event {line(event) or '?'})"
    if not knows(service):
        return ignored(f"of no interest: {about}")
    if not isinstance(name, str):
        raise MalformedEvent(f"a record of {line(service)}: expected eventName as text")
    kind = _SERVICES[service.lower()].get(name)
    if kind is None:
        return ignored(f"of no interest: {about}")
    read_ = read(record, _Record, name)
    if read_.error_code:  # an accepted call has none, or an empty one
        return ignored(f"failed with {line(read_.error_code)}: {about}")
    if ours := _OURS.search(str(read_.user_agent or "")):
        return ignored(f"our own: {call_name} of run {line(ours[1] or '?')}")
    caller = plain(read_.user_identity.account_id) if read_.user_identity else None
    call = _Call(read_, event, plain(read_.recipient_account_id) or account or caller, sender)
    if foreign := kind.foreign(call, senders):
        return ignored(f"foreign: {about}: {foreign}")
    return kind.read(call)
