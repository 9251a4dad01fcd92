"""What every registered node keeps to, whoever wrote it."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from nodes.node import (
    API_VERSION,
    MapNode,
    Node,
    NodeConfig,
    PoolNode,
    SinkNode,
    SourceNode,
    State,
    find_node,
    registered_nodes,
)
from tests.support.faces import frame_of, info_of, scene, segment_in

NAMES = list(registered_nodes())
CLASSES = [find_node(name) for name in NAMES]
FED = [node for node in CLASSES if not issubclass(node, SourceNode)]
SINKS = [node for node in CLASSES if issubclass(node, SinkNode)]

NodeClass = type[Node[NodeConfig]]


def made(node_class: NodeClass) -> Node[NodeConfig]:
    return node_class(node_class.Config())


def test_the_shipped_nodes_are_registered() -> None:
    shipped = ["decode", "track", "crop", "enhance", "steady", "paste", "encode", "sheet", "tracks"]
    assert {f"aminet.{name}" for name in shipped} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_registered_under_its_own_namespaced_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name)
    assert find_node(name).spec.type_name == name


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_spec_is_sane(node_class: NodeClass) -> None:
    spec = node_class.spec
    assert spec.api_version == API_VERSION
    assert re.fullmatch(r"[a-z][^\n]{8,78}[^.\n]", spec.summary)
    for ports in (spec.inputs, spec.outputs):
        names = [port.name for port in ports]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
        assert all(
            "pts" in getattr(port.type, "__dataclass_fields__", {"pts": ""}) for port in ports
        )
    assert spec.warmup_s >= 0
    assert (spec.warmup_s > 0) <= (spec.state is State.BOUNDED)


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_kind_and_ports_agree(node_class: NodeClass) -> None:
    kinds = [
        kind for kind in (SourceNode, MapNode, PoolNode, SinkNode) if issubclass(node_class, kind)
    ]
    assert len(kinds) == 1
    assert bool(node_class.spec.inputs) == (kinds[0] is not SourceNode)
    assert bool(node_class.spec.outputs) == (kinds[0] is not SinkNode)
    if kinds[0] is PoolNode:
        assert node_class.spec.state is State.STATELESS
    assert not inspect.isabstract(node_class)


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_config_is_frozen_documented_and_refuses_unknown_keys(node_class: NodeClass) -> None:
    config = node_class.Config()
    assert node_class.Config.model_config.get("frozen")
    with pytest.raises(ValidationError, match="no_such_key"):
        node_class.Config.model_validate({"no_such_key": 1})
    for name, field in node_class.Config.model_fields.items():
        assert field.description, f"{name} has no docstring"
    assert node_class.Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_a_node_pickles_before_setup(node_class: NodeClass) -> None:
    twin: Node[NodeConfig] = pickle.loads(pickle.dumps(made(node_class)))  # noqa: S301
    assert type(twin) is node_class
    assert twin.config == node_class.Config()


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_close_is_safe_without_open_and_the_report_is_json(node_class: NodeClass) -> None:
    node = made(node_class)
    node.close()
    node.close()
    json.dumps(node.report())


@pytest.mark.parametrize("node_class", FED, ids=[node.spec.type_name for node in FED])
def test_open_and_close_can_be_repeated(node_class: NodeClass, tmp_path: Path) -> None:
    info = info_of(frame_of(scene(64, 48)))
    node = made(node_class)
    for _ in range(2):
        out = node.open(segment_in(tmp_path), {port.name: info for port in node.spec.inputs})
        assert out.time_base == info.time_base
        node.close()
        node.close()
        json.dumps(node.report())


@pytest.mark.parametrize("node_class", SINKS, ids=[node.spec.type_name for node in SINKS])
def test_closed_without_a_frame_leaves_no_finished_file(
    node_class: NodeClass, tmp_path: Path
) -> None:
    """`finish` was never called: the job must not find anything that looks complete."""
    info = info_of(frame_of(scene(64, 48)))
    node = made(node_class)
    node.open(segment_in(tmp_path), {port.name: info for port in node.spec.inputs})
    node.close()
    assert [path for path in tmp_path.iterdir() if path.stat().st_size > 0] == []
