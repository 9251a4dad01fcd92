"""A network that adds nothing changes no bit of a video, whatever its pixel format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aminet.files import read_file
from aminet.model_files import save_weights
from aminet.network import AMINet
from nodes.crop import Crop, CropConfig
from nodes.enhance import Enhance, EnhanceConfig
from nodes.fuse import Fuse, FuseConfig
from nodes.node import Inputs
from nodes.paste import Paste, PasteConfig
from nodes.steady import Steady, SteadyConfig
from nodes.types import Frame, FrameFaces, FramePatches, FrameRestored
from tests.support.faces import (
    TINY,
    codes_of,
    face_at,
    frame_of,
    info_of,
    portrait,
    scene,
    segment_in,
)

FORMATS = ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p", "nv12", "gray"]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Enhance:
    """The node with a network whose last layer is 0."""
    torch.manual_seed(0)
    network = AMINet(TINY)
    torch.nn.init.zeros_(network.tail.weight)
    file = tmp_path_factory.mktemp("weights") / "identity.safetensors"
    save_weights(network, file, protocol="camera")
    node = Enhance(EnhanceConfig(weights=str(file), device="cpu"))
    node.prepare(read_file)
    node.setup(1)
    return node


def film(pix_fmt: str) -> list[Frame]:
    """Two frames with noise of their own, so that blending them would change both."""
    face = portrait(120).resize((60, 60)).resize((120, 120))
    image = np.asarray(scene(200, 160, (face, 40, 20)), np.int16)
    noise = np.random.default_rng(0).integers(-4, 5, (2, *image.shape))
    drawn = [Image.fromarray((image + each).astype(np.uint8)) for each in noise]
    return [frame_of(picture, index, pix_fmt) for index, picture in enumerate(drawn)]


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_adding_nothing_changes_no_bit(
    identity: Enhance, pix_fmt: str, scale: int, tmp_path: Path
) -> None:
    frames = film(pix_fmt)
    info = replace(info_of(frames[0]), patch_scale=scale)
    segment = segment_in(tmp_path)
    crop = Crop(CropConfig(scale=scale, min_blur_px=0, min_detail=0))
    fuse, steady, paste = Fuse(FuseConfig()), Steady(SteadyConfig()), Paste(PasteConfig())
    for node in (crop, fuse, steady, paste):
        node.open(segment, {"frames": info, "faces": info, "patches": info, "restored": info})
    faces = (face_at(100, 82, 19),)
    for frame in frames:
        cut = crop.process(Inputs({"frames": frame, "faces": FrameFaces(frame.pts, faces)}))
        fused = fuse.process(Inputs({"patches": cut["patches"]}))
        assert isinstance(cut["patches"], FramePatches)
        assert len(cut["patches"].patches) == 1
        (restored,) = identity.process_batch([Inputs({"patches": fused["patches"]})])
        steadied = steady.process(Inputs({"patches": fused["patches"], **restored}))
        made = paste.process(Inputs({"frames": frame, **steadied}))["frames"]
        plain = paste.process(Inputs({"frames": frame, "restored": FrameRestored(frame.pts)}))
        assert isinstance(made, Frame)
        assert isinstance(plain["frames"], Frame)
        for seen, wanted in zip(
            codes_of(made.picture), codes_of(plain["frames"].picture), strict=True
        ):
            np.testing.assert_array_equal(seen, wanted)
