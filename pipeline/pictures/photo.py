"""Writing a single picture, with the metadata of the source.

A JPEG is written from the frame's own planes, with the quantisation tables of the source if that is
a JPEG, so that unchanged blocks stay the same. EXIF (with the orientation), colour profile, XMP and
comments are copied from the source unchanged, except that the EXIF thumbnail is removed.
"""

from __future__ import annotations

import io
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from nodes.errors import MediaError
from nodes.media.picture_files import pillow_image
from nodes.media.picture_formats import PhotoFormat
from nodes.picture.formats import PictureConverter
from nodes.picture.png_chunks import (
    PNG_METADATA,
    PNG_SIGNATURE,
    png_chunk,
    png_chunks,
    png_metadata,
    sound_chunks,
    sound_png,
)
from nodes.types import ColorTags, RgbImage
from pipeline.pictures.exif import without_thumbnail

__all__ = ["Photo", "encode_photo", "encode_png"]

JPEG_COLOR: Final = ColorTags(matrix=5, range=2)
"""Colours of JFIF: BT.601, full range."""

_SUBSAMPLING: Final = {"yuvj444p": 0, "yuvj422p": 1, "yuvj420p": 2}
"""Pillow's numbers of the subsamplings that it can write, by pixel format."""

_WORDS: Final = {
    "exif": "EXIF",
    "icc_profile": "the colour profile",
    "xmp": "XMP",
    "comment": "the comment",
    "eXIf": "EXIF",
    "iCCP": "the colour profile",
}
"""Names of metadata for the user, by Pillow's and PNG's."""

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
    photo: Photo, kind: PhotoFormat, source: Path | None, quality: int
) -> tuple[bytes, list[str]]:
    """Encode a picture; return the content of the file, and what metadata is left out, and why.

    Args:
        photo: the picture.
        kind: format of the file.
        source: file of the picture before it was restored, if any.
        quality: for lossy formats, 1 to 100, if the source gives none.

    Raises:
        OSError: the source cannot be read.
    """
    if kind.name == "PNG":
        return _with_png_facts(encode_png(photo.samples), source)
    facts = _Facts() if source is None else _Facts.read(source)
    taken, lost = facts.among(kind.takes, quality)
    options = {**kind.options, **taken}
    if kind.name == "JPEG":
        image, options["subsampling"] = _jpeg_image(photo)
        options["progressive"] = facts.progressive
        options |= {"qtables": facts.tables} if facts.tables else {"quality": quality}
    else:
        image = photo.image
    if image.mode == "RGBA" and not kind.alpha:
        image = image.convert("RGB")
    content = io.BytesIO()
    image.save(content, kind.name, **options)
    return content.getvalue(), [
        *facts.lost,
        *(f"{what} (too long for {kind.name})" for what in lost),
    ]


@dataclass(frozen=True, slots=True)
class _Facts:
    """Metadata of a picture's file."""

    info: dict[str, Any] = field(default_factory=dict[str, Any])
    """Pillow's name of the format."""
    tables: dict[int, list[int]] | None = None
    """Quantisation tables of a JPEG."""
    progressive: bool = False
    lossless: bool = True

    lost: tuple[str, ...] = ()
    """What cannot be read, and why."""

    @classmethod
    def read(cls, source: Path) -> _Facts:
        content = source.read_bytes()
        sound = sound_png(content)
        lossless = not content.startswith(b"RIFF") or _is_lossless_webp(content)
        try:
            with pillow_image(source, io.BytesIO(sound)) as image:
                # Texts of a PNG may have the names of Pillow's arguments.
                info = {
                    str(key): value
                    for key, value in image.info.items()
                    if key == "comment" or not isinstance(value, str)
                }
                tables = getattr(image, "quantization", None)
        except MediaError as error:
            return cls(lossless=lossless, lost=(f"all metadata ({error})",))
        if "exif" in info:
            info["exif"] = without_thumbnail(info["exif"])
        lost = () if sound is content else _broken(png_metadata(content))
        return cls(info, tables, bool(info.get("progressive")), lossless, lost)

    def among(
        self, limits: Mapping[str, int | None], quality: int
    ) -> tuple[dict[str, Any], list[str]]:
        """Return the arguments for Pillow, and the names of what is larger than its limit."""
        known: dict[str, Any] = {**self.info, "lossless": self.lossless, "quality": quality}
        found = {name: known[name] for name in limits if name in known}
        lost = [
            name
            for name, value in found.items()
            if (most := limits[name]) is not None and len(value) > most
        ]
        return {k: v for k, v in found.items() if k not in lost}, [_WORDS[name] for name in lost]


def _is_lossless_webp(content: bytes) -> bool:
    """Return whether the first picture of a WebP is lossless."""
    kinds = [content.find(kind) for kind in (b"VP8L", b"VP8 ")]
    return kinds[0] >= 0 and (kinds[1] < 0 or kinds[0] < kinds[1])


def _broken(chunks: Sequence[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Return what metadata cannot be read, in words."""
    kinds = Counter(kind for kind, _ in chunks) - Counter(kind for kind, _ in sound_chunks(chunks))
    names = [kind.decode() for kind in kinds]
    return tuple(f"{_WORDS.get(name, name)} (damaged, repeated or too large)" for name in names)


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


def _with_png_facts(content: bytes, source: Path | None) -> tuple[bytes, list[str]]:
    """Replace the encoder's metadata by that of the source; return the file, and what is lost."""
    if source is None:
        return content, []
    original = source.read_bytes()
    lost: tuple[str, ...] = ()
    if original.startswith(PNG_SIGNATURE):
        facts = png_metadata(original)
    else:
        read = _Facts.read(source)
        facts = [(kind, png_chunk(kind, data)) for kind, data in _as_png_facts(read.info)]
        lost = read.lost
    copied = [
        png_chunk(kind, without_thumbnail(chunk[8:-4])) if kind == b"eXIf" else chunk
        for kind, chunk in sound_chunks(facts)
    ]
    own = [chunk for kind, chunk in png_chunks(content) if kind not in PNG_METADATA]
    made = b"".join([PNG_SIGNATURE, own[0], *copied, *own[1:]])
    return made, [*lost, *_broken(facts)]


def _as_png_facts(info: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    if profile := info.get("icc_profile"):
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    if exif := info.get("exif"):
        yield b"eXIf", exif.removeprefix(b"Exif\0\0")
