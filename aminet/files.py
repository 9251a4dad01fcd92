"""Reading files. Callers that support more than local paths pass a `Reader` of their own."""

from collections.abc import Callable
from pathlib import Path

__all__ = ["Reader", "read_file"]

Reader = Callable[[str], bytes | None]
"""Takes a path, returns the file's content, or None if there is no such file. `read_file` reads
local files; other readers may accept URLs."""


def read_file(location: str) -> bytes | None:
    """Return the content of a local file, or None if it does not exist."""
    try:
        return Path(location).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None
