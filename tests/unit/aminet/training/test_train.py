import json
from pathlib import Path
from typing import Literal

import pytest
import torch

from aminet.data.batches import Patches, TrainingBatches, to_device
from aminet.data.pictures import list_pictures
from aminet.errors import DataError, TrainConfigError, WeightsError
from aminet.judge.metrics import psnr
from aminet.model_files import load_network
from aminet.training.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from aminet.training.config import LossSection, OptimiserSection, TrainConfig, load_config
from aminet.training.step import TrainStep, learning_rate, loss_terms, new_state
from aminet.training.train import LOG_FILE, batches_from, train
from tests.support import ROOT
from tests.support.training import stop_after, tensors

CPU = torch.device("cpu")
CONFIGS = ROOT / "configs" / "train"


def brief(config: TrainConfig) -> TrainConfig:
    """Two steps."""
    return config.model_copy(update={"stages": [config.stages[0].model_copy(update={"steps": 2})]})


def losses(config: TrainConfig) -> dict[int, float]:
    records = [json.loads(line) for line in (config.out / LOG_FILE).read_text().splitlines()]
    return {r["step"]: r["charbonnier"] for r in records if "charbonnier" in r}


@pytest.mark.parametrize(("kind", "in_channels"), [("adamw", 3), ("muon", 3), ("muon", 7)])
def test_a_resumed_run_continues_as_if_never_stopped(
    kind: str, in_channels: int, config: TrainConfig, tmp_path: Path
) -> None:
    optimiser = config.optimiser.model_copy(update={"kind": kind})
    config = config.model_copy(
        update={"optimiser": optimiser, "in_channels": in_channels, "track_share": 1.0}
    )
    (whole,) = train(config)
    parts = config.model_copy(update={"out": tmp_path / "parts"})
    stop_after(parts, 7)
    stop_after(parts, 13)  # past the change of patch and batch size
    (resumed,) = train(parts)
    assert whole.steps == resumed.steps == 20
    assert losses(parts) == losses(config)
    for part in ("network", "average"):
        a, b = tensors(config, part), tensors(parts, part)
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert resumed.scores == whole.scores


def test_another_seed_is_another_run(config: TrainConfig) -> None:
    states = [new_state(config.model_copy(update={"seed": s}), CPU) for s in (0, 0, 1)]
    stems = [s.network.stem.weight for s in states]
    assert torch.equal(stems[0], stems[1])
    assert not torch.equal(stems[0], stems[2])


def test_a_run_leaves_its_log_curves_sheets_and_config(config: TrainConfig) -> None:
    config = brief(config)
    (report,) = train(config)
    names = {file.name for file in config.out.iterdir()}
    assert {"checkpoint.pt", "log.jsonl", "config.json", "curves.png"} <= names
    assert {f"sheet_{t}.png" for t in ("x4", "x8", "camera4", "track4")} <= names
    assert TrainConfig.model_validate_json((config.out / "config.json").read_text()) == config
    assert list(losses(config)) == [1, 2]
    assert report.samples_per_s > 0
    assert 0 <= report.waiting_share <= 1
    assert set(report.scores) == {
        f"{t}{g}" for t in ("x4", "x8", "camera4", "track4") for g in ("", "_gain")
    }


def test_starting_afresh_forgets_the_checkpoint(config: TrainConfig) -> None:
    short = brief(config)
    train(short)
    assert train(short)[0].samples_per_s == 0  # nothing left to do
    train(short, resume=False)
    assert list(losses(short)) == [1, 2]


def test_a_checkpoint_without_history_starts_a_run_with_one(config: TrainConfig) -> None:
    train(config)
    checkpoint = config.out / CHECKPOINT_FILE
    further = config.model_copy(update={"in_channels": 7, "init": str(checkpoint)})
    before, _ = load_network(checkpoint)
    x = torch.rand(1, 7, 64, 64)
    torch.testing.assert_close(new_state(further, CPU).average(x), before(x[:, :3]))
    # Continuing in its own folder is something else.
    with pytest.raises(TrainConfigError, match=r"holds in_channels 3, the config asks for 7"):
        load_checkpoint(further, checkpoint, CPU)


def test_checkpoints_from_before_histories_still_load(config: TrainConfig) -> None:
    state = new_state(config, CPU)
    config.out.mkdir()
    file = config.out / CHECKPOINT_FILE
    save_checkpoint(state, config, file)
    content = torch.load(file, weights_only=True)
    del content["config"]["in_channels"]
    torch.save(content, file)
    assert load_checkpoint(config, file, CPU).step == 0
    assert load_network(file)[0].config.in_channels == 3


def test_a_checkpoint_of_another_preset_is_refused(config: TrainConfig) -> None:
    train(brief(config))
    other = config.model_copy(update={"preset": "aminet-s"})
    with pytest.raises(
        TrainConfigError, match="holds preset 'tiny', the config asks for 'aminet-s'"
    ):
        load_checkpoint(other, config.out / CHECKPOINT_FILE, CPU)


def test_a_split_that_people_cross_stops_the_run(config: TrainConfig) -> None:
    data = config.data.model_copy(update={"val": config.data.train})
    with pytest.raises(DataError, match="both the training and the validation"):
        train(config.model_copy(update={"data": data}))


def test_workers_bring_the_same_batches(config: TrainConfig) -> None:
    sampler = TrainingBatches(list_pictures(config.data.train), config.batch_plan())
    here = batches_from(sampler, 17, 0, pin=False)
    there = batches_from(sampler, 17, 1, pin=False)
    pairs = list(zip(here, there, strict=True))
    assert len(pairs) == 3
    assert all(torch.equal(a.lq_BCHW, b.lq_BCHW) for a, b in pairs)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_one_batch_can_be_learnt_by_heart(
    kind: Literal["adamw", "muon"], config: TrainConfig
) -> None:
    """The guard against dead branches, wrong signs and broken updates."""
    optimiser = OptimiserSection(kind=kind, lr=4e-3, warmup_steps=10, final_lr=1e-4)
    stages = [config.stages[0].model_copy(update={"steps": 100})]
    config = config.model_copy(
        update={
            "optimiser": optimiser,
            "stages": stages,
            "clean_share": 1.0,
            "protocol": "bicubic",
            "seed": 4,
        }
    )
    plan = config.batch_plan()
    batch = TrainingBatches(list_pictures(config.data.train), plan)[0]
    state = new_state(config, CPU)
    patches = to_device(batch, CPU)
    hr, lq, _ = patches
    train_step = TrainStep(state, config)
    for _ in range(100):
        train_step(patches)
    with torch.inference_mode():
        learnt = psnr(state.network(lq), hr).mean() - psnr(lq, hr).mean()
        averaged = psnr(state.average(lq), hr).mean() - psnr(lq, hr).mean()
    assert float(learnt) > 2
    assert float(averaged) > 1


def test_the_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    settings = OptimiserSection(lr=1.0, final_lr=0.1, warmup_steps=10)
    rates = [learning_rate(step, 110, settings) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_loss_terms_are_what_they_say() -> None:
    hr = torch.zeros(1, 3, 64, 64)
    y = torch.full_like(hr, 0.3)
    everywhere = torch.ones(1, 1, 64, 64)
    same = Patches(hr, y, everywhere)
    assert set(loss_terms(y, same, LossSection())) == {"charbonnier"}
    other = Patches(hr, hr, everywhere)
    terms = loss_terms(y, other, LossSection(frequency=2.0, consistency=0.5))
    assert float(terms["charbonnier"]) == pytest.approx(0.3, abs=1e-4)
    # A flat difference of 0.3 has one coefficient, 0.3 * 64, of 64 * 33 complex ones.
    assert float(terms["frequency"]) == pytest.approx(2 * 0.3 * 64 / (64 * 33 * 2), rel=1e-4)
    assert float(terms["consistency"]) == pytest.approx(0.15, abs=1e-5)


def test_config_files_take_overrides_and_name_what_is_wrong(tmp_path: Path) -> None:
    file = CONFIGS / "aminet-s.yaml"
    config = load_config(file, ["optimiser.lr=1e-5", "data.train=/faces", "seed=7"])
    assert config.optimiser.lr == 1e-5
    assert config.data.train == Path("/faces")
    assert config.seed == 7
    with pytest.raises(TrainConfigError, match=r"optimiser\.speed: unknown key"):
        load_config(file, ["optimiser.speed=3"])
    with pytest.raises(TrainConfigError, match=r"expected key\.path=value"):
        load_config(file, ["seed"])
    for bad in ("seed=[", "seed=2024-13-45", "out={a: 1", "seed=" + "[" * 5000):
        with pytest.raises(TrainConfigError, match="the value is not valid YAML"):
            load_config(file, [bad])
    with pytest.raises(TrainConfigError, match=r"device: .*got 'gpu'"):
        load_config(file, ["device=gpu"])
    with pytest.raises(TrainConfigError, match="is a value, not a section"):
        load_config(file, ["seed.more=3"])
    with pytest.raises(TrainConfigError, match=r"no preset 'big'; expected one of aminet"):
        load_config(file, ["preset=big"])
    with pytest.raises(TrainConfigError, match="cannot read training config"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(TrainConfigError, match="holds a list, expected a mapping"):
        load_config(tmp_path / "list.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TrainConfigError, match="not UTF-8 text"):
        load_config(tmp_path / "bytes.yaml")


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_configs_are_valid(file: Path) -> None:
    assert load_config(file).total_steps > 0


def test_a_run_starts_from_the_weights_it_is_told(config: TrainConfig, tmp_path: Path) -> None:
    (first,) = train(brief(config))
    again = config.model_copy(update={"init": str(first.checkpoint), "seed": 5})
    state = new_state(again, CPU)
    wanted = tensors(config, "average")
    for name, weight in state.network.state_dict().items():
        torch.testing.assert_close(weight, wanted[name], atol=0, rtol=0)
    assert all(weight.requires_grad for weight in state.network.parameters())
    # A resumed run has its own weights; those it began with may be gone by then.
    later = again.model_copy(update={"out": tmp_path / "later"})
    stop_after(later, 2)
    first.checkpoint.unlink()
    assert train(brief(later))[0].steps == 2


def test_weights_to_start_from_that_are_not_there_are_named(config: TrainConfig) -> None:
    with pytest.raises(WeightsError, match="no weights called 'amined-s'"):
        train(config.model_copy(update={"init": "amined-s"}))


def test_networks_on_the_same_batches_are_what_each_would_be_alone(
    config: TrainConfig, tmp_path: Path
) -> None:
    slower = OptimiserSection(lr=1e-4, warmup_steps=4)
    pair = [
        config.model_copy(update={"out": tmp_path / "a"}),
        config.model_copy(update={"out": tmp_path / "b", "optimiser": slower}),
    ]
    stop_after(pair[0], 5)  # one is ahead of the other, as a kill can leave them
    assert [report.steps for report in train(*pair)] == [20, 20]
    for together in pair:
        alone = together.model_copy(update={"out": tmp_path / "alone"})
        train(alone, resume=False)
        a, b = tensors(together, "network"), tensors(alone, "network")
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_networks_trained_together_must_want_the_same_batches(
    config: TrainConfig, tmp_path: Path
) -> None:
    other = config.model_copy(update={"out": tmp_path / "other"})
    with pytest.raises(TrainConfigError, match="must agree in 'seed': tiny has 0, tiny has 4"):
        train(config, other.model_copy(update={"seed": 4}))
    with pytest.raises(TrainConfigError, match="need an `out` each"):
        train(config, config)


def test_what_is_not_valid_teaches_nothing(config: TrainConfig) -> None:
    valid = torch.zeros(1, 1, 64, 64)
    valid[..., :16] = 1
    hr, lq = torch.rand(1, 3, 64, 64), torch.rand(1, 7, 64, 64)
    y = torch.rand(1, 3, 64, 64)
    weights = LossSection(frequency=1.0)
    expected = loss_terms(y, Patches(hr, lq, valid), weights)
    changed = y.clone()
    changed[..., 16:] += 10
    for name, term in loss_terms(changed, Patches(hr, lq, valid), weights).items():
        assert float(term) == pytest.approx(float(expected[name]), rel=1e-6)
    # A quarter of the pixels counts as much as all would.
    full = loss_terms(y[..., :16], Patches(hr[..., :16], lq[..., :16], valid[..., :16]), weights)
    assert float(full["charbonnier"]) == pytest.approx(float(expected["charbonnier"]), rel=1e-5)
