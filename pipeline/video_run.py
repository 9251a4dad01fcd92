"""One video of a job on its way: what is done, what is to do, and the finished file."""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aminet.errors import AminetError
from nodes.codecs import EncodeConfig
from nodes.encode import VIDEO_FILE
from nodes.node import Segment
from nodes.picture_files import files_of
from nodes.types import VideoInfo
from pipeline.errors import RunFailedError
from pipeline.graph import Graph
from pipeline.merge import merge_results
from pipeline.mux import MuxReport, mux
from pipeline.pictures import EXACT_CODEC, publish, write_pictures
from pipeline.preflight import Ready, encode_node
from pipeline.report import VideoReport
from pipeline.runner import Progress, SegmentOutcome, SegmentResult
from pipeline.segment_store import Manifest, SegmentStore
from pipeline.side_files import BEST_SHOTS_FOLDER, SHEET, TRACKS, merge_side_files

__all__ = ["VideoRun", "finished_segments", "is_finished"]

log = logging.getLogger(__name__)


def finished_segments(item: Ready) -> tuple[dict[int, Manifest], str | None]:
    """Look for what an earlier run left of a video.

    Returns:
        The finished segments that can be used, by number; and why others cannot, if there are any.
    """
    store = SegmentStore(item.video.work_dir)
    usable: dict[int, Manifest] = {}
    reason: str | None = None
    for number, interval in enumerate(item.plan.intervals):
        manifest = store.load(number)
        if manifest is None:
            continue
        if manifest.key == item.identity.key and manifest.interval == interval:
            usable[number] = manifest
        else:
            reason = item.identity.changes_since(manifest.identity)
    return usable, reason


def is_finished(item: Ready, report: VideoReport) -> bool:
    """Say whether an earlier run's report shows that a video is done as it would be done now."""
    same_output = report.output == str(item.video.target)
    return same_output and report.identity == item.identity and report.output_is_there


class VideoRun:
    """Keeps one video's segments; each that finishes is on disk at once."""

    def __init__(self, item: Ready, graph: Graph, *, resume: bool) -> None:
        """Take up what an earlier run finished, and make room for the rest.

        Args:
            item: the video and its plan.
            graph: the dataflow.
            resume: use what an earlier run finished; else it is removed.
        """
        self.item = item
        self._graph = graph
        self._encoder = encode_node(graph).name
        self._store = SegmentStore(item.video.work_dir)
        self._manifests: dict[int, Manifest] = {}
        self._notes = list(item.notes)
        if resume:
            self._manifests, reason = finished_segments(item)
            if reason:
                self._notes.append(f"segments of an earlier run were done again: {reason}")
        if not self._manifests:
            self._store.drop()
        self._reused = len(self._manifests)
        self._numbers: dict[Segment, int] = {}
        self._under_way: dict[Segment, Progress] = {}
        self._error: Exception | None = None
        self._attempts = 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before it starts."""
        if not self._reused:
            return tuple(self._notes)
        found = f"{self._reused} of {self.total} segments were finished by an earlier run"
        return (*self._notes, found)

    @property
    def total(self) -> int:
        """How many segments the video has."""
        return len(self.item.plan.intervals)

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return len(self._manifests)

    def start(self) -> list[Segment]:
        """Return the segments that are to be run."""
        for number, interval in enumerate(self.item.plan.intervals):
            if number not in self._manifests:
                segment = Segment(
                    input=self.item.video.source,
                    work_dir=self._store.scratch(number),
                    threads=self.item.threads,
                    start_pts=interval.start_pts,
                    end_pts=interval.end_pts,
                    warmup_pts=interval.warmup_pts,
                    codec=EXACT_CODEC if self.item.form else None,
                )
                self._numbers[segment] = number
        return list(self._numbers)

    def advanced(self, segment: Segment, progress: Progress) -> Progress:
        """Note how far a segment has come; return how far the video has."""
        self._under_way[segment] = progress
        done = [manifest.result.progress for manifest in self._manifests.values()]
        return _total([*done, *self._under_way.values()])

    def take(self, outcome: SegmentOutcome) -> Exception | None:
        """Keep a segment that is over, on disk, or return why the video will fail.

        The other segments still run: they are kept for when the command is run again.
        """
        number = self._numbers.pop(outcome.segment)
        self._under_way.pop(outcome.segment, None)
        self._attempts = max(self._attempts, outcome.attempts)
        error = outcome.error
        if outcome.result is not None:
            try:
                self._manifests[number] = self._store.publish(
                    number,
                    outcome.result,
                    interval=self.item.plan.intervals[number],
                    identity=self.item.identity,
                    encoder=self._encoder,
                    attempts=outcome.attempts,
                )
            except (AminetError, OSError) as failure:
                error = failure
        if error is None:
            return None
        log.debug("segment %d of %s", number, self.item.video.source, exc_info=error)
        explained = self._explained(error, number)
        self._error = self._error or explained
        return explained

    @property
    def over(self) -> bool:
        """Whether no segment is waiting or under way."""
        return not self._numbers

    def finish(self) -> VideoReport:
        """Join the segments in the work folder, then give all that was made its names.

        Raises:
            AminetError: a segment failed, or the output cannot be put together.
            OSError: a file cannot be written or renamed.
        """
        if self._error is not None:
            raise self._error
        video, places = self.item.video, range(self.total)
        results = [self._manifests[number].result for number in places]
        folders = [self._store.place(number) for number in places]
        merged = merge_results(self._graph, results)
        made = video.work_dir / "finished" / video.target.name
        made.parent.mkdir(exist_ok=True)
        muxed = self._mux(merged, results, folders, made)
        sides = merge_side_files(self._graph, results, folders, video.work_dir / "beside")
        for path in files_of(made):
            _sync(path)
        video.drop_sides()
        for ending, path in sides.items():
            video.side(ending).parent.mkdir(exist_ok=True)
            path.replace(video.side(ending))
        publish(made, video.target)
        self._store.drop()
        return self._report(merged, muxed, sides)

    def leave(self) -> str | None:
        """Remove what is not finished; return a line about what stays for the same command."""
        self._store.drop_scratch()
        if not self._store.folder.exists():
            return None
        return (
            f"{self.item.video.source}: {self.done} of {self.total} segments are finished and kept"
            f" in {self._store.folder}; the same command goes on from there"
        )

    def _mux(
        self,
        merged: SegmentResult,
        results: Iterable[SegmentResult],
        folders: Iterable[Path],
        made: Path,
    ) -> MuxReport:
        # A segment of which nothing could be decoded has no frames to join.
        parts = [
            folder / VIDEO_FILE
            for folder, result in zip(folders, results, strict=True)
            if result.progress.frames or self.total == 1
        ]
        muxed = self._written(
            parts,
            made,
            merged.infos[self._encoder],
            merged.reports[self._encoder]["last_duration_ticks"],
        )
        if muxed.frames != merged.progress.frames:
            raise RunFailedError(
                f"{self.item.video.target}: holds {muxed.frames} of {merged.progress.frames}"
                " frames, thrown away"
            )
        return muxed

    def _written(
        self, parts: Sequence[Path], made: Path, info: VideoInfo, last_duration_ticks: int
    ) -> MuxReport:
        source, form = self.item.video.source, self.item.form
        if form is None:
            return mux(parts, source, made, info, last_duration_ticks=last_duration_ticks)
        config = encode_node(self._graph).config
        assert isinstance(config, EncodeConfig)  # noqa: S101 - for the type checker
        return write_pictures(
            form,
            parts,
            source,
            made,
            info,
            last_duration_ticks=last_duration_ticks,
            quality=config.quality,
        )

    def _explained(self, error: BaseException, number: int) -> Exception:
        """Return an error as one that has a one-line message for the user."""
        if isinstance(error, AminetError):
            return error
        kind = type(error).__name__
        reason = str(error).strip().splitlines()[0] if str(error).strip() else kind
        where = f"segment {number + 1} of {self.total}" if self.total > 1 else "the run"
        wrapped = RunFailedError(f"{where} failed ({kind}: {reason})")
        wrapped.__cause__ = error
        return wrapped

    def _report(
        self, merged: SegmentResult, muxed: MuxReport, sides: Container[str]
    ) -> VideoReport:
        video, frames = self.item.video, merged.progress.frames
        return VideoReport(
            source=video.source,
            output=str(video.target),
            status="done",
            frames=frames,
            faces=merged.progress.items,
            tracks=merged.reports.get("track", {}).get("tracks", 0),
            segments=self.total,
            segments_reused=self._reused,
            why_whole=self.item.plan.why_whole,
            wall_s=round(merged.wall_s, 3),
            frames_per_s=round(frames / max(merged.wall_s, 1e-9), 2),
            stage_busy_s={name: round(busy_s, 3) for name, busy_s in merged.busy_s.items()},
            flow=asdict(merged.flow),
            sheet=str(video.side(SHEET)) if SHEET in sides else None,
            best_shots=str(video.side(BEST_SHOTS_FOLDER)) if SHEET in sides else None,
            tracks_file=str(video.side(TRACKS)) if TRACKS in sides else None,
            attempts=self._attempts,
            notes=(*self.notes, *_warnings(merged.reports)),
            nodes={name: report for name, report in merged.reports.items() if report},
            mux=asdict(muxed),
            output_bytes=sum(path.stat().st_size for path in files_of(video.target)),
            identity=self.item.identity,
        )


def _total(parts: Iterable[Progress]) -> Progress:
    frames = items = 0
    for part in parts:
        frames, items = frames + part.frames, items + part.items
    return Progress(frames, items)


def _warnings(reports: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return what nodes want the user to know, each with the node's name."""
    return [
        f"{name}: {warning}"
        for name, report in reports.items()
        for warning in report.get("warnings", ())
    ]


def _sync(path: Path) -> None:
    """Make sure a file's content is on the disk before its name says that it is finished."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
