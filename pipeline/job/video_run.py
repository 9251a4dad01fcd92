"""One video of a job on its way: what is done, what is to do, and the finished file."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any

from nodes.encode.encoders import EncodeConfig
from nodes.encode.node import VIDEO_FILE
from nodes.join import SHEET, SHOTS, TRACKS
from nodes.media.picture_files import files_of
from nodes.types import VideoInfo
from pipeline.config import RunOptions
from pipeline.containers.mux import MuxReport, mux
from pipeline.errors import OutputError, RunFailedError
from pipeline.graph.graph import Graph
from pipeline.graph.roles import encode_node
from pipeline.interrupts import postponed
from pipeline.job.failure import explained
from pipeline.job.kept_task import KeptTask, check_unchanged
from pipeline.job.merge import join_sinks, merge_results, side_endings, tracks_followed
from pipeline.job.plan import PlannedVideo
from pipeline.job.progress import Expected
from pipeline.job.report import VideoReport
from pipeline.job.segment_store import SegmentStore
from pipeline.pictures.outputs import EXACT_CODEC, write_pictures
from pipeline.run.contract import Progress, SegmentResult, sink_folder
from pipeline.run.task import Task, TaskOutcome
from pipeline.storage.digests import file_sha256
from pipeline.storage.places import is_folder, list_files, publish, size_of
from pipeline.storage.private import folder_below
from pipeline.storage.scratch import scratch_of
from pipeline.storage.staging import staged

__all__ = ["VideoRun"]

log = logging.getLogger(__name__)


class VideoRun:
    """Keeps one video's segments; each that finishes is on disk at once."""

    def __init__(self, planned: PlannedVideo, graph: Graph, options: RunOptions) -> None:
        """Take up what an earlier run finished, and make room for the rest.

        Args:
            planned: the video, which can be started.
            graph: the dataflow.
            options: where copies of what is in object stores go, and how much of them.
        """
        assert planned.ready is not None  # noqa: S101 - for the type checker
        self.item = item = planned.ready
        self._planned = planned
        self._graph = graph
        self._options = options
        self._encoder = encode_node(graph).name
        self._store = SegmentStore(item.video.work_dir)
        self._results = {number: manifest.result for number, manifest in planned.done.items()}
        self._notes = list(item.notes)
        if planned.redo_reason:
            reason = planned.redo_reason
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
                    stamp=self.item.stamp,
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
        where = f"segment {number + 1} of {self.total}" if self.total > 1 else "the run"
        failure = explained(error, where)
        self._error = self._error or failure
        return failure

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
            sides = join_sinks(self._graph, results, folders, here / "beside")
            report = self._report(merged, results, muxed, files_of(made), sides)
            check_unchanged(video.source, self.item.stamp)
            with postponed():
                self._publish(report, made, sides)
        return report

    def _publish(self, report: VideoReport, made: Path, sides: Mapping[str, Path]) -> None:
        video = self.item.video
        self._check_sides(sides)
        self._store.record(report)
        video.drop_sides({*side_endings(self._graph), *self._earlier_endings()})
        for ending, file in sides.items():
            place = video.side(ending)
            if isinstance(place, Path) and isinstance(video.target, Path):
                folder_below(place.parent, video.target.parent)
            publish(file, place)
        for file in files_of(made):
            publish(file, video.target.with_name(file.name))

    def _check_sides(self, sides: Iterable[str]) -> None:
        """Make sure that nothing is replaced that sinks did not declare before the work."""
        video = self.item.video
        for ending in sides:
            place = video.side(ending)
            if place == video.target:
                raise OutputError(f"{place}: a node gives a file the name of the output itself")
            if not self._planned.may_replace and (is_folder(place) or size_of(place) is not None):
                raise OutputError(f"{place} exists already: add --overwrite to replace it")

    def _earlier_endings(self) -> Iterable[str]:
        """Return the endings of what the earlier run left whose output is replaced."""
        earlier = self._planned.earlier
        if earlier is None or earlier.output != str(self.item.video.target):
            return ()
        parts = (ending.partition("/") for ending in earlier.beside)
        return [folder + slash + escape(name) for folder, slash, name in parts]

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
        numbers, store, key = range(self.total), self._store, self.item.identity.key
        scratch = scratch_of(self._options.scratch_dir, self._options.scratch_bytes)
        with staged(self.item.video.source, scratch) as source:
            if isinstance(store.folder, Path):
                here = store.folder
                yield source, [store.local(number, here, key=key) for number in numbers], here
                return
            # The joined video takes about as much again as its segments.
            need = 2 * sum(list_files(store.folder).values())
            with scratch.room(need, str(self.item.video.target)) as room:
                yield source, [store.local(number, room, key=key) for number in numbers], room

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
            sink_folder(folder, self._encoder) / VIDEO_FILE
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

    def _report(
        self,
        merged: SegmentResult,
        results: Sequence[SegmentResult],
        muxed: MuxReport,
        files: Sequence[Path],
        sides: Iterable[str],
    ) -> VideoReport:
        video, frames = self.item.video, merged.progress.frames
        beside = {ending: str(video.side(ending)) for ending in sides}
        return VideoReport(
            source=video.source,
            output=str(video.target),
            status="done",
            frames=frames,
            faces=merged.progress.items,
            tracks=tracks_followed(self._graph, results),
            segments=self.total,
            segments_reused=self._reused,
            why_whole=self.item.plan.why_whole,
            wall_s=round(merged.wall_s, 3),
            frames_per_s=round(frames / max(merged.wall_s, 1e-9), 2),
            stage_busy_s={name: round(busy_s, 3) for name, busy_s in merged.busy_s.items()},
            flow=asdict(merged.flow),
            sheet=beside.get(SHEET),
            best_shots=str(video.side(SHOTS)) if SHEET in beside else None,
            tracks_file=beside.get(TRACKS),
            beside=beside,
            attempts=self._attempts,
            notes=(*self.notes, *_warnings(merged.reports)),
            nodes={name: report for name, report in merged.reports.items() if report},
            mux=asdict(muxed),
            output_bytes=sum(file.stat().st_size for file in files),
            sha256={file.name: file_sha256(file) for file in files},
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
