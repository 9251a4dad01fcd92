"""`aminet plan`: says what `aminet enhance` would do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pipeline.overview import JobOverview, VideoOverview

__all__ = ["register"]

out = Console()


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("plan")(plan)


def plan(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Video files, folders, or URLs.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="A file for one input file, else a folder.")
    ],
    scale: Annotated[int | None, typer.Option(min=1, max=4)] = None,
    strength: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="NODE.KEY=VALUE")
    ] = None,
    runner: Annotated[str | None, typer.Option(help="auto, local or ray.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
) -> None:
    """Say what `enhance` would do with the same options: segments, what is done, how long."""
    from pipeline.config import flagged
    from pipeline.overview import overview

    run_config = flagged(
        config, settings or (), scale=scale, strength=strength, runner=runner, address=address
    )
    for line in _lines(overview(inputs, output, run_config)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(job: JobOverview) -> Iterator[str]:
    for video in job.videos:
        yield f"{video.source} -> {video.target}: {_state(video)}"
        if video.plan and video.plan.why_whole and video.to_do:
            yield f"  one segment: {video.plan.why_whole}"
        if video.redo_reason:
            yield f"  segments of an earlier run cannot be used: {video.redo_reason}"
    left = sum(video.to_do for video in job.videos)
    if not left:
        yield "nothing is left to do"
        return
    yield f"{left} segments to do, {job.runner} runner ({job.why})"
    estimate_s = job.estimate_s
    if estimate_s is None:
        yield "how long that takes is not known before segments of it are finished"
    else:
        yield f"about {_clock(estimate_s)} of one worker's time, by the segments that are finished"


def _state(video: VideoOverview) -> str:
    if video.error or video.plan is None:
        return f"CANNOT BE DONE: {video.error}"
    if video.finished:
        return "done by an earlier run"
    frames = "" if video.frames is None else f"{video.frames} frames in "
    total = len(video.plan.intervals)
    done = f", {len(video.done)} of them done" if video.done else ""
    return f"{frames}{total} segment{'s' if total > 1 else ''}{done}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
