"""Decoding the part of a video that belongs to a segment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import chain, islice
from math import ceil
from typing import Any, Final

import av
from av.container import InputContainer
from av.video.format import VideoFormat
from av.video.frame import PictureType

from nodes.decode.carried import check_colors, further_pages, lost_facts
from nodes.decode.common_picture import PictureFitter, common_info
from nodes.decode.config import DecodeConfig
from nodes.decode.hardware_reader import HardwareReader
from nodes.decode.report import conversion, format_warnings, warnings_of
from nodes.decode.timestamps import RESTART_S, PresentationClock
from nodes.errors import MediaError, NodeConfigError
from nodes.media.open import (
    FALLBACK_RATE,
    clockwise_rotation_deg,
    describe_video,
    is_photo,
    most_step_ticks,
    stores_times,
)
from nodes.media.picture_files import is_numbered
from nodes.media.reader import UNDECODED, PacketHandler, PictureReader
from nodes.node import Segment
from nodes.picture.captions import Captions
from nodes.picture.formats import bit_depth, editable_format
from nodes.picture.interlaced import deinterlaced
from nodes.types import ColorTags, Frame, PictureForm, VideoInfo

__all__ = ["MAX_NAMED_EVENTS", "Stretch"]

MOST_UNTIMED = 32
"""Most pictures without a pts at the start of a video that are kept until one has a pts."""

_MAY_HAVE_CAPTIONS: Final = 2
"""Pictures at the start to look at: where captions have their own rate, some have none."""

MAX_NAMED_EVENTS = 50
"""Most damaged places that the report lists; all are counted."""


class Stretch:
    """An open video, its description, and the frames of a segment."""

    def __init__(
        self,
        segment: Segment,
        config: DecodeConfig,
        on_other: PacketHandler | None,
        live_until: threading.Event | None,
    ) -> None:
        """Open the segment's input and decode its first picture.

        Args:
            segment: what to decode.
            config: the decoder's settings.
            on_other: called with the packets of all other streams.
            live_until: for a live source: set it to end the source.

        Raises:
            MediaError: the file is missing, empty, not a video, or no picture can be decoded.
            UnsupportedFormatError: the pixel format cannot be converted to an editable one.
        """
        self._counts_from = self._end = None
        self._damage: list[dict[str, Any]] = []
        self._damage_count = 0
        self._conversions: dict[tuple[str, bool], int] = {}
        self._asked_for = config.hardware
        self._decoded_by: dict[str, int] = {}
        self._emitted = self._warmup_frames = 0
        self._first_pts: int | None = None
        self._last_pts: int | None = None
        self._reader = self._reader_of(segment, config, on_other, live_until)
        try:
            if is_photo(self._reader.container) or is_numbered(segment.input):
                # Segments after the first are of pictures that were looked at for the plan.
                check_colors(segment.input, whole=segment.first_pts is None)
            first, pictures = self._first_picture(segment.input)
            source = describe_video(self._reader.container, self._reader.stream, first)
            if config.rate is not None:
                source = _paced(source, config.rate, segment.input, self._reader.container)
            self._deinterlaces = config.deinterlace and source.interlaced
            self._top_field_first = source.top_field_first
            if self._deinterlaces:
                source = replace(source, interlaced=False)
            self._lost = self._lost_facts(segment.input, first, still=source.still)
            form = self._form_of(first)
            info = common_info(_editable(source), form, segment.pictures)
            fitter = PictureFitter(info, form, segment.pictures)
            self._changes = self._changes_of_all()
            self._new_format = self._format_change(first, info)
            self._rate = info.average_rate or FALLBACK_RATE
            self._clock = PresentationClock(
                1 / (self._rate * info.time_base),
                RESTART_S / info.time_base,
                most_step_ticks(self._reader.container.format.name),
            )
            first_pts, pictures, captioned = self._first_pictures(chain([first], pictures))
            self.info = _trimmed(replace(info, captions=captioned), config, first_pts)
        except BaseException:
            self._reader.close()
            raise
        self._fitter = fitter
        self._first, self._counts_from, self._end = _bounds(segment, self.info)
        self._name = segment.input
        self._pictures: Iterator[av.VideoFrame] = pictures
        if self._first is not None and on_other is None:
            self._reader.seek(self._first)
            self._pictures = self._reader.pictures()
            self._damage_count, self._damage = 0, []

    def _reader_of(
        self,
        segment: Segment,
        config: DecodeConfig,
        on_other: PacketHandler | None,
        live_until: threading.Event | None,
    ) -> PictureReader:
        name, threads, told = segment.input, segment.threads, self._note_damage
        if config.hardware == "off":
            return PictureReader(name, threads, told, on_other, live_until, config.video)
        if on_other is None and live_until is None:
            return HardwareReader(name, threads, told, config.video, config.hardware)
        reader = PictureReader(name, threads, told, on_other, live_until, config.video)
        reader.why_software = "it can be read only once"
        return reader

    def _lost_facts(self, name: str, first: av.VideoFrame, *, still: bool) -> list[str]:
        if still:
            return further_pages(name)
        return [] if is_numbered(name) else lost_facts(name, self._reader.facts, first)

    def _form_of(self, picture: av.VideoFrame) -> PictureForm:
        return PictureForm(
            picture.width,
            picture.height,
            picture.format.name,
            self._reader.sample_aspect_ratio,
            clockwise_rotation_deg(picture),
        )

    def _first_picture(self, name: str) -> tuple[av.VideoFrame, Iterator[av.VideoFrame]]:
        pictures = self._reader.pictures()
        first = next(pictures, None)
        if first is None and is_photo(self._reader.container):
            raise MediaError(
                f"{name}: cannot be decoded: it is damaged, or no picture of a kind that is read"
                " here; check that it opens, and save it as PNG"
            )
        if first is None:
            raise MediaError(
                f"{name}: no picture could be decoded, the video is damaged or encrypted;"
                " check that it plays"
            )
        return first, pictures

    def _changes_of_all(self) -> list[str]:
        """Return what is done to every picture beside another pixel format, in words."""
        changes: list[str] = []
        if self._reader.stream.metadata.get("alpha_mode") == "1":
            changes.append("alpha left out")
        if any(self._reader.facts.crop_px):
            top, bottom, left, right = self._reader.facts.crop_px
            changes.append(
                f"top {top}, bottom {bottom}, left {left}, right {right} px cut off, as players do,"
            )
        return changes

    def _format_change(self, first: av.VideoFrame, info: VideoInfo) -> str | None:
        """Return that pictures get another pixel format, in words; None if they keep theirs."""
        size_px = (info.width_px, info.height_px)
        if size_px != (first.width, first.height) or first.format.name == info.pix_fmt:
            return None
        return conversion(first, *size_px, info.pix_fmt)

    def _first_pictures(
        self, pictures: Iterator[av.VideoFrame]
    ) -> tuple[int, Iterator[av.VideoFrame], bool]:
        """Return the pts of the first picture, all pictures, and whether the first have captions.

        If the first pictures have no pts, it is computed from the first one that has.
        """
        waiting = list(islice(pictures, _MAY_HAVE_CAPTIONS))
        captions = Captions()
        captioned = any(captions.of(picture) for picture in waiting)
        first_pts, pictures = self._first_time(chain(waiting, pictures))
        return first_pts, pictures, captioned

    def _first_time(self, pictures: Iterator[av.VideoFrame]) -> tuple[int, Iterator[av.VideoFrame]]:
        """Return the pts of the first picture, and all pictures."""
        waiting = list(islice(pictures, 1))
        while waiting[-1].pts is None and len(waiting) < MOST_UNTIMED:
            following = next(pictures, None) if self._reader.stores_times else None
            if following is None:
                break
            waiting.append(following)
        *untimed, last = waiting
        if last.pts is None:
            return 0, chain(waiting, pictures)
        first_pts = self._clock.count_back(last.pts, len(untimed)) if untimed else last.pts
        return first_pts, chain(waiting, pictures)

    @property
    def container(self) -> InputContainer:
        """The open file."""
        return self._reader.container

    @property
    def delay_s(self) -> float:
        """Age of the last packet that was read from a live source, s; 0 for other sources."""
        return self._reader.delay_s

    def frames(self) -> Iterator[Frame]:
        """Yield the segment's frames, in strictly increasing pts."""
        pictures = self._pictures
        if self._deinterlaces:
            pictures = deinterlaced(pictures, top_field_first=self._top_field_first)
        for number, (picture, own_pts) in enumerate(self._clock.believed(pictures)):
            pts = self._clock.next(number, own_pts)
            if self._first is not None and pts < self._first:
                continue
            if self._end is not None and pts >= self._end:
                break
            yield self._frame(picture, own_pts, pts)
        if not self._emitted and self.info.span_pts is not None:
            raise MediaError(
                f"{self._name}: no frame in the part that was asked for; check from_s and to_s"
                " against the length that `aminet probe` shows"
            )

    def _frame(self, picture: av.VideoFrame, own_pts: int | None, pts: int) -> Frame:
        if picture.is_corrupt:
            self._note_damage("picture damaged, patched by the decoder", pts)
        duration = max(0, picture.duration)
        converted = self._fitter.fit(picture, self._reader.sample_aspect_ratio)
        converted.pts, converted.time_base = pts, self.info.time_base
        # An encoder would use the source's picture type.
        converted.pict_type = PictureType.NONE
        as_coded = own_pts == pts and not (picture.is_corrupt or self._deinterlaces)
        coded = picture if as_coded else None
        frame = Frame(self._emitted, pts, duration, converted, coded)
        self._emitted += 1
        if self._counts_from is not None and pts < self._counts_from:
            self._warmup_frames += 1
        else:
            self._first_pts = pts if self._first_pts is None else self._first_pts
            self._last_pts = pts
            decoder = self._reader.decoder
            self._decoded_by[decoder] = self._decoded_by.get(decoder, 0) + 1
            if converted is not picture:
                self._note_conversion(picture, converted)
        return frame

    def _note_conversion(self, before: av.VideoFrame, after: av.VideoFrame) -> None:
        size_px = (after.width, after.height)
        what = conversion(before, *size_px, after.format.name)
        same_size = size_px == (before.width, before.height)
        count = self._conversions.get((what, same_size), 0)
        self._conversions[what, same_size] = count + 1

    def _note_damage(self, what: str, pts: int | None) -> None:
        first, end = self._wanted_pts()
        if pts is not None and (
            (first is not None and pts < first)
            or (what == UNDECODED and end is not None and pts >= end)
        ):
            return  # another segment's, or of a part that is not wanted
        self._damage_count += 1
        if len(self._damage) < MAX_NAMED_EVENTS:
            time_s = None if pts is None else round(float(pts * self._reader.time_base), 6)
            self._damage.append({"what": what, "before_frame": self._emitted, "time_s": time_s})

    def _wanted_pts(self) -> tuple[int | None, int | None]:
        """Return the bounds of what is wanted, in the source's times, as far as they are known."""
        wanted = self._counts_from, self._end  # both None until there is a clock
        restarted = wanted != (None, None) and self._clock.restarts
        return (None, None) if restarted else wanted  # the source's times are others since then

    def report(self) -> dict[str, Any]:
        """Return the report, as JSON types."""
        result: dict[str, Any] = {
            "frames": self._emitted - self._warmup_frames,
            "warmup_frames": self._warmup_frames,
            "first_pts": self._first_pts,
            "last_pts": self._last_pts,
            "time_base": str(self.info.time_base),
            "container_frame_count": self.info.frame_count_hint,
            "damage": {"count": self._damage_count, "events": self._damage},
            "decoded_by": self._decoded_by,
            "hardware": self._asked_for,
            "why_software": self._reader.why_software,
            "lost_counted": self._reader.counts_lost,
            "lost": self._reader.lost(*self._wanted_pts()),
            "repeats": self._reader.repeats,
            "ended_early": self._reader.ended_early,
            "synthesised_pts": {
                "missing": self._clock.missing,
                "repeated_or_backward": self._clock.disordered,
                "first_frames": self._clock.frames,
                "rate": str(self._rate),
            },
            "restarts": [asdict(restart) for restart in self._clock.restarts],
            "deinterlaced": self._deinterlaces,
            "left_out": self._lost,
            "changes": self._changes,
            "new_format": self._new_format,
            "conversions": [
                {"what": what, "frames": count, "same_size": same_size}
                for (what, same_size), count in self._conversions.items()
            ],
        }
        result["conversions"] += [
            {"what": what, "frames": result["frames"], "same_size": False} for what in self._changes
        ]
        result["format_warnings"] = format_warnings(result["conversions"])
        result["warnings"] = warnings_of(result, whole=self._first is None and self._end is None)
        return result

    def close(self) -> None:
        """Close the file, and free its pictures."""
        self._reader.close()
        self._pictures = iter(())


def _paced(info: VideoInfo, rate: float, name: str, container: InputContainer) -> VideoInfo:
    """Return `info` with another rate, for a source without times.

    Raises:
        NodeConfigError: the source has times.
    """
    exact = Fraction(rate).limit_denominator(1001)
    if not stores_times(container.format.name):
        return replace(info, average_rate=exact)
    if not is_numbered(name):
        raise NodeConfigError(
            f"decode.rate is {rate:g}, but {name} has times of its own; it is for numbered"
            " pictures, and for raw streams such as .h264"
        )
    # The pts of numbered pictures are their numbers.
    return replace(
        info,
        time_base=1 / exact,
        average_rate=exact,
        duration_s=info.frame_count_hint and float(info.frame_count_hint / exact),
    )


def _trimmed(info: VideoInfo, config: DecodeConfig, first_pts: int) -> VideoInfo:
    """Return `info` with `span_pts` set."""
    if not config.trims:
        return info
    # Rounded to microseconds, so that 0.1 is exact.
    first, after = (
        None
        if time_s is None
        else first_pts + ceil(Fraction(round(time_s * 1_000_000), 1_000_000) / info.time_base)
        for time_s in (config.from_s or 0.0, config.to_s)
    )
    ends_s = [end_s for end_s in (info.duration_s, config.to_s) if end_s is not None]
    end_s = min(ends_s, default=None)
    duration_s = None if end_s is None else max(0.0, end_s - (config.from_s or 0.0))
    return replace(
        info,
        span_pts=(first or first_pts, after),
        duration_s=duration_s,
        frame_count_hint=None,
    )


def _bounds(segment: Segment, info: VideoInfo) -> tuple[int | None, int | None, int | None]:
    """Return the first pts with and without warm-up, and the end, limited to `span_pts`."""
    first, end = info.span_pts or (None, None)
    return (
        max((pts for pts in (segment.first_pts, first) if pts is not None), default=None),
        max((pts for pts in (segment.start_pts, first) if pts is not None), default=None),
        min((pts for pts in (segment.end_pts, end) if pts is not None), default=None),
    )


def _editable(info: VideoInfo) -> VideoInfo:
    """Return `info` for pictures that are converted to an editable pixel format."""
    pix_fmt = editable_format(info.pix_fmt)
    if pix_fmt == info.pix_fmt:
        return info
    source, color = VideoFormat(info.pix_fmt), info.color
    if source.is_rgb or source.has_palette:
        # RGB has full range; the matrix can be chosen, and players expect BT.709.
        color = ColorTags(1, 2, color.primaries, color.transfer, chroma=1)
    return replace(info, pix_fmt=pix_fmt, bit_depth=bit_depth(pix_fmt), color=color)
