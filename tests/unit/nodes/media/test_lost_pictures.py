"""Pictures that a decoder swallows without an error are counted; fields of one picture are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from nodes.media.lost_pictures import LostPictures
from tests.support.media import Video, make_video
from tests.support.video_nodes import decode


def lost(
    fed: Sequence[int | None], shown: Sequence[int | None], *, of_fields: bool = False
) -> list[int]:
    """Return what counts as lost, where a picture is out three packets after it went in."""
    pictures, found = LostPictures("h264"), list[int]()
    waiting = list(shown)
    for number, pts in enumerate(fed):
        pictures.feed(pts)
        while number >= 3 and waiting and (waiting[0] is None or waiting[0] in fed[: number - 2]):
            found += pictures.show(waiting.pop(0), of_fields=of_fields)
    for pts in waiting:
        found += pictures.show(pts, of_fields=of_fields)
    return [*found, *pictures.end()]


ORDER = [0, 40, 80, 200, 120, 160, 320, 240, 280]
"""Times of packets as they are decoded."""


@pytest.mark.parametrize(
    ("missing", "of_fields"),
    [([], False), ([0, 40], False), ([120], False), ([280, 320], False), ([200], True)],
)
def test_what_goes_in_and_never_comes_out(missing: list[int], of_fields: bool) -> None:
    shown = sorted(set(ORDER) - set(missing))
    assert sorted(lost(ORDER, shown, of_fields=of_fields)) == missing


def test_a_second_field_is_no_picture() -> None:
    fields = [time + field for time in ORDER for field in (0, 20)]
    assert lost(fields, sorted(ORDER), of_fields=True) == []
    assert len(lost(fields, sorted(ORDER))) == len(ORDER)
    without = [time for time in sorted(ORDER) if time != 120]
    assert lost(fields, without, of_fields=True) == [120, 140]


def test_pictures_without_times_say_nothing() -> None:
    assert lost([0, None, 80, None, 160, 200], [None, None, None, 160, 200]) == []


def test_a_clock_that_starts_again_loses_nothing() -> None:
    first = [1000, 1040, 1080, 1120]
    assert lost([*first, 0, 40, 80, 120], [*first, 0, 40, 80, 120]) == []


def test_hidden_packets_of_other_codecs_are_not_counted() -> None:
    pictures = LostPictures("vp8")
    pictures.feed(0)
    pictures.feed(1)
    assert [*pictures.show(0, of_fields=False), *pictures.end()] == []


@pytest.mark.parametrize("name", ["v.ts", "v.mkv", "v.mp4"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_film_whose_first_keyframe_is_missing(tmp_path: Path, name: str, codec: str) -> None:
    if (name, codec) == ("v.mp4", "mpeg2video"):
        pytest.skip("not a container for it here")
    whole = make_video(tmp_path / f"whole_{name}", Video(codec=codec, frames=36, gop_frames=16))
    source = tmp_path / name
    with av.open(whole) as original, av.open(source, "w") as output:
        copy = output.add_stream_from_template(original.streams.video[0], opaque=True)
        for number, packet in enumerate(original.demux(original.streams.video[0])):
            if packet.size and number:
                packet.stream = copy
                output.mux(packet)
    _, frames, report = decode(source)
    assert len(frames) + report["damage"]["count"] == 35
    assert report["damage"]["count"] > 0
    assert "picture could not be decoded" in " ".join(report["warnings"])
