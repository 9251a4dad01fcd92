"""What a job would do, without doing it: `aminet plan`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aminet.errors import AminetError
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.graph.prepare import prepared
from pipeline.job.files import plan_files
from pipeline.job.identity import content_ids
from pipeline.job.report import VideoReport, read_videos
from pipeline.job.segments import SegmentPlan, choose_runner
from pipeline.job.video_plan import Ready, look_at
from pipeline.job.video_run import finished_report, finished_segments
from pipeline.sizing.sizing import Machine, Sizing, size
from pipeline.storage.places import place_of

__all__ = ["JobOverview", "VideoOverview", "overview"]


@dataclass(frozen=True, slots=True)
class VideoOverview:
    """One video of a job."""

    source: str
    target: str
    error: str | None = None
    """Why it cannot be started, None if it can."""
    frames: int | None = None
    plan: SegmentPlan | None = None
    done: tuple[int, ...] = ()
    """Numbers of the segments that an earlier run finished, from 0."""
    redo_reason: str | None = None
    """Why what an earlier run left cannot be used."""
    finished: bool = False
    """Whether an earlier run has finished the whole video."""
    frames_done: int = 0
    seconds_spent: float = 0.0
    """What the finished segments took."""

    @property
    def to_do(self) -> int:
        """How many segments are left."""
        return 0 if self.finished or not self.plan else len(self.plan.intervals) - len(self.done)


@dataclass(frozen=True, slots=True)
class JobOverview:
    """A whole job."""

    videos: tuple[VideoOverview, ...]
    runner: str
    """Which runner it would take."""
    why: str
    sizing: Sizing | None = None
    """Which actors would run where, None for the local runner."""

    @property
    def estimate_s(self) -> float | None:
        """Seconds one worker needs for the rest, by what finished segments took; None if unknown.

        That is the local runner's time; several workers divide it.
        """
        done = sum(video.frames_done for video in self.videos)
        spent_s = sum(video.seconds_spent for video in self.videos)
        if not done or any(video.frames is None for video in self.videos if video.to_do):
            return None
        left = sum((video.frames or 0) - video.frames_done for video in self.videos if video.to_do)
        return left * spent_s / done


def overview(inputs: Sequence[str], output: str, config: RunConfig) -> JobOverview:
    """Look at every input as a run would, and at what earlier runs left; change nothing.

    Args:
        inputs: video files, folders of them, or URLs.
        output: a file for one input file, else a folder.
        config: graph, node settings and run options. A configured cluster is asked what it has.

    Raises:
        AminetError: there is no such input, the configuration cannot work, or the cluster cannot
            be joined.
    """
    graph, options = load_graph(config), config.run
    threads = options.threads or len(os.sched_getaffinity(0))
    files = plan_files(inputs, place_of(output))
    earlier = read_videos(files.report)
    contents = content_ids(prepared(graph))
    videos: list[VideoOverview] = []
    for video in files.videos:
        try:
            item = look_at(video, graph, threads=threads, options=options, contents=contents)
        except AminetError as error:
            videos.append(VideoOverview(video.source, str(video.target), error=str(error)))
        else:
            videos.append(_of(item, earlier))
    left = sum(video.to_do for video in videos)
    runner, why = choose_runner(
        options.runner,
        videos=sum(video.to_do > 0 for video in videos),
        segments=left,
        cores=threads,
        address=options.address,
    )
    if runner != "ray" or not left:
        return JobOverview(tuple(videos), runner, why)
    sizing = size(_machines(options, threads), segments=left, wishes=options.wishes)
    return JobOverview(tuple(videos), runner, why, sizing)


def _machines(options: RunOptions, threads: int) -> list[Machine]:
    if options.address is not None:
        from pipeline.cluster.session import look

        return look(options.address)
    import torch

    return [Machine("this machine", cpus=threads, gpus=torch.cuda.device_count())]


def _of(item: Ready, earlier: Mapping[str, VideoReport]) -> VideoOverview:
    usable, reason = finished_segments(item)
    results = [manifest.result for manifest in usable.values()]
    return VideoOverview(
        source=item.video.source,
        target=str(item.video.target),
        frames=item.frames,
        plan=item.plan,
        done=tuple(usable),
        redo_reason=reason,
        finished=finished_report(item, earlier) is not None,
        frames_done=sum(result.progress.frames for result in results),
        seconds_spent=sum(result.wall_s for result in results),
    )
