"""Merging the `tracks.jsonl` files of segments, and converting them to Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from nodes.join import SegmentPart

__all__ = ["TRACKS_NAME", "TrackRow", "merge_tracks", "read_tracks", "write_parquet"]

TRACKS_NAME: Final = "tracks.jsonl"

_BLOCK_BYTES: Final = 8_000_000
"""Bytes of rows that are converted at once: some 20 000 rows."""

TrackRow = dict[str, Any]
"""One face in one frame, as JSON types; see docs/tracking.md."""


def merge_tracks(parts: Sequence[SegmentPart], target: Path) -> int:
    """Merge the files of segments, with frame and track numbers of the whole video.

    Returns:
        The number of rows.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: a line is not JSON.
    """
    rows = first = 0
    with target.open("w", encoding="utf-8") as out:
        for part in parts:
            for row in read_tracks(part.folder / TRACKS_NAME):
                row["frame"] += first
                row["track_id"] = part.track_numbers.get(row["track_id"], row["track_id"])
                out.write(json.dumps(row, separators=(",", ":")) + "\n")
                rows += 1
            first += part.frames
    return rows


def read_tracks(path: Path) -> Iterator[TrackRow]:
    """Yield the rows of a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is not JSON.
    """
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write_parquet(tracks: Path, target: Path) -> bool:
    """Write the rows of a JSON Lines file as Parquet, if pyarrow 20 or newer is installed.

    Returns:
        Whether it was written; a file without rows is not converted.

    Raises:
        OSError: a file cannot be read or written.
    """
    if find_spec("pyarrow") is None:
        return False
    import pyarrow as pa
    from pyarrow import json as arrow_json
    from pyarrow import parquet

    first = next(read_tracks(tracks), None)
    if first is None or not hasattr(arrow_json, "open_json"):
        return False
    real, whole, several = pa.float64(), pa.int64(), pa.list_
    types: dict[str, Any] = {
        "frame": whole,
        "pts": whole,
        "time_s": real,
        "track_id": whole,
        "box_xyxy_px": several(real, 4),
        "points_px": several(several(real, 2), 4),
        "gate": pa.string(),
        "patch_px": whole,
    }
    # The reader has no lists of a fixed length.
    read_as = types | {"box_xyxy_px": several(real), "points_px": several(several(real))}
    schema, read_schema = (
        pa.schema([(name, own.get(name, real)) for name in first]) for own in (types, read_as)
    )
    # Read by Arrow itself: from Python's lists it takes many times as long, and imports pandas.
    with (
        arrow_json.open_json(
            tracks,
            arrow_json.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            arrow_json.ParseOptions(read_schema, unexpected_field_behavior="error"),
        ) as rows,
        parquet.ParquetWriter(target, schema) as writer,
    ):
        for batch in rows:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    return True
