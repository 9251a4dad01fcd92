"""What every registered node keeps to, whoever wrote it: `check_node`, and what only ours do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodes.node import Node, NodeConfig, SinkNode, SourceNode, Timed
from nodes.registry import find_node, registered_nodes
from nodes.testing import check_node, sample_info, sample_packets
from nodes.types import Frame
from tests.support.faces import frame_of, info_of, scene, segment_in

NAMES = list(registered_nodes())
CLASSES = {name: find_node(name) for name in NAMES}
FED = [name for name, node in CLASSES.items() if not issubclass(node, SourceNode)]
SINKS = [name for name, node in CLASSES.items() if issubclass(node, SinkNode)]

SETTINGS: dict[str, dict[str, Any]] = {
    "aminet.enhance": {"weights": "bicubic"},
    "aminet.map": {"function": "numpy:fliplr"},
    "aminet.map_faces": {"function": "numpy:fliplr"},
    "aminet.resize": {"height_px": 50},
}
"""Of the nodes that cannot do without, take long, or do nothing without."""
COMPARING = ("aminet.compare", "aminet.change_map")
"""They take two videos of the same size."""


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_node_keeps_what_other_packages_are_asked_for(name: str) -> None:
    check_node(CLASSES[name], **SETTINGS.get(name, {}))


@pytest.mark.parametrize("name", FED)
def test_a_node_keeps_the_contract_where_faces_are_restored_at_another_size(name: str) -> None:
    scale, info = 2, sample_info("yuv420p")
    packets = sample_packets("yuv420p", scale)
    large: list[Timed] = []
    for frame in packets[Frame]:
        assert isinstance(frame, Frame)
        size = frame.picture.width * scale, frame.picture.height * scale
        picture = frame.picture.reformat(*size)
        picture.pts, picture.time_base = frame.picture.pts, frame.picture.time_base
        large.append(replace(frame, picture=picture))
    large_info = replace(info, width_px=info.width_px * scale, height_px=info.height_px * scale)
    ends = ("before", "after") if name in COMPARING else ("after", "written")
    given: dict[str, Any] = {}
    infos: dict[str, Any] = {}
    for port in CLASSES[name].spec.inputs:
        enlarged = port.name in ends
        given[port.name] = large if enlarged else packets[port.type]
        source = info if issubclass(port.type, Frame) else replace(info, patch_scale=scale)
        infos[port.name] = large_info if enlarged else source
    check_node(CLASSES[name], packets=given, infos=infos, **SETTINGS.get(name, {}))


def test_the_shipped_nodes_are_registered() -> None:
    shipped = ["decode", "track", "crop", "fuse", "enhance", "steady", "paste"]
    shipped += ["encode", "evidence", "sheet", "tracks", "blur", "resize", "compare"]
    shipped += ["face_video", "annotate", "change_map", "write_patches", "map", "map_faces"]
    assert {f"aminet.{name}" for name in shipped} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_summary_is_one_short_line(name: str) -> None:
    assert re.fullmatch(r"[a-z][^\n]{8,78}[^.\n]", CLASSES[name].spec.summary)


@pytest.mark.parametrize("name", SINKS)
def test_closed_without_a_frame_leaves_no_finished_file(name: str, tmp_path: Path) -> None:
    """`finish` was never called: the job must not find anything that looks complete."""
    info = info_of(frame_of(scene(64, 48)))
    node_class: type[Node[NodeConfig]] = CLASSES[name]
    node = node_class(node_class.Config())
    node.open(segment_in(tmp_path), {port.name: info for port in node.spec.inputs})
    node.close()
    assert [path for path in tmp_path.iterdir() if path.stat().st_size > 0] == []
