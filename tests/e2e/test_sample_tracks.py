"""Are the samples' faces found, each as one track, and nothing else believed to be a face?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.decode import Decode, DecodeConfig
from nodes.node import Inputs
from nodes.track import Track, TrackConfig
from nodes.types import Face, Frame, FrameFaces
from tests.quality.face_quality import SampleTruth
from tests.support.faces import segment_in

LEAST_SHARE = 0.95


def believed_faces(sample: SampleTruth, tmp_path: Path) -> list[list[Face]]:
    """The confirmed faces of each frame."""
    decode, track = Decode(DecodeConfig()), Track(TrackConfig())
    segment = replace(segment_in(tmp_path), input=str(sample.source))
    info = decode.open(segment, {})
    track.open(segment, {"frames": info})
    found: list[list[Face]] = []
    for outputs in decode.packets():
        frame = outputs["frames"]
        assert isinstance(frame, Frame)
        packet = track.process(Inputs({"frames": frame}))["faces"]
        assert isinstance(packet, FrameFaces)
        found.append([face for face in packet.faces if face.confirmed])
    track.close()
    decode.close()
    return found


def is_of(face: Face, true_box: list[float]) -> bool:
    x0, y0, x1, y1 = face.box_xyxy_px
    inside = true_box[0] < (x0 + x1) / 2 < true_box[2] and true_box[1] < (y0 + y1) / 2 < true_box[3]
    return inside and 0.5 < (x1 - x0) / (true_box[2] - true_box[0]) < 2


@pytest.mark.parametrize("name", ["street", "portrait"])
def test_every_person_is_followed_under_one_number_and_nothing_else_is(
    name: str, tmp_path: Path
) -> None:
    sample = SampleTruth(name)
    numbers: dict[str, list[int]] = defaultdict(list)
    strays: list[tuple[int, Face]] = []
    truths = sample.entry["frames"]
    for index, faces in enumerate(believed_faces(sample, tmp_path)):
        for face in faces:
            who = [t["name"] for t in truths[index]["faces"] if is_of(face, t["box_xyxy_px"])]
            if not who:
                strays.append((index, face))
            for person in who:
                numbers[person].append(face.track_id)
    assert strays == []
    assert {person: len(set(found)) for person, found in numbers.items()} == {
        person["name"]: 1 for person in sample.entry["people"]
    }
    for person, found in numbers.items():
        assert len(found) >= LEAST_SHARE * len(truths), person
