"""Sheet: the best shot of each face, before beside after, and no file without a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from nodes.errors import NodeConfigError
from nodes.geometry import alignment as geometry
from nodes.join import SHEET, SHOTS, SegmentPart
from nodes.node import Inputs
from nodes.sheet import Sheet, SheetConfig
from nodes.sheet.node import shot_qualities
from nodes.sheet.page import read_page
from nodes.types import FacePatch, Frame, FramePatches, FrameRestored, RestoredPatch
from tests.support.faces import face_at, frame_of, info_of, portrait, scene, segment_in

EYES = (99.3, 139.8)


def shot(
    index: int, *, track_id: int = 1, side: int = 175, tint: int = 0
) -> tuple[Frame, Frame, FacePatch]:
    """Return a frame, the same restored (tinted, at twice the size), and the face's patch."""
    image = scene(240, 200, (portrait(side), 20, 10))
    before = frame_of(image, index)
    bright = Image.eval(image, lambda level: min(255, level + tint))
    after = frame_of(bright.resize((480, 400), Image.Resampling.BICUBIC), index)
    x, y, eyes_px = 20 + EYES[0] * side / 350, 10 + EYES[1] * side / 350, 43.8 * side / 350
    to_crop = geometry.crop_from_frame(face_at(x, y, eyes_px).points_px, 128)
    region = (0, 0, 160, 180)
    rgb = np.asarray(image.crop(region))
    return before, after, FacePatch(track_id, rgb, 8, region, to_crop, 128, 2)


def collect(
    tmp_path: Path, *shots: tuple[Frame, Frame, FacePatch], config: SheetConfig | None = None
) -> Sheet:
    node = Sheet(config or SheetConfig())
    before, after, _ = shot(0)
    faces = replace(info_of(before), patch_scale=2)
    infos = {"before": info_of(before), "after": info_of(after), "patches": faces}
    node.open(segment_in(tmp_path), infos)
    for before, after, patch in shots:
        packets = FramePatches(before.pts, (patch,))
        node.process(Inputs({"before": before, "after": after, "patches": packets}))
    return node


def finish(node: Sheet, tmp_path: Path) -> dict[str, Path]:
    """Complete a segment, and return the pages of a video that has no other."""
    node.finish()
    node.close()
    part = SegmentPart(tmp_path, 1, {}, node.report())
    return Sheet.join([part], tmp_path, node.config)


def test_the_sheet_shows_source_and_restored_aligned(tmp_path: Path) -> None:
    node = collect(tmp_path, shot(0, tint=60))
    with Image.open(finish(node, tmp_path)[SHEET]) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(float)
    left, right = pixels[36:292, 12:268], pixels[36:292, 274:530]
    middle = slice(60, 200)
    assert (right - left)[middle, middle].mean() == pytest.approx(60, abs=8)
    # Aligned alike: without the tint they are the same picture.
    a, b = (side[middle, middle].mean(axis=2) for side in (left, right))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98
    # Eyes are dark and where the template has them.
    for x, y in geometry.template_points(256)[:2]:
        around = left.mean(axis=2)[int(y) - 40 : int(y) + 40, int(x) - 8 : int(x) + 8]
        rows = around.mean(axis=1)
        assert abs(int(np.argmin(rows[10:60])) + 10 - 40) < 14


def test_a_generative_face_is_marked_as_such(tmp_path: Path) -> None:
    node = collect(tmp_path)
    for index, generative in enumerate((False, True), start=1):
        before, after, patch = shot(index, track_id=index)
        faces = FramePatches(before.pts, (patch,))
        nothing = np.zeros((1, 1, 3), np.float16)
        face = RestoredPatch(index, nothing, (0, 0, 1, 1), generative=generative)
        restored = FrameRestored(before.pts, (face,))
        packets = {"before": before, "after": after, "patches": faces, "restored": restored}
        node.process(Inputs(packets))
    pages = finish(node, tmp_path)
    assert [pair.generative for pair in read_page(pages[SHEET])] == [False, True]
    single = read_page(pages[f"{SHOTS}/0002.png"])
    assert all(pair.generative for pair in single)


def test_no_face_no_file(tmp_path: Path) -> None:
    node = collect(tmp_path)
    assert finish(node, tmp_path) == {}
    assert not any(tmp_path.iterdir())


def test_each_track_has_one_pair(tmp_path: Path) -> None:
    config = SheetConfig(columns=2, face_px=64)
    shots = [shot(i, track_id=1 + i % 3) for i in range(6)]
    with Image.open(finish(collect(tmp_path, *shots, config=config), tmp_path)[SHEET]) as sheet:
        assert sheet.width == 2 * (2 * 64 + 24)
        two_rows = sheet.height
    with Image.open(finish(collect(tmp_path, *shots[:2], config=config), tmp_path)[SHEET]) as sheet:
        assert two_rows - sheet.height == 64 + 36


def kept_times(node: Sheet) -> dict[int, float]:
    return {track: shots[""][1].time_s for track, shots in node._shots.items()}  # pyright: ignore[reportPrivateUsage]


def test_the_best_shot_is_kept(tmp_path: Path) -> None:
    small, large = shot(0, side=100), shot(25, side=200)
    assert kept_times(collect(tmp_path, small, large)) == {1: 1.0}
    assert kept_times(collect(tmp_path, shot(25, side=200), shot(50, side=100))) == {1: 1.0}
    # Hardly better is not worth the conversion.
    assert kept_times(collect(tmp_path, shot(25, side=200), shot(50, side=204))) == {1: 1.0}


def test_the_number_of_faces_is_bounded_and_the_best_stay(tmp_path: Path) -> None:
    sides = [120, 180, 100, 200, 150]
    shots = [shot(i, track_id=i, side=side) for i, side in enumerate(sides)]
    node = collect(tmp_path, *shots, config=SheetConfig(max_tracks=2))
    assert set(kept_times(node)) == {1, 3}


def test_quality_prefers_large_frontal_sharp_and_sure() -> None:
    _, _, patch = shot(0)
    best = shot_qualities(patch)[""]
    worse = (
        replace(patch, yaw_deg=50),
        replace(patch, score=0.6),
        replace(patch, rgb=np.full_like(patch.rgb, 90)),
        shot(0, side=100)[2],
    )
    assert all(shot_qualities(other)[""] < best for other in worse)


def test_each_face_has_a_sheet_of_its_sharpest_largest_and_most_frontal_shot(
    tmp_path: Path,
) -> None:
    """Frame 1 is blurred and turned but largest, 2 is small and sharp, 3 is level but blurred."""
    shots = [shot(index, side=side) for index, side in ((1, 200), (2, 120), (3, 150))]
    soft = ImageFilter.GaussianBlur(3)
    changes: list[dict[str, Any]] = [{"yaw_deg": 30}, {"pitch_deg": 30}, {}]
    for place, (before, after, patch) in enumerate(shots):
        rgb = Image.fromarray(patch.rgb)
        rgb = rgb if place == 1 else rgb.filter(soft)
        shots[place] = before, after, replace(patch, rgb=np.asarray(rgb), **changes[place])
    pages = finish(collect(tmp_path, *shots), tmp_path)
    assert set(pages) == {SHEET, f"{SHOTS}/0001.png"}
    pairs = read_page(pages[f"{SHOTS}/0001.png"])
    times = {pair.kind: round(pair.time_s * 25) for pair in pairs}
    assert times == {"sharpest": 2, "largest": 1, "most frontal": 3}


def test_ten_bit_video_is_drawn_in_the_right_brightness(tmp_path: Path) -> None:
    before, after, patch = shot(0)
    deep = [replace(f, picture=f.picture.reformat(format="yuv420p10le")) for f in (before, after)]
    patch = replace(patch, rgb=patch.rgb.astype(np.uint16) * 4, bit_depth=10)
    node = Sheet(SheetConfig())
    infos = [info_of(frame) for frame in deep]
    faces = replace(infos[0], patch_scale=2)
    node.open(segment_in(tmp_path), {"before": infos[0], "after": infos[1], "patches": faces})
    packets = {"before": deep[0], "after": deep[1], "patches": FramePatches(0, (patch,))}
    node.process(Inputs(packets))
    with Image.open(finish(node, tmp_path)[SHEET]) as sheet:
        ten = np.asarray(sheet.convert("RGB")).astype(float)
    with Image.open(finish(collect(tmp_path, shot(0)), tmp_path)[SHEET]) as sheet:
        eight = np.asarray(sheet.convert("RGB")).astype(float)
    assert np.abs(ten - eight).mean() < 1.5


def test_frames_of_another_scale_than_the_faces_are_refused(tmp_path: Path) -> None:
    info = info_of(frame_of(scene(64, 48)))
    infos = {"before": info, "after": info, "patches": replace(info, patch_scale=2)}
    with pytest.raises(NodeConfigError, match="are 64x48, expected 128x96"):
        Sheet(SheetConfig()).open(segment_in(tmp_path), infos)
