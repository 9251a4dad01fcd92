"""Graphs, runners and jobs.

The main job is one call from Python:

    import pipeline
    report = pipeline.enhance("in.mp4", "out.mp4", scale=2)
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import (
        Monitor,
        RunReport,
        Verification,
        enhance,
        enhance_stream,
        plan,
        verify,
    )

if sys.platform == "win32":
    raise SystemExit(
        "aminet: this program runs on Linux, and on macOS; Windows lacks the file locks and signals"
        " that it needs: run it in WSL, or in a container"
    )

__all__ = [
    "Monitor",
    "RunReport",
    "Verification",
    "enhance",
    "enhance_stream",
    "plan",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import the API on first use: it takes a second, and signal handlers are installed before."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
