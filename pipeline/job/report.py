"""The report of a run, which is written to `report.json`, and its summary in a few lines.

The summary counts faces as found, each of them once, and what was done with them in times: once for
each face in each frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from upath import UPath

from nodes.reports import counted
from pipeline.evidence.record import Evidence
from pipeline.job.files import written
from pipeline.segments.identity import Identity
from pipeline.storage.digests import file_sha256
from pipeline.storage.json_text import json_bytes, json_value
from pipeline.storage.locations import location_of, read, size_of

__all__ = [
    "GENERATIVE_NOTE",
    "NOTE",
    "SCHEMA_VERSION",
    "RunReport",
    "VideoReport",
    "face_facts",
    "left_alone_lines",
    "read_report",
    "read_video",
    "read_videos",
    "report_schema",
    "seal_of",
    "summary_lines",
]

SCHEMA_VERSION: Final = 1
"""Raised when a reader of an earlier report would misread a newer one."""

NOTE = "A restored face is an estimate, not a proof of who it is."
GENERATIVE_NOTE: Final = (
    "generative: the network drew detail that is plausible, not recorded; do not read small"
    " features from these faces (--look faithful draws none)"
)
"""What users are told of a video whose faces a generative network restored."""


@dataclass(frozen=True, slots=True)
class VideoReport:
    """One video of a run."""

    source: str
    output: str | None
    """The output, the first of several; None if the video failed, or the graph has no encoder."""
    status: Literal["done", "failed"]
    error: str | None = None
    """The one-line reason of a failure."""
    frames: int = 0
    faces: int = 0
    """How often a face was restored: faces in all frames together."""
    generative_faces: int = 0
    """Those that a generative network restored, as its model card says."""
    left_alone: dict[str, int] = field(default_factory=dict[str, int])
    """Why faces were left as they were, in words -> how often: faces in all frames together."""
    tracks: int | None = 0
    """Number of faces found, each counted once (tracks); None if no node tracks faces."""
    segments: int = 1
    segments_reused: int = 0
    """Segments that an earlier run had finished."""
    why_whole: str | None = None
    """Why the video was not split, None if it was."""
    copied_frames: int = 0
    """Frames of the first output whose packets are those of the source."""
    why_not_copied: str | None = None
    """Why no packets of the source were copied, or only those of whole videos can be; None if
    stretches without changes could be copied."""
    wall_s: float = 0.0
    """Sum of the segments' wall times; segments may run in parallel."""
    frames_per_s: float = 0.0
    """Frames divided by `wall_s`."""
    stage_busy_s: dict[str, float] = field(default_factory=dict[str, float])
    """Wall time inside each node; nodes overlap, so the sum may exceed `wall_s`."""
    flow: dict[str, Any] = field(default_factory=dict[str, Any])
    """See `pipeline.run.contract.Flow`."""
    sheet: str | None = None
    """The before/after contact sheet, None without faces."""
    best_shots: str | None = None
    """Folder with a sheet for each face: its sharpest, largest and most frontal shot."""
    tracks_file: str | None = None
    """JSON Lines with a row for each face in each frame."""
    beside: dict[str, str] = field(default_factory=dict[str, str])
    """All files of the graph's sinks, by ending."""
    attempts: int = 1
    notes: tuple[str, ...] = ()
    """Messages for the user, such as streams that were left out, or damage in the source."""
    nodes: dict[str, Any] = field(default_factory=dict[str, Any])
    """The reports of the nodes, by name."""
    mux: dict[str, Any] = field(default_factory=dict[str, Any])
    """Results of muxing: other streams, timing and metadata; of the first of several outputs. Those
    of each output are in its encoder's report in `nodes`."""
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    """The output of each encoder, by the name of its node."""
    output_bytes: int = 0
    """Of all outputs."""
    sha256: dict[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of each file of the outputs, by name."""
    signed: tuple[str, ...] = ()
    """Names of the files of the outputs that have Content Credentials, in them or beside them."""
    identity: Identity | None = None
    """Identity of the output: a later run with the same identity skips the video."""
    evidence: Evidence | None = None
    """Digests of inputs and outputs, and the changed parts of pictures; None after a failure."""

    @property
    def outputs_are_there(self) -> bool:
        """Whether the outputs and the files beside them still exist unchanged."""
        outputs = [location_of(output) for output in self.outputs.values()]
        files = [
            (output.with_name(name), size)
            for output in outputs
            for name, size in written(output).items()
        ]
        if sum(size for _, size in files) != self.output_bytes or not all(map(written, outputs)):
            return False
        digests = {
            location.name: file_sha256(location)
            for location, _ in files
            if isinstance(location, Path)
        }
        if digests and digests != self.sha256:
            return False
        return all(size_of(location_of(side)) is not None for side in self.beside.values())

    def to_json(self) -> bytes:
        """Return the report as indented JSON."""
        return json_bytes(asdict(self))


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run."""

    __pydantic_config__: ClassVar = ConfigDict(use_attribute_docstrings=True)  # for the schema

    path: str
    """Path of this report."""
    version: str
    started_utc: str
    wall_s: float
    runner: dict[str, Any]
    """The runner, why it was chosen, its size, and the reports of its pools."""
    videos: tuple[VideoReport, ...]
    skipped: tuple[str, ...]
    """Files in input folders that are not videos."""
    config: dict[str, Any]
    """The resolved configuration: run options, and the graph with every default filled in."""
    page: str | None = None
    """Where the same lies as a page for a person, None without."""
    command: tuple[str, ...] = ()
    """The words of the command, empty when it was a call from Python."""
    note: str = NOTE
    schema_version: int = SCHEMA_VERSION
    """Of `docs/schema/report-N.schema.json`, which describes this file."""
    seal: str = ""
    """SHA-256 of this report with an empty seal, as JSON with sorted keys and no spaces. It shows
    what was changed by accident; who changes a report on purpose can seal it anew."""

    @property
    def failed(self) -> tuple[VideoReport, ...]:
        """The videos that failed."""
        return tuple(video for video in self.videos if video.status == "failed")

    def to_json(self) -> bytes:
        """Return the report as indented JSON, sealed."""
        data = asdict(self)
        return json_bytes(data | {"seal": seal_of(data)})


def seal_of(report: Mapping[str, Any]) -> str:
    """Return the seal that a report, as it is written or read as JSON, should have."""
    plain = json_value(json_bytes(dict(report) | {"seal": ""}))
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_RUN: Final = TypeAdapter(RunReport)
_VIDEO: Final = TypeAdapter(VideoReport)
_VIDEOS: Final = TypeAdapter(tuple[VideoReport, ...])


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of `report.json`."""
    return _RUN.json_schema(mode="serialization") | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"report.json of aminet-video, version {SCHEMA_VERSION}",
    }


def read_report(content: bytes) -> RunReport:
    """Return the report that `RunReport.to_json` made a text of.

    Raises:
        ValueError: it is none.
    """
    return _RUN.validate_python(json_value(content))


def read_video(content: bytes | None) -> VideoReport | None:
    """Parse the result of `VideoReport.to_json`; return None if it is missing or incomplete."""
    try:
        return _VIDEO.validate_python(json_value(content or b""))
    except ValueError:
        return None


def read_videos(path: UPath) -> dict[str, VideoReport]:
    """Return the finished videos of an earlier run's report, by source.

    The result is empty if there is no report, or it cannot be read.
    """
    try:
        videos = _VIDEOS.validate_python(json_value(read(path) or b"")["videos"])
    except (ValueError, KeyError, TypeError, ValidationError):
        return {}
    return {video.source: video for video in videos if video.status == "done"}


def summary_lines(source: str, report: VideoReport) -> list[str]:
    """Return the lines to show when a video has ended.

    Args:
        source: what to call the video.
        report: of it.
    """
    if report.status == "failed":
        return [f"{source}: FAILED: {(report.error or '').removeprefix(f'{report.source}: ')}"]
    facts = [
        counted(report.frames, "frame"),
        *face_facts(report.tracks, report.faces, report.left_alone),
        *_what_stayed(report),
        f"{report.frames_per_s:.1f} frames/s",
    ]
    beside = f"{counted(len(report.beside), 'file')} beside"
    made = ", ".join(report.outputs.values()) or beside
    notes = (f"  note: {note}" for note in report.notes)
    return [
        f"{source} -> {made}: {', '.join(facts)}",
        *left_alone_lines(report.left_alone),
        *notes,
    ]


def face_facts(found: int | None, restored: int, left_alone: Mapping[str, int]) -> list[str]:
    """Return texts about the faces of a video; none for a graph without face nodes.

    Args:
        found: number of faces, None if nothing counts them.
        restored: how often one was restored, over all frames.
        left_alone: why faces were left as they were, in words -> how often, over all frames.
    """
    if found == 0 and not restored:
        return ["no face found"]
    facts = [f"{counted(found, 'face')} found"] if found else []
    if restored or left_alone:
        facts.append(f"restored {counted(restored, 'time')}")
    return facts


def left_alone_lines(left_alone: Mapping[str, int]) -> list[str]:
    """Return a line for each reason why faces were left as they were.

    Args:
        left_alone: the reason in words -> how often, over all frames.
    """
    return [f"  left alone {counted(count, 'time')}: {why}" for why, count in left_alone.items()]


def _what_stayed(report: VideoReport) -> list[str]:
    """Return which pictures are those of the source."""
    if report.frames and report.copied_frames == report.frames:
        return ["copied, unchanged"]
    if report.copied_frames:
        return [f"{report.copied_frames / report.frames:.0%} copied"]
    same = max((node.get("unchanged_frames", 0) for node in report.nodes.values()), default=0)
    return ["pictures unchanged before they were encoded"] if same and same == report.frames else []
