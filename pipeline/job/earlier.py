"""What earlier runs of the same job left of a video, and whether it can still be used."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.job.report import VideoReport, read_video
from pipeline.job.video_plan import VideoPlan
from pipeline.segments.store import Manifest, SegmentStore

__all__ = ["changes", "finished_report", "finished_segments", "own_record"]


def finished_segments(plan: VideoPlan) -> tuple[dict[int, Manifest], str | None]:
    """Look for what an earlier run left of a video.

    Returns:
        The finished segments that can be used, by number; and why others cannot, if there are any.
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
    """Return what an earlier run noted of this very video just before its output got its name."""
    record = read_video(SegmentStore(plan.video.work_dir).recorded())
    return record if record is not None and _is_of(record, plan) else None


def finished_report(plan: VideoPlan, earlier: Mapping[str, VideoReport]) -> VideoReport | None:
    """Return the report of a video that is done as it would be done now, None if it is not.

    Args:
        plan: the video.
        earlier: what an earlier run's report says, by source.
    """
    for report in (earlier.get(plan.video.source), own_record(plan)):
        if report is not None and _is_of(report, plan) and report.outputs_are_there:
            return report
    return None


def changes(plan: VideoPlan, earlier: VideoReport | None) -> str | None:
    """Say of an output that an earlier run made why it is not what is asked for now, if it is so.

    Args:
        plan: the video.
        earlier: what an earlier run's report says of it.
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
    return list(report.outputs.values()) == [str(output) for output in plan.video.outputs]
