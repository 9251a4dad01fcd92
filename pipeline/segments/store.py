"""The finished segments of one video, beside its output: each a folder with files and a manifest.

On a file system a segment is made in a folder named `00003.(something).part`, which gets the name
`00003` when its files are written out and described by the manifest. In an object store the files
are put there one by one, in a folder of each worker's own, the manifest last. So whatever has a
manifest of its own files' digests is whole, and the first whole one of the same identity stays: a
worker that was given up as lost may still be alive.

When the segments are one video, a record of it comes before the output gets its name: a run that is
killed between the two, or before its report is written, knows the output as its own.
"""

from __future__ import annotations

import errno
import json
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
from pipeline.storage.json_text import json_bytes
from pipeline.storage.locations import create, fetch, list_files, publish, read, remove, sync, write
from pipeline.storage.private import is_private, private_folder
from pipeline.storage.scratch import Scratch

__all__ = ["Manifest", "SegmentStore"]

MANIFEST_FILE: Final = "manifest.json"
_RECORD_FILE: Final = "video.json"
_MOST_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished segment is."""

    key: str
    """Of the identity: what the result depends on."""
    identity: Identity
    interval: Interval
    finished_utc: str
    files: dict[str, int]
    """Name below the segment's folder -> bytes."""
    sha256: dict[str, str]
    """The same names -> SHA-256 of the files."""
    result: SegmentResult
    token: str = ""
    """In an object store, the folder inside the segment's that holds this worker's files."""

    def is_same(self, other: Manifest) -> bool:
        """Say whether another manifest is of the same segment, whoever made it."""
        return (self.key, self.interval) == (other.key, other.interval)


_MANIFESTS: Final = TypeAdapter(Manifest)


class SegmentStore:
    """The segments of one video, by number from 0."""

    def __init__(self, folder: UPath) -> None:
        """Use `folder`, which need not exist yet."""
        self.folder = folder

    def finished(self) -> dict[int, Manifest]:
        """Return the manifests of the segments that are whole, of this user's own making."""
        if isinstance(self.folder, Path) and not is_private(self.folder):
            return {}
        names = {name.partition("/")[0] for name in list_files(self.folder)}
        numbers = sorted(int(name) for name in names if name.isdecimal())
        found = {number: self._whole(number) for number in numbers}
        return {number: manifest for number, manifest in found.items() if manifest is not None}

    @contextmanager
    def making(self, number: int, scratch: Scratch) -> Generator[Path]:
        """Give a fresh local folder to make a segment in; without `keep` it goes away again."""
        if not isinstance(self.folder, Path):
            with scratch.workspace(0, f"segment {number} of {self.folder}") as workspace:
                # Apart from what the room is claimed with.
                made = workspace / _name(number)
                made.mkdir()
                yield made
            return
        # A name of its own: another worker, given up but not dead, may still write the same one.
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
        """Keep what was made in a folder of `making`, unless another was first.

        A worker that was given up as lost may still be alive: the first whole segment of the same
        identity stays, and nothing of it is touched.

        Args:
            made: the folder; all files below it are kept.
            number: of the segment.
            result: what running it gave.
            interval: which frames it holds.
            identity: what it depends on.

        Returns:
            What running the segment gave that is kept now.

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
        """Take what is not whole, or another segment, out of the way, and nothing else."""
        location = Path(str(self.folder / _name(number)))
        aside = location.with_name(_part_name(number))
        with suppress(FileNotFoundError):
            location.rename(aside)
            moved = self._read_manifest(UPath(aside))
            if moved is not None and moved.is_same(manifest) and self._holds(UPath(aside), moved):
                # It was put there in this moment, by a worker that came first after all.
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
        """Return a local folder with a finished segment's files, copied to `folder` if need be.

        Args:
            number: of the segment.
            folder: where a copy from an object store goes.
            key: of the identity that the segment must have.

        Raises:
            RunFailedError: it is not what was kept: a file has changed since, or was made by
                another run.
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
        """Return the manifest of a segment whose files are all there, None without."""
        location = self.folder / _name(number)
        manifest = self._read_manifest(location)
        return manifest if manifest is not None and self._holds(location, manifest) else None

    @staticmethod
    def _read_manifest(location: UPath) -> Manifest | None:
        try:
            return _MANIFESTS.validate_python(json.loads(read(location / MANIFEST_FILE) or b""))
        except (OSError, ValueError):
            return None

    @staticmethod
    def _holds(location: UPath, manifest: Manifest) -> bool:
        """Say whether a folder holds a manifest's files, unchanged where that costs no download."""
        sizes = list_files(location / manifest.token) if manifest.token else list_files(location)
        sizes.pop(MANIFEST_FILE, None)
        if sizes != manifest.files or sizes.keys() != manifest.sha256.keys():
            return False
        return not isinstance(location, Path) or all(
            file_sha256(location / name) == digest for name, digest in manifest.sha256.items()
        )

    def record(self, content: bytes) -> None:
        """Note what the finished video is, before its output gets its name.

        Raises:
            OSError: it cannot be written.
        """
        write(self.folder / _RECORD_FILE, content)

    def recorded(self) -> bytes | None:
        """Return what `record` noted, None without, and where others could have written it."""
        if isinstance(self.folder, Path) and not is_private(self.folder):
            return None
        return read(self.folder / _RECORD_FILE)

    def drop_unfinished(self) -> bool:
        """Remove what was not finished; return whether anything is kept."""
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
