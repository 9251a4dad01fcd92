"""Graphs whose frames come from, or go to, something else than files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nodes.decode import Decode
from nodes.node import Node, NodeConfig, SinkNode
from pipeline.errors import GraphError
from pipeline.graph.graph import Graph, GraphNode
from pipeline.graph.roles import encode_node

__all__ = ["decode_node", "with_ends"]


@dataclass(frozen=True, slots=True)
class _OpenedNode(GraphNode):
    """A node with an existing instance."""

    instance: Node[NodeConfig]

    def make(self) -> Node[NodeConfig]:
        """Return the instance."""
        return self.instance


def decode_node(graph: Graph) -> GraphNode:
    """Return the node that reads the source.

    Raises:
        GraphError: the source is no decoder.
    """
    sources = [node for node in graph.nodes if issubclass(node.node_class, Decode)]
    if len(sources) != 1:
        raise GraphError(
            f"graph {graph.name!r} has {len(sources)} nodes of type {Decode.spec.type_name},"
            " expected exactly one: it reads the stream"
        )
    return sources[0]


def with_ends(
    graph: Graph, source: Node[NodeConfig], output: Node[NodeConfig]
) -> tuple[Graph, list[str]]:
    """Return a graph with other instances as its decoder and its encoder.

    Returns:
        The graph, and the sinks that are left out, since they would write files beside the output.

    Raises:
        GraphError: the graph does not have one decoder and one encoder.
    """
    encode = encode_node(graph)
    ends: Mapping[str, Node[NodeConfig]] = {decode_node(graph).name: source, encode.name: output}
    beside = [
        node.name
        for node in graph.nodes
        if issubclass(node.node_class, SinkNode)
        and node.node_class.can_join()
        and node is not encode
    ]
    left_out = _with_idle(graph, beside)
    nodes = tuple(
        _OpenedNode(n.name, n.node_class, n.config, n.inputs, ends[n.name]) if n.name in ends else n
        for n in graph.nodes
        if n.name not in left_out
    )
    return replace(graph, nodes=nodes), beside


def _with_idle(graph: Graph, sinks: Sequence[str]) -> set[str]:
    """Return sinks and the nodes that feed nothing but them."""
    fed = {name for sink in sinks for name in graph.before(sink)}
    used = {
        name
        for node in graph.nodes
        if issubclass(node.node_class, SinkNode) and node.name not in sinks
        for name in graph.before(node.name)
    }
    return {*sinks, *(fed - used)}
