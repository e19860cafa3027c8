"""Reading the resource shares of one owner in one region, with their images and targets.

There are three listings whatever the number of shares: shares, rows of images, rows of targets. The shares are read
first, so that whatever is in a share that was seen is read after it. Rows that are over stay listed for 48 to 96 hours
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations),
so one image or target may have many rows: one that may still give access wins, else the newest is kept, because a row
that failed says why and when.

What can go wrong is a listing that looks complete and is not. Its two halves are held against each other and against
the shares that the ledger knows: a share that is there and was not shown is an error for the whole shard, never a
share less. Rows that are missing from a share that was shown cannot be told from rows that were taken out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from orgshare.errors import IncompleteRead
from orgshare.observe.listing import READ_AGAIN, read_token_list
from orgshare.ports import AssociationKind, AssociationRow, ShareService
from orgshare.words import Association, ResourceShare, Shard, Sharing

Rows = Mapping[str, tuple[Association, ...]]


def read_sharing(service: ShareService, shard: Shard, known: Iterable[str]) -> Sharing:
    """All resource shares of a shard that may give access to anybody; a deleted one only while a row of it is live.

    Shares are in the order of their ids, their rows in that of their entities. ``known`` are the ids that the ledger
    has, of shares with rows of ours and of those that we made: one that is not listed is asked for by its id. Raises
    ``VendorError``; ``IncompleteRead`` when a listing is contradicted by such an answer, or in every reading by rows of
    a share that it does not show.
    """
    enabled = service.enabled()
    strangers: list[str] = []
    for _ in range(1 + READ_AGAIN):
        shares = read_token_list(f"resource shares of {shard}", service.shares, lambda share: share.id)
        images, targets = _rows(service, shard, "Resource"), _rows(service, shard, "Target")
        listed = {share.id for share in shares}
        strangers = sorted(_with_live_rows(images, targets) - listed)
        if not strangers:
            deleted = {share.id for share in shares if not share.live}
            deleted |= _deleted_of_absent(service, shard, set(known) - listed)
            whole = (replace(s, images=images.get(s.id, ()), targets=targets.get(s.id, ())) for s in shares)
            return Sharing(tuple(share for share in whole if _matters(share)), enabled, frozenset(deleted))
    raise IncompleteRead(
        f"resource shares of {shard}: {_some(strangers)} not listed, but with rows that are not over, in each of "
        f"{1 + READ_AGAIN} readings; nothing was concluded from it"
    )


def _rows(service: ShareService, shard: Shard, kind: AssociationKind) -> Rows:
    """One row for each image or target of each share."""
    what = f"{'images' if kind == 'Resource' else 'targets'} in resource shares of {shard}"
    rows = read_token_list(what, lambda token: service.rows(kind, token), _key)
    grouped: dict[tuple[str, str], list[Association]] = defaultdict(list)
    for row in rows:
        grouped[row.share, row.association.entity].append(row.association)
    chosen: dict[str, list[Association]] = defaultdict(list)
    for share, entity in sorted(grouped):
        chosen[share].append(max(grouped[share, entity], key=_weight))
    return {share: tuple(associations) for share, associations in chosen.items()}


def _key(row: AssociationRow) -> tuple[str, ...]:
    """Everything that a row says, so that two rows of one entity are never taken for one."""
    a = row.association
    return row.share, a.entity, a.created, a.status, a.updated, a.failure


def _weight(row: Association) -> tuple[bool, bool, str, str, str, str]:
    """Live before over; of several live ones what is under way, which lets nobody be sure; then the newest."""
    return row.live, not row.firm, row.created, row.updated, row.status, row.failure


def _with_live_rows(*kinds: Rows) -> set[str]:
    return {share for rows in kinds for share, associations in rows.items() if any(a.live for a in associations)}


def _deleted_of_absent(service: ShareService, shard: Shard, absent: Iterable[str]) -> set[str]:
    """Make sure that shares which a listing does not show are not there; a deleted one is free to be shown or not.

    Those that are said to be deleted, of which some may be forgotten by the cloud already.
    """
    deleted = set()
    for share in sorted(absent):
        found = service.share_by_id(share)
        if found is not None and found.live:
            raise IncompleteRead(
                f"resource shares of {shard}: {share} exists, but is not listed; nothing was concluded from it"
            )
        if found is not None:
            deleted.add(share)
    return deleted


def _matters(share: ResourceShare) -> bool:
    return share.live or any(row.live for row in (*share.images, *share.targets))


def _some(shares: list[str]) -> str:
    return ", ".join(shares[:3]) + (f" and {len(shares) - 3} more" if len(shares) > 3 else "")
