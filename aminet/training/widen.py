"""Grow a larger network out of a trained one, so that its training need not begin anew.

Source: Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer",
ICLR 2016. Ours is how twins are told apart: not by noise, which would change the answer, but by
what reads them.
"""

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aminet.errors import WeightsError
from aminet.network import AMINet, AMINetConfig

__all__ = ["SUBPIXELS", "widen"]

SUBPIXELS: Final = 4
"""Consecutive outputs of `Up.expand` that are one channel to whatever comes after it."""


def widen(narrow: AMINet, config: AMINetConfig, *, seed: int = 0) -> AMINet:
    """Make a wider network that answers exactly as a narrow one does, up to rounding.

    Every channel becomes several twins in a row, so groups, heads and their means stay what they
    were. Whatever reads twins divides its weights among them, plus random parts that cancel as
    long as the twins are equal: gradients then tell them apart from the first step on.

    Args:
        narrow: trained.
        config: of the network wanted: same depths, heads and stem, width a multiple.
        seed: of the random parts.

    Returns:
        A new network on the CPU, in fp32.

    Raises:
        WeightsError: when the two differ otherwise.
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
    """Return for each wide channel the narrow one that it is a twin of."""
    return torch.arange(wide) * narrow // wide


def _widen_convolution(
    narrow: nn.Module, wide: nn.Conv2d, unit: int, new: int, generator: torch.Generator
) -> None:
    """Fill `wide`; its last `new` input channels are no twins of any and get zeros."""
    assert isinstance(narrow, nn.Conv2d)  # noqa: S101  the two have the same modules
    weight, bias = narrow.weight.detach().cpu().float(), narrow.bias
    outputs = _parents(narrow.out_channels // unit, wide.out_channels // unit)
    outputs = (outputs[:, None] * unit + torch.arange(unit)).flatten()
    inputs = _parents(narrow.in_channels, wide.in_channels - new)
    twins = torch.bincount(inputs)[inputs].view(1, -1, 1, 1)
    grown = weight[outputs][:, inputs] / twins
    grown += _cancelling(grown, inputs, generator)
    wide.weight.copy_(F.pad(grown, (0, 0, 0, 0, 0, new)))
    if bias is not None and wide.bias is not None:
        wide.bias.copy_(bias.detach().cpu().float()[outputs])


def _cancelling(weight: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Noise as large as the weights that sums to 0 over the twins of each input."""
    noise = torch.randn(weight.shape, generator=generator) * weight.square().mean().sqrt()
    count = int(inputs.max()) + 1
    sums = torch.zeros(weight.shape[0], count, *weight.shape[2:]).index_add_(1, inputs, noise)
    means = sums / torch.bincount(inputs).view(1, -1, 1, 1)
    return noise - means[:, inputs]
