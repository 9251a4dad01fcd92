"""`aminet.blur`: hides faces, and goes on hiding those that are not found for a moment.

Only the samples under the faces change. What is left of a face are the mean colours of a few parts
of it; with `method: fill` nothing is. Faces that were never found are not hidden: see
`docs/composing.md` for how many those are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from nodes.blur.cover import Method, Shape, cover
from nodes.blur.memory import FaceMemory, Spot
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment, State
from nodes.picture.captions import Captions
from nodes.picture.layout import pixel_layout
from nodes.picture.regions import copy_picture
from nodes.types import Box, Frame, FrameFaces, VideoInfo

__all__ = ["Blur", "BlurConfig"]


class BlurConfig(NodeConfig):
    """Which faces are hidden, and how."""

    method: Method = "blur"
    """`blur` and `pixelate` leave mean colours, `fill` an even gray, of which nothing can be
    reckoned back."""
    shape: Shape = "oval"
    """What is hidden of the face's box, grown by `margin`."""
    cells: int = Field(default=6, ge=1, le=64)
    """`blur` and `pixelate` leave so many mean colours across and down."""
    margin: float = Field(default=0.5, ge=0, le=5)
    """How much wider and higher than the face what is hidden is, as a share of it: 0.5 hides half
    as much again, with hair, chin and ears."""
    hold_s: float = Field(default=1.0, ge=0)
    """How long a face stays hidden where it may be when it is not found, in seconds; one that is
    found only once a fifth of it."""
    hide: Literal["all", "only", "all_but"] = "all"
    """Which faces: all, only those of `tracks`, or all but those."""
    tracks: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of faces, as the sheet and the rows of tracks show them if that run was not split
    (`run.segment_s=0`): one, or a list."""

    @field_validator("tracks", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        return (given,) if isinstance(given, int) else given

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if self.hide == "only" and not self.tracks:
            raise ValueError("hide is only, but tracks names no face: nothing would be hidden")
        if self.hide == "all" and self.tracks:
            raise ValueError("tracks names faces, but hide is all: set it to only or all_but")
        return self

    def uncut_reason(self) -> str | None:
        """Return why a video must not be cut: numbers of tracks hold for the whole of it."""
        return None if self.hide == "all" else "faces are chosen by the numbers of their tracks"


class Blur(MapNode[BlurConfig]):
    """Hides faces in frames; a frame without any goes through as it is."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.blur",
        summary="hide faces: blur, pixelate or fill them",
        inputs=(Port("frames", Frame), Port("faces", FrameFaces)),
        outputs=(Port("frames", Frame),),
        state=State.BOUNDED,
    )
    Config: ClassVar[type[NodeConfig]] = BlurConfig

    def __init__(self, config: BlurConfig) -> None:
        super().__init__(config)
        self._memory, self._captions = FaceMemory(config.hold_s), Captions()
        self._seconds_per_tick = 1.0
        self._scale = (1.0, 1.0)
        self._start_pts: int | None = None
        self._counts = {"frames": 0, "hidden": 0, "held": 0}
        self._numbers = set[int]()

    def warmup_s(self, source: VideoInfo) -> float:
        """Return how long a face is held, and as much again for how fast it was."""
        del source
        return 2 * self.config.hold_s

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start without any face. The frames may be larger than those that the faces are of.

        Raises:
            UnsupportedFormatError: the video's pixel format cannot be edited in place.
        """
        info, faces = inputs["frames"], inputs["faces"]
        pixel_layout(info.pix_fmt)
        self._memory, self._captions = FaceMemory(self.config.hold_s), Captions()
        self._seconds_per_tick = float(info.time_base)
        self._scale = info.width_px / faces.width_px, info.height_px / faces.height_px
        self._start_pts = segment.start_pts
        self._counts = dict.fromkeys(self._counts, 0)
        self._numbers = set()
        return info

    def process(self, inputs: Inputs) -> Outputs:
        """Hide the faces of one frame."""
        frame = inputs.get("frames", Frame)
        faces = inputs.get("faces", FrameFaces).faces
        spots = self._memory.update(frame.pts * self._seconds_per_tick, faces)
        self._numbers.update(spot.track_id for spot in spots)
        due = [spot for spot in spots if self._is_due(spot)]
        self._count(frame.pts, due)
        if not due:
            return {"frames": frame}
        picture, config = copy_picture(frame.picture), self.config
        for spot in due:
            box = self._grown(spot.box_xyxy_px)
            cover(picture, box, method=config.method, shape=config.shape, cells=config.cells)
        picture = self._captions.carried(frame.picture, picture)
        return {"frames": replace(frame, picture=picture)}

    def report(self) -> dict[str, Any]:
        """Count frames, hidden faces, and those of them that were not found in their frame.

        Warns of chosen numbers that no face had.
        """
        strange = sorted(set(self.config.tracks) - self._numbers)
        there = ", ".join(map(str, sorted(self._numbers - {0}))) or "none"
        warnings = [f"no face has the number {number}; there are: {there}" for number in strange]
        return {**self._counts, **({"warnings": warnings} if warnings else {})}

    def _is_due(self, spot: Spot) -> bool:
        chosen = spot.track_id in self.config.tracks
        return {"all": True, "only": chosen, "all_but": not chosen}[self.config.hide]

    def _grown(self, box: Box) -> Box:
        (x0, y0, x1, y1), (sx, sy) = box, self._scale
        more_x, more_y = (self.config.margin * side / 2 for side in (x1 - x0, y1 - y0))
        return (x0 - more_x) * sx, (y0 - more_y) * sy, (x1 + more_x) * sx, (y1 + more_y) * sy

    def _count(self, pts: int, due: list[Spot]) -> None:
        if self._start_pts is not None and pts < self._start_pts:
            return
        self._counts["frames"] += 1
        self._counts["hidden"] += len(due)
        self._counts["held"] += sum(not spot.seen for spot in due)
