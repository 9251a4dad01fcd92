"""What a node answers is checked after every call, and every error names its node."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from nodes.errors import MediaError
from nodes.node import Inputs, Node, NodeConfig, NodeSpec, Outputs, Port, Segment, SourceNode
from nodes.types import VideoInfo
from pipeline.errors import NodeFailedError, RunFailedError, exit_code
from pipeline.graph.graph import Edge, Graph, GraphNode
from pipeline.graph.naming import with_name
from pipeline.graph.prepare import prepared
from pipeline.run.executor import SegmentExecutor
from tests.support.toy_nodes import (
    INFO,
    Add,
    AddConfig,
    Count,
    CountConfig,
    Number,
    Sum,
    SumConfig,
    diamond,
)


class Wrong(Add):
    """Answers what a test gives it."""

    spec = NodeSpec(
        "acme.wrong", "wrong", inputs=(Port("in", Number),), outputs=(Port("out", Number),)
    )
    answer: Any = None
    info: Any = INFO
    reported: Any = {}  # noqa: RUF012 - a test sets it for a while
    closing: BaseException | None = None

    def open(self, segment: Segment, inputs: Any) -> VideoInfo:
        super().open(segment, inputs)
        return self.info

    def process(self, inputs: Inputs) -> Outputs:
        answer = self.answer
        if isinstance(answer, BaseException):
            raise answer
        return super().process(inputs) if answer is None else answer

    def close(self) -> None:
        super().close()
        if self.closing is not None:
            raise self.closing

    def report(self) -> Any:
        return self.reported


class Backwards(Count):
    spec = NodeSpec("acme.back", "counts back", outputs=(Port("numbers", Number),))

    def packets(self) -> Any:
        yield from reversed([*super().packets()])


def run(tmp_path: Path, node: type[Node[NodeConfig]] = Wrong, source: type[Count] = Count) -> None:
    graph = Graph(
        "g",
        (
            GraphNode("count", source, CountConfig(frames=4), {}),
            GraphNode("fx", node, AddConfig(), {"in": Edge("count", "numbers")}),
            GraphNode(
                "sum", Sum, SumConfig(), {"a": Edge("fx", "out"), "b": Edge("count", "numbers")}
            ),
        ),
        {},
    )
    executor = SegmentExecutor(graph, prepared(graph), {}, threads=1, window_frames=4)
    executor.run(Segment("v", tmp_path, 1), lambda _: None)


NAMED = r"^node 'fx' \(acme\.wrong\): "


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (5, "returned a int, expected a packet for each of its ports"),
        ({}, "sent nothing on port 'out'"),
        ({"out": "text"}, "sent a str on port 'out', expected a Number"),
        ({"out": Number(77, 1)}, "sent pts 77 on port 'out', expected the frame's, 0"),
        ({"out": Number(0, 1), "more": Number(0, 1)}, "ports that it does not have: more"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_a_wrong_answer_names_node_and_port(
    answer: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wrong, "answer", answer)
    with pytest.raises(NodeFailedError, match=NAMED) as caught:
        run(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("info", None, "open returned a NoneType, expected the VideoInfo"),
        ("reported", [1], "report returned a list"),
        ("reported", {(1, 2): 3}, "TypeError: keys must be"),
        ("reported", {"warnings": "text"}, "report has warnings='text', expected a list of texts"),
        ("reported", {"warnings": None}, "report has warnings=None"),
        ("reported", {"warnings": [{}]}, "expected a list of texts"),
        ("reported", {"left_alone": 3}, "expected counts by reasons in words"),
        ("reported", {"left_alone": {"dark": "often"}}, "expected counts"),
        ("reported", {"generative_faces": "many"}, "expected a count"),
        ("reported", {"generative_faces": -1}, "expected a count"),
        ("closing", RuntimeError("stuck"), "RuntimeError: stuck"),
    ],
)
def test_open_close_and_report_are_checked_too(
    name: str, value: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wrong, name, value)
    with pytest.raises(NodeFailedError, match=NAMED) as caught:
        run(tmp_path)
    assert message in str(caught.value)


def test_a_node_that_cannot_close_keeps_no_other_from_closing_nor_hides_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Count, "close", lambda _: closed.append("count"))
    monkeypatch.setattr(Wrong, "closing", RuntimeError("stuck"))
    monkeypatch.setattr(Wrong, "answer", ValueError("the first"))
    with pytest.raises(NodeFailedError, match="the first"):
        run(tmp_path)
    assert closed == ["count"]


def test_a_source_sends_increasing_times(tmp_path: Path) -> None:
    with pytest.raises(NodeFailedError, match=r"^node .count. \(acme\.back\): sent pts \d+ after"):
        run(tmp_path, Add, Backwards)


def test_a_node_that_keeps_its_contract_passes(tmp_path: Path) -> None:
    run(tmp_path)
    assert issubclass(Backwards, SourceNode)


def test_errors_of_this_project_keep_class_and_exit_code_and_travel() -> None:
    entry = diamond().nodes[0]
    for error in (MediaError("v.mp4: damaged"), RunFailedError("x")):
        code = exit_code(error)
        named = with_name(entry, with_name(entry, error))
        twin = pickle.loads(pickle.dumps(named))  # noqa: S301
        assert type(twin) is type(error)
        assert str(twin) == f"node 'count' (toy.count): {error.args[0]}"
        assert exit_code(twin) == code


def test_any_other_error_travels_with_its_traceback() -> None:
    class Local(Exception):  # noqa: N818 - cannot be pickled
        pass

    try:
        raise Local("one\ntwo")
    except Local as error:
        named = with_name(diamond().nodes[0], error)
    twin = pickle.loads(pickle.dumps(named))  # noqa: S301
    assert isinstance(twin, NodeFailedError)
    assert str(twin) == "node 'count' (toy.count): Local: one"
    assert twin.node == "count"
    assert "raise Local" in twin.trace


def test_an_interrupt_stays_one() -> None:
    stop = KeyboardInterrupt()
    assert with_name(diamond().nodes[0], stop) is stop
