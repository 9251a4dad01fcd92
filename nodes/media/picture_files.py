"""Opening picture files: photographs, numbered sequences and animations.

libav reads all of them except animated WebP, which is read with Pillow and converted to a lossless
video in a temporary file.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
from av.container import InputContainer
from av.format import ContainerFormat
from av.video import VideoStream
from PIL import Image, ImageSequence, UnidentifiedImageError

from aminet.errors import first_line
from nodes.errors import MediaError
from nodes.media.allowed import allowing, open_allowed
from nodes.media.picture_formats import PICTURE_FORMATS
from nodes.media.urls import is_url
from nodes.picture.png_chunks import read_png_metadata, sound_chunks, sound_png

__all__ = [
    "files_of",
    "is_animated_webp",
    "is_cut_jpeg",
    "is_numbered",
    "numbered",
    "numbered_name",
    "numbers_among",
    "open_animated_webp",
    "open_numbered",
    "open_sound_png",
    "opened_numbered",
    "pillow_image",
]

# More digits than a file's name can have are no number.
_NUMBER: Final = re.compile(r"%(0\d{1,2})?d")

_SUFFIXES: Final = PICTURE_FORMATS.keys() | {
    f".{name}" for name in ContainerFormat("image2", "w").extensions
}
"""Pattern of numbered files, for suffixes of pictures only: `100%d.mp4` is one file."""

_FIRST: Final = "start_number"
"""libav's option for the number of the first picture."""

_SCAN: Final = b"\xda"
"""What follows FF where the pixels of a JPEG begin."""

_MILLISECONDS: Final = Fraction(1, 1000)


def is_numbered(name: str) -> bool:
    """Return whether a name is a pattern for numbered files, such as `frame_%05d.png`."""
    path = Path(name)
    if path.suffix.lower() not in _SUFFIXES or not _NUMBER.search(path.name):
        return False
    return not is_url(name) and not path.exists()


def numbered(pattern: str | Path) -> dict[int, Path]:
    """Return the existing files of a pattern, by number, in order."""
    pattern = Path(pattern)
    if not pattern.parent.is_dir():
        return {}
    with os.scandir(pattern.parent) as entries:
        by_name = {entry.name: entry for entry in entries}
    found = numbers_among(pattern.name, by_name)
    return {
        number: pattern.with_name(name) for number, name in found.items() if _is_file(by_name[name])
    }


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry can be read: folders cannot, and pipes would be waited for."""
    try:
        return entry.is_file()
    except OSError:  # a link in a circle, or into a folder that may not be entered
        return False


def numbers_among(pattern: str, names: Iterable[str]) -> dict[int, str]:
    """Return the names that match a pattern, by number, in order."""
    before, _, after = _split(pattern)
    numbered = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found: dict[int, str] = {}
    for name in names:
        match = numbered.fullmatch(name)
        # The digits must be those that the pattern would write: %03d does not match 7.
        if match and numbered_name(pattern, int(match[1])) == name:
            found[int(match[1])] = name
    return dict(sorted(found.items()))


def numbered_name(pattern: str, number: int) -> str:
    """Return the name of a number in a pattern."""
    before, number_format, after = _split(pattern)
    return before + number_format % number + after


def files_of(name: str | Path) -> list[Path]:
    """Return the existing files of a name: the file itself, or those of a pattern."""
    if is_numbered(str(name)):
        return list(numbered(name).values())
    path = Path(name)
    return [path] if path.is_file() else []


def open_numbered(pattern: str) -> InputContainer:
    """Open numbered pictures as a video with 25 pictures per second.

    Raises:
        MediaError: there are none, or one is missing between two others.
    """
    numbers = list(numbered(pattern))
    if not numbers:
        raise MediaError(f"{pattern}: no such numbered files; check folder and pattern")
    first, last = numbers[0], numbers[-1]
    if len(numbers) <= last - first:
        missing = next(n for n, found in enumerate(numbers, first) if n != found)
        raise MediaError(
            f"{pattern}: number {missing} is missing, the files go from {first} to {last}; put the"
            " file there or number them without a gap"
        )
    return open_allowed(_escaped(pattern), demuxer="image2", options={_FIRST: str(first)})


def opened_numbered(container: InputContainer) -> bool:
    """Return whether a container was opened by `open_numbered`."""
    return _FIRST in container.options


def is_animated_webp(path: Path) -> bool:
    """Return whether a file is a WebP with several pictures, by its header."""
    with path.open("rb") as file:
        head = file.read(21)
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended and len(head) > 20 and bool(head[20] & 2)


def is_cut_jpeg(content: bytes) -> bool:
    """Return whether a JPEG ends before its pixels do; libav makes the rest of it grey."""
    if not content.startswith(b"\xff\xd8"):
        return False
    # Segments before the pixels, such as a thumbnail's, and data behind the picture, such as a
    # telephone's video, may have the same bytes as these marks.
    at = 2
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != _SCAN:
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content[at + 1 : at + 2] == _SCAN and content.find(b"\xff\xd9", at) < 0


@contextmanager
def pillow_image(path: Path, content: BinaryIO | None = None) -> Generator[Image.Image]:
    """Open a picture with Pillow, converting its errors.

    Args:
        path: the file.
        content: its content, if that is to be read instead.

    Raises:
        MediaError: it cannot be read, or has more pixels than Pillow allows.
    """
    try:
        image = Image.open(content or path)
    except UnidentifiedImageError as error:
        raise MediaError(f"{path}: a kind of picture that Pillow does not know") from error
    except Exception as error:
        raise MediaError(f"{path}: its header cannot be read ({first_line(error)})") from error
    with image:
        yield image


def open_animated_webp(path: Path) -> InputContainer:
    """Open an animated WebP as a lossless video, with its transparency and times.

    Raises:
        MediaError: it is damaged.
    """
    # libav keeps the video open after the folder is removed: it can be larger than memory.
    with tempfile.TemporaryDirectory(prefix="aminet-webp-") as folder:
        video = f"{folder}/animation.mov"
        try:
            with pillow_image(path) as image:
                _write_video(image, video)
        except (OSError, ValueError, SyntaxError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise MediaError(
                    f"{path}: no space left in {folder} to decode it; set TMPDIR to a"
                    " folder that has it"
                ) from error
            why = first_line(error)
            raise MediaError(f"{path}: a damaged animation ({why}); copy it again") from error
        return av.open(video, "r", container_options=allowing({"mov"}, "file"))


def _write_video(animation: Image.Image, file: str) -> None:
    with av.open(file, "w", format="mov") as container:
        stream = container.add_stream("png", rate=25)
        assert isinstance(stream, VideoStream)  # noqa: S101 - for the type checker
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = *animation.size, "rgba"
        context.time_base, time_ms = _MILLISECONDS, 0
        # With one thread each picture is coded at once. The muxer knows how long the last one is
        # shown only from its packet, and the encoder does not say it there.
        context.thread_count = 1
        for shown in ImageSequence.Iterator(animation):
            picture = av.VideoFrame.from_ndarray(np.asarray(shown.convert("RGBA")), "rgba")
            picture.pts, picture.time_base = time_ms, _MILLISECONDS
            duration_ms = max(1, round(shown.info.get("duration", 0)))
            time_ms += duration_ms
            for packet in stream.encode(picture):
                packet.duration = duration_ms
                container.mux(packet)
        container.mux(stream.encode(None))


def open_sound_png(path: Path) -> InputContainer | None:
    """Open a PNG or APNG some of whose metadata cannot be read without it; None if all can."""
    with path.open("rb") as file:
        facts = read_png_metadata(file)
        if facts is None or len(list(sound_chunks(facts))) == len(facts):
            return None
        file.seek(0)
        sound = sound_png(file.read())
    return av.open(io.BytesIO(sound), "r", container_options=allowing({"png_pipe", "apng"}, ""))


def _escaped(pattern: str) -> str:
    """Return a pattern for libav, in which every other `%` is doubled."""
    path = Path(pattern)
    before, number_format, after = _split(path.name)
    doubled = before.replace("%", "%%") + number_format + after.replace("%", "%%")
    return str(Path(str(path.parent).replace("%", "%%"), doubled))


def _split(name: str) -> tuple[str, str, str]:
    match = _NUMBER.search(name)
    assert match is not None  # noqa: S101 - callers ask is_numbered first
    return name[: match.start()], match[0], name[match.end() :]
