"""Who holds a lock: what a run writes into its lock file, and what others are told of it."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import sys
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from upath import UPath

from pipeline.errors import OutputError
from pipeline.storage.json_text import json_value
from pipeline.url_secrets import redacted

__all__ = ["Holding", "are_in_conflict", "describe_run", "machine", "parse_holder", "taken"]

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES: Final = Path("/proc/self/ns/pid")


class Holding:
    """A lock that this run has."""

    def check(self) -> None:
        """Make sure that the lock is still this run's.

        Raises:
            OutputError: another run has taken it over.
            StorageError: the object store cannot be used.
        """


def machine() -> str:
    """Return what tells machines apart between which numbers of processes mean nothing.

    Their names do not: copies of an image share one, and containers of one machine have processes
    of their own.
    """
    try:
        return f"{_BOOT.read_text(encoding='ascii').strip()} {_PROCESSES.readlink()}"
    except OSError:  # not Linux
        return f"{socket.gethostname()} {uuid.getnode():x}"


def describe_run(folders: Iterable[UPath], *, single: bool) -> dict[str, Any]:
    """Return what this run writes into its lock.

    Args:
        folders: that it writes to.
        single: whether it writes only the output that its report is named after.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "host": socket.gethostname(),
        "machine": machine(),
        "pid": os.getpid(),
        "user": user,
        "since_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": redacted(shlex.join(sys.argv)),
        "single": single,
        "folders": sorted({str(folder) for folder in folders}),
    }


def parse_holder(content: bytes) -> dict[str, Any]:
    """Return the content of a lock file; empty if another program wrote it."""
    try:
        found = json_value(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def are_in_conflict(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether two runs may write the same output.

    Runs of single outputs do not: each has the lock named after its output.
    """
    if ours["single"] and theirs.get("single"):
        return False
    folders = theirs.get("folders")
    return not isinstance(folders, list) or not {*ours["folders"]}.isdisjoint(map(str, folders))


def taken(file: UPath, holder: Mapping[str, Any], *, lost: bool = False) -> OutputError:
    """Return the error of a run whose lock another one has.

    Args:
        file: the other's lock.
        holder: its content.
        lost: whether this run had it before.
    """
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
