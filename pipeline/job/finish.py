"""The last step of a video: joining its segments, publishing the files, and its report."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from upath import UPath

from aminet.errors import AminetError
from nodes.encode import EncodeConfig
from nodes.join import SHEET, SHOTS, TRACKS
from nodes.media.picture_files import files_of
from nodes.reports import generative_faces, left_alone, restored_faces
from nodes.types import Restart
from pipeline.config import RunOptions
from pipeline.containers.arrangement import losses_averted
from pipeline.containers.mux import MuxReport, mux
from pipeline.containers.stream_plan import StreamPolicy
from pipeline.credentials.outputs import Signed, Unsigned, sign_outputs
from pipeline.credentials.sign import credentials_of
from pipeline.errors import OutputError, RunFailedError
from pipeline.evidence.label import LABEL, SOURCE_TYPE
from pipeline.evidence.record import Evidence, Work, evidence_of
from pipeline.evidence.versions import PACKAGE, pixel_versions
from pipeline.graph.graph import Graph, GraphNode
from pipeline.graph.roles import encode_nodes, video_number
from pipeline.interrupts import postponed
from pipeline.job.files import VideoFiles
from pipeline.job.merge import join_sinks, merge_results, side_endings, tracks_followed
from pipeline.job.plan import PlannedVideo
from pipeline.job.report import GENERATIVE_NOTE, VideoReport
from pipeline.job.video_plan import VideoPlan
from pipeline.pictures.label import PictureLabel
from pipeline.pictures.outputs import write_pictures
from pipeline.pieces.packets import Piece
from pipeline.run.contract import SegmentResult
from pipeline.segments.pieces import NotCopiedError, pieces_of
from pipeline.segments.sources import check_unchanged
from pipeline.segments.store import SegmentStore
from pipeline.storage.digests import file_sha256
from pipeline.storage.locations import is_folder, list_files, publish, remove, size_of
from pipeline.storage.private import folder_below
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged

__all__ = ["VideoSegments", "finish_video"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSegments:
    """The finished segments of a video, which are in its store."""

    results: tuple[SegmentResult, ...]
    """In order."""
    reused: int
    """Number of segments that an earlier run had finished."""
    attempts: int
    """Largest number of attempts for a segment."""
    notes: tuple[str, ...]
    """Messages for the user."""
    command: tuple[str, ...] = ()
    """The command line, for the report."""
    why_not_copied: str | None = None
    """Why what was left to be copied was encoded after all."""


def finish_video(
    planned: PlannedVideo,
    graph: Graph,
    options: RunOptions,
    segments: VideoSegments,
    may_publish: Callable[[], None],
) -> VideoReport:
    """Join the segments of a video and publish its files. The segments are kept.

    Args:
        planned: the video, which could be started.
        graph: what was run.
        options: where copies of what is in object stores go, and how much of them.
        segments: all of the video's.
        may_publish: called before anything gets its name; raises if nothing may.

    Raises:
        NotCopiedError: what was left to be copied has to be encoded.
        AminetError: the segments cannot be joined.
        OSError: a file cannot be written or renamed.
    """
    plan = planned.plan
    assert plan is not None  # noqa: S101 - for the type checker
    video, store = plan.video, SegmentStore(plan.video.work_dir)
    merged = merge_results(graph, segments.results)
    with _gathered(plan, store, options) as (source, folders, here):
        made: list[_Output] = []
        for encode, target in zip(encode_nodes(graph), video.outputs, strict=True):
            file = here / "finished" / encode.name / target.name
            file.parent.mkdir(parents=True, exist_ok=True)
            pieces = pieces_of(encode, segments.results, folders, plan.segments.cuts)
            with _or_encode(pieces):
                muxed = _join_video(plan, graph, merged, encode, pieces, source, file)
            made.append(_Output(encode.name, target, file, muxed))
        sides = join_sinks(graph, segments.results, folders, here / "beside")
        signed = _sign(video, options, merged, source, made, here / "signed")
        sides |= signed.manifests
        segments = replace(segments, notes=(*segments.notes, *signed.notes))
        kept = _kept_facts(graph, merged, source, made)
        report = _report(plan, graph, merged, segments, made, sides, kept)
        evidence = _evidence(plan, graph, merged, segments, source, sides)
        report = replace(report, evidence=evidence, signed=signed.names)
        check_unchanged(video.source, plan.stamp)
        with postponed():
            may_publish()
            _check_sides(planned, sides)
            store.record(report.to_json())
            _publish(planned, graph, made, sides)
    return report


@dataclass(frozen=True, slots=True)
class _Output:
    """What becomes of one encoder's segments."""

    node: str
    target: UPath
    file: Path
    """The finished video, or the pattern of its numbered pictures, before it gets its name."""
    muxed: MuxReport


def _sign(
    video: VideoFiles,
    options: RunOptions,
    merged: SegmentResult,
    source: str,
    made: Sequence[_Output],
    folder: Path,
) -> Signed:
    """Sign the outputs, if that is wanted, in place."""
    credentials = credentials_of(options.sign_cert, options.sign_key, options.sign_tsa)
    if credentials is None:
        return Signed()
    outputs = [Unsigned(out.file, video.infix(out.node, out.target)) for out in made]
    restored = _label(merged) is not None
    signed = sign_outputs(outputs, source, credentials, folder, restored=restored)
    files = {file.name: file for output in made for file in files_of(output.file)}
    for file in signed.files:
        file.replace(files[file.name])
    return signed


@contextmanager
def _gathered(
    plan: VideoPlan, store: SegmentStore, options: RunOptions
) -> Generator[tuple[str, list[Path], Path]]:
    """Yield the source, the segments' folders and a working folder, all on this machine.

    On a file system the folders are those of the store.
    """
    numbers, key = range(len(plan.segments.intervals)), plan.identity.key
    scratch = scratch_of(options.scratch_dir, options.scratch_bytes)
    with staged(plan.video.source, scratch) as source:
        if isinstance(store.folder, Path):
            here = store.folder
            yield source, [store.local(number, here, key=key) for number in numbers], here
            return
        # The joined video needs about as much space as its segments.
        need = 2 * sum(list_files(store.folder).values())
        with scratch.workspace(need, str(plan.video.target)) as workspace:
            yield source, [store.local(number, workspace, key=key) for number in numbers], workspace


@contextmanager
def _or_encode(pieces: Sequence[Piece]) -> Generator[None]:
    """Raise `NotCopiedError` for what fails with pieces of the source, which can be encoded."""
    try:
        yield
    except AminetError as error:
        if all(isinstance(piece, Path) for piece in pieces):
            raise
        raise NotCopiedError(f"copying its packets failed: {error}") from error


def _join_video(
    plan: VideoPlan,
    graph: Graph,
    merged: SegmentResult,
    encode: GraphNode,
    pieces: Sequence[Piece],
    source: str,
    made: Path,
) -> MuxReport:
    """Write an encoder's output with its label, and make sure that it holds every frame.

    Raises:
        AminetError: the output cannot be written, or lacks frames.
    """
    config, info = encode.config, merged.infos[encode.name]
    assert isinstance(config, EncodeConfig)  # noqa: S101 - for the type checker
    last_ticks = merged.reports[encode.name]["last_duration_ticks"]
    label = _label(merged)
    if plan.output_kind is None:
        read = merged.reports[graph.source.name]
        muxed = mux(
            pieces,
            source,
            made,
            info,
            last_duration_ticks=last_ticks,
            policy=StreamPolicy.of(config, plan.sounds),
            restarts=[Restart(**restart) for restart in read.get("restarts", ())],
            comment=label,
            cuts=plan.segments.cuts or (),
            video=video_number(graph),
            keep_start=config.keep_start,
        )
    else:
        muxed = write_pictures(
            plan.output_kind,
            [piece for piece in pieces if isinstance(piece, Path)],
            source,
            made,
            info,
            last_duration_ticks=last_ticks,
            quality=config.quality,
            label=None
            if label is None
            else PictureLabel(label, SOURCE_TYPE, PACKAGE, version(PACKAGE)),
        )
    if muxed.frames != merged.progress.frames:
        raise RunFailedError(
            f"{made.name}: holds {muxed.frames} of {merged.progress.frames} frames, thrown away"
        )
    return muxed


def _restored(merged: SegmentResult) -> int:
    return restored_faces(merged.reports.values(), merged.progress.faces)


def _label(merged: SegmentResult) -> str | None:
    """Return what a file says in whose pictures are faces that a network restored; else None."""
    if not merged.progress.faces or not _restored(merged):
        return None
    generative = generative_faces(merged.reports.values())
    return f"{LABEL}; {GENERATIVE_NOTE}" if generative else LABEL


def _check_sides(planned: PlannedVideo, sides: Iterable[str]) -> None:
    """Check that files with endings that sinks did not declare do not replace others."""
    for ending in sides:
        location = planned.files.side(ending)
        if location in planned.files.outputs:
            raise OutputError(f"{location}: a node gives a file the name of the output itself")
        if not planned.may_replace and (is_folder(location) or size_of(location) is not None):
            raise OutputError(f"{location} exists already: add --overwrite to replace it")


def _publish(
    planned: PlannedVideo, graph: Graph, made: Iterable[_Output], sides: Mapping[str, Path]
) -> None:
    """Publish all files, the outputs last."""
    video = planned.files
    video.drop_sides({*side_endings(graph), *planned.former_endings})
    for location in planned.former_outputs():
        remove(location)
    for ending, file in sides.items():
        location = video.side(ending)
        if isinstance(location, Path) and isinstance(video.target, Path):
            folder_below(location.parent, video.target.parent)
        publish(file, location)
    for output in made:
        for file in files_of(output.file):
            publish(file, output.target.with_name(file.name))


def _report(
    plan: VideoPlan,
    graph: Graph,
    merged: SegmentResult,
    segments: VideoSegments,
    made: Sequence[_Output],
    sides: Iterable[str],
    kept: Container[str],
) -> VideoReport:
    video, frames = plan.video, merged.progress.frames
    beside = {ending: str(video.side(ending)) for ending in sides}
    outputs = {output.node: str(output.target) for output in made}
    muxed = {output.node: asdict(output.muxed) for output in made}
    files = [file for output in made for file in files_of(output.file)]
    nodes = {name: report for name, report in merged.reports.items() if report}
    generative = generative_faces(merged.reports.values())
    if len(made) > 1:
        nodes |= {name: nodes[name] | {"mux": mux} for name, mux in muxed.items()}
    return VideoReport(
        source=video.source,
        output=next(iter(outputs.values()), None),
        status="done",
        frames=frames,
        faces=_restored(merged),
        generative_faces=generative,
        left_alone=left_alone(merged.reports.values()),
        tracks=tracks_followed(graph, segments.results),
        segments=len(segments.results),
        segments_reused=segments.reused,
        why_whole=plan.segments.why_whole,
        copied_frames=merged.reports[made[0].node]["copied_frames"] if made else 0,
        why_not_copied=segments.why_not_copied or plan.why_not_copied,
        wall_s=round(merged.wall_s, 3),
        frames_per_s=round(frames / max(merged.wall_s, 1e-9), 2),
        stage_busy_s={name: round(busy_s, 3) for name, busy_s in merged.busy_s.items()},
        flow=asdict(merged.flow),
        sheet=beside.get(SHEET),
        best_shots=str(video.side(SHOTS)) if SHEET in beside else None,
        tracks_file=beside.get(TRACKS),
        beside=beside,
        attempts=segments.attempts,
        notes=(
            *((GENERATIVE_NOTE,) if generative else ()),
            *segments.notes,
            *_mux_notes(made),
            *_warnings(merged.reports, kept),
        ),
        nodes=nodes,
        mux=next(iter(muxed.values()), {}),
        outputs=outputs,
        output_bytes=sum(file.stat().st_size for file in files),
        sha256={file.name: file_sha256(file) for file in files},
        identity=plan.identity,
    )


def _mux_notes(made: Iterable[_Output]) -> list[str]:
    """Return what is to be known of the outputs' other streams, each thing once."""
    return list(dict.fromkeys(note for output in made for note in output.muxed.notes))


def _evidence(
    plan: VideoPlan,
    graph: Graph,
    merged: SegmentResult,
    segments: VideoSegments,
    source: str,
    sides: Mapping[str, Path],
) -> Evidence:
    intervals = [(at.start_pts, at.end_pts, at.warmup_pts) for at in plan.segments.intervals]
    work = Work(
        command=segments.command,
        versions=pixel_versions(),
        weights=dict(plan.weights),
        graph=graph.resolved(),
        segments=tuple(intervals),
        threads=plan.threads,
    )
    return evidence_of(source, sides, work, float(merged.infos[graph.source.name].time_base))


def _kept_facts(
    graph: Graph, merged: SegmentResult, source: str, made: Sequence[_Output]
) -> frozenset[str]:
    """Return the decoder's warnings of losses that did not happen in any output."""
    lost = merged.reports[graph.source.name].get("left_out", ())
    frames = merged.progress.frames
    averted = [
        losses_averted(
            lost,
            out.muxed.kept,
            copied=merged.reports[out.node]["copied_frames"] == frames,
            target=str(out.file),
            source=source,
        )
        for out in made
    ]
    kept = {f"left out: {what}" for what in frozenset(lost).intersection(*averted)}
    if made and all(out.muxed.own_colors for out in made):
        kept.update(merged.reports[graph.source.name].get("format_warnings", ()))
    return frozenset(kept)


def _warnings(reports: Mapping[str, dict[str, Any]], kept: Container[str]) -> list[str]:
    """Return the nodes' warnings but for those of `kept`, each with the node's name."""
    return [
        f"{name}: {warning}"
        for name, report in reports.items()
        for warning in report.get("warnings", ())
        if warning not in kept
    ]
