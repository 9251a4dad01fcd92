"""A graph as it is written down.

A graph file names nodes, says which output feeds each input, and configures them; `$name` stands
for a parameter of the graph:

    name: enhance
    params: {scale: 1}
    nodes:
      decode: {type: aminet.decode}
      track: {type: aminet.track, inputs: {frames: decode.frames}}
      crop: {type: aminet.crop, inputs: {...}, config: {scale: $scale}}

The same in Python is a `GraphSpec` made of `NodeEntry`s, given to `pipeline.graph.build`.
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
    """For each input port, the output that feeds it, as `node.port`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The node's own configuration; `$name` takes a parameter of the graph."""


class GraphSpec(BaseModel):
    """A graph as it is written down, not yet checked against the nodes' specs."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    description: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters and their defaults."""
    nodes: dict[str, NodeEntry]

    def bound_keys(self) -> dict[tuple[str, str], str]:
        """Return which setting of which node takes its value from which parameter."""
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
