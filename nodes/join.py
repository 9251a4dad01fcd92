"""What a sink gets when the segments of a video become one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["FRAMES", "PARQUET", "SHEET", "SHOTS", "TRACKS", "SegmentPart"]

SHEET: Final = ".faces.png"
"""What the name of the contact sheet ends in; `VideoReport.sheet` names that file."""
SHOTS: Final = ".faces"
"""The folder of each face's own sheet."""
TRACKS: Final = ".tracks.jsonl"
"""The rows of every face in every frame."""
FRAMES: Final = ".frames.jsonl"
"""The digests and changes of every frame."""
PARQUET: Final = ".tracks.parquet"
"""The same rows as Parquet."""


@dataclass(frozen=True, slots=True)
class SegmentPart:
    """What one segment gave to one sink."""

    folder: Path
    """The files that the sink wrote, in a folder of its own."""
    frames: int
    """How many frames the segment has."""
    track_numbers: Mapping[int, int]
    """The video's number of each face track of the segment, whose tracker counts from 1 by itself;
    empty where no node before the sink numbers faces."""
    report: Mapping[str, Any]
    """What the sink's `report` said."""
