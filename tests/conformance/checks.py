"""Taking a row's source through the whole program and comparing what came out, column by column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

import pipeline
from aminet.errors import AminetError
from nodes.media.open import codec_name, video_stream
from pipeline.job.report import VideoReport
from tests.conformance.row import Column, Row
from tests.support.decoding import differs_after_seek, differs_in_second_decoder
from tests.support.marking import marking_graph, times_of
from tests.support.media import decode_all, packets_of, planes
from tests.support.video_nodes import decode

__all__ = ["COLUMNS", "Outcome", "run_row"]

COLUMNS: tuple[Column, ...] = ("frames", "times", "picture", "shape", "streams", "tags")

CLOSE_DB = 36.0
"""Luma PSNR from which a picture counts as kept: encoded anew, no difference can be seen."""

EXACT_DB = 99.0
"""What `_psnr_db` gives for equal pictures."""

LIMITED = 1
CHROMA_LEFT = 1

NETWORK_OFF = ("enhance.weights=bicubic", "run.threads=1")
ENCODED = ("encode.copy=false",)
"""No row has a face: without this setting most would be copied."""

OWN_FACTS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "software"})
"""Metadata about the file itself; it is another file now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row."""

    error: str | None
    """The user's message if it was refused."""
    target: str
    """Suffix of the output."""
    codec: str
    failed: Mapping[Column, str]
    """Columns that do not hold, and what was seen."""
    copied: bool = False
    """Whether all packets are those of the source."""


def run_row(row: Row, folder: Path, *, copies: bool = False) -> Outcome:
    """Make the source, run the program on it, and compare.

    Args:
        row: the source and what is expected.
        folder: for the source and the output.
        copies: whether packets may be copied; else all frames are encoded.
    """
    source = row.make(folder / row.source)
    out = folder / "out"
    target = out / f"v{row.target}" if row.target else out
    settings = (*(() if copies else ENCODED), *row.settings)
    try:
        if row.changed is None:
            report = pipeline.enhance(
                source, target, runner="local", settings=(*NETWORK_OFF, *settings)
            )
        else:
            graph = marking_graph(*times_of(source, row.changed))
            settings = ("run.threads=1", *settings)
            report = pipeline.run_graph(graph, source, target, runner="local", settings=settings)
    except AminetError as error:
        return Outcome(str(error), row.target or "", "", {})
    (video,) = report.videos
    made = Path(str(video.output))
    pair = _Pair(row, source, made, video)
    checks = {
        "frames": pair.frames,
        "times": pair.times,
        "picture": pair.picture,
        "shape": pair.shape,
        "streams": pair.streams,
        "tags": pair.tags,
    }
    seen: dict[Column, str] = {}
    for column in COLUMNS:
        if wrong := checks[column]():
            seen[column] = wrong
    copied = video.copied_frames == video.frames
    return Outcome(None, made.suffix, pair.after.codec_name, seen, copied)


class _Pair:
    """A source and its output. Each check returns what is wrong, or an empty text."""

    def __init__(self, row: Row, source: Path, made: Path, report: VideoReport) -> None:
        self._row, self._source, self._made, self._report = row, source, made, report
        self._read, self._written = _pictures(source), decode_all(made)
        self.before = decode(source)[0]
        self.after, _, self._decoded = decode(made)

    @property
    def _is_copied(self) -> bool:
        return self._report.copied_frames == self._report.frames

    def frames(self) -> str:
        expected = len(self._read) if self._row.frames is None else self._row.frames
        counts = {expected, len(self._written), self._report.frames}
        if not self._report.nodes["decode"]["damage"]["count"]:
            counts.add(len(self._read))
        return "" if len(counts) == 1 else f"counts differ: {sorted(counts)}"

    def times(self) -> str:
        if self._row.times_ms is not None:
            exact = [Fraction(time).limit_denominator(10) / 1000 for time in self._row.times_ms]
        else:
            exact = [_time(picture) for picture in self._read]
        mux = self._report.mux
        shift = Fraction(mux["shift_s"]).limit_denominator(90_000)
        got = [_time(picture) - shift for picture in self._written]
        worst = max((abs(a - b) for a, b in zip(got, exact, strict=False)), default=Fraction(0))
        if not worst:
            return ""
        told = worst <= Fraction(mux["max_deviation_s"] + 1e-9) <= Fraction(mux["time_base"])
        return f"off by up to {float(worst) * 1000:.2f} ms" + ("" if told else ", not told")

    def picture(self) -> str:
        want = self._row.pix_fmt or self.before.pix_fmt
        if self.after.pix_fmt.replace("yuvj", "yuv") != want.replace("yuvj", "yuv"):
            return f"{self.after.pix_fmt}, expected {want}"
        converted = self._report.nodes["decode"]["conversions"]
        if converted:
            return str(converted[0]["what"])
        if self._row.changed is not None:
            return self._copied_pictures(self._row.changed, self._row.copied)
        for number, (a, b) in enumerate(zip(self._read, self._written, strict=False)):
            if (a.width, a.height) != (b.width, b.height):
                return f"frame {number} was {a.width}x{a.height}"
            if (psnr_db := _psnr_db(a, b)) < (EXACT_DB if self._is_copied else CLOSE_DB):
                return f"frame {number} differs, {psnr_db:.1f} dB"
        return ""

    def _copied_pictures(self, changed: Sequence[int], copied: Sequence[int]) -> str:
        if self._report.copied_frames != len(copied):
            why = self._report.why_not_copied
            return f"{self._report.copied_frames} frames copied, expected {len(copied)}: {why}"
        for number, (a, b) in enumerate(zip(self._read, self._written, strict=True)):
            psnr_db = _psnr_db(a, b)
            if number in copied:
                right = psnr_db == EXACT_DB
            else:
                right = (psnr_db < CLOSE_DB) == (number in changed)
            if not right:
                return f"frame {number} differs, {psnr_db:.1f} dB"
        return differs_after_seek(self._made, self._written) or differs_in_second_decoder(
            self._made, self._written
        )

    def shape(self) -> str:
        names = ("width_px", "height_px", "sample_aspect_ratio", "rotation_deg", "interlaced")
        wrong = [name for name in names if getattr(self.before, name) != getattr(self.after, name)]
        if self.before.interlaced and self.before.top_field_first != self.after.top_field_first:
            wrong.append("field order")
        if _matrix(self._read[0]) != _matrix(self._written[0]):
            wrong.append("display matrix")
        return ", ".join(wrong)

    def streams(self) -> str:
        mux = self._report.mux
        if mux["left_out"]:
            return f"left out: {', '.join(mux['left_out'])}"
        shift = Fraction(mux["shift_s"]).limit_denominator(90_000)
        with av.open(self._source) as container:
            others = len(container.streams) - 1
        if len(mux["copied"]) != others and "timecode" not in self._row.name:
            chapters = self._row.name.startswith("chapters")
            if not (chapters and len(mux["copied"]) == others - 1):
                return f"{len(mux['copied'])} of {others} streams"
        for copied in mux["copied"]:
            wrong = self._packets(copied, shift)
            if wrong:
                return f"{copied['codec']}: {wrong}"
        return ""

    def _packets(self, copied: dict[str, Any], shift: Fraction) -> str:
        with av.open(self._source) as container, av.open(self._made) as output:
            stream = output.streams[copied["target_index"]]
            if stream.type == "attachment" or stream.disposition & Disposition.attached_pic:
                return ""
            original = container.streams[copied["source_index"]]
            if stream.language != original.language:
                return f"language {stream.language}, was {original.language}"
            tick = max(stream.time_base or Fraction(0), Fraction(0))
        before = packets_of(self._source, copied["source_index"])
        after = packets_of(self._made, copied["target_index"])
        if [payload for _, payload in before] != [payload for _, payload in after]:
            return f"{len(after)} packets, not the {len(before)} of the source"
        off = [abs(b - shift - a) for (a, _), (b, _) in zip(before, after, strict=True)]
        return "" if max(off, default=0) <= tick / 2 else f"moved by {float(max(off)):.4f} s"

    def tags(self) -> str:
        # Limited range is what a codec without the tag means, and H.264's decoder says that chroma
        # lies on the left where the file says nothing.
        unsaid = CHROMA_LEFT if self.after.codec_name == "h264" else 0
        before, after = (
            replace(
                info.color,
                range=info.color.range or LIMITED,
                chroma=info.color.chroma or unsaid,
            )
            for info in (self.before, self.after)
        )
        if self._row.pix_fmt is None and before != after:
            return f"{after}, was {before}"
        if self.before.hdr != self.after.hdr:
            return f"mastering display {self.after.hdr}, was {self.before.hdr}"
        with av.open(self._source) as container, av.open(self._made) as output:
            lost = {key for key in _facts(container).items() if key not in _facts(output).items()}
            if lost:
                return f"metadata lost: {sorted(lost)}"
            if _chapters(container) != _chapters(output):
                return f"chapters {_chapters(output)}, were {_chapters(container)}"
            main, made = video_stream(container, ""), video_stream(output, "")
            want = codec_name(main) if self._is_copied else self._row.codec or codec_name(main)
            return "" if codec_name(made) == want else f"codec {codec_name(made)}"


def _pictures(source: Path) -> list[av.VideoFrame]:
    """Decode a source, a damaged one as far as it goes."""
    pictures: list[av.VideoFrame] = []
    with av.open(source) as container:
        stream = video_stream(container, str(source))
        stream.codec_context.thread_count = 1
        try:
            pictures.extend(container.decode(stream))
        except FFmpegError:
            return pictures
    return pictures


def _time(picture: av.VideoFrame) -> Fraction:
    return (picture.pts or 0) * (picture.time_base or Fraction(0))


def _psnr_db(a: av.VideoFrame, b: av.VideoFrame) -> float:
    depth = max(component.bits for component in a.format.components)
    dtype = np.uint16 if depth > 8 else np.uint8
    one, other = (planes(picture)[0].view(dtype).astype(np.float64) for picture in (a, b))
    error = float(np.mean((one - other) ** 2))
    return EXACT_DB if error == 0 else 10 * float(np.log10(((1 << depth) - 1) ** 2 / error))


def _matrix(picture: av.VideoFrame) -> bytes:
    found = picture.side_data.get("DISPLAYMATRIX")  # pyright: ignore[reportAttributeAccessIssue]
    # The last column of a matrix that only turns may be written in whole or in fixed-point numbers.
    return b"" if found is None or not picture.rotation % 360 else bytes(found)[:24]


def _facts(container: InputContainer) -> dict[str, str]:
    return {
        key.lower(): value
        for key, value in container.metadata.items()
        if key.lower() not in OWN_FACTS
    }


def _chapters(container: InputContainer) -> list[tuple[Fraction, str | None]]:
    return [
        (chapter["start"] * Fraction(chapter["time_base"] or 0), chapter["metadata"].get("title"))
        for chapter in container.chapters()
    ]


def matches(pattern: str, message: str) -> bool:
    """Say whether a user's message is the one expected, and one line."""
    return re.search(pattern, message) is not None and "\n" not in message
