"""Deciding whether stretches of a video may be copied, and where copied and encoded ones may meet.

The decision depends on the video and the settings only. Whether a stretch is copied is decided
where it is processed, by whether a picture in it was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from nodes.encode.encoder_table import OWN_SET, containers_of
from nodes.encode.encoders import EncodeConfig, EncoderPlan
from nodes.types import VideoInfo
from pipeline.containers.formats import container_format
from pipeline.containers.probe import PacketScan
from pipeline.pieces.cuts import JOINABLE
from pipeline.pieces.parameter_sets import set_numbers
from pipeline.segments.plan import irregular

__all__ = ["CopyPlan", "CopyTarget", "plan_copying"]

_SAME: Final = {
    "mp4": "mov",
    "mov": "mov",
    "matroska": "matroska",
    "webm": "matroska",
    "mpegts": "mpegts",
    "nut": "nut",
}
"""Muxers -> the demuxer of what they write, whose codecs they can therefore hold."""


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What may be copied of a video."""

    cuts: tuple[int, ...] | None
    """Pts of the keyframes between which all frames are encoded or all copied; empty if the video
    can only be copied or encoded as a whole; None if nothing is copied."""
    why_not: str | None = None
    """Why nothing is copied, or why only the whole video is; None if stretches may be."""


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """One of the outputs of a video."""

    config: EncodeConfig
    encoder: EncoderPlan
    """The encoder that these settings choose."""
    video: VideoInfo
    """What it encodes."""
    path: PurePath
    """Only the suffix matters."""


def plan_copying(
    scan: PacketScan | None,
    info: VideoInfo,
    targets: Sequence[CopyTarget],
    video: int | None = None,
) -> CopyPlan:
    """Decide whether a video or stretches of it may be copied to its outputs.

    Outputs of which all frames are encoded in any case do not count.

    Args:
        scan: the video's packets; None if they cannot be read twice.
        info: the decoded video.
        targets: all outputs.
        video: index of the video stream that the user chose, None if it is the best one.
    """
    if video is not None:
        return CopyPlan(None, "decode.video is set")
    plans = [_plan(scan, info, target) for target in targets if not _why_encoded(info, target)]
    if not plans:
        reasons = (_why_encoded(info, target) for target in targets)
        return CopyPlan(None, next(reasons, "no video is written"))
    # What cannot be copied to one output is encoded for all.
    return min(plans, key=lambda plan: -1 if plan.cuts is None else len(plan.cuts))


def _why_encoded(info: VideoInfo, target: CopyTarget) -> str | None:
    """Return why all frames of an output will be encoded, None if some may not be."""
    if (info.width_px, info.height_px) != (target.video.width_px, target.video.height_px):
        return "its pictures get another size"
    return target.config.why_encoded()


def _plan(scan: PacketScan | None, info: VideoInfo, target: CopyTarget) -> CopyPlan:
    reason = _why_nothing(scan, info, target)
    if reason is not None or scan is None:
        return CopyPlan(None, reason)
    why_whole = _why_whole(scan, info, target.encoder)
    return CopyPlan(() if why_whole else tuple(scan.cut_pts), why_whole)


def _why_nothing(scan: PacketScan | None, info: VideoInfo, target: CopyTarget) -> str | None:
    if scan is None:
        return "it is read from the network, once"
    muxer = container_format(target.path)
    same = muxer is not None and _SAME[muxer] in scan.container.split(",")
    holds = same or muxer in containers_of(scan.codec)
    times = irregular(scan)
    reasons = (
        (times is not None, times),
        (info.span_pts is not None, "only a part of it is wanted"),
        (bool(scan.pictures), "its pictures change their size or format"),
        (scan.hidden > 0, f"an edit list hides {scan.hidden} of its pictures"),
        (any(scan.facts.crop_px), "its container cuts off a part of its pictures"),
        (scan.additions > 0, "it has a second picture for alpha"),
        (scan.headers > 1, "its codec's header changes"),
        (not holds, f"{target.path.suffix} is not known to hold {scan.codec}"),
    )
    return next((reason for found, reason in reasons if found), None)


def _why_whole(scan: PacketScan, info: VideoInfo, encoder: EncoderPlan) -> str | None:
    """Return why encoded stretches cannot stand beside copied ones, None if they can."""
    sets = set_numbers(scan.header) if scan.codec == "h264" else frozenset[int]()
    reasons = (
        (scan.codec not in JOINABLE, f"{scan.codec} is not joined with encoded stretches here"),
        (encoder.codec_name != scan.codec, f"{scan.codec} is encoded as {encoder.codec_name}"),
        (encoder.pix_fmt != info.pix_fmt, f"it is encoded as {encoder.pix_fmt}"),
        (info.interlaced, "it is interlaced"),
        # Encoded pictures would lack what the record in the header announces.
        (scan.facts.dolby_vision is not None, "it is Dolby Vision"),
        (scan.codec == "h264" and not sets, "its parameter sets are not in the header"),
        (OWN_SET in sets, f"it has a parameter set of number {OWN_SET}"),
        (not scan.cut_pts, "no keyframe in it begins a closed GOP"),
    )
    return next((reason for found, reason in reasons if found), None)
