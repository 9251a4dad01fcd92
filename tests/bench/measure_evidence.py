"""What the record of every frame costs: CPU time of the digests over that of the whole run.

python -m tests.bench.measure_evidence CLIP [NODE.KEY=VALUE ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pipeline
from nodes.evidence import Evidence
from nodes.node import Inputs


def measure(clip: Path, *settings: str) -> dict[str, float]:
    """Run a clip once, and return seconds of CPU and their ratio."""
    spent_s, process = [0.0], Evidence.process

    def timed(self: Evidence, inputs: Inputs) -> None:
        began_s = time.thread_time()
        process(self, inputs)
        spent_s[0] += time.thread_time() - began_s

    Evidence.process = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            began_s = time.process_time()
            (video,) = pipeline.enhance(
                clip, Path(folder) / f"out{clip.suffix}", runner="local", settings=settings
            ).videos
            whole_s = time.process_time() - began_s
    finally:
        Evidence.process = process
    return {
        "frames": video.frames,
        "faces": video.faces,
        "ms_a_frame": round(1000 * spent_s[0] / video.frames, 2),
        "cpu_s": round(whole_s, 2),
        "share": round(spent_s[0] / whole_s, 4),
    }


if __name__ == "__main__":
    print(measure(Path(sys.argv[1]), *sys.argv[2:]))  # noqa: T201 - a program's result
