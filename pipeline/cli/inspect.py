"""`aminet probe`: looks at a file and changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.cli.console import out
from pipeline.url_secrets import redacted_values

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("probe")(probe)


def probe(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A video file or URL.")],
) -> None:
    """Show a video's streams, timing and colours, and its frames counted by reading the file."""
    from pipeline.containers.probe import probe as run

    out.print_json(data=redacted_values(asdict(run(source))))
