"""Whole frames, larger and smaller."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nodes.errors import NodeConfigError
from nodes.node import Inputs, Segment
from nodes.resize import Resize, ResizeConfig
from nodes.testing import check_node
from nodes.types import Frame, VideoInfo
from tests.support.faces import info_of, waves


def resized(pix_fmt: str = "yuv420p", **settings: Any) -> tuple[VideoInfo, Frame]:
    frame = Frame(0, 0, 1, waves(128, 96, pix_fmt))
    node = Resize(ResizeConfig(**settings))
    info = node.open(Segment("v", Path(), 1), {"frames": info_of(frame)})
    made = node.process(Inputs({"frames": frame}))["frames"]
    node.close()
    assert isinstance(made, Frame)
    return info, made


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"height_px": 48}, (64, 48)),
        ({"width_px": 256}, (256, 192)),
        ({"scale": 0.5}, (64, 48)),
        ({"scale": 3}, (384, 288)),
        ({"height_px": 37}, (48, 36)),
        ({"width_px": 40, "height_px": 90}, (40, 90)),
        ({}, (128, 96)),
        ({"scale": 1}, (128, 96)),
    ],
)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray"])
def test_the_size_is_what_was_asked_for(
    settings: dict[str, Any], size: tuple[int, int], pix_fmt: str
) -> None:
    info, made = resized(pix_fmt, **settings)
    if pix_fmt == "gray" and "height_px" in settings and settings["height_px"] == 37:
        size = (49, 37)
    if pix_fmt == "yuv422p10le" and settings.get("height_px") == 37:
        size = (48, 37)
    assert (info.width_px, info.height_px) == (made.picture.width, made.picture.height) == size
    assert made.picture.format.name == pix_fmt


def test_the_picture_stays_the_same_picture() -> None:
    _, small = resized(scale=0.5)
    _, large = resized(scale=2)
    plain = waves(128, 96, "yuv420p").to_ndarray(format="gray")
    for made, factor in ((small, 0.5), (large, 2)):
        luma = made.picture.to_ndarray(format="gray").astype(float)
        assert abs(luma.mean() - plain.mean()) < 0.5, factor
        assert luma.shape == (96 * factor, 128 * factor)
        assert abs(float(np.std(luma)) - float(np.std(plain))) < 2


def test_both_sides_keep_the_shape_in_which_it_is_shown() -> None:
    info, _ = resized(width_px=64, height_px=96)
    assert info.sample_aspect_ratio == Fraction(2)
    assert resized(height_px=48)[0].sample_aspect_ratio == 1


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="either scale, or"):
        ResizeConfig(scale=2, width_px=100)
    frame = Frame(0, 0, 1, waves(128, 96, "yuv420p"))
    info = replace(info_of(frame), interlaced=True)
    with pytest.raises(NodeConfigError, match="deinterlace=true"):
        Resize(ResizeConfig(scale=0.5)).open(Segment("v", Path(), 1), {"frames": info})


@pytest.mark.parametrize("settings", [{"scale": 0.5}, {"height_px": 100}, {}])
def test_resize_keeps_the_contract(settings: dict[str, Any]) -> None:
    check_node(Resize, **settings)
