"""Preparing a graph's nodes: the files they need are read once, where the run starts."""

from __future__ import annotations

from nodes.node import Node, NodeConfig
from pipeline.errors import NodeSetupError
from pipeline.graph.graph import Graph
from pipeline.graph.naming import naming
from pipeline.storage.locations import location_of, read

__all__ = ["prepared"]


def prepared(graph: Graph) -> dict[str, Node[NodeConfig]]:
    """Return a prepared instance of each node of a graph, by name. They can be pickled.

    Raises:
        StorageError: an object store does not answer.
        NodeSetupError: a node cannot be constructed or prepared.
        WeightsError: a node's weights do not exist.
    """
    nodes: dict[str, Node[NodeConfig]] = {}
    for entry in graph.nodes:
        with naming(entry, NodeSetupError):
            nodes[entry.name] = entry.make()
            nodes[entry.name].prepare(_content_at)
    return nodes


def _content_at(location: str) -> bytes | None:
    return read(location_of(location))
