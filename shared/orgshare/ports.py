"""What the program needs of a cloud, as small interfaces; ``orgshare.alibaba`` is the one implementation.

Pages are handed on as pages, because whether a list is complete is decided in ``observe``, once for all lists.

Every method may raise ``VendorError``: ``Refused`` where the cloud refused, ``NotPermitted`` where a permission is
lacking, ``TryAgain`` (and its kinds) where trying again could have helped and has been tried. A member or image that
does not exist is ``None``, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from orgshare.words import Association, Grant, Image, Member, ResourceShare, Shard, Tags

Row = TypeVar("Row")

PAGE_SIZE = 100
"""Rows a page, the most that every list read here allows."""


class Page(Struct, Generic[Row], frozen=True):
    """One page of a list and the number of rows that the whole list is said to have."""

    rows: tuple[Row, ...]
    total: int


class TokenPage(Struct, Generic[Row], frozen=True):
    """One page of a list that goes on where its token says; no token is the end."""

    rows: tuple[Row, ...]
    token: str = ""


class DirectoryIdentity(Struct, frozen=True):
    """The resource directory's own id, its management account, and the id of its Root folder."""

    id: str
    management: str
    root: str


class Directory(Protocol):
    """Reads the organization."""

    def identity(self) -> DirectoryIdentity:
        """Whose directory this is."""

    def members(self, page: int) -> Page[Member]:
        """One page of all members, with tags; pages are counted from 1."""

    def member(self, account: str) -> Member | None:
        """One account; ``None`` only if the directory says that it has no such account."""

    def folder(self, folder: str) -> tuple[str, ...] | None:
        """A folder's chain from Root down to itself; ``None`` only if the directory says that it has no such folder."""

    def subfolders(self, folder: str, page: int) -> Page[str]:
        """One page of the folders directly below a folder."""


class ImageAccess(Protocol):
    """Shares the images of one shard, and reads them one by one."""

    def image(self, image: str) -> Image | None:
        """One of the owner's own images by its id, of every status."""

    def visible_image(self, image: str) -> Image | None:
        """An image that the owner can see, whoever owns it; ``alias`` says whose it is."""

    def grants(self, image: str, page: int) -> Page[Grant]:
        """One page of the accounts that the image is shared with directly."""

    def share(self, image: str, *, add: Sequence[str], remove: Sequence[str]) -> None:
        """One call that adds and removes direct grants: at most 10 of each, or some would be lost silently."""


@runtime_checkable
class PagedImages(ImageAccess, Protocol):
    """A shard whose images are in one list of pages with a total."""

    def images(self, page: int) -> Page[Image]:
        """One page of the owner's own images, of every status."""

    def encrypted(self, snapshots: Sequence[str]) -> Mapping[str, bool]:
        """Whether each of these snapshots is encrypted: at most ``PAGE_SIZE`` of them. One that is not there is left
        out."""

    def copy(self, source: str, *, region: str, name: str, tags: Tags, key: str, token: str) -> str:
        """Copy an image of this shard to another region, encrypted if there is a ``key``; the id of the copy. Calls
        with one ``token`` make one copy."""

    def delete(self, image: str) -> None:
        """Delete an image that nobody has any more."""


class RegionalImages(ImageAccess, Protocol):
    """A shard whose images are in a list for each region, of pages that go on where a token says."""

    def regions(self) -> tuple[str, ...]:
        """The regions of the shard."""

    def images_in(self, region: str, token: str) -> TokenPage[Image]:
        """One page of the images in a region, of every status: the owner's own, and perhaps what it received."""


ImageService = PagedImages | RegionalImages
"""Reads and shares the images of one shard."""


class AssociationRow(Struct, frozen=True):
    """A row of an association listing, with the resource share that it belongs to."""

    share: str
    association: Association


AssociationKind = Literal["Resource", "Target"]


class ShareService(Protocol):
    """Reads and changes the resource shares of one owner in one region."""

    def enabled(self) -> bool:
        """Whether sharing within the organization is enabled."""

    def shares(self, token: str) -> TokenPage[ResourceShare]:
        """One page of the owner's own resource shares, without their rows; deleted ones stay listed for days."""

    def share_by_id(self, share: str) -> ResourceShare | None:
        """One of the owner's own resource shares, without its rows."""

    def rows(
        self, kind: AssociationKind, token: str, *, share: str | None = None, entity: str | None = None
    ) -> TokenPage[AssociationRow]:
        """One page of images (kind Resource) or targets, of all shares or of one, or of a single image or target; rows
        that are over stay for days."""

    def create(self, name: str, tags: Tags) -> ResourceShare:
        """An empty resource share that only members of the organization can be targets of. Not idempotent."""

    def associate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> tuple[Association, ...]:
        """Put images and targets into a share, at most five of each; the new rows, which are under way."""

    def disassociate(self, share: str, *, images: Sequence[str], targets: Sequence[str]) -> None:
        """Take images and targets out of a share, at most five of each."""


class RoleService(Protocol):
    """Reads and replaces the trust policy of an owner's sharing role."""

    def trust_policy(self) -> str | None:
        """The document; ``None`` only if the owner has no such role."""

    def replace_trust_policy(self, document: str) -> None:
        """Replace the document as a whole."""


class StoredObject(Struct, frozen=True):
    """One object of a store, with the store's own time of its put."""

    name: str
    put_at: datetime


class Listing(Struct, frozen=True):
    """Objects of a store in the order of their names, and the store's own time when they were listed."""

    objects: tuple[StoredObject, ...]
    now: datetime


class ObjectStore(Protocol):
    """Named objects of bytes that are put once and never changed; names are relative paths with ``/``.

    Times are the store's own, so that several machines agree about the age of an object. Every method may raise
    ``ConfigurationError`` where a person has to mend something, or ``VendorError``.
    """

    def put_new(self, name: str, data: bytes) -> bool:
        """Store an object unless the name is taken; whether these bytes are there now, put by this call or by one
        whose answer was lost."""

    def get(self, name: str) -> bytes | None:
        """An object's bytes, or ``None``."""

    def listed(self, prefix: str, *, most: int | None = None) -> Listing:
        """The first objects directly under a prefix (itself without a trailing ``/``), all of them if no number is
        given."""

    def folders(self, prefix: str) -> list[str]:
        """The prefixes directly under a prefix, sorted."""

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens if it is absent."""

    def __str__(self) -> str:
        """Where the store is, for messages: as the policy writes it."""


class Notices(Protocol):
    """Where a person is told."""

    def publish(self, text: str) -> None:
        """Tell it; ``NoAnswer`` means that it may have been told."""

    def check(self) -> None:
        """Ask whether the place is there, and tell nothing."""

    def account(self) -> str:
        """The account that the place belongs to."""

    def __str__(self) -> str:
        """Where it is, for messages."""


class Workers(Protocol):
    """Whoever does the work of single shards."""

    def invoke(self, request: str) -> None:
        """Ask for a run of the function ``worker``, which begins now or later, once or more often.

        Raises ``VendorError`` if nobody took the request.
        """


BeforeCall = Callable[[], None]
"""Asked before every call, tries again included; what it raises ends the work that wanted to make the call."""


def at_once() -> None:
    """Nothing stands against a call."""


class ReadObject(Protocol):
    """Reads a file of a trail, or of whatever others put into a bucket for us."""

    def __call__(self, bucket: str, name: str, *, region: str | None, most: int) -> bytes | None:
        """Its bytes, or ``None`` if it is not there; ``TooLarge`` if there are more than ``most``.

        ``region`` is where the bucket is looked for first, if anybody knows.
        """


class Cloud(Protocol):
    """Everything that is reached with one set of credentials."""

    def caller(self) -> str:
        """The account and principal whose credentials these are, for a person to read."""

    def account(self) -> str:
        """The account whose credentials these are."""

    def directory(self) -> Directory:
        """The organization, through its reader role if the policy names one."""

    def images(self, shard: Shard, *, before_write: BeforeCall = at_once) -> ImageService:
        """The images of one shard, through the owner's role if the policy names one."""

    def ecs_images(self, shard: Shard, *, before_write: BeforeCall = at_once) -> PagedImages:
        """The same of a shard of ECS."""

    def desktop_images(self, owner: str, *, before_write: BeforeCall = at_once) -> RegionalImages:
        """The same of an owner's Elastic Desktop Service."""

    def shares(self, shard: Shard, *, before_write: BeforeCall = at_once) -> ShareService:
        """The resource shares of one shard, through the owner's role if the policy names one."""

    def role(self, owner: str, *, before_write: BeforeCall = at_once) -> RoleService:
        """The sharing role of an owner, through the owner's role if the policy names one."""

    def read_object(self, bucket: str, name: str, *, region: str | None, most: int) -> bytes | None:
        """A file of a trail that was put into a bucket: a ``ReadObject``."""

    def regions(self, owner: str) -> tuple[str, ...]:
        """The regions that the owner's account has."""

    def desktop_regions(self, owner: str) -> tuple[str, ...]:
        """Of the owner's regions those that have Elastic Desktop Service."""

    def lacking(self) -> tuple[str, ...]:
        """The permissions that calls were refused for so far, in order: who has to be allowed what. Some readings go on
        without an answer, so that nothing else may tell of it."""

    def calls(self) -> Mapping[str, int]:
        """How often each operation was called so far, ``ecs:DescribeImages`` and the like."""
