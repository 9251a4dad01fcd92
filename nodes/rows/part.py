"""The text file that a sink writes for a segment."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

__all__ = ["TextPart"]


class TextPart:
    """A file that exists only while it is written and once it is complete."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: TextIO | None = None

    def open(self, path: Path) -> None:
        """Start an empty file; an unfinished one is removed.

        Raises:
            OSError: the file cannot be created.
        """
        self.close()
        self._path, self._file = path, path.open("w", encoding="utf-8")

    def opened(self, node: str) -> TextIO:
        """Return the file to write to.

        Args:
            node: what the message calls the node.

        Raises:
            RuntimeError: the file is not open.
        """
        if self._file is None:
            raise RuntimeError(f"{node}.process was called before open or after close")
        return self._file

    def finish(self) -> None:
        """Complete the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Remove an unfinished file."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)
        self._file = None
