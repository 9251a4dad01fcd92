"""The finished segments of one video, on disk: each a folder with its files and a manifest.

A segment is made in a folder named `00003.part` and gets its name `00003` only when its files are
checked, written out, and described by the manifest. So whatever has that name is whole.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from nodes.encode import VIDEO_FILE
from pipeline.errors import RunFailedError
from pipeline.identity import Identity
from pipeline.plan import Interval
from pipeline.report import write_atomically
from pipeline.runner import SegmentResult
from pipeline.video_timing import packet_times

__all__ = ["Manifest", "SegmentStore"]

MANIFEST_FILE: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished segment is."""

    key: str
    """Of the identity: what the result depends on."""
    identity: Identity
    interval: Interval
    finished_utc: str
    attempts: int
    files: dict[str, int]
    """Name -> bytes."""
    result: SegmentResult


_MANIFESTS: Final = TypeAdapter(Manifest)


class SegmentStore:
    """The segments of one video, by number from 0."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not exist yet."""
        self.folder = folder

    def place(self, number: int) -> Path:
        """Return the folder of a finished segment."""
        return self.folder / f"{number:05d}"

    def scratch(self, number: int) -> Path:
        """Return a fresh folder to make a segment in."""
        part = self.place(number).with_suffix(".part")
        for old in (part, self.place(number)):
            shutil.rmtree(old, ignore_errors=True)
        part.mkdir(parents=True)
        return part

    def load(self, number: int) -> Manifest | None:
        """Return the manifest of a finished segment, None if there is none or it is not whole."""
        place = self.place(number)
        try:
            manifest = _MANIFESTS.validate_json((place / MANIFEST_FILE).read_bytes())
            sizes = {name: (place / name).stat().st_size for name in manifest.files}
        except (OSError, ValidationError):
            return None
        return manifest if sizes == manifest.files else None

    def publish(
        self,
        number: int,
        result: SegmentResult,
        *,
        interval: Interval,
        identity: Identity,
        encoder: str,
        attempts: int,
    ) -> Manifest:
        """Check what was made in the scratch folder and give it its name.

        Args:
            number: of the segment.
            result: what running it gave.
            interval: which frames it holds.
            identity: what it depends on.
            encoder: name of the graph's encoding node.
            attempts: how often it was tried.

        Raises:
            RunFailedError: the encoded file does not hold the frames that were encoded.
            MediaError: it cannot be read.
            OSError: a file cannot be written.
        """
        part = self.place(number).with_suffix(".part")
        _check(part / VIDEO_FILE, result, interval, encoder)
        files = sorted(path for path in part.iterdir() if path.is_file())
        for path in files:
            _sync(path)
        manifest = Manifest(
            key=identity.key,
            identity=identity,
            interval=interval,
            finished_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
            attempts=attempts,
            files={path.name: path.stat().st_size for path in files},
            result=result,
        )
        write_atomically(part / MANIFEST_FILE, _MANIFESTS.dump_json(manifest, indent=1).decode())
        part.rename(self.place(number))
        _sync(self.folder)
        return manifest

    def drop_scratch(self) -> None:
        """Remove what was not finished, and the whole folder if nothing was."""
        for part in self.folder.glob("*.part"):
            shutil.rmtree(part, ignore_errors=True)
        if not any(self.folder.glob(f"*/{MANIFEST_FILE}")):
            self.drop()

    def drop(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _check(video: Path, result: SegmentResult, interval: Interval, encoder: str) -> None:
    """Make sure that the file holds the frames, all of them inside the interval."""
    times = list(packet_times(video, result.infos[encoder]))
    if len(times) != result.progress.frames:
        raise RunFailedError(
            f"{video}: holds {len(times)} of {result.progress.frames} frames, thrown away"
        )
    outside = [
        pts
        for pts in times
        if (interval.start_pts is not None and pts < interval.start_pts)
        or (interval.end_pts is not None and pts >= interval.end_pts)
    ]
    if outside:
        raise RunFailedError(
            f"{video}: holds a frame at {outside[0]}, expected from {interval.start_pts} to"
            f" before {interval.end_pts}; thrown away"
        )


def _sync(path: Path) -> None:
    """Make sure that a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
