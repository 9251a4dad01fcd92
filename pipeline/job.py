"""A job: many videos in, the same videos restored, each published whole or not at all.

For each video: check that its target can hold it, run it as a segment (on whichever runner), put
the encoded pictures and the source's other streams together, verify, and only then give the result
its name. A video that cannot be done is reported and does not stop the others.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aminet.errors import AminetError
from nodes.node import Segment
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.errors import RunFailedError
from pipeline.graph import Graph
from pipeline.inputs import JobFiles, VideoFiles, check_outputs, plan_files
from pipeline.plan import choose_runner
from pipeline.progress import Monitor
from pipeline.report import RunReport, VideoReport, write_atomically
from pipeline.runner import SegmentOutcome

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
        What was done; also written to `report.json` in the output folder, or beside a single output
        file. With several videos, look at `report.failed`.

    Raises:
        AminetError: nothing could be started, or the only video failed.
    """
    started = time.perf_counter()
    began = datetime.now(UTC)
    graph = load_graph(config)
    files = plan_files(inputs, output)
    check_outputs(files, overwrite=overwrite)
    job = _Job(graph, config.run, files, monitor)
    videos, runner = job.run()
    report = RunReport(
        path=str(files.report),
        version=version("aminet-video"),
        started_utc=began.isoformat(timespec="seconds"),
        wall_s=round(time.perf_counter() - started, 3),
        runner=runner,
        videos=tuple(videos[video] for video in files.videos),
        skipped=files.skipped,
        config={"run": config.run.model_dump(mode="json"), "graph": graph.resolved()},
    )
    write_atomically(files.report, report.to_json())
    return report


class _Job:
    """The videos of one run on their way."""

    def __init__(
        self, graph: Graph, options: RunOptions, files: JobFiles, monitor: Monitor
    ) -> None:
        self._graph = graph
        self._options = options
        self._files = files
        self._monitor = monitor
        self._reports: dict[VideoFiles, VideoReport] = {}

    def run(self) -> tuple[dict[VideoFiles, VideoReport], dict[str, Any]]:
        """Return each video's report, and the runner's."""
        with ExitStack() as stack:
            for video in self._files.videos:
                stack.callback(shutil.rmtree, video.work_dir, ignore_errors=True)
            frames = self._preflight()
            if not frames:
                return self._reports, {}
            name, why = choose_runner(
                self._options.runner, videos=len(frames), address=self._options.address
            )
            stack.enter_context(self._monitor)
            self._monitor.began(frames, name, why)
            threads = self._options.threads or len(os.sched_getaffinity(0))
            runner = stack.enter_context(
                make_runner(name, self._graph, self._options, threads, len(frames))
            )
            videos = {self._segment(video, threads): video for video in frames}
            for outcome in runner.run(
                list(videos), lambda segment, at: self._monitor.advanced(videos[segment], at)
            ):
                self._finish(videos[outcome.segment], outcome)
            return self._reports, {"name": name, "why": why, **runner.report()}

    def _preflight(self) -> dict[VideoFiles, int | None]:
        """Return the videos that can be started and how many frames each claims to have."""
        frames: dict[VideoFiles, int | None] = {}
        for video in self._files.videos:
            try:
                frames[video] = preflight(video, self._graph)
            except AminetError as error:
                self._fail(video, error)
        return frames

    def _segment(self, video: VideoFiles, threads: int) -> Segment:
        shutil.rmtree(video.work_dir, ignore_errors=True)  # left by a run that was killed
        video.work_dir.mkdir()
        return Segment(input=video.source, work_dir=video.work_dir, threads=threads)

    def _finish(self, video: VideoFiles, outcome: SegmentOutcome) -> None:
        if outcome.result is None:
            self._fail(video, outcome.error or RunFailedError("the segment gave no result"))
            return
        try:
            report = _publish(video, self._graph, outcome.result, outcome.attempts)
        except (AminetError, OSError) as error:
            self._fail(video, error)
        else:
            self._reports[video] = report
            self._monitor.ended(video, report)
        finally:
            shutil.rmtree(video.work_dir, ignore_errors=True)

    def _fail(self, video: VideoFiles, error: BaseException) -> None:
        """Record a failure, or raise it when there is no other video to go on with."""
        log.debug("%s failed", video.source, exc_info=error)
        if len(self._files.videos) == 1:
            raise error
        report = VideoReport(video.source, None, "failed", error=_reason(error))
        self._reports[video] = report
        self._monitor.ended(video, report)
