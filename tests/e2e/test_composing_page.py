"""docs/composing.md leads a stranger to a running node: this test does what it says, literally."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.app import main
from tests.support.media import Video, decode_all, make_video
from tests.support.video_nodes import same_pixels

PAGE = (Path(__file__).parents[2] / "docs" / "composing.md").read_text(encoding="utf-8")
pytest.importorskip("setuptools", "77", reason="older ones do not make wheels by themselves")


PIP = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]


def block(after: str, language: str) -> str:
    """Return the first code block of a language after a text of the page."""
    rest = PAGE[PAGE.index(after) :]
    found = re.search(rf"```{language}\n(.*?)```", rest, re.DOTALL)
    assert found is not None
    return found[1]


def write(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(block("`pyproject.toml`:", "toml"), encoding="utf-8")
    (folder / "acme_nodes.py").write_text(block("`acme_nodes.py`:", "python"), encoding="utf-8")
    (folder / "soft.yaml").write_text(block("`soft.yaml`:", "yaml"), encoding="utf-8")
    (folder / "test_soften.py").write_text(block("Test it:", "python"), encoding="utf-8")
    return folder


def call(*words: str, site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_node_from_nothing_to_running_in_a_graph(tmp_path: Path) -> None:
    folder, site = write(tmp_path / "acme"), tmp_path / "site"
    made = call(*PIP, "--target", str(site), ".", site=site, cwd=folder)
    assert made.returncode == 0, made.stderr
    # What is run is what was installed.
    (folder / "acme_nodes.py").unlink()
    make_video(folder / "in.mp4", Video(frames=10))
    words = ["run", "soft.yaml", "in.mp4", "-o", "out.mp4"]
    ran = call("-m", "pipeline", *words, site=site, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert len(decode_all(folder / "out.mp4")) == 10
    listed = call("-m", "pipeline", "nodes", "acme.soften", site=site, cwd=folder)
    assert "sigma_px = 3.0" in listed.stdout
    checked = call("-c", "import test_soften; test_soften.test_soften()", site=site, cwd=folder)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.slow
def test_a_package_that_pip_installed_runs_on_ray_as_here(tmp_path: Path) -> None:
    folder, site = write(tmp_path / "acme"), tmp_path / "site"
    made = call(*PIP, "--target", str(site), ".", site=site, cwd=folder)
    assert made.returncode == 0, made.stderr
    (folder / "acme_nodes.py").unlink()
    make_video(folder / "in.mp4", Video(frames=50, gop_frames=10))
    for runner in ("local", "ray"):
        words = ["run", "soft.yaml", "in.mp4", "-o", f"{runner}.mkv", "--runner", runner]
        words += ["--set", "encode.codec=ffv1", "--set", "run.segment_s=0.5"]
        ran = call("-m", "pipeline", *words, site=site, cwd=folder)
        assert ran.returncode == 0, ran.stderr
    one, other = (decode_all(folder / f"{runner}.mkv") for runner in ("local", "ray"))
    assert len(one) == 50
    assert same_pixels(one, other)
    assert not same_pixels(one, decode_all(folder / "in.mp4"))
    report = json.loads((folder / "ray.report.json").read_text(encoding="utf-8"))
    assert report["videos"][0]["segments"] > 1
    assert report["runner"]["name"] == "ray"


@pytest.mark.filterwarnings("default")  # MediaPipe warns of its own dependencies
def test_the_other_graphs_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "in.mp4", Video(frames=5))
    for name, settings in (
        ("copy", ["params.crf=30"]),
        ("strong", ["params.weights=bicubic"]),
        ("mirrored", ["params.scale=2"]),
    ):
        found = re.search(rf"```yaml\n(# {name}\.yaml\n.*?)```", PAGE, re.DOTALL)
        assert found is not None
        (tmp_path / f"{name}.yaml").write_text(found[1], encoding="utf-8")
        words = ["run", f"{name}.yaml", "in.mp4", "-o", f"{name}.mp4", "--set", *settings]
        monkeypatch.setattr("sys.argv", ["aminet", *words])
        assert main() == 0
        assert len(decode_all(tmp_path / f"{name}.mp4")) == 5
