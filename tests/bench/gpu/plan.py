"""How much is measured, how a rate is taken, and where the results go."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from tests.support import DATA

__all__ = ["FACES_A_FRAME", "PICTURE", "PRESETS", "SIDE_PX", "Plan", "attempt", "rate"]

SIDE_PX: Final = 128
"""Side of the network's square input."""
FACES_A_FRAME: Final = 4
PRESETS: Final = ("aminet", "aminet-s")
PICTURE: Final = DATA / "face_woman.jpg"


@dataclass(slots=True)
class Plan:
    """How much is measured; the tiny one only shows that it runs."""

    device: torch.device
    out: Path
    compiled: bool
    tiny: bool
    network_s: float
    """Time after which no further rate of a network is measured, s; there is one at least."""
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
