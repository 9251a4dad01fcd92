"""MediaPipe's face detector (BlazeFace, short range) as a function of an image."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nodes.errors import NodeError
from nodes.track.appearance import Appearance
from nodes.track.offline import without_network
from nodes.track.system_libraries import check_libraries
from nodes.types import Box

__all__ = ["DETECTOR_SIDE_PX", "Detection", "FaceDetector", "mean_of", "mirror"]

_log = logging.getLogger(__name__)

DETECTOR_SIDE_PX: Final = 128
"""Side of the network's input, px; images are resized to it."""

_MODEL: Final = "face_detector.tflite"
_MODEL_SHA256: Final = "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f"

_CHATTER: Final = re.compile(
    rb"(INFO|WARNING): |[IW]\d{4} \d|WARNING: All log messages before|WARNING: Logging before"
)
_stderr_lock = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face in an image, in pixels of that image."""

    box_xyxy_px: Box
    points_px: npt.NDArray[np.float64]
    """Shape (4, 2): right eye, left eye, nose tip, mouth centre."""
    score: float
    appearance: Appearance | None = None
    """Colours of the face, if seen in a close-up; see `nodes.track.appearance`."""
    mirror_shift: float = 0.0
    """Largest difference of a coordinate of a point in the picture and in its mirror image, in
    widths of the box; 0 if it was not detected in both."""


_MIRRORED_POINTS: Final = (1, 0, 2, 3)


def mirror(found: Detection, width_px: float) -> Detection:
    """Convert a detection in a mirrored image to the image itself."""
    x0, y0, x1, y1 = found.box_xyxy_px
    points = found.points_px[list(_MIRRORED_POINTS)] * (-1, 1) + (width_px, 0)
    return Detection((width_px - x1, y0, width_px - x0, y1), points, found.score)


def mean_of(a: Detection, b: Detection) -> Detection:
    """Return the mean of two detections of one face: in a picture and in its mirror image."""
    x0, y0, x1, y1 = ((p + q) / 2 for p, q in zip(a.box_xyxy_px, b.box_xyxy_px, strict=True))
    points_px, score = (a.points_px + b.points_px) / 2, (a.score + b.score) / 2
    shift = float(np.abs(a.points_px - b.points_px).max()) / (x1 - x0)
    return Detection((x0, y0, x1, y1), points_px, score, a.appearance, shift)


class FaceDetector:
    """Finds upright faces in a small image. Not to be shared between threads.

    Close it: MediaPipe's own `__del__` prints tracebacks when the interpreter exits.
    """

    def __init__(self, min_score: float) -> None:
        check_libraries()  # here as well, because this may be another machine than `prepare`'s
        model = files("nodes.models").joinpath(_MODEL).read_bytes()
        got = hashlib.sha256(model).hexdigest()
        if got != _MODEL_SHA256:
            raise NodeError(
                f"{_MODEL} is damaged: SHA-256 {got}, expected {_MODEL_SHA256}: reinstall the"
                " package"
            )
        self._detector: Any = None
        try:
            without_network(lambda: self._start(model, min_score))
        except BaseException:  # an interrupt, too
            self.close()
            raise

    def _start(self, model: bytes, min_score: float) -> None:
        with _quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._image: Any = mediapipe.Image
            self._format: Any = mediapipe.ImageFormat.SRGB
            self._detector = vision.FaceDetector.create_from_options(
                vision.FaceDetectorOptions(
                    base_options=BaseOptions(model_asset_buffer=model),
                    min_detection_confidence=min_score,
                )
            )
            # The first calls write to stderr, too: once, when a tensor is not aligned in memory,
            # which calls with several sizes provoke here.
            for side_px in range(DETECTOR_SIDE_PX - 64, DETECTOR_SIDE_PX + 96, 16):
                self.detect(np.zeros((side_px, side_px, 3), np.uint8))

    def detect(self, rgb: npt.NDArray[np.uint8]) -> list[Detection]:
        """Detect faces.

        Args:
            rgb: shape (height, width, 3), contiguous.

        Returns:
            Detections in no particular order; `points_px` may be outside the image.
        """
        found = self._detector.detect(self._image(image_format=self._format, data=rgb))
        height, width = rgb.shape[:2]
        detections: list[Detection] = []
        for entry in found.detections:
            points = np.array(
                [(p.x * width, p.y * height) for p in entry.keypoints[:4]], np.float64
            )
            box = entry.bounding_box
            x, y = float(box.origin_x), float(box.origin_y)
            xyxy_px = (x, y, x + box.width, y + box.height)
            detections.append(Detection(xyxy_px, points, float(entry.categories[0].score)))
        return detections

    def close(self) -> None:
        """Free the native detector; safe to call again."""
        if self._detector is not None:
            with _quiet_stderr():
                self._detector.close()
            self._detector = None


@contextmanager
def _quiet_stderr() -> Generator[None]:
    """Redirect MediaPipe's start-up messages from stderr to this module's DEBUG log.

    Its libraries write to file descriptor 2 and have no setting for it, so that the descriptor is
    replaced meanwhile. Other lines are written to stderr afterwards.
    """
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().splitlines(keepends=True):
                if _CHATTER.match(line):
                    _log.debug("MediaPipe: %s", line.decode(errors="replace").rstrip())
                else:
                    os.write(2, line)
