"""Videos whose pictures change their size, shape or format within one stream, made in code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.stream import Stream
from av.video import VideoStream
from av.video.codeccontext import VideoCodecContext

from tests.support.media import make_picture

__all__ = ["Part", "make_changing"]

_OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:bframes=0"},
    "libvpx": {"cpu-used": "8", "deadline": "realtime", "lag-in-frames": "0"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "lag-in-frames": "0"},
}
"""By codec: no reordering, so that packets of the parts do not mix."""

_TICK = Fraction(1, 25)


@dataclass(frozen=True, slots=True)
class Part:
    """Some pictures of one form."""

    width_px: int = 64
    height_px: int = 48
    pix_fmt: str = "yuv420p"
    frames: int = 6
    sample_aspect_ratio: Fraction = Fraction(1)
    turned_deg: int = 0
    """Clockwise turn that the stream itself asks for; H.264 only."""


def make_changing(path: Path, parts: Sequence[Part], codec: str = "libx264") -> Path:
    """Write parts behind each other into one video stream, as an encoder that is restarted does."""
    first = parts[0]
    number = 0
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=_OPTIONS.get(codec, {}))
        assert isinstance(stream, VideoStream)
        _set_up(stream.codec_context, first)
        for part in parts:
            for packet in _packets(part, codec, number, stream):
                container.mux(packet)
            number += part.frames
    return path


def _set_up(context: VideoCodecContext, part: Part) -> None:
    context.width, context.height, context.pix_fmt = part.width_px, part.height_px, part.pix_fmt
    context.time_base, context.framerate = _TICK, 1 / _TICK
    context.sample_aspect_ratio = part.sample_aspect_ratio
    context.thread_count = 1


def _packets(part: Part, codec: str, first: int, stream: VideoStream) -> Iterator[Packet[Stream]]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.options = _OPTIONS.get(codec, {})
    _set_up(encoder, part)
    packets: list[Packet[Stream]] = []
    for number in range(first, first + part.frames):
        picture = make_picture(number, part.width_px, part.height_px, part.pix_fmt)
        picture.pts, picture.time_base = number, _TICK
        packets.extend(encoder.encode(picture))
    packets.extend(encoder.encode(None))
    turn = None
    if part.turned_deg:
        # The filter turns counter-clockwise.
        turn = BitStreamFilterContext(
            f"h264_metadata=display_orientation=insert:rotate={-part.turned_deg % 360}", stream
        )
    for packet in packets:
        for turned in [packet] if turn is None else turn.filter(packet):
            turned.stream = stream
            yield turned
