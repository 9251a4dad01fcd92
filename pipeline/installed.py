"""Checking that the packages that this program needs are installed.

On a cluster the program is sent to machines that may lack them, and started by whatever interpreter
is found there. Most are imported only when a video is processed; the check is made before.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

__all__ = ["PACKAGES", "missing_message"]

PACKAGES: Final = {
    "PIL": "pillow",
    "av": "av",
    "cv2": "opencv-contrib-python",
    "jinja2": "jinja2",
    "kornia": "kornia",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "pydantic": "pydantic",
    "ray": "ray",
    "rich": "rich",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "torch": "torch",
    "typer": "typer",
    "upath": "universal-pathlib",
    "yaml": "pyyaml",
}
"""The package of each module, as in `pyproject.toml`."""


def missing_message() -> str | None:
    """Return what to say if packages are missing, None if all are installed."""
    missing = sorted(name for module, name in PACKAGES.items() if find_spec(module) is None)
    if not missing:
        return None
    return (
        f"{sys.executable} (Python {sys.version_info.major}.{sys.version_info.minor}) lacks"
        f" {', '.join(missing)}: install what this program needs there, such as by"
        " `pip install aminet-video`, or start it with the interpreter that has it"
    )
