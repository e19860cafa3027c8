"""The words of the domain, as frozen data that flows through the whole program.

Every layer speaks in these types and nothing else passes between layers. They hold what was read, never what it
means: whether a reading is good enough to act on is decided by the layers that read (``observe``) and that plan
(``decide``). What can go wrong here is a mutable value slipping in: use tuples, frozensets and mapping proxies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

Service = Literal["ecs", "eds"]
SERVICES: tuple[Service, ...] = ("ecs", "eds")

EVERY_REGION = "all"
"""The region of a shard that has all of them: what is counted over all regions is decided in one place."""

DEPLOYMENT = "orgshare:deployment"
"""The tag of whatever is made for a deployment: its name."""

EVERYWHERE = "*"
"""The region of what an owner has once beside the images of all regions, and of gaps that concern all its shards."""

Tags = frozenset[tuple[str, str]]

NO_TAGS: Tags = frozenset()
NOBODY: frozenset[str] = frozenset()


class Pair(NamedTuple):
    """The unit of access: one account that can use one image."""

    image: str
    account: str


class Shard(NamedTuple):
    """What one worker reconciles: the images of one owner, of one service, in one region.

    Of Elastic Desktop Service (``eds``) an owner has one shard with all regions in it, because its shares count to one
    quota there.
    """

    service: Service
    owner: str
    region: str

    def __str__(self) -> str:
        return f"{self.service}/{self.owner}/{self.region}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``service/owner/region`` back; a ``ValueError`` says what was expected."""
        parts = text.split("/")
        if len(parts) == 3 and all(parts):
            if parts[0] == "ecs" and parts[2] != EVERY_REGION:
                return cls("ecs", parts[1], parts[2])
            if parts[0] == "eds" and parts[2] == EVERY_REGION:
                return desktops_of(parts[1])
        raise ValueError(f"not a shard: {text!r}; expected ecs/OWNER/REGION or eds/OWNER/{EVERY_REGION}")


def desktops_of(owner: str) -> Shard:
    """The one shard of an owner's images of Elastic Desktop Service."""
    return Shard("eds", owner, EVERY_REGION)


def wide_shard(owner: str) -> Shard:
    """The shard of what an owner has once, for all regions: its sharing role."""
    return Shard("ecs", owner, EVERYWHERE)


class Member(Struct, frozen=True):
    """A member account: ``folders`` is its chain from Root down to the folder that holds it."""

    id: str
    folders: tuple[str, ...]
    name: str = ""
    tags: Tags = NO_TAGS


class Organization(Struct, frozen=True):
    """The resource directory as one complete reading of it showed it.

    ``members`` never holds the management account, which belongs to no folder
    (https://help.aliyun.com/en/resource-management/product-overview/terms). ``folders`` are the folders known to
    exist, each with its chain from Root down to itself: those on the members' paths, those that were asked for by id,
    and the subfolders of those in ``listed``, which are all that they have. ``unread_folders`` were asked for, or for
    their subfolders, but the answer did not come.
    """

    id: str
    management: str
    root: str
    members: Mapping[str, Member]
    folders: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    listed: frozenset[str] = frozenset()
    unread_folders: frozenset[str] = frozenset()

    def within(self, account: str, folder: str) -> bool:
        """Whether the account is a member somewhere below the folder (``root`` stands for Root's id)."""
        member = self.members.get(account)
        return member is not None and (folder == "root" or folder in member.folders)

    def is_root(self, folder: str) -> bool:
        """Whether this is Root, by its id or by the word that policies use."""
        return folder in ("root", self.root)

    def replace_members(self, changed: Mapping[str, Member | None]) -> Organization:
        """The same organization with some members corrected; ``None`` takes one out."""
        members = dict(self.members)
        for account, member in changed.items():
            if member is None:
                members.pop(account, None)
            else:
                members[account] = member
        moved = (member for member in changed.values() if member is not None)
        folders = {**self.folders, **folders_on_paths(moved)}
        return replace(self, members=MappingProxyType(members), folders=MappingProxyType(folders))


def folders_on_paths(members: Iterable[Member]) -> dict[str, tuple[str, ...]]:
    """The folders on the paths of members, each with its chain from Root down to itself."""
    chains = {member.folders for member in members}
    return {chain[depth]: chain[: depth + 1] for chain in chains for depth in range(len(chain))}


class Image(Struct, frozen=True, kw_only=True):
    """One row of an image listing. ``None`` means that the row did not say.

    ``within`` is the region where the shard has several, ``shared_with`` how many accounts the row says have it.
    ``snapshots`` are those behind its disks, which know whether they are encrypted where the row does not say. A copy
    of ours has an ``origin``.
    """

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
    snapshots: tuple[str, ...] = ()
    within: str = ""
    shared_with: int | None = None
    origin: Origin | None = None

    @property
    def region(self) -> str:
        """Where the image is."""
        return self.within or self.shard.region

    @property
    def keyed(self) -> bool:
        """Whether who gets it needs its owner's key, too: Elastic Desktop Service shares no encrypted image at all."""
        return bool(self.encrypted) and self.shard.service == "ecs"


class Origin(Struct, frozen=True):
    """What a copy of ours was made from: an image of the same owner in another region, as it is ``now``; ``None`` where
    it is there no more. Then ``last`` is how it was last seen, if anybody remembers."""

    id: str
    region: str
    now: Image | None
    last: Image | None = None


class Grant(Struct, frozen=True):
    """One direct permission as the cloud lists it. ``shared_time`` tells two grants to one account apart."""

    account: str
    shared_time: str


class Association(Struct, frozen=True):
    """One row of a resource share: an image or a target, and how far it has come.

    ``created`` tells two rows of one entity apart. An entity is named by its id: of an image, an account, a folder, or
    the organization.
    """

    entity: str
    status: str
    created: str
    updated: str = ""
    failure: str = ""

    @property
    def live(self) -> bool:
        """Whether the row may give access, now or soon: anything but what is over.

        https://www.alibabacloud.com/help/en/resource-management/resource-sharing/developer-reference/api-resourcesharing-2020-01-10-listresourceshareassociations
        """
        return self.status not in ("Disassociated", "Failed")

    @property
    def firm(self) -> bool:
        """Whether the row stands: associated, and nothing under way."""
        return self.status == "Associated"


def is_image(entity: str) -> bool:
    """Whether an entity of a resource share is an image, and not a target."""
    return entity.startswith("m-")


def is_folder(entity: str) -> bool:
    """Whether an entity of a resource share is a folder; Root and the organization have ids of other forms."""
    return entity.startswith("fd-")


def is_account(entity: str) -> bool:
    """Whether an entity of a resource share is an account."""
    return entity.isdigit()


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class ResourceShare(Struct, frozen=True, kw_only=True):
    """A resource share with one row for each image and each target: the live one, or else the newest.

    ``external`` is whether accounts outside the organization can be its targets.
    """

    id: str
    name: str = ""
    status: str = "Active"
    external: bool = False
    tags: Tags = NO_TAGS
    images: tuple[Association, ...] = ()
    targets: tuple[Association, ...] = ()

    @property
    def live(self) -> bool:
        """Whether the share may give access."""
        return self.status != "Deleted"

    @property
    def firm(self) -> bool:
        """Whether the share stands."""
        return self.status == "Active"


class Sharing(Struct, frozen=True):
    """All resource shares of one owner in one region, and whether sharing within the organization is enabled.

    ``deleted`` are the ids of shares of which the cloud says that they were deleted.
    """

    shares: tuple[ResourceShare, ...] = ()
    enabled: bool = True
    deleted: frozenset[str] = NOBODY


class ImageReading(Struct, frozen=True):
    """An image with its grants; ``grants`` is ``None`` when they were not read, and ``unread`` says why.

    ``asked`` is false where nobody asked for them, because the image itself says that it is not shared. Whether that
    speaks of accounts that a resource share reaches, nobody knows. ``unsure`` is why it could not be found out whether
    the image is encrypted.
    """

    image: Image
    grants: tuple[Grant, ...] | None
    unread: str = ""
    asked: bool = True
    unsure: str = ""


class Incomplete(Struct, frozen=True, order=True):
    """Something that could not be read to the end: a shard, an image of it, or what a rule rests on."""

    where: Literal["shard", "rule"]
    name: str
    why: str
