"""A GPU: the network's share of the matrix rate, the bare loop, through Ray, and decoding.

    python -m tests.bench.gpu OUT.json [--tiny] [--compile] [--seconds 30]

Writes what it has after each part, so that what comes back from a run that was cut off is whole.
`--tiny` rehearses all of it on a CPU; `--compile` adds torch.compile, which takes a minute.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from aminet.precision import autocast_dtype
from tests.bench.gpu.decoding import decoding_rates
from tests.bench.gpu.device import peaks
from tests.bench.gpu.enhancer import measure_enhancers
from tests.bench.gpu.network import SHARE, benchmarked, compiled, deviations, network_rates
from tests.bench.gpu.plan import PRESETS, Plan, attempt
from tests.bench.gpu.through_ray import measure_through_ray

__all__ = ["main", "measure"]


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
    bare = measure_enhancers(plan)
    with attempt(plan, "ray"):
        measure_through_ray(plan, bare)
    for name in PRESETS:
        with attempt(plan, f"network {name}"):
            rates = network_rates(plan, name, peak_flops)
            plan.note(f"network {name}", rates)
            best = max(max(row.values()) for how, row in rates["faces_a_s"].items() if how != SHARE)
            over = {most: round(rate / best, 3) for most, rate in bare[name].items()}
            plan.note(f"enhancer over the bare network {name}", over)
        with attempt(plan, f"precision {name}"):
            plan.note(f"psnr to fp32 {name}", deviations(plan, name))
        with attempt(plan, f"cudnn {name}"):
            plan.note(f"cudnn.benchmark graph {name}", benchmarked(plan, name))
    if plan.compiled:
        for name in PRESETS:
            with attempt(plan, f"compile {name}"):
                plan.note(f"torch.compile graph {name}", compiled(plan, name))
    with attempt(plan, "decoding"):
        plan.note("decoding", decoding_rates(plan))
    return plan.found


def main() -> None:
    """Take the arguments from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiny", action="store_true", help="rehearse, on a CPU too")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--seconds", type=float, default=30.0, help="for the rates of a network")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not args.tiny:
        parser.error("there is no CUDA GPU: use --tiny to rehearse")
    measure(Plan(device, args.out, args.compile, args.tiny, args.seconds))


if __name__ == "__main__":
    main()
