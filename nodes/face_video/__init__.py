"""`aminet.face_video`: a stabilised video of each face."""

from nodes.face_video.node import FaceVideo, FaceVideoConfig

__all__ = ["FaceVideo", "FaceVideoConfig"]
