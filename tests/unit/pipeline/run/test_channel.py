"""Channels: a bounded one makes its writer wait, and does not keep it when the run ends."""

from __future__ import annotations

import threading

import pytest

from pipeline.run.channel import Channel, channels_of
from tests.support.toy_nodes import before_pool


def unexpected() -> None:
    raise AssertionError("it waits")


def test_packets_come_in_order_and_a_full_channel_waits() -> None:
    channel = Channel(2)
    channel.put(1, unexpected)
    channel.put(2, unexpected)
    with pytest.raises(AssertionError, match="it waits"):
        channel.put(3, unexpected)
    assert channel.take() == 1
    channel.put(4, unexpected)
    channel.put_last("end")
    assert [channel.take() for _ in range(3)] == [2, 4, "end"]


def test_a_writer_goes_on_when_there_is_space() -> None:
    channel = Channel(1)
    channel.put(1, unexpected)
    later = threading.Timer(0.05, channel.take)
    later.start()
    channel.put(2, lambda: None)
    later.join()
    assert channel.take() == 2


def test_only_the_way_to_a_pool_is_bounded() -> None:
    channels = channels_of(before_pool(), ["double"])
    bounded = {key for key, channel in channels.items() if channel._free is not None}
    assert bounded == {("double", "in")}
    assert channels.keys() == {("add", "in"), ("double", "in"), ("sum", "a"), ("sum", "b")}
