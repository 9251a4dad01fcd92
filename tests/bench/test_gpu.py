"""An enhancer on a GPU: its faces a second, its share of the GPU's matrix rate, and through Ray.

.venv/bin/python -m pytest -m bench tests/bench/test_gpu.py --timeout 1800
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import ray
import torch

from aminet.network import AMINet
from aminet.weights import load_network, read_file
from nodes.enhance import Enhance, EnhanceConfig
from nodes.geometry import crop_from_frame
from nodes.node import Inputs
from nodes.types import FacePatch, FramePatches
from pipeline.graph import GraphNode
from pipeline.ray_enhancer import EnhancerActor
from tests.face_pictures import face_at

pytestmark = [
    pytest.mark.bench,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

RESULTS = Path(__file__).parent / "results"
BATCH: Final = 64
SIDE_PX: Final = 166
BLOCK_FRAMES: Final = 8


def blocks(count: int) -> list[list[Inputs]]:
    """Blocks of eight frames with four faces each, as workers send them."""
    rng = np.random.default_rng(0)
    to_crop = crop_from_frame(face_at(SIDE_PX / 2, SIDE_PX / 2, 36).points_px, 128)
    rgb = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    patch = FacePatch(1, rgb, 8, (0, 0, SIDE_PX, SIDE_PX), to_crop, 128, 1)
    frames = [
        Inputs({"patches": FramePatches(pts, (patch,) * 4)}) for pts in range(count * BLOCK_FRAMES)
    ]
    return [frames[at : at + BLOCK_FRAMES] for at in range(0, len(frames), BLOCK_FRAMES)]


def rate(work: Callable[[], int], seconds: float = 5.0) -> float:
    """Return items a second over some seconds, after a first call that is not counted."""
    work()
    torch.cuda.synchronize()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        done += work()
    torch.cuda.synchronize()
    return done / (time.perf_counter() - started)


def matrix_flops() -> float:
    """The GPU's measured rate for large fp16 matrix products: the peak to compare with."""
    side = 8192
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.float16) for _ in range(2))

    def multiply() -> int:
        torch.mm(a, b)
        torch.cuda.synchronize()
        return 2 * side**3

    return rate(multiply)


def network_flops(network: AMINet, faces: torch.Tensor) -> int:
    """Count the operations of one batch."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.residual(faces)
    return counter.get_total_flops()


def test_one_enhancer() -> None:
    network, _ = load_network("aminet-s", torch.device("cuda"))
    network.eval()
    faces = torch.rand(BATCH, 3, 128, 128, device="cuda").contiguous(
        memory_format=torch.channels_last
    )

    def forward() -> int:
        with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16):
            network.residual(faces)
        torch.cuda.synchronize()
        return BATCH

    network_rate, peak = rate(forward), matrix_flops()
    flops_a_face = network_flops(network, faces) / BATCH
    config = EnhanceConfig(max_batch=BATCH)
    bare = Enhance(config)
    bare.prepare(read_file)
    bare.setup(1)
    work = blocks(8)
    frames = [inputs for block in work for inputs in block]
    faces_a_pass = 4 * len(frames)

    def loop() -> int:
        bare.process_batch(frames)
        return faces_a_pass

    bare_rate = rate(loop)
    ray_rate = _through_ray(config, work, faces_a_pass)
    result = {
        "device": torch.cuda.get_device_name(),
        "batch": BATCH,
        "network_faces_a_s_fp16": network_rate,
        "gflop_a_face": flops_a_face / 1e9,
        "matrix_tflops_fp16": peak / 1e12,
        "share_of_matrix_peak": network_rate * flops_a_face / peak,
        "bare_faces_a_s": bare_rate,
        "ray_faces_a_s": ray_rate,
        "ray_over_bare": ray_rate / bare_rate,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (RESULTS / "gpu_enhancer.json").write_text(text, encoding="utf-8")


def _through_ray(config: EnhanceConfig, work: list[list[Inputs]], faces: int) -> float:
    """The same blocks, all under way at once, through one enhancer actor."""
    ray.init(address="local", num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        entry = GraphNode("enhance", Enhance, config, {})
        actor = ray.remote(EnhancerActor).options(num_gpus=1, max_concurrency=1000)
        member: Any = actor.remote(entry, 1, 0.004)
        ray.get(member.where.remote())

        def send() -> int:
            ray.get([member.process.remote(block, "bench", False) for block in work])
            return faces

        return rate(send)
    finally:
        ray.shutdown()
