"""Pictures are kept in a file that loses nothing, and that takes little memory, until written."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.format import VideoFormat

from nodes.encode import Encode
from nodes.encode.encoders import EncodeConfig, plan_encoder, plan_intermediate
from nodes.encode.writer import VIDEO_FILE
from nodes.node import Inputs, Segment
from nodes.picture.formats import editable_format
from nodes.types import ColorTags, Frame, VideoInfo
from pipeline.pictures.outputs import EXACT_CODEC
from tests.support.faces import planes_of

WIDTH_PX, HEIGHT_PX = 322, 246
FORMATS = sorted(
    {
        editable_format(f"{name}{depth}")
        for name in ("yuv420p", "yuv422p", "yuv444p", "gray", "yuvj420p", "nv12", "p010le")
        for depth in ("", "9le", "10le", "12le", "14le", "16le")
        if name[-1] in "py" or not depth
        if not (name == "yuvj420p" and depth)
    }
)


def info_of(pix_fmt: str) -> VideoInfo:
    return VideoInfo(
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        pix_fmt=pix_fmt,
        time_base=Fraction(1, 25),
        average_rate=Fraction(25),
        sample_aspect_ratio=Fraction(1),
        rotation_deg=0,
        color=ColorTags(range=2 if "yuvj" in pix_fmt else 1),
        codec_name="png",
        bit_depth=max(component.bits for component in VideoFormat(pix_fmt).components),
        still=True,
    )


def noise(pix_fmt: str) -> av.VideoFrame:
    """What an encoder can make least of."""
    picture = av.VideoFrame(WIDTH_PX, HEIGHT_PX, pix_fmt)
    random, bits = np.random.default_rng(0), info_of(pix_fmt).bit_depth
    for plane in planes_of(picture):
        shift = 8 * plane.itemsize - bits if pix_fmt.startswith("p0") else 0
        plane[:] = random.integers(0, 1 << bits, plane.shape).astype(plane.dtype) << shift
    return picture


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_format_comes_back_as_it_was(pix_fmt: str, tmp_path: Path) -> None:
    info, node, picture = info_of(pix_fmt), Encode(EncodeConfig()), noise(pix_fmt)
    node.setup(1)
    node.open(Segment("v.png", tmp_path, threads=2, codec=EXACT_CODEC), {"frames": info})
    node.process(Inputs({"frames": Frame(0, 0, 1, picture)}))
    node.finish()
    node.close()
    with av.open(tmp_path / VIDEO_FILE) as container:
        (kept,) = container.decode(video=0)
    wanted = plan_encoder(EncodeConfig(codec=EXACT_CODEC), info, 2).pix_fmt
    assert kept.format.name == wanted
    if wanted == pix_fmt:
        for before, after in zip(planes_of(picture), planes_of(kept), strict=True):
            assert (before == after).all()


def test_only_such_a_file_is_of_the_experimental_version() -> None:
    plan = plan_encoder(EncodeConfig(codec="ffv1"), info_of("yuv444p"), 2)
    assert plan.options["level"] == "3"
    assert plan_intermediate(plan).options["level"] == "4"
    gray = plan_encoder(EncodeConfig(codec="ffv1"), info_of("gray16le"), 2)
    assert plan_intermediate(gray).options == gray.options
    other = plan_encoder(EncodeConfig(codec="x264"), replace(info_of("yuv420p"), still=False), 2)
    assert plan_intermediate(other).options == other.options
