"""Graph files: one that extends another, keys that are there twice, and the line of an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nodes.frame_filter import FrameFilter
from nodes.node import Node, NodeConfig
from nodes.registry import find_node
from nodes.tracks import Tracks
from nodes.types import RgbImage
from pipeline.config import available_graphs, load_config, load_graph, merge_settings
from pipeline.errors import ConfigError, GraphError
from pipeline.graph.build import build_graph
from pipeline.graph.reading import read_graph_spec
from pipeline.graph.spec import GraphSpec, NodeEntry


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def test_a_graph_says_only_what_differs_from_the_one_it_extends(tmp_path: Path) -> None:
    mine = """
extends: enhance
name: mine
params: {strength: 0.5, sigma: 2}
nodes:
  encode: {config: {crf: 30}}
  sheet: null
  evidence: null
"""
    graph = load_graph(merge_settings(None, (), graph=write(tmp_path / "mine.yaml", mine)))
    base = load_graph(merge_settings(None, ()))
    names = {node.name for node in graph.nodes}
    assert names == {node.name for node in base.nodes} - {"sheet", "evidence"}
    assert graph.params["strength"] == 0.5
    assert graph.params["scale"] == 1
    (encode,) = (node for node in graph.nodes if node.name == "encode")
    assert encode.config.model_dump()["crf"] == 30
    assert encode.inputs


def test_files_count_from_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    write(deep / "base.yaml", "extends: tracks-only\nname: base\n")
    write(deep / "mine.yaml", "extends: base.yaml\nname: mine\n")
    run = write(deep / "run.yaml", "graph: mine.yaml\n")
    monkeypatch.chdir(tmp_path)
    assert load_graph(load_config(run)).name == "mine"


WEIGHTS = """
extends: enhance
name: mine
params: {weights: mine.safetensors}
nodes:
  logo:
    type: acme.stamp
    inputs: {frames: label.frames}
    config: {picture: art/logo.png, other: [a.png]}
  encode: {inputs: {frames: logo.frames}}
"""


class StampConfig(NodeConfig):
    picture: Path | None = None
    other: tuple[str, ...] = ()


class Stamp(FrameFilter[StampConfig], type_name="acme.stamp", summary="draw a picture"):
    Config = StampConfig

    def filter(self, rgb: RgbImage) -> RgbImage:
        return rgb


def test_names_of_files_in_settings_count_from_the_file_that_says_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.graph.locations.find_node", found := finder())
    monkeypatch.setattr("pipeline.graph.build.find_node", found)
    deep = tmp_path / "deep"
    (deep / "er").mkdir(parents=True)
    base = write(deep / "base.yaml", WEIGHTS)
    top = write(deep / "er" / "top.yaml", "extends: ../base.yaml\nname: top\n")
    for file in (base, top):
        graph = load_graph(merge_settings(None, (), graph=file))
        configs = {node.name: node.config.model_dump() for node in graph.nodes}
        assert Path(configs["enhance"]["weights"]).resolve() == deep / "mine.safetensors"
        assert configs["logo"]["picture"].resolve() == deep / "art" / "logo.png"
        assert configs["logo"]["other"] == ("a.png",)
    # What is said elsewhere counts from there; what ships, and URLs, are no such files.
    run = write(tmp_path / "run.yaml", "graph: deep/base.yaml\nnodes: {logo: {picture: a.png}}\n")
    config = load_config(run, ["params.weights=b.safetensors"])
    assert config.nodes["logo"]["picture"] == str(tmp_path / "a.png")
    assert config.params["weights"] == "b.safetensors"
    for name in ("aminet-s", "s3://bucket/x.safetensors", "/x.safetensors"):
        write(base, WEIGHTS.replace("mine.safetensors", name))
        assert read_graph_spec(base).params["weights"] == name


def test_files_in_the_run_section_count_from_the_run_file(tmp_path: Path) -> None:
    run = write(tmp_path / "run.yaml", "run: {sign_cert: certs/me.pem, scratch_dir: ./fast}\n")
    options = load_config(run).run
    assert options.sign_cert == tmp_path / "certs" / "me.pem"
    assert options.scratch_dir == tmp_path / "fast"


def finder() -> Callable[[str], type[Node[NodeConfig]]]:
    return lambda name: Stamp if name == "acme.stamp" else find_node(name)


def test_graphs_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one.yaml", "extends: two.yaml\n")
    write(tmp_path / "two.yaml", "extends: one.yaml\n")
    with pytest.raises(GraphError, match=r"two\.yaml, line 1: extends .*which extends it again"):
        read_graph_spec(one)


def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "name: x\nnodes:\n  decode: {type: aminet.decode}\n  decode: {type: aminet.decode}\n"
    file = write(tmp_path / "twice.yaml", text)
    with pytest.raises(GraphError, match=r"key 'decode' is there twice.*twice\.yaml\", line 4"):
        read_graph_spec(file)
    with pytest.raises(ConfigError, match=r"key 'run' is there twice.*line 2"):
        load_config(write(tmp_path / "run.yaml", "run: {threads: 1}\nrun: {threads: 2}\n"))


COPY = """name: x
nodes:
  decode: {type: aminet.decode}
  encode: {type: aminet.encode, inputs: {frames: decode.frames}}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\nnodes:\n  a:\n    typ: aminet.decode\n",
            r"x\.yaml, line 4: .*nodes\.a\.typ: unknown key: did you mean 'type'\?",
        ),
        (
            "name: x\nnodes:\n  a: {type: no.such}\n",
            r"x\.yaml, line 3: node 'a': unknown node",
        ),
        (
            "extends: tracks-only\nname: x\nnodes:\n  track:\n    config: {min_scor: 1}\n",
            r"x\.yaml, line 5: node 'track' .*min_scor: unknown key",
        ),
        (
            "extends: tracks-only\nname: x\nnodes:\n  track: {config: {min_score: $none}}\n",
            r"x\.yaml, line 4: track\.min_score refers to the unknown parameter '\$none'",
        ),
        (
            "extends: tracks-only\nname: x\nnodes:\n  trak: {config: {min_score: 1}}\n",
            r"x\.yaml, line 4: node 'trak' has no type.* did you mean 'track'\?",
        ),
        (
            "extends: tracks-only\nname: x\nnodes:\n  trak: null\n",
            r"x\.yaml, line 4: node 'trak' has no type.* did you mean 'track'\?",
        ),
        (
            "extends: enhance\nname: x\nparams:\n  strenght: 0.5\n",
            r"x\.yaml, line 4: no node takes the parameter 'strenght': did you mean 'strength'\?",
        ),
        (
            "extends: enhance\nname: x\nparams:\n  scale: 9\n",
            r"x\.yaml, line 4: node 'crop' .*scale: expected at most 4",
        ),
        (
            "name: x\nextends: redct\n",
            r"x\.yaml, line 2: extends 'redct', but there is no graph .*did you mean 'redact'",
        ),
        (
            "name: x\nextends: gone.yaml\n",
            r"x\.yaml, line 2: extends 'gone\.yaml', but there is no file .*gone\.yaml",
        ),
        (
            COPY + "  fx:\n    type: aminet.resize\n    inputs:\n      frames: decod.frames\n",
            r"x\.yaml, line 8: fx\.frames is fed by 'decod\.frames', but no such node",
        ),
        (
            COPY + "  fx:\n    type: aminet.resize\n    inputs:\n      frames: decode\n",
            r"x\.yaml, line 8: fx\.frames is fed by 'decode', expected 'node\.port'",
        ),
        (
            COPY + "  fx:\n    type: aminet.resize\n    inputs: {frames: fx.frames}\n",
            r"x\.yaml, line 5: graph 'x' goes in a circle: fx -> fx",
        ),
        (
            COPY + "  fx:\n    type: aminet.resize\n    when: $no\n    inputs: {}\n",
            r"x\.yaml, line 7: fx\.when refers to the unknown parameter",
        ),
        (COPY + "  again: {type: aminet.decode}\n", r"x\.yaml, line 5: .*2 source nodes"),
        ("name: x\nnodes:\n  decode: {type: aminet.decode}\n", r"x\.yaml: .*no sink node"),
    ],
)
def test_an_error_names_file_and_line(text: str, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "x.yaml", text)
    with pytest.raises(GraphError, match=message):
        load_graph(merge_settings(None, (), graph=file))


def test_an_error_in_the_graph_that_is_extended_names_that_file(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", COPY.replace("{frames:", "{frame:"))
    file = write(tmp_path / "x.yaml", "extends: base.yaml\nname: x\n")
    with pytest.raises(GraphError, match=r"base\.yaml, line 4: .*no input 'frame'"):
        load_graph(merge_settings(None, (), graph=file))


@pytest.mark.parametrize("setting", ["encode.crff=3", "params.scale=9", "encode.crf=99"])
def test_a_setting_of_the_command_line_is_not_blamed_on_the_file(setting: str) -> None:
    with pytest.raises(GraphError) as raised:
        load_graph(merge_settings(None, [setting], graph="enhance"))
    assert str(raised.value).startswith("node ")


def test_parameters_are_put_in_however_deep_they_are() -> None:
    spec = GraphSpec(
        name="deep",
        params={"parquet": False},
        nodes={
            "decode": NodeEntry(type="aminet.decode"),
            "track": NodeEntry(type="aminet.track", inputs={"frames": "decode.frames"}),
            "rows": NodeEntry(
                type=Tracks, inputs={"faces": "track.faces"}, config={"parquet": "$parquet"}
            ),
        },
    )
    graph = build_graph(spec)
    (rows,) = (node for node in graph.nodes if node.name == "rows")
    assert rows.config.model_dump() == {"parquet": False}
    from pipeline.graph.build import _substitute

    given = {"a": ["$x", {"b": "$x"}], "c": "$$x", "d": 1}
    assert _substitute("n", given, {"x": 5}) == {"a": [5, {"b": 5}], "c": "$x", "d": 1}
    with pytest.raises(GraphError, match=r"n\.a\.1\.b refers to the unknown parameter '\$y'"):
        _substitute("n", {"a": [1, {"b": "$y"}]}, {})


def test_a_class_that_is_no_node_is_refused() -> None:
    for kind in (dict, 3):
        mapping = {"name": "x", "nodes": {"a": {"type": kind}}}
        with pytest.raises(GraphError, match=r"nodes\.a\.type: .*subclass of nodes\.node\.Node"):
            merge_settings(None, (), graph=mapping)


@pytest.mark.parametrize("path", available_graphs(), ids=lambda path: path.stem)
def test_every_shipped_graph_is_valid_and_named_after_its_file(path: Path) -> None:
    graph = load_graph(
        merge_settings(
            None, ("params.weights=bicubic",) * (path.stem == "enhance"), graph=path.stem
        )
    )
    assert graph.name == path.stem
    assert read_graph_spec(path).description


def test_a_node_of_another_type_keeps_its_inputs_and_no_settings(tmp_path: Path) -> None:
    mine = """
extends: enhance
name: mirrored
nodes:
  enhance: {type: aminet.map_faces, config: {function: "numpy:fliplr"}}
  encode: {type: aminet.encode, config: {crf: 30}}
"""
    spec = read_graph_spec(write(tmp_path / "mine.yaml", mine))
    assert spec.nodes["enhance"].inputs == {"patches": "fuse.patches"}
    assert spec.nodes["enhance"].config == {"function": "numpy:fliplr"}
    # The type that it had: its settings stay.
    assert spec.nodes["encode"].config == {"lossless": "$evidence", "crf": 30}
    assert "enhance" in {node.name for node in build_graph(spec).nodes}
