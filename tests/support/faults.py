"""Runs of the program that are to be disturbed from outside, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.media import decode_all
from tests.support.video_nodes import same_pixels

__all__ = [
    "assert_complete",
    "descendants",
    "install_plugin",
    "kill_raylet",
    "manifests",
    "start",
    "times_while",
    "wait_for",
    "wait_until_gone",
]

NODES = '''
"""A third-party package whose nodes are slow, and may kill their process or eat its memory."""
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
from nodes.node import MapNode, NodeConfig, NodeSpec, PoolNode, Port
from nodes.types import Frame

FRAMES = (Port("frames", Frame),)


class SlowConfig(NodeConfig):
    delay_s: float = 0.02
    die_at_pts: int | None = None
    pids: str = ""
    eat_mb: int = 0
    eat_once: str = ""


class Slow(MapNode[SlowConfig]):
    spec = NodeSpec("faulty.slow", "takes its time", FRAMES, FRAMES)
    Config = SlowConfig

    def open(self, segment, inputs):
        if self.config.pids:
            Path(self.config.pids, str(os.getpid())).touch()
        return inputs["frames"]

    def process(self, inputs):
        frame = inputs.get("frames", Frame)
        if self.config.die_at_pts is not None and frame.pts >= self.config.die_at_pts:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.config.eat_mb and not Path(self.config.eat_once).exists():
            Path(self.config.eat_once).touch()
            self.eaten = [b"x" * (1 << 20) for _ in range(self.config.eat_mb)]
            time.sleep(60)
        time.sleep(self.config.delay_s)
        return {"frames": frame}


@dataclass(frozen=True)
class Mark:
    pts: int


class Nothing(NodeConfig):
    pass


class Marked(MapNode[Nothing]):
    spec = NodeSpec("faulty.marked", "only the times of frames", FRAMES, (Port("marks", Mark),))
    Config = Nothing

    def process(self, inputs):
        return {"marks": Mark(inputs.pts)}


class PoolConfig(NodeConfig):
    die_at_pts: int | None = None


class Pool(PoolNode[PoolConfig]):
    spec = NodeSpec(
        "faulty.pool", "far away", (Port("marks", Mark),), (Port("marks", Mark),)
    )
    Config = PoolConfig

    @property
    def max_batch(self):
        return 4

    def weight(self, inputs):
        return 1

    def process_batch(self, batch):
        if any(inputs.pts == self.config.die_at_pts for inputs in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return [{"marks": Mark(inputs.pts)} for inputs in batch]


class Joined(MapNode[Nothing]):
    spec = NodeSpec("faulty.joined", "waits for both", (*FRAMES, Port("marks", Mark)), FRAMES)
    Config = Nothing

    def open(self, segment, inputs):
        return inputs["frames"]

    def process(self, inputs):
        return {"frames": inputs.get("frames", Frame)}
'''


def install_plugin(folder: Path) -> Path:
    """Make an installed third-party package, as Python sees one; return where."""
    site = folder / "site"
    about = site / "faulty-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "faulty_nodes.py").write_text(NODES, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[aminet.nodes]\n"
        + "".join(
            f"faulty.{name.lower()} = faulty_nodes:{name}\n"
            for name in ("Slow", "Marked", "Pool", "Joined")
        ),
        encoding="utf-8",
    )
    return site


def start(
    inputs: Path,
    target: Path,
    settings: Sequence[str],
    *,
    graph: str | None = None,
    plugin: Path | None = None,
    command: str = "enhance",
    patch: str = "",
) -> subprocess.Popen[str]:
    """Start the program.

    Args:
        inputs: a video or a folder of them.
        target: what to write.
        settings: for `--set`.
        graph: a graph of its own, as YAML.
        plugin: where a third-party package lies.
        command: of the program.
        patch: Python that runs before it.
    """
    code = f"{patch}\nfrom pipeline.__main__ import main; main()"
    words = [sys.executable, "-c", code, command, str(inputs), "-o", str(target)]
    if graph is not None:
        folder = target.parent
        (folder / "faulty.yaml").write_text(graph, encoding="utf-8")
        (folder / "run.yaml").write_text(f"graph: {folder / 'faulty.yaml'}\n", encoding="utf-8")
        words += ["--config", str(folder / "run.yaml")]
    words += [part for setting in settings for part in ("--set", setting)]
    paths = [str(path) for path in (ROOT, plugin) if path]
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def manifests(target: Path) -> dict[str, Any]:
    """Return what is finished of a video, by segment."""
    work_dir = target.with_name(f".{target.name}.aminet-part")
    # Not those of folders that do not have their final name yet (`NUMBER.TOKEN.part`).
    found = work_dir.glob("*[0-9]/manifest.json")
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in found}


def wait_for(
    run: subprocess.Popen[str], target: Path, segments: int, deadline_s: float = 400
) -> dict[str, Any]:
    """Wait until so many segments are finished."""
    end = time.monotonic() + deadline_s
    while len(found := manifests(target)) < segments:
        assert time.monotonic() < end
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    return found


def times_while(run: subprocess.Popen[str], target: Path) -> dict[str, Any]:
    """Return the manifests as they were seen until the run ended."""
    seen: dict[str, Any] = {}
    while run.poll() is None:
        try:
            seen |= manifests(target)
        except OSError:
            continue  # the folder goes when the video is finished
        time.sleep(0.01)
    return seen


def assert_complete(source: Path, target: Path) -> None:
    """Check that the output holds every frame, unchanged, and that nothing is left over."""
    assert same_pixels(decode_all(source), decode_all(target))
    if target.suffix != ".mkv":  # which counts milliseconds
        assert [f.pts for f in decode_all(source)] == [f.pts for f in decode_all(target)]
    assert not target.with_name(f".{target.name}.aminet-part").exists()


def descendants(pid: int, title: str = "") -> Iterator[int]:
    """Yield the processes that a process started, and those that they started.

    Args:
        pid: of the first.
        title: part of the command line of those wanted.
    """
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        children.setdefault(parent, []).append(int(stat.parent.name))
    waiting = list(children.get(pid, ()))
    while waiting:
        child = waiting.pop()
        waiting += children.get(child, ())
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if title in line:
            yield child


def wait_until_gone(pids: Iterable[int], deadline_s: float = 60) -> None:
    """Wait until processes have ended: a worker outlives its driver for a moment."""
    end = time.monotonic() + deadline_s
    for pid in pids:
        while _runs(pid):
            assert time.monotonic() < end, f"process {pid} is still there"
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill_raylet(machine: Any) -> None:
    """SIGKILL the raylet of a `ray.cluster_utils` machine, which ends its workers.

    It is waited for: they look whether the process is there, and a zombie is.
    """
    (raylet,) = machine.all_processes["raylet"]
    raylet.process.kill()
    raylet.process.wait()
