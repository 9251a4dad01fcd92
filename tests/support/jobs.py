"""Small jobs without faces, decode to encode, and nodes that fail when they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from upath import UPath

from nodes.decode import Decode, DecodeConfig
from nodes.encode import Encode, EncodeConfig
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.types import Frame, VideoInfo
from pipeline.config import RunOptions
from pipeline.graph.graph import Edge, Graph, GraphNode
from pipeline.graph.prepare import prepared
from pipeline.job.files import VideoFiles
from pipeline.job.video_plan import VideoPlan, plan_video
from pipeline.run.contract import Progress
from pipeline.run.local import LocalRunner
from pipeline.run.task import Task, TaskOutcome
from pipeline.segments.identity import content_ids
from tests.support.media import AudioTrack, Video

__all__ = [
    "THREE_SEGMENTS",
    "Fail",
    "FailConfig",
    "LosingEncode",
    "OverrunningDecode",
    "copy_graph",
    "plan_copy",
    "run_tasks",
]

THREE_SEGMENTS = Video(frames=30, gop_frames=10, audio=(AudioTrack(duration_s=1.2),))
"""A keyframe every 0.4 s, 40 ms a frame: as `.mkv`, its segments begin at 0, 400 and 800 ms."""


class FailConfig(NodeConfig):
    """When the node fails."""

    at_pts: int | None = None
    until: Path | None = None
    """Fails no more once this file is there."""


class Fail(MapNode[FailConfig]):
    """Hands frames on, and fails at one of them."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        "toy.fail", "fails", (Port("frames", Frame),), (Port("frames", Frame),)
    )
    Config = FailConfig

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        return inputs["frames"]

    def process(self, inputs: Inputs) -> Outputs:
        mended = self.config.until is not None and self.config.until.exists()
        if inputs.pts == self.config.at_pts and not mended:
            raise ValueError("the node broke")
        return {"frames": inputs.get("frames", Frame)}


class LosingEncode(Encode):
    """Encodes all frames but the first."""

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        self._lost = False
        return super().open(segment, inputs)

    def process(self, inputs: Inputs) -> None:
        if self._lost:
            super().process(inputs)
        self._lost = True


class OverrunningDecode(Decode):
    """Decodes to the end of the video, wherever the segment ends."""

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        return super().open(replace(segment, end_pts=None), inputs)


def copy_graph(
    encode: EncodeConfig | None = None,
    *,
    fail: FailConfig | None = None,
    decoder: type[Decode] = Decode,
    encoder: type[Encode] = Encode,
) -> Graph:
    """Return decode -> fail -> encode; lossless unless `encode` says otherwise."""
    return Graph(
        "copy",
        (
            GraphNode("decode", decoder, DecodeConfig(), {}),
            GraphNode("fail", Fail, fail or FailConfig(), {"frames": Edge("decode", "frames")}),
            GraphNode(
                "encode",
                encoder,
                encode or EncodeConfig(codec="ffv1"),
                {"frames": Edge("fail", "frames")},
            ),
        ),
        {},
    )


def plan_copy(source: Path, target: Path, graph: Graph, *, segment_s: float = 0.4) -> VideoPlan:
    """Plan a video as a job would."""
    return plan_video(
        VideoFiles(str(source), UPath(target), named=True),
        graph,
        threads=1,
        options=RunOptions(segment_s=segment_s),
        contents=content_ids(prepared(graph)),
    )


def run_tasks(
    graph: Graph, tasks: Sequence[Task], seen: list[Progress] | None = None
) -> list[TaskOutcome]:
    """Run tasks one after another in this process."""
    with LocalRunner(graph, prepared(graph), RunOptions(), threads=1) as runner:
        return list(runner.run(tasks, lambda _, at: seen.append(at) if seen is not None else None))
