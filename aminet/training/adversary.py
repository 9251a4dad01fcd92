"""A discriminator for adversarial training, which classifies every pixel as restored or true.

A network trained against it adds texture and hard edges that true faces have and averages lack.
They are plausible, not measured.

Source: Wang et al., "Real-ESRGAN", ICCVW 2021 (U-Net with spectral norms, narrower here, and its
loss); Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N812

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from aminet.network import as_channels_last
from aminet.training.config import AdversarySection

__all__ = ["Adversary", "Discriminator", "deceit", "error", "new_adversary"]

_STEEPNESS = 0.2


class Discriminator(nn.Module):
    """A U-Net, so that every pixel is judged by its surroundings at several scales.

    Args:
        width: channels at full size; they double with each of three halvings.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.downs = nn.ModuleList(
            spectral_norm(nn.Conv2d(i, 2 * i, 4, 2, padding=1, bias=False)) for i in widths[:-1]
        )
        self.ups = nn.ModuleList(_normed(o, o // 2) for o in reversed(widths[1:]))
        self.refine = nn.ModuleList(_normed(width, width) for _ in range(2))
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, faces_BCHW: Tensor) -> Tensor:
        """Classify each pixel.

        Args:
            faces_BCHW: (B, 3, H, W) float in [0, 1], sides multiples of 8.

        Returns:
            (B, 1, H, W) logits, above 0 where a pixel looks true.
        """
        f = F.leaky_relu(self.stem(as_channels_last(faces_BCHW)), _STEEPNESS)
        skips: list[Tensor] = []
        for down in self.downs:
            skips.append(f)
            f = F.leaky_relu(down(f), _STEEPNESS)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            f = F.interpolate(f, scale_factor=2, mode="bilinear", align_corners=False)
            f = F.leaky_relu(up(f), _STEEPNESS) + skip
        for convolution in self.refine:
            f = F.leaky_relu(convolution(f), _STEEPNESS)
        return self.head(f)


def _normed(channels: int, out_channels: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(channels, out_channels, 3, padding=1, bias=False))


@dataclass(slots=True)
class Adversary:
    """The discriminator of a run, and its optimiser."""

    network: Discriminator
    optimiser: torch.optim.AdamW


def new_adversary(settings: AdversarySection, device: torch.device) -> Adversary:
    """Return a discriminator with random weights, and its optimiser."""
    network = Discriminator(settings.width).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.lr,
        betas=settings.betas,
        weight_decay=0.0,
        foreach=True,
        capturable=device.type == "cuda",
    )
    return Adversary(network, optimiser)


def deceit(discriminator: Discriminator, restored_BCHW: Tensor) -> Tensor:
    """Return the generator's loss for (B, 3, H, W) faces; the discriminator gets no gradient."""
    discriminator.requires_grad_(requires_grad=False)
    logits = discriminator(restored_BCHW).float()
    discriminator.requires_grad_(requires_grad=True)
    return F.softplus(-logits).mean()


def error(discriminator: Discriminator, restored_BCHW: Tensor, true_BCHW: Tensor) -> Tensor:
    """Return the discriminator's loss for (B, 3, H, W) faces; ln 2 if it guesses."""
    fake = F.softplus(discriminator(restored_BCHW.detach()).float()).mean()
    true = F.softplus(-discriminator(true_BCHW).float()).mean()
    return (fake + true) / 2
