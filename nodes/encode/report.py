"""What a segment's encoder tells: the parts of its frames, and how they are encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodes.encode.encoder_table import hdr_encoders
from nodes.encode.encoders import EncoderPlan
from nodes.errors import MediaError
from nodes.types import Frame, VideoInfo

__all__ = ["LastFrame", "Part", "encoding_facts", "encoding_losses", "parts_in"]


@dataclass(frozen=True, slots=True)
class Part:
    """Frames of a segment that follow each other, and what became of them."""

    file: str | None
    """Name of the encoded file in the node's folder; None if their packets are to be copied."""
    first_pts: int
    last_pts: int
    frames: int


def parts_in(report: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a segment from the report of `aminet.encode`, in order."""
    return [Part(**part) for part in report["parts"]]


class LastFrame:
    """The last frame so far, and how long it is shown."""

    def __init__(self) -> None:
        self.pts: int | None = None
        """Its presentation time, None before the first frame."""
        self._duration_ticks = 0
        self._knows_durations = True

    @property
    def duration_ticks(self) -> int:
        """Its duration in ticks, 0 if unknown."""
        return self._duration_ticks if self._knows_durations else 0

    def see(self, frame: Frame) -> None:
        """Take the next frame.

        Raises:
            MediaError: its pts is not later than that of the frame before.
        """
        if self.pts is not None:
            if frame.pts <= self.pts:
                raise MediaError(
                    f"frame {frame.index} has pts {frame.pts}, expected more than {self.pts}"
                )
            # Some demuxers give every frame a duration of one tick.
            self._knows_durations = 2 * self._duration_ticks >= frame.pts - self.pts
        self.pts, self._duration_ticks = frame.pts, frame.duration_ticks


def encoding_facts(plan: EncoderPlan, info: VideoInfo, captioned: int) -> dict[str, Any]:
    """Return how a video is encoded, for reports, as JSON types.

    Args:
        plan: the encoder and its settings.
        info: the video.
        captioned: number of encoded frames with closed captions.
    """
    fields = hdr = None
    if info.interlaced:
        whole = plan.facts.interlaced
        fields = "coded as fields" if whole else "kept in the pixels, coded as frames"
    if info.hdr is not None and not plan.intermediate:
        hdr = "left out" if plan.facts.hdr_words is None else "kept"
    return {
        "encoder": plan.encoder,
        "codec": plan.codec_name,
        "pix_fmt": plan.pix_fmt,
        "converted_from": info.pix_fmt if plan.pix_fmt != info.pix_fmt else None,
        "fields": fields,
        "lossless": plan.lossless,
        "settings": dict(plan.options),
        "bitrate_bps": plan.bitrate_bps,
        "hdr": hdr,
        "captions": captioned,
        "warnings": encoding_losses(plan, info, captioned=captioned > 0),
    }


def encoding_losses(plan: EncoderPlan, info: VideoInfo, *, captioned: bool) -> list[str]:
    """Return what the encoder leaves out, for the user.

    What pictures leave out that are written from its file is told by those who write them.

    Args:
        plan: the encoder and its settings.
        info: the video.
        captioned: whether encoded frames have closed captions.
    """
    losses: list[str] = []
    if plan.intermediate:
        return ["pictures cannot hold closed captions: left out"] * captioned
    if captioned and not plan.facts.captions:
        losses.append(f"{plan.encoder} cannot hold closed captions: left out; x264 and x265 can")
    if info.hdr is not None and plan.facts.hdr_words is None:
        *others, last = hdr_encoders()
        losses.append(
            f"{plan.encoder} cannot be told of the HDR10 mastering display and light levels:"
            f" left out; {', '.join(others)} and {last} can"
        )
    return losses
