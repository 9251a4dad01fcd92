"""The network alone: faces a second by number format, batch and way of launching."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from typing import Any, Final, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

import aminet.network
from aminet.cost import count_macs
from aminet.model_files import load_network
from aminet.network import AMINet, as_channels_last
from tests.bench.gpu.plan import PICTURE, SIDE_PX, Plan, attempt, rate

__all__ = ["SHARE", "benchmarked", "compiled", "deviations", "network_rates"]

SHARE: Final = "share of matrix peak"
"""The row of the rates over the measured rate of large matrix products."""


def channels_last_norm(x_BCHW: Tensor) -> Tensor:  # noqa: N803
    """`aminet.network.normalise` without leaving the layout: is torch's own, on a GPU, slow?"""
    b, c, h, w = x_BCHW.shape
    groups = aminet.network.NORM_GROUPS
    x = x_BCHW.permute(0, 2, 3, 1).reshape(b, h * w, groups, c // groups)
    variance, mean = torch.var_mean(x.float(), dim=(1, 3), keepdim=True, correction=0)
    scale = torch.rsqrt(variance + 1e-5)
    y = torch.addcmul((-mean * scale).to(x.dtype), x, scale.to(x.dtype))
    return y.reshape(b, h, w, c).permute(0, 3, 1, 2)


@contextlib.contextmanager
def normalised_by(how: Callable[[Tensor], Tensor]) -> Generator[None]:
    before = aminet.network.normalise
    aminet.network.normalise = how
    try:
        yield
    finally:
        aminet.network.normalise = before


def faces(plan: Plan, batch: int, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.rand(batch, 3, SIDE_PX, SIDE_PX, device=plan.device, dtype=dtype)
    return as_channels_last(x)


def under_autocast(
    plan: Plan, network: AMINet, batch: int, dtype: torch.dtype
) -> Callable[[], object]:
    """With weights in fp32, which autocast converts anew for each batch."""
    x = faces(plan, batch)

    def work() -> object:
        with torch.autocast(plan.device.type, dtype=dtype):
            return network.residual(x)

    return work


def replayed(plan: Plan, work: Callable[[], object]) -> Callable[[], object]:
    """The same launches as one CUDA graph."""
    if plan.device.type != "cuda":
        return work
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def in_format(plan: Plan, name: str, dtype: torch.dtype) -> AMINet:
    network, _ = load_network(name, plan.device)
    convert_conv2d_weight_memory_format(network, torch.channels_last)
    return network.to(dtype)


def network_rates(plan: Plan, name: str, peak_flops: float) -> dict[str, Any]:
    """Faces a second by format, batch and way of launching."""
    plain, _ = load_network(name, plan.device)
    flops = 2 * count_macs(plain, SIDE_PX)
    rows: dict[str, dict[str, float]] = {}
    ends_s = time.monotonic() + plan.network_s

    def note(how: str, batch: int, work: Callable[[], object]) -> None:
        if rows and time.monotonic() > ends_s:
            return
        speed = rate(plan, work, batch)
        rows.setdefault(how, {})[str(batch)] = round(speed, 1)
        best = rows.setdefault(SHARE, {})
        best[how] = max(best.get(how, 0.0), round(speed * flops / peak_flops, 4))

    with torch.inference_mode():
        for dtype in plan.dtypes:
            kind = str(dtype).removeprefix("torch.")
            half = in_format(plan, name, dtype)
            for batch in plan.batches:
                x = faces(plan, batch, dtype)

                def work(half: AMINet = half, x: Tensor = x) -> object:
                    return half.residual(x)

                thorough = dtype == torch.bfloat16 or batch in plan.batches[::2]
                if not thorough:
                    continue
                if batch in plan.batches[::2]:
                    note(f"{kind} autocast", batch, under_autocast(plan, plain, batch, dtype))
                note(f"{kind} eager", batch, work)
                with attempt(plan, f"{name} {kind} graph {batch}"):
                    note(f"{kind} graph", batch, replayed(plan, work))
                with normalised_by(channels_last_norm), attempt(plan, f"{name} norm {batch}"):
                    note(f"{kind} graph, channels-last norm", batch, replayed(plan, work))
    return {"gflop_a_face": flops / 1e9, "faces_a_s": rows}


def benchmarked(plan: Plan, name: str) -> dict[str, float]:
    """With cuDNN's own search for the fastest convolution."""
    batch = plan.batches[-2]
    torch.backends.cudnn.benchmark = True
    try:
        with torch.inference_mode():
            half, x = in_format(plan, name, torch.bfloat16), faces(plan, batch, torch.bfloat16)
            return {str(batch): rate(plan, replayed(plan, lambda: half.residual(x)), batch)}
    finally:
        torch.backends.cudnn.benchmark = False


def compiled(plan: Plan, name: str) -> dict[str, float]:
    """Through torch.compile, one batch."""
    found: dict[str, float] = {}
    batch = plan.batches[-2]
    with torch.inference_mode():
        half = in_format(plan, name, torch.bfloat16)
        x = faces(plan, batch, torch.bfloat16)
        started = time.perf_counter()
        fast = cast("Callable[[Tensor], Tensor]", torch.compile(half.residual))
        fast(x)
        plan.wait()
        found["compile_s"] = round(time.perf_counter() - started, 1)
        found[str(batch)] = rate(plan, replayed(plan, lambda: fast(x)), batch)
    return found


def deviations(plan: Plan, name: str) -> dict[str, float]:
    """PSNR of half precision against fp32, on a real face at three sizes, dB."""
    pictures: list[Tensor] = []
    with Image.open(PICTURE) as picture:
        for side in (24, 40, 64):
            small = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
            large = small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
            pictures.append(torch.from_numpy(np.array(large)).permute(2, 0, 1) / 255)
    x = as_channels_last(torch.stack(pictures).to(plan.device))
    found: dict[str, float] = {}
    with torch.inference_mode():
        exact = load_network(name, plan.device)[0].residual(x)
        for dtype in plan.dtypes:
            for norm in (aminet.network.normalise, channels_last_norm):
                with normalised_by(norm):
                    rough = in_format(plan, name, dtype).residual(x.to(dtype)).float()
                error = float(F.mse_loss(rough, exact))
                found[f"{dtype} {norm.__name__}"] = round(-10 * float(np.log10(error + 1e-12)), 1)
    return found
