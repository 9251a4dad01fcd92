"""A graph of nodes: from YAML or Python to a validated dataflow that can describe itself.

A graph file names nodes, says which output feeds each input, and configures them; `$name` stands
for a parameter of the graph:

    name: enhance
    params: {scale: 1}
    nodes:
      decode: {type: aminet.decode}
      track: {type: aminet.track, inputs: {frames: decode.frames}}
      crop: {type: aminet.crop, inputs: {...}, config: {scale: $scale}}

The same in Python is a `GraphSpec` made of `NodeEntry`s, given to `Graph.build`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aminet.settings import check_settings, explain, read_settings
from nodes.errors import NodeConfigError
from nodes.node import (
    Node,
    NodeConfig,
    NodeSpec,
    PoolNode,
    Port,
    SinkNode,
    SourceNode,
    State,
    find_node,
)
from pipeline.errors import GraphError

__all__ = ["Edge", "Graph", "GraphNode", "GraphSpec", "NodeEntry", "read_graph_spec"]


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


@dataclass(frozen=True, slots=True)
class Edge:
    """The output that feeds an input port."""

    node: str
    port: str


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node of a valid graph: its class, its checked configuration, where its inputs come from.

    Pickles, and makes as many instances as there are processes.
    """

    name: str
    node_class: type[Node[NodeConfig]]
    config: NodeConfig
    inputs: Mapping[str, Edge]

    @property
    def spec(self) -> NodeSpec:
        """The node class's static spec."""
        return self.node_class.spec

    def make(self) -> Node[NodeConfig]:
        """Return a fresh instance."""
        return self.node_class(self.config)


@dataclass(frozen=True, slots=True)
class Graph:
    """A valid dataflow: acyclic, every input fed by an output of its type, one source, a sink."""

    name: str
    nodes: tuple[GraphNode, ...]
    """In an order in which every node comes after those that feed it."""
    params: Mapping[str, Any]

    @classmethod
    def build(
        cls,
        spec: GraphSpec,
        *,
        params: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Graph:
        """Check a spec and make the graph.

        Args:
            spec: the graph as written.
            params: values that replace the spec's parameters.
            overrides: for each node name, configuration that replaces the spec's.

        Raises:
            GraphError: the spec is not a valid dataflow, or a value does not fit its node.
        """
        values = dict(spec.params)
        for name, value in (params or {}).items():
            _require(name, spec.params, f"graph {spec.name!r} has no parameter {name!r}")
            values[name] = value
        overrides = overrides or {}
        for name in overrides:
            _require(name, spec.nodes, f"graph {spec.name!r} has no node {name!r}")
        made: dict[str, GraphNode] = {}
        for name in _order(spec):
            entry = spec.nodes[name]
            config = {**_substitute(name, entry.config, values), **overrides.get(name, {})}
            made[name] = _make_node(name, entry, config, made)
        graph = cls(spec.name, tuple(made.values()), values)
        _check_ends(graph)
        return graph

    def describe(self) -> str:
        """Return the dataflow as text: one node a paragraph, in order, with where it runs."""
        lines = [f"graph {self.name}"]
        for node in self.nodes:
            spec = node.spec
            place = "pool" if issubclass(node.node_class, PoolNode) else "segment worker"
            lines.append(f"\n{node.name}  ({spec.type_name}, {place}, {spec.state})")
            lines.append(f"  {spec.summary}")
            for port in spec.inputs:
                edge = node.inputs[port.name]
                lines.append(
                    f"  <- {port.name}: {port.type.__name__}  from {edge.node}.{edge.port}"
                )
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
        """Return the graph with every default filled in, for the report: JSON types only."""
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

    def warmed_nodes(self) -> frozenset[str]:
        """Return the nodes that see the frames before a segment: bounded ones and their feeders."""
        warmed: set[str] = set()
        for node in reversed(self.nodes):
            keeps = not issubclass(node.node_class, (SinkNode, PoolNode))
            bounded = keeps and node.spec.state is State.BOUNDED
            if bounded or any(node.name in self._feeds(other) for other in warmed):
                warmed.add(node.name)
        return frozenset(warmed)

    def ends_of(self, names: Collection[str]) -> frozenset[str]:
        """Return those of `names` that feed none of the others, or the source if there are none."""
        feeders = {name for other in names for name in self._feeds(other)}
        return frozenset(names) - feeders or frozenset({self.source.name})

    @property
    def source(self) -> GraphNode:
        """The node that everything comes from."""
        return next(n for n in self.nodes if issubclass(n.node_class, SourceNode))

    @property
    def warmup_s(self) -> float:
        """Seconds before a segment that its nodes want to see: the longest path's sum."""
        wanted: dict[str, float] = {}
        for node in self.nodes:
            before_s = max((wanted[edge.node] for edge in node.inputs.values()), default=0.0)
            own_s = node.spec.warmup_s if node.spec.state is State.BOUNDED else 0.0
            wanted[node.name] = before_s + own_s
        return max(wanted.values())

    def _feeds(self, node: str) -> set[str]:
        """Return the nodes that feed `node`."""
        (entry,) = (n for n in self.nodes if n.name == node)
        return {edge.node for edge in entry.inputs.values()}

    def _readers(self, node: str, port: str) -> list[str]:
        edge = Edge(node, port)
        return [f"{n.name}.{p}" for n in self.nodes for p, e in n.inputs.items() if e == edge]


def read_graph_spec(path: Path) -> GraphSpec:
    """Read a graph file.

    Raises:
        GraphError: the file cannot be read, is not YAML, or has unknown or missing keys.
    """
    data = read_settings(path, "graph file", GraphError)
    return check_settings(GraphSpec, data, f"graph file {path}", GraphError)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean ...` or the list of what there is, to end a message with."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return (
        f": did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known) or 'none'}"
    )


def _require(name: str, known: Iterable[str], message: str) -> None:
    known = list(known)
    if name not in known:
        raise GraphError(message + suggest(name, known))


def _order(spec: GraphSpec) -> list[str]:
    feeds: dict[str, set[str]] = {}
    for name, entry in spec.nodes.items():
        feeds[name] = set()
        for port, source in entry.inputs.items():
            upstream = _parse_edge(name, port, source).node
            _require(upstream, spec.nodes, f"{name}.{port} is fed by {source!r}, but no such node")
            feeds[name].add(upstream)
    try:
        return list(TopologicalSorter(feeds).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise GraphError(f"graph {spec.name!r} goes in a circle: {circle}") from error


def _parse_edge(node: str, port: str, source: str) -> Edge:
    upstream, dot, output = source.partition(".")
    if not (upstream and dot and output) or "." in output:
        raise GraphError(f"{node}.{port} is fed by {source!r}, expected 'node.port'")
    return Edge(upstream, output)


def _substitute(node: str, config: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, str) and value.startswith("$"):
            _require(value[1:], params, f"{node}.{key} refers to the unknown parameter {value!r}")
            out[key] = params[value[1:]]
        else:
            out[key] = value
    return out


def _make_node(
    name: str, entry: NodeEntry, config: Mapping[str, Any], made: Mapping[str, GraphNode]
) -> GraphNode:
    try:
        node_class = find_node(entry.type)
        checked = node_class.Config.model_validate(config)
    except NodeConfigError as error:
        raise GraphError(f"node {name!r}: {error}") from error
    except ValidationError as error:
        raise GraphError(f"node {name!r} ({entry.type}): {explain(error)}") from error
    ports = {port.name: port for port in node_class.spec.inputs}
    edges = {port: _parse_edge(name, port, source) for port, source in entry.inputs.items()}
    for port in edges:
        _require(port, ports, f"node {name!r} ({entry.type}) has no input {port!r}")
    for port in ports.values():
        _check_edge(name, port, edges.get(port.name), made)
    return GraphNode(name, node_class, checked, edges)


def _check_edge(name: str, port: Port, edge: Edge | None, made: Mapping[str, GraphNode]) -> None:
    if edge is None:
        raise GraphError(f"input {name}.{port.name} ({port.type.__name__}) is not connected")
    outputs = {output.name: output for output in made[edge.node].spec.outputs}
    _require(
        edge.port, outputs, f"{name}.{port.name}: node {edge.node!r} has no output {edge.port!r}"
    )
    sent = outputs[edge.port].type
    if not issubclass(sent, port.type):
        raise GraphError(
            f"{edge.node}.{edge.port} sends {sent.__name__}, but {name}.{port.name} takes"
            f" {port.type.__name__}"
        )


def _check_ends(graph: Graph) -> None:
    sources = [n.name for n in graph.nodes if issubclass(n.node_class, SourceNode)]
    if len(sources) != 1:
        raise GraphError(
            f"graph {graph.name!r} has {len(sources)} source nodes"
            f" ({', '.join(sources) or 'none'}), expected exactly one"
        )
    if not any(issubclass(n.node_class, SinkNode) for n in graph.nodes):
        raise GraphError(f"graph {graph.name!r} has no sink node: nothing would come out")
