"""`aminet.resize`: makes frames larger or smaller, in their own pixel format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from av.video.reformatter import Interpolation, VideoReformatter
from pydantic import Field, model_validator

from nodes.errors import NodeConfigError
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, Port, Segment
from nodes.picture.captions import Captions
from nodes.picture.layout import chroma_siting, pixel_layout, resolve_color
from nodes.picture.view import PictureView
from nodes.types import Frame, VideoInfo

__all__ = ["Resize", "ResizeConfig"]

_SHRINK: Final = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_ENLARGE: Final = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_MOST_PX: Final = 16384


class ResizeConfig(NodeConfig):
    """The size of the output; of width and height the one that is not given follows."""

    width_px: int | None = Field(default=None, ge=16, le=_MOST_PX)
    """Width of the output in pixels; none: by the height, with the picture's shape kept."""
    height_px: int | None = Field(default=None, ge=16, le=_MOST_PX)
    """Height of the output in pixels; none: by the width, with the picture's shape kept."""
    scale: float | None = Field(default=None, gt=0, le=16)
    """Output pixels per source pixel, in place of width and height."""

    @model_validator(mode="after")
    def _one_way(self) -> ResizeConfig:
        if self.scale is not None and (self.width_px or self.height_px):
            raise ValueError("set either scale, or width_px and height_px")
        return self


class Resize(MapNode[ResizeConfig]):
    """Resizes whole frames; without settings, or with the size that they have, it changes nothing.

    Given both sides, the picture's shape may change: its pixels then are no squares any more, so
    that it is shown as it was (`VideoInfo.sample_aspect_ratio`).
    """

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.resize",
        summary="make frames larger or smaller",
        inputs=(Port("frames", Frame),),
        outputs=(Port("frames", Frame),),
    )
    Config: ClassVar[type[NodeConfig]] = ResizeConfig

    def __init__(self, config: ResizeConfig) -> None:
        super().__init__(config)
        self._scaler: VideoReformatter | None = None
        self._view, self._captions = PictureView(), Captions()
        self._matrix = 2
        self._size = self._source = (0, 0)
        self._threads = 1

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with its new size; resized, it also names its colour matrix.

        Raises:
            NodeConfigError: the video is interlaced, or would be of no size.
            UnsupportedFormatError: the pixel format or the matrix cannot be edited in place.
        """
        info, resized = inputs["frames"], self.announce(inputs)
        self._source = info.width_px, info.height_px
        self._size = resized.width_px, resized.height_px
        if self._size == self._source:
            return info
        if info.interlaced:
            raise NodeConfigError(
                "an interlaced video cannot be resized: set decode.deinterlace=true, or enlarge it"
                " by params.scale"
            )
        self._scaler, self._threads = VideoReformatter(), max(1, segment.threads)
        self._matrix = resized.color.matrix
        self._view = PictureView(chroma=chroma_siting(resized.color)[0])
        return resized

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the video with its new size.

        Raises:
            UnsupportedFormatError: the pixel format or the matrix cannot be edited in place.
        """
        info = inputs["frames"]
        width_px, height_px = self._target(info)
        if (width_px, height_px) == (info.width_px, info.height_px):
            return info
        # Untagged video means another matrix from 720 lines on, so resizing has to name it.
        matrix, _ = resolve_color(info.color, pixel_layout(info.pix_fmt), info.height_px)
        color = replace(info.color, matrix=matrix)
        shape = info.sample_aspect_ratio
        if self.config.width_px and self.config.height_px:
            shape = shape * info.width_px * height_px / (info.height_px * width_px)
        return replace(
            info, width_px=width_px, height_px=height_px, color=color, sample_aspect_ratio=shape
        )

    def process(self, inputs: Inputs) -> Outputs:
        """Resize one frame."""
        frame = inputs.get("frames", Frame)
        if self._scaler is None:
            return {"frames": frame}
        grows = self._size[0] > self._source[0]
        picture = self._scaler.reformat(
            self._view.of(frame.picture),
            *self._size,
            interpolation=_ENLARGE if grows else _SHRINK,
            threads=self._threads,
        )
        picture.colorspace = self._matrix
        picture = self._captions.carried(frame.picture, picture)
        return {"frames": replace(frame, picture=picture)}

    def close(self) -> None:
        """Let go of swscale's context."""
        self._scaler = None

    def report(self) -> dict[str, Any]:
        """Say the size."""
        return {"size": "x".join(map(str, self._size))}

    @classmethod
    def merge_reports(cls, reports: Any) -> dict[str, Any]:
        """Return one of them: they are alike."""
        return dict(reports[-1])

    def _target(self, info: VideoInfo) -> tuple[int, int]:
        config, (width, height) = self.config, (info.width_px, info.height_px)
        wide, high = config.width_px, config.height_px
        if config.scale is not None:
            wide, high = round(width * config.scale), round(height * config.scale)
        if wide is None and high is None:
            return width, height
        wide = wide or round(width * (high or height) / height)
        high = high or round(height * wide / width)
        # Whole chroma samples; encoders of subsampled formats want them.
        layout = pixel_layout(info.pix_fmt)
        size = (
            (wide >> layout.log2_sub_x << layout.log2_sub_x) or 1 << layout.log2_sub_x,
            (high >> layout.log2_sub_y << layout.log2_sub_y) or 1 << layout.log2_sub_y,
        )
        return (width, height) if (wide, high) == (width, height) else size
