"""`aminet.evidence`: writes digests of every frame before and after, and its changed regions.

There is a row for each frame. The rows prove which pictures were processed, which ones resulted,
and that nothing changed outside of the listed regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nodes.evidence.rows import ROWS_NAME, merge_rows, row_text
from nodes.join import FRAMES, SegmentPart
from nodes.node import Inputs, NodeConfig, NodeSpec, Port, Segment, SinkNode
from nodes.picture.digest import picture_sha256
from nodes.rows.part import TextPart
from nodes.types import Frame, FrameChanges, VideoInfo

__all__ = ["Evidence", "EvidenceConfig"]


class EvidenceConfig(NodeConfig):
    """There are no settings, since the record must be complete."""


class Evidence(SinkNode[EvidenceConfig]):
    """Writes a row with digests and changes for every frame."""

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
        self._part = TextPart()
        self._frames = self._unchanged = 0

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start an empty file."""
        self._part.open(segment.work_dir / ROWS_NAME)
        self._frames = self._unchanged = 0
        return inputs["source"]

    def process(self, inputs: Inputs) -> None:
        """Write the row of a frame."""
        file = self._part.opened("Evidence")
        source = inputs.get("source", Frame).picture
        written = inputs.get("written", Frame).picture
        before = picture_sha256(source)
        # Frames without changes are passed on as the same picture.
        after = before if written is source else picture_sha256(written)
        file.write(row_text(before, after, inputs.get("changes", FrameChanges)))
        self._frames += 1
        self._unchanged += before == after

    def finish(self) -> None:
        """Complete the file."""
        self._part.finish()

    def close(self) -> None:
        """Remove an unfinished file."""
        self._part.close()

    def report(self) -> dict[str, Any]:
        """Return the number of frames, and of frames without changes."""
        return {"frames": self._frames, "unchanged_frames": self._unchanged}

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Join the rows of all segments; without frames no file is written.

        Raises:
            OSError: a file cannot be read or written.
        """
        del config
        rows = folder / ROWS_NAME
        return {FRAMES: rows} if merge_rows(parts, rows) else {}
