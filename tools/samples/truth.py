"""Where the faces truly are: MediaPipe's detector on the sharp clips, mapped into the samples."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import mediapipe as mp
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision.face_detector import FaceDetector, FaceDetectorOptions

__all__ = ["ClipFace", "find_faces"]

DETECTOR_MEMBER = "face_detector.tflite"
LEAST_SCORE = 0.4
POINT_COUNT = 4
"""The detector's first four points: right eye, left eye, nose tip, mouth."""

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ClipFace:
    """One face in one clip frame, in clip pixels."""

    box_xyxy_px: npt.NDArray[np.float64]
    points_px: npt.NDArray[np.float64]
    """Shape (4, 2): the person's right eye, left eye, nose tip, mouth centre."""

    @property
    def nose_px(self) -> tuple[float, float]:
        """The nose's tip."""
        return float(self.points_px[2, 0]), float(self.points_px[2, 1])


def find_faces(
    frames: dict[int, Rgb], nose_px: tuple[float, float], landmarker_task: Path
) -> dict[int, ClipFace]:
    """Follows one face through a clip.

    Args:
        frames: The clip's frames by number, RGB.
        nose_px: About where the nose is in the first of them.
        landmarker_task: MediaPipe's `face_landmarker.task`, whose detector is used.

    Returns:
        The face nearest to where it was last, for every frame. A frame in which the detector
        misses it keeps the last place: the clips used here move by less than a pixel a frame.

    Raises:
        ValueError: If the first frame shows no face.
    """
    with zipfile.ZipFile(landmarker_task) as archive:
        model = archive.read(DETECTOR_MEMBER)
    options = FaceDetectorOptions(
        base_options=BaseOptions(model_asset_buffer=model), min_detection_confidence=LEAST_SCORE
    )
    found: dict[int, ClipFace] = {}
    last: ClipFace | None = None
    with FaceDetector.create_from_options(options) as detector:
        for number in sorted(frames):
            near = last.nose_px if last else nose_px
            last = _nearest(_detect(detector, frames[number]), near) or last
            if last is None:
                raise ValueError(f"no face near {nose_px} in clip frame {number}")
            found[number] = last
    return found


def _detect(detector: FaceDetector, frame: Rgb) -> list[ClipFace]:
    height, width = frame.shape[:2]
    image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
    faces: list[ClipFace] = []
    for detection in detector.detect(image).detections:
        box = detection.bounding_box
        corners = (
            box.origin_x,
            box.origin_y,
            box.origin_x + box.width,
            box.origin_y + box.height,
        )
        points = [(p.x * width, p.y * height) for p in (detection.keypoints or [])[:POINT_COUNT]]
        faces.append(ClipFace(np.asarray(corners, np.float64), np.asarray(points, np.float64)))
    return faces


def _nearest(faces: list[ClipFace], nose_px: tuple[float, float]) -> ClipFace | None:
    def distance_px(face: ClipFace) -> float:
        return float(np.hypot(*(face.points_px[2] - nose_px)))

    best = min(faces, key=distance_px, default=None)
    return best if best is not None and distance_px(best) < 40 else None
