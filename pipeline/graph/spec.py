"""The spec of a graph, as written in a graph file.

A graph file lists nodes with their inputs and settings; `$name` is a parameter of the graph:

    name: enhance
    params: {scale: 1}
    nodes:
      decode: {type: aminet.decode}
      track: {type: aminet.track, inputs: {frames: decode.frames}}
      crop: {type: aminet.crop, inputs: {...}, config: {scale: $scale}}

The same in Python is a `GraphSpec` made of `NodeEntry`s, given to `pipeline.graph.build`.

A file with `extends: enhance` (or with the name of a file, counted from its own folder) says only
what differs: its parameters and nodes are laid over those of the other graph, key by key, and
`null` takes a node out. A node that gets another type keeps its inputs, but no settings.

A node with `when: $name` is there only if that parameter is true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from aminet.settings import check_settings, read_settings
from nodes.node import Node
from pipeline.errors import GraphError
from pipeline.graph.files import graph_file

__all__ = ["GraphSpec", "NodeEntry", "graph_files", "graph_schema", "read_graph_spec"]


def _node_class(given: type[Any]) -> type[Node[Any]]:
    if not issubclass(given, Node):
        raise ValueError("expected the name of a node type, or a subclass of nodes.node.Node")
    return cast("type[Node[Any]]", given)


class NodeEntry(BaseModel):
    """One node of a graph file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str | Annotated[SkipJsonSchema[type[Any]], AfterValidator(_node_class)]
    """Registered name of the node type, such as `aminet.track`; in Python also its class."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """The output for each input port, as `node.port`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The node's own configuration; `$name`, however deep, takes a parameter of the graph."""
    when: bool | str = True
    """Whether the node is there: `$name` takes a parameter that is true or false. Optional inputs
    that a missing node would feed are not connected; a node that needs one must be missing, too."""

    @property
    def type_name(self) -> str:
        """The name of the node's type."""
        return self.type if isinstance(self.type, str) else self.type.spec.type_name


class GraphSpec(BaseModel):
    """A graph that is not checked against the nodes' specs yet."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    description: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters and their defaults."""
    nodes: dict[str, NodeEntry]

    def bound_keys(self) -> dict[tuple[str, str], str]:
        """Return the parameter of each setting that uses one, by node and key."""
        return {
            (node, key): value[1:]
            for node, entry in self.nodes.items()
            for key, value in entry.config.items()
            if isinstance(value, str) and re.fullmatch(r"\$[^$].*", value)
        }


def graph_schema() -> dict[str, Any]:
    """Return the JSON Schema of graph files, for editors."""
    schema = GraphSpec.model_json_schema()
    # In files there are names of types only; one that extends another may leave most out.
    schema["$defs"]["NodeEntry"]["properties"]["type"] = {"type": "string"}
    schema["$defs"]["NodeEntry"].pop("required", None)
    schema["properties"]["extends"] = {"type": "string"}
    schema["required"] = ["name"]
    entry = {"$ref": "#/$defs/NodeEntry"}
    schema["properties"]["nodes"]["additionalProperties"] = {"anyOf": [entry, {"type": "null"}]}
    return schema


def read_graph_spec(path: Path) -> GraphSpec:
    """Read a graph file, and those that it extends.

    Raises:
        GraphError: a file cannot be read, is not YAML, has unknown or missing keys, or extends
            itself.
    """
    data: dict[str, Any] = {}
    for file in reversed(graph_files(path)):
        own = read_settings(file, "graph file", GraphError)
        own.pop("extends", None)
        data = _merged(data, own)
    return check_settings(GraphSpec, data, f"graph file {path}", GraphError, file=path)


def graph_files(path: Path) -> list[Path]:
    """Return a graph file and those that it extends, each before the one that it extends.

    Raises:
        GraphError: a file cannot be read, or extends itself.
    """
    files = [path]
    while (base := read_settings(files[-1], "graph file", GraphError).get("extends")) is not None:
        if not isinstance(base, str):
            raise GraphError(f"graph file {files[-1]}: extends {base!r}, expected a graph's name")
        file = graph_file(base, files[-1].parent)
        if any(file.absolute() == other.absolute() for other in files):
            raise GraphError(f"graph file {files[-1]}: extends {base!r}, which extends it again")
        files.append(file)
    return files


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return settings with others laid over them, section by section; null takes a node out."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            under, own = cast("dict[str, Any]", below), cast("dict[str, Any]", value)
            if depth == 1 and own.get("type", under.get("type")) != under.get("type"):
                # The settings are those of another type.
                under = {name: part for name, part in under.items() if name != "config"}
            out[key] = _merged(under, own, depth + 1)
        else:
            out[key] = value
    if depth == 0 and isinstance(nodes := out.get("nodes"), dict):
        named = cast("dict[str, Any]", nodes)
        out["nodes"] = {name: node for name, node in named.items() if node is not None}
    return out
