"""Segments encoded apart, joined into one stream."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from nodes.encode.encoders import EncodeConfig
from nodes.errors import MediaError
from pipeline.containers.mux import mux
from tests.support.media import AudioTrack, Subtitle, Video, decode_all, make_video, packets_of
from tests.support.video_nodes import decode, encode, same_pixels

X264 = EncodeConfig(codec="x264", options={"qp": "0"})
REORDERED = EncodeConfig(codec="x264", options={"bf": "3", "b_strategy": "0"})
FFV1 = EncodeConfig(codec="ffv1")

MILLISECONDS = Fraction(1, 1000)
LONG = tuple(40 * n + 13 * (n % 4) + (900 if n > 13 else 0) for n in range(31))


SEGMENT_ENCODERS: dict[str, tuple[EncodeConfig, str]] = {
    "x264": (X264, ".mp4"),
    "x264_b_frames": (REORDERED, ".mp4"),
    "x265": (EncodeConfig(codec="x265", preset="ultrafast"), ".mp4"),
    "vp9": (EncodeConfig(codec="vp9"), ".webm"),
    "av1": (EncodeConfig(codec="av1", preset="12"), ".mkv"),
    "ffv1": (FFV1, ".mkv"),
    "prores": (EncodeConfig(codec="prores"), ".mov"),
    "mpeg4": (EncodeConfig(codec="mpeg4"), ".mp4"),
}


@pytest.mark.parametrize("name", SEGMENT_ENCODERS)
def test_segments_encoded_apart_become_one_stream_of_every_frame(tmp_path: Path, name: str) -> None:
    config, suffix = SEGMENT_ENCODERS[name]
    pix_fmt = "yuv422p10le" if name == "prores" else "yuv420p"
    video = Video(codec="ffv1", pix_fmt=pix_fmt, frames=len(LONG), pts=LONG, time_base=MILLISECONDS)
    source = make_video(tmp_path / "v.mkv", video)
    info, frames, _ = decode(source)
    bounds = [0, 7, 8, 20, len(frames)]
    parts = [
        encode(info, frames[start:end], tmp_path / f"part{start}", config)[0]
        for start, end in pairwise(bounds)
    ]

    target = tmp_path / f"out{suffix}"
    report = mux(parts, str(source), target, info)

    assert (report.frames, report.max_deviation_s, report.shift_s) == (len(frames), 0, 0)
    decoded = decode_all(target)
    assert [picture.time for picture in decoded] == [time / 1000 for time in LONG]
    # What each part decodes to alone is what it is in the joined file.
    alone = [picture for part in parts for picture in decode_all(part)]
    assert same_pixels(decoded, alone)
    with av.open(target) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    times = [p.dts for p in packets if p.dts is not None]
    assert times == sorted(set(times))
    assert all(p.dts is None or p.pts is None or p.dts <= p.pts for p in packets)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_everything_else_of_the_source_is_copied_once_whatever_the_segments(
    tmp_path: Path, suffix: str
) -> None:
    video = Video(
        frames=30,
        audio=(AudioTrack(duration_s=1.2), AudioTrack("ac3", language="fre", duration_s=1.2)),
        subtitles=(Subtitle("mov_text" if suffix == ".mp4" else "subrip"),),
        chapters=((0, 0.5, "one"), (0.5, 1.2, "two")),
        metadata={"title": "Gate 4"},
    )
    source = make_video(tmp_path / f"v{suffix}", video)
    info, frames, _ = decode(source)
    parts = [
        encode(info, frames[start:end], tmp_path / f"part{start}", X264)[0]
        for start, end in ((0, 10), (10, 11), (11, 30))
    ]
    target = tmp_path / f"out{suffix}"
    report = mux(parts, str(source), target, info)
    assert [copied.kind for copied in report.copied] == ["audio", "audio", "subtitle"]
    for copied in report.copied:
        before = packets_of(source, copied.source_index)
        assert packets_of(target, copied.target_index) == before
    with av.open(target) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["one", "two"]
        assert container.metadata["title"] == "Gate 4"
        assert len(container.streams.video) == 1
    assert report.frames == len(decode_all(target)) == 30


def test_segments_with_different_headers_are_refused_with_a_way_out(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(codec="ffv1", frames=6))
    info, frames, _ = decode(source)
    one, _ = encode(info, frames[:3], tmp_path / "one", X264)
    other = EncodeConfig(codec="x264", options={"profile": "baseline", "qp": "20"})
    two, _ = encode(info, frames[3:], tmp_path / "two", other)
    with pytest.raises(MediaError, match=r"run\.segment_s=0"):
        mux([one, two], str(source), tmp_path / "out.mp4", info)


def test_segments_out_of_order_are_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mkv", Video(codec="ffv1", frames=6))
    info, frames, _ = decode(source)
    parts = [
        encode(info, part, tmp_path / name, X264)[0]
        for name, part in (("a", frames[3:]), ("b", frames[:3]))
    ]
    with pytest.raises(MediaError, match="expected later than"):
        mux(parts, str(source), tmp_path / "out.mp4", info)
