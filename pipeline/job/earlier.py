"""The results of earlier runs: finding them, whether they can be used, and signing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from nodes.media.picture_files import files_of, is_numbered
from pipeline.config import RunOptions
from pipeline.credentials.outputs import Signed, Unsigned, sign_outputs
from pipeline.credentials.sign import Credentials
from pipeline.errors import OutputError
from pipeline.interrupts import postponed
from pipeline.job.files import VideoFiles
from pipeline.job.report import VideoReport, read_video
from pipeline.job.video_plan import VideoPlan
from pipeline.segments.store import Manifest, SegmentStore
from pipeline.storage.digests import file_sha256
from pipeline.storage.locations import is_remote, publish, size_of
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged
from pipeline.url_secrets import redacted

__all__ = ["changes", "finished_report", "finished_segments", "own_record", "sign_finished"]


def finished_segments(plan: VideoPlan) -> tuple[dict[int, Manifest], str | None]:
    """Find the segments of a video that an earlier run finished.

    Returns:
        The segments that can be used, by number; and why others cannot, if there are any.
    """
    usable: dict[int, Manifest] = {}
    reason: str | None = None
    for number, manifest in SegmentStore(plan.video.work_dir).finished().items():
        wanted = plan.segments.intervals[number : number + 1]
        # A segment that could not be copied was encoded without cuts.
        encoded = [replace(interval, cuts=None) for interval in wanted]
        if manifest.key == plan.identity.key and manifest.interval in (*wanted, *encoded):
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


def sign_finished(
    video: VideoFiles,
    report: VideoReport,
    credentials: Credentials,
    options: RunOptions,
    may_publish: Callable[[], None],
) -> VideoReport:
    """Sign the outputs of an earlier run, which are not made again.

    Args:
        video: its files.
        report: of the earlier run.
        credentials: to sign with.
        options: where copies of what is in object stores go, and how much of them.
        may_publish: called before anything gets its name; raises if nothing may.

    Returns:
        The report with the signed files.

    Raises:
        RunFailedError: a file cannot be signed.
        OSError: a file cannot be read or written.
    """
    scratch = scratch_of(options.scratch_dir, options.scratch_bytes)
    store = SegmentStore(video.work_dir)
    with ExitStack() as stack:
        here = stack.enter_context(store.making(0, scratch))
        source = stack.enter_context(staged(video.source, scratch))
        outputs = [
            Unsigned(
                Path(stack.enter_context(staged(str(target), scratch))),
                video.infix(node, target),
            )
            for node, target in zip(report.outputs, video.outputs, strict=True)
            if not (is_remote(target) and is_numbered(target.name))
        ]
        signed = sign_outputs(
            outputs, source, credentials, here / "signed", restored=report.faces > 0
        )
        earlier = report.beside
        report = _with_signatures(report, video, outputs, signed)
        with postponed():
            may_publish()
            for ending in signed.manifests.keys() - earlier.keys():
                if size_of(video.side(ending)) is not None:
                    raise OutputError(f"{video.side(ending)} exists already: remove it")
            store.record(report.to_json())
            for ending, file in signed.manifests.items():
                publish(file, video.side(ending))
            for file in signed.files:
                publish(file, video.target.with_name(file.name))
    return report


def _is_of(report: VideoReport, plan: VideoPlan) -> bool:
    return _has_its_outputs(report, plan) and report.identity == plan.identity


def _has_its_outputs(report: VideoReport, plan: VideoPlan) -> bool:
    return list(report.outputs.values()) == [redacted(str(out)) for out in plan.video.outputs]


def _with_signatures(
    report: VideoReport, video: VideoFiles, outputs: Sequence[Unsigned], signed: Signed
) -> VideoReport:
    before = {file.name: file.stat().st_size for out in outputs for file in files_of(out.file)}
    more_bytes = sum(file.stat().st_size - before[file.name] for file in signed.files)
    sides = {ending: str(video.side(ending)) for ending in signed.manifests}
    digests = {ending: file_sha256(file) for ending, file in signed.manifests.items()}
    evidence = report.evidence
    if evidence is not None:
        evidence = replace(evidence, beside_sha256={**evidence.beside_sha256, **digests})
    return replace(
        report,
        output_bytes=report.output_bytes + more_bytes,
        sha256={**report.sha256, **{file.name: file_sha256(file) for file in signed.files}},
        beside={**report.beside, **sides},
        signed=signed.names,
        notes=tuple(dict.fromkeys((*report.notes, *signed.notes))),
        evidence=evidence,
    )
