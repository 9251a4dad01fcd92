"""Where a coded video can be cut, and one header for the streams of two encoders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest

from nodes.encode.encoder_table import OWN_SET
from pipeline.containers.probe import scan_packets
from pipeline.pieces.parameter_sets import JoinedHeader, set_numbers
from tests.support.media import Video, make_video

H264 = Video(frames=30, gop_frames=10, b_frames=2)
HEVC = Video(codec="libx265", frames=30)
QUIET = "log-level=none:pools=1:frame-threads=1:keyint=10:bframes=2:scenecut=0"


@pytest.mark.parametrize(
    ("name", "video", "cuts"),
    [
        ("v.mkv", H264, 2),
        ("v.mp4", H264, 2),
        ("v.ts", H264, 2),
        ("v.mkv", replace(H264, options={"x264-params": "open-gop=1"}), 0),
        ("v.mkv", replace(H264, options={"intra-refresh": "1"}), 0),
        ("v.mp4", replace(HEVC, options={"x265-params": f"{QUIET}:open-gop=0"}), 2),
        ("v.mp4", replace(HEVC, options={"x265-params": f"{QUIET}:open-gop=1"}), 0),
        ("v.webm", Video(codec="libvpx-vp9", frames=30, gop_frames=10), 2),
        ("v.mp4", Video(codec="mpeg4", frames=30, gop_frames=10), 0),
    ],
)
def test_only_keyframes_that_begin_a_closed_gop_are_cuts(
    name: str, video: Video, cuts: int, tmp_path: Path
) -> None:
    scan = scan_packets(str(make_video(tmp_path / name, video)))
    assert len(scan.cut_pts) == cuts
    assert set(scan.cut_pts) <= set(scan.keyframe_pts) - {min(scan.shown_pts)}


def test_a_header_lists_the_parameter_sets_of_both_and_the_higher_profile_and_level(
    tmp_path: Path,
) -> None:
    options = {"profile": "baseline", "level": "1"}
    source = _header(tmp_path / "a.mp4", Video(options=options))
    own = {"preset": "veryfast", "x264-params": f"sps-id={OWN_SET}"}
    encoder = _header(tmp_path / "b.nut", Video(b_frames=2, options=own))
    joined = JoinedHeader("h264", source, encoder).header

    assert set_numbers(source) == {0}
    assert set_numbers(encoder) == {OWN_SET}
    assert set_numbers(joined) == {0, OWN_SET}
    assert joined[1] == 100
    assert joined[3] >= source[3]
    assert joined.endswith(bytes((0xFD, 0xF8, 0xF8, 0)))


def test_a_damaged_header_has_no_parameter_sets(tmp_path: Path) -> None:
    header = _header(tmp_path / "a.mp4", Video())
    for size in range(5, 20):
        assert set_numbers(header[:size]) <= {0, *range(256)}
    assert set_numbers(b"\1") == frozenset()
    assert set_numbers(b"") == frozenset()


def _header(path: Path, video: Video) -> bytes:
    with av.open(make_video(path, video)) as container:
        return container.streams.video[0].codec_context.extradata or b""
