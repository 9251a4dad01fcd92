"""Reading files. Callers that support more than local paths pass a `Reader` of their own."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

__all__ = ["Reader", "read_file"]

Reader = Callable[[str], bytes | None]
"""Takes a path, returns the file's content, or None if there is no such file. `read_file` reads
local files; other readers may accept URLs."""


def read_file(location: str) -> bytes | None:
    """Return the content of a local file, or None if it does not exist."""
    try:
        return read_regular(Path(location))
    except (FileNotFoundError, IsADirectoryError):
        return None


def read_regular(file: Path, most_bytes: int | None = None) -> bytes:
    """Return the content of a regular file: a pipe would block, and a device may never end.

    Args:
        file: path of the file.
        most_bytes: largest size that is read; None for no limit.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger.
    """
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as opened:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "a pipe or device, expected a file", str(file))
        if most_bytes is not None and found.st_size > most_bytes:
            reason = f"{found.st_size} bytes, expected at most {most_bytes}"
            raise OSError(errno.EFBIG, reason, str(file))
        return opened.read()
