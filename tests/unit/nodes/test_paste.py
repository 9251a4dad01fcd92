"""Paste: only what lies under a mask changes, at any scale and in any pixel format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from nodes.errors import NodeConfigError
from nodes.geometry.alignment import face_oval_on_grid, scaling
from nodes.node import Inputs
from nodes.paste import Paste, PasteConfig
from nodes.picture.layout import pixel_layout, plane_slices
from nodes.picture.regions import RegionReader
from nodes.types import (
    ColorTags,
    FaceOval,
    Frame,
    FrameChanges,
    FrameRestored,
    RestoredPatch,
    VideoInfo,
)
from tests.support.faces import codes_of, frame_of, info_of, planes_of, scene, segment_in, waves

FORMATS = ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p", "nv12", "p010le", "gray"]
SIZE = (100, 76)


def wavy(pix_fmt: str) -> Frame:
    picture = waves(*SIZE, pix_fmt)
    picture.pts = 3
    return Frame(3, 3, 1, picture)


def oval(scale: int, colour: tuple[float, float, float] = (0.2, 0.1, -0.1)) -> RestoredPatch:
    """A residual over the region (20, 10, 60, 50), exactly 0 outside an oval."""
    y, x = np.mgrid[0 : 40 * scale, 0 : 40 * scale] + 0.5
    inside = np.clip(1 - np.hypot(x / scale - 20, y / scale - 20) / 15, 0, 1)
    residual = (inside[..., None] * np.array(colour)).astype(np.float16)
    region = (20 * scale, 10 * scale, 60 * scale, 50 * scale)
    return RestoredPatch(1, residual, region, scale=scale)


def run(
    frame: Frame,
    *patches: RestoredPatch,
    tmp_path: Path,
    info: VideoInfo | None = None,
    scale: int = 1,
    **config: Any,
) -> tuple[Frame, FrameChanges, VideoInfo]:
    node = Paste(PasteConfig(**config))
    source = info or info_of(frame)
    faces = replace(source, patch_scale=scale)
    out = node.open(segment_in(tmp_path), {"frames": source, "restored": faces})
    restored = FrameRestored(frame.pts, patches)
    outputs = node.process(Inputs({"frames": frame, "restored": restored}))
    node.close()
    packet, changes = outputs["frames"], outputs["changes"]
    assert isinstance(packet, Frame)
    assert isinstance(changes, FrameChanges)
    assert changes.pts == 3
    assert (packet.pts, packet.index, packet.duration_ticks) == (3, 3, 1)
    return packet, changes, out


def paste(frame: Frame, *patches: RestoredPatch, **how: Any) -> tuple[Frame, VideoInfo]:
    packet, _, info = run(frame, *patches, **how)
    return packet, info


def pasted(frame: Frame, *patches: RestoredPatch, **how: Any) -> tuple[Frame, FrameChanges]:
    packet, changes, _ = run(frame, *patches, **how)
    return packet, changes


def touched_blocks(
    patch: RestoredPatch, plane: npt.NDArray[Any], picture: av.VideoFrame
) -> npt.NDArray[np.bool_]:
    """Where a sample of `plane` covers any pixel with a residual."""
    x0, y0, x1, y1 = patch.region_xyxy_px
    mask = np.zeros((picture.height, picture.width), bool)
    mask[y0:y1, x0:x1] = patch.residual_rgb.any(axis=2)
    step_y, step_x = picture.height // plane.shape[0], picture.width // plane.shape[1]
    return mask.reshape(plane.shape[0], step_y, plane.shape[1], step_x).max(axis=(1, 3))


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_outside_the_masks_the_frame_is_the_plain_one_bit_for_bit(
    tmp_path: Path, pix_fmt: str, scale: int
) -> None:
    frame, patch = wavy(pix_fmt), oval(scale)
    plain, _ = paste(frame, tmp_path=tmp_path, scale=scale)
    restored, info = paste(frame, patch, tmp_path=tmp_path, scale=scale)
    picture = restored.picture
    assert (picture.width, picture.height) == (SIZE[0] * scale, SIZE[1] * scale)
    assert (info.width_px, info.height_px) == (picture.width, picture.height)
    assert picture.format.name == pix_fmt
    pairs = zip(planes_of(plain.picture), planes_of(picture), strict=True)
    for before, after in pairs:
        touched = touched_blocks(patch, before, picture)
        assert np.array_equal(before[~touched], after[~touched])
        assert (before[touched] != after[touched]).any()


def test_without_faces_the_same_frame_goes_through(tmp_path: Path) -> None:
    frame = wavy("yuv420p")
    out, info = paste(frame, tmp_path=tmp_path)
    assert out is frame
    assert info == info_of(frame)


def test_the_decoders_picture_is_not_touched(tmp_path: Path) -> None:
    frame = wavy("yuv420p")
    codes = codes_of(frame.picture)
    out, _ = paste(frame, oval(1), tmp_path=tmp_path)
    assert out.picture is not frame.picture
    assert all(np.array_equal(a, b) for a, b in zip(codes, planes_of(frame.picture), strict=True))


def test_strength_scales_what_is_added(tmp_path: Path) -> None:
    frame, luma = wavy("yuv444p"), {}
    for strength in (0.0, 0.5, 1.0):
        out, _ = paste(frame, oval(1), tmp_path=tmp_path, strength=strength)
        luma[strength] = float(planes_of(out.picture)[0][20:40, 30:50].mean())
    assert luma[0.0] == float(planes_of(frame.picture)[0][20:40, 30:50].mean())
    assert luma[1.0] > luma[0.0] + 3
    assert luma[0.5] - luma[0.0] == pytest.approx((luma[1.0] - luma[0.0]) / 2, rel=0.05)


def test_a_faces_own_strength_counts_as_well(tmp_path: Path) -> None:
    frame, unsure = wavy("yuv444p"), replace(oval(1), strength=0.4)
    both, _ = paste(frame, unsure, tmp_path=tmp_path, strength=0.5)
    whole, _ = paste(frame, oval(1), tmp_path=tmp_path, strength=0.2)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(planes_of(both.picture), planes_of(whole.picture), strict=True)
    )


def test_faces_that_overlap_add_up(tmp_path: Path) -> None:
    frame = wavy("yuv444p")
    once, _ = paste(frame, oval(1), tmp_path=tmp_path)
    twice, _ = paste(frame, oval(1), oval(1), tmp_path=tmp_path)
    plain, one, two = (
        planes_of(f.picture)[0].astype(int)[20:40, 30:50] for f in (frame, once, twice)
    )
    assert np.abs((two - plain) - 2 * (one - plain)).max() <= 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarging_keeps_everything_in_its_place(tmp_path: Path, scale: int) -> None:
    """Luma and chroma: a spot's centre goes to scale times its coordinates."""
    image = scene(96, 96)
    image.paste((200, 40, 40), (0, 0, 96, 96))
    image.paste((40, 60, 220), (40, 52, 48, 60))
    frame = replace(frame_of(image), index=3, pts=3)
    out, _ = paste(frame, tmp_path=tmp_path, scale=scale)
    for index, (before, after) in enumerate(
        zip(planes_of(frame.picture), planes_of(out.picture), strict=True)
    ):
        places: list[npt.NDArray[np.float64]] = []
        for plane in (before, after):
            spot = np.abs(plane.astype(float) - float(plane[0, 0]))
            y, x = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]] + 0.5
            places.append(np.array([(spot * x).sum(), (spot * y).sum()]) / spot.sum())
        small, large = places
        # Chroma is sited on even columns on both sides: swscale may keep either convention.
        assert large == pytest.approx(small * scale, abs=0.05 if index == 0 else 0.3 * scale)


def test_an_enlarged_flat_colour_stays_that_colour(tmp_path: Path) -> None:
    frame = wavy("yuv420p10le")
    for plane, code in zip(planes_of(frame.picture), (700, 400, 600), strict=True):
        plane[:] = code
    out, _ = paste(frame, tmp_path=tmp_path, scale=2)
    assert [np.unique(plane).tolist() for plane in planes_of(out.picture)] == [[700], [400], [600]]


def test_untagged_video_keeps_its_matrix_when_it_grows_past_720_lines(tmp_path: Path) -> None:
    picture = waves(480, 360, "yuv420p")
    frame = Frame(3, 3, 1, picture)
    out, info = paste(frame, oval(2), tmp_path=tmp_path, scale=2)
    assert info.color.matrix == 5
    assert out.picture.colorspace == 5
    plain, _ = paste(frame, tmp_path=tmp_path, scale=2)
    region = (40, 20, 120, 100)
    before, after = (RegionReader(info.color).rgb(f.picture, region) for f in (plain, out))
    change = (after.astype(float) - before)[36:44, 36:44].mean(axis=(0, 1)) / 255
    peak = oval(2).residual_rgb[36:44, 36:44].mean(axis=(0, 1))
    assert change == pytest.approx(peak, abs=0.012)


def test_tags_are_kept(tmp_path: Path) -> None:
    frame = wavy("yuv420p")
    frame.picture.colorspace, frame.picture.color_range = 1, 1
    info = info_of(frame, color=ColorTags(matrix=1, range=1, primaries=1, transfer=1))
    for scale in (1, 2):
        out, out_info = paste(frame, oval(scale), tmp_path=tmp_path, info=info, scale=scale)
        assert out_info.color == info.color
        assert (out.picture.colorspace, out.picture.color_range) == (1, 1)
        assert out.picture.pts == frame.picture.pts


def full_oval(left: int, colour: tuple[float, float, float], *, known: bool) -> RestoredPatch:
    """Return a face of 60 px whose residual is one colour under its mask."""
    square = scaling(1 / 60)
    mask = face_oval_on_grid(square, (60, 60), 0)
    residual = (mask[..., None] * np.array(colour)).astype(np.float16)
    place = FaceOval(square) if known else None
    return RestoredPatch(1, residual, (left, 8, left + 60, 68), oval=place)


def test_where_two_faces_overlap_each_gets_its_part(tmp_path: Path) -> None:
    """Side by side, with one and the same colour, they come out as one face does."""
    frame, colour = wavy("yuv444p"), (0.1, 0.1, 0.1)
    plain = planes_of(frame.picture)[0].astype(int)
    pair = (full_oval(4, colour, known=True), full_oval(30, colour, known=True))
    after, _ = paste(frame, *pair, tmp_path=tmp_path)
    alone, _ = paste(frame, pair[0], tmp_path=tmp_path)
    added, most = (planes_of(each.picture)[0] - plain for each in (after, alone))
    assert added.max() == most.max()
    both = (
        (added > 0) & (planes_of(paste(frame, pair[1], tmp_path=tmp_path)[0].picture)[0] > plain)
    ).sum()
    assert both > 500
    unknown = [full_oval(left, colour, known=False) for left in (4, 30)]
    twice = planes_of(paste(frame, *unknown, tmp_path=tmp_path)[0].picture)[0] - plain
    assert twice.max() > 1.8 * added.max()


def test_another_scale_than_the_faces_have_is_refused(tmp_path: Path) -> None:
    info = info_of(wavy("yuv420p"))
    with pytest.raises(NodeConfigError, match=r"paste\.scale is 2, .* cut out for scale 1"):
        Paste(PasteConfig(scale=2)).open(segment_in(tmp_path), {"frames": info, "restored": info})


def test_a_face_of_another_scale_than_its_video_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodeConfigError, match="restored at scale 2, but its video says 1"):
        paste(wavy("yuv420p"), oval(2), tmp_path=tmp_path)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_it_says_what_it_changed_and_where(tmp_path: Path, pix_fmt: str, scale: int) -> None:
    frame, patch = wavy(pix_fmt), replace(oval(scale), strength=0.5, consistency_db=40.0)
    plain, _ = paste(frame, tmp_path=tmp_path, scale=scale)
    out, changes = pasted(frame, patch, tmp_path=tmp_path, scale=scale, strength=0.8)
    (change,) = changes.faces
    layout = pixel_layout(pix_fmt)
    pairs = zip(codes_of(out.picture), codes_of(plain.picture), strict=True)
    steps = [np.abs(a.astype(int) - b.astype(int)) >> layout.shift for a, b in pairs]
    assert (change.track_id, change.strength, change.consistency_db) == (1, 0.4, 40.0)
    assert change.area_px == np.count_nonzero(steps[0]) > 100
    assert change.largest == max(step.max() for step in steps) > 3
    assert change.mean == pytest.approx(steps[0].sum() / change.area_px, abs=1e-3)
    for index, step in enumerate(steps):
        rows, columns = plane_slices(layout, index, change.region_xyxy_px)
        step[rows, columns] = 0
        assert not step.any()


def test_a_frame_that_stays_as_it_is_has_no_changes(tmp_path: Path) -> None:
    frame = wavy("yuv420p")
    assert pasted(frame, tmp_path=tmp_path)[1] == FrameChanges(3)
    assert pasted(frame, oval(1), tmp_path=tmp_path, strength=0.0)[1] == FrameChanges(3)
