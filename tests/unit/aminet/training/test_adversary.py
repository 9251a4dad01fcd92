"""Training for a sharp look: LPIPS, and a discriminator beside the network."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from aminet.data.batches import Patches, TrainingBatches, to_device
from aminet.data.pictures import list_pictures
from aminet.errors import TrainConfigError, WeightsError
from aminet.model_files import load_network
from aminet.training.adversary import Discriminator, deceit, error, new_adversary
from aminet.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from aminet.training.config import AdversarySection, TrainConfig, load_config
from aminet.training.step import TrainStep, new_state
from aminet.training.train import LOG_FILE, train
from tests.support import ROOT
from tests.support.training import stop_after, tensors

CPU = torch.device("cpu")
WIDTHS = (4, 6, 6, 6, 6)


@pytest.fixture
def lpips_file(tmp_path: Path) -> Path:
    """LPIPS over an AlexNet of few channels, with weights of chance."""
    generator = torch.Generator().manual_seed(1)
    parts: dict[str, Tensor] = {}
    for i, (o, kernel) in enumerate(zip(WIDTHS, (11, 5, 3, 3, 3), strict=True)):
        inputs = (3, *WIDTHS)[i]
        weight = torch.randn(o, inputs, kernel, kernel, generator=generator)
        parts[f"conv{i}.weight"] = weight * (2 / (inputs * kernel**2)) ** 0.5
        parts[f"conv{i}.bias"] = torch.zeros(o)
        parts[f"lin{i}.weight"] = torch.rand(1, o, 1, 1, generator=generator)
    save_file(parts, tmp_path / "lpips.safetensors")
    return tmp_path / "lpips.safetensors"


@pytest.fixture
def sharp(config: TrainConfig, lpips_file: Path) -> TrainConfig:
    """Six steps; the discriminator is alone for two and fully heard from the fourth on."""
    loss = config.loss.model_copy(
        update={"perceptual": 0.1, "lpips": lpips_file, "adversarial": 0.5}
    )
    stages = [config.stages[0].model_copy(update={"steps": 6})]
    adversary = AdversarySection(width=4, lr=1e-3, alone_steps=2)
    return config.model_copy(update={"loss": loss, "stages": stages, "adversary": adversary})


def records(config: TrainConfig) -> list[dict[str, float]]:
    lines = (config.out / LOG_FILE).read_text().splitlines()
    return [record for line in lines if "norm" in (record := json.loads(line))]


def batch(config: TrainConfig) -> Patches:
    pictures = list_pictures(config.data.train)
    return to_device(TrainingBatches(pictures, config.batch_plan())[0], CPU)


@pytest.mark.parametrize("side", [64, 72, 128])
def test_a_discriminator_judges_each_pixel(side: int) -> None:
    assert Discriminator(4)(torch.rand(2, 3, side, side)).shape == (2, 1, side, side)


def test_a_discriminator_learns_what_true_faces_look_like() -> None:
    torch.manual_seed(0)
    adversary = new_adversary(AdversarySection(width=8, lr=4e-3), CPU)
    true = torch.rand(4, 3, 64, 64)
    restored = torch.nn.functional.avg_pool2d(true, 3, 1, 1)
    errors: list[float] = []
    for _ in range(60):
        adversary.optimiser.zero_grad()
        wrong = error(adversary.network, restored, true)
        wrong.backward()
        adversary.optimiser.step()
        errors.append(float(wrong.detach()))
    assert errors[0] == pytest.approx(math.log(2), abs=0.05)
    assert errors[-1] < 0.95 * errors[0]
    # It comes to believe the true ones, and to see through the others.
    with torch.no_grad():
        of_true, of_restored = (
            float(deceit(adversary.network, faces)) for faces in (true, restored)
        )
    assert of_true < 0.95 * math.log(2)
    assert of_restored > of_true + 0.02


def test_only_the_faces_are_led_by_the_discriminator() -> None:
    discriminator = Discriminator(4)
    faces = torch.rand(1, 3, 64, 64, requires_grad=True)
    deceit(discriminator, faces).backward()
    assert faces.grad is not None
    assert float(faces.grad.abs().sum()) > 0
    assert all(weight.grad is None for weight in discriminator.parameters())
    assert all(weight.requires_grad for weight in discriminator.parameters())
    error(discriminator, faces, torch.rand(1, 3, 64, 64)).backward()
    assert all(weight.grad is not None for weight in discriminator.parameters())


def test_the_discriminator_learns_alone_before_it_is_listened_to(sharp: TrainConfig) -> None:
    train_step, patches = TrainStep(new_state(sharp, CPU), sharp), batch(sharp)
    adversary = train_step.state.adversary
    assert adversary is not None
    voices: list[float] = []
    for _ in range(6):
        before = adversary.network.head.weight.detach().clone()
        figures = train_step(patches)
        assert not torch.equal(adversary.network.head.weight, before)
        voices.append(float(figures["adversarial"]) / math.log(2))
    # It hardly knows anything yet: the deceit is nearly ln 2, times its weight of 0.5.
    assert voices[:3] == [0, 0, 0]
    assert voices[3:] == pytest.approx([0.25, 0.5, 0.5], abs=0.05)


def test_a_resumed_run_continues_with_its_discriminator(sharp: TrainConfig, tmp_path: Path) -> None:
    train(sharp)
    parts = sharp.model_copy(update={"out": tmp_path / "parts"})
    stop_after(parts, 4)
    train(parts)
    kept = [
        {k: r[k] for k in ("perceptual", "adversarial", "discriminator")} for r in records(sharp)
    ]
    assert len(kept) == 6
    assert [{k: r[k] for k in kept[0]} for r in records(parts)] == kept
    for part in ("network", "average"):
        a, b = tensors(sharp, part), tensors(parts, part)
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_sharp_network_is_marked_and_says_nothing_of_files(sharp: TrainConfig) -> None:
    (report,) = train(sharp)
    assert {f"{t}_lpips" for t in ("x4", "x8", "camera4", "track4")} <= set(report.scores)
    _, card = load_network(report.checkpoint)
    assert card.generative
    assert "lpips.safetensors" not in card.model_dump_json()


def test_a_faithful_network_is_not_marked(config: TrainConfig) -> None:
    stages = [config.stages[0].model_copy(update={"steps": 1})]
    (report,) = train(config.model_copy(update={"stages": stages}))
    assert not load_network(report.checkpoint)[1].generative
    assert not any(name.endswith("_lpips") for name in report.scores)


def test_discriminators_are_neither_made_up_nor_forgotten(
    sharp: TrainConfig, config: TrainConfig
) -> None:
    train(sharp)
    with pytest.raises(TrainConfigError, match=r"holds a discriminator, .*adversarial is 0\.0"):
        load_checkpoint(config, sharp.out / CHECKPOINT_FILE, CPU)
    plain = config.model_copy(update={"stages": sharp.stages})
    train(plain, resume=False)
    with pytest.raises(TrainConfigError, match=r"holds no discriminator, .*adversarial is 0\.5"):
        load_checkpoint(sharp, plain.out / CHECKPOINT_FILE, CPU)


def test_the_perceptual_loss_needs_its_weights(sharp: TrainConfig, tmp_path: Path) -> None:
    file = ROOT / "configs" / "train" / "sharp.yaml"
    with pytest.raises(TrainConfigError, match="perceptual needs `lpips`"):
        load_config(file, ["loss.lpips=null"])
    missing = sharp.loss.model_copy(update={"lpips": tmp_path / "absent"})
    with pytest.raises(WeightsError, match="no feature network at"):
        train(sharp.model_copy(update={"loss": missing}))


def test_what_is_not_valid_teaches_the_sharp_look_nothing(sharp: TrainConfig) -> None:
    patches = batch(sharp)
    nowhere = patches._replace(valid_B1HW=torch.zeros_like(patches.valid_B1HW))
    figures, nothing = (TrainStep(new_state(sharp, CPU), sharp)(p) for p in (patches, nowhere))
    assert float(figures["perceptual"]) > 0.001
    assert float(nothing["perceptual"]) == pytest.approx(0, abs=1e-6)
    assert float(nothing["norm"]) == pytest.approx(0, abs=1e-6)


def test_a_step_that_is_not_finite_teaches_the_discriminator_nothing(sharp: TrainConfig) -> None:
    train_step, patches = TrainStep(new_state(sharp, CPU), sharp), batch(sharp)
    adversary = train_step.state.adversary
    assert adversary is not None
    train_step(patches)
    before = [weight.detach().clone() for weight in adversary.network.parameters()]
    train_step(patches._replace(lq_BCHW=torch.full_like(patches.lq_BCHW, math.inf)))
    after = list(adversary.network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert math.isfinite(float(train_step(patches)["discriminator"]))
