"""Choosing the best shots of all segments, and drawing their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from nodes.sheet.page import PagePair, write_page
from nodes.sheet.shots import ShotFile

__all__ = ["BEST", "draw_pages"]

BEST: Final = ""
"""Kind of the shot with the best overall quality."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a shot is."""

    quality: float
    file: ShotFile
    row: int


def draw_pages(
    segments: Sequence[tuple[Path, Mapping[int, int]]],
    sheet: Path,
    folder: Path,
    *,
    max_tracks: int,
    columns: int,
    side_px: int,
    changes: bool = False,
) -> list[Path]:
    """Draw the sheet of all faces, and a page for each face.

    Args:
        segments: the file of each segment's shots, with a mapping of its track numbers to those of
            the video. Files that do not exist are skipped.
        sheet: the file to write, with the best shot of each face.
        folder: folder for the pages of single faces, which are named by track number.
        max_tracks: most faces on the sheet; those with the best shots are kept.
        columns: most pairs per row of the sheet.
        side_px: side of each picture.
        changes: see `write_page`.

    Returns:
        The pages of single faces; without a face nothing is written.

    Raises:
        OSError: a file cannot be read or written.
    """
    best = _best(segments)
    ranked = sorted(best, key=lambda number: -best[number][BEST].quality)
    shown = set(ranked[:max_tracks])
    pairs: list[PagePair] = []
    pages: list[Path] = []
    if best:
        folder.mkdir(parents=True, exist_ok=True)
    for number, by_kind in sorted(best.items()):
        drawn: dict[tuple[int, int], PagePair] = {}
        kinds: dict[tuple[int, int], list[str]] = {}
        for kind, place in by_kind.items():
            key = id(place.file), place.row
            if kind == BEST and number not in shown:
                continue
            if key not in drawn:
                drawn[key] = _drawn(number, place, side_px)
            if kind == BEST:
                pairs.append(drawn[key])
            else:
                kinds.setdefault(key, []).append(kind)
        named = [drawn[key].named(", ".join(of_shot)) for key, of_shot in kinds.items()]
        pages.append(folder / f"{number:04d}.png")
        write_page(named, pages[-1], columns=len(named), changes=changes)
    if pairs:
        write_page(pairs, sheet, columns=columns, changes=changes)
    return pages


def _best(segments: Sequence[tuple[Path, Mapping[int, int]]]) -> dict[int, dict[str, _Place]]:
    """Return the best shot of each face and kind."""
    best: dict[int, dict[str, _Place]] = {}
    for path, numbers in segments:
        if not path.exists():
            continue
        file = ShotFile(path)
        for row, record in enumerate(file.records):
            kept = best.setdefault(numbers.get(record.track_id, record.track_id), {})
            for kind, quality in record.qualities.items():
                if kind not in kept or quality > kept[kind].quality:
                    kept[kind] = _Place(quality, file, row)
    return best


def _drawn(number: int, place: _Place, side_px: int) -> PagePair:
    shot = place.file.read(place.row)
    before, after = (Image.fromarray(cut.drawn(side_px)) for cut in (shot.before, shot.after))
    return PagePair(
        track_id=number,
        time_s=shot.time_s,
        eye_distance_px=shot.eye_distance_px,
        before=before,
        after=after,
        generative=shot.generative,
    )
