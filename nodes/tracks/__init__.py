"""The node that writes a row for each face in each frame."""

from nodes.tracks.node import Tracks, TracksConfig

__all__ = ["Tracks", "TracksConfig"]
