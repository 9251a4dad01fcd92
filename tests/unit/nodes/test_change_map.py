"""The change map: gray where nothing differs, the difference amplified where something does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nodes.change_map import ChangeMap, ChangeMapConfig
from nodes.errors import NodeConfigError
from nodes.node import Inputs, Segment
from nodes.picture.layout import pixel_layout
from nodes.picture.regions import copy_picture
from nodes.types import ColorTags, Frame
from tests.support.faces import codes_of, info_of, planes_of, waves

FULL = ColorTags(range=2)
FORMATS = ["yuv420p", "yuv422p10le", "nv12", "p010le", "gray", "gray10le"]
SEGMENT = Segment("v", Path(), 1)


def mapped(before: Frame, after: Frame, gain: int = 8, color: ColorTags | None = None) -> Frame:
    node = ChangeMap(ChangeMapConfig(gain=gain))
    info = info_of(before, color=color)
    assert node.open(SEGMENT, {"before": info, "after": info}) == info
    made = node.process(Inputs({"before": before, "after": after}))["frames"]
    node.close()
    assert isinstance(made, Frame)
    return made


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("copied", [False, True])
def test_what_is_the_same_is_gray(pix_fmt: str, copied: bool) -> None:
    before = Frame(3, 7, 2, waves(64, 48, pix_fmt))
    after = replace(before, picture=copy_picture(before.picture)) if copied else before
    made = mapped(before, after)
    layout = pixel_layout(pix_fmt)
    unit = 1 << (layout.bit_depth - 8)
    luma = (128 if layout.chroma == "none" else 126) * unit
    for index, plane in enumerate(codes_of(made.picture)):
        assert set(np.unique(plane >> layout.shift)) == {luma if index == 0 else 128 * unit}
    assert (made.index, made.pts, made.duration_ticks) == (3, 7, 2)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_a_changed_sample_shows_its_difference_times_the_gain(pix_fmt: str) -> None:
    layout = pixel_layout(pix_fmt)
    before = Frame(0, 0, 1, waves(64, 48, pix_fmt))
    after = replace(before, picture=copy_picture(before.picture))
    for plane in planes_of(after.picture):
        plane[3, 5] += 2 << layout.shift
        plane[4, 6] -= 3 << layout.shift
    made = mapped(before, after, gain=4)
    for now, gray in zip(
        codes_of(made.picture), codes_of(mapped(before, before).picture), strict=True
    ):
        step = (now >> layout.shift).astype(int) - (gray >> layout.shift).astype(int)
        assert np.all(step[3, 5] == 8)
        assert np.all(step[4, 6] == -12)
        assert np.count_nonzero(step) == 2 * step[0, 0].size


@pytest.mark.parametrize(("color", "ends"), [(ColorTags(), (16, 235)), (FULL, (0, 255))])
def test_large_changes_end_at_the_ends_of_the_range(
    color: ColorTags, ends: tuple[int, int]
) -> None:
    before = Frame(0, 0, 1, waves(64, 48, "yuv420p"))
    after = replace(before, picture=copy_picture(before.picture))
    luma = planes_of(after.picture)[0]
    luma[0, 0], luma[0, 1] = 255, 0
    shown = planes_of(mapped(before, after, gain=64, color=color).picture)[0]
    assert (shown[0, 1], shown[0, 0]) == ends
    assert shown[1, 1] == (128 if color is FULL else 126)


def test_changed_frames_are_counted() -> None:
    node = ChangeMap(ChangeMapConfig())
    frame = Frame(0, 0, 1, waves(64, 48, "yuv420p"))
    other = replace(frame, picture=copy_picture(frame.picture))
    planes_of(other.picture)[2][1, 1] += 1
    info = info_of(frame)
    node.open(SEGMENT, {"before": info, "after": info})
    for after in (frame, other, replace(frame, picture=copy_picture(frame.picture))):
        node.process(Inputs({"before": frame, "after": after}))
    assert node.report() == {"frames": 3, "changed_frames": 1}


def test_videos_of_two_shapes_cannot_be_compared() -> None:
    small, large = (Frame(0, 0, 1, waves(side, 48, "yuv420p")) for side in (64, 80))
    with pytest.raises(NodeConfigError, match=r"before are 64x48 yuv420p and those after 80x48"):
        ChangeMap(ChangeMapConfig()).open(
            SEGMENT, {"before": info_of(small), "after": info_of(large)}
        )
