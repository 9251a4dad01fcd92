"""The command line: `aminet enhance`, `plan`, `probe`, `nodes`, `graph`, the network's commands."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from aminet.errors import AminetError
from pipeline.cli import network as cli_network
from pipeline.cli import plan as cli_plan
from pipeline.cli import quality as cli_video
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

out = Console()
err = Console(stderr=True)

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file of a run; see the README.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NODE.KEY=VALUE", help="One setting: encode.crf=20."),
]


@app.command()
def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Video files, folders, URLs, or - for a pipe."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A file for one input file, - for a pipe, else a folder."
        ),
    ],
    scale: Annotated[
        int | None, typer.Option(min=1, max=4, help="Enlarge the picture: 1, 2, 3 or 4.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(min=0, max=1, help="How much of the restoration to apply.")
    ] = None,
    faces: Annotated[
        str | None, typer.Option(help="Which faces: largest, all, or so many of the largest.")
    ] = None,
    from_s: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Begin here: 90, 01:30, 1:02:03.5.")
    ] = None,
    to_s: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="End before here.")
    ] = None,
    config: Config = None,
    settings: Settings = None,
    runner: Annotated[str | None, typer.Option(help="auto, local or ray.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, such as auto or ray://head:10001.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs.")
    ] = False,
    resume: Annotated[
        bool, typer.Option(help="Use what an interrupted run of the same command finished.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, as `aminet plan` does.")
    ] = False,
) -> None:
    """Write the same videos with the faces restored, a report, and before/after sheets."""
    from pipeline.api import enhance as run
    from pipeline.api import enhance_stream
    from pipeline.config import flagged
    from pipeline.job.monitors import monitor_for
    from pipeline.stream.job import is_stream

    if dry_run:
        flags = {"scale": scale, "strength": strength, "from_s": from_s, "to_s": to_s}
        flags |= {"runner": runner, "address": address}
        cli_plan.tell(inputs, output, flagged(config, settings or (), **flags))
        return
    if len(inputs) == 1 and is_stream(inputs[0], output):
        result = enhance_stream(
            inputs[0],
            output,
            scale=scale,
            strength=strength,
            faces=faces,
            from_s=from_s,
            to_s=to_s,
            config=config,
            settings=settings or (),
            overwrite=overwrite,
        )
        frames, patches = result.progress.frames, result.progress.items
        err.print(f"{inputs[0]} -> {output}: {frames} frames, {patches} patches restored")
        err.print(NOTE, soft_wrap=True)
        return
    report = run(
        inputs,
        output,
        scale=scale,
        strength=strength,
        faces=faces,
        from_s=from_s,
        to_s=to_s,
        runner=runner,
        address=address,
        config=config,
        settings=settings or (),
        overwrite=overwrite,
        resume=resume,
        monitor=monitor_for(out),
    )
    for video in report.videos:
        if video.sheet:
            say(f"before/after: {video.sheet}")
        if video.tracks_file:
            say(f"tracks: {video.tracks_file}")
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
    from nodes.node import find_node, registered_nodes

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
    settings: Settings = None,
) -> None:
    """Check a graph and print its dataflow."""
    from pipeline.config import load_config, load_graph

    say(load_graph(load_config(None, settings or (), {"graph": graph})).describe())


@graph_app.command("list")
def list_graphs() -> None:
    """List the graphs that ship with the program."""
    from pipeline.config import available_graphs
    from pipeline.graph.graph import read_graph_spec

    for path in available_graphs():
        spec = read_graph_spec(path)
        say(f"{spec.name}: {spec.description}")


def say(text: str) -> None:
    """Write one line as it is: no markup, no wrapping, no colours."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


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
        err.print(f"aminet: {error}", markup=False, highlight=False, soft_wrap=True)
        return exit_code(error)
    except BaseException:
        # What a library makes of an interrupt, such as an ImportError, is one still.
        if not came():
            raise
        return EXIT_INTERRUPTED
    return 0
