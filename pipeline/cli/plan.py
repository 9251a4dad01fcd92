"""`aminet plan`: shows what `aminet enhance` would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from nodes.reports import counted
from pipeline.cli import options as option
from pipeline.cli.console import say
from pipeline.errors import ConfigError
from pipeline.job.progress import format_s

if TYPE_CHECKING:
    from pipeline.config import RunConfig
    from pipeline.job.plan import JobPlan, PlannedVideo
    from pipeline.job.video_plan import VideoPlan
    from pipeline.segments.plan import SegmentPlan
    from pipeline.sizing.sizing import Sizing

__all__ = ["register", "tell"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("plan")(plan)


def plan(
    inputs: option.Inputs,
    output: option.Output,
    scale: option.Scale = None,
    look: option.Look = None,
    strength: option.Strength = None,
    faces: option.Faces = None,
    from_s: option.From = None,
    to_s: option.To = None,
    video: option.Video = None,
    evidence: option.Evidence = False,
    change_map: option.ChangeMap = False,
    label: option.Label = False,
    sign_cert: option.SignCert = None,
    sign_key: option.SignKey = None,
    sign_tsa: option.SignTsa = None,
    config: option.ConfigFile = None,
    settings: option.Settings = None,
    runner: option.Runner = None,
    address: option.Address = None,
    overwrite: option.Overwrite = False,
    resume: option.Resume = True,
) -> None:
    """Show what `enhance` would do with the same options, as its --dry-run does."""
    from pipeline.config import merge_settings

    run_config = merge_settings(
        config,
        settings or (),
        scale=scale,
        look=look,
        strength=strength,
        faces=faces,
        from_s=from_s,
        to_s=to_s,
        video=video,
        evidence=evidence or None,
        change_map=change_map or None,
        label=label or None,
        sign_cert=sign_cert,
        sign_key=sign_key,
        sign_tsa=sign_tsa,
        runner=runner,
        address=address,
    )
    tell(inputs, output, run_config, overwrite=overwrite, resume=resume)


def tell(
    inputs: list[str], output: str, config: RunConfig, *, overwrite: bool, resume: bool
) -> None:
    """Print a job's plan: segments, what is done already, where it runs, and an estimate.

    Raises:
        ConfigError: the input is a stream, which cannot be planned.
        AminetError: the error with which the job would end, if it is known in advance.
    """
    from pipeline.job.plan import plan_inputs
    from pipeline.storage.locations import absolute
    from pipeline.stream.job import check_streams, is_stream

    check_streams(inputs, output)
    if len(inputs) == 1 and is_stream(inputs[0], output):
        stream = inputs[0] if is_stream(inputs[0], "") else output
        raise ConfigError(f"{stream}: a stream cannot be looked at first, so there is no plan")
    given = [absolute(path) for path in inputs]
    job = plan_inputs(given, absolute(output), config, overwrite=overwrite, resume=resume)
    if len(job.videos) == 1 and job.videos[0].error is not None:
        # All that there is to say of it.
        raise job.videos[0].error
    for line in _lines(job):
        say(line)
    if job.problem is not None:
        raise job.problem


def _lines(job: JobPlan) -> Iterator[str]:
    for video in job.videos:
        made = ", ".join(str(output) for output in video.files.outputs) or video.files.target.parent
        yield f"{video.files.source} -> {made}: {_state(video, job)}"
        for note in (*video.plan.notes, *video.plan.losses) if video.plan else ():
            yield f"  {note}"
        if video.plan and video.segments_left:
            yield from _segments(video.plan.segments, tuple(video.done))
            yield from _copying(video.plan)
        if video.changed:
            yield f"  {video.changed}"
        if video.redo_reason:
            yield f"  segments of an earlier run cannot be used: {video.redo_reason}"
    if not job.segments_left:
        if all(video.error is None for video in job.videos):
            yield "nothing is left to do"
        return
    runner, why = job.runner
    yield f"{counted(job.segments_left, 'segment')} to do, {runner} runner ({why})"
    sizing = job.sizing()
    if sizing:
        yield from _placements(sizing)
    estimate_s = job.estimate_s
    if estimate_s is None:
        yield "how long that takes is not known before segments of it are finished"
    else:
        workers = sizing.workers if sizing else 1
        among = f", {format_s(estimate_s / workers)} on {workers} workers" if workers > 1 else ""
        yield (
            f"about {format_s(estimate_s)} of one worker's time{among}, by the finished segments"
        )


def _segments(plan: SegmentPlan, done: tuple[int, ...]) -> Iterator[str]:
    if plan.why_whole:
        yield f"  one segment: {plan.why_whole}"
        return
    frames = [interval.frames for interval in plan.intervals if interval.frames is not None]
    if frames:
        yield f"  segments of {min(frames)} to {counted(max(frames), 'frame')}, cut at keyframes"
    if done:
        yield f"  done: {', '.join(str(number + 1) for number in sorted(done))}"


def _copying(plan: VideoPlan) -> Iterator[str]:
    if not plan.video.outputs:
        return
    if plan.segments.cuts is None:
        yield f"  all frames are encoded: {plan.why_not_copied}"
    elif plan.segments.cuts:
        yield "  copied wherever no picture changes from keyframe to keyframe"
    else:
        yield f"  copied if no picture changes, else encoded as a whole: {plan.why_not_copied}"


def _placements(sizing: Sizing) -> Iterator[str]:
    if not sizing.placements:
        yield "  the cluster has no machine with a free core yet"
    for placement in sizing.placements:
        name = placement.machine if " " in placement.machine else f"machine {placement.machine[:8]}"
        gpus = f" and {placement.enhancer_gpus:g} GPU" if placement.enhancer_gpus else ""
        yield (
            f"  {name}: segment workers {placement.workers} x"
            f" {counted(placement.worker_threads, 'thread')}, enhancers {placement.enhancers} x"
            f" {counted(placement.enhancer_threads, 'thread')}{gpus}"
        )


def _state(video: PlannedVideo, job: JobPlan) -> str:
    if video.plan is None:
        return f"CANNOT BE DONE: {str(video.error).removeprefix(f'{video.files.source}: ')}"
    if video.finished is not None:
        signed = ", to be signed" if job.signs_finished(video) else ""
        return f"done by an earlier run{signed}"
    frames = "" if video.plan.frames is None else f"{counted(video.plan.frames, 'frame')} in "
    total = counted(len(video.plan.segments.intervals), "segment")
    done = f", {len(video.done)} of them done" if video.done else ""
    return f"{frames}{total}{done}"
