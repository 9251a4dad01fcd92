"""Sheets: rows of faces in one picture.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N806

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

__all__ = ["LABEL_PX", "as_image", "draw_sheet"]

LABEL_PX: Final = 14
"""Height of a line of text, px."""


def draw_sheet(rows: Mapping[str, Tensor], file: Path) -> None:
    """Write a picture with one row of faces for each entry, its name above it.

    Args:
        rows: (B, 3, H, W) float in [0, 1], all of one shape, by name.
        file: PNG file to write.
    """
    b, _, h, w = next(iter(rows.values())).shape
    sheet = Image.new("RGB", (b * w, len(rows) * (h + LABEL_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (name, faces_BCHW) in enumerate(rows.items()):
        top = i * (h + LABEL_PX)
        draw.text((2, top + 1), name, fill="black")
        strip_CHW = faces_BCHW.permute(1, 2, 0, 3).flatten(2)
        sheet.paste(as_image(strip_CHW), (0, top + LABEL_PX))
    sheet.save(file)


def as_image(picture_CHW: Tensor) -> Image.Image:
    """Turn a (3, H, W) float tensor in [0, 1] into a picture."""
    levels = (picture_CHW.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(levels.cpu().numpy()))
