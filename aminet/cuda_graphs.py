"""Recording work on a GPU as CUDA graphs, and running networks on batches of recorded sizes.

A network of thousands of small kernels waits for the host, which launches them one by one. A CUDA
graph launches all of them at once. It reads and writes the same memory each time.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N806

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import torch
from torch import Tensor

__all__ = ["PLAIN_RUNS", "FixedBatches", "record", "run_aside"]

PLAIN_RUNS: Final = 3
"""Runs on a GPU before work is recorded: libraries choose their kernels in them."""

T = TypeVar("T")


def run_aside(work: Callable[[], T]) -> T:
    """Run work on a side stream, as torch requires before recording it."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        result = work()
    here.wait_stream(aside)
    return result


def record(work: Callable[[], T], pool: Any = None) -> tuple[torch.cuda.CUDAGraph, T]:
    """Record work as a CUDA graph, without running it.

    Args:
        work: must not wait for the GPU, nor depend on values on it.
        pool: from `torch.cuda.graph_pool_handle`: memory that graphs share which do not run at the
            same time; None: its own.

    Returns:
        The graph, and what `work` returned: tensors that each replay writes.
    """
    graph = torch.cuda.CUDAGraph()
    # Not "global", because other threads pin memory meanwhile.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        result = work()
    return graph, result


class FixedBatches:
    """A function of a batch, run on batches of a few sizes in memory that stays in place.

    A batch is filled up to the next power of two, with what was there before: no face's result
    depends on others in its batch. On a GPU each size is recorded when it is first seen, and
    replayed from then on. To be used by one thread, in inference mode.

    Args:
        function: from (B, C, H, W) to (B, ...), each row of the result from that of the argument.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._ready: dict[torch.Size, tuple[Tensor, Callable[[], Tensor]]] = {}
        self._pool: Any = None

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """Return the function's result, in memory of its own.

        Args:
            x_BCHW: B > 0, always of one dtype and on one device.
        """
        count = len(x_BCHW)
        size = torch.Size((1 << (count - 1).bit_length(), *x_BCHW.shape[1:]))
        if size not in self._ready:
            self._ready[size] = self._prepared(size, x_BCHW)
        kept_BCHW, run = self._ready[size]
        kept_BCHW[:count].copy_(x_BCHW)
        return run()[:count].clone()

    def _prepared(self, size: torch.Size, like: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
        kept_BCHW = torch.zeros(size, dtype=like.dtype, device=like.device)
        kept_BCHW = kept_BCHW.contiguous(memory_format=torch.channels_last)

        def plain() -> Tensor:
            return self._function(kept_BCHW)

        if not like.is_cuda:
            return kept_BCHW, plain
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        for _ in range(PLAIN_RUNS):
            run_aside(plain)
        graph, result = record(plain, self._pool)

        def replay() -> Tensor:
            graph.replay()
            return result

        return kept_BCHW, replay
