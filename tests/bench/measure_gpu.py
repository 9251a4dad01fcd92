"""An enhancer on a GPU: the network's share of the matrix rate, the bare loop, and through Ray.

    python -m tests.bench.measure_gpu OUT.json [--tiny] [--compile] [--seconds 60]

Writes what it has after each part, so that what comes back from a run that was cut off is whole.
`--tiny` rehearses all of it on a CPU; `--compile` adds torch.compile, which takes a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import json
import logging
import os
import pstats
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

import aminet.network
import nodes.enhance.back_projection
import nodes.enhance.warp
from aminet.cost import count_macs
from aminet.files import read_file
from aminet.model_files import load_network
from aminet.network import AMINet, as_channels_last
from aminet.precision import autocast_dtype
from nodes.enhance import Enhance, EnhanceConfig
from nodes.geometry.alignment import crop_from_frame
from nodes.node import Inputs, Outputs
from nodes.types import FacePatch, FramePatches

log = logging.getLogger(__name__)

SIDE_PX: Final = 128
FACES_A_FRAME: Final = 4
PRESETS: Final = ("aminet", "aminet-s")
PICTURE: Final = Path(__file__).parent.parent / "data" / "face_woman.jpg"


@dataclass(slots=True)
class Plan:
    """How much is measured; the tiny one only shows that it runs."""

    device: torch.device
    out: Path
    compiled: bool
    tiny: bool
    ends_s: float
    found: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def round_s(self) -> float:
        return 0.02 if self.tiny else 0.25

    @property
    def batches(self) -> tuple[int, ...]:
        return (2, 4) if self.tiny else (16, 32, 64, 128, 256, 512)

    @property
    def most(self) -> tuple[int, ...]:
        """`max_batch` of the enhancers."""
        return (4, 8) if self.tiny else (16, 64, 256)

    @property
    def through_ray(self) -> tuple[tuple[str, int], ...]:
        """Weights and `max_batch` of the enhancers that Ray runs."""
        return tuple((name, most) for most in self.most[1:] for name in reversed(PRESETS))

    @property
    def window(self) -> int:
        """Frames that a feeder has under way: the product's `run.window_frames`."""
        return 4 if self.tiny else 32

    @property
    def frames(self) -> int:
        return 4 if self.tiny else 128

    @property
    def feeders(self) -> tuple[int, ...]:
        return (1, 2) if self.tiny else (4, 12)

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        return torch.bfloat16, torch.float16

    @property
    def late(self) -> bool:
        return time.monotonic() > self.ends_s

    def note(self, part: str, value: Any) -> None:
        """Write it at once."""
        self.found[part] = value
        self.out.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{part}: {json.dumps(value)}\n")
        sys.stdout.flush()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def rate(
    plan: Plan, work: Callable[[], object], items: float, round_s: float | None = None
) -> float:
    """Return items a second: the best of three rounds, after a warm-up that is not counted."""
    for _ in range(1 if plan.tiny else 3):
        work()
    plan.wait()
    started = time.perf_counter()
    work()
    plan.wait()
    one_s = time.perf_counter() - started
    times = max(1, int((round_s or plan.round_s) / 3 / max(one_s, 1e-6)))
    best_s = float("inf")
    for _ in range(1 if plan.tiny else 3):
        started = time.perf_counter()
        for _ in range(times):
            work()
        plan.wait()
        best_s = min(best_s, (time.perf_counter() - started) / times)
    return items / best_s


# (a) the device


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


# (b) the network alone


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

    def note(how: str, batch: int, work: Callable[[], object]) -> None:
        if plan.late:
            return
        speed = rate(plan, work, batch)
        rows.setdefault(how, {})[str(batch)] = round(speed, 1)
        best = rows.setdefault("share of matrix peak", {})
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


# (c) the product's enhancer in a bare loop


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


def enhancer(weights: str, max_batch: int) -> Enhance:
    node = Enhance(EnhanceConfig(weights=weights, max_batch=max_batch))
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
    (Enhance, "_residuals"),
)


def stage_shares(plan: Plan, node: Enhance, batch: Sequence[Inputs]) -> dict[str, float]:
    """Microseconds a face of each stage, each waited for; `rest` is Python in between."""
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            plan.wait()
            started = time.perf_counter()
            answer = work(*args)
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


# (d) through Ray


class Feeder:
    """As a segment worker sends: frames under way up to a window, blocks through the client."""

    def __init__(self, count: int, window: int) -> None:
        from pipeline.cluster.pool import RayPoolClient

        self._frames = frames(count)
        self._window = window
        self._client = RayPoolClient(Enhance(EnhanceConfig()), block_frames=8)

    def use(self, member: Any) -> None:
        """Send to this one from now on."""
        self._client.use([member])

    def feed(self, warm_s: float, seconds: float, caller: str) -> float:
        """Return faces a second over so many seconds, after some that do not count."""
        self._client.caller = caller
        under_way: deque[Future[Outputs]] = deque()
        room = threading.Semaphore(self._window)
        start_s = time.monotonic() + warm_s
        at = done = 0
        while time.monotonic() < start_s + seconds:
            room.acquire()
            answer = self._client.submit(self._frames[at % len(self._frames)])
            answer.add_done_callback(lambda _: room.release())
            under_way.append(answer)
            at += 1
            while under_way and under_way[0].done():
                under_way.popleft().result()
                done += time.monotonic() > start_s
        spent_s = time.monotonic() - start_s
        for answer in under_way:
            answer.result()
        return done * FACES_A_FRAME / spent_s


def fed(plan: Plan, member: Any, feeders: Sequence[Any]) -> dict[str, Any]:
    """Feed one enhancer from several processes."""
    import ray

    def report() -> dict[str, Any]:
        return cast("dict[str, Any]", ray.get(member.actor.report.remote()))

    found: dict[str, Any] = {}
    seconds = 0.3 if plan.tiny else 2.0
    for count in plan.feeders:
        used = feeders[:count]
        ray.get([feeder.use.remote(member) for feeder in used])
        started, before = time.monotonic(), report()
        replies = [feeder.feed.remote(0.5, seconds, str(n)) for n, feeder in enumerate(used)]
        speed = sum(ray.get(replies))
        spent_s, after = time.monotonic() - started, report()
        found[f"{count} feeders"] = {
            "faces_a_s": round(speed, 1),
            "node_busy_share": round((after["busy_s"] - before["busy_s"]) / spent_s, 3),
        }
    found["report"] = report()
    return found


def through_ray(plan: Plan, bare: dict[str, dict[int, float]]) -> None:
    """The product's actors, their batchers and clients; all start at once, one works at a time."""
    import ray

    from pipeline.cluster.enhancer import EnhancerActor
    from pipeline.cluster.pool import Member
    from pipeline.cluster.shared import share

    started = time.perf_counter()
    share_of_gpu = 1 / len(plan.through_ray) if plan.device.type == "cuda" else 0
    enhancers = ray.remote(EnhancerActor).options(
        num_cpus=0, num_gpus=share_of_gpu, max_concurrency=1000
    )
    members: list[Member] = []
    for name, most in plan.through_ray:
        handle: Any = enhancers.remote("enhance", share(enhancer(name, most)), 1, 0.004)
        members.append(Member(f"{name} max_batch {most}", handle))
    makes_feeder = ray.remote(Feeder).options(num_cpus=0, max_concurrency=2)
    feeders: list[Any] = [makes_feeder.remote(16, plan.window) for _ in range(plan.feeders[-1])]
    ray.get([member.actor.where.remote() for member in members])
    plan.note("actors started in s", round(time.perf_counter() - started, 1))
    for (name, most), member in zip(plan.through_ray, members, strict=True):
        with attempt(plan, f"ray {member.name}"):
            found = fed(plan, member, feeders)
            best = max(value["faces_a_s"] for key, value in found.items() if key != "report")
            found["ray_over_bare"] = round(best / bare[name][most], 3)
            plan.note(f"through ray {member.name}", found)


@contextlib.contextmanager
def attempt(plan: Plan, what: str) -> Generator[None]:
    """Note a part that fails, and go on: the machine is there only once."""
    try:
        yield
    except Exception:
        text = traceback.format_exc()
        plan.found.setdefault("failed", {})[what] = text.splitlines()[-1]
        sys.stdout.write(f"FAILED {what}\n{text}\n")
        if plan.tiny:
            raise


def measure(plan: Plan) -> dict[str, Any]:
    """Measure everything, the most important first in each part."""
    of_gpu = plan.device.type == "cuda"
    plan.note(
        "device",
        {
            "name": torch.cuda.get_device_name() if of_gpu else "CPU",
            "torch": torch.__version__,
            "cores": len(os.sched_getaffinity(0)),
            "autocast": str(autocast_dtype(plan.device)),
        },
    )
    peak_flops = 1e12
    with attempt(plan, "peaks"):
        plan.note("tflops", found := peaks(plan))
        peak_flops = 1e12 * max(v for k, v in found.items() if k.startswith("matmul"))
    _measure_enhancers(plan)
    for name in PRESETS:
        with attempt(plan, f"network {name}"):
            plan.note(f"network {name}", network_rates(plan, name, peak_flops))
        with attempt(plan, f"precision {name}"):
            plan.note(f"psnr to fp32 {name}", deviations(plan, name))
        with attempt(plan, f"cudnn {name}"):
            plan.note(f"cudnn.benchmark graph {name}", benchmarked(plan, name))
    if plan.compiled:
        for name in PRESETS:
            with attempt(plan, f"compile {name}"):
                plan.note(f"torch.compile graph {name}", compiled(plan, name))
    return plan.found


def _measure_enhancers(plan: Plan) -> None:
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
    with attempt(plan, "ray"):
        _measure_ray(plan, bare)


def _measure_ray(plan: Plan, bare: dict[str, dict[int, float]]) -> None:
    import ray

    started = time.perf_counter()
    of_gpu = int(plan.device.type == "cuda")
    ray.init(
        address="local",
        num_cpus=len(os.sched_getaffinity(0)),
        num_gpus=of_gpu,
        include_dashboard=False,
        log_to_driver=False,
    )
    try:
        plan.note("ray started in s", round(time.perf_counter() - started, 1))
        through_ray(plan, bare)
    finally:
        ray.shutdown()


def main() -> None:
    """Take the arguments from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiny", action="store_true", help="rehearse, on a CPU too")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--seconds", type=float, default=60.0, help="skip networks after that")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not args.tiny:
        parser.error("there is no CUDA GPU: use --tiny to rehearse")
    ends_s = time.monotonic() + args.seconds
    measure(Plan(device, args.out, args.compile, args.tiny, ends_s))


if __name__ == "__main__":
    main()
