"""Decode: the source node. Every picture of a video, in its own planes, with a time it can keep."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from av.container import InputContainer

from nodes.decode.config import DecodeConfig
from nodes.decode.stretch import Stretch, warnings_of
from nodes.errors import MediaError
from nodes.media.reader import PacketHandler
from nodes.node import NodeSpec, Outputs, Port, Segment, SourceNode
from nodes.reports import sum_reports
from nodes.types import Frame, VideoInfo

__all__ = ["Decode"]


class Decode(SourceNode[DecodeConfig]):
    """Yields each decoded frame of `segment.input`, from its best video stream.

    What cannot be decoded is left out and counted, with the number and time of the frame that
    follows; a picture that the decoder patched over is kept and counted too. A picture whose pixel
    format cannot be edited in place is converted to the nearest that can; one whose size or format
    differs from the first picture's is converted to the first's. `report` says all of it.
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.decode",
        summary="decode a video file or URL into frames",
        outputs=(Port("frames", Frame),),
    )
    Config = DecodeConfig

    def __init__(self, config: DecodeConfig) -> None:
        super().__init__(config)
        self.on_other: PacketHandler | None = None
        """Given the packets of all other streams, for a source that can be read only once."""
        self.live_until: threading.Event | None = None
        """For a live source: ends it when it is set."""
        self._stretch: Stretch | None = None
        self._report: dict[str, Any] = {}

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Open the file, decode its first picture, and describe the video by it.

        Raises:
            MediaError: the file is missing, empty, not a video, or nothing in it can be decoded.
            UnsupportedFormatError: the pictures cannot be brought into an editable pixel format.
        """
        del inputs
        self._report = {}
        self._stretch = Stretch(segment, self.config, self.on_other, self.live_until)
        return self._stretch.info

    def packets(self) -> Iterator[Outputs]:
        """Yield {"frames": Frame} in strictly increasing pts, for `first_pts <= pts < end_pts`.

        Raises:
            MediaError: called before `open`.
        """
        if self._stretch is None:
            raise MediaError("decode: packets() was called without open()")
        for frame in self._stretch.frames():
            yield {"frames": frame}

    @property
    def delay_s(self) -> float:
        """How long ago what was read last had come, of a live source; 0 of all others."""
        return 0.0 if self._stretch is None else self._stretch.delay_s

    @property
    def container(self) -> InputContainer:
        """The open file.

        Raises:
            MediaError: called before `open`.
        """
        if self._stretch is None:
            raise MediaError("decode: container was asked for without open()")
        return self._stretch.container

    def close(self) -> None:
        """Close the file."""
        if self._stretch is not None:
            self._report = self._stretch.report()
            self._stretch.close()
            self._stretch = None

    def report(self) -> dict[str, Any]:
        """Return frames, first and last pts, damage, made-up times and conversions, for JSON."""
        return self._report

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Add the counts up; the times are the first segment's first and the last one's last."""
        known = [report for report in reports if report["first_pts"] is not None] or reports
        merged = sum_reports(reports) | {
            "first_pts": known[0]["first_pts"],
            "last_pts": known[-1]["last_pts"],
            "container_frame_count": reports[0]["container_frame_count"],
        }
        return merged | {"warnings": warnings_of(merged, whole=True)}
