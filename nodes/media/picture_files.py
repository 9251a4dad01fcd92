"""Pictures in files of their own: photographs, numbered sequences, animations.

libav reads all of them but animated WebP, which Pillow reads and which is handed on as a lossless
video in memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.format import ContainerFormat
from av.video import VideoStream
from PIL import Image, ImageSequence

from nodes.errors import MediaError
from nodes.media.allowed import allowing, open_allowed
from nodes.media.picture_formats import PICTURE_FORMATS
from nodes.media.urls import is_url

__all__ = [
    "files_of",
    "is_animated_webp",
    "is_numbered",
    "numbered",
    "numbered_name",
    "numbers_among",
    "open_animated_webp",
    "open_numbered",
    "opened_numbered",
    "pillow_image",
]

_NUMBER: Final = re.compile(r"%(0\d+)?d")

_SUFFIXES: Final = PICTURE_FORMATS.keys() | {
    f".{name}" for name in ContainerFormat("image2", "w").extensions
}
"""Of pictures that may be numbered: `100%d.mp4` is one file."""

_FIRST: Final = "start_number"
"""libav's option for the first of numbered pictures."""

_MILLISECONDS: Final = Fraction(1, 1000)


def is_numbered(name: str) -> bool:
    """Say whether a name stands for numbered files, such as `frame_%05d.png`."""
    path = Path(name)
    if path.suffix.lower() not in _SUFFIXES or not _NUMBER.search(path.name):
        return False
    return not is_url(name) and not path.exists()


def numbered(pattern: str | Path) -> dict[int, Path]:
    """Return the files of a pattern that exist, by number, in order."""
    pattern = Path(pattern)
    names = [path.name for path in pattern.parent.iterdir()] if pattern.parent.is_dir() else []
    found = numbers_among(pattern.name, names)
    return {number: pattern.with_name(name) for number, name in found.items()}


def numbers_among(pattern: str, names: Iterable[str]) -> dict[int, str]:
    """Return those of some files' names that a pattern stands for, by number, in order."""
    before, _, after = _split(pattern)
    numbered = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found: dict[int, str] = {}
    for name in names:
        match = numbered.fullmatch(name)
        # The digits must be those that the pattern would write: %03d has no file named 7.
        if match and numbered_name(pattern, int(match[1])) == name:
            found[int(match[1])] = name
    return dict(sorted(found.items()))


def numbered_name(pattern: str, number: int) -> str:
    """Return the name that a pattern stands for."""
    before, number_format, after = _split(pattern)
    return before + number_format % number + after


def files_of(name: str | Path) -> list[Path]:
    """Return the files that a name stands for: itself, or the numbered ones; existing ones only."""
    if is_numbered(str(name)):
        return list(numbered(name).values())
    path = Path(name)
    return [path] if path.is_file() else []


def open_numbered(pattern: str) -> InputContainer:
    """Open numbered pictures as one video of 25 pictures a second.

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
    """Say whether a container is one that `open_numbered` returned."""
    return _FIRST in container.options


def is_animated_webp(path: Path) -> bool:
    """Say whether a file is a WebP with more than one picture, by its header."""
    with path.open("rb") as file:
        head = file.read(21)
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended and len(head) > 20 and bool(head[20] & 2)


@contextmanager
def pillow_image(path: Path) -> Generator[Image.Image]:
    """Open a picture's file with Pillow, which may raise anything over a damaged one.

    Raises:
        MediaError: it cannot be read, or is of more pixels than Pillow takes for harmless.
    """
    try:
        image = Image.open(path)
    except Exception as error:
        raise MediaError(f"{path}: its header cannot be read ({_line(error)})") from error
    with image:
        yield image


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def open_animated_webp(path: Path) -> InputContainer:
    """Open an animated WebP as a lossless video in memory, transparency and times kept.

    Raises:
        MediaError: it is damaged.
    """
    video = io.BytesIO()
    try:
        with pillow_image(path) as image, av.open(video, "w", format="mov") as container:
            stream = container.add_stream("png", rate=25)
            assert isinstance(stream, VideoStream)  # noqa: S101 - for the type checker
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = *image.size, "rgba"
            context.time_base, time_ms = _MILLISECONDS, 0
            for shown in ImageSequence.Iterator(image):
                picture = av.VideoFrame.from_ndarray(np.asarray(shown.convert("RGBA")), "rgba")
                picture.pts, picture.time_base = time_ms, _MILLISECONDS
                picture.duration = max(1, round(shown.info.get("duration", 0)))
                time_ms += picture.duration
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"{path}: a damaged animation ({error}); copy it again") from error
    video.seek(0)
    return av.open(video, "r", container_options=allowing({"mov"}, ""))


def _escaped(pattern: str) -> str:
    """Return a pattern of files for libav, to which each other `%` is doubled."""
    path = Path(pattern)
    before, number_format, after = _split(path.name)
    doubled = before.replace("%", "%%") + number_format + after.replace("%", "%%")
    return str(Path(str(path.parent).replace("%", "%%"), doubled))


def _split(name: str) -> tuple[str, str, str]:
    match = _NUMBER.search(name)
    assert match is not None  # noqa: S101 - callers ask is_numbered first
    return name[: match.start()], match[0], name[match.end() :]
