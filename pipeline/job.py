"""A job: many videos in, the same videos restored, each published whole or not at all.

For each video: look at it and at its target, run it as a segment (on whichever runner), put the
encoded pictures and the source's other streams together, and only then give the result its name. A
video that cannot be done is reported and does not stop the others.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aminet.errors import AminetError
from nodes.encode import VIDEO_FILE
from nodes.node import Segment
from nodes.sheet import SHEET_NAME
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.containers import container_format
from pipeline.errors import RunFailedError
from pipeline.graph import Graph
from pipeline.inputs import JobFiles, VideoFiles, check_outputs, plan_files
from pipeline.local_runner import LocalRunner
from pipeline.mux import mux
from pipeline.plan import choose_runner
from pipeline.preflight import Ready, encode_node, look_at
from pipeline.progress import Monitor
from pipeline.report import RunReport, VideoReport, write_atomically
from pipeline.runner import Runner, SegmentOutcome

__all__ = ["run_job"]

log = logging.getLogger(__name__)


def run_job(
    inputs: Sequence[str],
    output: Path,
    *,
    config: RunConfig,
    overwrite: bool,
    monitor: Monitor,
) -> RunReport:
    """Take every input through the configured graph.

    Args:
        inputs: video files, folders of them, or URLs.
        output: a file for one input file, else a folder.
        config: graph, node settings and run options.
        overwrite: replace outputs that exist.
        monitor: told how it goes.

    Returns:
        What was done; also written as JSON, in the output folder or beside a single output file.
        With several videos, look at `report.failed`.

    Raises:
        AminetError: nothing could be started, or the only video failed.
    """
    started = time.perf_counter()
    began = datetime.now(UTC)
    graph = load_graph(config)
    files = plan_files(inputs, output)
    job = _Job(graph, config.run, files, monitor)
    runner = job.run(overwrite=overwrite)
    report = RunReport(
        path=str(files.report),
        version=version("aminet-video"),
        started_utc=began.isoformat(timespec="seconds"),
        wall_s=round(time.perf_counter() - started, 3),
        runner=runner,
        videos=tuple(job.reports[video.source] for video in files.videos),
        skipped=files.skipped,
        config={"run": config.run.model_dump(mode="json"), "graph": graph.resolved()},
    )
    write_atomically(files.report, report.to_json())
    return report


def make_runner(name: str, graph: Graph, options: RunOptions, threads: int, videos: int) -> Runner:
    """Return the runner of that name, ready to run."""
    if name == "ray":
        from pipeline.ray_runner import RayRunner

        return RayRunner(graph, options, threads=threads, segments=videos)
    return LocalRunner(
        graph,
        threads=threads,
        window_frames=options.window_frames,
        max_wait_s=options.max_wait_s,
    )


class _Job:
    """The videos of one run on their way."""

    def __init__(
        self, graph: Graph, options: RunOptions, files: JobFiles, monitor: Monitor
    ) -> None:
        self._graph = graph
        self._options = options
        self._files = files
        self._monitor = monitor
        self._threads = options.threads or len(os.sched_getaffinity(0))
        self.reports: dict[str, VideoReport] = {}
        """By source."""

    def run(self, *, overwrite: bool) -> dict[str, Any]:
        """Do every video; return what the runner has to say."""
        encode_node(self._graph)
        with ExitStack() as stack:
            stack.enter_context(self._monitor)
            ready = self._look()
            check_outputs([item.video for item in ready], self._files.report, overwrite=overwrite)
            if not ready:
                return {}
            segments: dict[Segment, Ready] = {}
            for item in ready:
                stack.callback(shutil.rmtree, item.video.work_dir, ignore_errors=True)
                segments[self._segment(item.video)] = item
            name, why = choose_runner(
                self._options.runner,
                videos=len(ready),
                segments=len(ready),
                cores=self._threads,
                address=self._options.address,
            )
            self._monitor.began({item.video: item.frames for item in ready}, name, why)
            runner = stack.enter_context(
                make_runner(name, self._graph, self._options, self._threads, len(ready))
            )
            for outcome in runner.run(
                list(segments),
                lambda segment, at: self._monitor.advanced(segments[segment].video, at),
            ):
                self._finish(segments[outcome.segment], outcome)
            return {"name": name, "why": why, **runner.report()}

    def _look(self) -> list[Ready]:
        ready: list[Ready] = []
        for video in self._files.videos:
            try:
                ready.append(look_at(video, self._graph, threads=self._threads))
            except AminetError as error:
                self._fail(video, error)
        return ready

    def _segment(self, video: VideoFiles) -> Segment:
        shutil.rmtree(video.work_dir, ignore_errors=True)  # left by a run that was killed
        video.work_dir.mkdir()
        return Segment(input=video.source, work_dir=video.work_dir, threads=self._threads)

    def _finish(self, item: Ready, outcome: SegmentOutcome) -> None:
        try:
            report = _publish(item, self._graph, outcome)
        except (AminetError, OSError) as error:
            self._fail(item.video, error, outcome.attempts)
        else:
            self.reports[item.video.source] = report
            self._monitor.ended(item.video, report)
        finally:
            shutil.rmtree(item.video.work_dir, ignore_errors=True)

    def _fail(self, video: VideoFiles, error: BaseException, attempts: int = 1) -> None:
        """Record a failure, or raise it when there is no other video to go on with."""
        log.debug("%s failed", video.source, exc_info=error)
        if len(self._files.videos) == 1:
            raise error
        report = VideoReport(video.source, None, "failed", error=str(error), attempts=attempts)
        self.reports[video.source] = report
        self._monitor.ended(video, report)


def _publish(item: Ready, graph: Graph, outcome: SegmentOutcome) -> VideoReport:
    """Put the output together in the work folder, then give it and its sheet their names.

    Raises:
        AminetError: the segment failed, or the output cannot be put together.
        OSError: a file cannot be written or renamed.
    """
    result = outcome.result
    if result is None:
        raise _expected(outcome.error)
    video = item.video
    finished = video.work_dir / f"finished{video.target.suffix}"
    encode = encode_node(graph).name
    muxed = mux(
        [video.work_dir / VIDEO_FILE],
        video.source,
        finished,
        result.infos[encode],
        container=container_format(video.target),
        last_duration_ticks=result.reports[encode]["last_duration_ticks"],
    )
    if muxed.frames != result.progress.frames:
        raise RunFailedError(
            f"{video.target}: holds {muxed.frames} of {result.progress.frames} frames, thrown away"
        )
    sheet = video.work_dir / SHEET_NAME
    if sheet.exists():
        sheet.replace(video.sheet)
    _sync(finished)
    finished.replace(video.target)
    track = result.reports.get("track", {})
    return VideoReport(
        source=video.source,
        output=str(video.target),
        status="done",
        frames=result.progress.frames,
        faces=result.progress.items,
        tracks=track.get("tracks", 0),
        wall_s=round(result.wall_s, 3),
        frames_per_s=round(result.progress.frames / max(result.wall_s, 1e-9), 2),
        stage_busy_s={name: round(busy_s, 3) for name, busy_s in result.busy_s.items()},
        sheet=str(video.sheet) if video.sheet.exists() else None,
        attempts=outcome.attempts,
        notes=(*item.notes, *_warnings(result.reports)),
        nodes={name: report for name, report in result.reports.items() if report},
        mux=asdict(muxed),
    )


def _warnings(reports: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return what nodes want the user to know, each with the node's name."""
    return [
        f"{name}: {warning}"
        for name, report in reports.items()
        for warning in report.get("warnings", ())
    ]


def _expected(error: BaseException | None) -> Exception:
    """Return an error of a segment as one that has a one-line message for the user."""
    if isinstance(error, AminetError):
        return error
    kind = type(error).__name__
    reason = str(error).strip().splitlines()[0] if str(error).strip() else kind
    wrapped = RunFailedError(f"the run failed ({kind}: {reason})")
    wrapped.__cause__ = error
    return wrapped


def _sync(path: Path) -> None:
    """Make sure a file's content is on the disk before its name says that it is finished."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
