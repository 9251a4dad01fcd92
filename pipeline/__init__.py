"""The dataflow: graphs, runners and jobs. Only its room `cluster` knows Ray.

From Python, the main job is one call:

    import pipeline
    report = pipeline.enhance("in.mp4", "out.mp4", scale=2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import enhance

__all__ = ["enhance"]


def __getattr__(name: str) -> Any:
    """Load what takes a second when it is asked for: the program takes over signals before."""
    if name == "enhance":
        from pipeline.api import enhance

        return enhance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
