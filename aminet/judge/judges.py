"""Measuring restored faces, one by one.

Shape legend: B batch, C channels, H height, W width; S side of a whole face, px.
"""
# ruff: noqa: N803

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aminet.data.degrade import resize
from aminet.errors import WeightsError
from aminet.judge.features import read_tensors
from aminet.judge.identity import IdentityDistance, build_embedding
from aminet.judge.lpips import LPIPS, build_lpips
from aminet.judge.metrics import psnr, ssim
from aminet.judge.trials import Trial
from aminet.judge.validate import compare

__all__ = ["COLOUR_SIDE_PX", "Figures", "Judges", "gain_db", "load_judges", "measure", "named"]

COLOUR_SIDE_PX: Final = 8
"""Side to which faces are reduced to compare their lowest frequencies, px."""


@dataclass(frozen=True, slots=True)
class Judges:
    """The feature networks to measure with; None leaves a measure out."""

    lpips: LPIPS | None = None
    identity: IdentityDistance | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Measures of some faces; each is (B,), float."""

    psnr_lab: Tensor
    """dB, in the "lab" convention (`aminet.judge.metrics`)."""
    ssim_lab: Tensor
    psnr_dic: Tensor
    """dB, in the "dic" convention."""
    ssim_dic: Tensor
    consistency_db: Tensor
    """PSNR (RGB) between the small face and the result reduced to its size."""
    colour_shift: Tensor
    """Mean absolute difference from the input at the lowest frequencies, in 8-bit levels."""
    lpips: Tensor | None
    identity: Tensor | None
    """Distance between the embeddings of the restored and the true face."""


def load_judges(files: Sequence[Path], device: torch.device) -> Judges:
    """Load feature networks. Which network a file is of is recognised by its tensors.

    Args:
        files: the weights of LPIPS, of the face embedding, or one file of each.
        device: the device to run them on.

    Raises:
        WeightsError: a file is missing or is neither, or there are two of one kind.
    """
    lpips: LPIPS | None = None
    identity: IdentityDistance | None = None
    for file in files:
        tensors = read_tensors(file)
        try:
            if "lin0.weight" in tensors:
                kind, known = "LPIPS", lpips
                lpips = build_lpips(tensors).to(device)
            elif "conv32_down.w" in tensors:
                kind, known = "face embeddings", identity
                identity = IdentityDistance(build_embedding(tensors)).to(device)
            else:
                raise WeightsError("no feature network known here: neither LPIPS nor dlib's")
        except WeightsError as error:
            raise WeightsError(f"{file}: {error.message}", path=str(file)) from error
        if known is not None:
            raise WeightsError(f"{file}: two {kind} were given, expected one", path=str(file))
    return Judges(lpips, identity)


def measure(judges: Judges, trial: Trial, y_BCHW: Tensor) -> Figures:
    """Measure the restored faces of a trial.

    Args:
        judges: feature networks.
        trial: the degraded and the true faces.
        y_BCHW: (B, 3, S, S) float in [0, 1], the restored faces.
    """
    hr = trial.hr_BCHW
    back = resize(y_BCHW, trial.lr_BCHW.shape[-1])
    error = (back - trial.lr_BCHW).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)
    shift = _lowest(y_BCHW) - _lowest(trial.lq_BCHW[:, :3])
    return Figures(
        psnr_lab=psnr(y_BCHW, hr, "lab"),
        ssim_lab=ssim(y_BCHW, hr, "lab"),
        psnr_dic=psnr(y_BCHW, hr, "dic"),
        ssim_dic=ssim(y_BCHW, hr, "dic"),
        consistency_db=-10 * torch.log10(error),
        colour_shift=shift.abs().mean(dim=(1, 2, 3)) * 255,
        lpips=compare(judges.lpips, y_BCHW, hr) if judges.lpips else None,
        identity=compare(judges.identity, y_BCHW, hr) if judges.identity else None,
    )


def gain_db(figures: Figures, before: Figures) -> Tensor:
    """Return the gain in PSNR ("lab") over `before`, (B,), dB; 0 where both are infinite."""
    return (figures.psnr_lab - before.psnr_lab).nan_to_num(0.0)


def named(figures: Figures) -> Mapping[str, Tensor]:
    """Return the measures that are not None, by name."""
    every = {name: getattr(figures, name) for name in Figures.__slots__}
    return {name: values for name, values in every.items() if values is not None}


def _lowest(x_BCHW: Tensor) -> Tensor:
    return F.interpolate(x_BCHW, (COLOUR_SIDE_PX, COLOUR_SIDE_PX), mode="area")
