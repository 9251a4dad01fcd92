"""AMINet, a small U-shaped network for faces, after the paper's published description.

Source: Wan, Li, Gao, Lu, Yang, Lin, "Attention-Guided Multi-scale Interaction Network for
Face Super-Resolution", arXiv 2409.00591. The paper's code is not public. Each part is marked with
its origin:

    P  the paper's published description       C  the same lab's CTCNet
    S  a summary of the paper by others        O  our own

Shape legend: B batch, C channels, H height, W width, N features to choose among,
L = H * W, K heads, D = C / K channels per head. Images are RGB, float, in [0, 1], already
upsampled (bicubic) to the output size.

A network takes the face alone (3 channels) or the face and its history (7 channels, see
`aminet.history`) and returns the face (3 channels).
"""
# ruff: noqa: N803, N806, N812

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aminet.errors import SideError
from aminet.history import without_history

__all__ = [
    "LGFI",
    "MDTA",
    "NORM_GROUPS",
    "PRESETS",
    "RDFE",
    "SIDE_MULTIPLE",
    "SKAF",
    "SMALLEST_SIDE_PX",
    "AMINet",
    "AMINetConfig",
    "ChannelAttention",
    "Down",
    "Up",
    "as_channels_last",
    "check_shape",
    "normalise",
    "padded",
    "same",
    "self_ensemble",
    "zero",
]

SIDE_MULTIPLE: Final = 8
"""Sides of the input must be multiples of this, px: three levels, each half of the one before."""
SMALLEST_SIDE_PX: Final = 64
"""Smallest side of the input, px: that of the smallest training patches."""
NORM_GROUPS: Final = 8
"""Channel groups of `normalise`; every `AMINetConfig.width` is a multiple of it."""


@dataclass(frozen=True, slots=True)
class AMINetConfig:
    """Sizes of a network. Tuples of four are for the three levels and the bottleneck."""

    width: int = 24
    """Channels C at the finest level; the levels have C, 2C, 4C and the bottleneck 4C."""
    depths: tuple[int, int, int, int] = (1, 1, 1, 2)
    """LGFI blocks at each level (on each side of the U) and in the bottleneck."""
    heads: tuple[int, int, int, int] = (0, 2, 4, 4)
    """Attention heads at each level and in the bottleneck. 0 omits the global branch, as at the
    finest level, where it costs most."""
    stem_factor: int = 2
    """Factor of the PixelUnshuffle before the first convolution; 1 works at full resolution."""
    in_channels: Literal[3, 7] = 3
    """3: the face. 7: the face and its history (`aminet.history`)."""


PRESETS: Final[dict[str, AMINetConfig]] = {
    "aminet": AMINetConfig(width=48),
    "aminet-s": AMINetConfig(width=24),
}
"""Sizes of the two networks that ship, by name."""


def normalise(x_BCHW: Tensor) -> Tensor:
    """Normalise groups of channels to mean 0 and deviation 1 over the whole picture (O).

    LayerNorm (C) normalises each pixel by itself and loses how strong an edge is relative to the
    rest of the face, which decides how strong its correction must be. There is no learnt scale and
    shift, because a convolution with bias always follows.

    Args:
        x_BCHW: (B, C, H, W), C a multiple of `NORM_GROUPS`.

    Returns:
        Same shape, channels_last.
    """
    # On GPUs `group_norm` returns another memory layout.
    return as_channels_last(F.group_norm(x_BCHW, NORM_GROUPS))


def as_channels_last(x_BCHW: Tensor) -> Tensor:
    """Return (B, C, H, W) in channels_last, in which every operation here is faster."""
    return x_BCHW.contiguous(memory_format=torch.channels_last)


def same(channels: int, kernel: int) -> nn.Conv2d:
    """Return a convolution that keeps (B, C, H, W)."""
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2)


def zero(convolution: nn.Conv2d) -> None:
    """Initialise a convolution to return 0."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


class MDTA(nn.Module):
    """Global branch: self-attention over channels, linear in pixels (C, from Restormer)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = same(channels, 1)
        # Untrained attention is nearly uniform and would add averages to the local branch, so it
        # starts at 0 (O).
        zero(self.out)

    def forward(self, n_BCHW: Tensor) -> Tensor:
        """Take normalised features (B, C, H, W), return the same shape."""
        b, c, h, w = n_BCHW.shape
        # (B, 3, K, D, L): in channels_last this is a view of the convolution's output.
        qkv = self.qkv(n_BCHW).permute(0, 2, 3, 1).reshape(b, h * w, 3, self.heads, c // self.heads)
        q_BKDL, k_BKDL, v_BKDL = qkv.permute(2, 0, 3, 4, 1).unbind(0)
        q_BKDL = F.normalize(q_BKDL, dim=-1)
        # k's norm divides the small D x D product instead of the whole of k. q is normalised
        # first because the raw product overflows fp16.
        k_norm_BK1D = torch.linalg.vector_norm(k_BKDL, dim=-1).clamp_min(1e-6).unsqueeze(-2)
        scores_BKDD = q_BKDL @ k_BKDL.transpose(-1, -2) / k_norm_BK1D
        weights_BKDD = (scores_BKDD * self.temperature).softmax(dim=-1)
        y_BLKD = (weights_BKDD @ v_BKDL).permute(0, 3, 1, 2)
        return self.out(y_BLKD.reshape(b, h, w, c).permute(0, 3, 1, 2))


class ChannelAttention(nn.Module):
    """Squeeze-and-excitation gate over channels (S), reduction 8, at least 8 hidden channels.

    Gates are centred on 1 (O): centred on 0.5, every block would start at half its strength.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 8)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Weight the channels of (B, C, H, W); returns the same shape."""
        pooled_BC11 = x_BCHW.mean(dim=(2, 3), keepdim=True)
        return x_BCHW * (2 * torch.sigmoid(self.excite(F.gelu(self.squeeze(pooled_BC11)))))


class RDFE(nn.Module):
    """Local branch (P): receptive fields of 3 and 5 px (S), by two 3x3 convolutions in a row (O).

    The convolutions are dense: on CPUs a dense 3x3 has many times the throughput of a depthwise
    one, and it learns faster (O; measured, see the model card).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.see3 = same(channels, 3)
        self.see5 = same(channels, 3)
        self.attention = ChannelAttention(channels)

    def forward(self, n_BCHW: Tensor) -> Tensor:
        """Take normalised features (B, C, H, W), return the same shape."""
        b3_BCHW = F.gelu(self.see3(n_BCHW))
        return self.attention(b3_BCHW + self.see5(b3_BCHW))


class SKAF(nn.Module):
    """Attention that weights N features for each pixel (P; pooling S; the rest O).

    The features may come from other levels: finer ones are average-pooled before their 1x1
    projection and coarser ones are upsampled after it, so that the projection is always done at
    the smaller size (bilinear upsampling and a 1x1 convolution commute). The N weights of a pixel
    have mean 1 (O): with sum 1, every block would start at a fraction of its strength.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(
            nn.Identity() if c == channels else nn.Conv2d(c, channels, 1) for c in in_channels
        )
        self.select = nn.Conv2d(2, len(in_channels), 7, padding=3)

    def forward(self, *features: Tensor) -> Tensor:
        """Take N features (B, C_i, H_i, W_i), return (B, C, H, W) of the first one's size."""
        h, w = features[0].shape[-2:]
        us_BCHW: list[Tensor] = []
        for project, feature in zip(self.project, features, strict=True):
            finer = feature.shape[-2] // h
            u = project(F.avg_pool2d(feature, finer) if finer > 1 else feature)
            if u.shape[-2] < h:
                u = F.interpolate(u, size=(h, w), mode="bilinear", align_corners=False)
            us_BCHW.append(u)
        mean_B1HW = torch.stack([u.mean(dim=1, keepdim=True) for u in us_BCHW]).mean(dim=0)
        peak_B1HW = torch.stack([u.amax(dim=1, keepdim=True) for u in us_BCHW]).amax(dim=0)
        mask_BNHW = self.select(torch.cat((mean_B1HW, peak_B1HW), dim=1)).softmax(dim=1)
        mask_BNHW = mask_BNHW * len(us_BCHW)
        chosen_BCHW = us_BCHW[0] * mask_BNHW[:, 0:1]
        for i, u in enumerate(us_BCHW[1:], start=1):
            chosen_BCHW = torch.addcmul(chosen_BCHW, u, mask_BNHW[:, i : i + 1])
        return chosen_BCHW


class LGFI(nn.Module):
    """Local and global feature interaction (P, S); order of the parts (O).

    out = x + SKAF(MDTA(N x), RDFE(N x)), or x + RDFE(N x) without heads; N normalises. Unlike in
    CTCNet no feed-forward part follows, because RDFE already mixes the channels (see the ablation
    in the model card).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.rdfe = RDFE(channels)
        self.mdta = MDTA(channels, heads) if heads else None
        self.skaf = SKAF((channels, channels), channels) if heads else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Take (B, C, H, W), return the same shape."""
        n_BCHW = normalise(x_BCHW)
        local_BCHW = self.rdfe(n_BCHW)
        if self.mdta is None or self.skaf is None:
            return x_BCHW + local_BCHW
        return x_BCHW + self.skaf(self.mdta(n_BCHW), local_BCHW)


class Down(nn.Module):
    """Downsampling by 2 (C)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)
        self.refine = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Take (B, C, H, W), return (B, out, H / 2, W / 2)."""
        return self.refine(F.leaky_relu(self.reduce(x_BCHW), 0.2))


class Up(nn.Module):
    """Upsampling by 2 (C; PixelShuffle O)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 4 * out_channels, 1)
        self.refine = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Take (B, C, H, W), return (B, out, 2H, 2W)."""
        y_BCHW = as_channels_last(F.pixel_shuffle(self.expand(x_BCHW), 2))
        return self.refine(F.leaky_relu(y_BCHW, 0.2))


def _level(channels: int, depth: int, heads: int) -> nn.Sequential:
    return nn.Sequential(*(LGFI(channels, heads) for _ in range(depth)))


class AMINet(nn.Module):
    """The whole network: encoder, bottleneck and decoder, joined by SKAF (P; shape C).

    Every decoder level takes the encoder's features of all levels (P, C). The stem works at half
    resolution (O): the input is an upsampled small face, so that full-resolution features would
    add little and cost most of the time.
    """

    def __init__(self, config: AMINetConfig) -> None:
        super().__init__()
        self.config = config
        c, d, k = config.width, config.depths, config.heads
        widths = (c, 2 * c, 4 * c)
        pixels = config.stem_factor**2
        self.stem = nn.Conv2d(config.in_channels * pixels, c, 3, padding=1)
        self.encoders = nn.ModuleList(_level(widths[i], d[i], k[i]) for i in range(3))
        self.downs = nn.ModuleList(Down(widths[i], widths[min(i + 1, 2)]) for i in range(3))
        self.bottleneck = _level(widths[2], d[3], k[3])
        self.ups = nn.ModuleList(Up(widths[min(i + 1, 2)], widths[i]) for i in range(3))
        self.fusions = nn.ModuleList(SKAF((widths[i], *widths), widths[i]) for i in range(3))
        self.decoders = nn.ModuleList(_level(widths[i], d[i], k[i]) for i in range(3))
        self.tail = nn.Conv2d(c, 3 * pixels, 3, padding=1)
        # So the untrained network returns its input, which is bicubic upsampling.
        zero(self.tail)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Restore faces.

        Args:
            x_BCHW: (B, 3, H, W) float RGB in [0, 1], the small face upsampled to H x W;
                H and W multiples of `SIDE_MULTIPLE`, at least `SMALLEST_SIDE_PX`. A network of
                7 channels also takes (B, 7, H, W), the face and its history.

        Returns:
            (B, 3, H, W) float, close to [0, 1] but not clamped.

        Raises:
            SideError: the shape is none of these.
        """
        return x_BCHW[:, :3] + self.residual(x_BCHW)

    def residual(self, x_BCHW: Tensor) -> Tensor:
        """Return what `forward` adds to the face, (B, 3, H, W); arguments and errors as there."""
        check_shape(x_BCHW, self.config.in_channels)
        if x_BCHW.shape[1] < self.config.in_channels:
            x_BCHW = without_history(x_BCHW)
        h, w = x_BCHW.shape[-2:]
        x_BCHW = padded(x_BCHW, self.config.stem_factor)
        f = self.stem(as_channels_last(F.pixel_unshuffle(x_BCHW, self.config.stem_factor)))
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(f))
            f = down(skips[-1])
        f = self.bottleneck(f)
        for i in (2, 1, 0):
            f = self.ups[i](f) + skips[i]
            f = self.decoders[i](f + self.fusions[i](f, *skips))
        return F.pixel_shuffle(self.tail(f), self.config.stem_factor)[..., :h, :w]


def self_ensemble(residual: Callable[[Tensor], Tensor], x_BCHW: Tensor) -> Tensor:
    """Return the mean of the residuals of a face and of its mirror image: better, but slower.

    Args:
        residual: the network's `AMINet.residual`.
        x_BCHW: (B, 3 or 7, H, W) as for `AMINet.forward`.

    Returns:
        (B, 3, H, W), the residual to add to the face.

    Raises:
        SideError: as `AMINet.forward`.

    Source: Timofte et al., "Seven ways to improve example-based single image super resolution",
    CVPR 2016. Of their eight transforms the network was trained on the mirror image only.
    """
    mirrored_BCHW = as_channels_last(x_BCHW.flip(-1))
    return (residual(x_BCHW) + residual(mirrored_BCHW).flip(-1)) / 2


def padded(x_BCHW: Tensor, stem_factor: int) -> Tensor:
    """Return pictures whose sides the three levels can halve; what is added repeats the edge."""
    h, w = x_BCHW.shape[-2:]
    multiple = 8 * stem_factor
    pad_h, pad_w = -h % multiple, -w % multiple
    if pad_h or pad_w:
        return F.pad(x_BCHW, (0, pad_w, 0, pad_h), mode="replicate")
    return x_BCHW


def check_shape(x_BCHW: Tensor, in_channels: int = 3) -> None:
    """Check that a tensor is (B, 3 or `in_channels`, H, W) with valid sides.

    Raises:
        SideError: it is not; the message gives the shape and the shapes allowed.
    """
    if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in {3, in_channels}:
        allowed = "3" if in_channels == 3 else f"3 or {in_channels}"
        raise SideError(f"expected a (B, {allowed}, H, W) tensor, got {tuple(x_BCHW.shape)}")
    h, w = x_BCHW.shape[-2:]
    for name, side in (("height", h), ("width", w)):
        if side < SMALLEST_SIDE_PX or side % SIDE_MULTIPLE:
            raise SideError(
                f"{name} is {side} px; expected a multiple of {SIDE_MULTIPLE} px, "
                f"at least {SMALLEST_SIDE_PX} px: pad or resize the face first",
                side_px=side,
            )
