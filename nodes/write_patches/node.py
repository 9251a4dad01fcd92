"""`aminet.write_patches`: writes aligned pictures of faces, for other tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TextIO, cast

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nodes.errors import WriteError
from nodes.geometry.alignment import Matrix, invert
from nodes.geometry.face_view import FaceViewer
from nodes.join import SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.types import Face, Frame, FrameFaces, RgbImage, VideoInfo

__all__ = ["WritePatches", "WritePatchesConfig"]

FOLDER: Final = ".patches"
INDEX: Final = "index.jsonl"


class WritePatchesConfig(NodeConfig):
    """Which pictures are written, and how large."""

    size_px: int = Field(default=256, ge=32, le=2048)
    """Width and height of the pictures."""
    margin: float = Field(default=0.0, ge=0, le=4)
    """How much more than the network's square they show, as a share of it; at 0 the eyes are 38/128
    of the side apart."""
    every_s: float = Field(default=0.0, ge=0)
    """Write a face at most once in so many seconds; at 0 in each frame."""


class WritePatches(SinkNode[WritePatchesConfig]):
    """Writes `OUT.patches/0001-12800.png` for face 1 at pts 12800, and an index of all.

    PNG with 8 bits per sample, or 16 for videos with more. Each line of `index.jsonl` has `file`,
    `track_id`, `pts`, `time_s`, `score`, and `frame_from_patch`: the 2x3 matrix from pixels of the
    picture to pixels of the frame, with pixel centres at +0.5. Faces that are never confirmed are
    left out.
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.write_patches",
        summary="write aligned pictures of faces as PNG, with an index",
        inputs=(Port("frames", Frame), Port("faces", FrameFaces)),
    )
    Config: ClassVar[type[NodeConfig]] = WritePatchesConfig
    endings: ClassVar[tuple[str, ...]] = (f"{FOLDER}/[0-9]*[0-9].png", f"{FOLDER}/{INDEX}")

    def __init__(self, config: WritePatchesConfig) -> None:
        super().__init__(config)
        self._viewer: FaceViewer | None = None
        self._index: TextIO | None = None
        self._folder = Path()
        self._seconds_per_tick = 1.0
        self._bit_depth = 8
        self._written: dict[int, int] = {}
        self._pictures = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start an empty index.

        Raises:
            UnsupportedFormatError: the video's pixel format or matrix cannot be read in place.
        """
        self.close()
        info = inputs["frames"]
        self._viewer = FaceViewer(self.config.size_px, self.config.margin, info, inputs["faces"])
        self._folder = segment.work_dir
        self._index = (self._folder / INDEX).open("w", encoding="utf-8")
        self._seconds_per_tick, self._bit_depth = float(info.time_base), info.bit_depth
        self._written, self._pictures = {}, 0
        return info

    def process(self, inputs: Inputs) -> None:
        """Write the faces of one frame.

        Raises:
            WriteError: a file cannot be written.
        """
        if self._viewer is None:
            raise RuntimeError("WritePatches.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        time_s = round(frame.pts * self._seconds_per_tick, 6)
        period = _period(time_s, self.config.every_s)
        for face in inputs.get("faces", FrameFaces).faces:
            if face.track_id == 0:
                continue
            if period is not None and self._written.get(face.track_id) == period:
                continue
            view_from_frame = self._viewer.view_from_frame(face)
            rgb = self._viewer.rgb(frame.picture, view_from_frame)
            if rgb is not None:
                self._write(face, frame.pts, rgb, invert(view_from_frame))
                self._written[face.track_id] = period or 0

    def finish(self) -> None:
        """Complete the index."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def close(self) -> None:
        """Remove an unfinished index."""
        if self._index is not None:
            self._index.close()
            (self._folder / INDEX).unlink(missing_ok=True)
        self._viewer = self._index = None

    def report(self) -> dict[str, Any]:
        """Count the pictures."""
        return {"pictures": self._pictures}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Number the faces as in the whole video, and write one index.

        Raises:
            OSError: a file cannot be read or written.
        """
        assert isinstance(config, WritePatchesConfig)  # noqa: S101 - for the type checker
        made: dict[str, Path] = {}
        written: set[tuple[int, int]] = set()
        index = folder / INDEX
        with index.open("w", encoding="utf-8") as lines:
            for part in parts:
                for line in (part.folder / INDEX).read_text(encoding="utf-8").splitlines():
                    row = cast("dict[str, Any]", json.loads(line))
                    file = part.folder / row["file"]
                    number = part.track_numbers.get(row["track_id"], row["track_id"])
                    period = _period(row["time_s"], config.every_s)
                    # A segment that begins within a period does not know of the one before.
                    if period is not None and (number, period) in written:
                        continue
                    written.add((number, period or 0))
                    row |= {"track_id": number, "file": _name(number, row["pts"])}
                    lines.write(json.dumps(row, separators=(",", ":")) + "\n")
                    made[f"{FOLDER}/{row['file']}"] = file
        return made | {f"{FOLDER}/{INDEX}": index} if made else {}

    def _write(self, face: Face, pts: int, rgb: RgbImage, frame_from_patch: Matrix) -> None:
        if self._index is None:
            raise RuntimeError("WritePatches.process was called before open or after close")
        name = _name(face.track_id, pts)
        row = {
            "file": name,
            "track_id": face.track_id,
            "pts": pts,
            "time_s": round(pts * self._seconds_per_tick, 6),
            "score": round(face.score, 4),
            "frame_from_patch": np.round(frame_from_patch, 6).tolist(),
        }
        try:
            (self._folder / name).write_bytes(_png(rgb, self._bit_depth))
            self._index.write(json.dumps(row, separators=(",", ":")) + "\n")
        except OSError as error:
            raise WriteError(f"{self._folder / name}: cannot write ({error.strerror})") from error
        self._pictures += 1


def _period(time_s: float, every_s: float) -> int | None:
    """Return the number of the period that a time is in, None if every frame counts."""
    return int(time_s // every_s) if every_s else None


def _name(track_id: int, pts: int) -> str:
    return f"{track_id:04}-{pts}.png"


def _png(rgb: RgbImage, bit_depth: int) -> bytes:
    if bit_depth > 8:
        top = (1 << bit_depth) - 1
        rgb = ((rgb.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError("PNG")
    return cast("npt.NDArray[np.uint8]", data).tobytes()
