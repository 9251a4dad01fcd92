"""Encoding only those stretches of a segment in which a picture was changed.

The source's packets can be cut at some keyframes only (`Segment.cuts`). Between two of them all
frames are encoded, or all are left to be copied, so a stretch is encoded as a whole once one of its
frames was changed. The frames before that one were let go by then, which bounds memory: they are
decoded again. Stretches that follow each other are encoded as one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from av.video.frame import PictureType

from nodes.encode.encoders import EncoderPlan
from nodes.encode.report import LastFrame, Part, encoding_facts
from nodes.encode.writer import VIDEO_FILE, Writer
from nodes.errors import MediaError
from nodes.media.reader import PictureReader
from nodes.node import Segment
from nodes.types import Frame, VideoInfo

__all__ = ["StretchWriter"]


class StretchWriter:
    """Writes a file for each run of changed stretches, and lists the others."""

    def __init__(
        self,
        segment: Segment,
        plan: EncoderPlan,
        info: VideoInfo,
        open_writer: Callable[[Path], Writer],
    ) -> None:
        """Begin a segment.

        Args:
            segment: with `cuts`.
            plan: the encoder and its settings, for the report.
            info: the video.
            open_writer: opens the encoder and a file.
        """
        self._segment, self._plan, self._info = segment, plan, info
        self._open_writer = open_writer
        self._cuts = segment.cuts or ()
        self._stretch = -1
        self._left: list[int] = []
        """Pts of the frames of the stretch so far, while none of them was changed."""
        self._encodes = False
        """Whether a frame of the stretch was changed."""
        self._writer: Writer | None = None
        self._begun: Part | None = None
        """The part that is being written."""
        self._parts: list[Part] = []
        self._again: _Again | None = None
        self._last = LastFrame()
        self._bytes = self._repeated = self._captioned = 0

    def write(self, frame: Frame) -> None:
        """Encode a frame if its stretch is, else note it.

        Raises:
            MediaError: the frame's size or format is not what was announced, its pts does not
                increase, the source does not give the same frames again, or the disk is full.
        """
        stretch = bisect_right(self._cuts, frame.pts)
        if stretch != self._stretch:
            self._end_stretch()
            self._stretch = stretch
        self._last.see(frame)
        if not self._encodes and frame.picture is frame.coded:
            self._left.append(frame.pts)
            return
        if not self._encodes:
            self._encodes = True
            self._encode_left()
        self._encode(frame)

    def finish(self) -> None:
        """Complete the files.

        Raises:
            MediaError: the encoder lost frames, or the disk is full.
        """
        self._end_stretch()
        self._end_file()

    def close(self) -> None:
        """Close the file and the source, and remove an unfinished file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._again is not None:
            self._again.close()
            self._again = None

    def report(self) -> dict[str, Any]:
        """Return the report, as JSON types."""
        left = sum(part.frames for part in self._parts if part.file is None)
        frames = sum(part.frames for part in self._parts)
        facts = encoding_facts(self._plan, self._info, self._captioned)
        if left == frames:
            facts |= {"warnings": []}
        return facts | {
            "frames": frames,
            "copied_frames": left,
            "decoded_again": self._repeated,
            "bytes": self._bytes,
            "last_duration_ticks": self._last.duration_ticks,
            "parts": [asdict(part) for part in self._parts],
        }

    def _encode(self, frame: Frame) -> None:
        begun = self._begun
        if self._writer is None or begun is None:
            name = VIDEO_FILE if not self._parts else f"{len(self._parts)}.{VIDEO_FILE}"
            self._writer = self._open_writer(self._segment.work_dir / name)
            begun = Part(name, frame.pts, frame.pts, 0)
        self._writer.write(frame)
        self._begun = Part(begun.file, begun.first_pts, frame.pts, begun.frames + 1)

    def _encode_left(self) -> None:
        """Decode the first frames of the stretch again, and encode them."""
        left, self._left = self._left, []
        if not left:
            return
        if self._again is None:
            self._again = _Again(self._segment, self._info)
        for frame in self._again.frames(left):
            self._encode(frame)
        self._repeated += len(left)

    def _end_stretch(self) -> None:
        if self._left:
            self._end_file()
            self._parts.append(Part(None, self._left[0], self._left[-1], len(self._left)))
        self._left, self._encodes = [], False

    def _end_file(self) -> None:
        if self._writer is None or self._begun is None:
            return
        self._writer.finish()
        report = self._writer.report()
        self._bytes += report["bytes"]
        self._captioned += report["captions"]
        self._parts.append(self._begun)
        self._writer = self._begun = None


class _Again:
    """Decodes frames of the source a second time."""

    def __init__(self, segment: Segment, info: VideoInfo) -> None:
        self._reader = PictureReader(segment.input, segment.threads)
        self._name, self._info = segment.input, info

    def frames(self, times: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames with these pts, which follow each other.

        Raises:
            MediaError: the source has others now.
        """
        self._reader.seek(times[0])
        wanted = iter(times)
        pts = next(wanted)
        for picture in self._reader.pictures():
            if picture.pts is None or picture.pts < pts:
                continue
            if picture.pts > pts:
                break
            picture.time_base, picture.pict_type = self._info.time_base, PictureType.NONE
            yield Frame(0, pts, max(0, picture.duration), picture, picture)
            following = next(wanted, None)
            if following is None:
                return
            pts = following
        raise MediaError(
            f"{self._name}: has no frame at {float(pts * self._info.time_base):.3f} s when it is"
            " decoded again; set encode.copy=false"
        )

    def close(self) -> None:
        self._reader.close()
