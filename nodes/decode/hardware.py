"""Decoding by a graphics card, where its pictures are those of the software decoder.

A card's pictures have chroma samples side by side, NV12 or P010. They are rearranged, which loses
nothing, so that all that follows sees the pixel format of the software decoder. What a card cannot
do as that decoder does is left to it: codecs whose decoders may round, other formats than 4:2:0 of
8 and 10 bits, and whatever is damaged, which each decoder patches in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import av
from av.codec.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from nodes.media.hdr import read_hdr_facts
from nodes.media.side_data import carried_kinds
from nodes.picture.digest import picture_sha256

__all__ = ["HardwareError", "HardwareKind", "Rearranger", "card_for", "differing"]

HardwareKind = Literal["off", "auto", "cuda", "d3d11va", "vaapi", "videotoolbox", "vulkan"]
"""libav's name of a kind of device; `auto` for the first that decodes a video's codec."""

_EXACT: Final = frozenset({"av1", "h264", "hevc", "vp8", "vp9"})
"""Codecs whose standards fix each sample; in MPEG-2, for example, decoders round as they like."""

_ARRANGED: Final = {"nv12": ("yuv420p", "yuvj420p"), "p010le": ("yuv420p10le",)}
"""A software decoder's formats of the same samples."""


class HardwareError(Exception):
    """The card does not decode as the software decoder does, which has to go on from here."""


def card_for(kind: HardwareKind, codec: Codec) -> str:
    """Return the kind of a device that this machine has, and that decodes a codec exactly.

    Args:
        kind: the one wanted, not `off`.
        codec: its decoder.

    Raises:
        HardwareError: there is none.
    """
    name = codec.canonical_name
    if name not in _EXACT:
        raise HardwareError(f"decoders of {name} may differ in single samples")
    known = {config.device_type.name for config in codec.hardware_configs if config.is_supported}
    kinds = [each for each in hwdevices_available() if each in known]
    wanted = [each for each in kinds if kind in ("auto", each)]
    if not wanted:
        raise HardwareError(f"this libav has no decoder of {name} for it")
    for card in wanted:
        try:
            HWAccel(card).create(codec)
        except (FFmpegError, NotImplementedError):
            continue
        return card
    raise HardwareError(f"there is no {' or '.join(wanted)} device")


class Rearranger:
    """Converts a card's pictures to the software decoder's format. Use one for each stream."""

    def __init__(self, expected: av.VideoFrame) -> None:
        """Begin.

        Args:
            expected: a picture of the software decoder.
        """
        self._pix_fmt, self._range = expected.format.name, expected.color_range
        self._scaler = VideoReformatter()

    def rearranged(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return a picture with the same samples, times and marks.

        Raises:
            HardwareError: it is damaged, or the software decoder's has another format.
        """
        own, wanted = picture.format.name, self._pix_fmt
        if picture.is_corrupt:
            raise HardwareError("a damaged picture")
        if wanted not in _ARRANGED.get(own, ()) or picture.color_range != self._range:
            raise HardwareError(f"its pictures are {own}, those of the software decoder {wanted}")
        # With one matrix and range on both sides nothing is computed.
        made = self._scaler.reformat(
            picture,
            format=wanted,
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.POINT,
            threads=1,
        )
        made.colorspace, made.color_range = picture.colorspace, picture.color_range
        return made


def differing(a: av.VideoFrame, b: av.VideoFrame) -> str | None:
    """Return in what two pictures of a stream differ, None if in nothing that is used later."""
    facts: dict[str, Callable[[av.VideoFrame], object]] = {
        "format": lambda p: (p.format.name, p.width, p.height),
        "time": lambda p: (p.pts, p.duration, p.time_base),
        "kind": lambda p: (p.key_frame, p.interlaced_frame, p.rotation),
        "colours": lambda p: (p.colorspace, p.color_range, p.color_primaries, p.color_trc),
        "side data": lambda p: (carried_kinds(p), read_hdr_facts(p)),
        "samples": picture_sha256,
    }
    return next((name for name, fact in facts.items() if fact(a) != fact(b)), None)
