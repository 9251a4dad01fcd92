"""`aminet plan`: says what `aminet enhance` would do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.errors import ConfigError
from pipeline.job.progress import clock

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from pipeline.job.segments import SegmentPlan
    from pipeline.overview import JobOverview, VideoOverview
    from pipeline.sizing.sizing import Sizing

__all__ = ["register", "tell"]

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
    from_s: Annotated[str | None, typer.Option("--from", metavar="TIME")] = None,
    to_s: Annotated[str | None, typer.Option("--to", metavar="TIME")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="NODE.KEY=VALUE")
    ] = None,
    runner: Annotated[str | None, typer.Option(help="auto, local or ray.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
) -> None:
    """Say what `enhance` would do with the same options, as its --dry-run does."""
    from pipeline.config import flagged

    run_config = flagged(
        config,
        settings or (),
        scale=scale,
        strength=strength,
        from_s=from_s,
        to_s=to_s,
        runner=runner,
        address=address,
    )
    tell(inputs, output, run_config)


def tell(inputs: list[str], output: str, config: RunConfig) -> None:
    """Print what a job would do: segments, what is done, where it would run, how long.

    Raises:
        ConfigError: it is about a stream, which cannot be looked at first.
        AminetError: see `pipeline.overview.overview`.
    """
    from pipeline.overview import overview
    from pipeline.stream.job import is_stream

    if len(inputs) == 1 and is_stream(inputs[0], output):
        raise ConfigError(f"{inputs[0]}: a stream cannot be looked at first, so there is no plan")
    for line in _lines(overview(inputs, output, config)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(job: JobOverview) -> Iterator[str]:
    for video in job.videos:
        yield f"{video.source} -> {video.target}: {_state(video)}"
        if video.plan and video.to_do:
            yield from _segments(video.plan, video.done)
        if video.redo_reason:
            yield f"  segments of an earlier run cannot be used: {video.redo_reason}"
    left = sum(video.to_do for video in job.videos)
    if not left:
        yield "nothing is left to do"
        return
    yield f"{left} segments to do, {job.runner} runner ({job.why})"
    if job.sizing:
        yield from _places(job.sizing)
    estimate_s = job.estimate_s
    if estimate_s is None:
        yield "how long that takes is not known before segments of it are finished"
    else:
        workers = job.sizing.workers if job.sizing else 1
        among = f", {clock(estimate_s / workers)} on {workers} workers" if workers > 1 else ""
        yield f"about {clock(estimate_s)} of one worker's time{among}, by the finished segments"


def _segments(plan: SegmentPlan, done: tuple[int, ...]) -> Iterator[str]:
    if plan.why_whole:
        yield f"  one segment: {plan.why_whole}"
        return
    frames = [interval.frames for interval in plan.intervals if interval.frames is not None]
    if frames:
        yield f"  segments of {min(frames)} to {max(frames)} frames, cut at keyframes"
    if done:
        yield f"  done: {', '.join(str(number + 1) for number in sorted(done))}"


def _places(sizing: Sizing) -> Iterator[str]:
    if not sizing.places:
        yield "  the cluster has no machine with a free core yet"
    for place in sizing.places:
        name = place.machine if " " in place.machine else f"machine {place.machine[:8]}"
        gpus = f" and {place.enhancer_gpus:g} GPU" if place.enhancer_gpus else ""
        yield (
            f"  {name}: segment workers {place.workers} x {place.worker_threads} thread(s),"
            f" enhancers {place.enhancers} x {place.enhancer_threads} thread(s){gpus}"
        )


def _state(video: VideoOverview) -> str:
    if video.error or video.plan is None:
        return f"CANNOT BE DONE: {video.error}"
    if video.finished:
        return "done by an earlier run"
    frames = "" if video.frames is None else f"{video.frames} frames in "
    total = len(video.plan.intervals)
    done = f", {len(video.done)} of them done" if video.done else ""
    return f"{frames}{total} segment{'s' if total > 1 else ''}{done}"
