"""What the node contract promises to whoever composes a graph: no wrong result without a word."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import av
import pytest
import yaml

import pipeline
from nodes.errors import NodeConfigError
from nodes.tracks.rows import read_tracks
from pipeline.config import GraphFlags, available_graphs
from tests.support.media import Video, make_video
from tests.support.sink_nodes import install

pytestmark = pytest.mark.filterwarnings("default")

SAMPLES = Path(__file__).parents[2] / "samples"
BICUBIC = "params.weights=bicubic"


def test_frames_cannot_be_enlarged_without_their_faces(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    with pytest.raises(NodeConfigError, match=r"paste\.scale is 2.* cut out for scale 1"):
        pipeline.enhance(source, tmp_path / "out.mp4", settings=[BICUBIC, "paste.scale=2"])
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("setting", ["params.scale=2", "crop.scale=2"])
def test_the_scale_of_the_faces_is_that_of_the_frames(tmp_path: Path, setting: str) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    pipeline.enhance(source, tmp_path / "out.mp4", settings=[BICUBIC, setting])
    with av.open(tmp_path / "out.mp4") as made, av.open(source) as given:
        assert made.streams.video[0].width == 2 * given.streams.video[0].width


def renamed_node(name: str) -> str:
    """Return another name for a node of the shipped graph."""
    return {"decode": "read", "track": "follow"}.get(name, f"my-{name}")


def renamed(folder: Path, **more: Any) -> Path:
    """Write the shipped graph with other names for all of its nodes, and a run that names it."""
    (path,) = (path for path in available_graphs() if path.stem == "enhance")
    graph = yaml.safe_load(path.read_text(encoding="utf-8"))
    nodes = {renamed_node(name): node for name, node in graph["nodes"].items()}
    for node in nodes.values():
        edges = [edge.split(".") for edge in node.get("inputs", {}).values()]
        renamed = [f"{renamed_node(name)}.{port}" for name, port in edges]
        node["inputs"] = dict(zip(node.get("inputs", {}), renamed, strict=True))
    text = yaml.safe_dump({**graph, "nodes": nodes | more}, sort_keys=False)
    (folder / "graph.yaml").write_text(text, encoding="utf-8")
    (folder / "run.yaml").write_text(f"graph: {folder}/graph.yaml\n", encoding="utf-8")
    return folder / "run.yaml"


def test_nothing_is_found_by_the_name_of_a_node(tmp_path: Path) -> None:
    source = SAMPLES / "portrait.mp4"
    flags = GraphFlags(faces="largest", from_s="0.2", to_s=1.0)
    plain, other = (
        pipeline.enhance(
            source, tmp_path / f"{name}.mkv", config=file, **flags, settings=[BICUBIC]
        ).videos[0]
        for name, file in (("plain", None), ("other", renamed(tmp_path)))
    )
    assert plain.tracks
    assert plain.faces
    assert (other.tracks, other.faces, other.frames) == (plain.tracks, plain.faces, plain.frames)
    for ending, place in plain.beside.items():
        assert (tmp_path / f"other{ending}").exists(), place
    assert other.why_whole == "only a part of it is wanted"


def test_a_renamed_tracker_joins_its_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    told = {"type": "acme.faces", "inputs": {"frames": "read.frames", "faces": "follow.faces"}}
    video = pipeline.enhance(
        SAMPLES / "portrait.mp4",
        tmp_path / "out.mkv",
        config=renamed(tmp_path, told=told),
        settings=[BICUBIC, "run.segment_s=1", "my-encode.preset=ultrafast", "run.runner=local"],
    ).videos[0]
    assert video.segments > 1, video.why_whole
    assert video.tracks_file is not None
    numbers = [row["track_id"] for row in read_tracks(Path(video.tracks_file))]
    assert set(numbers) - {0} <= set(range(1, 1 + (video.tracks or 0)))
    numbers_told = ast.literal_eval(Path(video.beside[".numbers"]).read_text(encoding="utf-8"))
    assert len(numbers_told) == video.segments
    assert {number for own in numbers_told for number in own.values()} == set(
        range(1, 1 + (video.tracks or 0))
    )
