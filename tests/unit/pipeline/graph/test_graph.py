"""Graphs: what a valid one becomes, and the message each invalid one gets."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodes.errors import NodeConfigError
from pipeline.errors import GraphError
from pipeline.graph import build as build_module
from pipeline.graph.build import build_graph
from pipeline.graph.graph import Edge, Graph
from pipeline.graph.reading import read_graph_spec
from pipeline.graph.spec import GraphSpec
from tests.support import toy_nodes

TOYS = {
    "toy.count": toy_nodes.Count,
    "toy.add": toy_nodes.Add,
    "toy.double": toy_nodes.Double,
    "toy.sum": toy_nodes.Sum,
}
GOOD = """
name: toy
params: {amount: 2}
nodes:
  sum: {type: toy.sum, inputs: {a: add.out, b: double.out}}
  double: {type: toy.double, inputs: {in: count.numbers}}
  add: {type: toy.add, inputs: {in: count.numbers}, config: {amount: $amount}}
  count: {type: toy.count}
"""


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        if name not in TOYS:
            raise NodeConfigError(f"unknown node type {name!r}")
        return TOYS[name]

    monkeypatch.setattr(build_module, "find_node", find)


def build(text: str = GOOD, **changes: Any) -> Graph:
    return build_graph(GraphSpec.model_validate(yaml.safe_load(text)), **changes)


def test_nodes_come_after_those_that_feed_them() -> None:
    names = [node.name for node in build().nodes]
    assert names[0] == "count"
    assert names[-1] == "sum"


def test_parameters_reach_the_nodes_and_can_be_replaced() -> None:
    def amount(graph: Graph) -> Any:
        return graph.resolved()["nodes"]["add"]["config"]["amount"]

    assert amount(build()) == 2
    assert amount(build(params={"amount": 5})) == 5
    assert amount(build(params={"amount": 5}, overrides={"add": {"amount": 7}})) == 7


def test_the_resolved_graph_holds_every_default() -> None:
    config = build().resolved()["nodes"]["count"]["config"]
    assert config == toy_nodes.CountConfig().model_dump(mode="json")


def test_describe_names_every_node_edge_and_changed_setting() -> None:
    text = build().describe()
    for part in ("count", "toy.double, pool", "<- a: Number  from add.out", "amount=2"):
        assert part in text
    assert "-> numbers: Number  to " in text


def test_a_node_is_there_only_when_its_parameter_is_true() -> None:
    text = GOOD.replace("params: {", "params: {more: false, ")
    text += "  extra: {type: toy.double, when: $more, inputs: {in: count.numbers}}\n"
    assert "extra" not in {node.name for node in build(text).nodes}
    assert "extra" in {node.name for node in build(text, params={"more": True}).nodes}
    assert "extra" not in build(text).resolved()["nodes"]
    with pytest.raises(GraphError, match=r"when \(\$[a-z_]+\) is"):
        build(text, params={"more": 1})
    needs = text.replace("b: double.out", "b: extra.out")
    with pytest.raises(GraphError, match=r"input sum\.b \(.*\) is not connected"):
        build(needs)
    assert build(needs, params={"more": True}).nodes[-1].inputs["b"].node == "extra"


def test_a_graph_pickles() -> None:
    assert pickle.loads(pickle.dumps(build())).resolved() == build().resolved()  # noqa: S301


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("toy.sum", "toy.sun"), "node 'sum': unknown node type 'toy.sun'"),
        (("b: double.out", "c: double.out"), "has no input 'c'"),
        ((", b: double.out", ""), "input sum.b (Number) is not connected"),
        (("add.out", "ad.out"), "no such node: did you mean 'add'?"),
        (("add.out", "add.outt"), "node 'add' has no output 'outt': did you mean 'out'?"),
        (("a: add.out", "a: add"), "expected 'node.port'"),
        (("in: count.numbers}, config", "in: sum.x}, config"), "goes in a circle"),
        (("$amount", "$amout"), "unknown parameter '$amout': did you mean 'amount'?"),
        (("amount: $amount", "amont: 1"), "amont: unknown key"),
        (("amount: $amount", "amount: many"), "amount: expected a whole number"),
    ],
)
def test_a_mistake_gets_a_message_that_names_it(change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(GraphError) as caught:
        build(GOOD.replace(*change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_parameters_and_nodes_of_the_caller_are_errors() -> None:
    with pytest.raises(GraphError, match="no parameter 'amout': did you mean 'amount'"):
        build(params={"amout": 1})
    with pytest.raises(GraphError, match="no node 'ad': did you mean 'add'"):
        build(overrides={"ad": {"amount": 1}})


def test_ports_of_different_types_do_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    class Words(toy_nodes.Count):
        spec = toy_nodes.NodeSpec(
            "toy.words", "says", outputs=(toy_nodes.Port("numbers", toy_nodes.NodeSpec),)
        )

    monkeypatch.setitem(TOYS, "toy.count", Words)
    with pytest.raises(GraphError, match=r"count.numbers sends NodeSpec, but \w+.in takes Number"):
        build()


def test_a_graph_needs_one_source_and_a_sink() -> None:
    with pytest.raises(GraphError, match="2 source nodes"):
        build(GOOD + "  other: {type: toy.count}\n")
    with pytest.raises(GraphError, match="no sink"):
        build("name: x\nnodes: {count: {type: toy.count}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("name: x", "nodes: is missing"),
        ("[]", "holds a list, expected a mapping"),
    ],
)
def test_a_bad_file_gets_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        read_graph_spec(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="No such file"):
        read_graph_spec(tmp_path / "none.yaml")


def test_edges_are_values() -> None:
    assert Edge("a", "b") == Edge("a", "b")


def test_memory_adds_up_along_a_path_and_warms_only_what_feeds_it() -> None:
    graph = toy_nodes.remembering()
    assert graph.warmup_s(toy_nodes.INFO) == pytest.approx(9 / 25)
    assert graph.warmups_s(toy_nodes.INFO).keys() == {"count", "recall"}
    assert graph.ends_of({"count", "recall"}) == {"recall"}
    assert toy_nodes.diamond().warmups_s(toy_nodes.INFO) == {}
    assert toy_nodes.diamond().warmup_s(toy_nodes.INFO) == 0
