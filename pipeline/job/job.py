"""A job, which restores one or many videos and publishes each of them atomically.

For each video: check it and its target, plan its segments, run those that no earlier run has
finished, join them with the source's other streams, and publish the result. A video that fails is
reported and does not stop the others.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from nodes.node import Node, NodeConfig
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.graph.graph import Graph
from pipeline.interrupts import interruptible, postponed
from pipeline.job.earlier import sign_finished
from pipeline.job.failure import FAILURES, explained
from pipeline.job.files import JobFiles, VideoFiles, plan_files
from pipeline.job.monitors import Monitor
from pipeline.job.output_paths import make_folder
from pipeline.job.plan import JobPlan, PlannedVideo, plan_job
from pipeline.job.report import RunReport, VideoReport
from pipeline.job.video_run import VideoRun
from pipeline.page.build import page_location, write_page
from pipeline.run.contract import Progress
from pipeline.run.local import LocalRunner
from pipeline.run.task import Runner, Task, TaskOutcome
from pipeline.segments.pieces import NotCopiedError
from pipeline.segments.store import SegmentStore
from pipeline.storage.locations import location_of, write
from pipeline.storage.lock import Holding, holding

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
    command: Sequence[str] = (),
) -> RunReport:
    """Run the configured graph on every input.

    Args:
        inputs: video files, folders of them, or URLs.
        output: path or URL of a file for one input file, else of a folder.
        config: graph, node settings and run options.
        overwrite: replace outputs that exist.
        resume: use what an earlier run of the same job finished.
        monitor: receives the progress.
        command: the command line, for the report.

    Returns:
        The report, which is also written as JSON to the output folder or beside a single output.
        With several videos, check `report.failed`.

    Raises:
        AminetError: nothing could be started, or the only video failed.
    """
    graph = load_graph(config)
    files = plan_files(inputs, location_of(output))
    with postponed(), holding(files.report, files.folders) as lock:
        job = _Job(graph, config.run, files, monitor, lock, command)
        report = job.save(job.run(overwrite=overwrite, resume=resume))
        if config.run.page:
            job.draw(report)
        return report


def make_runner(
    name: str,
    graph: Graph,
    nodes: Mapping[str, Node[NodeConfig]],
    options: RunOptions,
    threads: int,
    segments: int,
) -> Runner:
    """Return the runner of that name, set up."""
    if name == "ray":
        from pipeline.cluster.runner import RayRunner

        return RayRunner(graph, nodes, options, threads=threads, segments=segments)
    return LocalRunner(graph, nodes, options, threads=threads)


class _Job:
    """The state of a job."""

    def __init__(
        self,
        graph: Graph,
        options: RunOptions,
        files: JobFiles,
        monitor: Monitor,
        lock: Holding,
        command: Sequence[str],
    ) -> None:
        self._graph = graph
        self._options = options
        self.files = files
        self._monitor = monitor
        self._lock = lock
        self._command = tuple(command)
        self._reports: dict[str, VideoReport] = {}
        self._started = time.perf_counter()
        self._began = datetime.now(UTC)

    def run(self, *, overwrite: bool, resume: bool) -> dict[str, Any]:
        """Process all videos; return the runner's report."""
        with ExitStack() as stack:
            stack.enter_context(self._monitor)
            with interruptible():
                plan = plan_job(
                    self._graph, self.files, self._options, overwrite=overwrite, resume=resume
                )
                runs = self._prepared(plan)
                for run, _ in runs:
                    stack.callback(self._leave, run)
                return self._run(runs, plan, stack) if runs else {}

    def _start(self, plan: JobPlan) -> list[PlannedVideo]:
        """Report finished, changed and failed videos; return those to process."""
        due: list[PlannedVideo] = []
        for video in plan.videos:
            if video.error is not None:
                self._fail(video.files, video.error)
                continue
            if video.changed is not None:
                self._monitor.noted(video.changed)
            if video.finished is None:
                due.append(video)
                continue
            report = video.finished
            self._reports[video.files.source] = report
            made = ", ".join(report.outputs.values()) or "what its sinks make"
            self._monitor.noted(f"{report.source} -> {made}: done by an earlier run")
        if plan.conflict is not None:
            raise plan.conflict
        for video in plan.videos:
            if plan.signs_finished(video):
                self._sign(video, plan)
            elif video.finished is not None:
                SegmentStore(video.files.work_dir).drop()
        return due

    def _sign(self, video: PlannedVideo, plan: JobPlan) -> None:
        """Sign what an earlier run finished."""
        assert video.finished is not None  # noqa: S101 - for the type checker
        assert plan.credentials is not None  # noqa: S101 - for the type checker
        report = sign_finished(
            video.files, video.finished, plan.credentials, plan.options, self._lock.check
        )
        self._reports[video.files.source] = report
        names = ", ".join(report.signed)
        self._monitor.noted(f"{report.source}: signed: {names}" if names else report.notes[-1])
        with postponed():
            self.save({})
            SegmentStore(video.files.work_dir).drop()

    def _prepared(self, plan: JobPlan) -> list[tuple[VideoRun, list[Task]]]:
        """Return the video runs that can be started, with their tasks."""
        runs: list[tuple[VideoRun, list[Task]]] = []
        for video in self._start(plan):
            try:
                make_folder(video.files, self.files.report.parent)
                run = VideoRun(video, plan.graph, plan.options, command=self._command)
                runs.append((run, run.start()))
            except FAILURES as error:
                self._fail(video.files, error)
        return runs

    def save(self, runner: dict[str, Any]) -> RunReport:
        """Write the report of the videos that have ended so far, and return it."""
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
            page=str(page_location(self.files.report)) if self._options.page else None,
            command=self._command,
            config={
                "run": self._options.model_dump(mode="json"),
                "graph": self._graph.resolved(),
            },
        )
        self._lock.check()
        write(self.files.report, report.to_json())
        return report

    def draw(self, report: RunReport) -> None:
        """Write the page of a report; without it the run has done its work all the same."""
        location = page_location(self.files.report)
        try:
            write_page(json.loads(report.to_json()), location)
        except FAILURES as error:
            self._monitor.noted(str(explained(error, f"{location}: drawing the page")))

    def _run(
        self,
        prepared: Sequence[tuple[VideoRun, Sequence[Task]]],
        plan: JobPlan,
        stack: ExitStack,
    ) -> dict[str, Any]:
        run_of = {task: run for run, tasks in prepared for task in tasks}
        runs = [run for run, _ in prepared]
        name, why = plan.runner
        if not run_of:
            name, why = "no", "every segment was finished by an earlier run"
        self._monitor.began({run.plan.video: run.expected for run in runs}, name, why)
        for run in runs:
            for note in run.notes:
                self._monitor.noted(f"{run.plan.video.source}: {note}")
        due = list(run_of)
        for run in runs:
            if run.ended:
                due += self._finish(run, run_of)
        if not due:
            return {"name": name, "why": why}
        name, why = plan.runner
        runner = stack.enter_context(
            make_runner(name, self._graph, plan.nodes, self._options, plan.threads, len(due))
        )

        def tell(task: Task, at: Progress) -> None:
            run = run_of[task]
            self._monitor.restarted(runner.restarts)
            self._monitor.advanced(run.plan.video, run.advanced(task, at))

        while due:
            due = self._done(runner.run(due, tell), run_of)
        return {"name": name, "why": why, **runner.report()}

    def _done(self, outcomes: Iterable[TaskOutcome], run_of: dict[Task, VideoRun]) -> list[Task]:
        """Take the outcomes and finish videos; return the tasks that these need still."""
        again: list[Task] = []
        for outcome in outcomes:
            run = run_of[outcome.task]
            error = run.take(outcome)
            if run.ended:
                again += self._finish(run, run_of)
            elif error is not None:
                self._monitor.noted(f"{run.plan.video.source}: {error}; its other segments go on")
        return again

    def _finish(self, run: VideoRun, run_of: dict[Task, VideoRun]) -> list[Task]:
        """Finish a video; return the tasks, added to `run_of`, that it turns out to need still."""
        try:
            report = run.finish(self._lock.check)
        except NotCopiedError as error:
            self._monitor.noted(f"{run.plan.video.source}: {error}: encoded")
            tasks = run.encode_copied(str(error))
            run_of.update(dict.fromkeys(tasks, run))
            return tasks
        except FAILURES as error:
            self._fail(run.plan.video, error)
        else:
            self._reports[run.plan.video.source] = report
            self._monitor.ended(run.plan.video, report)
            # At once, so that a killed run does not repeat this video.
            with postponed():
                self.save({})
                run.forget()
        return []

    def _leave(self, run: VideoRun) -> None:
        try:
            self._lock.check()
            kept = run.leave()
        except FAILURES as error:
            kept = str(explained(error, f"{run.plan.video.source}: cleaning up"))
        if kept:
            self._monitor.noted(kept)

    def _fail(self, video: VideoFiles, error: BaseException) -> None:
        """Record a failure, or raise it if there is only one video."""
        log.debug("%s failed", video.source, exc_info=error)
        failure = explained(error, video.source)
        if len(self.files.videos) == 1:
            raise failure
        report = VideoReport(video.source, None, "failed", error=str(failure))
        self._reports[video.source] = report
        self._monitor.ended(video, report)
