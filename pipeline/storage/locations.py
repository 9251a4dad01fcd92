"""Where videos come from and go to: local and network file systems, and object stores.

A place is a `UPath`. One on a file system is a `pathlib.Path` too; one in an object store is not,
so that the type checker keeps it from whatever needs a file. The verbs here are all that a job asks
of a place. An object store knows no rename and no lock: a file appears there when it is complete,
and whatever consists of several files is complete when the last of them, its manifest, is there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final, TypeGuard, cast

from upath import UPath
from upath.registry import available_implementations

from pipeline.errors import StorageError
from pipeline.storage.private import create_file

__all__ = [
    "absolute",
    "create",
    "fetch",
    "is_folder",
    "is_remote",
    "list_files",
    "location_of",
    "name_of",
    "publish",
    "read",
    "remove",
    "size_of",
    "stored_at",
    "sync",
    "version_of",
    "write",
]

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://")
_LOCAL: Final = frozenset({"file", "local"})
_STORES: Final = frozenset(available_implementations()) - frozenset(
    """data file ftp github http https local simplecache tar zip""".split()  # noqa: SIM905
)
"""Schemes that fsspec knows, without those that libav reads by itself, read as they come, and those
that are no storage of their own. Each needs its own package; ours has an extra for `s3`.
"""

_INSTALL: Final = {"s3": "'aminet-video[s3]'", "s3a": "'aminet-video[s3]'", "gs": "gcsfs"}


def location_of(path: str | os.PathLike[str] | UPath) -> UPath:
    """Return a path or a URL as a location.

    Raises:
        StorageError: the URL is not of a storage that is known here.
    """
    if isinstance(path, UPath):
        return path
    text = os.fspath(path)
    found = _SCHEME.match(text)
    if found is None:
        return UPath(Path(text))
    if found[1] in _LOCAL:
        return UPath(Path(text[found.end() :]))
    if found[1] not in _STORES:
        known = ", ".join(f"{scheme}://" for scheme in sorted(_STORES))
        raise StorageError(f"{text}: expected a path, or a URL that begins with one of {known}")
    # Other machines write while we look: what a listing said is not to be remembered.
    return UPath(text.rstrip("/"), use_listings_cache=False)


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path that means the same in any working folder; a URL stays as it is.

    Links and `..` stay, too: what they lead to is found where the path is used.
    """
    text = os.fspath(path)
    return text if _SCHEME.match(text) else str(Path(text).absolute())


def stored_at(source: str) -> UPath | None:
    """Return where a source lies in an object store; None for a path and for a libav URL."""
    found = _SCHEME.match(source)
    if found is None or found[1] not in _STORES | _LOCAL:
        return None
    return location_of(source)


def is_remote(location: UPath) -> bool:
    """Say whether a place is in an object store, not on a file system."""
    return not _is_local(location)


def name_of(location: UPath) -> PurePath:
    """Return what a place is called, for those who look at nothing but its name."""
    return location if _is_local(location) else PurePosixPath(location.name)


def size_of(location: UPath) -> int | None:
    """Return a file's bytes, None if there is no such file.

    Raises:
        StorageError: the object store does not answer, as for all that follow.
    """
    if _is_local(location):
        return location.stat().st_size if location.is_file() else None
    with _explained(location):
        try:
            found = location.fs.info(location.path)
        except FileNotFoundError:
            return None
        return int(found["size"]) if found["type"] == "file" else None


def version_of(location: UPath) -> str:
    """Return a text that changes when a file in an object store does."""
    with _explained(location):
        return location.fs.ukey(location.path)


def is_folder(location: UPath) -> bool:
    """Say whether a place is a folder: in an object store, whether anything lies below it."""
    if _is_local(location):
        return location.is_dir()
    with _explained(location):
        return location.fs.isdir(location.path)


def list_files(folder: UPath) -> dict[str, int]:
    """Return every file below a folder, by relative name, with its bytes; none if it is not there.

    Sorted by folder, then by name.
    """
    if _is_local(folder):
        below = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
        # Opening a pipe waits for a writer, and a device may do anything: neither is a file here.
        found = {str(f.relative_to(folder)): f.stat().st_size for f in below if f.is_file()}
    else:
        with _explained(folder):
            files = cast("dict[str, Any]", folder.fs.find(folder.path, detail=True))
            start = len(folder.path.rstrip("/")) + 1
            found = {path[start:]: int(info["size"]) for path, info in files.items()}
    return dict(sorted(found.items(), key=lambda f: (PurePosixPath(f[0]).parent.parts, f[0])))


def read(location: UPath) -> bytes | None:
    """Return a small file's content, None if there is no such file."""
    with _explained(location):
        try:
            return location.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None


def write(location: UPath, content: bytes) -> None:
    """Write a small file: under its name there is the old content or the new, never a part.

    Raises:
        OSError: the file cannot be written.
    """
    if _is_local(location):
        part = create_file(location)
        try:
            part.write_bytes(content)
            publish(part, UPath(location))
        finally:
            part.unlink(missing_ok=True)
        return
    with _explained(location):
        location.fs.pipe_file(location.path, content)


def create(location: UPath, content: bytes) -> bool:
    """Write a small file in an object store unless there is one; return whether there was none."""
    with _explained(location):
        try:
            location.fs.pipe_file(location.path, content, mode="create")
        except FileExistsError:
            return False
        return True


def fetch(location: UPath, local: Path) -> None:
    """Copy a file of an object store to this machine.

    Raises:
        OSError: the local file cannot be written.
    """
    with _explained(location):
        location.fs.get_file(location.path, str(local))


def publish(local: Path, location: UPath) -> None:
    """Give a finished local file its place, all at once; the local one is gone afterwards.

    Args:
        local: the file; on the same file system, unless the place is in an object store.
        location: where it goes; what was there is replaced.

    Raises:
        OSError: the file cannot be read, or its place not be written.
    """
    if _is_local(location):
        sync(local)
        local.replace(location)
        return
    with _explained(location):
        location.fs.put_file(str(local), location.path)
    local.unlink()


def remove(location: UPath) -> None:
    """Remove a file, or a folder with everything in it; if it is not there, nothing happens."""
    if _is_local(location):
        if location.is_dir() and not location.is_symlink():
            shutil.rmtree(location, ignore_errors=True)
        else:
            location.unlink(missing_ok=True)
        return
    with _explained(location):
        try:
            location.fs.rm(location.path, recursive=True)
        except FileNotFoundError:
            return


def sync(path: Path) -> None:
    """Make sure that a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_local(location: UPath) -> TypeGuard[Path]:
    return isinstance(location, Path)


@contextmanager
def _explained(location: UPath) -> Generator[None]:
    """Turn what the storage's own library raises into one line that says what to do.

    Those libraries raise what they like, hence the wide net. A file system's errors stay as they
    are.
    """
    try:
        yield
    except Exception as error:
        if _is_local(location):
            raise
        raise StorageError(f"{location}: {_reason(location, error)}") from error


def _reason(location: UPath, error: Exception) -> str:
    scheme = location.protocol
    kind, text = type(error).__name__, (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, ImportError):
        return f"{scheme}:// needs another package: pip install {_INSTALL.get(scheme, text)}"
    if isinstance(error, PermissionError):
        return f"no permission ({text}); check the credentials and the bucket's policy"
    if "Credential" in kind or "Credential" in text:
        return (
            f"no credentials ({text}); set them as {scheme}:// programs expect them, such as"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile for s3://"
        )
    if isinstance(error, FileNotFoundError):
        return f"no such bucket or file ({text}); check the name"
    return f"the storage cannot be used ({kind}: {text})"
