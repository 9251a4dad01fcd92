"""`aminet.track`: detects the faces in every frame and tracks them.

New faces are found by a rolling scan that follows motion (`nodes.track.scan`). A known face needs
one detection per frame, in an upright square around its expected position. A face from a scan must
be detected again in such a square, and in its mirror image, before it counts; this rejects most
false detections. The same applies to tracks that are not confirmed, and to known faces with a low
score in this frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import av
import numpy as np
from pydantic import Field

from nodes.geometry.alignment import roll_deg
from nodes.node import (
    Inputs,
    NodeConfig,
    NodeSpec,
    Outputs,
    Port,
    Reader,
    Segment,
    State,
    TrackingNode,
)
from nodes.picture.layout import pixel_layout
from nodes.picture.regions import luma_samples
from nodes.reports import sum_reports
from nodes.track.close_up import FaceFinder, square_around, steady_square
from nodes.track.detector import Detection
from nodes.track.scan import RollingScan, SceneCuts
from nodes.track.stitch import SHARED_FRAMES, TrackEnds, stitch
from nodes.track.system_libraries import check_libraries
from nodes.track.tracker import (
    REMEMBER_FRAMES,
    Sighting,
    Tracker,
    TrackerParams,
    suppress_overlaps,
)
from nodes.track.views import Square, scan_squares
from nodes.types import Box, Face, Frame, FrameFaces, VideoInfo

__all__ = ["Track", "TrackConfig"]

_LUMA_COLUMNS = 160
_UPSIDE_DOWN_DEG = 120
"""A head that hangs or lies is turned by less."""


class TrackConfig(NodeConfig):
    """How faces are detected and tracked."""

    scan_interval_s: float = Field(default=0.5, gt=0)
    """Every part of the picture with motion is scanned once in this time."""
    min_face_px: float | None = Field(default=None, ge=8)
    """Width of the smallest face to detect; None: 16, or 1/45 of the shorter side if that is more.
    The cost of a whole scan grows with the square of its inverse."""
    min_score: float = Field(default=0.6, ge=0, le=1)
    """Least confidence of a new face in a close-up."""
    keep_score: float = Field(default=0.5, ge=0, le=1)
    """Least confidence of a confirmed face. Between this and `min_score` the detector is run twice,
    so that a face near the limit does not come and go."""
    scan_score: float = Field(default=0.4, ge=0, le=1)
    """Least confidence in a scan; such faces are then checked in a close-up."""
    confirm_hits: int = Field(default=3, ge=1)
    """This many detections in successive frames confirm a track, if they are enough like a face on
    average: score, mirror image and geometry. A face that is sure is confirmed at once."""
    max_gap_s: float = Field(default=0.5, ge=0)
    """For how long, or for two frames, a lost face is searched at its expected position; meanwhile
    it is not reported."""
    remember_s: float = Field(default=3.0, ge=0)
    """A face that was lost for longer than `max_gap_s` gets its number back if it appears within
    this time, or within six frames, near enough and with similar colours."""


@dataclass(slots=True)
class _VideoState:
    """State from `open` to `close`."""

    finder: FaceFinder
    tracker: Tracker
    scan: RollingScan
    cuts: SceneCuts
    step_px: int
    seconds_per_tick: float
    stretch: tuple[float, float]
    """Factors that make pixels square. Tracking is done in square pixels; faces are reported in
    pixels of the frame."""
    upright_deg: float
    """Clockwise angle of upright faces in the frame; turned by 180 when all are upside down."""
    start_pts: int | None


class Track(TrackingNode[TrackConfig]):
    """Detects and tracks faces, and sends a `FrameFaces` for every frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.track",
        summary="find the faces of every frame and follow them",
        inputs=(Port("frames", Frame),),
        outputs=(Port("faces", FrameFaces),),
        state=State.BOUNDED,
    )
    Config: ClassVar[type[NodeConfig]] = TrackConfig

    def __init__(self, config: TrackConfig) -> None:
        super().__init__(config)
        self._state: _VideoState | None = None
        self._counts = {"faces": 0, "detections": 0, "scanned_squares": 0, "cuts": 0}
        self._forget()

    def _forget(self) -> None:
        self._counts = dict.fromkeys(self._counts, 0)
        self._tracks: set[int] = set()
        # The faces at both ends, by which the segment's tracks are matched with its neighbours'.
        self._head: deque[FrameFaces] = deque(maxlen=SHARED_FRAMES)
        self._tail: deque[FrameFaces] = deque(maxlen=SHARED_FRAMES)

    def prepare(self, read: Reader) -> None:
        """Check that MediaPipe can be loaded, before any video is begun.

        Raises:
            NodeConfigError: libraries of the system are missing.
        """
        del read
        check_libraries()

    def warmup_s(self, source: VideoInfo) -> float:
        """Return for how long a face is remembered, plus the time of a scan to find it before."""
        config = self.config
        frames_s = float(REMEMBER_FRAMES / source.average_rate) if source.average_rate else 0.0
        return max(config.max_gap_s, config.remember_s, frames_s) + config.scan_interval_s

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without tracks.

        Raises:
            UnsupportedFormatError: the video's pixel format cannot be read in place.
        """
        info, config = inputs["frames"], self.config
        pixel_layout(info.pix_fmt)
        self.close()
        self._forget()
        width_px, height_px = (
            side_px * factor
            for side_px, factor in zip((info.width_px, info.height_px), info.stretch, strict=True)
        )
        upright_deg = -float(info.rotation_deg)
        squares, turned = (
            scan_squares(
                width_px,
                height_px,
                min_face_px=config.min_face_px or max(16.0, min(width_px, height_px) / 45),
                turn_deg=turn_deg,
            )
            for turn_deg in (upright_deg, upright_deg + 180)
        )
        step_px = max(1, max(info.width_px, info.height_px) // _LUMA_COLUMNS)
        self._state = _VideoState(
            finder=FaceFinder(
                info.color,
                scan_score=config.scan_score,
                min_score=config.min_score,
                keep_score=config.keep_score,
                stretch=info.stretch,
            ),
            tracker=Tracker(
                TrackerParams(
                    max_gap_s=config.max_gap_s,
                    remember_s=config.remember_s,
                    confirm_hits=1 if info.still else config.confirm_hits,
                )
            ),
            scan=RollingScan(
                squares,
                turned=turned,
                interval_s=config.scan_interval_s,
                step_px=step_px,
                stretch=info.stretch,
            ),
            cuts=SceneCuts(),
            step_px=step_px,
            seconds_per_tick=float(info.time_base),
            stretch=info.stretch,
            upright_deg=upright_deg,
            start_pts=segment.start_pts,
        )
        return info

    def process(self, inputs: Inputs) -> Outputs:
        """Report the faces of one frame."""
        state = self._opened()
        frame = inputs.get("frames", Frame)
        detections_before = state.finder.detections
        time_s = frame.pts * state.seconds_per_tick
        luma = luma_samples(frame.picture, state.step_px)
        if state.cuts.is_cut(luma):
            self._counts["cuts"] += 1
            state.tracker.cut()
            state.scan.restart()
        known = self._known_faces(state, frame.picture, time_s)
        due = state.scan.due(time_s, luma, [face.box_xyxy_px for face in known])
        found = self._scanned_faces(state, frame.picture, due, known)
        sightings = state.tracker.update(time_s, suppress_overlaps([*known, *found]))
        if _all_upside_down(sightings, state.upright_deg):
            state.upright_deg += 180
            state.scan.flip()
        self._counts["detections"] += state.finder.detections - detections_before
        x, y = state.stretch
        faces = FrameFaces(
            frame.pts, tuple(_face(sighting).stretched(1 / x, 1 / y) for sighting in sightings)
        )
        self._count(faces, state.start_pts)
        return {"faces": faces}

    def _count(self, faces: FrameFaces, start_pts: int | None) -> None:
        if start_pts is not None and faces.pts < start_pts:
            self._head.append(faces)
            self._counts = dict.fromkeys(self._counts, 0)
            return
        self._tail.append(faces)
        # Tracks that were never confirmed are not counted.
        self._tracks.update(face.track_id for face in faces.faces if face.confirmed)
        self._counts["faces"] += len(faces.faces)

    def close(self) -> None:
        """Free the detector."""
        if self._state is not None:
            self._state.finder.close()
            self._state = None

    def report(self) -> dict[str, Any]:
        """Return the number of confirmed tracks, faces, detector runs, scanned squares and cuts."""
        ends = TrackEnds(tuple(sorted(self._tracks)), _boxes(self._head), _boxes(self._tail))
        return {"tracks": len(self._tracks), **self._counts, "ends": ends.as_report()}

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Add the counts; a face that is tracked across a segment boundary is one track."""
        numbers = cls.track_numbers(reports)
        merged = sum_reports(
            [{k: v for k, v in report.items() if k != "ends"} for report in reports]
        )
        return merged | {"tracks": len({n for own in numbers for n in own.values()})}

    @classmethod
    def track_numbers(cls, reports: Sequence[Mapping[str, Any]]) -> list[dict[int, int]]:
        """See `TrackingNode`. Tracks are matched if their boxes overlap in the shared frames."""
        return stitch([TrackEnds.from_report(report["ends"]) for report in reports])

    def _opened(self) -> _VideoState:
        if self._state is None:
            raise RuntimeError("Track.process was called before open or after close")
        return self._state

    def _known_faces(
        self, state: _VideoState, picture: av.VideoFrame, time_s: float
    ) -> list[Detection]:
        """Detect the face of each live track at its expected position."""
        found: list[Detection] = []
        # If two tracks end on one face, suppression keeps the first.
        surest_first = sorted(
            state.tracker.live(time_s), key=lambda t: (t.confirmed, t.hits), reverse=True
        )
        for track in surest_first:
            box = track.expected_box(time_s)
            track.square = steady_square(track.square, square_around(box, track.last.points_px))
            close_up = state.finder.close_up(picture, box, track.square, known=track.confirmed)
            if close_up is not None:
                found.append(close_up)
        return found

    def _scanned_faces(
        self,
        state: _VideoState,
        picture: av.VideoFrame,
        squares: list[Square],
        known: list[Detection],
    ) -> list[Detection]:
        """Detect faces in squares, and check new ones in a close-up."""
        self._counts["scanned_squares"] += len(squares)
        finds = [
            find for square in squares for find in state.finder.find_in_square(picture, square)
        ]
        finds.sort(key=lambda find: find.score, reverse=True)
        fresh = [d for d in suppress_overlaps([*known, *finds]) if all(d is not k for k in known)]
        close_ups = [
            state.finder.close_up(
                picture,
                find.box_xyxy_px,
                square_around(find.box_xyxy_px, find.points_px),
                known=False,
            )
            for find in fresh
        ]
        return [close_up for close_up in close_ups if close_up is not None]


def _boxes(frames: Iterable[FrameFaces]) -> dict[int, dict[int, Box]]:
    return {
        f.pts: {face.track_id: face.box_xyxy_px for face in f.faces if face.confirmed}
        for f in frames
    }


def _all_upside_down(sightings: Sequence[Sighting], upright_deg: float) -> bool:
    """Return whether there are confirmed faces, and all are: a camera that hangs upside down."""
    rolls_deg = [roll_deg(s.points_px) for s in sightings if s.track.confirmed]
    off_deg = [abs((roll - upright_deg + 180) % 360 - 180) for roll in rolls_deg]
    return bool(off_deg) and min(off_deg) > _UPSIDE_DOWN_DEG


def _face(sighting: Sighting) -> Face:
    return Face(
        track_id=sighting.track.track_id,
        box_xyxy_px=sighting.detection.box_xyxy_px,
        points_px=sighting.points_px.astype(np.float32),
        score=sighting.detection.score,
        confirmed=sighting.track.confirmed,
        unlikely=sighting.unlikely,
    )
