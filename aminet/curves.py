"""Pictures of a training run: curves from its log, and sheets of faces.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N806

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

log = logging.getLogger(__name__)

LABEL_PX = 14


def draw_sheet(rows: Mapping[str, Tensor], file: Path) -> None:
    """One row of faces for each entry, its name above it.

    Args:
        rows: name -> (B, 3, H, W) float in [0, 1], all of one shape.
        file: PNG to write.
    """
    b, _, h, w = next(iter(rows.values())).shape
    sheet = Image.new("RGB", (b * w, len(rows) * (h + LABEL_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (name, faces_BCHW) in enumerate(rows.items()):
        top = i * (h + LABEL_PX)
        draw.text((2, top + 1), name, fill="black")
        strip = faces_BCHW.permute(2, 0, 3, 1).reshape(h, b * w, 3).clamp(0, 1)
        levels = (strip * 255).round().to(torch.uint8).cpu().numpy()
        sheet.paste(Image.fromarray(np.ascontiguousarray(levels)), (0, top + LABEL_PX))
    sheet.save(file)


def draw_curves(log_file: Path, file: Path) -> None:
    """Loss, and gain of the averaged weights, against steps; nothing without matplotlib."""
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
