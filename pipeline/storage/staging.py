"""Gives a source that may lie in an object store as a file that libav opens."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aminet.errors import AminetError
from nodes.media.picture_files import files_of
from nodes.media.urls import is_url
from pipeline.storage.digests import stamp_of
from pipeline.storage.places import place_of, stored_at, version_of
from pipeline.storage.scratch import Scratch

__all__ = ["source_stamp", "staged"]


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


def source_stamp(source: str) -> str | None:
    """Return a text that changes when a source is replaced or written to; None for a libav URL.

    Raises:
        OSError: it is not there, or its object store does not answer.
    """
    place = stored_at(source) if is_url(source) else place_of(source)
    if place is None:
        return None
    return stamp_of(files_of(place)) if isinstance(place, Path) else version_of(place)
