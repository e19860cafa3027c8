"""Where the members of the organization were seen, and since when: what runs remember of it.

A resource share reaches an account because of where it is, and nothing is documented about how soon a join or a move
takes effect. So an account counts as settled only after it was seen in one place for a while. And an account that a
listing suddenly lacks may still be there: it is remembered where it was, until it is proven to have left.

What can go wrong is a wrong listing that becomes the memory. So what vanished is kept for days, and a place counts from
the first reading that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec import Struct

from orgshare.words import Organization

FORGOTTEN = timedelta(days=7)
"""How long an account that no listing shows any more is remembered where it was."""


class Place(Struct, frozen=True, array_like=True):
    """The folder that holds an account directly.

    ``since`` is when it was first seen there, ``member_since`` when it was first seen at all, ``gone`` when a listing
    first lacked it. ``before`` is the folder that held it before it moved.
    """

    folder: str
    since: datetime
    member_since: datetime
    gone: datetime | None = None
    before: str = ""


class Seen(Struct, frozen=True):
    """Every account that was seen, and the chain of every folder that holds one."""

    places: Mapping[str, Place] = MappingProxyType({})
    folders: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def settled(self, now: datetime, settle: timedelta) -> frozenset[str]:
        """The accounts that have been in their place for long enough."""
        return frozenset(a for a, place in self.places.items() if place.gone is None and now - place.since >= settle)

    def established(self, now: datetime, settle: timedelta) -> frozenset[str]:
        """The accounts that have been members for long enough, wherever they were."""
        here = ((a, place) for a, place in self.places.items() if place.gone is None)
        return frozenset(a for a, place in here if now - place.member_since >= settle)

    def moved(self, now: datetime, settle: timedelta) -> Mapping[str, tuple[str, ...]]:
        """The accounts that moved only lately, with the folders that they were in before and may still count as in."""
        lately = ((a, place) for a, place in self.places.items() if place.before and place.gone is None)
        return {a: self.folders[place.before] for a, place in lately if now - place.since < settle}

    def vanished(self) -> Mapping[str, tuple[str, ...]]:
        """The accounts that were seen before and are not listed now, with the folders that they were in."""
        return {a: self.folders[place.folder] for a, place in self.places.items() if place.gone is not None}


def see(before: Seen, organization: Organization, departed: frozenset[str], now: datetime) -> Seen:
    """What is remembered after a reading; ``departed`` accounts are proven to have left."""
    places: dict[str, Place] = {}
    folders: dict[str, tuple[str, ...]] = {}
    for account, member in organization.members.items():
        known = before.places.get(account)
        if known is None or known.gone is not None:
            places[account] = Place(member.folders[-1], now, now)
        elif known.folder != member.folders[-1]:
            places[account] = Place(member.folders[-1], now, known.member_since, before=known.folder)
        else:
            places[account] = known
        folders[member.folders[-1]] = member.folders
    for place in places.values():
        if place.before:
            folders.setdefault(place.before, before.folders[place.before])
    for account, place in before.places.items():
        gone = place.gone or now
        if account not in places and account not in departed and now - gone < FORGOTTEN:
            places[account] = Place(place.folder, place.since, place.member_since, gone)
            folders.setdefault(place.folder, before.folders[place.folder])
    return Seen(MappingProxyType(places), MappingProxyType(folders))
