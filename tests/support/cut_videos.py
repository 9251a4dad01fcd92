"""Videos that are easily cut wrong: open groups, transport streams, odd times, reordering."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tests.support.media import Video

__all__ = ["VIDEOS", "drop_times"]

OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
REFRESH = {"x264-params": "intra-refresh=1:scenecut=0"}
MILLISECONDS = Fraction(1, 1000)
VARIABLE = tuple(40 * n + 17 * (n % 3) + (2000 if n > 40 else 0) for n in range(60))

VIDEOS: dict[str, Video] = {
    "closed.mp4": Video(frames=60, gop_frames=10),
    "b_frames.mp4": Video(frames=60, gop_frames=10, b_frames=2),
    "open_gop.mp4": Video(frames=60, gop_frames=10, b_frames=3, options=OPEN_GOP),
    "open_gop.mkv": Video(frames=60, gop_frames=10, b_frames=3, options=OPEN_GOP),
    "open_gop.ts": Video(frames=60, gop_frames=10, b_frames=3, options=OPEN_GOP),
    "open_gop_hevc.mp4": Video(codec="libx265", frames=60, gop_frames=10, b_frames=3),
    "closed.ts": Video(frames=60, gop_frames=10, b_frames=2),
    "refresh.ts": Video(frames=60, gop_frames=10, options=REFRESH),
    "mpeg2.ts": Video(codec="mpeg2video", frames=60, gop_frames=10, b_frames=2),
    "variable.mp4": Video(pts=VARIABLE, time_base=MILLISECONDS, gop_frames=10, b_frames=2),
    "variable.mkv": Video(pts=VARIABLE, time_base=MILLISECONDS, gop_frames=10),
    "late.mkv": Video(pts=tuple(range(9000, 11400, 40)), time_base=MILLISECONDS, gop_frames=10),
    "vp9.webm": Video(codec="libvpx-vp9", frames=60, gop_frames=10),
    "av1.mkv": Video(codec="libsvtav1", frames=60, gop_frames=10),
    "intra.mov": Video(codec="prores_ks", pix_fmt="yuv422p10le", frames=30),
}


def drop_times(path: Path, *, every: int) -> None:
    """Take the presentation time from every few frames of an MPEG transport stream.

    The header keeps its length; the bytes of the times become stuffing (ISO 13818-1, 2.4.3.6).
    """
    data = bytearray(path.read_bytes())
    count = 0
    for packet in range(0, len(data), 188):
        starts, adapts = data[packet + 1] & 0x40, data[packet + 3] & 0x20
        pes = packet + 4 + (data[packet + 4] + 1 if adapts else 0)
        if (
            not starts
            or bytes(data[pes : pes + 3]) != b"\0\0\1"
            or not 0xE0 <= data[pes + 3] < 0xF0
        ):
            continue
        count += 1
        if count % every == 0:
            data[pes + 7] &= 0x3F
            length = data[pes + 8]
            data[pes + 9 : pes + 9 + length] = b"\xff" * length
    path.write_bytes(data)
