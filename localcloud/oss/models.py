"""Buckets and objects, kept by moto's S3 backend.

moto is imported with the first bucket, because it takes half a second; none of its mocks is started and no call goes
through boto3. It keeps a list of everything that it ever made and warns when a thing is collected as garbage; here a
cloud is simply dropped, so what moto makes is taken off that list. Times are the cloud's own, not moto's.

An object's versions are kept by moto and cannot be asked for: of a versioned bucket it shows that puts overwrite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from localcloud.oss.errors import ERRORS
from localcloud.world import Bucket


@dataclass(frozen=True, slots=True)
class StoredThing:
    """One object, its time in whole seconds."""

    name: str
    content: bytes
    content_type: str
    etag: str
    put_at: int
    version: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing shows: objects and common prefixes in one order of names, and where it goes on if it does."""

    objects: tuple[tuple[str, int, str, int], ...]
    """(name, time, etag, size)"""
    prefixes: tuple[str, ...]
    after: str


class StorageModel:
    """All buckets, whoever owns them: their names are unique in the whole cloud."""

    def __init__(self, buckets: Mapping[str, Bucket], *, now: float) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._backend: Any = None
        self.adopt_buckets(buckets, now=now)

    def adopt_buckets(self, buckets: Mapping[str, Bucket], *, now: float) -> None:
        """Become these buckets; those that stay keep their objects."""
        for name in [one for one in self._buckets if one not in buckets]:
            del self._backend.buckets[name]
        for name, bucket in buckets.items():
            known = self._buckets.get(name)
            if known is None or (known.owner, known.region) != (bucket.owner, bucket.region):
                self._make(name, bucket, now)
            status = {"enabled": "Enabled", "suspended": "Suspended"}.get(bucket.versioning)
            self._backend.buckets[name].versioning_status = status
        self._buckets = dict(buckets)

    def bucket_named(self, name: str) -> Bucket:
        """A bucket; NoSuchBucket if there is none."""
        bucket = self._buckets.get(name)
        if bucket is None:
            raise ERRORS.error("NoSuchBucket")
        return bucket

    def owner_of(self, name: str) -> str | None:
        """The account whose bucket it is; None if there is no such bucket."""
        bucket = self._buckets.get(name)
        return None if bucket is None else bucket.owner

    def made_at(self, bucket: str) -> float:
        """When the bucket came into being."""
        return float(self._backend.buckets[bucket].creation_date.timestamp())

    def put_thing(
        self, bucket: str, name: str, content: bytes, content_type: str, *, new: bool, now: float
    ) -> StoredThing:
        """Store an object; FileAlreadyExists if it must be new and is not, unless the bucket has or had versioning."""
        if new and self._buckets[bucket].versioning == "none" and self.thing(bucket, name) is not None:
            raise ERRORS.error("FileAlreadyExists")
        key = _off_the_list(self._backend.put_object(bucket, name, content, disable_notification=True))
        key.disposed = True
        key.last_modified = _moment(now)
        key.set_metadata({"Content-Type": content_type})
        return _thing(key)

    def thing(self, bucket: str, name: str) -> StoredThing | None:
        """An object, or None."""
        key = self._backend.get_object(bucket, name)
        return None if key is None else _thing(key)

    def drop_thing(self, bucket: str, name: str) -> None:
        """Remove an object, or hide it where versions are kept; nothing happens if it is absent."""
        if self._buckets[bucket].versioning == "none":
            self._backend.delete_object(bucket, name)
        elif (key := self._backend.get_object(bucket, name)) is not None:
            from moto.s3.models import FakeDeleteMarker

            self._backend.buckets[bucket].keys[name] = _off_the_list(FakeDeleteMarker(key))

    def listed_things(self, bucket: str, prefix: str, delimiter: str, after: str, most: int) -> Listed:
        """The first objects and common prefixes in the order of names whose names come after one."""
        rows, more, _ = self._backend.list_objects_v2(
            self._backend.buckets[bucket], prefix or None, delimiter or None, None, after or None, most
        )
        names = [row if isinstance(row, str) else row.name for row in rows]
        return Listed(
            objects=tuple(
                (row.name, _seconds(row), row.etag.upper(), row.size) for row in rows if not isinstance(row, str)
            ),
            prefixes=tuple(row for row in rows if isinstance(row, str)),
            after=names[-1] if more else "",
        )

    def _make(self, name: str, bucket: Bucket, now: float) -> None:
        from moto.s3.models import FakeBucket, S3Backend, s3_backends

        if self._backend is None:
            self._backend = S3Backend(bucket.region, bucket.owner)
        made = _off_the_list(FakeBucket(name, bucket.owner, bucket.region))
        s3_backends.bucket_accounts.pop(name, None)
        made.creation_date = datetime.fromtimestamp(int(now), timezone.utc)
        self._backend.buckets[name] = made


def _off_the_list(instance: Any) -> Any:
    type(instance).instances_tracked.remove(instance)
    return instance


def _moment(now: float) -> datetime:
    """A time as moto writes it: UTC without saying so."""
    return datetime.fromtimestamp(int(now), timezone.utc).replace(tzinfo=None)


def _seconds(key: Any) -> int:
    return int(key.last_modified.replace(tzinfo=timezone.utc).timestamp())


def _thing(key: Any) -> StoredThing:
    return StoredThing(
        name=key.name,
        content=key.value,
        content_type=key.metadata["Content-Type"],
        etag=key.etag.upper(),
        put_at=_seconds(key),
        version=key.version_id,
    )
