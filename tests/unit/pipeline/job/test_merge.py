"""What nodes answer when the segments of a video are joined is checked, and blamed on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodes.node import NodeConfig
from pipeline.errors import NodeFailedError, RunFailedError
from pipeline.graph.graph import Edge, Graph, GraphNode
from pipeline.job.merge import join_sinks, merge_results
from pipeline.run.contract import Progress, SegmentResult
from tests.support.toy_nodes import INFO, Count, CountConfig, Sum, SumConfig


class Joined(Sum):
    """Joins and merges as a test says."""

    files: Any = None
    merged: Any = None

    @classmethod
    def join(cls, parts: Any, folder: Path, config: NodeConfig) -> Any:
        del parts, config
        (folder / "a").write_text("a", encoding="utf-8")
        return cls.files(folder) if callable(cls.files) else cls.files

    @classmethod
    def merge_reports(cls, reports: Any) -> Any:
        del reports
        return cls.merged


GRAPH = Graph(
    "g",
    (
        GraphNode("count", Count, CountConfig(), {}),
        GraphNode("sum", Joined, SumConfig(), {"a": Edge("count", "numbers")}),
    ),
    {},
)
RESULT = SegmentResult({"count": INFO}, Progress(4, 0), 1.0, {}, {"count": {}, "sum": {}})


@pytest.mark.parametrize(
    "files",
    [
        None,
        "a",
        3,
        lambda folder: [folder / "a"],
        lambda folder: {".a": str(folder / "a")},
        lambda folder: {1: folder / "a"},
        lambda folder: {None: folder / "a"},
    ],
)
def test_a_join_that_returns_no_paths_by_ending_is_named(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Joined, "files", staticmethod(files) if callable(files) else files)
    with pytest.raises(RunFailedError, match=r"^node 'sum' \(toy.sum\): join returned .*by ending"):
        join_sinks(GRAPH, [RESULT], [tmp_path / "0"], tmp_path / "made")


def test_one_that_does_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: Callable[[Path], dict[str, Path]] = lambda folder: {".a": folder / "a"}  # noqa: E731
    monkeypatch.setattr(Joined, "files", staticmethod(files))
    (file,) = join_sinks(GRAPH, [RESULT], [tmp_path / "0"], tmp_path / "made").values()
    assert file.read_text(encoding="utf-8") == "a"


@pytest.mark.parametrize("merged", [None, [{}], {"warnings": "text"}])
def test_merged_reports_are_checked(merged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Joined, "merged", merged)
    with pytest.raises(NodeFailedError, match=r"^node 'sum' \(toy.sum\): report "):
        merge_results(GRAPH, [RESULT])
