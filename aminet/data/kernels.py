"""Batched blur kernels and their convolution.

Shape legend: B batch, C channels, H height, W width, S kernel side (odd).
"""
# ruff: noqa: N803, N806, N812

import math

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

__all__ = ["blur", "gaussian_kernels", "kernel_side", "motion_kernels"]


def gaussian_kernels(sigma_a_B: Tensor, sigma_b_B: Tensor, angle_B: Tensor, side: int) -> Tensor:
    """Return rotated anisotropic Gaussians.

    Args:
        sigma_a_B: (B,) standard deviation along the first axis, px, > 0.
        sigma_b_B: (B,) along the second; equal to the first for a round blur.
        angle_B: (B,) of the first axis against x, radians.
        side: odd side of the kernels, px.

    Returns:
        (B, S, S) float, each summing to 1.
    """
    r = torch.arange(side, dtype=torch.float32, device=sigma_a_B.device) - side // 2
    y_SS, x_SS = torch.meshgrid(r, r, indexing="ij")
    cos, sin = angle_B.cos().view(-1, 1, 1), angle_B.sin().view(-1, 1, 1)
    u = (cos * x_SS + sin * y_SS) / sigma_a_B.view(-1, 1, 1)
    v = (cos * y_SS - sin * x_SS) / sigma_b_B.view(-1, 1, 1)
    return _unit_sum(torch.exp(-0.5 * (u * u + v * v)))


def motion_kernels(length_B: Tensor, angle_B: Tensor, side: int) -> Tensor:
    """Return kernels of linear motion: an antialiased line through the centre.

    Args:
        length_B: (B,) length of the path, px.
        angle_B: (B,) direction, radians.
        side: odd side of the kernels, px.

    Returns:
        (B, S, S) float, each summing to 1.
    """
    r = torch.arange(side, dtype=torch.float32, device=length_B.device) - side // 2
    y_SS, x_SS = torch.meshgrid(r, r, indexing="ij")
    cos, sin = angle_B.cos().view(-1, 1, 1), angle_B.sin().view(-1, 1, 1)
    along = (cos * x_SS + sin * y_SS).abs()
    across = (cos * y_SS - sin * x_SS).abs()
    end = (length_B.view(-1, 1, 1) / 2 + 0.5 - along).clamp(0, 1)
    return _unit_sum(end * (1 - across).clamp(0, 1))


def _unit_sum(k_BSS: Tensor) -> Tensor:
    return k_BSS / k_BSS.sum(dim=(1, 2), keepdim=True)


def blur(x_BCHW: Tensor, k_BSS: Tensor) -> Tensor:
    """Blur each picture with its own kernel; edges are reflected.

    Args:
        x_BCHW: (B, C, H, W) float, sides larger than half the kernel's.
        k_BSS: (B, S, S) kernels of one odd side.

    Returns:
        (B, C, H, W), same range.
    """
    h, w = x_BCHW.shape[-2:]
    side = k_BSS.shape[-1]
    half = side // 2
    padded = F.pad(x_BCHW, (half, half, half, half), mode="reflect")
    # With large kernels, one for each picture, FFTs are many times cheaper on a CPU than a grouped
    # convolution. The first side - 1 rows and columns wrap around and are dropped. Sizes with large
    # prime factors, such as 128 + 20, take three times as long as the next good one.
    size = [next_fast_len(side_px, real=True) for side_px in padded.shape[-2:]]
    spectrum = torch.fft.rfft2(padded, s=size) * torch.fft.rfft2(k_BSS, s=size).unsqueeze(1)
    y_BCHW = torch.fft.irfft2(spectrum, s=size)
    return y_BCHW[..., side - 1 : side - 1 + h, side - 1 : side - 1 + w]


def kernel_side(largest_sigma_px: float, most_px: int = 21) -> int:
    """Return the smallest odd side of three standard deviations each way, at most `most_px`, px."""
    return min(most_px, 2 * math.ceil(3 * largest_sigma_px) + 1)
