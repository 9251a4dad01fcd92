"""Packets are copied wherever no picture changed, and no decoder fails at a join."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import pipeline
from pipeline.job.report import VideoReport
from pipeline.pieces import parameter_sets
from tests.support.decoding import (
    differs_after_seek,
    differs_in_second_decoder,
    keyframe_times,
    same_pictures,
)
from tests.support.marking import marking_graph, times_of
from tests.support.media import AudioTrack, Video, decode_all, make_video, packets_of, planes

pytestmark = pytest.mark.filterwarnings("default")

MS = Fraction(1, 1000)
H264 = Video(frames=50, gop_frames=10, b_frames=2, time_base=MS, pts=tuple(range(0, 2000, 40)))
X265 = "log-level=none:pools=1:frame-threads=1:keyint=10:bframes=2"
HEVC = replace(H264, codec="libx265", b_frames=0, options={"x265-params": f"{X265}:open-gop=0"})
IN_ORDER = replace(H264, b_frames=0)
"""As cameras and recorders code."""
HEVC_IN_ORDER = replace(HEVC, options={"x265-params": f"{X265}:open-gop=0:bframes=0"})
VP9 = replace(H264, codec="libvpx-vp9", b_frames=0, options={"cpu-used": "8", "lag-in-frames": "5"})
UNEVEN = replace(H264, pts=tuple(n * n + 20 * n + 300 for n in range(50)))
MARKED = (13, 14, 31, 39, 40)
"""In GOPs 1, 3 and 4 of 5; the last is the first of its GOP."""
COPIED = (*range(10), *range(20, 30))


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("v.mp4", replace(H264, audio=(AudioTrack(),))),
        ("v.mkv", H264),
        ("v.mov", IN_ORDER),
        ("main.mkv", replace(IN_ORDER, options={"preset": "veryfast", "profile": "main"})),
        ("v.ts", replace(H264, audio=(AudioTrack(),))),
        ("v.nut", H264),
        ("uneven.mkv", UNEVEN),
        ("uneven.mp4", UNEVEN),
        ("hevc.mp4", HEVC),
        ("hevc.ts", HEVC),
        ("hevc_in_order.mp4", HEVC_IN_ORDER),
        ("vp9.webm", VP9),
    ],
)
def test_gops_without_a_change_are_copied_and_the_others_encoded(
    name: str, video: Video, tmp_path: Path
) -> None:
    source, out = make_video(tmp_path / name, video), tmp_path / "out" / name
    report = _run(source, out, MARKED)
    before, after = decode_all(source), decode_all(out)

    assert report.copied_frames == len(COPIED)
    pairs = list(zip(before, after, strict=True))
    assert [number for number, pair in enumerate(pairs) if same_pictures(*pair)] == [*COPIED]
    assert _times(before) == _times(after)
    for number, (one, other) in enumerate(pairs):
        assert (_psnr_db(one, other) > 30) == (number not in MARKED), number
    # MPEG-TS and HEVC have parameter sets in the packets of keyframes.
    keyframes = {0, 20} if name.endswith(".ts") or name.startswith("hevc") else set[int]()
    assert _payloads_of(source, {*COPIED} - keyframes) <= _payloads_of(out, range(50))
    assert _in_order(source) == _in_order(out)
    assert len(keyframe_times(out)) >= 4
    assert not differs_after_seek(out, after)
    assert not differs_in_second_decoder(out, after)


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("mjpeg.mov", Video(codec="mjpeg", pix_fmt="yuvj420p")),
        ("prores.mov", Video(codec="prores_ks", pix_fmt="yuv422p10le")),
        ("ffv1.mkv", Video(codec="ffv1")),
        ("vp8.webm", Video(codec="libvpx", options={"auto-alt-ref": "0"})),
        ("av1.mp4", Video(codec="libsvtav1", options={"preset": "12"})),
        (
            "open.mkv",
            replace(H264, options={"x264-params": "open-gop=1:keyint=10"}),
        ),
        ("open.mp4", replace(HEVC, options={"x265-params": f"{X265}:open-gop=1"})),
        ("fields.ts", Video(fields="tff", frames=24)),
        ("one.mp4", Video(frames=1)),
    ],
)
def test_a_video_without_a_change_is_copied_whole(name: str, video: Video, tmp_path: Path) -> None:
    source, out = make_video(tmp_path / name, video), tmp_path / "out" / name
    report = _run(source, out, ())

    assert report.copied_frames == report.frames == len(decode_all(source))
    assert _payloads(source) == _payloads(out)
    assert _times(decode_all(source)) == _times(decode_all(out))
    assert report.mux["max_deviation_s"] == 0
    assert all(
        same_pictures(*pair) for pair in zip(decode_all(source), decode_all(out), strict=True)
    )
    assert not differs_in_second_decoder(out, decode_all(source))


@pytest.mark.parametrize("segment_s", [0, 0.8])
def test_what_is_copied_does_not_depend_on_the_segments(segment_s: float, tmp_path: Path) -> None:
    source, out = make_video(tmp_path / "v.mp4", H264), tmp_path / "out" / "v.mp4"
    report = _run(source, out, MARKED, segment_s=segment_s)

    assert report.segments == (1 if segment_s == 0 else 2)
    pairs = zip(decode_all(source), decode_all(out), strict=True)
    assert [n for n, pair in enumerate(pairs) if same_pictures(*pair)] == [*COPIED]


def test_open_gops_are_encoded_as_a_whole_also_where_no_segment_of_them_changed(
    tmp_path: Path,
) -> None:
    options = {"x264-params": "open-gop=1:keyint=10:scenecut=0"}
    source = make_video(tmp_path / "v.mkv", replace(H264, options=options))
    report = _run(source, tmp_path / "out" / "v.mkv", (3,), segment_s=0.8)

    assert report.segments == 2
    assert report.copied_frames == 0
    assert "as a whole" in str(report.why_not_copied)
    before, after = decode_all(source), decode_all(tmp_path / "out" / "v.mkv")
    assert _times(before) == _times(after)
    assert not any(same_pictures(*pair) for pair in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("name", "video", "why"),
    [
        ("mpeg4.mp4", Video(codec="mpeg4", b_frames=2), "mpeg4 is not joined"),
        ("mpeg2.ts", Video(codec="mpeg2video", b_frames=2), "mpeg2video is not joined"),
        ("mjpeg.mov", Video(codec="mjpeg", pix_fmt="yuvj420p"), "mjpeg is not joined"),
        ("av1.mp4", Video(codec="libsvtav1", options={"preset": "12"}), "av1 is not joined"),
        ("fields.ts", Video(fields="tff", frames=24), "it is interlaced"),
    ],
)
def test_where_encoded_stretches_cannot_stand_a_change_encodes_all_and_says_why(
    name: str, video: Video, why: str, tmp_path: Path
) -> None:
    source, out = make_video(tmp_path / name, video), tmp_path / "out" / name
    report = _run(source, out, (3,))

    assert report.copied_frames == 0
    assert why in str(report.why_not_copied)
    assert _times(decode_all(source)) == _times(decode_all(out))


def test_an_output_that_decodes_to_another_picture_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = make_video(tmp_path / "v.mp4", H264), tmp_path / "out" / "v.mp4"
    # As if the parameter sets of the encoder were lost.
    monkeypatch.setattr(parameter_sets, "_joined_h264", lambda source, _encoder: source)
    report = _run(source, out, MARKED)

    assert report.copied_frames == 0
    assert "once it is decoded" in str(report.why_not_copied)
    assert len(decode_all(out)) == 50


@pytest.mark.parametrize(
    "setting", ["copy=false", "crf=20", "codec=x264", "lossless=true", "preset=fast"]
)
def test_settings_that_say_how_to_encode_encode_everything(setting: str, tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", replace(H264, frames=3, pts=(0, 40, 80)))
    report = _run(source, tmp_path / "out" / "v.mp4", (), f"encode.{setting}")

    assert report.copied_frames == 0
    assert f"encode.{setting.partition('=')[0]} is" in str(report.why_not_copied)


def _run(
    source: Path, out: Path, marked: tuple[int, ...], *settings: str, segment_s: float = 60
) -> VideoReport:
    out.parent.mkdir()
    report = pipeline.run_graph(
        marking_graph(*times_of(source, marked)),
        source,
        out,
        runner="local",
        settings=("run.threads=1", f"run.segment_s={segment_s}", *settings),
    )
    return report.videos[0]


def _payloads(path: Path) -> list[bytes]:
    return [payload for _, payload in packets_of(path, 0)]


def _payloads_of(path: Path, frames: Iterable[int]) -> set[bytes]:
    """Return the payloads of the packets of these frames."""
    packets = packets_of(path, 0)
    shown = sorted(time for time, _ in packets)
    wanted = {shown[number] for number in frames}
    return {payload for time, payload in packets if time in wanted}


def _in_order(path: Path) -> bool:
    """Return whether pictures are stored in the order in which they are shown."""
    times = [time for time, _ in packets_of(path, 0)]
    return times == sorted(times)


def _times(pictures: list[av.VideoFrame]) -> list[Fraction]:
    exact = [(picture.pts or 0) * (picture.time_base or Fraction(0)) for picture in pictures]
    return [time - exact[0] for time in exact]


def _psnr_db(one: av.VideoFrame, other: av.VideoFrame) -> float:
    error = np.mean((planes(one)[0].astype(float) - planes(other)[0].astype(float)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
