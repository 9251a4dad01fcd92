"""`aminet.track`: finds the faces of every frame and follows them.

Looking for new faces is a rolling scan with motion (`nodes.scan`); a face that is known costs one
detection a frame, in a square around where it should be, turned upright. What a scan finds must be
found again in such a square before it counts, which both weeds out false alarms and gives the
points at the precision the alignment needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import av
import numpy as np
from pydantic import Field

from nodes.detector import Detection, FaceDetector
from nodes.geometry import roll_deg
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.pixels import RegionReader, luma_samples, pixel_layout
from nodes.scan import RollingScan, SceneCuts
from nodes.tracker import Sighting, Tracker, TrackerParams, suppress_overlaps
from nodes.types import Face, Frame, FrameFaces, VideoInfo
from nodes.views import Square, cut_view, scan_squares

__all__ = ["Track", "TrackConfig"]

_VIEW_OF_FACE = 2.5
"""Side of the square around a known face, in widths of its box."""
_TURN_STEP_DEG = 15
"""Views are turned in steps, so that the points' noise does not turn the view."""
_LUMA_COLUMNS = 160


class TrackConfig(NodeConfig):
    """How faces are looked for and followed."""

    scan_interval_s: float = Field(default=0.5, gt=0)
    """Every part of the picture is looked at once in this time, if something moved there."""
    min_face_px: float | None = Field(default=None, ge=8)
    """Width of the smallest face to look for; none: 20, or 1/36 of the shorter side if that is
    more. The cost of a scan grows with the square of its inverse."""
    min_score: float = Field(default=0.6, ge=0, le=1)
    """Least confidence at which a face counts when seen close up."""
    scan_score: float = Field(default=0.4, ge=0, le=1)
    """Least confidence at which a scan's find is looked at close up."""
    confirm_score: float = Field(default=0.8, ge=0, le=1)
    """One detection this sure is believed at once."""
    confirm_hits: int = Field(default=3, ge=1)
    """So many detections are believed whatever their scores."""
    max_gap_s: float = Field(default=0.5, ge=0)
    """A face lost for longer gets a new number; while lost it is not reported."""


@dataclass(slots=True)
class _Stretch:
    """Everything that lives from `open` to `close`."""

    detector: FaceDetector
    reader: RegionReader
    tracker: Tracker
    scan: RollingScan
    cuts: SceneCuts
    step_px: int
    seconds_per_tick: float
    upright_deg: float


class Track(MapNode[TrackConfig]):
    """Finds and follows faces; every frame gets a `FrameFaces`, mostly of the same numbers."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.track",
        summary="find the faces of every frame and follow them",
        inputs=(Port("frames", Frame),),
        outputs=(Port("faces", FrameFaces),),
        state=State.BOUNDED,
        warmup_s=1.0,
    )
    Config: ClassVar[type[NodeConfig]] = TrackConfig

    def __init__(self, config: TrackConfig) -> None:
        super().__init__(config)
        self._stretch: _Stretch | None = None
        self._counts = {"tracks": 0, "faces": 0, "detections": 0, "scanned_squares": 0, "cuts": 0}

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without any track, with a detector of its own.

        Raises:
            UnsupportedFormatError: the video's pixel format cannot be read in place.
        """
        del segment
        info, config = inputs["frames"], self.config
        pixel_layout(info.pix_fmt)
        self.close()
        self._counts = dict.fromkeys(self._counts, 0)
        shorter_px = min(info.width_px, info.height_px)
        upright_deg = -float(info.rotation_deg)
        squares = scan_squares(
            info.width_px,
            info.height_px,
            min_face_px=config.min_face_px or max(20.0, shorter_px / 36),
            turn_deg=upright_deg,
        )
        step_px = max(1, max(info.width_px, info.height_px) // _LUMA_COLUMNS)
        self._stretch = _Stretch(
            detector=FaceDetector(config.scan_score),
            reader=RegionReader(info.color),
            tracker=Tracker(
                TrackerParams(
                    max_gap_s=config.max_gap_s,
                    confirm_score=config.confirm_score,
                    confirm_hits=config.confirm_hits,
                )
            ),
            scan=RollingScan(squares, interval_s=config.scan_interval_s, step_px=step_px),
            cuts=SceneCuts(),
            step_px=step_px,
            seconds_per_tick=float(info.time_base),
            upright_deg=upright_deg,
        )
        return info

    def process(self, inputs: Inputs) -> Outputs:
        """Report the faces of one frame."""
        stretch = self._opened()
        frame = inputs.get("frames", Frame)
        time_s = frame.pts * stretch.seconds_per_tick
        luma = luma_samples(frame.picture, stretch.step_px)
        if stretch.cuts.is_cut(luma):
            self._counts["cuts"] += 1
            stretch.tracker.cut()
            stretch.scan.restart()
        stretch.tracker.expire(time_s)
        known = self._known_faces(stretch, frame.picture, time_s)
        found = self._scanned_faces(stretch, frame.picture, stretch.scan.due(time_s, luma), known)
        sightings = stretch.tracker.update(time_s, suppress_overlaps([*known, *found]))
        self._counts["faces"] += len(sightings)
        self._counts["tracks"] = stretch.tracker.started
        return {"faces": FrameFaces(frame.pts, tuple(_face(sighting) for sighting in sightings))}

    def close(self) -> None:
        """Free the detector."""
        if self._stretch is not None:
            self._stretch.detector.close()
            self._stretch = None

    def report(self) -> dict[str, Any]:
        """Count tracks, faces (over all frames), detector runs, squares scanned, scene cuts."""
        return dict(self._counts)

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
            stretch.tracker.live, key=lambda track: (track.confirmed, track.hits), reverse=True
        )
        for track in surest_first:
            turn_deg = roll_deg(track.last.points_px)
            close_up = self._close_up(stretch, picture, track.expected_box(time_s), turn_deg)
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
        finds = [find for square in squares for find in self._detect(stretch, picture, square)]
        finds.sort(key=lambda find: find.score, reverse=True)
        fresh = [d for d in suppress_overlaps([*known, *finds]) if all(d is not k for k in known)]
        close_ups = [
            self._close_up(stretch, picture, find.box_xyxy_px, roll_deg(find.points_px))
            for find in fresh
        ]
        return [close_up for close_up in close_ups if close_up is not None]

    def _close_up(
        self,
        stretch: _Stretch,
        picture: av.VideoFrame,
        box: tuple[float, float, float, float],
        turn_deg: float,
    ) -> Detection | None:
        """Detect in a square around a face; the find nearest its middle, if it is sure enough."""
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        width_px = box[2] - box[0]
        turn_deg = round(turn_deg / _TURN_STEP_DEG) * _TURN_STEP_DEG
        finds = [
            (float(np.hypot(*(_centre(find) - centre))), find)
            for find in self._detect(
                stretch, picture, Square(centre, _VIEW_OF_FACE * width_px, turn_deg)
            )
            if find.score >= self.config.min_score
        ]
        if not finds:
            return None
        distance_px, nearest = min(finds, key=lambda item: item[0])
        return nearest if distance_px <= 0.7 * width_px else None

    def _detect(self, stretch: _Stretch, picture: av.VideoFrame, square: Square) -> list[Detection]:
        view = cut_view(stretch.reader, picture, square)
        if view is None:
            return []
        self._counts["detections"] += 1
        finds = [view.to_frame(find) for find in stretch.detector.detect(view.rgb)]
        width_px, height_px = picture.width, picture.height
        return [
            find
            for find in finds
            if 0 <= _centre(find)[0] < width_px and 0 <= _centre(find)[1] < height_px
        ]


def _centre(find: Detection) -> np.ndarray[Any, np.dtype[np.float64]]:
    x0, y0, x1, y1 = find.box_xyxy_px
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])


def _face(sighting: Sighting) -> Face:
    return Face(
        track_id=sighting.track.track_id,
        box_xyxy_px=sighting.detection.box_xyxy_px,
        points_px=sighting.points_px.astype(np.float32),
        score=sighting.detection.score,
        confirmed=sighting.track.confirmed,
    )
