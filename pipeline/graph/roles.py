"""Finding nodes by class; their names in a graph are free."""

from __future__ import annotations

from nodes.decode import DecodeConfig
from nodes.encode import Encode
from pipeline.errors import GraphError
from pipeline.graph.graph import Graph, GraphNode

__all__ = ["encode_node", "encode_nodes", "video_number"]


def encode_nodes(graph: Graph) -> tuple[GraphNode, ...]:
    """Return the nodes that each make an output video, in the order of the graph."""
    return tuple(node for node in graph.nodes if issubclass(node.node_class, Encode))


def encode_node(graph: Graph) -> GraphNode:
    """Return the node that encodes the output of a stream.

    Raises:
        GraphError: there is none, or more than one.
    """
    nodes = encode_nodes(graph)
    if len(nodes) != 1:
        raise GraphError(
            f"graph {graph.name!r} has {len(nodes)} nodes of type {Encode.spec.type_name}, expected"
            " exactly one: a stream has one output"
        )
    return nodes[0]


def video_number(graph: Graph) -> int | None:
    """Return the index of the video stream that a graph reads, None for the best one."""
    config = graph.source.config
    return config.video if isinstance(config, DecodeConfig) else None
