"""Degradations of video tape and film.

Pictures are (B, 3, H, W) float RGB in [0, 1], at the resolution of the medium.

Source: VHS (240 lines of luma, 40 of chroma, overshoot of its sharpening) after ITU-R BT.470 and
IEC 60774-1; grain after A. Newson et al., "A stochastic film grain model", 2017, reduced to
correlated noise that is strongest in the mid-tones.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N812

import kornia
import torch
import torch.nn.functional as F
from torch import Tensor

from aminet.data.kernels import blur, gaussian_kernels, kernel_side
from aminet.data.random_draws import RandomDraws

__all__ = ["film", "tape"]


def tape(x_BCHW: Tensor, draws: RandomDraws) -> Tensor:
    """Degrade as video tape: blurred and ringing luma, bleeding chroma, jitter, blended fields.

    Args:
        x_BCHW: (B, 3, H, W) float in [0, 1], sides of at least 8 px.
        draws: decides everything.

    Returns:
        Same shape and range.
    """
    b = x_BCHW.shape[0]
    ycc = kornia.color.rgb_to_ycbcr(x_BCHW)
    luma = _along_lines(ycc[:, :1], draws.numbers(b, 0.3, 1.2))
    # The recorder's sharpening makes edges overshoot along the line.
    edges = luma - _along_lines(luma, draws.numbers(b, 0.8, 1.6))
    amount = draws.numbers(b, 0.0, 1.0).view(b, 1, 1, 1)
    echo = F.pad(edges, (2, 0, 0, 0))[..., :-2]
    luma = luma + amount * edges - 0.4 * amount * echo
    late = draws.integer(0, 2)
    chroma = _along_lines(ycc[:, 1:], draws.numbers(b, 1.0, 4.0))
    chroma = F.pad(chroma, (late, 0, 0, 0), mode="replicate")[..., : x_BCHW.shape[-1]]
    noise = _along_lines(draws.normal((b, 3, *x_BCHW.shape[-2:])), draws.numbers(b, 0.4, 1.5))
    level = draws.numbers(b, 0.0, 10 / 255, power=1.5).view(b, 1, 1, 1)
    y = torch.cat((luma, chroma), dim=1) + level * noise
    y = _unsteady(kornia.color.ycbcr_to_rgb(y), draws)
    if draws.chance(0.4):
        padded = F.pad(y, (0, 0, 1, 1), mode="replicate")
        y = (padded[..., :-2, :] + 2 * y + padded[..., 2:, :]) / 4
    return y.clamp(0, 1)


def film(x_BCHW: Tensor, draws: RandomDraws) -> Tensor:
    """Degrade as film: grain and specks of dust.

    Args:
        x_BCHW: (B, 3, H, W) float in [0, 1], sides of at least 8 px.
        draws: decides everything.

    Returns:
        Same shape and range.
    """
    b, _, h, w = x_BCHW.shape
    sigma = draws.numbers(b, 0.3, 1.0)
    kernels = gaussian_kernels(sigma, sigma, torch.zeros_like(sigma), kernel_side(1.0))
    # Normalised, so that the strength does not depend on the grain's size.
    kernels = kernels / kernels.square().sum(dim=(1, 2), keepdim=True).sqrt()
    grain = blur(draws.normal((b, 1 if draws.chance(0.7) else 3, h, w)), kernels)
    level = draws.numbers(b, 0.0, 16 / 255, power=1.5).view(b, 1, 1, 1)
    y = x_BCHW + level * grain * (0.4 + 2.4 * x_BCHW * (1 - x_BCHW))
    if draws.chance(0.3):
        dust = draws.uniform((b, 1, h, w)) < 1.5e-3
        half = draws.integer(0, 1)
        dust = F.max_pool2d(dust.to(y.dtype), (2 * half + 1, 1), stride=1, padding=(half, 0))
        y = torch.lerp(y, torch.full_like(y, float(draws.chance(0.6))), 0.8 * dust)
    return y.clamp(0, 1)


def _along_lines(x_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Blur (B, C, H, W) horizontally, by a sigma (B,) in px for each picture."""
    x = torch.arange(-8, 9, dtype=torch.float32, device=x_BCHW.device)
    kernels = torch.exp(-0.5 * (x / sigma_B.view(-1, 1)).square())
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).view(-1, 1, 1, 1, 17)
    padded = F.pad(x_BCHW, (8, 8, 0, 0), mode="replicate").unfold(-1, 17, 1)
    return (padded * kernels).sum(dim=-1)


def _unsteady(x_BCHW: Tensor, draws: RandomDraws) -> Tensor:
    """Shift every line by a random amount, as an uneven tape speed does."""
    b, _, h, w = x_BCHW.shape
    jitter = draws.normal((b, h)) * draws.numbers(b, 0.0, 0.35, power=1.5).view(b, 1)
    grid = F.affine_grid(
        torch.eye(2, 3, device=x_BCHW.device).expand(b, 2, 3), [b, 3, h, w], align_corners=False
    ).clone()
    grid[..., 0] += jitter.unsqueeze(-1) * 2 / w
    return F.grid_sample(x_BCHW, grid, padding_mode="border", align_corners=False)
