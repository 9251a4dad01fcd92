"""Which versions of which programs touch the pixels."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import av

__all__ = ["PACKAGE", "pixel_versions"]

PACKAGE: Final = "aminet-video"
"""This program's package."""

_LIBRARIES: Final = (
    *("av", "kornia", "mediapipe", "numpy", "opencv-contrib-python", "pillow", "scipy", "torch"),
)
_LIBAV: Final = ("libavcodec", "libavfilter", "libavformat", "libswscale")


@cache
def pixel_versions() -> dict[str, str]:
    """Return the versions of this program, of the libraries that touch pixels, and of Python.

    Those of the machine that asks; a cluster's machines have the same, or Ray refuses them.
    """
    found = {name: _version(name) for name in (PACKAGE, *_LIBRARIES)}
    libav = {
        name: ".".join(map(str, numbers))
        for name, numbers in av.library_versions.items()
        if name in _LIBAV
    }
    return {**found, **libav, "python": platform.python_version(), "machine": platform.machine()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
