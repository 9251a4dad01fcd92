"""What a decoder's report says in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import av

from nodes.reports import counted

__all__ = ["conversion", "format_warnings", "summed_conversions", "warnings_of"]


def warnings_of(report: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Return messages for the user; `whole`: whether the report is of the whole video."""
    lines: list[str] = []
    damage = report["damage"]
    if damage["events"]:
        first = damage["events"][0]
        at = "" if first["time_s"] is None else f" at {first['time_s']:.2f} s"
        lines.append(
            f"damaged in {counted(damage['count'], 'place')}, the first{at}, before frame"
            f" {first['before_frame']} ({first['what']}); carried on"
        )
    claimed, frames = report["container_frame_count"], report["frames"]
    # Where fields are packets of their own, more are claimed than there are pictures.
    unseen = (claimed or 0) - report["repeats"] - frames
    lost = report["lost"] if report["lost_counted"] else unseen
    if whole and claimed is not None and lost > 0:
        lines.append(f"damaged: {lost} of the {claimed} frames it claims could not be decoded")
    if report["ended_early"]:
        lines.append("ends early: the file is cut off")
    if report["why_software"] is not None and report["hardware"] != "auto":
        lines.append(f"decoded in software, not by {report['hardware']}: {report['why_software']}")
    made = report["synthesised_pts"]
    if made["missing"] + made["repeated_or_backward"]:
        count = made["missing"] + made["repeated_or_backward"]
        rate = f"{float(Fraction(made['rate'])):.6g} a second"
        untimed = counted(count, "frame")
        lines.append(f"{untimed} without a usable time got one from the frame rate, {rate}")
    if report["restarts"]:
        lines.append(
            f"its clock starts again {counted(len(report['restarts']), 'time')}, as of recordings"
            " that were joined: they are shown one after the other"
        )
    lines.extend(f"left out: {what}" for what in report.get("left_out", ()))
    lines.extend(map(_conversion_text, report["conversions"]))
    return lines


def format_warnings(conversions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return those messages about a report's `conversions` that are of a pixel format alone."""
    return [_conversion_text(done) for done in conversions if done["same_size"]]


def summed_conversions(conversions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the `conversions` of several segments, with each kind once."""
    frames = Counter[tuple[str, bool]]()
    for done in conversions:
        frames[done["what"], done["same_size"]] += done["frames"]
    return [
        {"what": what, "frames": count, "same_size": same_size}
        for (what, same_size), count in frames.items()
    ]


def _conversion_text(conversion: Mapping[str, Any]) -> str:
    return f"{conversion['what']} in {counted(conversion['frames'], 'frame')}"


def conversion(picture: av.VideoFrame, width_px: int, height_px: int, pix_fmt: str) -> str:
    """Return in words that a picture is converted to a size and pixel format."""
    before = f"{picture.width}x{picture.height} {picture.format.name}"
    return f"{before} to {width_px}x{height_px} {pix_fmt}"
