"""Raw streams store no times: their rate is what their own header says, or what the user does."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from nodes.errors import NodeConfigError
from tests.support.media import AudioTrack, Video, make_video, truncate
from tests.support.video_nodes import decode

RAW = {
    ".h264": Video(b_frames=2),
    ".264": Video(fields="tff"),
    ".hevc": Video(codec="libx265", b_frames=2),
    ".m2v": Video(codec="mpeg2video", b_frames=2),
    ".cmp": Video(codec="mpeg4", format="m4v"),
}
RATES = [Fraction(rate) for rate in (8, 12, 15, 24, 25, 30, 50, 60)] + [
    Fraction(24000, 1001),
    Fraction(30000, 1001),
]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("suffix", RAW)
def test_the_streams_own_header_says_it(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    path = make_video(tmp_path / f"v{suffix}", replace(RAW[suffix], rate=rate, frames=7))
    info, frames, report = decode(path)
    assert info.average_rate == rate
    times_s = [frame.pts * info.time_base for frame in frames]
    for number, time_s in enumerate(times_s):
        assert abs(time_s - number / rate) <= info.time_base
    assert f"from the frame rate, {float(rate):.6g} a second" in report["warnings"][0]


@pytest.mark.parametrize("suffix", [".h264", ".hevc", ".mjpeg"])
def test_the_user_may_say_another(tmp_path: Path, suffix: str) -> None:
    video = RAW.get(suffix, Video(codec="mjpeg", pix_fmt="yuvj420p"))
    path = make_video(tmp_path / f"v{suffix}", replace(video, frames=5))
    info, frames, _ = decode(path, rate=12.5)
    assert info.average_rate == Fraction(25, 2)
    times_s = [float(frame.pts * info.time_base) for frame in frames]
    assert times_s == pytest.approx([0, 0.08, 0.16, 0.24, 0.32], abs=1e-5)


def test_25_where_nobody_does(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mjpeg", Video(codec="mjpeg", pix_fmt="yuvj420p", frames=3))
    assert decode(path)[0].average_rate == 25


def test_what_has_times_keeps_them(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4")
    with pytest.raises(NodeConfigError, match=r"has times of its own; it is for numbered pictures"):
        decode(path, rate=5)


@pytest.mark.parametrize("codec", ["mpeg4", "huffyuv", "mjpeg"])
def test_pictures_that_an_avi_repeats_are_not_damage(tmp_path: Path, codec: str) -> None:
    """Capture programs write an empty chunk for a picture that they missed."""
    shown = (0, 2, 3, 4, 7, 8)
    pix_fmt = {"huffyuv": "yuv422p", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    path = make_video(
        tmp_path / "v.avi", Video(codec=codec, pix_fmt=pix_fmt, frames=len(shown), pts=shown)
    )
    info, frames, report = decode(path)
    assert report["container_frame_count"] == 9
    assert [frame.pts * info.time_base * 25 for frame in frames] == list(shown)
    assert report["warnings"] == []


def test_a_cut_off_avi_is_still_said_to_be(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.avi", Video(codec="mjpeg", pix_fmt="yuvj420p", frames=20))
    _, frames, report = decode(truncate(path, 0.5))
    assert len(frames) < 20
    assert any("frames it claims could not be decoded" in said for said in report["warnings"])
    assert "ends early: the file is cut off" in report["warnings"]


def test_dv_is_shown_at_the_rate_of_its_pictures(tmp_path: Path) -> None:
    sound = AudioTrack(codec="pcm_s16le", layout="stereo", duration_s=0.2)
    video = Video(codec="dvvideo", width_px=720, height_px=576, frames=5, audio=(sound,))
    path = make_video(tmp_path / "v.dv", video)
    with av.open(path) as container:  # libav's average is that of its ticks
        assert container.streams.video[0].average_rate == 60_000
    info, frames, _ = decode(path)
    assert info.average_rate == 25
    assert [frame.pts * info.time_base * 25 for frame in frames] == list(range(5))
