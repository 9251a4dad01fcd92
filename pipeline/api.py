"""The main job as one Python call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from pipeline.config import flagged
from pipeline.job.job import run_job
from pipeline.job.monitors import Monitor, SilentMonitor
from pipeline.job.report import RunReport
from pipeline.run.contract import SegmentResult
from pipeline.stream.job import run_stream

__all__ = ["enhance", "enhance_stream"]


def enhance(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    scale: int | None = None,
    strength: float | None = None,
    faces: str | int | None = None,
    from_s: float | str | None = None,
    to_s: float | str | None = None,
    runner: str | None = None,
    address: str | None = None,
    config: str | os.PathLike[str] | None = None,
    settings: Iterable[str] = (),
    overwrite: bool = False,
    resume: bool = True,
    monitor: Monitor | None = None,
) -> RunReport:
    """Restore the faces in videos and leave everything else as it was.

    Args:
        inputs: a video file, a folder of videos, a URL, or several of them.
        output: path or URL of a file for one input file, else of a folder.
        scale: output pixels per source pixel, 1 to 4.
        strength: how much of the restoration is applied, 0 to 1.
        faces: `all`, the `largest`, or so many of the largest in each frame.
        from_s: begin at the first frame at or after that time, in seconds from the first picture,
            or as text such as `"01:30"`.
        to_s: end before the first frame at or after that time.
        runner: `auto`, `local` or `ray`.
        address: Ray cluster to join.
        config: a run's YAML file; see `pipeline.config`.
        settings: single settings such as `"encode.crf=20"`, as `--set` takes them.
        overwrite: replace outputs that exist.
        resume: use what an earlier call with the same arguments finished.
        monitor: told how it goes; silent if not given.

    Returns:
        What was done. With several videos, failed ones are in `report.failed`.

    Raises:
        nodes.errors.MediaError: the only input cannot be read as video.
        pipeline.errors.OutputError: an output exists, or cannot be written.
        pipeline.errors.StorageError: an object store or the scratch folder cannot be used.
        pipeline.errors.ConfigError, GraphError: a setting or the graph cannot work.
    """
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    run_config = flagged(
        config,
        settings,
        scale=scale,
        strength=strength,
        faces=faces,
        from_s=from_s,
        to_s=to_s,
        runner=runner,
        address=address,
    )
    return run_job(
        [os.fspath(item) for item in given],
        os.fspath(output),
        config=run_config,
        overwrite=overwrite,
        resume=resume,
        monitor=monitor or SilentMonitor(),
    )


def enhance_stream(
    source: str,
    output: str | os.PathLike[str],
    *,
    scale: int | None = None,
    strength: float | None = None,
    faces: str | int | None = None,
    from_s: float | str | None = None,
    to_s: float | str | None = None,
    config: str | os.PathLike[str] | None = None,
    settings: Iterable[str] = (),
    overwrite: bool = False,
) -> SegmentResult:
    """Restore the faces in a pipe or a live source, written as it comes.

    Args:
        source: `-` for standard input, a URL or a path.
        output: `-` for standard output, or a file.
        scale: see `enhance`, as for all that follow.
        strength: how much of the restoration is applied.
        faces: which faces.
        from_s: where to begin.
        to_s: where to end.
        config: a run's YAML file.
        settings: single settings.
        overwrite: replace an output that exists.

    Returns:
        Frames, faces, and the nodes' reports.

    Raises:
        nodes.errors.MediaError: the source cannot be read as video, or the output's reader is gone.
        pipeline.errors.OutputError: the output exists, or cannot be written.
    """
    run_config = flagged(
        config,
        settings,
        scale=scale,
        strength=strength,
        faces=faces,
        from_s=from_s,
        to_s=to_s,
    )
    return run_stream(source, os.fspath(output), run_config, overwrite=overwrite)
