"""Dynamic batching."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.node import Inputs
from pipeline.errors import NodeFailedError
from pipeline.run.batcher import Batcher
from tests.support.toy_nodes import Double, DoubleConfig, Number


def inputs(*values: int) -> list[Inputs]:
    return [Inputs({"in": Number(value, value)}) for value in values]


def test_answers_come_in_the_order_of_each_block() -> None:
    batcher = Batcher(Double(DoubleConfig()), max_wait_s=0.05)
    answers = [batcher.submit(inputs(2, 4, 5)), batcher.submit(inputs(6))]
    values = [[out["out"] for out in answer.result(5)] for answer in answers]
    assert values == [[Number(2, 4), Number(4, 8), Number(5, 5)], [Number(6, 12)]]
    batcher.close()


def test_blocks_that_wait_together_share_a_batch_up_to_its_size() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=4, delay_s=0.05)), max_wait_s=0.2)
    first = batcher.submit(inputs(*[2] * 4))
    rest = [batcher.submit(inputs(2)) for _ in range(8)]
    for answer in (first, *rest):
        answer.result(5)
    batcher.close()
    assert batcher.stats.batches == {4: 3}
    assert batcher.stats.faces == 12


def test_a_lone_block_does_not_wait_for_a_full_batch() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=1000)), max_wait_s=0.01)
    assert batcher.submit(inputs(2)).result(timeout=2)[0]["out"] == Number(2, 4)
    batcher.close()


def test_an_error_reaches_only_the_block_that_causes_it() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=100, fail_at=6)), max_wait_s=0.1)
    good, bad, also_good = (batcher.submit(inputs(v)) for v in (2, 6, 4))
    assert good.result(5)[0]["out"] == Number(2, 4)
    assert also_good.result(5)[0]["out"] == Number(4, 8)
    with pytest.raises(ValueError, match="pool broke"):
        bad.result(5)
    batcher.close()


def test_closing_finishes_what_was_handed_in() -> None:
    batcher = Batcher(Double(DoubleConfig(delay_s=0.02)), max_wait_s=0.0)
    answers = [batcher.submit(inputs(2)) for _ in range(5)]
    batcher.close()
    assert all(answer.done() for answer in answers)


class Heavy(Double):
    """A frame is as much work as its number."""

    def weight(self, inputs: Inputs) -> int:
        return inputs.get("in", Number).value


def test_a_frame_that_does_not_fit_waits_for_the_next_batch() -> None:
    batcher = Batcher(Heavy(DoubleConfig(max_batch=5)), max_wait_s=0.2)
    answers = batcher.submit(inputs(3, 3, 2, 9)).result(5)
    assert [answer["out"] for answer in answers] == [
        Number(3, 3),
        Number(3, 3),
        Number(2, 4),
        Number(9, 9),  # more than a batch by itself
    ]
    batcher.close()
    assert batcher.stats.batches == {3: 1, 5: 1, 9: 1}


def test_a_batch_is_never_larger_than_the_node_wants() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=4, delay_s=0.02)), max_wait_s=0.2)
    answers = [batcher.submit(inputs(*[2] * 6)) for _ in range(2)]
    for answer in answers:
        assert [out["out"] for out in answer.result(5)] == [Number(2, 4)] * 6
    batcher.close()
    assert batcher.stats.batches == {4: 3}


def test_callers_share_batches() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=4)), max_wait_s=0.2)
    for answer in [batcher.submit(inputs(2, 4), caller=caller) for caller in "ab"]:
        answer.result(5)
    batcher.close()
    assert (batcher.stats.batches, batcher.stats.mixed) == ({4: 1}, 1)


def test_what_must_go_alone_shares_no_batch() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=8, delay_s=0.05)), max_wait_s=0.2)
    answers = [
        batcher.submit(inputs(2, 2)),
        batcher.submit(inputs(4, 4, 4), alone=True),
        batcher.submit(inputs(6)),
    ]
    for answer in answers:
        answer.result(5)
    batcher.close()
    assert batcher.stats.batches == {2: 1, 3: 1, 1: 1}
    assert batcher.stats.mixed == 0


def test_waiting_and_busy_times_are_told() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=1, delay_s=0.1)), max_wait_s=0)
    for answer in [batcher.submit(inputs(2)) for _ in range(4)]:
        answer.result(5)
    batcher.close()
    report = batcher.stats.as_report()
    assert report["faces"] == 4
    assert report["batch_sizes"] == {"1": 4}
    # The first waits for nobody, the last for three others.
    waits = report["queue_wait_ms"]
    assert waits["p50"] < waits["max"]
    assert waits["max"] >= 300
    assert report["busy_s"] >= 0.4
    assert 0.5 < report["busy_share"] <= 1


def test_nothing_done_is_told_as_nothing() -> None:
    batcher = Batcher(Double(DoubleConfig()), max_wait_s=0)
    assert batcher.submit([]).result(5) == []
    batcher.close()
    report = Batcher(Double(DoubleConfig()), max_wait_s=0).stats.as_report()
    assert (report["faces"], report["busy_share"], report["queue_wait_ms"]["max"]) == (0, 0.0, 0)


def test_each_block_is_told_its_share_of_the_work() -> None:
    batcher = Batcher(Double(DoubleConfig(max_batch=4, delay_s=0.2)), max_wait_s=0.1)
    shares: dict[str, list[float]] = {"three": [], "one": [], "idle": []}
    answers = [
        batcher.submit(block, spent=shares[name].append)
        for name, block in (
            ("three", inputs(2, 4, 6)),
            ("idle", inputs(3)),
            ("one", inputs(8)),
        )
    ]
    for answer in answers:
        answer.result(5)
    batcher.close()
    total_s = {name: sum(parts) for name, parts in shares.items()}
    assert sum(total_s.values()) == pytest.approx(batcher.stats.busy_s)
    assert total_s["three"] == pytest.approx(3 * total_s["one"], rel=0.05)
    assert total_s["idle"] == 0


class Wrong(Double):
    """Answers what a test gives it, or raises it."""

    answer: Any = None

    def process_batch(self, batch: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        ([], "returned 0 outputs, expected one for each of 1 frames"),
        ([{}, {}], "returned 2 outputs"),
        (None, "NoneType"),
    ],
)
def test_a_node_that_leaves_or_answers_wrongly_leaves_nobody_waiting(
    answer: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wrong, "answer", answer)
    batcher = Batcher(Wrong(DoubleConfig()), max_wait_s=0)
    for _ in range(2):
        with pytest.raises((NodeFailedError, TypeError), match=message):
            batcher.submit(inputs(2)).result(5)
    batcher.close()


def test_an_answer_of_nothing_is_handed_on() -> None:
    """The executor says what is wrong with it."""
    Wrong.answer = [None]
    batcher = Batcher(Wrong(DoubleConfig()), max_wait_s=0)
    assert batcher.submit(inputs(2)).result(5) == [None]
    batcher.close()
