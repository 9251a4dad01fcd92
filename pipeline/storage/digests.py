"""Digests of files, and detecting their changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from pipeline.errors import StorageError

__all__ = ["content_of", "file_sha256", "stamp_of", "status_of"]

_Stamp = tuple[int, int, int, int, int]

_STATUS: Final = 4
"""Where in a stamp the time is that no program can set: of the last change of anything."""

_known: Final[dict[_Stamp, str]] = {}
_MOST_KNOWN: Final = 10_000
_lock: Final = Lock()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    It is cached in the process while the file's inode, size and times are the same.

    Raises:
        StorageError: the file changes while it is read.
        OSError: the file cannot be read.
    """
    before = _stamp(path)
    with _lock:
        if before in _known:
            return _known[before]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    after = _stamp(path)
    if after[:_STATUS] != before[:_STATUS]:
        raise StorageError(f"{path}: changed while it was read; wait until it is written")
    with _lock:
        if after != before:
            return digest
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[before] = digest
    return digest


def stamp_of(paths: Iterable[Path]) -> str:
    """Return a text that changes if any of the files is replaced or written to.

    It is the same on all machines with the same file system.

    Raises:
        OSError: a file does not exist.
    """
    # Without the device number, which differs between machines.
    return _digest([_stamp(path)[1:_STATUS] for path in paths])


def status_of(paths: Iterable[Path]) -> str:
    """Return a text that changes with `stamp_of`, however a program sets a file's times.

    It also changes if a file is renamed, linked, or given other permissions.

    Raises:
        OSError: a file does not exist.
    """
    return _digest([_stamp(path)[_STATUS] for path in paths])


def content_of(paths: Iterable[Path]) -> str:
    """Return a digest of the content of all files; see `file_sha256`."""
    return _digest([file_sha256(path) for path in paths])


def _digest(values: list[Any]) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
