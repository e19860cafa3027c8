"""The words of the domain, as frozen data that flows through the whole program.

Every layer speaks in these types and nothing else passes between layers. They hold what was read, never what it
means: whether a reading is good enough to act on is decided by the layers that read (``observe``) and that plan
(``decide``). What can go wrong here is a mutable value slipping in: use tuples, frozensets and mapping proxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

Service = Literal["ecs"]
Tags = frozenset[tuple[str, str]]

NO_TAGS: Tags = frozenset()


class Pair(NamedTuple):
    """The unit of access: one account that can use one image."""

    image: str
    account: str


class Shard(NamedTuple):
    """What one worker reconciles: the images of one owner, of one service, in one region."""

    service: Service
    owner: str
    region: str

    def __str__(self) -> str:
        return f"{self.service}/{self.owner}/{self.region}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``service/owner/region`` back; a ``ValueError`` says what was expected."""
        parts = text.split("/")
        if len(parts) != 3 or parts[0] != "ecs" or not all(parts):
            raise ValueError(f"not a shard: {text!r}; expected ecs/OWNER/REGION")
        return cls("ecs", parts[1], parts[2])


class Member(Struct, frozen=True):
    """A member account: ``folders`` is its chain from Root down to the folder that holds it."""

    id: str
    folders: tuple[str, ...]
    name: str = ""
    tags: Tags = NO_TAGS


class Organization(Struct, frozen=True):
    """The resource directory as one complete reading of it showed it.

    ``members`` never holds the management account, which belongs to no folder
    (https://help.aliyun.com/en/resource-management/product-overview/terms). ``folders`` are the folder ids known to
    exist, Root included: those on the members' paths and those that were asked for by id. ``unread_folders`` were asked
    for, but the answer did not come: whether they exist is not known.
    """

    id: str
    management: str
    root: str
    members: Mapping[str, Member]
    folders: frozenset[str] = frozenset()
    unread_folders: frozenset[str] = frozenset()

    def within(self, account: str, folder: str) -> bool:
        """Whether the account is a member somewhere below the folder (``root`` stands for Root's id)."""
        member = self.members.get(account)
        return member is not None and (folder == "root" or folder in member.folders)

    def replace_members(self, changed: Mapping[str, Member | None]) -> Organization:
        """The same organization with some members corrected; ``None`` takes one out."""
        members = dict(self.members)
        for account, member in changed.items():
            if member is None:
                members.pop(account, None)
            else:
                members[account] = member
        folders = self.folders.union(*(m.folders for m in changed.values() if m is not None))
        return replace(self, members=MappingProxyType(members), folders=folders)


class Image(Struct, frozen=True, kw_only=True):
    """One row of an image listing. ``None`` means that the row did not say."""

    id: str
    shard: Shard
    name: str
    status: str
    family: str = ""
    tags: Tags = NO_TAGS
    public: bool = False
    encrypted: bool | None = None
    self_shared: bool | None = None
    product_code: str = ""
    alias: str = "self"


class Grant(Struct, frozen=True):
    """One direct permission as the cloud lists it. ``shared_time`` tells two grants to one account apart."""

    account: str
    shared_time: str


class ImageReading(Struct, frozen=True):
    """An image with its grants; ``grants`` is ``None`` when they were not read, and ``unread`` says why."""

    image: Image
    grants: tuple[Grant, ...] | None
    unread: str = ""


class Incomplete(Struct, frozen=True, order=True):
    """Something that could not be read to the end: a shard, an image of it, or what a rule rests on."""

    where: Literal["shard", "rule"]
    name: str
    why: str
