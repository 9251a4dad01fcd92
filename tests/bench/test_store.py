"""How much of Ray's object store faces fill, whatever the number and length of the videos."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import ray
from ray.cluster_utils import Cluster

import pipeline
from tests.support.footage import four_faces

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

RESULTS = Path(__file__).parent / "results"
STORE_MB: Final = 300
LIMIT_MB: Final = 12  # a frame is 2 MB; unbounded, a worker has five and more under way


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "object_store_memory": STORE_MB * 1_000_000},
    )
    ray.init(made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@contextmanager
def watched() -> Generator[list[float]]:
    """Note how many megabytes of the store are filled, every 50 ms."""
    seen, over = [0.0], threading.Event()
    have = ray.cluster_resources()["object_store_memory"]

    def watch() -> None:
        while not over.wait(0.05):
            free = ray.available_resources().get("object_store_memory", have)
            seen.append((have - free) / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.usefixtures("cluster")
def test_store_use_is_bounded(tmp_path: Path) -> None:
    results: dict[str, Any] = {}
    for name, videos, frames, limit_mb in (
        ("two short videos", 2, 40, LIMIT_MB),
        ("two longer videos", 2, 120, LIMIT_MB),
        ("four videos", 4, 40, LIMIT_MB),
        ("without the bound", 2, 40, STORE_MB),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(videos):
            four_faces(folder / f"{number}.mp4", frames)
        settings = (
            "run.runner=ray",
            "run.workers=2",
            f"run.store_mb={limit_mb}",
            "enhance.weights=bicubic",
        )
        started = time.monotonic()
        with watched() as seen:
            report = pipeline.enhance(folder, tmp_path / f"out {name}", scale=2, settings=settings)
        results[name] = {
            "limit_mb": limit_mb,
            "frames": sum(video.frames for video in report.videos),
            "peak_store_mb": max(seen),
            "samples": len(seen),
            "wall_s": time.monotonic() - started,
            "peak_worker_mb": max(video.flow["peak_bytes"] for video in report.videos) / 1e6,
            "byte_wait_s": sum(video.flow["byte_wait_s"] for video in report.videos),
            "mb_a_frame": sum(video.flow["travelled_bytes"] for video in report.videos)
            / sum(video.frames for video in report.videos)
            / 1e6,
        }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(results, indent=2) + "\n"
    (RESULTS / "ray_store.json").write_text(text, encoding="utf-8")
    for result in results.values():
        assert result["peak_worker_mb"] <= result["limit_mb"] / 2
        # A block's answers lie there until the last of its frames is encoded.
        assert result["peak_store_mb"] <= 2 * result["limit_mb"]
    assert results["two short videos"]["byte_wait_s"] > 0
