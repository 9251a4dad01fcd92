"""Which videos a job has, and where each one's output goes. Checked before any work starts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from upath import UPath

from nodes.errors import MediaError
from nodes.media.picture_files import files_of, is_numbered, numbered, numbers_among
from nodes.media.picture_formats import picture_format
from nodes.media.urls import is_url
from pipeline.containers.probe import is_media
from pipeline.errors import OutputError
from pipeline.storage.locations import (
    is_folder,
    is_remote,
    list_files,
    location_of,
    remove,
    size_of,
    stored_at,
)

__all__ = [
    "JobFiles",
    "VideoFiles",
    "check_outputs",
    "plan_files",
    "written",
]

VIDEO_SUFFIXES = frozenset(
    """.264 .265 .3g2 .3gp .asf .avi .dv .f4v .flv .h264 .h265 .hevc .ivf .m2ts .m2v .m4v .mjpeg
    .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogv .rm .rmvb .ts .vob .webm .wmv .y4m
    """.split()  # noqa: SIM905 - a list of 35 quoted names is harder to read
)
"""Files of a folder that must be videos, as those named like pictures must be pictures: one that
cannot be read is a failure, not skipped. Files with other names are opened to see: recorders invent
suffixes. A file that is named is always tried.
"""


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """One video of a job."""

    source: str
    """Path or URL."""
    target: UPath
    """Where the finished video appears, all at once. In a graph without an encoder, or with
    several, no file has this name, and those of all that is made begin like it."""
    named: bool
    """Whether the user chose the target's name; if not, its suffix may change."""
    twin: bool = False
    """Whether another output is named alike but for the suffix: `a.mp4` beside `a.mkv`."""
    key: str | None = None
    """The name below the output folder that an input's name asks for, None for the target's own:
    in an object store it may be anything."""
    named_outputs: tuple[UPath, ...] | None = None
    """The output of each encoder of the graph, None where that is one and the target its output."""

    @property
    def outputs(self) -> tuple[UPath, ...]:
        """Where each encoder's finished video appears, in the order of the graph."""
        return (self.target,) if self.named_outputs is None else self.named_outputs

    def for_encoders(self, names: Sequence[str]) -> VideoFiles:
        """Return the same video with an output for each encoder of a graph.

        One encoder's is the target; several have their names in it: `door.proxy.mp4`.
        """
        if len(names) == 1:
            return self
        stem = self.target.name if self.twin else self.target.stem
        return replace(
            self,
            named_outputs=tuple(
                self.target.with_name(f"{stem}.{name}{self.target.suffix}") for name in names
            ),
        )

    def with_outputs(self, outputs: Sequence[UPath]) -> VideoFiles:
        """Return the same video with other names for its outputs, as many as there were."""
        if self.named_outputs is None:
            (target,) = outputs
            return replace(self, target=target)
        return replace(self, named_outputs=tuple(outputs))

    @property
    def name_below(self) -> str:
        """The name by which the output is asked for below the output folder."""
        return self.target.name if self.key is None else self.key

    @property
    def work_dir(self) -> UPath:
        """Private folder beside the target, in the same storage; gone after the run."""
        return self.target.with_name(f".{self.target.name}.aminet-part")

    def side(self, ending: str) -> UPath:
        """Return where a file goes that belongs to the output, such as its contact sheet."""
        ending, _, name = ending.partition("/")
        location = beside(self.target, ending, whole_name=self.twin)
        return location / name if name else location

    def existing_sides(self, endings: Iterable[str]) -> list[UPath]:
        """Return the files, and folders in their place, that are beside the output already.

        Args:
            endings: as `nodes.node.SinkNode.endings`.
        """
        found: list[UPath] = []
        for ending in endings:
            folder, slash, pattern = ending.partition("/")
            location = self.side(folder)
            is_link = isinstance(location, Path) and location.is_symlink()
            if slash and size_of(location) is None and not is_link:
                names = [name for name in list_files(location) if fnmatchcase(name, pattern)]
                found.extend(location / name for name in names)
            elif is_link or is_folder(location) or size_of(location) is not None:
                found.append(location)
        return found

    def drop_sides(self, endings: Iterable[str]) -> None:
        """Remove what an earlier run left beside the output; files of others stay.

        Args:
            endings: as `nodes.node.SinkNode.endings`.
        """
        endings = tuple(endings)
        for location in self.existing_sides(endings):
            remove(location)
        for folder in {self.side(ending.partition("/")[0]) for ending in endings if "/" in ending}:
            if not list_files(folder):
                remove(folder)


@dataclass(frozen=True, slots=True)
class JobFiles:
    """All files of a job."""

    videos: tuple[VideoFiles, ...]
    report: UPath
    skipped: tuple[str, ...]
    """Files in input folders that are not videos."""


def plan_files(inputs: Sequence[str], output: UPath) -> JobFiles:
    """Decide what a job reads and writes.

    One input file and an output that is not a folder make one video named `output`. Otherwise
    `output` is a folder; each video keeps its name, and its place below the input folder.

    Raises:
        MediaError: an input does not exist, or a folder holds no video.
        StorageError: an object store does not answer.
    """
    folders = [_folder(given) for given in inputs]
    if folders == [None] and output.suffix and not is_folder(output):
        video = VideoFiles(_existing(inputs[0]), output, named=True)
        return JobFiles((video,), beside(output, ".report.json"), ())
    found: list[tuple[str, str]] = []
    skipped: list[str] = []
    for given, folder in zip(inputs, folders, strict=True):
        if folder is None:
            found.append((_existing(given), PurePosixPath(given).name))
            continue
        files = _files_below(folder, output)
        videos = [name for name in files if _is_video(_below(folder, name))]
        if not videos:
            raise MediaError(
                f"no video found in folder {folder}: name the files to try them anyway"
            )
        found.extend((_source(folder, name), name) for name in videos)
        skipped.extend(_source(folder, name) for name in files if name not in set(videos))
    twins = _twins([_below(output, name) for _, name in found])
    videos = tuple(
        VideoFiles(source, _below(output, name), False, _below(output, name) in twins, name)
        for source, name in found
    )
    return JobFiles(videos, output / "report.json", tuple(skipped))


def _below(folder: UPath, name: str) -> UPath:
    """Return a place in a folder, also of a name that is refused later: absolute ones would win."""
    return folder / "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def _twins(targets: Sequence[UPath]) -> set[UPath]:
    """Return the outputs whose files beside them could be taken for another one's."""
    plain = {target: beside(target, "") for target in targets}
    uses = Counter(plain.values())
    # `a.mp4.mkv` without its suffix is the whole name of `a.mp4`.
    return {
        target
        for target, name in plain.items()
        if uses[name] > 1 or name in plain.keys() - {target}
    }


def check_outputs(
    videos: Sequence[VideoFiles],
    *,
    endings: Iterable[str],
    overwrite: bool,
    own: Container[VideoFiles] = (),
) -> None:
    """Make sure, before hours of work, that no output is in the way of another or replaces one.

    Args:
        videos: what is to be done.
        endings: of the files that go beside each output, as `nodes.node.SinkNode.endings`.
        overwrite: outputs may exist.
        own: videos of which an earlier run of the same job may have written a part of the outputs.

    Raises:
        OutputError: two videos have one output, or an output exists, or it or what goes beside it
            is an input.
    """
    endings = tuple(endings)
    inputs = {_identity(file) for video in videos for file in _input_files(video.source)}
    names = (name for video in videos for name in {video.target, *video.outputs})
    for target, count in Counter(names).items():
        if count > 1:
            raise OutputError(f"{count} inputs would both become {target}: rename them")
    for video in videos:
        taken = [out for out in video.outputs if written(out) or is_folder(out)]
        made = [*video.existing_sides(endings), *taken]
        files = [*made, *(out.with_name(name) for out in taken for name in written(out))]
        for location in files:
            if _identity(location) in inputs:
                raise OutputError(f"{location} is both input and output: choose another output")
        if made and not overwrite and video not in own:
            raise OutputError(f"{made[0]} exists already: add --overwrite to replace it")


def written(target: UPath) -> dict[str, int]:
    """Return the files that an output consists of and that exist, by name, with their bytes.

    That is the target itself, or the numbered pictures that its name stands for.
    """
    if isinstance(target, Path):
        return {file.name: file.stat().st_size for file in files_of(target)}
    if is_numbered(target.name):
        files = list_files(target.parent)
        return {name: files[name] for name in numbers_among(target.name, files).values()}
    size = size_of(target)
    return {} if size is None else {target.name: size}


def beside(target: UPath, ending: str, *, whole_name: bool = False) -> UPath:
    """Return the name of a file that belongs to an output.

    Beside a picture it has that one's whole name: telephones name a film and a picture alike.

    Args:
        target: the output.
        ending: what the name ends in.
        whole_name: keep the output's suffix in the name, whatever it is.
    """
    if is_numbered(target.name):
        return target.with_name(re.sub(r"[-_.]?%\d*d", "", target.stem) + ending)
    whole_name |= picture_format(target.name) is not None
    return target.with_name((target.name if whole_name else target.stem) + ending)


def _source(folder: UPath, name: str) -> str:
    # An object's name may begin with a slash, which would be taken for an absolute path.
    return f"{folder}/{name}" if is_remote(folder) else str(folder / name)


def _folder(given: str) -> UPath | None:
    """Return an input that is a folder as a place, None for a file and for a libav URL."""
    location = stored_at(given) if is_url(given) else location_of(given)
    return location if location is not None and is_folder(location) else None


def _existing(given: str) -> str:
    location = stored_at(given) if is_url(given) else location_of(given)
    if location is None:
        return given
    if is_numbered(given):
        if not numbered(given):
            raise MediaError(f"no such numbered files: {given}")
    elif is_remote(location) and size_of(location) is None:
        raise MediaError(f"no such file, folder or bucket: {given}")
    elif isinstance(location, Path) and not location.exists():
        raise MediaError(f"no such file: {given}")
    return given


def _is_video(file: UPath) -> bool:
    """Go by the name; files of unknown names are opened to see, where that costs no download."""
    if file.suffix.lower() in VIDEO_SUFFIXES or picture_format(file.name) is not None:
        return True
    return isinstance(file, Path) and is_media(file)


def _files_below(folder: UPath, output: UPath) -> list[str]:
    """Return the visible files of a folder, without those of an output folder that lies in it."""
    found: list[str] = []
    for name in list_files(folder):
        path = PurePosixPath(name)
        hidden = any(part.startswith(".") and part != ".." for part in path.parts)
        if not hidden and not any(_same(folder / at, output) for at in path.parents if at.parts):
            found.append(name)
    return found


def _same(one: UPath, other: UPath) -> bool:
    return one.absolute() == other.absolute()


def _input_files(source: str) -> Iterator[UPath]:
    """Yield the files that a source consists of; none of a libav URL."""
    location = stored_at(source) if is_url(source) else location_of(source)
    if isinstance(location, Path):
        yield from map(UPath, files_of(location))
    elif location is not None:
        yield location


def _identity(location: UPath) -> tuple[int, int] | str:
    """Return what tells a file from others, whatever link or spelling leads to it."""
    if isinstance(location, Path) and location.exists():
        found = location.stat()
        return found.st_dev, found.st_ino
    return str(location)
