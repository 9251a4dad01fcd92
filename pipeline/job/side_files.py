"""What is written beside a video: contact sheets, and where every face was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodes.sheet import SheetConfig
from nodes.sheet.node import BEST_SHOTS, SHEET_NAME
from nodes.sheet.page import merge_best_shots, merge_pages
from nodes.track import Track
from nodes.track.stitch import TrackEnds, stitch
from nodes.tracks import TracksConfig
from nodes.tracks.rows import TRACKS_NAME, TrackPart, merge_tracks, write_parquet
from pipeline.graph.graph import Graph
from pipeline.run.contract import SegmentResult

__all__ = ["BEST_SHOTS_FOLDER", "PARQUET", "SHEET", "SIDE_ENDINGS", "TRACKS", "merge_side_files"]

SHEET: Final = ".faces.png"
BEST_SHOTS_FOLDER: Final = ".faces"
TRACKS: Final = ".tracks.jsonl"
PARQUET: Final = ".tracks.parquet"
SIDE_ENDINGS: Final = (SHEET, BEST_SHOTS_FOLDER, TRACKS, PARQUET)
"""What the names of such files, and of the folder of single faces, end in."""


def merge_side_files(
    graph: Graph, results: Sequence[SegmentResult], folders: Sequence[Path], made: Path
) -> dict[str, Path]:
    """Make one file of each kind of the segments' files; a face has one number in all of them.

    Args:
        graph: what was run.
        results: of all segments, in order.
        folders: where each one's files are.
        made: an empty folder to write to.

    Returns:
        What was made, by what its name beside the video ends in; without a face nothing is.

    Raises:
        OSError: a file cannot be read or written.
    """
    made.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(graph, results)
    sides: dict[str, Path] = {}
    for node in graph.nodes:
        if isinstance(node.config, SheetConfig):
            most, columns = node.config.max_tracks, node.config.columns
            pages = [(f / SHEET_NAME, own) for f, own in zip(folders, numbers, strict=True)]
            if merge_pages(pages, made / SHEET_NAME, max_tracks=most, columns=columns):
                sides[SHEET] = made / SHEET_NAME
            shots = [
                (page, own)
                for folder, own in zip(folders, numbers, strict=True)
                for page in sorted(folder.glob(BEST_SHOTS))
            ]
            for page in merge_best_shots(shots, made / "faces"):
                sides[f"{BEST_SHOTS_FOLDER}/{page.name}"] = page
        elif isinstance(node.config, TracksConfig):
            parts = [
                TrackPart(folder / TRACKS_NAME, result.progress.frames, own)
                for folder, result, own in zip(folders, results, numbers, strict=True)
            ]
            if merge_tracks(parts, made / TRACKS_NAME):
                sides[TRACKS] = made / TRACKS_NAME
                if node.config.parquet and write_parquet(sides[TRACKS], made / PARQUET):
                    sides[PARQUET] = made / PARQUET
    return sides


def _numbers(graph: Graph, results: Sequence[SegmentResult]) -> list[dict[int, int]]:
    """Return for each segment the video's numbers of its tracks."""
    track = next((n.name for n in graph.nodes if issubclass(n.node_class, Track)), None)
    if track is None:
        return [{} for _ in results]
    return stitch([TrackEnds.from_report(result.reports[track]["ends"]) for result in results])
