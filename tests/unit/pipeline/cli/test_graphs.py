"""`aminet nodes TYPE` and `aminet graph`: nothing needs the source to be found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from nodes.registry import find_node, registered_nodes
from pipeline.cli.app import main
from pipeline.config import load_graph, merge_settings


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["aminet", *words])
    code = main()
    told = capsys.readouterr()
    return code, told.out + told.err


@pytest.mark.parametrize("name", registered_nodes())
def test_a_node_type_is_explained_with_ports_and_every_setting(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = run(monkeypatch, capsys, "nodes", name)
    assert code == 0
    node = find_node(name)
    for port in (*node.spec.inputs, *node.spec.outputs):
        assert re.search(rf"(<-|->) {port.name}: {port.type.__name__}", told)
    for setting, field in node.Config.model_fields.items():
        assert re.search(rf"\n  {setting} = ", told)
        assert " ".join((field.description or "").split()) in told


def test_a_setting_tells_its_limits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = run(monkeypatch, capsys, "nodes", "aminet.blur")
    assert "cells = 6  [integer from 1 to 64]" in told
    assert "one of blur, pixelate, fill" in told
    code, told = run(monkeypatch, capsys, "nodes", "no.such")
    assert (code, "unknown node type 'no.such'" in told) == (2, True)


def test_what_is_shown_is_a_graph_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = run(monkeypatch, capsys, "graph", "show", "redact")
    file = tmp_path / "shown.yaml"
    file.write_text(told, encoding="utf-8")
    assert code == 0
    built = (load_graph(merge_settings(None, (), graph=graph)) for graph in (file, "redact"))
    assert len({json.dumps(graph.resolved(), sort_keys=True) for graph in built}) == 1
    assert run(monkeypatch, capsys, "graph", "validate", str(file))[0] == 0
    data = yaml.safe_load(told)
    data["nodes"]["blur"]["inputs"]["faces"] = "decode.frames"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    code, told = run(monkeypatch, capsys, "graph", "validate", str(file))
    assert code == 2
    assert re.search(r"shown\.yaml, line \d+: decode\.frames sends Frame, but blur\.faces", told)


def test_a_drawing_has_every_node_and_edge(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = run(monkeypatch, capsys, "graph", "draw", "redact")
    graph = load_graph(merge_settings(None, (), graph="redact"))
    assert told.startswith("flowchart LR\n")
    assert told.count("-->|") == sum(len(node.inputs) for node in graph.nodes)
    assert all(f'["{node.name}<br>{node.spec.type_name}"]' in told for node in graph.nodes)


@pytest.mark.parametrize("name", ["enhance", "redact", "proxy", "tracks-only"])
def test_a_drawing_as_svg_is_a_picture_of_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = run(monkeypatch, capsys, "graph", "draw", name, "--form", "svg")
    graph = load_graph(merge_settings(None, (), graph=name))
    space = "{http://www.w3.org/2000/svg}"
    drawn = ET.fromstring(told)  # noqa: S314 - our own
    width, height = (int(drawn.attrib[side]) for side in ("width", "height"))
    texts = [text.text for text in drawn.iter(f"{space}text")]
    assert {node.name for node in graph.nodes} <= set(texts)
    assert texts.count("aminet.encode") == sum("encode" in n.spec.type_name for n in graph.nodes)
    lines = [path for path in drawn.iter(f"{space}path") if "marker-end" in path.attrib]
    assert len(lines) == sum(len(node.inputs) for node in graph.nodes)
    boxes = [
        tuple(int(box.attrib[side]) for side in ("x", "y", "width", "height"))
        for box in drawn.iter(f"{space}rect")
        if "x" in box.attrib
    ]
    assert len(set(boxes)) == len(graph.nodes)
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)
    apart = [a for a in boxes for b in boxes if a != b and a[0] == b[0] and abs(a[1] - b[1]) < b[3]]
    assert apart == []


@pytest.mark.parametrize("kind", ["graph", "run", "aminet.crop"])
def test_schemas_are_for_editors(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = run(monkeypatch, capsys, "graph", "schema", kind)
    schema = json.loads(told)
    assert (code, schema["type"]) == (0, "object")
    assert {"graph": "extends", "run": "params", "aminet.crop": "faces"}[kind] in schema[
        "properties"
    ]
