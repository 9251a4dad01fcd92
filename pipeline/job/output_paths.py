"""Checking the paths of outputs: inside the output folder, with valid names."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from upath import UPath

from pipeline.errors import OutputError
from pipeline.job.files import VideoFiles
from pipeline.storage.locations import MOST_NAME_BYTES, is_remote, stored_at
from pipeline.storage.private import folder_below, not_writable

__all__ = ["can_be_a_file", "check_location", "check_names", "make_folder"]

_NOT_IN_LISTS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0, in which object stores answer, does not have."""


def check_location(video: VideoFiles) -> None:
    """Check that an output is inside the output folder.

    Raises:
        OutputError: its name is absolute, or has a part that is empty, `.` or `..`; or no file can
            have the name of the object that is read, or no object that of the output.
    """
    name = video.name_below
    parts = name.split("/")
    if PurePosixPath(name).is_absolute() or not set(parts).isdisjoint({"", ".", ".."}):
        raise OutputError(
            f"{video.source}: expected a name to write it by below the output folder, without empty"
            " parts and without '..'; rename it"
        )
    if is_remote(video.target) and _NOT_IN_LISTS.search(name):
        raise OutputError(
            f"{video.source}: expected a name without control characters, which an object store's"
            " lists of names cannot hold; rename it"
        )
    # Objects are copied to a file of their name.
    if stored_at(video.source) is not None and not can_be_a_file(video.source.rpartition("/")[2]):
        raise OutputError(
            f"{video.source}: expected a name that a file can have, of at most {MOST_NAME_BYTES}"
            " bytes in UTF-8 and without a zero byte; rename it"
        )


def can_be_a_file(name: str) -> bool:
    """Return whether a file system can have a file of this name."""
    try:
        return "\0" not in name and len(name.encode()) <= MOST_NAME_BYTES
    except UnicodeEncodeError:
        return False


def check_names(video: VideoFiles, endings: Iterable[str]) -> None:
    """Check that the names of an output and of the files beside it are not too long.

    Args:
        video: the video.
        endings: of the files beside the output, as in `nodes.node.SinkNode.endings`.

    Raises:
        OutputError: a name is too long.
    """
    if is_remote(video.target):
        return
    sides = [video.side(ending.partition("/")[0]) for ending in endings]
    for location in [*video.outputs, video.work_dir, *sides]:
        bytes_long = len(os.fsencode(location.name))
        if bytes_long > MOST_NAME_BYTES:
            raise OutputError(
                f"{video.target}: the name is too long: {bytes_long} bytes with what is added to it"
                f" meanwhile, expected at most {MOST_NAME_BYTES}; rename the input"
            )


def make_folder(video: VideoFiles, root: UPath) -> None:
    """Create the folder of an output on a file system.

    Args:
        video: the video.
        root: the job's output folder; a link must not lead out of it.

    Raises:
        OutputError: the folder cannot be created or written to, or is outside of `root`.
    """
    folder = video.target.parent
    if not (isinstance(folder, Path) and isinstance(root, Path)):
        return
    try:
        folder_below(folder, root)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OutputError:
        raise
    except OSError as error:
        raise not_writable(folder, error) from error
