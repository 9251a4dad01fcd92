"""Reading graph files.

A file with `extends: enhance` (or with the name of a file, counted from its own folder) says only
what differs: its parameters and nodes are laid over those of the other graph, key by key, and
`null` takes a node out. A node that gets another type keeps its inputs, but no settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from aminet.errors import did_you_mean
from aminet.setting_errors import explain
from aminet.settings import lines_of, read_settings
from pipeline.errors import ConfigError, GraphError
from pipeline.graph.files import graph_file
from pipeline.graph.locations import counted_from, keys_of_files
from pipeline.graph.spec import GraphSpec

__all__ = ["graph_files", "read_graph_spec", "say_where"]


def read_graph_spec(path: Path) -> GraphSpec:
    """Read a graph file, and those that it extends.

    Raises:
        GraphError: a file cannot be read, is not YAML, has unknown or missing keys, or extends
            itself; the message begins with the file and the line.
    """
    own = {file: _own(file) for file in reversed(graph_files(path))}
    try:
        # Which settings name files depends on the types of the nodes, which another file may give.
        keys = keys_of_files(_checked(own.values()))
        spec = _checked(counted_from(file.parent, data, keys) for file, data in own.items())
        first, *others = own.values()
        added = {name for part in others for name in _section(part, "params")}
        _refuse_unused(spec, added - _section(first, "params").keys())
    except GraphError as error:
        say_where(error, path)
        raise
    return spec


def say_where(error: GraphError, path: Path) -> None:
    """Begin the message of an error with the file and the line of what is wrong, once.

    Args:
        error: changed.
        path: the graph's file; what is wrong may be in one that it extends.
    """
    keys, error.at = error.at, None
    if keys is None:
        return
    lines = [(file, lines_of(file)) for file in graph_files(path)]
    for depth in range(len(keys), 0, -1):
        for file, found in lines:
            if keys[:depth] in found:
                error.message = f"{file}, line {found[keys[:depth]]}: {error.message}"
                return
    error.message = f"{path}: {error.message}"


def graph_files(path: Path) -> list[Path]:
    """Return a graph file and those that it extends, each before the one that it extends.

    Raises:
        GraphError: a file cannot be read, or extends itself.
    """
    files = [path]
    while (base := read_settings(files[-1], "graph file", GraphError).get("extends")) is not None:
        file = _extended(files[-1], base)
        if any(file.absolute() == other.absolute() for other in files):
            raise GraphError(f"{_extends(files[-1])} {base!r}, which extends it again")
        files.append(file)
    return files


def _extended(file: Path, base: object) -> Path:
    """Return the file that a graph file extends."""
    if not isinstance(base, str):
        raise GraphError(f"{_extends(file)} {base!r}, expected a graph's name or file")
    try:
        found = graph_file(base, file.parent)
    except ConfigError as error:
        raise GraphError(f"{_extends(file)} {base!r}, but there is {error}") from error
    if not found.is_file():
        raise GraphError(f"{_extends(file)} {base!r}, but there is no file {found}")
    return found


def _extends(file: Path) -> str:
    return f"{file}, line {lines_of(file).get(('extends',), 1)}: extends"


def _own(file: Path) -> dict[str, Any]:
    """Return what a graph file itself says."""
    data = read_settings(file, "graph file", GraphError)
    data.pop("extends", None)
    return data


def _checked(parts: Iterable[Mapping[str, Any]]) -> GraphSpec:
    """Return a graph of which each part is laid over those before."""
    data: dict[str, Any] = {}
    for part in parts:
        if data:
            _refuse_slips(_section(part, "nodes"), _section(data, "nodes"))
        data = _merged(data, part)
    try:
        return GraphSpec.model_validate(data)
    except ValidationError as error:
        # A key that is missing is often there under another name, which has a line.
        wrong = sorted(error.errors(), key=lambda found: found["type"] == "missing")
        keys = tuple(str(step) for step in wrong[0]["loc"])
        raise GraphError(explain(error, model=GraphSpec), at=keys) from error


def _section(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _refuse_slips(nodes: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse to change, or to leave out, a node that the graph below does not have."""
    for name, node in nodes.items():
        new = isinstance(node, dict) and "type" in node
        if name not in known and not new:
            hint = did_you_mean(name, known) or f"; it has: {', '.join(known)}"
            raise GraphError(
                f"node {name!r} has no type, and the graph that this one extends has no such node"
                + hint,
                at=("nodes", name),
            )


def _refuse_unused(spec: GraphSpec, added: Collection[str]) -> None:
    """Refuse a parameter that was added and no node takes, if its name is like one that is taken.

    What is meant is a parameter of the graph that is extended.
    """
    taken = set(_taken([[entry.config, entry.when] for entry in spec.nodes.values()]))
    for name in added:
        hint = did_you_mean(name, taken)
        if name not in taken and hint:
            raise GraphError(f"no node takes the parameter {name!r}{hint}", at=("params", name))


def _taken(value: object) -> Iterator[str]:
    """Yield the parameters that settings take, however deep."""
    if isinstance(value, str) and value.startswith("$"):
        yield value[1:]
    elif isinstance(value, (dict, list)):
        below = cast("dict[Any, object]", value).values() if isinstance(value, dict) else value
        for item in cast("Iterable[object]", below):
            yield from _taken(item)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return settings with others laid over them, section by section; null takes a node out."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            under, own = cast("dict[str, Any]", below), cast("dict[str, Any]", value)
            if depth == 1 and own.get("type", under.get("type")) != under.get("type"):
                # The settings are those of another type.
                under = {name: part for name, part in under.items() if name != "config"}
            out[key] = _merged(under, own, depth + 1)
        else:
            out[key] = value
    if depth == 0 and isinstance(nodes := out.get("nodes"), dict):
        named = cast("dict[str, Any]", nodes)
        out["nodes"] = {name: node for name, node in named.items() if node is not None}
    return out
