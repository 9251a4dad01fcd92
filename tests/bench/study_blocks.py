"""What each choice in AMINet's block is worth: the same short training for every variant.

    python -m tests.bench.study_blocks FACES_DIR OUT_FILE [VARIANT ...]

`FACES_DIR` holds `train` and `val`. Clean bicubic only, 150 steps of batch 8, 64 px patches, seed
0, one thread. Appends one JSON line for each variant: gain over bicubic on every second val face,
CPU seconds a step, parameters and multiply-accumulates. One seed: differences below 0.05 dB mean
nothing.
"""
# ruff: noqa: N803, N806, N812

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aminet.cost import count_macs, count_parameters
from aminet.data.batches import TrainingBatches, to_device
from aminet.data.pictures import list_pictures
from aminet.judge.trials import standard_trials
from aminet.judge.validate import score
from aminet.network import (
    LGFI,
    MDTA,
    RDFE,
    SKAF,
    AMINet,
    AMINetConfig,
    ChannelAttention,
    as_channels_last,
)
from aminet.restorer import Restorer
from aminet.training.config import TrainConfig
from aminet.training.step import TrainState, TrainStep, make_optimisers

STEPS: Final = 150
CPU: Final = torch.device("cpu")


class ResidualBlock(nn.Module):
    """GroupNorm, 3x3, GELU, 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.gelu(self.first(self.norm(x))))


class PlainUNet(nn.Module):
    """The rival: AMINet's sizes with residual blocks and sums in place of LGFI and SKAF."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.config = AMINetConfig(width)
        widths = (width, 2 * width, 4 * width)
        self.stem = nn.Conv2d(12, width, 3, padding=1)
        self.encoders = nn.ModuleList(ResidualBlock(w) for w in widths)
        self.downs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[min(i + 1, 2)], 3, stride=2, padding=1) for i in range(3)
        )
        self.middle = nn.Sequential(ResidualBlock(widths[2]), ResidualBlock(widths[2]))
        self.ups = nn.ModuleList(
            nn.Conv2d(widths[min(i + 1, 2)], 4 * widths[i], 1) for i in range(3)
        )
        self.decoders = nn.ModuleList(ResidualBlock(w) for w in widths)
        self.tail = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(self.tail.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)

    def residual(self, x: Tensor) -> Tensor:
        f = self.stem(as_channels_last(F.pixel_unshuffle(x, 2)))
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(f))
            f = down(skips[-1])
        f = self.middle(f)
        for i in (2, 1, 0):
            f = self.decoders[i](as_channels_last(F.pixel_shuffle(self.ups[i](f), 2)) + skips[i])
        return F.pixel_shuffle(self.tail(f), 2)


class PixelNorm(LGFI):
    """Each pixel normalised on its own, as LayerNorm over channels does."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        channels = (x_BCHW.shape[1],)
        n_BCHW = F.layer_norm(x_BCHW.permute(0, 2, 3, 1), channels).permute(0, 3, 1, 2)
        local_BCHW = self.rdfe(n_BCHW)
        if self.mdta is None or self.skaf is None:
            return x_BCHW + local_BCHW
        return x_BCHW + self.skaf(self.mdta(n_BCHW), local_BCHW)


class FeedForward(LGFI):
    """A gated feed-forward part (GDFN, expansion 1.5) after the block, as in CTCNet."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        hidden = round(1.5 * channels / 8) * 8
        self.norm = nn.GroupNorm(8, channels)
        self.enter = nn.Conv2d(channels, 2 * hidden, 1)
        self.local = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.leave = nn.Conv2d(hidden, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y = super().forward(x_BCHW)
        gate, value = self.local(self.enter(self.norm(y))).chunk(2, dim=1)
        return y + self.leave(F.gelu(gate) * value)


class DepthwiseRDFE(RDFE):
    """As first specified: depthwise 3, 5 and 7 in a chain between 1x1 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.see3, self.see5
        self.enter = nn.Conv2d(channels, channels, 1)
        self.see = nn.ModuleList(
            nn.Conv2d(channels, channels, k, padding=k // 2, groups=channels) for k in (3, 5, 7)
        )
        self.merge = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, n_BCHW: Tensor) -> Tensor:
        h = self.enter(n_BCHW)
        seen = [F.gelu(self.see[0](h))]
        for see in list(self.see)[1:]:
            seen.append(F.gelu(see(h + seen[-1])))
        return self.attention(self.merge(torch.cat(seen, dim=1)))


class SumOneSKAF(SKAF):
    """Weights of a pixel with the sum 1."""

    def forward(self, *features: Tensor) -> Tensor:
        return super().forward(*features) / len(features)


class HalfGate(ChannelAttention):
    """Gates around a half."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW) / 2


class OneScale(nn.Module):
    """In place of a fusion: nothing beside the plain skip of the same level."""

    def forward(self, f_BCHW: Tensor, *_: Tensor) -> Tensor:
        return torch.zeros_like(f_BCHW)


def _shipped(config: AMINetConfig | None = None) -> AMINet:
    return AMINet(config or AMINetConfig())


def _recast(old: type[nn.Module], new: type[nn.Module]) -> AMINet:
    """AMINet with the behaviour of all modules of one class replaced; the weights stay."""
    network = _shipped()
    for module in network.modules():
        if type(module) is old:
            module.__class__ = new
    return network


def _rebuilt(make: Callable[[int, int], nn.Module]) -> AMINet:
    """AMINet with other blocks, `make(channels, heads)`."""
    network = _shipped()
    for level in (*network.encoders, network.bottleneck, *network.decoders):
        blocks = cast("nn.Sequential", level)
        for index, block in enumerate(blocks):
            lgfi = cast("LGFI", block)
            heads = lgfi.mdta.heads if lgfi.mdta is not None else 0
            blocks[index] = make(lgfi.rdfe.see3.in_channels, heads)
    return network


def _depthwise(channels: int, heads: int) -> LGFI:
    block = LGFI(channels, heads)
    block.rdfe = DepthwiseRDFE(channels)
    return block


def _loud() -> AMINet:
    network = _shipped()
    for module in network.modules():
        if isinstance(module, MDTA):
            module.out.reset_parameters()
    return network


def _one_scale() -> AMINet:
    network = _shipped()
    network.fusions = nn.ModuleList(OneScale() for _ in range(3))
    return network


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the study."""

    make: Callable[[], nn.Module]
    kind: Literal["adamw", "muon"] = "muon"
    lr: float = 2e-3


VARIANTS: Final[dict[str, Variant]] = {
    "shipped": Variant(_shipped),
    "AdamW 8e-4": Variant(_shipped, "adamw", 8e-4),
    "attention not silent at first": Variant(_loud),
    "SKAF's weights with the sum 1": Variant(lambda: _recast(SKAF, SumOneSKAF)),
    "channel gates around a half": Variant(lambda: _recast(ChannelAttention, HalfGate)),
    "each pixel normalised on its own": Variant(lambda: _recast(LGFI, PixelNorm)),
    "global branch at the finest level too": Variant(
        lambda: _shipped(AMINetConfig(heads=(1, 2, 4, 4)))
    ),
    "with GDFN": Variant(lambda: _rebuilt(FeedForward)),
    "depthwise 3/5/7 RDFE": Variant(lambda: _rebuilt(_depthwise)),
    "one-scale skips": Variant(_one_scale),
    "stem 4, C=48": Variant(lambda: _shipped(AMINetConfig(width=48, stem_factor=4))),
    "plain U-Net, C=32": Variant(lambda: PlainUNet(32)),
    "plain U-Net, C=32, AdamW 8e-4": Variant(lambda: PlainUNet(32), "adamw", 8e-4),
}


def measure(name: str, faces: Path) -> dict[str, object]:
    """Train one variant and score it."""
    variant = VARIANTS[name]
    config = TrainConfig.model_validate(
        {
            "data": {"train": faces / "train", "val": faces / "val", "workers": 0},
            "out": "unused",
            "stages": [{"steps": STEPS, "patch": 64, "batch": 8}],
            "clean_share": 1.0,
            "groups": 2,
            "optimiser": {"kind": variant.kind, "lr": variant.lr, "warmup_steps": 20},
        }
    )
    torch.manual_seed(0)
    network = cast("AMINet", variant.make())
    state = TrainState(network, copy.deepcopy(network), make_optimisers(network, config.optimiser))
    batches = TrainingBatches(list_pictures(faces / "train"), config.batch_plan())
    train_step = TrainStep(state, config)
    working_s = 0.0
    for step in range(STEPS):
        patches = to_device(batches[step], CPU)
        started_s = time.process_time()
        train_step(patches)
        working_s += time.process_time() - started_s
    trials = standard_trials(list_pictures(faces / "val")[::2], 128)
    scores = score(trials, Restorer(network, CPU).restore)
    return {
        "variant": name,
        **{key: round(value, 3) for key, value in scores.items() if key.endswith("_gain")},
        "cpu_s_a_step": round(working_s / STEPS, 3),
        "parameters": count_parameters(network),
        "macs": count_macs(network, 128),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the variants named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("variants", nargs="*", metavar="VARIANT")
    wanted = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in wanted.variants or VARIANTS:
        with wanted.out.open("a") as file:
            file.write(json.dumps(measure(name, wanted.faces)) + "\n")


if __name__ == "__main__":
    main()
