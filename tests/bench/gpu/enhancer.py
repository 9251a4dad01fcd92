"""The product's enhancer in a bare loop, without Ray: its rate, and where its time goes."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from PIL import Image

import nodes.enhance.back_projection
import nodes.enhance.warp
from aminet.files import read_file
from nodes.enhance import Enhance, EnhanceConfig
from nodes.geometry.alignment import crop_from_frame
from nodes.node import Inputs
from nodes.types import FacePatch, FramePatches
from tests.bench.gpu.plan import FACES_A_FRAME, PICTURE, PRESETS, SIDE_PX, Plan, attempt, rate

__all__ = ["enhancer", "frames", "measure_enhancers"]


def frames(count: int) -> list[Inputs]:
    """Frames with four faces of several sizes and angles each, as `aminet.crop` cuts them."""
    rng = np.random.default_rng(0)
    with Image.open(PICTURE) as picture:
        face = picture.convert("RGB")
    made: list[FacePatch] = []
    for number in range(16):
        side = int(rng.integers(100, 190))
        eyes = side / 166 * 36
        points = np.array([(-0.5, 0), (0.5, 0), (0, 0.6), (0, 1.11)]) * eyes + side / 2
        rgb = np.asarray(face.resize((side, side), Image.Resampling.BICUBIC)).copy()
        to_crop = crop_from_frame(points, SIDE_PX)
        yaw_deg = float(rng.uniform(-30, 30))
        made.append(
            FacePatch(number, rgb, 8, (0, 0, side, side), to_crop, SIDE_PX, 1, yaw_deg=yaw_deg)
        )
    return [
        Inputs(
            {
                "patches": FramePatches(
                    pts, tuple(made[(pts * FACES_A_FRAME + n) % 16] for n in range(FACES_A_FRAME))
                )
            }
        )
        for pts in range(count)
    ]


def enhancer(weights: str, max_batch: int, *, cuda_graphs: bool = True) -> Enhance:
    node = Enhance(EnhanceConfig(weights=weights, max_batch=max_batch, cuda_graphs=cuda_graphs))
    node.prepare(read_file)
    return node


def batches_of(work: Sequence[Inputs], max_batch: int) -> list[Sequence[Inputs]]:
    """Full batches, as the batcher gathers them."""
    size = max(1, max_batch // FACES_A_FRAME)
    return [work[at : at + size] for at in range(0, len(work), size)]


def bare_rate(plan: Plan, node: Enhance, work: Sequence[Inputs]) -> float:
    """Faces a second with the same batches and no Ray."""
    batches = batches_of(work, node.max_batch)

    def loop() -> None:
        for batch in batches:
            node.process_batch(batch)

    return rate(plan, loop, FACES_A_FRAME * len(work), 4 * plan.round_s)


STAGES: Final = (
    (nodes.enhance.warp, "align_patches"),
    (nodes.enhance.warp, "mask_residuals"),
    (nodes.enhance.warp, "unalign_residuals"),
    (nodes.enhance.back_projection, "back_project"),
    (nodes.enhance.warp, "cut_to_regions"),
    (Enhance, "residuals"),
)


def stage_shares(plan: Plan, node: Enhance, batch: Sequence[Inputs]) -> dict[str, float]:
    """Microseconds a face of each stage, each waited for; `rest` is Python in between."""
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            plan.wait()
            started = time.perf_counter()
            answer = work(*args, **named)
            plan.wait()
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - started
            return answer

        return run

    plain = [(owner, name, getattr(owner, name)) for owner, name in STAGES]
    rounds = 1 if plan.tiny else 8
    node.process_batch(batch)
    try:
        for owner, name, work in plain:
            setattr(owner, name, timed(name, work))
        started = time.perf_counter()
        for _ in range(rounds):
            node.process_batch(batch)
        whole_s = time.perf_counter() - started
    finally:
        for owner, name, work in plain:
            setattr(owner, name, work)
    spent["rest"] = whole_s - sum(spent.values())
    count = rounds * FACES_A_FRAME * len(batch)
    return {name: round(1e6 * seconds / count, 1) for name, seconds in spent.items()}


def on_the_device(plan: Plan, node: Enhance, batch: Sequence[Inputs]) -> dict[str, Any]:
    """What the profiler sees of one batch: the GPU's busy time, and its longest kernels."""
    from torch.profiler import ProfilerActivity, profile

    node.process_batch(batch)
    started = time.perf_counter()
    node.process_batch(batch)
    wall_us = 1e6 * (time.perf_counter() - started)
    of_gpu = plan.device.type == "cuda"
    activities = [ProfilerActivity.CUDA] if of_gpu else [ProfilerActivity.CPU]
    with profile(activities=activities) as seen:
        node.process_batch(batch)
        plan.wait()
    rows = sorted(
        (
            (float(e.self_device_time_total if of_gpu else e.self_cpu_time_total), e.count, e.key)
            for e in seen.key_averages()
        ),
        reverse=True,
    )
    return {
        "wall_us": round(wall_us),
        "busy_us": round(sum(row[0] for row in rows)),
        "calls": sum(row[1] for row in rows),
        "longest": [f"{us:.0f} us in {n}: {key[:90]}" for us, n, key in rows[:14]],
    }


def on_the_host(node: Enhance, batch: Sequence[Inputs]) -> list[str]:
    """Where Python's time goes in process_batch: function, calls a batch, ms of its own."""
    seen = cProfile.Profile()
    seen.enable()
    for _ in range(3):
        node.process_batch(batch)
    seen.disable()
    stats: dict[Any, Any] = cast("Any", pstats.Stats(seen)).stats
    rows = sorted(((own, n, key) for key, (_, n, own, _, _) in stats.items()), reverse=True)
    return [
        f"{1e3 * own / 3:.2f} ms in {n // 3}: {Path(file).name}:{name}"
        for own, n, (file, _, name) in rows[:14]
    ]


def measure_enhancers(plan: Plan) -> dict[str, dict[int, float]]:
    """Return faces a second of a bare loop, by weights and `max_batch`; note the rest."""
    work = frames(plan.frames)
    bare: dict[str, dict[int, float]] = {}
    for name in PRESETS:
        for most in plan.most:
            with attempt(plan, f"bare {name} {most}"):
                node = enhancer(name, most)
                node.setup(1)
                bare.setdefault(name, {})[most] = round(bare_rate(plan, node, work), 1)
                if most == plan.most[1]:
                    batch = batches_of(work, most)[0]
                    plan.note(f"us a face by stage {name}", stage_shares(plan, node, batch))
                    with attempt(plan, f"profiler {name}"):
                        plan.note(f"on the device {name}", on_the_device(plan, node, batch))
                    plan.note(f"on the host {name}", on_the_host(node, batch))
        plan.note(f"bare faces_a_s by max_batch {name}", bare.get(name))
        with attempt(plan, f"without CUDA graphs {name}"):
            node = enhancer(name, plan.most[1], cuda_graphs=False)
            node.setup(1)
            launched = bare_rate(plan, node, work)
            recorded = bare[name][plan.most[1]]
            plan.note(f"with CUDA graphs over without {name}", round(recorded / launched, 3))
    return bare
