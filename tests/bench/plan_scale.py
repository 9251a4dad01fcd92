"""A plan for 8 GPUs and 64 workers, without hardware: writes docs/scaling.md and its plot.

What was measured there, from `MEASURED` on, is written by hand and kept.

.venv/bin/python -m tests.bench.plan_scale
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.sizing.sizing import Machine, Wishes, size
from tests.bench.saturation import Load, Rates, Saturation, saturate
from tests.support import ROOT

PAGE: Final = ROOT / "docs" / "scaling.md"
MEASURED: Final = "\n## Measurements of Ray\n"

SIZING: Final = size([Machine("m", cpus=72, gpus=8)], segments=10_000, wishes=Wishes(workers=64))
FACES: Final = (0.5, 1, 2, 4, 8, 16, 32, 64)
WORKER_S: Final = {"360p, 5 faces": 0.115, "1080p": 0.2}
"""CPU seconds a frame without the network; the first is measured (street), the second is put
together of measured parts: decode 12 ms, detection 50 ms, encode 96 ms, the rest."""
STILL_S: Final = 0.0146
"""CPU seconds a frame of a fixed camera in 1080p without a face, copied (`docs/cost.md`)."""
FACE_S: Final = 0.021
"""CPU seconds a face in the enhancer on one core, `aminet` in bf16 with AMX: 139 faces 40 px wide.
"""
CORES: Final = 64
GPU_FACES_S: Final = (1_750, 3_650, 10_000)
"""What one H200 took through Ray with `aminet-s`, 64 and 256 faces in a batch (`tests.bench.gpu`);
the third is assumed: a GPU that no longer waits for its host."""
BYTES_A_FACE: Final = 240_000
"""A face of 36 px between the eyes at scale 1: about 160 px square, 3 bytes there and 6 back."""


def found(worker_s: float, gpu_faces_s: float, faces: float) -> Saturation:
    """Return where it saturates."""
    rates = Rates(
        worker_s_a_frame=worker_s,
        enhancer_s_a_face=1 / gpu_faces_s,
        bytes_a_face=BYTES_A_FACE,
        link_bytes_a_s=1.25e9,
        driver_s_a_segment=0.1,
    )
    return saturate(SIZING, rates, Load(faces_a_frame=faces, segment_frames=500))


def lines() -> Iterator[str]:
    """Yield the page."""
    yield from (
        "# Where 8 GPUs and 64 workers would saturate",
        "",
        "Made by `.venv/bin/python -m tests.bench.plan_scale` with the run's own sizing"
        " (`pipeline/sizing/sizing.py`). This is a model, not a measurement: queues are assumed to"
        " be full, and the cost of a worker independent of the number of faces, so these are upper"
        " bounds. The cost at 360p is measured, that at 1080p is the sum of measured parts. 1750"
        " and 3650 faces/s were measured on one H200 through Ray with `aminet-s`, with 64 and 256"
        " faces in a batch; 10000 is *assumed* for a GPU that is kept busy.",
        "",
        "![Frames a second and how busy the GPUs are](scaling.png)",
        "",
        "| worker, CPU s per frame | GPU, faces/s | faces per frame | frames/s | first to"
        " saturate | workers busy | GPUs busy |",
        "|---|---|---|---|---|---|---|",
    )
    for name, worker_s in WORKER_S.items():
        for gpu_faces_s in GPU_FACES_S:
            for faces in FACES[1::2]:
                at = found(worker_s, gpu_faces_s, faces)
                yield (
                    f"| {worker_s} ({name}) | {gpu_faces_s} | {faces:g} | {at.fps:.0f} |"
                    f" {at.limit} | {at.busy['workers']:.0%} | {at.busy['enhancers']:.0%} |"
                )
    yield from (
        "",
        "With few faces the workers' CPUs are the limit and the GPUs idle: 64 cores cannot keep"
        " eight GPUs busy. GPUs saturate from"
        f" {_crossing():.0f} faces per frame on, at {GPU_FACES_S[0]} faces/s and"
        f" {WORKER_S['1080p']} s per frame."
        " On one machine faces do not use the network; on several machines those of machines"
        " without a GPU do, with"
        f" {BYTES_A_FACE // 1000} KB per face.",
        "",
        f"**{CORES} cores without a GPU**, by CPU time alone: {1 / FACE_S:.0f} faces/s a core,"
        f" {CORES / FACE_S:.0f} on all ({1000 * FACE_S:.0f} ms a face, measured on one core with"
        f" AMX); or {CORES / STILL_S / 15:.0f} fixed cameras of 1080p at 15 frames/s without faces"
        f" ({1000 * STILL_S:.1f} ms a frame, measured on two cores). *Assumed*: cores do not slow"
        " each other down by sharing memory, and there are at least four segments a core. CPU time"
        " a frame was the same with one worker and two (0.99 and 1.00 of the local runner's,"
        " below): a second worker adds 0.99 of a first one where cores are free. More than two"
        " could not be measured.",
    )


def _crossing() -> float:
    """Faces a frame at which the slowest GPUs are as busy as the workers."""
    at = found(WORKER_S["1080p"], GPU_FACES_S[0], 1.0)
    return at.enhancers_fps / at.workers_fps


def plot(path: Path) -> None:
    """Draw frames a second and the GPUs' busy share over faces a frame."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for gpu_faces_s in GPU_FACES_S:
        at = [found(WORKER_S["1080p"], gpu_faces_s, faces) for faces in FACES]
        label = f"{gpu_faces_s} faces/s a GPU"
        _line(axes[0], [each.fps for each in at], label)
        _line(axes[1], [100 * each.busy["enhancers"] for each in at], label)
    axes[0].set_ylabel("frames/s")
    axes[1].set_ylabel("GPUs busy, %")
    axes[0].set_title("64 workers at 0.2 s a frame, 8 GPUs")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def _line(axis: Any, values: Sequence[float], label: str) -> None:
    axis.plot(FACES, values, marker="o", label=label)
    axis.set_xscale("log", base=2)
    axis.set_xlabel("faces a frame")
    axis.set_ylim(bottom=0)


if __name__ == "__main__":
    kept = "".join(PAGE.read_text(encoding="utf-8").partition(MEASURED)[1:])
    PAGE.write_text("\n".join(lines()) + "\n" + kept, encoding="utf-8")
    plot(ROOT / "docs" / "scaling.png")
