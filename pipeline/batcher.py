"""Dynamic batching: work from many callers, gathered into batches for one pool node.

The local runner has one in its own process; under Ray every enhancer actor has one, so a batch
mixes frames, segments and videos. A batch leaves when it is full, or when the oldest work in it has
waited `max_wait_s`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from nodes.node import Inputs, NodeConfig, Outputs, PoolNode

__all__ = ["BatchStats", "Batcher"]


@dataclass(slots=True)
class BatchStats:
    """What a batcher has done so far."""

    batches: Counter[int] = field(default_factory=Counter[int])
    """How many batches had which weight."""
    busy_s: float = 0.0
    """Wall time spent inside the node."""

    @property
    def items(self) -> int:
        """Items of work done."""
        return sum(weight * count for weight, count in self.batches.items())


@dataclass(frozen=True, slots=True)
class _Work:
    block: Sequence[Inputs]
    weight: int
    answer: Future[list[Outputs]]


class Batcher:
    """Runs one pool node on a thread of its own; `submit` may be called from any thread."""

    def __init__(self, node: PoolNode[NodeConfig], *, max_wait_s: float) -> None:
        self._node = node
        self._max_wait_s = max_wait_s
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self.stats = BatchStats()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, block: Sequence[Inputs]) -> Future[list[Outputs]]:
        """Hand in the packets of some frames; the future holds as many answers, in order."""
        work = _Work(block, sum(map(self._node.weight, block)), Future())
        self._queue.put(work)
        return work.answer

    def close(self) -> None:
        """Finish what was handed in, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            first = self._queue.get()
            if first is None:
                return
            batch, more = self._gather(first)
            self._answer(batch)

    def _gather(self, first: _Work) -> tuple[list[_Work], bool]:
        batch = [first]
        weight = first.weight
        deadline = time.monotonic() + self._max_wait_s
        while weight < self._node.max_batch:
            try:
                work = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if work is None:
                return batch, False
            batch.append(work)
            weight += work.weight
        return batch, True

    def _answer(self, batch: list[_Work]) -> None:
        started = time.perf_counter()
        try:
            answers = self._node.process_batch([inputs for work in batch for inputs in work.block])
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
            self._blame(batch, error)
            return
        self.stats.busy_s += time.perf_counter() - started
        self.stats.batches[sum(work.weight for work in batch)] += 1
        at = 0
        for work in batch:
            work.answer.set_result(answers[at : at + len(work.block)])
            at += len(work.block)

    def _blame(self, batch: list[_Work], error: Exception) -> None:
        """Give the error to the work that causes it, and to nobody else's."""
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for work in batch:
            self._answer([work])
