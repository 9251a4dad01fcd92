"""A job on a cluster that Ray's own autoscaler makes larger for it, and smaller again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.support.clusters import autoscaling_cluster
from tests.support.faults import assert_complete, install_plugin, start
from tests.support.media import Video, decode_all, make_video
from tests.support.video_nodes import same_pixels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),
]

GRAPH = """
name: slow
nodes:
  decode: {type: aminet.decode}
  slow: {type: faulty.slow, inputs: {frames: decode.frames}, config: {delay_s: 0.1}}
  mark: {type: faulty.marked, inputs: {frames: slow.frames}}
  far: {type: faulty.pool, inputs: {marks: mark.marks}}
  join: {type: faulty.joined, inputs: {frames: slow.frames, marks: far.marks}}
  encode: {type: aminet.encode, inputs: {frames: join.frames}, config: {codec: ffv1}}
"""
SEGMENTS = 24
GOP = 20


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return install_plugin(tmp_path)


@pytest.fixture
def address(plugin: Path) -> Iterator[str]:
    """A cluster of one core that may have three, joined by this process to watch it."""
    with autoscaling_cluster(
        head_cpus=1, machine_cpus=1, most_machines=2, env={"PYTHONPATH": str(plugin)}
    ) as address:
        ray.init(address, log_to_driver=False)
        yield address
        ray.shutdown()


def machines() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def test_the_autoscaler_starts_machines_for_a_job_and_ends_them_after_it(
    address: str, plugin: Path, tmp_path: Path
) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=SEGMENTS * GOP, gop_frames=GOP))
    target, local = tmp_path / "out.mkv", tmp_path / "local.mkv"
    settings = ("run.segment_s=0.8", "run.threads=1")
    on_ray = (*settings, "run.runner=ray", f"run.address={address}")
    (head,) = machines()
    run = start(source, target, on_ray, graph=GRAPH, plugin=plugin)
    _, errors = run.communicate(timeout=400)
    assert run.returncode == 0, errors
    report: dict[str, Any] = json.loads(target.with_suffix(".report.json").read_bytes())

    # Marks stay on their machine, so these took part: the head, and both that were started.
    members = report["runner"]["pools"]["far"]
    done = {member["machine"]: member["faces"] for member in members}
    assert len(done) == len(members) == report["runner"]["workers"] == 3
    assert head in done
    assert min(done.values()) >= GOP
    assert sum(done.values()) == SEGMENTS * GOP
    assert report["runner"]["workers_lost"] == 0

    end = time.monotonic() + 90
    while machines() != {head}:
        assert time.monotonic() < end
        time.sleep(0.5)

    assert report["videos"][0]["segments"] == SEGMENTS
    assert_complete(source, target)
    here = (*settings, "slow.delay_s=0", "run.runner=local")
    run = start(source, local, here, graph=GRAPH, plugin=plugin)
    _, errors = run.communicate(timeout=400)
    assert run.returncode == 0, errors
    assert same_pixels(decode_all(local), decode_all(target))
