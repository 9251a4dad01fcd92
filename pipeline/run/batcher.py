"""Dynamic batching of work from many callers for one pool node.

The local runner has a batcher for each pool node; under Ray each enhancer has one, so that batches
mix frames, segments and videos. A batch is run when it is full, or `max_wait_s` after its first
work was taken.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, cast

from nodes.node import Inputs, NodeConfig, Outputs, PoolNode
from pipeline.errors import NodeFailedError

__all__ = ["BatchObserver", "BatchStats", "Batcher", "as_exception", "pool_report"]

BatchObserver = Callable[[int, float, int], None]
"""Called for each batch: its faces, the wait of its oldest work in s, the frames still waiting."""


@dataclass(slots=True)
class BatchStats:
    """Statistics of a batcher."""

    batches: Counter[int] = field(default_factory=Counter[int])
    """Number of batches, by weight."""
    mixed: int = 0
    """Number of batches with work of several callers."""
    waits_ms: Counter[int] = field(default_factory=Counter[int])
    """Number of faces, by milliseconds between `submit` and their batch."""
    busy_s: float = 0.0
    """Wall time spent inside the node."""
    began_s: float | None = None
    """Time of the first work, by `time.monotonic`."""

    @property
    def faces(self) -> int:
        """Sum of the weights of all work done: the number of faces."""
        return sum(weight * count for weight, count in self.batches.items())

    def wait_ms(self, share: float) -> int:
        """Return a quantile of the waiting times, ms; 0 without faces."""
        left = share * self.waits_ms.total()
        for wait_ms, count in sorted(self.waits_ms.items()):
            left -= count
            if left <= 0:
                return wait_ms
        return 0

    def as_report(self) -> dict[str, Any]:
        """Return the statistics for `report.json`."""
        since_s = time.monotonic() - self.began_s if self.began_s is not None else 0.0
        return {
            "faces": self.faces,
            "busy_s": round(self.busy_s, 3),
            "busy_share": round(self.busy_s / since_s, 3) if since_s else 0.0,
            "batch_sizes": {str(size): n for size, n in sorted(self.batches.items())},
            "mixed_batches": self.mixed,
            "queue_wait_ms": {
                "p50": self.wait_ms(0.5),
                "p95": self.wait_ms(0.95),
                "max": self.wait_ms(1.0),
            },
        }


@dataclass(slots=True, eq=False)
class _Work:
    """A block of frames of one caller, whose outputs are returned together."""

    caller: str
    alone: bool
    spent: Callable[[float], None] | None
    left: int
    answers: list[Outputs | None]
    answer: Future[list[Outputs]] = field(default_factory=Future[list[Outputs]])
    submitted_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Frame:
    work: _Work
    index: int
    inputs: Inputs
    weight: int


class Batcher:
    """Runs a pool node in its own thread; `submit` is thread-safe."""

    def __init__(
        self,
        node: PoolNode[NodeConfig],
        *,
        max_wait_s: float,
        observer: BatchObserver | None = None,
    ) -> None:
        self._node = node
        self._observer = observer
        self._max_wait_s = max_wait_s
        self._queue: queue.SimpleQueue[_Frame | None] = queue.SimpleQueue()
        self._next: _Frame | None = None
        self.stats = BatchStats()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(
        self,
        block: Sequence[Inputs],
        *,
        caller: str = "",
        alone: bool = False,
        spent: Callable[[float], None] | None = None,
    ) -> Future[list[Outputs]]:
        """Submit the packets of some frames; the future returns their outputs, in order.

        Args:
            block: the packets of each frame.
            caller: name of the caller, for the statistics.
            alone: whether it must have a batch of its own, because it may crash the process.
            spent: called with the block's share of the time of each batch, s, before the future is
                done.
        """
        work = _Work(caller, alone, spent, len(block), [None] * len(block))
        if self.stats.began_s is None:
            self.stats.began_s = work.submitted_s
        if not block:
            work.answer.set_result([])
        for index, inputs in enumerate(block):
            self._queue.put(_Frame(work, index, inputs, self._node.weight(inputs)))
        return work.answer

    def close(self) -> None:
        """Finish the submitted work, then stop the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            first = self._next or self._queue.get()
            self._next = None
            if first is None:
                return
            batch, more = self._gather(first)
            self._answer(batch)

    def _gather(self, first: _Frame) -> tuple[list[_Frame], bool]:
        """Return a batch, and whether there may be more. What does not fit is kept for the next."""
        batch = [first]
        weight = first.weight
        deadline = time.monotonic() + self._max_wait_s
        while weight < self._node.max_batch:
            try:
                frame = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if frame is None:
                return batch, False
            if weight + frame.weight > self._node.max_batch or _apart(first.work, frame.work):
                self._next = frame
                break
            batch.append(frame)
            weight += frame.weight
        return batch, True

    def _answer(self, batch: list[_Frame]) -> None:
        started = time.monotonic()
        try:
            answers = [*self._node.process_batch([frame.inputs for frame in batch])]
            if len(answers) != len(batch):
                raise NodeFailedError(
                    f"process_batch returned {len(answers)} outputs, expected one for each of"
                    f" {len(batch)} frames"
                )
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the callers
            self._blame(batch, as_exception(error))
            return
        self._note(batch, started)
        for frame, outputs in zip(batch, answers, strict=True):
            work = frame.work
            work.answers[frame.index] = outputs
            work.left -= 1
            if not work.left and not work.answer.done():
                work.answer.set_result(cast("list[Outputs]", work.answers))

    def _note(self, batch: list[_Frame], started_s: float) -> None:
        stats, took_s = self.stats, time.monotonic() - started_s
        stats.busy_s += took_s
        total = sum(frame.weight for frame in batch)
        for frame in batch:
            if frame.work.spent is not None:
                frame.work.spent(took_s * (frame.weight / total if total else 1 / len(batch)))
        stats.batches[sum(frame.weight for frame in batch)] += 1
        stats.mixed += len({frame.work.caller for frame in batch if frame.weight}) > 1
        for frame in batch:
            stats.waits_ms[round(1000 * (started_s - frame.work.submitted_s))] += frame.weight
        if self._observer is not None:
            oldest_s = min(frame.work.submitted_s for frame in batch)
            faces = sum(frame.weight for frame in batch)
            self._observer(faces, started_s - oldest_s, self._queue.qsize())

    def _blame(self, batch: list[_Frame], error: Exception) -> None:
        """Find the work that raises the error by running the frames one by one."""
        if len(batch) > 1:
            for frame in batch:
                self._answer([frame])
        elif not batch[0].work.answer.done():
            batch[0].work.answer.set_exception(error)


def as_exception(error: BaseException) -> Exception:
    """Return an error of a node as one that may travel through futures and event loops.

    A future that raises `SystemExit` would end the event loop, or the thread, that waits for it.
    """
    if isinstance(error, Exception):
        return error
    failed = NodeFailedError(f"{type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


def _apart(one: _Work, other: _Work) -> bool:
    return one is not other and (one.alone or other.alone)


def pool_report(node: PoolNode[NodeConfig], batcher: Batcher) -> dict[str, Any]:
    """Return the report of a pool member: the node's report and the batch statistics."""
    return {**node.report(), **batcher.stats.as_report()}
