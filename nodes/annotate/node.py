"""`aminet.annotate`: draws a box, a number and a tag at each face.

Samples outside of what is drawn do not change, and a frame on which nothing is drawn goes through
as the same object. What is drawn is told to the nodes after it (`FrameChanges.drawn`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

import av
from pydantic import Field

from nodes.annotate.canvas import Canvas, Rgb
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.picture.layout import Region
from nodes.picture.regions import copy_picture
from nodes.types import Box, Frame, FrameChanges, FrameFaces, VideoInfo

__all__ = ["Annotate", "AnnotateConfig"]

_RESTORED: Final[Rgb] = (64, 200, 220)
_LEFT_ALONE: Final[Rgb] = (240, 170, 60)
_LEAST_TEXT_PX: Final = 9


class AnnotateConfig(NodeConfig):
    """What is drawn."""

    boxes: bool = True
    """Draw the outline of each face's box: blue if it was restored in this frame, else orange."""
    numbers: bool = True
    """Write the number of each face's track above its box."""
    tag: bool = True
    """Write `text` where faces were restored."""
    place: Literal["face", "corner"] = "face"
    """Where the tag is: below each restored face, or once in the lower left corner of each frame
    with restored faces."""
    text: str = Field(default="AI-restored", min_length=1, max_length=40, pattern=r"^[ -~]+$")
    """The tag, in ASCII."""
    text_px: int | None = Field(default=None, ge=6, le=200)
    """Height of the letters, px; None: a fortieth of the frame's height."""


class Annotate(MapNode[AnnotateConfig]):
    """Draws on frames, whose size may differ from that of the frames that the faces are of."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.annotate",
        summary="draw a box, a number and an AI-restored tag at each face",
        inputs=(
            Port("frames", Frame),
            Port("faces", FrameFaces, optional=True),
            Port("changes", FrameChanges, optional=True),
        ),
        outputs=(Port("frames", Frame), Port("changes", FrameChanges)),
    )
    Config: ClassVar[type[NodeConfig]] = AnnotateConfig

    def __init__(self, config: AnnotateConfig) -> None:
        super().__init__(config)
        self._canvas: Canvas | None = None
        self._scale = (1.0, 1.0)
        self._text_px = self._line_px = 0
        self._frames = self._drawn_on = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Prepare for the frames of a video.

        Raises:
            UnsupportedFormatError: the video's pixel format cannot be edited in place.
        """
        del segment
        info = inputs["frames"]
        faces = inputs.get("faces", info)
        self._canvas = Canvas(info)
        self._scale = info.width_px / faces.width_px, info.height_px / faces.height_px
        height_px = self._canvas.size_px[1]
        self._text_px = self.config.text_px or max(_LEAST_TEXT_PX, round(height_px / 40))
        self._line_px = max(2, round(height_px / 360))
        self._frames = self._drawn_on = 0
        return info

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video of the frames."""
        return inputs["frames"]

    def process(self, inputs: Inputs) -> Outputs:
        """Draw on one frame."""
        if self._canvas is None:
            raise RuntimeError("Annotate.process was called before open or after close")
        frame = inputs.get("frames", Frame)
        changes = inputs.find("changes", FrameChanges) or FrameChanges(frame.pts)
        restored = {face.track_id: face.region_xyxy_px for face in changes.faces if face.area_px}
        boxes = self._boxes(self._canvas, inputs.find("faces", FrameFaces))
        self._frames += 1
        outlined = boxes if self.config.boxes or self.config.numbers else {}
        if not outlined and not (self.config.tag and restored):
            return {"frames": frame, "changes": changes}
        picture = copy_picture(frame.picture)
        drawn: list[Region] = []
        for number, box in outlined.items():
            drawn += self._outline(self._canvas, picture, number, box, number in restored)
        if self.config.tag and restored:
            tagged = {
                number: boxes.get(number) or self._canvas.shown(region)
                for number, region in restored.items()
            }
            drawn += self._tags(self._canvas, picture, tagged)
        self._drawn_on += bool(drawn)
        return {
            "frames": replace(frame, picture=picture),
            "changes": replace(changes, drawn=(*changes.drawn, *drawn)),
        }

    def close(self) -> None:
        """Free the converter."""
        self._canvas = None

    def report(self) -> dict[str, Any]:
        """Count the frames, and those that something was drawn on."""
        return {"frames": self._frames, "annotated_frames": self._drawn_on}

    def _boxes(self, canvas: Canvas, found: FrameFaces | None) -> dict[int, Box]:
        """Return the boxes of confirmed faces as a viewer sees them, by track number."""
        faces = () if found is None else found.faces
        return {
            face.track_id: canvas.shown(face.stretched(*self._scale).box_xyxy_px)
            for face in faces
            if face.confirmed
        }

    def _outline(
        self, canvas: Canvas, picture: av.VideoFrame, number: int, box: Box, restored: bool
    ) -> list[Region]:
        drawn: list[Region] = []
        if self.config.boxes:
            color = _RESTORED if restored else _LEFT_ALONE
            drawn += canvas.frame(picture, box, color, self._line_px)
        if self.config.numbers:
            _, height = canvas.text_size(str(number), self._text_px)
            region = canvas.text(picture, str(number), box[0], box[1] - height, self._text_px)
            drawn += [] if region is None else [region]
        return drawn

    def _tags(
        self, canvas: Canvas, picture: av.VideoFrame, boxes: Mapping[int, Box]
    ) -> list[Region]:
        text, (_, height_px) = self.config.text, canvas.size_px
        _, tall = canvas.text_size(text, self._text_px)
        if self.config.place == "corner":
            places = [(tall / 2, height_px - 1.5 * tall)]
        else:
            # Below the face; above it where there is no space below.
            places = [
                (x0, y1 if y1 + tall <= height_px else y0 - tall)
                for x0, y0, _, y1 in boxes.values()
            ]
        regions = [canvas.text(picture, text, x, y, self._text_px) for x, y in places]
        return [region for region in regions if region is not None]
