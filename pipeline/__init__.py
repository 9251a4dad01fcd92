"""Graphs, runners and jobs.

The main job is one call from Python:

    import pipeline
    report = pipeline.enhance("in.mp4", "out.mp4", scale=2)

and any other graph is `pipeline.run_graph("redact", "in.mp4", "out.mp4")`. Pictures that a program
holds go through `pipeline.Enhancer`, crops of faces through `pipeline.FaceRestorer`.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import (
        Enhancer,
        FaceRestorer,
        GraphSpec,
        Monitor,
        NodeEntry,
        Progress,
        RunCancelledError,
        RunReport,
        Verification,
        enhance,
        enhance_stream,
        plan,
        run_graph,
        verify,
    )

if sys.platform == "win32":
    raise SystemExit(
        "aminet: this program runs on Linux, and on macOS; Windows lacks the file locks and signals"
        " that it needs: run it in WSL, or in a container"
    )

__all__ = [
    "Enhancer",
    "FaceRestorer",
    "GraphSpec",
    "Monitor",
    "NodeEntry",
    "Progress",
    "RunCancelledError",
    "RunReport",
    "Verification",
    "__version__",
    "enhance",
    "enhance_stream",
    "plan",
    "run_graph",
    "verify",
]

__version__ = version("aminet-video")


def __getattr__(name: str) -> Any:
    """Import the API on first use: it takes a second, and signal handlers are installed before."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
