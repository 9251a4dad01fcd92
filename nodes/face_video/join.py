"""Joining the parts of a face's video without encoding them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video import VideoStream

from nodes.errors import MediaError

__all__ = ["join_clips"]


def join_clips(number: int, clips: Sequence[tuple[Path, dict[str, Any]]], target: Path) -> None:
    """Write the packets of all parts of one face's video to one file.

    Args:
        number: of the face.
        clips: the parts in order, with their entries in the node's report.
        target: the file.

    Raises:
        MediaError: the parts were encoded in ways that do not fit together.
    """
    first_s = _first_s(clips[0][1])
    with av.open(target, "w") as out:
        out.metadata["title"] = f"face {number}, from {float(first_s):.3f} s of the video"
        out.metadata["comment"] = json.dumps({"track_id": number, "from_s": float(first_s)})
        stream: VideoStream | None = None
        for path, clip in clips:
            with av.open(path) as source:
                own = source.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(own)
                elif own.codec_context.extradata != stream.codec_context.extradata:
                    raise MediaError(
                        f"face {number}: its parts were encoded by different versions of x264;"
                        " set run.segment_s=0, or install the same version of av everywhere"
                    )
                for packet in source.demux(own):
                    if packet.pts is not None:
                        out.mux(_moved(packet, stream, _first_s(clip) - first_s))


def _moved(packet: Packet[VideoStream], stream: VideoStream, by_s: Fraction) -> Packet[VideoStream]:
    assert packet.pts is not None  # noqa: S101 - for the type checker
    packet.pts = packet.pts + round(by_s / packet.time_base)
    packet.dts = packet.pts
    packet.stream = stream
    return packet


def _first_s(clip: Mapping[str, Any]) -> Fraction:
    return clip["first_pts"] * Fraction(clip["time_base"])
