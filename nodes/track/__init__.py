"""Finds and follows faces."""

from nodes.track.node import Track, TrackConfig

__all__ = ["Track", "TrackConfig"]
