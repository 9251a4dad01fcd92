"""AMINet's residual on a CPU, written for the kernels that torch has there.

It is the function of `aminet.network`, with the same weights; the tests hold the two together. That
file defines the network, trains it and runs it on GPUs. On a CPU its convolutions take a quarter of
its time: reductions over the channels of a pixel, and products with one value a pixel, are not
vectorised there in channels_last, and in other layouts the convolutions are slower. Here

- all maps are (B, H, W, C), and what mixes a pixel's channels is a matrix product;
- a product with the identity matrix, which is exact, transposes a map of which the maximum over
  channels is taken;
- factors of channels or pixels are repeated to the size of a row or the map before they multiply;
- weights are converted and reordered once, when the network is built.

Shape legend: B batch, H height, W width, C channels, O output channels, N features, L = H * W,
P = B * L, G groups, S channels of a group.
"""
# ruff: noqa: N803, N806, N812

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aminet.history import without_history
from aminet.network import (
    LGFI,
    MDTA,
    NORM_GROUPS,
    RDFE,
    SKAF,
    AMINet,
    ChannelAttention,
    Down,
    Up,
    as_channels_last,
    check_shape,
    padded,
)

__all__ = ["CpuNetwork"]

_EPS: Final = 1e-5
"""As in `F.group_norm`."""
_SLOPE: Final = 0.2
"""As in `aminet.network`."""


class CpuNetwork:
    """AMINet with the weights that a network has now.

    Args:
        network: on the CPU; not changed, and not kept.
        dtype: the number format to compute in. Sums over many pixels are in fp32.
    """

    def __init__(self, network: AMINet, dtype: torch.dtype) -> None:
        with torch.no_grad():
            # In fp32 some weights would be those of the network itself, which may change.
            network = copy.deepcopy(network)
            self._config = network.config
            self._stem = _Stem(network.stem, network.config.stem_factor, dtype)
            self._encoders = [_level(each, dtype) for each in network.encoders]
            self._downs = [_Down(cast("Down", each), dtype) for each in network.downs]
            self._bottleneck = _level(network.bottleneck, dtype)
            self._ups = [_Up(cast("Up", each), dtype) for each in network.ups]
            self._fusions = [_Choice(cast("SKAF", each), dtype) for each in network.fusions]
            self._decoders = [_level(each, dtype) for each in network.decoders]
            self._tail = _Convolution(_shuffled(network.tail, network.config.stem_factor), dtype)

    def residual(self, x_BCHW: Tensor) -> Tensor:
        """Return what `AMINet.residual` does, in fp32, channels_last; errors as there."""
        check_shape(x_BCHW, self._config.in_channels)
        if x_BCHW.shape[1] < self._config.in_channels:
            x_BCHW = without_history(x_BCHW)
        h, w = x_BCHW.shape[-2:]
        f = self._stem(padded(x_BCHW, self._config.stem_factor))
        skips: list[Tensor] = []
        for encoder, down in zip(self._encoders, self._downs, strict=True):
            for block in encoder:
                f = block(f)
            skips.append(f)
            f = down(f)
        for block in self._bottleneck:
            f = block(f)
        for i in (2, 1, 0):
            f = self._ups[i](f).add_(skips[i])
            f = self._fusions[i](f, [f, *skips])
            for block in self._decoders[i]:
                f = block(f)
        y_BHWC = _shuffle(self._tail(f), self._config.stem_factor)[:, :h, :w]
        return y_BHWC.to(torch.float32).permute(0, 3, 1, 2)


class _Convolution:
    """A convolution that keeps the size, or divides it by its stride."""

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype) -> None:
        self._weight = as_channels_last(convolution.weight.to(dtype))
        self._bias = _bias(convolution, dtype)
        self._stride = convolution.stride[0]
        self._padding = convolution.kernel_size[0] // 2

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        y_BOHW = F.conv2d(
            x_BHWC.permute(0, 3, 1, 2),
            self._weight,
            self._bias,
            stride=self._stride,
            padding=self._padding,
        )
        return y_BOHW.permute(0, 2, 3, 1)


class _Stem:
    """The stem: its unshuffled picture's convolution is one of the picture, with larger steps."""

    def __init__(self, convolution: nn.Conv2d, factor: int, dtype: torch.dtype) -> None:
        self._weight = as_channels_last(F.pixel_shuffle(convolution.weight, factor).to(dtype))
        self._bias = _bias(convolution, dtype)
        self._factor = factor

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = as_channels_last(x_BCHW.to(self._weight.dtype))
        y_BOHW = F.conv2d(
            x_BCHW, self._weight, self._bias, stride=self._factor, padding=self._factor
        )
        return y_BOHW.permute(0, 2, 3, 1)


class _Pointwise:
    """A 1x1 convolution, as a matrix product."""

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype) -> None:
        self._weight_OC = convolution.weight.flatten(1).to(dtype)
        self._bias_O = _bias(convolution, dtype)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        return F.linear(x_BHWC, self._weight_OC, self._bias_O)


class _Attention:
    """MDTA. All channels are compared with all; those of other heads are then left out."""

    def __init__(self, mdta: MDTA, dtype: torch.dtype) -> None:
        channels = mdta.out.in_channels
        weights_CC = mdta.qkv.weight.flatten(1).to(dtype).split(channels)
        self._q_CC, self._k_CC, self._v_CC = (each.contiguous() for each in weights_CC)
        q_C, k_C, self._v_C = _bias(mdta.qkv, dtype).split(channels)
        self._q_C1, self._k_C1 = q_C[:, None], k_C[:, None]
        self._out_CC = mdta.out.weight.flatten(1).to(dtype)
        self._out_C = _bias(mdta.out, dtype)
        of_head = channels // mdta.heads
        self._temperature_C1 = mdta.temperature.flatten().repeat_interleave(of_head)[:, None]
        head_C = torch.arange(mdta.heads).repeat_interleave(of_head)
        other_CC = head_C[:, None] != head_C
        self._other_CC = torch.zeros(channels, channels).masked_fill(other_CC, -torch.inf)

    def __call__(self, n_BHWC: Tensor) -> Tensor:
        b, h, w, c = n_BHWC.shape
        n_BLC = n_BHWC.reshape(b, h * w, c)
        n_BCL = n_BLC.transpose(1, 2)
        q_BCL = torch.baddbmm(self._q_C1, self._q_CC.expand(b, c, c), n_BCL)
        k_BCL = torch.baddbmm(self._k_C1, self._k_CC.expand(b, c, c), n_BCL)
        scores_BCC = torch.bmm(q_BCL, k_BCL.transpose(1, 2)).float()
        norms_BCC = _norms(q_BCL).unsqueeze(-1) * _norms(k_BCL).unsqueeze(-2)
        scores_BCC = torch.addcmul(self._other_CC, scores_BCC / norms_BCC, self._temperature_C1)
        weights_BCC = scores_BCC.softmax(dim=-1).to(n_BLC.dtype)
        # The last 1x1 convolution is done to the weights, of which there are fewer than pixels.
        mixed_BCC = torch.matmul(self._out_CC, weights_BCC)
        v_BLC = F.linear(n_BLC, self._v_CC, self._v_C)
        return torch.baddbmm(self._out_C, v_BLC, mixed_BCC.transpose(1, 2)).view(b, h, w, c)


def _norms(x_BCL: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x_BCL, dim=-1, dtype=torch.float32).clamp_min(1e-6)


class _Gate:
    """ChannelAttention's factors, without the product with them."""

    def __init__(self, attention: ChannelAttention, dtype: torch.dtype) -> None:
        self._squeeze = _Pointwise(attention.squeeze, dtype)
        self._excite = _Pointwise(attention.excite, dtype)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        """Return (B, C)."""
        _, h, w, _ = x_BHWC.shape
        pooled_BC = x_BHWC.flatten(1, 2).sum(dim=1, dtype=torch.float32) / (h * w)
        pooled_BC = pooled_BC.to(x_BHWC.dtype)
        return 2 * torch.sigmoid(self._excite(F.gelu(self._squeeze(pooled_BC))))


class _Local:
    """RDFE, without the product with its channel attention's factors."""

    def __init__(self, rdfe: RDFE, dtype: torch.dtype) -> None:
        self._see3 = _Convolution(rdfe.see3, dtype)
        self._see5 = _Convolution(rdfe.see5, dtype)
        self._gate = _Gate(rdfe.attention, dtype)

    def __call__(self, n_BHWC: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, H, W, C) and its factors, (B, C)."""
        b3_BHWC = F.gelu(self._see3(n_BHWC))
        local_BHWC = self._see5(b3_BHWC).add_(b3_BHWC)
        return local_BHWC, self._gate(local_BHWC)


class _Choice:
    """SKAF, with what its result is added to."""

    def __init__(self, skaf: SKAF, dtype: torch.dtype) -> None:
        self._project = [
            _Pointwise(each, dtype) if isinstance(each, nn.Conv2d) else None
            for each in skaf.project
        ]
        self._weight = skaf.select.weight.to(dtype)
        self._bias = _bias(skaf.select, dtype)
        self._dtype = dtype

    def __call__(self, x_BHWC: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Return the sum of (B, H, W, C) and what is chosen of N features (B, H_i, W_i, C_i)."""
        b, h, w, c = x_BHWC.shape
        us_BHWC = [
            _resized(feature, project, h)
            for feature, project in zip(features, self._project, strict=True)
        ]
        count = len(us_BHWC)
        of_mean_C1 = torch.full((c, 1), 1 / (count * c), dtype=self._dtype)
        mean_P1 = us_BHWC[0].reshape(-1, c) @ of_mean_C1
        peaks_BHWC = us_BHWC[0]
        for u in us_BHWC[1:]:
            mean_P1 = torch.addmm(mean_P1, u.reshape(-1, c), of_mean_C1)
            peaks_BHWC = torch.maximum(peaks_BHWC, u)
        # Transposed, so that the maximum is taken of whole rows of memory.
        peaks_CP = torch.eye(c, dtype=self._dtype) @ peaks_BHWC.reshape(-1, c).t()
        pooled_B2HW = torch.stack((mean_P1.view(b, h, w), peaks_CP.amax(dim=0).view(b, h, w)), 1)
        mask_BNHW = F.conv2d(pooled_B2HW, self._weight, self._bias, padding=3).softmax(dim=1)
        for u, mask_BHW in zip(us_BHWC, (mask_BNHW * count).unbind(1), strict=True):
            factors_BHWC = mask_BHW.unsqueeze(-1).expand(b, h, w, c).contiguous()
            x_BHWC = torch.addcmul(x_BHWC, u, factors_BHWC)
        return x_BHWC


class _Block:
    """LGFI."""

    def __init__(self, lgfi: LGFI, dtype: torch.dtype) -> None:
        self._local = _Local(lgfi.rdfe, dtype)
        self._attention = None if lgfi.mdta is None else _Attention(lgfi.mdta, dtype)
        self._choice = None if lgfi.skaf is None else _Choice(lgfi.skaf, dtype)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        n_BHWC = _normalised(x_BHWC)
        local_BHWC, gates_BC = self._local(n_BHWC)
        if self._attention is None or self._choice is None:
            return _add_scaled(x_BHWC, local_BHWC, gates_BC)
        gated_BHWC = _add_scaled(None, local_BHWC, gates_BC)
        return self._choice(x_BHWC, [self._attention(n_BHWC), gated_BHWC])


class _Down:
    """Downsampling by 2."""

    def __init__(self, down: Down, dtype: torch.dtype) -> None:
        self._reduce = _Convolution(down.reduce, dtype)
        self._refine = _Convolution(down.refine, dtype)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        return self._refine(F.leaky_relu_(self._reduce(x_BHWC), _SLOPE))


class _Up:
    """Upsampling by 2."""

    def __init__(self, up: Up, dtype: torch.dtype) -> None:
        self._expand = _Pointwise(_shuffled(up.expand, 2), dtype)
        self._refine = _Convolution(up.refine, dtype)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        return self._refine(_shuffle(F.leaky_relu_(self._expand(x_BHWC), _SLOPE), 2))


def _level(level: nn.Module, dtype: torch.dtype) -> list[_Block]:
    return [_Block(cast("LGFI", block), dtype) for block in level.children()]


def _bias(convolution: nn.Conv2d, dtype: torch.dtype) -> Tensor:
    return cast("Tensor", convolution.bias).to(dtype)


def _normalised(x_BHWC: Tensor) -> Tensor:
    """Return what `aminet.network.normalise` does."""
    b, h, w, c = x_BHWC.shape
    x_BLC = x_BHWC.view(b, h * w, c)
    count = h * w * c // NORM_GROUPS
    mean_BG1 = _of_groups(x_BLC.sum(dim=1, dtype=torch.float32)) / count
    squares_BG1 = _of_groups((x_BLC * x_BLC).sum(dim=1, dtype=torch.float32)) / count
    variance_BG1 = (squares_BG1 - mean_BG1.square()).clamp_min(0)
    factor_BG1 = (variance_BG1 + _EPS).rsqrt()
    factor_BC = factor_BG1.expand(b, NORM_GROUPS, c // NORM_GROUPS).reshape(b, c)
    shift_BC = (-mean_BG1 * factor_BG1).expand(b, NORM_GROUPS, c // NORM_GROUPS).reshape(b, c)
    return _add_scaled(shift_BC, x_BHWC, factor_BC)


def _of_groups(x_BC: Tensor) -> Tensor:
    b, c = x_BC.shape
    return x_BC.view(b, NORM_GROUPS, c // NORM_GROUPS).sum(dim=-1, keepdim=True)


def _add_scaled(x: Tensor | None, y_BHWC: Tensor, factor_BC: Tensor) -> Tensor:
    """Return x + y * factor; x is (B, H, W, C), (B, C), or None for 0."""
    b, h, w, c = y_BHWC.shape

    def row(x_BC: Tensor) -> Tensor:
        return x_BC.to(y_BHWC.dtype)[:, None].expand(b, w, c).reshape(b, 1, w * c)

    rows = y_BHWC.reshape(b, h, w * c)
    if x is None:
        return (rows * row(factor_BC)).view(b, h, w, c)
    added = row(x) if x.ndim == 2 else x.reshape(b, h, w * c)
    return torch.addcmul(added, rows, row(factor_BC)).view(b, h, w, c)


def _resized(x_BHWC: Tensor, project: _Pointwise | None, height: int) -> Tensor:
    """Return a feature in another height, as SKAF does."""
    x_BCHW, own = x_BHWC.permute(0, 3, 1, 2), x_BHWC.shape[1]
    if own > height:
        x_BCHW = F.avg_pool2d(x_BCHW, own // height)
    x_BHWC = x_BCHW.permute(0, 2, 3, 1)
    if project is not None:
        x_BHWC = project(x_BHWC)
    if own < height:
        x_BHWC = F.interpolate(
            x_BHWC.permute(0, 3, 1, 2),
            scale_factor=height // own,
            mode="bilinear",
            align_corners=False,
        ).permute(0, 2, 3, 1)
    return x_BHWC


def _shuffle(x_BHWC: Tensor, factor: int) -> Tensor:
    """Return `F.pixel_shuffle` of channels in the order row, column, channel."""
    b, h, w, c = x_BHWC.shape
    x = x_BHWC.reshape(b, h, w, factor, factor, c // factor**2).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * factor, w * factor, c // factor**2)


def _shuffled(convolution: nn.Conv2d, factor: int) -> nn.Conv2d:
    """Return a convolution whose output channels are in the order of `_shuffle`."""
    weight = convolution.weight.unflatten(0, (-1, factor**2)).transpose(0, 1).flatten(0, 1)
    bias_O = cast("Tensor", convolution.bias)
    bias_O = bias_O.unflatten(0, (-1, factor**2)).transpose(0, 1).flatten()
    kernel = convolution.kernel_size[0]
    other = nn.Conv2d(weight.shape[1], weight.shape[0], kernel)
    other.weight = nn.Parameter(weight, requires_grad=False)
    other.bias = nn.Parameter(bias_O, requires_grad=False)
    return other
