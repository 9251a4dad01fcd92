"""Writing a single picture, with the metadata of the source.

A JPEG is written from the frame's own planes, with the quantisation tables of the source if that is
a JPEG, so that unchanged blocks stay the same. EXIF (with the orientation), colour profile, XMP,
IPTC and comments are copied from the source unchanged, but for thumbnails, which are removed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from nodes.media.picture_formats import PhotoFormat
from nodes.picture.formats import PictureConverter
from nodes.picture.png_chunks import PNG_METADATA, PNG_SIGNATURE, png_chunks, sound_chunks
from nodes.types import ColorTags, RgbImage, VideoInfo
from pipeline.pictures.metadata import PictureMetadata, broken, hdr_chunks

__all__ = ["Photo", "encode_photo", "encode_png"]

JPEG_COLOR: Final = ColorTags(matrix=5, range=2)
"""Colours of JFIF: BT.601, full range."""

_SUBSAMPLING: Final = {"yuvj444p": 0, "yuvj422p": 1, "yuvj420p": 2}
"""Pillow's numbers of the subsamplings that it can write, by pixel format."""

_PNG_FORMATS: Final = {
    ("u1", 1): "gray",
    ("u1", 3): "rgb24",
    ("u1", 4): "rgba",
    ("u2", 1): "gray16be",
    ("u2", 3): "rgb48be",
    ("u2", 4): "rgba64be",
}


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A restored picture."""

    samples: RgbImage
    """Gray, RGB or RGBA: shape (H, W), (H, W, 3) or (H, W, 4); uint8, or uint16 up to 65535."""
    planes: av.VideoFrame | None
    """The same in Y'CbCr with its colour tags; None if the samples came from RGB."""

    @property
    def image(self) -> Image.Image:
        """The samples, converted to 8 bits."""
        wide = self.samples.dtype == np.uint16
        return Image.fromarray((self.samples >> 8 if wide else self.samples).astype(np.uint8))


def encode_photo(
    photo: Photo, kind: PhotoFormat, source: Path | None, quality: int, info: VideoInfo
) -> tuple[bytes, list[str]]:
    """Encode a picture; return the content of the file, and what of the source is left out.

    Args:
        photo: the picture.
        kind: format of the file.
        source: file of the picture before it was restored, if any.
        quality: for lossy formats, 1 to 100, if the source gives none.
        info: the video that the picture is from.

    Raises:
        OSError: the source cannot be read.
    """
    metadata = PictureMetadata() if source is None else PictureMetadata.read(source)
    if kind.name == "PNG":
        return _with_metadata(encode_png(photo.samples), metadata, info)
    taken, lost = metadata.among(kind.takes, quality)
    options = {**kind.options, **taken}
    if kind.name == "JPEG":
        image, options["subsampling"] = _jpeg_image(photo)
        options["progressive"] = metadata.progressive
        options |= {"qtables": metadata.tables} if metadata.tables else {"quality": quality}
    else:
        image = photo.image
    left_out = [f"{what} (too long for {kind.name})" for what in lost]
    left_out += [
        f"{what} ({kind.name} has no place for it)" for what in metadata.beyond(kind.takes)
    ]
    if image.mode == "RGBA" and not kind.alpha:
        image = image.convert("RGB")
    content = io.BytesIO()
    image.save(content, kind.name, **options)
    return content.getvalue(), [*metadata.lost, *left_out]


def encode_png(samples: RgbImage) -> bytes:
    """Encode samples as PNG: gray, RGB or RGBA, 8 or 16 bit."""
    height_px, width_px = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101 - for the type checker
    encoder.width, encoder.height = width_px, height_px
    encoder.pix_fmt = _PNG_FORMATS[f"u{samples.dtype.itemsize}", channels]
    encoder.time_base = Fraction(1, 25)
    codes = samples if samples.dtype == np.uint8 else samples.byteswap()
    picture = av.VideoFrame.from_numpy_buffer(codes, encoder.pix_fmt)
    return b"".join(bytes(p) for p in (*encoder.encode(picture), *encoder.encode(None)))


def _jpeg_image(photo: Photo) -> tuple[Image.Image, int]:
    """Return the picture in libjpeg's layout, and Pillow's number of the subsampling."""
    frame = photo.planes
    if frame is None or photo.samples.ndim == 2:
        return photo.image, 0
    wanted = frame.format.name.replace("yuvj", "yuv")[:6].replace("yuv", "yuvj") + "p"
    wanted = wanted if wanted in _SUBSAMPLING else "yuvj444p"
    size_px = (frame.width, frame.height)
    converted = PictureConverter(*size_px, wanted, JPEG_COLOR).convert(frame)
    luma, *chroma = (
        np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[
            : plane.height, : plane.width
        ]
        for plane in converted.planes
    )
    samples = np.stack([luma, *(_spread(plane, luma.shape) for plane in chroma)], axis=-1)
    return Image.frombytes("YCbCr", size_px, samples.tobytes()), _SUBSAMPLING[wanted]


def _spread(plane: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Repeat chroma samples for all their pixels, so that libjpeg's mean is the same sample."""
    rows = -(-shape[0] // plane.shape[0])
    columns = -(-shape[1] // plane.shape[1])
    return plane.repeat(rows, 0).repeat(columns, 1)[: shape[0], : shape[1]]


def _with_metadata(
    content: bytes, metadata: PictureMetadata, info: VideoInfo
) -> tuple[bytes, list[str]]:
    """Replace the encoder's metadata by that of the source; return the file, and what is lost."""
    wanted = list(metadata.as_png())
    if metadata.chunks is None:
        wanted += hdr_chunks(info)
    copied = list(sound_chunks(wanted))
    own = [chunk for kind, chunk in png_chunks(content) if kind not in PNG_METADATA]
    made = b"".join([PNG_SIGNATURE, own[0], *(chunk for _, chunk in copied), *own[1:]])
    iptc = ["IPTC (PNG has no place for it)"] * ("extra" in metadata.info)
    return made, [*metadata.lost, *broken(wanted, copied), *iptc]
