"""The two protocols that degrade sharp faces.

`bicubic_degrade` is that of the face papers (down and up by PIL's bicubic). `camera_degrade` is
blind: it simulates cameras, old video and codecs. Both work on whole batches on the tensor's
device; only video codecs run on the CPU, through FFmpeg. All random numbers come from one
`torch.Generator` on the CPU, so that the same seed gives the same pictures on any device, up to
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
from aminet.data.kernels import blur, gaussian_kernels, kernel_side, motion_kernels
from aminet.data.random_draws import RandomDraws

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
    """Limits of the camera protocol. (low, high) pairs are drawn uniformly unless noted."""

    factor: tuple[float, float] = (1.0, 10.0)
    """Net reduction, drawn uniformly in its logarithm; 1 is a large face in a video that is not
    enlarged."""
    sigma_px: tuple[float, float] = (0.2, 4.0)
    """Standard deviation of the blur at full size, px; low values are more frequent."""
    lens_sigma_px: tuple[float, float] = (0.2, 1.2)
    """Standard deviation of lens blur, in px of the small face; low values are more frequent."""
    lens_share: float = 0.0
    """Share of groups blurred by `lens_sigma_px` in place of `sigma_px`."""
    sharp_share: float = 0.15
    """Share of groups with no blur of either kind."""
    motion_px: tuple[float, float] = (2.0, 11.0)
    """Length of motion blur, px at full size."""
    noise: float = 20.0
    """Largest standard deviation of the noise, in 8-bit levels; low values are more frequent."""
    jpeg_quality: tuple[int, int] = (30, 95)
    """Quality of libjpeg."""
    crf: tuple[int, int] = (23, 40)
    """CRF of x264."""
    mpeg4_quantiser: tuple[int, int] = (3, 14)
    """Quantiser of MPEG-4 Part 2."""
    tape_share: float = 0.0
    """Share of groups degraded as video tape (`aminet.data.analogue.tape`)."""
    film_share: float = 0.0
    """Share of groups degraded as film (`aminet.data.analogue.film`)."""
    phone_share: float = 0.0
    """Share of groups that are sharpened and compressed first, as phones and messengers do."""


CAMERA: Final = CameraRanges()
"""The ranges for evaluation."""
CAMERA_TRAINING: Final = CameraRanges(
    lens_share=0.5, sharp_share=0.25, tape_share=0.06, film_share=0.06, phone_share=0.1
)
"""The ranges for training. Faces in video are mostly sharper than `CAMERA`'s, because a lens blurs
in proportion to the sensor's pixels, and a sharp, compressed face must not get worse. Tape, film
and phones are added for their own artefacts."""


def resize(x_BCHW: Tensor, side: int) -> Tensor:
    """Resize by bicubic with antialiasing, as PIL does (a = -0.5), and quantise to 8 bits.

    Args:
        x_BCHW: (B, C, H, W) float in [0, 1].
        side: new side, px.

    Returns:
        (B, C, side, side) float in [0, 1] on the 8-bit grid. On the CPU within one level of PIL's
        result; on GPUs, which do not clip between the two passes, a few levels off at hard edges.
    """
    levels = (x_BCHW.clamp(0, 1) * 255).round()
    if levels.device.type == "cpu":
        levels = levels.to(torch.uint8)
    y = F.interpolate(levels, size=(side, side), mode="bicubic", antialias=True)
    return quantise(y.to(torch.float32) / 255)


def quantise(x: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to 8 bits; any shape."""
    return (x.clamp(0, 1) * 255).round_() / 255


def bicubic_degrade(hr_BCHW: Tensor, lr_side: int) -> Tensor:
    """Reduce by bicubic and enlarge again: the protocol of the face papers.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1].
        lr_side: side of the reduced face, px; S / 8 for x8.

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
    """Reduce sharp faces as a poor camera does.

    Blur (isotropic, anisotropic, motion), reduction, noise (Gaussian or Poisson, grey or coloured),
    interlacing, artefacts of tape, film and phones, compression, and often a second, weaker round.
    Reduction, codec and order are drawn once for the batch, everything else once for each track;
    noise is drawn for every picture.

    Args:
        hr_BCHW: (B, 3, S, S) float in [0, 1], S at least 64.
        generator: on the CPU; advanced by the call.
        factor: net reduction; drawn when None.
        coding: drawn when None: none 15 %, JPEG 35 %, video 50 %.
        ranges: limits of every draw.
        frames: pictures per track, in order of time; B is a multiple of it.

    Returns:
        (B, 3, S / factor, S / factor) float in [0, 1], at least 8 px a side.
    """
    draws = RandomDraws(generator, hr_BCHW.device, frames)
    side = hr_BCHW.shape[-1]
    if factor is None:
        factor = draws.log_number(*ranges.factor)
    if coding is None:
        draw = draws.number(0, 1)
        coding = "none" if draw < 0.15 else "jpeg" if draw < 0.5 else "video"
    lr_side = max(8, round(side / factor))
    x = hr_BCHW
    if draws.chance(1 - ranges.sharp_share):
        if ranges.lens_share and draws.chance(ranges.lens_share):
            x = _lens_blur(x, draws, ranges, side / lr_side)
        else:
            x = _random_blur(x, draws, ranges, strength=1.0)
    two_rounds = draws.chance(0.35)
    if two_rounds:
        middle = round(draws.log_number(lr_side, side))
        x = _random_reduction(x, middle, draws)
        x = _random_noise(x, draws, ranges, strength=0.7)
        x = _jpeg(x, draws, (max(60, ranges.jpeg_quality[0]), ranges.jpeg_quality[1]))
        x = _random_blur(x, draws, ranges, strength=0.3)
    noise_first = draws.chance(0.3)
    if noise_first:
        x = _random_noise(x, draws, ranges, strength=1.0)
    x = _random_reduction(x, lr_side, draws)
    if not noise_first:
        x = _random_noise(x, draws, ranges, strength=0.5 if two_rounds else 1.0)
    if draws.chance(0.06):
        x = _interlace(x, draws)
    x = _old_or_phone(x, draws, ranges)
    return quantise(_code(quantise(x), coding, draws, ranges))


def camera_degrade(
    hr_BCHW: Tensor,
    generator: Generator,
    *,
    coding: Coding | None = None,
    ranges: CameraRanges = CAMERA,
) -> Tensor:
    """Apply `camera_small` and enlarge the result: by bicubic, or one time in four by bilinear.

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


def _random_blur(
    x_BCHW: Tensor, draws: RandomDraws, ranges: CameraRanges, *, strength: float
) -> Tensor:
    b, low = x_BCHW.shape[0], ranges.sigma_px[0]
    high = max(low, ranges.sigma_px[1] * strength)
    side = kernel_side(high)
    if strength == 1.0 and draws.chance(0.2):
        length = draws.numbers(b, *ranges.motion_px)
        return blur(x_BCHW, motion_kernels(length, draws.numbers(b, 0, math.pi), 13))
    a = draws.numbers(b, low, high, power=2.0)
    other = draws.numbers(b, low, high, power=2.0) if draws.chance(0.4) else a
    return blur(x_BCHW, gaussian_kernels(a, other, draws.numbers(b, 0, math.pi), side))


def _lens_blur(x_BCHW: Tensor, draws: RandomDraws, ranges: CameraRanges, factor: float) -> Tensor:
    """Blur at full size by a sigma given in pixels of the small face."""
    b = x_BCHW.shape[0]
    low, high = (sigma * factor for sigma in ranges.lens_sigma_px)
    sigma = draws.numbers(b, low, high, power=1.5)
    angle = torch.zeros_like(sigma)
    side = kernel_side(high, most_px=x_BCHW.shape[-1] // 2 * 2 - 1)
    return blur(x_BCHW, gaussian_kernels(sigma, sigma, angle, side))


def _random_reduction(x_BCHW: Tensor, side: int, draws: RandomDraws) -> Tensor:
    draw = draws.number(0, 1)
    if draw < 0.5:
        return F.interpolate(x_BCHW, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    if draw < 0.75:
        return F.interpolate(x_BCHW, (side, side), mode="bilinear", antialias=True)
    return F.interpolate(x_BCHW, (side, side), mode="area")


def _random_noise(
    x_BCHW: Tensor, draws: RandomDraws, ranges: CameraRanges, *, strength: float
) -> Tensor:
    if draws.chance(0.25):
        return x_BCHW
    b, c, h, w = x_BCHW.shape
    level = draws.numbers(b, 0, ranges.noise * strength / 255, power=2.0).view(b, 1, 1, 1)
    noise = draws.normal((b, 1 if draws.chance(0.4) else c, h, w))
    if draws.chance(0.3):
        # Shot noise: its deviation is proportional to the root of the intensity.
        noise = noise * (2 * x_BCHW.clamp(0, 1)).sqrt()
    return (x_BCHW + level * noise).clamp(0, 1)


def _old_or_phone(x_BCHW: Tensor, draws: RandomDraws, ranges: CameraRanges) -> Tensor:
    # Nothing is drawn where the shares are 0: the evaluation's random numbers must not change.
    if ranges.film_share and draws.chance(ranges.film_share):
        x_BCHW = film(x_BCHW, draws)
    if ranges.tape_share and draws.chance(ranges.tape_share):
        x_BCHW = tape(x_BCHW, draws)
    if ranges.phone_share and draws.chance(ranges.phone_share):
        b, side = x_BCHW.shape[0], kernel_side(1.5)
        sigma = draws.numbers(b, 0.6, 1.5)
        soft = blur(x_BCHW, gaussian_kernels(sigma, sigma, torch.zeros_like(sigma), side))
        amount = draws.numbers(b, 0.2, 1.2).view(b, 1, 1, 1)
        sharpened = (x_BCHW + amount * (x_BCHW - soft)).clamp(0, 1)
        x_BCHW = _code(quantise(sharpened), "video", draws, ranges)
    return x_BCHW


def _interlace(x_BCHW: Tensor, draws: RandomDraws) -> Tensor:
    """Take the odd lines from a shifted picture, as interlaced video does."""
    y = x_BCHW.clone()
    shift = draws.integer(1, 2) * (1 if draws.chance(0.5) else -1)
    y[:, :, 1::2] = x_BCHW[:, :, 1::2].roll(shift, dims=-1)
    return y


def _jpeg(x_BCHW: Tensor, draws: RandomDraws, quality: tuple[int, int]) -> Tensor:
    q = draws.numbers(x_BCHW.shape[0], *quality)
    return kornia.enhance.jpeg_codec_differentiable(x_BCHW.clamp(0, 1), q).clamp(0, 1)


def _code(x_BCHW: Tensor, coding: Coding, draws: RandomDraws, ranges: CameraRanges) -> Tensor:
    if coding == "none":
        return x_BCHW
    if coding == "jpeg":
        return _jpeg(x_BCHW, draws, ranges.jpeg_quality)
    if draws.chance(0.8):
        settings = BurstSettings("libx264", draws.integer(*ranges.crf))
    else:
        settings = BurstSettings("mpeg4", draws.integer(*ranges.mpeg4_quantiser))
    return _video(x_BCHW, settings, draws)


def _video(x_BCHW: Tensor, settings: BurstSettings, draws: RandomDraws) -> Tensor:
    """Compress all faces of the batch side by side in one video, which costs little more than one.

    Each face has its own macroblocks. Tracks are coded as they are. A single face becomes the last
    frame of a short burst, whose earlier frames are shifted by up to 2 px and have other noise.
    """
    _, _, h, w = x_BCHW.shape
    cell = -(-max(h, w) // MACROBLOCK_PX) * MACROBLOCK_PX
    cells = F.pad(x_BCHW.cpu(), (0, cell - w, 0, cell - h), mode="replicate")
    cells = cells.unflatten(0, (-1, draws.frames))
    strips_THWC = cells.permute(1, 3, 0, 4, 2).flatten(2, 3)
    if draws.frames == 1:
        strips_THWC = _drifting(strips_THWC[0], draws)
    levels = (strips_THWC.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    coded = compress_burst(levels, settings)[-draws.frames :]
    strips_THWC = torch.from_numpy(coded.astype(np.float32) / 255)
    cells = strips_THWC.unflatten(2, (-1, cell)).permute(2, 0, 4, 1, 3).flatten(0, 1)
    return cells[:, :, :h, :w].to(x_BCHW.device)


def _drifting(strip_HWC: Tensor, draws: RandomDraws) -> Tensor:
    frames: list[Tensor] = []
    for back in range(draws.integer(2, 4), -1, -1):
        shift = (draws.integer(-2, 2), draws.integer(-2, 2)) if back else (0, 0)
        moved = strip_HWC.roll(shift, dims=(0, 1))
        frames.append(moved + torch.randn(moved.shape, generator=draws.generator) * (1.5 / 255))
    return torch.stack(frames)
