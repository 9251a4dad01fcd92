"""The rows of `frames.jsonl` with a frame's digests and changes, and merging those of segments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NotRequired

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from nodes.errors import MediaError
from nodes.join import SegmentPart
from nodes.types import FrameChanges

__all__ = ["ROWS_NAME", "FaceRow", "FrameRow", "merge_rows", "read_rows", "row_text", "rows_schema"]

ROWS_NAME: Final = "frames.jsonl"


class FaceRow(TypedDict):
    """The changes for one face, all of which are inside `region_xyxy_px`."""

    track_id: int
    region_xyxy_px: tuple[int, int, int, int]
    """Region in the output frame, half open."""
    strength: float
    """Strength of the restoration, 0 to 1."""
    area_px: int
    """Number of luma samples that changed."""
    largest: int
    """Largest change of a sample, in levels of the output's bit depth."""
    mean: float
    """Mean absolute change of the luma samples that changed, in levels."""
    consistency_db: float | None
    """PSNR between the source and the restored face reduced to its resolution, dB."""


class FrameRow(TypedDict):
    """One frame."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # pyright: ignore[reportGeneralTypeIssues]
    pts: int
    """Presentation time, in ticks of the source's time base."""
    source: str
    """SHA-256 of the decoded picture."""
    written: str | None
    """SHA-256 of the picture that was encoded, None if it is that of the source."""
    faces: list[FaceRow]
    drawn: NotRequired[list[tuple[int, int, int, int]]]
    """Regions in the output frame, half open, that something was drawn on, such as a tag."""


_ROW: Final = TypeAdapter(FrameRow)


def row_text(source: str, written: str, changes: FrameChanges) -> str:
    """Return a row as a line of JSON."""
    row = FrameRow(
        pts=changes.pts,
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
            for change in changes.faces
        ],
    )
    if changes.drawn:
        row["drawn"] = list(changes.drawn)
    return _line(row)


def merge_rows(parts: Sequence[SegmentPart], target: Path) -> int:
    """Merge the files of segments, with the track numbers of the whole video.

    Returns:
        The number of rows.

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
        OSError: the file cannot be read.
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
