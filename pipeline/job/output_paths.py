"""Checking the paths of outputs: inside the output folder, with valid names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from upath import UPath

from pipeline.errors import OutputError
from pipeline.job.files import VideoFiles
from pipeline.storage.locations import MOST_NAME_BYTES, is_remote
from pipeline.storage.private import folder_below

__all__ = ["check_location", "check_names", "make_folder"]


def check_location(video: VideoFiles) -> None:
    """Check that an output is inside the output folder.

    Raises:
        OutputError: its name is absolute, or has a part that is empty, `.` or `..`.
    """
    name = video.name_below
    parts = name.split("/")
    if PurePosixPath(name).is_absolute() or not set(parts).isdisjoint({"", ".", ".."}):
        raise OutputError(
            f"{video.source}: expected a name to write it by below the output folder, without empty"
            " parts and without '..'; rename it"
        )


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
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to folder {folder}: {reason}") from error
