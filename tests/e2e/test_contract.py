"""What the node contract promises to whoever composes a graph: no wrong result without a word."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

import pipeline
from nodes.errors import NodeConfigError
from tests.support.media import Video, make_video

pytestmark = pytest.mark.filterwarnings("default")


BICUBIC = "enhance.weights=bicubic"


def test_frames_cannot_be_enlarged_without_their_faces(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    with pytest.raises(NodeConfigError, match=r"paste\.scale is 2.* cut out for scale 1"):
        pipeline.enhance(source, tmp_path / "out.mp4", settings=[BICUBIC, "paste.scale=2"])
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("setting", ["params.scale=2", "crop.scale=2"])
def test_the_scale_of_the_faces_is_that_of_the_frames(tmp_path: Path, setting: str) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    pipeline.enhance(source, tmp_path / "out.mp4", settings=[BICUBIC, setting])
    with av.open(tmp_path / "out.mp4") as made, av.open(source) as given:
        assert made.streams.video[0].width == 2 * given.streams.video[0].width
