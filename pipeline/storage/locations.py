"""Operations on files in file systems and object stores.

A location is a `UPath`. One on a file system is also a `pathlib.Path`; one in an object store is
not, so that the type checker finds code that needs a local file. Object stores have no rename and
no locks: a file appears when it is complete, and a set of files is complete when its last file, the
manifest, exists.
"""

from __future__ import annotations

import os
import re
import reprlib
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final, TypeGuard, cast

from upath import UPath
from upath.registry import available_implementations

from aminet.errors import first_line
from aminet.files import read_regular
from pipeline.errors import StorageError
from pipeline.storage.private import create_file

__all__ = [
    "MOST_NAME_BYTES",
    "absolute",
    "create",
    "fetch",
    "is_folder",
    "is_remote",
    "list_files",
    "location_of",
    "name_of",
    "names_in",
    "publish",
    "read",
    "remove",
    "size_of",
    "stored_at",
    "sync",
    "version_of",
    "write",
]

MOST_NAME_BYTES: Final = 255
"""Longest name of a file on common file systems of Linux and macOS, bytes."""
MOST_PATH_BYTES: Final = 4095
"""Longest path on Linux, bytes."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOCAL: Final = frozenset({"file", "local"})
_STORES: Final = frozenset(available_implementations()) - frozenset(
    """data file ftp github http https local simplecache tar zip""".split()  # noqa: SIM905
)
"""Schemes of fsspec, except those that libav reads itself and those that are not storage. Each
needs its own package; this one has an extra for `s3`.
"""

_INSTALL: Final = {
    "s3": "'aminet-video[s3]'",
    "s3a": "'aminet-video[s3]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
}


def location_of(path: str | os.PathLike[str] | UPath) -> UPath:
    """Return a path or a URL as a location.

    Raises:
        StorageError: the scheme of the URL is not supported, or nothing follows it.
    """
    if isinstance(path, UPath):
        return path
    text = _text_of(path)
    found = _SCHEME.match(text)
    if found is None:
        return UPath(Path(text))
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme in _LOCAL:
        return UPath(Path(rest))
    if scheme not in _STORES:
        known = ", ".join(f"{scheme}://" for scheme in sorted(_STORES))
        raise StorageError(f"{text}: expected a path, or a URL that begins with one of {known}")
    # Listings must not be cached, because other machines write meanwhile.
    location = UPath(f"{scheme}://{rest.rstrip('/')}", use_listings_cache=False)
    if not rest.strip("/") or not (location.drive or location.name):
        raise StorageError(
            f"{text}: names no bucket; expected one, such as {scheme}://bucket/folder"
        )
    return location


def absolute(path: str | os.PathLike[str]) -> str:
    """Return an absolute path, or a URL with its scheme in lower case.

    Links and `..` are not resolved.

    Raises:
        StorageError: no file can have this name, or it is no text.
    """
    text = _text_of(path)
    if not text:
        raise StorageError("a name is empty: expected a path or a URL, such as . for this folder")
    if "\0" in text:
        raise StorageError(f"{text!r}: a name with a zero byte; expected a path or a URL")
    if (url := _SCHEME.match(text)) is not None:
        return url[0].lower() + text[url.end() :]
    found = Path(text).absolute()
    if len(os.fsencode(found)) > MOST_PATH_BYTES or any(
        len(os.fsencode(part)) > MOST_NAME_BYTES for part in found.parts
    ):
        raise StorageError(
            f"{text}: the name is too long; expected at most {MOST_NAME_BYTES} bytes in each part,"
            f" and {MOST_PATH_BYTES} in all"
        )
    return str(found)


def _text_of(path: object) -> str:
    """Return a path as text.

    Raises:
        StorageError: it is bytes, an open file, or anything else.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str):
        raise StorageError(
            f"{reprlib.repr(path)}: expected a path or a URL, as text or pathlib.Path; got a"
            f" {type(path).__name__}"
        )
    return text


def stored_at(source: str) -> UPath | None:
    """Return the location of a source given by a URL; None for a path and for a libav URL."""
    found = _SCHEME.match(source)
    if found is None or found[1].lower() not in _STORES | _LOCAL:
        return None
    return location_of(source)


def is_remote(location: UPath) -> bool:
    """Return whether a location is in an object store."""
    return not _is_local(location)


def name_of(location: UPath) -> PurePath:
    """Return a location as a path, to read its name and suffix only."""
    return location if _is_local(location) else PurePosixPath(location.name)


def size_of(location: UPath) -> int | None:
    """Return a file's size in bytes, None if there is no such file.

    Raises:
        StorageError: the object store does not answer; also raised by the functions below.
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
    """Return a text that changes if a file in an object store changes."""
    with _explained(location):
        return location.fs.ukey(location.path)


def is_folder(location: UPath) -> bool:
    """Return whether a location is a folder; in an object store, whether it contains files."""
    if _is_local(location):
        return location.is_dir()
    with _explained(location):
        return location.fs.isdir(location.path)


def list_files(folder: UPath) -> dict[str, int]:
    """Return the sizes of all files below a folder in bytes, by relative name.

    Sorted by folder, then by name. Empty if the folder does not exist.
    """
    if _is_local(folder):
        below = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
        # Without pipes and devices, which may block.
        found = {str(f.relative_to(folder)): f.stat().st_size for f in below if f.is_file()}
    else:
        with _explained(folder):
            files = cast("dict[str, Any]", folder.fs.find(folder.path, detail=True))
            start = len(folder.path.rstrip("/")) + 1
            found = {path[start:]: int(info["size"]) for path, info in files.items()}
    return dict(sorted(found.items(), key=lambda f: (PurePosixPath(f[0]).parent.parts, f[0])))


def names_in(folder: UPath) -> list[str]:
    """Return the names of the files and folders directly in a folder; empty if it does not exist.

    Raises:
        OSError: the folder cannot be read.
    """
    with _explained(folder):
        try:
            if _is_local(folder):
                return os.listdir(folder)  # noqa: PTH208 - names, not paths
            return [PurePosixPath(path).name for path in folder.fs.ls(folder.path, detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []


def read(location: UPath) -> bytes | None:
    """Return the content of a small file, None if there is no such file."""
    with _explained(location):
        try:
            return read_regular(location) if _is_local(location) else location.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None


def write(location: UPath, content: bytes) -> None:
    """Write a small file atomically.

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
    """Create a small file in an object store; return False if it exists already."""
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
    """Move a finished local file to its location, atomically.

    Args:
        local: the file; on the same file system as a local `location`.
        location: where to move it; an existing file is replaced.

    Raises:
        OSError: the file cannot be read, or the location cannot be written.
    """
    if _is_local(location):
        sync(local)
        local.replace(location)
        return
    with _explained(location):
        location.fs.put_file(str(local), location.path)
    local.unlink()


def remove(location: UPath) -> None:
    """Remove a file, or a folder with all its files, if it exists."""
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
    """Flush a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_local(location: UPath) -> TypeGuard[Path]:
    return isinstance(location, Path)


@contextmanager
def _explained(location: UPath) -> Generator[None]:
    """Convert errors of an object store's library to `StorageError` with a one-line message.

    These libraries raise errors of many types. Errors of file systems are not changed.
    """
    try:
        yield
    except Exception as error:
        if _is_local(location):
            raise
        raise StorageError(f"{location}: {_reason(location, error)}") from error


def _reason(location: UPath, error: Exception) -> str:
    scheme = location.protocol
    kind, text = type(error).__name__, first_line(error)
    if isinstance(error, ImportError):
        known = _INSTALL.get(scheme)
        return f"{scheme}:// needs another package: {f'pip install {known}' if known else text}"
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
