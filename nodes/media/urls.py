"""Telling paths from URLs for libav."""

from __future__ import annotations

import os
import re
from typing import Final

__all__ = ["file_url", "is_url"]

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|pipe:\d+$")


def file_url(path: str | os.PathLike[str]) -> str:
    """Return a file URL, because libav would take the start of `12:30:05.mp4` for a protocol."""
    return f"file:{os.fspath(path)}"


def is_url(source: str) -> bool:
    """Return whether a source is a URL or a pipe, not a path."""
    return _URL.match(source) is not None
