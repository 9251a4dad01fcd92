"""A node that writes into packets that others hold, too, ends the run: no change is lost."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

import pipeline
from nodes.node import Inputs, MapNode, NodeConfig, NodeSpec, Outputs, PoolNode, Port, SinkNode
from nodes.picture.layout import plane_codes
from nodes.picture.regions import copy_picture
from nodes.types import Frame
from pipeline.errors import NodeFailedError
from pipeline.graph.graph import Edge, GraphNode
from pipeline.run.read_only import watched
from tests.support.media import Video, make_video

FRAMES = (Port("frames", Frame),)


def scrawl(picture: av.VideoFrame, rows: slice = slice(8, 24)) -> None:
    codes = plane_codes(picture.planes[0], np.uint8)[rows, 8:24]
    codes[:] = 255 - codes


class Scrawl(MapNode[NodeConfig]):
    """Writes into the picture of others."""

    spec = NodeSpec("acme.scrawl", "scrawls", FRAMES, FRAMES)
    Config = NodeConfig

    def process(self, inputs: Inputs) -> Outputs:
        frame = inputs.get("frames", Frame)
        scrawl(frame.picture)
        return {"frames": frame}


class Copy(Scrawl):
    """Does it in a copy."""

    def process(self, inputs: Inputs) -> Outputs:
        frame = inputs.get("frames", Frame)
        picture = copy_picture(frame.picture)
        scrawl(picture)
        return {"frames": replace(frame, picture=picture)}


class Pooled(PoolNode[NodeConfig]):
    """Does the same in a pool."""

    spec = NodeSpec("acme.pooled", "scrawls", FRAMES, FRAMES)
    Config = NodeConfig

    @property
    def max_batch(self) -> int:
        return 4

    def weight(self, inputs: Inputs) -> int:
        return 1

    def process_batch(self, batch: Sequence[Inputs]) -> list[Outputs]:
        for inputs in batch:
            scrawl(inputs.get("frames", Frame).picture)
        return [{"frames": inputs.get("frames", Frame)} for inputs in batch]


class Last(SinkNode[NodeConfig]):
    """Does the same at the end."""

    spec = NodeSpec("acme.last", "scrawls", FRAMES)
    Config = NodeConfig

    def process(self, inputs: Inputs) -> None:
        scrawl(inputs.get("frames", Frame).picture)

    def finish(self) -> None:
        pass


def run(kind: type[Any], folder: Path) -> Path:
    source = folder / "in.mp4"
    make_video(source, Video(frames=4))
    nodes: dict[str, Any] = {
        "decode": {"type": "aminet.decode"},
        "fx": {"type": kind, "inputs": {"frames": "decode.frames"}},
    }
    last = "decode" if issubclass(kind, SinkNode) else "fx"
    nodes["encode"] = {"type": "aminet.encode", "inputs": {"frames": f"{last}.frames"}}
    target = folder / "out.mp4"
    pipeline.run_graph({"name": "g", "nodes": nodes}, source, target, runner="local")
    return target


@pytest.mark.parametrize("kind", [Scrawl, Pooled, Last])
def test_a_node_that_writes_into_a_shared_picture_fails(kind: type[Any], tmp_path: Path) -> None:
    with pytest.raises(NodeFailedError, match=r"node 'fx' \(acme\.\w+\): .*change a copy"):
        run(kind, tmp_path)


def test_what_is_written_into_a_copy_is_in_the_output(tmp_path: Path) -> None:
    target = run(Copy, tmp_path)
    luma: list[npt.NDArray[Any]] = []
    for file in (tmp_path / "in.mp4", target):
        with av.open(file) as container:
            luma.append(next(container.decode(video=0)).to_ndarray()[8:24, 8:24].astype(int))
    assert abs(luma[1] - (255 - luma[0])).max() < 40


@dataclass(frozen=True)
class Packet:
    pts: int
    rgb: npt.NDArray[Any]
    more: tuple[Any, ...] = ()


class Reads(Scrawl):
    spec = NodeSpec("acme.reads", "reads", (Port("in", Packet),), FRAMES)


@pytest.mark.parametrize(
    "change",
    [
        lambda packet: packet.rgb.__setitem__((3, 2, 1), 7),
        lambda packet: packet.rgb.__setitem__(slice(None), packet.rgb[::-1].copy()),
        lambda packet: packet.rgb.__setitem__(slice(None), packet.rgb[:, ::-1].copy()),
        lambda packet: packet.more[0].__setitem__((0, 0), np.nan),
        lambda packet: packet.more[1].sort(),
    ],
)
def test_each_change_of_an_array_is_seen(change: Callable[[Packet], None]) -> None:
    rng = np.random.default_rng(0)
    given = Packet(
        0,
        rng.integers(0, 256, (5, 9, 3), np.uint8),
        (rng.random((2, 3), np.float32), rng.random(6)[::2], np.zeros((0, 4)), np.array(3)),
    )
    entry = GraphNode("fx", Reads, NodeConfig(), {"in": Edge("src", "out")})
    check = watched(entry, Inputs({"in": given}))
    check()
    change(given)
    with pytest.raises(NodeFailedError, match="change a copy"):
        check()


@pytest.mark.parametrize(("pix_fmt", "line_size"), [("bgr24", -192), ("gray", -64)])
def test_pictures_stored_from_below_and_palettes_can_be_given(
    pix_fmt: str, line_size: int, tmp_path: Path
) -> None:
    file = tmp_path / "raw.avi"
    with av.open(file, "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        container.mux(stream.encode(av.VideoFrame(64, 48, pix_fmt)))
    content = bytearray(file.read_bytes())
    header = content.find(b"strf") + 8
    struct.pack_into("<iHHI", content, header + 8, 48, 1, 24 if pix_fmt == "bgr24" else 8, 0)
    file.write_bytes(content)
    with av.open(file) as container:
        picture = next(container.decode(video=0))
    assert picture.planes[0].line_size == line_size
    assert len(picture.planes) == (1 if pix_fmt == "bgr24" else 2)  # with a palette
    entry = GraphNode("fx", Reads, NodeConfig(), {"in": Edge("src", "out")})
    watched(entry, Inputs({"in": Packet(0, np.zeros(1), (picture,))}))()
