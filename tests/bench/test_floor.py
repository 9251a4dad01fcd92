"""The main job against its floor: the same video decoded and encoded, and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

import pipeline
from tests.support import SAMPLES

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

RESULTS = Path(__file__).parent / "results"

FLOOR = """
name: floor
nodes:
  decode: {type: aminet.decode}
  encode: {type: aminet.encode, inputs: {frames: decode.frames}}
"""


def timed(
    source: Path, target: Path, *settings: str, config: Path | None = None
) -> dict[str, float]:
    """Run one video; return CPU and wall seconds a frame, and a face where there were any."""
    cpu, wall = sum(os.times()[:2]), time.perf_counter()
    report = pipeline.enhance(source, target, runner="local", settings=settings, config=config)
    cpu, wall = sum(os.times()[:2]) - cpu, time.perf_counter() - wall
    (video,) = report.videos
    (pool,) = report.runner["pools"].get("enhance", [{"busy_s": 0.0}])
    return {
        "cpu_ms_a_frame": 1000 * cpu / video.frames,
        "wall_ms_a_frame": 1000 * wall / video.frames,
        "faces_a_frame": video.faces / video.frames,
        "enhance_wall_ms_a_face": 1000 * pool["busy_s"] / max(1, video.faces),
    }


@pytest.mark.parametrize("name", ["street", "portrait"])
def test_main_job_over_decode_and_encode(name: str, tmp_path: Path) -> None:
    (tmp_path / "floor.yaml").write_text(FLOOR, encoding="utf-8")
    config = tmp_path / "run.yaml"
    config.write_text(f"graph: {tmp_path / 'floor.yaml'}\n", encoding="utf-8")
    source = SAMPLES / f"{name}.mp4"
    timed(source, tmp_path / "warm.mp4")  # imports and first calls are not what is measured
    result = {
        "floor": timed(source, tmp_path / "floor.mp4", config=config),
        "tracked": timed(source, tmp_path / "tracked.mp4", "enhance.weights=bicubic"),
        "restored": timed(source, tmp_path / "restored.mp4"),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"floor_{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    assert set(json.loads(path.read_text(encoding="utf-8"))) == set(result)
