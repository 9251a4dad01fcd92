"""What hashing costs: CPU time of all digests of a run over that of the run.

python -m tests.bench.measure_evidence CLIP [--pairs N] [NODE.KEY=VALUE ...]

The digests are those of every frame before and after, and those of the source's and the results'
files. With `--pairs` the clip is also run N times without them, in turn; the difference of the CPU
times contains what hashing costs indirectly, and the noise of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pipeline

_FRAMES = "nodes.evidence.node.picture_sha256"
_FILES = ("pipeline.evidence.record.file_sha256", "pipeline.job.finish.file_sha256")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a clip; times are CPU times."""

    frames: int
    faces: int
    frames_s: float
    """In the digests of pictures."""
    files_s: float
    """In the digests of files."""
    whole_s: float
    """Of the process, including the start of the network."""

    @property
    def share(self) -> float:
        """Share of the digests in it."""
        return (self.frames_s + self.files_s) / self.whole_s


class _Timer:
    """Stands in for a function that returns a digest."""

    def __init__(self, digest: Callable[[Any], str], *, hashing: bool) -> None:
        self._digest, self._hashing, self.spent_s = digest, hashing, 0.0

    def __call__(self, what: Any) -> str:
        if not self._hashing:
            return "0" * 64
        began_s = time.thread_time()
        try:
            return self._digest(what)
        finally:
            self.spent_s += time.thread_time() - began_s


def measure(clip: Path, settings: Sequence[str] = (), *, hashing: bool = True) -> Run:
    """Run a clip once with the local runner."""
    from nodes.picture.digest import picture_sha256
    from pipeline.storage.digests import file_sha256

    pictures = _Timer(picture_sha256, hashing=hashing)
    files = _Timer(file_sha256, hashing=hashing)
    with (
        patch(_FRAMES, pictures),
        patch(_FILES[0], files),
        patch(_FILES[1], files),
        tempfile.TemporaryDirectory() as folder,
    ):
        began_s = time.process_time()
        (video,) = pipeline.enhance(
            clip, Path(folder) / f"out{clip.suffix}", runner="local", settings=settings
        ).videos
        whole_s = time.process_time() - began_s
    return Run(video.frames, video.faces, pictures.spent_s, files.spent_s, whole_s)


def compare(clip: Path, settings: Sequence[str], pairs: int) -> float:
    """Return the median over pairs of runs of the CPU time with digests over that without.

    Every other pair begins with the run without, as the load of a machine drifts.
    """
    ratios: list[float] = []
    for number in range(pairs):
        spent_s = {
            hashing: measure(clip, settings, hashing=hashing).whole_s
            for hashing in (number % 2 == 0, number % 2 == 1)
        }
        ratios.append(spent_s[True] / spent_s[False])
    return statistics.median(ratios)


def main() -> None:
    """Measure a clip."""
    parser = argparse.ArgumentParser(description="What hashing costs.")
    parser.add_argument("clip", type=Path)
    parser.add_argument("settings", nargs="*", metavar="NODE.KEY=VALUE")
    parser.add_argument("--pairs", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    run = measure(asked.clip, asked.settings)
    print(  # noqa: T201 - a program's result
        f"{asked.clip.name}: {run.frames} frames, {run.faces} faces restored:"
        f" {1000 * run.frames_s / run.frames:.2f} ms a frame,"
        f" {1000 * run.files_s:.0f} ms for files, of {run.whole_s:.1f} s CPU:"
        f" {100 * run.share:.2f} %"
    )
    if asked.pairs:
        ratio = compare(asked.clip, asked.settings, asked.pairs)
        print(f"with / without, median of {asked.pairs} pairs: {ratio:.3f}")  # noqa: T201


if __name__ == "__main__":
    main()
