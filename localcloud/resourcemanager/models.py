"""The organization: folders, members, invitations, and who exists outside.

The truth changes at once; lists may lag behind it (`delays.membership`), and so may what resource shares reach
(`delays.coverage`), as the vendor says nothing about when a change is seen. So each change makes a new immutable view,
and who looks later reads the newest view that is old enough.
GetAccount, GetFolder and ListAncestors always read the truth: a client that confirms a departure before it acts on a
list needs the two to differ here at times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal

import msgspec

from localcloud.resourcemanager.errors import ERRORS
from localcloud.world import FOLDER_LEVELS, ROOT, ROOT_ID, Delays, Directory, Folder, Member

INVITATION_SECONDS = 14 * 86_400
"""How long an invitation is valid: https://www.alibabacloud.com/help/en/resource-management/product-overview/limits"""

HandshakeStatus = Literal["Pending", "Accepted", "Cancelled", "Declined", "Expired"]


class Account(msgspec.Struct, frozen=True):
    """A member and when it came and changed."""

    id: str
    spec: Member
    join_time: float
    modify_time: float

    @property
    def folder(self) -> str:
        """The id of its folder, the Root folder's included."""
        return ROOT_ID if self.spec.folder == ROOT else self.spec.folder

    @property
    def status(self) -> str:
        """The status that the lists show."""
        return self.spec.status or ("CreateSuccess" if self.spec.joined == "created" else "InviteSuccess")


class FolderRecord(msgspec.Struct, frozen=True):
    """A folder and when it was made."""

    id: str
    name: str
    parent: str
    created: float


class Handshake(msgspec.Struct, frozen=True):
    """An invitation to join."""

    id: str
    target: str
    note: str
    tags: dict[str, str]
    created: float
    modified: float
    expires: float
    answered: HandshakeStatus = "Pending"

    def status(self, now: float) -> HandshakeStatus:
        """Its status at a time: a pending invitation expires by itself."""
        return "Expired" if self.answered == "Pending" and now >= self.expires else self.answered


class View:
    """The organization at one instant; never changed once made."""

    def __init__(self, directory: str, members: Mapping[str, Account], folders: Mapping[str, FolderRecord]) -> None:
        self.directory = directory
        self.members = members
        self.folders = folders
        self._paths: dict[str, str] = {}

    @cached_property
    def member_ids(self) -> list[str]:
        """Ids of all members, sorted."""
        return sorted(self.members)

    @cached_property
    def members_of(self) -> dict[str, list[str]]:
        """Folder id -> sorted ids of the members directly in it."""
        found: dict[str, list[str]] = {}
        for account in self.member_ids:
            found.setdefault(self.members[account].folder, []).append(account)
        return found

    @cached_property
    def folders_of(self) -> dict[str, list[str]]:
        """Folder id -> sorted ids of the folders directly in it."""
        found: dict[str, list[str]] = {}
        for folder in sorted(self.folders):
            if folder != ROOT_ID:
                found.setdefault(self.folders[folder].parent, []).append(folder)
        return found

    def chain(self, folder: str) -> Iterator[str]:
        """The folder and its ancestors, up to Root."""
        while folder != ROOT_ID:
            yield folder
            folder = self.folders[folder].parent
        yield ROOT_ID

    def path(self, folder: str) -> str:
        """`rd-local1/r-local1/fd-prod` of a folder.

        https://www.alibabacloud.com/help/en/resource-management/resource-directory/developer-reference/api-resourcemanager-2020-03-31-listaccounts
        """
        known = self._paths.get(folder)
        if known is None:
            known = self._paths[folder] = "/".join([self.directory, *reversed(list(self.chain(folder)))])
        return known


class _Lag:
    """What the organization was, for whoever sees a change later than it is made."""

    def __init__(self) -> None:
        self._past: list[tuple[float, View]] = []

    def remember(self, view: View, *, now: float, delay: float) -> None:
        """This view was replaced now and is seen until the delay is over; without one, nothing older is seen either."""
        if delay > 0:
            self._past.append((now + delay, view))
        else:
            self._past.clear()

    def seen(self, truth: View, now: float) -> View:
        """What the oldest change still hidden replaced, or the truth."""
        while self._past and self._past[0][0] <= now:
            self._past.pop(0)
        return self._past[0][1] if self._past else truth


class DirectoryModel:
    """The directory, the accounts outside it, and the invitations."""

    def __init__(self, directory: Directory | None, outsiders: tuple[str, ...], *, now: float) -> None:
        self._created = now
        self._id = ""
        self.management = ""
        self.sharing_enabled = False
        self.outsiders: set[str] = set()
        self.handshakes: dict[str, Handshake] = {}
        self._view = View("", {}, {})
        self._lists = _Lag()
        self._shares = _Lag()
        self.replace(directory, outsiders, now=now, delays=Delays())

    @property
    def id(self) -> str:
        """The directory's id; empty if there is none."""
        return self._id

    @property
    def created(self) -> float:
        """When the directory was made: with the cloud."""
        return self._created

    @property
    def truth(self) -> View:
        """The organization as it is."""
        return self._view

    def listed(self, now: float) -> View:
        """The organization as the lists show it now."""
        return self._lists.seen(self._view, now)

    def reached(self, now: float) -> View:
        """The organization as resource shares follow it now."""
        return self._shares.seen(self._view, now)

    def exists(self, account: str) -> bool:
        """Whether the world knows this account at all."""
        return account == self.management or account in self._view.members or account in self.outsiders

    def replace(self, directory: Directory | None, outsiders: tuple[str, ...], *, now: float, delays: Delays) -> None:
        """Take over another organization; what stays the same keeps its times, and whose member leaves still exists."""
        before = self._view
        self.outsiders = set(outsiders)
        self._id = directory.id if directory else ""
        self.management = directory.management if directory else ""
        self.sharing_enabled = directory.sharing_enabled if directory else False
        folders: dict[str, FolderRecord] = {}
        members: dict[str, Account] = {}
        if directory is not None:
            folders[ROOT_ID] = FolderRecord(ROOT_ID, "root", "", self._created)
            for folder_id, folder in directory.folders.items():
                old = before.folders.get(folder_id)
                parent = ROOT_ID if folder.parent == ROOT else folder.parent
                folders[folder_id] = FolderRecord(folder_id, folder.name, parent, old.created if old else now)
            for account, spec in directory.members.items():
                known = before.members.get(account)
                members[account] = (
                    known
                    if known is not None and known.spec == spec
                    else Account(account, spec, known.join_time if known else now, now)
                )
        if before.members != members or before.folders != folders or before.directory != self._id:
            self._show(View(self._id, members, folders), now=now, delays=delays)

    def document(self) -> tuple[Directory | None, tuple[str, ...]]:
        """The organization as parts of a world."""
        outsiders = tuple(sorted(self.outsiders))
        if not self._id:
            return None, outsiders
        view = self._view
        directory = Directory(
            id=self._id,
            management=self.management,
            sharing_enabled=self.sharing_enabled,
            folders={
                one.id: Folder(name=one.name, parent=ROOT if one.parent == ROOT_ID else one.parent)
                for one in view.folders.values()
                if one.id != ROOT_ID
            },
            members={account: one.spec for account, one in view.members.items()},
        )
        return directory, outsiders

    def join(self, account: str, spec: Member, *, now: float, delays: Delays) -> Account:
        """An account becomes a member."""
        member = Account(account, spec, now, now)
        self.outsiders.discard(account)
        self._show(self._with_members({**self._view.members, account: member}), now=now, delays=delays)
        return member

    def leave(self, account: str, *, now: float, delays: Delays) -> None:
        """A member leaves and goes on existing outside."""
        members = dict(self._view.members)
        del members[account]
        self.outsiders.add(account)
        self._show(self._with_members(members), now=now, delays=delays)

    def change(self, account: str, spec: Member, *, now: float, delays: Delays) -> None:
        """A member moves or gets other tags."""
        member = msgspec.structs.replace(self._view.members[account], spec=spec, modify_time=now)
        self._show(self._with_members({**self._view.members, account: member}), now=now, delays=delays)

    def add_folder(self, folder: FolderRecord, *, now: float, delays: Delays) -> None:
        """Make a folder; ApiError if the name is taken beside it or it would lie too deep."""
        view = self._view
        if any(view.folders[other].name == folder.name for other in view.folders_of.get(folder.parent, ())):
            raise ERRORS.error("InvalidParameter.Folder.Name.AlreadyUsed")
        if len(list(view.chain(folder.parent))) > FOLDER_LEVELS:
            raise ERRORS.error("LimitExceeded.Folder.Depth")
        self._show(View(self._id, view.members, {**view.folders, folder.id: folder}), now=now, delays=delays)

    def delete_folder(self, folder: str, *, now: float, delays: Delays) -> None:
        """Delete an empty folder."""
        view = self._view
        if view.members_of.get(folder):
            raise ERRORS.error("DeleteConflict.Folder.Account")
        if view.folders_of.get(folder):
            raise ERRORS.error("DeleteConflict.Folder.SubFolder")
        folders = dict(view.folders)
        del folders[folder]
        self._show(View(self._id, view.members, folders), now=now, delays=delays)

    def _with_members(self, members: Mapping[str, Account]) -> View:
        return View(self._id, members, self._view.folders)

    def _show(self, view: View, *, now: float, delays: Delays) -> None:
        self._lists.remember(self._view, now=now, delay=delays.membership)
        self._shares.remember(self._view, now=now, delay=delays.coverage)
        self._view = view
