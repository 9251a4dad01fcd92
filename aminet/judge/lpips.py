"""LPIPS: perceptual distance of two pictures, by the features of a classifier.

Used as a loss as well as a measure.

Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
CVPR 2018; version 0.1 of its weights.

Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N812

from collections.abc import Mapping, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aminet.errors import SideError, WeightsError
from aminet.judge.features import fill, width_of

__all__ = ["LPIPS", "SMALLEST_SIDE_PX", "build_lpips"]

SMALLEST_SIDE_PX: Final = 32
"""Smallest side, px; AlexNet's last features are then 1x1."""
_MEAN: Final = (-0.030, -0.088, -0.188)
_DEVIATION: Final = (0.458, 0.448, 0.450)
"""Mean and standard deviation of ImageNet's R, G and B, as LPIPS has them for values in [-1, 1]."""
_ALEXNET: Final = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
"""Kernel, stride and padding of each convolution, px."""
_ALEXNET_POOLED: Final = (1, 2)
"""Indices of the convolutions with a 3x3 max pooling before them."""
_VGG16_BLOCKS: Final = (2, 2, 3, 3, 3)
"""Convolutions in each block; a 2x2 max pooling is between blocks."""


class LPIPS(nn.Module):
    """The LPIPS distance with the features of AlexNet or VGG16.

    Args:
        widths: output channels of each convolution; 5 of them are AlexNet, 13 are VGG16.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.on_alexnet = len(widths) == len(_ALEXNET)
        shapes = _ALEXNET if self.on_alexnet else ((3, 1, 1),) * sum(_VGG16_BLOCKS)
        inputs = (3, *widths[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, kernel, stride, padding)
            for i, o, (kernel, stride, padding) in zip(inputs, widths, shapes, strict=True)
        )
        # The last convolution of each block is compared.
        ends = range(5) if self.on_alexnet else (1, 3, 6, 9, 12)
        self.heads = nn.ModuleList(nn.Conv2d(widths[end], 1, 1, bias=False) for end in ends)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1))

    def forward(self, x_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """Compare pictures in pairs.

        Args:
            x_BCHW: (B, 3, H, W) float RGB in [0, 1], sides of at least 32 px.
            target_BCHW: same shape and range.

        Returns:
            (B,) float, 0 for equal pictures; differentiable.

        Raises:
            SideError: the shapes differ or the sides are too small.
        """
        if x_BCHW.shape != target_BCHW.shape or min(x_BCHW.shape[-2:]) < SMALLEST_SIDE_PX:
            raise SideError(
                f"cannot compare {tuple(x_BCHW.shape)} with {tuple(target_BCHW.shape)}: the shapes "
                f"must be equal, and the sides at least {SMALLEST_SIDE_PX} px"
            )
        total = x_BCHW.new_zeros(x_BCHW.shape[0])
        pairs = zip(self._features(x_BCHW), self._features(target_BCHW), strict=True)
        for head, (a, b) in zip(self.heads, pairs, strict=True):
            # Not a convolution, because small differences need fp32 under autocast, too.
            difference = (_unit(a.float()) - _unit(b.float())).square()
            weights = head.get_parameter("weight")
            total = total + (difference * weights).sum(dim=1).mean(dim=(1, 2))
        return total

    def _features(self, x_BCHW: Tensor) -> list[Tensor]:
        f = (2 * x_BCHW - 1 - self.get_buffer("mean")) / self.get_buffer("deviation")
        features: list[Tensor] = []
        if self.on_alexnet:
            for i, convolution in enumerate(self.convolutions):
                f = F.max_pool2d(f, 3, 2) if i in _ALEXNET_POOLED else f
                f = F.relu(convolution(f))
                features.append(f)
            return features
        convolutions = iter(self.convolutions)
        for block, count in enumerate(_VGG16_BLOCKS):
            f = F.max_pool2d(f, 2) if block else f
            for _ in range(count):
                f = F.relu(next(convolutions)(f))
            features.append(f)
        return features


def _unit(f_BCHW: Tensor) -> Tensor:
    # Unlike the root of a sum of squares, `vector_norm` has a gradient where all features are 0.
    return f_BCHW / (torch.linalg.vector_norm(f_BCHW, dim=1, keepdim=True) + 1e-10)


def build_lpips(tensors: Mapping[str, Tensor]) -> LPIPS:
    """Build the network from the tensors of a file.

    Args:
        tensors: `conv0.weight`, `conv0.bias` and so on, 5 for AlexNet or 13 for VGG16, and the
            heads `lin0.weight` to `lin4.weight`.

    Raises:
        WeightsError: the tensors belong to another network.
    """
    count = len(_ALEXNET) if "conv5.weight" not in tensors else sum(_VGG16_BLOCKS)
    widths = [width_of(tensors, f"conv{i}.weight") for i in range(count)]
    if not all(widths):
        raise WeightsError(f"not LPIPS: conv{widths.index(0)}.weight is no convolution")
    names = [f"conv{i}.{part}" for i in range(count) for part in ("weight", "bias")]
    network = LPIPS(widths)
    fill(network, tensors, [*names, *(f"lin{i}.weight" for i in range(5))], "LPIPS")
    return network
