"""A row for every face in every frame."""

from nodes.tracks.node import Tracks, TracksConfig

__all__ = ["Tracks", "TracksConfig"]
