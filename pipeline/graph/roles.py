"""Finding nodes by class; their names in a graph are free."""

from __future__ import annotations

from nodes.encode import Encode
from pipeline.errors import GraphError
from pipeline.graph.graph import Graph, GraphNode

__all__ = ["encode_node"]


def encode_node(graph: Graph) -> GraphNode:
    """Return the node that encodes the output video.

    Raises:
        GraphError: there is none, or more than one.
    """
    nodes = [node for node in graph.nodes if issubclass(node.node_class, Encode)]
    if len(nodes) != 1:
        raise GraphError(
            f"graph {graph.name!r} has {len(nodes)} nodes of type {Encode.spec.type_name}, expected"
            " exactly one: it makes the output video"
        )
    return nodes[0]
