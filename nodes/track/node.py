"""`aminet.track`: finds the faces of every frame and follows them.

Looking for new faces is a rolling scan with motion (`nodes.track.scan`); a face that is known costs
one detection a frame, in a square around where it should be, turned upright. What a scan finds must
be found again in such a square before it counts, in the picture and in its mirror image: a face
looks like one from both sides, a shoulder or a church window seldom does. So must a track until it
is confirmed, and a known face that the detector is not sure of in this frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import av
import numpy as np
from pydantic import Field

from nodes.node import Inputs, NodeConfig, NodeSpec, Outputs, Port, Segment, State, TrackingNode
from nodes.picture.layout import pixel_layout
from nodes.picture.regions import luma_samples
from nodes.reports import sum_reports
from nodes.track.close_up import FaceFinder, square_around, steady_square
from nodes.track.detector import Box, Detection
from nodes.track.scan import RollingScan, SceneCuts
from nodes.track.stitch import SHARED_FRAMES, TrackEnds, stitch
from nodes.track.tracker import Sighting, Tracker, TrackerParams, suppress_overlaps
from nodes.track.views import Square, scan_squares
from nodes.types import Face, Frame, FrameFaces, VideoInfo

__all__ = ["Track", "TrackConfig"]

_LUMA_COLUMNS = 160


class TrackConfig(NodeConfig):
    """How faces are looked for and followed."""

    scan_interval_s: float = Field(default=0.5, gt=0)
    """Every part of the picture is looked at once in this time, if something moved there."""
    min_face_px: float | None = Field(default=None, ge=8)
    """Width of the smallest face to look for; none: 16, or 1/45 of the shorter side if that is
    more. The cost of a whole scan grows with the square of its inverse."""
    min_score: float = Field(default=0.6, ge=0, le=1)
    """Least confidence at which a face counts when seen close up."""
    keep_score: float = Field(default=0.5, ge=0, le=1)
    """Least confidence at which a confirmed face goes on to count; between this and `min_score` it
    is looked at twice, so that a face near the limit does not come and go."""
    scan_score: float = Field(default=0.4, ge=0, le=1)
    """Least confidence at which a scan's find is looked at close up."""
    confirm_score: float = Field(default=0.8, ge=0, le=1)
    """One detection this sure is believed at once."""
    confirm_hits: int = Field(default=3, ge=1)
    """So many detections in successive frames are believed whatever their scores."""
    max_gap_s: float = Field(default=0.5, ge=0)
    """A face that is lost is looked for where it should be for so long; it is not reported."""
    remember_s: float = Field(default=3.0, ge=0)
    """A face lost for longer than `max_gap_s` that comes back in this time, near enough and with
    like colours, gets its number back."""


@dataclass(slots=True)
class _Stretch:
    """Everything that lives from `open` to `close`."""

    finder: FaceFinder
    tracker: Tracker
    scan: RollingScan
    cuts: SceneCuts
    step_px: int
    seconds_per_tick: float
    stretch: tuple[float, float]
    """Makes pixels square: all is followed in those, and reported in the frame's own."""
    upright_deg: float
    start_pts: int | None


class Track(TrackingNode[TrackConfig]):
    """Finds and follows faces; every frame gets a `FrameFaces`, mostly of the same numbers."""

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
        self._stretch: _Stretch | None = None
        self._counts = {"faces": 0, "detections": 0, "scanned_squares": 0, "cuts": 0}
        self._forget()

    def _forget(self) -> None:
        self._counts = dict.fromkeys(self._counts, 0)
        self._tracks: set[int] = set()
        # The faces at both ends, by which the segment's tracks are matched with its neighbours'.
        self._head: deque[FrameFaces] = deque(maxlen=SHARED_FRAMES)
        self._tail: deque[FrameFaces] = deque(maxlen=SHARED_FRAMES)

    def warmup_s(self, source: VideoInfo) -> float:
        """Return how long a face is remembered, and may take to be found before that."""
        del source
        config = self.config
        return max(config.max_gap_s, config.remember_s) + config.scan_interval_s

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without any track, with a detector of its own.

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
        squares = scan_squares(
            width_px,
            height_px,
            min_face_px=config.min_face_px or max(16.0, min(width_px, height_px) / 45),
            turn_deg=upright_deg,
        )
        step_px = max(1, max(info.width_px, info.height_px) // _LUMA_COLUMNS)
        self._stretch = _Stretch(
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
                    confirm_score=config.confirm_score,
                    confirm_hits=1 if info.still else config.confirm_hits,
                )
            ),
            scan=RollingScan(
                squares,
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
        stretch = self._opened()
        frame = inputs.get("frames", Frame)
        looked = stretch.finder.detections
        time_s = frame.pts * stretch.seconds_per_tick
        luma = luma_samples(frame.picture, stretch.step_px)
        if stretch.cuts.is_cut(luma):
            self._counts["cuts"] += 1
            stretch.tracker.cut()
            stretch.scan.restart()
        known = self._known_faces(stretch, frame.picture, time_s)
        due = stretch.scan.due(time_s, luma, [face.box_xyxy_px for face in known])
        found = self._scanned_faces(stretch, frame.picture, due, known)
        sightings = stretch.tracker.update(time_s, suppress_overlaps([*known, *found]))
        self._counts["detections"] += stretch.finder.detections - looked
        x, y = stretch.stretch
        faces = FrameFaces(
            frame.pts, tuple(_face(sighting).stretched(1 / x, 1 / y) for sighting in sightings)
        )
        self._count(faces, stretch.start_pts)
        return {"faces": faces}

    def _count(self, faces: FrameFaces, start_pts: int | None) -> None:
        if start_pts is not None and faces.pts < start_pts:
            self._head.append(faces)
            self._counts = dict.fromkeys(self._counts, 0)
            return
        self._tail.append(faces)
        # One look that was never repeated is not a face that was followed.
        self._tracks.update(face.track_id for face in faces.faces if face.confirmed)
        self._counts["faces"] += len(faces.faces)

    def close(self) -> None:
        """Free the detector."""
        if self._stretch is not None:
            self._stretch.finder.close()
            self._stretch = None

    def report(self) -> dict[str, Any]:
        """Count confirmed tracks, faces (over all frames), detector runs, scanned squares, cuts."""
        ends = TrackEnds(tuple(sorted(self._tracks)), _boxes(self._head), _boxes(self._tail))
        return {"tracks": len(self._tracks), **self._counts, "ends": ends.as_report()}

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Add the counts up; a face followed over a cut between segments is one track."""
        numbers = cls.track_numbers(reports)
        merged = sum_reports(
            [{k: v for k, v in report.items() if k != "ends"} for report in reports]
        )
        return merged | {"tracks": len({n for own in numbers for n in own.values()})}

    @classmethod
    def track_numbers(cls, reports: Sequence[Mapping[str, Any]]) -> list[dict[int, int]]:
        """See `TrackingNode`; tracks are the same whose boxes overlap in the shared frames."""
        return stitch([TrackEnds.from_report(report["ends"]) for report in reports])

    def _opened(self) -> _Stretch:
        if self._stretch is None:
            raise RuntimeError("Track.process was called before open or after close")
        return self._stretch

    def _known_faces(
        self, stretch: _Stretch, picture: av.VideoFrame, time_s: float
    ) -> list[Detection]:
        """Look for each live track where it should be."""
        found: list[Detection] = []
        # Of two that end on one face, suppression keeps the better.
        surest_first = sorted(
            stretch.tracker.live(time_s), key=lambda t: (t.confirmed, t.hits), reverse=True
        )
        for track in surest_first:
            box = track.expected_box(time_s)
            track.square = steady_square(track.square, square_around(box, track.last.points_px))
            close_up = stretch.finder.close_up(picture, box, track.square, known=track.confirmed)
            if close_up is not None:
                found.append(close_up)
        return found

    def _scanned_faces(
        self,
        stretch: _Stretch,
        picture: av.VideoFrame,
        squares: list[Square],
        known: list[Detection],
    ) -> list[Detection]:
        """Look for faces in squares, and again close up at those that are not known yet."""
        self._counts["scanned_squares"] += len(squares)
        finds = [find for square in squares for find in stretch.finder.in_square(picture, square)]
        finds.sort(key=lambda find: find.score, reverse=True)
        fresh = [d for d in suppress_overlaps([*known, *finds]) if all(d is not k for k in known)]
        close_ups = [
            stretch.finder.close_up(
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


def _face(sighting: Sighting) -> Face:
    return Face(
        track_id=sighting.track.track_id,
        box_xyxy_px=sighting.detection.box_xyxy_px,
        points_px=sighting.points_px.astype(np.float32),
        score=sighting.detection.score,
        confirmed=sighting.track.confirmed,
    )
