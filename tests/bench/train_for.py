"""Train configs for a given time, as on a machine that is lent for minutes; on CPUs and GPUs.

    python -m tests.bench.train_for SECONDS OUT_DIR CONFIG.yaml ... [--set KEY=VALUE ...]

Needs `aminet` and what it imports, not the pipeline's packages. First a trial of some steps finds
how long a step and a validation take, and that gradients are numbers there; then one run of as
many steps as fit, its cosine ending in time. OUT_DIR receives what to bring back, and the last
lines say so: each network's weights (fp16, in parts of 15 MiB that `cat` joins), log and curves. Of
a run that stops itself (`aminet.training.train`) it receives the newest checkpoint's.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aminet.device import resolve_device
from aminet.errors import DivergedError, TrainConfigError
from aminet.model_files import load_network, save_weights
from aminet.training.checkpoint import CHECKPOINT_FILE
from aminet.training.config import TrainConfig, load_config
from aminet.training.train import EARLY, LOG_FILE, train

TRIAL_STEPS: Final = {"cuda": 60, "cpu": 8}
"""A GPU's first steps find its kernels and are recorded, while its loaders come to work."""
MARGIN: Final = 0.93
"""Of the time left: for checkpoints, and steps that take longer than the trial's."""
VALIDATING: Final = 0.1
"""Largest share of the time for validations."""
MOST_VALIDATIONS: Final = 8
LONGEST_WARMUP: Final = 0.1
"""Of a run's steps."""
PART_BYTES: Final = 15 * 2**20

log = logging.getLogger("train_for")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, all networks together."""

    step_s: float
    validation_s: float


def with_steps(config: TrainConfig, steps: int, **changes: object) -> TrainConfig:
    """Give a config's last stage so many steps, and leave the others out."""
    stage = config.stages[-1].model_copy(update={"steps": steps})
    return config.model_copy(update={"stages": [stage], **changes})


def measure_pace(configs: Sequence[TrainConfig], folder: Path) -> Pace:
    """Try all networks together; take the second half, when every worker is at work."""
    steps = TRIAL_STEPS[resolve_device(configs[0].device).type]
    trial = [
        with_steps(
            config,
            steps,
            out=folder / config.out.name,
            log_every=1,
            validate_every=len(EARLY) * steps * max(EARLY),
        )
        for config in configs
    ]
    train(*trial, resume=False)
    files = [run.out / LOG_FILE for run in trial]
    records = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    times = {record["step"]: record["seconds"] for record in records[0] if "norm" in record}
    # The last step of each is followed by its validation.
    validation_s = sum(of_one[-1]["seconds"] - of_one[-2]["seconds"] for of_one in records)
    half, last = steps // 2, steps - 1
    return Pace((times[last] - times[half]) / (last - half), validation_s)


def fit(config: TrainConfig, left_s: float, pace: Pace, out: Path) -> TrainConfig:
    """Give a run as many steps as fit into the time left, and few enough validations.

    Args:
        config: what to train.
        left_s: seconds until the end.
        pace: of all networks that are trained together.
        out: folder of the run.

    Raises:
        TrainConfigError: not one step fits.
    """
    usable_s = MARGIN * left_s
    regular = int(VALIDATING * usable_s / max(pace.validation_s, 1e-9)) - len(EARLY)
    regular = min(MOST_VALIDATIONS, max(1, regular))
    steps = int((usable_s - (regular + len(EARLY)) * pace.validation_s) / pace.step_s)
    if steps < 1:
        raise TrainConfigError(
            f"{left_s:.0f} s are left, but a step takes {pace.step_s:.1f} s and a validation "
            f"{pace.validation_s:.1f} s: give the training more time",
            key="seconds",
        )
    warmup = min(config.optimiser.warmup_steps, int(LONGEST_WARMUP * steps))
    return with_steps(
        config,
        steps,
        out=out,
        log_every=max(1, steps // 200),
        validate_every=max(1, -(-steps // regular)),
        optimiser=config.optimiser.model_copy(update={"warmup_steps": warmup}),
    )


def hand_over(config: TrainConfig, out: Path) -> list[Path]:
    """Write one network's weights, log and curves; returns the files, none without a checkpoint."""
    checkpoint, name = config.out / CHECKPOINT_FILE, config.out.name
    if not checkpoint.is_file():
        return []
    network, card = load_network(str(checkpoint))
    file = config.out / f"{name}.safetensors"
    save_weights(
        network,
        file,
        protocol=config.protocol,
        training=card.training,
        generative=card.generative,
    )
    data = file.read_bytes()
    files = [out / f"{name}.json"]
    shutil.copy(file.with_suffix(".json"), files[0])
    for part, at in enumerate(range(0, len(data), PART_BYTES)):
        files.append(out / f"{file.name}.{part}")
        files[-1].write_bytes(data[at : at + PART_BYTES])
    for extra in (LOG_FILE, "curves.png"):
        if (config.out / extra).is_file():
            files.append(out / f"{name}-{extra}")
            shutil.copy(config.out / extra, files[-1])
    return files


def train_for(seconds: float, out: Path, configs: Sequence[TrainConfig]) -> list[Path]:
    """Try, plan, train, hand over; returns the files to bring back.

    Raises:
        DivergedError: a run stopped itself; its files are handed over first.
    """
    started_s = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    pace = measure_pace(configs, out.parent / "trial")
    left_s = seconds - (time.monotonic() - started_s)
    runs = [fit(config, left_s, pace, out.parent / "runs" / config.out.name) for config in configs]
    log.info(
        "%.0f ms a step, %.1f s a validation: %d steps in %.0f s, validated every %d",
        pace.step_s * 1e3,
        pace.validation_s,
        runs[0].total_steps,
        left_s,
        runs[0].validate_every,
    )
    files: list[Path] = []
    try:
        train(*runs, resume=False)
    finally:
        for run in runs:
            files += hand_over(run, out)
        for file in files:
            log.info("bring back %s (%.1f MiB)", file, file.stat().st_size / 2**20)
    log.info("took %.0f of %.0f s", time.monotonic() - started_s, seconds)
    return files


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line; exit with 1 when a run stopped itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    wanted = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    configs = [load_config(file, wanted.settings) for file in wanted.configs]
    try:
        train_for(wanted.seconds, wanted.out, configs)
    except DivergedError as error:
        raise SystemExit(f"stopped: {error}") from error


if __name__ == "__main__":
    main()
