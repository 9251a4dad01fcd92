"""The rows of `frames.jsonl`: a frame's digests and changes; those of segments made one file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from nodes.errors import MediaError
from nodes.join import SegmentPart
from nodes.types import FaceChange

__all__ = ["ROWS_NAME", "FaceRow", "FrameRow", "merge_rows", "read_rows", "row_text", "rows_schema"]

ROWS_NAME: Final = "frames.jsonl"


class FaceRow(TypedDict):
    """What was changed for one face; nothing outside `region_xyxy_px` was."""

    track_id: int
    region_xyxy_px: tuple[int, int, int, int]
    """In the output frame, half open."""
    strength: float
    """How much of the restoration the face got, 0 to 1."""
    area_px: int
    """Luma samples that changed."""
    largest: int
    """The greatest change of a sample, in levels of the output's bit depth."""
    mean: float
    """Mean absolute change of the luma samples that changed, in levels."""
    consistency_db: float | None
    """How well the restored face, reduced to the source's resolution, matches the source."""


class FrameRow(TypedDict):
    """One frame."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # pyright: ignore[reportGeneralTypeIssues]
    pts: int
    """Presentation time, in ticks of the source's time base."""
    source: str
    """SHA-256 of the decoded picture."""
    written: str | None
    """SHA-256 of the picture that was handed to the encoder, None where it is the source's."""
    faces: list[FaceRow]


_ROW: Final = TypeAdapter(FrameRow)


def row_text(pts: int, source: str, written: str, changes: Sequence[FaceChange]) -> str:
    """Return a frame's row as a line of JSON."""
    row = FrameRow(
        pts=pts,
        source=source,
        written=None if written == source else written,
        faces=[
            FaceRow(
                track_id=change.track_id,
                region_xyxy_px=change.region_xyxy_px,
                strength=change.strength,
                area_px=change.area_px,
                largest=change.largest,
                mean=change.mean,
                consistency_db=change.consistency_db,
            )
            for change in changes
        ],
    )
    return _line(row)


def merge_rows(parts: Sequence[SegmentPart], target: Path) -> int:
    """Make one file of the segments' files, with the video's numbers of the tracks.

    Returns:
        How many rows there are.

    Raises:
        OSError: a file cannot be read or written.
        MediaError: a line is not a row.
    """
    rows = 0
    with target.open("w", encoding="utf-8") as out:
        for part in parts:
            for row in read_rows(part.folder / ROWS_NAME):
                for face in row["faces"]:
                    number = face["track_id"]
                    face["track_id"] = part.track_numbers.get(number, number)
                out.write(_line(row))
                rows += 1
    return rows


def read_rows(path: Path) -> Iterator[FrameRow]:
    """Yield the rows of a file.

    Raises:
        OSError: it cannot be read.
        MediaError: a line is not a row.
    """
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _ROW.validate_json(line)
            except (ValidationError, UnicodeError) as error:
                raise MediaError(f"{path}: line {number} is not a frame's row") from error


def rows_schema() -> dict[str, Any]:
    """Return the JSON Schema of a row."""
    return _ROW.json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a line of frames.jsonl of aminet-video",
    }


def _line(row: FrameRow) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"
