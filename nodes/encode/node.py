"""`aminet.encode`: encodes the frames of a segment to a file with exact times.

The file contains the video only. Other streams are copied from the source by
`pipeline.containers.mux`, when all segments are encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

from nodes.encode.encoders import (
    EncodeConfig,
    EncoderPlan,
    plan_encoder,
    plan_intermediate,
    plan_joined,
)
from nodes.encode.stretches import StretchWriter
from nodes.encode.writer import VIDEO_FILE, Writer
from nodes.errors import MediaError
from nodes.join import SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.types import Frame, VideoInfo

__all__ = ["Encode"]

_SUMS: Final = ("frames", "copied_frames", "decoded_again", "captions", "bytes")

LOSSLESS_THREADS: Final = 2
"""The output of some encoders depends on their number of threads."""


class Encode(SinkNode[EncodeConfig]):
    """Encodes frames with their pts in the source's time base.

    If the encoder does not support the frames' pixel format, they are converted to the nearest one
    without loss, which `report` mentions.
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.encode",
        summary="encode frames into a video stream",
        inputs=(Port("frames", Frame),),
    )
    Config = EncodeConfig
    endings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: EncodeConfig) -> None:
        super().__init__(config)
        self._writer: Writer | StretchWriter | None = None
        self._report: dict[str, Any] = {}

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Open the encoder and start `segment.work_dir / VIDEO_FILE`.

        If unchanged frames may be copied, both are done when a changed one comes.

        Raises:
            NodeConfigError: the encoder is unknown or refuses its settings.
            UnsupportedFormatError: the encoder cannot hold the pixel format.
            MediaError: the file cannot be written.
        """
        (info,) = inputs.values()
        config = self.config
        if config.lossless:
            segment = replace(segment, threads=LOSSLESS_THREADS)
        if config.codec == "auto" and segment.codec is not None:
            config = config.model_copy(update={"codec": segment.codec})
            plan = plan_intermediate(plan_encoder(config, info, segment.threads))
        else:
            plan = plan_encoder(config, info, segment.threads)
        self._report = {}
        if segment.cuts is None or config.why_encoded() is not None:
            self._writer = self.make_writer(segment, plan, info)
        else:
            if plan.codec_name == info.codec_name:
                plan = plan_joined(plan, info)
            self._writer = StretchWriter(
                segment, plan, info, lambda path: Writer(path, plan, info, segment.threads)
            )
        return info

    def make_writer(self, segment: Segment, plan: EncoderPlan, info: VideoInfo) -> Writer:
        """Create the writer for the file."""
        return Writer(segment.work_dir / VIDEO_FILE, plan, info, segment.threads)

    def process(self, inputs: Inputs) -> None:
        """Encode one frame, or leave it to be copied.

        Raises:
            MediaError: the frame's size or format is not what `open` was told, its pts does not
                increase, or the disk is full.
        """
        self._opened().write(inputs.get("frames", Frame))

    def finish(self) -> None:
        """Complete the file and check that it contains all frames.

        Raises:
            MediaError: the encoder lost frames, or the disk is full.
        """
        self._opened().finish()

    def close(self) -> None:
        """Close the file, and remove it if it is unfinished."""
        if self._writer is not None:
            self._report = self._writer.report()
            self._writer.close()
            self._writer = None

    def report(self) -> dict[str, Any]:
        """Return encoder, settings, frames, bytes and conversions, for JSON."""
        return self._report

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Add frames and bytes; other values are equal, except the last frame's duration."""
        sums = {key: sum(report[key] for report in reports) for key in _SUMS}
        warnings = dict.fromkeys(text for report in reports for text in report["warnings"])
        merged = {**reports[-1], **sums, "warnings": list(warnings)}
        # They belong to the segment's files.
        merged.pop("parts")
        return merged

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Return nothing, since the joined videos of the segments are the output itself."""
        del parts, folder, config
        return {}

    def _opened(self) -> Writer | StretchWriter:
        if self._writer is None:
            raise MediaError("encode: used without open()")
        return self._writer
