"""Nodes made ready to travel: what they load is read once, where the run starts."""

from __future__ import annotations

from nodes.node import Node, NodeConfig
from pipeline.graph.graph import Graph
from pipeline.graph.naming import naming
from pipeline.storage.locations import location_of, read

__all__ = ["prepared"]


def prepared(graph: Graph) -> dict[str, Node[NodeConfig]]:
    """Return an instance of each node of a graph, with what it loads; they pickle.

    Raises:
        StorageError: an object store does not answer.
        WeightsError: a node's weights are not there.
    """
    nodes: dict[str, Node[NodeConfig]] = {}
    for entry in graph.nodes:
        with naming(entry):
            nodes[entry.name] = entry.make()
            nodes[entry.name].prepare(_content_at)
    return nodes


def _content_at(location: str) -> bytes | None:
    return read(location_of(location))
