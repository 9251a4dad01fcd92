"""A job: many videos in, the same videos restored, each published whole or not at all.

For each video: look at it and at its target, plan its segments, run those that no earlier run has
finished (on whichever runner), join them and the source's other streams, and only then give the
result its name. A video that cannot be done is reported and does not stop the others.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from aminet.errors import AminetError
from nodes.node import Node, NodeConfig
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.graph.roles import encode_node
from pipeline.interrupts import interruptible, postponed
from pipeline.job.files import JobFiles, VideoFiles, check_outputs, plan_files
from pipeline.job.identity import content_ids
from pipeline.job.monitors import Monitor
from pipeline.job.report import RunReport, VideoReport, read_videos
from pipeline.job.segment_store import SegmentStore
from pipeline.job.segments import choose_runner
from pipeline.job.video_plan import Ready, look_at
from pipeline.job.video_run import VideoRun, finished_report, own_record
from pipeline.run.contract import Progress
from pipeline.run.local import LocalRunner
from pipeline.run.task import Runner, Task
from pipeline.storage.lock import holding
from pipeline.storage.places import place_of, write

__all__ = ["run_job"]

log = logging.getLogger(__name__)


def run_job(
    inputs: Sequence[str],
    output: str,
    *,
    config: RunConfig,
    overwrite: bool,
    resume: bool,
    monitor: Monitor,
) -> RunReport:
    """Take every input through the configured graph.

    Args:
        inputs: video files, folders of them, or URLs.
        output: path or URL of a file for one input file, else of a folder.
        config: graph, node settings and run options.
        overwrite: replace outputs that exist.
        resume: use what an earlier run of the same job finished.
        monitor: told how it goes.

    Returns:
        What was done; also written as JSON, in the output folder or beside a single output file.
        With several videos, look at `report.failed`.

    Raises:
        AminetError: nothing could be started, or the only video failed.
    """
    graph = load_graph(config)
    job = _Job(graph, config.run, plan_files(inputs, place_of(output)), monitor)
    with postponed(), holding(job.files.report):
        return job.save(job.run(overwrite=overwrite, resume=resume))


def make_runner(
    name: str,
    graph: Graph,
    nodes: Mapping[str, Node[NodeConfig]],
    options: RunOptions,
    threads: int,
    segments: int,
) -> Runner:
    """Return the runner of that name, ready to run."""
    if name == "ray":
        from pipeline.cluster.runner import RayRunner

        return RayRunner(graph, nodes, options, threads=threads, segments=segments)
    return LocalRunner(graph, nodes, options, threads=threads)


class _Job:
    """The videos of one run on their way."""

    def __init__(
        self, graph: Graph, options: RunOptions, files: JobFiles, monitor: Monitor
    ) -> None:
        self._graph = graph
        self._options = options
        self.files = files
        self._monitor = monitor
        self._threads = options.threads or len(os.sched_getaffinity(0))
        self._reports: dict[str, VideoReport] = {}
        self._started = time.perf_counter()
        self._began = datetime.now(UTC)

    def run(self, *, overwrite: bool, resume: bool) -> dict[str, Any]:
        """Do every video; return what the runner has to say."""
        encode_node(self._graph)
        with ExitStack() as stack:
            stack.enter_context(self._monitor)
            with interruptible():
                # Read once: what is run is what the results are named after.
                nodes = prepared(self._graph)
                ready = self._look(content_ids(nodes))
                self._tell_changes(ready)
                own: frozenset[VideoFiles] = frozenset()
                if resume and not overwrite:
                    ready = self._without_finished(ready)
                    own = frozenset(item.video for item in ready if own_record(item))
                check_outputs([item.video for item in ready], overwrite=overwrite, own=own)
                runs = [VideoRun(item, self._graph, self._options, resume=resume) for item in ready]
                for run in runs:
                    stack.callback(self._leave, run)
                return self._run(runs, nodes, stack) if runs else {}

    def save(self, runner: dict[str, Any]) -> RunReport:
        """Write the report of what has ended so far, and return it."""
        report = RunReport(
            path=str(self.files.report),
            version=version("aminet-video"),
            started_utc=self._began.isoformat(timespec="seconds"),
            wall_s=round(time.perf_counter() - self._started, 3),
            runner=runner,
            videos=tuple(
                self._reports[video.source]
                for video in self.files.videos
                if video.source in self._reports
            ),
            skipped=self.files.skipped,
            config={
                "run": self._options.model_dump(mode="json"),
                "graph": self._graph.resolved(),
            },
        )
        write(self.files.report, report.to_json().encode())
        return report

    def _without_finished(self, ready: Sequence[Ready]) -> list[Ready]:
        """Set the videos aside that an earlier run of the same job has finished."""
        earlier = read_videos(self.files.report)
        left: list[Ready] = []
        for item in ready:
            report = finished_report(item, earlier)
            if report is None:
                left.append(item)
                continue
            SegmentStore(item.video.work_dir).drop()
            self._reports[item.video.source] = report
            self._monitor.noted(f"{report.source} -> {report.output}: done by an earlier run")
        return left

    def _tell_changes(self, ready: Sequence[Ready]) -> None:
        """Say of outputs that an earlier run made why they are not what is asked for now."""
        earlier = read_videos(self.files.report)
        for item in ready:
            report = earlier.get(item.video.source)
            if report is None or report.identity is None or report.identity == item.identity:
                continue
            if report.output == str(item.video.target):
                reason = item.identity.changes_since(report.identity)
                self._monitor.noted(f"{report.output} was made by an earlier run, but {reason}")

    def _look(self, contents: Mapping[str, str]) -> list[Ready]:
        ready: list[Ready] = []
        for video in self.files.videos:
            try:
                ready.append(
                    look_at(
                        video,
                        self._graph,
                        threads=self._threads,
                        options=self._options,
                        contents=contents,
                    )
                )
            except AminetError as error:
                self._fail(video, error)
        return ready

    def _run(
        self,
        runs: Sequence[VideoRun],
        nodes: Mapping[str, Node[NodeConfig]],
        stack: ExitStack,
    ) -> dict[str, Any]:
        run_of = {task: run for run in runs for task in run.start()}
        name, why = choose_runner(
            self._options.runner,
            videos=len(set(run_of.values())),
            segments=len(run_of),
            cores=self._threads,
            address=self._options.address,
        )
        if not run_of:
            name, why = "no", "every segment was finished by an earlier run"
        self._monitor.began({run.item.video: run.expected for run in runs}, name, why)
        for run in runs:
            for note in run.notes:
                self._monitor.noted(f"{run.item.video.source}: {note}")
            if run.over:
                self._finish(run)
        if not run_of:
            return {"name": name, "why": why}
        runner = stack.enter_context(
            make_runner(name, self._graph, nodes, self._options, self._threads, len(run_of))
        )

        def tell(task: Task, at: Progress) -> None:
            run = run_of[task]
            self._monitor.restarted(runner.restarts)
            self._monitor.advanced(run.item.video, run.advanced(task, at))

        for outcome in runner.run(list(run_of), tell):
            run = run_of[outcome.task]
            error = run.take(outcome)
            if run.over:
                self._finish(run)
            elif error is not None:
                self._monitor.noted(f"{run.item.video.source}: {error}; its other segments go on")
        return {"name": name, "why": why, **runner.report()}

    def _finish(self, run: VideoRun) -> None:
        try:
            report = run.finish()
        except (AminetError, OSError) as error:
            self._fail(run.item.video, error)
        else:
            self._reports[run.item.video.source] = report
            self._monitor.ended(run.item.video, report)
            # At once, so that a run that is killed later need not do this video again.
            with postponed():
                self.save({})
                run.forget()

    def _leave(self, run: VideoRun) -> None:
        kept = run.leave()
        if kept:
            self._monitor.noted(kept)

    def _fail(self, video: VideoFiles, error: BaseException) -> None:
        """Record a failure, or raise it when there is no other video to go on with."""
        log.debug("%s failed", video.source, exc_info=error)
        if len(self.files.videos) == 1:
            raise error
        report = VideoReport(video.source, None, "failed", error=str(error))
        self._reports[video.source] = report
        self._monitor.ended(video, report)
