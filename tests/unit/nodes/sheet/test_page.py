"""Pages of contact sheets: what is drawn can be read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodes.sheet.page import PagePair, read_page, write_page


def pair(track_id: int, level: int = 0) -> PagePair:
    noise = np.random.default_rng(track_id).integers(0, 256, (64, 64, 3), np.uint8)
    before = Image.fromarray(noise)
    return PagePair(track_id, 1.25, 17.5, before, Image.new("RGB", (64, 64), (level,) * 3))


def same(one: PagePair, other: PagePair) -> bool:
    pictures = [(one.before, other.before), (one.after, other.after)]
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pictures)


def test_pairs_come_back_pixel_by_pixel(tmp_path: Path) -> None:
    pairs = [pair(n, level=n) for n in range(1, 6)]
    write_page(reversed(pairs), tmp_path / "page.png", columns=2)
    back = read_page(tmp_path / "page.png")
    assert [(p.track_id, p.time_s, p.eye_distance_px) for p in back] == [
        (p.track_id, p.time_s, p.eye_distance_px) for p in pairs
    ]
    assert all(same(a, b) for a, b in zip(back, pairs, strict=True))


def test_another_picture_is_no_page(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="no contact sheet"):
        read_page(tmp_path / "x.png")
