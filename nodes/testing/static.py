"""What can be seen of a node without a video."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from typing import Any

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
)
from nodes.types import VideoInfo

__all__ = ["check_config", "check_spec", "check_unused"]


def check_spec(node_class: type[Node[Any]]) -> None:
    """Make sure that the kind of a node, its ports and its state fit together."""
    spec, kinds = node_class.spec, (SourceNode, MapNode, PoolNode, SinkNode)
    name = spec.type_name
    assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name), f"{name!r} is not like 'acme.blur'"
    assert spec.api_version == API_VERSION, f"is for node API {spec.api_version}"
    assert spec.summary.strip(), "its spec has no summary"
    assert sum(issubclass(node_class, kind) for kind in kinds) == 1, "is not of one kind of node"
    assert not inspect.isabstract(node_class), f"lacks {[*node_class.__abstractmethods__]}"
    assert bool(spec.inputs) != issubclass(node_class, SourceNode), "a source has no inputs"
    assert bool(spec.outputs) != issubclass(node_class, SinkNode), "a sink has no outputs"
    for ports in (spec.inputs, spec.outputs):
        names = [port.name for port in ports]
        assert len(set(names)) == len(names), f"two ports have one name: {names}"
        for port in names:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", port), f"a port is called {port!r}"
    if issubclass(node_class, PoolNode):
        assert spec.state is State.STATELESS, "a pool node keeps no state"


def check_config(node_class: type[Node[Any]], config: NodeConfig) -> None:
    """Make sure that settings are frozen, explained, strict about keys, and fit into a file."""
    assert type(config).model_config.get("frozen"), "its configuration can be changed"
    try:
        node_class.Config.model_validate({**config.model_dump(), "no_such_key": 1})
    except ValidationError:
        pass
    else:
        raise AssertionError("its configuration takes keys that it does not know")
    for key, field in node_class.Config.model_fields.items():
        assert field.description, f"setting {key!r} has no docstring"
    again = node_class.Config.model_validate_json(config.model_dump_json())
    assert again == config, "its settings are others when they are written to a file and read"


def check_unused(node_class: type[Node[Any]], config: NodeConfig, info: VideoInfo) -> None:
    """Make sure that a node without a video pickles, closes, reports and tells its warm-up."""
    made = node_class(config)
    made.close()
    made.close()
    json.dumps(made.report(), default=str)
    twin: Node[Any] = pickle.loads(pickle.dumps(made))  # noqa: S301 - its own pickle
    assert twin.config == config, "its configuration is another one after pickling"
    warmup_s = made.warmup_s(info)
    assert warmup_s >= 0, f"a warm-up of {warmup_s} s"
    bounded = node_class.spec.state is State.BOUNDED
    assert bounded or warmup_s == 0, f"asks for a warm-up, but its state is {node_class.spec.state}"
