"""Making a source in an object store available as a local file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aminet.errors import AminetError
from pipeline.storage.locations import stored_at
from pipeline.storage.scratch import Scratch

__all__ = ["staged"]


@contextmanager
def staged(source: str, scratch: Scratch) -> Generator[str]:
    """Yield a path or URL that libav can open: for files in an object store, a local copy.

    Error messages name the source instead of the copy.

    Raises:
        StorageError: the source cannot be copied.
    """
    stored = stored_at(source)
    if stored is None or isinstance(stored, Path):
        yield source if stored is None else str(stored)
        return
    with scratch.copy_of(stored) as copy:
        try:
            yield str(copy)
        except AminetError as error:
            error.message = error.message.replace(str(copy), source)
            raise
