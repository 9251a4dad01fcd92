"""Groups of faces, to compare how well a network restores each of them.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803, N806

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import kornia
import torch
from torch import Tensor

from aminet.judge.identity import TRAINING_EYES

__all__ = ["DARK", "EVERYONE", "FEWEST", "TURNED", "group_faces", "lightness"]

EVERYONE: Final = "all"
FEWEST: Final = 5
"""Sources with fewer faces than this are put into one group."""
TURNED: Final = 0.15
"""Least yaw of a turned face, in the manifest's unit: the nose's distance from the midpoint between
the eyes, in eye distances."""
DARK: Final = 50.0
"""Faces with a lower `lightness` are dark. This is not skin colour: a fair face in the shade is
dark too."""
_CHEEKS: Final = ((0.28, 0.42), (0.58, 0.72))
"""Columns of each cheek, as shares of the side."""
_CHEEK_ROWS: Final = (0.06, 0.16)
"""Rows of the cheeks below the eyes, as shares of the side."""


def group_faces(rows: Sequence[Mapping[str, Any]], hr_BCHW: Tensor) -> dict[str, tuple[int, ...]]:
    """Sort faces into groups; a face may be in several.

    Args:
        rows: the manifest's row for each face, {} without one. The keys `real_person`, `grey`,
            `source` and `yaw` are used, where a row has them.
        hr_BCHW: (B, 3, S, S) float in [0, 1], the true faces.

    Returns:
        Indices into `rows`, by group; `EVERYONE` comes first, and is the only group without a
        manifest.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    sources: dict[str, list[int]] = defaultdict(list)
    light = lightness(hr_BCHW).tolist()
    for i, row in enumerate(rows):
        if not row:
            continue
        if "real_person" in row:
            groups["real people" if row["real_person"] else "generated people"].append(i)
        if "grey" in row:
            groups["grey" if row["grey"] else "colour"].append(i)
        if "yaw" in row:
            groups["turned" if abs(float(row["yaw"])) >= TURNED else "frontal"].append(i)
        if "source" in row:
            sources[_short(str(row["source"]))].append(i)
        groups["dark" if light[i] < DARK else "light"].append(i)
    for name, indices in sources.items():
        key = f"from {name}" if len(indices) >= FEWEST else "from other sources"
        groups[key].extend(indices)
    return {
        EVERYONE: tuple(range(len(rows))),
        **{name: tuple(sorted(groups[name])) for name in sorted(groups)},
    }


def lightness(hr_BCHW: Tensor) -> Tensor:
    """Return L* of the cheeks, (B,), 0 to 100. It depends on skin and light alike.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1], the eyes as in the training crops.
    """
    side = hr_BCHW.shape[-1]
    top, bottom = (round(side * (TRAINING_EYES.row + share)) for share in _CHEEK_ROWS)
    cheeks = [
        hr_BCHW[..., top:bottom, round(left * side) : round(right * side)].flatten(2)
        for left, right in _CHEEKS
    ]
    median_BC = torch.cat(cheeks, dim=2).median(dim=2).values
    return kornia.color.rgb_to_lab(median_BC[:, :, None, None])[:, 0].flatten()


def _short(source: str) -> str:
    """Shorten a source, such as 'github:owner/name@commit' to 'owner/name'."""
    source = re.sub(r"@.*|\s.*", "", source)
    if source.startswith("github:"):
        return source.removeprefix("github:")
    return source.split("/")[0]
