"""A page of faces at natural size: the worst, median and best results of a network.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from aminet.judge.judges import Figures, gain_db
from aminet.judge.sheets import LABEL_PX, as_image
from aminet.judge.trials import Trial

__all__ = ["FACES_OF_A_KIND", "draw_page", "ranking"]

FACES_OF_A_KIND: Final = 3
"""Faces of each kind (worst, median, best) on a page."""
_BACKGROUND: Final = (200, 200, 200)
_SPACE_PX: Final = 4
_NAME_LENGTH: Final = 20
"""Characters that fit above a column; the last ones of a path are shown."""


def draw_page(
    trial: Trial,
    restored: Mapping[str, Tensor],
    figures: Mapping[str, Figures],
    before: Figures,
    names: Sequence[str],
) -> Image.Image:
    """Draw a row for each chosen face: the small face, bicubic, every model, the truth.

    Nothing is enlarged or reduced. Faces are ranked by the last model: by how much it reduces the
    distance of the identity, or by its gain in dB if identities were not measured.

    Args:
        trial: the small and the true faces.
        restored: (B, 3, S, S) float in [0, 1], by model.
        figures: measures, by model.
        before: measures of bicubic.
        names: names of the faces.
    """
    *_, judged = restored
    ranked = ranking(figures[judged], before)
    columns = {"bicubic": before, **figures}
    pictures = {"bicubic": trial.lq_BCHW[:, :3], **restored}
    side = trial.hr_BCHW.shape[-1]
    cell_w, cell_h = side + _SPACE_PX, side + LABEL_PX + _SPACE_PX
    rows = [(kind, index) for kind, indices in ranked.items() for index in indices]
    size = (cell_w * (len(columns) + 2), LABEL_PX + (cell_h + LABEL_PX) * len(rows))
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for x, name in enumerate(("small face", *columns, "truth")):
        draw.text((x * cell_w, 1), name[-_NAME_LENGTH:], fill="black")
    for y, (kind, index) in enumerate(rows):
        top = LABEL_PX + y * (cell_h + LABEL_PX)
        draw.text((0, top + 1), f"{kind}: {names[index]}", fill="black")
        top += LABEL_PX
        cells = [_centred(trial.lr_BCHW[index], side)]
        cells += [as_image(pictures[name][index]) for name in columns]
        cells.append(as_image(trial.hr_BCHW[index]))
        for x, cell in enumerate(cells):
            page.paste(cell, (x * cell_w, top))
        for x, name in enumerate(columns, start=1):
            label = _label(columns[name], before, index)
            draw.text((x * cell_w, top + side + 1), label, fill="black")
    return page


def ranking(figures: Figures, before: Figures) -> dict[str, list[int]]:
    """Return the indices of the chosen faces by kind ("worst", "median", "best"), each once."""
    if figures.identity is not None and before.identity is not None:
        better = before.identity - figures.identity
    else:
        better = gain_db(figures, before)
    order: list[int] = torch.argsort(better, stable=True).tolist()
    count = min(FACES_OF_A_KIND, len(order))
    worst, rest = order[:count], order[count:]
    best = rest[len(rest) - min(count, len(rest)) :]
    rest = rest[: len(rest) - len(best)]
    start = max(0, (len(rest) - count) // 2)
    return {"worst": worst, "median": rest[start : start + count], "best": best}


def _label(figures: Figures, before: Figures, index: int) -> str:
    parts = [f"{float(gain_db(figures, before)[index]):+.1f}"]
    if figures.lpips is not None:
        parts.append(f"L{float(figures.lpips[index]):.2f}")
    if figures.identity is not None:
        parts.append(f"id{float(figures.identity[index]):.2f}")
    return " ".join(parts)


def _centred(small_CHW: Tensor, side: int) -> Image.Image:
    cell = Image.new("RGB", (side, side), _BACKGROUND)
    small = as_image(small_CHW)
    cell.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return cell
