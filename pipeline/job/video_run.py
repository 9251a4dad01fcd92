"""One video of a job on its way: what is done, what is to do, and the finished file."""

from __future__ import annotations

import logging
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aminet.errors import AminetError
from nodes.encode.encoders import EncodeConfig
from nodes.encode.node import VIDEO_FILE
from nodes.media.picture_files import files_of
from nodes.types import VideoInfo
from pipeline.config import RunOptions
from pipeline.containers.mux import MuxReport, mux
from pipeline.errors import RunFailedError
from pipeline.graph.graph import Graph
from pipeline.graph.roles import encode_node
from pipeline.interrupts import postponed
from pipeline.job.kept_task import KeptTask
from pipeline.job.merge import merge_results
from pipeline.job.progress import Expected
from pipeline.job.report import VideoReport
from pipeline.job.segment_store import Manifest, SegmentStore
from pipeline.job.side_files import BEST_SHOTS_FOLDER, SHEET, TRACKS, merge_side_files
from pipeline.job.video_plan import Ready
from pipeline.pictures.outputs import EXACT_CODEC, write_pictures
from pipeline.run.contract import Progress, SegmentResult
from pipeline.run.task import Task, TaskOutcome
from pipeline.storage.places import list_files, publish
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged

__all__ = ["VideoRun", "finished_report", "finished_segments", "own_record"]

log = logging.getLogger(__name__)


def finished_segments(item: Ready) -> tuple[dict[int, Manifest], str | None]:
    """Look for what an earlier run left of a video.

    Returns:
        The finished segments that can be used, by number; and why others cannot, if there are any.
    """
    usable: dict[int, Manifest] = {}
    reason: str | None = None
    for number, manifest in SegmentStore(item.video.work_dir).finished().items():
        wanted = item.plan.intervals[number : number + 1]
        if manifest.key == item.identity.key and wanted == (manifest.interval,):
            usable[number] = manifest
        else:
            reason = item.identity.changes_since(manifest.identity)
    return usable, reason


def own_record(item: Ready) -> VideoReport | None:
    """Return what an earlier run noted of this very video just before its output got its name."""
    record = SegmentStore(item.video.work_dir).recorded()
    return record if record is not None and _is_of(record, item) else None


def finished_report(item: Ready, earlier: Mapping[str, VideoReport]) -> VideoReport | None:
    """Return the report of a video that is done as it would be done now, None if it is not.

    Args:
        item: the video.
        earlier: what an earlier run's report says, by source.
    """
    for report in (earlier.get(item.video.source), own_record(item)):
        if report is not None and _is_of(report, item) and report.outputs_are_there:
            return report
    return None


def _is_of(report: VideoReport, item: Ready) -> bool:
    return report.output == str(item.video.target) and report.identity == item.identity


class VideoRun:
    """Keeps one video's segments; each that finishes is on disk at once."""

    def __init__(self, item: Ready, graph: Graph, options: RunOptions, *, resume: bool) -> None:
        """Take up what an earlier run finished, and make room for the rest.

        Args:
            item: the video and its plan.
            graph: the dataflow.
            options: where copies of what is in object stores go, and how much of them.
            resume: use what an earlier run finished; else it is removed.
        """
        self.item = item
        self._graph = graph
        self._options = options
        self._encoder = encode_node(graph).name
        self._store = SegmentStore(item.video.work_dir)
        self._results: dict[int, SegmentResult] = {}
        self._notes = list(item.notes)
        if resume:
            manifests, reason = finished_segments(item)
            self._results = {number: manifest.result for number, manifest in manifests.items()}
            if reason:
                self._notes.append(f"segments of an earlier run were done again: {reason}")
        if not self._results:
            self._store.drop()
        self._reused = len(self._results)
        self._numbers: dict[Task, int] = {}
        self._under_way: dict[Task, Progress] = {}
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
    def expected(self) -> Expected:
        """How many frames there are, and how many an earlier run finished; ask before it runs."""
        return Expected(self.item.frames, _total(r.progress for r in self._results.values()))

    @property
    def total(self) -> int:
        """How many segments the video has."""
        return len(self.item.plan.intervals)

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return len(self._results)

    def start(self) -> list[Task]:
        """Return what is to be run, a task for each segment."""
        for number, interval in enumerate(self.item.plan.intervals):
            if number not in self._results:
                task = KeptTask(
                    video=self.item.video.source,
                    number=number,
                    interval=interval,
                    threads=self.item.threads,
                    codec=EXACT_CODEC if self.item.form else None,
                    store=str(self._store.folder),
                    identity=self.item.identity,
                    scratch_dir=self._options.scratch_dir,
                    scratch_bytes=self._options.scratch_bytes,
                )
                self._numbers[task] = number
        return list(self._numbers)

    def advanced(self, task: Task, progress: Progress) -> Progress:
        """Note how far a task has come; return how far the video has."""
        self._under_way[task] = progress
        done = [result.progress for result in self._results.values()]
        return _total([*done, *self._under_way.values()])

    def take(self, outcome: TaskOutcome) -> Exception | None:
        """Take note of a segment that is over and kept, or return why the video will fail.

        The other segments still run: they are kept for when the command is run again.
        """
        number = self._numbers.pop(outcome.task)
        self._under_way.pop(outcome.task, None)
        self._attempts = max(self._attempts, outcome.attempts)
        error = outcome.error
        if outcome.result is not None:
            self._results[number] = outcome.result
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
        """Join the segments, then give all that was made its names.

        The segments stay until `forget`, so that a kill before the report is written loses nothing.

        Raises:
            AminetError: a segment failed, or the output cannot be put together.
            OSError: a file cannot be written or renamed.
        """
        if self._error is not None:
            raise self._error
        video = self.item.video
        results = [self._results[number] for number in range(self.total)]
        merged = merge_results(self._graph, results)
        with self._workplace() as (source, folders, here):
            made = here / "finished" / video.target.name
            made.parent.mkdir(exist_ok=True)
            muxed = self._mux(merged, results, source, folders, made)
            sides = merge_side_files(self._graph, results, folders, here / "beside")
            output_bytes = sum(file.stat().st_size for file in files_of(made))
            report = self._report(merged, muxed, output_bytes, sides)
            with postponed():
                self._publish(report, made, sides)
        return report

    def _publish(self, report: VideoReport, made: Path, sides: Mapping[str, Path]) -> None:
        video = self.item.video
        self._store.record(report)
        video.drop_sides()
        for ending, file in sides.items():
            place = video.side(ending)
            if isinstance(place, Path):
                place.parent.mkdir(exist_ok=True)
            publish(file, place)
        for file in files_of(made):
            publish(file, video.target.with_name(file.name))

    def forget(self) -> None:
        """Remove the segments of a video whose output is there and reported."""
        self._store.drop()

    def leave(self) -> str | None:
        """Remove what is not finished; return a line about what stays for the same command."""
        if not self._store.drop_unfinished():
            return None
        return (
            f"{self.item.video.source}: {self.done} of {self.total} segments are finished and kept"
            f" in {self._store.folder}; the same command goes on from there"
        )

    @contextmanager
    def _workplace(self) -> Generator[tuple[str, list[Path], Path]]:
        """Give the source, the segments' folders and a folder to join them in, all on this machine.

        On a file system the latter two are the store's own.
        """
        numbers, store = range(self.total), self._store
        scratch = scratch_of(self._options.scratch_dir, self._options.scratch_bytes)
        with staged(self.item.video.source, scratch) as source:
            if isinstance(store.folder, Path):
                here = store.folder
                yield source, [store.local(number, here) for number in numbers], here
                return
            # The joined video takes about as much again as its segments.
            need = 2 * sum(list_files(store.folder).values())
            with scratch.room(need, str(self.item.video.target)) as room:
                yield source, [store.local(number, room) for number in numbers], room

    def _mux(
        self,
        merged: SegmentResult,
        results: Iterable[SegmentResult],
        source: str,
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
            source,
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
        self,
        parts: Sequence[Path],
        source: str,
        made: Path,
        info: VideoInfo,
        last_duration_ticks: int,
    ) -> MuxReport:
        form = self.item.form
        config = encode_node(self._graph).config
        assert isinstance(config, EncodeConfig)  # noqa: S101 - for the type checker
        if form is None:
            return mux(
                parts,
                source,
                made,
                info,
                last_duration_ticks=last_duration_ticks,
                convert=config.convert,
            )
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
        self, merged: SegmentResult, muxed: MuxReport, output_bytes: int, sides: Container[str]
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
            output_bytes=output_bytes,
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
