"""The chunks of a PNG file, and which of its metadata can be read.

libav refuses a whole picture for an EXIF or ICC chunk that it cannot read, and expands compressed
chunks whatever their size. So chunks are looked at before libav reads them, and before they are
copied to another file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import av
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

__all__ = [
    "PNG_METADATA",
    "PNG_SIGNATURE",
    "PNG_XMP",
    "png_chunk",
    "png_chunks",
    "png_metadata",
    "read_png_metadata",
    "sound_chunks",
    "sound_packet",
    "sound_png",
]

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

PNG_METADATA: Final = frozenset(
    b"cHRM gAMA iCCP sRGB cICP mDCV cLLI pHYs eXIf tEXt zTXt iTXt tIME".split()
)
"""Chunks that do not depend on the pixels."""

PNG_XMP: Final = b"XML:com.adobe.xmp\0"
"""How the content of an `iTXt` chunk with XMP begins."""

_REFUSED: Final = frozenset((b"eXIf", b"iCCP"))
"""Those for which libav refuses a picture if it cannot read them."""

_ONCE: Final = PNG_METADATA - {b"tEXt", b"zTXt", b"iTXt"}
"""Those of which a file may have one."""

MOST_INFLATED_BYTES: Final = 1 << 24
"""Most bytes of compressed metadata of a file that are read, expanded, in all."""

_STEP_BYTES: Final = 1 << 16


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the bytes of each chunk, until the end of the file."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at : at + 12 + length]
        at += 12 + length


def read_png_metadata(file: BinaryIO) -> list[tuple[bytes, bytes]] | None:
    """Return what `png_metadata` does, without reading the pixels; None if it is no PNG.

    Args:
        file: at its beginning.
    """
    if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
        return None
    found: list[tuple[bytes, bytes]] = []
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind in PNG_METADATA:
            found.append((kind, header + file.read(length + 4)))
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return found


def png_metadata(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks that do not depend on the pixels, keeping no copy of those that do."""
    return [chunk for chunk in png_chunks(content) if chunk[0] in PNG_METADATA]


def sound_png(content: bytes) -> bytes:
    """Return a PNG or APNG without metadata that cannot be read; the same object if all can."""
    if not content.startswith(PNG_SIGNATURE):
        return content
    facts = png_metadata(content)
    if len(list(sound_chunks(facts))) == len(facts):
        return content
    chunks = list(png_chunks(content))
    sound = sound_chunks(chunks)
    end = len(PNG_SIGNATURE) + sum(len(chunk) for _, chunk in chunks)
    return b"".join([PNG_SIGNATURE, *(chunk for _, chunk in sound), content[end:]])


def sound_packet(packet: Packet[Stream]) -> Packet[Stream] | None:
    """Return a packet of PNG without metadata that cannot be read; None if there is no such."""
    content = bytes(packet)
    sound = sound_png(content)
    if sound is content:
        return None
    # Of a size, and then filled: what PyAV makes from bytes is freed by Python, so that a decoder's
    # thread would wait for the interpreter, and who closes the decoder, in it, for the thread.
    made: Packet[Stream] = Packet(len(sound))
    made.update(sound)
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    made.time_base = packet.time_base
    return made


def sound_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks, of which metadata that cannot be read is left out.

    So is a second one of a kind that a file may have once.
    """
    seen: set[bytes] = set()
    spare_bytes = MOST_INFLATED_BYTES
    for kind, chunk in chunks:
        if kind in _ONCE and kind in seen:
            continue
        seen.add(kind)
        expanded_bytes = _expanded_bytes(chunk, spare_bytes) if kind in PNG_METADATA else 0
        if expanded_bytes is not None:
            spare_bytes -= expanded_bytes
            yield kind, chunk


def _expanded_bytes(chunk: bytes, most: int) -> int | None:
    """Return what a chunk of metadata takes more, expanded; None if it cannot be read.

    Nor can one that takes more than `most` bytes.
    """
    kind, data = chunk[4:8], chunk[8:-4]
    if chunk != png_chunk(kind, data):
        return None
    packed = _packed(kind, data)
    expanded_bytes = 0 if packed is None else _inflated_bytes(packed, most)
    return None if kind in _REFUSED and not _is_decodable(chunk) else expanded_bytes


def _packed(kind: bytes, data: bytes) -> bytes | None:
    """Return the compressed part of a chunk, None if it has none."""
    if kind in (b"iCCP", b"zTXt"):
        return data.partition(b"\0")[2][1:]
    if kind == b"iTXt" and data.partition(b"\0")[2][:1] == b"\1":
        return data.partition(b"\0")[2][2:].partition(b"\0")[2].partition(b"\0")[2]
    return None


def _inflated_bytes(packed: bytes, most: int) -> int | None:
    inflate, total = zlib.decompressobj(), 0
    try:
        while not inflate.eof and total <= most:
            found = inflate.decompress(packed, _STEP_BYTES)
            packed, total = inflate.unconsumed_tail, total + len(found)
            if not found and not packed:
                return None
    except zlib.error:
        return None
    return total if inflate.eof and total <= most else None


def _is_decodable(chunk: bytes) -> bool:
    """Return whether libav decodes a picture of one pixel with this chunk."""
    size = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(4)))
    parts = [png_chunk(b"IHDR", size), chunk, pixels, png_chunk(b"IEND", b"")]
    try:
        decoder = av.CodecContext.create("png", "r")
        return bool(decoder.decode(av.Packet(PNG_SIGNATURE + b"".join(parts))))
    except FFmpegError:
        return False
