"""Initialising a wider network from a trained one.

Source: Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer",
ICLR 2016. Unlike there, symmetry between copies of a channel is broken in the weights that read
them instead of by noise, so that the output does not change.
"""

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aminet.errors import WeightsError
from aminet.network import AMINet, AMINetConfig

__all__ = ["SUBPIXELS", "widen"]

SUBPIXELS: Final = 4
"""Consecutive outputs of `Up.expand` that pixel shuffle turns into one channel."""


def widen(narrow: AMINet, config: AMINetConfig, *, seed: int = 0) -> AMINet:
    """Return a wider network with the same output as a narrow one, up to rounding.

    Every channel is copied several times in a row, so that groups, heads and their means stay the
    same. The weights that read copies are divided among them, plus random parts that cancel as long
    as the copies are equal; these make the gradients of the copies differ from the first step.

    Args:
        narrow: the trained network.
        config: sizes of the new network: same depths, heads and stem, a multiple of the width.
        seed: of the random parts.

    Returns:
        A new network on the CPU, in fp32.

    Raises:
        WeightsError: the two differ in other ways.
    """
    old = narrow.config
    alike = (old.depths, old.heads, old.stem_factor) == (
        config.depths,
        config.heads,
        config.stem_factor,
    )
    if not alike or config.width % old.width or config.in_channels < old.in_channels:
        raise WeightsError(
            f"cannot widen {old} to {config}: depths, heads and stem must be the same, the width "
            "a multiple, and the input channels no fewer"
        )
    added = (config.in_channels - old.in_channels) * config.stem_factor**2
    generator = torch.Generator().manual_seed(seed)
    wide = AMINet(config)
    trained = dict(narrow.named_modules())
    with torch.no_grad():
        for name, module in wide.named_modules():
            if isinstance(module, nn.Conv2d):
                unit = SUBPIXELS if name.endswith(".expand") else 1
                new = added if name == "stem" else 0
                _widen_convolution(trained[name], module, unit, new, generator)
        for name, parameter in wide.named_parameters():
            if name.endswith(".temperature"):
                parameter.copy_(narrow.get_parameter(name))
    return wide


def _parents(narrow: int, wide: int) -> Tensor:
    """Return for each wide channel the narrow one that it is a copy of."""
    return torch.arange(wide) * narrow // wide


def _widen_convolution(
    narrow: nn.Module, wide: nn.Conv2d, unit: int, new: int, generator: torch.Generator
) -> None:
    """Fill `wide`; its last `new` input channels are not copies and get zeros."""
    assert isinstance(narrow, nn.Conv2d)  # noqa: S101  the two have the same modules
    weight, bias = narrow.weight.detach().cpu().float(), narrow.bias
    outputs = _parents(narrow.out_channels // unit, wide.out_channels // unit)
    outputs = (outputs[:, None] * unit + torch.arange(unit)).flatten()
    inputs = _parents(narrow.in_channels, wide.in_channels - new)
    copies = torch.bincount(inputs)[inputs].view(1, -1, 1, 1)
    grown = weight[outputs][:, inputs] / copies
    grown += _cancelling(grown, inputs, generator)
    wide.weight.copy_(F.pad(grown, (0, 0, 0, 0, 0, new)))
    if bias is not None and wide.bias is not None:
        wide.bias.copy_(bias.detach().cpu().float()[outputs])


def _cancelling(weight: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise as large as the weights that sums to 0 over the copies of each input."""
    noise = torch.randn(weight.shape, generator=generator) * weight.square().mean().sqrt()
    count = int(inputs.max()) + 1
    sums = torch.zeros(weight.shape[0], count, *weight.shape[2:]).index_add_(1, inputs, noise)
    means = sums / torch.bincount(inputs).view(1, -1, 1, 1)
    return noise - means[:, inputs]
