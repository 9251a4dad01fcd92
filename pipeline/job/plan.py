"""Planning a job, for `aminet plan`, `--dry-run` and the run itself.

Planning reads the inputs and the results of earlier runs, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape

from upath import UPath

from aminet.device import gpu_count
from aminet.errors import AminetError
from nodes.node import Node, NodeConfig
from pipeline.config import RunConfig, RunOptions, load_graph
from pipeline.credentials.sign import Credentials, credentials_of
from pipeline.errors import OutputError, RunFailedError
from pipeline.graph.build import is_node_name
from pipeline.graph.graph import Graph
from pipeline.graph.prepare import prepared
from pipeline.graph.roles import encode_nodes, is_beside
from pipeline.job.earlier import changes, finished_report, finished_segments, own_record
from pipeline.job.failure import FAILURES, explained
from pipeline.job.files import JobFiles, VideoFiles, check_outputs, plan_files, written
from pipeline.job.merge import side_endings
from pipeline.job.output_paths import can_be_a_file, check_location, check_names
from pipeline.job.report import VideoReport, read_videos
from pipeline.job.video_plan import VideoPlan, plan_video
from pipeline.segments.identity import content_ids
from pipeline.segments.store import Manifest
from pipeline.sizing.cores import usable_cores
from pipeline.sizing.runner import choose_runner
from pipeline.sizing.sizing import Machine, Sizing, size
from pipeline.storage.locations import location_of
from pipeline.url_secrets import redacted

__all__ = ["JobPlan", "PlannedVideo", "plan_finished", "plan_inputs", "plan_job"]


@dataclass(frozen=True, slots=True)
class PlannedVideo:
    """One video of a job."""

    files: VideoFiles
    """The files, with the final suffix of the target if there is a plan."""
    plan: VideoPlan | None = None
    """None if the video cannot be processed."""
    error: AminetError | None = None
    """Why it cannot be processed, None if it can."""
    done: Mapping[int, Manifest] = field(default_factory=dict[int, Manifest])
    """The segments that an earlier run finished, by number from 0."""
    redo_reason: str | None = None
    """Why other segments of an earlier run cannot be used, if there are any."""
    earlier: VideoReport | None = None
    """The source in the report of an earlier run."""
    changed: str | None = None
    """Why the output of an earlier run differs from what this run would make, if it does."""
    finished: VideoReport | None = None
    """The report of an earlier run that finished the video."""
    may_replace: bool = False
    """Whether the output and the files beside it may exist."""
    of_job: frozenset[UPath] = frozenset()
    """The outputs of all videos of the job."""

    @property
    def former_endings(self) -> Sequence[str]:
        """The endings of the files of the earlier run whose output is replaced."""
        if self._replaced is None:
            return ()
        parts = (ending.partition("/") for ending in self._replaced.beside)
        return [folder + slash + escape(name) for folder, slash, name in parts]

    def former_files(self) -> list[UPath]:
        """Return the files of that run that are removed: those beside its output, other outputs."""
        return [*self.files.existing_sides(self.former_endings), *self.former_outputs()]

    def former_outputs(self) -> list[UPath]:
        """Return the files of outputs of that run that this one does not have, of any video.

        Of what its report names only what a run gives such a name: a report can be forged.
        """
        found: list[UPath] = []
        if self._replaced is None:
            return found
        for name, location in self._replaced.outputs.items():
            if not is_node_name(name):
                continue
            output = self.files.output_of(name)
            given = redacted(str(output)) == location and can_be_a_file(output.name)
            if given and output not in {*self.files.outputs, *self.of_job}:
                found.extend(output.with_name(file) for file in written(output))
        return found

    @property
    def _replaced(self) -> VideoReport | None:
        """The source in the report of the earlier run whose output is replaced."""
        outputs = {redacted(str(output)) for output in self.files.outputs}
        if self.earlier is None or outputs.isdisjoint(self.earlier.outputs.values()):
            return None
        return self.earlier

    @property
    def segments_left(self) -> int:
        """Number of segments to run."""
        if self.plan is None or self.finished is not None:
            return 0
        return len(self.plan.segments.intervals) - len(self.done)


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A whole job."""

    graph: Graph
    nodes: Mapping[str, Node[NodeConfig]]
    """Prepared nodes, by name; read once, so that the run uses what the identity was made from."""
    options: RunOptions
    files: JobFiles
    threads: int
    """CPU threads to use on this machine."""
    videos: tuple[PlannedVideo, ...]
    conflict: OutputError | None
    """Why the outputs cannot be written, None if they can."""
    credentials: Credentials | None
    """What the outputs are signed with, None if they are not."""

    def signs_finished(self, video: PlannedVideo) -> bool:
        """Return whether what an earlier run finished is to be signed, and nothing else done."""
        report = video.finished
        if self.credentials is None or report is None:
            return False
        return bool(report.outputs) and not report.signed

    @property
    def segments_left(self) -> int:
        """Number of segments of all videos to run."""
        return sum(video.segments_left for video in self.videos)

    @property
    def runner(self) -> tuple[str, str]:
        """The name of the runner, and why it was chosen."""
        return choose_runner(
            self.options.runner,
            videos=sum(video.segments_left > 0 for video in self.videos),
            segments=self.segments_left,
            cores=self.threads,
            address=self.options.address,
        )

    def sizing(self) -> Sizing | None:
        """Return the actors on each machine, None for the local runner. Joins a remote cluster.

        Raises:
            ClusterError: the cluster cannot be joined.
        """
        if self.runner[0] != "ray" or not self.segments_left:
            return None
        machines = _machines(self.options, self.threads)
        return size(machines, segments=self.segments_left, wishes=self.options.wishes)

    @property
    def estimate_s(self) -> float | None:
        """Time that one worker needs for the rest, s, by the finished segments; None if unknown.

        With several workers it is divided by their number.
        """
        frames = spent_s = left = 0.0
        for video in self.videos:
            results = [manifest.result for manifest in video.done.values()]
            done = sum(result.progress.frames for result in results)
            frames, spent_s = frames + done, spent_s + sum(result.wall_s for result in results)
            if not video.segments_left or video.plan is None:
                continue
            if video.plan.frames is None:
                return None
            left += video.plan.frames - done
        return left * spent_s / frames if frames else None

    @property
    def problem(self) -> AminetError | None:
        """The error with which the run would end, if it is known now."""
        if self.conflict is not None:
            return self.conflict
        errors = [video.error for video in self.videos if video.error is not None]
        if not errors or len(self.videos) == 1:
            return errors[0] if errors else None
        return RunFailedError(f"{len(errors)} of {len(self.videos)} videos cannot be done")


def plan_inputs(
    inputs: Sequence[str], output: str, config: RunConfig, *, overwrite: bool, resume: bool
) -> JobPlan:
    """Plan a job from its inputs and configuration; see `plan_job`."""
    graph, files = load_graph(config), plan_files(inputs, location_of(output))
    return plan_job(graph, files, config.run, overwrite=overwrite, resume=resume)


def plan_job(
    graph: Graph, files: JobFiles, options: RunOptions, *, overwrite: bool, resume: bool
) -> JobPlan:
    """Plan a job without changing anything.

    Args:
        graph: the dataflow.
        files: the input and output files.
        options: run options.
        overwrite: replace outputs that exist.
        resume: use what an earlier run of the same job finished.

    Raises:
        AminetError: the graph has no output of this name, or files that its nodes need do not
            exist.
    """
    encoders = [node.name for node in encode_nodes(graph)]
    beside = {node.name for node in encode_nodes(graph) if is_beside(node)}
    if not encoders and any(video.named for video in files.videos):
        raise OutputError(
            f"{files.videos[0].target}: graph {graph.name!r} has no encoder, so nothing gets that"
            " name; give a folder for what its other sinks make"
        )
    # What cannot be signed with is said before the work.
    credentials = credentials_of(options.sign_cert, options.sign_key, options.sign_tsa)
    threads = options.threads or usable_cores()
    nodes = prepared(graph)
    earlier, contents = read_videos(files.report), content_ids(nodes)
    endings = side_endings(graph)
    videos: list[PlannedVideo] = []
    for given in files.videos:
        video = given.for_encoders(encoders, beside)
        try:
            check_location(video)
            plan = plan_video(video, graph, threads=threads, options=options, contents=contents)
            check_names(plan.video, endings)
            videos.append(plan_finished(plan, earlier, overwrite=overwrite, resume=resume))
        except FAILURES as error:
            what = f"looking at {video.source}"
            videos.append(PlannedVideo(video, error=explained(error, what)))
    of_job = frozenset(output for video in videos for output in video.files.outputs)
    videos = [replace(video, of_job=of_job) for video in videos]
    conflict = _conflict(videos, endings, overwrite=overwrite)
    return JobPlan(graph, nodes, options, files, threads, tuple(videos), conflict, credentials)


def plan_finished(
    plan: VideoPlan, earlier: Mapping[str, VideoReport], *, overwrite: bool, resume: bool
) -> PlannedVideo:
    """Find the results of earlier runs for a video.

    Args:
        plan: the video.
        earlier: the videos of an earlier run's report, by source.
        overwrite: replace outputs that exist.
        resume: use what an earlier run of the same job finished.
    """
    done, reason = finished_segments(plan) if resume else ({}, None)
    known = earlier.get(redacted(plan.video.source))
    keeps = resume and not overwrite
    return PlannedVideo(
        files=plan.video,
        plan=plan,
        done=done,
        redo_reason=reason,
        earlier=known,
        changed=changes(plan, known),
        finished=finished_report(plan, earlier) if keeps else None,
        may_replace=overwrite or (resume and own_record(plan) is not None),
    )


def _conflict(
    videos: Sequence[PlannedVideo], endings: Sequence[str], *, overwrite: bool
) -> OutputError | None:
    due = [video for video in videos if video.plan is not None and video.finished is None]
    own = frozenset(video.files for video in due if video.may_replace)
    try:
        check_outputs(
            [video.files for video in due],
            endings=endings,
            overwrite=overwrite,
            own=own,
            sources=[video.files.source for video in videos],
            former={video.files: video.former_files() for video in due},
        )
    except OutputError as error:
        return error
    return None


def _machines(options: RunOptions, threads: int) -> list[Machine]:
    if options.address is not None:
        from pipeline.cluster.session import free_machines

        return free_machines(options.address)
    return [Machine("this machine", cpus=threads, gpus=gpu_count())]
