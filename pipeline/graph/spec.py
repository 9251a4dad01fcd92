"""The spec of a graph, as written in a graph file.

A graph file lists nodes with their inputs and settings; `$name` is a parameter of the graph:

    name: enhance
    params: {scale: 1}
    nodes:
      decode: {type: aminet.decode}
      track: {type: aminet.track, inputs: {frames: decode.frames}}
      crop: {type: aminet.crop, inputs: {...}, config: {scale: $scale}}

The same in Python is a `GraphSpec` made of `NodeEntry`s, given to `pipeline.graph.build`.

`pipeline.graph.reading` reads such files, and those that extend others.

A node with `when: $name` is there only if that parameter is true.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

from pydantic import Field, PlainValidator, WithJsonSchema

from aminet.settings import Settings
from nodes.node import Node

__all__ = ["GraphSpec", "NodeEntry", "graph_schema"]


def _node_type(given: object) -> str | type[Node[Any]]:
    if isinstance(given, str):
        return given
    if isinstance(given, type) and issubclass(given, Node):
        return cast("type[Node[Any]]", given)
    raise ValueError("expected the name of a node type, or a subclass of nodes.node.Node")


class NodeEntry(Settings):
    """One node of a graph file."""

    type: Annotated[str | type[Any], PlainValidator(_node_type), WithJsonSchema({"type": "string"})]
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


class GraphSpec(Settings):
    """A graph that is not checked against the nodes' specs yet."""

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
    # A file that extends another may leave most out.
    schema["$defs"]["NodeEntry"].pop("required", None)
    schema["properties"]["extends"] = {"type": "string"}
    schema["required"] = ["name"]
    entry = {"$ref": "#/$defs/NodeEntry"}
    schema["properties"]["nodes"]["additionalProperties"] = {"anyOf": [entry, {"type": "null"}]}
    return schema
