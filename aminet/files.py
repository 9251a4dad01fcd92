"""How files are read here: whoever knows more places than a disk hands in another reader."""

from collections.abc import Callable
from pathlib import Path

__all__ = ["Reader", "read_file"]

Reader = Callable[[str], bytes | None]
"""Returns the content of the file at a path, None if there is none. Others than `read_file` may
know URLs too."""


def read_file(location: str) -> bytes | None:
    """Return the content of a file, None if there is none."""
    try:
        return Path(location).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None
