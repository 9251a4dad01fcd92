"""Local copies of what lies in object stores, on this machine's own disk, in bounded space.

All processes of a machine share one folder. It holds entries, each a folder: copies, which stay for
the next who wants them until their space is needed, and rooms, where something is being made. Who
uses an entry holds a lock on it that the system lets go of when its process dies, whatever kills
it; what nobody holds may be thrown away. Who finds no space waits until another lets go of some.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from upath import UPath

from pipeline.errors import StorageError
from pipeline.storage.locations import fetch, size_of, version_of
from pipeline.storage.private import private_folder

__all__ = ["Scratch", "scratch_of"]

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
PATIENCE_S: Final = 1800.0
"""How long to wait for space that others hold."""

_LOCK: Final = ".lock"
_CLAIM: Final = ".claim"
_PART: Final = ".part"


class Scratch:
    """A folder of bounded size, shared by the processes of a machine."""

    def __init__(self, folder: Path, cap_bytes: int) -> None:
        """Use a folder, which is made when it is needed.

        Args:
            folder: on this machine's own disk.
            cap_bytes: how much may lie in it.
        """
        self.folder = folder
        self.cap_bytes = cap_bytes
        self._mine: dict[int, tuple[Path, int]] = {}

    @contextmanager
    def copy_of(self, source: UPath) -> Generator[Path]:
        """Copy a file here, or take the copy that is here already, and keep it for a while.

        Raises:
            StorageError: there is no such file, the object store does not answer, or there is not
                enough space.
        """
        need = size_of(source)
        if need is None:
            raise StorageError(f"{source}: no such file; check the name")
        key = sha256(f"{source} {version_of(source)}".encode()).hexdigest()[:32]
        entry = self.folder / key
        file = entry / source.name
        with self._locked(entry, need, str(source), file) as lock:
            if not file.exists():
                self._fill(source, entry / _PART)
                (entry / _PART).rename(file)
                with self._admission():
                    fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(entry)
            yield file

    @contextmanager
    def workspace(self, need_bytes: int, what: str) -> Generator[Path]:
        """Make an empty folder with room for so many bytes; it is gone afterwards.

        Args:
            need_bytes: how much is going to lie in it, as far as that is known.
            what: it is for, to say when there is not enough space.

        Raises:
            StorageError: there is not enough space.
        """
        entry = self.folder / f"workspace-{uuid.uuid4().hex}"
        with self._locked(entry, need_bytes, what):
            try:
                yield entry
            finally:
                shutil.rmtree(entry, ignore_errors=True)

    @contextmanager
    def _locked(
        self, entry: Path, need: int, what: str, copy: Path | None = None
    ) -> Generator[int]:
        """Claim space for an entry and hold its lock: shared if `copy` is in it already."""
        if need + self._own_bytes(entry) > self.cap_bytes:
            raise self._too_small(what, need)
        until = time.monotonic() + PATIENCE_S
        waited = False
        while (lock := self._admit(entry, need, copy)) is None:
            if time.monotonic() > until:
                raise self._too_small(what, need, f" and others held it for {PATIENCE_S:.0f} s")
            if not waited:
                log.warning("%s waits for space in %s", what, self.folder)
                waited = True
            time.sleep(POLL_S)
        self._mine[lock] = (entry, need)
        try:
            yield lock
        finally:
            del self._mine[lock]
            os.close(lock)

    def _admit(self, entry: Path, need: int, copy: Path | None) -> int | None:
        """Return the lock on an entry that may be used or filled, None if that has to wait."""
        with self._admission():
            if copy is not None and copy.exists():
                return _try_lock(entry, fcntl.LOCK_SH)
            if (entry / _LOCK).exists():
                lock = _try_lock(entry, fcntl.LOCK_EX)
                if lock is None:
                    return None
                os.close(lock)
                shutil.rmtree(entry)
            if not self._make_space(need):
                return None
            entry.mkdir()
            (entry / _CLAIM).write_text(str(need), encoding="ascii")
            return _try_lock(entry, fcntl.LOCK_EX)

    def _own_bytes(self, beside: Path | None = None) -> int:
        """Return what this process holds, which waiting will not free."""
        own = dict(self._mine.values())
        return sum(size for entry, size in own.items() if entry != beside)

    def _make_space(self, need: int) -> bool:
        """Throw copies away that nobody uses, the oldest first, until there is enough space."""
        entries = sorted(
            (path for path in self.folder.iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime,
        )
        used = {entry: _bytes_of(entry) for entry in entries}
        for entry in entries:
            if sum(used.values()) + need <= self.cap_bytes:
                return True
            lock = _try_lock(entry, fcntl.LOCK_EX)
            if lock is not None:
                shutil.rmtree(entry)
                os.close(lock)
                del used[entry]
        # A room of unknown need is let in: what is made in it is asked for by somebody who waits.
        return not need or sum(used.values()) + need <= self.cap_bytes

    def _fill(self, source: UPath, part: Path) -> None:
        try:
            fetch(source, part)
        except OSError as error:
            part.unlink(missing_ok=True)
            if isinstance(error, StorageError) and not _is_full(error.__cause__):
                raise
            raise StorageError(
                f"{source}: cannot be copied to {self.folder} ({error}); set run.scratch_dir to a"
                " folder with enough space"
            ) from error

    @contextmanager
    def _admission(self) -> Generator[None]:
        """Let one process at a time look at what there is and change it; never held for long."""
        try:
            private_folder(self.folder)
            handle = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(
                f"{self.folder}: no scratch folder can be made there ({error.strerror}); set"
                " run.scratch_dir"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _too_small(self, what: str, need: int, why: str = "") -> StorageError:
        beside = self._own_bytes()
        return StorageError(
            f"{what}: needs {need:,} bytes of scratch space"
            + (f" beside {beside:,} in use" if beside else "")
            + f", and {self.folder} may hold {self.cap_bytes:,}{why}; raise run.scratch_bytes"
        )


def scratch_of(folder: Path | None, cap_bytes: int) -> Scratch:
    """Return this machine's scratch folder, one object a process.

    Args:
        folder: on this machine's own disk, None for its temporary folder; a private folder in it is
            used, which no other user can enter.
        cap_bytes: how much may lie in it.
    """
    shared = folder or Path(tempfile.gettempdir())
    return _scratch(shared / f"aminet-scratch-{os.geteuid()}", cap_bytes)


_scratch = cache(Scratch)


def _try_lock(entry: Path, kind: int) -> int | None:
    """Return an open lock on an entry, None if another holds it otherwise."""
    handle = os.open(entry / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _bytes_of(entry: Path) -> int:
    """Return what an entry takes: what it claimed, or what lies in it if that is more."""
    try:
        claim = int((entry / _CLAIM).read_text(encoding="ascii"))
    except (OSError, ValueError):
        claim = 0
    return max(claim, sum(_sizes(entry)))


def _sizes(entry: Path) -> Iterator[int]:
    for file in entry.rglob("*"):
        try:
            yield file.lstat().st_size
        except OSError:
            continue  # it was removed meanwhile


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC
