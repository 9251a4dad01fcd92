"""Plotting the curves of a training run from its log."""

import json
import logging
from pathlib import Path

__all__ = ["draw_curves"]

log = logging.getLogger(__name__)


def draw_curves(log_file: Path, file: Path) -> None:
    """Plot the loss and the gain of the averaged weights; do nothing without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        log.info("no curves: matplotlib is not installed (it is in the `train` extra)")
        return
    records = [json.loads(line) for line in log_file.read_text().splitlines()]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [r for r in records if "charbonnier" in r]
    left.plot([r["step"] for r in losses], [r["charbonnier"] for r in losses], linewidth=0.8)
    left.set(xlabel="step", ylabel="Charbonnier loss", yscale="log")
    gains = sorted({key for r in records for key in r if key.endswith("_gain")})
    for key in gains:
        points = [(r["step"], r[key]) for r in records if key in r]
        right.plot(*zip(*points, strict=True), marker=".", label=key.removesuffix("_gain"))
    right.axhline(0, color="grey", linewidth=0.8)
    right.set(xlabel="step", ylabel="PSNR-Y over bicubic, dB (val)")
    if gains:
        right.legend()
    figure.savefig(file, dpi=110)
