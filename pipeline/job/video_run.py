"""One video of a job on its way: what is done and what is to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from pipeline.config import RunOptions
from pipeline.graph.graph import Graph
from pipeline.job.failure import explained
from pipeline.job.finish import VideoSegments, finish_video
from pipeline.job.plan import PlannedVideo
from pipeline.job.progress import Expected
from pipeline.job.report import VideoReport
from pipeline.pictures.outputs import EXACT_CODEC
from pipeline.run.contract import Progress
from pipeline.run.task import Task, TaskOutcome
from pipeline.segments.store import SegmentStore
from pipeline.segments.task import KeptTask

__all__ = ["VideoRun"]

log = logging.getLogger(__name__)


def _unshared() -> None:
    """Say that anything may be published, as nobody else writes there."""


class VideoRun:
    """Keeps one video's segments; each that finishes is on disk at once."""

    def __init__(
        self,
        planned: PlannedVideo,
        graph: Graph,
        options: RunOptions,
        *,
        command: Sequence[str] = (),
    ) -> None:
        """Take up what an earlier run finished, and make room for the rest.

        Args:
            planned: the video, which can be started.
            graph: the dataflow.
            options: where copies of what is in object stores go, and how much of them.
            command: its words, for the record.
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

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before it starts."""
        if not self._reused:
            return tuple(self._notes)
        found = f"{self._reused} of {self.total} segments were finished by an earlier run"
        return (*self._notes, found)

    @property
    def expected(self) -> Expected:
        """How many frames there are, and how many an earlier run finished; ask before it runs."""
        return Expected(self.plan.frames, _total(r.progress for r in self._results.values()))

    @property
    def total(self) -> int:
        """How many segments the video has."""
        return len(self.plan.segments.intervals)

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return len(self._results)

    def start(self) -> list[Task]:
        """Return what is to be run, a task for each segment."""
        for number, interval in enumerate(self.plan.segments.intervals):
            if number not in self._results:
                task = KeptTask(
                    video=self.plan.video.source,
                    number=number,
                    interval=interval,
                    threads=self.plan.threads,
                    codec=EXACT_CODEC if self.plan.output_kind else None,
                    store=str(self._store.folder),
                    identity=self.plan.identity,
                    stamp=self.plan.stamp,
                    scratch_dir=self._options.scratch_dir,
                    scratch_bytes=self._options.scratch_bytes,
                )
                self._numbers[task] = number
        return list(self._numbers)

    def advanced(self, task: Task, progress: Progress) -> Progress:
        """Note how far a task has come; return how far the video has."""
        self._under_way[task] = progress
        done = [result.progress for result in self._results.values()]
        return _total([*done, *self._under_way.values()])

    def take(self, outcome: TaskOutcome) -> Exception | None:
        """Take note of a segment that is over and kept, or return why the video will fail.

        The other segments still run: they are kept for when the command is run again.
        """
        number = self._numbers.pop(outcome.task)
        self._under_way.pop(outcome.task, None)
        self._attempts = max(self._attempts, outcome.attempts)
        error = outcome.error
        if outcome.result is not None:
            self._results[number] = outcome.result
        if error is None:
            return None
        log.debug("segment %d of %s", number, self.plan.video.source, exc_info=error)
        where = f"segment {number + 1} of {self.total}" if self.total > 1 else "the run"
        failure = explained(error, where)
        self._error = self._error or failure
        return failure

    @property
    def ended(self) -> bool:
        """Whether no segment is waiting or under way."""
        return not self._numbers

    def finish(self, may_publish: Callable[[], None] = _unshared) -> VideoReport:
        """Join the segments, then give all that was made its names.

        The segments stay until `forget`, so that a kill before the report is written loses nothing.

        Args:
            may_publish: called before anything gets its name; raises if nothing may. By default
                nobody else writes there.

        Raises:
            AminetError: a segment failed, or the output cannot be put together.
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
            ),
            may_publish,
        )

    def forget(self) -> None:
        """Remove the segments of a video whose output is there and reported."""
        self._store.drop()

    def leave(self) -> str | None:
        """Remove what is not finished; return a line about what stays for the same command."""
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
