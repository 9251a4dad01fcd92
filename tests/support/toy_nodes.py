"""Tiny nodes for tests of the dataflow: real contract, no video."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from nodes.node import (
    Inputs,
    MapNode,
    NodeConfig,
    NodeSpec,
    Outputs,
    PoolNode,
    Port,
    Reader,
    Segment,
    SinkNode,
    SourceNode,
    State,
)
from nodes.types import ColorTags, VideoInfo
from pipeline.graph.graph import Edge, Graph, GraphNode

INFO = VideoInfo(
    width_px=2,
    height_px=2,
    pix_fmt="gray",
    time_base=Fraction(1, 25),
    average_rate=Fraction(25),
    sample_aspect_ratio=Fraction(1),
    rotation_deg=0,
    color=ColorTags(),
    codec_name="rawvideo",
    bit_depth=8,
)


@dataclass(frozen=True, slots=True)
class Number:
    pts: int
    value: int


class Stuck(int):
    """A number that cannot travel between processes."""

    def __reduce__(self) -> str:
        raise TypeError("cannot travel")


class CountConfig(NodeConfig):
    frames: int = 10
    fail_at: int | None = None
    pid_file: Path | None = None
    die_on: str | None = None
    stuck_at: int | None = None


class Count(SourceNode[CountConfig]):
    """Sends 0, 1, 2, ..."""

    spec = NodeSpec("toy.count", "counts", outputs=(Port("numbers", Number),))
    Config = CountConfig

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        self.sent = 0
        self.first_pts, self.end_pts = segment.first_pts, segment.end_pts
        if segment.input == self.config.die_on:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.config.pid_file and not self.config.pid_file.exists():
            self.config.pid_file.write_text(str(os.getpid()), encoding="utf-8")
        return INFO

    def packets(self) -> Iterator[Outputs]:
        for i in range(self.config.frames):
            if i == self.config.fail_at:
                raise ValueError("source broke")
            if self.first_pts is not None and i * 3 < self.first_pts:
                continue
            if self.end_pts is not None and i * 3 >= self.end_pts:
                return
            self.sent += 1
            yield {"numbers": Number(i * 3, Stuck(i) if i == self.config.stuck_at else i)}


class AddConfig(NodeConfig):
    amount: int = 1
    delay_s: float = 0.0
    fail_at: int | None = None
    pts_shift: int = 0


class Add(MapNode[AddConfig]):
    """Adds a constant."""

    spec = NodeSpec("toy.add", "adds", inputs=(Port("in", Number),), outputs=(Port("out", Number),))
    Config = AddConfig

    def process(self, inputs: Inputs) -> Outputs:
        number = inputs.get("in", Number)
        if number.value == self.config.fail_at:
            raise ValueError("map broke")
        time.sleep(self.config.delay_s)
        pts = number.pts + self.config.pts_shift
        return {"out": Number(pts, number.value + self.config.amount)}


class RecallConfig(NodeConfig):
    pass


class Recall(MapNode[RecallConfig]):
    """Adds up the last four numbers it saw, and remembers nothing else."""

    spec = NodeSpec(
        "toy.recall",
        "recalls",
        inputs=(Port("in", Number),),
        outputs=(Port("out", Number),),
        state=State.BOUNDED,
        warmup_s=9 / 25,
    )
    Config = RecallConfig

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        self.seen: list[int] = []
        self.count = 0
        return INFO

    def process(self, inputs: Inputs) -> Outputs:
        number = inputs.get("in", Number)
        self.count += 1
        self.seen = [*self.seen, number.value][-4:]
        return {"out": Number(number.pts, sum(self.seen))}

    def report(self) -> dict[str, Any]:
        return {"last": self.seen, "count": self.count}


class DoubleConfig(NodeConfig):
    max_batch: int = 4
    fail_at: int | None = None
    delay_s: float = 0.0
    pid_file: Path | None = None
    bytes_each: int = 0
    die_in_setup: bool = False
    fail_in_setup: bool = False
    file: str | None = None


class Double(PoolNode[DoubleConfig]):
    """Doubles even numbers (work) and passes odd ones on (no work)."""

    spec = NodeSpec(
        "toy.double",
        "doubles",
        inputs=(Port("in", Number),),
        outputs=(Port("out", Number),),
        gpu=True,
    )
    Config = DoubleConfig

    def prepare(self, read: Reader) -> None:
        self.content = read(self.config.file) if self.config.file else b""

    def setup(self, threads: int) -> None:
        if self.content is None:
            raise ValueError("no such file")
        if self.config.die_in_setup:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.config.fail_in_setup:
            raise ValueError("no such weights")

    @property
    def max_batch(self) -> int:
        return self.config.max_batch

    def weight(self, inputs: Inputs) -> int:
        return 1 - inputs.get("in", Number).value % 2

    def travel_bytes(self, inputs: Inputs) -> int:
        return self.config.bytes_each

    def process_batch(self, batch: Sequence[Inputs]) -> list[Outputs]:
        time.sleep(self.config.delay_s)
        if self.config.pid_file and not self.config.pid_file.exists():
            self.config.pid_file.write_text(str(os.getpid()), encoding="utf-8")
        numbers = [inputs.get("in", Number) for inputs in batch]
        if any(n.value == self.config.fail_at for n in numbers):
            raise ValueError("pool broke")
        return [{"out": Number(n.pts, n.value * (2 if n.value % 2 == 0 else 1))} for n in numbers]


class SumConfig(NodeConfig):
    fail_in_finish: bool = False


class Sum(SinkNode[SumConfig]):
    """Joins two streams and writes what it got."""

    spec = NodeSpec("toy.sum", "sums", inputs=(Port("a", Number), Port("b", Number)))
    Config = SumConfig

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        self.rows: list[tuple[int, int, int]] = []
        self.began_s = time.time()
        self.path: Path = segment.work_dir / "sum.txt"
        return inputs["a"]

    def process(self, inputs: Inputs) -> None:
        a, b = inputs.get("a", Number), inputs.get("b", Number)
        self.rows.append((inputs.pts, a.value, b.value))

    def finish(self) -> None:
        if self.config.fail_in_finish:
            raise OSError("disk full")
        self.path.write_text(str(self.rows), encoding="utf-8")
        self.ended_s = time.time()

    def report(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "pid": os.getpid(),
            "began_s": self.began_s,
            "ended_s": self.ended_s,
        }


def diamond(
    count: CountConfig | None = None,
    add: AddConfig | None = None,
    double: DoubleConfig | None = None,
    total: SumConfig | None = None,
) -> Graph:
    """count -> add -> sum.a and count -> double (pool) -> sum.b: a fork and a join."""
    return Graph(
        "diamond",
        (
            GraphNode("count", Count, count or CountConfig(), {}),
            GraphNode("add", Add, add or AddConfig(), {"in": Edge("count", "numbers")}),
            GraphNode("double", Double, double or DoubleConfig(), {"in": Edge("count", "numbers")}),
            GraphNode(
                "sum",
                Sum,
                total or SumConfig(),
                {"a": Edge("add", "out"), "b": Edge("double", "out")},
            ),
        ),
        {},
    )


def before_pool(count: CountConfig | None = None) -> Graph:
    """count -> add -> double (pool) -> sum.b, and count -> sum.a."""
    plain = diamond(count)
    source, add, double, total = plain.nodes
    return replace(
        plain,
        nodes=(
            source,
            add,
            replace(double, inputs={"in": Edge("add", "out")}),
            replace(total, inputs={"a": Edge("count", "numbers"), "b": Edge("double", "out")}),
        ),
    )


def remembering(count: CountConfig | None = None, double: DoubleConfig | None = None) -> Graph:
    """count -> recall (bounded) -> double (pool) -> sum.b, and count -> sum.a."""
    return Graph(
        "remembering",
        (
            GraphNode("count", Count, count or CountConfig(), {}),
            GraphNode("recall", Recall, RecallConfig(), {"in": Edge("count", "numbers")}),
            GraphNode("double", Double, double or DoubleConfig(), {"in": Edge("recall", "out")}),
            GraphNode(
                "sum",
                Sum,
                SumConfig(),
                {"a": Edge("count", "numbers"), "b": Edge("double", "out")},
            ),
        ),
        {},
    )


def recalling(count: CountConfig | None = None) -> Graph:
    """count -> double (pool) -> recall (bounded) -> sum.b, and count -> sum.a."""
    return Graph(
        "recalling",
        (
            GraphNode("count", Count, count or CountConfig(), {}),
            GraphNode("double", Double, DoubleConfig(), {"in": Edge("count", "numbers")}),
            GraphNode("recall", Recall, RecallConfig(), {"in": Edge("double", "out")}),
            GraphNode(
                "sum",
                Sum,
                SumConfig(),
                {"a": Edge("count", "numbers"), "b": Edge("recall", "out")},
            ),
        ),
        {},
    )


def recalling_twice(count: CountConfig | None = None) -> Graph:
    """count -> recall (bounded) -> recall (bounded) -> sum.b, and count -> sum.a."""
    return Graph(
        "recalling twice",
        (
            GraphNode("count", Count, count or CountConfig(), {}),
            GraphNode("first", Recall, RecallConfig(), {"in": Edge("count", "numbers")}),
            GraphNode("second", Recall, RecallConfig(), {"in": Edge("first", "out")}),
            GraphNode(
                "sum",
                Sum,
                SumConfig(),
                {"a": Edge("count", "numbers"), "b": Edge("second", "out")},
            ),
        ),
        {},
    )


def expected_rows(frames: int) -> list[tuple[int, int, int]]:
    """What `diamond` with defaults must write."""
    return [(i * 3, i + 1, i * 2 if i % 2 == 0 else i) for i in range(frames)]
