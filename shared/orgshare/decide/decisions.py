"""What was decided, as data: for each image, for each shard's resource shares, for the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from orgshare.decide.audience import Resolved
from orgshare.decide.copying import CopyDecision
from orgshare.decide.coverage import Coverage
from orgshare.decide.losses import Loss
from orgshare.decide.plan import Finding, Pending, Refusal
from orgshare.decide.shares import Arrangement
from orgshare.decide.targets import DirectoryAudience
from orgshare.ledger import Ledger
from orgshare.words import NOBODY, Image, Incomplete, Pair, ResourceShare, Shard

Block = Literal["waiting", "conflict", "doubt"]


class ImageDecision(Struct, frozen=True, kw_only=True):
    """One image: who should have it, who has it, and what follows.

    ``wanted`` is everybody whom a rule wants, ``directory`` the part of it that resource shares should reach.
    ``direct`` are all listed grants that are certainly grants, ``ours`` those that are managed, ``shared`` are reached
    by rows of ours in resource shares. ``coverage`` is what all resource shares reach now, ``staying`` what they reach
    without the rows that should leave. ``redundant`` grants go because sure coverage stays: that loses nothing.
    ``losses`` are pairs that lose their last channel, by whatever call. ``undecided`` are given by us, and a frozen
    rule may want them. ``strangers`` are grants by hand that nobody wants and that the policy revokes, with their
    times. ``quota`` is the number of accounts that the image can be shared with directly. ``home`` is the share that
    it is in or joins. ``asking`` are partners that would get their first grant of the image if a person approves.
    ``authorized`` may get an encrypted image, and so have to be trusted by its owner's sharing role.
    ``lingering`` are accounts that nobody wants any more and that keep a grant of ours until the time given with them,
    ``kept`` those that keep it for good, because they left. ``retired`` says who or what retired the image.
    """

    image: Image
    rules: tuple[int, ...]
    wanted: frozenset[str]
    directory: DirectoryAudience
    direct: frozenset[str]
    ours: frozenset[str]
    shared: frozenset[str]
    coverage: Coverage
    staying: Coverage
    quota: int
    served: int
    promised: frozenset[str] = NOBODY
    home: str = ""
    grants: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    undecided: frozenset[str] = NOBODY
    redundant: tuple[str, ...] = ()
    asking: tuple[str, ...] = ()
    lingering: Mapping[str, datetime] = MappingProxyType({})
    kept: frozenset[str] = NOBODY
    retired: str = ""
    strangers: Mapping[str, str] = MappingProxyType({})
    authorized: frozenset[str] = NOBODY
    refusals: tuple[Refusal, ...] = ()
    findings: tuple[Finding, ...] = ()
    pending: tuple[Pending, ...] = ()

    def has(self) -> frozenset[str]:
        """The accounts that can use the image now, as far as anybody can tell; its owner always can and is left out."""
        return (self.direct | self.coverage.associated) - {self.image.shard.owner}

    def given(self) -> frozenset[str]:
        """The accounts that have the image through anything of ours."""
        return self.ours | self.shared


class Cut(Struct, frozen=True, kw_only=True):
    """A row of ours in a resource share that should end, and the pairs that would lose their last channel by it.

    ``images`` are the images that it takes something from. ``blocked`` says why it cannot end now whatever a person
    approves, and ``block`` of which kind that is: ``waiting`` for something that is under way, ``conflict`` because
    somebody who is wanted has no other way, or ``doubt`` because a rule or a mode keeps what it would take.
    """

    share: str
    entity: str
    is_target: bool
    images: frozenset[str]
    pairs: frozenset[Pair] = frozenset()
    blocked: str = ""
    block: Block | None = None


class Holding(Struct, frozen=True):
    """What stands in one resource share through us: images and targets, with the rules behind each."""

    images: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, tuple[str, ...]]


class ShardDecision(Struct, frozen=True, kw_only=True):
    """The resource shares of one shard: what should be, and what should end.

    ``ledger`` is the shard's ledger after this reading of its shares. ``image_rules`` and ``target_rules`` are the
    names of the rules behind what joins: by image, and by the key of the audience and the target.
    """

    shard: Shard
    arrangement: Arrangement
    ledger: Ledger
    shares: tuple[ResourceShare, ...]
    cuts: tuple[Cut, ...] = ()
    image_rules: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    target_rules: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()
    pending: tuple[Pending, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()

    def holdings(self, *, associated: bool = False) -> Mapping[str, Holding]:
        """What stands through us now, by share; what is on its way out does not.

        With ``associated``, nor does what is on its way in.
        """
        found = {}
        for share in self.shares:
            entries = self.ledger.rows(share.id)
            rules = {
                row.entity: entries[row.entity].rules
                for row in share.images + share.targets
                if (share.id, row.entity) in self.arrangement.own
                and (share.firm and row.firm if associated else row.status != "Disassociating")
            }
            found[share.id] = Holding(
                images={row.entity: rules[row.entity] for row in share.images if row.entity in rules},
                targets={row.entity: rules[row.entity] for row in share.targets if row.entity in rules},
            )
        return found


class RoleDecision(Struct, frozen=True, kw_only=True):
    """The sharing role of one owner: whom it has to let in for which images, and what follows.

    ``needs`` are the images for which each account is needed in its trust policy. Of them ``adding`` are not in it yet.
    ``removing`` are ours, and nothing needs them any more.
    """

    owner: str
    needs: Mapping[str, frozenset[str]] = MappingProxyType({})
    adding: tuple[str, ...] = ()
    removing: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def of_images(self, images: frozenset[str]) -> Mapping[str, frozenset[str]]:
        """What of these images is needed."""
        return {account: here for account, all_of in self.needs.items() if (here := all_of & images)}


class Decisions(Struct, frozen=True, kw_only=True):
    """The decisions of one run, with the audiences that they rest on."""

    audiences: tuple[Resolved, ...]
    images: tuple[ImageDecision, ...]
    shards: Mapping[Shard, ShardDecision]
    findings: tuple[Finding, ...]
    incomplete: tuple[Incomplete, ...]
    roles: Mapping[str, RoleDecision] = MappingProxyType({})
    copies: Mapping[Shard, CopyDecision] = MappingProxyType({})

    def losses(self) -> tuple[Loss, ...]:
        """Every loss, proven or not."""
        return tuple(loss for image in self.images for loss in image.losses)

    def asking(self) -> tuple[Pair, ...]:
        """Every first grant to a partner that a person has to approve."""
        return tuple(Pair(image.image.id, account) for image in self.images for account in image.asking)
