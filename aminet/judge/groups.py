"""Groups of faces that a network must serve alike, as far as a folder's manifest tells them.

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

EVERYONE: Final = "all"
FEWEST: Final = 5
"""Sources of fewer faces are one group together."""
TURNED: Final = 0.15
"""From this yaw on, as the manifest measures it: the nose's distance from the middle between the
eyes, in eye distances."""
DARK: Final = 50.0
"""Faces of a lower `lightness` are dark. It tells no skin: a fair face in the shade is dark too."""
_CHEEKS: Final = ((0.28, 0.42), (0.58, 0.72))
"""From left to right, in sides."""
_CHEEK_ROWS: Final = (0.06, 0.16)
"""From the eyes' row down, in sides."""


def group_faces(rows: Sequence[Mapping[str, Any]], hr_BCHW: Tensor) -> dict[str, tuple[int, ...]]:
    """Sort faces into groups; one may be in several.

    Args:
        rows: the manifest's row of each face, {} without one. Read are `real_person`, `grey`,
            `source` and `yaw`; what a row lacks sorts its face into no group.
        hr_BCHW: (B, 3, S, S) float in [0, 1], the true faces.

    Returns:
        Name -> indices into `rows`, everyone first. Without a manifest that is all.
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
    """L* of the cheeks, (B,), 0 to 100: what skin and light make of them together.

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
    """Cut a source down to where it is kept: 'github:owner/name@commit' to 'owner/name'."""
    source = re.sub(r"@.*|\s.*", "", source)
    if source.startswith("github:"):
        return source.removeprefix("github:")
    return source.split("/")[0]
