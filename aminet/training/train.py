"""The training loop, which can be resumed at any step with identical results."""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader

from aminet.data.batches import Batch, Patches, TrainingBatches, to_device
from aminet.data.pictures import check_split, list_pictures
from aminet.device import resolve_device
from aminet.errors import DivergedError, TrainConfigError
from aminet.judge.sheets import draw_sheet
from aminet.judge.trials import Trial, standard_trials
from aminet.judge.validate import score
from aminet.restorer import Restorer
from aminet.training.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from aminet.training.config import TrainConfig
from aminet.training.curves import draw_curves
from aminet.training.step import TrainState, TrainStep, learning_rate, new_state

__all__ = [
    "BELOW_DB",
    "EARLY",
    "HOPELESS",
    "LOG_FILE",
    "SHARED",
    "SHEET_FACES",
    "WORSE",
    "TrainReport",
    "batches_from",
    "train",
    "validation_due",
]

log = logging.getLogger(__name__)

LOG_FILE: Final = "log.jsonl"
SHEET_FACES: Final = 8
HOPELESS: Final = 3
"""Logged steps in a row without a finite gradient after which the run ends."""
WORSE: Final = 2
"""Validations in a row, after the warm-up, with every trial below bicubic after which it ends."""
BELOW_DB: Final = 0.1
"""Margin for that, dB: a network that has just begun varies around bicubic."""
EARLY: Final = (8, 4, 2)
"""The first regular validation is preceded by ones at 1/8, 1/4 and 1/2 of its step, so that errors
show in the first minutes."""
SHARED: Final = (
    "protocol",
    "data",
    "stages",
    "seed",
    "clean_share",
    "track_share",
    "groups",
    "in_channels",
    "device",
    "threads",
)
"""Settings that runs on the same batches must have in common."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """The result of a run."""

    preset: str
    steps: int
    seconds: float
    samples_per_s: float
    waiting_share: float
    """Share of this run's time in which the device waited for data."""
    scores: dict[str, float]
    checkpoint: Path


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def batches_from(
    batches: TrainingBatches, step: int, workers: int, *, pin: bool
) -> Iterator[Batch]:
    """Yield the batches of all steps from `step` on, in order."""
    loader: DataLoader[Batch] = DataLoader(
        batches,
        batch_size=None,
        sampler=range(step, len(batches)),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        worker_init_fn=_one_thread,
        # Not "fork", because a forked child of a process with OpenMP threads can hang.
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)


def train(*configs: TrainConfig, resume: bool = True) -> list[TrainReport]:
    """Train one or more networks on the same batches, to the end of the last stage.

    A CPU core takes longer to make a batch than a GPU takes for a step, so that two networks which
    share their batches need little more time than one.

    Args:
        configs: settings of each run. `checkpoint.pt`, `log.jsonl`, `curves.png`, `sheet_*.png` and
            the resolved `config.json` are written to its `out`. The settings in `SHARED` must be
            the same for all.
        resume: continue from the checkpoint in `out`, if there is one.

    Raises:
        DeviceError: this machine does not have the device.
        DataError: pictures are missing or too small, or people are on both sides of the split.
        DivergedError: the gradients are not finite, or the network stays worse than bicubic.
        TrainConfigError: the runs differ in `SHARED`, or a checkpoint is of another preset.
        WeightsError: a config's `init` cannot be read, or cannot be widened to the preset.
    """
    _check_shared(configs)
    common = configs[0]
    device = resolve_device(common.device)
    if common.threads:
        torch.set_num_threads(common.threads)
    pictures = list_pictures(common.data.train, "train")
    val = list_pictures(common.data.val, "val")
    check_split(pictures, val)
    trials = standard_trials(val, 128)
    runs = [_Run(config, _first_state(config, device, resume=resume), trials) for config in configs]
    step = min(run.state.step for run in runs)
    batches = TrainingBatches(pictures, common.batch_plan())
    loader = batches_from(batches, step, common.data.workers, pin=device.type == "cuda")
    names = ", ".join(config.preset for config in configs)
    log.info("%s from step %d of %d on %s", names, step, common.total_steps, device)
    # Shapes change only with the stage, so that searching for the fastest kernels pays off.
    torch.backends.cudnn.benchmark = True
    return _go(runs, loader, device, step)


def _check_shared(configs: Sequence[TrainConfig]) -> None:
    first, *others = configs
    for other in others:
        for key in SHARED:
            if getattr(other, key) != getattr(first, key):
                raise TrainConfigError(
                    f"networks trained together must agree in {key!r}: {first.preset} has "
                    f"{getattr(first, key)!r}, {other.preset} has {getattr(other, key)!r}",
                    key=key,
                )
    if len({config.out for config in configs}) < len(configs):
        raise TrainConfigError(
            f"networks trained together need an `out` each, got {first.out} twice", key="out"
        )


def _first_state(config: TrainConfig, device: torch.device, *, resume: bool) -> TrainState:
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "config.json").write_text(config.model_dump_json(indent=2))
    file = config.out / CHECKPOINT_FILE
    if resume and file.is_file():
        return load_checkpoint(config, file, device)
    (config.out / LOG_FILE).unlink(missing_ok=True)
    return new_state(config, device)


@dataclass(slots=True)
class _Throughput:
    """Samples and time of the loop."""

    samples: int = 0
    waited_s: float = 0.0
    worked_s: float = 0.0

    @property
    def samples_per_s(self) -> float:
        return self.samples / max(1e-9, self.waited_s + self.worked_s)

    @property
    def waiting_share(self) -> float:
        return self.waited_s / max(1e-9, self.waited_s + self.worked_s)


def _go(
    runs: Sequence["_Run"], loader: Iterator[Batch], device: torch.device, step: int
) -> list[TrainReport]:
    throughput = _Throughput()
    total = runs[0].config.total_steps
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not os.isatty(2)) as progress:
        task = progress.add_task(runs[0].config.preset, total=total, completed=step)
        for at in range(step, total):
            asked_s = time.monotonic()
            batch = next(loader)
            got_s = time.monotonic()
            patches = to_device(batch, device)
            throughput.samples += len(patches.hr_BCHW)
            for run in runs:
                # A run that was stopped later than the others waits for them.
                if run.state.step == at:
                    run.step(patches, throughput)
            throughput.waited_s += got_s - asked_s
            throughput.worked_s += time.monotonic() - got_s
            progress.update(task, completed=at + 1)
    return [run.report(throughput) for run in runs]


def validation_due(step: int, every: int) -> bool:
    """Return whether to validate after a step (from 1): multiples of `every`, and `EARLY`."""
    return step % every == 0 or step in {every // part for part in EARLY}


class _Run:
    """One network's bookkeeping: log, validation, checkpoints."""

    def __init__(self, config: TrainConfig, state: TrainState, trials: list[Trial]) -> None:
        self.config, self.state, self.trials = config, state, trials
        self.train_step = TrainStep(state, config)
        self.scores: dict[str, float] = {}
        self.unusable = self.worse = 0
        self.before_s = state.seconds
        self.start_s = self.saved_s = time.monotonic()

    def step(self, patches: Patches, throughput: _Throughput) -> None:
        config, state = self.config, self.state
        figures = self.train_step(patches)
        last = state.step == config.total_steps
        # Reading a value waits for the device, so it is not done in every step.
        if state.step % config.log_every == 0 or last:
            read = {name: float(figure) for name, figure in figures.items()}
            lr = learning_rate(state.step - 1, config.total_steps, config.optimiser)
            self._write({**read, "lr": lr}, throughput)
            self._check(read["norm"])
        if validation_due(state.step, config.validate_every) or last:
            self._validate(throughput)
            self._check_scores()
        if last or time.monotonic() - self.saved_s > config.checkpoint_every_s:
            self._count_seconds()
            save_checkpoint(state, config, config.out / CHECKPOINT_FILE)
            self.saved_s = time.monotonic()

    def _count_seconds(self) -> None:
        self.state.seconds = self.before_s + time.monotonic() - self.start_s

    def _write(self, figures: dict[str, float], throughput: _Throughput) -> None:
        self._count_seconds()
        record = {
            "step": self.state.step,
            "seconds": self.state.seconds,
            **figures,
            "samples_per_s": throughput.samples_per_s,
            "waiting_share": throughput.waiting_share,
        }
        with (self.config.out / LOG_FILE).open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _check(self, norm: float) -> None:
        step, logged = self.state.step, self.config.log_every
        self.unusable = 0 if math.isfinite(norm) else self.unusable + 1
        if self.unusable:
            log.warning("step %d: the gradient is not finite; no weight changed", step)
        if self.unusable == HOPELESS:
            raise DivergedError(
                f"{self.config.preset}: no gradient since step {step - (HOPELESS - 1) * logged} "
                "was finite, so that weights no longer change; set a lower `optimiser.lr`",
                step=step,
            )

    def _check_scores(self) -> None:
        gains = [value for name, value in self.scores.items() if name.endswith("_gain")]
        warm = self.state.step > self.config.optimiser.warmup_steps
        good = any(gain > -BELOW_DB for gain in gains)
        self.worse = self.worse + 1 if warm and not good else 0
        if self.worse == WORSE:
            raise DivergedError(
                f"{self.config.preset}: at step {self.state.step} every trial is below bicubic "
                f"(the best by {-max(gains):.2f} dB), as at the validation before; set a lower "
                "`optimiser.lr`, or check the training data",
                step=self.state.step,
            )

    def _validate(self, throughput: _Throughput) -> None:
        restore = Restorer(self.state.average, self.train_step.device).restore
        self.scores = score(self.trials, restore, self.train_step.lpips)
        log.info("%s, step %d: %s", self.config.preset, self.state.step, self.scores)
        self._write(self.scores, throughput)
        draw_curves(self.config.out / LOG_FILE, self.config.out / "curves.png")
        for trial in self.trials:
            lq, hr = trial.lq_BCHW[:SHEET_FACES], trial.hr_BCHW[:SHEET_FACES]
            rows = {"input": lq[:, :3], "restored": restore(lq), "truth": hr}
            draw_sheet(rows, self.config.out / f"sheet_{trial.name}.png")

    def report(self, throughput: _Throughput) -> TrainReport:
        return TrainReport(
            preset=self.config.preset,
            steps=self.state.step,
            seconds=self.state.seconds,
            samples_per_s=throughput.samples_per_s,
            waiting_share=throughput.waiting_share,
            scores=self.scores,
            checkpoint=self.config.out / CHECKPOINT_FILE,
        )
