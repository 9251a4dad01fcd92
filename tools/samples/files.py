"""Reads the clips and writes the samples, their references and the truth."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from tools.samples.audio import SOUND_RATE_HZ, Sound
from tools.samples.scene import REFERENCE_SCALE, Video

__all__ = ["VideoWriter", "read_clip", "write_truth"]

Rgb = npt.NDArray[np.uint8]

SOUND_BIT_RATE = 48_000
ENCODER_THREADS = 1
"""x264's and x265's output depends on it."""


def read_clip(path: Path) -> list[Rgb]:
    """Decodes a whole clip to RGB."""
    with av.open(path) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


class VideoWriter:
    """Writes one MP4; a context manager. Same pictures in, same bytes out."""

    def __init__(self, path: Path, video: Video, *, reference: bool, sound: Sound | None = None):
        """Opens the file.

        Args:
            path: Where to write.
            video: Rate, quality and keyframes.
            reference: Write x265 at the reference's quality, else x264 at the sample's.
            sound: Sound to add as AAC, or None.
        """
        self._container = av.open(
            path, "w", options={"movflags": "+faststart", "fflags": "+bitexact"}
        )
        self._time_base = Fraction(1, video.rate_hz)
        self._stream = self._container.add_stream(
            "libx265" if reference else "libx264", rate=video.rate_hz
        )
        stream = self._stream
        size_factor = REFERENCE_SCALE if reference else 1
        stream.width, stream.height = video.width_px * size_factor, video.height_px * size_factor
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._time_base
        stream.thread_count = ENCODER_THREADS
        context = stream.codec_context
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.ITU709
        context.color_primaries = 1
        context.color_trc = 1
        context.options = _reference_options(video) if reference else _sample_options(video)
        self._audio = None
        self._sound = sound
        if sound is not None:
            layout = "stereo" if sound.shape[0] == 2 else "mono"
            self._audio = self._container.add_stream("aac", rate=SOUND_RATE_HZ, layout=layout)
            self._audio.bit_rate = SOUND_BIT_RATE

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
            self._write_sound()
        self._container.close()

    def write(self, rgb: Rgb, slot: int) -> None:
        """Encodes one picture, shown from tick `slot` of the video's rate on."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
        )
        frame.pts = slot
        frame.time_base = self._time_base
        self._container.mux(self._stream.encode(frame))

    def _write_sound(self) -> None:
        if self._audio is None or self._sound is None:
            return
        chunk = 1024
        layout = "stereo" if self._sound.shape[0] == 2 else "mono"
        for start in range(0, self._sound.shape[1], chunk):
            samples = np.ascontiguousarray(self._sound[:, start : start + chunk])
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate = SOUND_RATE_HZ
            frame.pts = start
            frame.time_base = Fraction(1, SOUND_RATE_HZ)
            self._container.mux(self._audio.encode(frame))
        self._container.mux(self._audio.encode(None))


def _sample_options(video: Video) -> dict[str, str]:
    return {
        "crf": str(video.crf),
        "preset": "medium",
        "bf": str(video.b_frames),
        "g": str(video.keyframe_interval),
        # With the macroblock tree and B-frames on, x264 wrote other bytes from run to run here.
        "x264-params": "mbtree=0",
    }


def _reference_options(video: Video) -> dict[str, str]:
    keys = f"keyint={video.keyframe_interval}:pools=none:frame-threads=1:log-level=error"
    return {"crf": str(video.reference_crf), "preset": "slow", "x265-params": keys}


def write_truth(path: Path, truth: dict[str, dict[str, Any]]) -> None:
    """Writes the truth as JSON, one frame a line so that a diff can be read."""
    videos: list[str] = []
    for name, entry in truth.items():
        head = {key: value for key, value in entry.items() if key != "frames"}
        lines = ",\n".join("      " + json.dumps(frame) for frame in entry["frames"])
        body = json.dumps(head, indent=2).rstrip("}\n").replace("\n", "\n  ")
        videos.append(f'  "{name}": {body},\n    "frames": [\n{lines}\n    ]\n  }}')
    path.write_text("{\n" + ",\n".join(videos) + "\n}\n", encoding="utf-8")
