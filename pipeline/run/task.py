"""What a runner is, and its unit of work: a segment and what is done around running it."""

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
    """One segment's work. Hashable; pickles, since it runs on whichever machine takes it."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Path or URL of the video."""

    @abstractmethod
    def run(self, executor: SegmentExecutor, listener: Callable[[Progress], None]) -> SegmentResult:
        """Take the segment through the graph.

        Args:
            executor: the graph in this process.
            listener: told the progress now and then, from the calling thread.

        Raises:
            Exception: the first error of any node, or of what is done around them.
        """


@dataclass(frozen=True, slots=True)
class SegmentTask(Task):
    """A segment whose files stay where its sinks write them."""

    segment: Segment

    @property
    def source(self) -> str:
        """Path or URL of the video."""
        return self.segment.input

    def run(self, executor: SegmentExecutor, listener: Callable[[Progress], None]) -> SegmentResult:
        """Take the segment through the graph and nothing else."""
        return executor.run(self.segment, listener)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """A task that is over: exactly one of `result` and `error` is set."""

    task: Task
    result: SegmentResult | None = None
    error: BaseException | None = None
    attempts: int = 1


ProgressListener = Callable[[Task, Progress], None]
"""Called now and then, from the thread that runs the runner."""


class Runner(Protocol):
    """Takes tasks through a graph, wherever it does that.

    A context manager: leaving it lets go of every resource.
    """

    name: str

    @property
    def restarts(self) -> int:
        """How many workers were lost and replaced so far."""
        ...

    def run(self, tasks: Sequence[Task], listener: ProgressListener) -> Iterator[TaskOutcome]:
        """Yield each task's outcome as it comes; one that failed does not stop the others."""
        ...

    def report(self) -> dict[str, Any]:
        """Return what the runner used and what its pools did, for `report.json`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
