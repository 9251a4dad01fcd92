"""Detecting changes of a source during a job."""

from __future__ import annotations

from pathlib import Path

from nodes.errors import MediaError
from nodes.media.picture_files import files_of
from nodes.media.urls import is_url
from pipeline.storage.digests import content_of, stamp_of, status_of
from pipeline.storage.locations import location_of, stored_at, version_of

__all__ = ["check_unchanged", "source_stamp"]


def source_stamp(source: str, *, content: bool = False) -> str | None:
    """Return a text by which `check_unchanged` sees changes of a source; None for a libav URL.

    Args:
        source: path or URL.
        content: whether to read it, if it is a file: a program that sets a file's times as they
            were is found out only then.

    Raises:
        OSError: the source does not exist, or its object store does not answer.
    """
    files = _files_of(source)
    if files is None:
        location = stored_at(source)
        return None if location is None else version_of(location)
    words = [stamp_of(files), status_of(files)]
    return " ".join([*words, content_of(files)] if content else words)


def check_unchanged(source: str, stamp: str | None) -> None:
    """Check that a source has not changed.

    Args:
        source: path or URL.
        stamp: its earlier `source_stamp`.

    Raises:
        MediaError: it was replaced, written to or removed.
    """
    try:
        same = _is_same(source, stamp)
    except OSError:
        same = False
    if not same:
        raise MediaError(
            f"{source}: was replaced or written to during the run, nothing is made of it; run the"
            " same command again when it stays as it is"
        )


def _is_same(source: str, stamp: str | None) -> bool:
    now, files = source_stamp(source), _files_of(source)
    if files is None or now is None or stamp is None:
        return now == stamp
    stamped, status, *content = stamp.split(" ")
    if now == f"{stamped} {status}":
        return True
    # Its permissions or its name may have changed, which is none of our business.
    return now.startswith(stamped) and content == [content_of(files)]


def _files_of(source: str) -> list[Path] | None:
    """Return the files of a source, None if it is in an object store or a libav URL."""
    location = stored_at(source) if is_url(source) else location_of(source)
    return files_of(location) if isinstance(location, Path) else None
