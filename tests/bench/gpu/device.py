"""The device alone: matrix products, convolutions, copies."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from aminet.network import as_channels_last
from tests.bench.gpu.plan import Plan, rate

__all__ = ["peaks"]


def peaks(plan: Plan) -> dict[str, float]:
    """TFLOP/s of large matrix products and of dense 3x3 convolutions of the network's widths."""
    side = 256 if plan.tiny else 8192
    found: dict[str, float] = {}
    for dtype in plan.dtypes:
        a, b = (torch.randn(side, side, device=plan.device, dtype=dtype) for _ in range(2))
        found[f"matmul {dtype}"] = rate(plan, lambda a=a, b=b: torch.mm(a, b), 2 * side**3) / 1e12
    batch = 2 if plan.tiny else 256
    for width, px in ((24, 64), (48, 64), (48, 32), (96, 32), (96, 16), (192, 16), (192, 8)):
        layer = nn.Conv2d(width, width, 3, padding=1).to(plan.device, torch.bfloat16)
        convert_conv2d_weight_memory_format(layer, torch.channels_last)
        x = torch.randn(batch, width, px, px, device=plan.device, dtype=torch.bfloat16)
        x = as_channels_last(x)
        flops = 2 * 9 * width * width * px * px * batch
        with torch.inference_mode():
            speed = rate(plan, lambda layer=layer, x=x: layer(x), flops, plan.round_s / 2)
        found[f"conv3x3 bf16 {width} at {px} px"] = speed / 1e12
    big = torch.empty(2**20 if plan.tiny else 2**30, dtype=torch.uint8, device=plan.device)
    other = torch.empty_like(big)
    found["copy on the device GB/s"] = rate(plan, lambda: other.copy_(big), 2 * len(big)) / 1e9
    return found
