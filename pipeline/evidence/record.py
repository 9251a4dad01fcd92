"""What `report.json` says of one video so that its making can be checked, and repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodes.join import FRAMES
from nodes.media.picture_files import files_of
from nodes.media.urls import is_url
from pipeline.evidence.tracks import TrackRecord, track_records
from pipeline.storage.digests import file_sha256

__all__ = ["Evidence", "Work", "evidence_of"]


@dataclass(frozen=True, slots=True)
class Work:
    """What was run, so that it can be run again."""

    command: tuple[str, ...]
    """The words of the command, empty when it was a call from Python."""
    versions: dict[str, str]
    """Of this program and of the libraries that touch pixels, where the run was started."""
    weights: dict[str, str]
    """Node -> SHA-256 of the files that it loads."""
    graph: dict[str, Any]
    """Every node with every setting."""
    segments: tuple[tuple[int | None, int | None, int | None], ...]
    """For each segment, in ticks: its first pts, the first pts after it, and the pts from which
    nodes are warmed up; None is the video's own start or end."""
    threads: int
    """Of each segment's decoder and encoder."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Digests of all that went in and came out, and what was altered."""

    source_sha256: dict[str, str]
    """Of the input: the name of each file -> SHA-256; nothing of what came from the network."""
    beside_sha256: dict[str, str]
    """Of the files beside the output, by what their names end in."""
    work: Work
    tracks: tuple[TrackRecord, ...]
    """For each face that was followed, what was altered of it."""


def evidence_of(source: str, sides: Mapping[str, Path], work: Work, time_base: float) -> Evidence:
    """Put the evidence of a finished video together.

    Args:
        source: its local copy, or a URL.
        sides: the files beside the output, by what their names end in.
        work: what was run.
        time_base: seconds a tick of the rows' pts.

    Raises:
        OSError: a file cannot be read.
    """
    return Evidence(
        source_sha256=source_sha256(source),
        beside_sha256={ending: file_sha256(file) for ending, file in sides.items()},
        work=work,
        tracks=track_records(sides[FRAMES], time_base) if FRAMES in sides else (),
    )


def source_sha256(source: str) -> dict[str, str]:
    """Return the digest of each file of a source; nothing of a URL.

    Raises:
        OSError: a file cannot be read.
    """
    files: Sequence[Path] = () if is_url(source) else files_of(source)
    return {file.name: file_sha256(file) for file in files}
