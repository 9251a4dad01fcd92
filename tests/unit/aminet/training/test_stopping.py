"""Runs that stop themselves, and steps that change nothing."""

import math

import pytest
import torch

from aminet.data.batches import TrainingBatches, to_device
from aminet.data.pictures import list_pictures
from aminet.errors import DivergedError
from aminet.training.config import TrainConfig
from aminet.training.step import TrainStep, new_state
from aminet.training.train import train, validation_due

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and sheets take longer than the steps here."""
    for name in ("draw_curves", "draw_sheet"):
        monkeypatch.setattr(f"aminet.training.train.{name}", lambda *_: None)


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(config: TrainConfig) -> None:
    batch = TrainingBatches(list_pictures(config.data.train), config.batch_plan())[0]
    state = new_state(config, CPU)
    train_step = TrainStep(state, config)
    patches = to_device(batch, CPU)
    train_step(patches)
    before = {k: v.clone() for k, v in state.network.state_dict().items()}
    poison = torch.full_like(patches.lq_BCHW, math.inf)
    figures = train_step(patches._replace(lq_BCHW=poison))
    assert not math.isfinite(figures["norm"])
    after = state.network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert math.isfinite(train_step(patches)["norm"])
    assert any(not torch.equal(before[k], after[k]) for k in before)


def test_a_run_that_learns_nothing_any_more_ends(
    config: TrainConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.float32) / 0

    monkeypatch.setattr("aminet.data.batches._unit", poisoned)
    with pytest.raises(DivergedError, match=r"no gradient since step 1 was finite") as caught:
        train(config)
    assert caught.value.step == 3
    assert caplog.text.count("not finite; no weight changed") == 3


def _worse_than_bicubic(trials: object, restore: object) -> dict[str, float]:
    return {"x4": 20.0, "x4_gain": -0.2, "x8": 18.0, "x8_gain": -2.0}


def test_a_run_that_stays_below_bicubic_ends_early(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aminet.training.train.score", _worse_than_bicubic)
    config = config.model_copy(update={"validate_every": 16})
    with pytest.raises(
        DivergedError, match=r"at step 16 every trial is below bicubic \(the best by 0\.20 dB\)"
    ) as caught:
        train(config)
    # Looked at after 2, 4, 8 and 16 steps, of which 4 are the warm-up.
    assert caught.value.step == 16


@pytest.mark.parametrize("gains", [[-1.0, 0.1, -1.0, -0.05, -1.0], [0.1, 0.1, -1.0, 0.1, -1.0]])
def test_a_run_that_gains_now_and_then_goes_on(
    gains: list[float], config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(gains)
    monkeypatch.setattr(
        "aminet.training.train.score", lambda *_: {"x4_gain": next(left), "x8_gain": -5.0}
    )
    config = config.model_copy(update={"validate_every": 16})
    assert train(config)[0].steps == 20
    assert next(left, None) is None


def test_scores_that_are_no_numbers_are_no_gain(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aminet.training.train.score", lambda *_: {"x4_gain": math.nan})
    with pytest.raises(DivergedError, match="every trial is below bicubic"):
        train(config.model_copy(update={"validate_every": 5}))


def test_validations_are_dense_at_first() -> None:
    due = [step for step in range(1, 3001) if validation_due(step, 1000)]
    assert due == [125, 250, 500, 1000, 2000, 3000]
    assert [step for step in range(1, 5) if validation_due(step, 1)] == [1, 2, 3, 4]
