"""Where a video's outputs may be written: below the output folder, by names that can be held."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from upath import UPath

from pipeline.errors import OutputError
from pipeline.job.files import VideoFiles
from pipeline.storage.locations import is_remote
from pipeline.storage.private import folder_below

__all__ = ["check_location", "check_names", "make_folder"]

MOST_NAME_BYTES: Final = 255
"""Of one file's name, on every file system that Linux and macOS write to."""


def check_location(video: VideoFiles) -> None:
    """Make sure that an output's name leads nowhere but below the output folder.

    Raises:
        OutputError: it is absolute, has an empty part or one that leads upwards.
    """
    name = video.name_below
    parts = name.split("/")
    if PurePosixPath(name).is_absolute() or not set(parts).isdisjoint({"", ".", ".."}):
        raise OutputError(
            f"{video.source}: expected a name to write it by below the output folder, without empty"
            " parts and without '..'; rename it"
        )


def check_names(video: VideoFiles, endings: Iterable[str]) -> None:
    """Make sure that a file system can hold every name that belongs to an output.

    Args:
        video: what is to be done.
        endings: of the files that go beside the output, as `nodes.node.SinkNode.endings`.

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
    """Make the folder of an output that lies on a file system.

    Args:
        video: what is to be done.
        root: the job's output folder, which no output may leave through a link.

    Raises:
        OutputError: it cannot be made or written to, or lies elsewhere.
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
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to folder {folder}: {reason}") from error
