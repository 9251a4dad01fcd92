"""Rows on copying: each codec and kind of GOP, with a change in one GOP and without any.

Each source has three GOPs of ten frames. Where GOPs can be copied one by one, the first and the
last are, and the changed one is encoded between them; else all is encoded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.conformance.row import Adder, Row
from tests.support.media import AudioTrack, Video

__all__ = ["copying"]

_CHANGED: Final = (13, 14)
_OTHERS: Final = (*range(10), *range(20, 30))
_ALL: Final = tuple(range(30))

_H264: Final = Video(
    frames=30, gop_frames=10, audio=(AudioTrack(),), options={"x264-params": "scenecut=0"}
)
_X265: Final = "log-level=none:pools=1:frame-threads=1:keyint=10:min-keyint=10:scenecut=0"


def _h264(b_frames: int, **options: str) -> Video:
    return replace(_H264, b_frames=b_frames, options={**_H264.options, **options})


def _hevc(b_frames: int, *, open_gops: bool) -> Video:
    params = f"{_X265}:bframes={b_frames}:open-gop={int(open_gops)}"
    return replace(_H264, codec="libx265", options={"x265-params": params})


def _coded(codec: str, b_frames: int = 0, **options: str) -> Video:
    options = {name.replace("_", "-"): value for name, value in options.items()}
    return replace(_H264, codec=codec, b_frames=b_frames, audio=(), options=options)


_BY_GOP: Final = (
    ("H.264, closed GOPs, B-frames", (".mp4", ".mkv", ".ts"), _h264(2)),
    ("H.264, closed GOPs, B-pyramid", (".mp4",), _h264(3, **{"x264-params": "b-pyramid=normal"})),
    ("H.264, closed GOPs, no B-frames", (".mp4", ".mkv", ".ts"), _h264(0)),
    ("H.264, Baseline", (".mp4", ".mkv", ".ts"), _h264(0, profile="baseline")),
    ("HEVC, closed GOPs, B-frames", (".mp4", ".mkv", ".ts"), _hevc(2, open_gops=False)),
    ("HEVC, closed GOPs, no B-frames", (".mp4", ".mkv", ".ts"), _hevc(0, open_gops=False)),
    ("VP9", (".mp4", ".mkv", ".webm"), _coded("libvpx-vp9", cpu_used="8", lag_in_frames="5")),
)
"""Name, containers and source, of what is copied GOP by GOP."""

_AS_A_WHOLE: Final = (
    (
        "H.264, open GOPs",
        (".mp4", ".mkv", ".ts"),
        _h264(2, **{"x264-params": "open-gop=1:keyint=10:min-keyint=10:scenecut=0"}),
        None,
    ),
    ("HEVC, open GOPs (CRA)", (".mp4", ".mkv", ".ts"), _hevc(2, open_gops=True), None),
    ("AV1", (".mp4", ".mkv"), _coded("libsvtav1", preset="12"), None),
    ("MPEG-2, B-frames", (".ts", ".mkv"), _coded("mpeg2video", 2), "h264"),
    ("MPEG-2, no B-frames", (".ts", ".mkv"), _coded("mpeg2video"), "h264"),
    ("MPEG-4, B-frames", (".mp4", ".mkv"), _coded("mpeg4", 2), "h264"),
    ("MPEG-4, no B-frames", (".mp4", ".mkv"), _coded("mpeg4"), "h264"),
)
"""The same of what is copied as a whole or not at all, and what it becomes in that case."""


def copying() -> list[Row]:
    """Return a row with a change for each container, and one without for each kind."""
    add = Adder("copying")
    for name, suffixes, video in _BY_GOP:
        title = f"{name}: 20 of 30 copied"
        for suffix in suffixes:
            add(title, f"v{suffix}", video, changed=_CHANGED, copied=_OTHERS)
        add(f"{name}: all copied", f"v{suffixes[0]}", video, changed=(), copied=_ALL)
    for name, suffixes, video, became in _AS_A_WHOLE:
        for suffix in suffixes:
            add(f"{name}: none copied", f"v{suffix}", video, codec=became, changed=_CHANGED)
        add(f"{name}: all copied", f"v{suffixes[0]}", video, changed=(), copied=_ALL)
    return add.rows
