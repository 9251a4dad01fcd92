"""The command line: `aminet enhance`, `plan`, `probe`, `nodes`, `graph`, the network's commands."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.table import Table

from aminet.errors import AminetError
from nodes.join import PARQUET, SHEET, TRACKS
from pipeline.cli import network as cli_network
from pipeline.cli import options as option
from pipeline.cli import plan as cli_plan
from pipeline.cli import quality as cli_video
from pipeline.cli.console import out, say, say_error
from pipeline.errors import RunFailedError, exit_code
from pipeline.interrupts import EXIT_INTERRUPTED, came, interruptible
from pipeline.job.report import NOTE
from pipeline.run.malloc import share_heaps

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Restore the faces in video and leave everything else as it was.",
)
graph_app = typer.Typer(no_args_is_help=True, help="Look at dataflow graphs.")
app.add_typer(graph_app, name="graph")
cli_plan.register(app)
cli_network.register(app)
cli_video.register(app)

_BESIDE: Final = {SHEET: "before/after", TRACKS: "tracks", PARQUET: "tracks"}
"""What files beside the output are called here, by their endings."""


@app.command()
def enhance(
    inputs: option.Inputs,
    output: option.Output,
    scale: option.Scale = None,
    strength: option.Strength = None,
    faces: option.Faces = None,
    from_s: option.From = None,
    to_s: option.To = None,
    config: option.ConfigFile = None,
    settings: option.Settings = None,
    runner: option.Runner = None,
    address: option.Address = None,
    overwrite: option.Overwrite = False,
    resume: option.Resume = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, as `aminet plan` does.")
    ] = False,
) -> None:
    """Write the same videos with the faces restored, a report, and before/after sheets."""
    from pipeline.api import enhance as run
    from pipeline.api import enhance_stream
    from pipeline.config import GraphFlags, flagged
    from pipeline.job.monitors import monitor_for
    from pipeline.stream.job import is_stream

    given = settings or ()
    flags = GraphFlags(scale=scale, strength=strength, faces=faces, from_s=from_s, to_s=to_s)
    if dry_run:
        run_config = flagged(config, given, **flags, runner=runner, address=address)
        cli_plan.tell(inputs, output, run_config, overwrite=overwrite, resume=resume)
        return
    if len(inputs) == 1 and is_stream(inputs[0], output):
        result = enhance_stream(
            inputs[0], output, **flags, config=config, settings=given, overwrite=overwrite
        )
        frames, patches = result.progress.frames, result.progress.items
        say_error(f"{inputs[0]} -> {output}: {frames} frames, {patches} patches restored")
        say_error(NOTE)
        return
    report = run(
        inputs,
        output,
        **flags,
        runner=runner,
        address=address,
        config=config,
        settings=given,
        overwrite=overwrite,
        resume=resume,
        monitor=monitor_for(out),
    )
    for video in report.videos:
        for ending, place in video.beside.items():
            if "/" not in ending:
                say(f"{_BESIDE.get(ending, 'beside it')}: {place}")
    say(f"report: {report.path}")
    say(report.note)
    if report.failed:
        raise RunFailedError(f"{len(report.failed)} of {len(report.videos)} videos failed")


@app.command()
def probe(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A video file or URL.")],
) -> None:
    """Say what a video holds: streams, timing, colours, frames counted by reading it through."""
    from pipeline.containers.probe import probe as run

    out.print_json(data=asdict(run(source)), default=str)


@app.command()
def nodes() -> None:
    """List the node types that graphs can use, third-party ones included."""
    from nodes.registry import find_node, registered_nodes

    table = Table("type", "inputs", "outputs", "state", "what it does")
    for name in registered_nodes():
        spec = find_node(name).spec
        ports = [
            "\n".join(f"{port.name}: {port.type.__name__}" for port in side) or "-"
            for side in (spec.inputs, spec.outputs)
        ]
        table.add_row(name, *ports, spec.state, spec.summary)
    out.print(table)


@graph_app.command("describe")
def describe_graph(
    graph: Annotated[str, typer.Argument(help="A graph's name, or a graph file.")] = "enhance",
    settings: option.Settings = None,
) -> None:
    """Check a graph and print its dataflow."""
    from pipeline.config import load_config, load_graph

    say(load_graph(load_config(None, settings or (), {"graph": graph})).describe())


@graph_app.command("list")
def list_graphs() -> None:
    """List the graphs that ship with the program."""
    from pipeline.config import available_graphs
    from pipeline.graph.spec import read_graph_spec

    for path in available_graphs():
        spec = read_graph_spec(path)
        say(f"{spec.name}: {spec.description}")


def main() -> int:
    """Run the command line; every expected error becomes one line and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    share_heaps()
    try:
        with interruptible():
            app()
    except SystemExit as done:
        # Click ends so when all is well, too.
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except AminetError as error:
        say_error(f"aminet: {error}")
        return exit_code(error)
    except BaseException:
        # What a library makes of an interrupt, such as an ImportError, is one still.
        if not came():
            raise
        return EXIT_INTERRUPTED
    return 0
