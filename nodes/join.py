"""The input of `SinkNode.join`, and the endings of the files beside an output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["FRAMES", "PARQUET", "SHEET", "SHOTS", "TRACKS", "SegmentPart"]

SHEET: Final = ".faces.png"
"""Ending of the contact sheet, to which `VideoReport.sheet` refers."""
SHOTS: Final = ".faces"
"""Ending of the folder with a sheet for each face."""
TRACKS: Final = ".tracks.jsonl"
"""Ending of the file with a row for each face in each frame."""
FRAMES: Final = ".frames.jsonl"
"""Ending of the file with the digests and changes of each frame."""
PARQUET: Final = ".tracks.parquet"
"""Ending of the same rows as Parquet."""


@dataclass(frozen=True, slots=True)
class SegmentPart:
    """The result of one sink for one segment."""

    folder: Path
    """Folder with the files that the sink wrote."""
    frames: int
    """Number of frames in the segment."""
    track_numbers: Mapping[int, int]
    """Maps the segment's track numbers to those of the video; empty if no node before the sink
    numbers faces."""
    report: Mapping[str, Any]
    """The result of the sink's `report`."""
