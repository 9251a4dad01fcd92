"""Storing the finished segments of a video beside its output, in folders with a manifest.

On a file system a segment is written to a folder named `00003.(something).part`, which is renamed
to `00003` when its files are on disk and its manifest is complete. In an object store the files are
uploaded to a subfolder of each worker, and the manifest last. A segment with a manifest that
matches its files is therefore complete. The first complete segment of an identity is kept, because
a worker that was given up may still be alive.

When the segments are joined, the video's report is stored here before the output is published. A
run that is killed in between, or before its own report is written, can so recognise the output.
"""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import TypeAdapter
from upath import UPath

from pipeline.errors import RunFailedError
from pipeline.run.contract import SegmentResult
from pipeline.segments.identity import Identity
from pipeline.segments.plan import Interval
from pipeline.storage.digests import file_sha256
from pipeline.storage.json_text import json_bytes, json_value
from pipeline.storage.locations import create, fetch, list_files, publish, read, remove, sync, write
from pipeline.storage.private import is_private, private_folder
from pipeline.storage.scratch import Scratch

__all__ = ["Manifest", "SegmentStore"]

MANIFEST_FILE: Final = "manifest.json"
_RECORD_FILE: Final = "video.json"
_MOST_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a finished segment."""

    key: str
    """Key of the identity."""
    identity: Identity
    interval: Interval
    finished_utc: str
    files: dict[str, int]
    """Sizes of the files in bytes, by name relative to the segment's folder."""
    sha256: dict[str, str]
    """SHA-256 of the files, by the same names."""
    result: SegmentResult
    token: str = ""
    """In an object store, this worker's subfolder of the segment's folder."""

    def is_same(self, other: Manifest) -> bool:
        """Return whether another manifest is of the same segment and identity."""
        return (self.key, self.interval) == (other.key, other.interval)


_MANIFESTS: Final = TypeAdapter(Manifest)


class SegmentStore:
    """The segments of one video, by number from 0."""

    def __init__(self, folder: UPath) -> None:
        """Use `folder`, which may not exist yet."""
        self.folder = folder

    def finished(self) -> dict[int, Manifest]:
        """Return the manifests of complete segments of this user, by number."""
        if isinstance(self.folder, Path) and not is_private(self.folder):
            return {}
        names = {name.partition("/")[0] for name in list_files(self.folder)}
        numbers = sorted(int(name) for name in names if name.isdecimal())
        found = {number: self._whole(number) for number in numbers}
        return {number: manifest for number, manifest in found.items() if manifest is not None}

    @contextmanager
    def making(self, number: int, scratch: Scratch) -> Generator[Path]:
        """Yield a new local folder for a segment; it is removed afterwards unless kept."""
        if not isinstance(self.folder, Path):
            with scratch.workspace(0, f"segment {number} of {self.folder}") as workspace:
                # In a subfolder, because the workspace has files of its own.
                made = workspace / _name(number)
                made.mkdir()
                yield made
            return
        # A unique name, because a worker that was given up may still be writing the same segment.
        part = self.folder / _part_name(number)
        private_folder(self.folder)
        part.mkdir()
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def keep(
        self,
        made: Path,
        number: int,
        result: SegmentResult,
        *,
        interval: Interval,
        identity: Identity,
    ) -> SegmentResult:
        """Store a segment that was made in a folder of `making`, unless it exists already.

        A worker that was given up may still be alive, so that two workers may store the same
        segment. The first complete one is kept unchanged.

        Args:
            made: the folder, whose files are stored.
            number: number of the segment.
            result: its result.
            interval: its frames.
            identity: its identity.

        Returns:
            The result of the segment that is stored now.

        Raises:
            OSError: a file cannot be written.
        """
        files = list_files(UPath(made))
        manifest = Manifest(
            key=identity.key,
            identity=identity,
            interval=interval,
            finished_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
            files=files,
            sha256={name: file_sha256(made / name) for name in files},
            result=result,
        )
        if isinstance(self.folder, Path):
            return self._keep_folder(made, number, manifest)
        return self._keep_objects(made, number, manifest)

    def _keep_folder(self, made: Path, number: int, manifest: Manifest) -> SegmentResult:
        for name in manifest.files:
            sync(made / name)
        write(UPath(made) / MANIFEST_FILE, json_bytes(asdict(manifest)))
        location = Path(str(self.folder / _name(number)))
        for _ in range(_MOST_TRIES):
            first = self._whole(number)
            if first is not None and first.is_same(manifest):
                return first.result
            try:
                made.rename(location)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                self._move_aside(number, manifest)
            else:
                sync(location.parent)
                return manifest.result
        raise RunFailedError(f"{location}: other workers put other segments there again and again")

    def _move_aside(self, number: int, manifest: Manifest) -> None:
        """Remove a segment that is incomplete or has another identity."""
        location = Path(str(self.folder / _name(number)))
        aside = location.with_name(_part_name(number))
        with suppress(FileNotFoundError):
            location.rename(aside)
            moved = self._read_manifest(UPath(aside))
            if moved is not None and moved.is_same(manifest) and self._holds(UPath(aside), moved):
                # Another worker has stored a complete segment in the meantime.
                with suppress(OSError):
                    aside.rename(location)
                    return
            shutil.rmtree(aside, ignore_errors=True)

    def _keep_objects(self, made: Path, number: int, manifest: Manifest) -> SegmentResult:
        location, token = self.folder / _name(number), uuid.uuid4().hex[:8]
        for name in manifest.files:
            publish(made / name, location / token / name)
        named = replace(manifest, token=token)
        content = json_bytes(asdict(named))
        for _ in range(_MOST_TRIES):
            first = self._whole(number)
            if first is not None and first.is_same(manifest):
                remove(location / token)
                return first.result
            if first is not None or read(location / MANIFEST_FILE) is not None:
                remove(location / MANIFEST_FILE)
            if create(location / MANIFEST_FILE, content):
                return manifest.result
        raise RunFailedError(f"{location}: other workers put other segments there again and again")

    def local(self, number: int, folder: Path, *, key: str) -> Path:
        """Return a local folder with the files of a segment, copied from an object store if needed.

        Args:
            number: number of the segment.
            folder: folder for copies.
            key: key of the identity that the segment must have.

        Raises:
            RunFailedError: a file has changed since it was stored, or another run replaced it.
        """
        manifest, location = self._whole(number), self.folder / _name(number)
        if manifest is None or manifest.key != key:
            raise RunFailedError(
                f"{location}: is not the segment that was finished here; run the same command again"
            )
        if isinstance(location, Path):
            found = location
        else:
            found = folder / _name(number)
            for name in manifest.files:
                (found / name).parent.mkdir(parents=True, exist_ok=True)
                fetch(location / manifest.token / name, found / name)
        for name, digest in manifest.sha256.items():
            if file_sha256(found / name) != digest:
                remove(location / MANIFEST_FILE)
                raise RunFailedError(
                    f"{location / name}: has changed since it was finished; the same command does"
                    " this segment again"
                )
        return found

    def _whole(self, number: int) -> Manifest | None:
        """Return the manifest of a segment if all its files exist, else None."""
        location = self.folder / _name(number)
        manifest = self._read_manifest(location)
        return manifest if manifest is not None and self._holds(location, manifest) else None

    @staticmethod
    def _read_manifest(location: UPath) -> Manifest | None:
        try:
            return _MANIFESTS.validate_python(json_value(read(location / MANIFEST_FILE) or b""))
        except (OSError, ValueError):
            return None

    @staticmethod
    def _holds(location: UPath, manifest: Manifest) -> bool:
        """Return whether a manifest's files exist; local ones must be unchanged."""
        sizes = list_files(location / manifest.token) if manifest.token else list_files(location)
        sizes.pop(MANIFEST_FILE, None)
        if sizes != manifest.files or sizes.keys() != manifest.sha256.keys():
            return False
        return not isinstance(location, Path) or all(
            file_sha256(location / name) == digest for name, digest in manifest.sha256.items()
        )

    def record(self, content: bytes) -> None:
        """Store the report of the finished video, before its output is published.

        Raises:
            OSError: it cannot be written.
        """
        write(self.folder / _RECORD_FILE, content)

    def recorded(self) -> bytes | None:
        """Return what `record` stored; None if there is nothing or other users could write it."""
        if isinstance(self.folder, Path) and not is_private(self.folder):
            return None
        return read(self.folder / _RECORD_FILE)

    def drop_unfinished(self) -> bool:
        """Remove unfinished segments; return whether any finished ones remain."""
        parts = {PurePosixPath(name).parts for name in list_files(self.folder)}
        kept = {part[0] for part in parts if part[1:] == (MANIFEST_FILE,) and part[0].isdecimal()}
        if not kept:
            self.drop()
            return False
        unfinished = {part[0] for part in parts if len(part) > 1} - kept
        if isinstance(self.folder, Path):
            unfinished |= {path.name for path in self.folder.glob("*.part")}
        for name in unfinished:
            remove(self.folder / name)
        return True

    def drop(self) -> None:
        """Remove everything."""
        remove(self.folder)


def _name(number: int) -> str:
    return f"{number:05d}"


def _part_name(number: int) -> str:
    return f"{_name(number)}.{uuid.uuid4().hex[:8]}.part"
