"""Running decode, encode and mux by hand, as a runner and a job would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np

from nodes.decode import Decode, DecodeConfig
from nodes.encode import Encode
from nodes.encode.encoders import EncodeConfig
from nodes.encode.writer import VIDEO_FILE
from nodes.node import Inputs, Segment
from nodes.types import Frame, PictureForm, VideoInfo
from pipeline.containers.mux import MuxReport, mux
from tests.support.media import planes

__all__ = ["decode", "encode", "largest_difference", "round_trip", "same_pixels"]


def decode(
    path: Path | str,
    *,
    threads: int = 1,
    start_pts: int | None = None,
    end_pts: int | None = None,
    warmup_pts: int | None = None,
    pictures: tuple[PictureForm, ...] = (),
    **settings: Any,
) -> tuple[VideoInfo, list[Frame], dict[str, Any]]:
    """Return the video, its frames, and the report; `settings` are the node's."""
    node = Decode(DecodeConfig(**settings))
    segment = Segment(str(path), Path(), threads, start_pts, end_pts, warmup_pts, pictures=pictures)
    try:
        info = node.open(segment, {})
        frames: list[Frame] = []
        for outputs in node.packets():
            frame = outputs["frames"]
            assert isinstance(frame, Frame)
            frames.append(frame)
    finally:
        node.close()
    return info, frames, node.report()


def encode(
    info: VideoInfo, frames: Iterable[Frame], work_dir: Path, config: EncodeConfig | None = None
) -> tuple[Path, dict[str, Any]]:
    """Return the encoded file and the report."""
    work_dir.mkdir(exist_ok=True)
    node = Encode(config or EncodeConfig())
    try:
        node.open(Segment("unused", work_dir, 1), {"frames": info})
        for frame in frames:
            node.process(Inputs({"frames": frame}))
        node.finish()
    finally:
        node.close()
    return work_dir / VIDEO_FILE, node.report()


def round_trip(
    source: Path,
    work_dir: Path,
    suffix: str,
    config: EncodeConfig,
    *,
    comment: str | None = None,
) -> tuple[Path, MuxReport]:
    """Decode, encode and mux into `work_dir`; return the file and the report."""
    info, frames, _ = decode(source)
    video, encoded = encode(info, frames, work_dir / "work", config)
    target = work_dir / f"out{suffix}"
    report = mux(
        [video],
        str(source),
        target,
        info,
        last_duration_ticks=encoded["last_duration_ticks"],
        comment=comment,
        keep_start=config.keep_start,
    )
    return target, report


def same_pixels(one: Iterable[av.VideoFrame], other: Iterable[av.VideoFrame]) -> bool:
    """Say whether all pictures are equal, sample by sample."""
    return all(
        a.format.name == b.format.name
        and all(np.array_equal(p, q) for p, q in zip(planes(a), planes(b), strict=True))
        for a, b in zip(one, other, strict=True)
    )


def largest_difference(one: Iterable[av.VideoFrame], other: Iterable[av.VideoFrame]) -> int:
    """Return by how many levels any sample of two videos of one format differs at most."""
    return max(
        int(np.abs(p.astype(np.int32) - q.astype(np.int32)).max())
        for a, b in zip(one, other, strict=True)
        for p, q in zip(planes(a), planes(b), strict=True)
    )
