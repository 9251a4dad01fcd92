"""Where a cluster would saturate: what each of its parts could do, and which of them is the least.

Pure functions: rates that were measured on one machine, and a sizing, give what a cluster would
do, without any hardware. Queues are taken to be full, so this is the most that can be hoped for.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.sizing.sizing import Sizing

__all__ = ["Load", "Rates", "Saturation", "saturate"]


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured."""

    worker_s_a_frame: float
    """CPU seconds of decode, track, crop, paste and encode."""
    enhancer_s_a_face: float
    """Seconds an enhancer is busy with one face, in full batches."""
    bytes_a_face: float
    """There and back."""
    link_bytes_a_s: float
    """What a machine's network carries each way."""
    driver_s_a_segment: float
    """CPU seconds of the driver for each segment: planning, publishing, joining."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the videos are like."""

    faces_a_frame: float
    segment_frames: float
    far_share: float = 0.0
    """Share of the faces that go to an enhancer on another machine."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """What each part could do at most, in frames a second; and what of it is used."""

    workers_fps: float
    enhancers_fps: float
    network_fps: float
    driver_fps: float

    @property
    def fps(self) -> float:
        """Frames a second of the whole."""
        return min(self._parts.values())

    @property
    def limit(self) -> str:
        """The part that saturates first."""
        return min(self._parts, key=self._parts.__getitem__)

    @property
    def busy(self) -> dict[str, float]:
        """For each part, the share of it that is used when the first saturates."""
        return {name: self.fps / fps for name, fps in self._parts.items()}

    @property
    def _parts(self) -> dict[str, float]:
        return {
            "workers": self.workers_fps,
            "enhancers": self.enhancers_fps,
            "network": self.network_fps,
            "driver": self.driver_fps,
        }


def saturate(sizing: Sizing, rates: Rates, load: Load) -> Saturation:
    """Return what a cluster of this sizing would do with such videos.

    Args:
        sizing: workers and enhancers on each machine.
        rates: what each does, measured alone.
        load: what the videos are like.
    """
    # Where actors outnumber the cores, each has its share of one.
    workers = sum(
        placement.workers * min(1.0, placement.worker_cpus) for placement in sizing.placements
    )
    far_bytes = load.faces_a_frame * rates.bytes_a_face * load.far_share
    return Saturation(
        workers_fps=workers / rates.worker_s_a_frame,
        enhancers_fps=_rate(sizing.enhancers, rates.enhancer_s_a_face * load.faces_a_frame),
        # What leaves one machine comes in at another: half of the links carry it at once.
        network_fps=_rate(len(sizing.placements) * rates.link_bytes_a_s / 2, far_bytes),
        driver_fps=_rate(load.segment_frames, rates.driver_s_a_segment),
    )


def _rate(can: float, cost: float) -> float:
    return can / cost if cost else float("inf")
