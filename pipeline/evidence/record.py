"""The part of `report.json` with which a result can be verified and reproduced."""

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
    """What was run, to reproduce it."""

    command: tuple[str, ...]
    """The command line, empty for a call from Python."""
    versions: dict[str, str]
    """Versions of this program and of the libraries that process pixels, where the run started."""
    weights: dict[str, str]
    """SHA-256 of the files that each node loads, by node."""
    graph: dict[str, Any]
    """All nodes with all settings."""
    segments: tuple[tuple[int | None, int | None, int | None], ...]
    """First pts, first pts after the end, and first pts of the warm-up of each segment, in ticks;
    None is the start or end of the video."""
    threads: int
    """CPU threads of each segment's decoder and encoder."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Digests of inputs and outputs, and the changes."""

    source_sha256: dict[str, str]
    """SHA-256 of the input files, by name; empty for network sources."""
    beside_sha256: dict[str, str]
    """SHA-256 of the files beside the output, by ending."""
    work: Work
    tracks: tuple[TrackRecord, ...]
    """The changes of each track."""


def evidence_of(source: str, sides: Mapping[str, Path], work: Work, time_base: float) -> Evidence:
    """Make the record of a finished video.

    Args:
        source: its local copy, or a URL.
        sides: the files beside the output, by ending.
        work: what was run.
        time_base: time base of the rows' pts, s.

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
    """Return the digest of each file of a source; empty for a URL.

    Raises:
        OSError: a file cannot be read.
    """
    files: Sequence[Path] = () if is_url(source) else files_of(source)
    return {file.name: file_sha256(file) for file in files}
