"""Decoding a video from every keyframe on, and with a second decoder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from nodes.media.reader import PictureReader
from tests.support.media import planes

__all__ = ["differs_after_seek", "differs_in_second_decoder", "keyframe_times", "same_pictures"]

_SECOND = {"vp9": "libvpx-vp9", "vp8": "libvpx", "av1": "libdav1d"}


def same_pictures(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    """Return whether all samples are equal."""
    return all(np.array_equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))


def keyframe_times(path: Path) -> list[int]:
    """Return the presentation times of the keyframes, in order, in ticks of the stream."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        return sorted(p.pts or 0 for p in container.demux(stream) if p.size and p.is_keyframe)


def differs_after_seek(path: Path, pictures: Sequence[av.VideoFrame]) -> str:
    """Decode from every keyframe on; return what differs from the pictures, or an empty text."""
    for key in keyframe_times(path):
        # It steps back where a demuxer lands too late, as that of MPEG-TS does without an index.
        with closing(PictureReader(str(path), 1)) as reader:
            reader.seek(key)
            decoded = {picture.pts: picture for picture in reader.pictures()}
        for picture in pictures:
            if (picture.pts or 0) < key:
                continue
            if picture.pts not in decoded or not same_pictures(picture, decoded[picture.pts]):
                return f"after a seek to {key}, the picture at {picture.pts} is another"
    return ""


def differs_in_second_decoder(path: Path, pictures: Sequence[av.VideoFrame]) -> str:
    """Decode with another decoder, where libav has one; return as `differs_after_seek`."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        name = _SECOND.get(stream.codec_context.codec.canonical_name)
        if name is None:
            return ""
        decoder = VideoCodecContext.create(name, "r")
        assert isinstance(decoder, VideoCodecContext)
        decoded = [
            picture
            for packet in [*(p for p in container.demux(stream) if p.size), None]
            for picture in decoder.decode(packet)
        ]
    if len(decoded) != len(pictures):
        return f"{name} decodes {len(decoded)} of {len(pictures)} pictures"
    wrong = [
        n for n, pair in enumerate(zip(decoded, pictures, strict=True)) if not same_pictures(*pair)
    ]
    return f"{name} decodes other pictures: {wrong}" if wrong else ""
