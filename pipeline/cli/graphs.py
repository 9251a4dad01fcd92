"""`aminet nodes` and `aminet graph`: what graphs are made of, and graphs themselves."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.table import Table

from aminet.errors import did_you_mean
from pipeline.cli import options as option
from pipeline.cli.console import out, say
from pipeline.cli.parsers import choice
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.graph.graph import Graph

__all__ = ["register"]


class DrawForm(StrEnum):
    """How a graph can be drawn."""

    MERMAID = "mermaid"
    SVG = "svg"


GraphName = Annotated[str, typer.Argument(help="A graph's name, or a graph file.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("nodes")(nodes)
    graphs = typer.Typer(no_args_is_help=True, help="Look at dataflow graphs.")
    graphs.command("list")(list_graphs)
    graphs.command("describe")(describe)
    graphs.command("show")(show)
    graphs.command("validate")(validate)
    graphs.command("draw")(draw)
    graphs.command("schema")(schema)
    app.add_typer(graphs, name="graph")


def nodes(
    type_name: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="One node type: its ports and settings.")
    ] = None,
) -> None:
    """List the node types that graphs can use, third-party ones included, or explain one."""
    from nodes.errors import NodeConfigError
    from nodes.registry import find_node, registered_nodes

    if type_name is not None:
        _explain(type_name)
        return
    table = Table("type", "inputs", "outputs", "state", "what it does")
    broken: list[str] = []
    for name in registered_nodes():
        try:
            spec = find_node(name).spec
        except NodeConfigError as error:
            broken.append(f"{name}: {error}")
            continue
        ports = [
            "\n".join(f"{port.name}: {port.type.__name__}" for port in side) or "-"
            for side in (spec.inputs, spec.outputs)
        ]
        table.add_row(name, *ports, spec.state, spec.summary)
    out.print(table)
    for line in broken:
        say(line)


def _explain(type_name: str) -> None:
    from nodes.registry import find_node

    node_class = find_node(type_name)
    spec = node_class.spec
    say(f"{type_name}: {spec.summary} ({spec.state})")
    for port in spec.inputs:
        optional = ", may be left unconnected" if port.optional else ""
        say(f"  <- {port.name}: {port.type.__name__}{optional}")
    for port in spec.outputs:
        say(f"  -> {port.name}: {port.type.__name__}")
    if spec.outputs == () and (endings := getattr(node_class, "endings", ())):
        say(f"  writes: {', '.join(endings)}")
    properties: dict[str, Any] = node_class.Config.model_json_schema().get("properties", {})
    for name, field in node_class.Config.model_fields.items():
        default = "required" if field.is_required() else f"{field.get_default()!r}"
        limits = _limits(properties.get(name, {}))
        say(f"  {name} = {default}{f'  [{limits}]' if limits else ''}")
        say(f"      {' '.join((field.description or '').split())}")


def _limits(schema: dict[str, Any]) -> str:
    """Return what a setting may be, as its JSON Schema says it."""
    kinds = schema.get("anyOf", [schema])
    texts: list[str] = []
    for kind in kinds:
        words = [str(kind["type"])] if "type" in kind else []
        words += [f"one of {', '.join(map(str, kind['enum']))}"] if "enum" in kind else []
        words += [f"{word} {kind[key]}" for key, word in _BOUNDS.items() if key in kind]
        texts.append(" ".join(words))
    return " or ".join(text for text in texts if text)


_BOUNDS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "exclusiveMaximum": "below",
}


def _graph(name: str, settings: list[str] | None) -> Graph:
    from pipeline.config import load_config, load_graph

    return load_graph(load_config(None, settings or (), {"graph": name}))


def describe(graph: GraphName = "enhance", settings: option.Settings = None) -> None:
    """Check a graph and print its dataflow."""
    for line in _graph(graph, settings).describe().splitlines():
        say(line)


def show(graph: GraphName = "enhance", settings: option.Settings = None) -> None:
    """Print a graph as YAML with every default filled in; a graph file of its own."""
    text = yaml.safe_dump(_graph(graph, settings).resolved(), sort_keys=False, allow_unicode=True)
    for line in text.splitlines():
        say(line)


def validate(graph: GraphName, settings: option.Settings = None) -> None:
    """Check a graph; exit code 2 and the line where it cannot work."""
    checked = _graph(graph, settings)
    say(f"{graph}: a valid graph of {len(checked.nodes)} nodes")


def draw(
    graph: GraphName = "enhance",
    settings: option.Settings = None,
    form: Annotated[
        DrawForm,
        typer.Option(
            "--form",
            parser=choice(DrawForm),
            metavar="FORM",
            help="mermaid, for Markdown; svg, a picture.",
        ),
    ] = DrawForm.MERMAID,
) -> None:
    """Print a graph as a Mermaid flowchart or as an SVG picture."""
    from pipeline.graph.draw import mermaid, svg

    drawn = {DrawForm.MERMAID: mermaid, DrawForm.SVG: svg}[form](_graph(graph, settings))
    for line in drawn.splitlines():
        say(line)


def schema(
    kind: Annotated[str, typer.Argument(help="graph, run, or a node type.")] = "graph",
) -> None:
    """Print the JSON Schema of graph files, of runs' files, or of a node's settings."""
    from nodes.registry import find_node, registered_nodes
    from pipeline.config import RunConfig
    from pipeline.graph.spec import graph_schema

    known = ("graph", "run", *registered_nodes())
    if kind not in known:
        hint = did_you_mean(kind, known) or f"; there are: {', '.join(known)}"
        raise ConfigError(f"no schema of {kind!r}{hint}")
    if kind == "graph":
        found = graph_schema()
    elif kind == "run":
        found = RunConfig.model_json_schema()
    else:
        found = find_node(kind).Config.model_json_schema()
    out.print_json(json.dumps(found))


def list_graphs() -> None:
    """List the graphs that ship with the program."""
    from pipeline.config import available_graphs
    from pipeline.graph.reading import read_graph_spec

    for path in available_graphs():
        spec = read_graph_spec(path)
        say(f"{spec.name}: {spec.description}")
