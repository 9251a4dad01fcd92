"""What an output's video is made of: encoded files, and stretches that are copied."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from nodes.encode.report import parts_in
from nodes.errors import MediaError
from pipeline.errors import RunFailedError
from pipeline.graph.graph import GraphNode
from pipeline.pieces.packets import Copied, Piece
from pipeline.run.contract import SegmentResult, sink_folder

__all__ = ["NotCopiedError", "has_copied", "pieces_of"]


class NotCopiedError(RunFailedError):
    """What was left to be copied has to be encoded after all."""


def pieces_of(
    encode: GraphNode,
    results: Sequence[SegmentResult],
    folders: Iterable[Path],
    cuts: Container[int] | None,
) -> list[Piece]:
    """Return the pieces of an encoder's output, in order.

    Args:
        encode: the encoder.
        results: of all segments, in order.
        folders: of the segments.
        cuts: where copied and encoded pieces may meet; None if nothing is copied.

    Raises:
        NotCopiedError: copied and encoded frames meet elsewhere.
        MediaError: there are no frames.
    """
    pieces: list[Piece] = []
    for piece, first_pts in _pieces(encode, results, folders):
        before = pieces[-1] if pieces else piece
        if isinstance(piece, Copied) and isinstance(before, Copied) and pieces:
            frames = before.frames + piece.frames
            pieces[-1] = Copied(before.first_pts, piece.last_pts, frames)
            continue
        if isinstance(piece, Copied) != isinstance(before, Copied) and first_pts not in (
            cuts or ()
        ):
            raise NotCopiedError(
                "faces were restored in a part of it, and its packets can be copied only as a whole"
            )
        pieces.append(piece)
    if not pieces:
        raise MediaError("no frame of it was left to write")
    return pieces


def _pieces(
    encode: GraphNode, results: Sequence[SegmentResult], folders: Iterable[Path]
) -> Iterator[tuple[Piece, int]]:
    """Yield the parts of all segments, each with its first pts."""
    for folder, result in zip(folders, results, strict=True):
        for part in parts_in(result.reports[encode.name]):
            if part.file is None:
                yield Copied(part.first_pts, part.last_pts, part.frames), part.first_pts
            else:
                yield sink_folder(folder, encode.name) / part.file, part.first_pts


def has_copied(encodes: Iterable[GraphNode], result: SegmentResult) -> bool:
    """Return whether frames of a segment are left to be copied."""
    reports = (result.reports[encode.name] for encode in encodes)
    return any(report["copied_frames"] for report in reports)
