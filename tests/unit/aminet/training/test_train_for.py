"""A training that fits the time it is given."""

import json
import logging
from pathlib import Path

import pytest

from aminet.errors import DivergedError, TrainConfigError
from aminet.model_files import load_network
from aminet.training.config import TrainConfig
from aminet.training.train import LOG_FILE, validation_due
from tests.bench import train_for as module
from tests.bench.train_for import Pace, fit, measure_pace, train_for


@pytest.fixture
def mine(config: TrainConfig, tmp_path: Path) -> TrainConfig:
    """What is asked for: the file's own number of steps and folder don't count."""
    optimiser = config.optimiser.model_copy(update={"warmup_steps": 200})
    return config.model_copy(
        update={"out": tmp_path / "elsewhere" / "mine", "optimiser": optimiser}
    )


def validations(config: TrainConfig) -> int:
    total = config.total_steps
    due = {step for step in range(1, total + 1) if validation_due(step, config.validate_every)}
    return len(due | {total})


@pytest.mark.parametrize("left_s", [30.0, 300.0, 1500.0])
@pytest.mark.parametrize("pace", [Pace(0.024, 2.0), Pace(6.0, 45.0), Pace(0.5, 0.01)])
def test_steps_and_validations_fit_the_time(
    left_s: float, pace: Pace, mine: TrainConfig, tmp_path: Path
) -> None:
    if left_s < 5 * pace.validation_s:
        with pytest.raises(TrainConfigError, match=r"30 s are left, but a step takes 6\.0 s"):
            fit(mine, left_s, pace, tmp_path)
        return
    run = fit(mine, left_s, pace, tmp_path)
    spent_s = run.total_steps * pace.step_s + validations(run) * pace.validation_s
    assert spent_s <= 0.93 * left_s
    # And nothing much is left over, but where validations take the most of it.
    assert spent_s > 0.93 * left_s - pace.step_s - 4 * pace.validation_s
    assert 1 <= validations(run) <= 11
    assert run.optimiser.warmup_steps <= max(0.1 * run.total_steps, 0)
    assert run.out == tmp_path


def test_a_trial_finds_the_pace_and_leaves_the_runs_folder_alone(
    mine: TrainConfig, tmp_path: Path
) -> None:
    other = mine.model_copy(update={"out": tmp_path / "elsewhere" / "other"})
    pace = measure_pace([mine, other], tmp_path / "trial")
    assert pace.step_s > 0
    assert pace.validation_s > 0
    assert {folder.name for folder in (tmp_path / "trial").iterdir()} == {"mine", "other"}
    assert not mine.out.exists()


def test_a_training_ends_its_cosine_and_says_what_to_bring_back(
    mine: TrainConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, logger="train_for")
    # As on a slow machine: 11 steps fit.
    monkeypatch.setattr(module, "measure_pace", lambda *_: Pace(6.0, 50.0))
    files = train_for(290.0, tmp_path / "work" / "out", [mine])
    names = {file.name for file in files}
    assert {"mine.json", "mine.safetensors.0", "mine-log.jsonl", "mine-curves.png"} == names
    assert all(f"bring back {file}" in caplog.text for file in files)
    log = (tmp_path / "work" / "out" / "mine-log.jsonl").read_text()
    records = [json.loads(line) for line in log.splitlines()]
    assert records[-1]["step"] == 11
    assert [r["lr"] for r in records if "lr" in r][-1] < 0.05 * mine.optimiser.lr
    joined = tmp_path / "mine.safetensors"
    joined.write_bytes(b"".join(f.read_bytes() for f in files if ".safetensors." in f.name))
    joined.with_suffix(".json").write_bytes(files[0].read_bytes())
    assert load_network(joined)[1].training["steps"] == 11


def test_of_a_run_that_stopped_itself_the_newest_checkpoint_is_handed_over(
    mine: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.train

    def stopping(*runs: TrainConfig, resume: bool) -> None:
        real(*runs, resume=resume)
        if runs[0].out.parent.name == "runs":
            raise DivergedError("no more")

    monkeypatch.setattr(module, "train", stopping)
    monkeypatch.setattr(
        module, "fit", lambda c, _left, _pace, out: module.with_steps(c, 2, out=out)
    )
    with pytest.raises(DivergedError):
        train_for(12.0, tmp_path / "out", [mine])
    assert (tmp_path / "out" / "mine.safetensors.0").is_file()
    assert (tmp_path / "runs" / "mine" / LOG_FILE).is_file()
