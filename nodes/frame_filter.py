"""The base of nodes that take a picture and give a picture.

A whole node:

class BlurConfig(NodeConfig):
    sigma_px: float = 3.0

class Blur(FrameFilter[BlurConfig], type_name="acme.blur", summary="blur the whole picture"):
    Config = BlurConfig

    def filter(self, rgb: RgbImage) -> RgbImage:
        return cv2.GaussianBlur(rgb, (0, 0), self.config.sigma_px)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.types import ColorTags, Frame, RgbImage, VideoInfo

__all__ = ["FrameFilter"]

ConfigT_co = TypeVar("ConfigT_co", bound=NodeConfig, covariant=True)


class FrameFilter(MapNode[ConfigT_co]):
    """Changes the colours of each frame as RGB; all else of the frame stays.

    Matrix, range, bit depth and pixel format stay those of the video, and pixels that `filter`
    leaves as they are keep their codes bit for bit. Converting a whole 1080p frame to RGB and back
    takes many times as long as decoding it: a node that changes faces only is better off with their
    regions (`nodes.picture.regions`, `nodes.picture.residual`).
    """

    def __init_subclass__(
        cls,
        *,
        type_name: str = "",
        summary: str = "",
        state: State = State.STATELESS,
        warmup_s: float = 0.0,
        **more: Any,
    ) -> None:
        """Make the spec of a subclass.

        Args:
            type_name: the name that the node is registered by, such as `acme.blur`; without it the
                class is a base of others, or has a `spec` of its own.
            summary: one line for `aminet nodes`.
            state: what the node remembers from frame to frame.
            warmup_s: see `NodeSpec.warmup_s`.
            more: of other bases.
        """
        super().__init_subclass__(**more)
        if type_name:
            cls.spec = NodeSpec(
                type_name,
                summary or type_name,
                inputs=(Port("frames", Frame),),
                outputs=(Port("frames", Frame),),
                state=state,
                warmup_s=warmup_s,
            )

    def __init__(self, config: ConfigT_co) -> None:
        super().__init__(config)
        self._color = ColorTags()

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Note the video's colour tags. A subclass that overrides this calls it."""
        del segment
        info = inputs["frames"]
        self._color = info.color
        return info

    @abstractmethod
    def filter(self, rgb: RgbImage) -> RgbImage:
        """Return a picture of the same shape and type.

        Args:
            rgb: shape (height, width, 3), uint8 in 0..255 for 8-bit video, else uint16 in
                0..2**bit_depth - 1; the node's own, to change in place if it likes.
        """

    def process(self, inputs: Inputs) -> Outputs:
        """Filter one frame.

        Raises:
            ValueError: `filter` returned another shape or type.
        """
        frame = inputs.get("frames", Frame)
        filtered = self.filter(frame.rgb(self._color))
        return {"frames": frame.with_rgb(filtered, self._color)}
