"""The page of a run put together: its report, and what lies beside the outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from upath import UPath

from nodes.join import SHOTS, TRACKS
from pipeline.errors import StorageError
from pipeline.page.gallery import read_shots
from pipeline.page.render import VideoPage, render
from pipeline.page.timeline import TrackTimes, merge_short_spans, read_times
from pipeline.storage.locations import fetch, location_of, write

__all__ = ["page_location", "write_page"]


def page_location(report: UPath) -> UPath:
    """Return where the page of a run goes: beside its `report.json`."""
    return report.with_name(report.name.removesuffix(".json") + ".html")


def write_page(report: Mapping[str, Any], location: UPath) -> int:
    """Write the page of a run.

    Args:
        report: what `report.json` says.
        location: where to.

    Returns:
        Its bytes.

    Raises:
        StorageError: an object store cannot be used.
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        videos = [
            _video(video, Path(folder) / str(number))
            for number, video in enumerate(report["videos"])
        ]
        content = render(report, videos).encode("utf-8", "backslashreplace")
    write(location, content)
    return len(content)


def _video(report: Mapping[str, Any], folder: Path) -> VideoPage:
    folder.mkdir()
    beside: Mapping[str, str] = report["beside"]
    sheets = {
        int(name.partition(".")[0]): file
        for ending, path in sorted(beside.items())
        for shots, slash, name in [ending.partition("/")]
        if shots == SHOTS and slash and name.partition(".")[0].isdecimal()
        for file in [_local(path, folder / name)]
        if file is not None
    }
    rows = _local(beside[TRACKS], folder / "tracks") if TRACKS in beside else None
    times: list[TrackTimes] = []
    if rows is not None:
        # A file that somebody changed since has no place on the page.
        with suppress(ValueError):
            times = merge_short_spans(read_times(rows))
    return VideoPage(report, times, read_shots(sheets) or None)


def _local(path: str, copy: Path) -> Path | None:
    """Return a file that may lie in an object store, None if it is not there any more."""
    location = location_of(path)
    if isinstance(location, Path):
        return location if location.is_file() else None
    try:
        fetch(location, copy)
    except (StorageError, OSError):
        return None
    return copy
