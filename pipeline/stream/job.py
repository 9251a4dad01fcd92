"""Jobs on pipes and live sources: the graph runs once in this process, frame by frame."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nodes.decode import DecodeConfig
from nodes.encode.encoders import EncodeConfig
from nodes.errors import MediaError
from nodes.node import Segment
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.containers.formats import container_format
from pipeline.errors import ConfigError, OutputError
from pipeline.graph.ends import decode_node, with_ends
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.graph.roles import encode_node
from pipeline.interrupts import first_signal_calls, interruptible, postponed
from pipeline.run.contract import Progress, SegmentResult
from pipeline.run.local import LocalRunner
from pipeline.run.task import SegmentTask, Task
from pipeline.sizing.cores import usable_cores
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged
from pipeline.stream.nodes import StreamDecode, StreamEncode

__all__ = ["PIPE", "check_streams", "is_stream", "run_stream"]

log = logging.getLogger(__name__)

PIPE: Final = "-"
"""Standard input as a source, standard output as a target."""

_LIVE_WINDOW_FRAMES: Final = 8

_FOR_FILES: Final = "leave it out, or record the stream and run the file"

_LIVE: Final = ("rtsp://", "rtsps://", "rtmp://", "rtp://", "udp://", "tcp://", "srt://")


def is_stream(source: str, target: str) -> bool:
    """Return whether a source can be read only once, or a target written only once."""
    return PIPE in {source, target} or source.startswith(_LIVE)


def check_streams(sources: Sequence[str], target: str) -> None:
    """Make sure that streams, which are read and written alone, are alone.

    Raises:
        ConfigError: there are several inputs, and one of them or the output is a stream.
    """
    if len(sources) < 2:
        return
    if target == PIPE:
        raise ConfigError(
            f"-o - writes one video to standard output, but there are {len(sources)} inputs; give"
            " one of them, or a folder as the output"
        )
    streams = [source for source in sources if is_stream(source, target)]
    if streams:
        raise ConfigError(
            f"{streams[0]} is a stream, which is read alone, but there are {len(sources)} inputs;"
            " start a run for each stream, and one for the files"
        )


def run_stream(source: str, output: str, config: RunConfig, *, overwrite: bool) -> SegmentResult:
    """Run the configured graph on a stream, until it ends or is interrupted.

    A file gets its final name when it is complete. If the target is standard output, other output
    of the process is redirected to standard error.

    Args:
        source: `-`, a URL or a path.
        output: `-` or a file's path.
        config: graph, node settings and run options.
        overwrite: replace a file that exists.

    Raises:
        MediaError: the source cannot be read as video.
        ConfigError: settings are not for streams.
        NodeConfigError: settings are invalid, or the container cannot hold the codec.
        GraphError: the graph does not have one decoder and one encoder.
        OutputError: the file exists, has an unknown suffix, or is in an object store.
    """
    piped = output == PIPE
    _check_options(config.run)
    if "://" in output:
        raise OutputError(f"{output}: a stream is written to a pipe or a file; copy it from there")
    target = Path(output)
    container = None if piped else container_format(target)
    if not piped and container is None:
        raise OutputError(f"{target}: no container is known by that suffix; try .mkv")
    if not piped and target.exists() and not overwrite:
        raise OutputError(f"{target} exists already: add --overwrite to replace it")
    part = target.with_name(f".{target.name}.aminet-part")
    with postponed(), _work_dir(None if piped else part) as work_dir:
        with _own_stdout() if piped else _no_stdout() as descriptor:
            where = str(part) if descriptor is None else f"pipe:{descriptor}"
            if not piped:
                _claim(part)
            graph = load_graph(config)
            options = _live_options(config.run) if source.startswith(_LIVE) else None
            graph, decode = _joined(graph, where, container, options)
            with first_signal_calls(decode.stop), interruptible():
                read = _standard_input() if source == PIPE else source
                scratch = scratch_of(config.run.scratch_dir, config.run.scratch_bytes)
                with staged(read, scratch) as local:
                    result = _run(graph, local, work_dir, options or config.run)
        dropped = sorted({path.relative_to(work_dir).parts[0] for path in _files(work_dir)})
        if not piped:
            part.replace(target)
    for name in dropped:
        log.warning("%s: its files are dropped, since nothing is kept beside a stream", name)
    for name, report in result.reports.items():
        for warning in report.get("warnings", ()):
            log.warning("%s: %s", name, warning)
    return result


def _check_options(options: RunOptions) -> None:
    for name in ("sign_cert", "sign_key", "sign_tsa", "address"):
        if getattr(options, name) is not None:
            raise ConfigError(f"run.{name} is not for streams: {_FOR_FILES}")
    if options.runner == "ray":
        raise ConfigError(f"run.runner=ray is not for streams: {_FOR_FILES}")


def _standard_input() -> str:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by who started us
        raise MediaError("standard input is closed; expected a video from there")
    return f"pipe:{sys.stdin.fileno()}"


def _claim(part: Path) -> None:
    """Create the file ourselves, because libav would follow a link."""
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        raise OutputError(f"{part}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _work_dir(part: Path | None) -> Generator[Path]:
    """Yield a folder; remove it and an unfinished target afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="aminet-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if part is not None:
            part.unlink(missing_ok=True)


def _live_options(options: RunOptions) -> RunOptions:
    """Return options with fewer frames in flight, for a lower latency."""
    return options.model_copy(
        update={"window_frames": min(options.window_frames, _LIVE_WINDOW_FRAMES)}
    )


def _run(graph: Graph, source: str, work_dir: Path, options: RunOptions) -> SegmentResult:
    threads = options.threads or usable_cores()
    with LocalRunner(graph, prepared(graph), options, threads=threads) as runner:
        (outcome,) = runner.run([SegmentTask(Segment(source, work_dir, threads))], _ignore)
    if outcome.result is None:
        raise outcome.error or RuntimeError("the stream gave no result")
    return outcome.result


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _ignore(task: Task, progress: Progress) -> None:
    """Ignore progress: a stream has no length."""


def _joined(
    graph: Graph, target: str, container: str | None, live: RunOptions | None
) -> tuple[Graph, StreamDecode]:
    """Return the graph with stream nodes as decoder and encoder, and without other sinks.

    Args:
        graph: the configured graph.
        target: a path, or `pipe:` and a file descriptor.
        container: libav's name of the muxer, None for that of the source.
        live: options for a live source, None for others.
    """
    source, encode = decode_node(graph).config, encode_node(graph).config
    assert isinstance(source, DecodeConfig)  # noqa: S101 - for the type checker
    assert isinstance(encode, EncodeConfig)  # noqa: S101 - for the type checker
    decode = StreamDecode(
        source, live=live is not None, max_latency_s=live.max_latency_s if live else None
    )
    joined, beside = with_ends(graph, decode, StreamEncode(encode, decode, target, container))
    if beside:
        log.warning("%s: left out, since nothing is written beside a stream", ", ".join(beside))
    return joined, decode


@contextmanager
def _own_stdout() -> Generator[int | None]:
    """Yield a descriptor of standard output, and redirect other output to standard error."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        yield ours
    finally:
        sys.stdout.flush()
        os.dup2(ours, 1)
        os.close(ours)


@contextmanager
def _no_stdout() -> Generator[int | None]:
    yield None
