"""AMINet after the paper's published description: a small U-shaped network for faces.

Source: Wan, Li, Gao, Lu, Yang, Lin, "Attention-Guided Multi-scale Interaction Network for
Face Super-Resolution", arXiv 2409.00591. The paper's code is not public. Each module says
where it comes from:

    P  the paper's published description       C  the practice of the same lab's CTCNet
    S  a summary of the paper told by others   O  ours

Shape legend: B batch, C channels, H height, W width, N features to choose among,
L = H * W, K heads, D = C / K channels a head. Images are RGB, float, in [0, 1], already
upsampled (bicubic) to the output size.
"""
# ruff: noqa: N803, N806, N812

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aminet.errors import SideError

SIDE_MULTIPLE: Final = 8
"""Sides must be multiples of this, in px."""
SMALLEST_SIDE_PX: Final = 64
GROUP_WIDTH: Final = 16
"""Channels that RDFE's convolutions mix: a vector register of fp32 on AVX-512."""


@dataclass(frozen=True, slots=True)
class AMINetConfig:
    """Sizes of one network; the four entries of a tuple are the three levels and the bottleneck."""

    width: int = 32
    """Channels at the finest level (C); the levels have C, 2C, 4C and the bottleneck 4C."""
    depths: tuple[int, int, int, int] = (1, 1, 1, 2)
    """LGFI blocks at each level (on each side of the U) and in the bottleneck."""
    heads: tuple[int, int, int, int] = (1, 2, 4, 4)
    """Attention heads at each level and in the bottleneck."""
    expansion: float = 1.5
    """Hidden width of GDFN over its input width."""
    stem_factor: int = 2
    """PixelUnshuffle before the first convolution; 1 works at full resolution."""


PRESETS: Final[dict[str, AMINetConfig]] = {
    "aminet": AMINetConfig(width=32, stem_factor=2),
    "aminet-s": AMINetConfig(width=32, stem_factor=4),
}
"""Name -> sizes of the two networks that ship."""


def layer_norm(x_BCHW: Tensor) -> Tensor:
    """Normalise each pixel over its channels, without scale or shift (C).

    Scale and shift would be redundant: a 1x1 convolution with bias always follows. In
    channels_last both permutes are views, so this is one fused pass.
    """
    x_BHWC = x_BCHW.permute(0, 2, 3, 1)
    return F.layer_norm(x_BHWC, (x_BHWC.shape[-1],)).permute(0, 3, 1, 2)


def as_channels_last(x_BCHW: Tensor) -> Tensor:
    """Undo the layout that pixel shuffles leave: everything here is faster in channels_last."""
    return x_BCHW.contiguous(memory_format=torch.channels_last)


def depthwise(channels: int, kernel: int) -> nn.Conv2d:
    """Depthwise convolution that keeps the size."""
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)


def grouped(channels: int) -> nn.Conv2d:
    """3x3 convolution in groups of `GROUP_WIDTH` channels."""
    groups = max(1, channels // GROUP_WIDTH)
    return nn.Conv2d(channels, channels, 3, padding=1, groups=groups)


class MDTA(nn.Module):
    """Global branch: self-attention over channels, cost linear in pixels (C, from Restormer)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, n_BCHW: Tensor) -> Tensor:
        """Attend; (B, C, H, W) normalised features to the same shape."""
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
    """Squeeze-and-excitation gate over channels (S), reduction 8, at least 8 hidden."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 8)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Weigh the channels; same shape."""
        pooled_BC11 = x_BCHW.mean(dim=(2, 3), keepdim=True)
        return x_BCHW * torch.sigmoid(self.excite(F.gelu(self.squeeze(pooled_BC11))))


class RDFE(nn.Module):
    """Local branch (P): receptive fields 3, 5 and 7 (S), each fed by the one before (O).

    The chain makes the receptive fields: three 3x3 convolutions see 3, 5 and 7 px. They mix
    `GROUP_WIDTH` channels at a time, not one: on CPUs that costs less than depthwise 5x5 and
    7x7, and it learns faster (measured, see the model card; O).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.see3 = grouped(channels)
        self.see5 = grouped(channels)
        self.see7 = grouped(channels)
        self.merge = nn.Conv2d(3 * channels, channels, 1)
        self.attention = ChannelAttention(channels)

    def forward(self, n_BCHW: Tensor) -> Tensor:
        """Extract; (B, C, H, W) normalised features to the same shape."""
        h = self.enter(n_BCHW)
        b3 = F.gelu(self.see3(h))
        b5 = F.gelu(self.see5(h + b3))
        b7 = F.gelu(self.see7(h + b5))
        return self.attention(self.merge(torch.cat((b3, b5, b7), dim=1)))


class SKAF(nn.Module):
    """Attention that selects, pixel by pixel, among N features (P; pooling S; form O).

    The features may come from other levels: finer ones are average-pooled before their 1x1
    projection and coarser ones are upsampled after it, so the projection is always done at
    the smaller size (bilinear upsampling and a 1x1 convolution commute).
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(
            nn.Identity() if c == channels else nn.Conv2d(c, channels, 1) for c in in_channels
        )
        self.select = nn.Conv2d(2, len(in_channels), 7, padding=3)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, *features: Tensor) -> Tensor:
        """Select; N features to (B, C, H, W), the size of the first."""
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
        chosen_BCHW = us_BCHW[0] * mask_BNHW[:, 0:1]
        for i, u in enumerate(us_BCHW[1:], start=1):
            chosen_BCHW = torch.addcmul(chosen_BCHW, u, mask_BNHW[:, i : i + 1])
        return self.out(chosen_BCHW)


class GDFN(nn.Module):
    """Gated feed-forward (C, from Restormer)."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        # A multiple of 8 keeps vector units full.
        hidden = max(8, round(channels * expansion / 8) * 8)
        self.enter = nn.Conv2d(channels, 2 * hidden, 1)
        self.local = depthwise(2 * hidden, 3)
        self.out = nn.Conv2d(hidden, channels, 1)

    def forward(self, n_BCHW: Tensor) -> Tensor:
        """Mix channels; (B, C, H, W) normalised features to the same shape."""
        gate, value = self.local(self.enter(n_BCHW)).chunk(2, dim=1)
        return self.out(F.gelu(gate) * value)


class LGFI(nn.Module):
    """Local and global features interact (P, S); order of the parts (O).

    g = x + MDTA(LN x); l = x + RDFE(LN x); y = x + SKAF(g, l); out = y + GDFN(LN y).
    """

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.mdta = MDTA(channels, heads)
        self.rdfe = RDFE(channels)
        self.skaf = SKAF((channels, channels), channels)
        self.gdfn = GDFN(channels, expansion)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        n_BCHW = layer_norm(x_BCHW)
        global_BCHW = x_BCHW + self.mdta(n_BCHW)
        local_BCHW = x_BCHW + self.rdfe(n_BCHW)
        y_BCHW = x_BCHW + self.skaf(global_BCHW, local_BCHW)
        return y_BCHW + self.gdfn(layer_norm(y_BCHW))


class Down(nn.Module):
    """Half the size (C)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)
        self.refine = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out, H / 2, W / 2)."""
        return self.refine(F.leaky_relu(self.reduce(x_BCHW), 0.2))


class Up(nn.Module):
    """Twice the size (C; PixelShuffle O)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 4 * out_channels, 1)
        self.refine = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out, 2H, 2W)."""
        y_BCHW = as_channels_last(F.pixel_shuffle(self.expand(x_BCHW), 2))
        return self.refine(F.leaky_relu(y_BCHW, 0.2))


def _level(channels: int, depth: int, heads: int, expansion: float) -> nn.Sequential:
    return nn.Sequential(*(LGFI(channels, heads, expansion) for _ in range(depth)))


class AMINet(nn.Module):
    """The whole network: encoder, bottleneck, decoder, all joined by SKAF (P, shape; C).

    Every decoder level takes the encoder's features of **all** levels (P, C). The stem works
    at half resolution (O): the input is an upsampled small face, so full-size features carry
    nothing new and cost most of the time.
    """

    def __init__(self, config: AMINetConfig) -> None:
        super().__init__()
        self.config = config
        c, d, k, e = config.width, config.depths, config.heads, config.expansion
        widths = (c, 2 * c, 4 * c)
        image_channels = 3 * config.stem_factor**2
        self.stem = nn.Conv2d(image_channels, c, 3, padding=1)
        self.encoders = nn.ModuleList(_level(widths[i], d[i], k[i], e) for i in range(3))
        self.downs = nn.ModuleList(Down(widths[i], widths[min(i + 1, 2)]) for i in range(3))
        self.bottleneck = _level(widths[2], d[3], k[3], e)
        self.ups = nn.ModuleList(Up(widths[min(i + 1, 2)], widths[i]) for i in range(3))
        self.fusions = nn.ModuleList(SKAF((widths[i], *widths), widths[i]) for i in range(3))
        self.decoders = nn.ModuleList(_level(widths[i], d[i], k[i], e) for i in range(3))
        self.tail = nn.Conv2d(c, image_channels, 3, padding=1)
        # The untrained network is then the identity, that is, bicubic.
        nn.init.zeros_(self.tail.weight)
        if self.tail.bias is not None:
            nn.init.zeros_(self.tail.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Restore faces.

        Args:
            x_BCHW: (B, 3, H, W) float RGB in [0, 1], the small face upsampled to H x W;
                H and W multiples of `SIDE_MULTIPLE`, at least `SMALLEST_SIDE_PX`.

        Returns:
            Same shape; near [0, 1] but not clamped.

        Raises:
            SideError: for any other shape.
        """
        return x_BCHW + self.residual(x_BCHW)

    def residual(self, x_BCHW: Tensor) -> Tensor:
        """What `forward` adds to its input; same shape, same errors."""
        check_sides(x_BCHW)
        h, w = x_BCHW.shape[-2:]
        # Three halvings below the stem; sides in between are padded and cropped.
        multiple = 8 * self.config.stem_factor
        pad_h, pad_w = -h % multiple, -w % multiple
        if pad_h or pad_w:
            x_BCHW = F.pad(x_BCHW, (0, pad_w, 0, pad_h), mode="replicate")
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


def check_sides(x_BCHW: Tensor) -> None:
    """Refuse what is not (B, 3, H, W) with sides the network can take.

    Raises:
        SideError: with the shape got and the shapes that are allowed.
    """
    if x_BCHW.ndim != 4 or x_BCHW.shape[1] != 3:
        raise SideError(f"expected a (B, 3, H, W) tensor, got {tuple(x_BCHW.shape)}")
    h, w = x_BCHW.shape[-2:]
    for name, side in (("height", h), ("width", w)):
        if side < SMALLEST_SIDE_PX or side % SIDE_MULTIPLE:
            raise SideError(
                f"{name} is {side} px; expected a multiple of {SIDE_MULTIPLE} px, "
                f"at least {SMALLEST_SIDE_PX} px: pad or resize the face first",
                side_px=side,
            )
