"""What people try first with graphs, where no other test does it from end to end.

Two encoders, no encoder, two decoders: `test_outputs`. A third-party sink: `test_sinks`. Faces
hidden: `test_redact`. Side by side and single faces: `test_run`. Arrays and frames:
`test_enhancer`. A package that pip installed, here and under Ray: `test_composing_page`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from nodes.errors import NodeConfigError
from pipeline.errors import GraphError
from tests.support.media import Video, decode_all, make_video, planes

pytestmark = pytest.mark.filterwarnings("default")

DECODE: dict[str, Any] = {"type": "aminet.decode"}
LOSSLESS = ["encode.codec=ffv1", "run.runner=local"]


def graph_of(node: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return decode, one node on its frames, encode."""
    name = "decode" if node is None else "fx"
    fx = {} if node is None else {"fx": {"inputs": {"frames": "decode.frames"}, **node}}
    encode = {"type": "aminet.encode", "inputs": {"frames": f"{name}.frames"}}
    return {"name": "tried", "nodes": {"decode": DECODE, **fx, "encode": encode, **more}}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_video(tmp_path / "in.mkv", Video(frames=8, codec="ffv1"))


def run(graph: dict[str, Any], source: Path, name: str = "out.mkv") -> pipeline.RunReport:
    return pipeline.run_graph(graph, source, source.with_name(name), settings=LOSSLESS)


def test_the_whole_picture_is_resized(source: Path) -> None:
    graph = graph_of({"type": "aminet.resize", "config": {"width_px": 80}})
    run(graph, source)
    before, after = decode_all(source), decode_all(source.with_name("out.mkv"))
    assert [frame.time for frame in after] == [frame.time for frame in before]
    shape = before[0].width / before[0].height
    assert {(frame.width, frame.height) for frame in after} == {(80, round(80 / shape))}


def test_a_function_is_called_on_every_picture(source: Path) -> None:
    run(graph_of({"type": "aminet.map", "config": {"function": np.fliplr}}), source)
    for one, other in zip(decode_all(source.with_name("out.mkv")), decode_all(source), strict=True):
        made, given = planes(one)[0].ravel(), planes(other)[0]
        assert np.corrcoef(made, given[:, ::-1].ravel())[0, 1] > 0.9
        assert np.corrcoef(made, given.ravel())[0, 1] < 0.6


def test_a_function_that_is_not_there_is_refused_before_the_work(source: Path) -> None:
    graph = graph_of({"type": "aminet.map", "config": {"function": "my_fx:glow"}})
    said = r"node 'fx' \(aminet\.map\): my_fx:glow cannot be loaded.*put its folder into PYTHONPATH"
    with pytest.raises(NodeConfigError, match=said):
        run(graph, source)
    assert not source.with_name("out.mkv").exists()


def test_a_node_without_its_setting_is_refused_with_its_name(source: Path) -> None:
    with pytest.raises(GraphError, match=r"node 'fx' \(aminet\.map\): function"):
        run(graph_of({"type": "aminet.map"}), source)


def test_patches_of_faces_are_written_for_other_tools(tmp_path: Path) -> None:
    portrait = Path(__file__).parents[2] / "samples" / "portrait.mp4"
    fed = {"inputs": {"frames": "decode.frames"}}
    faces = {"inputs": {"frames": "decode.frames", "faces": "track.faces"}}
    nodes = {
        "decode": {"type": "aminet.decode", "config": {"to_s": 0.5}},
        "track": {"type": "aminet.track", **fed},
        "patches": {"type": "aminet.write_patches", "config": {"every_s": 0.2}, **faces},
    }
    pipeline.run_graph({"name": "patches", "nodes": nodes}, portrait, tmp_path / "out")
    folder = tmp_path / "out" / "portrait.patches"
    rows = [json.loads(row) for row in (folder / "index.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == sorted(path.name for path in folder.glob("*.png"))
    assert len(rows) == 3
