"""What the tests share: videos and pictures made in code, small nodes, servers, runs to disturb."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["DATA", "ROOT", "SAMPLES"]

ROOT: Final = Path(__file__).parents[2]
"""The repository's root."""
SAMPLES: Final = ROOT / "samples"
"""The sample clips and `truth.json`."""
DATA: Final = ROOT / "tests" / "data"
"""Still pictures of faces."""
