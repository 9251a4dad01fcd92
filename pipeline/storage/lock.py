"""Locking an output, so that two runs do not write it at the same time.

On a file system the run holds a lock on a hidden file beside its report, which the system lets go
of however the run ends. An object store has no locks: there the file itself is the lock, made only
if there is none and renewed while the run lasts; one that was not renewed for a minute, or whose
process is gone from this machine, belongs to a run that was killed, and is taken over. A run that
only stood still for that long finds the other's token in it: it writes and removes nothing more.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shlex
import socket
import sys
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from upath import UPath

from pipeline.errors import OutputError, StorageError
from pipeline.redact import redacted
from pipeline.storage.locations import create, read, remove, write
from pipeline.storage.private import open_lock_file

__all__ = ["Holding", "holding"]

RENEW_S: Final = 10.0
STALE_S: Final = 60.0
SETTLE_S: Final = 1.0
"""Wait after taking over a lock, s, to see whether another run did so at the same time."""


class Holding:
    """A lock that this run has."""

    def check(self) -> None:
        """Make sure that the lock is still this run's.

        Raises:
            OutputError: another run has taken it over.
            StorageError: the object store cannot be used.
        """


@contextmanager
def holding(report: UPath) -> Generator[Holding]:
    """Keep other runs from writing a report, and with it the outputs it tells of.

    Creates the report's folder, and removes it at the end if it is empty.

    Raises:
        OutputError: another run holds the lock, or the folder cannot be written to.
        StorageError: the object store cannot be used.
    """
    file = report.with_name(f".{report.name}.lock")
    if isinstance(file, Path):
        with _locked(file):
            yield Holding()
    else:
        with _leased(file) as lease:
            yield lease


@contextmanager
def _locked(file: Path) -> Generator[None]:
    made = [folder for folder in file.parents if not folder.exists()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(file)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to folder {file.parent}: {reason}") from error
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(_ourselves()).encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(handle)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _lock(file: Path) -> int:
    while True:
        handle = open_lock_file(file)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 1 << 16)
            os.close(handle)
            raise _taken(UPath(file), _parsed(holder)) from None
        # The previous run may have removed the file between our two calls.
        with suppress(FileNotFoundError):
            if file.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)


class _Lease(Holding):
    """A lock in an object store."""

    def __init__(self, file: UPath, token: str) -> None:
        self._file, self._token = file, token

    def is_ours(self) -> bool:
        """Say whether the file has this run's token in it."""
        return _parsed(read(self._file) or b"").get("token") == self._token

    def check(self) -> None:
        """See `Holding`; a file that is gone is made anew."""
        if not self.is_ours() and not create(self._file, _content(self._token)):
            raise _taken(self._file, _parsed(read(self._file) or b""), lost=True)

    def renew(self) -> None:
        """Say that the run goes on.

        Raises:
            OutputError, StorageError: see `check`.
        """
        self.check()
        write(self._file, _content(self._token))

    def release(self) -> None:
        """Remove the file if it is still this run's."""
        with suppress(StorageError):
            if self.is_ours():
                remove(self._file)


@contextmanager
def _leased(file: UPath) -> Generator[_Lease]:
    token = uuid.uuid4().hex
    if not create(file, _content(token)):
        holder = _parsed(read(file) or b"")
        if not _is_stale(holder):
            raise _taken(file, holder)
        remove(file)
        if not create(file, _content(token)):
            raise _taken(file, _parsed(read(file) or b""))
        time.sleep(SETTLE_S)
        holder = _parsed(read(file) or b"")
        if holder.get("token") != token:
            raise _taken(file, holder)
    lease, ended = _Lease(file, token), threading.Event()
    renewer = threading.Thread(target=_renew, args=(lease, ended), daemon=True)
    renewer.start()
    try:
        yield lease
    finally:
        ended.set()
        renewer.join()
        lease.release()


def _renew(lease: _Lease, ended: threading.Event) -> None:
    while not ended.wait(RENEW_S):
        with suppress(StorageError):  # the run itself will meet what is wrong, and say so
            try:
                lease.renew()
            except OutputError:
                return  # as the run finds out before it publishes anything


def _content(token: str) -> bytes:
    return json.dumps({**_ourselves(), "token": token, "renewed_s": time.time()}).encode()


def _is_stale(holder: dict[str, Any]) -> bool:
    if time.time() - float(holder.get("renewed_s", 0)) > STALE_S:
        return True
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _ourselves() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": user,
        "since_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": redacted(shlex.join(sys.argv)),
    }


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _taken(file: UPath, holder: dict[str, Any], *, lost: bool = False) -> OutputError:
    who = (
        "process {pid} of {user} on {host}, since {since_utc} ({command})".format(**holder)
        if holder.keys() >= {"pid", "user", "host", "since_utc", "command"}
        else "its name is not known yet"
    )
    if lost:
        return OutputError(
            f"{file.parent}: this run stood still for so long that another took its place: {who};"
            " nothing more is written by this one"
        )
    return OutputError(
        f"{file.parent}: another run writes there already: {who}; wait until it is done, or end it"
    )
