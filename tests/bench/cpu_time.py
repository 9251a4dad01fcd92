"""CPU time of a program with everything it starts, such as Ray's own processes."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.faults import descendants

__all__ = ["Used", "watch"]

EVERY_S: Final = 0.2
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Used:
    """What a program used until it ended."""

    wall_s: float = 0.0
    by_process: dict[int, float] = field(default_factory=dict[int, float])
    """Process -> CPU seconds, as last seen: up to 0.2 s before its end are missing."""

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.by_process.values())


def watch(run: subprocess.Popen[str]) -> Used:
    """Wait for a program to end; return what it used."""
    used, started = Used(), time.monotonic()
    while run.poll() is None:
        for pid in (run.pid, *descendants(run.pid)):
            cpu_s = _cpu_s(pid)
            if cpu_s is not None:
                used.by_process[pid] = cpu_s
        time.sleep(EVERY_S)
    used.wall_s = time.monotonic() - started
    return used


def _cpu_s(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS
