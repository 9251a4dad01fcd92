"""Third-party sinks, as another package would write them, and graphs that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from nodes.join import SegmentPart
from nodes.node import Inputs, Node, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.registry import find_node
from nodes.types import Frame, FrameFaces, VideoInfo
from pipeline.graph import build as build_module

__all__ = ["install", "write_run"]


class NoteConfig(NodeConfig):
    name: str = "times.csv"
    ending: str = ".times.csv"
    fails: bool = False
    """In `join`."""
    refuses: bool = False
    """In `finish`."""


class Notes(SinkNode[NoteConfig]):
    """Writes the time of every frame, and says nothing of what becomes of the file."""

    spec = NodeSpec("acme.notes", "writes times", inputs=(Port("frames", Frame),))
    Config = NoteConfig

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        self.rows: list[int] = []
        self.path = segment.work_dir / self.config.name
        return inputs["frames"]

    def process(self, inputs: Inputs) -> None:
        self.rows.append(inputs.pts)

    def finish(self) -> None:
        if self.config.refuses:
            raise ValueError("nothing")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(f"{pts}\n" for pts in self.rows), encoding="utf-8")


class Joined(Notes):
    """The same, one file for the whole video."""

    spec = NodeSpec("acme.joined", "writes times", inputs=(Port("frames", Frame),))

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        assert isinstance(config, NoteConfig)
        if config.fails:
            raise KeyError("nothing")
        made = folder / "all.csv"
        texts = [(part.folder / config.name).read_text(encoding="utf-8") for part in parts]
        assert [text.count("\n") for text in texts] == [part.frames for part in parts]
        made.write_text("".join(texts), encoding="utf-8")
        return {config.ending: made}


class Declared(Joined):
    """The same, with the ending known before the work."""

    spec = NodeSpec("acme.declared", "writes times", inputs=(Port("frames", Frame),))
    endings: ClassVar[tuple[str, ...]] = (".times.csv",)


class FaceNotes(Joined):
    """Is told of faces, with the numbers of their tracks."""

    spec = NodeSpec(
        "acme.faces", "writes faces", inputs=(Port("frames", Frame), Port("faces", FrameFaces))
    )

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        del config
        made = folder / "numbers"
        made.write_text(str([dict(part.track_numbers) for part in parts]), encoding="utf-8")
        return {".numbers": made}


INSTALLED = {node.spec.type_name: node for node in (Notes, Joined, Declared, FaceNotes)}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make graphs find these nodes, for runs in this process."""

    def find(type_name: str) -> type[Node[NodeConfig]]:
        return INSTALLED.get(type_name) or find_node(type_name)

    monkeypatch.setattr(build_module, "find_node", find)


def write_run(folder: Path, **sinks: str) -> Path:
    """Write a graph that decodes and encodes, with sinks beside, and a run's file that names it.

    Args:
        folder: where to write.
        sinks: for each node name, its YAML but for the inputs, such as `type: acme.notes`.

    Returns:
        The run's file.
    """
    graph, run = folder / "graph.yaml", folder / "run.yaml"
    lines = [
        "name: notes",
        "nodes:",
        "  decode: {type: aminet.decode}",
        "  encode: {type: aminet.encode, inputs: {frames: decode.frames}}",
        *(f"  {n}: {{{sink}, inputs: {{frames: decode.frames}}}}" for n, sink in sinks.items()),
    ]
    graph.write_text("\n".join(lines), encoding="utf-8")
    run.write_text(f"graph: {graph}\nrun: {{runner: local}}\n", encoding="utf-8")
    return run
