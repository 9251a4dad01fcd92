"""What became of a video, in a few lines.

Faces are counted as `found`: people, or tracks. What was done with them is counted in `times`: once
for each face in each frame.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodes.reports import counted
from pipeline.job.report import VideoReport

__all__ = ["face_facts", "left_alone_lines", "summary_lines"]


def summary_lines(source: str, report: VideoReport) -> list[str]:
    """Return the lines to show when a video has ended.

    Args:
        source: what to call the video.
        report: of it.
    """
    if report.status == "failed":
        return [f"{source}: FAILED: {report.error}"]
    facts = [
        counted(report.frames, "frame"),
        *face_facts(report.tracks, report.faces, report.left_alone),
        *_what_stayed(report),
        f"{report.frames_per_s:.1f} frames/s",
    ]
    beside = f"{counted(len(report.beside), 'file')} beside"
    made = ", ".join(report.outputs.values()) or beside
    notes = (f"  note: {note}" for note in report.notes)
    return [
        f"{source} -> {made}: {', '.join(facts)}",
        *left_alone_lines(report.left_alone),
        *notes,
    ]


def face_facts(found: int | None, restored: int, left_alone: Mapping[str, int]) -> list[str]:
    """Return texts about the faces of a video; none for a graph without face nodes.

    Args:
        found: number of faces, None if nothing counts them.
        restored: how often one was restored, over all frames.
        left_alone: why faces were left as they were, in words -> how often, over all frames.
    """
    if found == 0 and not restored:
        return ["no face found"]
    facts = [f"{counted(found, 'face')} found"] if found else []
    if restored or left_alone:
        facts.append(f"restored {counted(restored, 'time')}")
    return facts


def left_alone_lines(left_alone: Mapping[str, int]) -> list[str]:
    """Return a line for each reason why faces were left as they were.

    Args:
        left_alone: the reason in words -> how often, over all frames.
    """
    return [f"  left alone {counted(count, 'time')}: {why}" for why, count in left_alone.items()]


def _what_stayed(report: VideoReport) -> list[str]:
    """Return which pictures are those of the source."""
    if report.frames and report.copied_frames == report.frames:
        return ["copied, unchanged"]
    if report.copied_frames:
        return [f"{report.copied_frames / report.frames:.0%} copied"]
    same = max((node.get("unchanged_frames", 0) for node in report.nodes.values()), default=0)
    return ["pictures unchanged before they were encoded"] if same and same == report.frames else []
