"""Checking what a container can hold, before the run starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from av.stream import Stream

from nodes.encode.encoder_table import containers_of
from nodes.errors import did_you_mean
from nodes.media.open import (
    clockwise_rotation_deg,
    codec_name,
    open_media,
    open_whole,
    video_stream,
)
from nodes.media.picture_formats import PICTURE_FORMATS
from nodes.media.reader import first_picture
from pipeline.containers.holding import is_cover
from pipeline.containers.stream_plan import (
    StreamPlan,
    StreamPolicy,
    check_conversions,
    is_optional,
    plan_stream,
)

__all__ = ["Problem", "check_target", "container_format", "default_suffix"]

_COPY: Final = StreamPolicy(sounds={})

_CHOICES: Final = (".mkv", ".mov", ".mp4")
"""Containers to suggest, best first: Matroska supports most codecs, QuickTime those of phones."""

_FORMATS: Final[Mapping[str, str]] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".nut": "nut",
}
"""libav's muxers, by suffix. Without AVI, which stores no presentation times."""

_UNTURNED: Final = frozenset({"mpegts", "nut"})
"""Containers that do not store a display matrix."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing of the source that the target cannot hold as it is."""

    stream: int | None
    """Index of the source's stream, None for the restored video."""
    what: str
    """What cannot be held, and if needed why."""
    advice: str
    """What the user can do about it, or what is done."""
    fatal: bool = True
    """False for what is converted or left out with a note."""
    cost: int = 0
    """How bad it is, for the choice between containers."""

    @property
    def message(self) -> str:
        """The problem and the advice in one line."""
        return f"{self.what}: {self.advice}"


def container_format(path: PurePath) -> str | None:
    """Return libav's name of the muxer for a file name, None if the suffix is not supported."""
    return _FORMATS.get(path.suffix.lower())


def default_suffix(
    source: str, video_codec: str, policy: StreamPolicy = _COPY, video: int | None = None
) -> tuple[str, str | None]:
    """Choose the container of an output whose name the user did not choose.

    Args:
        source: path or URL of the source.
        video_codec: libav's name of the codec of the encoded video.
        policy: what is wanted of the streams beside the video.
        video: index of the video stream; None: the best one.

    Returns:
        The suffix with its dot: of the source's, `.mkv`, `.mov` and `.mp4` the first that keeps
        most. And for the report the reason of a change, else None.

    Raises:
        MediaError: the source cannot be opened.
    """
    suffix = PurePath(source).suffix
    found = {
        tried: check_target(source, PurePath(f"x{tried}"), video_codec, policy, video)
        for tried in dict.fromkeys((suffix, *_CHOICES))
    }
    # Where nothing holds everything, the check of that choice tells the user what is in the way.
    order = list(found) if container_format(PurePath(f"x{suffix}")) else list(_CHOICES)
    chosen = min(order, key=lambda tried: _badness(found[tried]))
    if chosen == suffix:
        return suffix, None
    worst = _badness(found[suffix])
    reasons = [p.what for p in found[suffix] if _badness([p])] if any(worst) else []
    return chosen, f"{chosen} chosen, as " + "; ".join(reasons)


def _badness(problems: Sequence[Problem]) -> tuple[int, int]:
    return sum(p.fatal for p in problems), sum(p.cost for p in problems)


def check_target(
    source: str,
    target: PurePath,
    video_codec: str,
    policy: StreamPolicy = _COPY,
    video: int | None = None,
) -> list[Problem]:
    """Return the parts of the source that the target's container cannot hold.

    Args:
        source: path or URL of the source.
        target: the output; only its suffix matters.
        video_codec: libav's name of the codec of the encoded video.
        policy: what is wanted of the streams beside the video.
        video: index of the video stream; None: the best one.

    Raises:
        MediaError: the source cannot be opened or holds no video.
        NodeConfigError: a stream is to be converted that is not there or cannot become that.
    """
    name = container_format(target)
    if name is None:
        return [_unwritable(target)]
    problems: list[Problem] = []
    holders = containers_of(video_codec)
    if name not in holders:
        others = [suffix for suffix in _CHOICES if _FORMATS[suffix] in holders]
        advice = f"{_choose(others)}, or another encode.codec"
        problems.append(Problem(None, f"{target.suffix} cannot hold {video_codec} video", advice))
    with open_media(source) as container:
        main = video_stream(container, source, video).index
    with open_whole(source) as container:
        others = [stream for stream in container.streams if stream.index != main]
        check_conversions(others, policy.convert, name, target.suffix)
        for stream in others:
            plan = plan_stream(stream, name, policy, target.suffix)
            if plan.why and plan.action != "made_anew":
                problems.append(_problem(stream, plan, name, policy))
            elif stream.type == "video" and not is_cover(stream):
                problems.append(_unrestored(stream))
    if name in _UNTURNED and (turned_deg := _rotation_deg(source, video)):
        what = f"{target.suffix} cannot say that the video is to be turned by {turned_deg} degrees"
        problems.append(Problem(None, what, _choose(list(_CHOICES))))
    return problems


def _rotation_deg(source: str, video: int | None) -> int:
    with first_picture(source, video) as (_, first):
        return clockwise_rotation_deg(first) if first is not None else 0


def _problem(stream: Stream, plan: StreamPlan, target: str, policy: StreamPolicy) -> Problem:
    if is_optional(stream) or plan.asked:
        return Problem(stream.index, plan.why, "it is left out", fatal=False)
    holders = [
        suffix
        for suffix in _CHOICES
        if plan_stream(stream, _FORMATS[suffix], policy).action == "copy"
    ]
    if policy.mode == "refuse":
        otherwise = plan_stream(stream, target, replace(policy, mode="keep"))
        return Problem(stream.index, plan.why, _ways_out(stream, otherwise, holders))
    better = f" ({' or '.join(holders)} can)" if holders else ""
    loss = "without loss" if plan.lossless else "with loss"
    done = f"converted to {plan.codec}, {loss}" if plan.action == "convert" else "left out"
    return Problem(stream.index, plan.why, f"{done}{better}", fatal=False, cost=plan.cost)


def _unrestored(stream: Stream) -> Problem:
    """Return the note on a further camera, or any other moving pictures, that is only copied."""
    what = f"video stream {stream.index} ({codec_name(stream)}) is a further one"
    return Problem(
        stream.index,
        what,
        f"copied, its faces are not restored (--video {stream.index} restores these)",
        fatal=False,
    )


def _ways_out(stream: Stream, otherwise: StreamPlan, holders: Sequence[str]) -> str:
    """Return what a user can do who wants nothing converted or left out without being asked."""
    ways = [_choose(holders)] if holders else []
    if otherwise.codec is not None:
        ways.append(f"--set encode.convert.{stream.index}={otherwise.codec} to convert that stream")
    return ", or ".join([*ways, "--set encode.other_streams=copy to leave out what does not fit"])


def _choose(suffixes: Sequence[str]) -> str:
    if not suffixes:
        return "nothing written here can"
    return f"choose an output ending in {' or '.join(suffixes)}"


def _unwritable(target: PurePath) -> Problem:
    what = (
        "AVI stores no presentation times, the video's would be lost"
        if target.suffix.lower() == ".avi"
        else f"{target.suffix or 'a name without suffix'} is no format written here"
    )
    guess = did_you_mean(target.suffix, (*_FORMATS, *PICTURE_FORMATS)).removeprefix(": ")
    pictures = f"or for pictures {', '.join(PICTURE_FORMATS)}"
    choice = f"choose an output ending in {', '.join(_FORMATS)}, {pictures}"
    return Problem(None, what, f"{guess} {choice}".lstrip())
