"""Reading the organization, and asking once more about whoever is about to lose access by it.

One listing carries the whole tree, because each row has the account's path from Root
(https://help.aliyun.com/en/resource-management/developer-reference/api-resourcemanager-2020-03-31-listaccounts).
Folders without members are on no path, so those that the policy names are asked for one by one, and where the policy
needs to know every subfolder of a folder, the folders are listed level by level.

What can go wrong is a listing that is wrong and looks right. Before an account loses access because of where it is, or
because it is gone, ``confirm`` asks for that account alone; only the answer that it does not exist proves a departure.
Of folders, a place that contradicts what is known already counts as an answer that did not come: a folder in the wrong
place could make an excluded one look as if it were elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from types import MappingProxyType

from msgspec import Struct

from orgshare.errors import IncompleteRead, VendorError
from orgshare.observe.listing import read_list
from orgshare.ports import Directory
from orgshare.words import Member, Organization, folders_on_paths

FOLDER_LEVELS = 5
"""Levels of folders below Root, the most that there can be.

https://www.alibabacloud.com/help/en/resource-management/product-overview/limits
"""

Chains = dict[str, tuple[str, ...]]


def read_organization(
    directory: Directory, folders_named: Iterable[str], trees: Iterable[str], executor: Executor
) -> Organization:
    """The whole organization. Raises ``VendorError`` or ``IncompleteRead``: there is no partial organization.

    ``folders_named`` are asked for by their ids where they are on no member's path. ``trees`` (ids, or ``root``) are
    folders whose subfolders of every level are read too. A folder that does not exist is not in ``folders``; one that
    could not be asked for, or whose subfolders could not be listed, is in ``unread_folders`` by its id, Root included,
    and the folders below it are those that other answers showed.
    """
    identity = directory.identity()
    rows = read_list("members of the organization", directory.members, lambda member: member.id)
    # Whether the listing has the management account is not documented; it is no member, wherever it is listed.
    members = {member.id: member for member in rows if member.id != identity.management}
    chains: Chains = {identity.root: (identity.root,), **folders_on_paths(members.values())}
    tops = {identity.root if folder == "root" else folder for folder in trees}
    unread = _ask_places(directory, {*folders_named, *tops} - {"root"}, chains, executor)
    listed, unlisted = _list_trees(directory, tops, chains, executor)
    return Organization(
        id=identity.id,
        management=identity.management,
        root=identity.root,
        members=MappingProxyType(members),
        folders=MappingProxyType(chains),
        listed=listed,
        unread_folders=unread | unlisted,
    )


def _ask_places(directory: Directory, folders: Iterable[str], chains: Chains, executor: Executor) -> frozenset[str]:
    """Add the chains of folders that are not known yet; those that could not be read are returned."""

    def ask(folder: str) -> tuple[str, tuple[str, ...] | None, bool]:
        try:
            return folder, directory.folder(folder), True
        except VendorError:
            return folder, None, False

    unread = set()
    for folder, chain, answered in executor.map(ask, sorted(set(folders) - chains.keys())):
        if not answered or (chain is not None and not _place(chains, chain)):
            unread.add(folder)
    return frozenset(unread)


def _list_trees(
    directory: Directory, tops: Iterable[str], chains: Chains, executor: Executor
) -> tuple[frozenset[str], frozenset[str]]:
    """Add the chains of all folders below these; returned are those listed whole and those that could not be."""

    def ask(folder: str) -> tuple[str, tuple[str, ...] | None]:
        try:
            what = f"subfolders of {folder}"
            return folder, read_list(what, lambda page: directory.subfolders(folder, page), lambda child: child)
        except (VendorError, IncompleteRead):
            return folder, None

    listed: set[str] = set()
    unread: set[str] = set()
    level = {folder for folder in tops if folder in chains}
    while level:
        lowest = {folder for folder in level if len(chains[folder]) > FOLDER_LEVELS}
        listed |= lowest
        following: set[str] = set()
        for folder, children in executor.map(ask, sorted(level - lowest)):
            if children is None or not _place_below(chains, folder, children):
                unread.add(folder)
            else:
                listed.add(folder)
                following.update(children)
        level = following - listed - unread
    return frozenset(listed), frozenset(unread)


def _place(chains: Chains, chain: tuple[str, ...]) -> bool:
    """Add a folder and all above it, unless one of them is known in another place; whether that was so."""
    added = {chain[depth]: chain[: depth + 1] for depth in range(len(chain))}
    if any(chains.get(folder, place) != place for folder, place in added.items()):
        return False
    chains.update(added)
    return True


def _place_below(chains: Chains, parent: str, children: tuple[str, ...]) -> bool:
    """Add all subfolders of a folder, unless that contradicts what is known; whether that was so."""
    above = chains[parent]
    known = {folder for folder, chain in chains.items() if chain[:-1] == above}
    elsewhere = any(chains.get(child, (*above, child)) != (*above, child) for child in children)
    if elsewhere or not known <= set(children):
        return False
    chains.update((child, (*above, child)) for child in children)
    return True


class Confirmation(Struct, frozen=True):
    """What asking for single accounts showed; ``organization`` is corrected by it.

    ``contradicted`` is not empty when the listing left out an account that exists: then the listing proves nothing.
    """

    organization: Organization
    departed: frozenset[str]
    placed: frozenset[str]
    contradicted: str = ""


def confirm(
    directory: Directory, organization: Organization, accounts: Iterable[str], executor: Executor
) -> Confirmation:
    """Ask for each of these accounts alone. One that cannot be read is neither departed nor placed.

    The first account that the listing lacks is asked for before all others: if it exists, the listing lied, and
    thousands of further questions would tell nothing more.
    """
    listed = sorted(a for a in accounts if a in organization.members)
    absent = sorted(a for a in accounts if a not in organization.members)
    answers: dict[str, Member | None] = {}
    if absent:
        answers.update(_ask(directory, absent[:1], executor))
    if all(answer is None for answer in answers.values()):
        answers.update(_ask(directory, absent[1:] + listed, executor))
    corrected = organization.replace_members(
        {a: m for a, m in answers.items() if m is not None or a in organization.members}
    )
    found = [a for a in absent if answers.get(a) is not None]
    return Confirmation(
        organization=corrected,
        departed=frozenset(a for a, m in answers.items() if m is None),
        placed=frozenset(a for a, m in answers.items() if m is not None),
        contradicted=why_contradicted(found),
    )


def why_contradicted(found: Iterable[str]) -> str:
    """How the listing was wrong, if it lacks accounts that were ``found`` by asking for each alone."""
    first = min(found, default="")
    return f"the listing of the organization lacks account {first}, which exists in it" if first else ""


def _ask(directory: Directory, accounts: list[str], executor: Executor) -> dict[str, Member | None]:
    def ask(account: str) -> tuple[str, Member | None, bool]:
        try:
            return account, directory.member(account), True
        except VendorError:
            return account, None, False

    return {account: member for account, member, answered in executor.map(ask, accounts) if answered}
