"""The pictures of a finished output, one after another."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

import av

from nodes.decode import Decode, DecodeConfig
from nodes.errors import MediaError
from nodes.evidence.rows import FrameRow
from nodes.node import Outputs, Segment
from nodes.picture.digest import picture_sha256
from nodes.types import ColorTags, Frame
from pipeline.verification.findings import Finding, failed, ok

__all__ = ["OutputPictures", "check_lossless"]


def pictures_of(path: str, threads: int) -> Iterator[av.VideoFrame]:
    """Yield the pictures of a file.

    Raises:
        MediaError: it cannot be read.
    """
    node = Decode(DecodeConfig())
    with tempfile.TemporaryDirectory() as folder, closing(node):
        node.open(Segment(path, Path(folder), threads), {})
        for outputs in node.packets():
            yield _picture(outputs)


def _picture(outputs: Outputs) -> av.VideoFrame:
    frame = outputs["frames"]
    assert isinstance(frame, Frame)  # noqa: S101 - for the type checker
    return frame.picture


class OutputPictures:
    """Gives the output's picture of each frame, which are asked for in order."""

    def __init__(self, path: str, rows: Sequence[FrameRow], threads: int) -> None:
        """Open a file.

        Args:
            path: of the output.
            rows: of its frames.
            threads: CPU threads of the decoder.

        Raises:
            MediaError: it cannot be read.
        """
        self._folder = tempfile.TemporaryDirectory()
        self._node = Decode(DecodeConfig())
        segment = Segment(path, Path(self._folder.name), threads)
        self.color: ColorTags = self._node.open(segment, {}).color
        self._pictures = self._node.packets()
        self._index = {row["pts"]: index for index, row in enumerate(rows)}
        self._next = 0

    def at(self, pts: int) -> av.VideoFrame | None:
        """Return the picture of the frame at a pts of the source, None if there is none."""
        wanted = self._index.get(pts)
        if wanted is None:
            return None
        picture: av.VideoFrame | None = None
        while self._next <= wanted:
            try:
                outputs = next(self._pictures, None)
            except MediaError:
                outputs = None
            if outputs is None:
                return None
            picture = _picture(outputs)
            self._next += 1
        return picture

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._node.close()
        self._folder.cleanup()


def check_lossless(path: str, rows: Sequence[FrameRow], threads: int) -> Finding:
    """Compare every picture of a lossless output with its digest.

    Args:
        path: of the output.
        rows: of its frames.
        threads: CPU threads of the decoder.
    """
    name, index = Path(path).name, 0
    try:
        for index, picture in enumerate(pictures_of(path, threads)):
            if index >= len(rows):
                return failed("pictures", f"{name} has more than the {len(rows)} recorded frames")
            wanted = rows[index]["written"] or rows[index]["source"]
            if picture_sha256(picture) != wanted:
                text = f"{name}: frame {index} is not the picture that was written"
                return failed("pictures", text)
    except MediaError as error:
        return failed("pictures", f"{name} cannot be decoded: {error}")
    if index + 1 < len(rows):
        return failed("pictures", f"{name} has {index + 1} frames, {len(rows)} were written")
    return ok("pictures", f"all {len(rows)} pictures of {name} are, bit by bit, those recorded")
