"""Through which channels an account has an image, and how sure that is: the words behind ``decide.coverage``.

A resource share gives an image to an account by two rows: the image's and that of a target that reaches the account.
Each such pair of rows is one way. What can go wrong is a report that is surer than the decision: so whom a target
reaches is asked of the very ``Reach`` that decided, and every reason to doubt it is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from orgshare.decide.coverage import Reached, is_stuck
from orgshare.decide.deciding import make_reach
from orgshare.decide.decisions import ImageDecision
from orgshare.report.times import moment, since
from orgshare.seen import see
from orgshare.way.planning import Planned
from orgshare.words import Association, Image, Organization, ResourceShare, Shard, is_account, is_folder


def channels(decision: ImageDecision, account: str) -> list[str]:
    """The channels through which an account has an image, as far as anybody can tell."""
    direct = ["direct"] if account in decision.direct else []
    return [*direct, "directory"] if account in decision.coverage.associated else direct


def target_named(target: str, organization: Organization, account: str = "") -> str:
    """A target in words; ``account`` is the one that is spoken of."""
    if target in (organization.id, organization.root):
        return "the whole organization"
    if target == account:
        return "the account itself"
    return f"account {target}" if is_account(target) else f"folder {target}"


class Way(Struct, frozen=True, kw_only=True):
    """One image and one target of one resource share, and whom that reaches.

    ``image_ours`` and ``target_ours`` say which of the two rows we made, ``rules`` for which rules. A ``stuck`` way has
    a row that has been under way for too long.
    """

    share: ResourceShare
    image: Association
    target: Association
    reached: Reached
    image_ours: bool
    target_ours: bool
    rules: tuple[str, ...] = ()
    stuck: bool = False

    @property
    def stands(self) -> bool:
        """Whether nothing of it is under way."""
        return self.share.firm and self.image.firm and self.target.firm

    @property
    def ours(self) -> bool:
        """Whether orgshare made it alone."""
        return self.image_ours and self.target_ours

    @property
    def by(self) -> str:
        """Who made it."""
        if self.ours:
            return "by orgshare"
        if self.image_ours:
            return "by orgshare, the target by somebody else"
        return "by orgshare, the image by somebody else" if self.target_ours else "by somebody else"

    @property
    def name(self) -> str:
        """The share's id, with its name where somebody else chose it."""
        return self.share.id if self.image_ours or self.target_ours else f"{self.share.id} {self.share.name}".rstrip()

    def since(self) -> str:
        """Since when both rows are as they are."""
        return since(self.image, self.target)

    def under_way(self) -> tuple[str, ...]:
        """What does not stand yet, or does not stand any more."""
        share = () if self.share.firm else (f"the share is {self.share.status}",)
        rows = [row for row in (self.image, self.target) if not row.firm]
        return (*share, *(f"{row.entity} is {row.status}{_since(row)}" for row in rows))


class Ways:
    """All ways of one run, found image by image."""

    def __init__(self, planned: Planned) -> None:
        self._planned, self._facts = planned, planned.facts
        self._reach = make_reach(planned.facts)
        self._seen = see(planned.looked.seen, planned.facts.organization, frozenset(), planned.now)
        self._rows: dict[Shard, dict[str, list[tuple[ResourceShare, Association]]]] = {}

    def of(self, image: Image) -> tuple[Way, ...]:
        """Every way that may give an image to anybody: those of ours first, each by share and target."""
        decision = self._planned.decisions.shards.get(image.shard)
        own = decision.arrangement.own if decision is not None else frozenset()
        found = []
        for share, row in self._shares_of(image):
            entries = decision.ledger.rows(share.id) if decision is not None else {}
            for target in share.targets:
                if not target.live:
                    continue
                image_ours, target_ours = (share.id, row.entity) in own, (share.id, target.entity) in own
                of_image = entries[row.entity].rules if image_ours else ()
                of_target = entries[target.entity].rules if target_ours else ()
                both = tuple(rule for rule in of_image if rule in of_target)
                found.append(
                    Way(
                        share=share,
                        image=row,
                        target=target,
                        reached=self._reach.of(target.entity, external=share.external),
                        image_ours=image_ours,
                        target_ours=target_ours,
                        rules=tuple(sorted(both or of_image)),
                        stuck=is_stuck(row, self._facts.now) or is_stuck(target, self._facts.now),
                    )
                )
        return tuple(sorted(found, key=lambda way: (not way.ours, way.share.id, way.target.entity)))

    def to(self, image: Image, account: str) -> tuple[Way, ...]:
        """The ways that may reach one account."""
        return tuple(way for way in self.of(image) if account in way.reached.possible)

    def reaching(self, targets: Iterable[str], account: str) -> tuple[str, ...]:
        """Those of some targets that may reach an account."""
        return tuple(target for target in sorted(targets) if account in self._reach.of(target).possible)

    def doubts(self, way: Way, account: str) -> tuple[str, ...]:
        """Why it is not sure that a way reaches an account."""
        return (*way.under_way(), *self._doubts_about_target(way, account))

    def _doubts_about_target(self, way: Way, account: str) -> Iterable[str]:
        if account in way.reached.sure:
            return
        organization, target = self._facts.organization, way.target.entity
        if target == organization.root:
            yield "it is not documented whether Root's own id works as a target"
        elif account == organization.management:
            yield "it is not documented whether a resource share reaches the management account"
        elif account not in organization.members:
            yield "it is outside the organization, and the resource share takes members only"
        else:
            nested = self._facts.policy.directory.nested_folder_targets
            inside = organization.members[account].folders[-1]
            if is_folder(target) and target != inside and nested != "yes":
                yield f"it is in {inside}, and nobody knows whether {target} as a target reaches its subfolders"
            of_folder = is_folder(target)
            place, settle = self._seen.places[account], self._facts.policy.directory.settle
            if account not in (self._facts.settled if of_folder else self._facts.established):
                seen = place.since if of_folder else place.member_since
                where = "in its place" if of_folder else "in the organization"
                yield f"it was seen {where} only since {moment(seen)}; sure after {moment(seen + settle)}"

    def _shares_of(self, image: Image) -> list[tuple[ResourceShare, Association]]:
        if image.shard not in self._rows:
            rows: dict[str, list[tuple[ResourceShare, Association]]] = defaultdict(list)
            sharing = self._facts.sharing.get(image.shard)
            for share in sharing.shares if sharing is not None else ():
                if share.live:
                    for row in share.images:
                        if row.live:
                            rows[row.entity].append((share, row))
            self._rows[image.shard] = rows
        return self._rows[image.shard].get(image.id, [])


def _since(row: Association) -> str:
    text = since(row)
    return f" since {text}" if text else ""
