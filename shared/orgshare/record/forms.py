"""How what is remembered is written down: the JSON of generations, and nothing that anybody else should know.

Pairs are grouped by images that have the same accounts, because a rule may be for thousands of images and thousands of
accounts. What can go wrong is an older form read as something that it is not: so each form has a number, and what an
older one lacks gets the meaning that it had then.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from orgshare.copies import Copy
from orgshare.guard import GuardRecord
from orgshare.ledger import Entry, Ledger, Lost, RememberedRefusal, Setback
from orgshare.notices import Noted
from orgshare.retired import Retirement
from orgshare.saw import NEVER, Saw, Standing, View
from orgshare.seen import Place, Seen
from orgshare.trust import Principal, RoleLedger
from orgshare.words import Pair

FORMAT = 2
READABLE = (1, 2)
"""Format 1 had no lease, no losses and no shares without rows, and wrote the pairs of holds one by one."""

Value = TypeVar("Value")


class Beginning(Struct, frozen=True):
    """The first object of a state: which deployment and organization it belongs to, and its own random id."""

    format: int
    deployment: str
    directory: str
    id: str
    begun: datetime


class LeaseMark(Struct, frozen=True):
    """Which run holds the shard, and for how many seconds after the put of this generation; 0 if it let go."""

    run: str
    seconds: float


class Pairs(Struct, frozen=True, array_like=True):
    """Every pair of one of these images and one of these accounts."""

    images: tuple[str, ...]
    accounts: tuple[str, ...]


class ShardForm(Struct, frozen=True, omit_defaults=True):
    """A generation of a shard."""

    format: int
    run: str
    lease: LeaseMark | None = None
    grants: dict[str, dict[str, Entry]] = {}
    refusals: dict[str, tuple[RememberedRefusal, ...]] = {}
    absent: dict[str, int] = {}
    shares: dict[str, dict[str, Entry]] = {}
    setbacks: dict[str, Setback] = {}
    strangers: dict[str, dict[str, str]] = {}
    lost: dict[str, dict[str, Lost]] = {}
    made: tuple[str, ...] = ()
    reached: tuple[Pairs, ...] = ()
    copies: dict[str, Copy] = {}
    saw: Saw = NEVER


class RoleForm(Struct, frozen=True, omit_defaults=True):
    """A generation of an owner's sharing role: the principals in its trust policy that are ours."""

    format: int
    run: str
    lease: LeaseMark | None = None
    principals: dict[str, Principal] = {}


class GuardForm(Struct, frozen=True, omit_defaults=True):
    """A generation of what the guard remembers; the pairs of each row are in groups."""

    format: int
    run: str
    record: dict[str, list[dict[str, Any]]] = {}
    holds: list[dict[str, Any]] = []
    approvals: list[dict[str, Any]] = []


class SeenForm(Struct, frozen=True):
    """A generation of where members were seen."""

    format: int
    run: str
    places: dict[str, Place]
    folders: dict[str, tuple[str, ...]]


class ViewForm(Struct, frozen=True):
    """A view of the organization: the chains of folders that hold members, and for each member which of them, with
    its tags that count. Equal views are equal bytes."""

    format: int
    folders: tuple[tuple[str, ...], ...]
    members: dict[str, tuple[int, tuple[tuple[str, str], ...]]]


class PauseForm(Struct, frozen=True, omit_defaults=True):
    """A generation of what is paused: everything, or some shards."""

    format: int
    run: str
    at: datetime
    who: str
    everything: bool = False
    shards: tuple[str, ...] = ()


class NotesForm(Struct, frozen=True):
    """A generation of what people were told."""

    format: int
    run: str
    notes: dict[str, Noted]


class RetiredForm(Struct, frozen=True):
    """A generation of the marks of images that a person retired."""

    format: int
    run: str
    images: dict[str, Retirement]


def shard_form(ledger: Ledger, *, run: str, lease: LeaseMark) -> ShardForm:
    """A shard's ledger as it is written down."""
    return ShardForm(
        format=FORMAT,
        run=run,
        lease=lease,
        grants={image: dict(entries) for image, entries in ledger.grants.items()},
        refusals=dict(ledger.refusals),
        absent=dict(ledger.absent),
        shares={share: dict(entries) for share, entries in ledger.shares.items()},
        setbacks=dict(ledger.setbacks),
        strangers={image: dict(seen) for image, seen in ledger.strangers.items()},
        lost={image: dict(lost) for image, lost in ledger.lost.items()},
        made=tuple(sorted(ledger.made)),
        reached=tuple(grouped(ledger.reached)),
        copies=dict(ledger.copies),
        saw=ledger.saw,
    )


def ledger_of(form: ShardForm) -> Ledger:
    """A shard's ledger as it was written down. Before shares without rows were remembered, those with rows were all."""
    return Ledger(
        grants=_frozen(form.grants),
        refusals=MappingProxyType(form.refusals),
        absent=MappingProxyType(form.absent),
        shares=_frozen(form.shares),
        setbacks=MappingProxyType(form.setbacks),
        strangers=_frozen(form.strangers),
        lost=_frozen(form.lost),
        made=frozenset(form.made) if form.format > 1 else frozenset(form.shares),
        reached=MappingProxyType(
            {image: accounts for group in form.reached for accounts in (frozenset(group.accounts),)
             for image in group.images}
        ),
        copies=MappingProxyType(form.copies),
        saw=form.saw,
    )  # fmt: skip


def role_form(ledger: RoleLedger, *, run: str, lease: LeaseMark) -> RoleForm:
    """What is ours in a sharing role as it is written down."""
    return RoleForm(FORMAT, run, lease, dict(sorted(ledger.principals.items())))


def role_ledger_of(form: RoleForm) -> RoleLedger:
    """What is ours in a sharing role as it was written down."""
    return RoleLedger(MappingProxyType(form.principals))


def guard_form(record: GuardRecord, *, run: str) -> GuardForm:
    """What the guard remembers as it is written down."""
    rows: dict[str, list[dict[str, Any]]] = msgspec.to_builtins(record, builtin_types=(datetime,))
    for row in (row for kind in rows.values() for row in kind):
        row["pairs"] = msgspec.to_builtins(tuple(_groups(map(tuple, row["pairs"]))))
    return GuardForm(FORMAT, run, record=rows)


def record_of(form: GuardForm) -> GuardRecord:
    """What the guard remembers as it was written down."""
    if form.format == 1:
        return msgspec.convert({"holds": form.holds, "approvals": form.approvals}, GuardRecord, strict=False)
    rows = {kind: [{**row, "pairs": _ungrouped(row["pairs"])} for row in found] for kind, found in form.record.items()}
    return msgspec.convert(rows, GuardRecord, strict=False)


def seen_of(form: SeenForm) -> Seen:
    """Where members were seen, as it was written down."""
    return Seen(MappingProxyType(form.places), MappingProxyType(form.folders))


def view_form(view: View) -> ViewForm:
    """A view as it is written down."""
    folders = sorted({standing.folders for standing in view.members.values()})
    place = {chain: number for number, chain in enumerate(folders)}
    of = sorted(view.members.items())
    return ViewForm(FORMAT, tuple(folders), {a: (place[each.folders], tuple(sorted(each.tags))) for a, each in of})


def view_digest(view: View) -> tuple[str, bytes]:
    """A view's digest, and the bytes that it is of."""
    data = msgspec.json.encode(view_form(view))
    return hashlib.sha256(data).hexdigest()[:32], data


def view_from(form: ViewForm) -> View:
    """A view as it was written down."""
    of = form.members.items()
    return View({account: Standing(form.folders[place], frozenset(tags)) for account, (place, tags) in of})


def grouped(by_image: Mapping[str, Iterable[str]]) -> Iterable[Pairs]:
    """The pairs of a mapping from images to accounts, images with the same accounts together; in one order."""
    groups: dict[frozenset[str], list[str]] = defaultdict(list)
    for image, accounts in by_image.items():
        groups[frozenset(accounts)].append(image)
    found = (Pairs(tuple(sorted(images)), tuple(sorted(accounts))) for accounts, images in groups.items() if accounts)
    return sorted(found, key=lambda group: group.images)


def _groups(pairs: Iterable[tuple[str, ...]]) -> Iterable[Pairs]:
    by_image: dict[str, set[str]] = defaultdict(set)
    for image, account in pairs:
        by_image[image].add(account)
    return grouped(by_image)


def _ungrouped(groups: Any) -> list[Pair]:
    found = (group for group in msgspec.convert(groups, tuple[Pairs, ...]))
    return sorted(Pair(image, account) for group in found for image in group.images for account in group.accounts)


def _frozen(rows: Mapping[str, Mapping[str, Value]]) -> Mapping[str, Mapping[str, Value]]:
    return MappingProxyType({key: MappingProxyType(dict(of)) for key, of in rows.items()})
