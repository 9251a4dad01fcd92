"""What was altered of each face, over all frames of a video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodes.evidence.rows import FaceRow, read_rows

__all__ = ["TrackRecord", "track_records"]


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What was altered of one face; levels are code values of the output's bit depth."""

    track_id: int
    frames: int
    """In which it was altered."""
    first_s: float
    """Presentation time of the first of them."""
    last_s: float
    """Presentation time of the last of them."""
    within_xyxy_px: tuple[int, int, int, int]
    """The part of the output's frame in which all changes lie, half open."""
    area_px: int
    """Luma samples altered in a frame, on average."""
    strength: float
    """Share of the restoration that was applied, 0 to 1, on average."""
    largest: int
    """The greatest change of a sample, in levels."""
    mean: float
    """Mean absolute change of the luma samples that changed, in levels."""
    consistency_db: float | None
    """How well the restored face, reduced to the source's resolution, matches the source: the mean
    over frames of the PSNR, None where nothing was compared."""
    least_consistency_db: float | None
    """That of the frame where it matches least."""


def track_records(rows: Path, time_base: float) -> tuple[TrackRecord, ...]:
    """Sum up the rows of a video, by track.

    Args:
        rows: the file that `nodes.evidence` writes.
        time_base: seconds a tick.

    Raises:
        OSError: it cannot be read.
        MediaError: a line is not a row.
    """
    faces: dict[int, list[tuple[int, FaceRow]]] = defaultdict(list)
    for row in read_rows(rows):
        for face in row["faces"]:
            faces[face["track_id"]].append((row["pts"], face))
    return tuple(_record(number, faces[number], time_base) for number in sorted(faces))


def _record(track_id: int, seen: Sequence[tuple[int, FaceRow]], time_base: float) -> TrackRecord:
    faces = [face for _, face in seen]
    areas = [face["area_px"] for face in faces]
    matches = [face["consistency_db"] for face in faces if face["consistency_db"] is not None]
    lefts, tops, rights, bottoms = zip(*(face["region_xyxy_px"] for face in faces), strict=True)
    total = sum(face["mean"] * face["area_px"] for face in faces)
    return TrackRecord(
        track_id=track_id,
        frames=len(seen),
        first_s=round(seen[0][0] * time_base, 6),
        last_s=round(seen[-1][0] * time_base, 6),
        within_xyxy_px=(min(lefts), min(tops), max(rights), max(bottoms)),
        area_px=round(sum(areas) / len(areas)),
        strength=round(sum(face["strength"] for face in faces) / len(faces), 3),
        largest=max(face["largest"] for face in faces),
        mean=round(total / max(1, sum(areas)), 3),
        consistency_db=round(sum(matches) / len(matches), 2) if matches else None,
        least_consistency_db=min(matches) if matches else None,
    )
