"""Training: one loop, resumable at any step with identical continuation.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N812

import copy
import json
import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader

from aminet.curves import draw_curves, draw_sheet
from aminet.data import Batch, BatchPlan, TrainingBatches, to_device
from aminet.errors import TrainConfigError
from aminet.muon import Muon, is_matrix
from aminet.network import PRESETS, AMINet
from aminet.pictures import check_split, list_pictures
from aminet.precision import autocast_dtype
from aminet.train_config import LossSection, OptimiserSection, TrainConfig
from aminet.validate import Trial, restore_with, score, standard_trials
from aminet.weights import load_network
from aminet.widen import widen

log = logging.getLogger(__name__)

CHECKPOINT_FILE: Final = "checkpoint.pt"
LOG_FILE: Final = "log.jsonl"
CONSISTENCY_FACTOR: Final = 8
SHEET_FACES: Final = 8


@dataclass(slots=True)
class TrainState:
    """Everything that a resumed run needs; chance is a function of (seed, step), so no RNG."""

    network: AMINet
    average: AMINet
    optimisers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    seconds: float = 0.0
    """Wall time of all runs so far."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run did."""

    steps: int
    seconds: float
    samples_per_s: float
    waiting_share: float
    """Share of this run's time in which the device waited for data."""
    scores: dict[str, float]
    checkpoint: Path


def learning_rate(step: int, total: int, settings: OptimiserSection) -> float:
    """Linear warm-up, then cosine to `final_lr`, for the step about to be done (from 0)."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, total - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return settings.final_lr + (settings.lr - settings.final_lr) * cosine


def loss_terms(y: Tensor, hr: Tensor, lq: Tensor, weights: LossSection) -> dict[str, Tensor]:
    """Weighted terms of the loss; their sum is minimised.

    Args:
        y: (B, 3, H, W) the network's output.
        hr: same shape, sharp.
        lq: same shape, the network's input.
        weights: of the terms.
    """
    difference = y - hr
    terms = {"charbonnier": (difference.square() + weights.epsilon**2).sqrt().mean()}
    if weights.frequency:
        spectrum = torch.fft.rfft2(difference, norm="ortho")
        terms["frequency"] = weights.frequency * torch.view_as_real(spectrum).abs().mean()
    if weights.consistency:
        small = F.avg_pool2d(y - lq, CONSISTENCY_FACTOR)
        terms["consistency"] = weights.consistency * small.abs().mean()
    return terms


def new_state(config: TrainConfig, device: torch.device) -> TrainState:
    """Begin: weights from the config's `init`, or fresh ones from its seed.

    Raises:
        WeightsError: when `init` cannot be read or widened to the preset.
    """
    torch.manual_seed(config.seed)
    network = _first_weights(config).to(device)
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    return TrainState(network, average, make_optimisers(network, config.optimiser))


def _first_weights(config: TrainConfig) -> AMINet:
    wanted = PRESETS[config.preset]
    if config.init is None:
        return AMINet(wanted)
    trained, _ = load_network(config.init)
    network = trained if trained.config == wanted else widen(trained, wanted, seed=config.seed)
    return network.train().requires_grad_(requires_grad=True)


def make_optimisers(
    network: AMINet, settings: OptimiserSection
) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices, if wanted, and AdamW for everything else."""
    weights = list(network.parameters())
    matrices = [w for w in weights if settings.kind == "muon" and is_matrix(w)]
    known = {id(w) for w in matrices}
    adamw = torch.optim.AdamW(
        [w for w in weights if id(w) not in known],
        lr=settings.lr,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        foreach=True,
    )
    if not matrices:
        return (adamw,)
    return adamw, Muon(matrices, settings.lr, weight_decay=settings.weight_decay)


def train_step(
    state: TrainState, batch: Batch, config: TrainConfig, plan: BatchPlan, device: torch.device
) -> dict[str, float]:
    """One step; returns the loss terms, the gradient's norm and the learning rate."""
    hr, lq = to_device(batch, plan, device)
    lr = learning_rate(state.step, config.total_steps, config.optimiser)
    for optimiser in state.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = lr
    dtype = autocast_dtype(device)
    state.network.train()
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        y = state.network(lq.contiguous(memory_format=torch.channels_last))
    terms = loss_terms(y.float(), hr, lq, config.loss)
    loss = torch.stack(list(terms.values())).sum()
    state.network.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(
        state.network.parameters(), config.optimiser.clip_norm, foreach=True
    )
    if bool(torch.isfinite(norm)):
        for optimiser in state.optimisers:
            optimiser.step()
        _average(state, config.optimiser.ema)
    else:
        log.warning("step %d: the gradient is not finite; step left out", state.step)
    state.step += 1
    figures = {name: float(term.detach()) for name, term in terms.items()}
    return {**figures, "norm": float(norm), "lr": lr}


def _average(state: TrainState, keep: float) -> None:
    # Early on the average follows faster, or it would remember the untrained weights.
    keep = min(keep, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        pairs = zip(state.average.parameters(), state.network.parameters(), strict=True)
        for average, latest in pairs:
            average.lerp_(latest, 1 - keep)


def save_checkpoint(state: TrainState, config: TrainConfig, file: Path) -> None:
    """Write atomically: a killed run leaves the checkpoint before."""
    content = {
        "step": state.step,
        "seconds": state.seconds,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in state.optimisers],
        "config": config.model_dump(mode="json"),
    }
    temporary = file.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(file)


def load_checkpoint(config: TrainConfig, file: Path, device: torch.device) -> TrainState:
    """Continue from a file of `save_checkpoint`.

    Raises:
        TrainConfigError: when the checkpoint is of another preset.
    """
    content: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    preset = content["config"]["preset"]
    if preset != config.preset:
        raise TrainConfigError(
            f"{file} holds preset {preset!r}, the config asks for {config.preset!r}; "
            "choose another `out` folder or remove the checkpoint",
            key="preset",
        )
    state = new_state(config.model_copy(update={"init": None}), device)
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    for optimiser, saved in zip(state.optimisers, content["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    state.step, state.seconds = int(content["step"]), float(content["seconds"])
    return state


def pick_device(name: str) -> torch.device:
    """Resolve "auto" to CUDA when there is one, else to the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def batches_from(
    batches: TrainingBatches, step: int, workers: int, *, pin: bool
) -> Iterator[Batch]:
    """Batches of all steps from `step` on, in order."""
    loader: DataLoader[Batch] = DataLoader(
        batches,
        batch_size=None,
        sampler=range(step, len(batches)),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        worker_init_fn=_one_thread,
        # A forked child of a process with OpenMP threads can hang.
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)


def train(config: TrainConfig, *, resume: bool = True) -> TrainReport:
    """Train to the end of the last stage.

    Args:
        config: settings; `config.out` receives `checkpoint.pt`, `log.jsonl`, `curves.png`,
            `sheet_*.png` and the resolved `config.json`.
        resume: continue from `config.out`'s checkpoint when there is one.

    Raises:
        DataError: pictures missing, too small, or people on both sides of the split.
        TrainConfigError: the checkpoint is of another preset.
        WeightsError: `config.init` cannot be read, or widened to the preset.
    """
    device = pick_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    pictures = list_pictures(config.data.train, "train")
    val = list_pictures(config.data.val, "val")
    check_split(pictures, val)
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "config.json").write_text(config.model_dump_json(indent=2))
    file = config.out / CHECKPOINT_FILE
    resumed = resume and file.is_file()
    state = load_checkpoint(config, file, device) if resumed else new_state(config, device)
    if not resumed:
        (config.out / LOG_FILE).unlink(missing_ok=True)
    plan = config.batch_plan()
    batches = TrainingBatches(pictures, plan, leave_pending=device.type != "cpu")
    trials = standard_trials(val, 128)
    loader = batches_from(batches, state.step, config.data.workers, pin=device.type == "cuda")
    log.info("%s from step %d of %d on %s", config.preset, state.step, config.total_steps, device)
    return _Run(config, plan, state, trials, device).go(loader)


class _Run:
    """The loop's bookkeeping: log, validation, checkpoints, clock."""

    def __init__(
        self,
        config: TrainConfig,
        plan: BatchPlan,
        state: TrainState,
        trials: list[Trial],
        device: torch.device,
    ) -> None:
        self.config, self.plan, self.state = config, plan, state
        self.trials, self.device = trials, device
        self.samples = 0
        self.waited_s = 0.0
        self.worked_s = 0.0
        self.scores: dict[str, float] = {}

    def go(self, loader: Iterator[Batch]) -> TrainReport:
        config, state = self.config, self.state
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        start_s = saved_s = time.monotonic()
        before_s = state.seconds
        with Progress(*columns, disable=not os.isatty(2)) as progress:
            task = progress.add_task(config.preset, total=config.total_steps, completed=state.step)
            while state.step < config.total_steps:
                terms = self._step(loader)
                state.seconds = before_s + time.monotonic() - start_s
                progress.update(task, completed=state.step)
                last = state.step == config.total_steps
                if state.step % config.log_every == 0 or last:
                    self._write({"step": state.step, "seconds": state.seconds, **terms})
                if state.step % config.validate_every == 0 or last:
                    self._validate()
                if last or time.monotonic() - saved_s > config.checkpoint_every_s:
                    save_checkpoint(state, config, config.out / CHECKPOINT_FILE)
                    saved_s = time.monotonic()
        return self._report()

    def _step(self, loader: Iterator[Batch]) -> dict[str, float]:
        asked_s = time.monotonic()
        batch = next(loader)
        got_s = time.monotonic()
        terms = train_step(self.state, batch, self.config, self.plan, self.device)
        self.waited_s += got_s - asked_s
        self.worked_s += time.monotonic() - got_s
        self.samples += batch.hr_BCHW.shape[0]
        return terms

    def _write(self, record: dict[str, float]) -> None:
        busy_s = max(1e-9, self.waited_s + self.worked_s)
        record["samples_per_s"] = self.samples / busy_s
        record["waiting_share"] = self.waited_s / busy_s
        with (self.config.out / LOG_FILE).open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _validate(self) -> None:
        restore = restore_with(self.state.average, self.device)
        self.scores = score(self.trials, restore)
        log.info("step %d: %s", self.state.step, self.scores)
        seconds = self.state.seconds
        self._write({"step": self.state.step, "seconds": seconds, **self.scores})
        draw_curves(self.config.out / LOG_FILE, self.config.out / "curves.png")
        for trial in self.trials:
            lq, hr = trial.lq_BCHW[:SHEET_FACES], trial.hr_BCHW[:SHEET_FACES]
            rows = {"input": lq, "restored": restore(lq), "truth": hr}
            draw_sheet(rows, self.config.out / f"sheet_{trial.name}.png")

    def _report(self) -> TrainReport:
        busy_s = max(1e-9, self.waited_s + self.worked_s)
        return TrainReport(
            steps=self.state.step,
            seconds=self.state.seconds,
            samples_per_s=self.samples / busy_s,
            waiting_share=self.waited_s / busy_s,
            scores=self.scores,
            checkpoint=self.config.out / CHECKPOINT_FILE,
        )
