"""Levels of configuration and their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import available_graphs, load_config, load_graph, merge_settings
from pipeline.errors import ConfigError, GraphError


def test_flags_beat_settings_beat_the_file_beats_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("params: {scale: 2, strength: 0.5}\nnodes: {encode: {crf: 30}}\n")
    config = load_config(
        file, ["encode.crf=20", "params.scale=3", "run.threads=1"], {"params.scale": 4}
    )
    assert config.params == {"scale": 4, "strength": 0.5}
    assert config.nodes == {"encode": {"crf": 20}}
    assert config.run.threads == 1
    assert config.run.runner == "auto"


def test_a_flag_that_is_not_given_changes_nothing() -> None:
    assert load_config(None, (), {"params.scale": None}).params == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["encode"], "expected NODE.KEY=VALUE"),
        (["crf=20"], "expected NODE.KEY=VALUE"),
        (["encode.crf=[1"], "not valid YAML"),
        (["encode.crf=2024-13-45"], "not valid YAML"),
        (["run=3", "run.threads=1"], "expected NODE.KEY=VALUE"),
        (["encode.crf=1", "encode.crf.x=1"], "'crf' is a value, not a section"),
        (["run.thread=1"], "run.thread: unknown key"),
        (["run.threads=0"], "run.threads: expected at least 1 (got 0)"),
        (["run.runner=spark"], "run.runner: expected 'auto', 'local' or 'ray'"),
    ],
)
def test_a_bad_setting_gets_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "holds a list"),
        ("a: [", "not valid YAML"),
        ("grap: x", "grap: unknown key"),
    ],
)
def test_a_bad_file_gets_one_line(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")


def test_the_shipped_graphs_are_valid() -> None:
    for path in available_graphs():
        assert load_graph(load_config(None, (), {"graph": path.stem})).nodes


def test_scale_is_set_in_one_node_only() -> None:
    graph = load_graph(load_config(None, ["params.scale=3"]))
    configs = {node.name: node.config.model_dump() for node in graph.nodes}
    assert {name: config.get("scale") for name, config in configs.items() if "scale" in config} == {
        "crop": 3,
        "paste": None,
    }


def test_a_mistyped_node_or_graph_is_named() -> None:
    with pytest.raises(GraphError, match="no node 'encod': did you mean 'encode'"):
        load_graph(load_config(None, ["encod.crf=20"]))
    with pytest.raises(ConfigError, match="no graph 'enhanc'"):
        load_graph(load_config(None, (), {"graph": "enhanc"}))


def test_the_look_is_a_parameter_of_the_graph() -> None:
    looks = {
        node.name: node.config.model_dump()["look"]
        for node in load_graph(merge_settings(None, (), look="sharp")).nodes
        if node.name == "enhance"
    }
    assert looks == {"enhance": "sharp"}
    with pytest.raises(GraphError, match="'faithful' or 'sharp'"):
        load_graph(merge_settings(None, (), look="nice"))
    with pytest.raises(GraphError, match="look 'sharp' and weights 'bicubic' both choose"):
        load_graph(merge_settings(None, ("params.weights=bicubic",), look="sharp"))
    with pytest.raises(GraphError, match="'redact' has no parameter 'look'; there are: "):
        load_graph(merge_settings(None, (), graph="redact", look="sharp"))


def test_what_the_graph_takes_from_a_parameter_has_one_value(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("nodes: {crop: {faces: largest, min_score: 0.7}}\n", encoding="utf-8")
    config = load_config(file)
    assert config.params == {"faces": "largest"}
    assert config.nodes == {"crop": {"min_score": 0.7}}
    assert load_config(file, ["crop.faces=2"]).params == {"faces": 2}
    assert load_config(file, ["nodes.crop.faces=2"], {"params.faces": "all"}).params == {
        "faces": "all"
    }
    assert merge_settings(file, ["crop.faces=2"], faces="3").params == {"faces": "3"}
    assert load_config(None, ["decode.from_s=3", "paste.strength=0.5"]).params == {
        "from_s": 3,
        "strength": 0.5,
    }


def test_one_value_set_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("params: {faces: all}\nnodes: {crop: {faces: 2}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"crop\.faces is 2 and params\.faces is 'all'"):
        load_config(file)
    file.write_text("params: {faces: 2}\nnodes: {crop: {faces: 2}}\n", encoding="utf-8")
    assert load_config(file).params == {"faces": 2}


@pytest.mark.parametrize("faces", ["nonsense", "0", "-1", "1.5", ""])
def test_faces_that_mean_nothing_are_refused(faces: str) -> None:
    with pytest.raises(GraphError, match="faces"):
        load_graph(merge_settings(None, (), faces=faces))


def test_one_setting_may_be_given_as_one_text() -> None:
    assert load_config(settings="encode.crf=20").nodes == {"encode": {"crf": 20}}
