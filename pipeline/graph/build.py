"""Building a graph from its spec, with all edges and settings checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from pydantic import ValidationError

from aminet.errors import AminetError, did_you_mean, first_line
from aminet.setting_errors import explain, wrong_values
from nodes.errors import NodeConfigError
from nodes.node import Node, NodeConfig, Port, SinkNode, SourceNode
from nodes.registry import find_node
from pipeline.errors import GraphError
from pipeline.graph.graph import Edge, Graph, GraphNode
from pipeline.graph.spec import GraphSpec, NodeEntry

__all__ = ["build_graph", "is_node_name"]


def build_graph(
    spec: GraphSpec,
    *,
    params: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Graph:
    """Check a spec and build the graph.

    Args:
        spec: the spec.
        params: values that replace the spec's parameters.
        overrides: settings that replace the spec's, by node name.

    Raises:
        GraphError: the spec is not a valid dataflow, or a setting of a node is invalid.
    """
    values = dict(spec.params)
    for name, value in (params or {}).items():
        if name not in spec.params:
            has = f"the graph {spec.name!r} has no such parameter{_listed(spec.params)}"
            raise GraphError(
                f"graph {spec.name!r} has no parameter {name!r}{_suggest(name, spec.params)}",
                wrong={f"params.{name}": has},
            )
        values[name] = value
    overrides = overrides or {}
    for name in overrides:
        _require(name, spec.nodes, f"graph {spec.name!r} has no node {name!r}")
    for name in spec.nodes:
        _check_name(name)
    order = _order(spec)
    entries = _present(spec, values)
    made: dict[str, GraphNode] = {}
    for name in order:
        if name not in entries:
            continue
        entry = entries[name]
        config = {**_substitute(name, entry.config, values), **overrides.get(name, {})}
        given = dict.fromkeys(overrides.get(name, {}), "") | _bound_to(entry, params or {})
        made[name] = _make_node(name, entry, config, made, given)
    graph = Graph(spec.name, tuple(made.values()), values)
    _check_ends(graph)
    return graph


def _suggest(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean ...` or the list of what there is, to end a message with."""
    known = list(known)
    return did_you_mean(name, known) or _listed(known)


def _listed(known: Iterable[str]) -> str:
    return f"; there are: {', '.join(known) or 'none'}"


def _require(
    name: str, known: Iterable[str], message: str, at: tuple[str, ...] | None = None
) -> None:
    known = list(known)
    if name not in known:
        raise GraphError(message + _suggest(name, known), at=at)


def is_node_name(name: str) -> bool:
    """Return whether a node may be called so.

    Settings and edges part it from a key or a port by a dot; a sink's folder is called by it.
    """
    return re.fullmatch(r"[^./\\]+", name) is not None


def _check_name(node: str) -> None:
    if not is_node_name(node):
        raise GraphError(
            f"a node is called {node!r}: expected a name without dots and slashes",
            at=("nodes", node),
        )


def _order(spec: GraphSpec) -> list[str]:
    feeds: dict[str, set[str]] = {}
    for name, entry in spec.nodes.items():
        feeds[name] = set()
        for port, source in entry.inputs.items():
            upstream = _parse_edge(name, port, source).node
            _require(
                upstream,
                spec.nodes,
                f"{name}.{port} is fed by {source!r}, but no such node",
                at=("nodes", name, "inputs", port),
            )
            feeds[name].add(upstream)
    try:
        return list(TopologicalSorter(feeds).static_order())
    except CycleError as error:
        circle: list[str] = error.args[1]
        raise GraphError(
            f"graph {spec.name!r} goes in a circle: {' -> '.join(circle)}", at=("nodes", circle[0])
        ) from error


def _present(spec: GraphSpec, params: Mapping[str, Any]) -> dict[str, NodeEntry]:
    """Return the nodes whose `when` is true, without edges from those whose is not."""
    present = {
        name: entry for name, entry in spec.nodes.items() if _is_present(name, entry, params)
    }
    missing = spec.nodes.keys() - present.keys()
    return {
        name: entry.model_copy(
            update={
                "inputs": {
                    port: source
                    for port, source in entry.inputs.items()
                    if _parse_edge(name, port, source).node not in missing
                }
            }
        )
        for name, entry in present.items()
    }


def _is_present(name: str, entry: NodeEntry, params: Mapping[str, Any]) -> bool:
    at = ("nodes", name, "when")
    found = _resolved(f"{name}.when", entry.when, params, at)
    if not isinstance(found, bool):
        taken = f" ({entry.when})" if isinstance(entry.when, str) else ""
        raise GraphError(
            f"{name}.when{taken} is {found!r}, expected true, false or a parameter that is",
            at=at,
        )
    return found


def _parse_edge(node: str, port: str, source: str) -> Edge:
    upstream, dot, output = source.partition(".")
    if not (upstream and dot and output) or "." in output:
        raise GraphError(
            f"{node}.{port} is fed by {source!r}, expected 'node.port'",
            at=("nodes", node, "inputs", port),
        )
    return Edge(upstream, output)


def _substitute(node: str, config: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _resolved(f"{node}.{key}", value, params, ("nodes", node, "config", key))
        for key, value in config.items()
    }


def _resolved(where: str, value: Any, params: Mapping[str, Any], at: tuple[str, ...]) -> Any:
    """Return a setting with its parameters put in, however deep they are; `$$` stands for `$`."""
    if isinstance(value, str) and value.startswith("$$"):
        return value[1:]
    if isinstance(value, str) and value.startswith("$"):
        _require(value[1:], params, f"{where} refers to the unknown parameter {value!r}", at)
        return params[value[1:]]
    if isinstance(value, dict):
        mapping = cast("dict[Any, Any]", value)
        return {
            key: _resolved(f"{where}.{key}", item, params, (*at, str(key)))
            for key, item in mapping.items()
        }
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_resolved(f"{where}.{n}", item, params, at) for n, item in enumerate(items)]
    return value


def _make_node(
    name: str,
    entry: NodeEntry,
    config: Mapping[str, Any],
    made: Mapping[str, GraphNode],
    given: Mapping[str, str],
) -> GraphNode:
    """Return a node, checked.

    Args:
        name: of the node.
        entry: what the graph says of it.
        config: its settings.
        made: the nodes before it.
        given: the settings that are not those of the graph's file, and the parameter that gives
            each, empty if none does.
    """
    at, label = ("nodes", name), f"node {name!r} ({entry.type_name})"
    try:
        node_class = find_node(entry.type) if isinstance(entry.type, str) else entry.type
    except NodeConfigError as error:
        raise GraphError(f"node {name!r}: {error}", at=(*at, "type")) from error
    try:
        checked = _checked(node_class, config)
    except NodeConfigError as error:
        raise GraphError(f"node {name!r}: {error}", at=at) from error
    except ValidationError as error:
        said = f"{label}: {explain(error, model=node_class.Config)}{_bound(entry, error)}"
        keys = tuple(str(step) for step in error.errors()[0]["loc"])
        raise GraphError(
            said,
            at=None if {*keys[:1]} & given.keys() else _written_at(name, entry, keys),
            wrong={
                _key_of(name, key, given): text
                for key, text in wrong_values(error, node_class.Config).items()
            },
        ) from error
    ports = {port.name: port for port in node_class.spec.inputs}
    edges = {port: _parse_edge(name, port, source) for port, source in entry.inputs.items()}
    for port in edges:
        _require(port, ports, f"{label} has no input {port!r}", (*at, "inputs", port))
    for port in ports.values():
        _check_edge(name, port, edges.get(port.name), made)
    if ports and not edges:
        raise GraphError(f"{label} has no input connected; it has: {', '.join(ports)}", at=at)
    return GraphNode(name, node_class, checked, edges)


def _checked(node_class: type[Node[NodeConfig]], config: Mapping[str, Any]) -> NodeConfig:
    """Return a node's configuration; its validators may be a third party's and raise anything."""
    try:
        return node_class.Config.model_validate(config)
    except (AminetError, ValidationError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise NodeConfigError(
            f"its configuration cannot be checked: {type(error).__name__}: {first_line(error)}"
        ) from error


def _written_at(name: str, entry: NodeEntry, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the graph's file has a setting of a node, which may be a parameter."""
    value = entry.config.get(keys[0]) if keys else None
    if isinstance(value, str) and value.startswith("$"):
        return "params", value[1:]
    return "nodes", name, "config", *keys


def _key_of(node: str, setting: str, given: Mapping[str, str]) -> str:
    """Return the key of a `RunConfig` that a node's setting is given by."""
    param = given.get(setting.partition(".")[0])
    return f"params.{param}" if param else f"nodes.{node}.{setting}"


def _bound_to(entry: NodeEntry, params: Collection[str]) -> dict[str, str]:
    """Return the parameter of each setting of a node that takes one, of those in `params`."""
    return {
        key: value[1:]
        for key, value in entry.config.items()
        if isinstance(value, str) and value.startswith("$") and value[1:] in params
    }


def _bound(entry: NodeEntry, error: ValidationError) -> str:
    """Return which parameters of the graph the wrong settings come from, if they are called so."""
    wrong = {str(found["loc"][0]) for found in error.errors() if found["loc"]}
    params = [
        f"{key} is the parameter {value[1:]}"
        for key, value in entry.config.items()
        if key in wrong and isinstance(value, str) and value.startswith("$") and value[1:] != key
    ]
    return f" ({', '.join(params)})" if params else ""


def _check_edge(name: str, port: Port, edge: Edge | None, made: Mapping[str, GraphNode]) -> None:
    if edge is None:
        if port.optional:
            return
        raise GraphError(
            f"input {name}.{port.name} ({port.type.__name__}) is not connected", at=("nodes", name)
        )
    at = ("nodes", name, "inputs", port.name)
    outputs = {output.name: output for output in made[edge.node].spec.outputs}
    _require(
        edge.port,
        outputs,
        f"{name}.{port.name}: node {edge.node!r} has no output {edge.port!r}",
        at,
    )
    sent = outputs[edge.port].type
    if not issubclass(sent, port.type):
        raise GraphError(
            f"{edge.node}.{edge.port} sends {sent.__name__}, but {name}.{port.name} takes"
            f" {port.type.__name__}",
            at=at,
        )


def _check_ends(graph: Graph) -> None:
    sources = [n.name for n in graph.nodes if issubclass(n.node_class, SourceNode)]
    if len(sources) != 1:
        raise GraphError(
            f"graph {graph.name!r} has {len(sources)} source nodes"
            f" ({', '.join(sources) or 'none'}), expected exactly one: all packets of a graph"
            " belong to the frames of one video",
            at=("nodes", sources[1]) if sources else (),
        )
    if not any(issubclass(n.node_class, SinkNode) for n in graph.nodes):
        raise GraphError(f"graph {graph.name!r} has no sink node: nothing would come out", at=())
