"""From sharp faces to poor ones: the two protocols.

`bicubic_degrade` is the line of papers' (down and up by PIL's bicubic); `camera_degrade` is
blind: what cameras, old video and codecs do. Both work on whole batches on the tensor's own
device; only video codecs go through FFmpeg on the CPU. All chance comes from one
`torch.Generator` on the CPU, so the same seed gives the same pictures on any device, up to
rounding.

Shape legend: B batch, C channels, H height, W width, T frames. Images are square, RGB, float
in [0, 1].

Source: ranges after Real-ESRGAN (arXiv 2107.10833), GFPGAN (2101.04061) and CodeFormer
(2206.11253), scaled to faces of 128 px.
"""
# ruff: noqa: N803, N806, N812

import math
from dataclasses import dataclass
from typing import Final, Literal

import kornia
import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from aminet.data.analogue import film, tape
from aminet.data.burst import MACROBLOCK_PX, BurstSettings, compress_burst
from aminet.data.dice import Dice
from aminet.data.kernels import blur, gaussian_kernels, kernel_side, motion_kernels

__all__ = [
    "CAMERA",
    "CAMERA_TRAINING",
    "CameraRanges",
    "Coding",
    "bicubic_degrade",
    "camera_degrade",
    "camera_small",
    "quantise",
    "resize",
]

Coding = Literal["none", "jpeg", "video"]


@dataclass(frozen=True, slots=True)
class CameraRanges:
    """Limits of the camera protocol; `low`, `high` pairs are drawn uniformly unless said."""

    factor: tuple[float, float] = (1.0, 10.0)
    """Net reduction, drawn uniformly in its logarithm; 1 is a large face in a video that is not
    enlarged."""
    sigma_px: tuple[float, float] = (0.2, 4.0)
    """Blur at full size, weighted to the low end."""
    lens_sigma_px: tuple[float, float] = (0.2, 1.2)
    """Blur in pixels of the small face, weighted to the low end: what a lens does."""
    lens_share: float = 0.0
    """Share of groups blurred by `lens_sigma_px` in place of `sigma_px`."""
    sharp_share: float = 0.15
    """Share of groups with no blur of either kind."""
    motion_px: tuple[float, float] = (2.0, 11.0)
    noise: float = 20.0
    """Largest noise, in 8-bit levels, weighted to the low end."""
    jpeg_quality: tuple[int, int] = (30, 95)
    crf: tuple[int, int] = (23, 40)
    mpeg4_quantiser: tuple[int, int] = (3, 14)
    tape_share: float = 0.0
    """Share of groups that went through video tape (`aminet.data.analogue.tape`)."""
    film_share: float = 0.0
    """Share of groups that were filmed (`aminet.data.analogue.film`)."""
    phone_share: float = 0.0
    """Share of groups sharpened and compressed once before: what telephones and messengers do."""


CAMERA: Final = CameraRanges()
"""What networks are judged on."""
CAMERA_TRAINING: Final = CameraRanges(
    lens_share=0.5, sharp_share=0.25, tape_share=0.06, film_share=0.06, phone_share=0.1
)
"""What they are trained on: faces in video are mostly sharper than `CAMERA`'s, as a lens blurs by a
share of its own pixels, and a sharp, compressed face must not come out worse than it went in. Old
tapes, films and telephones have faults of their own."""


def resize(x_BCHW: Tensor, side: int) -> Tensor:
    """Bicubic with antialiasing, as PIL does it (a = -0.5), rounded to 8 bits and clamped.

    Args:
        x_BCHW: (B, C, H, W) float in [0, 1].
        side: new side, px.

    Returns:
        (B, C, side, side) on the 8-bit grid. On the CPU within one level of PIL's result. GPUs
        do not clip between the two passes as PIL does: a few levels apart at hard edges.
    """
    levels = (x_BCHW.clamp(0, 1) * 255).round()
    if levels.device.type == "cpu":
        levels = levels.to(torch.uint8)
    y = F.interpolate(levels, size=(side, side), mode="bicubic", antialias=True)
    return quantise(y.to(torch.float32) / 255)


def quantise(x: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to 8 bits."""
    return (x.clamp(0, 1) * 255).round_() / 255


def bicubic_degrade(hr_BCHW: Tensor, lr_side: int) -> Tensor:
    """Down to `lr_side` and back by bicubic: the paper line's protocol.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1].
        lr_side: side in between, px; S / 8 for x8.

    Returns:
        (B, 3, S, S) float in [0, 1].
    """
    return resize(resize(hr_BCHW, lr_side), hr_BCHW.shape[-1])


def camera_small(
    hr_BCHW: Tensor,
    generator: Generator,
    *,
    factor: float | None = None,
    coding: Coding | None = None,
    ranges: CameraRanges = CAMERA,
    frames: int = 1,
) -> Tensor:
    """What a poor camera makes of sharp faces.

    Blur (round, elongated, motion), reduction, noise (Gaussian or Poisson, grey or coloured),
    interlacing, faults of tape, film and telephones, compression, and often a second and weaker
    round. Reduction, codec and order are one draw for the whole batch, everything else one for
    each track; noise is new in every picture.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1], S at least 64.
        generator: on the CPU; advanced by the call.
        factor: net reduction; drawn when None.
        coding: drawn when None: none 15 %, JPEG 35 %, video 50 %.
        ranges: limits of every draw.
        frames: pictures in a row that are one track, in order of time; B is a multiple.

    Returns:
        (B, 3, S / factor, S / factor) float in [0, 1], at least 8 px a side.
    """
    dice = Dice(generator, hr_BCHW.device, frames)
    side = hr_BCHW.shape[-1]
    if factor is None:
        factor = dice.log_number(*ranges.factor)
    if coding is None:
        draw = dice.number(0, 1)
        coding = "none" if draw < 0.15 else "jpeg" if draw < 0.5 else "video"
    lr_side = max(8, round(side / factor))
    x = hr_BCHW
    if dice.chance(1 - ranges.sharp_share):
        if ranges.lens_share and dice.chance(ranges.lens_share):
            x = _lens_blur(x, dice, ranges, side / lr_side)
        else:
            x = _random_blur(x, dice, ranges, strength=1.0)
    two_rounds = dice.chance(0.35)
    if two_rounds:
        middle = round(dice.log_number(lr_side, side))
        x = _random_reduction(x, middle, dice)
        x = _random_noise(x, dice, ranges, strength=0.7)
        x = _jpeg(x, dice, (max(60, ranges.jpeg_quality[0]), ranges.jpeg_quality[1]))
        x = _random_blur(x, dice, ranges, strength=0.3)
    noise_first = dice.chance(0.3)
    if noise_first:
        x = _random_noise(x, dice, ranges, strength=1.0)
    x = _random_reduction(x, lr_side, dice)
    if not noise_first:
        x = _random_noise(x, dice, ranges, strength=0.5 if two_rounds else 1.0)
    if dice.chance(0.06):
        x = _interlace(x, dice)
    x = _old_or_phone(x, dice, ranges)
    return quantise(_code(quantise(x), coding, dice, ranges))


def camera_degrade(
    hr_BCHW: Tensor,
    generator: Generator,
    *,
    coding: Coding | None = None,
    ranges: CameraRanges = CAMERA,
) -> Tensor:
    """`camera_small`, upsampled back as a player would: bicubic, or bilinear one time in four.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1], S at least 64.
        generator: on the CPU; advanced by the call.
        coding: drawn when None.
        ranges: limits of every draw.

    Returns:
        (B, 3, S, S) float in [0, 1].
    """
    small = camera_small(hr_BCHW, generator, coding=coding, ranges=ranges)
    u = float(torch.rand((), generator=generator))
    side = hr_BCHW.shape[-1]
    mode = "bicubic" if u < 0.75 else "bilinear"
    return quantise(F.interpolate(small, size=(side, side), mode=mode, antialias=True))


def _random_blur(x_BCHW: Tensor, dice: Dice, ranges: CameraRanges, *, strength: float) -> Tensor:
    b, low = x_BCHW.shape[0], ranges.sigma_px[0]
    high = max(low, ranges.sigma_px[1] * strength)
    side = kernel_side(high)
    if strength == 1.0 and dice.chance(0.2):
        length = dice.numbers(b, *ranges.motion_px)
        return blur(x_BCHW, motion_kernels(length, dice.numbers(b, 0, math.pi), 13))
    a = dice.numbers(b, low, high, power=2.0)
    other = dice.numbers(b, low, high, power=2.0) if dice.chance(0.4) else a
    return blur(x_BCHW, gaussian_kernels(a, other, dice.numbers(b, 0, math.pi), side))


def _lens_blur(x_BCHW: Tensor, dice: Dice, ranges: CameraRanges, factor: float) -> Tensor:
    """Blur by a share of the small face's pixels, at full size."""
    b = x_BCHW.shape[0]
    low, high = (sigma * factor for sigma in ranges.lens_sigma_px)
    sigma = dice.numbers(b, low, high, power=1.5)
    angle = torch.zeros_like(sigma)
    side = kernel_side(high, most_px=x_BCHW.shape[-1] // 2 * 2 - 1)
    return blur(x_BCHW, gaussian_kernels(sigma, sigma, angle, side))


def _random_reduction(x_BCHW: Tensor, side: int, dice: Dice) -> Tensor:
    draw = dice.number(0, 1)
    if draw < 0.5:
        return F.interpolate(x_BCHW, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    if draw < 0.75:
        return F.interpolate(x_BCHW, (side, side), mode="bilinear", antialias=True)
    return F.interpolate(x_BCHW, (side, side), mode="area")


def _random_noise(x_BCHW: Tensor, dice: Dice, ranges: CameraRanges, *, strength: float) -> Tensor:
    if dice.chance(0.25):
        return x_BCHW
    b, c, h, w = x_BCHW.shape
    level = dice.numbers(b, 0, ranges.noise * strength / 255, power=2.0).view(b, 1, 1, 1)
    noise = dice.normal((b, 1 if dice.chance(0.4) else c, h, w))
    if dice.chance(0.3):
        # Shot noise: its deviation grows with the root of the light.
        noise = noise * (2 * x_BCHW.clamp(0, 1)).sqrt()
    return (x_BCHW + level * noise).clamp(0, 1)


def _old_or_phone(x_BCHW: Tensor, dice: Dice, ranges: CameraRanges) -> Tensor:
    # Without a share nothing is drawn, so that what networks are judged on stays the same.
    if ranges.film_share and dice.chance(ranges.film_share):
        x_BCHW = film(x_BCHW, dice)
    if ranges.tape_share and dice.chance(ranges.tape_share):
        x_BCHW = tape(x_BCHW, dice)
    if ranges.phone_share and dice.chance(ranges.phone_share):
        b, side = x_BCHW.shape[0], kernel_side(1.5)
        sigma = dice.numbers(b, 0.6, 1.5)
        soft = blur(x_BCHW, gaussian_kernels(sigma, sigma, torch.zeros_like(sigma), side))
        amount = dice.numbers(b, 0.2, 1.2).view(b, 1, 1, 1)
        sharpened = (x_BCHW + amount * (x_BCHW - soft)).clamp(0, 1)
        x_BCHW = _code(quantise(sharpened), "video", dice, ranges)
    return x_BCHW


def _interlace(x_BCHW: Tensor, dice: Dice) -> Tensor:
    """Comb: the odd lines come from a moment when the face was a little to the side."""
    y = x_BCHW.clone()
    shift = dice.integer(1, 2) * (1 if dice.chance(0.5) else -1)
    y[:, :, 1::2] = x_BCHW[:, :, 1::2].roll(shift, dims=-1)
    return y


def _jpeg(x_BCHW: Tensor, dice: Dice, quality: tuple[int, int]) -> Tensor:
    q = dice.numbers(x_BCHW.shape[0], *quality)
    return kornia.enhance.jpeg_codec_differentiable(x_BCHW.clamp(0, 1), q).clamp(0, 1)


def _code(x_BCHW: Tensor, coding: Coding, dice: Dice, ranges: CameraRanges) -> Tensor:
    if coding == "none":
        return x_BCHW
    if coding == "jpeg":
        return _jpeg(x_BCHW, dice, ranges.jpeg_quality)
    if dice.chance(0.8):
        settings = BurstSettings("libx264", dice.integer(*ranges.crf))
    else:
        settings = BurstSettings("mpeg4", dice.integer(*ranges.mpeg4_quantiser))
    return _video(x_BCHW, settings, dice)


def _video(x_BCHW: Tensor, settings: BurstSettings, dice: Dice) -> Tensor:
    """All faces of the batch side by side, through one video: it costs as much as one for a face.

    Each face sits on its own macroblocks. Tracks are coded as they are. Faces without a track are
    the last frame of a short burst, in which the frames before are shifted by up to 2 px and have
    noise of their own.
    """
    _, _, h, w = x_BCHW.shape
    cell = -(-max(h, w) // MACROBLOCK_PX) * MACROBLOCK_PX
    cells = F.pad(x_BCHW.cpu(), (0, cell - w, 0, cell - h), mode="replicate")
    cells = cells.unflatten(0, (-1, dice.frames))
    strips_THWC = cells.permute(1, 3, 0, 4, 2).flatten(2, 3)
    if dice.frames == 1:
        strips_THWC = _drifting(strips_THWC[0], dice)
    levels = (strips_THWC.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    coded = compress_burst(levels, settings)[-dice.frames :]
    strips_THWC = torch.from_numpy(coded.astype(np.float32) / 255)
    cells = strips_THWC.unflatten(2, (-1, cell)).permute(2, 0, 4, 1, 3).flatten(0, 1)
    return cells[:, :, :h, :w].to(x_BCHW.device)


def _drifting(strip_HWC: Tensor, dice: Dice) -> Tensor:
    frames: list[Tensor] = []
    for back in range(dice.integer(2, 4), -1, -1):
        shift = (dice.integer(-2, 2), dice.integer(-2, 2)) if back else (0, 0)
        moved = strip_HWC.roll(shift, dims=(0, 1))
        frames.append(moved + torch.randn(moved.shape, generator=dice.generator) * (1.5 / 255))
    return torch.stack(frames)
