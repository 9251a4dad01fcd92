"""The Python interface: `enhance`, `plan`, `run_graph`, `enhance_stream`, `verify`, `Enhancer`.

Their keyword settings are `pipeline.config.Flags`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack, cast

from pipeline.config import Flags, merge_settings
from pipeline.errors import ConfigError, RunCancelledError
from pipeline.frames.crops import FaceRestorer
from pipeline.frames.enhancer import Enhancer
from pipeline.graph.spec import GraphSpec, NodeEntry
from pipeline.job.calling import CallingMonitor, Cancelled
from pipeline.job.job import run_job
from pipeline.job.monitors import Monitor, SilentMonitor
from pipeline.job.plan import JobPlan, plan_inputs
from pipeline.job.report import RunReport
from pipeline.run.contract import Progress, SegmentResult
from pipeline.storage.locations import absolute
from pipeline.stream.job import PIPE, is_stream, run_stream
from pipeline.verification.findings import Verification
from pipeline.verification.verify import verify

__all__ = [
    "Enhancer",
    "FaceRestorer",
    "GraphSpec",
    "Monitor",
    "NodeEntry",
    "Progress",
    "RunCancelledError",
    "RunReport",
    "Verification",
    "enhance",
    "enhance_stream",
    "plan",
    "run_graph",
    "verify",
]

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
    on_progress: Callable[[str, Progress], None] | None = None,
    cancel: threading.Event | None = None,
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
        monitor: receives the progress; None shows nothing.
        on_progress: called several times a second with an input and its progress, in the calling
            thread.
        cancel: once it is set, from any thread, the run ends.
        command: the command line to put into the report.
        flags: `graph`, `scale`, `look`, `strength`, `faces`, `from_s`, `to_s`, `evidence`,
            `change_map`, `label`, `runner`, `address`,
            `sign_cert`, `sign_key`: see `pipeline.config.Flags`.

    Returns:
        The report. With several videos, those that failed are in `report.failed`.

    Raises:
        nodes.errors.MediaError: the only input cannot be read as video.
        pipeline.errors.OutputError: an output exists, or cannot be written.
        pipeline.errors.StorageError: an object store or the scratch folder cannot be used.
        pipeline.errors.ConfigError, GraphError: a setting or the graph cannot work.
        pipeline.errors.RunCancelledError: `cancel` was set; finished segments are kept, and the
            same call goes on from there.
    """
    given, target = _files(inputs, output)
    told = CallingMonitor(monitor or SilentMonitor(), on_progress, cancel)
    try:
        return run_job(
            given,
            target,
            config=merge_settings(config, settings, **flags),
            overwrite=overwrite,
            resume=resume,
            monitor=told,
            command=command,
        )
    except Cancelled:
        raise RunCancelledError(f"cancelled: {told.kept or 'nothing was finished yet'}") from None


def run_graph(
    graph: Location | Mapping[str, Any] | GraphSpec,
    inputs: Location | Sequence[Location],
    output: Location,
    **more: Any,
) -> RunReport:
    """Take videos through any graph: `enhance` with another one.

    Args:
        graph: the name of one that ships, a graph file, what such a file holds as a mapping, or a
            `GraphSpec`; in the latter two a node's `type` may be its class.
        inputs: see `enhance`, as for all that follow.
        output: where to.
        more: the keywords of `enhance`.

    Returns:
        What was done.

    Raises:
        AminetError: see `enhance`.
    """
    return enhance(inputs, output, graph=graph, **more)


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
    """Plan what `enhance` would do with the same arguments, without changing anything.

    Args:
        inputs: see `enhance` for all arguments.
        output: path or URL.
        config: a run's YAML file.
        settings: single settings.
        overwrite: replace outputs that exist.
        resume: use what an earlier call finished.
        flags: see `pipeline.config.Flags`.

    Returns:
        The videos with their segments, what is done already, and problems (`JobPlan.problem`).

    Raises:
        pipeline.errors.ConfigError, GraphError: a setting or the graph is invalid.
    """
    return plan_inputs(
        *_files(inputs, output),
        merge_settings(config, settings, **flags),
        overwrite=overwrite,
        resume=resume,
    )


def enhance_stream(
    source: Location,
    output: Location,
    *,
    config: Location | None = None,
    settings: Iterable[str] = (),
    overwrite: bool = False,
    **flags: Unpack[Flags],
) -> SegmentResult:
    """Restore the faces in a pipe or a live source, frame by frame.

    Args:
        source: `-` for standard input, a URL or a path.
        output: `-` for standard output, or a file.
        config: a run's YAML file.
        settings: single settings.
        overwrite: replace an output that exists.
        flags: see `pipeline.config.Flags`; a stream cannot be signed, and runs in this process.

    Returns:
        The number of frames and faces, and the nodes' reports.

    Raises:
        nodes.errors.MediaError: the source cannot be read as video, or the output pipe is closed.
        pipeline.errors.ConfigError: a setting is invalid, or not for streams.
        pipeline.errors.OutputError: the output exists, or cannot be written.
    """
    run_config = merge_settings(config, settings, **flags)
    return run_stream(_named(source), _named(output), run_config, overwrite=overwrite)


def _files(inputs: Location | Sequence[Location], output: Location) -> tuple[list[str], str]:
    """Return the inputs and the output as absolute paths and URLs.

    Raises:
        ConfigError: there is no input, or one of them is a pipe or a live source.
        StorageError: one of them is no path.
    """
    given, target = [_named(path) for path in _listed(inputs)], _named(output)
    if not given:
        raise ConfigError("no input was given, expected at least one file, folder or URL")
    for source in given:
        if is_stream(source, target):
            stream = target if target == PIPE else source
            raise ConfigError(
                f"{stream!r} is a stream, which can be read or written only once: use"
                " pipeline.enhance_stream"
            )
    return given, target


def _listed(inputs: object) -> list[Any]:
    """Return one or several inputs as a list."""
    # Bytes and open files can be iterated over, too, but are no lists of paths.
    one = isinstance(inputs, (str, bytes, os.PathLike)) or hasattr(inputs, "read")
    return [inputs] if one or not isinstance(inputs, Iterable) else [*cast("Any", inputs)]


def _named(path: Location) -> str:
    return PIPE if path == PIPE else absolute(path)
