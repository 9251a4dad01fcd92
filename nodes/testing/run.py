"""Taking a node through a short video, as a runner would."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from nodes.join import SegmentPart
from nodes.node import (
    Inputs,
    MapNode,
    Node,
    NodeConfig,
    Outputs,
    PoolNode,
    Segment,
    SinkNode,
    State,
    Timed,
)
from nodes.testing.content import content
from nodes.types import VideoInfo

__all__ = ["NodeRun"]


class NodeRun:
    """One node on one video."""

    def __init__(
        self,
        node_class: type[Node[Any]],
        config: NodeConfig,
        packets: Mapping[str, Sequence[Timed]],
        info: VideoInfo,
        infos: Mapping[str, VideoInfo] | None = None,
    ) -> None:
        """Set up the node.

        Args:
            node_class: the node.
            config: its settings.
            packets: what arrives at each of its inputs.
            info: the video as its source describes it.
            infos: for each input the video of its packets, None: `info` for all.
        """
        self._class, self._config = node_class, config
        self._packets, self._info = packets, info
        self._infos = infos or dict.fromkeys(packets, info)
        self._frames = len(next(iter(packets.values())))
        node: Node[Any] = node_class(config)
        node.prepare(_content_at)
        self._node = node
        if not isinstance(node, PoolNode) or any(map(node.weight, self._inputs(0, self._frames))):
            node.setup(1)

    def check(self) -> None:
        """Run it twice, in parts, and after an error."""
        before = content([list(packets) for packets in self._packets.values()])
        first = self._through(0, self._frames)
        after = content([list(packets) for packets in self._packets.values()])
        assert after == before, "it changed a packet that it was given: others hold it too"
        assert self._through(0, self._frames) == first, "a second run of one video gives another"
        self._half()
        assert self._through(0, self._frames) == first, "after an error it gives another result"
        may_cut = self._class.spec.state is not State.UNBOUNDED
        if may_cut and not isinstance(self._node, SinkNode):
            self._check_cut(first)
        if isinstance(self._node, SinkNode):
            self._check_join(self._node)

    def _check_cut(self, whole: list[Any]) -> None:
        cut = self._frames // 2
        parts = self._through(0, cut) + self._through(cut, self._frames)
        assert parts == whole, (
            f"cut into two segments the video gives something else from frame"
            f" {next(i for i, (a, b) in enumerate(zip(parts, whole, strict=True)) if a != b)} on:"
            " say in `spec` that the node keeps state, and in `warmup_s` how much"
        )

    def _check_join(self, node: SinkNode[Any]) -> None:
        ends = [0, self._frames // 2, self._frames] if node.can_join() else [0, self._frames]
        with tempfile.TemporaryDirectory() as folder:
            parts: list[SegmentPart] = []
            for first, end in pairwise(ends):
                own = Path(folder) / f"{first}"
                own.mkdir()
                self._through(first, end, own)
                parts.append(SegmentPart(own, end - first, {1: 1}, node.report()))
            joined = Path(folder) / "joined"
            joined.mkdir()
            for ending, file in node.join(parts, joined, self._config).items():
                assert re.fullmatch(r"\.[^/\\]+(/[^/\\]+)*", ending), f"a bad ending: {ending!r}"
                assert file.is_file(), f"join names a file {ending!r} that is not there"

    def _half(self) -> None:
        """Leave a video in its middle, as after an error in another node."""
        with tempfile.TemporaryDirectory() as folder:
            self._open(0, self._frames, Path(folder))
            self._answers(self._inputs(0, 1))
            self._node.close()
            self._node.close()

    def _through(self, first: int, end: int, folder: Path | None = None) -> list[Any]:
        """Return what the node answers from one frame to before another, as text to compare."""
        if folder is None:
            with tempfile.TemporaryDirectory() as made:
                return self._through(first, end, Path(made))
        warm = self._open(first, end, folder)
        try:
            answers = self._answers(self._inputs(warm, end))
            if isinstance(self._node, SinkNode):
                self._node.finish()
        finally:
            self._node.close()
        assert isinstance(self._node.report(), dict), "report() returns no dict"
        json.dumps(self._node.report(), default=str)
        return [content(answer) for answer in answers[first - warm :]]

    def _open(self, first: int, end: int, folder: Path) -> int:
        """Open a segment; return the first frame that the node is to see."""
        times = [packet.pts for packet in next(iter(self._packets.values()))]
        warm_s = 0.0
        if self._class.spec.state is State.BOUNDED:
            warm_s = self._node.warmup_s(self._info)
        start = times[first] - float(warm_s / self._info.time_base)
        warm = next(i for i, pts in enumerate(times) if pts >= start)
        segment = Segment(
            "video.mp4",
            folder,
            1,
            start_pts=times[first] if first else None,
            end_pts=times[end] if end < len(times) else None,
            warmup_pts=times[warm] if warm < first else None,
        )
        info: object = self._node.open(segment, self._infos)
        assert isinstance(info, VideoInfo), f"open returned a {type(info).__name__}"
        assert info.time_base == self._info.time_base, "open returned another time base"
        announced = self._node.announce(self._infos)
        assert announced == info, "open returned another video than announce, which plans use"
        return warm

    def _inputs(self, first: int, end: int) -> list[Inputs]:
        return [
            Inputs({port: packets[index] for port, packets in self._packets.items()})
            for index in range(first, end)
        ]

    def _answers(self, inputs: Sequence[Inputs]) -> list[Outputs]:
        node = self._node
        if isinstance(node, PoolNode):
            answers = node.process_batch(inputs)
            assert len(answers) == len(inputs), "process_batch answered for other frames"
        elif isinstance(node, MapNode):
            answers = [node.process(frame) for frame in inputs]
        else:
            for frame in inputs:
                cast("SinkNode[Any]", node).process(frame)
            return []
        for frame, answer in zip(inputs, answers, strict=True):
            self._check_answer(frame.pts, answer)
        return answers

    def _check_answer(self, pts: int, answer: object) -> None:
        assert isinstance(answer, Mapping), f"it answered with a {type(answer).__name__}"
        outputs = cast("Outputs", answer)
        ports = {port.name: port.type for port in self._class.spec.outputs}
        assert outputs.keys() == ports.keys(), f"it answered on {[*outputs]}, not on {[*ports]}"
        for port, packet in outputs.items():
            assert isinstance(packet, ports[port]), f"it sent a {type(packet).__name__} on {port!r}"
            assert packet.pts == pts, f"it sent pts {packet.pts} on {port!r}, not {pts}"


def _content_at(location: str) -> bytes | None:
    path = Path(location)
    return path.read_bytes() if path.is_file() else None
