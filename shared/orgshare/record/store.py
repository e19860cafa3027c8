"""An object store in a directory of this machine: objects are put once, never changed, and a put does not overwrite.

A put is complete or absent: the bytes are written aside, flushed, and linked to their name, and linking fails if the
name is taken. The time of a put is this machine's, given by the caller's clock, so that the age of an object and the
time of a listing are of one clock.

What can go wrong: a directory on a file system without hard links, one that several machines write to, or one that
somebody else cleans up. The first is an error at the first put; for the second there is object storage; the third is
an absent object, which its reader reports.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from orgshare.errors import ConfigurationError, OrgshareError
from orgshare.ports import Listing, ObjectStore, StoredObject


def try_store(store: ObjectStore, probe: str) -> None:
    """Try whether a put really never overwrites. The object ``probe`` is put, and deleted again.

    Raises ``ConfigurationError`` with the remedy if a put does, or if the store does not let us list, put, read or
    delete.
    """
    store.listed("", most=1)
    try:
        held = store.put_new(probe, b"first") and not store.put_new(probe, b"second")
    except OrgshareError:
        with suppress(OrgshareError):
            store.delete(probe)
        raise
    try:
        store.delete(probe)
    except ConfigurationError as error:
        left = f"{error.what}; what was put for this try is left there: {probe}"
        raise ConfigurationError(left, remedy=error.remedy) from error
    if not held:
        raise ConfigurationError(
            f"state {store}: it let an object be overwritten although told not to",
            remedy="name a place of its own, in object storage a bucket without versioning and without rules that "
            "rewrite objects",
        )


def _flush(folder: Path) -> None:
    """Let the names in a folder outlive a power failure; a system that cannot open folders has to do so by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class DirectoryStore:
    """``ports.ObjectStore`` in a directory. The directory is made by the first put."""

    def __init__(self, root: Path, now: Callable[[], datetime]) -> None:
        self._root = root
        self._now = now

    def __str__(self) -> str:
        return f"file:{self._root}"

    def put_new(self, name: str, data: bytes) -> bool:
        """Store an object unless the name is taken."""
        target = self._root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(prefix=".put-", dir=target.parent)
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot write there: {error.strerror}") from error
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            put_at = self._now().timestamp()
            os.utime(aside, (put_at, put_at))
            os.link(aside, target)
            _flush(target.parent)
        except FileExistsError:
            return False
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot write {name}: {error.strerror}") from error
        finally:
            Path(aside).unlink()
        return True

    def get(self, name: str) -> bytes | None:
        """An object's bytes."""
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot read {name}: {error.strerror}") from error

    def listed(self, prefix: str, *, most: int | None = None) -> Listing:
        """The objects directly under a prefix; one that is deleted meanwhile is left out."""
        names = sorted(e.name for e in self._entries(prefix) if e.is_file() and e.name[0] != ".")
        objects: list[StoredObject] = []
        for name in names:
            if len(objects) == most:
                break
            try:
                put_at = (self._root / prefix / name).stat().st_mtime
            except FileNotFoundError:
                continue
            objects.append(StoredObject(f"{prefix}/{name}", datetime.fromtimestamp(put_at, timezone.utc)))
        return Listing(tuple(objects), self._now())

    def folders(self, prefix: str) -> list[str]:
        """The folders directly under a prefix."""
        return sorted(f"{prefix}/{e.name}" for e in self._entries(prefix) if e.is_dir())

    def delete(self, name: str) -> None:
        """Remove an object."""
        (self._root / name).unlink(missing_ok=True)

    def _entries(self, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._root / prefix) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot list {prefix}: {error.strerror}") from error
