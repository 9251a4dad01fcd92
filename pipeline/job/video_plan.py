"""Planning a video: checking that it can be read and written, and planning its segments."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from upath import UPath

from nodes.encode.encoders import EncodeConfig, plan_encoder
from nodes.encode.report import encoding_losses
from nodes.errors import NodeConfigError
from nodes.media.urls import is_url
from nodes.node import Segment
from nodes.types import PictureForm, VideoInfo
from pipeline.config import RunOptions
from pipeline.containers.arrangement import Target, expected_losses
from pipeline.containers.formats import check_target, container_format, default_suffix
from pipeline.containers.probe import PacketScan, scan_packets
from pipeline.containers.sound_scan import SoundScan
from pipeline.containers.stream_plan import StreamPolicy
from pipeline.errors import OutputError
from pipeline.graph.graph import Graph, GraphNode
from pipeline.graph.roles import encode_nodes, start_s, video_number
from pipeline.job.files import VideoFiles
from pipeline.job.merge import why_uncut
from pipeline.pictures.outputs import OutputKind, check_pictures, output_kind_of, picture_losses
from pipeline.run.memory import check_fits
from pipeline.segments.copying import CopyTarget, plan_copying
from pipeline.segments.identity import Identity, fingerprint, identify
from pipeline.segments.plan import SegmentPlan, plan_segments
from pipeline.segments.sources import check_unchanged, source_stamp
from pipeline.storage.locations import name_of
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged

__all__ = ["VideoPlan", "plan_video"]


SEGMENT_THREADS: Final = 2
"""CPU threads per segment if there are several: parallel segments scale better than threads."""


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """The plan of a video that can be processed."""

    video: VideoFiles
    """The files, with the final suffixes of the outputs."""
    frames: int | None
    """Number of frames, counted or from the container; None if unknown. For progress only."""
    notes: tuple[str, ...]
    """What the output's container changes or leaves out."""
    segments: SegmentPlan
    threads: int
    """CPU threads of each segment's decoder and encoder."""
    identity: Identity
    """Identity of the segments' results."""
    stamp: str | None = None
    """Stamp of the source, from `pipeline.segments.sources.source_stamp`."""
    output_kind: OutputKind | None = None
    """What kind of pictures the output is, None for video."""
    sounds: Mapping[int, SoundScan] | None = None
    """Of each stream of sound of the source, None if it cannot be read through."""
    why_not_copied: str | None = None
    """Why nothing is copied, or only the whole video can be; None if stretches may be."""
    pictures: tuple[PictureForm, ...] = ()
    """The forms of the source's pictures, if they change within it."""
    losses: tuple[str, ...] = ()
    """What changes in every picture, and what is left out of pictures and streams, as far as it is
    known before. The report says what of it has happened."""
    weights: Mapping[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of the files that each node loads, by node."""


def plan_video(
    video: VideoFiles,
    graph: Graph,
    *,
    threads: int,
    options: RunOptions,
    contents: Mapping[str, str],
) -> VideoPlan:
    """Open a video, check that the target can hold everything, and plan its segments.

    Args:
        video: the input and output files.
        graph: the dataflow.
        threads: CPU threads that decoder and encoder may use.
        options: run options.
        contents: identity of the files that the nodes load, from `content_ids`.

    Raises:
        MediaError: the source cannot be read as video, or is too large for this machine.
        NodeConfigError: the encoder's settings are invalid, or the wanted part is beyond the end.
        UnsupportedFormatError: no encoder supports the pixel format.
        OutputError: the target's container cannot hold the video or its other streams.
        StorageError: the source's object store cannot be used.
    """
    before = source_stamp(video.source, content=True)
    with staged(video.source, scratch_of(options.scratch_dir, options.scratch_bytes)) as source:
        plan = _plan_video(video, source, graph, threads, options.segment_s, contents)
    weights = {name: content for name, content in contents.items() if content}
    check_unchanged(video.source, before)
    return replace(plan, stamp=before, weights=weights)


def _plan_video(
    video: VideoFiles,
    source: str,
    graph: Graph,
    threads: int,
    segment_s: float | None,
    contents: Mapping[str, str],
) -> VideoPlan:
    number = video_number(graph)
    scan = None if is_url(source) else scan_packets(source, number)
    if scan is not None:
        _check_part(graph, scan, video.source)
    pictures = () if scan is None else scan.pictures
    info, read = _describe(source, graph, threads, pictures)
    written = [graph.video_into(encode.name, info) for encode in encode_nodes(graph)]
    check_fits([info, *written], threads=threads, name=video.source)
    output_kind = output_kind_of(name_of(video.target), source)
    suffix = None
    if info.still and not video.named and output_kind is None:
        suffix, output_kind = (
            ".png",
            output_kind_of(name_of(video.target.with_suffix(".png")), source),
        )
    configs = [_encode_config(node) for node in encode_nodes(graph)]
    outputs: list[UPath] = []
    notes = _size_notes(pictures, info)
    sounds = None if scan is None else scan.sounds
    targets: list[CopyTarget] = []
    losses: list[str] = []
    for into, config, target in zip(written, configs, video.outputs, strict=True):
        if output_kind is not None:
            output = target.with_suffix(suffix) if suffix else target
            size_px = (into.width_px, into.height_px)
            said = check_pictures(output_kind, source, name_of(output), config, size_px)
            losses += picture_losses(output_kind, name_of(output), into)
        else:
            encoder = plan_encoder(config, into, threads)
            policy = StreamPolicy.of(config, sounds)
            output, said = _fitting(target, video.named, source, encoder.codec_name, policy, number)
            targets.append(CopyTarget(config, encoder, into, name_of(output)))
            losses += encoding_losses(encoder, into, captioned=info.captions)
        outputs.append(output)
        notes.extend(note for note in said if note not in notes)
    video = video.with_outputs(outputs)
    warmup_s = graph.warmup_s(info)
    copying = plan_copying(scan, info, targets, number)
    containers = [
        Target(container_format(target.path) or "", target.encoder.codec_name, target.video)
        for target in targets
    ]
    losses += expected_losses(
        read.get("left_out", ()), containers, source, number, may_copy=copying.cuts is not None
    )
    losses += read.get("changes", ())
    new_format = read.get("new_format")
    sizes = {(into.width_px, into.height_px) for into in (info, *written)}
    if new_format is not None and (output_kind is None or len(sizes) > 1):
        losses.append(new_format)
    plan = plan_segments(
        scan, segment_s=segment_s, warmup_s=warmup_s, uncut=why_uncut(graph), cuts=copying.cuts
    )
    # Independent of the number of cores, because the output of encoders depends on their threads.
    used = threads if plan.why_whole else min(threads, SEGMENT_THREADS)
    used = SEGMENT_THREADS if any(config.lossless for config in configs) else used
    identity = identify(
        fingerprint=fingerprint(source, scan),
        plan=plan,
        graph=graph,
        contents=contents,
        threads=used,
    )
    return VideoPlan(
        video,
        _frame_count(info, scan),
        tuple(notes),
        plan,
        used,
        identity,
        output_kind=output_kind,
        sounds=sounds,
        why_not_copied=copying.why_not,
        pictures=pictures,
        losses=tuple(dict.fromkeys(losses)),
    )


def _encode_config(node: GraphNode) -> EncodeConfig:
    assert isinstance(node.config, EncodeConfig)  # noqa: S101 - for the type checker
    return node.config


def _fitting(
    target: UPath, named: bool, source: str, codec: str, policy: StreamPolicy, number: int | None
) -> tuple[UPath, list[str]]:
    """Choose the container unless the user did; return the output, and notes about changes.

    Raises:
        OutputError: the user's container cannot hold the video or its other streams.
    """
    notes: list[str] = []
    if not named:
        suffix, reason = default_suffix(source, codec, policy, number)
        target = target.with_suffix(suffix)
        notes = [reason] if reason else []
    problems = check_target(source, name_of(target), codec, policy, number)
    fatal = [problem.message for problem in problems if problem.fatal]
    if fatal:
        raise OutputError(f"{target}: " + "; ".join(fatal))
    return target, notes + [problem.message for problem in problems]


def _size_notes(pictures: Sequence[PictureForm], info: VideoInfo) -> list[str]:
    if not pictures:
        return []
    return [
        f"its pictures change: {', then '.join(map(str, pictures))}; all of them become"
        f" {info.width_px}x{info.height_px} {info.pix_fmt}, with black beside those of another"
        " shape"
    ]


def _describe(
    source: str, graph: Graph, threads: int, pictures: tuple[PictureForm, ...]
) -> tuple[VideoInfo, Mapping[str, Any]]:
    """Return what the source node tells of a video, and its report once it was opened."""
    node = graph.source.make()
    with tempfile.TemporaryDirectory() as folder:
        try:
            info = node.open(Segment(source, Path(folder), threads, pictures=pictures), {})
        finally:
            node.close()
    return info, node.report()


def _check_part(graph: Graph, scan: PacketScan, name: str) -> None:
    """Raise `NodeConfigError` if the part that is wanted begins after the last picture."""
    from_s = start_s(graph)
    if from_s is None or not scan.shown_pts:
        return
    # Where times are missing, or start again, only the decoder knows them.
    if scan.missing_pts or scan.backward_dts:
        return
    last_s = float((scan.shown_pts[-1] - scan.shown_pts[0]) * scan.time_base)
    if from_s > last_s:
        raise NodeConfigError(
            f"{name}: its last picture is at {last_s:.2f} s, so nothing is left from"
            f" {from_s:g} s on (--from)"
        )


def _frame_count(info: VideoInfo, scan: PacketScan | None) -> int | None:
    if scan is not None and info.span_pts is None:
        return scan.frames
    if info.frame_count_hint:
        return info.frame_count_hint
    if info.duration_s and info.average_rate:
        return round(info.duration_s * info.average_rate)
    return None
