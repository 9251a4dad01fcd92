"""How many faces `redact` leaves to be seen, on composites.

    python -m tests.bench.measure_redact MEDIA_DIR OUT.json [FILM...]

`MEDIA_DIR` holds `clip_*.mp4` (see `composites.py` and `films.py`). A face is visible in a frame
when at least a fifth of its box is as in the source. Counted by the face's width: frames before it
was hidden for the first time, and frames after that in which it is visible again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from nodes.blur import Blur
from nodes.node import Inputs, MapNode, Segment
from nodes.track import Track
from nodes.types import ColorTags, Frame
from pipeline.config import load_graph, merge_settings
from tests.bench.composites import Box, TrueFace, filmed
from tests.bench.films import Film, cast, films
from tests.support.faces import info_of

EDGES_PX: Final = (0, 16, 24, 48)
_SAME: Final = 2
_SHARE: Final = 0.2
_COLOR: Final = ColorTags(matrix=1, range=1)


def redacted(frames: list[Frame]) -> list[Frame]:
    """Take frames through the tracker and the blur of the graph `redact`."""
    graph = load_graph(merge_settings(None, (), graph="redact"))
    track, blur = (
        node.make() for kind in (Track, Blur) for node in graph.nodes if node.node_class is kind
    )
    assert isinstance(track, MapNode)
    assert isinstance(blur, MapNode)
    info = info_of(frames[0], color=_COLOR)
    segment = Segment("composite", Path(), 1)
    track.setup(1)
    track.open(segment, {"frames": info})
    blur.open(segment, {"frames": info, "faces": info})
    made: list[Frame] = []
    for frame in frames:
        faces = track.process(Inputs({"frames": frame}))["faces"]
        hidden = blur.process(Inputs({"frames": frame, "faces": faces}))["frames"]
        assert isinstance(hidden, Frame)
        made.append(hidden)
    track.close()
    blur.close()
    return made


def is_visible(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any], box: Box) -> bool:
    """Return whether a fifth of a box is as it was."""
    height, width = before.shape[:2]
    x0, x1 = (min(max(round(side), 0), width) for side in (box[0], box[2]))
    y0, y1 = (min(max(round(side), 0), height) for side in (box[1], box[3]))
    same = np.abs(before[y0:y1, x0:x1].astype(int) - after[y0:y1, x0:x1]) < _SAME
    return bool(same.all(axis=2).mean() >= _SHARE)


def count(film: Film) -> dict[int, dict[str, int]]:
    """Return the face frames of a film, by the lower edge of the width's class."""
    frames, truth = filmed(film.shots)
    made = redacted(frames)
    found: set[str] = set()
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for frame, hidden, faces in zip(frames, made, truth, strict=True):
        before, after = frame.rgb(_COLOR), hidden.rgb(_COLOR)
        for face in faces:
            if face.sure:
                _count_face(face, is_visible(before, after, face.box_xyxy_px), found, counts)
    return counts


def _count_face(
    face: TrueFace, visible: bool, found: set[str], counts: dict[int, dict[str, int]]
) -> None:
    own = counts[max(edge for edge in EDGES_PX if edge <= face.width_px)]
    own["frames"] += 1
    if not visible:
        found.add(face.name)
    elif face.name in found:
        own["visible_again"] += 1
    else:
        own["before_found"] += 1


def main() -> int:
    """Measure all films, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("media", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("film", nargs="*")
    arguments = parser.parse_args()
    sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    results: dict[str, Any] = {}
    for film in films(cast(arguments.media)):
        if arguments.film and film.name not in arguments.film:
            continue
        results[film.name] = count(film)
        for edge, own in results[film.name].items():
            for name, value in own.items():
                sums[edge][name] += value
        results["all"] = sums
        arguments.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"{film.name}: {json.dumps(results[film.name])}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
