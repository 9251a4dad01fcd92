"""libav's filters on pictures: what goes in comes out in order, however long a filter waits."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import pytest
from av.error import FFmpegError
from av.filter import Graph
from av.filter.context import FilterContext

from nodes.picture.filters import PictureFilter
from tests.support.media import make_picture
from tests.support.video_nodes import same_pixels

TICK = Fraction(1, 25)


def pictures(count: int) -> list[av.VideoFrame]:
    made = [make_picture(number) for number in range(count)]
    for number, picture in enumerate(made):
        picture.pts, picture.time_base = 3 * number, TICK
    return made


def in_line(*filters: tuple[str, str]) -> PictureFilter:
    return PictureFilter(
        make_picture(0), TICK, lambda graph: [graph.add(name, words) for name, words in filters]
    )


def test_no_filter_changes_nothing() -> None:
    through = in_line()
    for picture in pictures(3):
        (same,) = through.push(picture)
        assert same_pixels([same], [picture])
        assert (same.pts, same.time_base) == (picture.pts, TICK)
    assert through.push(None) == []


def test_filters_in_line_come_one_after_the_other() -> None:
    twice = in_line(("crop", "32:48:0:0"), ("scale", "64:96"))
    (made,) = twice.push(make_picture(0))
    assert (made.width, made.height) == (64, 96)
    turned = in_line(("scale", "64:96"), ("crop", "32:48:0:0"))
    (made,) = turned.push(make_picture(0))
    assert (made.width, made.height) == (32, 48)


def test_what_a_filter_drops_does_not_come_and_what_it_holds_back_comes_later() -> None:
    third = in_line(("select", r"not(mod(n\,3))"))
    assert [len(third.push(picture)) for picture in pictures(6)] == [1, 0, 0, 1, 0, 0]
    backward = in_line(("reverse", ""))
    assert [backward.push(picture) for picture in pictures(3)] == [[], [], []]
    assert same_pixels(backward.push(None), reversed(pictures(3)))


def test_a_filter_beside_the_line_is_linked_by_who_adds_it() -> None:
    def add(graph: Graph) -> Sequence[FilterContext]:
        split, flip, stack = graph.add("split"), graph.add("hflip"), graph.add("hstack")
        split.link_to(flip, 1, 0)
        flip.link_to(stack, 0, 1)
        return [split, stack]

    (made,) = PictureFilter(make_picture(0), TICK, add).push(make_picture(0))
    luma = made.to_ndarray()[:48]
    assert luma.shape == (48, 128)
    assert (luma[:, :64] == luma[:, :63:-1]).all()


def test_a_stream_may_be_the_template() -> None:
    with av.open("/dev/null", "w", format="nut") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        null = PictureFilter(stream, TICK, lambda graph: [graph.add("null")])
    assert same_pixels(null.push(make_picture(0)), [make_picture(0)])


def test_words_that_a_filter_does_not_know_are_refused() -> None:
    with pytest.raises(FFmpegError):
        in_line(("setfield", "mode=sideways"))
