"""Train shipped configs for a given time, as on a machine that is lent for minutes.

    python -m tests.bench.train_for SECONDS OUT_DIR CONFIG.yaml ... [--set KEY=VALUE ...]

Needs `aminet` and what it imports, not the pipeline's packages. First a trial of 60 steps finds how
long a step takes, and that gradients are numbers there; then one run of as many steps as fit, its
cosine ending in time. OUT_DIR receives each network's weights (fp16, in parts of 15 MiB that `cat`
joins), log and curves.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aminet.model_files import load_network, save_weights
from aminet.training.checkpoint import CHECKPOINT_FILE
from aminet.training.config import TrainConfig, load_config
from aminet.training.train import LOG_FILE, train

TRIAL_STEPS: Final = 60
MARGIN: Final = 0.93
"""Of the time left: for validation, checkpoints, and steps that take longer than the trial's."""
PART_BYTES: Final = 15 * 2**20


def with_steps(config: TrainConfig, steps: int, out: Path) -> TrainConfig:
    """Give a config's last stage so many steps, and leave the others out."""
    stage = config.stages[-1].model_copy(update={"steps": steps})
    logged = max(1, steps // 200)
    return config.model_copy(update={"stages": [stage], "out": out, "log_every": logged})


def seconds_a_step(configs: Sequence[TrainConfig], out: Path) -> float:
    """Try all networks together; take the second half, when every worker is at work."""
    trial = [
        with_steps(config, TRIAL_STEPS, out / f"trial-{config.preset}").model_copy(
            update={"log_every": 5, "validate_every": TRIAL_STEPS + 1}
        )
        for config in configs
    ]
    train(*trial, resume=False)
    records = [json.loads(line) for line in (trial[0].out / LOG_FILE).read_text().splitlines()]
    times = {record["step"]: record["seconds"] for record in records if "norm" in record}
    last = TRIAL_STEPS - 5
    return (times[last] - times[TRIAL_STEPS // 2]) / (last - TRIAL_STEPS // 2)


def hand_over(config: TrainConfig, out: Path) -> None:
    """Write one network's weights, log and curves."""
    network, _ = load_network(str(config.out / CHECKPOINT_FILE))
    file = config.out / f"{config.preset}.safetensors"
    save_weights(network, file, protocol=config.protocol, training={}, scores={}, notes="")
    data = file.read_bytes()
    for part, at in enumerate(range(0, len(data), PART_BYTES)):
        (out / f"{file.name}.{part}").write_bytes(data[at : at + PART_BYTES])
    for name in (LOG_FILE, "curves.png"):
        if (config.out / name).is_file():
            shutil.copy(config.out / name, out / f"{config.preset}-{name}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Try, plan, train, hand over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    wanted = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    started_s = time.monotonic()
    configs = [load_config(file, wanted.settings) for file in wanted.configs]
    wanted.out.mkdir(parents=True, exist_ok=True)
    step_s = seconds_a_step(configs, wanted.out.parent / "trial")
    left_s = wanted.seconds - (time.monotonic() - started_s)
    steps = int(MARGIN * left_s / step_s)
    logging.info("%.1f ms a step: %d steps in %.0f s", step_s * 1e3, steps, left_s)
    folder = wanted.out.parent / "runs"
    runs = [with_steps(config, max(1, steps), folder / config.preset) for config in configs]
    train(*runs, resume=False)
    for run in runs:
        hand_over(run, wanted.out)
    logging.info("took %.0f s", time.monotonic() - started_s)


if __name__ == "__main__":
    main()
