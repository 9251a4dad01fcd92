"""The faces of a video to measure, from a truth file or by tracking."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nodes.decode import Decode, DecodeConfig
from nodes.media.picture_forms import picture_forms
from nodes.node import Inputs, Segment
from nodes.track import Track, TrackConfig
from nodes.types import Box, Frame, FrameFaces
from pipeline.errors import ConfigError

__all__ = ["SeenFace", "followed_faces", "read_truth"]


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """Position of a face in a frame."""

    name: str
    box_xyxy_px: Box
    points_px: npt.NDArray[np.float64]
    """Shape (4, 2): right eye, left eye, nose, mouth."""


def followed_faces(source: Path, threads: int) -> Iterator[list[SeenFace]]:
    """Yield the confirmed faces of each frame, detected by `aminet.track`.

    Raises:
        MediaError: the video cannot be read.
    """
    decode, track = Decode(DecodeConfig()), Track(TrackConfig())
    with tempfile.TemporaryDirectory() as folder:
        forms = picture_forms(str(source))
        segment = Segment(str(source), Path(folder), threads, pictures=forms)
        try:
            track.open(segment, {"frames": decode.open(segment, {})})
            for outputs in decode.packets():
                faces = track.process(Inputs({"frames": outputs["frames"]}))["faces"]
                if isinstance(outputs["frames"], Frame) and isinstance(faces, FrameFaces):
                    yield [
                        SeenFace(str(f.track_id), f.box_xyxy_px, f.points_px.astype(np.float64))
                        for f in faces.faces
                        if f.confirmed
                    ]
        finally:
            track.close()
            decode.close()


def read_truth(path: Path, source: Path) -> list[list[SeenFace]]:
    """Read a truth file: `{"frames": [{"faces": [{name, box_xyxy_px, points_px}]}]}`.

    Args:
        path: a JSON file of this structure, or with one for each source by the stem of its name.
        source: the video.

    Raises:
        ConfigError: the file cannot be read, or does not contain the source.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        frames = data["frames"] if "frames" in data else data[source.stem]["frames"]
        return [[_seen(face) for face in frame["faces"]] for frame in frames]
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} does not say where the faces of {source.name} are") from error


def _seen(face: dict[str, Any]) -> SeenFace:
    x0, y0, x1, y1 = map(float, face["box_xyxy_px"])
    return SeenFace(str(face["name"]), (x0, y0, x1, y1), np.asarray(face["points_px"], np.float64))
