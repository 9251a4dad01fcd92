"""The spec of a graph, as written in a graph file.

A graph file lists nodes with their inputs and settings; `$name` is a parameter of the graph:

    name: enhance
    params: {scale: 1}
    nodes:
      decode: {type: aminet.decode}
      track: {type: aminet.track, inputs: {frames: decode.frames}}
      crop: {type: aminet.crop, inputs: {...}, config: {scale: $scale}}

In Python it is a `GraphSpec` of `NodeEntry`s, which is passed to `pipeline.graph.build`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aminet.settings import check_settings, read_settings
from pipeline.errors import GraphError

__all__ = ["GraphSpec", "NodeEntry", "read_graph_spec"]


class NodeEntry(BaseModel):
    """One node of a graph file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """Registered name of the node type, such as `aminet.track`."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """The output for each input port, as `node.port`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The node's settings; `$name` is a parameter of the graph."""


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
            if isinstance(value, str) and value.startswith("$")
        }


def read_graph_spec(path: Path) -> GraphSpec:
    """Read a graph file.

    Raises:
        GraphError: the file cannot be read, is not YAML, or has unknown or missing keys.
    """
    data = read_settings(path, "graph file", GraphError)
    return check_settings(GraphSpec, data, f"graph file {path}", GraphError)
