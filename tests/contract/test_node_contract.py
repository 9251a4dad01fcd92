"""What every registered node keeps to, whoever wrote it."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from pydantic import ValidationError

from nodes.crop import Crop, CropConfig
from nodes.node import (
    API_VERSION,
    Inputs,
    MapNode,
    Node,
    NodeConfig,
    PoolNode,
    Segment,
    SinkNode,
    SourceNode,
    State,
    Timed,
)
from nodes.registry import find_node, registered_nodes
from nodes.testing import check_node
from nodes.types import (
    FaceChange,
    FaceHistory,
    Frame,
    FrameChanges,
    FrameFaces,
    FramePatches,
    FrameRestored,
    FusedPatches,
    RestoredPatch,
)
from tests.support.faces import face_at, frame_of, info_of, portrait, scene, segment_in

NAMES = list(registered_nodes())
CLASSES = [find_node(name) for name in NAMES]
FED = [node for node in CLASSES if not issubclass(node, SourceNode)]
SINKS = [node for node in CLASSES if issubclass(node, SinkNode)]

NodeClass = type[Node[NodeConfig]]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_node_keeps_what_other_packages_are_asked_for(name: str) -> None:
    settings: dict[str, Any] = {"weights": "bicubic"} if name == "aminet.enhance" else {}
    check_node(find_node(name), **settings)


def made(node_class: NodeClass) -> Node[NodeConfig]:
    return node_class(node_class.Config())


def test_the_shipped_nodes_are_registered() -> None:
    shipped = ["decode", "track", "crop", "fuse", "enhance", "steady", "paste"]
    shipped += ["encode", "evidence", "sheet", "tracks", "blur", "resize", "change_map", "annotate"]
    assert {f"aminet.{name}" for name in shipped} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_registered_under_its_own_namespaced_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name)
    assert find_node(name).spec.type_name == name


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_spec_is_sane(node_class: NodeClass) -> None:
    spec = node_class.spec
    assert spec.api_version == API_VERSION
    assert re.fullmatch(r"[a-z][^\n]{8,78}[^.\n]", spec.summary)
    for ports in (spec.inputs, spec.outputs):
        names = [port.name for port in ports]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
        assert all(
            "pts" in getattr(port.type, "__dataclass_fields__", {"pts": ""}) for port in ports
        )
    warmup_s = made(node_class).warmup_s(info_of(frame_of(scene(64, 48))))
    assert warmup_s >= 0
    assert (warmup_s > 0) <= (spec.state is State.BOUNDED)


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_kind_and_ports_agree(node_class: NodeClass) -> None:
    kinds = [
        kind for kind in (SourceNode, MapNode, PoolNode, SinkNode) if issubclass(node_class, kind)
    ]
    assert len(kinds) == 1
    assert bool(node_class.spec.inputs) == (kinds[0] is not SourceNode)
    assert bool(node_class.spec.outputs) == (kinds[0] is not SinkNode)
    if kinds[0] is PoolNode:
        assert node_class.spec.state is State.STATELESS
    assert not inspect.isabstract(node_class)


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_config_is_frozen_documented_and_refuses_unknown_keys(node_class: NodeClass) -> None:
    config = node_class.Config()
    assert node_class.Config.model_config.get("frozen")
    with pytest.raises(ValidationError, match="no_such_key"):
        node_class.Config.model_validate({"no_such_key": 1})
    for name, field in node_class.Config.model_fields.items():
        assert field.description, f"{name} has no docstring"
    assert node_class.Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_a_node_pickles_before_setup(node_class: NodeClass) -> None:
    twin: Node[NodeConfig] = pickle.loads(pickle.dumps(made(node_class)))  # noqa: S301
    assert type(twin) is node_class
    assert twin.config == node_class.Config()


@pytest.mark.parametrize("node_class", CLASSES, ids=NAMES)
def test_close_is_safe_without_open_and_the_report_is_json(node_class: NodeClass) -> None:
    node = made(node_class)
    node.close()
    node.close()
    json.dumps(node.report())


@pytest.mark.parametrize("node_class", FED, ids=[node.spec.type_name for node in FED])
def test_open_and_close_can_be_repeated(node_class: NodeClass, tmp_path: Path) -> None:
    info = info_of(frame_of(scene(64, 48)))
    node = made(node_class)
    for _ in range(2):
        out = node.open(segment_in(tmp_path), {port.name: info for port in node.spec.inputs})
        assert out.time_base == info.time_base
        node.close()
        node.close()
        json.dumps(node.report())


@pytest.mark.parametrize("node_class", SINKS, ids=[node.spec.type_name for node in SINKS])
def test_closed_without_a_frame_leaves_no_finished_file(
    node_class: NodeClass, tmp_path: Path
) -> None:
    """`finish` was never called: the job must not find anything that looks complete."""
    info = info_of(frame_of(scene(64, 48)))
    node = made(node_class)
    node.open(segment_in(tmp_path), {port.name: info for port in node.spec.inputs})
    node.close()
    assert [path for path in tmp_path.iterdir() if path.stat().st_size > 0] == []


def packets_of_one_frame(scale: int) -> dict[type, Timed]:
    """Return one packet of every type that travels, of a frame with one face."""
    frame = frame_of(scene(160, 128, (portrait(96), 32, 16)))
    frame = replace(frame, pts=7, duration_ticks=3)
    frame.picture.pts, frame.picture.duration = 5, 1024
    faces = FrameFaces(7, (face_at(80, 55, 24),))
    crop = Crop(CropConfig(min_detail=0, min_blur_px=0, scale=scale))
    crop.open(Segment("in.mp4", Path(), 1), {"frames": info_of(frame)})
    patches = crop.process(Inputs({"frames": frame, "faces": faces}))["patches"]
    assert isinstance(patches, FramePatches)
    (patch,) = patches.patches
    history = FaceHistory(patch.rgb // 2, np.full(patch.rgb.shape[:2], 200, np.uint8))
    known = replace(patch, region_from_before=np.eye(2, 3), history=history)
    fused = FusedPatches(7, (known,))
    x0, y0, x1, y1 = (side * scale for side in patch.region_xyxy_px)
    residual = np.full((y1 - y0, x1 - x0, 3), 0.05, np.float16)
    restored = FrameRestored(7, (RestoredPatch(1, residual, (x0, y0, x1, y1), scale=scale),))
    changes = FrameChanges(7, (FaceChange(1, (x0, y0, x1, y1), 1.0, 9, 5, 2.5),))
    packets = (frame, faces, patches, fused, restored, changes)
    return {type(packet): packet for packet in packets}


def content(value: Any) -> Any:
    """Return everything that a packet says, to compare it with itself later."""
    if isinstance(value, av.VideoFrame):
        facts = [str(getattr(value, name)) for name in PICTURE_FACTS]
        return [*facts, [bytes(cast("bytes", plane)) for plane in value.planes]]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return [content(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple):
        return [content(item) for item in cast("tuple[Any, ...]", value)]
    return value


PICTURE_FACTS = (
    *("pts", "dts", "duration", "time_base", "pict_type", "key_frame", "interlaced_frame"),
    *("colorspace", "color_range", "color_primaries", "color_trc", "width", "height", "format"),
)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("node_class", FED, ids=[node.spec.type_name for node in FED])
def test_a_packet_that_travels_is_read_only(
    node_class: NodeClass, scale: int, tmp_path: Path
) -> None:
    """Others hold it too: what a node changes of it, they would read."""
    packets = packets_of_one_frame(scale)
    frame = packets[Frame]
    assert isinstance(frame, Frame)
    large = frame.picture.reformat(frame.picture.width * scale, frame.picture.height * scale)
    after = replace(frame, picture=large)
    ends: dict[str, Timed] = {"after": after, "written": after}
    inputs = {p.name: ends.get(p.name, packets[p.type]) for p in node_class.spec.inputs}
    before = {name: content(packet) for name, packet in inputs.items()}
    node = made(node_class)
    node.prepare(lambda _: None)
    node.setup(1)
    faces = replace(info_of(frame), patch_scale=scale)
    infos = {n: info_of(p) if isinstance(p, Frame) else faces for n, p in inputs.items()}
    node.open(segment_in(tmp_path), infos)
    # Twice: what a node remembers of one packet it may change with the next.
    later: dict[str, Timed] = {n: replace(cast("Frame", p), pts=8) for n, p in inputs.items()}
    for at in (inputs, later):
        if isinstance(node, PoolNode):
            node.process_batch([Inputs(at)] * 2)
        elif isinstance(node, MapNode | SinkNode):
            node.process(Inputs(at))
    if isinstance(node, SinkNode):
        node.finish()
    node.close()
    assert {name: content(packet) for name, packet in inputs.items()} == before
