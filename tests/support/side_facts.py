"""Videos that carry something beside samples, made in code."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video import VideoStream

from tests.support.media import Video, make_picture, make_video

__all__ = ["captions_of", "make_arranged", "make_captioned", "make_cropped", "make_dolby_vision"]

_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_SIDE_BY_SIDE = 2
_DISPLAY_UNIT = b"\x54\xb2\x81\x04"
"""An element of Matroska that means nothing, as long as one that cuts off lines."""


def make_captioned(path: Path, frames: int = 12, width_px: int = 64, height_px: int = 48) -> Path:
    """Write H.264 with closed captions (CTA-708 in ATSC A/53) in every picture."""
    with av.open(path, "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"}
        )
        assert isinstance(stream, VideoStream)
        stream.codec_context.width, stream.codec_context.height = width_px, height_px
        stream.codec_context.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = make_picture(number, width_px, height_px)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            for packet in stream.encode(picture):
                said = av.Packet(_caption(number) + bytes(packet))
                said.pts, said.dts, said.time_base = packet.pts, packet.dts, packet.time_base
                said.stream, said.is_keyframe = stream, packet.is_keyframe
                container.mux(said)
    return path


def _caption(number: int) -> bytes:
    triple = bytes([0xFC, 0x94, 0x20 + number])
    user_data = b"\xb5\x00\x31GA94\x03" + bytes([0x40 | 1, 0xFF]) + triple + b"\xff"
    return b"\0\0\0\1\x06\x04" + bytes([len(user_data)]) + user_data + b"\x80"


def captions_of(pictures: Sequence[av.VideoFrame]) -> list[bytes]:
    """Return the captions of each picture that has some."""
    found = (picture.side_data.get("A53_CC") for picture in pictures)  # pyright: ignore[reportAttributeAccessIssue]
    return [bytes(data) for data in found if data is not None]


def make_cropped(path: Path, top_px: int) -> Path:
    """Write Matroska of which players cut off lines at the top."""
    content = make_video(path, Video(pix_fmt="yuv420p", fields="")).read_bytes()
    assert content.count(_DISPLAY_UNIT) == 1
    path.write_bytes(content.replace(_DISPLAY_UNIT, b"\x54\xbb\x81" + bytes([top_px])))
    return path


def make_dolby_vision(path: Path, profile: int, base: int) -> Path:
    """Write H.265 in MP4 with a record of Dolby Vision."""
    content = make_video(path, Video(codec="libx265", pix_fmt="yuv420p10le")).read_bytes()
    record = bytes([1, 0, profile << 1, 0x35, base << 4]) + bytes(19)
    box = _box(b"dvcC" if profile < 8 else b"dvvC", record)
    path.write_bytes(_with_box(content, b"hev1", box))
    return path


def make_arranged(path: Path, *, stereo: bool = False, cube_map: bool = False) -> Path:
    """Write 360-degree H.264 in MP4, as Google's "Spherical Video V2" describes it."""
    content = make_video(path, Video()).read_bytes()
    header = _box(b"svhd", bytes(4) + b"made\0")
    shape = _box(b"cbmp", bytes(12)) if cube_map else _box(b"equi", bytes(20))
    projection = _box(b"proj", _box(b"prhd", bytes(16)) + shape)
    boxes = _box(b"sv3d", header + projection)
    if stereo:
        boxes += _box(b"st3d", bytes(4) + bytes([_SIDE_BY_SIDE]))
    path.write_bytes(_with_box(content, b"avc1", boxes))
    return path


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _with_box(content: bytes, entry: bytes, box: bytes) -> bytes:
    """Add a box to the end of the sample entry of an MP4 whose header is at its end."""
    end = 0
    for name in (*_BOXES, entry):
        at = content.index(name, end and content.index(b"moov")) - 4
        (size,) = struct.unpack(">I", content[at : at + 4])
        end = at + size
        content = content[:at] + struct.pack(">I", size + len(box)) + content[at + 4 :]
    return content[:end] + box + content[end:]
