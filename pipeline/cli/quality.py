"""`aminet eval-video`: how steady, faithful and good the faces of a restored video are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("eval-video")(eval_video)


def eval_video(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The video before.")],
    restored: Annotated[Path, typer.Argument(metavar="RESTORED", help="What came of it.")],
    reference: Annotated[
        Path | None, typer.Option("--reference", "-r", help="The same pictures, undamaged.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="JSON that says where the faces are; else they are followed."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file to write.")
    ] = None,
) -> None:
    """Measure each face: flicker over the source's, agreement with it, PSNR over enlarging it."""
    from pipeline.quality.faces import followed_faces, read_truth
    from pipeline.quality.measure import measure_video
    from pipeline.storage.locations import location_of, write

    faces = read_truth(truth, source) if truth else list(followed_faces(source, threads=1))
    quality = measure_video(source, restored, faces, reference)
    for line in quality.text().splitlines():
        say(line)
    if output is not None:
        write(location_of(output), quality.to_json().encode())
