"""What tells one decoded picture from another: a digest of its samples."""

from __future__ import annotations

import hashlib

import av
import numpy as np

from nodes.picture.layout import pixel_layout, plane_samples

__all__ = ["picture_sha256"]


def picture_sha256(picture: av.VideoFrame) -> str:
    """Return the SHA-256 of a picture's samples, plane after plane, without line padding.

    That is libav's raw video, so `ffmpeg -i FILE -map 0:v:0 -f framehash -hash sha256 -` prints
    the same. Size, pixel format and time are not part of it.

    Raises:
        UnsupportedFormatError: the pixel format is not Y'CbCr or gray.
    """
    layout = pixel_layout(picture.format.name)
    digest = hashlib.sha256()
    for index in range(len(picture.planes)):
        # Without padding nothing is copied.
        samples = np.ascontiguousarray(plane_samples(picture, layout, index))
        digest.update(samples.data)
    return digest.hexdigest()
