"""Finding nodes by class; their names in a graph are free."""

from __future__ import annotations

from nodes.decode import DecodeConfig
from nodes.encode import Encode, EncodeConfig
from pipeline.errors import GraphError
from pipeline.graph.graph import Graph, GraphNode

__all__ = ["encode_node", "encode_nodes", "is_beside", "start_s", "video_number"]


def encode_nodes(graph: Graph) -> tuple[GraphNode, ...]:
    """Return the nodes that each make an output video, in the order of the graph.

    Those that write beside the output are last.
    """
    nodes = [node for node in graph.nodes if issubclass(node.node_class, Encode)]
    return tuple(sorted(nodes, key=is_beside))


def is_beside(node: GraphNode) -> bool:
    """Return whether an encoder's video lies beside the output (`EncodeConfig.beside`)."""
    return isinstance(node.config, EncodeConfig) and node.config.beside


def encode_node(graph: Graph) -> GraphNode:
    """Return the node that encodes the output of a stream, beside which there is nothing.

    Raises:
        GraphError: there is none, or more than one.
    """
    nodes = [node for node in encode_nodes(graph) if not is_beside(node)]
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


def start_s(graph: Graph) -> float | None:
    """Return from which second on a graph reads a video, None from its first picture on."""
    config = graph.source.config
    return config.from_s if isinstance(config, DecodeConfig) else None
