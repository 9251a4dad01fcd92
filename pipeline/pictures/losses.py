"""What pictures lose in the format of their file."""

from __future__ import annotations

from collections import Counter

import numpy as np
from av.video.format import VideoFormat

from nodes.media.picture_files import files_of
from nodes.media.picture_formats import Samples, animation_format, photo_format
from nodes.media.urls import is_url
from nodes.reports import counted
from nodes.types import RgbImage, VideoInfo
from pipeline.pictures.metadata import HDR_TRANSFERS, PictureMetadata

__all__ = ["animation_losses", "conversion", "hdr_losses"]

_PALETTE = "a palette"


def hdr_losses(info: VideoInfo, kind: Samples) -> list[str]:
    """Return what a format cannot say of HDR colours, for the user.

    Args:
        info: the video that pictures are written from.
        kind: their format.
    """
    if kind.hdr:
        return []
    losses: list[str] = []
    if info.color.transfer in HDR_TRANSFERS:
        losses.append("left out: that colours are HDR (PQ or HLG); viewers show them pale")
    if info.hdr is not None:
        losses.append(
            "left out: the HDR10 mastering display and light levels; still .png files have them"
        )
    return losses


def animation_losses(source: str) -> list[str]:
    """Return what metadata of pictures' files their animation does not get.

    Args:
        source: path, which may be one of numbered files, or URL.
    """
    if (photo_format(source) or animation_format(source)) is None or is_url(source):
        return []
    lost = Counter[str]()
    for file in files_of(source):
        metadata = PictureMetadata.read(file)
        lost.update((*metadata.lost, *metadata.beyond({})))
    return [f"left out of {counted(count, 'picture')}: {what}" for what, count in lost.items()]


def conversion(source: str, pix_fmt: str, samples: RgbImage, kind: Samples) -> str | None:
    """Return in words what kind of pixels became of another one; None if it is the same.

    Args:
        source: path or URL of the source.
        pix_fmt: libav's name of its pixel format.
        samples: what is written.
        kind: the format of the file.
    """
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    known, before = animation_format(source), VideoFormat(pix_fmt)
    # libav decodes every palette and every lossless WebP as a picture with transparency.
    has_alpha = channels == 4 and bool((samples[..., 3] < np.iinfo(samples.dtype).max).any())
    if before.has_palette or (known is not None and known.palette):
        was = _PALETTE + _alpha(has_alpha)
    else:
        parts = before.components
        was = _words(max(part.bits for part in parts), len(parts) < 3, has_alpha)
    bits = min(8 * samples.itemsize, kind.bits)
    now = _words(bits, channels == 1 and kind.grey, has_alpha and kind.alpha)
    now = _PALETTE + _alpha(has_alpha) if kind.palette else now
    return None if was == now else f"{was} written as {now}"


def _words(bits: int, grey: bool, alpha: bool) -> str:
    return f"{bits}-bit {'grey' if grey else 'colour'}" + _alpha(alpha)


def _alpha(alpha: bool) -> str:
    return " with transparency" if alpha else ""
