"""`aminet.decode`: the source node, which decodes a video to frames with increasing pts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from av.container import InputContainer

from nodes.decode.config import DecodeConfig
from nodes.decode.report import format_warnings, summed_conversions, warnings_of
from nodes.decode.stretch import Stretch
from nodes.errors import MediaError
from nodes.media.reader import PacketHandler
from nodes.node import NodeSpec, Outputs, Port, Segment, SourceNode
from nodes.reports import sum_reports
from nodes.types import Frame, VideoInfo

__all__ = ["Decode"]


class Decode(SourceNode[DecodeConfig]):
    """Yields the decoded frames of a video stream of `segment.input`, the best if not configured.

    Data that cannot be decoded is skipped and counted, with the number and time of the next frame;
    pictures that the decoder has concealed are kept and counted. Pictures whose pixel format cannot
    be edited in place are converted to the nearest one that can. If pictures
    change their size or format, all are made to fit one frame (`nodes.decode.common_picture`).
    `report` has all of this.
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
        """Called with the packets of all other streams, for a source that can be read only once."""
        self.live_until: threading.Event | None = None
        """For a live source: set it to end the source."""
        self._stretch: Stretch | None = None
        self._report: dict[str, Any] = {}

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Open the file, decode its first picture, and describe the video.

        Raises:
            MediaError: the file is missing, empty, not a video, or no picture can be decoded.
            UnsupportedFormatError: the pixel format cannot be converted to an editable one.
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
        """Age of the last packet that was read from a live source, s; 0 for other sources."""
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
        """Return frames, first and last pts, damage, computed times and conversions."""
        return self._report

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Add the counts; take the first pts of the first segment and the last pts of the last."""
        known = [report for report in reports if report["first_pts"] is not None] or reports
        summed = sum_reports(reports)
        conversions = summed_conversions(summed["conversions"])
        merged = summed | {
            "first_pts": known[0]["first_pts"],
            "last_pts": known[-1]["last_pts"],
            "container_frame_count": reports[0]["container_frame_count"],
            "left_out": reports[0].get("left_out", []),
            "changes": reports[0].get("changes", []),
            "new_format": reports[0].get("new_format"),
            "conversions": conversions,
            "format_warnings": format_warnings(conversions),
        }
        return merged | {"warnings": warnings_of(merged, whole=True)}
