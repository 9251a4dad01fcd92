"""Pages of contact sheets: what is drawn can be read again."""

from __future__ import annotations

from dataclasses import replace
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


def test_changes_are_a_third_picture_that_is_not_read_again(tmp_path: Path) -> None:
    plain, wide = tmp_path / "plain.png", tmp_path / "wide.png"
    changed = pair(1, level=9)
    alike = replace(pair(2), after=pair(2).before)
    write_page([changed, alike], plain, columns=1)
    write_page([changed, alike], wide, columns=1, changes=True)
    assert all(same(a, b) for a, b in zip(read_page(plain), read_page(wide), strict=True))
    with Image.open(plain) as narrow, Image.open(wide) as page:
        assert page.width - narrow.width == 64 + 6
        third = np.asarray(page)[36:100, 12 + 2 * 70 : 12 + 2 * 70 + 64].astype(int)
    step = 9 - np.asarray(changed.before).astype(int)
    assert np.array_equal(third, np.clip(128 + 8 * step, 0, 255))


def test_a_generative_pair_is_labelled_and_stays_so(tmp_path: Path) -> None:
    plain, drawn = pair(1), replace(pair(1), generative=True)
    write_page([plain], tmp_path / "plain.png", columns=1)
    write_page([drawn], tmp_path / "drawn.png", columns=1)
    with Image.open(tmp_path / "plain.png") as one, Image.open(tmp_path / "drawn.png") as other:
        assert other.height > one.height
        label = (12, 12, 164, 36)
        assert one.crop(label).tobytes() != other.crop(label).tobytes()
    write_page([plain, replace(drawn, track_id=2)], tmp_path / "all.png", columns=2)
    assert [p.generative for p in read_page(tmp_path / "all.png")] == [False, True]


def test_another_picture_is_no_page(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="no contact sheet"):
        read_page(tmp_path / "x.png")
