"""One training step: loss, gradient, optimisers, averaged weights.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N806, N812

import copy
import math
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from aminet.cuda_graphs import PLAIN_RUNS, record, run_aside
from aminet.data.batches import Patches
from aminet.errors import TrainConfigError
from aminet.judge.judges import load_judges
from aminet.judge.lpips import LPIPS
from aminet.model_files import load_network
from aminet.network import AMINet, as_channels_last
from aminet.precision import autocast_dtype
from aminet.training.adversary import Adversary, deceit, error, new_adversary
from aminet.training.config import LossSection, OptimiserSection, TrainConfig
from aminet.training.muon import Muon, is_matrix
from aminet.training.widen import widen

__all__ = [
    "CONSISTENCY_FACTOR",
    "TrainState",
    "TrainStep",
    "learning_rate",
    "load_lpips",
    "loss_terms",
    "make_optimisers",
    "new_state",
]

CONSISTENCY_FACTOR: Final = 8


@dataclass(slots=True)
class TrainState:
    """All that a resumed run needs. Random numbers are a function of (seed, step)."""

    network: AMINet
    average: AMINet
    optimisers: tuple[torch.optim.Optimizer, ...]
    adversary: Adversary | None = None
    step: int = 0
    seconds: float = 0.0
    """Wall time of training so far, s."""


def new_state(config: TrainConfig, device: torch.device) -> TrainState:
    """Return the state at step 0: weights from the config's `init`, or random ones from its seed.

    Raises:
        WeightsError: `init` cannot be read, or cannot be widened to the preset.
    """
    torch.manual_seed(config.seed)
    network = _first_weights(config).to(device)
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimisers = make_optimisers(network, config.optimiser)
    adversary = new_adversary(config.adversary, device) if config.loss.adversarial else None
    return TrainState(network, average, optimisers, adversary)


def _first_weights(config: TrainConfig) -> AMINet:
    wanted = config.network
    if config.init is None:
        return AMINet(wanted)
    trained, _ = load_network(config.init)
    network = trained if trained.config == wanted else widen(trained, wanted, seed=config.seed)
    return network.train().requires_grad_(requires_grad=True)


def make_optimisers(
    network: AMINet, settings: OptimiserSection
) -> tuple[torch.optim.Optimizer, ...]:
    """Return Muon for the matrices, if configured, and AdamW for all other weights."""
    weights = list(network.parameters())
    matrices = [w for w in weights if settings.kind == "muon" and is_matrix(w)]
    known = {id(w) for w in matrices}
    adamw = torch.optim.AdamW(
        [w for w in weights if id(w) not in known],
        lr=settings.lr,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        foreach=True,
        capturable=weights[0].is_cuda,
    )
    if not matrices:
        return (adamw,)
    return adamw, Muon(matrices, settings.lr, weight_decay=settings.weight_decay)


def learning_rate(step: int, total: int, settings: OptimiserSection) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, then cosine to `final_lr`."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, total - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return settings.final_lr + (settings.lr - settings.final_lr) * cosine


def loss_terms(y_B3HW: Tensor, patches: Patches, weights: LossSection) -> dict[str, Tensor]:
    """Return the weighted loss terms over the valid pixels, scalars; their sum is minimised.

    Args:
        y_B3HW: (B, 3, H, W) float, the network's output.
        patches: its input, and the truth.
        weights: weights of the terms.
    """
    valid = patches.valid_B1HW
    difference = (y_B3HW - patches.hr_BCHW) * valid
    distance = (difference.square() + weights.epsilon**2).sqrt() * valid
    terms = {"charbonnier": distance.sum() / (3 * valid.sum()).clamp_min(1)}
    if weights.frequency:
        spectrum = torch.fft.rfft2(difference, norm="ortho")
        terms["frequency"] = weights.frequency * torch.view_as_real(spectrum).abs().mean()
    if weights.consistency:
        small = F.avg_pool2d(y_B3HW - patches.lq_BCHW[:, :3], CONSISTENCY_FACTOR)
        terms["consistency"] = weights.consistency * small.abs().mean()
    return terms


def load_lpips(weights: LossSection, device: torch.device) -> LPIPS | None:
    """Return the network of the perceptual loss; None without that loss.

    Raises:
        TrainConfigError: the file belongs to another network.
        WeightsError: there is no such file, or it belongs to no known network.
    """
    if not weights.perceptual or weights.lpips is None:
        return None
    lpips = load_judges([weights.lpips], device).lpips
    if lpips is None:
        raise TrainConfigError(f"loss.lpips: {weights.lpips} is not LPIPS", key="loss.lpips")
    return lpips


class TrainStep:
    """Runs training steps, one for each call.

    On a GPU a step is recorded as a CUDA graph and replayed: launching its few thousand small
    kernels one by one takes several times as long as running them.

    Args:
        state: changed by every step.
        config: settings of the run.
    """

    def __init__(self, state: TrainState, config: TrainConfig) -> None:
        self.state = state
        self.config = config
        weight = next(state.network.parameters())
        self.device = weight.device
        # Values that change between steps must be in memory that a recorded step can read.
        self._lr = weight.new_zeros(())
        self._keep = weight.new_zeros(())
        self._voice = weight.new_zeros(())
        self.lpips = load_lpips(config.loss, self.device)
        self._recorded: _RecordedStep | None = None
        self._plain_steps = 0
        self._shape = torch.Size()

    def __call__(self, patches: Patches) -> dict[str, Tensor]:
        """Run one step. Weights do not change if the gradient is not finite.

        Args:
            patches: on the network's device.

        Returns:
            The loss terms and the gradient's `norm`: scalars on the device, valid until the next
            step.
        """
        state, settings = self.state, self.config.optimiser
        self._lr.fill_(learning_rate(state.step, self.config.total_steps, settings))
        # Early on the average follows faster, so that the untrained weights do not stay in it.
        self._keep.fill_(min(settings.ema, (1 + state.step) / (10 + state.step)))
        self._voice.fill_(self._loudness())
        do = self._on_gpu if self.device.type == "cuda" else self._update
        figures = do(patches)
        state.step += 1
        return figures

    def _loudness(self) -> float:
        """Return the weight of the adversarial loss at this step."""
        alone = self.config.adversary.alone_steps
        risen = (self.state.step - alone) / max(1, alone)
        return self.config.loss.adversarial * min(1.0, max(0.0, risen))

    def _on_gpu(self, patches: Patches) -> dict[str, Tensor]:
        if patches.hr_BCHW.shape != self._shape:
            self._shape, self._plain_steps, self._recorded = patches.hr_BCHW.shape, 0, None
        if self._plain_steps < PLAIN_RUNS:
            self._plain_steps += 1
            return run_aside(lambda: self._update(patches))
        if self._recorded is None:
            self._recorded = self._record(patches)
        return self._recorded(patches)

    def _record(self, patches: Patches) -> "_RecordedStep":
        kept = Patches(*(x.clone() for x in patches))
        graph, figures = record(lambda: self._update(kept))
        return _RecordedStep(graph, kept, figures)

    def _update(self, patches: Patches) -> dict[str, Tensor]:
        network, adversary = self.state.network, self.state.adversary
        network.train()
        with self._autocast():
            y_BCHW = network(as_channels_last(patches.lq_BCHW))
        y_BCHW = y_BCHW.float()
        terms = loss_terms(y_BCHW, patches, self.config.loss)
        # Invalid pixels must not count: the discriminator sees the truth there.
        seen_BCHW = torch.lerp(patches.hr_BCHW, y_BCHW, patches.valid_B1HW)
        with self._autocast():
            if self.lpips is not None:
                distance = self.lpips(seen_BCHW, patches.hr_BCHW).mean()
                terms["perceptual"] = self.config.loss.perceptual * distance
            if adversary is not None:
                terms["adversarial"] = self._voice * deceit(adversary.network, seen_BCHW)
        network.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(
            network.parameters(), self.config.optimiser.clip_norm, foreach=True
        )
        self._apply(torch.isfinite(norm))
        figures = {name: term.detach() for name, term in terms.items()}
        if adversary is not None:
            figures["discriminator"] = self._teach(adversary, seen_BCHW, patches.hr_BCHW)
        return {**figures, "norm": norm}

    def _autocast(self) -> torch.autocast:
        dtype = autocast_dtype(self.device)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    def _teach(self, adversary: Adversary, seen_BCHW: Tensor, hr_BCHW: Tensor) -> Tensor:
        """Run the discriminator's step; return its loss."""
        with self._autocast():
            wrong = error(adversary.network, seen_BCHW, hr_BCHW)
        adversary.network.zero_grad(set_to_none=True)
        wrong.backward()
        weights = list(adversary.network.parameters())
        norm = torch.nn.utils.clip_grad_norm_(weights, self.config.optimiser.clip_norm)
        share = self.config.adversary.lr / self.config.optimiser.lr
        _descend((adversary.optimiser,), weights, self._lr * share * torch.isfinite(norm))
        return wrong.detach()

    def _apply(self, usable: Tensor) -> None:
        """Update the weights and their average, unless `usable` () is false.

        In that case the learning rate is 0, because a recorded step cannot branch.
        """
        network, optimisers = self.state.network, self.state.optimisers
        _descend(optimisers, list(network.parameters()), self._lr * usable)
        pairs = zip(self.state.average.parameters(), self.state.network.parameters(), strict=True)
        with torch.no_grad():
            for average, latest in pairs:
                average.lerp_(latest, 1 - self._keep)


def _descend(
    optimisers: tuple[torch.optim.Optimizer, ...], weights: list[torch.nn.Parameter], rate: Tensor
) -> None:
    """Update weights by their gradients; a rate of 0 changes nothing."""
    # Clipping by a norm that is not finite leaves only NaN and 0.
    for weight in weights:
        if weight.grad is not None:
            weight.grad.nan_to_num_(nan=0.0)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            # On CPUs AdamW takes numbers only; reading one does not synchronise.
            group["lr"] = rate if rate.is_cuda else float(rate)
        optimiser.step()


@dataclass(frozen=True, slots=True)
class _RecordedStep:
    """A step recorded as a CUDA graph, with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    patches: Patches
    figures: dict[str, Tensor]

    def __call__(self, patches: Patches) -> dict[str, Tensor]:
        for kept, new in zip(self.patches, patches, strict=True):
            kept.copy_(new)
        self.graph.replay()
        return self.figures
