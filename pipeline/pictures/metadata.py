"""The metadata of picture files: reading it, and what of it a format of another kind holds."""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import Image

from nodes.errors import MediaError
from nodes.media.picture_files import pillow_image
from nodes.picture.png_chunks import (
    PNG_SIGNATURE,
    PNG_XMP,
    png_chunk,
    png_metadata,
    sound_chunks,
    sound_png,
)
from nodes.types import HdrFacts, VideoInfo
from pipeline.pictures.exif import EXIF_HEADER, without_thumbnail
from pipeline.pictures.iptc import iptc_of, iptc_segment

__all__ = ["HDR_TRANSFERS", "PictureMetadata", "broken", "hdr_chunks", "is_lossless"]

_WORDS: Final = {
    "exif": "EXIF",
    "icc_profile": "the colour profile",
    "xmp": "XMP",
    "comment": "the comment",
    "extra": "IPTC",
    "eXIf": "EXIF",
    "iCCP": "the colour profile",
}
"""Names of metadata for the user, by Pillow's and PNG's."""

_BYTES: Final = ("exif", "icc_profile", "xmp")
"""Names of what must be bytes to be copied."""

_TEXTS: Final = frozenset((b"tEXt", b"zTXt", b"iTXt"))

_DESCRIPTIVE: Final = frozenset(
    (270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853)
)
"""Tags of a TIFF that describe the picture; the others say where its pixels are."""

HDR_TRANSFERS: Final = frozenset((16, 18))
"""AVCOL_TRC_* of PQ and HLG."""


@dataclass(frozen=True, slots=True)
class PictureMetadata:
    """Metadata of a picture's file."""

    info: dict[str, Any] = field(default_factory=dict[str, Any])
    """By Pillow's name."""
    chunks: tuple[tuple[bytes, bytes], ...] | None = None
    """Type and bytes of a PNG's own chunks that can be read; None if it is no PNG."""
    tables: dict[int, list[int]] | None = None
    """Quantisation tables of a JPEG."""
    progressive: bool = False
    lossless: bool = True

    lost: tuple[str, ...] = ()
    """What cannot be read, and why."""

    @classmethod
    def read(cls, source: Path) -> PictureMetadata:
        """Read a file.

        Raises:
            OSError: it cannot be read.
        """
        content = source.read_bytes()
        sound, chunks, lost = sound_png(content), None, tuple[str, ...]()
        if content.startswith(PNG_SIGNATURE):
            all_chunks = png_metadata(content)
            chunks = tuple(sound_chunks(all_chunks))
            lost = broken(all_chunks, chunks)
        lossless = is_lossless(content)
        try:
            with pillow_image(source, io.BytesIO(sound)) as image:
                info, damaged = _pillow_info(image, content)
                tables = getattr(image, "quantization", None)
        except MediaError as error:
            lost = lost if chunks is not None else (f"all metadata ({error})",)
            return cls(chunks=chunks, lossless=lossless, lost=lost)
        return cls(info, chunks, tables, bool(info.get("progressive")), lossless, (*lost, *damaged))

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

    def beyond(self, names: Mapping[str, int | None]) -> list[str]:
        """Return what a format has no place for, of what is said for people.

        Args:
            names: Pillow's names of what the format holds.
        """
        lost = [_WORDS[name] for name in _WORDS if name in self.info and name not in names]
        # Of what is there twice, one may be damaged, which is said already.
        lost = [what for what in lost if not any(said.startswith(what) for said in self.lost)]
        # Pillow knows a text with this name as the comment.
        elsewhere = (PNG_XMP, *([b"comment\0"] if "comment" in self.info else []))
        texts = [
            kind
            for kind, chunk in self.chunks or ()
            if kind in _TEXTS and not chunk[8:].startswith(elsewhere)
        ]
        return [*lost, *["texts"] * bool(texts)]

    def as_png(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield type and bytes of chunks for a PNG, in an order that its decoders accept."""
        if self.chunks is not None:
            for kind, chunk in self.chunks:
                if kind == b"eXIf":
                    chunk = png_chunk(kind, without_thumbnail(chunk[8:-4]))  # noqa: PLW2901
                yield kind, chunk
            return
        for kind, data in _as_png(self.info):
            yield kind, png_chunk(kind, data)


def hdr_chunks(info: VideoInfo) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and bytes of the chunks of a PNG that say how a video's HDR colours are meant."""
    color = info.color
    if color.transfer in HDR_TRANSFERS:
        yield b"cICP", png_chunk(b"cICP", bytes((color.primaries, color.transfer, 0, 1)))
    facts = info.hdr or HdrFacts(None, None)
    if facts.display is not None:
        *chromaticities, least, most = facts.display
        steps = [min(round(value * 50_000), 0xFFFF) for value in chromaticities]
        levels = [min(round(value * 10_000), 0xFFFF_FFFF) for value in (most, least)]
        yield b"mDCV", png_chunk(b"mDCV", struct.pack(">8H2I", *steps, *levels))
    if facts.light_cd_m2 is not None:
        levels = [min(value * 10_000, 0xFFFF_FFFF) for value in facts.light_cd_m2]
        yield b"cLLI", png_chunk(b"cLLI", struct.pack(">2I", *levels))


def _pillow_info(image: Image.Image, content: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return what is known of a picture by Pillow's names, and in words what is damaged."""
    # A TIFF may give any tag any type. Pillow passes it on, and fails itself if it is not bytes.
    known = image.info
    if image.format == "PNG":  # whose texts may have the names of Pillow's arguments
        known = {k: v for k, v in known.items() if k == "comment" or not isinstance(v, str)}
    bad = [name for name in _BYTES if not isinstance(known.get(name, b""), bytes)]
    image.info = {key: value for key, value in known.items() if key not in bad}
    info = {str(key): value for key, value in image.info.items()}
    if image.format == "TIFF":
        exif = _tiff_exif(image)
        bad += ["exif"] * (exif is None)
        info |= {"exif": exif} if exif else {}
    if "exif" in info:
        # WebP has it without the header, which JPEG needs; Pillow leaves out what a format has not.
        plain = info["exif"].removeprefix(EXIF_HEADER)
        info["exif"] = EXIF_HEADER + without_thumbnail(plain)
    iptc, is_damaged = iptc_of(image, content)
    bad += ["extra"] * is_damaged
    if iptc:
        info["extra"] = iptc_segment(iptc)
    if not _is_density(info.get("dpi")):
        info.pop("dpi", None)
    return info, [f"{_WORDS[name]} (damaged)" for name in bad]


def _tiff_exif(image: Image.Image) -> bytes | None:
    """Return the tags of a TIFF that describe it; None if they are damaged."""
    try:
        exif = image.getexif()
        for tag in exif.keys() - _DESCRIPTIVE:
            del exif[tag]
        return exif.tobytes() if exif else b""
    except Exception:  # noqa: BLE001 - Pillow passes on what its parser meets, of any kind
        return None


def _is_density(dpi: Any) -> bool:
    """Return whether Pillow can write a value as pixels per inch."""
    try:
        return len(dpi) == 2 and all(0 <= float(value) <= 0xFFFF for value in dpi)
    except (TypeError, ValueError, ArithmeticError):
        return False


def is_lossless(content: bytes) -> bool:
    """Return whether a picture of WebP is lossless, by its first one; True for other formats."""
    if not content.startswith(b"RIFF"):
        return True
    kinds = [content.find(kind) for kind in (b"VP8L", b"VP8 ")]
    return kinds[0] >= 0 and (kinds[1] < 0 or kinds[0] < kinds[1])


def broken(
    chunks: Sequence[tuple[bytes, bytes]], sound: Sequence[tuple[bytes, bytes]]
) -> tuple[str, ...]:
    """Return what metadata cannot be read, in words."""
    kinds = Counter(kind for kind, _ in chunks) - Counter(kind for kind, _ in sound)
    names = [kind.decode() for kind in kinds]
    return tuple(f"{_WORDS.get(name, name)} (damaged, repeated or too large)" for name in names)


def _as_png(info: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and contents of the chunks that say what another format's file says."""
    if profile := info.get("icc_profile"):
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    if exif := info.get("exif"):
        yield b"eXIf", exif.removeprefix(EXIF_HEADER)
    if xmp := info.get("xmp"):
        yield b"iTXt", PNG_XMP + b"\0\0\0\0" + xmp
    if comment := info.get("comment"):
        text = comment if isinstance(comment, str) else comment.decode("utf-8", "replace")
        yield b"iTXt", b"Comment\0\0\0\0\0" + text.encode()
