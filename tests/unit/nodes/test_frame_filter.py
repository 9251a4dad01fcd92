"""Frames as RGB and back, and nodes that are eight lines long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import av
import cv2
import numpy as np
import pytest

from nodes.frame_filter import FrameFilter
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.picture.layout import pixel_layout, plane_codes
from nodes.testing import check_node
from nodes.types import ColorTags, Frame, RgbImage
from tests.support.faces import codes_of, info_of, waves
from tests.support.toy_nodes import Add, Number

FORMATS = ["yuv420p", "nv12", "yuv422p10le", "yuv444p12le", "gray", "gray10le", "p010le"]
HD = ColorTags(matrix=1, range=1)


class BlurConfig(NodeConfig):
    sigma_px: float = 3.0
    """Standard deviation of the blur."""


class Blur(FrameFilter[BlurConfig], type_name="acme.blur", summary="blur the whole picture"):
    Config = BlurConfig

    def filter(self, rgb: RgbImage) -> RgbImage:
        blurred = cv2.GaussianBlur(rgb, (0, 0), self.config.sigma_px)
        return cast("RgbImage", np.asarray(blurred, rgb.dtype))


def frame_in(pix_fmt: str, width_px: int = 70, height_px: int = 54) -> Frame:
    picture = waves(width_px, height_px, pix_fmt)
    picture.colorspace, picture.color_range = 1, 1
    return Frame(0, 0, 1, picture)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_colours_go_back_to_the_very_codes_they_came_from(pix_fmt: str) -> None:
    frame = frame_in(pix_fmt)
    rgb = frame.rgb()
    assert rgb.shape == (54, 70, 3)
    assert rgb.dtype == (np.uint8 if pixel_layout(pix_fmt).bit_depth == 8 else np.uint16)
    assert frame.with_rgb(rgb) is frame


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_only_what_differs_is_changed_and_to_what_was_asked_for(pix_fmt: str) -> None:
    frame = frame_in(pix_fmt)
    before, rgb = codes_of(frame.picture), frame.rgb()
    top = (1 << pixel_layout(pix_fmt).bit_depth) - 1
    rgb[10:30, 20:40] += rgb.dtype.type(round(0.06 * top))
    changed = frame.with_rgb(rgb)
    assert [(a == b).all() for a, b in zip(codes_of(frame.picture), before, strict=True)]
    assert changed.picture.format.name == pix_fmt
    assert (changed.picture.colorspace, changed.picture.color_range) == (1, 1)
    luma, old = codes_of(changed.picture)[0], before[0]
    outside = np.ones(luma.shape, bool)
    outside[10:30, 20:40] = False
    assert (luma[outside] == old[outside]).all()
    assert (luma[~outside] != old[~outside]).all()
    error = changed.rgb().astype(float) - rgb
    assert np.abs(error).max() <= 3 * top / 255
    assert abs(error.mean()) <= 0.3 * top / 255


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [1, 2])
def test_luma_keeps_its_mean_where_the_obvious_way_is_levels_off(matrix: int, full: int) -> None:
    picture = waves(96, 64, "yuv420p")
    picture.colorspace, picture.color_range = matrix, full
    frame = Frame(0, 0, 1, picture)
    before = codes_of(picture)[0].mean()
    lighter = frame.with_rgb(np.clip(frame.rgb().astype(int) + 1, 0, 255).astype(np.uint8))
    moved = codes_of(lighter.picture)[0].mean() - before
    assert moved == pytest.approx(1.0 if full == 2 else 219 / 255, abs=0.35)
    obvious = av.VideoFrame.from_ndarray(frame.rgb(), format="rgb24").reformat(format="yuv420p")
    if full == 2:
        assert abs(codes_of(obvious)[0].mean() - before) > 1


def test_tags_of_the_video_count_more_than_those_of_the_picture() -> None:
    frame = frame_in("yuv444p")
    assert (frame.rgb(HD) == frame.rgb()).all()
    assert (frame.rgb(replace(HD, matrix=9)) != frame.rgb()).any()


@pytest.mark.parametrize("wrong", [np.zeros((54, 70, 3), np.uint16), np.zeros((9, 9, 3), np.uint8)])
def test_colours_of_another_kind_are_refused(wrong: RgbImage) -> None:
    with pytest.raises(ValueError, match=r"expected \(54, 70, 3\) and uint8"):
        frame_in("yuv420p").with_rgb(wrong)


def test_a_frame_filter_keeps_the_contract() -> None:
    check_node(Blur, sigma_px=2.0)
    assert Blur.spec.type_name == "acme.blur"


def test_a_frame_filter_blurs() -> None:
    frame = frame_in("yuv420p10le")
    node = Blur(BlurConfig(sigma_px=6.0))
    node.open(Segment("v", Path(), 1), {"frames": info_of(frame, color=HD)})
    made = node.process(Inputs({"frames": frame}))["frames"]
    assert isinstance(made, Frame)
    assert made.rgb().std() < 0.9 * frame.rgb().std()


class Faulty(Blur):
    """Breaks the contract in the way that a test asks for."""

    fault: ClassVar[str] = ""

    def process(self, inputs: Inputs) -> Outputs:
        frame = inputs.get("frames", Frame)
        if self.fault == "edits":
            plane_codes(frame.picture.planes[0], np.uint8)[:] += 1
        if self.fault == "pts":
            return {"frames": replace(frame, pts=frame.pts + 1)}
        if self.fault == "port":
            return {"faces": frame}
        if self.fault == "type":
            return {"frames": inputs}  # pyright: ignore[reportReturnType]
        if self.fault == "chance":
            rgb = np.random.default_rng().integers(0, 255, frame.rgb().shape, np.uint8)
            return {"frames": frame.with_rgb(cast("RgbImage", rgb.astype(frame.rgb().dtype)))}
        return {"frames": frame}

    def report(self) -> dict[str, Any]:
        return [] if self.fault == "report" else {}  # pyright: ignore[reportReturnType]

    def __getstate__(self) -> Any:
        if self.fault == "pickle":
            return {"_config": BlurConfig(sigma_px=9)}
        return self.__dict__


FAULTS = {
    "edits": "it changed a packet",
    "pts": "it sent pts 1 on 'frames', not 0",
    "port": r"it answered on \['faces'\], not on \['frames'\]",
    "type": "it sent a Inputs on 'frames'",
    "chance": "a second run",
    "report": r"report\(\) returns no dict",
    "pickle": "another one after pickling",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_node_finds(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Faulty, "fault", fault)
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_node(Faulty)


class Counting(Blur, type_name="acme.counting", summary="darken by the number of the frame"):
    """Remembers how many frames came, and does not say so."""

    def open(self, segment: Segment, inputs: Any) -> Any:
        self.count = 0
        return super().open(segment, inputs)

    def filter(self, rgb: RgbImage) -> RgbImage:
        self.count += 1
        return rgb // self.count


class Whole(Counting, type_name="acme.whole", summary="say so", state=State.UNBOUNDED):
    pass


def test_check_node_finds_what_a_cut_would_change() -> None:
    with pytest.raises(AssertionError, match=r"from frame 6 on.*warmup_s"):
        check_node(Counting)
    check_node(Whole)


def test_check_node_wants_packets_of_types_that_it_does_not_know() -> None:
    with pytest.raises(AssertionError, match=r"give packets=\{'in': \[\.\.\.\]\}"):
        check_node(Twice)
    check_node(Twice, packets={"in": [Number(3 * i, i) for i in range(4)]})


def test_check_node_wants_every_setting_explained() -> None:
    with pytest.raises(AssertionError, match="setting 'amount' has no docstring"):
        check_node(Add, packets={"in": [Number(3 * i, i) for i in range(4)]})


class Twice(MapNode[NodeConfig]):
    spec = NodeSpec(
        "acme.twice", "double", inputs=(Port("in", Number),), outputs=(Port("out", Number),)
    )
    Config = NodeConfig

    def process(self, inputs: Inputs) -> Outputs:
        number = inputs.get("in", Number)
        return {"out": Number(number.pts, 2 * number.value)}
