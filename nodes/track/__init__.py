"""The node that detects and tracks faces."""

from nodes.track.node import Track, TrackConfig

__all__ = ["Track", "TrackConfig"]
