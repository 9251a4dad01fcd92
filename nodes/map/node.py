"""`aminet.map` and `aminet.map_faces`: call any Python function on each picture, or each face."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import cv2
import numpy as np
import numpy.typing as npt

from nodes.frame_filter import FrameFilter
from nodes.geometry.alignment import (
    Matrix,
    compose,
    face_oval_on_grid,
    invert,
    scaling,
    similarity_scale,
    translation,
)
from nodes.geometry.face_view import warped
from nodes.map.function import FunctionConfig, FunctionNode
from nodes.node import Inputs, MapNode, NodeSpec, Outputs, Port
from nodes.picture.rgb import to_8_bit
from nodes.types import FaceOval, FacePatch, FramePatches, FrameRestored, RestoredPatch, RgbImage

__all__ = ["MapFaces", "MapFrames"]

_TOP: Final = 255


class MapFrames(
    FunctionNode,
    FrameFilter[FunctionConfig],
    type_name="aminet.map",
    summary="call a Python function on each picture, as RGB",
):
    """Calls a function on each whole picture: RGB in, RGB of the same shape and type out.

    The array has shape (height, width, 3): uint8 for 8-bit video, else uint16 in
    0..2**bit_depth - 1. Samples that the function leaves as they are keep their codes.
    """

    def filter(self, rgb: RgbImage) -> RgbImage:
        """Call the function."""
        return self.call(rgb)


class MapFaces(FunctionNode, MapNode[FunctionConfig]):
    """Calls a function on each face that `crop` cut out; `paste` puts in what it changed.

    The function gets the aligned square (`FacePatch.size_px`, uint8, eyes 38/128 of the side apart)
    and returns one of the same shape. What it changed is added to the frame inside the face's oval.
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.map_faces",
        summary="call a Python function on each face, in place of the network",
        inputs=(Port("patches", FramePatches),),
        outputs=(Port("restored", FrameRestored),),
    )

    def process(self, inputs: Inputs) -> Outputs:
        """Call the function on the faces of one frame."""
        packet = inputs.get("patches", FramePatches)
        restored = tuple(self._restored(patch) for patch in packet.patches)
        return {"restored": FrameRestored(packet.pts, restored)}

    def _restored(self, patch: FacePatch) -> RestoredPatch:
        square = warped(to_8_bit(patch.rgb, patch.bit_depth), patch.crop_from_region, patch.size_px)
        made = self.call(square.copy())
        change = (made.astype(np.float32) - square.astype(np.float32)) / np.float32(_TOP)
        x0, y0, x1, y1 = (side * patch.scale for side in patch.region_xyxy_px)
        shape = y1 - y0, x1 - x0
        square_from_region = compose(patch.crop_from_region, scaling(1 / patch.scale))
        oval = FaceOval(compose(scaling(1 / patch.size_px), square_from_region), patch.yaw_deg)
        residual = _on_grid(change, square_from_region, shape)
        residual *= face_oval_on_grid(oval.square_from_region, shape, patch.yaw_deg)[..., None]
        return RestoredPatch(
            patch.track_id,
            residual.astype(np.float16),
            (x0, y0, x1, y1),
            scale=patch.scale,
            strength=patch.strength,
            oval=oval,
        )


def _on_grid(
    change: npt.NDArray[np.float32], square_from_grid: Matrix, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Warp a square to the grid of a region, without aliasing; 0 beyond the square."""
    height, width = shape
    # Sampled finer than the region, as fine as the square is, and averaged.
    fine = max(1, math.ceil(similarity_scale(square_from_grid) - 0.25))
    grid_from_square = compose(scaling(fine), invert(square_from_grid))
    # OpenCV counts pixel centres as integers.
    shifted = compose(translation(-0.5, -0.5), compose(grid_from_square, translation(0.5, 0.5)))
    size = (width * fine, height * fine)
    large = cv2.warpAffine(change, shifted, size, flags=cv2.INTER_LINEAR)
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA) if fine > 1 else large
    return np.asarray(small, np.float32)
