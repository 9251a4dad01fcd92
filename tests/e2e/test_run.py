"""`pipeline.run_graph` and `aminet run`: any graph, by name, as a file, a mapping or in Python."""

from __future__ import annotations

import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline
from pipeline.cli.app import main
from pipeline.config import available_graphs
from pipeline.errors import RunCancelledError
from pipeline.graph.reading import read_graph_spec
from tests.support.media import Video, decode_all, make_video
from tests.support.sink_nodes import Joined

pytestmark = pytest.mark.filterwarnings("default")

SAMPLES = Path(__file__).parents[2] / "samples"
DECODE: dict[str, Any] = {"type": "aminet.decode"}
ENCODE: dict[str, Any] = {"type": "aminet.encode", "inputs": {"frames": "decode.frames"}}


def path_params(path: Path) -> dict[str, Any]:
    return read_graph_spec(path).params


@pytest.mark.parametrize("path", available_graphs(), ids=lambda path: path.stem)
def test_every_shipped_graph_runs_and_is_named_in_the_readme(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, out = path.stem, tmp_path / "out"
    assert f"`{name}`" in (SAMPLES.parent / "README.md").read_text(encoding="utf-8")
    weights = ["--set", "params.weights=bicubic"] if "weights" in path_params(path) else []
    words = ["run", name, str(SAMPLES / "portrait.mp4"), "-o", str(out), "--to", "0.3", *weights]
    monkeypatch.setattr("sys.argv", ["aminet", *words])
    assert main() == 0
    none = set[str]()
    proxies = {"portrait.encode.mp4", "portrait.proxy.mp4"}
    videos = {"tracks-only": none, "faces-only": none, "proxy": proxies}
    made = {file.name for file in out.glob("*.mp4")}
    assert made == videos.get(name, {"portrait.mp4"})
    assert (out / "portrait.tracks.jsonl").exists()
    assert (out / "portrait.face_videos" / "0001.mp4").exists() == (name == "faces-only")
    if name == "compare":
        (first, *_) = decode_all(out / "portrait.mp4")
        assert first.width > 2 * first.height


def test_a_graph_in_python_holds_classes_and_names(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=10))
    notes = {"type": Joined, "inputs": {"frames": "decode.frames"}}
    nodes = {"decode": DECODE, "encode": ENCODE, "notes": notes}
    mapping = {"name": "mine", "nodes": nodes}
    spec = pipeline.GraphSpec.model_validate(mapping)
    for place, graph in (("a", mapping), ("b", spec)):
        video = pipeline.run_graph(graph, source, tmp_path / f"{place}.mkv").videos[0]
        assert video.frames == 10
        assert (tmp_path / f"{place}.times.csv").exists()
    # The same in a file cannot name a class.
    file = tmp_path / "mine.yaml"
    text = yaml.safe_dump({**mapping, "nodes": {"decode": DECODE, "encode": ENCODE}})
    file.write_text(text, encoding="utf-8")
    assert pipeline.run_graph(file, source, tmp_path / "c.mkv").videos[0].frames == 10


def test_progress_is_told_and_a_run_can_be_cancelled_and_goes_on(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=240, gop_frames=10))
    graph = {"name": "copy", "nodes": {"decode": DECODE, "encode": ENCODE}}
    settings, out, cancel = ["run.segment_s=1"], tmp_path / "out.mkv", threading.Event()
    told: list[int] = []

    def note(path: str, progress: pipeline.Progress) -> None:
        assert path == str(source)
        told.append(progress.frames)
        if progress.frames >= 60:
            cancel.set()

    with pytest.raises(RunCancelledError, match=r"segments are finished and kept"):
        pipeline.run_graph(graph, source, out, settings=settings, on_progress=note, cancel=cancel)
    assert not out.exists()
    assert told == sorted(told)
    video = pipeline.run_graph(graph, source, out, settings=settings).videos[0]
    assert video.segments_reused > 0
    assert len(decode_all(out)) == 240


def test_the_version_and_that_types_are_there() -> None:
    assert pipeline.__version__ == version("aminet-video")
    for room in ("aminet", "nodes", "pipeline"):
        assert (SAMPLES.parent / room / "py.typed").exists()
