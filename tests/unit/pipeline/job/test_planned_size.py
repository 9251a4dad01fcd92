"""Plans are made for the size that is encoded, not for the source's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

import pipeline
from nodes.encode.encoder_table import ENCODERS, Encoder
from nodes.errors import UnsupportedFormatError
from tests.support.media import Video, make_video

LIMITED = {key: row for key, row in ENCODERS.items() if max(row.max_px) < 65_534}
LARGEST = 65_534


def opens(encoder: Encoder, width_px: int, height_px: int) -> bool:
    context = av.CodecContext.create(encoder.name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = width_px, height_px
    context.pix_fmt = "yuvj420p" if encoder.name == "mjpeg" else "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.thread_count = 1
    try:
        context.open()
    except FFmpegError:
        return False
    return True


@pytest.mark.parametrize("key", LIMITED)
def test_the_limits_of_encoders_are_libavs(key: str) -> None:
    row = LIMITED[key]
    most_x, most_y = row.max_px
    assert opens(row, most_x, 64)
    assert opens(row, 64, most_y)
    assert not opens(row, most_x + 2, 64)
    assert not opens(row, 64, most_y + 2)


def test_mpeg2_takes_no_multiple_of_4096() -> None:
    row = ENCODERS["mpeg2video"]
    assert row.indivisible_px == 4096
    assert not opens(row, 4096, 64)
    assert opens(row, 4098, 64)


@pytest.mark.parametrize(
    ("size", "scale", "suffix"),
    [((91, 91), 1, ".mkv"), ((91, 91), 2, ".ts"), ((91, 91), 3, ".mkv"), ((96, 64), 2, ".ts")],
)
def test_the_container_fits_the_enlarged_video(
    tmp_path: Path, size: tuple[int, int], scale: int, suffix: str
) -> None:
    source = make_video(
        tmp_path / "v.ts", Video(codec="mpeg2video", width_px=size[0], height_px=size[1], frames=2)
    )
    plan = pipeline.plan(source, tmp_path / "out", scale=scale, runner="local")
    assert plan.problem is None
    assert Path(str(plan.videos[0].files.target)).suffix == suffix


@pytest.mark.parametrize("size", [(5120, 32), (32, 5120)])
def test_an_enlarged_video_that_the_encoder_refuses_is_refused_by_the_plan(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    source = make_video(tmp_path / "v.mp4", Video(width_px=size[0], height_px=size[1], frames=1))
    settings = ("encode.codec=x264",)
    plan = pipeline.plan(source, tmp_path / "o.mp4", scale=4, runner="local", settings=settings)
    assert isinstance(plan.problem, UnsupportedFormatError)
    large = f"{4 * size[0]}x{4 * size[1]}"
    assert f"cannot code {large} in yuv420p, expected at most 16384x16384" in str(plan.problem)
    plan = pipeline.plan(source, tmp_path / "o.mp4", scale=4, runner="local")
    assert plan.problem is None
