"""Whether a source is still what a job was planned for."""

from __future__ import annotations

from pathlib import Path

from nodes.errors import MediaError
from nodes.media.picture_files import files_of
from nodes.media.urls import is_url
from pipeline.storage.digests import stamp_of
from pipeline.storage.locations import location_of, stored_at, version_of

__all__ = ["check_unchanged", "source_stamp"]


def source_stamp(source: str) -> str | None:
    """Return a text that changes when a source is replaced or written to; None for a libav URL.

    Raises:
        OSError: it is not there, or its object store does not answer.
    """
    location = stored_at(source) if is_url(source) else location_of(source)
    if location is None:
        return None
    return stamp_of(files_of(location)) if isinstance(location, Path) else version_of(location)


def check_unchanged(source: str, stamp: str | None) -> None:
    """Make sure that a source is still what the job was planned for.

    Args:
        source: path or URL.
        stamp: of it when it was looked at, from `source_stamp`.

    Raises:
        MediaError: it was replaced, written to or removed meanwhile.
    """
    try:
        now = source_stamp(source)
    except OSError:
        now = "gone"
    if now != stamp:
        raise MediaError(
            f"{source}: was replaced or written to during the run, nothing is made of it; run the"
            " same command again when it stays as it is"
        )
