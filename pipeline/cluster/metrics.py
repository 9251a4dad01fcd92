"""What a run counts while it runs, for Ray's metrics: Prometheus reads them, Grafana draws them.

Ray puts `ray_` before each name and the actor's machine and session beside each value. The table in
docs/metrics.md names all of them.
"""

from __future__ import annotations

from typing import Final

from ray.util.metrics import Counter, Gauge, Histogram

from pipeline.run.contract import Progress

__all__ = ["PoolMetrics", "WorkerMetrics", "restarts"]

_BATCH_SIZES: Final = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
_WAITS_S: Final = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0]


class WorkerMetrics:
    """What one segment worker has done."""

    def __init__(self) -> None:
        self._frames = Counter("aminet_frames_total", "Frames through every node.")
        self._faces = Counter("aminet_faces_total", "Faces handed to the enhancers.")
        self._segments = Counter(
            "aminet_segments_total", "Segments that are over.", tag_keys=("outcome",)
        )
        self._at = Progress()

    def begin(self) -> None:
        """Start a segment."""
        self._at = Progress()

    def advance(self, to: Progress) -> None:
        """Count what the segment under way has gained."""
        if to.frames > self._at.frames:
            self._frames.inc(to.frames - self._at.frames)
        if to.faces > self._at.faces:
            self._faces.inc(to.faces - self._at.faces)
        self._at = to

    def end(self, outcome: str) -> None:
        """Count a segment as `finished` or `failed`."""
        self._segments.inc(tags={"outcome": outcome})


class PoolMetrics:
    """What one enhancer has done: called for each batch."""

    def __init__(self, pool: str) -> None:
        """Count for one pool.

        Args:
            pool: name of the pool node.
        """
        tags = ("pool",)
        self._sizes = Histogram(
            "aminet_batch_size", "Faces in a batch.", boundaries=_BATCH_SIZES, tag_keys=tags
        )
        self._waits = Histogram(
            "aminet_queue_wait_seconds",
            "How long a batch's oldest faces waited.",
            boundaries=_WAITS_S,
            tag_keys=tags,
        )
        self._queue = Gauge("aminet_queue_length", "Frames that wait for a batch.", tag_keys=tags)
        for metric in (self._sizes, self._waits, self._queue):
            metric.set_default_tags({"pool": pool})

    def __call__(self, faces: int, wait_s: float, queued: int) -> None:
        """Note a batch; see `pipeline.run.batcher.BatchObserver`."""
        if faces:
            self._sizes.observe(faces)
            self._waits.observe(max(wait_s, 1e-6))
        self._queue.set(queued)


def restarts() -> Counter:
    """Return the counter of actors that were lost and replaced, by `kind`."""
    return Counter(
        "aminet_restarts_total", "Actors that were lost and replaced.", tag_keys=("kind",)
    )
