"""The state of one video during a job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from nodes.reports import counted
from pipeline.config import RunOptions
from pipeline.errors import NodeFailedError
from pipeline.graph.graph import Graph
from pipeline.graph.roles import encode_nodes
from pipeline.job.failure import explained
from pipeline.job.finish import VideoSegments, finish_video
from pipeline.job.plan import PlannedVideo
from pipeline.job.progress import Expected
from pipeline.job.report import VideoReport
from pipeline.pictures.outputs import EXACT_CODEC
from pipeline.run.contract import Progress, SegmentResult
from pipeline.run.task import Task, TaskOutcome
from pipeline.segments.pieces import has_copied
from pipeline.segments.plan import Interval
from pipeline.segments.store import SegmentStore
from pipeline.segments.task import KeptTask

__all__ = ["VideoRun"]

log = logging.getLogger(__name__)


def _unshared() -> None:
    """Say that anything may be published, as nobody else writes there."""


class VideoRun:
    """Tracks the segments of one video. Finished segments are on disk at once."""

    def __init__(
        self,
        planned: PlannedVideo,
        graph: Graph,
        options: RunOptions,
        *,
        command: Sequence[str] = (),
    ) -> None:
        """Start with the segments that an earlier run finished, and remove unusable ones.

        Args:
            planned: the video; it has a plan.
            graph: the dataflow.
            options: the options for scratch space are used.
            command: the command line, for the report.
        """
        assert planned.plan is not None  # noqa: S101 - for the type checker
        self.plan = plan = planned.plan
        self._planned = planned
        self._graph = graph
        self._options = options
        self._command = tuple(command)
        self._store = SegmentStore(plan.video.work_dir)
        self._results = {number: manifest.result for number, manifest in planned.done.items()}
        self._notes = list(plan.notes)
        if planned.redo_reason:
            reason = planned.redo_reason
            self._notes.append(f"segments of an earlier run were done again: {reason}")
        if not self._results:
            self._store.drop()
        self._reused = len(self._results)
        self._numbers: dict[Task, int] = {}
        self._under_way: dict[Task, Progress] = {}
        self._error: Exception | None = None
        self._attempts = 1
        self._why_not_copied: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for the user."""
        if not self._reused:
            return tuple(self._notes)
        segments = counted(self.total, "segment")
        found = f"finished by an earlier run: {self._reused} of {segments}"
        return (*self._notes, found)

    @property
    def expected(self) -> Expected:
        """The number of frames and the progress of an earlier run; call it before the run."""
        return Expected(self.plan.frames, _total(r.progress for r in self._results.values()))

    @property
    def total(self) -> int:
        """Number of segments."""
        return len(self.plan.segments.intervals)

    @property
    def done(self) -> int:
        """Number of finished segments."""
        return len(self._results)

    def start(self) -> list[Task]:
        """Return a task for each segment to run."""
        for number, interval in enumerate(self.plan.segments.intervals):
            if number not in self._results:
                self._numbers[self._task(number, interval)] = number
        return list(self._numbers)

    def encode_copied(self, why: str) -> list[Task]:
        """Return a task for each segment of which frames were left to be copied.

        Args:
            why: the reason for encoding them after all, for the user.
        """
        self._why_not_copied = why
        encodes = encode_nodes(self._graph)
        for number, interval in enumerate(self.plan.segments.intervals):
            if has_copied(encodes, self._results[number]):
                del self._results[number]
                self._numbers[self._task(number, replace(interval, cuts=None))] = number
        return list(self._numbers)

    def _task(self, number: int, interval: Interval) -> Task:
        return KeptTask(
            video=self.plan.video.source,
            number=number,
            interval=interval,
            threads=self.plan.threads,
            codec=EXACT_CODEC if self.plan.output_kind else None,
            store=str(self._store.folder),
            identity=self.plan.identity,
            stamp=self.plan.stamp,
            pictures=self.plan.pictures,
            scratch_dir=self._options.scratch_dir,
            scratch_bytes=self._options.scratch_bytes,
        )

    def advanced(self, task: Task, progress: Progress) -> Progress:
        """Set the progress of a task; return that of the video."""
        self._under_way[task] = progress
        done = [result.progress for result in self._results.values()]
        return _total([*done, *self._under_way.values()])

    def take(self, outcome: TaskOutcome) -> Exception | None:
        """Record the outcome of a task; return its error, if any.

        After an error the other segments still run, and are used when the command is run again.
        """
        number = self._numbers.pop(outcome.task)
        self._under_way.pop(outcome.task, None)
        self._attempts = max(self._attempts, outcome.attempts)
        error = outcome.error
        if outcome.result is not None:
            self._results[number] = outcome.result
            log.debug("segment %d of %s: %s", number, self.plan.video.source, _cost(outcome.result))
        if error is None:
            return None
        log.debug("segment %d of %s", number, self.plan.video.source, exc_info=error)
        where = f"segment {number + 1} of {self.total}" if self.total > 1 else "the run"
        failure = explained(error, where)
        if isinstance(failure, NodeFailedError) and self.total > 1:
            failure.message = f"{where}: {failure.message}"
        self._error = self._error or failure
        return failure

    @property
    def ended(self) -> bool:
        """Whether no task is waiting or running."""
        return not self._numbers

    def finish(self, may_publish: Callable[[], None] = _unshared) -> VideoReport:
        """Join the segments, then give all that was made its names.

        The segments are kept until `forget`, so that nothing is lost if the run is killed before
        the report is written.

        Args:
            may_publish: called before anything gets its name; raises if nothing may. By default
                nobody else writes there.

        Raises:
            NotCopiedError: what was left to be copied has to be encoded; see `encode_copied`.
            AminetError: a segment failed, or the segments cannot be joined.
            OSError: a file cannot be written or renamed.
        """
        if self._error is not None:
            raise self._error
        return finish_video(
            self._planned,
            self._graph,
            self._options,
            VideoSegments(
                results=tuple(self._results[number] for number in range(self.total)),
                reused=self._reused,
                attempts=self._attempts,
                notes=self.notes,
                command=self._command,
                why_not_copied=self._why_not_copied,
            ),
            may_publish,
        )

    def forget(self) -> None:
        """Remove the segments, once the output is published and reported."""
        self._store.drop()

    def leave(self) -> str | None:
        """Remove unfinished segments; return a message if finished ones are kept."""
        if not self._store.drop_unfinished():
            return None
        return (
            f"{self.plan.video.source}: {self.done} of {self.total} segments are finished and kept"
            f" in {self._store.folder}; the same command goes on from there"
        )


def _total(parts: Iterable[Progress]) -> Progress:
    frames = faces = 0
    for part in parts:
        frames, faces = frames + part.frames, faces + part.faces
    return Progress(frames, faces)


def _cost(result: SegmentResult) -> str:
    """Return what a segment cost, the dearest node first."""
    dearest = sorted(result.busy_s.items(), key=lambda node: -node[1])
    nodes = ", ".join(f"{name} {busy_s:.2f} s" for name, busy_s in dearest)
    return f"{counted(result.progress.frames, 'frame')} in {result.wall_s:.2f} s ({nodes})"
