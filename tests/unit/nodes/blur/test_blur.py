"""Faces are hidden, and stay hidden when they are not found for a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.blur import Blur, BlurConfig
from nodes.blur.memory import FaceMemory
from nodes.node import Inputs, Segment
from nodes.testing import check_node
from nodes.types import Face, Frame, FrameFaces
from tests.support.faces import codes_of, face_at, frame_of, info_of, portrait, scene

FORMATS = ["yuv420p", "nv12", "yuv422p10le", "p010le", "gray"]


def picture(index: int = 0, pix_fmt: str = "yuv420p") -> Frame:
    return frame_of(scene(160, 128, (portrait(64), 48, 32)), index, pix_fmt)


FACE = face_at(80, 58, 18)


def hidden(*faces: tuple[Face, ...], pix_fmt: str = "yuv420p", **settings: Any) -> list[Frame]:
    """Return what becomes of a frame for each set of faces, 25 a second."""
    node = Blur(BlurConfig(**settings))
    frames = [picture(index, pix_fmt) for index in range(len(faces))]
    node.open(Segment("v", Path(), 1), dict.fromkeys(("frames", "faces"), info_of(frames[0])))
    made: list[Frame] = []
    for frame, found in zip(frames, faces, strict=True):
        inputs = Inputs({"frames": frame, "faces": FrameFaces(frame.pts, found)})
        out = node.process(inputs)["frames"]
        assert isinstance(out, Frame)
        made.append(out)
    node.close()
    return made


def detail(frame: Frame, box: tuple[float, float, float, float] = FACE.box_xyxy_px) -> float:
    """Return how much neighbouring luma samples differ inside a box."""
    x0, y0, x1, y1 = (round(side) for side in box)
    luma = codes_of(frame.picture)[0][y0:y1, x0:x1].astype(float)
    return float(np.abs(np.diff(luma, axis=1)).mean())


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("method", ["blur", "pixelate", "fill"])
def test_nothing_of_a_face_is_left_and_nothing_else_changes(method: str, pix_fmt: str) -> None:
    (made,) = hidden((FACE,), method=method, pix_fmt=pix_fmt)
    before = picture(pix_fmt=pix_fmt)
    assert detail(made) < 0.6 * detail(before)
    if method == "fill":
        x, y = 80, 58
        assert len(np.unique(codes_of(made.picture)[0][y - 9 : y + 9, x - 9 : x + 9])) == 1
    for old, new in zip(codes_of(before.picture), codes_of(made.picture), strict=True):
        changed = np.argwhere((old != new).reshape(*old.shape[:2], -1).any(axis=2))
        scale = np.array([128, 160]) / old.shape[:2]
        low, high = changed.min(axis=0) * scale, changed.max(axis=0) * scale
        x0, y0, x1, y1 = FACE.box_xyxy_px
        assert (low >= [y0 - 0.35 * (y1 - y0), x0 - 0.35 * (x1 - x0)]).all()
        assert (high <= [y1 + 0.35 * (y1 - y0), x1 + 0.35 * (x1 - x0)]).all()


@pytest.mark.parametrize("shape", ["oval", "box"])
def test_the_whole_box_of_a_face_is_hidden(shape: str) -> None:
    (made,) = hidden((FACE,), method="fill", shape=shape)
    x0, y0, x1, y1 = (round(side) for side in FACE.box_xyxy_px)
    inside = codes_of(made.picture)[0][y0:y1, x0:x1]
    gray = inside == 128
    # The corners of a box lie just inside an oval that is half as wide and high again.
    assert gray.mean() > 0.99


def test_a_frame_without_a_face_goes_through_as_it_is() -> None:
    before = picture()
    node = Blur(BlurConfig())
    node.open(Segment("v", Path(), 1), dict.fromkeys(("frames", "faces"), info_of(before)))
    packets = Inputs({"frames": before, "faces": FrameFaces(0, ())})
    assert node.process(packets)["frames"] is before


def test_a_face_that_is_not_found_for_a_moment_stays_hidden() -> None:
    made = hidden((FACE,), *[()] * 30, hold_s=0.6)
    shown = [detail(frame) for frame in made]
    limit = 0.6 * detail(picture())
    assert all(value < limit for value in shown[:16])
    assert all(value == detail(picture()) for value in shown[17:])


def test_a_face_that_goes_on_while_it_is_not_found_is_hidden_where_it_would_be() -> None:
    memory = FaceMemory(hold_s=1.0)
    for index in range(5):
        memory.update(index / 25, [face_at(50 + 2 * index, 50, 10)])
    for index in range(5, 12):
        (spot,) = memory.update(index / 25, [])
        x0, y0, x1, y1 = face_at(50 + 2 * index, 50, 10).box_xyxy_px
        left, top, right, bottom = spot.box_xyxy_px
        assert not spot.seen
        assert left <= x0
        assert right >= x1
        assert (top <= y0, bottom >= y1) == (True, True)


def test_a_find_that_is_never_confirmed_is_soon_forgotten() -> None:
    memory = FaceMemory(hold_s=1.0)
    memory.update(0.0, [face_at(50, 50, 10, track_id=0)])
    assert [len(memory.update(0.04 * step, [])) for step in range(1, 8)] == [1, 1, 1, 1, 1, 0, 0]


def test_a_find_that_comes_again_is_held_as_a_face_is() -> None:
    memory = FaceMemory(hold_s=1.0)
    for index in (0, 10):
        memory.update(index / 25, [face_at(50, 50, 10, track_id=0)])
    held = [len(memory.update(index / 25, [])) for index in range(11, 40)]
    assert held == [1] * 25 + [0] * 4
    # In another place it is another one.
    memory.update(2.0, [face_at(50, 50, 10, track_id=0)])
    memory.update(2.4, [face_at(90, 50, 10, track_id=0)])
    assert len(memory.update(2.7, [])) == 0


def test_a_face_that_is_found_again_is_one_face() -> None:
    memory = FaceMemory(hold_s=1.0)
    memory.update(0.0, [face_at(50, 50, 10, track_id=3)])
    memory.update(0.04, [])
    assert [s.track_id for s in memory.update(0.08, [face_at(52, 50, 10, track_id=3)])] == [3]
    # Without its number for a frame it is still the same one.
    assert [s.track_id for s in memory.update(0.12, [face_at(53, 50, 10, track_id=0)])] == [3]
    two = memory.update(0.16, [face_at(53, 50, 10, track_id=3), face_at(60, 50, 10, track_id=4)])
    assert sorted(spot.track_id for spot in two) == [3, 4]


@pytest.mark.parametrize(
    ("hide", "tracks", "is_hidden"),
    [
        ("all", (), True),
        ("only", (1,), True),
        ("only", (2,), False),
        ("all_but", (1,), False),
        ("all_but", (2,), True),
    ],
)
def test_faces_are_chosen_by_their_numbers(
    hide: str, tracks: tuple[int, ...], is_hidden: bool
) -> None:
    (made,) = hidden((FACE,), hide=hide, tracks=tracks)
    assert (detail(made) < 0.6 * detail(picture())) == is_hidden
    config = BlurConfig.model_validate({"hide": hide, "tracks": tracks})
    assert (config.uncut_reason() is None) == (hide == "all")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hide": "only"}, "tracks names no face"),
        ({"tracks": (1,)}, "set it to only or all_but"),
        ({"hide": "only", "tracks": (0,)}, "greater than or equal to 1"),
        ({"hide": "only", "tracks": "1"}, "valid tuple"),
    ],
)
def test_a_choice_that_hides_what_is_not_meant_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BlurConfig.model_validate(settings)
    assert BlurConfig.model_validate({"hide": "only", "tracks": 2}).tracks == (2,)
    assert BlurConfig.model_validate({"hide": "all_but"}).tracks == ()


def test_a_number_that_no_face_has_is_told() -> None:
    node = Blur(BlurConfig(hide="only", tracks=(1, 7)))
    frame = picture()
    node.open(Segment("v", Path(), 1), dict.fromkeys(("frames", "faces"), info_of(frame)))
    node.process(Inputs({"frames": frame, "faces": FrameFaces(0, (FACE,))}))
    assert node.report()["warnings"] == ["no face has the number 7; there are: 1"]
    assert "warnings" not in Blur(BlurConfig()).report()


def test_a_face_without_a_number_yet_is_hidden_unless_only_some_are() -> None:
    fresh = face_at(80, 58, 18, track_id=0, confirmed=False)
    limit = 0.6 * detail(picture())
    for hide, is_hidden in (("all", True), ("all_but", True), ("only", False)):
        (made,) = hidden((fresh,), hide=hide, tracks=(1,) if hide != "all" else ())
        assert (detail(made) < limit) == is_hidden


def test_faces_of_a_smaller_video_are_hidden_in_the_enlarged_one() -> None:
    small = info_of(frame_of(scene(80, 64)))
    frame = picture()
    node = Blur(BlurConfig())
    node.open(Segment("v", Path(), 1), {"frames": info_of(frame), "faces": small})
    faces = FrameFaces(0, (FACE.stretched(0.5, 0.5),))
    made = node.process(Inputs({"frames": frame, "faces": faces}))["frames"]
    assert isinstance(made, Frame)
    assert detail(made) < 0.6 * detail(frame)


@pytest.mark.parametrize("place", [(-5, 20), (158, 100), (80, 127), (400, 400), (-60, -60)])
def test_a_face_at_the_edge_or_outside_does_no_harm(place: tuple[int, int]) -> None:
    (made,) = hidden((face_at(*place, 18),))
    assert made.picture.width == 160


@pytest.mark.parametrize("method", ["blur", "pixelate", "fill"])
def test_blur_keeps_the_contract(method: str) -> None:
    check_node(Blur, method=method)
