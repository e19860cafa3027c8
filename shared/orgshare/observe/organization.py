"""Reading the organization, and asking once more about whoever is about to lose access by it.

One listing carries the whole tree, because each row has the account's path from Root
(https://help.aliyun.com/en/resource-management/developer-reference/api-resourcemanager-2020-03-31-listaccounts).
Folders without members are on no path, so those that the policy names are asked for one by one.

What can go wrong is a listing that is wrong and looks right. Before an account loses access because of where it is, or
because it is gone, ``confirm`` asks for that account alone; only the answer that it does not exist proves a departure.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from types import MappingProxyType

from msgspec import Struct

from orgshare.errors import VendorError
from orgshare.observe.listing import read_list
from orgshare.ports import Directory
from orgshare.words import Member, Organization


def read_organization(directory: Directory, folders_named: Iterable[str]) -> Organization:
    """The whole organization. Raises ``VendorError`` or ``IncompleteRead``: there is no partial organization."""
    identity = directory.identity()
    rows = read_list("members of the organization", directory.members, lambda member: member.id)
    # Whether the listing has the management account is not documented; it is no member, wherever it is listed.
    members = {member.id: member for member in rows if member.id != identity.management}
    on_paths = frozenset(folder for member in members.values() for folder in member.folders) | {identity.root}
    exist, unread = set(), set()
    for folder in sorted(set(folders_named) - on_paths - {"root"}):
        try:
            if directory.folder_exists(folder):
                exist.add(folder)
        except VendorError:
            unread.add(folder)
    return Organization(
        id=identity.id,
        management=identity.management,
        root=identity.root,
        members=MappingProxyType(members),
        folders=on_paths | exist,
        unread_folders=frozenset(unread),
    )


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
    contradicted = f"the listing of the organization lacks account {found[0]}, which exists in it" if found else ""
    return Confirmation(
        organization=corrected,
        departed=frozenset(a for a, m in answers.items() if m is None),
        placed=frozenset(a for a, m in answers.items() if m is not None),
        contradicted=contradicted,
    )


def _ask(directory: Directory, accounts: list[str], executor: Executor) -> dict[str, Member | None]:
    def ask(account: str) -> tuple[str, Member | None, bool]:
        try:
            return account, directory.member(account), True
        except VendorError:
            return account, None, False

    return {account: member for account, member, answered in executor.map(ask, accounts) if answered}
