"""A job submitted to a real Ray cluster of one machine, and what its metrics endpoint shows."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.job.report import read_videos
from pipeline.storage.locations import location_of
from tests.support import ROOT, SAMPLES
from tests.support.media import decode_all
from tests.support.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

PORTS = (
    "port",
    "dashboard-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "ray-client-server-port",
    "runtime-env-agent-port",
)


TOKEN = secrets.token_hex(32)
"""Of this cluster alone: Ray's dashboard answers nobody without it."""


@dataclass(frozen=True)
class Cluster:
    dashboard: str
    metrics: str


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which `ray` and `python` are this one's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ray = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_agent_register_timeout_ms": "200000",
        "RAY_METRICS_EXPORT_INTERVAL_MS": "1000",
    }
    return {**os.environ, "PATH": path, **ray, **more}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    # Ray's sockets lie below it, whose names must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        head = subprocess.Popen(
            ["ray", "start", "--head", "--block", "--num-cpus=2"]
            + ["--object-store-memory=200000000", "--disable-usage-stats", f"--temp-dir={folder}"]
            + [f"--{name}={port}" for name, port in ports.items()],
            cwd=folder,  # jobs begin there, and find first what lies there
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        made = Cluster(
            f"http://127.0.0.1:{ports['dashboard-port']}",
            f"http://127.0.0.1:{ports['metrics-export-port']}/metrics",
        )
        try:
            # The metrics are the last thing to be there.
            wait_for(made.metrics, head)
            wait_for(f"{made.dashboard}/api/version", head)
            yield made
        finally:
            head.terminate()
            head.wait(60)


def wait_for(url: str, process: subprocess.Popen[bytes], deadline_s: float = 180) -> None:
    end = time.monotonic() + deadline_s
    while True:
        try:
            asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310
            urllib.request.urlopen(asked).close()  # noqa: S310
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.5)
        else:
            return


def test_a_submitted_job_does_its_work_and_is_counted(cluster: Cluster, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    settings = ("run.segment_s=1", "encode.preset=ultrafast", "enhance.weights=bicubic")
    words = [str(ROOT / "configs" / "deploy" / "submit.sh")]
    words += [str(SAMPLES / "portrait.mp4"), "-o", str(target)]
    words += [part for setting in settings for part in ("--set", setting)]
    job = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(RAY_ADDRESS=cluster.dashboard),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen: dict[str, float] = {}
    while job.poll() is None:
        seen |= values(cluster)
        time.sleep(0.5)
    output, _ = job.communicate()
    assert job.returncode == 0, output
    assert "ray runner (asked for)" in output
    (video,) = read_videos(location_of(tmp_path / "out.report.json")).values()
    assert video.segments > 1
    assert len(decode_all(target)) == video.frames

    assert seen["ray_aminet_faces_total"] > 0
    assert 0 < seen["ray_aminet_frames_total"] <= video.frames
    for name in ("segments_total", "batch_size_count", "queue_wait_seconds_sum", "queue_length"):
        assert f"ray_aminet_{name}" in seen, sorted(seen)


def values(cluster: Cluster) -> dict[str, float]:
    """Return our metrics as they are now, added up over the actors."""
    try:
        with urllib.request.urlopen(cluster.metrics) as answer:  # noqa: S310
            text = answer.read().decode()
    except OSError:
        return {}
    found: dict[str, float] = {}
    for name, value in re.findall(r"^(ray_aminet_\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def test_the_package_that_runs_is_the_one_that_travelled(cluster: Cluster, tmp_path: Path) -> None:
    """And it brings nothing along but itself: its nodes are known by its own metadata."""
    code = (
        "import importlib.metadata as m, numpy, pipeline, nodes, aminet;"
        "print(pipeline, nodes, aminet, m.distribution('aminet-video').locate_file(''));"
        "print(numpy.__file__)"
    )
    script = (ROOT / "configs" / "deploy" / "submit.sh").read_text(encoding="utf-8")
    script = script.replace('$(dirname "$0")/../..', str(ROOT))
    script, replaced = re.subn(r"-m pipeline enhance .*", f'-c "{code}"', script)
    assert replaced == 1
    told = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment(RAY_ADDRESS=cluster.dashboard),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.count("py_modules_files") == 4, told
    assert f"\n{sys.prefix}" in told
