"""`aminet.map` and `aminet.map_faces`: Python functions as nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nodes.crop import Crop, CropConfig
from nodes.errors import NodeConfigError
from nodes.map import FunctionConfig, MapFaces, MapFrames
from nodes.node import Inputs, Segment
from nodes.paste import Paste, PasteConfig
from nodes.testing import check_node
from nodes.types import Frame, FrameFaces, FrameRestored, RgbImage
from tests.support.faces import face_at, frame_of, info_of, portrait, scene


def brighter(rgb: RgbImage) -> RgbImage:
    assert rgb.dtype == np.uint8
    return np.clip(rgb.astype(np.int32) + 20, 0, 255).astype(np.uint8)


def as_text(rgb: RgbImage) -> Any:
    return "no picture"


def smaller(rgb: RgbImage) -> RgbImage:
    return rgb[::2]


def as_float(rgb: RgbImage) -> Any:
    return rgb / 255


def prepared(name: str, **more: Any) -> MapFrames:
    node = MapFrames(FunctionConfig(function=name, **more))
    node.prepare(lambda _: None)
    node.setup(1)
    return node


@pytest.mark.parametrize("node_class", [MapFrames, MapFaces])
def test_they_keep_the_contract(node_class: Any) -> None:
    check_node(node_class, function="numpy:fliplr")


def test_a_function_itself_can_be_given_where_python_can_import_it() -> None:
    assert FunctionConfig.model_validate({"function": np.fliplr}).function == "numpy:fliplr"
    with pytest.raises(ValidationError, match="which other processes cannot import"):
        FunctionConfig.model_validate({"function": lambda rgb: rgb})


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("no_such_module:f", {}, "No module named 'no_such_module': install it, or put its folder"),
        ("numpy:no_such", {}, "has no attribute 'no_such'"),
        ("numpy:pi", {}, "is a float, not a function"),
        ("textwrap:dedent", {"x": 1}, "cannot be called with a picture and x"),
    ],
)
def test_what_is_no_function_is_refused_before_the_work(
    name: str, arguments: dict[str, Any], said: str
) -> None:
    node = MapFrames(FunctionConfig(function=name, arguments=arguments))
    with pytest.raises(NodeConfigError, match=said):
        node.prepare(lambda _: None)


@pytest.mark.parametrize("name", ["numpy", "numpy:", ":fliplr", "numpy.fliplr", "fx.py:f f"])
def test_a_name_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        FunctionConfig(function=name)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (as_text, r"returned a str, expected a picture: an array of shape \(48, 64, 3\)"),
        (smaller, r"returned shape \(24, 64, 3\) and type uint8, expected \(48, 64, 3\) and uint8"),
        (as_float, r"type float64, expected .* uint8"),
    ],
)
def test_an_answer_that_is_no_such_picture_is_refused(function: Any, said: str) -> None:
    node = prepared("numpy:asarray")
    node._function = function
    frame = frame_of(scene(64, 48))
    node.open(Segment("v", Path(), 1), {"frames": info_of(frame)})
    with pytest.raises(NodeConfigError, match=said):
        node.process(Inputs({"frames": frame}))


def test_a_remembering_function_gets_the_whole_video() -> None:
    assert FunctionConfig(function="numpy:fliplr").uncut_reason() is None
    reason = FunctionConfig(function="numpy:fliplr", whole=True).uncut_reason()
    assert reason == "numpy:fliplr needs the whole video (whole: true)"


def test_another_version_of_the_function_is_another_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "fx_of_test.py"
    file.write_text("def f(rgb):\n    return rgb\n")
    node = prepared("fx_of_test:f")
    before = node.content_id()
    file.write_text("def f(rgb):\n    return rgb // 2\n")
    assert node.content_id() != before != ""


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_what_a_function_changes_of_a_face_is_pasted(scale: int, pix_fmt: str) -> None:
    frame = frame_of(scene(160, 128, (portrait(96), 32, 16)), pix_fmt=pix_fmt)
    info = info_of(frame)
    crop = Crop(CropConfig(min_detail=0, min_blur_px=0, scale=scale))
    large = crop.open(Segment("v", Path(), 1), {"frames": info})
    faces = FrameFaces(0, (face_at(80, 55, 24),))
    patches = crop.process(Inputs({"frames": frame, "faces": faces}))["patches"]
    node = MapFaces(FunctionConfig(function="numpy:asarray"))
    node._function = brighter
    restored = node.process(Inputs({"patches": patches}))["restored"]
    assert isinstance(restored, FrameRestored)
    (patch,) = restored.patches
    restored = FrameRestored(0, (replace(patch, strength=1.0),))
    made: list[Frame] = []
    for part in (restored, FrameRestored(0)):
        paste = Paste(PasteConfig())
        paste.open(Segment("v", Path(), 1), {"frames": info, "restored": large})
        out = paste.process(Inputs({"frames": frame, "restored": part}))["frames"]
        assert isinstance(out, Frame)
        made.append(out)
    unit = 4 if pix_fmt.endswith("10le") else 1
    with_face, plain = (out.rgb().astype(float) / unit for out in made)
    change = with_face - plain
    x, y = 80 * scale, 65 * scale
    assert change[y - 4 : y + 4, x - 4 : x + 4].mean() == pytest.approx(20, abs=2)
    assert np.abs(change[: 10 * scale]).max() < 1.1
