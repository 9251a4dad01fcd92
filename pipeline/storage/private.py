"""Creating files and folders safely where other users can write; links are not followed."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

from pipeline.errors import OutputError, StorageError

__all__ = [
    "create_file",
    "folder_below",
    "is_private",
    "not_writable",
    "open_lock_file",
    "private_folder",
]


def private_folder(folder: Path) -> None:
    """Create a folder that only this user can access, or check that an existing one is private.

    Raises:
        StorageError: the path is a link, not a folder, or belongs to another user.
        OSError: the folder cannot be created.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not is_private(folder):
            raise StorageError(
                f"{folder}: is a link, no folder, or another user's; nothing is written there:"
                " remove it"
            ) from None
    if stat.S_IMODE(folder.lstat().st_mode) != 0o700:
        folder.chmod(0o700)


def is_private(folder: Path) -> bool:
    """Return whether a path is a folder, not a link, and belongs to this user."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def folder_below(folder: Path, root: Path) -> None:
    """Create an output folder, and check that it is inside another one after resolving links.

    Raises:
        OutputError: it is not.
        OSError: it cannot be created.
    """
    if not folder.resolve().is_relative_to(root.resolve()):
        raise OutputError(
            f"{folder}: leads to {folder.resolve()}, out of the output folder {root}; remove the"
            " link, or choose another output"
        )
    folder.mkdir(parents=True, exist_ok=True)


def create_file(beside: Path) -> Path:
    """Create an empty file with a new name, to be renamed to `beside` when it is complete.

    Raises:
        OSError: it cannot be created.
    """
    part = beside.with_name(f".{beside.name}.{uuid.uuid4().hex[:8]}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
    return part


def open_lock_file(file: Path) -> int:
    """Open or create a lock file; return its descriptor.

    Raises:
        OutputError: the path is not a regular, empty file of this kind.
        OSError: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(file, flags, 0o666)
    except OSError as error:
        if file.is_symlink():
            raise OutputError(f"{file}: is a link, expected a lock file: remove it") from error
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        raise OutputError(f"{file}: is not a lock file, which has one name only: remove it")
    return handle


def not_writable(folder: Path, error: OSError) -> OutputError:
    """Return the error to raise where an output's folder cannot be made or written to."""
    in_the_way = isinstance(error, (FileExistsError, NotADirectoryError))
    reason = "a file is in the way" if in_the_way else error.strerror or str(error)
    return OutputError(f"cannot write to folder {folder}: {reason}")
