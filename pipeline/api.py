"""The main job as one Python call, as a plan, and on a stream.

The settings that all three take as keywords are `pipeline.config.Flags`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Unpack

from pipeline.config import Flags, GraphFlags, merge_settings
from pipeline.job.job import run_job
from pipeline.job.monitors import Monitor, SilentMonitor
from pipeline.job.plan import JobPlan, plan_inputs
from pipeline.job.report import RunReport
from pipeline.run.contract import SegmentResult
from pipeline.storage.locations import absolute
from pipeline.stream.job import run_stream

__all__ = ["Monitor", "RunReport", "enhance", "enhance_stream", "plan"]

Location = str | os.PathLike[str]
"""A path, or a URL as text."""


def enhance(
    inputs: Location | Sequence[Location],
    output: Location,
    *,
    config: Location | None = None,
    settings: Iterable[str] = (),
    overwrite: bool = False,
    resume: bool = True,
    monitor: Monitor | None = None,
    command: Sequence[str] = (),
    **flags: Unpack[Flags],
) -> RunReport:
    """Restore the faces in videos and leave everything else as it was.

    Args:
        inputs: a video file, a folder of videos, a URL, or several of them.
        output: path or URL of a file for one input file, else of a folder.
        config: a run's YAML file; see `pipeline.config`.
        settings: single settings such as `"encode.crf=20"`, as `--set` takes them.
        overwrite: replace outputs that exist.
        resume: use what an earlier call with the same arguments finished.
        monitor: told how it goes; silent if not given.
        command: words that the report gives as what was asked for.
        flags: `scale`, `strength`, `faces`, `from_s`, `to_s`, `runner`, `address`: see
            `pipeline.config.Flags`.

    Returns:
        What was done. With several videos, failed ones are in `report.failed`.

    Raises:
        nodes.errors.MediaError: the only input cannot be read as video.
        pipeline.errors.OutputError: an output exists, or cannot be written.
        pipeline.errors.StorageError: an object store or the scratch folder cannot be used.
        pipeline.errors.ConfigError, GraphError: a setting or the graph cannot work.
    """
    return run_job(
        _absolute(inputs),
        absolute(output),
        config=merge_settings(config, settings, **flags),
        overwrite=overwrite,
        resume=resume,
        monitor=monitor or SilentMonitor(),
        command=command,
    )


def plan(
    inputs: Location | Sequence[Location],
    output: Location,
    *,
    config: Location | None = None,
    settings: Iterable[str] = (),
    overwrite: bool = False,
    resume: bool = True,
    **flags: Unpack[Flags],
) -> JobPlan:
    """Return what `enhance` would do with the same arguments; change nothing.

    Args:
        inputs: see `enhance`, as for all that follow.
        output: where to.
        config: a run's YAML file.
        settings: single settings.
        overwrite: replace outputs that exist.
        resume: use what an earlier call finished.
        flags: the settings that have a name of their own.

    Returns:
        Each video with its segments, what is done already and what stands in the way: see
        `JobPlan.problem`.

    Raises:
        pipeline.errors.ConfigError, GraphError: a setting or the graph cannot work.
    """
    return plan_inputs(
        _absolute(inputs),
        absolute(output),
        merge_settings(config, settings, **flags),
        overwrite=overwrite,
        resume=resume,
    )


def enhance_stream(
    source: str,
    output: Location,
    *,
    config: Location | None = None,
    settings: Iterable[str] = (),
    overwrite: bool = False,
    **flags: Unpack[GraphFlags],
) -> SegmentResult:
    """Restore the faces in a pipe or a live source, written as it comes.

    Args:
        source: `-` for standard input, a URL or a path.
        output: `-` for standard output, or a file.
        config: see `enhance`, as for all that follow.
        settings: single settings.
        overwrite: replace an output that exists.
        flags: the settings that have a name of their own and are the graph's.

    Returns:
        Frames, faces, and the nodes' reports.

    Raises:
        nodes.errors.MediaError: the source cannot be read as video, or the output's reader is gone.
        pipeline.errors.OutputError: the output exists, or cannot be written.
    """
    run_config = merge_settings(config, settings, **flags)
    return run_stream(source, os.fspath(output), run_config, overwrite=overwrite)


def _absolute(inputs: Location | Sequence[Location]) -> list[str]:
    """Return what is read, as every machine and working folder understands it."""
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return [absolute(path) for path in given]
