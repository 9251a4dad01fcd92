"""Jobs submitted to a real Ray cluster of two nodes on this machine, and what its metrics show.

The interpreter with the packages is not on the PATH of the cluster, nor on that of `submit.sh`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
    metrics: tuple[str, str]
    """Of both nodes: each shows its own actors."""


PATH = "/usr/local/bin:/usr/bin:/bin"
RAY = (sys.executable, "-m", "ray.scripts.scripts")
SMALL = ("--num-cpus=1", "--object-store-memory=200000000")
SUBMIT = str(ROOT / "configs" / "deploy" / "submit.sh")


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which the PATH does not have this interpreter."""
    ray = {
        "PATH": PATH,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_agent_register_timeout_ms": "200000",
        "RAY_METRICS_EXPORT_INTERVAL_MS": "1000",
    }
    return {**os.environ, **ray, **more}


def started(folder: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a node of a cluster with one core, whose files lie in that folder."""
    return subprocess.Popen(
        [*RAY, "start", "--block", "--disable-usage-stats", *SMALL, *words],
        cwd=folder,  # jobs begin there, and find first what lies there
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    *of_head, of_second = free_ports(len(PORTS) + 1)
    ports = dict(zip(PORTS, of_head, strict=True))
    # Ray's sockets lie below it, whose names must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        told = [f"--{name}={port}" for name, port in ports.items()]
        head = started(folder, "--head", f"--temp-dir={folder}", *told)
        second = None
        made = Cluster(
            f"http://127.0.0.1:{ports['dashboard-port']}",
            (
                f"http://127.0.0.1:{ports['metrics-export-port']}/metrics",
                f"http://127.0.0.1:{of_second}/metrics",
            ),
        )
        try:
            # The metrics are the last thing to be there.
            wait_for(made.metrics[0], head)
            wait_for(f"{made.dashboard}/api/version", head)
            address = f"--address=127.0.0.1:{ports['port']}"
            second = started(folder, address, f"--metrics-export-port={of_second}")
            wait_for(made.metrics[1], second)
            wait_for_nodes(made.dashboard, 2)
            yield made
        finally:
            for node in (second, head):
                if node is not None:
                    node.terminate()
                    node.wait(60)


def wait_for_nodes(dashboard: str, count: int, deadline_s: float = 180) -> None:
    end = time.monotonic() + deadline_s
    while True:
        with urllib.request.urlopen(_asked(f"{dashboard}/nodes?view=summary")) as answer:  # noqa: S310
            nodes = json.load(answer)["data"]["summary"]
        if sum(node["raylet"].get("state") == "ALIVE" for node in nodes) == count:
            return
        assert time.monotonic() < end, nodes
        time.sleep(0.5)


def _asked(url: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})  # noqa: S310


def wait_for(url: str, process: subprocess.Popen[bytes], deadline_s: float = 180) -> None:
    end = time.monotonic() + deadline_s
    while True:
        try:
            urllib.request.urlopen(_asked(url)).close()  # noqa: S310
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.5)
        else:
            return


def test_a_submitted_job_does_its_work_and_is_counted(cluster: Cluster, tmp_path: Path) -> None:
    # Words that a shell would take apart.
    source, target = tmp_path / "a $(touch x) 'b' \"c\".mp4", tmp_path / "out.mp4"
    shutil.copy(SAMPLES / "portrait.mp4", source)
    settings = ("run.segment_s=1", "encode.preset=ultrafast", "enhance.weights=bicubic")
    words = [SUBMIT, str(source), "-o", str(target)]
    words += [part for setting in settings for part in ("--set", setting)]
    job = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(RAY_ADDRESS=cluster.dashboard, PYTHON=sys.executable),
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
    found: dict[str, float] = {}
    for url in cluster.metrics:
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310
                text = answer.read().decode()
        except OSError:
            continue
        for name, value in re.findall(r"^(ray_aminet_\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
            found[name] = found.get(name, 0.0) + float(value)
    return found


def test_the_package_that_runs_is_the_one_that_travelled(cluster: Cluster, tmp_path: Path) -> None:
    """And it brings nothing along but itself: its nodes are known by its own metadata."""
    code = (
        "import importlib.metadata as m, numpy, pipeline, nodes, aminet;"
        r"print(pipeline, nodes, aminet, m.distribution(\"aminet-video\").locate_file(\"\"));"
        "print(numpy.__file__)"
    )
    script = Path(SUBMIT).read_text(encoding="utf-8")
    script = script.replace('$(dirname "$0")/../..', str(ROOT))
    script, replaced = re.subn(r"-m pipeline enhance [^']*", lambda _: f'-c "{code}"', script)
    assert replaced == 1
    told = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment(RAY_ADDRESS=cluster.dashboard, PYTHON=sys.executable),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.count("py_modules_files") == 4, told
    assert f"\n{Path(np.__file__)}" in told


def test_an_interpreter_without_the_packages_is_named(cluster: Cluster, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    told = submitted(cluster, tmp_path, AMINET_PYTHON=f"{bare}/bin/python")
    assert f"aminet: {bare}/bin/python (Python 3." in told
    assert "lacks av, jinja2, kornia" in told
    assert "Traceback" not in told.partition("aminet: ")[2].partition("\n")[0]
    told = submitted(cluster, tmp_path, AMINET_PYTHON="/no/python")
    assert "no /no/python on" in told
    assert "set AMINET_PYTHON" in told


def submitted(cluster: Cluster, folder: Path, **more: str) -> str:
    """Return what a job says that fails."""
    ran = subprocess.run(
        [SUBMIT, "a.mp4", "-o", "b.mp4"],
        cwd=folder,
        env=environment(RAY_ADDRESS=cluster.dashboard, PYTHON=sys.executable, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    return ran.stdout + ran.stderr


def test_submitting_needs_pip_and_ray_and_says_so(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    ran = subprocess.run(
        [SUBMIT], env=environment(PYTHON=f"{bare}/bin/python"), capture_output=True, check=False
    )
    assert ran.returncode == 2
    assert b"set PYTHON" in ran.stderr
