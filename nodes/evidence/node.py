"""`aminet.evidence`: writes digests of every frame before and after, and what was changed where.

One row a frame. With them anybody can show later which pictures went in and which came out, and
that nothing changed outside the regions that are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TextIO

from nodes.evidence.rows import ROWS_NAME, merge_rows, row_text
from nodes.join import FRAMES, SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.picture.digest import picture_sha256
from nodes.types import Frame, FrameChanges, VideoInfo

__all__ = ["Evidence", "EvidenceConfig"]


class EvidenceConfig(NodeConfig):
    """Nothing to choose: evidence with parts left out is none."""


class Evidence(SinkNode[EvidenceConfig]):
    """Writes a row of digests and changes for every frame."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.evidence",
        summary="write digests of every frame before and after, and what was changed in it",
        inputs=(
            Port("source", Frame),
            Port("written", Frame),
            Port("changes", FrameChanges),
        ),
    )
    Config: ClassVar[type[NodeConfig]] = EvidenceConfig
    endings: ClassVar[tuple[str, ...]] = (FRAMES,)

    def __init__(self, config: EvidenceConfig) -> None:
        super().__init__(config)
        self._path: Path | None = None
        self._file: TextIO | None = None
        self._frames = self._unchanged = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start an empty file."""
        self.close()
        self._path = segment.work_dir / ROWS_NAME
        self._file = self._path.open("w", encoding="utf-8")
        self._frames = self._unchanged = 0
        return inputs["source"]

    def process(self, inputs: Inputs) -> None:
        """Write one frame's row."""
        if self._file is None:
            raise RuntimeError("Evidence.process was called before open or after close")
        source = inputs.get("source", Frame).picture
        written = inputs.get("written", Frame).picture
        before = picture_sha256(source)
        # Frames without a change are handed on as they are.
        after = before if written is source else picture_sha256(written)
        changes = inputs.get("changes", FrameChanges).faces
        self._file.write(row_text(inputs.pts, before, after, changes))
        self._frames += 1
        self._unchanged += before == after

    def finish(self) -> None:
        """Complete the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Remove a file that was not finished."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)
        self._file = None

    def report(self) -> dict[str, Any]:
        """Count frames, and those whose every sample is the source's."""
        return {"frames": self._frames, "unchanged_frames": self._unchanged}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Make one file of all rows; without any frame, none.

        Raises:
            OSError: a file cannot be read or written.
        """
        del config
        rows = folder / ROWS_NAME
        return {FRAMES: rows} if merge_rows(parts, rows) else {}
