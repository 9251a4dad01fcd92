"""All rows of the conformance table, and those on codecs, timing and damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from tests.conformance import sources
from tests.conformance.row import Adder, Column, Row
from tests.conformance.rows_changes import changes
from tests.conformance.rows_copying import copying
from tests.conformance.rows_pictures import (
    colors,
    packed_formats,
    pixel_formats,
    sizes,
    turns_and_fields,
)
from tests.conformance.rows_streams import extras, refusals, sounds, texts_and_facts
from tests.conformance.sources import of
from tests.support.media import AudioTrack, Video

__all__ = ["ROWS"]

MS = Fraction(1, 1000)
VARIABLE = (0, 40, 100, 101, 900, 940, 990, 2000)
AAC, PCM = AudioTrack(), AudioTrack("pcm_s16le", "mono", 8000)


_NEAREST: Mapping[Column, str] = {"times": "Matroska's clock ticks milliseconds: nearest tick"}


def _codecs() -> list[Row]:
    h264 = Video(b_frames=2, audio=(AAC,))
    hevc = replace(h264, codec="libx265", b_frames=0)
    mpeg4 = Video(codec="mpeg4", audio=(PCM,))
    mpeg2 = Video(codec="mpeg2video", b_frames=2, audio=(AudioTrack("mp2"),))
    mjpeg = Video(codec="mjpeg", pix_fmt="yuvj420p", audio=(PCM,))
    vp9 = Video(codec="libvpx-vp9", audio=(AudioTrack("libopus"),))
    av1 = Video(codec="libsvtav1", width_px=66, height_px=66, audio=(AudioTrack("libopus"),))
    rows = Adder("codecs")

    def add(
        name: str, suffix: str, video: Video, became: str | None = None, to: str | None = None
    ) -> None:
        rows(name, f"v{suffix}", video, codec=became, holds=to)

    for suffix in (".mp4", ".mkv", ".mov", ".ts", ".nut"):
        add("H.264", suffix, h264)
    for suffix in (".mp4", ".mkv", ".mov", ".ts"):
        add("HEVC", suffix, hevc)
    add("H.264", ".avi", Video(audio=(PCM,)), to=".mkv")
    add("MPEG-4", ".avi", mpeg4, "h264", ".mkv")
    add("MPEG-4", ".mp4", replace(mpeg4, audio=(AAC,)), "h264")
    # Its sound begins first, between two of Matroska's ticks.
    rows("MPEG-2", "v.mpg", mpeg2, codec="h264", holds=".mkv", differs=_NEAREST)
    add("MPEG-2", ".ts", mpeg2, "h264")
    add("Motion JPEG", ".avi", mjpeg, "h264", ".mkv")
    add("Motion JPEG", ".mov", mjpeg, "h264")
    add("VP8", ".webm", Video(codec="libvpx", audio=(AudioTrack("libopus"),)), "vp9")
    for suffix in (".webm", ".mkv", ".mp4"):
        add("VP9", suffix, vp9)
        add("AV1", suffix, av1)
    add("ProRes", ".mov", Video(codec="prores_ks", pix_fmt="yuv422p10le", audio=(PCM,)))
    add("FFV1", ".mkv", Video(codec="ffv1", audio=(AudioTrack("flac"),)))
    add(
        "Windows Media",
        ".asf",
        Video(codec="wmv2", audio=(AudioTrack("libmp3lame"),)),
        "h264",
        ".mkv",
    )
    add(
        "Flash",
        ".flv",
        Video(codec="flv1", audio=(AudioTrack("libmp3lame", rate_hz=44100),)),
        "h264",
        ".mkv",
    )
    return rows.rows


def _timing() -> list[Row]:
    ntsc = Video(rate=Fraction(30000, 1001), audio=(AAC,))
    variable = Video(pts=VARIABLE, time_base=MS, b_frames=2, audio=(AAC,))
    late = Video(pts=tuple(range(5000, 5400, 40)), time_base=MS)

    add = Adder("timing")
    add("29.97 frames a second", "v.mp4", ntsc)
    add("29.97 frames a second", "v.mov", ntsc, target=".mkv", differs=_NEAREST)
    add("29.97 frames a second", "v.ts", ntsc)
    add("variable rate", "v.mp4", variable)
    add("variable rate", "v.mkv", variable)
    add("variable rate", "v.ts", replace(variable, audio=()))
    add("starts late", "v.mkv", late)
    add("starts late", "v.mp4", late)
    add("starts late", "v.ts", late)
    add("sound starts first", "v.mp4", replace(late, pts=(500, 540, 580), audio=(AAC,)))
    add(
        "sound starts last",
        "v.mkv",
        replace(Video(), audio=(replace(AAC, start_s=Fraction(1, 4)),)),
    )
    return add.rows


def _structure() -> list[Row]:
    add = Adder("timing")
    x265 = {"x265-params": "log-level=none:pools=1:frame-threads=1:open-gop=1:keyint=8:bframes=3"}
    add("B-frames", "v.mp4", Video(frames=30, b_frames=3))
    add(
        "open GOP, H.264",
        "v.mkv",
        Video(frames=30, b_frames=3, gop_frames=8, options={"x264-params": "open-gop=1:keyint=8"}),
    )
    add("open GOP, HEVC", "v.mp4", Video(codec="libx265", frames=30, options=x265))
    add(
        "open GOP, MPEG-2",
        "v.ts",
        Video(codec="mpeg2video", frames=30, b_frames=2),
        codec="h264",
    )
    add("one frame only", "v.mp4", Video(frames=1))
    add(
        "last frame shown long",
        "v.mp4",
        Video(pts=(0, 40, 80), time_base=MS, last_duration_ticks=1500),
    )
    add.rows.append(
        Row("timing", "edit list hides frames", "v.mp4", sources.edit_list(3), frames=9)
    )
    add.rows.append(
        Row(
            "timing",
            "no times at all",
            "v.h264",
            of(Video(b_frames=2)),
            holds=".mkv",
            times_ms=tuple(40.0 * n for n in range(12)),
        )
    )
    add.rows.append(
        Row(
            "timing",
            "repeated and backward times",
            "v.nut",
            sources.retimed([0, 40, 40, 120, 100, 160]),
            codec="ffv1",
            frames=6,
            times_ms=(0, 40, 60, 120, 140, 160),
        )
    )
    return add.rows


def _damage() -> list[Row]:
    return [
        Row("damage", "cut off, index in front", "v.mp4", sources.damaged_tail, frames=None),
        Row(
            "damage",
            "text with a video's name",
            "v.mp4",
            sources.text,
            refused="not a media file that can be read",
        ),
    ]


ROWS = (
    *_codecs(),
    *_timing(),
    *_structure(),
    *pixel_formats(),
    *packed_formats(),
    *colors(),
    *sizes(),
    *turns_and_fields(),
    *changes(),
    *sounds(),
    *texts_and_facts(),
    *extras(),
    *refusals(),
    *_damage(),
    *copying(),
)
