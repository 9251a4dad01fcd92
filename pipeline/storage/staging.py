"""Gives a source that may lie in an object store as a file that libav opens."""

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
    """Give a source as something that libav opens: a local copy of what is in an object store.

    Errors speak of the source, not of its copy.

    Raises:
        StorageError: it cannot be copied.
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
