"""What Ray costs and gives: run on an idle machine, `AMINET_BENCH_S` seconds of footage (20).

AMINET_BENCH_S=120 .venv/bin/python -m pytest -m bench tests/bench/test_ray.py --timeout 7200
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ray.cluster_utils import Cluster

from tests.bench.cpu_time import Used, watch
from tests.support.faults import descendants, kill_raylet, start, wait_for
from tests.support.footage import RATE, four_faces

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

RESULTS = Path(__file__).parent / "results"
FRAMES: Final = int(float(os.environ.get("AMINET_BENCH_S", "20")) * RATE)
SEGMENT_S: Final = max(2.0, FRAMES / RATE / 10)
BASE = (f"run.segment_s={SEGMENT_S}", "run.threads=2")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1280x720 with four faces a frame."""
    return four_faces(tmp_path_factory.mktemp("bench") / "four.mp4", FRAMES)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    made.shutdown()


def measured(
    source: Path,
    target: Path,
    *settings: str,
    disturb: Callable[[subprocess.Popen[str]], None] | None = None,
) -> dict[str, Any]:
    """Run once; return what it used and what its report says."""
    run = start(source, target, (*BASE, *settings))
    disturbing = threading.Thread(target=disturb, args=(run,), daemon=True) if disturb else None
    if disturbing:
        disturbing.start()
    used: Used = watch(run)
    _, errors = run.communicate()
    assert run.returncode == 0, errors
    report = json.loads(target.with_suffix(".report.json").read_text(encoding="utf-8"))
    (video,) = report["videos"]
    return {
        "frames": video["frames"],
        "faces_a_frame": video["faces"] / video["frames"],
        "wall_s": used.wall_s,
        "cpu_s": used.cpu_s,
        "cpu_s_a_frame": used.cpu_s / video["frames"],
        "run_wall_s": report["wall_s"],
        "frames_a_s": video["frames"] / report["wall_s"],
        "flow": video["flow"],
        "pools": report["runner"]["pools"],
    }


def save(name: str, result: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"frames": FRAMES, **result}, indent=2) + "\n"
    (RESULTS / f"ray_{name}.json").write_text(text, encoding="utf-8")


def test_cpu_over_the_local_runner_and_bytes_a_frame(footage: Path, tmp_path: Path) -> None:
    local = measured(footage, tmp_path / "local.mp4", "run.runner=local")
    on_ray = measured(footage, tmp_path / "ray.mp4", "run.runner=ray", "run.workers=1")
    two = measured(footage, tmp_path / "ray2.mp4", "run.runner=ray", "run.workers=2")
    save(
        "cpu",
        {
            "local": local,
            "ray_1_worker": on_ray,
            "ray_2_workers": two,
            "cpu_ratio_1_worker": on_ray["cpu_s_a_frame"] / local["cpu_s_a_frame"],
            "cpu_ratio_2_workers": two["cpu_s_a_frame"] / local["cpu_s_a_frame"],
            "frames_a_s_2_workers_over_1": two["frames_a_s"] / on_ray["frames_a_s"],
            "frames_a_s_2_workers_over_local": two["frames_a_s"] / local["frames_a_s"],
            "bytes_a_frame": two["flow"]["travelled_bytes"] / two["frames"],
        },
    )
    assert local["faces_a_frame"] == pytest.approx(4, abs=0.4)


def test_two_workers_over_one_where_workers_do_the_work(footage: Path, tmp_path: Path) -> None:
    """Without the network's share: one worker and one enhancer fill two cores by themselves.

    With one thread for each library, so that one worker is as near to one core as it can be. The
    CPU time of a frame does not depend on how many others use the machine.
    """
    runs = {
        workers: measured(
            footage,
            tmp_path / f"{workers}.mp4",
            "run.runner=ray",
            f"run.workers={workers}",
            "enhance.weights=bicubic",
            "run.threads=1",
        )
        for workers in (1, 2)
    }
    ratio = runs[2]["frames_a_s"] / runs[1]["frames_a_s"]
    efficiency = runs[1]["cpu_s_a_frame"] / runs[2]["cpu_s_a_frame"]
    save(
        "workers",
        {
            "1": runs[1],
            "2": runs[2],
            "frames_a_s_2_over_1": ratio,
            "frames_a_cpu_s_2_over_1": efficiency,
        },
    )


def test_time_lost_by_a_killed_enhancer(footage: Path, tmp_path: Path) -> None:
    settings = ("run.runner=ray", "run.workers=2")
    undisturbed = measured(footage, tmp_path / "whole.mp4", *settings)
    target = tmp_path / "killed.mp4"

    def kill(run: subprocess.Popen[str]) -> None:
        wait_for(run, target, 2, 3600)
        for pid in descendants(run.pid, "ray::EnhancerActor"):
            os.kill(pid, signal.SIGKILL)

    killed = measured(footage, target, *settings, disturb=kill)
    lost_s = killed["run_wall_s"] - undisturbed["run_wall_s"]
    save(
        "enhancer_kill",
        {"undisturbed": undisturbed, "killed": killed, "lost_s": lost_s},
    )
    assert [member["restarted"] for member in killed["pools"]["enhance"]] == [True]


@pytest.mark.parametrize("loss", ["none", "raylet"])
def test_time_lost_by_a_killed_raylet(
    footage: Path, tmp_path: Path, cluster: Cluster, loss: str
) -> None:
    """Two machines of one core, one of which goes: the rest is done by the other."""
    cluster.add_node(num_cpus=1)
    going = cluster.add_node(num_cpus=1)
    target = tmp_path / "out.mp4"

    def kill(run: subprocess.Popen[str]) -> None:
        wait_for(run, target, 2, 3600)
        kill_raylet(going)

    result = measured(
        footage,
        target,
        "run.runner=ray",
        f"run.address={cluster.address}",
        disturb=kill if loss == "raylet" else None,
    )
    save(f"raylet_{loss}", result)
