"""Finding the results of earlier runs, and checking whether they can be used."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.job.report import VideoReport, read_video
from pipeline.job.video_plan import VideoPlan
from pipeline.redact import redacted
from pipeline.segments.store import Manifest, SegmentStore

__all__ = ["changes", "finished_report", "finished_segments", "own_record"]


def finished_segments(plan: VideoPlan) -> tuple[dict[int, Manifest], str | None]:
    """Find the segments of a video that an earlier run finished.

    Returns:
        The segments that can be used, by number; and why others cannot, if there are any.
    """
    usable: dict[int, Manifest] = {}
    reason: str | None = None
    for number, manifest in SegmentStore(plan.video.work_dir).finished().items():
        wanted = plan.segments.intervals[number : number + 1]
        if manifest.key == plan.identity.key and wanted == (manifest.interval,):
            usable[number] = manifest
        else:
            reason = plan.identity.changes_since(manifest.identity)
    return usable, reason


def own_record(plan: VideoPlan) -> VideoReport | None:
    """Return the report that an earlier run stored before it published this output, if any."""
    record = read_video(SegmentStore(plan.video.work_dir).recorded())
    return record if record is not None and _is_of(record, plan) else None


def finished_report(plan: VideoPlan, earlier: Mapping[str, VideoReport]) -> VideoReport | None:
    """Return the report of an earlier run if its output is what this run would make, else None.

    Args:
        plan: the video.
        earlier: the videos of an earlier run's report, by source.
    """
    for report in (earlier.get(redacted(plan.video.source)), own_record(plan)):
        if report is not None and _is_of(report, plan) and report.outputs_are_there:
            return report
    return None


def changes(plan: VideoPlan, earlier: VideoReport | None) -> str | None:
    """Return why the output of an earlier run differs from what this run would make, if it does.

    Args:
        plan: the video.
        earlier: the video in an earlier run's report.
    """
    if earlier is None or earlier.identity is None or earlier.identity == plan.identity:
        return None
    if not earlier.outputs or not _has_its_outputs(earlier, plan):
        return None
    reason = plan.identity.changes_since(earlier.identity)
    return f"{earlier.output} was made by an earlier run, but {reason}"


def _is_of(report: VideoReport, plan: VideoPlan) -> bool:
    return _has_its_outputs(report, plan) and report.identity == plan.identity


def _has_its_outputs(report: VideoReport, plan: VideoPlan) -> bool:
    return list(report.outputs.values()) == [redacted(str(out)) for out in plan.video.outputs]
