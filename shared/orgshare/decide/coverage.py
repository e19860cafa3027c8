"""Which accounts the resource shares of an owner reach, for every image: surely, as it seems, or possibly.

Sure is what lets a direct grant go; possible is what stops a new one. Between the two stand rows that are under way,
accounts that were seen in their place only lately, and what the vendor does not document: whether a folder as a target
reaches its subfolders, and whether the organization as a target reaches its management account.

What can go wrong is coverage that is believed too early: an account whose direct grant is then revoked loses the image.
So everything that is not known counts as possible only.

https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec import Struct

from orgshare.ledger import vendor_time
from orgshare.policy.model import Nested
from orgshare.words import NOBODY, Association, Organization, ResourceShare, is_account, is_folder

UNDER_WAY = timedelta(minutes=15)
"""How long an association may be under way before it is taken for stuck. Nothing is documented."""

NOTHING: frozenset[tuple[str, str]] = frozenset()


class Reached(Struct, frozen=True):
    """The accounts that a target reaches: surely, and possibly (which includes surely).

    ``elsewhere`` are accounts that it would reach if they still were where they were before they moved or vanished.
    """

    sure: frozenset[str] = NOBODY
    possible: frozenset[str] = NOBODY
    elsewhere: frozenset[str] = NOBODY


class Coverage(Struct, frozen=True):
    """Whom resource shares reach for one image.

    ``sure`` accounts are covered beyond doubt. ``associated`` ones are so as far as anybody can tell: the rows stand,
    but the account came lately, or the vendor does not say whether such a target reaches it. ``possible`` adds what is
    under way. Each includes the one before. ``elsewhere`` are accounts that it would reach if they still were where
    they were before they moved or vanished: of them, too, a listed row may be the share's own.
    """

    sure: frozenset[str] = NOBODY
    associated: frozenset[str] = NOBODY
    possible: frozenset[str] = NOBODY
    elsewhere: frozenset[str] = NOBODY

    def perhaps(self) -> frozenset[str]:
        """Everybody of whom a row on the image may be a resource share's own."""
        return self.possible | self.elsewhere if self.elsewhere else self.possible


NO_COVERAGE = Coverage()


class Reach:
    """Whom each target reaches, worked out once for a run.

    ``settled`` are the members that have been in their folder for long enough, ``established`` those that have been
    members at all for so long: only of a folder as a target does it matter where they are. ``elsewhere`` are accounts
    that vanished from the listing or moved lately: a target may still reach them where they were.
    """

    def __init__(
        self,
        organization: Organization,
        nested: Nested,
        settled: frozenset[str],
        established: frozenset[str],
        elsewhere: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self.management = organization.management
        self._organization = organization
        self._nested = nested
        self._settled, self._established = settled, established
        self._known: dict[tuple[str, bool], Reached] = {}
        own: dict[str, set[str]] = defaultdict(set)
        below: dict[str, set[str]] = defaultdict(set)
        before: dict[str, set[str]] = defaultdict(set)
        for member in organization.members.values():
            own[member.folders[-1]].add(member.id)
            for folder in member.folders:
                below[folder].add(member.id)
        for account, folders in elsewhere.items():
            for folder in folders:
                before[folder].add(account)
        self._own, self._below, self._before = own, below, before

    def of(self, target: str, *, external: bool = False) -> Reached:
        """Whom a target reaches; ``external`` is whether its share takes accounts outside the organization."""
        key = (target, external)
        if key not in self._known:
            self._known[key] = self._reached(target, external=external)
        return self._known[key]

    def of_all(self, targets: Iterable[str], *, external: bool = False) -> Reached:
        """Whom several targets reach together."""
        each = [self.of(target, external=external) for target in targets]
        if len(each) == 1:
            return each[0]
        possible = NOBODY.union(*(r.possible for r in each))
        return Reached(
            _same(NOBODY.union(*(r.sure for r in each)), possible), possible, NOBODY.union(*(r.elsewhere for r in each))
        )

    def _reached(self, target: str, *, external: bool) -> Reached:
        organization = self._organization
        if target in (organization.id, organization.root):
            everybody = frozenset(organization.members)
            # Root's own id as a target is not documented.
            sure = _same(everybody & self._established, everybody) if target == organization.id else NOBODY
            gone = frozenset(self._before.get(organization.root, ()))
            return Reached(sure, everybody | {organization.management}, gone)
        if is_folder(target):
            own, below = self._own.get(target, set()), self._below.get(target, set())
            surely = below if self._nested == "yes" else own
            perhaps = own if self._nested == "no" else below
            possible = frozenset(perhaps)
            return Reached(_same(self._settled & surely, possible), possible, frozenset(self._before.get(target, ())))
        if target in organization.members:
            return Reached(self._established & {target}, frozenset({target}))
        if is_account(target):
            # A share that takes accounts outside associates one only after it accepted the invitation.
            accepted = external and target != organization.management
            return Reached(frozenset({target}) if accepted else NOBODY, frozenset({target}))
        return Reached()


def is_stuck(row: Association, now: datetime) -> bool:
    """Whether an association has been on its way for so long that nothing may be expected of it."""
    if row.status != "Associating":
        return False
    since = vendor_time(row.updated) or vendor_time(row.created)
    return since is not None and now - since >= UNDER_WAY


def coverage_of_images(
    shares: Iterable[ResourceShare],
    reach: Reach,
    now: datetime,
    *,
    without: frozenset[tuple[str, str]] = NOTHING,
) -> Mapping[str, Coverage]:
    """The coverage of every image that a share may reach anybody with.

    ``without`` are rows, as (share, entity), that are looked away from: what would be left if they ended.
    """
    parts: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    by_share: dict[str, Coverage] = {}
    for share in shares:
        if not share.live:
            continue
        by_share[share.id] = _coverage(share, reach, now, without)
        for row in share.images:
            if row.live and not is_stuck(row, now) and (share.id, row.entity) not in without:
                parts[row.entity].append((share.id, row.firm and share.firm))
    known: dict[tuple[tuple[str, bool], ...], Coverage] = {}
    found = {}
    for image, places in parts.items():
        key = tuple(sorted(places))
        if key not in known:
            known[key] = _together([_as_far(by_share[share], firm=firm) for share, firm in key])
        found[image] = known[key]
    return found


def _coverage(share: ResourceShare, reach: Reach, now: datetime, without: frozenset[tuple[str, str]]) -> Coverage:
    """Whom a share reaches with an image whose own row stands."""
    rows = [
        row for row in share.targets if row.live and not is_stuck(row, now) and (share.id, row.entity) not in without
    ]
    firm = reach.of_all([row.entity for row in rows if row.firm], external=share.external)
    others = reach.of_all([row.entity for row in rows if not row.firm], external=share.external)
    possible = firm.possible | others.possible
    elsewhere = firm.elsewhere | others.elsewhere
    return Coverage(firm.sure, _same(firm.possible, possible), possible, elsewhere)


def _as_far(coverage: Coverage, *, firm: bool) -> Coverage:
    return coverage if firm else Coverage(NOBODY, NOBODY, coverage.possible, coverage.elsewhere)


def _together(parts: list[Coverage]) -> Coverage:
    if len(parts) == 1:
        return parts[0]
    possible = NOBODY.union(*(p.possible for p in parts))
    associated = _same(NOBODY.union(*(p.associated for p in parts)), possible)
    sure = _same(NOBODY.union(*(p.sure for p in parts)), associated)
    return Coverage(sure, associated, possible, NOBODY.union(*(p.elsewhere for p in parts)))


def _same(part: frozenset[str], whole: frozenset[str]) -> frozenset[str]:
    """The part; where it is all of the whole, the whole itself: thousands of accounts need not be kept twice."""
    return whole if len(part) == len(whole) else part
