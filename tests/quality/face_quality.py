"""Measures the faces of an output video of a sample against the sharp reference.

Where the faces are comes from `samples/truth.json`, never from the program under test, so a
tracker that loses a face is charged for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.quality.faces import read_truth
from pipeline.quality.measure import measure_video
from pipeline.quality.report import TrackQuality
from tests.support import SAMPLES

__all__ = ["SampleTruth", "measure_faces"]


@dataclass(frozen=True)
class SampleTruth:
    """One sample: its files, and where its faces are."""

    name: str

    @cached_property
    def entry(self) -> dict[str, Any]:
        """What `truth.json` holds for this sample."""
        return json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))[self.name]

    @property
    def source(self) -> Path:
        """The degraded sample: what the program is given."""
        return SAMPLES / f"{self.name}.mp4"

    @property
    def reference(self) -> Path:
        """The same pictures before the damage, `reference_scale` times as large."""
        return SAMPLES / f"{self.name}_reference.mp4"

    @property
    def unseen_people(self) -> set[str]:
        """The people AMINet never saw in training."""
        return {who["name"] for who in self.entry["people"] if who["split"] == "val"}


def measure_faces(output: Path, sample: SampleTruth) -> dict[str, TrackQuality]:
    """Compares the faces of `output` with the reference's.

    Args:
        output: What the program made of `sample.source`, at any scale.
        sample: Which sample it was.

    Returns:
        The figures of each person, by name.

    Raises:
        MediaError: If frames are missing, added or moved against each other in time, or the
            picture's shape changed.
    """
    faces = read_truth(SAMPLES / "truth.json", sample.source)
    quality = measure_video(sample.source, output, faces, sample.reference)
    return {track.name: track for track in quality.tracks}
