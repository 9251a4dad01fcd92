"""The interface of runners, and of the tasks that they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from nodes.node import Segment
from pipeline.run.contract import Progress, SegmentResult
from pipeline.run.executor import SegmentExecutor

__all__ = ["ProgressListener", "Runner", "SegmentTask", "Task", "TaskOutcome"]


class Task(ABC):
    """The work for one segment. Hashable; can be pickled and run on any machine."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Path or URL of the video."""

    @abstractmethod
    def run(self, executor: SegmentExecutor, listener: Callable[[Progress], None]) -> SegmentResult:
        """Run the graph on the segment.

        Args:
            executor: the graph in this process.
            listener: called with the progress from time to time, in the calling thread.

        Raises:
            Exception: the first error of any node or of the task itself.
        """


@dataclass(frozen=True, slots=True)
class SegmentTask(Task):
    """A task that leaves the files of the sinks in the segment's folder."""

    segment: Segment

    @property
    def source(self) -> str:
        """Path or URL of the video."""
        return self.segment.input

    def run(self, executor: SegmentExecutor, listener: Callable[[Progress], None]) -> SegmentResult:
        """Run the graph on the segment."""
        return executor.run(self.segment, listener)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """The outcome of a task: exactly one of `result` and `error` is set."""

    task: Task
    result: SegmentResult | None = None
    error: BaseException | None = None
    attempts: int = 1


ProgressListener = Callable[[Task, Progress], None]
"""Called with a task and its progress from time to time, in the runner's thread."""


class Runner(Protocol):
    """Runs tasks. A context manager that releases all resources on exit."""

    name: str

    @property
    def restarts(self) -> int:
        """Number of workers that were lost and replaced so far."""
        ...

    def run(self, tasks: Sequence[Task], listener: ProgressListener) -> Iterator[TaskOutcome]:
        """Yield the outcome of each task when it is done; a failure does not stop the others."""
        ...

    def report(self) -> dict[str, Any]:
        """Return the runner's resources and its pools' reports, for `report.json`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
