"""Everything that a decision rests on, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec import Struct

from orgshare.copies import NO_COPIES, Copies
from orgshare.ledger import Ledger
from orgshare.policy.model import Policy
from orgshare.retired import NONE_RETIRED, Retirements
from orgshare.trust import RoleLedger, Trust
from orgshare.words import NOBODY, Image, ImageReading, Organization, Pair, Shard, Sharing


class Proof(Struct, frozen=True):
    """What was asked for once more because access hangs on it.

    ``departed``: accounts that the directory says it does not have. ``placed``: members found where the listing had
    them. ``images``: images whose second reading agreed with the first. ``contradicted`` says how the listing of the
    organization was found to be wrong; then nothing is concluded from it.
    """

    departed: frozenset[str] = frozenset()
    placed: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    contradicted: str = ""


class RoleFacts(Struct, frozen=True):
    """The sharing role of an owner: what its trust policy says, and which principals in it are ours.

    ``trust`` is ``None`` where there is no such role, or where it was not read, and ``unread`` says why.
    """

    trust: Trust | None = None
    ledger: RoleLedger = RoleLedger()
    unread: str = ""


class Copying(Struct, frozen=True):
    """What copying into a shard rests on: images of the owner's other regions, as far as they were asked for, and all
    images that are ``there``. ``copies`` is what is remembered of copies after these readings. ``unsure`` says why it
    could not be found out whether an image is encrypted. Those that are ``unread`` were not in the listing, and may be
    there all the same."""

    sources: tuple[Image, ...]
    there: tuple[Image, ...]
    copies: Copies = NO_COPIES
    unsure: Mapping[str, str] = MappingProxyType({})
    unread: frozenset[str] = NOBODY


class Facts(Struct, frozen=True, kw_only=True):
    """What was read, what is remembered, and the time.

    ``sharing`` has the resource shares of every shard of which an image was read. ``state`` is the id of the state, as
    the tags of our shares carry it. ``settled`` members have been seen in their folder for long enough, ``established``
    ones in the organization. ``elsewhere`` are accounts that vanished from the listing or moved lately, each with the
    folders that it was in before: a resource share may still reach it there. Of the images that were ``passed_over``
    only the rows are known, and not their grants, nor of the ``unselected`` ones.
    In a ``sweep`` every shard that was looked at was looked at whole.
    Pairs that are ``held`` are not lost now, and of these a person said of the ``rejected`` ones that they stay; pairs
    that are ``released`` may be gained, because a person approved it. ``retired`` are the marks of images that a person
    retired. ``roles`` are the sharing roles of owners of whom a rule authorizes encrypted images, or in whose role
    anything is ours. ``copying`` has the shards that rules copy to or that have copies of ours, as far as all their
    images were listed.
    """

    policy: Policy
    organization: Organization
    readings: tuple[ImageReading, ...]
    ledgers: Mapping[Shard, Ledger]
    sharing: Mapping[Shard, Sharing]
    now: datetime
    state: str = ""
    sweep: bool = False
    settled: frozenset[str] = frozenset()
    established: frozenset[str] = frozenset()
    elsewhere: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    passed_over: tuple[Image, ...] = ()
    unselected: tuple[Image, ...] = ()
    proof: Proof = Proof()
    held: frozenset[Pair] = frozenset()
    rejected: frozenset[Pair] = frozenset()
    released: frozenset[Pair] = frozenset()
    retired: Retirements = NONE_RETIRED
    roles: Mapping[str, RoleFacts] = MappingProxyType({})
    copying: Mapping[Shard, Copying] = MappingProxyType({})
