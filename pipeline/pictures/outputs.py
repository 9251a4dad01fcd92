"""Outputs that are pictures: a photograph, numbered files, or an animation.

The graph runs as for a video, with a lossless encoder. At the end the pictures are written to the
output files.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final, Literal

from nodes.encode.encoder_table import ENCODERS
from nodes.encode.encoders import EncodeConfig
from nodes.errors import MediaError
from nodes.media.open import codec_name, is_photo, open_media, video_stream
from nodes.media.picture_files import files_of, is_numbered, numbered, numbered_name
from nodes.media.picture_formats import (
    PICTURE_FORMATS,
    AnimationFormat,
    PhotoFormat,
    animation_format,
    photo_format,
    picture_format,
)
from nodes.media.urls import is_url
from nodes.reports import counted
from nodes.types import VideoInfo
from pipeline.containers.mux import MuxReport
from pipeline.errors import OutputError
from pipeline.pictures.animation import write_animation
from pipeline.pictures.label import PictureLabel, labelled
from pipeline.pictures.losses import animation_losses, conversion, hdr_losses
from pipeline.pictures.metadata import is_lossless
from pipeline.pictures.photo import encode_photo
from pipeline.pictures.restored import RestoredPicture, restored_pictures
from pipeline.pieces.timing import VideoTiming, deviation, read_timing

__all__ = [
    "EXACT_CODEC",
    "OutputKind",
    "check_pictures",
    "output_kind_of",
    "picture_losses",
    "write_pictures",
]

_ANIMATIONS: Final = frozenset(
    known.animation.muxer for known in PICTURE_FORMATS.values() if known.animation is not None
)
"""libav's names of what animations are in."""

OutputKind = Literal["photo", "numbered", "animation"]

EXACT_CODEC: Final = "ffv1"
"""Lossless codec of the segments until the pictures are written."""


def output_kind_of(target: PurePath, source: str) -> OutputKind | None:
    """Return the kind of pictures of an output, None for video.

    A format that supports both, such as PNG and WebP, is an animation if the source is one.
    """
    known = picture_format(target)
    if is_numbered(str(target)):
        return "numbered"
    if known is None:
        return None
    if known.animation is not None and (known.photo is None or _moves(source)):
        return "animation"
    return "photo"


def _moves(source: str) -> bool:
    if is_numbered(source):
        return True
    is_there = is_url(source) or Path(source).is_file()
    if photo_format(source) is None or not is_there:
        return animation_format(source) is not None
    with open_media(source) as container:
        return not is_photo(container)


def check_pictures(
    output_kind: OutputKind,
    source: str,
    target: PurePath,
    config: EncodeConfig,
    size_px: tuple[int, int],
) -> list[str]:
    """Check before the run that pictures can be written; return notes about what they lose.

    Args:
        output_kind: kind of the output.
        source: path or URL of the source.
        target: the output.
        config: settings of the node whose pictures they are.
        size_px: width and height of the pictures to write.

    Raises:
        OutputError: the pictures cannot be written.
    """
    if config.codec != "auto":
        raise OutputError(
            f"{target}: encode.codec is {config.codec}, but the output is pictures, not video;"
            " leave it out, or choose an output ending in .mkv"
        )
    if output_kind == "numbered" and photo_format(target) is None:
        ends = sorted(suffix for suffix, known in PICTURE_FORMATS.items() if known.photo)
        raise OutputError(f"{target}: numbered pictures end in {', '.join(ends)} here")
    _check_size(output_kind, target, size_px)
    if config.lossless and _loses(output_kind, source, target):
        raise OutputError(
            f"{target}: would not be lossless, as --evidence or encode.lossless asks for; choose"
            " .png"
        )
    with open_media(source) as container:
        main = video_stream(container, source)
        is_single = is_photo(container)
        if output_kind == "photo" and not is_single:
            ends = sorted(suffix for suffix, known in PICTURE_FORMATS.items() if not known.photo)
            raise OutputError(
                f"{target}: one picture cannot hold a video; choose numbered files, such as"
                f" {_numbered_like(target)}, an animation ({', '.join(ends)}), or a video"
            )
        others = [
            f"{target.suffix} cannot hold {stream.type} stream {stream.index}"
            f" ({codec_name(stream)}): it is left out"
            for stream in container.streams
            if stream is not main
        ]
        is_animation = container.format.name in _ANIMATIONS
    if is_url(source) and (is_single or is_animation):
        loops = " and how often it repeats," * (is_animation and output_kind == "animation")
        others.append(
            f"left out: EXIF, colour profile and other metadata,{loops} which are read from files"
            " only; to keep them, download the picture first"
        )
    if output_kind == "animation" and is_numbered(source) and photo_format(target) is not None:
        others.append(
            f"{target.name} becomes one animation of all pictures; for a file of each, give"
            f" {_numbered_like(target).name}"
        )
    if output_kind == "numbered" and not is_numbered(source) and not is_single:
        others.append("numbered pictures hold no times: those are in the source only")
    return others


def _numbered_like(target: PurePath) -> PurePath:
    """Return a pattern of numbered files that are called like a single one."""
    return target.with_name(f"{target.stem}_%05d{target.suffix}")


def _check_size(output_kind: OutputKind, target: PurePath, size_px: tuple[int, int]) -> None:
    if max(size_px) > min(ENCODERS[EXACT_CODEC].max_px):
        raise OutputError(
            f"{target}: the picture has {size_px[0]}x{size_px[1]} pixels, expected at most"
            f" {min(ENCODERS[EXACT_CODEC].max_px)} in a row; divide it"
        )
    kind = _format(output_kind, target)
    most_px = None if kind is None else kind.most_side_px
    if most_px is not None and max(size_px) > most_px:
        raise OutputError(
            f"{target}: the picture has {size_px[0]}x{size_px[1]} pixels, {target.suffix} holds at"
            f" most {most_px} in a row; choose .png"
        )


def _loses(output_kind: OutputKind, source: str, target: PurePath) -> bool:
    kind = _format(output_kind, target)
    if kind is None or not kind.exact:
        return True
    if not isinstance(kind, PhotoFormat) or "lossless" not in kind.takes or is_url(source):
        return False
    # Such a picture is lossless if the source is, of which the first file stands for all.
    return any(not is_lossless(file.read_bytes()) for file in files_of(source)[:1])


def write_pictures(
    output_kind: OutputKind,
    videos: Sequence[Path],
    source: str,
    target: Path,
    info: VideoInfo,
    *,
    last_duration_ticks: int,
    quality: int,
    label: PictureLabel | None = None,
) -> MuxReport:
    """Write a video's pictures as files.

    Args:
        output_kind: kind of the output.
        videos: the encoded segments, in order.
        source: path or URL of the source.
        target: the file; for numbered files a pattern in an existing folder.
        info: the encoded video.
        last_duration_ticks: duration of the last picture, in ticks of the source.
        quality: of JPEG and lossy WebP, if the source gives none.
        label: what each file says of itself.

    Raises:
        MediaError: a file cannot be read, or pictures are missing in the animation.
        OSError: a file cannot be written.
    """
    timing = read_timing(videos, source, info, last_duration_ticks)
    pictures = _Watched(restored_pictures(videos, source, info, timing))
    report = MuxReport(
        container=target.suffix.removeprefix("."),
        frames=len(timing.shown),
        time_base=str(info.time_base),
        shift_s=0.0,
        max_deviation_s=0.0,
        copied=(),
        left_out=(),
        chapters=0,
    )
    if output_kind == "animation":
        report = _write_animation(pictures, source, target, info, timing, report)
        if label is not None:
            target.write_bytes(labelled(target.read_bytes(), label))
    else:
        notes = _write_photos(pictures, source, target, info, quality, label)
        report = replace(report, notes=tuple(notes))
    return replace(report, own_colors=pictures.own_colors)


class _Watched:
    """Yields pictures, and notes whether all of them have the colours of the source."""

    def __init__(self, pictures: Iterator[RestoredPicture]) -> None:
        self._pictures = pictures
        self.own_colors = True

    def __iter__(self) -> Iterator[RestoredPicture]:
        for picture in self._pictures:
            self.own_colors &= picture.own_colors
            yield picture


def _write_animation(
    pictures: Iterable[RestoredPicture],
    source: str,
    target: Path,
    info: VideoInfo,
    timing: VideoTiming,
    report: MuxReport,
) -> MuxReport:
    """Write an animation, and complete its report."""
    lost = Counter[str]()
    last_ticks = timing.last_duration_ticks
    ticks, tick = write_animation(pictures, target, source, info, last_ticks, lost)
    _check_count(target, len(ticks))
    exact = array("q", (pts - timing.shown[0] for pts in timing.shown))
    shift_s, rest_s = deviation(ticks, tick, exact, info.time_base)
    return replace(
        report,
        time_base=str(tick),
        shift_s=float(shift_s),
        max_deviation_s=float(rest_s),
        notes=(*picture_losses("animation", target, info), *animation_losses(source), *_told(lost)),
    )


def picture_losses(output_kind: OutputKind, target: PurePath, info: VideoInfo) -> list[str]:
    """Return what is known before the run that pictures cannot say, for the user.

    Args:
        output_kind: kind of the output.
        target: the output.
        info: the video to write.
    """
    kind = _format(output_kind, target)
    return [] if kind is None else hdr_losses(info, kind)


def _format(output_kind: OutputKind, target: PurePath) -> PhotoFormat | AnimationFormat | None:
    return animation_format(target) if output_kind == "animation" else photo_format(target)


def _told(lost: Mapping[str, int]) -> list[str]:
    return [f"{what} in {counted(count, 'picture')}" for what, count in lost.items()]


def _write_photos(
    pictures: Iterable[RestoredPicture],
    source: str,
    target: Path,
    info: VideoInfo,
    quality: int,
    label: PictureLabel | None,
) -> list[str]:
    """Write each picture as a file; return messages about what is converted or left out."""
    kind = photo_format(target)
    assert kind is not None  # noqa: S101 - `check_pictures` and `output_kind_of` saw to that
    originals = numbered(source) if is_numbered(source) else {}
    is_picture = info.still or photo_format(source) is not None
    single = Path(source) if is_picture and not is_url(source) else None
    first, lost, converted = next(iter(originals), 1), Counter[str](), Counter[str]()
    for count, picture in enumerate(pictures):
        # The pts of a numbered picture is its position in the sequence.
        number = first + (picture.pts if originals else count)
        original = originals.get(number, single)
        content, left_out = encode_photo(picture.photo, kind, original, quality, info)
        lost.update(left_out)
        if (
            what := conversion(source, picture.source_format, picture.photo.samples, kind)
        ) is not None:
            converted[what] += 1
        path = (
            target.with_name(numbered_name(target.name, number))
            if is_numbered(str(target))
            else target
        )
        path.write_bytes(content if label is None else labelled(content, label))
    left_out = [f"left out of {counted(n, 'picture')}: {what}" for what, n in lost.items()]
    return [*hdr_losses(info, kind), *_told(converted), *left_out]


def _check_count(target: Path, expected: int) -> None:
    with open_media(str(target)) as written:
        stream = video_stream(written, str(target))
        count = sum(1 for packet in written.demux(stream) if packet.size)
    if count != expected:
        raise MediaError(
            f"{target}: holds {count} pictures, expected {expected}; choose .apng, which keeps"
            " pictures that are alike apart"
        )
