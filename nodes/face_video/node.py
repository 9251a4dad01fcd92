"""`aminet.face_video`: writes a video of each face, in which it stays in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Final

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.error import FFmpegError
from av.video import VideoStream
from av.video.reformatter import ColorRange, Colorspace
from pydantic import Field

from nodes.errors import WriteError
from nodes.face_video.join import join_clips
from nodes.geometry.face_view import FaceViewer
from nodes.join import SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.picture.rgb import to_8_bit
from nodes.types import Frame, FrameFaces, VideoInfo

__all__ = ["FaceVideo", "FaceVideoConfig"]

FOLDER: Final = ".face_videos"
_FORGET_S: Final = 2.0
"""After so long without its face a file is closed, so that few encoders are open."""
_BT709: Final = 1
_RATE: Final = Fraction(25)


class FaceVideoConfig(NodeConfig):
    """What the videos of faces look like."""

    size_px: int = Field(default=256, ge=32, le=1024, multiple_of=2)
    """Width and height of the videos, in pixels."""
    margin: float = Field(default=0.6, ge=0, le=4)
    """How much more than the face they show, as a share of the square around it."""
    crf: int = Field(default=16, ge=0, le=51)
    """Quality of H.264: 0 is lossless, 16 looks like its source, 51 is the worst."""


@dataclass(slots=True)
class _Clip:
    """A file with a face's pictures, from when it appears until it is gone for a while."""

    track_id: int
    path: Path
    time_base: Fraction
    first_pts: int
    last_pts: int
    container: OutputContainer
    stream: VideoStream
    pictures: int = field(default=0)

    def entry(self) -> dict[str, Any]:
        """Return what `join` has to know."""
        return {
            "track_id": self.track_id,
            "file": self.path.name,
            "time_base": str(self.time_base),
            "first_pts": self.first_pts,
            "pictures": self.pictures,
        }


class FaceVideo(SinkNode[FaceVideoConfig]):
    """Writes `OUT.face_videos/0001.mp4` for face 1, and so on: H.264 in 8 bits.

    Each frame in which the face is found is a picture; while it is not, the one before stays. The
    first is at time 0, and the file's title says where in the video that is. Faces that are never
    confirmed (`Face.track_id` 0) are left out.
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.face_video",
        summary="write a stabilised video of each face",
        inputs=(Port("frames", Frame), Port("faces", FrameFaces)),
    )
    Config: ClassVar[type[NodeConfig]] = FaceVideoConfig
    endings: ClassVar[tuple[str, ...]] = (f"{FOLDER}/[0-9]*[0-9].mp4",)

    def __init__(self, config: FaceVideoConfig) -> None:
        super().__init__(config)
        self._viewer: FaceViewer | None = None
        self._info: VideoInfo | None = None
        self._folder = Path()
        self._open: dict[int, _Clip] = {}
        self._done: list[_Clip] = []

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without any face.

        Raises:
            UnsupportedFormatError: the video's pixel format or matrix cannot be read in place.
        """
        info = inputs["frames"]
        self._viewer = FaceViewer(self.config.size_px, self.config.margin, info, inputs["faces"])
        self._info, self._folder = info, segment.work_dir
        self._open, self._done = {}, []
        return info

    def process(self, inputs: Inputs) -> None:
        """Add the faces of one frame to their videos.

        Raises:
            WriteError: a file cannot be written.
        """
        if self._viewer is None or self._info is None:
            raise RuntimeError("FaceVideo.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        for face in inputs.get("faces", FrameFaces).faces:
            if face.track_id == 0:
                continue
            rgb = self._viewer.rgb(frame.picture, self._viewer.view_from_frame(face))
            if rgb is not None:
                self._add(face.track_id, frame, to_8_bit(rgb, self._info.bit_depth), self._info)
        for clip in [*self._open.values()]:
            if (frame.pts - clip.last_pts) * float(clip.time_base) > _FORGET_S:
                self._end(self._open.pop(clip.track_id))

    def finish(self) -> None:
        """Complete all files.

        Raises:
            WriteError: a file cannot be written.
        """
        for track_id in [*self._open]:
            self._end(self._open.pop(track_id))

    def close(self) -> None:
        """Remove unfinished files."""
        for clip in self._open.values():
            clip.container.close()
            clip.path.unlink(missing_ok=True)
        self._viewer, self._open = None, {}

    def report(self) -> dict[str, Any]:
        """Return the segment's files."""
        return {"clips": [clip.entry() for clip in self._done]}

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Count the pictures of all faces."""
        clips = [clip for report in reports for clip in report["clips"]]
        return {"pictures": sum(clip["pictures"] for clip in clips)}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Join the videos of each face, without encoding them again.

        Raises:
            MediaError: two machines encoded the parts in ways that do not fit together.
            WriteError: a file cannot be written.
        """
        del config
        clips: dict[int, list[tuple[Path, dict[str, Any]]]] = {}
        for part in parts:
            for clip in part.report["clips"]:
                number = part.track_numbers.get(clip["track_id"], clip["track_id"])
                clips.setdefault(number, []).append((part.folder / clip["file"], clip))
        made: dict[str, Path] = {}
        for number, own in sorted(clips.items()):
            target = folder / f"{number:04}.mp4"
            join_clips(number, own, target)
            made[f"{FOLDER}/{target.name}"] = target
        return made

    def _add(
        self, track_id: int, frame: Frame, rgb: npt.NDArray[np.uint8], info: VideoInfo
    ) -> None:
        try:
            clip = self._open.get(track_id)
            if clip is None:
                path = self._folder / f"{track_id:04}-{len(self._done) + len(self._open)}.nut"
                clip = self._open[track_id] = self._started(path, track_id, frame.pts, info)
            picture = _coded_picture(rgb)
            picture.pts, picture.time_base = frame.pts - clip.first_pts, info.time_base
            picture.duration = frame.duration_ticks
            clip.container.mux(clip.stream.encode(picture))
        except (FFmpegError, OSError) as error:
            raise WriteError(f"{self._folder}: cannot write ({error.strerror})") from error
        clip.last_pts = frame.pts
        clip.pictures += 1

    def _started(self, path: Path, track_id: int, pts: int, info: VideoInfo) -> _Clip:
        container = av.open(path, "w", format="nut")
        # Without B-frames the packets of parts follow one another as they are; what x264 makes
        # depends on its number of threads.
        options = {"crf": str(self.config.crf), "preset": "fast", "bf": "0"}
        stream = container.add_stream("libx264", rate=info.average_rate or _RATE, options=options)
        context = stream.codec_context
        context.width = context.height = self.config.size_px
        context.pix_fmt, context.time_base, context.thread_count = "yuv420p", info.time_base, 1
        context.colorspace, context.color_range = _BT709, ColorRange.MPEG
        context.color_primaries, context.color_trc = info.color.primaries, info.color.transfer
        return _Clip(track_id, path, info.time_base, pts, pts, container, stream)

    def _end(self, clip: _Clip) -> None:
        try:
            clip.container.mux(clip.stream.encode(None))
            clip.container.close()
        except (FFmpegError, OSError) as error:
            clip.path.unlink(missing_ok=True)
            raise WriteError(f"{clip.path}: cannot write ({error.strerror})") from error
        self._done.append(clip)


def _coded_picture(rgb: npt.NDArray[np.uint8]) -> av.VideoFrame:
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return picture.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
