"""The sink of a repetition: what differs outside the named regions, and from the output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from nodes.node import Inputs
from nodes.picture.regions import copy_picture
from nodes.types import ColorTags, FaceChange, Frame, FrameChanges
from pipeline.verification.check_node import CheckRepetition, Compared
from tests.support.faces import info_of, planes_of, segment_in, waves

CHANGE = FaceChange(1, (16, 16, 48, 48), 1.0, 9, 5, 2.5)
LIMITED = ColorTags(matrix=1, range=1)


def frame(picture: av.VideoFrame) -> Frame:
    return Frame(0, 7, 1, picture)


def changed(picture: av.VideoFrame, plane: int, row: int, column: int, by: int) -> av.VideoFrame:
    copy = copy_picture(picture)
    samples = planes_of(copy)[plane]
    samples[row, column] = samples[row, column] + by
    return copy


def checked(
    tmp_path: Path,
    plain: av.VideoFrame,
    written: av.VideoFrame,
    *changes: FaceChange,
    output: Callable[[int], av.VideoFrame | None] | None = None,
    color: ColorTags = LIMITED,
) -> Compared:
    node = CheckRepetition(output or (lambda _: written), color)
    info = info_of(frame(plain), color=LIMITED)
    node.open(segment_in(tmp_path), {"plain": info, "written": info, "changes": info})
    packets = {
        "plain": frame(plain),
        "written": frame(written),
        "changes": FrameChanges(7, changes),
    }
    node.process(Inputs(packets))
    node.finish()
    node.close()
    return node.compared


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "nv12", "gray"])
def test_what_differs_inside_a_region_is_named_and_outside_it_is_found(
    tmp_path: Path, pix_fmt: str
) -> None:
    plain = waves(96, 64, pix_fmt)
    inside, outside = (changed(plain, 0, row, 20, by=1) for row in (20, 50))
    assert checked(tmp_path, plain, plain).outside_pts == []
    assert checked(tmp_path, plain, inside, CHANGE).outside_pts == []
    assert checked(tmp_path, plain, inside).outside_pts == [7]
    assert checked(tmp_path, plain, outside, CHANGE).outside_pts == [7]
    if pix_fmt != "gray":
        colour = changed(plain, 1, 0, 0, by=1)
        assert checked(tmp_path, plain, colour, CHANGE).outside_pts == [7]


def test_a_picture_of_another_size_or_format_differs(tmp_path: Path) -> None:
    plain = waves(96, 64, "yuv420p")
    for other in (waves(96, 66, "yuv420p"), waves(96, 64, "yuv444p")):
        assert checked(tmp_path, plain, other, CHANGE, output=lambda _: None).outside_pts == [7]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_how_far_the_outputs_picture_is_from_the_written_one(tmp_path: Path, pix_fmt: str) -> None:
    plain = waves(96, 64, pix_fmt)
    painted = copy_picture(plain)
    unit = 4 if pix_fmt.endswith("10le") else 1
    planes_of(painted)[0][32:48, 32:64] += np.uint8(40 * unit)
    found = checked(tmp_path, plain, plain, output=lambda _: painted)
    assert (found.pictures, found.largest, found.missing_pts) == (1, 40, None)
    assert (found.block, found.block_pts) == (20.0, 7)
    same = checked(tmp_path, plain, plain)
    assert (same.largest, same.block, same.block_pts) == (0, 0.0, None)


def test_a_picture_in_another_range_is_compared_by_what_it_shows(tmp_path: Path) -> None:
    limited = waves(96, 64, "yuv444p")
    full = copy_picture(limited)
    for index, (plane, scale) in enumerate(zip(planes_of(full), (219, 224, 224), strict=True)):
        offset = 16 if index == 0 else 128
        codes = (plane.astype(float) - offset) * 255 / scale + (0 if index == 0 else 128)
        plane[:] = np.clip(np.rint(codes), 0, 255)
    wide = replace(LIMITED, range=2)
    found = checked(tmp_path, limited, limited, output=lambda _: full, color=wide)
    assert found.largest <= 3
    assert found.block < 1
    assert checked(tmp_path, limited, limited, output=lambda _: full).block > 5


@pytest.mark.parametrize("size", [None, (96, 66)])
def test_a_picture_that_is_not_there_is_missed(
    tmp_path: Path, size: tuple[int, int] | None
) -> None:
    plain = waves(96, 64, "yuv420p")
    other = None if size is None else waves(*size, "yuv420p")
    found = checked(tmp_path, plain, plain, output=lambda _: other)
    assert (found.missing_pts, found.pictures) == (7, 0)
