"""An object store in a directory: objects are put once, never changed, and a put does not overwrite.

The interface is small because an object store in the cloud has to offer it too. A put is complete or absent: the bytes
are written aside, flushed, and linked to their name, and linking fails if the name is taken.

What can go wrong: a directory on a file system without hard links, or one that somebody else cleans up. The first is
an error at the first put; the second is an absent object, which its reader reports.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Protocol

from orgshare.errors import ConfigurationError


class ObjectStore(Protocol):
    """Named objects of bytes; names are relative paths with ``/``."""

    def put_new(self, name: str, data: bytes) -> bool:
        """Store an object unless the name is taken; whether it was stored."""

    def get(self, name: str) -> bytes | None:
        """An object's bytes, or ``None``."""

    def names(self, prefix: str) -> list[str]:
        """The names directly under a prefix (itself without a trailing ``/``), sorted."""

    def folders(self, prefix: str) -> list[str]:
        """The prefixes directly under a prefix, sorted."""

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens if it is absent."""

    def __str__(self) -> str:
        """Where the store is, for messages."""


def _flush(folder: Path) -> None:
    """Let the names in a folder outlive a power failure; a system that cannot open folders has to do so by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class DirectoryStore:
    """An object store in a directory of this machine. The directory is made by the first put."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return f"file:{self._root}"

    def put_new(self, name: str, data: bytes) -> bool:  # noqa: D102
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
            os.link(aside, target)
            _flush(target.parent)
        except FileExistsError:
            return False
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot write {name}: {error.strerror}") from error
        finally:
            Path(aside).unlink()
        return True

    def get(self, name: str) -> bytes | None:  # noqa: D102
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot read {name}: {error.strerror}") from error

    def names(self, prefix: str) -> list[str]:  # noqa: D102
        return sorted(f"{prefix}/{e.name}" for e in self._entries(prefix) if e.is_file() and e.name[0] != ".")

    def folders(self, prefix: str) -> list[str]:  # noqa: D102
        return sorted(f"{prefix}/{e.name}" for e in self._entries(prefix) if e.is_dir())

    def delete(self, name: str) -> None:  # noqa: D102
        (self._root / name).unlink(missing_ok=True)

    def _entries(self, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._root / prefix) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ConfigurationError(f"state {self}: cannot list {prefix}: {error.strerror}") from error
