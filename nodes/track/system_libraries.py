"""The system's libraries that MediaPipe loads."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from nodes.errors import NodeConfigError

__all__ = ["check_libraries"]

_DEBIAN_PACKAGES: Final = {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
"""Debian's package of each library that MediaPipe's wheels for Linux are linked with."""


def check_libraries() -> None:
    """Check that MediaPipe can be loaded.

    Raises:
        NodeConfigError: libraries are missing; the message names their packages.
    """
    if sys.platform != "linux":
        return
    missing = [name for name in _DEBIAN_PACKAGES if not _loads(name)]
    if missing:
        packages = " ".join(_DEBIAN_PACKAGES[name] for name in missing)
        raise NodeConfigError(
            f"MediaPipe needs {' and '.join(missing)}, which this system lacks: install the"
            f" packages of EGL and GLES (apt-get install {packages} on Debian and Ubuntu)"
        )


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
