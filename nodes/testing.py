"""`check_node`: what every node keeps to, as a test that other packages can run on theirs.

    def test_my_node():
        check_node(MyNode, strength=0.5)

It makes a short video with one moving face, in 8 and in 10 bits, takes the node through it as a
runner would, and says in an `AssertionError` what the node does not keep to: two runs give the
same; a video cut into segments gives what it gives in one piece; the packets that the node is given
are as they were; its answers have the right ports, types and times; it pickles; it closes after an
error and can be opened again; its configuration is frozen and documented.
"""

from __future__ import annotations

import json
import pickle
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import av
import numpy as np
from pydantic import ValidationError

from nodes.geometry.alignment import compose, crop_from_frame, translation
from nodes.join import SegmentPart
from nodes.node import (
    API_VERSION,
    Inputs,
    MapNode,
    Node,
    NodeConfig,
    Outputs,
    PoolNode,
    Port,
    Segment,
    SinkNode,
    SourceNode,
    State,
    Timed,
)
from nodes.types import (
    ColorTags,
    Face,
    FacePatch,
    Frame,
    FrameFaces,
    FramePatches,
    FrameRestored,
    FusedPatches,
    RestoredPatch,
    VideoInfo,
)

__all__ = ["check_node", "sample_info", "sample_packets"]

SIZE_PX: Final = (128, 96)
FRAMES: Final = 12
_TICKS: Final = 40
"""A frame lasts so many ticks of 1/1000 s."""

Packets = Mapping[type, Sequence[Timed]]


def check_node(
    node_class: type[Node[Any]],
    *,
    packets: Mapping[str, Sequence[Timed]] | None = None,
    **config: Any,
) -> None:
    """Make sure that a node keeps the contract.

    Args:
        node_class: the node; of a source only what can be seen without a video is checked.
        packets: for each input port, what arrives there, of the same pts in each; needed for ports
            whose types are not of `nodes.types`.
        config: settings of the node's configuration.

    Raises:
        AssertionError: it does not; the message says what and where.
    """
    settings = node_class.Config(**config)
    _check_spec(node_class)
    _check_config(node_class, settings)
    made = node_class(settings)
    made.close()
    made.close()
    json.dumps(made.report(), default=str)
    twin: Node[Any] = pickle.loads(pickle.dumps(made))  # noqa: S301 - its own pickle
    assert twin.config == settings, "its configuration is another one after pickling"
    if issubclass(node_class, SourceNode):
        return
    for pix_fmt in ("yuv420p", "yuv420p10le"):
        given = packets or _for_ports(node_class, sample_packets(pix_fmt))
        _Run(node_class, settings, given, sample_info(pix_fmt)).check()


def sample_info(pix_fmt: str) -> VideoInfo:
    """Return the video that `sample_packets` are of."""
    return VideoInfo(
        width_px=SIZE_PX[0],
        height_px=SIZE_PX[1],
        pix_fmt=pix_fmt,
        time_base=Fraction(1, 1000),
        average_rate=Fraction(1000, _TICKS),
        sample_aspect_ratio=Fraction(1),
        rotation_deg=0,
        color=ColorTags(matrix=1, range=1),
        codec_name="h264",
        bit_depth=10 if pix_fmt.endswith("10le") else 8,
    )


def sample_packets(pix_fmt: str) -> dict[type, list[Timed]]:
    """Return a short video with one face, as packets of each type that travels, by their type.

    The face moves to the right; in the fifth frame it is not found.
    """
    frames, faces, patches, fused, restored = (list[Timed]() for _ in range(5))
    for index in range(FRAMES):
        frame = _frame(index, pix_fmt)
        found = () if index == 5 else (_face(40.0 + 2 * index, 40.0),)
        cut = tuple(_patch(frame, face) for face in found)
        frames.append(frame)
        faces.append(FrameFaces(frame.pts, found))
        patches.append(FramePatches(frame.pts, cut))
        fused.append(FusedPatches(frame.pts, cut))
        restored.append(FrameRestored(frame.pts, tuple(map(_restored, cut))))
    return {
        Frame: frames,
        FrameFaces: faces,
        FramePatches: patches,
        FusedPatches: fused,
        FrameRestored: restored,
    }


def _frame(index: int, pix_fmt: str) -> Frame:
    y, x = np.mgrid[0 : SIZE_PX[1], 0 : SIZE_PX[0]]
    wave = 120 + 50 * np.sin((x + 3 * index) / 9) + 40 * np.cos(y / 7)
    rgb = np.stack([wave, wave * 0.9, 255 - wave], axis=2).clip(0, 255).astype(np.uint8)
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
    picture.colorspace, picture.color_range = 1, 1
    picture.pts, picture.time_base = index * _TICKS, Fraction(1, 1000)
    return Frame(index, index * _TICKS, _TICKS, picture)


def _face(x_px: float, y_px: float) -> Face:
    points = np.array(
        [(x_px, y_px), (x_px + 16, y_px), (x_px + 8, y_px + 9), (x_px + 8, y_px + 17)]
    )
    box = (x_px - 12, y_px - 16, x_px + 28, y_px + 30)
    return Face(1, box, points.astype(np.float32), 0.95, confirmed=True)


def _patch(frame: Frame, face: Face) -> FacePatch:
    left, top, right, bottom = 24, 16, 104, 80
    rgb = frame.rgb(ColorTags(matrix=1, range=1))[top:bottom, left:right].copy()
    crop = crop_from_frame(face.points_px, 128)
    return FacePatch(
        track_id=face.track_id,
        rgb=rgb,
        bit_depth=8 if rgb.dtype == np.uint8 else 10,
        region_xyxy_px=(left, top, right, bottom),
        crop_from_region=compose(crop, translation(left, top)),
        size_px=128,
        scale=1,
        blur_px=1.0,
    )


def _restored(patch: FacePatch) -> RestoredPatch:
    residual = np.full(patch.rgb.shape, 0.05, np.float16)
    residual[:8] = residual[-8:] = residual[:, :8] = residual[:, -8:] = 0
    return RestoredPatch(patch.track_id, residual, patch.region_xyxy_px)


def _for_ports(node_class: type[Node[Any]], packets: Packets) -> dict[str, Sequence[Timed]]:
    return {port.name: _for_port(port, packets) for port in node_class.spec.inputs}


def _for_port(port: Port, packets: Packets) -> Sequence[Timed]:
    if port.type in packets:
        return packets[port.type]
    raise AssertionError(
        f"input {port.name!r} takes {port.type.__name__}, of which there are no samples here: give"
        f" packets={{{port.name!r}: [...]}}"
    )


def _check_spec(node_class: type[Node[Any]]) -> None:
    spec, kinds = node_class.spec, (SourceNode, MapNode, PoolNode, SinkNode)
    name = spec.type_name
    assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name), f"{name!r} is not like 'acme.blur'"
    assert spec.api_version == API_VERSION, f"is for node API {spec.api_version}"
    assert spec.summary.strip(), "its spec has no summary"
    assert sum(issubclass(node_class, kind) for kind in kinds) == 1, "is not of one kind of node"
    assert bool(spec.inputs) != issubclass(node_class, SourceNode), "a source has no inputs"
    assert bool(spec.outputs) != issubclass(node_class, SinkNode), "a sink has no outputs"
    for ports in (spec.inputs, spec.outputs):
        names = [port.name for port in ports]
        assert len(set(names)) == len(names), f"two ports have one name: {names}"
    if issubclass(node_class, PoolNode):
        assert spec.state is State.STATELESS, "a pool node keeps no state"


def _check_config(node_class: type[Node[Any]], config: NodeConfig) -> None:
    assert type(config).model_config.get("frozen"), "its configuration can be changed"
    try:
        node_class.Config.model_validate({**config.model_dump(), "no_such_key": 1})
    except ValidationError:
        pass
    else:
        raise AssertionError("its configuration takes keys that it does not know")
    for key, field in node_class.Config.model_fields.items():
        assert field.description, f"setting {key!r} has no docstring"


class _Run:
    """One node on one video."""

    def __init__(
        self,
        node_class: type[Node[Any]],
        config: NodeConfig,
        packets: Mapping[str, Sequence[Timed]],
        info: VideoInfo,
    ) -> None:
        self._class, self._config = node_class, config
        self._packets, self._info = packets, info
        self._frames = len(next(iter(packets.values())))
        node: Node[Any] = node_class(config)
        node.prepare(_content_at)
        self._node = node
        if not isinstance(node, PoolNode) or any(map(node.weight, self._inputs(0, self._frames))):
            node.setup(1)

    def check(self) -> None:
        """Run it twice, in parts, and after an error."""
        before = _content([list(packets) for packets in self._packets.values()])
        first = self._through(0, self._frames)
        after = _content([list(packets) for packets in self._packets.values()])
        assert after == before, "it changed a packet that it was given: others hold it too"
        assert self._through(0, self._frames) == first, "a second run of one video gives another"
        self._half()
        assert self._through(0, self._frames) == first, "after an error it gives another result"
        may_cut = self._class.spec.state is not State.UNBOUNDED
        if may_cut and not isinstance(self._node, SinkNode):
            self._check_cut(first)
        if isinstance(self._node, SinkNode):
            self._check_join(self._node)

    def _check_cut(self, whole: list[Any]) -> None:
        cut = self._frames // 2
        parts = self._through(0, cut) + self._through(cut, self._frames)
        assert parts == whole, (
            f"cut into two segments the video gives something else from frame"
            f" {next(i for i, (a, b) in enumerate(zip(parts, whole, strict=True)) if a != b)} on:"
            " say in `spec` that the node keeps state, and in `warmup_s` how much"
        )

    def _check_join(self, node: SinkNode[Any]) -> None:
        ends = [0, self._frames // 2, self._frames] if node.can_join() else [0, self._frames]
        with tempfile.TemporaryDirectory() as folder:
            parts: list[SegmentPart] = []
            for first, end in pairwise(ends):
                own = Path(folder) / f"{first}"
                own.mkdir()
                self._through(first, end, own)
                parts.append(SegmentPart(own, end - first, {1: 1}, node.report()))
            joined = Path(folder) / "joined"
            joined.mkdir()
            for ending, file in node.join(parts, joined, self._config).items():
                assert re.fullmatch(r"\.[^/\\]+(/[^/\\]+)*", ending), f"a bad ending: {ending!r}"
                assert file.is_file(), f"join names a file {ending!r} that is not there"

    def _half(self) -> None:
        """Leave a video in its middle, as after an error in another node."""
        with tempfile.TemporaryDirectory() as folder:
            self._open(0, self._frames, Path(folder))
            self._answers(self._inputs(0, 1))
            self._node.close()
            self._node.close()

    def _through(self, first: int, end: int, folder: Path | None = None) -> list[Any]:
        """Return what the node answers from one frame to before another, as text to compare."""
        if folder is None:
            with tempfile.TemporaryDirectory() as made:
                return self._through(first, end, Path(made))
        warm = self._open(first, end, folder)
        try:
            answers = self._answers(self._inputs(warm, end))
            if isinstance(self._node, SinkNode):
                self._node.finish()
        finally:
            self._node.close()
        assert isinstance(self._node.report(), dict), "report() returns no dict"
        json.dumps(self._node.report(), default=str)
        return [_content(answer) for answer in answers[first - warm :]]

    def _open(self, first: int, end: int, folder: Path) -> int:
        """Open a segment; return the first frame that the node is to see."""
        times = [packet.pts for packet in next(iter(self._packets.values()))]
        warm_s = 0.0
        if self._class.spec.state is State.BOUNDED:
            warm_s = self._node.warmup_s(self._info)
        start = times[first] - float(warm_s / self._info.time_base)
        warm = next(i for i, pts in enumerate(times) if pts >= start)
        segment = Segment(
            "video.mp4",
            folder,
            1,
            start_pts=times[first] if first else None,
            end_pts=times[end] if end < len(times) else None,
            warmup_pts=times[warm] if warm < first else None,
        )
        infos = dict.fromkeys(self._packets, self._info)
        info: object = self._node.open(segment, infos)
        assert isinstance(info, VideoInfo), f"open returned a {type(info).__name__}"
        return warm

    def _inputs(self, first: int, end: int) -> list[Inputs]:
        return [
            Inputs({port: packets[index] for port, packets in self._packets.items()})
            for index in range(first, end)
        ]

    def _answers(self, inputs: Sequence[Inputs]) -> list[Outputs]:
        node = self._node
        if isinstance(node, PoolNode):
            answers = node.process_batch(inputs)
            assert len(answers) == len(inputs), "process_batch answered for other frames"
        elif isinstance(node, MapNode):
            answers = [node.process(frame) for frame in inputs]
        else:
            for frame in inputs:
                cast("SinkNode[Any]", node).process(frame)
            return []
        for frame, answer in zip(inputs, answers, strict=True):
            self._check_answer(frame.pts, answer)
        return answers

    def _check_answer(self, pts: int, answer: object) -> None:
        assert isinstance(answer, Mapping), f"it answered with a {type(answer).__name__}"
        outputs = cast("Outputs", answer)
        ports = {port.name: port.type for port in self._class.spec.outputs}
        assert outputs.keys() == ports.keys(), f"it answered on {[*outputs]}, not on {[*ports]}"
        for port, packet in outputs.items():
            assert isinstance(packet, ports[port]), f"it sent a {type(packet).__name__} on {port!r}"
            assert packet.pts == pts, f"it sent pts {packet.pts} on {port!r}, not {pts}"


def _content(value: Any) -> Any:
    """Return everything that a packet says, to compare it with another or with itself later."""
    if isinstance(value, av.VideoFrame):
        facts = (value.pts, value.width, value.height, value.format.name, value.colorspace)
        return [*facts, value.color_range, [bytes(cast("bytes", plane)) for plane in value.planes]]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return [_content(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Mapping):
        return {key: _content(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_content(item) for item in cast("Sequence[Any]", value)]
    return value


def _content_at(location: str) -> bytes | None:
    path = Path(location)
    return path.read_bytes() if path.is_file() else None
