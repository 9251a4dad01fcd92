"""PSNR and SSIM on luma, in the two conventions of the face super-resolution papers.

Never mix the two in one table:

    lab  that of AMINet's and CTCNet's lab: luma truncated to 8 bits, the whole picture
    dic  that of DIC and SFMNet: luma rounded to 8 bits, without a border of 8 px

Both use ITU-R BT.601 studio luma (16 to 235) and SSIM with an 11x11 Gaussian window of
sigma 1.5 (Wang et al. 2004), valid positions only.

Shape legend: B batch, H height, W width.
"""
# ruff: noqa: N803, N806, N812

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aminet.errors import SideError

__all__ = ["CONVENTIONS", "DIC_BORDER_PX", "Convention", "luma", "psnr", "ssim"]

Convention = Literal["lab", "dic"]
CONVENTIONS: Final[tuple[Convention, ...]] = ("lab", "dic")
DIC_BORDER_PX: Final = 8
_WINDOW_PX: Final = 11
_SIGMA_PX: Final = 1.5


def luma(x_BCHW: Tensor, convention: Convention) -> Tensor:
    """Return the BT.601 studio luma of 8-bit RGB.

    Args:
        x_BCHW: (B, 3, H, W) float in [0, 1]; rounded to 8 bits first, as saving a PNG would.
        convention: decides truncation or rounding, and the border.

    Returns:
        (B, H, W) float64, whole levels from 16 to 235; with "dic" 8 px less on each side.
    """
    levels = (x_BCHW.to(torch.float64).clamp(0, 1) * 255).round() / 255
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=x_BCHW.device)
    y_BHW = 16 + torch.einsum("bchw,c->bhw", levels, weights)
    if convention == "lab":
        # A small tolerance, so that rounding errors do not move exact levels to the one below.
        return (y_BHW + 1e-9).floor()
    b = DIC_BORDER_PX
    return y_BHW.round()[:, b:-b, b:-b]


def psnr(x_BCHW: Tensor, target_BCHW: Tensor, convention: Convention = "lab") -> Tensor:
    """Return the peak signal-to-noise ratio on luma, for a peak of 255.

    Args:
        x_BCHW: (B, 3, H, W) float in [0, 1].
        target_BCHW: same shape and range.
        convention: see the module.

    Returns:
        (B,) dB, float64; infinite where equal.

    Raises:
        SideError: when the shapes differ.
    """
    a, b = _pair(x_BCHW, target_BCHW, convention)
    return 10 * torch.log10(255.0**2 / (a - b).square().mean(dim=(1, 2)))


def ssim(x_BCHW: Tensor, target_BCHW: Tensor, convention: Convention = "lab") -> Tensor:
    """Return the structural similarity on luma.

    Args:
        x_BCHW: (B, 3, H, W) float in [0, 1], sides of at least 11 px after the border.
        target_BCHW: same shape and range.
        convention: see the module.

    Returns:
        (B,) float64, 1 where equal.

    Raises:
        SideError: when the shapes differ.
    """
    a, b = _pair(x_BCHW, target_BCHW, convention)
    r = torch.arange(_WINDOW_PX, dtype=torch.float64, device=a.device) - _WINDOW_PX // 2
    g = torch.exp(-0.5 * (r / _SIGMA_PX).square())
    window = torch.outer(g, g) / g.sum().square()
    stacked = torch.stack((a, b, a * a, b * b, a * b), dim=1)
    kernel = window.expand(5, 1, _WINDOW_PX, _WINDOW_PX)
    mean_a, mean_b, aa, bb, ab = F.conv2d(stacked, kernel, groups=5).unbind(dim=1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    means = mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    variances = aa + bb - squares
    score = (2 * means + c1) * (2 * (ab - means) + c2) / ((squares + c1) * (variances + c2))
    return score.mean(dim=(1, 2))


def _pair(x_BCHW: Tensor, target_BCHW: Tensor, convention: Convention) -> tuple[Tensor, Tensor]:
    if x_BCHW.shape != target_BCHW.shape:
        raise SideError(
            f"cannot compare {tuple(x_BCHW.shape)} with {tuple(target_BCHW.shape)}: "
            "the shapes must be equal"
        )
    return luma(x_BCHW, convention), luma(target_BCHW, convention)
