"""`aminet.track`: finds the faces of every frame and follows them.

Looking for new faces is a rolling scan with motion (`nodes.track.scan`); a face that is known costs one
detection a frame, in a square around where it should be, turned upright. What a scan finds must be
found again in such a square before it counts, in the picture and in its mirror image: a face looks
like one from both sides, a shoulder or a church window seldom does. So must a track until it is
confirmed, and a known face that the detector is not sure of in this frame.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import av
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nodes.geometry.alignment import roll_deg
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.picture.regions import RegionReader, luma_samples, pixel_layout
from nodes.reports import added
from nodes.track.appearance import appearance_of
from nodes.track.detector import Box, Detection, FaceDetector, mean_of, mirror
from nodes.track.scan import RollingScan, SceneCuts
from nodes.track.stitch import SHARED_FRAMES, TrackEnds, stitch
from nodes.track.tracker import Sighting, Tracker, TrackerParams, suppress_overlaps
from nodes.track.views import Square, View, cut_view, scan_squares
from nodes.types import Face, Frame, FrameFaces, VideoInfo

__all__ = ["Track", "TrackConfig"]

_VIEW_OF_FACE = 3.5
"""Side of the square around a known face, in widths of its box. At 2.5 the samples' small
and turned faces are lost in up to half of the frames, at 3.5 in 3 %; 4 finds no more."""
_LEAST_VIEW_PX = 96.0
"""Smaller squares would have to be enlarged: of faces 14 to 20 px wide 75 % are found in a square
of 96 px, 54 % in one of 3.5 widths, 68 % in one of 64 px, 66 % in one of 128 px."""
_STEADY = 0.06
"""Share of its side by which the square around a known face may be off before it follows."""
_SAME_PLACE = 0.7
"""Farthest a close-up's find may lie from where it was looked for, in widths of the box."""
_SAME_SIZE = 1.7
"""Most that its width may differ by, as a factor."""
_TURN_STEP_DEG = 15
"""Views are turned in steps, so that the points' noise does not turn the view."""
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

    detector: FaceDetector
    reader: RegionReader
    tracker: Tracker
    scan: RollingScan
    cuts: SceneCuts
    step_px: int
    seconds_per_tick: float
    upright_deg: float
    start_pts: int | None


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
        self._counts = {"faces": 0, "detections": 0, "scanned_squares": 0, "cuts": 0}
        self._forget()

    def _forget(self) -> None:
        self._counts = dict.fromkeys(self._counts, 0)
        self._tracks: set[int] = set()
        # The faces at both ends, by which the segment's tracks are matched with its neighbours'.
        self._head: deque[FrameFaces] = deque(maxlen=SHARED_FRAMES)
        self._tail: deque[FrameFaces] = deque(maxlen=SHARED_FRAMES)

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without any track, with a detector of its own.

        Raises:
            UnsupportedFormatError: the video's pixel format cannot be read in place.
        """
        info, config = inputs["frames"], self.config
        pixel_layout(info.pix_fmt)
        self.close()
        self._forget()
        shorter_px = min(info.width_px, info.height_px)
        upright_deg = -float(info.rotation_deg)
        squares = scan_squares(
            info.width_px,
            info.height_px,
            min_face_px=config.min_face_px or max(16.0, shorter_px / 45),
            turn_deg=upright_deg,
        )
        step_px = max(1, max(info.width_px, info.height_px) // _LUMA_COLUMNS)
        self._stretch = _Stretch(
            detector=FaceDetector(config.scan_score),
            reader=RegionReader(info.color),
            tracker=Tracker(
                TrackerParams(
                    max_gap_s=config.max_gap_s,
                    remember_s=config.remember_s,
                    confirm_score=config.confirm_score,
                    confirm_hits=1 if info.still else config.confirm_hits,
                )
            ),
            scan=RollingScan(squares, interval_s=config.scan_interval_s, step_px=step_px),
            cuts=SceneCuts(),
            step_px=step_px,
            seconds_per_tick=float(info.time_base),
            upright_deg=upright_deg,
            start_pts=segment.start_pts,
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
        known = self._known_faces(stretch, frame.picture, time_s)
        due = stretch.scan.due(time_s, luma, [face.box_xyxy_px for face in known])
        found = self._scanned_faces(stretch, frame.picture, due, known)
        sightings = stretch.tracker.update(time_s, suppress_overlaps([*known, *found]))
        faces = FrameFaces(frame.pts, tuple(_face(sighting) for sighting in sightings))
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
            self._stretch.detector.close()
            self._stretch = None

    def report(self) -> dict[str, Any]:
        """Count confirmed tracks, faces (over all frames), detector runs, scanned squares, cuts."""
        ends = TrackEnds(tuple(sorted(self._tracks)), _boxes(self._head), _boxes(self._tail))
        return {"tracks": len(self._tracks), **self._counts, "ends": ends.as_report()}

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Add the counts up; a face followed over a cut between segments is one track."""
        numbers = stitch([TrackEnds.from_report(report["ends"]) for report in reports])
        merged = added([{k: v for k, v in report.items() if k != "ends"} for report in reports])
        return merged | {"tracks": len({n for own in numbers for n in own.values()})}

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
            track.square = _steady(track.square, _around(box, track.last.points_px))
            close_up = self._close_up(stretch, picture, box, track.square, known=track.confirmed)
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
            self._close_up(
                stretch,
                picture,
                find.box_xyxy_px,
                _around(find.box_xyxy_px, find.points_px),
                known=False,
            )
            for find in fresh
        ]
        return [close_up for close_up in close_ups if close_up is not None]

    def _close_up(
        self, stretch: _Stretch, picture: av.VideoFrame, box: Box, square: Square, *, known: bool
    ) -> Detection | None:
        """Look at a place close up; at one that is not `known` to be a face, twice."""
        view = cut_view(stretch.reader, picture, square)
        if view is None:
            return None
        first = _nearest(self._look(stretch, picture, view), box)
        if first is None or (known and first.score >= self.config.min_score):
            return first
        second = _nearest(self._look(stretch, picture, view, mirrored=True), first.box_xyxy_px)
        if second is None:
            return None
        both = mean_of(first, second)
        least = self.config.keep_score if known else self.config.min_score
        return both if both.score >= least else None

    def _detect(self, stretch: _Stretch, picture: av.VideoFrame, square: Square) -> list[Detection]:
        view = cut_view(stretch.reader, picture, square)
        return [] if view is None else self._look(stretch, picture, view)

    def _look(
        self, stretch: _Stretch, picture: av.VideoFrame, view: View, *, mirrored: bool = False
    ) -> list[Detection]:
        """Return the faces in a view whose middle lies in the frame, in the frame's pixels."""
        self._counts["detections"] += 1
        if mirrored:
            side_px = view.rgb.shape[1]
            flipped = stretch.detector.detect(np.ascontiguousarray(view.rgb[:, ::-1]))
            inside_view = [mirror(find, side_px) for find in flipped]
        else:
            inside_view = stretch.detector.detect(view.rgb)
            inside_view = [
                replace(find, appearance=appearance_of(view.rgb, find.box_xyxy_px))
                for find in inside_view
            ]
        finds = [view.to_frame(find) for find in inside_view]
        size_px = np.array([picture.width, picture.height])
        centres = [np.array(_centre(find.box_xyxy_px)) for find in finds]
        return [
            find
            for find, centre in zip(finds, centres, strict=True)
            if (centre >= 0).all() and (centre < size_px).all()
        ]


def _nearest(finds: list[Detection], box: Box) -> Detection | None:
    """Return the find nearest the middle of a box, of those that may be the same face."""
    middle, width_px = np.array(_centre(box)), box[2] - box[0]
    alike = [
        (float(np.hypot(*(_centre(find.box_xyxy_px) - middle))), find)
        for find in finds
        if 1 / _SAME_SIZE < (find.box_xyxy_px[2] - find.box_xyxy_px[0]) / width_px < _SAME_SIZE
    ]
    distance_px, nearest = min(alike, key=lambda item: item[0], default=(math.inf, None))
    return nearest if distance_px <= _SAME_PLACE * width_px else None


def _around(box: Box, points_px: npt.NDArray[np.float64]) -> Square:
    """Return the square to look at a face in: upright, as large as serves the detector best."""
    turn_deg = round(roll_deg(points_px) / _TURN_STEP_DEG) * _TURN_STEP_DEG
    return Square(_centre(box), max(_VIEW_OF_FACE * (box[2] - box[0]), _LEAST_VIEW_PX), turn_deg)


def _steady(before: Square | None, wanted: Square) -> Square:
    """Stay with the square before while it does as well.

    The detector's answer moves with the square it is shown, by some hundredths of a face: seen
    through the same square, a face that stays where it is does stay.
    """
    if before is None or before.turn_deg != wanted.turn_deg:
        return wanted
    moved_px = math.dist(before.centre_px, wanted.centre_px)
    grown = wanted.side_px / before.side_px
    alike = moved_px < _STEADY * wanted.side_px and 1 / (1 + _STEADY) < grown < 1 + _STEADY
    return before if alike else wanted


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


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
