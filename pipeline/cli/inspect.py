"""The commands that look and change nothing: `aminet probe`, `aminet nodes`, `aminet graph`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from pipeline.cli import options as option
from pipeline.cli.console import out, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("probe")(probe)
    app.command("nodes")(list_nodes)
    graphs = typer.Typer(no_args_is_help=True, help="Look at dataflow graphs.")
    graphs.command("describe")(describe_graph)
    graphs.command("list")(list_graphs)
    app.add_typer(graphs, name="graph")


def probe(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A video file or URL.")],
) -> None:
    """Say what a video holds: streams, timing, colours, frames counted by reading it through."""
    from pipeline.containers.probe import probe as run

    out.print_json(data=asdict(run(source)), default=str)


def list_nodes() -> None:
    """List the node types that graphs can use, third-party ones included."""
    from nodes.errors import NodeConfigError
    from nodes.registry import find_node, registered_nodes

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


def describe_graph(
    graph: Annotated[str, typer.Argument(help="A graph's name, or a graph file.")] = "enhance",
    settings: option.Settings = None,
) -> None:
    """Check a graph and print its dataflow."""
    from pipeline.config import load_config, load_graph

    described = load_graph(load_config(None, settings or (), {"graph": graph})).describe()
    for line in described.splitlines():
        say(line)


def list_graphs() -> None:
    """List the graphs that ship with the program."""
    from pipeline.config import available_graphs
    from pipeline.graph.spec import read_graph_spec

    for path in available_graphs():
        spec = read_graph_spec(path)
        say(f"{spec.name}: {spec.description}")
