"""Locks in object stores, which have none of their own: leases.

The lock file is created only if there is none, and renewed while the run lasts. A lease that is not
renewed while it is watched for a minute, or whose process is gone from this machine, belongs to a
run that was killed, and is taken over. Times of day are not compared, since clocks differ and are
set. A run that only stood still for that long finds another token in the file: it writes and
removes nothing more.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from upath import UPath

from pipeline.errors import OutputError, StorageError
from pipeline.interrupts import interruptible
from pipeline.storage.holder import Holding, machine, parse_holder, taken
from pipeline.storage.locations import create, read, remove, write

__all__ = ["is_stale", "leased"]

log = logging.getLogger(__name__)

RENEW_S: Final = 10.0
STALE_S: Final = 60.0
WATCH_S: Final = 1.0
"""Interval at which a lease that may be stale is read, s."""
SETTLE_S: Final = 1.0
"""Wait after taking over a lock, s, to see whether another run did so at the same time."""


class _Lease(Holding):
    """A lock in an object store."""

    def __init__(self, file: UPath, run: Mapping[str, Any]) -> None:
        self._file = file
        self._run = {**run, "token": uuid.uuid4().hex}

    def is_ours(self) -> bool:
        """Return whether the file has this run's token in it."""
        return parse_holder(read(self._file) or b"").get("token") == self._run["token"]

    def take(self) -> None:
        """Create the file, or take over a stale one.

        Raises:
            OutputError: another run has it.
            StorageError: the object store cannot be used.
        """
        if create(self._file, self._content()):
            return
        content = read(self._file) or b""
        if not is_stale(self._file, content):
            raise taken(self._file, parse_holder(content))
        remove(self._file)
        if not create(self._file, self._content()):
            raise taken(self._file, parse_holder(read(self._file) or b""))
        time.sleep(SETTLE_S)
        if not self.is_ours():
            raise taken(self._file, parse_holder(read(self._file) or b""))

    def check(self) -> None:
        """See `Holding`; a file that is gone is created again."""
        if not self.is_ours() and not create(self._file, self._content()):
            raise taken(self._file, parse_holder(read(self._file) or b""), lost=True)

    def renew(self) -> None:
        """Write that the run goes on.

        Raises:
            OutputError, StorageError: see `check`.
        """
        self.check()
        write(self._file, self._content())

    def release(self) -> None:
        """Remove the file if it is still this run's."""
        with suppress(StorageError):
            if self.is_ours():
                remove(self._file)

    def _content(self) -> bytes:
        return json.dumps({**self._run, "renewed_s": time.monotonic()}).encode()


@contextmanager
def leased(file: UPath, run: Mapping[str, Any]) -> Generator[Holding]:
    """Hold a lock in an object store.

    Args:
        file: the lock.
        run: from `describe_run`.

    Raises:
        OutputError: another run has it.
        StorageError: the object store cannot be used.
    """
    lease, ended = _Lease(file, run), threading.Event()
    lease.take()
    renewer = threading.Thread(target=_renew, args=(lease, ended), daemon=True)
    renewer.start()
    try:
        yield lease
    finally:
        ended.set()
        renewer.join()
        lease.release()


def is_stale(file: UPath, content: bytes) -> bool:
    """Return whether the run that wrote a lock is gone.

    A lock of another machine is watched for up to `STALE_S`.
    """
    holder = parse_holder(content)
    if holder.get("machine") == machine():
        try:
            os.kill(int(holder["pid"]), 0)
            # Another process may have the number now.
            return time.monotonic() - float(holder["renewed_s"]) > STALE_S
        except (ProcessLookupError, OverflowError, KeyError, TypeError, ValueError):
            return True
        except OSError:
            return False
    log.warning("%s: watching for %.0f s whether the run that wrote it is alive", file, STALE_S)
    until_s = time.monotonic() + STALE_S
    while time.monotonic() < until_s:
        with interruptible():
            time.sleep(WATCH_S)
        now = read(file)
        if now != content:
            return now is None
    return True


def _renew(lease: _Lease, ended: threading.Event) -> None:
    while not ended.wait(RENEW_S):
        with suppress(StorageError):  # the run itself will meet what is wrong, and say so
            try:
                lease.renew()
            except OutputError:
                return  # as the run finds out before it publishes anything
