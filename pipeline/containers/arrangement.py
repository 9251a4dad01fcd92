"""What an output's header says of the arrangement of pictures: 360 degrees, two eyes, Dolby Vision.

The header of an encoded segment says nothing of it, that of the source does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from av.video import VideoStream

from nodes.media.container_facts import ContainerFacts, container_facts
from nodes.media.open import open_media, video_stream
from nodes.media.side_data import CARRIED, DOLBY_VISION
from nodes.types import VideoInfo

__all__ = [
    "Target",
    "arrangement_kept",
    "arrangement_written",
    "expected_losses",
    "losses_averted",
]

_HOLDERS: Final = {
    "SPHERICAL": frozenset({"mp4", "mov", "matroska", "webm"}),
    "STEREO3D": frozenset({"mp4", "matroska", "webm"}),
}
"""Kinds of `CARRIED` that a header can say of a whole stream, and the muxers that write them."""

_DOLBY_VISION_HOLDERS: Final = frozenset({"mp4", "matroska"})
"""Muxers that write the record of Dolby Vision, of streams that are copied as a whole."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an output is to be."""

    container: str
    """libav's name of the muxer."""
    codec: str
    """libav's name of the codec."""
    video: VideoInfo
    """The encoded video."""


def arrangement_kept(original: VideoStream, target: Target) -> frozenset[str]:
    """Return what of a 360-degree projection and an arrangement for two eyes an output keeps.

    Args:
        original: the video stream of the source.
        target: the output.

    Returns:
        Kinds of `nodes.media.side_data.CARRIED`.
    """
    facts, context = container_facts(original), original.codec_context
    if facts.dolby_vision is not None or original.codec.canonical_name != target.codec:
        return frozenset()
    size_px = (target.video.width_px, target.video.height_px)
    if (
        facts.projection not in ("", "equirectangular")
        and (context.width, context.height) != size_px
    ):
        return frozenset()  # the margins of a cube map are in pixels
    there = {"SPHERICAL": bool(facts.projection), "STEREO3D": facts.stereo}
    return frozenset(k for k, found in there.items() if found and target.container in _HOLDERS[k])


def expected_losses(
    losses: Sequence[str],
    targets: Sequence[Target],
    source: str,
    video: int | None,
    *,
    may_copy: bool,
) -> list[str]:
    """Return what outputs will leave out, for the user.

    Args:
        losses: from `nodes.decode.carried.lost_facts`.
        targets: the outputs.
        source: path or URL of the source.
        video: index of its video stream; None: the best one.
        may_copy: whether packets of the source, which keep what is in them, may be copied.
    """
    if not losses:
        return []
    with open_media(source) as container:
        original = video_stream(container, source, video)
        kept = [arrangement_kept(original, target) for target in targets]
    averted = {CARRIED[kind] for kind in _HOLDERS if all(kind in own for own in kept)}
    in_headers = {CARRIED[kind] for kind in _HOLDERS}
    if not all(target.container in _DOLBY_VISION_HOLDERS for target in targets):
        in_headers |= {what for what in losses if what.startswith(DOLBY_VISION)}
    return [
        f"left out{' if a picture changes' * (may_copy and what not in in_headers)}: {what}"
        for what in losses
        if not targets or what not in averted
    ]


def arrangement_written(
    promised: Collection[str], made: VideoStream, theirs: ContainerFacts
) -> tuple[str, ...]:
    """Return what a finished output says as its source does.

    Args:
        promised: what `arrangement_kept` returned.
        made: the video stream of the output.
        theirs: what the source says of its video stream.
    """
    ours = container_facts(made)
    # MP4 gets the arrangement in two boxes, of which libav reads the one that says less.
    stereo = ours.stereo or "mp4" in made.container.format.name.split(",")
    read = {"SPHERICAL": ours.projection == theirs.projection, "STEREO3D": stereo}
    return tuple(sorted(kind for kind in promised if read[kind]))


def losses_averted(
    losses: Sequence[str], kept: Collection[str], *, copied: bool, target: str, source: str
) -> frozenset[str]:
    """Return which losses that were expected when the source was opened did not happen.

    Args:
        losses: from `nodes.decode.carried.lost_facts`.
        kept: what the output's header says: see `arrangement_written`.
        copied: whether all packets of the output are those of the source.
        target: path of the output.
        source: path or URL of the source.
    """
    if not losses:
        return frozenset()
    averted = {CARRIED[kind] for kind in kept}
    if copied:
        with open_media(target) as made, open_media(source) as original:
            ours = container_facts(video_stream(made, target))
            theirs = container_facts(video_stream(original, source))
        in_header = {CARRIED["SPHERICAL"]: theirs.projection, CARRIED["STEREO3D"]: theirs.stereo}
        # What only the packets say is kept with them.
        averted |= {what for what in losses if not in_header.get(what)}
        if ours.dolby_vision != theirs.dolby_vision:
            averted -= {what for what in losses if what.startswith(DOLBY_VISION)}
    return frozenset(averted)
