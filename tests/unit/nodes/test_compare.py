"""Two versions of a video in one picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodes.compare import Compare, CompareConfig
from nodes.errors import NodeConfigError
from nodes.node import Inputs, Segment
from nodes.testing import check_node
from nodes.types import Frame, VideoInfo
from tests.support.faces import codes_of, info_of, waves

FORMATS = ["yuv420p", "yuv422p10le", "yuv411p", "nv12", "p010le", "yuv444p", "gray"]


def compared(
    size: tuple[int, int],
    pix_fmt: str = "yuv420p",
    *,
    rotation_deg: int = 0,
    pts: int = 0,
    **settings: Any,
) -> tuple[VideoInfo, Frame, list[Frame]]:
    sources = [Frame(0, pts, 1, waves(*size, pix_fmt, seed=seed)) for seed in (0, 3)]
    infos = {
        port: replace(info_of(frame), rotation_deg=rotation_deg)
        for port, frame in zip(("before", "after"), sources, strict=True)
    }
    node = Compare(CompareConfig(**settings))
    info = node.open(Segment("v", Path(), 1), infos)
    made = node.process(Inputs(dict(zip(("before", "after"), sources, strict=True))))["frames"]
    assert isinstance(made, Frame)
    assert info == node.announce(infos)
    assert (info.width_px, info.height_px) == (made.picture.width, made.picture.height)
    return info, made, sources


@pytest.mark.parametrize("settings", [{}, {"layout": "stacked"}, {"layout": "wipe"}])
def test_it_keeps_the_contract(settings: dict[str, Any]) -> None:
    check_node(Compare, **settings)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("layout", ["side_by_side", "stacked"])
def test_both_are_whole_and_bit_for_bit(layout: str, pix_fmt: str, size: tuple[int, int]) -> None:
    _, made, sources = compared(size, pix_fmt, layout=layout, line_px=3)
    axis = 1 if layout == "side_by_side" else 0
    planes = [codes_of(frame.picture) for frame in (made, *sources)]
    for plane, *own in zip(*planes, strict=True):
        for part, source in zip((0, -1), own, strict=True):
            length = source.shape[axis]
            where = slice(0, length) if part == 0 else slice(plane.shape[axis] - length, None)
            seen = plane[:, where] if axis == 1 else plane[where]
            # Chroma at the line may be shared with it.
            inner = seen[: length - 1] if axis == 0 else seen[:, : length - 1]
            wanted = source[: length - 1] if axis == 0 else source[:, : length - 1]
            assert np.array_equal(inner, wanted)


@pytest.mark.parametrize(
    ("layout", "rotation_deg", "size", "before_at"),
    [
        ("side_by_side", 0, (132, 48), (0, 0)),
        ("side_by_side", 90, (64, 100), (0, -1)),
        ("side_by_side", 180, (132, 48), (-1, 0)),
        ("side_by_side", 270, (64, 100), (0, 0)),
        ("stacked", 0, (64, 100), (0, 0)),
        ("stacked", 90, (132, 48), (0, 0)),
        ("stacked", 180, (64, 100), (0, -1)),
        ("stacked", 270, (132, 48), (-1, 0)),
    ],
)
def test_the_version_before_is_on_the_viewers_left_or_top(
    layout: str, rotation_deg: int, size: tuple[int, int], before_at: tuple[int, int]
) -> None:
    _, made, (before, _) = compared((64, 48), rotation_deg=rotation_deg, layout=layout)
    assert (made.picture.width, made.picture.height) == size
    luma, own = codes_of(made.picture)[0], codes_of(before.picture)[0]
    ends = zip(before_at, size, (64, 48), strict=True)
    x, y = (0 if at == 0 else whole - part for at, whole, part in ends)
    assert np.array_equal(luma[y : y + 48, x : x + 64], own)


def test_a_wipe_shows_before_on_the_left_and_moves_with_time() -> None:
    lines: list[int] = []
    for pts in (10, 25, 40):  # of 1/25 s
        _, made, (before, after) = compared((64, 48), pts=pts, layout="wipe", line_px=2)
        luma = codes_of(made.picture)[0]
        line = int(np.argmax((luma == 235).all(axis=0)))
        assert np.array_equal(luma[:, :line], codes_of(before.picture)[0][:, :line])
        assert np.array_equal(luma[:, line + 2 :], codes_of(after.picture)[0][:, line + 2 :])
        lines.append(line)
    assert lines[0] < lines[1] < lines[2]
    _, still, _ = compared((64, 48), pts=10, layout="wipe", wipe_s=0, line_px=2)
    assert (codes_of(still.picture)[0] == 235).all(axis=0)[32]


def test_versions_of_different_size_are_refused_with_what_to_do() -> None:
    small, large = (Frame(0, 0, 1, waves(*size, "yuv420p")) for size in ((64, 48), (128, 96)))
    with pytest.raises(NodeConfigError, match=r"64x48 yuv420p, those after 128x96.*aminet\.paste"):
        Compare(CompareConfig()).open(
            Segment("v", Path(), 1), {"before": info_of(small), "after": info_of(large)}
        )
