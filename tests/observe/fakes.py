"""A directory and a service of resource shares that answer from memory, and can be told to lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from orgshare.errors import Refused
from orgshare.ports import AssociationKind, AssociationRow, DirectoryIdentity, Page, TokenPage
from orgshare.words import Association, Member, ResourceShare, Shard, Tags

SHARD = Shard("ecs", "1000000000000002", "cn-hangzhou")
MANAGEMENT = "1000000000000001"
ROOT = "r-1"

Item = TypeVar("Item")
Result = TypeVar("Result")
Row = TypeVar("Row")


class Inline(Executor):
    """Runs everything at once, in order, and notes how many things it was given each time."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def map(  # type: ignore[override]
        self, fn: Callable[[Item], Result], items: Iterable[Item], *, timeout: float | None = None, chunksize: int = 1
    ) -> Iterable[Result]:
        given = list(items)
        self.batches.append(len(given))
        return [fn(item) for item in given]


def row(entity: str, status: str = "Associated", created: str = "2026-11-01", failure: str = "") -> Association:
    """A row of a share."""
    return Association(entity, status, created, failure=failure)


def share(name: str, status: str = "Active") -> ResourceShare:
    """The share ``rs-<name>`` as a listing shows it."""
    return ResourceShare(id=f"rs-{name}", name=name, status=status)


class FakeShares:
    """``ShareService`` over lists: two rows a page; the token of a page is where it begins."""

    def __init__(
        self,
        shares: Iterable[ResourceShare] = (),
        *,
        images: Iterable[tuple[str, Association]] = (),
        targets: Iterable[tuple[str, Association]] = (),
        hidden: Iterable[ResourceShare] = (),
        late: Iterable[ResourceShare] = (),
        late_from: int = 2,
        unlisted: Iterable[Association] = (),
        alone_from: int = 1,
        enabled: bool = True,
    ) -> None:
        """``hidden`` shares are never listed and found by id; ``late`` ones are listed from a later reading on.
        ``unlisted`` rows are shown only to whoever asks for them alone, ``alone_from`` the first or a later time."""
        self.listed = list(shares)
        self.images = [AssociationRow(f"rs-{of}", association) for of, association in images]
        self.targets = [AssociationRow(f"rs-{of}", association) for of, association in targets]
        self.hidden = list(hidden)
        self.late = list(late)
        self.late_from = late_from
        self.unlisted = list(unlisted)
        self.alone_from = alone_from
        self.is_enabled = enabled
        self.readings = 0
        self.asked: list[str] = []
        self.calls: list[str] = []

    def enabled(self) -> bool:
        self.calls.append("enabled")
        return self.is_enabled

    def shares(self, token: str) -> TokenPage[ResourceShare]:
        self.calls.append("shares")
        self.readings += not token
        late = self.late if self.readings >= self.late_from else []
        return self._page([*self.listed, *late], token)

    def share_by_id(self, share: str) -> ResourceShare | None:
        self.asked.append(share)
        return next((one for one in (*self.listed, *self.late, *self.hidden) if one.id == share), None)

    def rows(
        self, kind: AssociationKind, token: str, *, share: str | None = None, entity: str | None = None
    ) -> TokenPage[AssociationRow]:
        self.calls.append(kind if entity is None else f"{kind} {entity}")
        rows = self.images if kind == "Resource" else self.targets
        known = [one for one in rows if share in (None, one.share) and entity in (None, one.association.entity)]
        alone = entity is not None and self.calls.count(f"{kind} {entity}") >= self.alone_from
        return self._page([one for one in known if alone or one.association not in self.unlisted], token)

    def create(self, name: str, tags: Tags) -> ResourceShare:
        raise AssertionError("nothing here asks for this")

    def associate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> tuple[Association, ...]:
        raise AssertionError("nothing here asks for this")

    def disassociate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> None:
        raise AssertionError("nothing here asks for this")

    def _page(self, rows: list[Row], token: str) -> TokenPage[Row]:
        start = int(token or 0)
        return TokenPage(tuple(rows[start : start + 2]), str(start + 2) if start + 2 < len(rows) else "")


class FakeDirectory:
    """``Directory`` over a tree: ``parents`` says for each folder which folder holds it."""

    def __init__(
        self,
        parents: Mapping[str, str],
        members: Mapping[str, str] | None = None,
        *,
        silent: Iterable[str] = (),
        chains: Mapping[str, tuple[str, ...]] | None = None,
        children: Mapping[str, tuple[str, ...]] | None = None,
        totals: Mapping[str, int] | None = None,
    ) -> None:
        """``silent`` folders give no answer; ``chains``, ``children`` and ``totals`` are answers that are lies."""
        self.parents = dict(parents)
        self.placed = dict(members or {})
        self.silent = frozenset(silent)
        self.chains = dict(chains or {})
        self.children = dict(children or {})
        self.totals = dict(totals or {})
        self.asked: list[str] = []
        self.listed: list[str] = []

    def chain(self, folder: str) -> tuple[str, ...]:
        """A folder's true chain."""
        return (ROOT,) if folder == ROOT else (*self.chain(self.parents[folder]), folder)

    def below(self, folder: str) -> set[str]:
        """All folders truly below a folder."""
        return {one for one in self.parents if folder in self.chain(one)[:-1]}

    def identity(self) -> DirectoryIdentity:
        return DirectoryIdentity("rd-1", MANAGEMENT, ROOT)

    def members(self, page: int) -> Page[Member]:
        rows = [Member(account, self.chain(folder)) for account, folder in sorted(self.placed.items())]
        return Page(tuple(rows[100 * (page - 1) : 100 * page]), len(rows))

    def member(self, account: str) -> Member | None:
        return Member(account, self.chain(self.placed[account])) if account in self.placed else None

    def folder(self, folder: str) -> tuple[str, ...] | None:
        self.asked.append(folder)
        self._answer(folder)
        if folder in self.chains:
            return self.chains[folder]
        return self.chain(folder) if folder in self.parents else None

    def subfolders(self, folder: str, page: int) -> Page[str]:
        self.listed.append(folder)
        self._answer(folder)
        rows = self.children.get(folder, tuple(one for one, parent in self.parents.items() if parent == folder))
        return Page(rows[100 * (page - 1) : 100 * page], self.totals.get(folder, len(rows)))

    def _answer(self, folder: str) -> None:
        if folder in self.silent:
            raise Refused(f"{folder} says nothing")
