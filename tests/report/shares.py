"""Resource shares for tests of reports: ours with their ledger, and those that somebody made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from orgshare.decide.shares import STATE
from orgshare.ledger import Entry, Ledger
from orgshare.words import DEPLOYMENT, Association, ResourceShare, Sharing
from tests.support import facts as support
from tests.support.facts import NOW

SINCE = "2026-11-20T08:00:00Z"
TAGS = frozenset({(DEPLOYMENT, "golden-images"), (STATE, support.STATE)})


def rows(*entities: str, status: str = "Associated", since: str = SINCE, failure: str = "") -> tuple[Association, ...]:
    """Rows of these entities, all alike."""
    return tuple(Association(entity, status, since, failure=failure) for entity in entities)


def ours(images: tuple[Association, ...], targets: tuple[Association, ...], share: str = "rs-1") -> ResourceShare:
    """A share of this very installation."""
    return ResourceShare(id=share, name=f"golden-images-{share}", tags=TAGS, images=images, targets=targets)


def by_hand(images: tuple[Association, ...], targets: tuple[Association, ...], share: str = "rs-hand") -> ResourceShare:
    """A share that somebody made."""
    return ResourceShare(id=share, name="by-hand", images=images, targets=targets)


def known(of: Iterable[ResourceShare], ledger: Ledger | None = None, rules: tuple[str, ...] = ("golden",)) -> Ledger:
    """A ledger that knows every row of our shares, made for these rules."""
    ledger = ledger or Ledger()
    for share in of:
        if share.tags:
            entries = {
                r.entity: Entry("made", NOW, "member", rules, r.created) for r in (*share.images, *share.targets)
            }
            ledger = ledger.with_rows(share.id, entries)
    return ledger


def sharing(*shares: ResourceShare, enabled: bool = True) -> Sharing:
    """All shares of the shard."""
    return Sharing(tuple(sorted(shares, key=lambda share: share.id)), enabled)
