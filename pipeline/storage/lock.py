"""Locking an output, so that two runs do not write it at the same time.

On a file system the run holds a lock on a hidden file beside its report, which the system releases
however the run ends; in an object store see `pipeline.storage.lease`.

A run over a folder and a run of a single file in it have different reports, and so different locks.
Each lock names the folders that its run writes to. A run that has taken its own lock looks at the
others that may be in conflict: of two that begin at the same time, both may give way, but at least
one does.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from upath import UPath

from pipeline.errors import OutputError
from pipeline.storage.holder import Holding, are_in_conflict, describe_run, parse_holder, taken
from pipeline.storage.lease import is_stale, leased
from pipeline.storage.locations import names_in, read
from pipeline.storage.private import not_writable, open_lock_file

__all__ = ["Holding", "holding"]

_ENDING: Final = "report.json.lock"
"""Ending of all locks' names; that of a run over a folder is `.report.json.lock`."""


@contextmanager
def holding(report: UPath, folders: Iterable[UPath] | None = None) -> Generator[Holding]:
    """Keep other runs from writing a report, and with it the outputs it tells of.

    Creates the report's folder, and removes it at the end if it is empty.

    Args:
        report: the run's report.
        folders: that a run over folders writes to; None for a run of the single output that the
            report is named after.

    Raises:
        OutputError: another run holds the lock or one in conflict with it, or the folder cannot be
            written to.
        StorageError: the object store cannot be used.
    """
    file = report.with_name(f".{report.name}.lock")
    written = [report.parent] if folders is None else [*folders]
    run = describe_run(written, single=folders is None)
    lock = _locked(file, report, run) if isinstance(file, Path) else leased(file, run)
    with lock as held:
        for other in _other_locks(file, written):
            holder = _conflicting_holder(other, run)
            if holder is not None:
                raise taken(other, holder)
        yield held


def _other_locks(own: UPath, folders: Iterable[UPath]) -> Iterator[UPath]:
    """Yield the locks of runs that may write to folders: those in them, and of folders above."""
    above: set[UPath] = set()
    for folder in {*folders}:
        for name in names_in(folder):
            if name.endswith(_ENDING) and folder / name != own:
                yield folder / name
        above |= {parent / f".{_ENDING}" for parent in folder.parents}
    yield from above - {own}


def _conflicting_holder(file: UPath, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the holder of a lock if its run is alive and in conflict with this one, else None."""
    content = read(file)
    if content is None or not are_in_conflict(run, holder := parse_holder(content)):
        return None
    if isinstance(file, Path):
        return holder if _is_locked(file) else None
    return None if is_stale(file, content) else holder


def _is_locked(file: Path) -> bool:
    with suppress(OSError):
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
    return False


@contextmanager
def _locked(file: Path, report: UPath, run: Mapping[str, Any]) -> Generator[Holding]:
    try:
        made = [folder for folder in file.parents if not folder.exists()]
        if report.exists() and not report.is_file():
            raise OutputError(f"{report}: is not a file, expected the report of a run: remove it")
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(file)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise not_writable(file.parent, error) from error
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(run).encode())
        yield Holding()
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
            raise taken(UPath(file), parse_holder(holder)) from None
        # The previous run may have removed the file between our two calls.
        with suppress(FileNotFoundError):
            if file.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)
