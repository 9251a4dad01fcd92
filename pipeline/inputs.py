"""Which videos a job has, and where each one's output goes. Checked before any work starts."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodes.errors import MediaError
from nodes.picture_files import PHOTO_SUFFIXES, files_of, is_numbered, numbered
from pipeline.errors import OutputError
from pipeline.probe import is_media
from pipeline.side_files import BEST_SHOTS_FOLDER, SIDE_ENDINGS

__all__ = ["JobFiles", "VideoFiles", "check_outputs", "plan_files"]

VIDEO_SUFFIXES = frozenset(
    """.264 .265 .3g2 .3gp .asf .avi .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m2ts .m2v .m4v
    .mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogv .rm .rmvb .ts .vob .webm .wmv
    .y4m""".split()  # noqa: SIM905 - a list of 36 quoted names is harder to read
)
"""Files of a folder that must be videos: one that cannot be read is a failure, not skipped. Files
with other names are opened to see: recorders invent suffixes. A file that is named is always tried.
"""


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """One video of a job."""

    source: str
    """Path or URL."""
    target: Path
    """Where the finished video appears, all at once."""
    named: bool
    """Whether the user chose the target's name; if not, its suffix may change."""

    @property
    def exists(self) -> bool:
        """Whether the target is there already, or one of its numbered files."""
        return bool(files_of(self.target))

    @property
    def work_dir(self) -> Path:
        """Private folder beside the target, on the same file system; gone after the run."""
        return self.target.with_name(f".{self.target.name}.aminet-part")

    def side(self, ending: str) -> Path:
        """Return where a file goes that belongs to the output, such as its contact sheet."""
        ending, _, name = ending.partition("/")
        place = beside(self.target, ending)
        return place / name if name else place

    @property
    def existing_side(self) -> Path | None:
        """A file or folder of an earlier run that belongs to the output, None if there is none."""
        return next((p for p in map(self.side, SIDE_ENDINGS) if p.exists()), None)

    def drop_sides(self) -> None:
        """Remove what an earlier run left beside the output; files of others stay."""
        folder = self.side(BEST_SHOTS_FOLDER)
        for path in (*map(self.side, SIDE_ENDINGS), *folder.glob("[0-9][0-9][0-9][0-9].png")):
            if path.is_file():
                path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@dataclass(frozen=True, slots=True)
class JobFiles:
    """All files of a job."""

    videos: tuple[VideoFiles, ...]
    report: Path
    skipped: tuple[str, ...]
    """Files in input folders that are not videos."""


def plan_files(inputs: Sequence[str], output: Path) -> JobFiles:
    """Decide what a job reads and writes.

    One input file and an output that is not a folder make one video named `output`. Otherwise
    `output` is a folder; each video keeps its name, and its place below the input folder.

    Raises:
        MediaError: an input does not exist, or a folder holds no video.
    """
    single = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    if single and not output.is_dir() and output.suffix:
        video = VideoFiles(_existing(inputs[0]), output, named=True)
        return JobFiles((video,), beside(output, ".report.json"), ())
    found: list[tuple[str, Path]] = []
    skipped: list[str] = []
    for given in inputs:
        folder = Path(given)
        if not folder.is_dir():
            found.append((_existing(given), Path(folder.name)))
            continue
        files = _files_below(folder, output)
        known = VIDEO_SUFFIXES | PHOTO_SUFFIXES
        videos = [f for f in files if f.suffix.lower() in known or is_media(f)]
        if not videos:
            raise MediaError(
                f"no video found in folder {folder}: name the files to try them anyway"
            )
        found.extend((str(file), file.relative_to(folder)) for file in videos)
        skipped.extend(str(file) for file in files if file not in set(videos))
    videos = tuple(VideoFiles(source, output / name, named=False) for source, name in found)
    return JobFiles(videos, output / "report.json", tuple(skipped))


def check_outputs(videos: Sequence[VideoFiles], report: Path, *, overwrite: bool) -> None:
    """Make sure, before hours of work, that every output can be written.

    Makes the output folders.

    Raises:
        OutputError: two videos have one output, an output exists or is its own input, or its folder
            cannot be written.
    """
    for target, count in Counter(video.target for video in videos).items():
        if count > 1:
            raise OutputError(f"{count} inputs would both become {target}: rename them")
    for video in videos:
        if _same_file(video.source, video.target):
            raise OutputError(f"{video.target} is both input and output: choose another output")
        made = video.target if video.exists else video.existing_side
        if made and not overwrite:
            raise OutputError(f"{made} exists already: add --overwrite to replace it")
    for folder in sorted({video.target.parent for video in videos} | {report.parent}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(f"cannot write to folder {folder}: {reason}") from error


def beside(target: Path, ending: str) -> Path:
    """Return the name of a file that belongs to an output.

    Beside a picture it has that one's whole name: telephones name a film and a picture alike.
    """
    is_picture = target.suffix.lower() in PHOTO_SUFFIXES | {".gif", ".apng"}
    stem = target.name if is_picture and not is_numbered(str(target)) else target.stem
    return target.with_name(re.sub(r"[-_.]?%\d*d", "", stem) + ending)


def _existing(given: str) -> str:
    if is_numbered(given):
        if not numbered(given):
            raise MediaError(f"no such numbered files: {given}")
    elif "://" not in given and not Path(given).exists():
        raise MediaError(f"no such file: {given}")
    return given


def _files_below(folder: Path, output: Path) -> list[Path]:
    """Return the visible files of a folder, without those of an output folder that lies in it."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (here / name).absolute() != output.absolute()
        )
        found.extend(here / name for name in sorted(_visible(names)))
    return found


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _same_file(source: str, target: Path) -> bool:
    if is_numbered(source):
        return Path(source).absolute() == target.absolute()
    return Path(source).exists() and target.exists() and Path(source).samefile(target)
