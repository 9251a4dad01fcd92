"""A checked dataflow graph. `pipeline.graph.build` makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nodes.node import (
    Node,
    NodeConfig,
    NodeSpec,
    PoolNode,
    SinkNode,
    SourceNode,
    State,
)
from nodes.types import VideoInfo

__all__ = ["Edge", "Graph", "GraphNode"]


@dataclass(frozen=True, slots=True)
class Edge:
    """The output that is connected to an input port."""

    node: str
    port: str


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node of a graph: its class, its checked configuration and its inputs. Can be pickled."""

    name: str
    node_class: type[Node[NodeConfig]]
    config: NodeConfig
    inputs: Mapping[str, Edge]

    @property
    def spec(self) -> NodeSpec:
        """The node class's static spec."""
        return self.node_class.spec

    @property
    def label(self) -> str:
        """What messages call the node, such as `node 'fx' (acme.blur)`."""
        return f"node {self.name!r} ({self.spec.type_name})"

    def make(self) -> Node[NodeConfig]:
        """Return a new instance."""
        return self.node_class(self.config)


@dataclass(frozen=True, slots=True)
class Graph:
    """A valid dataflow: acyclic, with one source and all inputs connected to matching outputs."""

    name: str
    nodes: tuple[GraphNode, ...]
    """In topological order."""
    params: Mapping[str, Any]

    def describe(self) -> str:
        """Return a description as text, with a paragraph for each node in order."""
        lines = [f"graph {self.name}"]
        for node in self.nodes:
            spec = node.spec
            place = "pool" if issubclass(node.node_class, PoolNode) else "segment worker"
            lines.append(f"\n{node.name}  ({spec.type_name}, {place}, {spec.state})")
            lines.append(f"  {spec.summary}")
            for port in spec.inputs:
                edge = node.inputs.get(port.name)
                source = f"from {edge.node}.{edge.port}" if edge else "not connected"
                lines.append(f"  <- {port.name}: {port.type.__name__}  {source}")
            lines.extend(
                f"  -> {port.name}: {port.type.__name__}  to {', '.join(readers) or 'nobody'}"
                for port in spec.outputs
                for readers in [self._readers(node.name, port.name)]
            )
            changed = node.config.model_dump(mode="json", exclude_defaults=True)
            if changed:
                lines.append("  config: " + ", ".join(f"{k}={v}" for k, v in changed.items()))
        return "\n".join(lines)

    def resolved(self) -> dict[str, Any]:
        """Return the graph with all defaults filled in, as JSON types, for the report."""
        return {
            "name": self.name,
            "params": dict(self.params),
            "nodes": {
                node.name: {
                    "type": node.spec.type_name,
                    "inputs": {port: f"{e.node}.{e.port}" for port, e in node.inputs.items()},
                    "config": node.config.model_dump(mode="json"),
                }
                for node in self.nodes
            },
        }

    def warmups_s(self, source: VideoInfo) -> dict[str, float]:
        """Return how many seconds of warm-up each node sees, by name, for nodes that see any.

        These are nodes with bounded state and all nodes before them. A node sees its own warm-up
        before that of the nodes after it.

        Args:
            source: the video as described by the source node.
        """
        wanted_s: dict[str, float] = {}
        for node in reversed(self.nodes):
            fed_s = [s for name, s in wanted_s.items() if node.name in self._feeds(name)]
            keeps = not issubclass(node.node_class, (SinkNode, PoolNode))
            bounded = keeps and node.spec.state is State.BOUNDED
            own_s = node.make().warmup_s(source) if bounded else 0.0
            if own_s or fed_s:
                wanted_s[node.name] = own_s + max(fed_s, default=0.0)
        return wanted_s

    def video_into(self, name: str, source: VideoInfo) -> VideoInfo:
        """Return the video that reaches a node with one input, as the nodes before it announce it.

        Args:
            name: of the node.
            source: the video as the source describes it.
        """
        made: dict[str, VideoInfo] = {}
        for node in self.nodes:
            inputs = {port: made[edge.node] for port, edge in node.inputs.items()}
            if node.name == name:
                return next(iter(inputs.values()))
            made[node.name] = node.make().announce(inputs) if inputs else source
        raise KeyError(name)

    def ends_of(self, names: Collection[str]) -> frozenset[str]:
        """Return those of `names` that are before none of the others, else the source."""
        feeders = {name for other in names for name in self._feeds(other)}
        return frozenset(names) - feeders or frozenset({self.source.name})

    @property
    def source(self) -> GraphNode:
        """The source node."""
        return next(n for n in self.nodes if issubclass(n.node_class, SourceNode))

    def warmup_s(self, source: VideoInfo) -> float:
        """Return the seconds of warm-up before a segment: the largest sum along a path.

        Args:
            source: the video as described by the source node.
        """
        return self.warmups_s(source).get(self.source.name, 0.0)

    def before(self, node: str) -> frozenset[str]:
        """Return all nodes before a node, directly or indirectly."""
        found: set[str] = set()
        for entry in reversed(self.nodes):
            if entry.name == node or entry.name in found:
                found.update(edge.node for edge in entry.inputs.values())
        return frozenset(found)

    def _feeds(self, node: str) -> set[str]:
        """Return the nodes directly before `node`."""
        (entry,) = (n for n in self.nodes if n.name == node)
        return {edge.node for edge in entry.inputs.values()}

    def _readers(self, node: str, port: str) -> list[str]:
        edge = Edge(node, port)
        return [f"{n.name}.{p}" for n in self.nodes for p, e in n.inputs.items() if e == edge]
