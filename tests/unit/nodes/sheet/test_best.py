"""Shots of segments: stored, chosen and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nodes.geometry.alignment import compose, scaling, translation
from nodes.sheet.best import BEST, draw_pages
from nodes.sheet.page import read_page
from nodes.sheet.shots import Shot, ShotFile, cutout, write_shots
from nodes.types import RgbImage

SIDE_PX = 64


def picture(width_px: int, height_px: int) -> RgbImage:
    """Return a smooth picture, without symmetry."""
    x, y = np.meshgrid(
        (np.arange(width_px) + 0.5) / width_px, (np.arange(height_px) + 0.5) / height_px
    )
    planes = 120 + 90 * np.sin(7 * x + 2 * y), 250 * x * y, 200 * (1 - x) + 40 * y
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def shot(level: int, time_s: float = 1.0, side_px: int = 20) -> Shot:
    cut = cutout(np.full((side_px, side_px, 3), level, np.uint8), scaling(1 / side_px), SIDE_PX)
    return Shot(time_s, 17.5, cut, cut)


def segment(
    path: Path, shots: Mapping[int, tuple[float, int]], numbers: Mapping[int, int] | None = None
) -> tuple[Path, Mapping[int, int]]:
    """Store one shot of a quality and level for each track."""
    by_kind: dict[int, dict[str, tuple[float, Shot]]] = {
        track: dict.fromkeys((BEST, "largest"), (quality, drawn))
        for track, (quality, level) in shots.items()
        for drawn in (shot(level),)
    }
    write_shots(by_kind, path)
    return path, numbers or {}


def draw(
    tmp_path: Path, *segments: tuple[Path, Mapping[int, int]], max_tracks: int = 9
) -> list[Path]:
    sheet, faces = tmp_path / "sheet.png", tmp_path / "faces"
    return draw_pages(segments, sheet, faces, max_tracks=max_tracks, columns=3, side_px=SIDE_PX)


def levels(page: Path) -> dict[int, int]:
    return {p.track_id: int(np.asarray(p.after)[32, 32, 0]) for p in read_page(page)}


def test_of_one_face_in_two_segments_the_better_shot_stays(tmp_path: Path) -> None:
    first = segment(tmp_path / "a.npz", {1: (0.5, 10), 2: (0.9, 20)})
    second = segment(tmp_path / "b.npz", {1: (0.7, 30), 2: (0.1, 40)}, {1: 1, 2: 3})
    pages = draw(tmp_path, first, second)
    assert levels(tmp_path / "sheet.png") == {1: 30, 2: 20, 3: 40}
    assert [page.name for page in pages] == ["0001.png", "0002.png", "0003.png"]
    assert [levels(page) for page in pages] == [{1: 30}, {2: 20}, {3: 40}]


def test_the_sheet_has_the_best_faces_and_every_face_has_its_page(tmp_path: Path) -> None:
    only = segment(tmp_path / "a.npz", {1: (0.7, 30), 2: (0.9, 20), 3: (0.1, 40)})
    assert len(draw(tmp_path, only, max_tracks=2)) == 3
    assert set(levels(tmp_path / "sheet.png")) == {1, 2}


def test_a_shot_that_is_best_in_several_kinds_is_stored_and_shown_once(tmp_path: Path) -> None:
    one, other = shot(10, 1.0), shot(20, 2.0)
    kinds = {
        BEST: (9.0, one),
        "sharpest": (1.0, one),
        "largest": (2.0, other),
        "frontal": (3.0, one),
    }
    write_shots({4: kinds}, tmp_path / "a.npz")
    assert len(ShotFile(tmp_path / "a.npz").records) == 2
    (page,) = draw(tmp_path, (tmp_path / "a.npz", {}))
    shown = {pair.kind: pair.time_s for pair in read_page(page)}
    assert shown == {"sharpest, frontal": 1.0, "largest": 2.0}


def test_segments_without_faces_have_no_file_and_a_video_without_has_no_page(
    tmp_path: Path,
) -> None:
    assert draw(tmp_path, (tmp_path / "none.npz", {})) == []
    assert not any(tmp_path.iterdir())
    assert (
        len(draw(tmp_path, (tmp_path / "none.npz", {}), segment(tmp_path / "a.npz", {1: (1, 9)})))
        == 1
    )


@pytest.mark.parametrize("side_px", [24, 90, 150, 700])
def test_a_face_of_any_size_is_drawn_in_place_without_aliasing(side_px: int) -> None:
    """The face is the middle of a larger picture; it may be smaller or larger than the drawing."""
    rgb = picture(2 * side_px, 2 * side_px)
    inner = compose(scaling(1 / side_px), translation(-side_px / 2, -side_px / 2))
    drawn = cutout(rgb, inner, SIDE_PX).drawn(SIDE_PX)
    expected = picture(2 * SIDE_PX, 2 * SIDE_PX)[
        SIDE_PX // 2 : -SIDE_PX // 2, SIDE_PX // 2 : -SIDE_PX // 2
    ]
    assert np.abs(drawn.astype(int) - expected).max() <= 3
    # Detail finer than a pixel of the drawing gives its mean.
    stripes = np.zeros_like(rgb)
    stripes[:, ::2] = 200
    if side_px >= 2 * SIDE_PX:
        fine = cutout(stripes, inner, SIDE_PX).drawn(SIDE_PX)
        assert np.abs(fine[2:-2, 2:-2].astype(int) - 100).max() <= 30


def test_a_large_region_is_kept_no_larger_than_it_is_drawn() -> None:
    kept = cutout(picture(1801, 1407), scaling(1 / 1400), SIDE_PX)
    assert max(kept.rgb.shape) < 2 * 1801 / 1400 * SIDE_PX
