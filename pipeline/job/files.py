"""The input and output files of a job, checked before it starts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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
"""Suffixes of files in input folders that must be videos: one that cannot be read is an error, as
for pictures. Files with other suffixes are opened to see whether they are media, and skipped if
not. Files that the user names are always processed.
"""


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """One video of a job."""

    source: str
    """Path or URL."""
    target: UPath
    """Location of the finished video. In a graph without an encoder or with several, no file has
    this name, but the names of all files begin like it."""
    named: bool
    """Whether the user chose the name of the target; if not, its suffix may change."""
    twin: bool = False
    """Whether another output differs by the suffix only: `a.mp4` and `a.mkv`."""
    key: str | None = None
    """Name of the input relative to its folder, None for the target's name; in an object store it
    may contain anything."""
    named_outputs: tuple[UPath, ...] | None = None
    """The output of each encoder of the graph, None if there is one, which writes the target."""

    @property
    def outputs(self) -> tuple[UPath, ...]:
        """The location of each encoder's finished video, in the order of the graph."""
        return (self.target,) if self.named_outputs is None else self.named_outputs

    def for_encoders(self, names: Sequence[str], beside: Container[str] = ()) -> VideoFiles:
        """Return the same video with an output for each encoder of a graph.

        A single encoder writes the target; several have their names in it: `door.proxy.mp4`.

        Args:
            names: of the encoders.
            beside: those of them that write beside the output, and do not count as several.
        """
        if len(names) == 1 and names[0] not in beside:
            return self
        alone = sum(name not in beside for name in names) == 1
        return replace(
            self,
            named_outputs=tuple(
                self.target if alone and name not in beside else self.output_of(name)
                for name in names
            ),
        )

    def output_of(self, encoder: str) -> UPath:
        """Return the location of the output of one of several encoders: `door.proxy.mp4`."""
        stem = self.target.name if self.twin else self.target.stem
        return self.target.with_name(f"{stem}.{encoder}{self.target.suffix}")

    def with_outputs(self, outputs: Sequence[UPath]) -> VideoFiles:
        """Return the same video with other outputs, of the same number."""
        if self.named_outputs is None:
            (target,) = outputs
            return replace(self, target=target)
        return replace(self, named_outputs=tuple(outputs))

    def infix(self, encoder: str, output: UPath) -> str:
        """Return what the names of files that belong to one output have before their ending."""
        return "" if output == self.target else f".{encoder}"

    @property
    def name_below(self) -> str:
        """Name of the output relative to the output folder."""
        return self.target.name if self.key is None else self.key

    @property
    def work_dir(self) -> UPath:
        """Private folder beside the target, in the same storage; removed after the run."""
        return self.target.with_name(f".{self.target.name}.aminet-part")

    def side(self, ending: str) -> UPath:
        """Return the location of a file beside the output, such as its contact sheet."""
        ending, _, name = ending.partition("/")
        location = beside(self.target, ending, whole_name=self.twin)
        return location / name if name else location

    def existing_sides(self, endings: Iterable[str]) -> list[UPath]:
        """Return the files beside the output that exist, and folders in their place.

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
        """Remove the files of an earlier run beside the output; other files are kept.

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

    @property
    def folders(self) -> frozenset[UPath] | None:
        """The folders of all outputs; None for a single output whose name the user chose."""
        if len(self.videos) == 1 and self.videos[0].named:
            return None
        return frozenset(video.target.parent for video in self.videos)


def plan_files(inputs: Sequence[str], output: UPath) -> JobFiles:
    """Determine the input and output files of a job.

    With one input file and an output with a suffix, `output` is the video. Otherwise it is a
    folder, in which each video keeps its name relative to the input folder.

    Raises:
        MediaError: an input does not exist, or a folder contains no video.
        OutputError: the output is named like a video or picture, but holds several.
        StorageError: an object store does not answer.
    """
    folders = [_folder(given) for given in inputs]
    if output.suffix and not is_folder(output):
        if folders == [None]:
            video = VideoFiles(_existing(inputs[0]), output, named=True)
            return JobFiles((video,), beside(output, ".report.json"), ())
        if _is_named_video(output):
            several = f"{len(inputs)} inputs go there" if inputs[1:] else "the input is a folder"
            raise OutputError(f"{output} is named like a single file, but {several}: give a folder")
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
    """Return a location in a folder, even for an invalid name: an absolute one would replace it."""
    return folder / "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def _twins(targets: Sequence[UPath]) -> set[UPath]:
    """Return the outputs whose files beside them would have the same names as those of another."""
    plain = {target: beside(target, "") for target in targets}
    uses = Counter(plain.values())
    # `a.mp4.mkv` without its suffix is `a.mp4`.
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
    sources: Iterable[str] = (),
    former: Mapping[VideoFiles, Iterable[UPath]] | None = None,
) -> None:
    """Check before the run that outputs do not collide, and do not replace other files.

    Args:
        videos: the videos to process.
        endings: of the files beside each output, as in `nodes.node.SinkNode.endings`.
        overwrite: whether outputs may exist.
        own: videos whose outputs may exist, because an earlier run of the same job wrote them.
        sources: further inputs of the job, which need no processing.
        former: for each video, the files of an earlier run that will be removed.

    Raises:
        OutputError: two videos have one output, an output exists, or an output or a file beside it
            is an input.
    """
    endings = tuple(endings)
    sources = {*sources, *(video.source for video in videos)}
    inputs = {_identity(file) for source in sources for file in _input_files(source)}
    for source, count in Counter(video.source for video in videos).items():
        if count > 1:
            raise OutputError(f"{source} is given {count} times: give it once")
    names = (name for video in videos for name in {video.target, *video.outputs})
    for target, count in Counter(names).items():
        if count > 1:
            raise OutputError(f"{count} inputs would become {target}: rename them")
    for video in videos:
        taken = [out for out in video.outputs if written(out) or is_folder(out)]
        made = [*taken, *video.existing_sides(endings)]
        files = [
            *made,
            *(out.with_name(name) for out in taken for name in written(out)),
            *(former or {}).get(video, ()),
        ]
        for location in files:
            if _identity(location) in inputs:
                raise OutputError(f"{location} is both input and output: choose another output")
        if made and not overwrite and video not in own:
            raise OutputError(f"{made[0]} exists already: add --overwrite to replace it")


def written(target: UPath) -> dict[str, int]:
    """Return the existing files of an output with their sizes in bytes, by name.

    These are the target itself, or the numbered pictures of its pattern.
    """
    if isinstance(target, Path):
        return {file.name: file.stat().st_size for file in files_of(target)}
    if is_numbered(target.name):
        files = list_files(target.parent)
        return {name: files[name] for name in numbers_among(target.name, files).values()}
    size = size_of(target)
    return {} if size is None else {target.name: size}


def beside(target: UPath, ending: str, *, whole_name: bool = False) -> UPath:
    """Return the location of a file beside an output.

    Beside a picture the name includes the picture's suffix, because phones give a video and a
    picture the same name.

    Args:
        target: the output.
        ending: the end of the name.
        whole_name: whether to keep the output's suffix in the name in any case.
    """
    if is_numbered(target.name):
        return target.with_name(re.sub(r"[-_.]?%\d*d", "", target.stem) + ending)
    whole_name |= picture_format(target.name) is not None
    return target.with_name((target.name if whole_name else target.stem) + ending)


def _source(folder: UPath, name: str) -> str:
    # An object's name may begin with a slash and would then be an absolute path.
    return f"{folder}/{name}" if is_remote(folder) else str(folder / name)


def _folder(given: str) -> UPath | None:
    """Return the location of an input folder, None for a file or a libav URL."""
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
        unmatched = "; no file matches this pattern" if set("*?[") & set(given) else ""
        raise MediaError(f"no such file or folder: {given}{unmatched}")
    return given


def _is_video(file: UPath) -> bool:
    """Decide by the suffix; local files with unknown suffixes are opened."""
    if _is_named_video(file):
        return True
    return isinstance(file, Path) and is_media(file)


def _is_named_video(file: UPath) -> bool:
    return file.suffix.lower() in VIDEO_SUFFIXES or picture_format(file.name) is not None


def _files_below(folder: UPath, output: UPath) -> list[str]:
    """Return the files of a folder, except hidden ones and those of the output folder."""
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
    """Yield the files of a source; none for a libav URL."""
    location = stored_at(source) if is_url(source) else location_of(source)
    if isinstance(location, Path):
        yield from map(UPath, files_of(location))
    elif location is not None:
        yield location


def _identity(location: UPath) -> tuple[int, int] | str:
    """Return a value that is equal for all paths and links to the same file."""
    if isinstance(location, Path) and location.exists():
        found = location.stat()
        return found.st_dev, found.st_ino
    return str(location)
