"""The finished segments of one video, beside its output: each a folder with files and a manifest.

On a file system a segment is made in a folder named `00003.(something).part`, which gets the name
`00003` when its files are written out and described by the manifest. In an object store the files
are put there one by one, the manifest last. So whatever has a manifest of its own files' sizes is
whole. When the segments are one video, a record of it comes before the output gets its name: a run
that is killed between the two, or before its report is written, knows the output as its own.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import TypeAdapter
from upath import UPath

from pipeline.run.contract import SegmentResult
from pipeline.segments.identity import Identity
from pipeline.segments.plan import Interval
from pipeline.storage.json_text import json_bytes
from pipeline.storage.places import fetch, list_files, publish, read, remove, sync, write
from pipeline.storage.private import is_private, private_folder
from pipeline.storage.scratch import Scratch

__all__ = ["Manifest", "SegmentStore"]

MANIFEST_FILE: Final = "manifest.json"
_RECORD_FILE: Final = "video.json"


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
    result: SegmentResult


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
        found: dict[str, dict[str, int]] = {}
        for name, size in list_files(self.folder).items():
            segment, _, file = name.partition("/")
            found.setdefault(segment, {})[file] = size
        whole: dict[int, Manifest] = {}
        for name, sizes in found.items():
            if not name.isdecimal() or sizes.pop(MANIFEST_FILE, None) is None:
                continue
            try:
                content = read(self.folder / name / MANIFEST_FILE)
                manifest = _MANIFESTS.validate_python(json.loads(content or b""))
            except (OSError, ValueError):
                continue
            if sizes == manifest.files:
                whole[int(name)] = manifest
        return whole

    @contextmanager
    def making(self, number: int, scratch: Scratch) -> Generator[Path]:
        """Give a fresh local folder to make a segment in; without `keep` it goes away again."""
        if not isinstance(self.folder, Path):
            with scratch.room(0, f"segment {number} of {self.folder}") as room:
                # Apart from what the room is claimed with.
                made = room / _name(number)
                made.mkdir()
                yield made
            return
        # A name of its own: another worker, given up but not dead, may still write the same one.
        part = self.folder / f"{_name(number)}.{uuid.uuid4().hex[:8]}.part"
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
    ) -> None:
        """Keep what was made in a folder of `making`.

        Args:
            made: the folder; all files below it are kept.
            number: of the segment.
            result: what running it gave.
            interval: which frames it holds.
            identity: what it depends on.

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
            result=result,
        )
        place, content = self.folder / _name(number), json_bytes(asdict(manifest))
        remove(place)
        if isinstance(self.folder, Path):
            for name in files:
                sync(made / name)
            write(UPath(made) / MANIFEST_FILE, content)
            made.rename(str(place))
            sync(self.folder)
        else:
            for name in files:
                publish(made / name, place / name)
            write(place / MANIFEST_FILE, content)

    def local(self, number: int, folder: Path) -> Path:
        """Return a local folder with a finished segment's files, copied to `folder` if need be."""
        place = self.folder / _name(number)
        if isinstance(place, Path):
            return place
        copy = folder / _name(number)
        for name in list_files(place):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            fetch(place / name, copy / name)
        return copy

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
