"""Reading the resource shares of one owner in one region, with their images and targets.

There are three listings whatever the number of shares: shares, rows of images, rows of targets. The shares are read
first, so that whatever is in a share that was seen is read after it. Rows that are over stay listed for 48 to 96 hours
(https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations),
so one image or target may have many rows: one that may still give access wins, else the newest is kept, because a row
that failed says why and when.

What can go wrong is a listing that looks complete and is not. Its two halves are held against each other and against
the shares that the ledger knows: a share that is there and was not shown is an error for the whole shard, never a
share less. Rows have no total either, so a row of ours that is missing from a share is asked for alone, and once more
if that answer lacks it too: if it is there, the listing lies, and no conclusion is drawn from any of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType

from msgspec.structs import replace

from orgshare.errors import IncompleteRead
from orgshare.observe.listing import READ_AGAIN, read_token_list
from orgshare.ports import AssociationKind, AssociationRow, ShareService
from orgshare.words import Association, ResourceShare, Shard, Sharing, is_image

Rows = Mapping[str, tuple[Association, ...]]
Expected = Mapping[str, Mapping[str, str]]
"""Rows that should be there: by share and entity the time when each was made, empty where it is not known."""

NOTHING: Expected = MappingProxyType({})

ASKED_ALONE, ASKED_TIMES = 20, 2
"""So many missing images, and so many targets, are asked for alone: enough to show that a listing lies. Each is asked
for until one answer shows it, so often at most: what makes every second answer wrong may hit the first one."""


def read_sharing(service: ShareService, shard: Shard, known: Iterable[str], expected: Expected = NOTHING) -> Sharing:
    """All resource shares of a shard that may give access to anybody; a deleted one only while a row of it is live.

    Shares are in the order of their ids, their rows in that of their entities. ``known`` are the ids that the ledger
    has, of shares with rows of ours and of those that we made: one that is not listed is asked for by its id.
    ``expected`` are rows of ours; of those that are not listed the first are asked for alone. Raises ``VendorError``;
    ``IncompleteRead`` when a listing is contradicted by such an answer, or in every reading by rows of a share that it
    does not show, or by a row that is there.
    """
    enabled = service.enabled()
    strangers, hidden = list[str](), ""
    for _ in range(1 + READ_AGAIN):
        shares = read_token_list(f"resource shares of {shard}", service.shares, lambda share: share.id)
        listed = {share.id for share in shares}
        ours = {share.id: expected[share.id] for share in shares if share.live and share.id in expected}
        images = _rows(service, shard, "Resource")
        hidden = _hidden(service, "Resource", images, ours)
        targets = _rows(service, shard, "Target")
        hidden = hidden or _hidden(service, "Target", targets, ours)
        strangers = sorted(_with_live_rows(images, targets) - listed)
        if not strangers and not hidden:
            deleted = {share.id for share in shares if not share.live}
            deleted |= _deleted_of_absent(service, shard, set(known) - listed)
            whole = (replace(s, images=images.get(s.id, ()), targets=targets.get(s.id, ())) for s in shares)
            return Sharing(tuple(share for share in whole if _matters(share)), enabled, frozenset(deleted))
    why = f"{_some(strangers)} not listed, but with rows that are not over" if strangers else f"{hidden} is not listed"
    raise IncompleteRead(
        f"resource shares of {shard}: {why}, in each of {1 + READ_AGAIN} readings; nothing was concluded from it"
    )


def _hidden(service: ShareService, kind: AssociationKind, rows: Rows, ours: Expected) -> str:
    """The first row of ours that a listing does not show, and that is there for whoever asks for it alone."""
    missing = []
    for share, entities in sorted(ours.items()):
        shown = {row.entity: row for row in rows.get(share, ())}
        for entity, created in sorted(entities.items()):
            row = shown.get(entity)
            if is_image(entity) == (kind == "Resource") and (row is None or not (row.live or row.created == created)):
                missing.append((share, entity))
    for share, entity in missing[:ASKED_ALONE]:
        page = partial(service.rows, kind, share=share, entity=entity)
        answers = (read_token_list(f"{entity} in {share}", page, _key) for _ in range(ASKED_TIMES))
        if any(row.association.live for alone in answers for row in alone):
            return f"{entity} is in {share}, which a question for it alone shows, and it"
    return ""


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
