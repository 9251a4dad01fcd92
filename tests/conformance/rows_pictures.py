"""Rows on pictures: pixel formats, colours, sizes, turns, fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from tests.conformance import sources
from tests.conformance.row import Adder, Column, Row
from tests.support.media import QUIET_X265, Video

__all__ = ["colors", "packed_formats", "pixel_formats", "sizes", "turns_and_fields"]


def pixel_formats() -> list[Row]:
    """Pixel formats and depths."""
    add = Adder("pictures", frames=4)

    for pix_fmt in (
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "yuvj420p",
        "gray",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p10le",
    ):
        add(f"H.264 {pix_fmt}", "v.mp4", Video(pix_fmt=pix_fmt))
    for pix_fmt in ("yuv420p10le", "yuv422p10le", "yuv420p12le", "gray10le"):
        add(f"HEVC {pix_fmt}", "v.mkv", Video(codec="libx265", pix_fmt=pix_fmt))
    add("AV1 yuv420p10le", "v.mkv", Video("libsvtav1", "yuv420p10le", 66, 66))
    add("FFV1 yuv420p16le", "v.mkv", Video(codec="ffv1", pix_fmt="yuv420p16le"))
    add("FFV1 gray16le", "v.mkv", Video(codec="ffv1", pix_fmt="gray16le"))
    return add.rows


def packed_formats() -> list[Row]:
    """Pixel formats that become others."""
    add = Adder("pictures", frames=4)
    add(
        "raw NV12",
        "v.nut",
        Video(codec="rawvideo", pix_fmt="nv12"),
        codec="h264",
        pix_fmt="yuv420p",
    )
    add(
        "Motion JPEG 4:2:2",
        "v.avi",
        Video(codec="mjpeg", pix_fmt="yuvj422p"),
        codec="h264",
        holds=".mkv",
        differs={"tags": "H.264 cannot say of 4:2:2 that its chroma is centred"},
    )
    rgb: Mapping[Column, str] = {"picture": "RGB becomes Y'CbCr 4:4:4 of full range; said"}
    add(
        "PNG in QuickTime, RGB",
        "v.mov",
        Video(codec="png", pix_fmt="rgb24"),
        codec="h264",
        pix_fmt="yuv444p",
        differs=rgb,
    )
    add(
        "HuffYUV, RGB",
        "v.avi",
        Video(codec="huffyuv", pix_fmt="bgra"),
        codec="h264",
        holds=".mkv",
        pix_fmt="yuv444p",
        differs=rgb,
    )
    add(
        "FFV1 with alpha",
        "v.mkv",
        Video(codec="ffv1", pix_fmt="yuva420p"),
        pix_fmt="yuv420p",
        differs={"picture": "transparency is left out; said"},
    )
    return add.rows


def colors() -> list[Row]:
    """Colour tags."""
    add = Adder("pictures", frames=4)
    for name, tags in {
        "BT.601 PAL": (5, 1, 5, 6),
        "BT.601 NTSC": (6, 1, 6, 6),
        "BT.709": (1, 1, 1, 1),
        "BT.709 full range": (1, 2, 1, 1),
        "BT.2020": (9, 1, 9, 14),
    }.items():
        for suffix in (".mp4", ".mkv"):
            add(f"tags {name}", f"v{suffix}", Video(color=tags))
    hdr = Video(codec="libx265", pix_fmt="yuv420p10le", color=(9, 1, 9, 16))
    for suffix in (".mp4", ".mkv", ".ts"):
        add("tags HDR10", f"v{suffix}", hdr)
    add("tags HLG", "v.mov", replace(hdr, color=(9, 1, 9, 18)))
    av1 = replace(hdr, codec="libsvtav1", width_px=66, height_px=66)
    add("tags HDR10, AV1", "v.mkv", av1)
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    words = f"{QUIET_X265}:master-display={display}:max-cll=1000,400"
    mastered = replace(hdr, options={"x265-params": words})
    for suffix in (".mp4", ".mkv", ".mov", ".ts"):
        add("HDR10 mastering display, light levels", f"v{suffix}", mastered)
    add("HDR10 mastering display, light levels", "v.mkv", mastered, target=".mp4")
    words = (
        "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"
        ":content-light=1000,400:lp=1"
    )
    add(
        "HDR10 mastering display, AV1",
        "v.mkv",
        replace(av1, options={"svtav1-params": words}),
    )
    add(
        "HDR10 mastering display, FFV1 asked for",
        "v.mkv",
        mastered,
        codec="ffv1",
        settings=("encode.codec=ffv1",),
        differs={"tags": "FFV1 cannot be told of them: left out and said"},
    )
    return add.rows


def sizes() -> list[Row]:
    """Odd sizes, pixels that are not square."""
    add = Adder("shape", frames=4)

    add("odd size 4:4:4", "v.mp4", Video(pix_fmt="yuv444p", width_px=65, height_px=49))
    add("odd size 4:2:0", "v.webm", Video(codec="libvpx-vp9", width_px=65, height_px=49))
    add("odd size 4:2:0", "v.mkv", Video(codec="ffv1", width_px=65, height_px=49))
    add(
        "odd size 4:2:0",
        "v.avi",
        Video(codec="mjpeg", pix_fmt="yuvj420p", width_px=65, height_px=49),
        holds=".mkv",
        codec="vp9",
        differs={"tags": "VP9 cannot say that its chroma is centred"},
    )
    add(
        "odd size 4:2:0, x264 asked for",
        "v.mkv",
        Video(codec="ffv1", width_px=65, height_px=49),
        settings=("encode.codec=x264",),
        refused=r"encoder libx264 cannot code 65x49 in yuv420p, expected even numbers",
    )
    for ratio in (Fraction(4, 3), Fraction(12, 11), Fraction(8, 9)):
        for suffix in (".mp4", ".mkv", ".ts"):
            add(f"pixels {ratio}", f"v{suffix}", Video(sample_aspect_ratio=ratio))
    add("pixels 4/3", "v.webm", Video(codec="libvpx-vp9", sample_aspect_ratio=Fraction(4, 3)))
    return add.rows


def turns_and_fields() -> list[Row]:
    """Rotation, mirrors, interlaced pictures."""
    add = Adder("shape", frames=4)
    for turn_deg in (90, 180, 270):
        for suffix in (".mp4", ".mov", ".mkv"):
            add(f"turned by {turn_deg}", f"v{suffix}", Video(rotation_deg=turn_deg))
    add(
        "turned by 90",
        "v.mp4",
        Video(rotation_deg=90),
        target=".ts",
        refused=r"\.ts cannot say that the video is to be turned by 90 degrees: choose an output"
        r" ending in \.mkv or \.mov or \.mp4",
    )
    add.rows.append(Row("shape", "mirrored", "v.mp4", sources.mirrored, frames=6))
    add.rows.append(
        Row(
            "shape",
            "size changes in mid-stream",
            "v.h264",
            sources.size_change,
            frames=9,
            holds=".mkv",
            times_ms=tuple(40.0 * n for n in range(9)),
            differs={
                "picture": "all pictures fit the largest; said, in the plan too",
                "shape": "all pictures fit the largest; said, in the plan too",
            },
        )
    )
    for fields in ("tff", "bff"):
        for suffix in (".mp4", ".mkv", ".ts"):
            add(f"interlaced {fields}", f"v{suffix}", Video(fields=fields))
        add(
            f"interlaced {fields}, MPEG-2",
            "v.mpg",
            Video(codec="mpeg2video", fields=fields),
            codec="h264",
            holds=".mkv",
        )
    add(
        "interlaced tff, deinterlaced",
        "v.mp4",
        Video(fields="tff"),
        settings=("decode.deinterlace=true",),
        differs={"shape": "whole pictures, as asked for"},
    )
    return add.rows
