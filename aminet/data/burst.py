"""Video compression of small pictures: short bursts through FFmpeg's encoders.

Shape legend: T frames, H height, W width, C channels. Pictures are RGB uint8.
"""
# ruff: noqa: N803

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

__all__ = ["MACROBLOCK_PX", "BurstSettings", "VideoCodec", "compress_burst"]

VideoCodec = Literal["libx264", "mpeg4"]

MACROBLOCK_PX = 16
_DECODER: dict[VideoCodec, str] = {"libx264": "h264", "mpeg4": "mpeg4"}


@dataclass(frozen=True, slots=True)
class BurstSettings:
    """How one burst is compressed."""

    codec: VideoCodec = "libx264"
    quality: int = 28
    """CRF for H.264 (23 good, 40 poor), the quantiser for MPEG-4 (2 good, 20 poor)."""


def _encoder(settings: BurstSettings, width: int, height: int) -> VideoCodecContext:
    context = av.CodecContext.create(settings.codec, "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 25)
    context.framerate = Fraction(25)
    # One thread, because x264's output depends on the count, and there are many workers already.
    context.thread_count = 1
    if settings.codec == "libx264":
        # Below 64 px x264's lookahead reads past the picture, and the same input sometimes gives
        # another output.
        steady = "rc-lookahead=0:mbtree=0:weightp=0"
        context.options = {
            "crf": str(settings.quality),
            "preset": "veryfast",
            "g": "250",
            "x264-params": steady,
        }
    else:
        quality = str(settings.quality)
        context.options = {"qmin": quality, "qmax": quality}
    return context


def compress_burst(frames_THWC: NDArray[np.uint8], settings: BurstSettings) -> NDArray[np.uint8]:
    """Encode frames and decode them again.

    Args:
        frames_THWC: (T, H, W, 3) uint8 RGB, any size of at least 16 px.
        settings: codec and quality.

    Returns:
        Same shape and type. The same input gives the same output.
    """
    t, h, w, _ = frames_THWC.shape
    pad_h, pad_w = -h % MACROBLOCK_PX, -w % MACROBLOCK_PX
    padded = np.pad(frames_THWC, ((0, 0), (0, pad_h), (0, pad_w), (0, 0)), mode="edge")
    encoder = _encoder(settings, w + pad_w, h + pad_h)
    decoder = cast("VideoCodecContext", av.CodecContext.create(_DECODER[settings.codec], "r"))
    decoder.thread_count = 1
    decoded: list[av.VideoFrame] = []
    packets: list[av.Packet[VideoStream]] = []
    for index, picture in enumerate(padded):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    for packet in packets:
        decoded += decoder.decode(packet)
    decoded += decoder.decode(None)
    if len(decoded) != t:
        raise RuntimeError(f"{settings.codec} gave back {len(decoded)} of {t} frames")
    pictures = [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in decoded]
    return np.stack(pictures)[:, :h, :w]
