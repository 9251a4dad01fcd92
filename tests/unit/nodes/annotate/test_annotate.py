"""Boxes, numbers and tags: where they are drawn, that they can be read, and that all else stays."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import ValidationError

from nodes.annotate import Annotate, AnnotateConfig
from nodes.annotate.canvas import turned
from nodes.node import Inputs, Segment, Timed
from nodes.types import Face, FaceChange, Frame, FrameChanges, FrameFaces, VideoInfo
from tests.support.faces import codes_of, face_at, info_of, planes_of, waves

CHANGE = FaceChange(1, (100, 60, 180, 140), 1.0, 900, 12, 2.5)
FORMATS = ["yuv420p", "yuv422p10le", "yuv444p", "nv12", "p010le", "gray", "yuv411p"]
TAG: dict[str, Any] = {"boxes": False, "numbers": False}


def annotated(
    picture: av.VideoFrame,
    faces: tuple[Face, ...] = (),
    changes: tuple[FaceChange, ...] = (CHANGE,),
    info: dict[str, Any] | None = None,
    faces_scale: int = 1,
    **settings: Any,
) -> tuple[Frame, FrameChanges, Frame]:
    frame = Frame(0, 5, 1, picture)
    video: VideoInfo = replace(info_of(frame), **(info or {}))
    small = replace(
        video, width_px=video.width_px // faces_scale, height_px=video.height_px // faces_scale
    )
    node = Annotate(AnnotateConfig(**settings))
    inputs: dict[str, VideoInfo] = {"frames": video, "faces": small, "changes": video}
    assert node.open(Segment("v", Path(), 1), inputs) == video
    packets: dict[str, Timed] = {
        "frames": frame,
        "faces": FrameFaces(5, faces),
        "changes": FrameChanges(5, changes),
    }
    made = node.process(Inputs(packets))
    node.close()
    out, told = made["frames"], made["changes"]
    assert isinstance(out, Frame)
    assert isinstance(told, FrameChanges)
    return out, told, frame


def changed_luma(out: Frame, before: Frame) -> np.ndarray[Any, Any]:
    return planes_of(out.picture)[0] != planes_of(before.picture)[0]


def bounds(changed: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(changed.any(axis=1))[0], np.nonzero(changed.any(axis=0))[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("place", ["face", "corner"])
def test_nothing_changes_outside_of_what_is_named(pix_fmt: str, place: str) -> None:
    picture = waves(321 if "yuv4" in pix_fmt else 320, 239, pix_fmt)
    kept = codes_of(picture)
    out, told, frame = annotated(picture, (face_at(140, 100, 30),), place=place)
    assert all(np.array_equal(a, b) for a, b in zip(kept, codes_of(frame.picture), strict=True))
    assert told.faces == (CHANGE,)
    outside = [np.ones((len(plane), len(plane[0])), bool) for plane in planes_of(picture)]
    for x0, y0, x1, y1 in told.drawn:
        for mask in outside:
            sub_x = round(picture.width / mask.shape[1])
            sub_y = round(picture.height / mask.shape[0])
            mask[y0 // sub_y : -(-y1 // sub_y), x0 // sub_x : -(-x1 // sub_x)] = False
    for mask, now, before in zip(outside, codes_of(out.picture), kept, strict=True):
        assert not (now != before)[mask].any()
        assert mask.any()
    assert changed_luma(out, frame).any()


def test_a_frame_with_nothing_to_draw_is_the_same_object() -> None:
    picture = waves(320, 240, "yuv420p")
    variants: list[dict[str, Any]] = [{}, {**TAG, "tag": False, "boxes": True}, TAG]
    for settings in variants:
        out, told, frame = annotated(picture, changes=(), **settings)
        assert out is frame
        assert told == FrameChanges(5)
    unaltered = replace(CHANGE, area_px=0, largest=0, mean=0.0)
    out, told, frame = annotated(picture, (face_at(140, 100, 30),), (unaltered,), **TAG)
    assert out is frame
    assert not told.drawn
    unconfirmed = face_at(140, 100, 30, confirmed=False)
    out, _, frame = annotated(picture, (unconfirmed,), ())
    assert out is frame


def test_the_tag_is_below_its_face_or_above_where_there_is_no_room() -> None:
    picture = waves(320, 240, "yuv420p")
    for middle_y, below in ((100, True), (200, False)):
        face = face_at(140, middle_y, 30)
        out, told, frame = annotated(picture, (face,), **TAG)
        (region,) = told.drawn
        x0, y0, x1, y1 = bounds(changed_luma(out, frame))
        assert region[0] <= x0 < x1 <= region[2]
        assert region[1] <= y0 < y1 <= region[3]
        left, top, _, bottom = face.box_xyxy_px
        assert abs(x0 - left) <= 1
        assert (abs(y0 - bottom) if below else abs(y1 - top)) <= 1.5


def test_faces_of_smaller_frames_are_enlarged() -> None:
    picture = waves(640, 480, "yuv420p")
    face = face_at(140, 100, 30)
    out, _, frame = annotated(picture, (face,), faces_scale=2, **TAG)
    x0, y0, _, _ = bounds(changed_luma(out, frame))
    assert abs(x0 - 2 * face.box_xyxy_px[0]) <= 1
    assert abs(y0 - 2 * face.box_xyxy_px[3]) <= 1


def test_a_face_that_the_tracker_does_not_name_is_tagged_by_its_region() -> None:
    out, _, frame = annotated(waves(320, 240, "yuv420p"), **TAG)
    x0, y0, _, _ = bounds(changed_luma(out, frame))
    assert (x0, y0) == (100, 140)


@pytest.mark.parametrize("at", [(-30, -30), (330, 250), (2, 238), (318, 2)])
@pytest.mark.parametrize("text_px", [6, 20, 200])
def test_what_reaches_out_of_the_frame_is_moved_or_cut(at: tuple[int, int], text_px: int) -> None:
    picture = waves(320, 240, "yuv420p")
    for place in ("face", "corner"):
        out, told, frame = annotated(
            picture, (face_at(*at, 30),), text_px=text_px, place=place, text="a long text, really"
        )
        assert changed_luma(out, frame).any()
        for x0, y0, x1, y1 in told.drawn:
            assert 0 <= x0 < x1 <= 320
            assert 0 <= y0 < y1 <= 240


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_a_viewer_sees_an_upright_tag_however_the_video_is_turned(rotation_deg: int) -> None:
    upright, sideways = waves(240, 240, "yuv444p"), waves(240, 240, "yuv444p")
    face = face_at(120, 100, 30)
    plain, _, before = annotated(upright, (face,))
    box = turned(face.box_xyxy_px, -rotation_deg % 360, (240, 240))
    turn = {"rotation_deg": rotation_deg}
    out, _, after = annotated(sideways, (replace(face, box_xyxy_px=box),), info=turn)
    seen = np.rot90(changed_luma(out, after), -rotation_deg // 90)
    wanted = changed_luma(plain, before)
    assert np.mean(seen != wanted) < 0.002
    assert wanted.mean() > 0.02


def test_letters_are_narrower_where_pixels_are_wide() -> None:
    picture = waves(320, 240, "yuv444p")
    square, _, before = annotated(picture, (face_at(140, 100, 30),), **TAG)
    wide = {"sample_aspect_ratio": Fraction(2)}
    out, _, after = annotated(picture, (face_at(140, 100, 30),), info=wide, **TAG)
    x0, y0, x1, y1 = bounds(changed_luma(square, before))
    left, top, right, bottom = bounds(changed_luma(out, after))
    assert abs((right - left) - (x1 - x0) / 2) <= 1
    assert bottom - top == y1 - y0


def test_the_outline_tells_what_was_done() -> None:
    picture = waves(320, 240, "yuv444p")
    face = face_at(140, 100, 30)
    line: list[np.ndarray[Any, Any]] = []
    for changes in ((CHANGE,), ()):
        out, told, _ = annotated(picture, (face,), changes, numbers=False, tag=False)
        assert len(told.drawn) == 4
        x0, y0 = (round(value) for value in face.box_xyxy_px[:2])
        line.append(out.rgb(info_of(out).color)[y0 + 1, x0 + 20].astype(int))
    (red, _, blue), (other_red, _, other_blue) = line
    assert blue > red + 50
    assert other_red > other_blue + 50


def test_counts_and_settings() -> None:
    node = Annotate(AnnotateConfig())
    frame = Frame(0, 5, 1, waves(320, 240, "yuv420p"))
    node.open(Segment("v", Path(), 1), {"frames": info_of(frame)})
    assert node.process(Inputs({"frames": frame}))["frames"] is frame
    assert node.report() == {"frames": 1, "annotated_frames": 0}
    for text in ("", "x" * 41, "ta\ng", "ä"):
        with pytest.raises(ValidationError):
            AnnotateConfig(text=text)
