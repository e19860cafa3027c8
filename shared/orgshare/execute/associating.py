"""Filling and emptying one resource share: from what should join or leave to what is known to have become of it.

A call takes at most five images and five targets, and refuses more; it refuses the whole batch for one entity that
does not fit, and whether the others of the batch were taken is not documented, nor what associating something twice
answers. So a refused batch is halved until the entity that caused it is named, and in the end the share is read back
once: whoever is in it was taken, whatever the answers said.

What can go wrong: believing the call instead of the reading. What is too early (something else is under way) is no
failure: the next run tries again.

https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-associateresourceshare
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from orgshare.errors import ENDS_WORK, NoAnswer, OrgshareError, Refused
from orgshare.observe.listing import read_token_list
from orgshare.ports import AssociationKind, ShareService
from orgshare.words import Association, ResourceShare, Tags

ENTITIES_A_CALL = 5

TRIES = 3
"""How often the same entities are sent again after an answer that was lost."""

TOO_EARLY = frozenset({"AssociateConflict", "DisassociateConflict", "ResourceShareStatusMismatchAction"})
"""Codes that say that something else is under way: nothing is wrong, and the next run tries again."""

QUOTA = "QuotaExceeded.SharedResource.Count"

OF_THE_SHARE = frozenset(
    {
        "ResourceShareStatusMismatchAction",
        "EntityNotExists.ResourceShare",
        "NotEnableSharingWithResourceDirectory",
        "AccountNotInResourceDirectory",
    }
)
"""Codes that speak of the share or its owner and so of every entity: halving would only repeat them."""

NOT_THERE = "DisassociateInvalid"


class Batch(NamedTuple):
    """Images and targets of one call."""

    images: tuple[str, ...]
    targets: tuple[str, ...]

    def halves(self) -> tuple[Batch, ...]:
        """The batch in two parts, one of them all images and the other all targets if there are both."""
        if self.images and self.targets:
            return Batch(self.images, ()), Batch((), self.targets)
        middle = (len(self.images or self.targets) + 1) // 2
        parts = (Batch(self.images[:middle], self.targets[:middle]), Batch(self.images[middle:], self.targets[middle:]))
        return tuple(part for part in parts if part.images or part.targets)

    def entities(self) -> tuple[str, ...]:
        """Everything in it."""
        return self.images + self.targets


class ShareOutcome(Struct, frozen=True, kw_only=True):
    """What became of the work on one share.

    ``accepted`` entities were taken, with the time of their row where it is known; ``ended`` ones were let go.
    ``refused`` ones were not served, each with the vendor's error, and ``early`` ones may be tried by the next run.
    ``failed`` is why the work was given up before its end.
    """

    share: str
    accepted: Mapping[str, str] = MappingProxyType({})
    ended: frozenset[str] = frozenset()
    refused: Mapping[str, Refused] = MappingProxyType({})
    early: Mapping[str, str] = MappingProxyType({})
    failed: OrgshareError | None = None


def create_share(service: ShareService, name: str, tags: Tags, known: frozenset[str]) -> ResourceShare:
    """An empty share with these tags: a new one, or the one that a call made whose answer was lost.

    Creating is not idempotent and takes no token, so after a lost answer the tags tell whether it was done. A share
    that is ``known`` was there before, and may have got other targets than those that its tags speak of. Raises
    ``VendorError`` or ``IncompleteRead``.
    """
    lost: NoAnswer | None = None
    for _ in range(TRIES):
        try:
            return service.create(name, tags)
        except NoAnswer as error:
            lost = error
            listed = read_token_list("resource shares", service.shares, lambda share: share.id)
            new = [s for s in listed if s.id not in known and s.status in ("Active", "Pending")]
            found = [s for s in new if tags <= s.tags]
            if found:
                return min(found, key=lambda share: share.id)
    raise lost or NoAnswer("no share was created")


def associate(service: ShareService, share: str, images: Sequence[str], targets: Sequence[str]) -> ShareOutcome:
    """Put images and targets into a share and sort out what became of each. Nothing of it is raised."""

    def call(batch: Batch) -> tuple[Association, ...]:
        return service.associate(share, images=batch.images, targets=batch.targets)

    work = _Work(service, share, call)
    failed = work.through(images, targets)
    left = dict(work.refused) | dict.fromkeys(work.early)
    failed = failed or work.look_again(left, in_it=True)
    return ShareOutcome(
        share=share,
        accepted=work.accepted,
        refused={e: error for e, error in work.refused.items() if e not in work.accepted},
        early={e: why for e, why in work.early.items() if e not in work.accepted},
        failed=failed,
    )


def unknown_rows(service: ShareService, share: ResourceShare, filled: Iterable[str]) -> frozenset[str]:
    """What is in a share now and was not when everything was read, nor ``filled`` since.

    The lists of rows have no total, so one that came back short is not seen to be. Before anything is taken out of a
    share, it is read once more: whoever stands in it unknown would lose access, or keep it unseen. May raise
    ``VendorError`` or ``IncompleteRead``.
    """
    known = {row.entity for row in share.images + share.targets if row.live}
    found: set[str] = set()
    kinds: tuple[AssociationKind, ...] = ("Resource", "Target")
    for kind in kinds:
        found.update(row.entity for row in _rows(service, share.id, kind))
    return frozenset(found - known - set(filled))


def _rows(service: ShareService, share: str, kind: AssociationKind) -> list[Association]:
    """The rows of a share that are not over."""
    rows = read_token_list(
        f"rows of {share}",
        lambda token: service.rows(kind, token, share=share),
        lambda row: (row.association.entity, row.association.created),
    )
    return [row.association for row in rows if row.association.live]


def disassociate(service: ShareService, share: str, images: Sequence[str], targets: Sequence[str]) -> ShareOutcome:
    """Take images and targets out of a share and sort out what became of each. Nothing of it is raised."""

    def call(batch: Batch) -> tuple[Association, ...]:
        service.disassociate(share, images=batch.images, targets=batch.targets)
        return tuple(Association(entity, "Disassociating", "") for entity in batch.entities())

    work = _Work(service, share, call)
    failed = work.through(images, targets)
    left = {e: error for e, error in work.refused.items() if error.code == NOT_THERE}
    failed = failed or work.look_again(left, in_it=False)
    return ShareOutcome(
        share=share,
        ended=frozenset(work.accepted),
        refused={e: error for e, error in work.refused.items() if e not in work.accepted},
        early=work.early,
        failed=failed,
    )


class _Work:
    """Sends batches to one share; lives as long as one change."""

    def __init__(self, service: ShareService, share: str, call: Callable[[Batch], tuple[Association, ...]]) -> None:
        self._service, self._share, self._call = service, share, call
        self.accepted: dict[str, str] = {}
        self.refused: dict[str, Refused] = {}
        self.early: dict[str, str] = {}
        self._images: frozenset[str] = frozenset()
        self._stopped: Refused | None = None
        self._full: Refused | None = None

    def through(self, images: Sequence[str], targets: Sequence[str]) -> OrgshareError | None:
        """Send everything in calls of five and five; the error that ended it, if one did."""
        self._images = frozenset(images)
        step = ENTITIES_A_CALL
        try:
            for start in range(0, max(len(images), len(targets)), step):
                self._send(Batch(tuple(images[start : start + step]), tuple(targets[start : start + step])))
        except ENDS_WORK as error:
            return error
        return None

    def look_again(self, doubtful: Mapping[str, object], *, in_it: bool) -> OrgshareError | None:
        """Read the share back where an answer may have been wrong: who is in it (or not) after all was served."""
        kinds: list[AssociationKind] = []
        if any(entity in self._images for entity in doubtful):
            kinds.append("Resource")
        if any(entity not in self._images for entity in doubtful):
            kinds.append("Target")
        try:
            for kind in kinds:
                rows = _rows(self._service, self._share, kind)
                live = {row.entity: row.created for row in rows if row.status != "Disassociating"}
                for entity in doubtful:
                    of_kind = (entity in self._images) == (kind == "Resource")
                    if of_kind and (entity in live) == in_it:
                        self.accepted[entity] = live.get(entity, "")
        except ENDS_WORK as error:
            return error
        return None

    def _send(self, batch: Batch) -> None:
        batch = self._without_what_is_settled(batch)
        if not batch.entities():
            return
        lost: NoAnswer | None = None
        for _ in range(TRIES):
            try:
                rows = self._call(batch)
            except Refused as error:
                self._refused(batch, error)
                return
            except NoAnswer as error:
                lost = error
            else:
                self.accepted.update(dict.fromkeys(batch.entities(), ""))
                self.accepted.update({row.entity: row.created for row in rows if row.entity in self.accepted})
                return
        if lost is not None:
            raise lost

    def _without_what_is_settled(self, batch: Batch) -> Batch:
        """After a code that speaks of the whole share, or of a full quota of images, nothing more of it is sent."""
        if self._stopped is not None:
            self._note(batch.entities(), self._stopped)
            return Batch((), ())
        if self._full is not None:
            self._note(batch.images, self._full)
            return Batch((), batch.targets)
        return batch

    def _refused(self, batch: Batch, error: Refused) -> None:
        entities = batch.entities()
        if error.code in OF_THE_SHARE:
            self._stopped = error
        elif len(entities) > 1:
            for half in batch.halves():
                self._send(half)
            return
        elif error.code == QUOTA:
            self._full = error
        self._note(entities, error)

    def _note(self, entities: Sequence[str], error: Refused) -> None:
        if error.code in TOO_EARLY:
            self.early.update(dict.fromkeys(entities, str(error)))
        else:
            self.refused.update(dict.fromkeys(entities, error))
