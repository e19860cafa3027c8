"""Which resource share each image belongs to, what has to join it, and what should leave.

One share serves all images of a shard that have the same targets. If everything in a share gets the same new targets,
they change in place; otherwise images move, and the new share comes before the old one goes. This module says only
what should be; whether something may leave, and who would lose access by it, is for ``losses`` to say.

What can go wrong is an image that joins a share whose targets reach too far, or a target that joins a share in which
one image is not for it. So every join asks both ways, rows that are under way, held or put there by a person included,
and a share that does not fit takes nothing new.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from types import MappingProxyType

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orgshare.decide.coverage import is_stuck
from orgshare.decide.targets import NO_AUDIENCE, DirectoryAudience
from orgshare.ledger import Entry, Ledger, Setback, own_rows, row_key, vendor_time
from orgshare.words import DEPLOYMENT, NOBODY, Association, ResourceShare, Sharing, is_image

STATE, AUDIENCE = "orgshare:state", "orgshare:audience"
"""The tags of our shares, beside the deployment's: the id of the state, and what the share was made for."""

CREATE = "create-share"
"""The key of a setback that stopped us from creating a share."""

UNLISTED = "Unlisted"
"""The status of a row of ours that the last reading did not show."""


class Wish(Struct, frozen=True):
    """What is wanted for one image: the audience to reach by the directory (perhaps nobody).

    ``fixed`` images stay where they are, because what is wanted of them is not known, and so do those that are not
    ``looked`` at, because their grants are not. An image that does not ``join`` enters no share.
    """

    audience: DirectoryAudience = NO_AUDIENCE
    fixed: bool = False
    joins: bool = True
    looked: bool = True


class Joining(Struct, frozen=True):
    """Images and targets that should enter a share: an existing one, or the one to be made for ``audience``."""

    audience: str
    share: str = ""
    images: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


class Arrangement(Struct, frozen=True, kw_only=True):
    """What should be, for one shard.

    ``homes`` says which share each image is in or joins (``new`` and the audience for one to be made). ``leaving`` are
    rows of ours, as (share, entity), that should end. ``own`` are all live rows of ours. ``setbacks`` say why an image
    does not join its home, ``unreached`` which targets its home cannot get; only what lasts is there. ``awaited``
    images join as soon as something else is over.
    """

    joining: tuple[Joining, ...] = ()
    leaving: frozenset[tuple[str, str]] = frozenset()
    own: frozenset[tuple[str, str]] = frozenset()
    homes: Mapping[str, str] = MappingProxyType({})
    setbacks: Mapping[str, Setback] = MappingProxyType({})
    awaited: frozenset[str] = NOBODY
    unreached: Mapping[str, frozenset[str]] = MappingProxyType({})


def audience_key(targets: Iterable[str]) -> str:
    """A short name for a set of targets."""
    return hashlib.sha256(msgspec.json.encode(sorted(targets))).hexdigest()[:16]


def is_ours(share: ResourceShare, deployment: str, state: str) -> bool:
    """Whether a share carries the tags of this very installation."""
    return {(DEPLOYMENT, deployment), (STATE, state)} <= share.tags


def why_doubtful(sharing: Sharing, ledger: Ledger, *, deployment: str, state: str) -> str:
    """Why the state does not fit the resource shares of a shard, if it does not.

    ``ledger`` is settled with them, so it has forgotten what the cloud calls deleted. A share that a run created and
    did not live to record has no rows, so nothing hangs on it.
    """
    known = ledger.made | ledger.shares.keys()
    for share in sharing.shares:
        rows = any(row.live for row in share.images + share.targets)
        if share.live and rows and share.id not in known and is_ours(share, deployment, state):
            return f"resource share {share.id} has the tags of this state, and the state knows nothing of it"
    missing = ledger.made - {share.id for share in sharing.shares}
    if missing:
        return f"the state knows resource share {min(missing)}, which the cloud neither lists nor calls deleted"
    return ""


def unseen(sharing: Sharing, ledger: Ledger) -> frozenset[str]:
    """The images that are in resource shares which the state knows and the cloud does not show."""
    shown = {share.id for share in sharing.shares}
    return frozenset(e for share in ledger.made - shown for e in ledger.rows(share) if is_image(e))


def _most_done(shares: Iterable[_Share], targets: frozenset[str]) -> _Share:
    """The share for which least is left to do: it has all targets, or else most images; of equal ones the first."""
    return min(shares, key=lambda share: (not targets <= share.targets.keys(), -len(share.inside), share.id))


def with_unlisted(shares: Iterable[ResourceShare], ledger: Ledger) -> tuple[ResourceShare, ...]:
    """The shares with the rows of ours that this reading did not show, though nothing says that they are over.

    The lists of rows have no total, so a row that is missing may be there all the same: until a second reading does not
    show it either, and the ledger forgets it, it may give access, and nothing joins or leaves on the strength of its
    absence. ``ledger`` is settled with this very reading.
    """
    return tuple(_with_unlisted(share, ledger.rows(share.id)) for share in shares)


def _with_unlisted(share: ResourceShare, entries: Mapping[str, Entry]) -> ResourceShare:
    live = {row.entity for row in share.images + share.targets if row.live}
    absent = {
        entity: Association(entity, UNLISTED, entry.shared_time)
        for entity, entry in sorted(entries.items())
        if entity not in live and (entry.shared_time or entry.state != "intended")
    }
    if not absent:
        return share
    return replace(
        share,
        images=(
            *(row for row in share.images if row.entity not in absent),
            *(row for entity, row in absent.items() if is_image(entity)),
        ),
        targets=(
            *(row for row in share.targets if row.entity not in absent),
            *(row for entity, row in absent.items() if not is_image(entity)),
        ),
    )


def _stuck_since(row: Association) -> Setback:
    since = vendor_time(row.updated) or vendor_time(row.created) or datetime.min.replace(tzinfo=timezone.utc)
    return Setback("Associating", f"under way since {since.isoformat()}", since, lasting=True)


class _Share(Struct, frozen=True):
    """A share of ours with its rows sorted out.

    ``inside`` are the images that are in it or on the way in, ``images`` and ``targets`` everything that is not over,
    and ``by_hand`` the targets that somebody else put there.
    """

    share: ResourceShare
    images: Mapping[str, Association]
    targets: Mapping[str, Association]
    own: frozenset[str]
    inside: frozenset[str]
    by_hand: frozenset[str]

    @property
    def id(self) -> str:
        return self.share.id

    @property
    def made_for(self) -> str:
        """The key of the audience that it was made for."""
        return dict(self.share.tags).get(AUDIENCE, "")

    def fits(self, audience: DirectoryAudience) -> bool:
        """Whether an image with this audience may join: every target has to lie in the audience."""
        return all(audience.admits(target) for target in self.targets)

    def may_get(self, target: str, wishes: Mapping[str, Wish]) -> bool:
        """Whether a target may join: it has to lie in the audience of every image."""
        return all(
            image in wishes and not wishes[image].fixed and wishes[image].audience.admits(target)
            for image in self.images
        )


def arrange(
    wishes: Mapping[str, Wish], sharing: Sharing, ledger: Ledger, *, deployment: str, state: str, now: datetime
) -> Arrangement:
    """Say what should be for the images of one shard. ``ledger`` is settled with this very reading.

    Of images without a wish nothing is known: they stay as they are, and their shares keep their targets.
    """
    ours = [
        _sorted_out(share, ledger)
        for share in sorted(sharing.shares, key=lambda share: share.id)
        if share.live and share.status != "Deleting" and is_ours(share, deployment, state)
    ]
    return _Arranging(wishes, ours, ledger, now, open_=sharing.enabled).arrangement()


def _sorted_out(share: ResourceShare, ledger: Ledger) -> _Share:
    entries = ledger.rows(share.id)
    images = {row.entity: row for row in share.images if row.live}
    targets = {row.entity: row for row in share.targets if row.live}
    own = own_rows(share.images + share.targets, entries)
    return _Share(
        share=share,
        images=images,
        targets=targets,
        own=own,
        by_hand=frozenset(targets.keys() - own),
        inside=frozenset(image for image, row in images.items() if row.status != "Disassociating"),
    )


class _Arranging:
    """The work of ``arrange``: shares get goals, audiences get homes, images get places."""

    def __init__(
        self, wishes: Mapping[str, Wish], ours: list[_Share], ledger: Ledger, now: datetime, *, open_: bool
    ) -> None:
        self.wishes, self.ours, self.ledger, self.now, self.open = wishes, ours, ledger, now, open_
        self.by_id = {share.id: share for share in ours}
        self.goals = {share.id: self._goal(share) for share in ours}
        self.audiences: dict[frozenset[str], DirectoryAudience] = {}
        self.wanting: dict[frozenset[str], list[str]] = defaultdict(list)
        for image, wish in sorted(wishes.items()):
            if wish.audience.targets and wish.looked:
                self.audiences.setdefault(wish.audience.targets, wish.audience)
                self.wanting[wish.audience.targets].append(image)
        self.serving = {targets: self._serving(targets) for targets in self.audiences}
        self.homes = {targets: self._home(targets, audience) for targets, audience in self.audiences.items()}
        self.homeless = frozenset(audience_key(targets) for targets, home in self.homes.items() if home is None)
        self.taken = {share.id for serving in self.serving.values() for share in serving}

    def _goal(self, share: _Share) -> frozenset[str]:
        """The targets that a share should have: what all its images want, or else those that it has."""
        inside = [self.wishes.get(image) for image in share.inside]
        wants = {wish.audience.targets if wish is not None and not wish.fixed else NOBODY for wish in inside}
        if len(wants) == 1 and NOBODY not in wants:
            return wants.pop()
        return frozenset(target for target, row in share.targets.items() if row.status != "Disassociating")

    def _serving(self, targets: frozenset[str]) -> list[_Share]:
        """Shares whose goal these targets are, but for what a person put there."""
        found = []
        for share in self.ours:
            goal, by_hand = self.goals[share.id], share.by_hand
            if goal and (goal == targets if not by_hand else goal - by_hand == targets - by_hand):
                found.append(share)
        return found

    def arrangement(self) -> Arrangement:
        homes: dict[str, str] = {}
        joining: dict[str, set[str]] = defaultdict(set)
        audience_of: dict[str, DirectoryAudience] = {}
        places: dict[str, frozenset[str]] = {}
        setbacks: dict[str, Setback] = {}
        awaited: set[str] = set()
        for targets in sorted(self.audiences, key=lambda t: (-len(self.wanting[t]), sorted(t))):
            audience = self.audiences[targets]
            home = self.homes[targets]
            for image in self.wanting[targets]:
                place = self._stays(image, targets, home)
                if place is None:
                    home = home or self._empty(targets, audience) or f"new {audience_key(targets)}"
                    place = home
                    held_up = self._held_up(place, image)
                    if not self.wishes[image].joins or not self.open:
                        continue
                    if held_up is not None and held_up.lasting:
                        setbacks[image] = held_up
                        continue
                    if held_up is not None or not self._takes_now(place, image):
                        awaited.add(image)
                        continue
                    joining[place].add(image)
                    audience_of[place] = audience
                elif (stuck := self._stuck(place, image)) is not None:
                    setbacks[image] = stuck
                homes[image] = place
                if not self.wishes[image].fixed:
                    audience_of[place] = audience
        leaving = frozenset(self._leaving(homes, {place: a.targets for place, a in audience_of.items()}))
        unreached: dict[str, frozenset[str]] = {}
        for place, audience in audience_of.items():
            places[place], unreached[place] = self._missing(place, audience)
        joins = [
            Joining(
                audience_key(audience_of[place].targets),
                "" if place.startswith("new ") else place,
                tuple(sorted(joining.get(place, ()))),
                tuple(sorted(places[place])),
            )
            for place in sorted(audience_of)
            if joining.get(place) or places[place]
        ]
        return Arrangement(
            joining=tuple(joins),
            leaving=leaving,
            own=frozenset((share.id, entity) for share in self.ours for entity in share.own),
            homes=homes,
            setbacks=setbacks,
            awaited=frozenset(awaited),
            unreached={place: targets for place, targets in unreached.items() if targets},
        )

    def _home(self, targets: frozenset[str], audience: DirectoryAudience) -> str | None:
        """The share that serves these targets and takes new images, if there is one."""
        fitting = [
            share
            for share in self.serving[targets]
            if share.fits(audience) and all(share.may_get(t, self.wishes) for t in targets - share.targets.keys())
        ]
        return _most_done(fitting, targets).id if fitting else None

    def _empty(self, targets: frozenset[str], audience: DirectoryAudience) -> str | None:
        """An empty share that can be used for these targets, best the one that was made for them."""
        key = audience_key(targets)
        usable = [
            share
            for share in self.ours
            if not share.images
            and share.id not in self.taken
            and share.made_for not in self.homeless - {key}
            and share.fits(audience)
        ]
        if not usable:
            return None
        best = min(usable, key=lambda share: (share.made_for != key, share.id))
        self.taken.add(best.id)
        return best.id

    def _stays(self, image: str, targets: frozenset[str], home: str | None) -> str | None:
        """The share that an image is in and stays in; ``None`` if it has to join one.

        Two shares that serve the same images are one too many: the images of the other one move home, but only once
        nothing is left to be done about either.
        """
        present = [share for share in self.serving[targets] if image in share.inside]
        if self.wishes[image].fixed:
            present = [share for share in self.ours if image in share.inside]
        if not present:
            return None
        if any(share.id == home for share in present):
            return home
        stays = _most_done(present, targets)
        settled = self._is_complete(home, targets) and self._is_complete(stays.id, targets)
        return None if settled and not self.wishes[image].fixed else stays.id

    def _is_complete(self, share_id: str | None, targets: frozenset[str]) -> bool:
        share = self.by_id.get(share_id or "")
        return share is not None and share.targets.keys() == targets and all(r.firm for r in share.targets.values())

    def _takes_now(self, place: str, image: str) -> bool:
        """Whether an image can join a share at this moment: neither is on its way."""
        if place.startswith("new "):
            return True
        share = self.by_id[place]
        return share.share.firm and image not in share.images

    def _stuck(self, place: str, image: str) -> Setback | None:
        """An image that has been on its way into its share for too long."""
        row = self.by_id[place].images[image]
        return _stuck_since(row) if is_stuck(row, self.now) else None

    def _held_up(self, place: str, image: str) -> Setback | None:
        """What stops an image from joining for now."""
        key = CREATE if place.startswith("new ") else row_key(place, image)
        setback = self.ledger.setbacks.get(key)
        return setback if setback is not None and setback.waits(self.now) else None

    def _missing(self, place: str, audience: DirectoryAudience) -> tuple[frozenset[str], frozenset[str]]:
        """The targets that a share still needs and may get now, and those that it lastingly cannot get."""
        if place.startswith("new "):
            return audience.targets, NOBODY
        share = self.by_id[place]
        unreached = {target for target, row in share.targets.items() if is_stuck(row, self.now)}
        if not self.open or not share.share.firm:
            return NOBODY, frozenset(unreached)
        missing = set()
        for target in audience.targets - share.targets.keys():
            setback = self.ledger.setbacks.get(row_key(place, target))
            if setback is not None and setback.waits(self.now):
                unreached.update({target} if setback.lasting else ())
            elif share.may_get(target, self.wishes):
                missing.add(target)
        return frozenset(missing), frozenset(unreached)

    def _leaving(self, homes: Mapping[str, str], wanted: Mapping[str, frozenset[str]]) -> Iterable[tuple[str, str]]:
        """Rows of ours that stand where they should not; ``wanted`` are the targets of each place."""
        for share in self.ours:
            for image, row in share.images.items():
                wish = self.wishes.get(image)
                known = wish is not None and wish.looked and not wish.fixed
                if known and image in share.own and row.firm and homes.get(image) != share.id:
                    yield share.id, image
            stays = self.goals[share.id] if share.images else wanted.get(share.id, NOBODY)
            for target, row in share.targets.items():
                if target in share.own and row.firm and target not in stays:
                    yield share.id, target
